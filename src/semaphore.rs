//! `threading.Semaphore` and `threading.BoundedSemaphore`.
//!
//! # State machine
//!
//! One word, the same for both: [`Lock`](crate::Lock)'s three states, with more than one permit.
//! It is the number of permits, and a bit on top, `CONTENDED`, that counts only where there is no
//! permit:
//!
//! | state | meaning |
//! |---|---|
//! | `0` to `MAX_VALUE`, with or without the bit | as many permits, and nobody sleeps whom no wake is coming to |
//! | `CONTENDED` alone | no permit, and somebody may sleep |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | try, or acquire without having slept | `n` > 0 | `n - 1` | has a permit |
//! | acquire after having slept | 1 | `CONTENDED` | has a permit |
//! | acquire after having slept | `n` > 1 | `n - 1` | has a permit, wakes one |
//! | acquire | 0 | `CONTENDED` | sleeps while it is `CONTENDED`, acquires again |
//! | acquire | `CONTENDED` | `CONTENDED` | the same |
//! | release of `k` | `n` | `n + k` | |
//! | release of `k` | `CONTENDED` | `k` | wakes one |
//!
//! A release leaves the bit as it is, so a release of one is an addition, which needs not know what
//! it adds to. Every acquire takes the bit away, or means it.
//!
//! So wakes go in a chain: whoever was woken, and leaves permits behind, wakes the next. There is
//! one wake under way at most for each time that the permits had run out, however many releases
//! come meanwhile; a release makes one wake call; and no more threads are woken than permits were
//! there for them.
//!
//! Each step is one update of the word, and whatever is decided, is decided in it. There is one
//! exception: an addition past `MAX_VALUE` is taken back in a second step. Between the two the
//! permit too many could be acquired, by which nobody is harmed but who acquires all the 2^30 that
//! come before it.
//!
//! # Invariants
//!
//! 1. The permits in the word, and those that are held, are together as many as were given to
//!    `new` and to `release`, less those acquired: none is made or lost. (models
//!    `programs::toilet_*`, `semaphore::one_permit_*`)
//! 2. Whoever acquires a permit sees all that was written before any release that came before.
//!    (models `semaphore::hand_over*`)
//! 3. While a thread sleeps, the word is `CONTENDED`, or a wake is under way, or a thread that was
//!    woken has yet to acquire: it makes the word `CONTENDED`, or wakes the next, as it cannot know
//!    that it was the last. So nobody sleeps beside a permit. (models `semaphore::release_n_*`,
//!    `semaphore::two_releases_*`)
//! 4. A waiter that times out leaves at most a `CONTENDED` that is not so: one wake for nothing.
//!    It has not consumed a wake. (models `semaphore::timeout_against_release`,
//!    `semaphore::timeout_beside_a_waiter_*`)
//! 5. The word never holds more permits than the limit: a release past it changes nothing. (models
//!    `semaphore::over_release*`)

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Outcome, Private};
use crate::guard::{Guard, Guarded, sealed};
use crate::spin;
use crate::sync::{AtomicU32, Ordering, const_fn, fetch_update_from};

/// Without permits: somebody may sleep.
const CONTENDED: u32 = 1 << 31;

/// The largest number of permits. There is as much room above it, for as many additions past it
/// at the same time.
const MAX_VALUE: u32 = CONTENDED / 2 - 1;

/// The permits in a word.
#[inline]
const fn permits(state: u32) -> u32 {
    state & !CONTENDED
}

/// The word of both semaphores, and all that is done with it.
struct Permits {
    state: AtomicU32,
}

impl Permits {
    const_fn! {
        fn new(value: u32) -> Self {
            assert!(value <= MAX_VALUE, "semaphore initial value too large");
            Self {
                state: AtomicU32::new(value),
            }
        }
    }

    /// The number of permits. Relaxed: an answer that may be old already can order nothing.
    fn value(&self) -> u32 {
        permits(self.state.load(Ordering::Relaxed))
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        self.update(|state| permits(state).checked_sub(1)).is_ok()
    }

    #[cold]
    fn acquire_slow(&self, deadline: Deadline) -> bool {
        if deadline == Deadline::Now {
            return false;
        }
        if spin::poll(deadline, || self.value() > 0 && self.try_acquire()) {
            return true;
        }
        // Whether this thread may have been woken, and so has others to think of (invariant 3).
        let mut slept = false;
        loop {
            let before = self.update(|state| match state {
                CONTENDED => None,
                0 => Some(CONTENDED),
                _ if slept && permits(state) == 1 => Some(CONTENDED),
                _ => Some(permits(state) - 1),
            });
            let before = before.map_or(0, permits);
            if before > 0 {
                if slept && before > 1 {
                    futex::wake::<Private>(&raw const self.state, 1);
                }
                return true;
            }
            if futex::wait::<Private>(&self.state, CONTENDED, deadline) == Outcome::TimedOut {
                return false;
            }
            slept = true;
        }
    }

