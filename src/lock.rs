//! `threading.Lock`: the public interface of [`raw::Lock`], which contains the state machine.

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::guard::{ArcGuard, Guard, Guarded, guards};
use crate::lockable::sealed::{ConditionLockable, Lockable, Suspendable};
use crate::observe::{Act, GIVES_UP, Object, TAKES_AGAIN};
use crate::raw;
use crate::sync::const_fn;

/// A lock without an owner: Python's `threading.Lock`.
///
/// While the lock is held, no other acquire succeeds. Any thread may release it, not only the
/// thread that acquired it. So it can also serve as a signal from one thread to another. A thread
/// that acquires it twice blocks forever, unless another thread releases it.
///
/// A `Lock` is 4 bytes in size, does not allocate, and can be a `static`. Everything that happens
/// before a release happens before the acquire that follows it.
///
/// The lock is unfair: a thread that arrives while the lock is free may acquire it before threads
/// that are already waiting.
///
/// On Linux and Android, a signal handler may call `release`, `try_acquire` and `locked`.
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
#[doc(alias("mutex", "pthread_mutex_t"))]
pub struct Lock {
    raw: raw::Lock,
    object: Object,
}

impl Lock {
    const_fn! {
        /// Creates an unlocked lock.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::Lock::new().locked());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self {
                raw: raw::Lock::new(),
                object: Object::new("Lock"),
            }
        }
    }

    crate::observe::named! { "let lock = racefree::Lock::new().named(\"names\");" }

    /// Acquires the lock, blocking until it is available.
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
    #[track_caller]
    pub fn acquire(&self) {
        self.take("acquire", || Deadline::Never);
    }

    /// Acquires the lock if it is free, and returns `true` if it was acquired. Never blocks.
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
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.try_take("try_acquire")
    }

    /// Acquires the lock, blocking no longer than `timeout`, and returns `true` if it was acquired.
    ///
    /// Python's `acquire(timeout=seconds)`. A timeout of zero does not block. A timeout that is too
    /// long for the clock, such as [`Duration::MAX`], never ends. Time is measured on the monotonic
    /// clock.
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
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.take("acquire_timeout", || Deadline::after(timeout))
    }

    /// Acquires the lock, blocking no longer than until `deadline`, and returns `true` if it was
    /// acquired.
    ///
    /// Like [`acquire_timeout`](Self::acquire_timeout), for several waits with a common deadline.
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
    #[track_caller]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.take("acquire_until", || Deadline::At(deadline))
    }

    /// Releases the lock. Any thread may do so, not only the thread that acquired it. Never blocks.
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
    #[track_caller]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give("release")
    }

    /// Returns `true` if the lock is held. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// assert!(!lock.locked());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn locked(&self) -> bool {
        self.object
            .call(Act::Look, "locked")
            .ends(self.raw.locked())
    }

    /// Acquires the lock, blocking until it is available, and returns a guard that releases it when
    /// dropped.
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
    #[track_caller]
    pub fn guard(&self) -> Guard<'_, Self> {
        self.take("guard", || Deadline::Never);
        Guard::new(self)
    }
}

guards!(Lock, "::new()");

impl Default for Lock {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Formats the lock like Python's `repr`: `<unlocked racefree::Lock at 0x7ffd5e0f1c2c>`.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.raw.locked() {
            "locked"
        } else {
            "unlocked"
        };
        write!(f, "<{state} racefree::Lock at {:p}>", &raw const *self)
    }
}

impl Lockable for Lock {
    type Release = ();

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

impl Guarded for Lock {}

impl ConditionLockable for Lock {
    /// The lock has no owner, so any caller may hold it.
    #[inline]
    fn may_be_owned(&self) -> bool {
        self.raw.locked()
    }
}

impl Suspendable for Lock {
    fn release_save(&self) -> Option<u32> {
        let call = self.object.call(Act::Give, GIVES_UP);
        call.ends(self.raw.release().ok().map(|()| 1))
    }

    fn acquire_restore(&self, _saved: u32, among_others: bool) {
        let call = self.object.call(Act::Take, TAKES_AGAIN);
        self.raw.acquire_restore(among_others);
        call.ends(());
    }
}
