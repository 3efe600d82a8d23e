//! The primitives between processes: what each does between two of them, and what the others see if
//! one dies. The children are this program, started anew.
#![cfg(all(feature = "process", target_os = "linux", not(racefree_parking)))]

#[path = "process/barrier.rs"]
mod barrier;
#[path = "process/child.rs"]
mod child;
#[path = "process/condition.rs"]
mod condition;
#[path = "process/event.rs"]
mod event;
#[path = "process/hostile.rs"]
mod hostile;
#[path = "process/lock.rs"]
mod lock;
#[path = "process/prompt.rs"]
mod prompt;
#[path = "process/queue.rs"]
mod queue;
#[path = "process/region.rs"]
mod region;
#[path = "process/rlock.rs"]
mod rlock;
#[path = "process/semaphore.rs"]
mod semaphore;
