#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod barrier;
mod condition;
mod condvar;
mod deadline;
mod error;
mod event;
mod futex;
mod guard;
// For rustdoc and its tests alone: there is nothing in it to compile.
#[cfg(doc)]
pub mod guide {
    #![doc = include_str!("../docs/guide.md")]

    pub mod failing {
        #![doc = include_str!("../docs/guide/failing.md")]
    }

    pub mod pitfalls {
        #![doc = include_str!("../docs/guide/pitfalls.md")]
    }

    pub mod stopping {
        #![doc = include_str!("../docs/guide/stopping.md")]
    }
}
mod lock;
mod lockable;
pub mod model;
// As the guide.
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
mod raw;
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
