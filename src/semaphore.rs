//! `threading.Semaphore` and `threading.BoundedSemaphore`: the public interfaces of
//! [`raw::Permits`], which contains the state machine.

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::guard::{ArcGuard, Guard, Guarded, guards};
use crate::lockable::sealed::Lockable;
use crate::observe::{Act, GUARD_DROPPED, Here, Object};
use crate::permits::sealed::Counted;
use crate::permits::{Permits, several};
use crate::raw;
use crate::sync::{const_fn, one_step};

/// The common methods of the two semaphores: everything except the constructors, and the limit of a
/// release.
macro_rules! semaphore {
    ($Semaphore:ident, $named:literal) => {
        impl $Semaphore {
            crate::observe::named! { $named }

            /// Acquires a permit, blocking until one is available.
            ///
            /// Python's `acquire()`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(2);")]
            /// semaphore.acquire();
            /// assert_eq!(semaphore.value(), 1);
            /// ```
            #[inline]
            #[track_caller]
            #[doc(alias = "sem_wait")]
            pub fn acquire(&self) {
                self.take("acquire", || Deadline::Never);
            }

            /// Acquires a permit if one is available, and returns `true` if it was acquired. Never
            /// blocks.
            ///
            /// Python's `acquire(blocking=False)`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(1);")]
            /// assert!(semaphore.try_acquire());
            /// assert!(!semaphore.try_acquire());
            /// ```
            #[inline]
            #[must_use = "a permit may not have been acquired"]
            #[track_caller]
            #[doc(alias = "sem_trywait")]
            pub fn try_acquire(&self) -> bool {
                self.try_take("try_acquire")
            }

            /// Acquires a permit, blocking no longer than `timeout`, and returns `true` if it was
            /// acquired.
            ///
            /// Python's `acquire(timeout=seconds)`. A timeout of zero does not block. A timeout
            /// that is too long for the clock, such as [`Duration::MAX`], never ends. Time is
            /// measured on the monotonic clock.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(1);")]
            /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)));
            /// assert!(!semaphore.acquire_timeout(Duration::from_millis(1)));
            /// ```
            #[inline]
            #[must_use = "a permit may not have been acquired"]
            #[track_caller]
            pub fn acquire_timeout(&self, timeout: Duration) -> bool {
                self.take("acquire_timeout", || Deadline::after(timeout))
            }

            /// Acquires a permit, blocking no longer than until `deadline`, and returns `true` if
            /// it was acquired.
            ///
            /// Like [`acquire_timeout`](Self::acquire_timeout), for several waits with a common
            /// deadline.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::{Duration, Instant};
            ///
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(1);")]
            /// let deadline = Instant::now() + Duration::from_millis(1);
            /// assert!(semaphore.acquire_until(deadline));
            /// assert!(!semaphore.acquire_until(deadline));
            /// ```
            #[inline]
            #[must_use = "a permit may not have been acquired"]
            #[track_caller]
            #[doc(alias = "sem_timedwait")]
            pub fn acquire_until(&self, deadline: Instant) -> bool {
                self.take("acquire_until", || Deadline::At(deadline))
            }

            /// Releases a permit. Any thread may do so, not only a thread that acquired one. Never
            /// blocks.
            ///
            /// # Errors
            ///
            /// The same as for [`release_n`](Self::release_n).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(1);")]
            /// semaphore.acquire();
            /// semaphore.release()?;
            /// # Ok::<(), racefree::ReleaseError>(())
            /// ```
            #[inline]
            #[track_caller]
            #[doc(alias("sem_post", "add_permits"))]
            pub fn release(&self) -> Result<(), ReleaseError> {
                self.give("release")
            }

            /// Returns the number of available permits. The result may be out of date by the time
            /// it is used.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert_eq!(semaphore.value(), 3);
            /// ```
            #[must_use]
            #[track_caller]
            #[doc(alias("sem_getvalue", "available_permits"))]
            pub fn value(&self) -> u32 {
                self.object
                    .call(Act::Look, "value")
                    .ends(self.permits.value())
            }

            /// Acquires a permit, blocking until one is available, and returns a guard that
            /// releases it when dropped.
            ///
            /// Python's `with semaphore:`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(1);")]
            /// {
            ///     let _guard = semaphore.guard();
            ///     assert_eq!(semaphore.value(), 0);
            /// }
            /// assert_eq!(semaphore.value(), 1);
            /// ```
            #[inline]
            #[track_caller]
            pub fn guard(&self) -> Guard<'_, Self> {
                self.take("guard", || Deadline::Never);
                Guard::new(self)
            }
        }

        guards!($Semaphore, "::new(1)");

        impl Default for $Semaphore {
            /// Creates a semaphore with one permit, as in Python.
            #[track_caller]
            fn default() -> Self {
                Self::new(1)
            }
        }

        impl Guarded for $Semaphore {}

        impl Lockable for $Semaphore {
            type Release = ();

            #[inline]
            fn object(&self) -> &Object {
                &self.object
            }

            #[inline]
            fn attempt(&self) -> bool {
                self.permits.try_acquire(1)
            }

            fn acquire_slow(&self, deadline: Deadline) -> bool {
                self.permits.acquire_slow(1, deadline)
            }

            #[inline]
            fn give_back(&self) -> Result<(), ReleaseError> {
                self.add(1)
            }
        }
    };
}

