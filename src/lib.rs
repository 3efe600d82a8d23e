#![doc = include_str!("../README.md")]

mod barrier;
mod condition;
mod deadline;
mod error;
mod event;
mod futex;
mod guard;
mod lock;
pub mod model;
mod queue;
mod rlock;
mod semaphore;
mod spin;
mod sync;

pub use barrier::Barrier;
pub use condition::{Condition, ConditionLock};
pub use error::{BrokenBarrierError, NotOwnerError, ReleaseError};
pub use event::Event;
pub use guard::{Guard, Guarded};
pub use lock::Lock;
pub use rlock::RLock;
pub use semaphore::{BoundedSemaphore, Semaphore};
