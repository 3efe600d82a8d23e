//! Twelve mistakes that people make with locks, semaphores, events, conditions and barriers. Each
//! module is a small piece of a program, and a body that checks it.

pub mod bank;
pub mod cache;
pub mod config;
pub mod counter;
pub mod gate;
pub mod handoff;
pub mod jobs;
pub mod mailbox;
pub mod pool;
pub mod printer;
pub mod queue;
pub mod stock;
