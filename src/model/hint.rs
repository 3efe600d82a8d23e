//! The engine's [`spin_loop`], with `std::hint`'s interface.

// Uses the engine.

pub use super::engine::spin_loop;
