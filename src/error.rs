//! The error types, with Python's texts.

use core::{error, fmt};

/// The error of a `release`. The lock or semaphore has not been changed.
///
/// Each text is that of the exception that CPython raises in the same case.
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
    /// The [`BoundedSemaphore`](crate::BoundedSemaphore) would have more permits than its initial
    /// number (CPython: `ValueError`).
    TooManyReleases,
    /// The call was to release zero permits (CPython: `ValueError`).
    ZeroPermits,
    /// The [`Semaphore`](crate::Semaphore) would have more permits than
    /// [`MAX_VALUE`](crate::Semaphore::MAX_VALUE) (CPython: no limit).
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

/// The error of a wait on a [`Condition`](crate::Condition), or of a notification, if the calling
/// thread does not hold the lock. Nothing has been changed.
///
/// Each text is that of the `RuntimeError` that CPython raises in the same case.
///
/// # Examples
///
/// ```
/// use racefree::{Condition, NotOwnerError};
///
/// let error = Condition::new().wait().unwrap_err();
/// assert_eq!(error, NotOwnerError::Wait);
/// assert_eq!(error.to_string(), "cannot wait on un-acquired lock");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotOwnerError {
    /// The call was a wait.
    Wait,
    /// The call was a notification.
    Notify,
}

impl fmt::Display for NotOwnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wait => "cannot wait on un-acquired lock",
            Self::Notify => "cannot notify on un-acquired lock",
        })
    }
}

impl error::Error for NotOwnerError {}

/// The reason why a wait on a [`Barrier`](crate::Barrier) ended before all parties arrived.
///
/// CPython's `BrokenBarrierError` has no text, and gives no reason.
///
/// # Examples
///
/// ```
/// use racefree::{Barrier, BrokenBarrierError};
///
/// let barrier = Barrier::new(2);
/// barrier.abort();
/// let error = barrier.wait().unwrap_err();
/// assert_eq!(error, BrokenBarrierError::Aborted);
/// assert_eq!(error.to_string(), "the barrier is broken: it was aborted");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BrokenBarrierError {
    /// The barrier was aborted.
    Aborted,
    /// The barrier was reset while this thread was waiting.
    Reset,
    /// This wait or another wait timed out.
    TimedOut,
    /// The barrier's action panicked in another thread.
    ActionPanicked,
}

impl fmt::Display for BrokenBarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "the barrier is broken: it was aborted",
            Self::Reset => "the barrier was reset",
            Self::TimedOut => "the barrier is broken: a wait timed out",
            Self::ActionPanicked => "the barrier is broken: its action panicked",
        })
    }
}

impl error::Error for BrokenBarrierError {}
