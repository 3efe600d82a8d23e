//! The primitives between processes: what each does between two of them, and what the others see if
//! one dies. The children are this program, started anew.
#![cfg(all(feature = "process", target_os = "linux", not(racefree_parking)))]

#[path = "process/child.rs"]
mod child;
#[path = "process/lock.rs"]
mod lock;
#[path = "process/region.rs"]
mod region;
