//! The guard that all primitives share. It replaces Python's `with`.

use core::fmt;
use core::marker::PhantomData;
use core::{mem, ptr};
use std::sync::Arc;
use std::thread;

use crate::error::ReleaseError;
use crate::lockable::sealed::{ConditionLockable, Lockable, Suspendable};
use crate::observe::{Act, GUARD_DROPPED, Here};
use crate::sync::unless_deadlocked;

/// A primitive that a guard can hold. The trait is sealed; only this crate's primitives implement
/// it.
pub trait Guarded: Lockable {}

/// Marks a primitive that only the acquiring thread may release. It is `Sync`, but not `Send`.
pub(crate) type SameThread = std::sync::MutexGuard<'static, ()>;

/// Holds an acquired primitive, and releases it when dropped, even during a panic. It replaces
/// Python's `with`.
///
/// It is returned by the methods `guard`, `try_guard`, `guard_timeout` and `guard_until` of
/// [`Lock`](crate::Lock::guard), [`RLock`](crate::RLock::guard),
/// [`Semaphore`](crate::Semaphore::guard), [`BoundedSemaphore`](crate::BoundedSemaphore::guard) and
/// [`Condition`](crate::Condition::guard). A panic while a guard is held poisons nothing, as in
/// Python.
///
/// The guard of an `RLock` cannot be moved to another thread. The other guards may be sent to
/// another thread and dropped there, as any thread may release these primitives in Python.
///
/// If a guard is leaked ([`core::mem::forget`]), its primitive stays acquired. The primitive's
/// `release` method still releases it.
///
/// # Panics
///
/// Dropping a guard panics with the [`ReleaseError`] if the primitive has been released in the
/// meantime, unless the thread is already unwinding from a panic.
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
    acquired: Here,
    release: PhantomData<P::Release>,
}

impl<'a, P: Guarded> Guard<'a, P> {
    /// Creates a guard of a primitive that the caller has just acquired.
    #[track_caller]
    pub(crate) fn new(primitive: &'a P) -> Self {
        Self {
            primitive,
            acquired: Here::new(),
            release: PhantomData,
        }
    }

    /// Releases the primitive now. Returns an error where dropping the guard would panic.
    ///
    /// # Errors
    ///
    /// The [`ReleaseError`] of the primitive's `release`, if the primitive has been released in the
    /// meantime.
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
    #[track_caller]
    pub fn release(self) -> Result<(), ReleaseError> {
        let released = self.primitive.give("release");
        mem::forget(self);
        released
    }
}

impl<P: Guarded> Drop for Guard<'_, P> {
    #[inline]
    fn drop(&mut self) {
        release_dropped(|| {
            let object = self.primitive.object();
            let call = object.call_at(Act::Give, GUARD_DROPPED, None, self.acquired);
            call.ends(self.primitive.give_back())
        });
    }
}

impl<P: Guarded + fmt::Debug> fmt::Debug for Guard<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(self.primitive).finish()
    }
}

/// Like [`Guard`], but for a primitive in an [`Arc`]. It borrows nothing. So it may be stored in a
/// struct, and sent to a thread that outlives the scope in which the guard was created.
///
/// It is returned by the methods `guard_arc`, `try_guard_arc`, `guard_arc_timeout` and
/// `guard_arc_until` of
/// [`Lock`](crate::Lock::guard_arc), [`RLock`](crate::RLock::guard_arc),
/// [`Semaphore`](crate::Semaphore::guard_arc) and
/// [`BoundedSemaphore`](crate::BoundedSemaphore::guard_arc). The primitive lives as long as the
/// guard.
///
/// # Panics
///
/// Dropping it panics under the same conditions as dropping a [`Guard`].
///
/// # Examples
///
/// A permit that is passed on with a task:
///
/// ```
/// use std::sync::Arc;
/// use racefree::Semaphore;
///
/// let permits = Arc::new(Semaphore::new(2));
/// let tasks = [1, 2, 3].map(|number| {
///     let permit = permits.guard_arc();
///     std::thread::spawn(move || {
///         let _permit = permit;
///         number * 2
///     })
/// });
/// assert_eq!(tasks.map(|task| task.join().unwrap()), [2, 4, 6]);
/// assert_eq!(permits.value(), 2);
/// ```
#[must_use = "a guard that is not bound to a name is dropped, and releases, at once"]
#[doc(alias("OwnedSemaphorePermit", "SemaphoreGuardArc"))]
pub struct ArcGuard<P: Guarded> {
    primitive: Arc<P>,
    acquired: Here,
    release: PhantomData<P::Release>,
}

