//! The futex of every other platform, by `parking_lot_core`: a table of queues in this process.
//!
//! Built on Linux too with `--cfg racefree_parking`, so that it is tested.

use core::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot_core::{
    DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, FilterOp, ParkResult, park, unpark_all,
    unpark_filter, unpark_one,
};

use super::{ALL, Outcome, Private};

/// Implemented for [`Private`] alone: the table is this process's own.
pub(crate) trait Scope {}

impl Scope for Private {}

pub(super) fn wait<S: Scope>(word: &AtomicU32, expected: u32, until: Option<Instant>) -> Outcome {
    // Relaxed: this runs with the queue locked, as does every wake. If a wake of this word came
    // first, the lock makes the change before it visible; if it comes later, it finds us queued.
    let unchanged = || word.load(Ordering::Relaxed) == expected;
    let key = (&raw const *word).addr();
    // SAFETY: the key is the address of a word of ours, which nobody else parks on; the closures
    // neither panic nor call into parking_lot_core.
    let parked = unsafe { park(key, unchanged, || {}, |_, _| {}, DEFAULT_PARK_TOKEN, until) };
    match parked {
        ParkResult::TimedOut => Outcome::TimedOut,
        ParkResult::Unparked(_) | ParkResult::Invalid => Outcome::Woken,
    }
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32) {
    let key = word.addr();
    // SAFETY: as in `wait`; only the address is used, never the word.
    unsafe {
        match count {
            1 => {
                unpark_one(key, |_| DEFAULT_UNPARK_TOKEN);
            }
            ALL => {
                unpark_all(key, DEFAULT_UNPARK_TOKEN);
            }
            mut left => {
                let filter = |_| match left {
                    0 => FilterOp::Stop,
                    _ => {
                        left -= 1;
                        FilterOp::Unpark
                    }
                };
                unpark_filter(key, filter, |_| DEFAULT_UNPARK_TOKEN);
            }
        }
    }
}
