//! The specification's primitives, by the names of the crate's.

use std::time::Duration;

use racefree_loom::step::{self, ConditionLock, Patience::Forever, Patience::No, Patience::Timed};
use racefree_loom::{BrokenBarrierError, NotOwnerError, ReleaseError};

macro_rules! acquire {
    ($Type:ident $(, $n:literal)?) => {
        impl $Type {
            pub(crate) fn acquire(&self) {
                self.0.acquire($($n,)? Forever);
            }

            pub(crate) fn try_acquire(&self) -> bool {
                self.0.acquire($($n,)? No)
            }

            pub(crate) fn acquire_timeout(&self, _: Duration) -> bool {
                self.0.acquire($($n,)? Timed)
            }
        }
    };
}

macro_rules! permits {
    ($Type:ident) => {
        impl $Type {
            pub(crate) fn acquire_n(&self, n: u32) {
                self.0.acquire(n, Forever);
            }

            pub(crate) fn acquire_n_timeout(&self, n: u32, _: Duration) -> bool {
                self.0.acquire(n, Timed)
            }

            pub(crate) fn drain(&self) -> u32 {
                self.0.drain()
            }
        }
    };
}

pub(crate) struct Lock(step::Lock);

acquire!(Lock);

impl Lock {
    pub(crate) fn new() -> Self {
        Self(step::Lock::new())
    }

    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        self.0.release()
    }

    pub(crate) fn locked(&self) -> bool {
        self.0.locked()
    }
}

pub(crate) struct RLock(step::RLock);

acquire!(RLock);

impl RLock {
    pub(crate) fn new() -> Self {
        Self(step::RLock::new())
    }

    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        self.0.release()
    }

    pub(crate) fn locked(&self) -> bool {
        self.0.locked()
    }

    pub(crate) fn is_owned(&self) -> bool {
        self.0.is_owned()
    }

    pub(crate) fn recursion_count(&self) -> u32 {
        self.0.recursion_count()
    }
}

pub(crate) struct Semaphore(step::Permits);

acquire!(Semaphore, 1);

impl Semaphore {
    pub(crate) fn new(value: u32) -> Self {
        Self(step::Permits::new(value))
    }

    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        self.release_n(1)
    }

    pub(crate) fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        let limit = racefree_loom::Semaphore::MAX_VALUE;
        self.0.release(n, limit, ReleaseError::Overflow)
    }

    pub(crate) fn value(&self) -> u32 {
        self.0.value()
    }
}

permits!(Semaphore);

pub(crate) struct BoundedSemaphore(step::Permits, u32);

acquire!(BoundedSemaphore, 1);

impl BoundedSemaphore {
    pub(crate) fn new(value: u32) -> Self {
        Self(step::Permits::new(value), value)
    }

    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        self.release_n(1)
    }

    pub(crate) fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        self.0.release(n, self.1, ReleaseError::TooManyReleases)
    }

    pub(crate) fn value(&self) -> u32 {
        self.0.value()
    }
}

permits!(BoundedSemaphore);

pub(crate) struct Event(step::Event);

impl Event {
    pub(crate) fn new() -> Self {
        Self(step::Event::new())
    }

    pub(crate) fn set(&self) {
        self.0.set();
    }

    pub(crate) fn clear(&self) {
        self.0.clear();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_set()
    }

    pub(crate) fn wait(&self) {
        self.0.wait(Forever);
    }

    pub(crate) fn wait_timeout(&self, _: Duration) -> bool {
        self.0.wait(Timed)
    }
}

pub(crate) struct Condition<L> {
    lock: L,
    waiters: step::Waiters,
}

impl Condition<RLock> {
    pub(crate) fn new() -> Self {
        Self::with_lock(RLock::new())
    }
}

impl<L> Condition<L> {
    pub(crate) fn with_lock(lock: L) -> Self {
        Self {
            lock,
            waiters: step::Waiters::new(),
        }
    }
}

macro_rules! condition {
    ($Lock:ident) => {
        impl Condition<$Lock> {
            pub(crate) fn acquire(&self) {
                self.lock.acquire();
            }

            pub(crate) fn try_acquire(&self) -> bool {
                self.lock.try_acquire()
            }

            pub(crate) fn release(&self) -> Result<(), ReleaseError> {
                self.lock.release()
            }

            pub(crate) fn acquire_timeout(&self, timeout: Duration) -> bool {
                self.lock.acquire_timeout(timeout)
            }

            pub(crate) fn n_waiting(&self) -> usize {
                self.waiters.len() as usize
            }

            pub(crate) fn wait(&self) -> Result<bool, NotOwnerError> {
                self.lock.0.wait(&self.waiters, Forever)
            }

            pub(crate) fn wait_timeout(&self, _: Duration) -> Result<bool, NotOwnerError> {
                self.lock.0.wait(&self.waiters, Timed)
            }

            pub(crate) fn wait_for(
                &self,
                mut predicate: impl FnMut() -> bool,
            ) -> Result<(), NotOwnerError> {
                if !self.lock.0.may_be_owned() {
                    return Err(NotOwnerError::Wait);
                }
                while !predicate() {
                    self.wait()?;
                }
                Ok(())
            }

            pub(crate) fn wait_for_timeout(
                &self,
                mut predicate: impl FnMut() -> bool,
                timeout: Duration,
            ) -> Result<bool, NotOwnerError> {
                if !self.lock.0.may_be_owned() {
                    return Err(NotOwnerError::Wait);
                }
                if predicate() {
                    return Ok(true);
                }
                loop {
                    let notified = self.wait_timeout(timeout)?;
                    if predicate() {
                        return Ok(true);
                    }
                    if !notified {
                        return Ok(false);
                    }
                }
            }

            pub(crate) fn notify(&self, n: usize) -> Result<(), NotOwnerError> {
                self.lock.0.notify(&self.waiters, n)
            }

            pub(crate) fn notify_all(&self) -> Result<(), NotOwnerError> {
                self.notify(usize::MAX)
            }
        }
    };
}

condition!(Lock);
condition!(RLock);

pub(crate) struct Barrier(step::Barrier);

impl Barrier {
    pub(crate) fn new(parties: usize) -> Self {
        Self(step::Barrier::new(parties))
    }

    pub(crate) fn with_action(mut self, action: impl Fn() + Send + Sync + 'static) -> Self {
        self.0.set_action(Box::new(action));
        self
    }

    pub(crate) fn wait(&self) -> Result<usize, BrokenBarrierError> {
        self.0.wait(Forever)
    }

    pub(crate) fn wait_timeout(&self, _: Duration) -> Result<usize, BrokenBarrierError> {
        self.0.wait(Timed)
    }

    pub(crate) fn reset(&self) {
        self.0.reset();
    }

    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.0.n_waiting()
    }

    pub(crate) fn broken(&self) -> bool {
        self.0.broken()
    }
}
