//! `threading.Event`.
//!
//! # State machine
//!
//! One word: a flag, a bit that says that nobody sleeps, and an epoch that counts how often it was
//! taken away.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `SET` | the event is set |
//! | 1 | `QUIET` | nobody has come to sleep since the last set |
//! | 2 to 31 | epoch | goes up by one each time that `QUIET` goes |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | wait | `SET` | the same | returns true |
//! | wait | `QUIET`, not `SET` | next epoch, no `QUIET` | sleeps while it is just that; looks again |
//! | wait | neither | the same | the same |
//! | look again | any other than it sleeps on | the same | returns true |
//! | look again | what it sleeps on | the same | sleeps again, or returns false if its time is up |
//! | set | any | with `SET` and `QUIET` | wakes all if it was not `QUIET` |
//! | clear | any | without `SET` | |
//!
//! A wait polls for a while before it does the step that the table calls so, or sleeps: that is
//! when it begins. What is set and cleared again before that may go by unseen, as in CPython what
//! comes before the wait has the condition's lock.
//!
//! # Invariants
//!
//! 1. `SET` is never without `QUIET`: what a waiter sleeps on is an epoch without either.
//! 2. It stays that until the next set: nothing but a set can change it, a clear does not. After
//!    that set the word has `QUIET`, or a later epoch: a waiter that was there when the event was
//!    set sees so for ever, also if it is cleared at once. (models `event::pulse_*`)
//! 3. While a thread sleeps the word is what it sleeps on, or the wake of all is under way: the
//!    set that brought `QUIET` brings the wake. (models `event::hand_off_to_a_sleeper`,
//!    `event::two_waiters`)
//! 4. Who sees the set, in the flag or in what came after it, sees what was written before it: the
//!    word is changed by read-modify-writes alone, so a later one continues the release sequence
//!    of the set. (models `event::pulse_cleared_by_another`, `event::one_waiter`)
//! 5. Who sees the clear sees what was written before it; and who clears, what was written before
//!    the sets that are undone by that. (models `event::clear_publishes`,
//!    `event::clear_sees_what_was_set`)
//! 6. A waiter that times out leaves at most a word without `QUIET` that nobody sleeps on: one wake
//!    for nothing. (models `event::timeout_against_set`, `event::timeout_beside_a_waiter`)
//!
//! The epoch has 30 bits. A waiter could take a new epoch for its own only if the event were waited
//! for and set 2^30 times, exactly, between its being woken and its looking again.

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn};

const SET: u32 = 1;
const QUIET: u32 = 2;

/// What the first waiter makes of a word that is `QUIET`, and sleeps on: the next epoch.
#[inline]
const fn asleep_after(quiet: u32) -> u32 {
    // The bit is the one below the epoch: it goes, and is carried.
    quiet.wrapping_add(QUIET)
}

/// A flag that threads can wait for: Python's `threading.Event`.
///
/// [`set`](Self::set) lets through all who wait and all who come, until [`clear`](Self::clear)
/// makes them wait again. A thread that was asleep when the event was set goes through, even if it
/// is cleared at once. (One that has but begun to wait, and has yet to fall asleep, may miss a set
/// that is followed by a clear, as in CPython one that has yet to get the condition's lock.)
///
/// It is 4 bytes, needs no allocation, and can be a `static`. What happens before a `set` happens
/// before the return of each wait, each [`is_set`](Self::is_set) and each `clear` that saw it; and
/// what happens before a `clear` of a set event, before each `is_set` that saw that.
///
/// # Examples
///
/// ```
/// use racefree::Event;
///
/// let ready = Event::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.wait());
///     ready.set();
/// });
/// assert!(ready.is_set());
/// ```
pub struct Event {
    state: AtomicU32,
}

impl Event {
    const_fn! {
        /// An event that is not set.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::Event::new().is_set());
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self {
                state: AtomicU32::new(QUIET),
            }
        }
    }

    /// Whether the event is set. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.load() & SET != 0
    }

    /// Sets the event: all who wait go on, and nobody who comes has to wait. Never waits.
    ///
    /// Does nothing if it is set already, but what was written before is still there to see for
    /// those who see this call.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    #[inline]
    pub fn set(&self) {
        let word = &raw const self.state;
        // Release: what was written before is there to read for all who see this (invariant 4).
        let before = self.state.fetch_or(SET | QUIET, Ordering::Release);
        if before & QUIET == 0 {
            // From here on the event may be gone: a waiter may have freed it.
            futex::wake::<Private>(word, futex::ALL);
        }
    }

    /// Clears the event: who comes now has to wait until it is set again. Never waits.
    ///
    /// Does nothing if it is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    pub fn clear(&self) {
        // Acquire: a set that came since the wait is undone, but not overlooked (invariant 5).
        // Release: as in `set`. Not a store, which would end the release sequence of a set that
        // waiters have yet to see (invariant 4).
        self.state.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Waits until the event is set, as long as it takes.
    ///
    /// Python's `wait()`, which always returns `True`.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    #[inline]
    pub fn wait(&self) {
        self.wait_by(|| Deadline::Never);
    }

    /// Waits until the event is set, no longer than `timeout`, and says whether it was.
    ///
    /// Python's `wait(timeout=seconds)`. True if the event was set when this was called, or while the
    /// thread waited, even if it has been cleared since. A timeout of zero does not wait; one that
    /// is too long for the clock ([`Duration::MAX`]) waits for ever. Time is that of the monotonic
    /// clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = racefree::Event::new();
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_by(|| Deadline::after(timeout))
    }

    /// Waits until the event is set, no longer than until `deadline`, and says whether it was.
    ///
    /// As [`wait_timeout`](Self::wait_timeout), for several waits that share one end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let event = racefree::Event::new();
    /// assert!(!event.wait_until(Instant::now() + Duration::from_millis(1)));
    /// ```
    #[inline]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        self.wait_by(|| Deadline::At(deadline))
    }

    #[inline]
    fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
        let entry = self.load();
        entry & SET != 0 || self.wait_slow(entry, deadline())
    }

    /// Waits for an event that was in the state `entry`, which is not set.
    #[cold]
    fn wait_slow(&self, entry: u32, deadline: Deadline) -> bool {
        if deadline == Deadline::Now {
            return false;
        }
        // Where others sleep already, this is no quick exchange between two.
        if entry & QUIET != 0 && spin::yield_until(deadline, || self.is_set()) {
            return true;
        }
        // Relaxed: to come tells nobody anything. Acquire, if it is set by now: as in `load`.
        let came = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Acquire, |state| {
                (state & (SET | QUIET) == QUIET).then(|| asleep_after(state))
            });
        let asleep = match came {
            Ok(quiet) => asleep_after(quiet),
            Err(set) if set & SET != 0 => return true,
            Err(asleep) => asleep,
        };
        loop {
            let outcome = futex::wait::<Private>(&self.state, asleep, deadline);
            // The wake orders nothing: this does.
            if self.load() != asleep {
                return true;
            }
            if outcome == Outcome::TimedOut {
                return false;
            }
        }
    }

    /// Acquire: pairs with the Release of `set` (invariant 4) and of `clear` (invariant 5).
    #[inline]
    fn load(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

/// As Python's `repr`: `<racefree::Event at 0x7ffd5e0f1c2c: unset>`.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "unset" };
        write!(f, "<racefree::Event at {:p}: {state}>", &raw const *self)
    }
}
