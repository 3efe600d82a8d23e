//! A lock of one word that survives the death of its owner.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 to 28 | `OWNER` | who holds it (`member.rs`) |
//! | 29 | `CONTENDED` | threads may sleep |
//! | 30 | `INCONSISTENT` | an owner died, and its data has not been repaired |
//! | 31 | `LOST` | nobody can have it any more |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | take | 0 | me; `CONTENDED` as well if it has slept | has it |
//! | sleep | an owner that lives | `CONTENDED` as well | sleeps while it is just that, for a piece of time at most; looks again |
//! | steal | an owner that is dead | me, `CONTENDED`; `INCONSISTENT` if asked for | has it, with the news |
//! | repair | me, `INCONSISTENT` | without | |
//! | release | an owner | 0 | wakes one if it was `CONTENDED` |
//! | release | an owner, `INCONSISTENT` | `LOST` | wakes all |
//! | release | 0 or `LOST` | the same | error |
//!
//! # Invariants
//!
//! 1. Each step to an owner is one compare-exchange, which says who it is. So a process may end
//!    between any two steps, and the word says what it had.
//! 2. A thread that takes or steals sees what was written before: by the Release of the release. An
//!    owner that died made no release, but it is found dead by the kernel, which has run on the
//!    processor of the dead thread after its last store, and then answers the one that asks.
//! 3. A wake that is owed by a process that died is made good: no one sleeps for longer than
//!    [`PIECE`] without a look.
//! 4. Every other pattern of bits is one of these states: an owner that no slot has is dead.

use core::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::member::{Me, OWNER};
use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Outcome, Shared};
use crate::spin;

const CONTENDED: u32 = 1 << 29;
/// See the table.
pub(super) const INCONSISTENT: u32 = 1 << 30;
const LOST: u32 = 1 << 31;

/// The longest that a thread sleeps before it looks whether those that it waits for are alive.
pub(super) const PIECE: Duration = Duration::from_millis(50);

/// How a word was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// From nobody.
    Free,
    /// From a process that died.
    FromTheDead,
}

/// The word is `LOST`.
#[derive(Debug)]
pub(super) struct IsLost;

/// Sleeps while the word is `expected`, for a piece of the time until `deadline`. Returns `true` if
/// it is time to look who is alive.
#[cold]
pub(super) fn sleep(word: &AtomicU32, expected: u32, deadline: Deadline) -> bool {
    let piece = Instant::now() + PIECE;
    let end = match deadline {
        Deadline::Now => return true,
        Deadline::At(instant) => instant.min(piece),
        Deadline::Never => piece,
    };
    futex::wait::<Shared>(word, expected, Deadline::At(end)) == Outcome::TimedOut
}

/// See the module.
#[repr(transparent)]
pub(super) struct Word(AtomicU32);

impl Word {
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(super) fn try_take(&self, me: Me) -> bool {
        // Acquire: invariant 2.
        (self.0)
            .compare_exchange(0, me.owner(), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the word, blocking until `deadline`. `None` if the time is up. `mark` is what a word
    /// that is stolen gets: `INCONSISTENT`, or 0 if a death leaves nothing to repair. Such a word is
    /// never lost.
    #[inline]
    pub(super) fn take(
        &self,
        me: Me,
        mark: u32,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<Option<Taken>, IsLost> {
        if self.try_take(me) {
            return Ok(Some(Taken::Free));
        }
        self.take_slow(me, mark, deadline())
    }

    #[cold]
    fn take_slow(&self, me: Me, mark: u32, deadline: Deadline) -> Result<Option<Taken>, IsLost> {
        let poll = || self.0.load(Ordering::Relaxed) == 0 && self.try_take(me);
        if deadline != Deadline::Now && spin::poll(deadline, poll) {
            return Ok(Some(Taken::Free));
        }
        let mut look = true;
        let mut contended = 0;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            let step = if word == 0 {
                Some((me.owner() | contended, Taken::Free))
            } else if word & LOST != 0 && mark != 0 {
                return Err(IsLost);
            } else if look && !me.lives(word & OWNER) {
                Some((me.owner() | CONTENDED | mark, Taken::FromTheDead))
            } else {
                None
            };
            if let Some((next, taken)) = step {
                // Acquire: invariant 2.
                let took =
                    (self.0).compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed);
                if took.is_ok() {
                    return Ok(Some(taken));
                }
                continue;
            }
            if deadline.has_passed() {
                return Ok(None);
            }
            let asleep = word | CONTENDED;
            if word != asleep {
                // Relaxed: it says only that a thread sleeps.
                let said =
                    (self.0).compare_exchange(word, asleep, Ordering::Relaxed, Ordering::Relaxed);
                if said.is_err() {
                    continue;
                }
            }
            contended = CONTENDED;
            look = sleep(&self.0, asleep, deadline);
        }
    }

    /// Releases the word, whichever process holds it.
    #[inline]
    pub(super) fn release(&self, me: Me) -> Result<(), ReleaseError> {
        // Release: invariant 2.
        let plain = (self.0).compare_exchange(me.owner(), 0, Ordering::Release, Ordering::Relaxed);
        if plain.is_ok() {
            return Ok(());
        }
        self.release_slow()
    }

    #[cold]
    fn release_slow(&self) -> Result<(), ReleaseError> {
        let next = |word: u32| {
            let held = word != 0 && word & LOST == 0;
            held.then_some(if word & INCONSISTENT == 0 { 0 } else { LOST })
        };
        let before = (self.0)
            .fetch_update(Ordering::Release, Ordering::Relaxed, next)
            .map_err(|_| ReleaseError::Unlocked)?;
        if before & INCONSISTENT != 0 {
            futex::wake::<Shared>(&raw const self.0, futex::ALL);
        } else if before & CONTENDED != 0 {
            futex::wake::<Shared>(&raw const self.0, 1);
        }
        Ok(())
    }

    /// Takes the mark of an owner's death away. `false` if this process does not hold the word.
    pub(super) fn repair(&self, me: Me) -> bool {
        let held = self.is_held_by(me);
        if held {
            // Relaxed: the holder alone looks at it, and others after its release.
            self.0.fetch_and(!INCONSISTENT, Ordering::Relaxed);
        }
        held
    }

    /// Whether this process holds the word.
    pub(super) fn is_held_by(&self, me: Me) -> bool {
        self.0.load(Ordering::Relaxed) & (OWNER | LOST) == me.owner()
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
}
