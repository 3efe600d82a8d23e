//! The state machine of `threading.Lock`.
//!
//! # State machine
//!
//! One word. It is the smallest of the mutexes in Ulrich Drepper, "Futexes Are Tricky" (2011),
//! section "Mutex, Take 2", with the load before the slow path's exchange left out: a thread
//! that cannot have the lock at once says so and asks again in the same step.
//!
//! | state | meaning |
//! |---|---|
//! | `UNLOCKED` | free |
//! | `LOCKED` | held, and nobody sleeps |
//! | `CONTENDED` | held, and a thread may sleep |
//! | `AWAITED` | held, and several that were woken together may sleep |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | try | `UNLOCKED` | `LOCKED` | has it |
//! | insist | `UNLOCKED` | `CONTENDED` | has it |
//! | insist | `LOCKED`, `CONTENDED` | `CONTENDED` | sleeps while it is `CONTENDED`, insists again |
//! | insist | `AWAITED` | `AWAITED` | sleeps while it is `AWAITED`, insists again |
//! | insist together | `UNLOCKED` | `AWAITED` | has it |
//! | insist together | any held one | `AWAITED` | sleeps while it is `AWAITED`, then insists |
//! | release | `LOCKED` | `UNLOCKED` | |
//! | release | `CONTENDED` | `UNLOCKED` | wakes one |
//! | release | `AWAITED` | `UNLOCKED` | wakes all |
//! | release | `UNLOCKED` | `UNLOCKED` | error |
//!
//! # Invariants
//!
//! 1. Between a step to a held state from `UNLOCKED` and the next release there is no other such
//!    step: one holder. (models `lock::exclusion*`)
//! 2. A thread that acquires sees all that was written before the release that made it possible.
//!    (model `lock::hand_over`)
//! 3. While a thread sleeps, the word is `CONTENDED` or `AWAITED`, or a wake is under way, or a
//!    thread that was woken is about to insist: it makes the word `CONTENDED` again, as it cannot
//!    know that it was the last. So no sleeper is forgotten. (models `lock::two_waiters_*`)
//! 4. A waiter that times out leaves at most a `CONTENDED` that is not so, as does one that came to
//!    insist and found it free: one wake for nothing. It has not consumed a wake. (models
//!    `lock::timeout_against_release`, `lock::timeout_beside_a_waiter`)
//! 5. Of two releases of one acquire, one is refused. (models `lock::double_release*`)

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = LOCKED | 2;
const AWAITED: u32 = CONTENDED | 4;

/// The word of a lock.
pub(crate) struct Lock {
    state: AtomicU32,
}

impl Lock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                state: AtomicU32::new(UNLOCKED),
            }
        }
    }

    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        // Acquire: pairs with the Release of the release before it (invariant 2).
        self.state
            .compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[inline]
    pub(crate) fn acquire(&self) {
        if !self.try_acquire() {
            self.acquire_slow(Deadline::Never);
        }
    }

    /// Acquires after a try has failed.
    #[cold]
    pub(crate) fn acquire_slow(&self, deadline: Deadline) -> bool {
        if deadline.has_passed() {
            return false;
        }
        spin::poll(deadline, || !self.locked() && self.try_acquire())
            || self.insist(CONTENDED, deadline)
    }

    /// Acquires again after a wait. If several threads were woken together, they are likely to find
    /// the lock held by the one that woke them: its release then wakes all that sleep by then.
    #[cold]
    pub(crate) fn acquire_restore(&self, among_others: bool) {
        if !among_others {
            self.acquire();
        } else if !self.try_acquire() {
            self.insist(AWAITED, Deadline::Never);
        }
    }

    /// Says that a thread sleeps, and how it is to be woken.
    fn insist(&self, how: u32, deadline: Deadline) -> bool {
        let mut how = how;
        loop {
            // Acquire: as in `try_acquire`.
            let before = self.state.fetch_or(how, Ordering::Acquire);
            if before == UNLOCKED {
                return true;
            }
            if futex::wait::<Private>(&self.state, before | how, deadline) == Outcome::TimedOut {
                return false;
            }
            how = CONTENDED;
        }
    }

    #[inline]
    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        let word = &raw const self.state;
        // Release: what the holder wrote is the next holder's to read (invariant 2).
        let before = self.state.swap(UNLOCKED, Ordering::Release);
        // From here on the lock may be gone: the next holder may have freed it.
        match before {
            UNLOCKED => return Err(ReleaseError::Unlocked),
            LOCKED => {}
            CONTENDED => Self::wake(word, 1),
            _awaited => Self::wake(word, futex::ALL),
        }
        Ok(())
    }

    fn wake(word: *const AtomicU32, count: u32) {
        futex::wake::<Private>(word, count);
    }

    #[inline]
    pub(crate) fn locked(&self) -> bool {
        // Relaxed: an answer that may be out of date can order nothing.
        self.state.load(Ordering::Relaxed) != UNLOCKED
    }
}
