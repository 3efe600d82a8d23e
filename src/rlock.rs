//! `threading.RLock`.
//!
//! # State machine
//!
//! A [`Lock`], which says whether the `RLock` is held, with the owner's identity and the depth
//! beside it, as in std's `ReentrantLock`.
//!
//! | step by thread `t` | owner before | owner after | lock |
//! |---|---|---|---|
//! | acquire | `t` | `t`, one deeper | untouched |
//! | acquire | another, or nobody | `t`, depth 1 | acquired first |
//! | release | `t`, depth over 1 | `t`, one less deep | untouched |
//! | release | `t`, depth 1 | nobody | released after |
//! | release | another, or nobody | as before: error | untouched |
//!
//! # Invariants
//!
//! 1. `owner` is written by the thread that holds `lock`, and by no other: its own identity, and
//!    then `NOBODY`. So a thread that reads its own identity there is the owner: it wrote that
//!    itself and nobody has written since, or it would read its own later `NOBODY`; and one that
//!    is not the owner never reads its own, however old the value that it reads. That is why
//!    Relaxed is enough for all of `owner`. (models `rlock::exclusion`, `rlock::release_by_another`)
//! 2. `depth` is touched by the owner alone; `lock` hands it over. (models `rlock::nesting*`)
//! 3. An identity is not given to another thread while the process lives, so a thread that ends
//!    while it owns an `RLock` leaves it to nobody. (tests `an_owner_that_ends_*`)

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::condition::sealed::Lockable;
use crate::error::ReleaseError;
use crate::guard::{Guard, Guarded, SameThread, sealed};
use crate::lock::Lock;
use crate::sync::{AtomicU64, Ordering, UnsafeCell, const_fn, thread_id};

/// No thread's identity.
const NOBODY: u64 = 0;

/// A lock that its owner can acquire again: Python's `threading.RLock`.
///
/// The thread that holds it may acquire it any number of times, without waiting, and has to
/// release it as often. Only the owner may release it.
///
/// A thread that ends while it owns an `RLock` leaves it locked for ever, as in Python.
///
/// It needs no allocation, and can be a `static`. What happens before the last release happens
/// before the acquire that follows it.
///
/// # Examples
///
/// ```
/// use racefree::RLock;
///
/// let lock = RLock::new();
/// let outer = lock.guard();
/// let inner = lock.guard();
/// assert_eq!(lock.recursion_count(), 2);
/// drop(inner);
/// assert!(lock.is_owned());
/// drop(outer);
/// assert!(!lock.locked());
/// ```
pub struct RLock {
    owner: AtomicU64,
    lock: Lock,
    /// How often the owner holds it.
    depth: UnsafeCell<u32>,
}

// SAFETY: `depth` is the only part that is not `Sync` by itself; it is accessed by the owner alone,
// and handed over by `lock` (invariant 2).
unsafe impl Sync for RLock {}

// A panic leaves the depth as it is: there is nothing half done to see.
impl UnwindSafe for RLock {}
impl RefUnwindSafe for RLock {}

