//! The primitives of Python's `multiprocessing`, in memory that processes share. The death of a
//! process is a typed event for the others, and never a hang. Linux only, with the feature
//! `process`.
//!
//! A [`Shared`] region contains a primitive, or a struct of them that [`shared!`] declares. Other
//! processes attach to it by a descriptor or by a path. [The guide](crate::guide::processes) has
//! `multiprocessing` name by name, what a death does at each primitive, and the limits.
//!
//! ```
//! use racefree::process::{Lock, Shared, shared};
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! shared! {
//!     struct Counter {
//!         lock: Lock,
//!         count: AtomicU32,
//!     }
//! }
//!
//! let counter = Shared::create(Counter { lock: Lock::new(), count: AtomicU32::new(0) })?;
//! // In another process: `Shared::<Counter>::attach(&stdin())`, for example.
//! let same = Shared::<Counter>::attach(&counter)?;
//! {
//!     let _guard = same.lock.guard().unwrap();
//!     same.count.fetch_add(1, Ordering::Relaxed);
//! }
//! assert_eq!(counter.count.load(Ordering::Relaxed), 1);
//! # Ok::<(), racefree::process::RegionError>(())
//! ```

mod barrier;
mod bounded;
mod condition;
mod error;
mod event;
mod guard;
mod lock;
mod member;
mod queue;
mod region;
mod rlock;
mod semaphore;
mod state;
mod value;
mod waiters;
mod word;

pub use barrier::Barrier;
pub use bounded::BoundedSemaphore;
pub use condition::Condition;
pub use error::{BarrierError, ConditionError, Empty, Full, HoldersDied, LockError, RegionError};
pub use event::Event;
pub use guard::{Acquire, Guard};
pub use lock::Lock;
pub use member::{MAX_PROCESSES, MAX_REGIONS};
pub use queue::{BytesQueue, Queue};
pub use region::{Share, Shared};
#[doc(hidden)]
pub use region::{layout, layout_of};
pub use rlock::RLock;
pub use semaphore::Semaphore;
pub use state::Data;
pub use value::Value;
pub use waiters::MAX_WAITERS;
pub use zerocopy;

#[doc(hidden)]
#[macro_export]
macro_rules! __process_shared {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
        }

        // SAFETY: the struct is its fields, all of which are `Share`, or `LAYOUT` does not compile.
        unsafe impl $crate::process::Share for $name {
            const LAYOUT: u64 = {
                let mut hash = $crate::process::layout_of::<Self>("");
                $(
                    hash = $crate::process::layout(
                        hash,
                        $crate::process::layout_of::<$type>(stringify!($field)),
                    );
                    hash = $crate::process::layout(
                        hash,
                        <$type as $crate::process::Share>::LAYOUT,
                    );
                    hash = $crate::process::layout(
                        hash,
                        ::core::mem::offset_of!($name, $field) as u64,
                    );
                )+
                hash
            };
        }
    };
}

/// Declares a struct that can be in a region: each field is a primitive of
/// this module, an atomic, another such struct, or an array of these.
///
/// The struct has the layout of C. Two programs that declare it with the same names and types can
/// share it.
///
/// # Examples
///
/// ```
/// use racefree::process::{BoundedSemaphore, Lock, Shared, shared};
///
/// shared! {
///     /// A garage, and who may enter.
///     pub struct Garage {
///         pub gate: Lock,
///         pub stalls: BoundedSemaphore,
///     }
/// }
///
/// let garage = Shared::create(Garage {
///     gate: Lock::new(),
///     stalls: BoundedSemaphore::new(5),
/// })?;
/// garage.gate.acquire().unwrap();
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[doc(inline)]
pub use __process_shared as shared;
