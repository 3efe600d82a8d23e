//! The guards of a [`Mutex`]: of all its data, by reference or in an [`Arc`], and of a part of the
//! data.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use std::sync::Arc;

use super::{Mutex, Watched};
use crate::lockable::sealed::Suspendable;
use crate::observe::{Act, GIVES_UP, GUARD_DROPPED, Here, TAKES_AGAIN};
use crate::sync::unless_deadlocked;

/// The data of a locked [`Mutex`]. The mutex is unlocked when the guard is dropped, even during a
/// panic.
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
    locked: Here,
    /// The guard is `Sync` only if the data is.
    data: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Creates the guard of a mutex whose lock the caller has just acquired.
    #[inline]
    #[track_caller]
    pub(super) fn new(mutex: &'a Mutex<T>) -> Self {
        Self {
            mutex,
            locked: Here::new(),
            data: PhantomData,
        }
    }

    /// Returns the locked mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(MutexGuard::mutex(&guard).is_locked());
    /// ```
    #[must_use]
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }

    /// Returns a guard of a part of the data. The mutex stays locked.
    ///
    /// Under loom, this access is checked, but the accesses through the mapped guard are not.
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
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
        guard.mapped(part)
    }

    /// Returns a guard of a part of the data, if `part` finds one. The mutex stays locked.
    ///
    /// # Errors
    ///
    /// The guard of all the data, if `part` returned `None`.
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(vec![1, 2]);
    /// let guard = MutexGuard::try_map(mutex.lock(), |list| list.get_mut(5)).unwrap_err();
    /// let mut last = MutexGuard::try_map(guard, |list| list.last_mut()).unwrap();
    /// *last = 3;
    /// drop(last);
    /// assert_eq!(mutex.into_inner(), [1, 3]);
    /// ```
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(part) => Ok(guard.mapped(part)),
            None => Err(guard),
        }
    }

    /// Returns a guard of a part of the data, if `part` finds one. The mutex stays locked.
    ///
    /// # Errors
    ///
    /// The guard of all the data and the error, if `part` returned one.
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(vec![b'a', 0xFF]);
    /// let text = MutexGuard::try_map_or_err(mutex.lock(), |it| std::str::from_utf8_mut(it));
    /// let (guard, error) = text.unwrap_err();
    /// assert_eq!(error.valid_up_to(), 1);
    /// assert_eq!(*guard, [b'a', 0xFF]);
    /// ```
    pub fn try_map_or_err<U: ?Sized, E>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Result<&mut U, E>,
    ) -> Result<MappedMutexGuard<'a, U>, (Self, E)> {
        match part(&mut guard).map(NonNull::from) {
            Ok(part) => Ok(guard.mapped(part)),
            Err(error) => Err((guard, error)),
        }
    }

    /// Unlocks the mutex, calls `run`, and locks the mutex again, blocking until it is available.
    /// The mutex is locked again even if `run` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// let mut guard = mutex.lock();
    /// MutexGuard::unlocked(&mut guard, || *mutex.lock() = 2);
    /// assert_eq!(*guard, 2);
    /// ```
    #[track_caller]
    pub fn unlocked<R>(guard: &mut Self, run: impl FnOnce() -> R) -> R {
        guard.mutex.unlocked(run)
    }

    /// Leaves the mutex locked forever, and returns the data for as long as the mutex lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new(1);
    /// let data = MutexGuard::leak(mutex.lock());
    /// *data = 2;
    /// assert!(mutex.is_locked());
    /// ```
    #[must_use = "the data cannot be reached in another way"]
    pub fn leak(guard: Self) -> &'a mut T {
        let mutex = guard.mutex;
        mem::forget(guard);
        // SAFETY: the guard held the lock. The lock is never released, so this is the only access
        // for as long as the mutex is borrowed.
        mutex.data.with_mut(|data| unsafe { &mut *data })
    }

    /// Returns the guard of a part of this guard's data.
    fn mapped<U: ?Sized>(self, part: NonNull<U>) -> MappedMutexGuard<'a, U> {
        let unlock = Unlock::of(&self.mutex.lock, self.locked);
        mem::forget(self);
        MappedMutexGuard {
            part,
            unlock,
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
        // SAFETY: the guard holds the lock, and the result borrows the guard mutably.
        self.mutex.data.with_mut(|data| unsafe { &mut *data })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        drop(Unlock::of(&self.mutex.lock, self.locked));
    }
}

