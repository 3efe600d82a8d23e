//! `multiprocessing.Event`.
//!
//! One word.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `SET` | the event is set |
//! | 1 | `AWAITED` | threads may sleep |
//! | 2 to 31 | epoch | goes up by one when the event is set |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | wait | `SET` | the same | returns true |
//! | sleep | not `SET` | with `AWAITED` | sleeps while it is just that, for a piece of time; looks again |
//! | look again | `SET`, or another epoch | the same | returns true |
//! | set | not `SET` | `SET`, the next epoch | wakes all if it was `AWAITED` |
//! | clear | `SET` | not `SET` | |
//!
//! A set that a clear follows has changed the epoch, so all that waited return. Each step is one
//! change of one word: a process that dies leaves a state. A wake that it owed is made good within
//! 50 ms, and an `AWAITED` that it left costs one wake for nothing.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::region::{Share, layout_of};
use super::word::sleep;
use crate::deadline::Deadline;
use crate::futex::{self, Shared};

const SET: u32 = 1;
const AWAITED: u32 = 2;
const EPOCH: u32 = 4;

/// A flag that processes can wait for: Python's `multiprocessing.Event`.
///
/// A thread that waits when the event is set is always released, even if the event is cleared
/// immediately afterwards. It has no owner: the death of a process changes nothing.
///
/// An `Event` is 4 bytes in size. Everything that happens before a `set` happens before the return
/// of each wait, each [`is_set`](Self::is_set) and each `clear` that saw it.
///
/// # Examples
///
/// ```
/// use racefree::process::{Event, Shared};
///
/// let ready = Shared::create(Event::new())?;
/// ready.set();
/// ready.wait();
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Event {
    word: AtomicU32,
}

// SAFETY: it is an atomic, every value of which is a state.
unsafe impl Share for Event {
    const LAYOUT: u64 = layout_of::<Self>("Event");
}

impl Event {
    /// Creates an event that is not set, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    ///
    /// let event = Shared::create(Event::new())?;
    /// assert!(!event.is_set());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
        }
    }

    /// Returns `true` if the event is set. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    ///
    /// let event = Shared::create(Event::new())?;
    /// event.set();
    /// assert!(event.is_set());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.load() & SET != 0
    }

    /// Sets the event. All waiting threads are released, and later waits return immediately. Never
    /// blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    ///
    /// let event = Shared::create(Event::new())?;
    /// event.set();
    /// event.wait();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn set(&self) {
        let next = |word: u32| {
            let set = (word & !AWAITED | SET).wrapping_add(EPOCH);
            Some(if word & SET == 0 { set } else { word })
        };
        // Release: what was written before is there for all who see this. Also if it was set already.
        let before = self
            .word
            .fetch_update(Ordering::Release, Ordering::Relaxed, next);
        let before = before.unwrap_or_else(|word| word);
        if before & (SET | AWAITED) == AWAITED {
            futex::wake::<Shared>(&raw const self.word, futex::ALL);
        }
    }

    /// Clears the event. Later waits block until it is set again. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    ///
    /// let event = Shared::create(Event::new())?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn clear(&self) {
        // AcqRel: what came before the set that is undone comes before what follows, and what came
        // before the clear comes before what follows an `is_set` that saw it.
        self.word.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Blocks until the event is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    ///
    /// let event = Shared::create(Event::new())?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| event.wait());
    ///     event.set();
    /// });
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn wait(&self) {
        self.wait_by(|| Deadline::Never);
    }

    /// Blocks until the event is set, no longer than `timeout`. Returns `true` if it was set.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    /// use std::time::Duration;
    ///
    /// let event = Shared::create(Event::new())?;
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_by(|| Deadline::after(timeout))
    }

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Event, Shared};
    /// use std::time::Instant;
    ///
    /// let event = Shared::create(Event::new())?;
    /// assert!(!event.wait_until(Instant::now()));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        self.wait_by(|| Deadline::At(deadline))
    }

    #[inline]
    fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
        self.is_set() || self.wait_slow(deadline())
    }

    #[cold]
    fn wait_slow(&self, deadline: Deadline) -> bool {
        let first = self.load();
        let is_over = |word: u32| word & SET != 0 || (word ^ first) >= EPOCH;
        loop {
            let word = self.load();
            if is_over(word) {
                return true;
            }
            if deadline.has_passed() {
                return false;
            }
            let asleep = word | AWAITED;
            // Relaxed: it says only that a thread sleeps.
            let said =
                (self.word).compare_exchange(word, asleep, Ordering::Relaxed, Ordering::Relaxed);
            if said.is_ok() {
                sleep(&self.word, asleep, deadline);
            }
        }
    }

    /// Acquire: pairs with the Release of `set` and `clear`.
    #[inline]
    fn load(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "unset" };
        write!(f, "<racefree::process::Event {state}>")
    }
}
