//! A condition variable for a `Mutex`, as in other Rust programs. It uses [`raw::Waiters`] like
//! `threading.Condition`, but contains no lock.

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::NotOwnerError;
use crate::guard::{ArcGuard, Guard, Guarded};
use crate::lockable::sealed::{ConditionLockable, Suspendable};
use crate::mutex::{ArcMutexGuard, MutexGuard};
use crate::observe::{self, Act, Object};
use crate::raw::{self, NotHeld, queue};
use crate::sync::const_fn;

/// A guard that a [`Condvar`] can wait with: the guard of a [`Mutex`](crate::Mutex), a
/// [`Lock`](crate::Lock) or an [`RLock`](crate::RLock), by reference or in an
/// [`Arc`](std::sync::Arc), or of a `lock_api::Mutex<Lock, T>`. The trait is sealed; no other types
/// implement it.
///
/// A [`MappedMutexGuard`](crate::MappedMutexGuard) does not implement it. During the wait, another
/// thread could remove the part of the data that the guard refers to.
pub trait CondvarGuard: sealed::Sealed {}

pub(crate) mod sealed {
    use super::Suspendable;

    pub trait Sealed: Suspendable {
        /// The argument of the predicates of `wait_while`: the data, or the guard if it has no
        /// data.
        type Data: ?Sized;

        fn data(&mut self) -> &mut Self::Data;
    }
}

macro_rules! guard_of_data {
    ($Guard:ty) => {
        impl<T: ?Sized> CondvarGuard for $Guard {}

        impl<T: ?Sized> sealed::Sealed for $Guard {
            type Data = T;

            fn data(&mut self) -> &mut T {
                self
            }
        }
    };
}

