//! What can be acquired.

use super::whole::Whole;
use crate::error::ReleaseError;
use crate::spec::{self, Patience, lock, semaphore};
use crate::sync::{Ordering, const_fn, thread_id};

pub struct Lock(pub(super) Whole<spec::Lock>);

impl Lock {
    const_fn! {
        pub fn new() -> Self {
            Self(Whole::new(spec::Lock::new(), 0))
        }
    }

    /// Acquires, and returns whether it did.
    pub fn acquire(&self, patience: Patience) -> bool {
        acquired(self.0.call(patience, lock::Call::Acquire(patience)))
    }

    pub fn release(&self) -> Result<(), ReleaseError> {
        released(self.0.call(Patience::No, lock::Call::Release))
    }

    pub fn locked(&self) -> bool {
        self.0.look(Ordering::Relaxed) != 0
    }
}

pub struct Permits(Whole<spec::Semaphore>);

impl Permits {
    const_fn! {
        pub fn new(value: u32) -> Self {
            Self(Whole::new(spec::Semaphore::new(value, u32::MAX, ReleaseError::Overflow), value))
        }
    }

    /// Acquires, and returns whether it did.
    pub fn acquire(&self, n: u32, patience: Patience) -> bool {
        acquired(self.0.call(patience, semaphore::Call::Acquire(patience, n)))
    }

    /// Acquires all there are.
    pub fn drain(&self) -> u32 {
        match self.0.call(Patience::No, semaphore::Call::Drain) {
            lock::Answer::Drained(permits) => permits,
            _ => unreachable!("they were all taken"),
        }
    }

    pub fn release(
        &self,
        count: u32,
        limit: u32,
        past_limit: ReleaseError,
    ) -> Result<(), ReleaseError> {
        // The same each time, and known only here.
        self.0.aside(|state| state.set_limit(limit, past_limit));
        released(self.0.call(Patience::No, semaphore::Call::Release(count)))
    }

    pub fn value(&self) -> u32 {
        self.0.look(Ordering::Relaxed)
    }
}

/// What the owner alone can see, the levels, is no step.
pub struct RLock(pub(super) Whole<spec::RLock>);

impl RLock {
    const_fn! {
        pub fn new() -> Self {
            Self(Whole::new(spec::RLock::new(), 0))
        }
    }

    /// Acquires, and returns whether it did.
    pub fn acquire(&self, patience: Patience) -> bool {
        let call = lock::Call::Acquire(patience);
        acquired(match self.is_owned() {
            true => self.aside(call),
            false => self.0.call(patience, call),
        })
    }

    pub fn release(&self) -> Result<(), ReleaseError> {
        let call = lock::Call::Release;
        released(match self.recursion_count() {
            1 => self.0.call(Patience::No, call),
            _ => self.aside(call),
        })
    }

    /// Releases all levels, and has their number.
    pub fn release_save(&self) -> Option<u32> {
        let levels = self.recursion_count();
        self.0.aside(|state| {
            if levels > 1 {
                state.set_levels(1);
            }
        });
        self.release().ok().map(|()| levels)
    }

    /// Acquires so many levels.
    pub fn acquire_restore(&self, levels: u32) {
        self.acquire(Patience::Forever);
        self.0.aside(|state| state.set_levels(levels));
    }

    /// A call that no other thread sees.
    fn aside(&self, call: lock::Call) -> lock::Answer {
        use spec::{Object, Then};

        let step = self.0.aside(|state| state.step(thread_id(), &call));
        match step.map(|step| step.then) {
            Some(Then::Returns(answer)) => answer,
            _ => unreachable!("the owner has not to wait"),
        }
    }

    pub fn locked(&self) -> bool {
        self.owner() != 0
    }

    /// Or 0.
    pub fn owner(&self) -> u64 {
        self.0.look(Ordering::Relaxed).into()
    }

    pub fn is_owned(&self) -> bool {
        self.recursion_count() > 0
    }

    pub fn recursion_count(&self) -> u32 {
        self.0.aside(|state| state.recursion_count(thread_id()))
    }
}

fn acquired(answer: lock::Answer) -> bool {
    match answer {
        lock::Answer::Acquired(acquired) => acquired,
        _ => unreachable!("it was acquired"),
    }
}

fn released(answer: lock::Answer) -> Result<(), ReleaseError> {
    match answer {
        lock::Answer::Released(released) => released,
        _ => unreachable!("it was released"),
    }
}
