//! Under a checker: each state machine, or the steps of its specification, as the check chose. The
//! one place where the two meet.

use super::barrier::{self, Action, Message};
use super::waiters::{self, NotHeld};
use super::{event, lock, rlock, semaphore};
use crate::deadline::Deadline;
use crate::error::{BrokenBarrierError, ReleaseError};
use crate::lockable::sealed::Suspendable;
use crate::step::{self, Patience};
use crate::sync::{Either, Which, const_fn, either};

macro_rules! machines {
    ($($Type:ident($($argument:ident: $type:ty)?): $Code:path, $Steps:path;)*) => {
        $(
            pub(crate) struct $Type(Either<$Code, $Steps>);

            impl $Type {
                const_fn! {
                    pub(crate) fn new($($argument: $type)?) -> Self {
                        Self(either!(<$Code>::new($($argument)?), <$Steps>::new($($argument)?)))
                    }
                }
            }
        )*
    };
}

machines! {
    Lock(): lock::Lock, step::Lock;
    RLock(): rlock::RLock, step::RLock;
    Permits(value: u32): semaphore::Permits, step::Permits;
    Event(): event::Event, step::Event;
    Waiters(): waiters::Waiters, step::Line;
    Barrier(parties: usize): barrier::Barrier, step::Barrier;
}

/// Methods that both have.
macro_rules! forward {
    ($Type:ty { $($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)* }) => {
        impl $Type {
            $(pub(crate) fn $name(&self $(, $argument: $type)*) $(-> $result)? {
                match self.0.which() {
                    Which::Code(code) => code.$name($($argument),*),
                    Which::Steps(steps) => steps.$name($($argument),*),
                }
            })*
        }
    };
}

forward!(Lock {
    release() -> Result<(), ReleaseError>;
    locked() -> bool;
});

forward!(RLock {
    release() -> Result<(), ReleaseError>;
    release_save() -> Option<u32>;
    locked() -> bool;
    owner() -> u64;
    is_owned() -> bool;
    recursion_count() -> u32;
});

forward!(Permits {
    release(count: u32, limit: u32, past_limit: ReleaseError) -> Result<(), ReleaseError>;
    drain() -> u32;
    value() -> u32;
});

forward!(Event {
    is_set() -> bool;
    set();
    clear();
});

forward!(Waiters {
    len() -> u32;
    notify(n: usize) -> usize;
});

forward!(Barrier {
    parties() -> usize;
    n_waiting() -> usize;
    broken() -> bool;
    abort();
    reset();
});

fn patience(deadline: Deadline) -> Patience {
    match deadline {
        Deadline::Never => Patience::Forever,
        _ if deadline.has_passed() => Patience::No,
        _ => Patience::Timed,
    }
}

impl Lock {
    pub(crate) fn try_acquire(&self) -> bool {
        match self.0.which() {
            Which::Code(code) => code.try_acquire(),
            Which::Steps(steps) => steps.acquire(Patience::No),
        }
    }

    pub(crate) fn acquire(&self) {
        match self.0.which() {
            Which::Code(code) => code.acquire(),
            Which::Steps(steps) => {
                steps.acquire(Patience::Forever);
            }
        }
    }

    pub(crate) fn acquire_slow(&self, deadline: Deadline) -> bool {
        match self.0.which() {
            Which::Code(code) => code.acquire_slow(deadline),
            Which::Steps(steps) => steps.acquire(patience(deadline)),
        }
    }

    pub(crate) fn acquire_restore(&self, among_others: bool) {
        match self.0.which() {
            Which::Code(code) => code.acquire_restore(among_others),
            Which::Steps(_) => self.acquire(),
        }
    }
}

impl RLock {
    pub(crate) fn try_acquire(&self) -> bool {
        match self.0.which() {
            Which::Code(code) => code.try_acquire(),
            Which::Steps(steps) => steps.acquire(Patience::No),
        }
    }

    pub(crate) fn acquire_slow(&self, deadline: Deadline) -> bool {
        match self.0.which() {
            Which::Code(code) => code.acquire_slow(deadline),
            Which::Steps(steps) => steps.acquire(patience(deadline)),
        }
    }

    pub(crate) fn acquire_restore(&self, levels: u32, among_others: bool) {
        match self.0.which() {
            Which::Code(code) => code.acquire_restore(levels, among_others),
            Which::Steps(steps) => steps.acquire_restore(levels),
        }
    }
}

impl Permits {
    pub(crate) fn try_acquire(&self, n: u32) -> bool {
        match self.0.which() {
            Which::Code(code) => code.try_acquire(n),
            Which::Steps(steps) => steps.acquire(n, Patience::No),
        }
    }

    pub(crate) fn acquire_slow(&self, n: u32, deadline: Deadline) -> bool {
        match self.0.which() {
            Which::Code(code) => code.acquire_slow(n, deadline),
            Which::Steps(steps) => steps.acquire(n, patience(deadline)),
        }
    }
}

impl Event {
    pub(crate) fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
        match self.0.which() {
            Which::Code(code) => code.wait_by(deadline),
            Which::Steps(steps) => steps.wait(patience(deadline())),
        }
    }
}

impl Waiters {
    pub(crate) fn wait(
        &self,
        lock: &impl Suspendable,
        deadline: Deadline,
    ) -> Result<bool, NotHeld> {
        let line = match self.0.which() {
            Which::Code(code) => return code.wait(lock, deadline),
            Which::Steps(line) => line,
        };
        let patience = patience(deadline);
        if patience != Patience::No {
            line.come();
        }
        let Some(saved) = lock.release_save() else {
            // As in the code: a notification that came for this waiter is for the next one.
            if patience != Patience::No && line.wait(Patience::No) {
                line.notify(1);
            }
            return Err(NotHeld);
        };
        let notified = patience != Patience::No && line.wait(patience);
        lock.acquire_restore(saved, false);
        Ok(notified)
    }

    pub(crate) fn wait_for<L: Suspendable>(
        &self,
        lock: &mut L,
        predicate: impl FnMut(&mut L) -> bool,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, NotHeld> {
        match self.0.which() {
            Which::Code(code) => code.wait_for(lock, predicate, deadline),
            Which::Steps(_) => waiters::wait_for(lock, predicate, deadline, |lock, deadline| {
                self.wait(lock, deadline)
            }),
        }
    }
}

impl Barrier {
    pub(crate) fn set_action(&mut self, action: Box<Action>) {
        match self.0.which_mut() {
            Which::Code(code) => code.set_action(action),
            Which::Steps(steps) => steps.set_action(action),
        }
    }

    pub(crate) fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<usize, Message> {
        match self.0.which() {
            Which::Code(code) => code.wait_by(deadline),
            Which::Steps(steps) => steps.wait(patience(deadline())).map_err(|why| match why {
                BrokenBarrierError::Aborted => barrier::ABORTED,
                BrokenBarrierError::Reset => barrier::RESET,
                BrokenBarrierError::TimedOut => barrier::TIMED_OUT,
                BrokenBarrierError::ActionPanicked => barrier::ACTION_PANICKED,
            }),
        }
    }
}
