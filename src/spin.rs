//! What a thread does before it sleeps: the one policy of all slow paths.
//!
//! There are two cases. A lock is released by a thread that holds it for a short time, and that may
//! take it again at once: [`poll`]. An event is set by a thread that has yet to come to it:
//! [`poll_for_another`].
//!
//! Neither yields. A yield is cheap on an idle machine; on a busy one it gives away a time slice,
//! while a thread that sleeps runs almost at once when it is woken.

use core::cell::Cell;
use core::hint;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::futex::polls;
use crate::sync::MODELLED;

/// Polls, with this many pauses before each: who has the lock may be about to take it again and
/// again, and does so undisturbed until then. Each poll takes the cache line from it.
const POLLS: u32 = 20;
const PAUSES_A_POLL: u32 = 60;

/// How long to poll for another thread: a wake of an idle processor takes some 50 µs.
const PATIENCE: Duration = Duration::from_micros(10);

/// Pauses between two polls for another thread.
const PAUSES_FOR_ANOTHER: u32 = 4;

/// After how many polls in vain a thread stops polling, and how often it then tries anew.
const FAILURES: i8 = 2;
const REST: i8 = 32;

/// Polls `ready` for a while, and returns whether it came true: if not, sleep.
///
/// Asks no more once `deadline` has passed; it is for the sleep to say so.
pub(crate) fn poll(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return polls() && ready();
    }
    let _ = deadline;
    for _ in 0..POLLS {
        for _ in 0..PAUSES_A_POLL {
            hint::spin_loop();
        }
        if ready() {
            return true;
        }
    }
    false
}

thread_local! {
    /// How often polling for another thread may fail until this one stops it; below 0, how many
    /// waits until it tries again.
    static CREDIT: Cell<i8> = const { Cell::new(FAILURES) };
}

/// Whether it pays to poll for another thread. It does not if that was in vain the last times: as on
/// a machine with one processor, or one that is busy.
pub(crate) fn pays() -> bool {
    if MODELLED {
        return polls();
    }
    let credit = CREDIT.get();
    if credit < 0 {
        CREDIT.set(credit + 1);
    }
    credit >= 0
}

/// Polls `ready` for a while, for something that another thread has yet to come to, and returns
/// whether it came true. For one whom polling [`pays`].
pub(crate) fn poll_for_another(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return polls() && ready();
    }
    let mut end = Instant::now() + PATIENCE;
    if let Deadline::At(instant) = deadline {
        end = end.min(instant);
    }
    loop {
        for _ in 0..PAUSES_FOR_ANOTHER {
            hint::spin_loop();
        }
        if ready() {
            CREDIT.set(FAILURES);
            return true;
        }
        if Instant::now() >= end {
            let credit = CREDIT.get();
            CREDIT.set(if credit > 0 { credit - 1 } else { -REST });
            return false;
        }
    }
}
