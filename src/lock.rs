//! `threading.Lock`: the face of [`raw::Lock`], where its state machine is.

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
pub struct Lock {
    raw: raw::Lock,
    object: Object,
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
        #[track_caller]
        pub fn new() -> Self {
            Self {
                raw: raw::Lock::new(),
                object: Object::new("Lock"),
            }
        }
    }

    crate::observe::named! { "let lock = racefree::Lock::new().named(\"names\");" }

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
    #[track_caller]
    pub fn acquire(&self) {
        self.take("acquire", || Deadline::Never);
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
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.try_take("try_acquire")
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
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.take("acquire_timeout", || Deadline::after(timeout))
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
    #[track_caller]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        self.take("acquire_until", || Deadline::At(deadline))
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
    #[track_caller]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give("release")
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
    #[track_caller]
    pub fn locked(&self) -> bool {
        self.object
            .call(Act::Look, "locked")
            .ends(self.raw.locked())
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

/// As Python's `repr`: `<unlocked racefree::Lock at 0x7ffd5e0f1c2c>`.
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
    /// It has no owner: any caller may be the one.
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
