//! `threading.Lock`.
//!
//! # State machine
//!
//! One word. It is the smallest of the mutexes in Ulrich Drepper, "Futexes Are Tricky" (2011),
//! section "Mutex, Take 2", with the load before the slow path's exchange left out: whoever cannot
//! have the lock at once says so and asks again in the same step.
//!
//! | state | meaning |
//! |---|---|
//! | `UNLOCKED` | free |
//! | `LOCKED` | held, and nobody sleeps |
//! | `CONTENDED` | held, and somebody may sleep |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | try | `UNLOCKED` | `LOCKED` | has it |
//! | insist | `UNLOCKED` | `CONTENDED` | has it |
//! | insist | `LOCKED`, `CONTENDED` | `CONTENDED` | sleeps while it is `CONTENDED`, insists again |
//! | release | `LOCKED` | `UNLOCKED` | |
//! | release | `CONTENDED` | `UNLOCKED` | wakes one |
//! | release | `UNLOCKED` | `UNLOCKED` | error |
//!
//! # Invariants
//!
//! 1. Between a step to a held state from `UNLOCKED` and the next release there is no other such
//!    step: one holder. (models `lock::exclusion*`)
//! 2. Whoever acquires sees all that was written before the release that made it possible.
//!    (model `lock::hand_over`)
//! 3. While a thread sleeps, the word is `CONTENDED`, or a wake is under way, or a thread that was
//!    woken has yet to insist: it makes the word `CONTENDED` again, as it cannot know that it was
//!    the last. So no sleeper is forgotten. (models `lock::two_waiters_*`)
//! 4. A waiter that times out leaves at most a `CONTENDED` that is not so, as does one that came to
//!    insist and found it free: one wake for nothing. It has not consumed a wake. (models
//!    `lock::timeout_against_release`, `lock::timeout_beside_a_waiter`)
//! 5. Of two releases of one acquire, one is refused. (models `lock::double_release*`)

use core::fmt;
use std::time::{Duration, Instant};

use crate::condition::sealed::Lockable;
use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Outcome, Private};
use crate::guard::{Guard, Guarded, sealed};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// A lock that no thread owns: Python's `threading.Lock`.
///
/// Whoever holds it keeps all others out. Any thread may release it, not only the one that
/// acquired it, so it serves as a signal from one thread to another as well; and a thread that
/// acquires it twice waits for ever, unless another one releases it.
///
/// It is 4 bytes, needs no allocation, and can be a `static`. What happens before a release
/// happens before the acquire that follows it.
///
/// It is not fair: a thread that comes at the right moment may overtake those that wait.
///
/// # Examples
///
/// ```
/// use racefree::Lock;
///
/// static LOCK: Lock = Lock::new();
///
/// LOCK.acquire();
/// assert!(!LOCK.try_acquire());
/// LOCK.release()?;
/// # Ok::<(), racefree::ReleaseError>(())
/// ```
pub struct Lock {
    state: AtomicU32,
}

