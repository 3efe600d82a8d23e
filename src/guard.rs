//! The guard that all the primitives share: Python's `with`.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use std::thread;

use crate::error::ReleaseError;
use crate::lockable::sealed::Lockable;
use crate::sync::unless_deadlocked;

/// What a guard can hold: implemented by this crate's primitives, and by nothing else.
pub trait Guarded: Lockable {}

/// Marks a primitive whose acquirer must be the one who releases it. `Sync`, but not `Send`.
pub(crate) type SameThread = std::sync::MutexGuard<'static, ()>;

/// Holds a primitive, and releases it when it is dropped, also by a panic: what Python's `with`
/// does.
///
/// Made by the `guard` method of [`Lock`](crate::Lock::guard), [`RLock`](crate::RLock::guard),
/// [`Semaphore`](crate::Semaphore::guard) and [`BoundedSemaphore`](crate::BoundedSemaphore::guard).
/// A panic under a guard poisons nothing, as in Python.
///
/// A guard of an `RLock` stays on its thread; the others may be sent to another one and dropped
/// there, as Python lets any thread release them.
///
/// A guard that is leaked ([`core::mem::forget`]) leaves its primitive acquired; a plain `release`
/// still gives it back.
///
/// # Panics
///
/// Dropping panics with the [`ReleaseError`] if somebody else has released the primitive meanwhile,
/// unless the thread is unwinding from a panic already.
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
#[must_use = "a guard that is not bound to a name is dropped, and releases, at once"]
pub struct Guard<'a, P: Guarded> {
    primitive: &'a P,
    release: PhantomData<P::Release>,
}

impl<'a, P: Guarded> Guard<'a, P> {
    /// A guard over what the caller has just acquired.
    pub(crate) fn new(primitive: &'a P) -> Self {
        Self {
            primitive,
            release: PhantomData,
        }
    }

    /// Releases now, and says whether that was in order, where dropping would panic.
    ///
    /// # Errors
    ///
    /// The [`ReleaseError`] of the primitive's `release`, if somebody else has released it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = racefree::Lock::new();
    /// let guard = lock.guard();
    /// lock.release()?;
    /// assert_eq!(guard.release(), Err(racefree::ReleaseError::Unlocked));
    /// # Ok::<(), racefree::ReleaseError>(())
    /// ```
    pub fn release(self) -> Result<(), ReleaseError> {
        let released = self.primitive.give_back();
        mem::forget(self);
        released
    }
}

impl<P: Guarded> Drop for Guard<'_, P> {
    #[inline]
    fn drop(&mut self) {
        unless_deadlocked(|| {
            if let Err(error) = self.primitive.give_back() {
                // A second panic would abort the process and hide the first.
                if !thread::panicking() {
                    panic!("{error}");
                }
            }
        });
    }
}

impl<P: Guarded + fmt::Debug> fmt::Debug for Guard<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(self.primitive).finish()
    }
}