impl<P: Guarded> ArcGuard<P> {
    /// Creates a guard of a primitive that the caller has just acquired.
    #[track_caller]
    pub(crate) fn new(primitive: &Arc<P>) -> Self {
        Self {
            primitive: Arc::clone(primitive),
            acquired: Here::new(),
            release: PhantomData,
        }
    }

    /// Releases the primitive now. Returns an error where dropping the guard would panic.
    ///
    /// # Errors
    ///
    /// The same as for [`Guard::release`].
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = std::sync::Arc::new(racefree::Lock::new());
    /// lock.guard_arc().release()?;
    /// assert!(!lock.locked());
    /// # Ok::<(), racefree::ReleaseError>(())
    /// ```
    #[track_caller]
    pub fn release(self) -> Result<(), ReleaseError> {
        let guard = mem::ManuallyDrop::new(self);
        // SAFETY: the primitive is moved out of a guard that is not dropped.
        let primitive = unsafe { ptr::read(&raw const guard.primitive) };
        primitive.give("release")
    }
}

impl<P: Guarded> Drop for ArcGuard<P> {
    #[inline]
    fn drop(&mut self) {
        release_dropped(|| {
            let object = self.primitive.object();
            let call = object.call_at(Act::Give, GUARD_DROPPED, None, self.acquired);
            call.ends(self.primitive.give_back())
        });
    }
}

impl<P: Guarded + fmt::Debug> fmt::Debug for ArcGuard<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArcGuard").field(&*self.primitive).finish()
    }
}

impl<L: Guarded + ConditionLockable> Suspendable for Guard<'_, L> {
    fn release_save(&self) -> Option<u32> {
        self.primitive.release_save()
    }

    fn acquire_restore(&self, saved: u32, among_others: bool) {
        self.primitive.acquire_restore(saved, among_others);
    }
}

impl<L: Guarded + ConditionLockable> Suspendable for ArcGuard<L> {
    fn release_save(&self) -> Option<u32> {
        self.primitive.release_save()
    }

    fn acquire_restore(&self, saved: u32, among_others: bool) {
        self.primitive.acquire_restore(saved, among_others);
    }
}

/// Releases the primitive of a guard that is being dropped.
#[inline]
pub(crate) fn release_dropped(give_back: impl FnOnce() -> Result<(), ReleaseError>) {
    unless_deadlocked(|| {
        if let Err(error) = give_back() {
            // A second panic would abort the process and hide the first.
            if !thread::panicking() {
                panic!("{error}");
            }
        }
    });
}