impl Lock {
    const_fn! {
        /// An unlocked lock.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::Lock::new().locked());
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self {
                state: AtomicU32::new(UNLOCKED),
            }
        }
    }

    /// Acquires the lock, and waits for it as long as it takes.
    ///
    /// Python's `acquire()`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// lock.acquire();
    /// assert!(lock.locked());
    /// ```
    #[inline]
    pub fn acquire(&self) {
        if !self.try_acquire() {
            self.acquire_slow(Deadline::Never);
        }
    }

    /// Acquires the lock if it is free, and says whether it did. Never waits.
    ///
    /// Python's `acquire(blocking=False)`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// assert!(lock.try_acquire());
    /// assert!(!lock.try_acquire());
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn try_acquire(&self) -> bool {
        // Acquire: pairs with the Release of the release before it (invariant 2).
        self.state
            .compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Acquires the lock, waiting for it no longer than `timeout`, and says whether it did.
    ///
    /// Python's `acquire(timeout=seconds)`. A timeout of zero does not wait; one that is too long
    /// for the clock ([`Duration::MAX`]) waits for ever. Time is that of the monotonic clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = racefree::Lock::new();
    /// assert!(lock.acquire_timeout(Duration::from_millis(1)));
    /// assert!(!lock.acquire_timeout(Duration::from_millis(1)));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.try_acquire() || self.acquire_slow(Deadline::after(timeout))
    }

    /// Acquires the lock, waiting for it no longer than until `deadline`, and says whether it did.
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout), for several waits that share one end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let lock = racefree::Lock::new();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert!(lock.acquire_until(deadline));
    /// assert!(!lock.acquire_until(deadline));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.try_acquire() || self.acquire_slow(Deadline::At(deadline))
    }

    /// Releases the lock, whichever thread acquired it. Never waits.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::Unlocked`] if it is not locked. (CPython: `RuntimeError`, "release unlocked
    /// lock".)
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Lock, ReleaseError};
    ///
    /// let lock = Lock::new();
    /// lock.acquire();
    /// std::thread::scope(|scope| scope.spawn(|| lock.release()).join().unwrap())?;
    /// assert_eq!(lock.release(), Err(ReleaseError::Unlocked));
    /// # Ok::<(), ReleaseError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        let word = &raw const self.state;
        // Release: what the holder wrote is the next holder's to read (invariant 2).
        match self.state.swap(UNLOCKED, Ordering::Release) {
            UNLOCKED => return Err(ReleaseError::Unlocked),
            LOCKED => {}
            // From here on the lock may be gone: the next holder may have freed it.
            _contended => {
                futex::wake::<Private>(word, 1);
            }
        }
        Ok(())
    }

    /// Whether somebody holds the lock. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// assert!(!lock.locked());
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        // Relaxed: an answer that may be old already can order nothing.
        self.state.load(Ordering::Relaxed) != UNLOCKED
    }

    /// Acquires the lock, waiting as long as it takes, and releases it when the guard is dropped.
    ///
    /// Python's `with lock:`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// {
    ///     let _guard = lock.guard();
    ///     assert!(lock.locked());
    /// }
    /// assert!(!lock.locked());
    /// ```
    #[inline]
    pub fn guard(&self) -> Guard<'_, Self> {
        self.acquire();
        Guard::new(self)
    }

    #[cold]
    fn acquire_slow(&self, deadline: Deadline) -> bool {
        if deadline == Deadline::Now {
            return false;
        }
        if spin::poll(deadline, || !self.locked() && self.try_acquire()) {
            return true;
        }
        // Acquire: as in `try_acquire`.
        while self.state.swap(CONTENDED, Ordering::Acquire) != UNLOCKED {
            if futex::wait::<Private>(&self.state, CONTENDED, deadline) == Outcome::TimedOut {
                return false;
            }
        }
        true
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

/// As Python's `repr`: `<unlocked racefree::Lock at 0x7ffd5e0f1c2c>`.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.locked() { "locked" } else { "unlocked" };
        write!(f, "<{state} racefree::Lock at {:p}>", &raw const *self)
    }
}

impl Lockable for Lock {
    /// It has no owner: whoever asks may be the one.
    fn may_be_owned(&self) -> bool {
        self.locked()
    }

    fn release_save(&self) -> Option<u32> {
        self.release().ok().map(|()| 1)
    }

    fn acquire_restore(&self, _saved: u32) {
        self.acquire();
    }

    fn acquire(&self) {
        self.acquire();
    }

    fn try_acquire(&self) -> bool {
        self.try_acquire()
    }

    fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.acquire_timeout(timeout)
    }

    fn acquire_until(&self, deadline: Instant) -> bool {
        self.acquire_until(deadline)
    }

    fn release(&self) -> Result<(), ReleaseError> {
        self.release()
    }
}

impl Guarded for Lock {}

impl sealed::Sealed for Lock {
    type Release = ();

    #[inline]
    fn release_guarded(&self) -> Result<(), ReleaseError> {
        self.release()
    }
}