/// A counting semaphore: Python's `threading.Semaphore`.
///
/// A semaphore holds a number of permits. Each [`acquire`](Self::acquire) takes a permit, and
/// blocks while there is none. Each [`release`](Self::release) adds a permit. Permits have no
/// owner. Any thread may release, and more permits may be released than were acquired. If that
/// would be a bug in your program, use [`BoundedSemaphore`].
///
/// A `Semaphore` is 4 bytes in size, does not allocate, and can be a `static`. Everything that
/// happens before a release happens before the acquires that follow it.
///
/// The semaphore is unfair: a thread that arrives while a permit is available may acquire it before
/// threads that are already waiting.
///
/// On Linux and Android, a signal handler may call `release`, `release_n`, `try_acquire` and
/// `value`.
///
/// # Examples
///
/// ```
/// use racefree::Semaphore;
///
/// let done = Semaphore::new(0);
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| done.release().unwrap());
///     }
///     for _ in 0..3 {
///         done.acquire();
///     }
/// });
/// assert_eq!(done.value(), 0);
/// ```
#[doc(alias("sem_t", "CountingSemaphore", "counting_semaphore", "AutoResetEvent"))]
pub struct Semaphore {
    permits: raw::Permits,
    object: Object,
}

semaphore!(
    Semaphore,
    "let semaphore = racefree::Semaphore::new(1).named(\"stalls\");"
);
several!(Semaphore, "[`MAX_VALUE`](Self::MAX_VALUE)");

impl Semaphore {
    /// The maximum number of permits of a semaphore: 2^30 - 1.
    pub const MAX_VALUE: u32 = raw::MAX_VALUE;

    const_fn! {
        /// Creates a semaphore with `value` permits.
        ///
        /// # Panics
        ///
        /// If `value` is greater than [`MAX_VALUE`](Self::MAX_VALUE).
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(racefree::Semaphore::new(5).value(), 5);
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new(value: u32) -> Self {
            let mut object = Object::new("Semaphore");
            object.set_permits(value);
            Self {
                permits: raw::Permits::new(value),
                object,
            }
        }
    }

    fn most(&self) -> u32 {
        Self::MAX_VALUE
    }

    /// Releases `n` permits in one step. Never blocks.
    ///
    /// Makes at most one wake call. It wakes as many waiters as there are new permits, or all
    /// waiters if one of them may wait for several permits.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::ZeroPermits`] if `n` is 0 (CPython: `ValueError`, "n must be one or more").
    /// [`ReleaseError::Overflow`] if there would be more than [`MAX_VALUE`](Self::MAX_VALUE)
    /// permits. In both cases no permit is released.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = racefree::Semaphore::new(0);
    /// semaphore.release_n(3)?;
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), racefree::ReleaseError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        let call = self.object.call_with(Act::Give, "release_n", u64::from(n));
        call.ends(self.add(n))
    }

    #[inline]
    fn add(&self, n: u32) -> Result<(), ReleaseError> {
        self.permits
            .release(n, Self::MAX_VALUE, ReleaseError::Overflow)
    }
}

