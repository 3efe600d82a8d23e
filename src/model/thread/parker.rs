//! A thread's token: what `park` waits for and `unpark` gives. As std's on a futex.
//!
//! | state | meaning |
//! |---|---|
//! | `EMPTY` | no token |
//! | `NOTIFIED` | a token |
//! | `PARKED` | no token, and the thread may sleep |
//!
//! The checkers' own would order memory where a system's does not, and wake a thread out of other
//! waits. Uses the futex.

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::sync::{AtomicU32, Ordering};

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = u32::MAX;

pub(crate) struct Parker {
    state: AtomicU32,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(EMPTY),
        }
    }

    /// Waits for the token, and takes it. Says whether there was one in time.
    pub(crate) fn park(&self, deadline: Deadline) -> bool {
        // Acquire: pairs with the Release of `unpark`. NOTIFIED to EMPTY, or EMPTY to PARKED.
        if self.state.fetch_sub(1, Ordering::Acquire) == NOTIFIED {
            return true;
        }
        loop {
            let outcome = futex::wait::<Private>(&self.state, PARKED, deadline);
            if outcome == Outcome::TimedOut {
                // Whether it came in the last moment.
                return self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED;
            }
            let taken =
                self.state
                    .compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Acquire);
            if taken.is_ok() {
                return true;
            }
        }
    }

    pub(crate) fn unpark(&self) {
        // Release: what was done before is seen by whom it wakes.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            futex::wake::<Private>(&raw const self.state, 1);
        }
    }
}
