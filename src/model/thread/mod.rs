//! The engine's threads, with `std::thread`'s interface: on real threads they are std's.
//!
//! Under a checker, time does not pass: [`sleep`] lets the others run, and [`park_timeout`] may end
//! at once or when it is unparked. What is not here can not be had there:
//!
//! - `JoinHandle::is_finished`: it would be a step that depends on all steps of the thread; use an
//!   atomic.
//! - The methods of [`LocalKey`] but `with` and `try_with`, and `const` initializers.
//! - `available_parallelism`: use a number that you choose.

// Uses the engine, and `observe`; the twins use the futex as well.

#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
mod parker;
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
mod twin;

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub use super::engine::thread::LocalKey;
#[cfg(all(
    feature = "trace",
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
pub use std::thread::LocalKey;
#[cfg(not(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
)))]
pub use std::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Result, Scope, ScopedJoinHandle, Thread, ThreadId,
    current, panicking, park, park_timeout, scope, sleep, spawn, yield_now,
};
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub use twin::{
    Builder, JoinHandle, Result, Scope, ScopedJoinHandle, Thread, ThreadId, current, panicking,
    park, park_timeout, scope, sleep, spawn, yield_now,
};