impl RLock {
    const_fn! {
        /// An unlocked lock.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::RLock::new().locked());
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self {
                owner: AtomicU64::new(NOBODY),
                lock: Lock::new(),
                depth: UnsafeCell::new(0),
            }
        }
    }

    /// Acquires the lock, and waits for it as long as it takes, unless the calling thread has it.
    ///
    /// Python's `acquire()`.
    ///
    /// # Panics
    ///
    /// If the thread holds it 2³² - 1 times already. (CPython: `OverflowError`.)
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// lock.acquire();
    /// lock.acquire();
    /// lock.release()?;
    /// lock.release()?;
    /// # Ok::<(), racefree::ReleaseError>(())
    /// ```
    #[inline]
    pub fn acquire(&self) {
        self.acquire_with(|lock| {
            lock.acquire();
            true
        });
    }

    /// Acquires the lock if nobody else holds it, and says whether it did. Never waits.
    ///
    /// Python's `acquire(blocking=False)`.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// lock.acquire();
    /// assert!(lock.try_acquire());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(!lock.try_acquire()));
    /// });
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn try_acquire(&self) -> bool {
        self.acquire_with(Lock::try_acquire)
    }

    /// Acquires the lock, waiting for it no longer than `timeout`, and says whether it did.
    ///
    /// Python's `acquire(timeout=seconds)`; see [`Lock::acquire_timeout`] for what zero and
    /// [`Duration::MAX`] mean.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = racefree::RLock::new();
    /// lock.acquire();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(!lock.acquire_timeout(Duration::from_millis(1))));
    /// });
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.acquire_with(|lock| lock.acquire_timeout(timeout))
    }

    /// Acquires the lock, waiting for it no longer than until `deadline`, and says whether it did.
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout), for several waits that share one end.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// assert!(lock.acquire_until(std::time::Instant::now()));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.acquire_with(|lock| lock.acquire_until(deadline))
    }

    /// Releases the lock once. At the last time, others may have it. Never waits.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotOwner`] if the calling thread does not own it. (CPython: `RuntimeError`,
    /// "cannot release un-acquired lock".)
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{RLock, ReleaseError};
    ///
    /// let lock = RLock::new();
    /// lock.acquire();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert_eq!(lock.release(), Err(ReleaseError::NotOwner)));
    /// });
    /// lock.release()?;
    /// # Ok::<(), ReleaseError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        if !self.is_owned() {
            return Err(ReleaseError::NotOwner);
        }
        // SAFETY: the calling thread is the owner, checked above.
        let depth = unsafe {
            self.with_depth(|depth| {
                *depth -= 1;
                *depth
            })
        };
        if depth > 0 {
            return Ok(());
        }
        self.leave()
    }

    /// Whether somebody holds the lock. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// assert!(!lock.locked());
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.lock.locked()
    }

    /// Whether the calling thread holds the lock.
    ///
    /// CPython's private `_is_owned()`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// lock.acquire();
    /// assert!(lock.is_owned());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(!lock.is_owned()));
    /// });
    /// ```
    #[inline]
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == thread_id()
    }

    /// How often the calling thread holds the lock: 0 if it does not own it.
    ///
    /// CPython's private `_recursion_count()`.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// lock.acquire();
    /// lock.acquire();
    /// assert_eq!(lock.recursion_count(), 2);
    /// ```
    #[must_use]
    pub fn recursion_count(&self) -> u32 {
        if !self.is_owned() {
            return 0;
        }
        // SAFETY: the calling thread is the owner, checked above.
        unsafe { self.with_depth(|depth| *depth) }
    }

    /// Acquires the lock, waiting as long as it takes, and releases it when the guard is dropped.
    ///
    /// Python's `with lock:`.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// let _guard = lock.guard();
    /// assert!(lock.is_owned());
    /// ```
    ///
    /// The guard stays on its thread:
    ///
    /// ```compile_fail
    /// let lock = racefree::RLock::new();
    /// let guard = lock.guard();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || drop(guard));
    /// });
    /// ```
    #[inline]
    pub fn guard(&self) -> Guard<'_, Self> {
        self.acquire();
        Guard::new(self)
    }

    /// Goes one deeper if the calling thread is the owner; else it has to `acquire` the lock.
    #[inline]
    fn acquire_with(&self, acquire: impl FnOnce(&Lock) -> bool) -> bool {
        if self.is_owned() {
            // SAFETY: the calling thread is the owner, checked above.
            unsafe {
                self.with_depth(|depth| {
                    *depth = depth.checked_add(1).expect("RLock acquired too many times");
                });
            }
            return true;
        }
        if !acquire(&self.lock) {
            return false;
        }
        // SAFETY: the calling thread has just acquired `lock`.
        unsafe { self.enter(1) };
        true
    }

    /// Becomes the owner.
    ///
    /// # Safety
    ///
    /// The calling thread has acquired `lock`.
    #[inline]
    unsafe fn enter(&self, depth: u32) {
        self.owner.store(thread_id(), Ordering::Relaxed);
        // SAFETY: the calling thread is the owner.
        unsafe { self.with_depth(|own| *own = depth) };
    }

    /// Is the owner no longer: at all its levels.
    #[inline]
    fn leave(&self) -> Result<(), ReleaseError> {
        self.owner.store(NOBODY, Ordering::Relaxed);
        self.lock.release()
    }

    /// # Safety
    ///
    /// The calling thread is the owner (invariant 2), and `access` uses no `RLock`.
    #[inline]
    unsafe fn with_depth<R>(&self, access: impl FnOnce(&mut u32) -> R) -> R {
        // SAFETY: the owner alone gets here, and it does not get here twice at once.
        self.depth.with_mut(|depth| access(unsafe { &mut *depth }))
    }
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

/// As Python's `repr`: `<locked racefree::RLock owner=1 count=2 at 0x7ffd5e0f1c2c>`, with the count
/// only if it is the calling thread's to know.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.load(Ordering::Relaxed);
        let state = if owner == NOBODY {
            "unlocked"
        } else {
            "locked"
        };
        write!(f, "<{state} racefree::RLock owner={owner}")?;
        if self.is_owned() {
            write!(f, " count={}", self.recursion_count())?;
        }
        write!(f, " at {:p}>", &raw const *self)
    }
}

impl Guarded for RLock {}

impl Lockable for RLock {
    fn may_be_owned(&self) -> bool {
        self.is_owned()
    }

    /// All its levels, with their number.
    fn release_save(&self) -> Option<u32> {
        match self.recursion_count() {
            0 => None,
            depth => self.leave().ok().map(|()| depth),
        }
    }

    fn acquire_restore(&self, depth: u32) {
        self.lock.acquire();
        // SAFETY: the calling thread has just acquired `lock`.
        unsafe { self.enter(depth) };
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

impl sealed::Sealed for RLock {
    type Release = SameThread;

    #[inline]
    fn release_guarded(&self) -> Result<(), ReleaseError> {
        self.release()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    #[test]
    fn a_level_too_many_is_refused_and_changes_nothing() {
        crate::model::check(|| {
            let lock = RLock::new();
            lock.acquire();
            // SAFETY: the calling thread has just acquired it.
            unsafe { lock.with_depth(|depth| *depth = u32::MAX) };
            catch_unwind(AssertUnwindSafe(|| lock.acquire())).unwrap_err();
            assert_eq!(lock.recursion_count(), u32::MAX);
        });
    }
}
