//! The errors and the news of the primitives between processes.

use core::{error, fmt};
use std::io;

/// The reason why a region was neither created nor attached. Nothing has been changed.
///
/// # Examples
///
/// ```
/// use racefree::process::{Lock, RegionError, Shared};
///
/// let empty = tempfile::tempfile().unwrap();
/// let error = Shared::<Lock>::attach(&empty).unwrap_err();
/// assert!(matches!(error, RegionError::Size { found: 0, .. }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RegionError {
    /// The system refused a call.
    System {
        /// What the call was to do.
        to: &'static str,
        /// The system's answer.
        error: io::Error,
    },
    /// The file is not a region of this crate, or is one of another architecture.
    Foreign,
    /// The region was created by another version of this crate.
    Version {
        /// The version of the region's format.
        found: u32,
        /// The version that this program uses.
        expected: u32,
    },
    /// The region contains another type: its fields have other names, types or places.
    Layout,
    /// The file is truncated, or has another size than a region of this type.
    Size {
        /// The size of the file, in bytes.
        found: u64,
        /// The size of a region of this type, in bytes.
        expected: u64,
    },
    /// As many processes are attached as there are slots in a region:
    /// [`MAX_PROCESSES`](super::MAX_PROCESSES).
    TooManyProcesses,
    /// This process is attached to as many regions as it can be:
    /// [`MAX_REGIONS`](super::MAX_REGIONS).
    TooManyRegions,
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { to, error } => write!(f, "cannot {to}: {error}"),
            Self::Foreign => f.write_str("not a region of racefree"),
            Self::Version { found, expected } => {
                write!(f, "a region of version {found}, not of version {expected}")
            }
            Self::Layout => f.write_str("a region of another type"),
            Self::Size { found, expected } => {
                write!(f, "a region of {found} bytes, not of {expected}")
            }
            Self::TooManyProcesses => f.write_str("too many processes are attached to the region"),
            Self::TooManyRegions => f.write_str("the process is attached to too many regions"),
        }
    }
}

impl error::Error for RegionError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// News that come with an acquired primitive, or in its place.
///
/// Used by the forms with a guard: the error holds the guard where the primitive was acquired.
pub(super) trait News: Sized {
    /// The same news with a guard in it.
    type With<G>;

    /// Adds a guard, which is made only if the primitive was acquired.
    fn with<G>(self, guard: impl FnOnce() -> G) -> Self::With<G>;
}

/// What an acquire of a [`Lock`](super::Lock) or an [`RLock`](super::RLock) tells of a process that
/// died.
///
/// `G` is the guard, for the forms that return one.
///
/// # Examples
///
/// ```
/// use racefree::process::LockError;
///
/// assert_eq!(LockError::<()>::Lost.to_string(), "the lock is lost: its owner died, and its data was not repaired");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockError<G = ()> {
    /// **The lock was acquired.** A process died while it held the lock, so the data that the lock
    /// protects may be inconsistent. After a repair, call `repaired` before the release. A release
    /// without it makes the lock [`Lost`](Self::Lost).
    OwnerDied(G),
    /// The lock was not acquired, and never will be. A process died while it held the lock, and the
    /// process that acquired it next released it without calling `repaired`.
    Lost,
}

impl News for LockError {
    type With<G> = LockError<G>;

    fn with<G>(self, guard: impl FnOnce() -> G) -> LockError<G> {
        match self {
            Self::OwnerDied(()) => LockError::OwnerDied(guard()),
            Self::Lost => LockError::Lost,
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => "the lock was acquired, but its owner died",
            Self::Lost => "the lock is lost: its owner died, and its data was not repaired",
        })
    }
}

impl<G: fmt::Debug> error::Error for LockError<G> {}

