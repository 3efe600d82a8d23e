//! What watches the primitives: each public method tells here what it begins, on which object, from
//! which line of the user's, and how it ended.
//!
//! Under a checker, or with the feature `trace`, that is kept as the trace of the execution
//! ([`trace`]). Otherwise nothing is: the functions are empty, and [`Object`] has no size.
//!
//! What is told is what the method means, and not how it does it: so the same is told whether the
//! code runs or its specification. A method reads
//!
//! ```text
//! #[inline]
//! #[track_caller]
//! pub fn acquire(&self) {
//!     self.object.call(Act::Take, "acquire").ends(self.raw.acquire())
//! }
//! ```
//!
//! A thread that falls asleep within says so by [`sleeps`], and one that wakes another by [`wakes`].
//!
//! Uses nothing of this crate.

pub(crate) mod steps;
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub(crate) mod trace;

#[cfg(not(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
)))]
mod silent;

pub(crate) use steps::Act;

#[cfg(not(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
)))]
pub(crate) use silent::Object;
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub(crate) use trace::Object;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) use trace::{inner, sleeps, thread, wakes, woken_for_nothing};
