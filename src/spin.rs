//! What a thread does before it sleeps: the one policy of all slow paths.

use core::hint;
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::sync::MODELLED;

/// Polls, with this many pauses before each: more often would take the cache line from its holder.
const POLLS: u32 = 20;
const PAUSES_A_POLL: u32 = 30;

/// Then yields to other threads: 1, 2, 4, up to this many in a row, with one poll after each row.
const LONGEST_ROW_OF_YIELDS: u32 = 16;

/// But for no longer than about this: on a busy machine a single yield may take as long.
const YIELDING: Duration = Duration::from_millis(1);

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
    let mut end = Instant::now() + YIELDING;
    if let Deadline::At(instant) = deadline {
        end = end.min(instant);
    }
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