/// The news of an acquire of a [`BoundedSemaphore`](super::BoundedSemaphore): **a permit was
/// acquired**, and since the last acquire the permits of processes that died were returned.
///
/// What these processes used under their permits may be in any state.
///
/// # Examples
///
/// ```
/// use racefree::process::{BoundedSemaphore, Shared};
///
/// let stalls = Shared::create(BoundedSemaphore::new(2))?;
/// let other = Shared::<BoundedSemaphore>::attach(&stalls)?;
/// other.acquire().unwrap();
/// other.acquire().unwrap();
/// drop(other);
///
/// let news = stalls.acquire().unwrap_err();
/// assert_eq!(news.permits, 2);
/// assert_eq!(news.to_string(), "a permit was acquired, and 2 were those of processes that died");
/// assert_eq!(stalls.value(), 1);
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldersDied<G = ()> {
    /// The guard, for the forms that return one.
    pub acquired: G,
    /// How many permits were returned.
    pub permits: u32,
}

impl News for HoldersDied {
    type With<G> = HoldersDied<G>;

    fn with<G>(self, guard: impl FnOnce() -> G) -> HoldersDied<G> {
        HoldersDied {
            acquired: guard(),
            permits: self.permits,
        }
    }
}

impl<G> fmt::Display for HoldersDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = self.permits;
        write!(
            f,
            "a permit was acquired, and {permits} were those of processes that died"
        )
    }
}

impl<G: fmt::Debug> error::Error for HoldersDied<G> {}

/// The error of a wait on a [`Condition`](super::Condition), or of a notification.
///
/// # Examples
///
/// ```
/// use racefree::process::{Condition, ConditionError, Shared};
///
/// let condition = Shared::create(Condition::new())?;
/// let error = condition.wait().unwrap_err();
/// assert_eq!(error, ConditionError::NotOwner);
/// assert_eq!(error.to_string(), "the lock of the condition is not held by this thread");
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionError {
    /// The calling thread does not hold the lock. Nothing has been changed.
    NotOwner,
    /// As many threads wait as can: [`MAX_WAITERS`](super::MAX_WAITERS). Nothing has been changed.
    TooManyWaiters,
    /// The wait is over, and **the lock is held again**, but a process died while it held the lock.
    /// See [`LockError::OwnerDied`].
    OwnerDied,
    /// The wait is over, and the lock is not held: it is lost. See [`LockError::Lost`].
    Lost,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOwner => "the lock of the condition is not held by this thread",
            Self::TooManyWaiters => "too many threads wait for the condition",
            Self::OwnerDied => "the lock of the condition is held, but its owner died",
            Self::Lost => "the lock of the condition is lost",
        })
    }
}

impl error::Error for ConditionError {}

/// The reason why a wait on a [`Barrier`](super::Barrier) ended before all parties arrived.
///
/// # Examples
///
/// ```
/// use racefree::process::{Barrier, BarrierError, Shared};
///
/// let barrier = Shared::create(Barrier::new(2))?;
/// barrier.abort();
/// assert_eq!(barrier.wait(), Err(BarrierError::Aborted));
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BarrierError {
    /// The barrier was aborted.
    Aborted,
    /// The barrier was reset while this thread was waiting.
    Reset,
    /// This wait or another wait timed out.
    TimedOut,
    /// A process died while it waited at the barrier.
    ProcessDied {
        /// Its process id, in its own namespace. `None` if its slot has been used again.
        pid: Option<u32>,
    },
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "the barrier is broken: it was aborted",
            Self::Reset => "the barrier was reset",
            Self::TimedOut => "the barrier is broken: a wait timed out",
            Self::ProcessDied { pid: Some(pid) } => {
                return write!(f, "the barrier is broken: process {pid} died");
            }
            Self::ProcessDied { pid: None } => "the barrier is broken: a process died",
        })
    }
}

impl error::Error for BarrierError {}

/// The queue has no place for the item: Python's `queue.Full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is full")
    }
}

impl error::Error for Full {}

/// The queue has no item: Python's `queue.Empty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is empty")
    }
}

impl error::Error for Empty {}
