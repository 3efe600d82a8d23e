//! `multiprocessing.Lock`: see `word.rs` for the state machine.

use core::fmt;
use std::time::{Duration, Instant};

use super::error::LockError;
use super::guard::{Acquire, Guard, acquires};
use super::member::Me;
use super::region::{Share, layout_of};
use super::word::{INCONSISTENT, IsLost, Taken, Word};
use crate::deadline::Deadline;
use crate::error::ReleaseError;

/// The news of a word that was taken.
pub(super) fn news(taken: Result<Option<Taken>, IsLost>) -> Result<bool, LockError> {
    match taken {
        Ok(Some(Taken::Free)) => Ok(true),
        Ok(Some(Taken::FromTheDead)) => Err(LockError::OwnerDied(())),
        Ok(None) => Ok(false),
        Err(IsLost) => Err(LockError::Lost),
    }
}

/// A lock between processes, which any process may release: Python's `multiprocessing.Lock`.
///
/// It knows which process acquired it. If that process dies while it holds the lock, the next
/// acquire succeeds with the news [`LockError::OwnerDied`]. Its caller repairs the data that the
/// lock protects, and calls [`repaired`](Self::repaired). If it releases the lock without that, the
/// lock is [`LockError::Lost`] for all.
///
/// A waiter notices a death within 50 ms.
///
/// A `Lock` is 4 bytes in size. Everything that happens before a release, or before the death of the
/// owner, happens before the acquire that follows it.
///
/// # Examples
///
/// ```
/// use racefree::process::{Lock, LockError, Shared};
///
/// let lock = Shared::create(Lock::new())?;
/// // Another attachment, which ends while it holds the lock, as a process that dies does.
/// let other = Shared::<Lock>::attach(&lock)?;
/// other.acquire().unwrap();
/// drop(other);
///
/// assert_eq!(lock.acquire(), Err(LockError::OwnerDied(())));
/// lock.repaired().unwrap();
/// lock.release().unwrap();
/// assert_eq!(lock.acquire(), Ok(()));
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Lock {
    word: Word,
}

// SAFETY: it is an atomic, every value of which is a state.
unsafe impl Share for Lock {
    const LAYOUT: u64 = layout_of::<Self>("Lock");
}

impl Acquire for Lock {
    type News = LockError;
    type Release = ();

    #[inline]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, LockError> {
        news(self.word.take(Me::at(self), INCONSISTENT, deadline))
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        self.word.release(Me::at(self))
    }
}

impl Lock {
    /// Creates an unlocked lock, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// assert!(!lock.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { word: Word::new() }
    }

    acquires!("Lock", "Lock::new()", LockError);

    /// Releases the lock, whichever process acquired it.
    ///
    /// A release after [`LockError::OwnerDied`] and without [`repaired`](Self::repaired) makes the
    /// lock [`Lost`](LockError::Lost).
    ///
    /// # Errors
    ///
    /// [`ReleaseError::Unlocked`] if the lock is not locked.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::ReleaseError;
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// assert_eq!(lock.release(), Err(ReleaseError::Unlocked));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give_back()
    }

    /// Declares the data repaired, after an acquire with [`LockError::OwnerDied`]. Does nothing
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotOwner`] if this process does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, LockError, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// let other = Shared::<Lock>::attach(&lock)?;
    /// other.acquire().unwrap();
    /// drop(other);
    ///
    /// // Nobody repairs anything.
    /// assert_eq!(lock.acquire(), Err(LockError::OwnerDied(())));
    /// lock.release().unwrap();
    /// assert_eq!(lock.acquire(), Err(LockError::Lost));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn repaired(&self) -> Result<(), ReleaseError> {
        let repaired = self.word.repair(Me::at(self));
        repaired.then_some(()).ok_or(ReleaseError::NotOwner)
    }

    /// Returns `true` if the lock is held, by the living or the dead, or is lost. The result may be
    /// out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// lock.acquire().unwrap();
    /// assert!(lock.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.word.is_held()
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.locked() { "locked" } else { "unlocked" };
        write!(f, "<racefree::process::Lock {state}>")
    }
}
