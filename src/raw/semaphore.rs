//! The state machine of `threading.Semaphore` and `threading.BoundedSemaphore`.
//!
//! One word, the same for both, in one of three forms:
//!
//! | form | bit 31 | bit 30 | the other bits |
//! |---|---|---|---|
//! | `QUIET`: no thread sleeps | 0 | 0 | the permits, up to `MAX_VALUE` |
//! | `CONTENDED`: threads may sleep, each for one permit | 1 | 0 | bits 16 to 29: about how many; bits 0 to 15: the permits |
//! | `SEVERAL`: threads may sleep, some for several permits | 1 | 1 | the permits |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | try, acquire of `n` | permits >= `n` | the same form, `n` permits less | has them |
//! | acquire | `QUIET`, no permits | `CONTENDED` by 1 | sleeps while the word is just that; acquires again |
//! | acquire | `CONTENDED` by `w`, no permits | `CONTENDED` by `w + 1` | the same |
//! | acquire | `SEVERAL`, no permits | the same | the same |
//! | acquire of `n` > 1 | `QUIET` or `SEVERAL`, permits < `n` | `SEVERAL`, as many permits | sleeps while the word is just that; acquires again |
//! | acquire of `n` > 1 | `CONTENDED`, permits < `n` | `SEVERAL`, as many permits | wakes all if there are any permits; then the same |
//! | release of `k` | `QUIET` | `k` permits more | |
//! | release of `k` | `CONTENDED` by `w` > `k` | by `w - k`, `k` permits more | wakes `k` |
//! | release of `k` | `CONTENDED` by `w` <= `k` | `QUIET`, `k` permits more | wakes all |
//! | release of `k` | `SEVERAL` | `QUIET`, `k` permits more | wakes all |
//! | release of too many | any | the same | error |
//! | out of time | `CONTENDED` by `w` > 1 | by `w - 1` | |
//! | out of time | `CONTENDED` by 1 | `QUIET` | wakes all |
//! | out of time | `SEVERAL` | the same | |
//!
//! The count is a hint, and no more: a waiter may be counted twice (a wake for nothing, a count
//! taken back by a release that found it awake) or, past `MOST`, not at all. It decides how many
//! calls are made. What nothing is lost by is that a thread sleeps only on a `CONTENDED` word, and
//! that every step from `CONTENDED` to `QUIET` wakes all.
//!
//! A release wakes as many threads as it gives permits, itself: no thread relies on another one
//! that was woken. Where a thread may sleep for several permits, which of them can have what they
//! want is not known, and it wakes all.
//!
//! A thread that wants several permits takes them in one step, and none before: two that want the
//! permits of each other cannot be in each other's way.
//!
//! The permits of a `CONTENDED` word fit into 16 bits: it comes to be without any, and from then on
//! each permit more is one less in the count.
//!
//! # Invariants
//!
//! 1. The permits in the word, and those that are held, are together as many as were given to
//!    `new` and to `release`, less those acquired: none is made or lost. (models
//!    `programs::toilet_*`, `semaphore::one_permit_*`, `permits::*`)
//! 2. An acquire sees all that was written before any release that came before it: every change of
//!    the word is a read-modify-write, so it reads from the release sequence of each. (models
//!    `semaphore::hand_over*`)
//! 3. While a thread sleeps, the word is `CONTENDED`, or a wake of all is under way. (models
//!    `semaphore::timeout_beside_a_waiter_*`, `semaphore::two_releases_*`, `permits::*`)
//! 4. While threads sleep, each permit that was released since they fell asleep has been taken, or
//!    the wake of its release has reached one of them, or is under way in that release. (models
//!    `semaphore::release_n_*`, `semaphore::two_releases_*`, `semaphore::a_stalled_waiter_*`,
//!    `permits::*`) So a wake of a few must not reach a thread that sleeps for several unless the
//!    others are woken as well: while one sleeps, the word is `SEVERAL`, or a wake of all is under
//!    way. A release that came before it slept may still have to wake a few. Its permits are then in
//!    the word, so the thread wakes all before it sleeps. (models
//!    `permits::one_permit_beside_one_who_wants_two_*`)
//! 5. A waiter that times out has not consumed a wake, and is counted no longer. (models
//!    `semaphore::timeout_against_release`, `semaphore::timeout_beside_a_waiter_*`)
//! 6. The word never holds more permits than the limit, and a release past it is no step at all.
//!    (models `semaphore::over_release*`, `semaphore::a_refused_release_*`)

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn, fetch_update_from};

