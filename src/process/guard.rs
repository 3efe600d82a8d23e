//! The guard of the primitives between processes, and the forms of an acquire.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use std::thread;

use super::error::News;
use crate::deadline::Deadline;
use crate::error::ReleaseError;

/// What can be acquired: the locks and the semaphores.
pub trait Acquire {
    /// What an acquire may have to tell.
    #[doc(hidden)]
    #[allow(private_bounds, reason = "the trait is sealed by it")]
    type News: News;

    /// A type that is `Send` if the release may come from another thread than the acquire.
    #[doc(hidden)]
    type Release;

    /// Acquires, blocking until the deadline. News may come with it, or in its place.
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "the same")]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, Self::News>;

    /// Releases what was acquired.
    #[doc(hidden)]
    fn give_back(&self) -> Result<(), ReleaseError>;
}

/// A guard, if there is one, or the news with it.
#[allow(private_bounds, reason = "see `Acquire`")]
pub(super) type Guarding<'a, P> =
    Result<Option<Guard<'a, P>>, <<P as Acquire>::News as News>::With<Guard<'a, P>>>;

/// Acquires with a guard.
pub(super) fn guarding<P: Acquire>(
    primitive: &P,
    deadline: impl FnOnce() -> Deadline,
) -> Guarding<'_, P> {
    let guard = || Guard {
        primitive,
        release: PhantomData,
    };
    match primitive.take(deadline) {
        Ok(taken) => Ok(taken.then(guard)),
        Err(news) => Err(news.with(guard)),
    }
}

/// The result of a wait without an end: it has one.
#[inline]
pub(super) fn endless<R>(result: Option<R>) -> R {
    result.expect("the wait has no deadline")
}

/// Holds an acquired primitive, and releases it when dropped. It replaces Python's `with`.
///
/// A process that dies does not drop its guards. The others then learn of its death: see
/// [`LockError`](super::LockError) and [`HoldersDied`](super::HoldersDied).
///
/// # Panics
///
/// Dropping a guard panics with the [`ReleaseError`] if the primitive has been released in the
/// meantime, unless the thread is already unwinding from a panic.
///
/// # Examples
///
/// ```
/// use racefree::process::{Lock, Shared};
///
/// let lock = Shared::create(Lock::new())?;
/// {
///     let _guard = lock.guard().unwrap();
///     assert!(lock.locked());
/// }
/// assert!(!lock.locked());
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[must_use = "a guard that is not bound to a name is dropped, and releases, at once"]
pub struct Guard<'a, P: Acquire> {
    primitive: &'a P,
    release: PhantomData<P::Release>,
}

impl<'a, P: Acquire> Guard<'a, P> {
    /// Releases the primitive now. Returns an error where dropping the guard would panic.
    ///
    /// # Errors
    ///
    /// The [`ReleaseError`] of the primitive's `release`.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// let guard = lock.guard().unwrap();
    /// guard.release().unwrap();
    /// assert!(!lock.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn release(self) -> Result<(), ReleaseError> {
        let released = self.primitive.give_back();
        mem::forget(self);
        released
    }
}

impl<P: Acquire> Drop for Guard<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if let Err(error) = self.primitive.give_back() {
            assert!(thread::panicking(), "{error}");
        }
    }
}

impl<P: Acquire + fmt::Debug> fmt::Debug for Guard<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(self.primitive).finish()
    }
}

/// The methods that acquire, of a primitive whose acquires may bring news.
macro_rules! acquires {
    ($type:literal, $new:literal, $news:ident) => {
        /// Acquires, blocking until it is possible.
        ///
        /// Python's `acquire()`.
        ///
        /// # Errors
        ///
        #[doc = concat!("[`", stringify!($news), "`], which says whether it was acquired.")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// primitive.acquire().unwrap();
        /// primitive.release().unwrap();
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn acquire(&self) -> Result<(), $news> {
            self.take(|| Deadline::Never).map(|_acquired| ())
        }

        /// Acquires if that is possible without waiting for another process, and returns `true` if
        /// it was acquired. What a dead process holds can be acquired.
        ///
        /// Python's `acquire(block=False)`.
        ///
        /// # Errors
        ///
        /// The same as for [`acquire`](Self::acquire).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert_eq!(primitive.try_acquire(), Ok(true));
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn try_acquire(&self) -> Result<bool, $news> {
            self.take(|| Deadline::Now)
        }

        /// Acquires, blocking no longer than `timeout`, and returns `true` if it was acquired.
        ///
        /// Python's `acquire(timeout=seconds)`. A timeout of zero does not block;
        /// [`Duration::MAX`] never ends.
        ///
        /// # Errors
        ///
        /// The same as for [`acquire`](Self::acquire).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        /// use std::time::Duration;
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert_eq!(primitive.acquire_timeout(Duration::from_secs(1)), Ok(true));
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn acquire_timeout(&self, timeout: Duration) -> Result<bool, $news> {
            self.take(|| Deadline::after(timeout))
        }

        /// Like [`acquire_timeout`](Self::acquire_timeout), but until `deadline`.
        ///
        /// # Errors
        ///
        /// The same as for [`acquire`](Self::acquire).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        /// use std::time::Instant;
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert_eq!(primitive.acquire_until(Instant::now()), Ok(true));
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn acquire_until(&self, deadline: Instant) -> Result<bool, $news> {
            self.take(|| Deadline::At(deadline))
        }

        /// Like [`acquire`](Self::acquire), but returns a guard that releases when it is dropped.
        ///
        /// # Errors
        ///
        /// The same as for [`acquire`](Self::acquire), with the guard if it was acquired.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// let _guard = primitive.guard().unwrap();
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn guard(&self) -> Result<Guard<'_, Self>, $news<Guard<'_, Self>>> {
            let guard = $crate::process::guard::guarding(self, || Deadline::Never)?;
            Ok($crate::process::guard::endless(guard))
        }

        /// Like [`try_acquire`](Self::try_acquire), but returns a guard.
        ///
        /// # Errors
        ///
        /// The same as for [`guard`](Self::guard).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert!(primitive.try_guard().unwrap().is_some());
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn try_guard(&self) -> Result<Option<Guard<'_, Self>>, $news<Guard<'_, Self>>> {
            $crate::process::guard::guarding(self, || Deadline::Now)
        }

        /// Like [`acquire_timeout`](Self::acquire_timeout), but returns a guard.
        ///
        /// # Errors
        ///
        /// The same as for [`guard`](Self::guard).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        /// use std::time::Duration;
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert!(primitive.guard_timeout(Duration::from_secs(1)).unwrap().is_some());
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn guard_timeout(
            &self,
            timeout: Duration,
        ) -> Result<Option<Guard<'_, Self>>, $news<Guard<'_, Self>>> {
            $crate::process::guard::guarding(self, || Deadline::after(timeout))
        }

        /// Like [`acquire_until`](Self::acquire_until), but returns a guard.
        ///
        /// # Errors
        ///
        /// The same as for [`guard`](Self::guard).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = concat!("use racefree::process::{Shared, ", $type, "};")]
        /// use std::time::Instant;
        ///
        #[doc = concat!("let primitive = Shared::create(", $new, ")?;")]
        /// assert!(primitive.guard_until(Instant::now()).unwrap().is_some());
        /// # Ok::<(), racefree::process::RegionError>(())
        /// ```
        #[inline]
        pub fn guard_until(
            &self,
            deadline: Instant,
        ) -> Result<Option<Guard<'_, Self>>, $news<Guard<'_, Self>>> {
            $crate::process::guard::guarding(self, || Deadline::At(deadline))
        }
    };
}

pub(super) use acquires;
