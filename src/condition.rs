//! `threading.Condition`: a lock, and [`raw::Waiters`], which contains the state machine.

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::{NotOwnerError, ReleaseError};
use crate::guard::{Guard, Guarded};
use crate::lock::Lock;
use crate::lockable::sealed::{ConditionLockable, Lockable};
use crate::observe::{self, Act, Object};
use crate::raw::{self, NotHeld, queue};
use crate::rlock::RLock;
use crate::sync::const_fn;

/// The lock of a [`Condition`]: a [`Lock`], an [`RLock`], a reference to one, or an [`Arc`] of one.
/// The trait is sealed; no other types implement it.
#[diagnostic::on_unimplemented(
    message = "a `Condition` cannot have a `{Self}` as its lock",
    label = "not a `Lock`, an `RLock`, or a reference or an `Arc` of one",
    note = "a `Mutex` has its data inside: use a `Condvar` with its guard"
)]
pub trait ConditionLock: sealed::Sealed<Lock: Guarded + ConditionLockable> {}

mod sealed {
    use super::{Arc, Lock, RLock};

    /// Returns the lock, which may be behind references and [`Arc`]s.
    pub trait Sealed {
        type Lock;

        fn lock(&self) -> &Self::Lock;
    }

    impl Sealed for Lock {
        type Lock = Self;

        fn lock(&self) -> &Self {
            self
        }
    }

    impl Sealed for RLock {
        type Lock = Self;

        fn lock(&self) -> &Self {
            self
        }
    }

    impl<L: Sealed> Sealed for &L {
        type Lock = L::Lock;

        fn lock(&self) -> &L::Lock {
            (**self).lock()
        }
    }

    impl<L: Sealed> Sealed for Arc<L> {
        type Lock = L::Lock;

        fn lock(&self) -> &L::Lock {
            (**self).lock()
        }
    }
}

impl<L: sealed::Sealed<Lock: Guarded + ConditionLockable>> ConditionLock for L {}

/// A condition variable with its lock: Python's `threading.Condition`.
///
/// A thread acquires the lock and checks the state that the lock protects. If the state is not as
/// required, the thread [waits](Self::wait). That releases the lock, blocks until another thread
/// [notifies](Self::notify) the condition, and acquires the lock again. A thread that changes the
/// state notifies the waiters while it holds the lock.
///
/// A notification reaches only threads that are already waiting, in the order in which they
/// arrived. There are no spurious wake-ups: a wait ends by a notification or by its timeout.
///
/// The lock is an [`RLock`] by default. [`with_lock`](Self::with_lock) takes another lock, which
/// the condition may own or share. A `Condition` adds 16 bytes to its lock, waits without
/// allocating, and can be a `static`.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use racefree::Condition;
///
/// let condition = Condition::new();
/// let items = AtomicU32::new(0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _guard = condition.guard();
///         condition.wait_for(|| items.load(Relaxed) > 0).unwrap();
///         items.fetch_sub(1, Relaxed);
///     });
///     let _guard = condition.guard();
///     items.fetch_add(1, Relaxed);
///     condition.notify(1).unwrap();
/// });
/// assert_eq!(items.into_inner(), 0);
/// ```
#[doc(alias = "Monitor")]
pub struct Condition<L = RLock> {
    lock: L,
    waiters: raw::Waiters,
    object: Object,
}

impl Condition {
    const_fn! {
        /// Creates a condition with a new [`RLock`].
        ///
        /// # Examples
        ///
        /// ```
        /// static CONDITION: racefree::Condition = racefree::Condition::new();
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self::with_lock(RLock::new())
        }
    }
}

