//! `threading.Event`.
//!
//! # State machine
//!
//! One word: a flag, a bit that says that somebody may sleep, and an epoch that counts how often
//! the flag was cleared.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `SET` | the event is set |
//! | 1 | `WAITERS` | somebody may sleep (or slept, if `SET`) |
//! | 2 to 31 | epoch | goes up by one each time that `SET` goes |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | wait | `SET` | the same | returns true |
//! | wait | not `SET` | with `WAITERS` | sleeps while it is just that; looks again |
//! | look again | `SET`, or another epoch than at first | the same | returns true |
//! | look again | neither | the same | sleeps again, or returns false if its time is up |
//! | set | any | with `SET` | wakes all if it was `WAITERS` without `SET` |
//! | clear | `SET` | next epoch, no `SET`, no `WAITERS` | |
//! | clear | not `SET` | the same | |
//!
//! # Invariants
//!
//! 1. Once a waiter has said so, the word stays what it sleeps on until the next set: nothing but
//!    a set can change it, and a clear does nothing before that.
//! 2. After that set the word has `SET`, or a later epoch: a waiter that was there when the event
//!    was set sees so for ever, also if it is cleared at once. (models `event::pulse_*`)
//! 3. While a thread sleeps the word has `WAITERS` and not `SET`, or the wake of all is under way:
//!    the set that brought `SET` brings the wake. (models `event::hand_off_to_a_sleeper`,
//!    `event::two_waiters`)
//! 4. Who sees the set, in the flag or in the epoch, sees what was written before it: the word is
//!    changed by read-modify-writes alone, so a later one continues the release sequence of the
//!    set. (models `event::pulse_cleared_by_another`, `event::one_waiter`)
//! 5. Who sees the clear sees what was written before it; and who clears, what was written before
//!    the sets that are undone by that. (models `event::clear_publishes`,
//!    `event::clear_sees_what_was_set`)
//! 6. A waiter that times out leaves at most a `WAITERS` that is not so: one wake for nothing.
//!    (models `event::timeout_against_set`, `event::timeout_beside_a_waiter`)
//!
//! The epoch has 30 bits. A waiter could take a new epoch for its own only if the event were set
//! and cleared 2^30 times, exactly, between its being woken and its looking again.

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn};

const SET: u32 = 1;
const WAITERS: u32 = 2;
const EPOCH: u32 = 4;

/// The bits of the epoch.
#[inline]
const fn epoch(state: u32) -> u32 {
    state & !(SET | WAITERS)
}

/// A flag that threads can wait for: Python's `threading.Event`.
///
/// [`set`](Self::set) lets through all who wait and all who come, until [`clear`](Self::clear)
/// makes them wait again. A thread that was waiting when the event was set goes through, even if
/// it is cleared at once.
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
                state: AtomicU32::new(0),
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
        let before = self.state.fetch_or(SET, Ordering::Release);
        if before & (SET | WAITERS) == WAITERS {
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
        // waiters have yet to see (invariant 4). Nothing to do if it is not set.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |state| {
                (state & SET != 0).then(|| epoch(state).wrapping_add(EPOCH))
            });
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
    /// Python's `wait(timeout=seconds)`. True if the event was set when this was called or at any
    /// time until it returned, even if it has been cleared since. A timeout of zero does not wait;
    /// one that is too long for the clock ([`Duration::MAX`]) waits for ever. Time is that of the
    /// monotonic clock.
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
        let was_set_since = |state: u32| state & SET != 0 || epoch(state) != epoch(entry);
        if deadline == Deadline::Now {
            return false;
        }
        // Where others sleep already, this is no quick exchange between two.
        let alone = entry & WAITERS == 0;
        if alone && spin::yield_until(deadline, || was_set_since(self.load())) {
            return true;
        }
        // Acquire: as in `load`.
        let mut state = self.state.fetch_or(WAITERS, Ordering::Acquire);
        let asleep = state | WAITERS;
        let mut outcome = Outcome::Woken;
        while !was_set_since(state) {
            if outcome == Outcome::TimedOut {
                return false;
            }
            outcome = futex::wait::<Private>(&self.state, asleep, deadline);
            // The wake orders nothing: this does.
            state = self.load();
        }
        true
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
