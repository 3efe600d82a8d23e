#![doc = include_str!("../README.md")]

mod deadline;
mod error;
mod event;
mod futex;
mod guard;
mod lock;
pub mod model;
mod rlock;
mod semaphore;
mod spin;
mod sync;

pub use error::ReleaseError;
pub use event::Event;
pub use guard::{Guard, Guarded};
pub use lock::Lock;
pub use rlock::RLock;
pub use semaphore::{BoundedSemaphore, Semaphore};
