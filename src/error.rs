//! What can go wrong, in Python's words.

use core::{error, fmt};

/// Why a `release` was refused. Nothing has changed: the lock or semaphore is as it was.
///
/// The text of each is that of the exception that CPython raises in the same place.
///
/// # Examples
///
/// ```
/// use racefree::{Lock, ReleaseError};
///
/// let error = Lock::new().release().unwrap_err();
/// assert_eq!(error, ReleaseError::Unlocked);
/// assert_eq!(error.to_string(), "release unlocked lock");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The [`Lock`](crate::Lock) was not locked (CPython: `RuntimeError`).
    Unlocked,
    /// The calling thread does not own the [`RLock`](crate::RLock) (CPython: `RuntimeError`).
    NotOwner,
    /// The [`BoundedSemaphore`](crate::BoundedSemaphore) would have more permits than it began
    /// with (CPython: `ValueError`).
    TooManyReleases,
    /// Zero permits were to be released (CPython: `ValueError`).
    ZeroPermits,
    /// The [`Semaphore`](crate::Semaphore) would have more permits than
    /// [`MAX_VALUE`](crate::Semaphore::MAX_VALUE) (CPython: counts without end).
    Overflow,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlocked => "release unlocked lock",
            Self::NotOwner => "cannot release un-acquired lock",
            Self::TooManyReleases => "Semaphore released too many times",
            Self::ZeroPermits => "n must be one or more",
            Self::Overflow => "semaphore value too large",
        })
    }
}

impl error::Error for ReleaseError {}
