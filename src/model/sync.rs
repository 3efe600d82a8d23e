//! The engine's atomics, and what goes with them.

// Uses the engine.

/// `std`'s, with every engine: what is counted by a checker's own would add interleavings of
/// the counts.
pub use std::sync::Arc;

/// The engine's atomics. Under loom and shuttle, `new` registers each with the checker.
pub mod atomic {
    #[cfg(target_has_atomic = "64")]
    pub use crate::model::engine::atomic::AtomicU64;
    pub use crate::model::engine::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
}
