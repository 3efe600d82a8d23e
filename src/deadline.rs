//! How long a caller is willing to wait.

use std::time::{Duration, Instant};

use crate::sync::MODELLED;

/// How long to wait: the one type that every slow path takes, so that there is one, not three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Do not wait at all.
    Now,
    /// Wait until this instant of the monotonic clock.
    At(Instant),
    /// Wait for ever.
    Never,
}

impl Deadline {
    /// The deadline that ends `timeout`, which begins now. What lies past the end of the clock is
    /// never reached; a timeout of zero does not wait.
    pub(crate) fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Self::Now;
        }
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Never, Self::At)
    }

    /// Whether there is no time left. Under a checker time does not pass: there the futex decides
    /// when a wait is over.
    pub(crate) fn has_passed(self) -> bool {
        match self {
            Self::Now => true,
            Self::At(instant) => !MODELLED && Instant::now() >= instant,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_does_not_wait_and_the_longest_never_ends() {
        assert_eq!(Deadline::after(Duration::ZERO), Deadline::Now);
        assert_eq!(Deadline::after(Duration::MAX), Deadline::Never);
    }

    #[test]
    fn the_rest_ends_no_sooner_than_asked() {
        let timeout = Duration::from_nanos(1);
        let before = Instant::now();
        let Deadline::At(end) = Deadline::after(timeout) else {
            panic!("a nanosecond is a deadline")
        };
        assert!(end >= before + timeout);
    }
}
