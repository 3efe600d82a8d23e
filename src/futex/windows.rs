//! The futex of Windows, by `WaitOnAddress`.

use core::ffi::c_void;
use core::sync::atomic::AtomicU32;
use std::io;
use std::time::Instant;

use super::{ALL, Outcome, Private};

/// Implemented for [`Private`] alone: the queues are this process's own.
pub(crate) trait Scope {}

impl Scope for Private {}

// On 32 bits, the names that the library exports have no decoration.
#[cfg_attr(
    target_arch = "x86",
    link(
        name = "api-ms-win-core-synch-l1-2-0",
        kind = "raw-dylib",
        import_name_type = "undecorated"
    )
)]
#[cfg_attr(
    not(target_arch = "x86"),
    link(name = "api-ms-win-core-synch-l1-2-0", kind = "raw-dylib")
)]
unsafe extern "system" {
    fn WaitOnAddress(
        address: *const c_void,
        compare: *const c_void,
        size: usize,
        milliseconds: u32,
    ) -> i32;
    fn WakeByAddressSingle(address: *const c_void);
    fn WakeByAddressAll(address: *const c_void);
}

/// `WaitOnAddress`'s time for a wait without end.
const INFINITE: u32 = u32::MAX;

pub(super) fn wait<S: Scope>(word: &AtomicU32, expected: u32, until: Option<Instant>) -> Outcome {
    let timeout = until.map_or(INFINITE, milliseconds_until);
    let address = word.as_ptr().cast();
    let compare = (&raw const expected).cast();
    // SAFETY: at both addresses are four bytes to be read, for as long as the call.
    let ended = unsafe { WaitOnAddress(address, compare, size_of::<u32>(), timeout) };
    match until {
        _ if ended != 0 => Outcome::Woken,
        None => panic!("WaitOnAddress is refused: {}", io::Error::last_os_error()),
        // It was longer than can be told at once, or the clocks differ a little.
        Some(instant) if Instant::now() < instant => Outcome::Woken,
        Some(_) => {
            // A wake may have met the end of the time, and Windows does not promise that it was
            // not spent on this thread: so it goes to the next, for nothing if there was none.
            wake::<S>(word, 1);
            Outcome::TimedOut
        }
    }
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32) {
    let address = word.cast();
    // SAFETY: the word may be gone, see the module above. Its address is looked up among those of
    // sleepers, and nothing is read there: std's own locks rely on that as well.
    unsafe {
        match count {
            ALL => WakeByAddressAll(address),
            // It does not say whether anybody was there, so nothing ends this sooner.
            count => (0..count).for_each(|_| WakeByAddressSingle(address)),
        }
    }
}

/// How long that is, and no less, as far as `WaitOnAddress` can be told: seven weeks.
fn milliseconds_until(instant: Instant) -> u32 {
    let left = instant.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000);
    u32::try_from(milliseconds).map_or(INFINITE - 1, |it| it.min(INFINITE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn who_times_out_wakes_the_next() {
        let word = AtomicU32::new(0);
        let woken = thread::scope(|scope| {
            let next = scope.spawn(|| wait::<Private>(&word, 0, None));
            let limit = Instant::now() + Duration::from_secs(30);
            // Again, until it has fallen asleep.
            while !next.is_finished() && Instant::now() < limit {
                let soon = Instant::now() + Duration::from_millis(1);
                while wait::<Private>(&word, 0, Some(soon)) == Outcome::Woken {}
            }
            let woken = next.is_finished();
            word.store(1, Ordering::Relaxed);
            wake::<Private>(&raw const word, ALL);
            woken
        });
        assert!(woken);
    }

    #[test]
    fn the_past_is_no_time() {
        assert_eq!(milliseconds_until(Instant::now()), 0);
    }

    #[test]
    fn a_time_is_rounded_up() {
        let soon = Instant::now() + Duration::from_millis(10_000) + Duration::from_nanos(1);
        // The clock goes on in between.
        assert!((9_000..=10_001).contains(&milliseconds_until(soon)));
        let next = Instant::now() + Duration::from_micros(100);
        assert!(milliseconds_until(next) <= 1);
    }

    #[test]
    fn the_longest_time_is_not_for_ever() {
        let weeks = |weeks: u64| Instant::now() + Duration::from_secs(weeks * 7 * 86_400);
        assert!(milliseconds_until(weeks(7)) < INFINITE - 1);
        assert_eq!(milliseconds_until(weeks(8)), INFINITE - 1);
        assert_eq!(milliseconds_until(weeks(1000)), INFINITE - 1);
    }
}