/// The methods that return a guard, except `guard` itself. `$panics` is the documentation of panics
/// that each method has.
macro_rules! guards {
    ($Primitive:ident, $new:literal $(, $panics:literal)?) => {
        impl $Primitive {
            /// Like [`try_acquire`](Self::try_acquire), but returns a guard that releases the
            /// primitive when dropped. Never blocks.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let primitive = racefree::", stringify!($Primitive), $new, ";")]
            /// let guard = primitive.try_guard().expect("nobody else has it");
            /// std::thread::scope(|scope| {
            ///     scope.spawn(|| assert!(primitive.try_guard().is_none()));
            /// });
            /// # drop(guard);
            /// ```
            #[inline]
            #[track_caller]
            pub fn try_guard(&self) -> Option<Guard<'_, Self>> {
                let acquired = self.try_take("try_guard");
                if acquired { Some(Guard::new(self)) } else { None }
            }

            /// Like [`acquire_timeout`](Self::acquire_timeout), but returns a guard that releases
            /// the primitive when dropped.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let primitive = racefree::", stringify!($Primitive), $new, ";")]
            /// let guard = primitive.guard_timeout(Duration::from_millis(1));
            /// assert!(guard.is_some());
            /// ```
            #[inline]
            #[track_caller]
            pub fn guard_timeout(&self, timeout: Duration) -> Option<Guard<'_, Self>> {
                let acquired = self.take("guard_timeout", || Deadline::after(timeout));
                if acquired { Some(Guard::new(self)) } else { None }
            }

            /// Like [`acquire_until`](Self::acquire_until), but returns a guard that releases the
            /// primitive when dropped.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::time::Instant;
            ///
            #[doc = concat!("let primitive = racefree::", stringify!($Primitive), $new, ";")]
            /// assert!(primitive.guard_until(Instant::now()).is_some());
            /// ```
            #[inline]
            #[track_caller]
            pub fn guard_until(&self, deadline: Instant) -> Option<Guard<'_, Self>> {
                let acquired = self.take("guard_until", || Deadline::At(deadline));
                if acquired { Some(Guard::new(self)) } else { None }
            }

            /// Like [`guard`](Self::guard), but the guard borrows nothing.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("let primitive = Arc::new(racefree::", stringify!($Primitive), $new, ");")]
            /// let guard = primitive.guard_arc();
            /// drop(primitive);
            /// # drop(guard);
            /// ```
            #[inline]
            #[track_caller]
            #[doc(alias("acquire_owned", "acquire_arc"))]
            pub fn guard_arc(self: &Arc<Self>) -> ArcGuard<Self> {
                self.take("guard_arc", || Deadline::Never);
                ArcGuard::new(self)
            }

            /// Like [`try_guard`](Self::try_guard), but the guard borrows nothing.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            ///
            #[doc = concat!("let primitive = Arc::new(racefree::", stringify!($Primitive), $new, ");")]
            /// assert!(primitive.try_guard_arc().is_some());
            /// ```
            #[inline]
            #[track_caller]
            #[doc(alias("try_acquire_owned", "try_acquire_arc"))]
            pub fn try_guard_arc(self: &Arc<Self>) -> Option<ArcGuard<Self>> {
                let acquired = self.try_take("try_guard_arc");
                if acquired { Some(ArcGuard::new(self)) } else { None }
            }

            /// Like [`guard_timeout`](Self::guard_timeout), but the guard borrows nothing.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            /// use std::time::Duration;
            ///
            #[doc = concat!("let primitive = Arc::new(racefree::", stringify!($Primitive), $new, ");")]
            /// assert!(primitive.guard_arc_timeout(Duration::from_millis(1)).is_some());
            /// ```
            #[inline]
            #[track_caller]
            pub fn guard_arc_timeout(self: &Arc<Self>, timeout: Duration) -> Option<ArcGuard<Self>> {
                let acquired = self.take("guard_arc_timeout", || Deadline::after(timeout));
                if acquired { Some(ArcGuard::new(self)) } else { None }
            }

            /// Like [`guard_until`](Self::guard_until), but the guard borrows nothing.
            ///
            $(#[doc = $panics])?
            /// # Examples
            ///
            /// ```
            /// use std::sync::Arc;
            /// use std::time::Instant;
            ///
            #[doc = concat!("let primitive = Arc::new(racefree::", stringify!($Primitive), $new, ");")]
            /// assert!(primitive.guard_arc_until(Instant::now()).is_some());
            /// ```
            #[inline]
            #[track_caller]
            pub fn guard_arc_until(self: &Arc<Self>, deadline: Instant) -> Option<ArcGuard<Self>> {
                let acquired = self.take("guard_arc_until", || Deadline::At(deadline));
                if acquired { Some(ArcGuard::new(self)) } else { None }
            }
        }
    };
}
pub(crate) use guards;
