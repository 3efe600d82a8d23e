//! Several permits at once: their guard, and the methods that both semaphores have for them.

use core::ops::Deref;
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::{fmt, mem, ptr};
use std::sync::Arc;

use crate::error::ReleaseError;
use crate::guard::release_dropped;
use crate::observe::Here;

/// A semaphore of a [`Permits`] guard: a [`Semaphore`](crate::Semaphore) or a
/// [`BoundedSemaphore`](crate::BoundedSemaphore), by reference or in an [`Arc`]. The trait is
/// sealed; no other types implement it.
pub trait OfPermits: sealed::Sealed {}

pub(crate) mod sealed {
    use super::{Deref, Here, ReleaseError};

    pub trait Counted {
        /// The same as the semaphore's `release_n`.
        fn give_back_n(&self, n: u32, acquired: Here) -> Result<(), ReleaseError>;
    }

    pub trait Sealed: Clone + Deref<Target: Counted> {}
}

use sealed::Counted as _;

impl<S: sealed::Counted> OfPermits for &S {}
impl<S: sealed::Counted> sealed::Sealed for &S {}
impl<S: sealed::Counted> OfPermits for Arc<S> {}
impl<S: sealed::Counted> sealed::Sealed for Arc<S> {}

/// Holds a number of permits of a semaphore, and releases them when dropped, even during a panic.
///
/// It is returned by the methods `guard_n`, `try_guard_n`, `guard_n_timeout` and `guard_n_until` of
/// [`Semaphore`](crate::Semaphore::guard_n) and
/// [`BoundedSemaphore`](crate::BoundedSemaphore::guard_n). `guard_n_arc` and the similar methods
/// return guards that borrow nothing. A guard may be sent to another thread and dropped there.
///
/// # Panics
///
/// Dropping it panics with the [`ReleaseError`] if permits were also released without the guard, so
/// that there would be too many. It does not panic if the thread is already unwinding from a panic.
///
/// # Examples
///
/// ```
/// use racefree::Semaphore;
///
/// let semaphore = Semaphore::new(5);
/// let mut four = semaphore.guard_n(4);
/// assert_eq!(semaphore.value(), 1);
/// let one = four.split(1).unwrap();
/// drop(four);
/// assert_eq!(semaphore.value(), 4);
/// # drop(one);
/// ```
#[must_use = "a guard that is not bound to a name is dropped, and releases, at once"]
#[doc(alias("SemaphorePermit", "OwnedSemaphorePermit"))]
pub struct Permits<S: OfPermits> {
    semaphore: S,
    count: u32,
    acquired: Here,
}

// A panic while a guard is held poisons nothing.
impl<S: OfPermits> UnwindSafe for Permits<S> {}
impl<S: OfPermits> RefUnwindSafe for Permits<S> {}

impl<S: OfPermits> Permits<S> {
    /// Creates a guard of permits that the caller has just acquired.
    #[track_caller]
    pub(crate) fn new(semaphore: S, count: u32) -> Self {
        Self {
            semaphore,
            count,
            acquired: Here::new(),
        }
    }

    /// Returns the number of permits that the guard holds.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Semaphore::new(5).guard_n(3).count(), 3);
    /// ```
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Moves `n` of the permits into a new guard. Returns `None` if this guard holds fewer.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = racefree::Semaphore::new(5);
    /// let mut permits = semaphore.guard_n(3);
    /// assert!(permits.split(4).is_none());
    /// let two = permits.split(2).unwrap();
    /// assert_eq!((permits.count(), two.count()), (1, 2));
    /// ```
    #[must_use = "a guard that is not bound to a name is dropped, and releases, at once"]
    #[track_caller]
    pub fn split(&mut self, n: u32) -> Option<Self> {
        self.count = self.count.checked_sub(n)?;
        Some(Self::new(self.semaphore.clone(), n))
    }

    /// Adds the permits of another guard of the same semaphore.
    ///
    /// # Panics
    ///
    /// If `other` belongs to another semaphore, or if there would be more than 2^32 - 1 permits.
    /// Then both guards keep their permits, and `other` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = racefree::Semaphore::new(5);
    /// let mut permits = semaphore.guard_n(2);
    /// permits.merge(semaphore.guard_n(3));
    /// assert_eq!(permits.count(), 5);
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        let same = ptr::eq(&raw const *self.semaphore, &raw const *other.semaphore);
        assert!(same, "permits of different semaphores");
        let sum = self.count.checked_add(other.count);
        self.count = sum.expect("more permits than there can be");
        other.count = 0;
    }

    /// Drops the guard without releasing the permits. The semaphore has fewer permits until they
    /// are added by `release_n`.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = racefree::Semaphore::new(5);
    /// semaphore.guard_n(2).forget();
    /// assert_eq!(semaphore.value(), 3);
    /// ```
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Releases the permits now. Returns an error where dropping the guard would panic.
    ///
    /// # Errors
    ///
    /// The [`ReleaseError`] of the semaphore's `release_n`, if permits were also released without
    /// the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{BoundedSemaphore, ReleaseError};
    ///
    /// let semaphore = BoundedSemaphore::new(5);
    /// let permits = semaphore.guard_n(2);
    /// semaphore.release()?;
    /// assert_eq!(permits.release(), Err(ReleaseError::TooManyReleases));
    /// assert_eq!(semaphore.value(), 4);
    /// # Ok::<(), ReleaseError>(())
    /// ```
    pub fn release(mut self) -> Result<(), ReleaseError> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), ReleaseError> {
        match mem::take(&mut self.count) {
            0 => Ok(()),
            count => self.semaphore.give_back_n(count, self.acquired),
        }
    }
}

