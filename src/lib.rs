//! The synchronization primitives of Python's `threading`, built on atomics and futexes. Their code
//! is checked interleaving by interleaving with [loom](https://docs.rs/loom).
//!
//! | to | use |
//! |---|---|
//! | exclude other threads | [`Lock`], [`RLock`], or a [`Mutex`], which contains its data |
//! | limit the number of threads that do something | [`Semaphore`], [`BoundedSemaphore`] |
//! | signal threads that something has happened | [`Event`] |
//! | wait until something is true | [`Condition`], or [`Condvar`] with a `Mutex` |
//! | make threads wait for each other | [`Barrier`] |
//! | check your own code that uses these | [`model`] |
//!
//! Each acquire and each wait has a form with a timeout and a form with a deadline. Each acquire
//! also has a form that returns a guard. Misuse is an error with Python's text, and changes
//! nothing.
//!
//! ```
//! use racefree::{Event, Lock};
//! use std::time::Duration;
//!
//! static LOCK: Lock = Lock::new();
//! static DONE: Event = Event::new();
//!
//! let worker = std::thread::spawn(|| {
//!     let _guard = LOCK.guard();
//!     DONE.set();
//! });
//! assert!(DONE.wait_timeout(Duration::from_secs(60)));
//! worker.join().unwrap();
//! ```
//!
//! # Further reading
//!
//! - [`guide`]: from Python's `threading` to Rust, name by name.
//! - [`moving`]: from std, parking_lot or tokio.
//! - [`guide::guarantees`]: what is guaranteed, also after a fork and in a signal handler.
//! - [`guide::checking`]: how to check your own code. [`guide::failing`]: how to read a report.
//! - [`guide::deadlocks`]: how to find deadlocks in an ordinary run.
//! - [`guide::checked`]: which parts of this crate are checked, and which are not.
//! - [`guide::platforms`]: supported platforms, features and dependencies.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod barrier;
mod condition;
mod condvar;
mod deadline;
#[cfg(all(
    feature = "deadlock",
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
pub mod deadlock;
mod error;
mod event;
mod futex;
mod guard;
// Only for rustdoc and its tests; it contains no code.
#[cfg(doc)]
pub mod guide {
    #![doc = include_str!("../docs/guide.md")]

    pub mod checked {
        #![doc = include_str!("../docs/guide/checked.md")]
    }

    pub mod checking {
        #![doc = include_str!("../docs/guide/checking.md")]
    }

    pub mod deadlocks {
        #![doc = include_str!("../docs/guide/deadlocks.md")]
    }

    pub mod differences {
        #![doc = include_str!("../docs/guide/differences.md")]
    }

    pub mod failing {
        #![doc = include_str!("../docs/guide/failing.md")]
    }

    pub mod guarantees {
        #![doc = include_str!("../docs/guide/guarantees.md")]
    }

    pub mod pitfalls {
        #![doc = include_str!("../docs/guide/pitfalls.md")]
    }

    pub mod platforms {
        #![doc = include_str!("../docs/guide/platforms.md")]
    }

    #[cfg(all(feature = "process", target_os = "linux"))]
    pub mod processes {
        #![doc = include_str!("../docs/guide/processes.md")]
    }

    pub mod programs {
        #![doc = include_str!("../docs/guide/programs.md")]
    }

    pub mod stopping {
        #![doc = include_str!("../docs/guide/stopping.md")]
    }
}
mod lock;
mod lockable;
pub mod model;
// Like the guide.
#[cfg(doc)]
pub mod moving {
    #![doc = include_str!("../docs/moving.md")]

    pub mod std {
        #![doc = include_str!("../docs/moving/std.md")]
    }

    pub mod parking_lot {
        #![doc = include_str!("../docs/moving/parking_lot.md")]
    }

    pub mod tokio {
        #![doc = include_str!("../docs/moving/tokio.md")]
    }
}
mod mutex;
mod observe;
mod permits;
#[cfg(all(
    feature = "process",
    target_os = "linux",
    target_has_atomic = "64",
    not(any(
        racefree_parking,
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle")
    ))
))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "process", target_os = "linux"))))]
pub mod process;
mod raw;
// Its examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(feature = "lock_api", not(all(loom, feature = "loom"))))]
mod raw_mutex;
mod rlock;
mod semaphore;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[allow(
    dead_code,
    reason = "what it shows of itself is for the oracles of tests"
)]
mod spec;
mod spin;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[doc(hidden)]
#[allow(
    clippy::new_without_default,
    clippy::len_without_is_empty,
    reason = "it is public for the refinement alone"
)]
pub mod step;
mod sync;

pub use barrier::Barrier;
pub use condition::{Condition, ConditionLock};
pub use condvar::{Condvar, CondvarGuard, WaitTimeoutResult};
pub use error::{BrokenBarrierError, NotOwnerError, ReleaseError};
pub use event::Event;
pub use guard::{ArcGuard, Guard, Guarded};
pub use lock::Lock;
pub use mutex::{ArcMutexGuard, MappedMutexGuard, Mutex, MutexGuard};
pub use permits::{OfPermits, Permits};
pub use rlock::RLock;
pub use semaphore::{BoundedSemaphore, Semaphore};
#[cfg(all(feature = "lock_api", not(all(loom, feature = "loom"))))]
pub use {lock_api, raw_mutex::ThreadId};
