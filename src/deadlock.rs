//! Reports of deadlocks that have happened and of those that could, in an ordinary run of a
//! program. With the feature `deadlock` only, and not under a checker.
//!
//! [`guide::deadlocks`](crate::guide::deadlocks) says what is reported, and at what cost.

pub use crate::observe::deadlock::report::{
    Hooked, Kind, Report, Reports, collect, on_report, set_long_wait, set_panics, set_stacks,
};
