//! The engine's threads: `spawn`, `yield_now`, `current`, `park`, `JoinHandle`.

// Uses the engine.
pub use super::engine::thread::{JoinHandle, Thread, current, park, spawn, yield_now};
