//! The engine's atomics, and the rest of `std::sync` that a checked body reaches for.
//!
//! On real threads they are std's. For locks, use this crate's own: [`Mutex`](crate::Mutex) and the
//! rest; a `std::sync::Mutex` that is held while another thread runs hangs a checker, which does not
//! see that it is held.

// Uses the engine, and `observe`; the twins use the primitives as well.

#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
mod twin;

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub mod mpsc;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
mod once;

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub use once::{LazyLock, OnceLock};
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
pub use std::sync::{LazyLock, OnceLock, mpsc};

pub use crate::barrier::Barrier;
pub use crate::condvar::Condvar;

/// `std`'s, with every engine: what is counted by a checker's own would add interleavings of
/// the counts.
pub use std::sync::{Arc, Weak};

/// The engine's atomics, with std's interface. Under loom and shuttle, `new` registers each with the
/// checker.
///
/// Under a checker, `get_mut`, `from_mut`, `as_ptr` and `from_ptr` are not here: what goes through a
/// reference or a pointer it does not see. `into_inner` is, and `with_mut` under loom's name for it.
pub mod atomic {
    #[cfg(not(any(
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle"),
        feature = "trace"
    )))]
    pub use std::sync::atomic::{
        AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
        AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    };

    #[cfg(any(
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle"),
        feature = "trace"
    ))]
    pub use super::twin::{
        AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
        AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    };
    pub use crate::model::engine::atomic::{Ordering, fence};
}
