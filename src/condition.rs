//! `threading.Condition`: a lock, and [`raw::Waiters`], where its state machine is.

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

/// What a [`Condition`] can have as its lock: a [`Lock`], an [`RLock`], a reference to one, or an
/// [`Arc`] of one. Implemented for these, and for nothing else.
#[diagnostic::on_unimplemented(
    message = "a `Condition` cannot have a `{Self}` as its lock",
    label = "not a `Lock`, an `RLock`, or a reference or an `Arc` of one",
    note = "a `Mutex` has its data inside: use a `Condvar` with its guard"
)]
pub trait ConditionLock: sealed::Sealed<Lock: Guarded + ConditionLockable> {}

mod sealed {
    use super::{Arc, Lock, RLock};

    /// Leads to the lock, wherever it is.
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

/// A lock, and threads that wait under it for something to come true: Python's
/// `threading.Condition`.
///
/// A thread that holds the lock looks at what the lock protects. If that is not yet as it should
/// be, it [waits](Self::wait): gives up the lock, and has it again when another thread has
/// [notified](Self::notify) it. Who changes what others may wait for notifies them, under the lock.
///
/// A notification is for those who wait when it is given, the first that came first, and never for
/// one that comes later. No wait returns for no reason: it returns as notified, or as out of time.
///
/// The lock is an [`RLock`] unless you say otherwise, of the condition's own or shared with others:
/// [`with_lock`](Self::with_lock). It adds 16 bytes to it, waits without allocation, and can be a
/// `static`.
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
pub struct Condition<L = RLock> {
    lock: L,
    waiters: raw::Waiters,
    object: Object,
}

impl Condition {
    const_fn! {
        /// A condition with an [`RLock`] of its own.
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
        /// A condition with this lock. Several may share one, by reference or in an [`Arc`].
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
    /// As the lock's.
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
    /// As the lock's.
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

    /// Acquires the lock, waiting for it no longer than `timeout`: see [`Lock::acquire_timeout`] or
    /// [`RLock::acquire_timeout`].
    ///
    /// # Panics
    ///
    /// As the lock's.
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

    /// Acquires the lock, waiting for it no longer than until `deadline`: see
    /// [`Lock::acquire_until`] or [`RLock::acquire_until`].
    ///
    /// # Panics
    ///
    /// As the lock's.
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
    /// As the lock's.
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

    /// Acquires the lock, and releases it when the guard is dropped: Python's `with condition:`.
    ///
    /// The guard is that of the lock, and does not hinder [`wait`](Self::wait), which gives up the
    /// lock and comes back with it.
    ///
    /// # Panics
    ///
    /// As the lock's `acquire`.
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

    /// As [`try_acquire`](Self::try_acquire), with a guard that releases when it is dropped. Never
    /// blocks.
    ///
    /// # Panics
    ///
    /// As the lock's `acquire`.
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

    /// As [`acquire_timeout`](Self::acquire_timeout), with a guard that releases when it is
    /// dropped.
    ///
    /// # Panics
    ///
    /// As the lock's `acquire`.
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

    /// As [`acquire_until`](Self::acquire_until), with a guard that releases when it is dropped.
    ///
    /// # Panics
    ///
    /// As the lock's `acquire`.
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

    /// Gives up the lock, waits until notified, as long as it takes, and acquires the lock again.
    ///
    /// An [`RLock`] is given up at all its levels, and has as many again afterwards. As other
    /// threads may have had the lock after the notification, look again at what you wait for, or
    /// use [`wait_for`](Self::wait_for).
    ///
    /// Python's `wait()`.
    ///
    /// # Errors
    ///
    /// [`NotOwnerError::Wait`] if the calling thread does not hold the lock. (CPython:
    /// `RuntimeError`, "cannot wait on un-acquired lock".) A [`Lock`] has no owner: as in CPython,
    /// if anybody holds it, the caller is taken for the one.
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

    /// As [`wait`](Self::wait), but waits no longer than `timeout` to be notified, and says whether
    /// it was.
    ///
    /// It then waits for the lock, as long as that takes. With a timeout of zero it gives up the
    /// lock and acquires it again; with one that is too long for the clock ([`Duration::MAX`]) it
    /// waits for ever. Time is that of the monotonic clock.
    ///
    /// Python's `wait(timeout=seconds)`; there a notification that meets the end of the timeout may
    /// be lost, here it is always told.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
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

    /// As [`wait_timeout`](Self::wait_timeout), but until `deadline`: for several waits that share
    /// one end.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
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

    /// Waits, as often as need be, until `predicate` is true. It is asked under the lock: first of
    /// all, and after each notification.
    ///
    /// Python's `wait_for(predicate)`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and the predicate has not been asked. (CPython asks it first, and
    /// needs no lock if it is true at once.)
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

    /// As [`wait_for`](Self::wait_for), but no longer than `timeout` in all, and says whether the
    /// predicate came true.
    ///
    /// Python's `wait_for(predicate, timeout=seconds)`.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
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

    /// As [`wait_for_timeout`](Self::wait_for_timeout), but until `deadline`: for several waits that
    /// share one end.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
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

    /// Notifies those who wait, in the order in which they came, but no more than `n` of them. Never
    /// waits, and keeps the lock: they go on when they have it.
    ///
    /// Does nothing if nobody waits: who comes later waits for a later notification.
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
    pub fn notify(&self, n: usize) -> Result<(), NotOwnerError> {
        let call = self.object.call_with(Act::Wake, "notify", n as u64);
        call.ends(self.notify_waiters(n))
    }

    /// Notifies all who wait: see [`notify`](Self::notify).
    ///
    /// Python's `notify_all()`.
    ///
    /// # Errors
    ///
    /// As [`notify`](Self::notify).
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
    pub fn notify_all(&self) -> Result<(), NotOwnerError> {
        let call = self.object.call(Act::Wake, "notify_all");
        call.ends(self.notify_waiters(queue::ALL))
    }

    /// The number of threads that wait. Exact for a thread that holds the lock; the result may
    /// otherwise be out of date by the time it is used.
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

/// As Python's `repr`, with the lock's and the number of those who wait:
/// `<racefree::Condition(<unlocked racefree::Lock at 0x7ffd5e0f1c2c>, 0)>`.
impl<L: ConditionLock + fmt::Debug> fmt::Debug for Condition<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.n_waiting();
        write!(f, "<racefree::Condition({:?}, {waiting})>", self.lock)
    }
}
