//! How long a call may block.

use std::time::{Duration, Instant};

use crate::observe::MayWait;
use crate::sync::MODELLED;

/// How long to block. All slow paths take this type, so each primitive needs only one slow path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Do not block.
    Now,
    /// Block until this instant of the monotonic clock.
    At(Instant),
    /// Block forever.
    Never,
}

impl Deadline {
    /// Returns the end of a `timeout` that starts now. A timeout that is too long for the clock
    /// never ends. A timeout of zero does not block.
    pub(crate) fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Self::Now;
        }
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Never, Self::At)
    }

    /// Returns `true` if no time is left. Under a checker time does not pass, and the futex decides
    /// when a wait is over.
    pub(crate) fn has_passed(self) -> bool {
        match self {
            Self::Now => true,
            Self::At(instant) => !MODELLED && Instant::now() >= instant,
            Self::Never => false,
        }
    }
}

impl MayWait for Deadline {
    #[inline]
    fn is_timed(&self) -> Option<bool> {
        match self {
            Self::Now => None,
            Self::At(_) => Some(true),
            Self::Never => Some(false),
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
