//! The futex of Windows, by `WaitOnAddress`.

use core::ffi::c_void;
use core::sync::atomic::AtomicU32;
use std::io;
use std::time::{Duration, Instant};

use super::pieces::in_pieces;
use super::terms::{ALL, ANY, Outcome, Private};

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

/// Seven weeks: the longest that is not [`INFINITE`].
const LONGEST: Duration = Duration::from_millis(INFINITE as u64 - 1);

/// All waiters have the same mask: there are none here.
pub(super) fn wait<S: Scope>(
    word: &AtomicU32,
    expected: u32,
    _apart: u32,
    _mask: u32,
    until: Option<Instant>,
) -> Outcome {
    let address = word.as_ptr().cast();
    let compare = (&raw const expected).cast();
    let outcome = in_pieces(until, LONGEST, |left| {
        let timeout = left.map_or(INFINITE, milliseconds);
        // SAFETY: at both addresses are four bytes to be read, for as long as the call.
        match unsafe { WaitOnAddress(address, compare, size_of::<u32>(), timeout) } {
            0 if timeout == INFINITE => {
                panic!("WaitOnAddress is refused: {}", io::Error::last_os_error())
            }
            0 => Outcome::TimedOut,
            _ => Outcome::Woken,
        }
    });
    if outcome == Outcome::TimedOut {
        // A wake may have met the end of the time, and Windows does not promise that it was not
        // spent on this thread: so it goes to the next, for nothing if there was none.
        wake::<S>(word, 1, ANY);
    }
    outcome
}

/// Does not say how many it woke: Windows does not.
pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32, mask: u32) -> Option<usize> {
    let address = word.cast();
    // SAFETY: the word may be gone, see the module above. Its address is looked up among those of
    // sleepers, and nothing is read there: std's own locks rely on that as well.
    unsafe {
        if count == ALL || mask != ANY {
            WakeByAddressAll(address);
        } else {
            // It does not say whether anybody was there, so nothing ends this sooner.
            (0..count).for_each(|_| WakeByAddressSingle(address));
        }
    }
    None
}

/// So many, and no fewer than it takes.
fn milliseconds(time: Duration) -> u32 {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    u32::try_from(milliseconds).expect("LONGEST fits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;
    use std::thread;

    #[test]
    fn who_times_out_wakes_the_next() {
        let word = AtomicU32::new(0);
        let woken = thread::scope(|scope| {
            let next = scope.spawn(|| wait::<Private>(&word, 0, ANY, None));
            let limit = Instant::now() + Duration::from_secs(30);
            // Again, until it has fallen asleep.
            while !next.is_finished() && Instant::now() < limit {
                let soon = Instant::now() + Duration::from_millis(1);
                while wait::<Private>(&word, 0, ANY, Some(soon)) == Outcome::Woken {}
            }
            let woken = next.is_finished();
            word.store(1, Ordering::Relaxed);
            wake::<Private>(&raw const word, ALL, ANY);
            woken
        });
        assert!(woken);
    }

    #[test]
    fn a_time_is_rounded_up() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::from_millis(10)), 10);
        assert_eq!(milliseconds(Duration::from_nanos(10_000_001)), 11);
    }

    #[test]
    fn the_longest_time_is_not_for_ever() {
        assert_eq!(milliseconds(LONGEST), INFINITE - 1);
    }
}