impl<S: OfPermits> Drop for Permits<S> {
    #[inline]
    fn drop(&mut self) {
        release_dropped(|| self.give_back());
    }
}

impl<S: OfPermits<Target: fmt::Debug>> fmt::Debug for Permits<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("Permits");
        out.field(&self.count).field(&&*self.semaphore).finish()
    }
}

/// The methods that acquire several permits. `most` is the maximum number of permits.
macro_rules! several {
    ($Semaphore:ident, $most:literal) => {
        impl $Semaphore {
            /// Acquires `n` permits in one step, blocking until all of them are available. No
            /// permit is acquired before that. So two threads that each wait for more permits
            /// cannot block each other.
            ///
            /// The semaphore is unfair, which matters more here. A thread that waits for many
            /// permits may wait as long as other threads keep acquiring few.
            ///
            /// If `n` is 0, the call acquires nothing and does not block.
            ///
            /// # Panics
            ///
            #[doc = concat!("If `n` is over ", $most, ", so that there can never be as many.")]
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(5);")]
            /// semaphore.acquire_n(3);
            /// assert_eq!(semaphore.value(), 2);
            /// ```
            #[track_caller]
            #[doc(alias = "acquire_many")]
            pub fn acquire_n(&self, n: u32) {
                self.acquire_n_by("acquire_n", n, || Deadline::Never);
            }

            /// Acquires `n` permits in one step or none, and returns `true` if they were acquired.
            /// Never blocks.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert!(semaphore.try_acquire_n(2));
            /// assert!(!semaphore.try_acquire_n(2));
            /// assert_eq!(semaphore.value(), 1);
            /// ```
            #[track_caller]
            #[must_use = "the permits may not have been acquired"]
            #[doc(alias("try_acquire_many", "forget_permits"))]
            pub fn try_acquire_n(&self, n: u32) -> bool {
                self.acquire_n_by("try_acquire_n", n, || Deadline::Now)
            }

            /// Like [`acquire_n`](Self::acquire_n), but blocks no longer than `timeout`. Returns
            /// `true` if the permits were acquired.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert!(semaphore.acquire_n_timeout(2, Duration::from_millis(1)));
            /// assert!(!semaphore.acquire_n_timeout(2, Duration::from_millis(1)));
            /// ```
            #[track_caller]
            #[must_use = "the permits may not have been acquired"]
            pub fn acquire_n_timeout(&self, n: u32, timeout: Duration) -> bool {
                self.acquire_n_by("acquire_n", n, || Deadline::after(timeout))
            }

            /// Like [`acquire_n_timeout`](Self::acquire_n_timeout), but until `deadline`.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert!(semaphore.acquire_n_until(2, std::time::Instant::now()));
            /// ```
            #[track_caller]
            #[must_use = "the permits may not have been acquired"]
            pub fn acquire_n_until(&self, n: u32, deadline: Instant) -> bool {
                self.acquire_n_by("acquire_n", n, || Deadline::At(deadline))
            }

            /// Acquires all available permits, and returns their number. Never blocks.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert_eq!(semaphore.drain(), 3);
            /// assert_eq!(semaphore.drain(), 0);
            /// ```
            #[track_caller]
            #[doc(alias = "drain_permits")]
            pub fn drain(&self) -> u32 {
                self.object.call(Act::Look, "drain").ends(self.permits.drain())
            }

            #[track_caller]
            fn acquire_n_by(
                &self,
                method: &'static str,
                n: u32,
                deadline: impl FnOnce() -> Deadline,
            ) -> bool {
                assert!(n <= self.most(), "more permits than there can be");
                let call = self.object.call_with(Act::Take, method, u64::from(n));
                let deadline = call.may_wait(deadline);
                call.ends(
                    (!one_step() && self.permits.try_acquire(n))
                        || self.permits.acquire_slow(n, deadline()),
                )
            }
        }

        impl Counted for $Semaphore {
            fn give_back_n(&self, n: u32, acquired: Here) -> Result<(), ReleaseError> {
                let count = Some(u64::from(n));
                let call = self.object.call_at(Act::Give, GUARD_DROPPED, count, acquired);
                call.ends(self.add(n))
            }
        }

        impl $Semaphore {
            /// Like [`acquire_n`](Self::acquire_n), but returns a guard that releases the permits
            /// when dropped.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// let permits = semaphore.guard_n(2);
            /// assert_eq!(semaphore.value(), 1);
            /// drop(permits);
            /// assert_eq!(semaphore.value(), 3);
            /// ```
            #[track_caller]
            #[doc(alias = "acquire_many")]
            pub fn guard_n(&self, n: u32) -> Permits<&Self> {
                self.acquire_n(n);
                Permits::new(self, n)
            }

            /// Like [`try_acquire_n`](Self::try_acquire_n), but returns a guard that releases the
            /// permits when dropped.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// let two = semaphore.try_guard_n(2).unwrap();
            /// assert!(semaphore.try_guard_n(2).is_none());
            /// # drop(two);
            /// ```
            #[track_caller]
            pub fn try_guard_n(&self, n: u32) -> Option<Permits<&Self>> {
                if self.try_acquire_n(n) { Some(Permits::new(self, n)) } else { None }
            }

            /// Like [`acquire_n_timeout`](Self::acquire_n_timeout), but returns a guard that
            /// releases the permits when dropped.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// let timeout = std::time::Duration::from_millis(1);
            /// assert!(semaphore.guard_n_timeout(2, timeout).is_some());
            /// ```
            #[track_caller]
            pub fn guard_n_timeout(&self, n: u32, timeout: Duration) -> Option<Permits<&Self>> {
                if self.acquire_n_timeout(n, timeout) { Some(Permits::new(self, n)) } else { None }
            }

            /// Like [`acquire_n_until`](Self::acquire_n_until), but returns a guard that releases
            /// the permits when dropped.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// let now = std::time::Instant::now();
            /// assert!(semaphore.guard_n_until(2, now).is_some());
            /// ```
            #[track_caller]
            pub fn guard_n_until(&self, n: u32, deadline: Instant) -> Option<Permits<&Self>> {
                if self.acquire_n_until(n, deadline) { Some(Permits::new(self, n)) } else { None }
            }

            /// Like [`guard_n`](Self::guard_n), but the guard borrows nothing.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = std::sync::Arc::new(racefree::", stringify!($Semaphore), "::new(3));")]
            /// let permits = semaphore.guard_n_arc(2);
            /// assert_eq!(semaphore.value(), 1);
            /// drop(permits);
            /// assert_eq!(semaphore.value(), 3);
            /// ```
            #[track_caller]
            #[doc(alias = "acquire_many_owned")]
            pub fn guard_n_arc(self: &Arc<Self>, n: u32) -> Permits<Arc<Self>> {
                self.acquire_n(n);
                Permits::new(Arc::clone(self), n)
            }

            /// Like [`try_guard_n`](Self::try_guard_n), but the guard borrows nothing.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = std::sync::Arc::new(racefree::", stringify!($Semaphore), "::new(3));")]
            /// let two = semaphore.try_guard_n_arc(2).unwrap();
            /// assert!(semaphore.try_guard_n_arc(2).is_none());
            /// # drop(two);
            /// ```
            #[track_caller]
            #[doc(alias = "try_acquire_many_owned")]
            pub fn try_guard_n_arc(self: &Arc<Self>, n: u32) -> Option<Permits<Arc<Self>>> {
                if self.try_acquire_n(n) { Some(Permits::new(Arc::clone(self), n)) } else { None }
            }

            /// Like [`guard_n_timeout`](Self::guard_n_timeout), but the guard borrows nothing.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = std::sync::Arc::new(racefree::", stringify!($Semaphore), "::new(3));")]
            /// let timeout = std::time::Duration::from_millis(1);
            /// assert!(semaphore.guard_n_arc_timeout(2, timeout).is_some());
            /// ```
            #[track_caller]
            pub fn guard_n_arc_timeout(self: &Arc<Self>, n: u32, timeout: Duration) -> Option<Permits<Arc<Self>>> {
                if self.acquire_n_timeout(n, timeout) { Some(Permits::new(Arc::clone(self), n)) } else { None }
            }

            /// Like [`guard_n_until`](Self::guard_n_until), but the guard borrows nothing.
            ///
            /// # Panics
            ///
            /// The same as for [`acquire_n`](Self::acquire_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = std::sync::Arc::new(racefree::", stringify!($Semaphore), "::new(3));")]
            /// let now = std::time::Instant::now();
            /// assert!(semaphore.guard_n_arc_until(2, now).is_some());
            /// ```
            #[track_caller]
            pub fn guard_n_arc_until(self: &Arc<Self>, n: u32, deadline: Instant) -> Option<Permits<Arc<Self>>> {
                if self.acquire_n_until(n, deadline) { Some(Permits::new(Arc::clone(self), n)) } else { None }
            }
        }
    };
}
pub(crate) use several;