/// Threads may sleep.
const CONTENDED: u32 = 1 << 31;

/// Beside [`CONTENDED`]: some of them for several permits.
const SEVERAL: u32 = 1 << 30;

/// One waiter in the count of a `CONTENDED` word, and the largest count.
const WAITER: u32 = 1 << 16;
const MOST: u32 = (1 << 14) - 1;

/// The largest number of permits.
pub(crate) const MAX_VALUE: u32 = (1 << 30) - 1;

#[inline]
const fn is_contended(state: u32) -> bool {
    state & CONTENDED != 0
}

#[inline]
const fn is_several(state: u32) -> bool {
    state & SEVERAL != 0
}

/// Whether the word is `CONTENDED` and counts the waiters.
#[inline]
const fn has_count(state: u32) -> bool {
    is_contended(state) && !is_several(state)
}

/// The permits in a word.
#[inline]
const fn permits(state: u32) -> u32 {
    if !is_contended(state) {
        state
    } else if is_several(state) {
        state & MAX_VALUE
    } else {
        state % WAITER
    }
}

/// The count of the waiters.
#[inline]
const fn waiters(state: u32) -> u32 {
    if has_count(state) {
        (state & !CONTENDED) / WAITER
    } else {
        0
    }
}

/// The word of a semaphore.
pub(crate) struct Permits {
    state: AtomicU32,
}

impl Permits {
    const_fn! {
        pub(crate) fn new(value: u32) -> Self {
            assert!(value <= MAX_VALUE, "semaphore initial value too large");
            Self {
                state: AtomicU32::new(value),
            }
        }
    }

    pub(crate) fn value(&self) -> u32 {
        // Relaxed: an answer that may be out of date can order nothing.
        permits(self.state.load(Ordering::Relaxed))
    }

    /// Acquires `n` permits, or none.
    #[inline]
    pub(crate) fn try_acquire(&self, n: u32) -> bool {
        self.update(|state| (permits(state) >= n).then(|| state - n))
            .is_ok()
    }

    /// Acquires all permits, and returns their number.
    pub(crate) fn drain(&self) -> u32 {
        let before = self.update(|state| Some(state - permits(state)));
        permits(before.expect("there is always a next"))
    }

    /// Acquires `n` permits, at least one, after a try has failed.
    #[cold]
    pub(crate) fn acquire_slow(&self, n: u32, deadline: Deadline) -> bool {
        if deadline.has_passed() {
            return false;
        }
        if spin::poll(deadline, || self.value() >= n && self.try_acquire(n)) {
            return true;
        }
        loop {
            let mut asleep = 0;
            let before = self.update(|state| {
                if permits(state) >= n {
                    return Some(state - n);
                }
                asleep = with_waiter(state, n);
                Some(asleep)
            });
            let before = before.expect("there is always a next");
            if permits(before) >= n {
                return true;
            }
            // A wake of a few may be under way for these permits, and may reach this thread once it
            // sleeps (invariant 4).
            if waiters(before) > 0 && permits(before) > 0 {
                futex::wake::<Private>(&raw const self.state, futex::ALL);
            }
            // Another count would only have it counted again.
            let apart = if is_several(asleep) { 0 } else { MOST * WAITER };
            let outcome =
                futex::wait_masked::<Private>(&self.state, asleep, apart, futex::ANY, deadline);
            if outcome == Outcome::TimedOut {
                self.give_up();
                return false;
            }
        }
    }