/// The data of a locked [`Mutex`] that is in an [`Arc`]: see [`Mutex::lock_arc`].
///
/// The guard borrows nothing. So it may be stored in a struct, and sent to a thread that outlives
/// the scope in which it was created. The mutex lives as long as the guard.
#[must_use = "a guard that is not bound to a name is dropped, and unlocks, at once"]
#[doc(alias = "OwnedMutexGuard")]
pub struct ArcMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    locked: Here,
    /// The guard is `Sync` only if the data is.
    data: PhantomData<T>,
}

impl<T: ?Sized> ArcMutexGuard<T> {
    /// Creates the guard of a mutex whose lock the caller has just acquired.
    #[inline]
    #[track_caller]
    pub(super) fn new(mutex: &Arc<Mutex<T>>) -> Self {
        Self {
            mutex: Arc::clone(mutex),
            locked: Here::new(),
            data: PhantomData,
        }
    }

    /// Returns the locked mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use racefree::{ArcMutexGuard, Mutex};
    ///
    /// let guard = Arc::new(Mutex::new(1)).lock_arc();
    /// assert!(ArcMutexGuard::mutex(&guard).is_locked());
    /// ```
    #[must_use]
    pub fn mutex(guard: &Self) -> &Arc<Mutex<T>> {
        &guard.mutex
    }

    /// Unlocks the mutex, and returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use racefree::{ArcMutexGuard, Mutex};
    ///
    /// let mutex = ArcMutexGuard::into_arc(Arc::new(Mutex::new(1)).lock_arc());
    /// assert!(!mutex.is_locked());
    /// ```
    #[must_use = "drop the guard to unlock"]
    pub fn into_arc(guard: Self) -> Arc<Mutex<T>> {
        Arc::clone(&guard.mutex)
    }

    /// Unlocks the mutex while `run` is called: see [`MutexGuard::unlocked`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use racefree::{ArcMutexGuard, Mutex};
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let mut guard = mutex.lock_arc();
    /// ArcMutexGuard::unlocked(&mut guard, || *mutex.lock() = 2);
    /// assert_eq!(*guard, 2);
    /// ```
    #[track_caller]
    pub fn unlocked<R>(guard: &mut Self, run: impl FnOnce() -> R) -> R {
        guard.mutex.unlocked(run)
    }
}

impl<T: ?Sized> Deref for ArcMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, and the result borrows the guard.
        self.mutex.data.with(|data| unsafe { &*data })
    }
}

impl<T: ?Sized> DerefMut for ArcMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and the result borrows the guard mutably.
        self.mutex.data.with_mut(|data| unsafe { &mut *data })
    }
}

impl<T: ?Sized> Drop for ArcMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        drop(Unlock::of(&self.mutex.lock, self.locked));
    }
}

/// A part of the data of a locked [`Mutex`]: see [`MutexGuard::map`].
#[must_use = "a guard that is not bound to a name is dropped, and unlocks, at once"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    part: NonNull<T>,
    unlock: Unlock<'a>,
    data: PhantomData<&'a mut T>,
}

