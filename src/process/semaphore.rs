//! `multiprocessing.Semaphore`: one word, which has no owners.
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 to 29 | | the permits |
//! | 31 | `AWAITED` | threads may sleep |
//!
//! | step | from | to | and then |
//! |---|---|---|---|
//! | acquire | permits | one permit less | has it |
//! | sleep | no permits | `AWAITED` as well | sleeps while it is just that, for a piece of time; acquires |
//! | release of `n` | any | `n` permits more, not `AWAITED` | wakes all if it was |
//! | release of too many | any | the same | error |
//!
//! Each step is one change of one word: a process that dies leaves a state.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::guard::{Acquire, Guard, endless, guarding};
use super::region::{Share, layout_of};
use super::word::sleep;
use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::futex::{self, Shared};

const AWAITED: u32 = 1 << 31;

/// A counter of permits between processes: Python's `multiprocessing.Semaphore`.
///
/// It does not know which process holds a permit: any process may release permits, whether it
/// acquired any or not. So **the permits of a process that dies are lost**. Use a
/// [`BoundedSemaphore`](super::BoundedSemaphore), which returns them, unless permits are a signal
/// from one process to another.
///
/// A `Semaphore` is 4 bytes in size. Everything that happens before a release happens before each
/// acquire that follows it.
///
/// # Examples
///
/// ```
/// use racefree::process::{Semaphore, Shared};
///
/// let items = Shared::create(Semaphore::new(0))?;
/// items.release().unwrap();
/// items.acquire();
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Semaphore {
    word: AtomicU32,
}

// SAFETY: it is an atomic, every value of which is a state.
unsafe impl Share for Semaphore {
    const LAYOUT: u64 = layout_of::<Self>("Semaphore");
}

/// No news: nobody's death is told.
#[doc(hidden)]
#[derive(Debug)]
pub enum NoNews {}

impl super::error::News for NoNews {
    type With<G> = Self;

    fn with<G>(self, _guard: impl FnOnce() -> G) -> Self {
        self
    }
}

impl Acquire for Semaphore {
    type News = NoNews;
    type Release = ();

    #[inline]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, NoNews> {
        Ok(self.take_one() || self.take_slow(deadline()))
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        self.release_n(1)
    }
}

/// What cannot bring news.
fn plain<R>(taken: Result<R, NoNews>) -> R {
    match taken {
        Ok(result) => result,
        Err(none) => match none {},
    }
}

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_VALUE: u32 = (1 << 30) - 1;

    /// Creates a semaphore with `value` permits, to be moved into a region.
    ///
    /// # Panics
    ///
    /// If `value` is more than [`MAX_VALUE`](Self::MAX_VALUE).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(2))?;
    /// assert_eq!(semaphore.value(), 2);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn new(value: u32) -> Self {
        assert!(value <= Self::MAX_VALUE, "semaphore value too large");
        Self {
            word: AtomicU32::new(value),
        }
    }

    /// Acquires a permit, blocking until there is one.
    ///
    /// Python's `acquire()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(1))?;
    /// semaphore.acquire();
    /// assert_eq!(semaphore.value(), 0);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn acquire(&self) {
        plain(self.take(|| Deadline::Never));
    }

    /// Acquires a permit if there is one, and returns `true` if it was acquired. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(!semaphore.try_acquire());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    #[must_use = "the permit may not have been acquired"]
    pub fn try_acquire(&self) -> bool {
        self.take_one()
    }

    /// Acquires a permit, blocking no longer than `timeout`, and returns `true` if it was acquired.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    /// use std::time::Duration;
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(!semaphore.acquire_timeout(Duration::from_millis(1)));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    #[must_use = "the permit may not have been acquired"]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        plain(self.take(|| Deadline::after(timeout)))
    }

    /// Like [`acquire_timeout`](Self::acquire_timeout), but until `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    /// use std::time::Instant;
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(!semaphore.acquire_until(Instant::now()));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    #[must_use = "the permit may not have been acquired"]
    pub fn acquire_until(&self, deadline: Instant) -> bool {
        plain(self.take(|| Deadline::At(deadline)))
    }

    /// Like [`acquire`](Self::acquire), but returns a guard that releases when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(1))?;
    /// let _guard = semaphore.guard();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn guard(&self) -> Guard<'_, Self> {
        endless(plain(guarding(self, || Deadline::Never)))
    }

    /// Like [`try_acquire`](Self::try_acquire), but returns a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(semaphore.try_guard().is_none());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn try_guard(&self) -> Option<Guard<'_, Self>> {
        plain(guarding(self, || Deadline::Now))
    }

    /// Like [`acquire_timeout`](Self::acquire_timeout), but returns a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    /// use std::time::Duration;
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(semaphore.guard_timeout(Duration::from_millis(1)).is_none());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn guard_timeout(&self, timeout: Duration) -> Option<Guard<'_, Self>> {
        plain(guarding(self, || Deadline::after(timeout)))
    }

    /// Like [`acquire_until`](Self::acquire_until), but returns a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    /// use std::time::Instant;
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// assert!(semaphore.guard_until(Instant::now()).is_none());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn guard_until(&self, deadline: Instant) -> Option<Guard<'_, Self>> {
        plain(guarding(self, || Deadline::At(deadline)))
    }

    /// Releases a permit.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::Overflow`] if there are [`MAX_VALUE`](Self::MAX_VALUE) permits already.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// semaphore.release().unwrap();
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.release_n(1)
    }

    /// Releases `n` permits, in one step.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::ZeroPermits`] if `n` is 0. [`ReleaseError::Overflow`] if there would be more
    /// than [`MAX_VALUE`](Self::MAX_VALUE) permits.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(0))?;
    /// semaphore.release_n(3).unwrap();
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        if n == 0 {
            return Err(ReleaseError::ZeroPermits);
        }
        let next = |word: u32| {
            let permits = (word & !AWAITED).checked_add(n)?;
            (permits <= Self::MAX_VALUE).then_some(permits)
        };
        // Release: what was written before comes before the acquire of these permits, and of later
        // ones, as each change of the word is a read-modify-write.
        let before = self
            .word
            .fetch_update(Ordering::Release, Ordering::Relaxed, next);
        if before.map_err(|_| ReleaseError::Overflow)? & AWAITED != 0 {
            futex::wake::<Shared>(&raw const self.word, futex::ALL);
        }
        Ok(())
    }

    /// Returns the number of permits. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Semaphore, Shared};
    ///
    /// let semaphore = Shared::create(Semaphore::new(2))?;
    /// assert_eq!(semaphore.value(), 2);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn value(&self) -> u32 {
        self.word.load(Ordering::Relaxed) & !AWAITED
    }

    #[inline]
    fn take_one(&self) -> bool {
        let next = |word: u32| (word & !AWAITED != 0).then(|| word - 1);
        // Acquire: pairs with the Release of `release_n`.
        (self.word)
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, next)
            .is_ok()
    }

    #[cold]
    fn take_slow(&self, deadline: Deadline) -> bool {
        while !self.take_one() {
            if deadline.has_passed() {
                return false;
            }
            // Relaxed: it says only that a thread sleeps.
            let said = |word: u32| (word & !AWAITED == 0).then_some(AWAITED);
            if (self.word)
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, said)
                .is_ok()
            {
                sleep(&self.word, AWAITED, deadline);
            }
        }
        true
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::process::Semaphore value={}>", self.value())
    }
}
