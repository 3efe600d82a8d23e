//! `threading.RLock`: the public interface of [`raw::RLock`], which contains the state machine.

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::guard::{ArcGuard, Guard, Guarded, SameThread, guards};
use crate::lockable::sealed::{ConditionLockable, Lockable, Suspendable};
use crate::observe::{Act, GIVES_UP, Object, TAKES_AGAIN};
use crate::raw;
use crate::sync::const_fn;

/// A reentrant lock, which its owner can acquire again: Python's `threading.RLock`.
///
/// The thread that holds the lock may acquire it any number of times without blocking. It must
/// release the lock as often. Only the owner may release it.
///
/// If a thread ends while it owns an `RLock`, the lock stays locked forever, as in Python.
///
/// An `RLock` does not allocate and can be a `static`. Everything that happens before the last
/// release happens before the acquire that follows it.
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
#[doc(alias("ReentrantLock", "ReentrantMutex", "Monitor", "recursive_mutex"))]
pub struct RLock {
    raw: raw::RLock,
    object: Object,
}

impl RLock {
    const_fn! {
        /// Creates an unlocked lock.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::RLock::new().locked());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self {
                raw: raw::RLock::new(),
                object: Object::new("RLock"),
            }
        }
    }

    crate::observe::named! { "let lock = racefree::RLock::new().named(\"names\");" }

    /// Acquires the lock, blocking until it is available. Returns immediately if the calling thread
    /// already holds it.
    ///
    /// Python's `acquire()`.
    ///
    /// # Panics
    ///
    /// If the thread already holds the lock 2³² - 1 times. (CPython: `OverflowError`.)
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
    #[track_caller]
    pub fn acquire(&self) {
        self.take("acquire", || Deadline::Never);
    }

    /// Acquires the lock if no other thread holds it, and returns `true` if it was acquired. Never
    /// blocks.
    ///
    /// Python's `acquire(blocking=False)`.
    ///
    /// # Panics
    ///
    /// The same as for [`acquire`](Self::acquire).
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
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.try_take("try_acquire")
    }

    /// Acquires the lock, blocking no longer than `timeout`, and returns `true` if it was acquired.
    ///
    /// Python's `acquire(timeout=seconds)`. See
    /// [`Lock::acquire_timeout`](crate::Lock::acquire_timeout) for the meaning of zero and
    /// [`Duration::MAX`].
    ///
    /// # Panics
    ///
    /// The same as for [`acquire`](Self::acquire).
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
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.take("acquire_timeout", || Deadline::after(timeout))
    }

    /// Acquires the lock, blocking no longer than until `deadline`, and returns `true` if it was
    /// acquired.
    ///
    /// Like [`acquire_timeout`](Self::acquire_timeout), for several waits with a common deadline.
    ///
    /// # Panics
    ///
    /// The same as for [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// assert!(lock.acquire_until(std::time::Instant::now()));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    #[track_caller]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.take("acquire_until", || Deadline::At(deadline))
    }

    /// Releases one level of the lock. The last release makes the lock available to other threads.
    /// Never blocks.
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
    #[track_caller]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give("release")
    }

    /// Returns `true` if the lock is held. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// assert!(!lock.locked());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn locked(&self) -> bool {
        self.object
            .call(Act::Look, "locked")
            .ends(self.raw.locked())
    }

    /// Returns `true` if the calling thread holds the lock.
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
    #[track_caller]
    pub fn is_owned(&self) -> bool {
        let call = self.object.call(Act::Look, "is_owned");
        call.ends(self.raw.is_owned())
    }

    /// Returns how many times the calling thread holds the lock: 0 if it does not own it.
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
    #[track_caller]
    pub fn recursion_count(&self) -> u32 {
        let call = self.object.call(Act::Look, "recursion_count");
        call.ends(self.raw.recursion_count())
    }

    /// Acquires the lock, blocking until it is available, and returns a guard that releases it when
    /// dropped.
    ///
    /// Python's `with lock:`.
    ///
    /// # Panics
    ///
    /// The same as for [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::RLock::new();
    /// let _guard = lock.guard();
    /// assert!(lock.is_owned());
    /// ```
    ///
    /// The guard cannot be moved to another thread:
    ///
    /// ```compile_fail
    /// let lock = racefree::RLock::new();
    /// let guard = lock.guard();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || drop(guard));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn guard(&self) -> Guard<'_, Self> {
        self.take("guard", || Deadline::Never);
        Guard::new(self)
    }
}

guards!(
    RLock,
    "::new()",
    "# Panics\n\nThe same as for [`acquire`](Self::acquire).\n\n"
);

impl Default for RLock {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Formats the lock like Python's `repr`:
/// `<locked racefree::RLock owner=1 count=2 at 0x7ffd5e0f1c2c>`. The count is shown only if the
/// calling thread owns the lock.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.raw.owner();
        let state = if owner == raw::NOBODY {
            "unlocked"
        } else {
            "locked"
        };
        write!(f, "<{state} racefree::RLock owner={owner}")?;
        if self.raw.is_owned() {
            write!(f, " count={}", self.raw.recursion_count())?;
        }
        write!(f, " at {:p}>", &raw const *self)
    }
}

impl Lockable for RLock {
    type Release = SameThread;

    #[inline]
    fn object(&self) -> &Object {
        &self.object
    }

    #[inline]
    fn attempt(&self) -> bool {
        self.raw.try_acquire()
    }

    fn acquire_slow(&self, deadline: Deadline) -> bool {
        self.raw.acquire_slow(deadline)
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        self.raw.release()
    }
}

impl Guarded for RLock {}

impl ConditionLockable for RLock {
    #[inline]
    fn may_be_owned(&self) -> bool {
        self.raw.is_owned()
    }
}

impl Suspendable for RLock {
    fn release_save(&self) -> Option<u32> {
        let call = self.object.call(Act::Give, GIVES_UP);
        call.ends(self.raw.release_save())
    }

    fn acquire_restore(&self, depth: u32, among_others: bool) {
        let call = self.object.call(Act::Take, TAKES_AGAIN);
        self.raw.acquire_restore(depth, among_others);
        call.ends(());
    }
}
