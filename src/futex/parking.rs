//! The futex of every other platform, by `parking_lot_core`: a table of queues in this process.
//!
//! Built on Linux too with `--cfg racefree_parking`, so that it is tested.

use core::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot_core::{
    DEFAULT_UNPARK_TOKEN, FilterOp, ParkResult, ParkToken, park, unpark_filter,
};

use super::terms::{Outcome, Private};

/// Implemented for [`Private`] alone: the table is this process's own.
pub(crate) trait Scope {}

impl Scope for Private {}

pub(super) fn wait<S: Scope>(
    word: &AtomicU32,
    expected: u32,
    _apart: u32,
    mask: u32,
    until: Option<Instant>,
) -> Outcome {
    // Relaxed: this runs with the queue locked, as does every wake. If a wake of this word came
    // first, the lock makes the change before it visible; if it comes later, it finds us queued.
    let unchanged = || word.load(Ordering::Relaxed) == expected;
    let key = (&raw const *word).addr();
    let token = ParkToken(mask as usize);
    // SAFETY: the key is the address of a word of ours, which nobody else parks on; the closures
    // neither panic nor call into parking_lot_core.
    let parked = unsafe { park(key, unchanged, || {}, |_, _| {}, token, until) };
    match parked {
        ParkResult::TimedOut => Outcome::TimedOut,
        ParkResult::Unparked(_) | ParkResult::Invalid => Outcome::Woken,
    }
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32, mask: u32) -> Option<usize> {
    let key = word.addr();
    let mut left = count;
    // The word may be gone, and a stranger's in its place: a late wake must not reach who waits for
    // a `parking_lot::Condvar`, which is promised none for nothing. There the token is 0, which is no
    // mask. Those of its `RwLock` may look like one, and these look again.
    let filter = |token: ParkToken| match left {
        0 => FilterOp::Stop,
        _ if token.0 & mask as usize == 0 => FilterOp::Skip,
        _ => {
            left -= 1;
            FilterOp::Unpark
        }
    };
    // SAFETY: as in `wait`; only the address is used, never the word.
    let result = unsafe { unpark_filter(key, filter, |_| DEFAULT_UNPARK_TOKEN) };
    Some(result.unparked_threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::futex::{self, ALL, ANY};
    use core::ptr;
    use std::thread;

    /// One that is as late as can be: the stranger is there already.
    #[test]
    fn a_late_wake_does_not_reach_a_strangers_condvar() {
        let told = parking_lot::Mutex::new(None);
        let condvar = parking_lot::Condvar::new();
        thread::scope(|scope| {
            let stranger = scope.spawn(|| {
                let mut told = told.lock();
                *told = Some(false);
                condvar.wait(&mut told);
                *told
            });
            // Whoever finds that has the mutex because the stranger waits.
            while told.lock().is_none() {
                thread::yield_now();
            }
            let place = ptr::from_ref(&condvar).cast::<AtomicU32>();
            assert_eq!(futex::wake::<Private>(place, 1), Some(0));
            assert_eq!(futex::wake_masked::<Private>(place, ALL, ANY), Some(0));
            *told.lock() = Some(true);
            condvar.notify_one();
            assert_eq!(stranger.join().unwrap(), Some(true));
        });
    }
}
