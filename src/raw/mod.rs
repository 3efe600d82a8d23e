//! The state machines of the primitives: words, transitions and memory orderings, without the
//! public interface around them. Atomics are used here, in `futex` and in `sync`, and nowhere
//! else.
//!
//! The files above give each machine its public face: names, guards, errors, documentation.

use crate::sync::modelled;

pub(crate) mod barrier;
mod event;
mod lock;
mod owner;
pub(crate) mod queue;
mod rlock;
mod semaphore;
mod waiters;

modelled!({
    mod switch;

    pub(crate) use switch::{Barrier, Event, Lock, Permits, RLock, Waiters};
} else {
    pub(crate) use barrier::Barrier;
    pub(crate) use event::Event;
    pub(crate) use lock::Lock;
    pub(crate) use rlock::RLock;
    pub(crate) use semaphore::Permits;
    pub(crate) use waiters::Waiters;
});

pub(crate) use owner::NOBODY;
pub(crate) use semaphore::MAX_VALUE;
pub(crate) use waiters::NotHeld;