// SAFETY: the guard is a `&mut T`, and any thread may release the lock.
unsafe impl<T: ?Sized + Send> Send for MappedMutexGuard<'_, T> {}
// SAFETY: a shared guard gives access to a `&T` only.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// Returns a guard of a part of the part: see [`MutexGuard::map`].
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, [2, 3]));
    /// let pair = MutexGuard::map(mutex.lock(), |it| &mut it.1);
    /// assert_eq!(*MappedMutexGuard::map(pair, |pair| &mut pair[1]), 3);
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        let part = NonNull::from(part(&mut guard));
        guard.mapped(part)
    }

    /// Returns a guard of a part of the part, if `part` finds one: see [`MutexGuard::try_map`].
    ///
    /// # Errors
    ///
    /// This guard, if `part` returned `None`.
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, [2, 3]));
    /// let pair = MutexGuard::map(mutex.lock(), |it| &mut it.1);
    /// let pair = MappedMutexGuard::try_map(pair, |pair| pair.get_mut(5)).unwrap_err();
    /// assert_eq!(*MappedMutexGuard::try_map(pair, |pair| pair.get_mut(1)).unwrap(), 3);
    /// ```
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(part) => Ok(guard.mapped(part)),
            None => Err(guard),
        }
    }

    /// Returns a guard of a part of the part, if `part` finds one: see
    /// [`MutexGuard::try_map_or_err`].
    ///
    /// # Errors
    ///
    /// This guard and the error, if `part` returned one.
    ///
    /// # Panics
    ///
    /// If `part` panics. Then the mutex is unlocked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{MappedMutexGuard, Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, [2, 3]));
    /// let pair = MutexGuard::map(mutex.lock(), |it| &mut it.1);
    /// let sixth = MappedMutexGuard::try_map_or_err(pair, |pair| pair.get_mut(5).ok_or("no sixth"));
    /// assert_eq!(sixth.unwrap_err().1, "no sixth");
    /// ```
    pub fn try_map_or_err<U: ?Sized, E>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Result<&mut U, E>,
    ) -> Result<MappedMutexGuard<'a, U>, (Self, E)> {
        match part(&mut guard).map(NonNull::from) {
            Ok(part) => Ok(guard.mapped(part)),
            Err(error) => Err((guard, error)),
        }
    }

    /// Returns the guard of a part of this guard's data.
    fn mapped<U: ?Sized>(self, part: NonNull<U>) -> MappedMutexGuard<'a, U> {
        MappedMutexGuard {
            part,
            unlock: self.unlock,
            data: PhantomData,
        }
    }
}

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
        // SAFETY: the guard holds the lock, and the result borrows the guard mutably.
        unsafe { self.part.as_mut() }
    }
}

/// The traits that all guards of data implement, as std's guards do.
macro_rules! as_the_data {
    ($($Guard:ty),*) => {$(
        // A panic while a guard is held poisons nothing: see `Mutex`.
        impl<T: ?Sized> UnwindSafe for $Guard {}
        impl<T: ?Sized> RefUnwindSafe for $Guard {}

        impl<T: ?Sized + fmt::Debug> fmt::Debug for $Guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + fmt::Display> fmt::Display for $Guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    )*};
}

as_the_data!(MutexGuard<'_, T>, ArcMutexGuard<T>, MappedMutexGuard<'_, T>);

/// A mutex has only one level to release.
macro_rules! suspendable {
    ($($Guard:ty),*) => {$(
        impl<T: ?Sized> Suspendable for $Guard {
            fn release_save(&self) -> Option<u32> {
                let lock = &self.mutex.lock;
                let call = lock.object.call(Act::Give, GIVES_UP);
                call.ends(lock.raw.release().ok().map(|()| 1))
            }

            fn acquire_restore(&self, _saved: u32, among_others: bool) {
                let lock = &self.mutex.lock;
                let call = lock.object.call(Act::Take, TAKES_AGAIN);
                lock.raw.acquire_restore(among_others);
                call.ends(());
            }
        }
    )*};
}

suspendable!(MutexGuard<'_, T>, ArcMutexGuard<T>);

/// Releases a lock that only the caller can release.
pub(super) struct Unlock<'a> {
    lock: &'a Watched,
    here: Here,
}

impl<'a> Unlock<'a> {
    #[inline]
    pub(super) fn of(lock: &'a Watched, here: Here) -> Self {
        Self { lock, here }
    }
}

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        unless_deadlocked(|| {
            let call = self
                .lock
                .object
                .call_at(Act::Give, GUARD_DROPPED, None, self.here);
            let released = call.ends(self.lock.raw.release());
            debug_assert!(released.is_ok(), "only the guard can release it");
        });
    }
}

/// Acquires a lock when dropped.
pub(super) struct Relock<'a> {
    lock: &'a Watched,
    here: Here,
}

impl<'a> Relock<'a> {
    #[inline]
    pub(super) fn of(lock: &'a Watched, here: Here) -> Self {
        Self { lock, here }
    }
}

impl Drop for Relock<'_> {
    fn drop(&mut self) {
        unless_deadlocked(|| {
            let call = self.lock.object.call_at(Act::Take, "lock", None, self.here);
            self.lock.raw.acquire();
            call.ends(());
        });
    }
}