    /// Adds one permit, unless there are `MAX_VALUE`.
    #[inline]
    fn release_one(&self) -> Result<(), ReleaseError> {
        let word = &raw const self.state;
        // Release: as in `release`.
        let before = self.state.fetch_add(1, Ordering::Release);
        // From here on the semaphore may be gone: the next holder may have freed it.
        if before < MAX_VALUE {
            return Ok(());
        }
        if permits(before) < MAX_VALUE {
            Self::wake_after(before, word);
            return Ok(());
        }
        // Relaxed: what nobody was to have hands nothing over.
        self.state.fetch_sub(1, Ordering::Relaxed);
        Err(ReleaseError::Overflow)
    }

    /// Adds `count` permits, or none if there would be more than `limit`. It is fastest if the word
    /// is as `guess` says.
    #[inline]
    fn release(
        &self,
        count: u32,
        limit: u32,
        past_limit: ReleaseError,
        guess: u32,
    ) -> Result<(), ReleaseError> {
        if count == 0 {
            return Err(ReleaseError::ZeroPermits);
        }
        let word = &raw const self.state;
        // Release: pairs with the Acquire of `update` (invariant 2).
        let before = fetch_update_from(
            guess,
            &self.state,
            Ordering::Release,
            Ordering::Relaxed,
            |state| {
                permits(state)
                    .checked_add(count)
                    .filter(|&sum| sum <= limit)
            },
        );
        // From here on the semaphore may be gone: the next holder may have freed it.
        before
            .map(|before| Self::wake_after(before, word))
            .map_err(|_| past_limit)
    }

    /// Wakes one if somebody may sleep who was there `before` the release.
    #[inline]
    fn wake_after(before: u32, word: *const AtomicU32) {
        if before == CONTENDED {
            futex::wake::<Private>(word, 1);
        }
    }

    /// Takes permits. Acquire: pairs with the Release of those who gave them (invariant 2).
    #[inline]
    fn update(&self, next: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, next)
    }
}

/// What the two semaphores have alike: all but how they are made, and what limits a release.
macro_rules! semaphore {
    ($Semaphore:ident) => {
        impl $Semaphore {
            /// Acquires a permit, and waits for one as long as it takes.
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
            pub fn acquire(&self) {
                if !self.try_acquire() {
                    self.permits.acquire_slow(Deadline::Never);
                }
            }

            /// Acquires a permit if there is one, and says whether it did. Never waits.
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
            pub fn try_acquire(&self) -> bool {
                self.permits.try_acquire()
            }

            /// Acquires a permit, waiting for one no longer than `timeout`, and says whether it
            /// did.
            ///
            /// Python's `acquire(timeout=seconds)`. A timeout of zero does not wait; one that is
            /// too long for the clock ([`Duration::MAX`]) waits for ever. Time is that of the
            /// monotonic clock.
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
            pub fn acquire_timeout(&self, timeout: Duration) -> bool {
                self.try_acquire() || self.permits.acquire_slow(Deadline::after(timeout))
            }

            /// Acquires a permit, waiting for one no longer than until `deadline`, and says
            /// whether it did.
            ///
            /// As [`acquire_timeout`](Self::acquire_timeout), for several waits that share one
            /// end.
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
            pub fn acquire_until(&self, deadline: Instant) -> bool {
                self.try_acquire() || self.permits.acquire_slow(Deadline::At(deadline))
            }

            /// Releases a permit, whichever thread acquired it. Never waits.
            ///
            /// # Errors
            ///
            /// As [`release_n`](Self::release_n).
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
            pub fn release(&self) -> Result<(), ReleaseError> {
                self.release_n(1)
            }

            /// The number of permits that are there. By the time you look, that may have changed.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let semaphore = racefree::", stringify!($Semaphore), "::new(3);")]
            /// assert_eq!(semaphore.value(), 3);
            /// ```
            #[must_use]
            pub fn value(&self) -> u32 {
                self.permits.value()
            }

            /// Acquires a permit, waiting as long as it takes, and releases it when the guard is
            /// dropped.
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
            pub fn guard(&self) -> Guard<'_, Self> {
                self.acquire();
                Guard::new(self)
            }
        }

        impl Default for $Semaphore {
            /// One permit, as in Python.
            fn default() -> Self {
                Self::new(1)
            }
        }

        impl Guarded for $Semaphore {}

        impl sealed::Sealed for $Semaphore {
            type Release = ();

            #[inline]
            fn release_guarded(&self) -> Result<(), ReleaseError> {
                self.release()
            }
        }
    };
}

