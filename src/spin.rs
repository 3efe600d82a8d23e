//! What a thread does before it sleeps: the one policy of all slow paths.

use core::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::sync::MODELLED;

/// Polls, with this many pauses before each: who has the lock may be about to take it again and
/// again, and does so undisturbed until then. Each poll takes the cache line from it.
const POLLS: u32 = 20;
const PAUSES_A_POLL: u32 = 60;

/// Then yields to other threads: 1, 2, 4, up to this many in a row, with one poll after each row.
const LONGEST_ROW_OF_YIELDS: u32 = 16;

/// But for no longer than about this: on a busy machine a single yield may take as long.
const YIELDING: Duration = Duration::from_millis(1);

/// How often a thread that waits for another one to do something yields to it.
const YIELDS: u32 = 80;

/// Polls `ready` for a while, as [`poll`] does, for something that another thread has yet to come
/// to, rather than to be done with: so it gets the processor at once, in case that there is but one
/// for both.
pub(crate) fn yield_until(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return false;
    }
    let end = end(deadline);
    for _ in 0..YIELDS {
        thread::yield_now();
        if ready() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
    }
    false
}

/// When to yield no more.
fn end(deadline: Deadline) -> Instant {
    let end = Instant::now() + YIELDING;
    match deadline {
        Deadline::At(instant) => end.min(instant),
        Deadline::Now | Deadline::Never => end,
    }
}

/// Polls `ready` for a while, and says whether it came true: if not, sleep.
///
/// Asks no more once `deadline` has passed; it is for the sleep to say so.
pub(crate) fn poll(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return false;
    }
    for _ in 0..POLLS {
        for _ in 0..PAUSES_A_POLL {
            hint::spin_loop();
        }
        if ready() {
            return true;
        }
    }
    let end = end(deadline);
    let mut row = 1;
    while row <= LONGEST_ROW_OF_YIELDS && Instant::now() < end {
        for _ in 0..row {
            thread::yield_now();
        }
        if ready() {
            return true;
        }
        row *= 2;
    }
    false
}
