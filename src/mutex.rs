//! A lock that contains its data, where Python has a lock next to its data.
//!
//! A [`Mutex`] is a [`raw::Lock`] and the data to which the lock's holder has exclusive access. The
//! guard is the only access to both. So the two invariants are those of the lock: there is one
//! guard at a time, and each guard sees what the previous one wrote. (models `mutex::*`)

mod guard;

use core::panic::{RefUnwindSafe, UnwindSafe};
use core::{fmt, mem};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::observe::{Act, Here, Object};
use crate::raw;
use crate::sync::{UnsafeCell, const_fn, one_step};
use guard::{Relock, Unlock};

pub use guard::{ArcMutexGuard, MappedMutexGuard, MutexGuard};

/// A lock that contains the data it protects. Python has no counterpart: there a lock is separate
/// from its data.
///
/// The data can be accessed only through the guard that [`lock`](Self::lock) returns. The mutex
/// blocks, wakes and orders memory like a [`Lock`](crate::Lock). A panic while the guard is held
/// poisons nothing: the next thread sees the data as the panic left it.
///
/// A `Mutex` adds 4 bytes to the data, does not allocate, and can be a `static`. Under loom, an
/// access to the data that the lock does not order is an error.
///
/// # Examples
///
/// ```
/// use racefree::Mutex;
///
/// static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| NAMES.lock().push("Ada"));
///     scope.spawn(|| NAMES.lock().push("Grace"));
/// });
/// assert_eq!(NAMES.lock().len(), 2);
/// ```
#[doc(alias("pthread_mutex_t", "synchronized"))]
pub struct Mutex<T: ?Sized> {
    lock: Watched,
    data: UnsafeCell<T>,
}

/// The lock, and what watches it.
struct Watched {
    raw: raw::Lock,
    object: Object,
}