/// A number of permits to do something: Python's `threading.Semaphore`.
///
/// Each [`acquire`](Self::acquire) takes a permit, and waits if there is none; each
/// [`release`](Self::release) adds one. Nobody owns a permit: any thread may release, and more may
/// be released than were ever acquired. If that would be a mistake, use [`BoundedSemaphore`].
///
/// It is 4 bytes, needs no allocation, and can be a `static`. What happens before a release happens
/// before the acquires that follow it.
///
/// It is not fair: a thread that comes at the right moment may overtake those that wait.
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
pub struct Semaphore {
    permits: Permits,
}

semaphore!(Semaphore);

impl Semaphore {
    /// The largest number of permits that a semaphore can hold: 2^30 - 1.
    pub const MAX_VALUE: u32 = MAX_VALUE;

    const_fn! {
        /// A semaphore with `value` permits.
        ///
        /// # Panics
        ///
        /// If `value` is over [`MAX_VALUE`](Self::MAX_VALUE).
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(racefree::Semaphore::new(5).value(), 5);
        /// ```
        #[must_use]
        pub fn new(value: u32) -> Self {
            Self {
                permits: Permits::new(value),
            }
        }
    }

    /// Releases `n` permits at once. Never waits.
    ///
    /// Makes one wake call at most; the threads that wait for the permits then wake one another,
    /// as many as there are permits.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::ZeroPermits`] if `n` is 0 (CPython: `ValueError`, "n must be one or more"),
    /// and [`ReleaseError::Overflow`] if there would be more than [`MAX_VALUE`](Self::MAX_VALUE)
    /// permits. Nothing is released then.
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
    pub fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        match n {
            1 => self.permits.release_one(),
            // The guess: they have run out.
            n => self
                .permits
                .release(n, MAX_VALUE, ReleaseError::Overflow, 0),
        }
    }
}

/// As Python's `repr`: `<racefree::Semaphore at 0x7ffd5e0f1c2c: value=3>`.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::Semaphore at {:p}: value={}>",
            &raw const *self,
            self.value()
        )
    }
}

/// A number of permits that never grows past where it began: Python's
/// `threading.BoundedSemaphore`.
///
/// As [`Semaphore`], but a release too many is an error, which changes nothing. What guards a
/// resource of limited size should be of this type, so that the mistake is seen.
///
/// It is 8 bytes.
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
    permits: Permits,
    initial: u32,
}

semaphore!(BoundedSemaphore);

impl BoundedSemaphore {
    const_fn! {
        /// A semaphore with `value` permits, now and at most.
        ///
        /// # Panics
        ///
        /// If `value` is over [`Semaphore::MAX_VALUE`].
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(racefree::BoundedSemaphore::new(5).value(), 5);
        /// ```
        #[must_use]
        pub fn new(value: u32) -> Self {
            Self {
                permits: Permits::new(value),
                initial: value,
            }
        }
    }

    /// The number of permits that there were at first, and are at most.
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

    /// Releases `n` permits at once. Never waits.
    ///
    /// Makes one wake call at most, as [`Semaphore::release_n`].
    ///
    /// # Errors
    ///
    /// [`ReleaseError::ZeroPermits`] if `n` is 0 (CPython: `ValueError`, "n must be one or more"),
    /// and [`ReleaseError::TooManyReleases`] if there would be more permits than
    /// [`initial_value`](Self::initial_value) (CPython: `ValueError`, "Semaphore released too many
    /// times"). Nothing is released then.
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
    pub fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        // The guess: all others are there, and nobody sleeps.
        self.permits.release(
            n,
            self.initial,
            ReleaseError::TooManyReleases,
            self.initial.wrapping_sub(n),
        )
    }
}

/// As Python's `repr`: `<racefree::BoundedSemaphore at 0x7ffd5e0f1c2c: value=3/5>`.
impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::BoundedSemaphore at {:p}: value={}/{}>",
            &raw const *self,
            self.value(),
            self.initial
        )
    }
}