impl<L: ConditionLock> Condition<L> {
    const_fn! {
        /// Creates a condition with this lock. Several conditions may share one lock, by reference
        /// or in an [`Arc`].
        ///
        /// # Examples
        ///
        /// ```
        /// use racefree::{Condition, Lock};
        ///
        /// let lock = Lock::new();
        /// let not_full = Condition::with_lock(&lock);
        /// let not_empty = Condition::with_lock(&lock);
        /// not_full.acquire();
        /// assert!(!not_empty.try_acquire());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn with_lock(lock: L) -> Self {
            Self {
                lock,
                waiters: raw::Waiters::new(),
                object: Object::new("Condition"),
            }
        }
    }

    crate::observe::named! { "let condition = racefree::Condition::new().named(\"changed\");" }

    /// Acquires the lock: see [`Lock::acquire`] or [`RLock::acquire`].
    ///
    /// # Panics
    ///
    /// The same as for the lock's method.
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// condition.acquire();
    /// condition.release()?;
    /// # Ok::<(), racefree::ReleaseError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn acquire(&self) {
        self.lock.lock().take("acquire", || Deadline::Never);
    }

    /// Acquires the lock if it is free: see [`Lock::try_acquire`] or [`RLock::try_acquire`].
    ///
    /// # Panics
    ///
    /// The same as for the lock's method.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(racefree::Condition::new().try_acquire());
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    #[track_caller]
    pub fn try_acquire(&self) -> bool {
        self.lock.lock().try_take("try_acquire")
    }

    /// Acquires the lock, blocking no longer than `timeout`: see [`Lock::acquire_timeout`] or
    /// [`RLock::acquire_timeout`].
    ///
    /// # Panics
    ///
    /// The same as for the lock's method.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// assert!(racefree::Condition::new().acquire_timeout(Duration::from_millis(1)));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        let lock = self.lock.lock();
        lock.take("acquire_timeout", || Deadline::after(timeout))
    }

    /// Acquires the lock, blocking no longer than until `deadline`: see [`Lock::acquire_until`] or
    /// [`RLock::acquire_until`].
    ///
    /// # Panics
    ///
    /// The same as for the lock's method.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(racefree::Condition::new().acquire_until(std::time::Instant::now()));
    /// ```
    #[inline]
    #[must_use = "the lock may not have been acquired"]
    #[track_caller]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        let lock = self.lock.lock();
        lock.take("acquire_until", || Deadline::At(deadline))
    }

    /// Releases the lock: see [`Lock::release`] or [`RLock::release`].
    ///
    /// # Errors
    ///
    /// The same as for the lock's method.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Condition, ReleaseError};
    ///
    /// assert_eq!(Condition::new().release(), Err(ReleaseError::NotOwner));
    /// ```
    #[inline]
    #[track_caller]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.lock.lock().give("release")
    }

    /// Acquires the lock, and returns a guard that releases it when dropped: Python's
    /// `with condition:`.
    ///
    /// This is a guard of the lock. [`wait`](Self::wait) can be called while the guard exists: it
    /// releases the lock, and acquires it again before it returns.
    ///
    /// # Panics
    ///
    /// The same as for the lock's `acquire`.
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// condition.notify_all()?;
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn guard(&self) -> Guard<'_, L::Lock> {
        self.lock.lock().take("guard", || Deadline::Never);
        Guard::new(self.lock.lock())
    }

    /// Like [`try_acquire`](Self::try_acquire), but returns a guard that releases the lock when
    /// dropped. Never blocks.
    ///
    /// # Panics
    ///
    /// The same as for the lock's `acquire`.
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.try_guard().expect("nobody else has it");
    /// condition.notify_all()?;
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_guard(&self) -> Option<Guard<'_, L::Lock>> {
        let acquired = self.lock.lock().try_take("try_guard");
        if acquired {
            Some(Guard::new(self.lock.lock()))
        } else {
            None
        }
    }

    /// Like [`acquire_timeout`](Self::acquire_timeout), but returns a guard that releases the lock
    /// when dropped.
    ///
    /// # Panics
    ///
    /// The same as for the lock's `acquire`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let condition = racefree::Condition::new();
    /// assert!(condition.guard_timeout(Duration::from_millis(1)).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn guard_timeout(&self, timeout: Duration) -> Option<Guard<'_, L::Lock>> {
        let lock = self.lock.lock();
        let acquired = lock.take("guard_timeout", || Deadline::after(timeout));
        if acquired {
            Some(Guard::new(lock))
        } else {
            None
        }
    }

    /// Like [`acquire_until`](Self::acquire_until), but returns a guard that releases the lock when
    /// dropped.
    ///
    /// # Panics
    ///
    /// The same as for the lock's `acquire`.
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// assert!(condition.guard_until(std::time::Instant::now()).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn guard_until(&self, deadline: Instant) -> Option<Guard<'_, L::Lock>> {
        let lock = self.lock.lock();
        let acquired = lock.take("guard_until", || Deadline::At(deadline));
        if acquired {
            Some(Guard::new(lock))
        } else {
            None
        }
    }

    /// Releases the lock, blocks until notified, and acquires the lock again.
    ///
    /// All levels of an [`RLock`] are released, and restored afterwards. Other threads may have
    /// held the lock between the notification and the return. So check the state again, or use
    /// [`wait_for`](Self::wait_for).
    ///
    /// Python's `wait()`.
    ///
    /// # Errors
    ///
    /// [`NotOwnerError::Wait`] if the calling thread does not hold the lock. (CPython:
    /// `RuntimeError`, "cannot wait on un-acquired lock".) A [`Lock`] has no owner. As in CPython,
    /// if it is held by any thread, the caller is taken for its holder.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::Condition;
    ///
    /// let condition = Condition::new();
    /// let guard = condition.guard();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let _guard = condition.guard();
    ///         condition.notify(1).unwrap();
    ///     });
    ///     condition.wait().unwrap();
    /// });
    /// # drop(guard);
    /// ```
    #[track_caller]
    pub fn wait(&self) -> Result<(), NotOwnerError> {
        self.wait_by("wait", || Deadline::Never).map(|_| ())
    }

    /// Like [`wait`](Self::wait), but waits for a notification no longer than `timeout`. Returns
    /// `true` if it was notified.
    ///
    /// Acquiring the lock again may take longer than the timeout. A timeout of zero releases the
    /// lock and acquires it again. A timeout that is too long for the clock, such as
    /// [`Duration::MAX`], never ends. Time is measured on the monotonic clock.
    ///
    /// Python's `wait(timeout=seconds)`. In Python a notification at the end of the timeout may be
    /// lost. Here it is always reported.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::Condition;
    ///
    /// let condition = Condition::new();
    /// let _guard = condition.guard();
    /// assert!(!condition.wait_timeout(Duration::from_millis(1))?);
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, NotOwnerError> {
        self.wait_by("wait_timeout", || Deadline::after(timeout))
    }

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline`, for several waits with a
    /// common deadline.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// assert!(!condition.wait_until(std::time::Instant::now())?);
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> Result<bool, NotOwnerError> {
        self.wait_by("wait_until", || Deadline::At(deadline))
    }

    /// Waits repeatedly until `predicate` returns `true`. The predicate is called with the lock
    /// held, once at the start and again after each notification.
    ///
    /// Python's `wait_for(predicate)`.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait). The predicate is not called then. (CPython calls it
    /// first, and needs no lock if it is already true.)
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// let mut asked = 0;
    /// condition.wait_for(|| {
    ///     asked += 1;
    ///     true
    /// })?;
    /// assert_eq!(asked, 1);
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[track_caller]
    pub fn wait_for(&self, predicate: impl FnMut() -> bool) -> Result<(), NotOwnerError> {
        self.wait_for_by("wait_for", predicate, || Deadline::Never)
            .map(|_| ())
    }

    /// Like [`wait_for`](Self::wait_for), but no longer than `timeout` in total. Returns `true` if
    /// the predicate became true.
    ///
    /// Python's `wait_for(predicate, timeout=seconds)`.
    ///
    /// # Errors
    ///
    /// The same as for [`wait_for`](Self::wait_for).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// assert!(!condition.wait_for_timeout(|| false, Duration::from_millis(1))?);
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[track_caller]
    pub fn wait_for_timeout(
        &self,
        predicate: impl FnMut() -> bool,
        timeout: Duration,
    ) -> Result<bool, NotOwnerError> {
        self.wait_for_by("wait_for_timeout", predicate, || Deadline::after(timeout))
    }

    /// Like [`wait_for_timeout`](Self::wait_for_timeout), but until `deadline`, for several waits
    /// with a common deadline.
    ///
    /// # Errors
    ///
    /// The same as for [`wait_for`](Self::wait_for).
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// assert!(!condition.wait_for_until(|| false, std::time::Instant::now())?);
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[track_caller]
    pub fn wait_for_until(
        &self,
        predicate: impl FnMut() -> bool,
        deadline: Instant,
    ) -> Result<bool, NotOwnerError> {
        self.wait_for_by("wait_for_until", predicate, || Deadline::At(deadline))
    }

    /// Notifies up to `n` waiting threads, in the order in which they arrived. Never blocks. The
    /// calling thread keeps the lock; each notified thread returns from its wait when it has
    /// acquired the lock.
    ///
    /// Does nothing if no thread is waiting. A later wait needs a later notification.
    ///
    /// Python's `notify(n)`.
    ///
    /// # Errors
    ///
    /// [`NotOwnerError::Notify`] if the calling thread does not hold the lock. (CPython:
    /// `RuntimeError`, "cannot notify on un-acquired lock".) See [`wait`](Self::wait) for a
    /// [`Lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Condition, NotOwnerError};
    ///
    /// let condition = Condition::new();
    /// assert_eq!(condition.notify(1), Err(NotOwnerError::Notify));
    /// let _guard = condition.guard();
    /// assert_eq!(condition.notify(1), Ok(()));
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias("notify_one", "signal"))]
    pub fn notify(&self, n: usize) -> Result<(), NotOwnerError> {
        let call = self.object.call_with(Act::Wake, "notify", n as u64);
        call.ends(self.notify_waiters(n))
    }

    /// Notifies all waiting threads: see [`notify`](Self::notify).
    ///
    /// Python's `notify_all()`.
    ///
    /// # Errors
    ///
    /// The same as for [`notify`](Self::notify).
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = racefree::Condition::new();
    /// let _guard = condition.guard();
    /// condition.notify_all()?;
    /// # Ok::<(), racefree::NotOwnerError>(())
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias = "broadcast")]
    pub fn notify_all(&self) -> Result<(), NotOwnerError> {
        let call = self.object.call(Act::Wake, "notify_all");
        call.ends(self.notify_waiters(queue::ALL))
    }

    /// Returns the number of waiting threads. The number is exact while the calling thread holds
    /// the lock. Otherwise it may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Condition::new().n_waiting(), 0);
    /// ```
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.waiters.len() as usize
    }

    #[inline]
    fn notify_waiters(&self, n: usize) -> Result<(), NotOwnerError> {
        if !self.lock.lock().may_be_owned() {
            return Err(NotOwnerError::Notify);
        }
        self.waiters.notify(n);
        Ok(())
    }

    #[track_caller]
    fn wait_by(
        &self,
        method: &'static str,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, NotOwnerError> {
        let call = self.object.call(Act::Wait, method);
        call.ends(self.wait_until_notified(deadline))
    }

    fn wait_until_notified(
        &self,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, NotOwnerError> {
        let lock = self.lock.lock();
        if !lock.may_be_owned() {
            return Err(NotOwnerError::Wait);
        }
        let waited = self.waiters.wait(lock, deadline());
        waited.map_err(|NotHeld| NotOwnerError::Wait)
    }

    #[track_caller]
    fn wait_for_by(
        &self,
        method: &'static str,
        mut predicate: impl FnMut() -> bool,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, NotOwnerError> {
        let mut lock = self.lock.lock();
        if !lock.may_be_owned() {
            return Err(NotOwnerError::Wait);
        }
        let predicate = |_: &mut _| observe::users(&mut predicate);
        let call = self.object.call(Act::Wait, method);
        let waited = self.waiters.wait_for(&mut lock, predicate, deadline);
        call.ends(waited.map_err(|NotHeld| NotOwnerError::Wait))
    }
}

impl<L: ConditionLock + Default> Default for Condition<L> {
    #[track_caller]
    fn default() -> Self {
        Self::with_lock(L::default())
    }
}

/// Formats the condition like Python's `repr`, with its lock and the number of waiting threads:
/// `<racefree::Condition(<unlocked racefree::Lock at 0x7ffd5e0f1c2c>, 0)>`.
impl<L: ConditionLock + fmt::Debug> fmt::Debug for Condition<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.n_waiting();
        write!(f, "<racefree::Condition({:?}, {waiting})>", self.lock)
    }
}
