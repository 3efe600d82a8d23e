//! What each primitive is: the semantics of Python's `threading`, without threads, atomics or time.
//!
//! A primitive is a plain value. A call on it is made of steps, each of which happens at once: no
//! other thread comes between. [`Object::step`] is the whole of a primitive: what a call does when
//! its thread has its turn.
//!
//! ```text
//! lock.step(me, Call::Acquire(Forever))
//!     free: takes it         -> returns True
//!     held: nothing changes  -> None: the thread has to wait, and asks again
//! ```
//!
//! What is free in Python is free here, too. There are three such choices:
//!
//! - **Who goes first.** The order in which threads have their turns is no part of the
//!   specification. So of those that wait for a lock or a permit, any may be the next, and so may
//!   one that has just come. Where there is an order (a condition's waiters), it is in the state.
//! - **Whether the time is up.** A [`Timed`](Patience::Timed) call that cannot go on at its turn
//!   ends there. As its turn may come early or late, it may end in either way.
//! - **What a look sees.** `locked()`, `value()` and their like are no steps. They show the state
//!   as it is or as it was, but for changes that the thread knows of.
//!
//! No wait ends for nothing: every wake-up has its reason.
//!
//! # Order
//!
//! What a thread did before a step is there to see for another thread after a later step only where
//! it is said so, by [`Step::order`] and by [`Step::ends`]. These are all the happens-before edges
//! that the documentation promises.

pub(crate) mod barrier;
pub(crate) mod condition;
pub(crate) mod event;
pub(crate) mod line;
pub(crate) mod lock;
mod rlock;
pub(crate) mod semaphore;
pub(crate) mod terms;

pub(crate) use barrier::Barrier;
pub(crate) use condition::{Condition, Lockable};
pub(crate) use event::Event;
pub(crate) use line::Line;
pub(crate) use lock::Lock;
pub(crate) use rlock::RLock;
pub(crate) use semaphore::Semaphore;
pub use terms::Patience;
pub(crate) use terms::{Object, Order, Step, Then, Thread};
