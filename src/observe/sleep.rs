//! How long a call may wait, and how its thread is to sleep.
//!
//! Uses nothing else of this crate.

use core::time::Duration;

/// How a thread that is about to sleep does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "without the deadlock checker, always as asked")]
pub(crate) enum Sleep {
    AsAsked,
    /// No longer than this at a time.
    InPieces(Duration),
    /// Not at all: its time is up, whatever its deadline.
    GiveUp,
}

/// How long a call may wait.
pub(crate) trait MayWait {
    /// Whether it is for a time and not forever. `None` if it does not wait.
    #[allow(dead_code, reason = "only the deadlock checker asks")]
    fn is_timed(&self) -> Option<bool>;
}
