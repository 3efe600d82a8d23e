//! What runs a check, one engine a file: the kind of engine, its number of executions, `run`, and its
//! threads and atomics. An engine uses the settings and what is below `model`; it is used by all of
//! `model`.

#[cfg_attr(all(loom, feature = "loom"), path = "loom.rs")]
#[cfg_attr(
    all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))),
    path = "shuttle.rs"
)]
#[cfg_attr(
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))),
    path = "threads.rs"
)]
mod imp;

pub(crate) use imp::{ENGINE, atomic, run, thread};
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub(crate) use imp::{STOPS, sleep, spawn, stopping};
pub use imp::{spin_loop, thread_local};
