//! The guard that all the primitives share: Python's `with`.

use core::fmt;
use core::marker::PhantomData;
use core::{mem, ptr};
use std::sync::Arc;
use std::thread;

use crate::error::ReleaseError;
use crate::lockable::sealed::{ConditionLockable, Lockable, Suspendable};
use crate::observe::{Act, GUARD_DROPPED, Here};
use crate::sync::unless_deadlocked;

/// What a guard can hold: implemented by this crate's primitives, and by nothing else.
pub trait Guarded: Lockable {}

/// Marks a primitive whose acquirer must be the one who releases it. `Sync`, but not `Send`.
pub(crate) type SameThread = std::sync::MutexGuard<'static, ()>;

/// Holds a primitive, and releases it when it is dropped, also by a panic: what Python's `with`
/// does.
///
/// Made by the methods `guard`, `try_guard`, `guard_timeout` and `guard_until` of
/// [`Lock`](crate::Lock::guard), [`RLock`](crate::RLock::guard),
/// [`Semaphore`](crate::Semaphore::guard), [`BoundedSemaphore`](crate::BoundedSemaphore::guard) and
/// [`Condition`](crate::Condition::guard). A panic under a guard poisons nothing, as in Python.
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
    acquired: Here,
    release: PhantomData<P::Release>,
}

impl<'a, P: Guarded> Guard<'a, P> {
    /// A guard over what the caller has just acquired.
    #[track_caller]
    pub(crate) fn new(primitive: &'a P) -> Self {
        Self {
            primitive,
            acquired: Here::new(),
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

/// As [`Guard`], of a primitive in an [`Arc`]: it borrows nothing, so it may be kept in a struct,
/// and be sent to a thread that outlives the scope in which it was made.
///
/// Made by the methods `guard_arc`, `try_guard_arc`, `guard_arc_timeout` and `guard_arc_until` of
/// [`Lock`](crate::Lock::guard_arc), [`RLock`](crate::RLock::guard_arc),
/// [`Semaphore`](crate::Semaphore::guard_arc) and
/// [`BoundedSemaphore`](crate::BoundedSemaphore::guard_arc). The primitive lives as long as the
/// guard.
///
/// # Panics
///
/// Dropping panics as a [`Guard`]'s does.
///
/// # Examples
///
/// A permit that travels with a task:
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
pub struct ArcGuard<P: Guarded> {
    primitive: Arc<P>,
    acquired: Here,
    release: PhantomData<P::Release>,
}

impl<P: Guarded> ArcGuard<P> {
    /// A guard over what the caller has just acquired.
    #[track_caller]
    pub(crate) fn new(primitive: &Arc<P>) -> Self {
        Self {
            primitive: Arc::clone(primitive),
            acquired: Here::new(),
            release: PhantomData,
        }
    }

    /// Releases now, and says whether that was in order, where dropping would panic.
    ///
    /// # Errors
    ///
    /// As [`Guard::release`].
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
        // SAFETY: it is moved out of a guard that is not dropped.
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

/// Releases what a guard held that is dropped.
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

/// The guards of each way to acquire, but for `guard` itself. `$panics` is the section that each
/// method has on panics.
macro_rules! guards {
    ($Primitive:ident, $new:literal $(, $panics:literal)?) => {
        impl $Primitive {
            /// As [`try_acquire`](Self::try_acquire), with a guard that releases when it is dropped.
            /// Never blocks.
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

            /// As [`acquire_timeout`](Self::acquire_timeout), with a guard that releases when it is
            /// dropped.
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

            /// As [`acquire_until`](Self::acquire_until), with a guard that releases when it is
            /// dropped.
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

            /// As [`guard`](Self::guard), with a guard that borrows nothing.
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
            pub fn guard_arc(self: &Arc<Self>) -> ArcGuard<Self> {
                self.take("guard_arc", || Deadline::Never);
                ArcGuard::new(self)
            }

            /// As [`try_guard`](Self::try_guard), with a guard that borrows nothing.
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
            pub fn try_guard_arc(self: &Arc<Self>) -> Option<ArcGuard<Self>> {
                let acquired = self.try_take("try_guard_arc");
                if acquired { Some(ArcGuard::new(self)) } else { None }
            }

            /// As [`guard_timeout`](Self::guard_timeout), with a guard that borrows nothing.
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

            /// As [`guard_until`](Self::guard_until), with a guard that borrows nothing.
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
