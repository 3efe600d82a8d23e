//! `threading.RLock`: the face of [`raw::RLock`], where its state machine is.

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
    raw: raw::RLock,
    object: Object,
}

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
        #[track_caller]
        pub fn new() -> Self {
            Self {
                raw: raw::RLock::new(),
                object: Object::new("RLock"),
            }
        }
    }

    crate::observe::named! { "let lock = racefree::RLock::new().named(\"names\");" }

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
    #[track_caller]
    pub fn acquire(&self) {
        self.take("acquire", || Deadline::Never);
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
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.try_take("try_acquire")
    }

    /// Acquires the lock, waiting for it no longer than `timeout`, and says whether it did.
    ///
    /// Python's `acquire(timeout=seconds)`; see
    /// [`Lock::acquire_timeout`](crate::Lock::acquire_timeout) for what zero and [`Duration::MAX`]
    /// mean.
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
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.take("acquire_timeout", || Deadline::after(timeout))
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
    #[track_caller]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.take("acquire_until", || Deadline::At(deadline))
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
    #[track_caller]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give("release")
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
    #[track_caller]
    pub fn locked(&self) -> bool {
        self.object
            .call(Act::Look, "locked")
            .ends(self.raw.locked())
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
    #[track_caller]
    pub fn is_owned(&self) -> bool {
        let call = self.object.call(Act::Look, "is_owned");
        call.ends(self.raw.is_owned())
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
    #[track_caller]
    pub fn recursion_count(&self) -> u32 {
        let call = self.object.call(Act::Look, "recursion_count");
        call.ends(self.raw.recursion_count())
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
    #[track_caller]
    pub fn guard(&self) -> Guard<'_, Self> {
        self.take("guard", || Deadline::Never);
        Guard::new(self)
    }
}

guards!(
    RLock,
    "::new()",
    "# Panics\n\nAs [`acquire`](Self::acquire).\n\n"
);

impl Default for RLock {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// As Python's `repr`: `<locked racefree::RLock owner=1 count=2 at 0x7ffd5e0f1c2c>`, with the count
/// only if it is the calling thread's to know.
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