/// Formats the semaphore like Python's `repr`: `<racefree::Semaphore at 0x7ffd5e0f1c2c: value=3>`.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::Semaphore at {:p}: value={}>",
            &raw const *self,
            self.permits.value()
        )
    }
}

/// A semaphore whose permits never exceed the initial number: Python's
/// `threading.BoundedSemaphore`.
///
/// Like [`Semaphore`], but a release beyond the initial number is an error that changes nothing.
/// Use this type for a resource of limited size, so that an extra release is detected.
///
/// A `BoundedSemaphore` is 8 bytes in size.
///
/// On Linux and Android, a signal handler may call `release`, `release_n`, `try_acquire` and
/// `value`.
///
/// # Examples
///
/// ```
/// use racefree::{BoundedSemaphore, ReleaseError};
///
/// let connections = BoundedSemaphore::new(2);
/// {
///     let _connection = connections.guard();
///     assert_eq!(connections.value(), 1);
/// }
/// assert_eq!(connections.release(), Err(ReleaseError::TooManyReleases));
/// assert_eq!(connections.value(), 2);
/// ```
pub struct BoundedSemaphore {
    permits: raw::Permits,
    object: Object,
    initial: u32,
}

semaphore!(
    BoundedSemaphore,
    "let semaphore = racefree::BoundedSemaphore::new(1).named(\"stalls\");"
);
several!(BoundedSemaphore, "[`initial_value`](Self::initial_value)");

impl BoundedSemaphore {
    const_fn! {
        /// Creates a semaphore with `value` permits, which is also the maximum.
        ///
        /// # Panics
        ///
        /// If `value` is greater than [`Semaphore::MAX_VALUE`].
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(racefree::BoundedSemaphore::new(5).value(), 5);
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new(value: u32) -> Self {
            let mut object = Object::new("BoundedSemaphore");
            object.set_permits(value);
            Self {
                permits: raw::Permits::new(value),
                object,
                initial: value,
            }
        }
    }

    /// Returns the initial number of permits, which is also the maximum.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = racefree::BoundedSemaphore::new(5);
    /// semaphore.acquire();
    /// assert_eq!(semaphore.initial_value(), 5);
    /// ```
    #[must_use]
    pub fn initial_value(&self) -> u32 {
        self.initial
    }

    fn most(&self) -> u32 {
        self.initial
    }

    /// Releases `n` permits in one step. Never blocks.
    ///
    /// Makes at most one wake call, like [`Semaphore::release_n`].
    ///
    /// # Errors
    ///
    /// [`ReleaseError::ZeroPermits`] if `n` is 0 (CPython: `ValueError`, "n must be one or more").
    /// [`ReleaseError::TooManyReleases`] if there would be more permits than
    /// [`initial_value`](Self::initial_value) (CPython: `ValueError`, "Semaphore released too many
    /// times"). In both cases no permit is released.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{BoundedSemaphore, ReleaseError};
    ///
    /// let semaphore = BoundedSemaphore::new(2);
    /// semaphore.acquire();
    /// assert_eq!(semaphore.release_n(2), Err(ReleaseError::TooManyReleases));
    /// assert_eq!(semaphore.value(), 1);
    /// semaphore.release_n(1)?;
    /// # Ok::<(), ReleaseError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        let call = self.object.call_with(Act::Give, "release_n", u64::from(n));
        call.ends(self.add(n))
    }

    #[inline]
    fn add(&self, n: u32) -> Result<(), ReleaseError> {
        self.permits
            .release(n, self.initial, ReleaseError::TooManyReleases)
    }
}

/// Formats the semaphore like Python's `repr`: `<racefree::BoundedSemaphore at 0x7ffd5e0f1c2c:
/// value=3/5>`.
impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::BoundedSemaphore at {:p}: value={}/{}>",
            &raw const *self,
            self.permits.value(),
            self.initial
        )
    }
}
