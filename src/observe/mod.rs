//! What watches the primitives: each public method tells here what it begins, on which object, from
//! which line of the user's, and how it ended.
//!
//! Under a checker, or with the feature `trace`, that is kept as the trace of the execution
//! ([`trace`]). With the feature `deadlock`, on real threads, the deadlock checker follows it
//! ([`deadlock`]), and passes it on. Otherwise nothing is kept: the functions are empty, and
//! [`Object`] has no size.
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

mod sleep;
pub(crate) mod steps;
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
pub(crate) mod trace;
mod under;

#[cfg(not(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
)))]
mod silent;

// Threads of a model are not the system's.
#[cfg(all(
    feature = "deadlock",
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
pub(crate) mod deadlock;

pub(crate) use sleep::{MayWait, Sleep};
pub(crate) use steps::{Act, GIVES_UP, GUARD_DROPPED, TAKES_AGAIN};

#[cfg(all(
    feature = "deadlock",
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
use deadlock as over;
#[cfg(not(all(
    feature = "deadlock",
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
)))]
use under as over;

pub(crate) use over::{Here, Object, sleeps, users};
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) use trace::{inner, thread, wakes, woken_for_nothing};
pub(crate) use under::{Trace, Watching};

/// Defines the method by which a primitive gets a name. `$example`: a line that calls it.
macro_rules! named {
    ($example:expr) => {
        /// Gives it a name, by which the reports of failing checks call it: see
        /// [`model`](crate::model). Otherwise this is compiled to nothing.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $example]
        /// ```
        #[must_use]
        #[inline]
        pub const fn named(mut self, name: &'static str) -> Self {
            self.object.set_name(name);
            self
        }
    };
}

pub(crate) use named;
