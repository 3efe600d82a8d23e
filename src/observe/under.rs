//! What is told when no deadlock checker stands between: the trace, or nothing.

#[cfg(not(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
)))]
pub(crate) use super::silent::*;
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub(crate) use super::trace::*;
