//! `Condition`, over a lock of this kind: its steps are those of the lock.

use std::cell::{Cell, RefCell};

use super::locks::{Lock, RLock};
use super::whole::{Ends, Whole};
use crate::error::NotOwnerError;
use crate::spec::condition::{Answer, Call};
use crate::spec::line;
use crate::spec::{self, Lockable, Object, Patience};
use crate::sync::{Ordering, StepWord, const_fn};

/// Those who wait for a condition.
pub struct Waiters {
    hidden: RefCell<spec::Condition>,
    len: StepWord,
    /// What [`len`](Self::len) shows.
    shown: Cell<u32>,
}

// SAFETY: see `Whole`.
unsafe impl Sync for Waiters {}
// SAFETY: as above.
unsafe impl Send for Waiters {}

/// A lock that a condition can have.
pub trait ConditionLock {
    /// Whether the calling thread may be the owner.
    fn may_be_owned(&self) -> bool;

    /// A wait, and whether it was notified.
    fn wait(&self, waiters: &Waiters, patience: Patience) -> Result<bool, NotOwnerError>;

    fn notify(&self, waiters: &Waiters, n: usize) -> Result<(), NotOwnerError>;
}

impl Waiters {
    const_fn! {
        pub fn new() -> Self {
            Self {
                hidden: RefCell::new(spec::Condition::new()),
                len: StepWord::new(0),
                shown: Cell::new(0),
            }
        }
    }

    pub fn len(&self) -> u32 {
        self.len.look(Ordering::Relaxed)
    }

    fn call<L: Object + Lockable>(
        &self,
        lock: &Whole<L>,
        patience: Patience,
        call: Call,
    ) -> Answer {
        lock.run(
            patience,
            Ends::StandInLine,
            true,
            call,
            |lock, me, call, seen| self.hidden.borrow_mut().step(lock, me, call, seen),
            |_, within| {
                let len = self.hidden.borrow().len() as u32;
                if self.shown.replace(len) != len {
                    within.beside(&self.len).show(len);
                }
            },
        )
    }

    fn wait<L: Object + Lockable>(
        &self,
        lock: &Whole<L>,
        patience: Patience,
    ) -> Result<bool, NotOwnerError> {
        match self.call(lock, patience, Call::Wait(patience)) {
            Answer::Waited(waited) => waited,
            Answer::Notified(_) => unreachable!("it was a wait"),
        }
    }

    fn notify<L: Object + Lockable>(&self, lock: &Whole<L>, n: usize) -> Result<(), NotOwnerError> {
        match self.call(lock, Patience::No, Call::Notify(n)) {
            Answer::Notified(notified) => notified,
            Answer::Waited(_) => unreachable!("it was a notification"),
        }
    }
}

/// Those who wait, having given up a lock of any kind: a step for each of coming and waiting.
pub struct Line(Whole<spec::Line>);

impl Line {
    const_fn! {
        pub fn new() -> Self {
            Self(Whole::new(spec::Line::new(), 0))
        }
    }

    pub fn len(&self) -> u32 {
        self.0.look(Ordering::Relaxed)
    }

    /// Is one of them from here on.
    pub fn come(&self) {
        self.0.call(Patience::No, line::Call::Come);
    }

    /// Waits, having come, and returns whether it was notified.
    pub fn wait(&self, patience: Patience) -> bool {
        let answer = self.0.call(patience, line::Call::Wait(patience));
        answer == line::Answer::WasNotified(true)
    }

    /// Notifies the first `n`, and returns how many there were.
    pub fn notify(&self, n: usize) -> usize {
        match self.0.call(Patience::No, line::Call::Notify(n)) {
            line::Answer::Notified(number) => number,
            _ => unreachable!("it was a notification"),
        }
    }
}

impl ConditionLock for Lock {
    fn may_be_owned(&self) -> bool {
        // No step of its own if it is held, by this thread as it seems: the wait that follows
        // looks once more.
        self.0.aside(|state| state.locked()) || self.locked()
    }

    fn wait(&self, waiters: &Waiters, patience: Patience) -> Result<bool, NotOwnerError> {
        waiters.wait(&self.0, patience)
    }

    fn notify(&self, waiters: &Waiters, n: usize) -> Result<(), NotOwnerError> {
        waiters.notify(&self.0, n)
    }
}

impl ConditionLock for RLock {
    fn may_be_owned(&self) -> bool {
        self.is_owned()
    }

    fn wait(&self, waiters: &Waiters, patience: Patience) -> Result<bool, NotOwnerError> {
        waiters.wait(&self.0, patience)
    }

    fn notify(&self, waiters: &Waiters, n: usize) -> Result<(), NotOwnerError> {
        waiters.notify(&self.0, n)
    }
}
