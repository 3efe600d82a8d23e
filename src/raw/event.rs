//! The state machine of `threading.Event`.
//!
//! One word: a flag, two bits about the waiters, and an epoch.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `SET` | the event is set |
//! | 1 | `AWAKE` | no waiter of this epoch sleeps |
//! | 2 | `QUIET` | no waiter has come since the last set |
//! | 3 to 31 | epoch | goes up by one each time that `QUIET` goes |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | wait | `SET` | the same | returns true |
//! | come | not `SET`, `QUIET` | next epoch, no `QUIET` | waits for the end of that epoch |
//! | come | not `SET`, not `QUIET` | the same | the same |
//! | fall asleep, with "come" or later | its epoch, no `QUIET` | the same without `AWAKE` | sleeps while it is just that; looks again |
//! | fall asleep, look again | any other | the same | returns true |
//! | look again | what it sleeps on | the same | sleeps again, or returns false if its time is up |
//! | set | any | with `SET`, `AWAKE` and `QUIET` | wakes all if it was not `AWAKE` |
//! | clear | any | without `SET` | |
//!
//! A waiter is told from the other ones of the next epoch from the step "come" on, which is its
//! first: it may poll, or be kept from the processor, for as long as it takes, and no set escapes
//! it.
//!
//! # Invariants
//!
//! 1. `SET` is never without `QUIET`, and `QUIET` never without `AWAKE`.
//! 2. Once a waiter has come, the word is its epoch without `QUIET` until the next set: nothing but
//!    a set can change that, a clear does not. After that set the word has `QUIET`, or a later
//!    epoch, even if the event is cleared at once. (models `event::pulse_*`)
//! 3. While a thread sleeps the word is what it sleeps on, or the wake of all is under way: the
//!    set that brought `AWAKE` brings the wake. (models `event::hand_off_to_a_sleeper`,
//!    `event::two_waiters`)
//! 4. Who sees the set, in the flag or in what came after it, sees what was written before it: the
//!    word is changed by read-modify-writes alone, so a later one continues the release sequence
//!    of the set. (models `event::pulse_cleared_by_another`, `event::one_waiter`)
//! 5. Who sees the clear sees what was written before it; and who clears, what was written before
//!    the sets that are undone by that. (models `event::clear_publishes`,
//!    `event::clear_sees_what_was_set`)
//! 6. A waiter that times out leaves at most a word without `AWAKE` that nobody sleeps on: one wake
//!    for nothing. (models `event::timeout_against_set`, `event::timeout_beside_a_waiter`)
//!
//! The epoch has 29 bits. A waiter could take a new epoch for its own only if the event were waited
//! for and set 2^29 times, exactly, between two of its looks.

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn};

const SET: u32 = 1;
const AWAKE: u32 = 2;
const QUIET: u32 = 4;

/// The epoch in which a waiter comes to a word that is not `SET`: the next one, if it is the first.
#[inline]
const fn epoch_of_waiter(state: u32) -> u32 {
    if state & QUIET != 0 {
        // The bit is the one below the epoch: it goes, and is carried.
        state.wrapping_add(QUIET)
    } else {
        state
    }
}

/// The word of an event.
pub(crate) struct Event {
    state: AtomicU32,
}

impl Event {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                state: AtomicU32::new(AWAKE | QUIET),
            }
        }
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.load() & SET != 0
    }

    #[inline]
    pub(crate) fn set(&self) {
        let word = &raw const self.state;
        // Release: what was written before is there to read for all who see this (invariant 4).
        let before = self.state.fetch_or(SET | AWAKE | QUIET, Ordering::Release);
        if before & AWAKE == 0 {
            // From here on the event may be gone: a waiter may have freed it.
            futex::wake::<Private>(word, futex::ALL);
        }
    }

    #[inline]
    pub(crate) fn clear(&self) {
        // Acquire: a set that came since the wait is undone, but not overlooked (invariant 5).
        // Release: as in `set`. Not a store, which would end the release sequence of a set that
        // waiters have yet to see (invariant 4).
        self.state.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Waits until the event is set or `deadline`, and returns whether it was set.
    #[inline]
    pub(crate) fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
        let state = self.load();
        state & SET != 0 || self.wait_slow(state, deadline())
    }

    /// Waits for an event that was not set.
    #[cold]
    fn wait_slow(&self, state: u32, deadline: Deadline) -> bool {
        if deadline.has_passed() {
            return false;
        }
        // Where others wait already, this is no quick exchange between two.
        let polls = state & QUIET != 0 && spin::pays();
        let come = self.update(|state| {
            let awake = epoch_of_waiter(state);
            (state & SET == 0).then_some(if polls { awake } else { awake & !AWAKE })
        });
        let Ok(before) = come else {
            return true;
        };
        let epoch = epoch_of_waiter(before);
        let asleep = epoch & !AWAKE;
        let is_over = |state: u32| state & !AWAKE != asleep;
        if polls {
            if spin::poll_for_another(deadline, || is_over(self.load())) {
                return true;
            }
            let sleep = self.update(|state| (!is_over(state)).then_some(asleep));
            if sleep.is_err() {
                return true;
            }
        }
        loop {
            let outcome = futex::wait::<Private>(&self.state, asleep, deadline);
            // The wake orders nothing: this does.
            if is_over(self.load()) {
                return true;
            }
            if outcome == Outcome::TimedOut {
                return false;
            }
        }
    }

    /// A waiter's steps. Relaxed: they tell nobody anything. Acquire, if there is nothing to wait for:
    /// as in `load`.
    fn update(&self, next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
        self.state
            .fetch_update(Ordering::Relaxed, Ordering::Acquire, next)
    }

    /// Acquire: pairs with the Release of `set` (invariant 4) and of `clear` (invariant 5).
    #[inline]
    fn load(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, sync::Arc, thread};

    /// A pulse that comes after a waiter's first step frees it, while it polls as when it sleeps.
    #[test]
    fn a_waiter_counts_from_its_first_step() {
        Builder::new().polls(true).check(|| {
            let event = Arc::new(Event::new());
            let waiter = thread::spawn({
                let event = Arc::clone(&event);
                move || event.wait_by(|| Deadline::Never)
            });
            let has_come = event.load() & QUIET == 0;
            event.set();
            event.clear();
            if !has_come {
                event.set();
            }
            assert!(waiter.join().unwrap());
        });
    }
}
