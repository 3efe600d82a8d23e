//! Check your own code with the primitives that you ship: one test body, three engines.
//!
//! [`check`] runs a closure again and again, with the primitives of this crate in it, and the
//! threads, atomics and cells of this module:
//!
//! | built with | engine | what it runs |
//! |---|---|---|
//! | `--cfg loom`, feature `loom` | [loom] | every interleaving, and every value that the memory orderings allow a load to see |
//! | `--cfg shuttle`, feature `shuttle` | [shuttle] | random interleavings, sequentially consistent: for what is too large for loom |
//! | neither | real threads | as many runs as [`Builder::executions`] says |
//!
//! A panic, a deadlock, and two accesses to a [`RaceCell`] that are not ordered, fail the check.
//! [`guide::checking`](crate::guide::checking) says how to switch it on.
//!
//! Under loom nothing of this crate can be used outside of a check, at most 5 threads run, the
//! closure's own among them, and primitives can not be `static`s, as loom has to be told of each
//! when it is made; nor may they be used where you have told loom to `stop_exploring`. The closure
//! has to do the same each time: no clock that decides, no random numbers, nothing left over from
//! the run before. Time does not pass in either checker: a wait with a timeout may end in either
//! way, and both are explored.
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle
//!
//! # Examples
//!
//! ```
//! use racefree::Lock;
//! use racefree::model::{RaceCell, check, sync::Arc, thread};
//!
//! check(|| {
//!     let shared = Arc::new((Lock::new(), RaceCell::new(0)));
//!     let add = |shared: &(Lock, RaceCell<i32>)| {
//!         let _guard = shared.0.guard();
//!         shared.1.with_mut(|count| *count += 1);
//!     };
//!     let other = thread::spawn({
//!         let shared = Arc::clone(&shared);
//!         move || add(&shared)
//!     });
//!     add(&shared);
//!     other.join().unwrap();
//!     assert_eq!(shared.1.with(|count| *count), 2);
//! });
//! ```

// Above everything but `lib.rs`: one room a file, and what each uses is at its head.

mod builder;
mod cells;
mod engine;
mod failure;
pub mod hint;
mod names;
mod panics;
mod report;
mod run;
mod settings;
mod story;
mod svg;
pub mod sync;
mod table;
pub mod thread;
mod why;

/// The engine's `thread_local!`.
pub use engine::thread_local;

pub use builder::Builder;
pub use cells::RaceCell;
pub use failure::{Failure, Step};
pub use report::{Engine, Report};
pub use why::FailureKind;

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub use crate::futex::terms::FutexCalls;
pub use crate::futex::terms::WakeOrder;

/// Checks `body` as the engine does by default: [`Builder::check`] of [`Builder::new`].
///
/// # Panics
///
/// If an execution fails.
///
/// # Examples
///
/// ```
/// let report = racefree::model::check(|| assert!(racefree::Lock::new().try_acquire()));
/// assert!(report.executions > 0);
/// ```
#[track_caller]
pub fn check(body: impl Fn() + Send + Sync + 'static) -> Report {
    Builder::new().check(body)
}

/// Has the calling thread stalled when it is woken in one of this crate's primitives, if it is the
/// first of the threads that called this: it then does not run on before [`let_go`]. For a check
/// that the progress of others does not depend on it. With `notified`, when it is woken at a
/// condition or a barrier, and not for a lock on the way. Only with loom and shuttle; not a step of
/// its own.
///
/// # Panics
///
/// If the check does not run the code of the primitives: see [`Builder::one_step`].
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub fn stall_when_woken(notified: bool) {
    needs_the_code("stall_when_woken");
    crate::futex::modelled::stall_when_woken(notified);
}

/// Lets the thread run on that [`stall_when_woken`] has stalled, if there is one, and stalls no other.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub fn let_go() {
    crate::futex::modelled::let_go();
}

/// How many threads sleep in this crate's primitives, at this moment of the execution: for a check
/// of what happens to one that is certainly asleep. Only with loom and shuttle; not a step of its
/// own.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[must_use]
pub fn sleepers() -> usize {
    crate::futex::modelled::sleepers() + crate::step::sleepers()
}

/// The system calls that this crate's primitives would have made, since the execution began: for a
/// check that there are no more than need be. Only with loom and shuttle; not a step of its own.
///
/// # Panics
///
/// If the check does not run the code of the primitives: see [`Builder::one_step`].
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[must_use]
pub fn futex_calls() -> FutexCalls {
    needs_the_code("futex_calls");
    crate::futex::modelled::calls()
}

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
fn needs_the_code(what: &str) {
    assert!(
        !crate::sync::one_step(),
        "`{what}` is about the code of the primitives, which runs with `Builder::one_step(false)`"
    );
}
