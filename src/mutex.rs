//! Data in a lock: what Rust has in the place of a lock beside its data.
//!
//! A [`raw::Lock`](Lock), and the data that whoever holds it has to itself. The guard is the only way to both,
//! so the two invariants are the lock's: one guard at a time, and each sees what the one before it
//! wrote. (models `mutex::*`)

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::raw::Lock;
use crate::sync::{UnsafeCell, const_fn, unless_deadlocked};

/// Data that one thread at a time can use. Python has no such thing: there a lock stands beside
/// what it protects.
///
/// The data is reached by the guard that [`lock`](Self::lock) returns, and by nothing else. It is a
/// [`Lock`](crate::Lock) as to how it waits, in what order, and what is ordered by it; and a panic under the
/// guard poisons nothing: who comes next sees the data as the panic left it.
///
/// It adds 4 bytes to the data, needs no allocation, and can be a `static`. Under loom an access
/// to the data that the lock does not order is an error.
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
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    data: UnsafeCell<T>,
}

// SAFETY: with the mutex the data is sent.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: the data is used by one thread at a time: `lock` hands it over. `Send` is enough for that.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// A panic under a guard poisons nothing, as with all of this crate: what it leaves half done is for
// the next to judge.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// An unlocked mutex with this data.
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(*racefree::Mutex::new(1).lock(), 1);
        /// ```
        #[must_use]
        pub fn new(data: T) -> Self {
            Self {
                lock: Lock::new(),
                data: UnsafeCell::new(data),
            }
        }
    }

    /// The data. Never waits: nobody else can have the mutex.
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
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, waiting for it as long as it takes. It is unlocked when the guard is
    /// dropped.
    ///
    /// A thread that locks it twice waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// *mutex.lock() += 1;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock.acquire();
        self.guard()
    }

    /// Locks the mutex if it is free. Never waits.
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
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.lock.try_acquire().then(|| self.guard())
    }

    /// Locks the mutex, waiting for it no longer than `timeout`: see
    /// [`Lock::acquire_timeout`](crate::Lock::acquire_timeout) for what zero and [`Duration::MAX`] mean.
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
    pub fn try_lock_for(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.acquire_by(|| Deadline::after(timeout))
            .then(|| self.guard())
    }

    /// Locks the mutex, waiting for it no longer than until `deadline`: for several waits that
    /// share one end.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = racefree::Mutex::new(1);
    /// assert!(mutex.try_lock_until(std::time::Instant::now()).is_some());
    /// ```
    #[inline]
    pub fn try_lock_until(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        self.acquire_by(|| Deadline::At(deadline))
            .then(|| self.guard())
    }

    /// The data, without locking: nobody else can have the mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = racefree::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(*mutex.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `self` is borrowed for as long as the result, and by nobody else.
        self.data.with_mut(|data| unsafe { &mut *data })
    }

    /// Whether somebody has locked the mutex. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!racefree::Mutex::new(1).is_locked());
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.locked()
    }

    #[inline]
    fn acquire_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
        self.lock.try_acquire() || self.lock.acquire_slow(deadline())
    }

    /// The guard of a mutex whose lock the caller has just acquired.
    #[inline]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            data: PhantomData,
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// With the data, or `<locked>`: never waits.
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

/// The data of a locked [`Mutex`], which is unlocked when this is dropped, also by a panic.
///
/// It may be sent to another thread, and dropped there.
///
/// # Examples
///
/// ```
/// let mutex = racefree::Mutex::new(String::new());
/// let mut guard = mutex.lock();
/// guard.push('a');
/// drop(guard);
/// assert_eq!(*mutex.lock(), "a");
/// ```
#[must_use = "a guard that is not bound to a name is dropped, and unlocks, at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// Is `Sync` only if the data is.
    data: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// A guard of a part of the data. The mutex stays locked.
    ///
    /// Under loom the accesses by the mapped guard are not watched, but this one is.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, "one"));
    /// let mut number = MutexGuard::map(mutex.lock(), |pair| &mut pair.0);
    /// *number = 2;
    /// drop(number);
    /// assert_eq!(mutex.into_inner(), (2, "one"));
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        // If `part` panics, the guard is dropped and unlocks.
        let part = NonNull::from(part(&mut guard));
        let unlock = Unlock(&guard.mutex.lock);
        core::mem::forget(guard);
        MappedMutexGuard {
            part,
            _unlock: unlock,
            data: PhantomData,
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, and the result borrows the guard.
        self.mutex.data.with(|data| unsafe { &*data })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and the result borrows the guard for itself alone.
        self.mutex.data.with_mut(|data| unsafe { &mut *data })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        drop(Unlock(&self.mutex.lock));
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A part of the data of a locked [`Mutex`]: see [`MutexGuard::map`].
#[must_use = "a guard that is not bound to a name is dropped, and unlocks, at once"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    part: NonNull<T>,
    _unlock: Unlock<'a>,
    data: PhantomData<&'a mut T>,
}

// SAFETY: it is a `&mut T`, and the lock may be released by any thread.
unsafe impl<T: ?Sized + Send> Send for MappedMutexGuard<'_, T> {}
// SAFETY: all that a shared one gives is a `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MappedMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, and the result borrows the guard.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and the result borrows the guard for itself alone.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Releases a lock that nobody else can release.
struct Unlock<'a>(&'a Lock);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        unless_deadlocked(|| {
            let released = self.0.release();
            debug_assert!(released.is_ok(), "only the guard can release it");
        });
    }
}
