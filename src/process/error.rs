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