guard_of_data!(MutexGuard<'_, T>);
guard_of_data!(ArcMutexGuard<T>);
#[cfg(all(feature = "lock_api", not(all(loom, feature = "loom"))))]
guard_of_data!(lock_api::MutexGuard<'_, crate::lock::Lock, T>);

macro_rules! guard_of_a_lock {
    ($Guard:ty) => {
        impl<L: Guarded + ConditionLockable> CondvarGuard for $Guard {}

        impl<L: Guarded + ConditionLockable> sealed::Sealed for $Guard {
            type Data = Self;

            fn data(&mut self) -> &mut Self {
                self
            }
        }
    };
}

guard_of_a_lock!(Guard<'_, L>);
guard_of_a_lock!(ArcGuard<L>);

/// A condition variable, with which threads wait for a change of the data in a
/// [`Mutex`](crate::Mutex).
///
/// A thread locks the mutex and checks the data. If the data is not as required, the thread
/// [waits](Self::wait). That unlocks the mutex, blocks until another thread
/// [notifies](Self::notify_one) the condition variable, and locks the mutex again. A thread that
/// changes the data notifies the threads that may be waiting for the change.
///
/// It makes the same promises as a [`Condition`](crate::Condition), but each wait passes its own
/// guard:
///
/// - A notification reaches only threads that are already waiting, in the order in which they
///   arrived. A thread that waits later does not receive it.
/// - There are no spurious wake-ups: a wait ends by a notification or at its deadline.
/// - A wait that was notified reports this, even if the notification and the deadline coincide.
///
/// The mutex need not be locked to notify. If the data was changed with the mutex locked, no waiter
/// misses the change, whether the notification comes before or after the unlock.
///
/// The guard may belong to a [`Mutex`](crate::Mutex), a [`Lock`](crate::Lock) or an
/// [`RLock`](crate::RLock), see [`CondvarGuard`]. All levels of an `RLock` are released. Threads
/// that wait at the same time may use different mutexes.
///
/// A `Condvar` is 16 bytes in size, waits without allocating, and can be a `static`.
///
/// # Examples
///
/// ```
/// use racefree::{Condvar, Mutex};
///
/// let (queue, not_empty) = (Mutex::new(Vec::new()), Condvar::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut queue = queue.lock();
///         not_empty.wait_while(&mut queue, |queue| queue.is_empty());
///         assert_eq!(queue.pop(), Some(1));
///     });
///     queue.lock().push(1);
///     not_empty.notify_one();
/// });
/// ```
#[doc(alias("condition_variable", "pthread_cond_t"))]
pub struct Condvar {
    waiters: raw::Waiters,
    object: Object,
}

impl Condvar {
    const_fn! {
        /// Creates a condition variable without waiting threads.
        ///
        /// # Examples
        ///
        /// ```
        /// static CHANGED: racefree::Condvar = racefree::Condvar::new();
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self {
                waiters: raw::Waiters::new(),
                object: Object::new("Condvar"),
            }
        }
    }

    crate::observe::named! { "let condvar = racefree::Condvar::new().named(\"changed\");" }

    /// Unlocks the mutex, blocks until notified, and locks the mutex again.
    ///
    /// Other threads may have locked the mutex between the notification and the return. So check
    /// the data again, or use [`wait_while`](Self::wait_while).
    ///
    /// # Panics
    ///
    /// If the guard belongs to a [`Lock`](crate::Lock) or an [`RLock`](crate::RLock) that was
    /// released while the guard existed. This cannot happen with a mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (ready, changed) = (Mutex::new(false), Condvar::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *ready.lock() = true;
    ///         changed.notify_one();
    ///     });
    ///     let mut ready = ready.lock();
    ///     while !*ready {
    ///         changed.wait(&mut ready);
    ///     }
    /// });
    /// ```
    #[track_caller]
    #[doc(alias = "pthread_cond_wait")]
    pub fn wait<G: CondvarGuard>(&self, guard: &mut G) {
        self.wait_by(guard, Deadline::Never);
    }

    /// Like [`wait`](Self::wait), but waits for a notification no longer than `timeout`.
    ///
    /// Locking the mutex again may take longer than the timeout. A timeout of zero unlocks the
    /// mutex and locks it again. A timeout that is too long for the clock, such as
    /// [`Duration::MAX`], never ends. Time is measured on the monotonic clock.
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (data, changed) = (Mutex::new(1), Condvar::new());
    /// let waited = changed.wait_timeout(&mut data.lock(), Duration::from_millis(1));
    /// assert!(waited.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_timeout<G: CondvarGuard>(
        &self,
        guard: &mut G,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_by(guard, Deadline::after(timeout))
    }

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline`, for several waits with a
    /// common deadline.
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (data, changed) = (Mutex::new(1), Condvar::new());
    /// let waited = changed.wait_until(&mut data.lock(), std::time::Instant::now());
    /// assert!(waited.timed_out());
    /// ```
    #[track_caller]
    #[doc(alias = "pthread_cond_timedwait")]
    pub fn wait_until<G: CondvarGuard>(
        &self,
        guard: &mut G,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_by(guard, Deadline::At(deadline))
    }

    /// Waits repeatedly while `condition` returns `true`. The condition is called with the mutex
    /// locked, once at the start and again after each notification.
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait), and if `condition` panics. The mutex then stays locked
    /// until its guard is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (queue, not_empty) = (Mutex::new(vec![1]), Condvar::new());
    /// let mut queue = queue.lock();
    /// not_empty.wait_while(&mut queue, |queue| queue.is_empty());
    /// assert_eq!(queue.pop(), Some(1));
    /// ```
    #[track_caller]
    pub fn wait_while<G: CondvarGuard>(
        &self,
        guard: &mut G,
        condition: impl FnMut(&mut G::Data) -> bool,
    ) {
        self.wait_while_by(guard, condition, || Deadline::Never);
    }

    /// Like [`wait_while`](Self::wait_while), but no longer than `timeout` in total. The result is
    /// timed out if the last call of `condition` still returned `true`.
    ///
    /// # Panics
    ///
    /// The same as for [`wait_while`](Self::wait_while).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (queue, not_empty) = (Mutex::new(vec![0; 0]), Condvar::new());
    /// let timeout = Duration::from_millis(1);
    /// let waited = not_empty.wait_while_timeout(&mut queue.lock(), |it| it.is_empty(), timeout);
    /// assert!(waited.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_while_timeout<G: CondvarGuard>(
        &self,
        guard: &mut G,
        condition: impl FnMut(&mut G::Data) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_while_by(guard, condition, || Deadline::after(timeout))
    }

    /// Like [`wait_while_timeout`](Self::wait_while_timeout), but until `deadline`, for several
    /// waits with a common deadline.
    ///
    /// # Panics
    ///
    /// The same as for [`wait_while`](Self::wait_while).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (queue, not_empty) = (Mutex::new(vec![0]), Condvar::new());
    /// let now = Instant::now();
    /// let waited = not_empty.wait_while_until(&mut queue.lock(), |it| it.is_empty(), now);
    /// assert!(!waited.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_while_until<G: CondvarGuard>(
        &self,
        guard: &mut G,
        condition: impl FnMut(&mut G::Data) -> bool,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_while_by(guard, condition, || Deadline::At(deadline))
    }

    /// The same as [`wait_timeout`](Self::wait_timeout), under the name that `parking_lot` uses.
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (data, changed) = (Mutex::new(1), Condvar::new());
    /// assert!(changed.wait_for(&mut data.lock(), Duration::ZERO).timed_out());
    /// ```
    #[track_caller]
    pub fn wait_for<G: CondvarGuard>(&self, guard: &mut G, timeout: Duration) -> WaitTimeoutResult {
        self.wait_timeout(guard, timeout)
    }

    /// The same as [`wait_while_timeout`](Self::wait_while_timeout), under the name that
    /// `parking_lot` uses.
    ///
    /// # Panics
    ///
    /// The same as for [`wait_while`](Self::wait_while).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Condvar, Mutex};
    ///
    /// let (data, changed) = (Mutex::new(1), Condvar::new());
    /// let waited = changed.wait_while_for(&mut data.lock(), |data| *data == 1, Duration::ZERO);
    /// assert!(waited.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_while_for<G: CondvarGuard>(
        &self,
        guard: &mut G,
        condition: impl FnMut(&mut G::Data) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_while_timeout(guard, condition, timeout)
    }

    /// Notifies the thread that has waited longest, and returns `true` if there was one. Never
    /// blocks.
    ///
    /// Does nothing if no thread is waiting. A later wait needs a later notification.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!racefree::Condvar::new().notify_one());
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias("pthread_cond_signal", "Pulse"))]
    pub fn notify_one(&self) -> bool {
        let call = self.object.call(Act::Wake, "notify_one");
        call.ends(self.waiters.notify(1) > 0)
    }

    /// Notifies the `n` threads that have waited longest, or all if there are fewer. Returns the
    /// number of notified threads. Never blocks. See [`notify_one`](Self::notify_one).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Condvar::new().notify(2), 0);
    /// ```
    #[inline]
    #[track_caller]
    pub fn notify(&self, n: usize) -> usize {
        let call = self.object.call_with(Act::Wake, "notify", n as u64);
        call.ends(self.waiters.notify(n))
    }

    /// Notifies all waiting threads, and returns their number. Never blocks. See
    /// [`notify_one`](Self::notify_one).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Condvar::new().notify_all(), 0);
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias("pthread_cond_broadcast", "PulseAll", "notify_waiters"))]
    pub fn notify_all(&self) -> usize {
        let call = self.object.call(Act::Wake, "notify_all");
        call.ends(self.waiters.notify(queue::ALL))
    }

    /// Returns the number of waiting threads. The number is exact while the calling thread holds
    /// the mutex of all waits. Otherwise it may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Condvar::new().n_waiting(), 0);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn n_waiting(&self) -> usize {
        self.waiters.len() as usize
    }

    #[track_caller]
    fn wait_by(&self, guard: &impl CondvarGuard, deadline: Deadline) -> WaitTimeoutResult {
        let call = self.object.call(Act::Wait, "wait");
        let waited = self.waiters.wait(guard, deadline);
        let notified = matches!(waited, Ok(true));
        call.ends(notified);
        told(waited)
    }

    #[track_caller]
    fn wait_while_by<G: CondvarGuard>(
        &self,
        guard: &mut G,
        mut condition: impl FnMut(&mut G::Data) -> bool,
        deadline: impl FnOnce() -> Deadline,
    ) -> WaitTimeoutResult {
        let met = |guard: &mut G| !observe::users(|| condition(guard.data()));
        let call = self.object.call(Act::Wait, "wait_while");
        let waited = self.waiters.wait_for(guard, met, deadline);
        let met = matches!(waited, Ok(true));
        call.ends(met);
        told(waited)
    }
}

/// The result of a wait. `waited` says whether the notification or the condition ended it.
#[track_caller]
fn told(waited: Result<bool, NotHeld>) -> WaitTimeoutResult {
    match waited {
        Ok(ended) => WaitTimeoutResult { timed_out: !ended },
        Err(NotHeld) => panic!("{}", NotOwnerError::Wait),
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the number of waiting threads: `Condvar { waiting: 0 }`.
impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar")
            .field("waiting", &self.n_waiting())
            .finish()
    }
}

/// The result of a [`Condvar`]'s wait with a timeout or a deadline.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use racefree::{Condvar, Mutex};
///
/// let (data, changed) = (Mutex::new(1), Condvar::new());
/// assert!(changed.wait_timeout(&mut data.lock(), Duration::ZERO).timed_out());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// Returns `true` if the deadline came first: before a notification, or while the condition of
    /// a `wait_while` was still true.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.timed_out
    }
}