// SAFETY: sending the mutex sends the data.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: one thread at a time uses the data, and `lock` passes it on. `Send` is enough for that.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A panic while a guard is held poisons nothing, as everywhere in this crate. The next holder must
// cope with data that is half changed.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// Creates an unlocked mutex with this data.
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(*racefree::Mutex::new(1).lock(), 1);
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new(data: T) -> Self {
            Self {
                lock: Watched {
                    raw: raw::Lock::new(),
                    object: Object::new("Mutex"),
                },
                data: UnsafeCell::new(data),
            }
        }
    }

    /// Sets the name that the reports of failing checks use: see [`model`](crate::model). Without
    /// checks this compiles to nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(0).named("count");
    /// ```
    #[must_use]
    #[inline]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.lock.object.set_name(name);
        self
    }

    /// Returns the data. Never blocks, as the caller owns the mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Mutex::new(1).into_inner(), 1);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }

    /// Returns a clone of the data. Blocks until the mutex is locked, as [`lock`](Self::lock) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(vec![1]);
    /// assert_eq!(mutex.get_cloned(), [1]);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn get_cloned(&self) -> T
    where
        T: Clone,
    {
        T::clone(&self.lock())
    }

    /// Replaces the data. The old data is dropped after the mutex is unlocked. Blocks until the
    /// mutex is locked, as [`lock`](Self::lock) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// mutex.set(2);
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    #[track_caller]
    pub fn set(&self, data: T) {
        drop(self.replace(data));
    }

    /// Replaces the data, and returns the old data. Blocks until the mutex is locked, as
    /// [`lock`](Self::lock) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// assert_eq!(mutex.replace(2), 1);
    /// ```
    #[must_use = "use `set` to drop the old data"]
    #[track_caller]
    pub fn replace(&self, data: T) -> T {
        mem::replace(&mut *self.lock(), data)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, blocking until it is available. The mutex is unlocked when the guard is
    /// dropped.
    ///
    /// A thread that locks it twice blocks forever.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// *mutex.lock() += 1;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias("pthread_mutex_lock", "blocking_lock"))]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock.acquire("lock");
        MutexGuard::new(self)
    }

    /// Locks the mutex if it is free. Returns `None` otherwise. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias = "pthread_mutex_trylock")]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let locked = self.lock.try_acquire("try_lock");
        if locked {
            Some(MutexGuard::new(self))
        } else {
            None
        }
    }

    /// Locks the mutex, blocking no longer than `timeout`. See
    /// [`Lock::acquire_timeout`](crate::Lock::acquire_timeout) for the meaning of zero and
    /// [`Duration::MAX`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mutex = racefree::Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock_for(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        let deadline = || Deadline::after(timeout);
        let locked = self.lock.acquire_by("try_lock_for", deadline);
        if locked {
            Some(MutexGuard::new(self))
        } else {
            None
        }
    }

    /// Locks the mutex, blocking no longer than until `deadline`, for several waits with a common
    /// deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// assert!(mutex.try_lock_until(std::time::Instant::now()).is_some());
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias = "pthread_mutex_timedlock")]
    pub fn try_lock_until(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        let deadline = || Deadline::At(deadline);
        let locked = self.lock.acquire_by("try_lock_until", deadline);
        if locked {
            Some(MutexGuard::new(self))
        } else {
            None
        }
    }

    /// Returns a mutable reference to the data. This needs no locking, as the mutex is borrowed
    /// mutably.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = racefree::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `self` is borrowed mutably for as long as the result lives.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// Returns `true` if the mutex is locked. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!racefree::Mutex::new(1).is_locked());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn is_locked(&self) -> bool {
        let call = self.lock.object.call(Act::Look, "is_locked");
        call.ends(self.lock.raw.locked())
    }

    /// Calls `access` with the data while the mutex is locked. Blocks until the mutex is locked, as
    /// [`lock`](Self::lock) does.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(vec![1]);
    /// assert_eq!(mutex.with_mut(|list| list.pop()), Some(1));
    /// ```
    #[track_caller]
    pub fn with_mut<R>(&self, access: impl FnOnce(&mut T) -> R) -> R {
        access(&mut self.lock())
    }

    /// Locks the mutex, blocking until it is available. The guard keeps the mutex alive, and
    /// unlocks it when dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use racefree::Mutex;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let mut guard = mutex.lock_arc();
    /// let thread = std::thread::spawn(move || *guard += 1);
    /// thread.join().unwrap();
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias("lock_owned", "blocking_lock_owned"))]
    pub fn lock_arc(self: &Arc<Self>) -> ArcMutexGuard<T> {
        self.lock.acquire("lock_arc");
        ArcMutexGuard::new(self)
    }

    /// Locks the mutex if it is unlocked. Never blocks. See [`lock_arc`](Self::lock_arc) for the
    /// guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use racefree::Mutex;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let guard = mutex.try_lock_arc().unwrap();
    /// assert!(mutex.try_lock_arc().is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias = "try_lock_owned")]
    pub fn try_lock_arc(self: &Arc<Self>) -> Option<ArcMutexGuard<T>> {
        let locked = self.lock.try_acquire("try_lock_arc");
        if locked {
            Some(ArcMutexGuard::new(self))
        } else {
            None
        }
    }

    /// Locks the mutex, blocking no longer than `timeout`. See [`try_lock_for`](Self::try_lock_for)
    /// for the timeout, and [`lock_arc`](Self::lock_arc) for the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use racefree::Mutex;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let guard = mutex.lock_arc();
    /// assert!(mutex.try_lock_arc_for(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock_arc_for(self: &Arc<Self>, timeout: Duration) -> Option<ArcMutexGuard<T>> {
        let deadline = || Deadline::after(timeout);
        let locked = self.lock.acquire_by("try_lock_arc_for", deadline);
        if locked {
            Some(ArcMutexGuard::new(self))
        } else {
            None
        }
    }

    /// Locks the mutex, blocking no longer than until `deadline`. See [`lock_arc`](Self::lock_arc)
    /// for the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Instant;
    /// use racefree::Mutex;
    ///
    /// assert!(Arc::new(Mutex::new(1)).try_lock_arc_until(Instant::now()).is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock_arc_until(self: &Arc<Self>, deadline: Instant) -> Option<ArcMutexGuard<T>> {
        let deadline = || Deadline::At(deadline);
        let locked = self.lock.acquire_by("try_lock_arc_until", deadline);
        if locked {
            Some(ArcMutexGuard::new(self))
        } else {
            None
        }
    }

    /// Unlocks a mutex whose guard was forgotten ([`core::mem::forget`]), for example because C
    /// code holds the lock. Never blocks.
    ///
    /// # Safety
    ///
    /// The caller must have locked the mutex. Its guard must be gone without having unlocked the
    /// mutex, and so must all borrows from the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// std::mem::forget(mutex.lock());
    /// // SAFETY: the guard was forgotten.
    /// unsafe { mutex.force_unlock() };
    /// assert!(!mutex.is_locked());
    /// ```
    #[inline]
    #[track_caller]
    pub unsafe fn force_unlock(&self) {
        drop(Unlock::of(&self.lock, Here::new()));
    }

    /// Runs `run` while the mutex, which the caller has locked, is unlocked.
    #[track_caller]
    fn unlocked<R>(&self, run: impl FnOnce() -> R) -> R {
        let here = Here::new();
        drop(Unlock::of(&self.lock, here));
        let _relock = Relock::of(&self.lock, here);
        run()
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Shows the data, or `<locked>`. Never blocks.
impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => out.field("data", &&*guard),
            None => out.field("data", &format_args!("<locked>")),
        };
        out.finish()
    }
}

impl Watched {
    #[inline]
    #[track_caller]
    fn acquire(&self, method: &'static str) {
        self.acquire_by(method, || Deadline::Never);
    }

    #[inline]
    #[track_caller]
    fn try_acquire(&self, method: &'static str) -> bool {
        let call = self.object.call(Act::Take, method);
        call.ends(self.raw.try_acquire())
    }

    #[inline]
    #[track_caller]
    fn acquire_by(&self, method: &'static str, deadline: impl FnOnce() -> Deadline) -> bool {
        let call = self.object.call(Act::Take, method);
        let deadline = call.may_wait(deadline);
        call.ends((!one_step() && self.raw.try_acquire()) || self.raw.acquire_slow(deadline()))
    }
}