    /// Is counted no longer.
    fn give_up(&self) {
        // Relaxed: it neither takes nor gives a permit, and continues the release sequences.
        let before = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                has_count(state).then(|| without_waiters(state, 1))
            });
        if before.is_ok_and(|before| waiters(before) <= 1) {
            futex::wake::<Private>(&raw const self.state, futex::ALL);
        }
    }

    /// Adds `count` permits, or none if there would be more than `limit`.
    #[inline]
    pub(crate) fn release(
        &self,
        count: u32,
        limit: u32,
        past_limit: ReleaseError,
    ) -> Result<(), ReleaseError> {
        if count == 0 {
            return Err(ReleaseError::ZeroPermits);
        }
        // The guess: the permits had run out, or the others are all there. It costs less than a
        // load.
        let guess = match limit {
            MAX_VALUE => 0,
            _ => limit.wrapping_sub(count),
        };
        let word = &raw const self.state;
        // Release: pairs with the Acquire of `update` (invariant 2).
        let before = fetch_update_from(
            guess,
            &self.state,
            Ordering::Release,
            Ordering::Relaxed,
            |state| {
                let sum = permits(state).checked_add(count)?;
                (sum <= limit).then(|| match is_contended(state) {
                    false => sum,
                    true => without_waiters(state, count) + count,
                })
            },
        )
        .map_err(|_| past_limit)?;
        // From here on the semaphore may be gone: the next holder may have freed it.
        if is_contended(before) {
            let all = waiters(before) <= count;
            futex::wake::<Private>(word, if all { futex::ALL } else { count });
        }
        Ok(())
    }

    /// Takes permits. Acquire: pairs with the Release of those who gave them (invariant 2).
    #[inline]
    fn update(&self, next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, next)
    }
}

/// The word on which a thread sleeps that wants `n` permits and finds fewer.
const fn with_waiter(state: u32, n: u32) -> u32 {
    if n > 1 || is_several(state) {
        CONTENDED | SEVERAL | permits(state)
    } else if !is_contended(state) {
        CONTENDED + WAITER
    } else if waiters(state) < MOST {
        state + WAITER
    } else {
        state
    }
}

/// A `CONTENDED` word with so many fewer in its count; `QUIET` if none is left, or if it has none.
#[inline]
const fn without_waiters(state: u32, count: u32) -> u32 {
    if waiters(state) > count {
        state - count * WAITER
    } else {
        permits(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The count decides how many calls are made, and no result: so it is looked at here.
    #[test]
    fn a_waiter_more_and_waiters_less() {
        let counted = |waiters, permits| CONTENDED + waiters * WAITER + permits;
        let several = |permits| CONTENDED | SEVERAL | permits;
        // The word, its permits and its waiters; the word with one waiter more, who wants one permit
        // or eight; with one waiter less, or two.
        for (state, has, waiting, one, eight, less, two_less) in [
            (0, 0, 0, counted(1, 0), several(0), 0, 0),
            (MAX_VALUE, MAX_VALUE, 0, 0, 0, MAX_VALUE, MAX_VALUE),
            (counted(1, 0), 0, 1, counted(2, 0), several(0), 0, 0),
            (
                counted(2, 0),
                0,
                2,
                counted(3, 0),
                several(0),
                counted(1, 0),
                0,
            ),
            (
                counted(3, 7),
                7,
                3,
                0,
                several(7),
                counted(2, 7),
                counted(1, 7),
            ),
            (
                counted(MOST, 0),
                0,
                MOST,
                counted(MOST, 0),
                several(0),
                counted(MOST - 1, 0),
                counted(MOST - 2, 0),
            ),
            (several(0), 0, 0, several(0), several(0), 0, 0),
            (several(7), 7, 0, 0, several(7), 7, 7),
        ] {
            assert_eq!(
                (permits(state), waiters(state)),
                (has, waiting),
                "{state:#x}"
            );
            assert_eq!(has_count(state), waiting > 0, "{state:#x}");
            for (n, with) in [(1, one), (8, eight)] {
                assert!(has >= n || with_waiter(state, n) == with, "{state:#x}, {n}");
            }
            let without = [1, 2].map(|n| without_waiters(state, n));
            assert_eq!(without, [less, two_less], "{state:#x}");
        }
    }
}
