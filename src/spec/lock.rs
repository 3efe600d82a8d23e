//! `threading.Lock`.

use super::super::error::ReleaseError;
use super::condition::Lockable;
use super::terms::{Object, Patience, Step, Thread};

/// Held or not. It has no owner: any thread may release it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Acquire(Patience),
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Acquired(bool),
    /// Of a semaphore: so many permits.
    Drained(u32),
    Released(Result<(), ReleaseError>),
}

impl Lock {
    pub(crate) const fn new() -> Self {
        Self { held: false }
    }

    pub(crate) fn locked(&self) -> bool {
        self.held
    }
}

impl Object for Lock {
    type Call = Call;
    type Answer = Answer;

    fn step(&mut self, _me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        match call {
            // What was done before a release is there to see after the acquires that follow it.
            Call::Acquire(_) if !self.held => {
                self.held = true;
                Some(Step::returns(Answer::Acquired(true)).seeing())
            }
            Call::Acquire(Patience::Forever) => None,
            Call::Acquire(Patience::Timed | Patience::No) => {
                Some(Step::returns(Answer::Acquired(false)))
            }
            Call::Release if self.held => {
                self.held = false;
                Some(Step::returns(Answer::Released(Ok(()))).publishing())
            }
            Call::Release => Some(Step::returns(Answer::Released(Err(ReleaseError::Unlocked)))),
        }
    }

    fn room(&self) -> usize {
        usize::from(!self.held)
    }

    fn shown(&self) -> u32 {
        u32::from(self.held)
    }
}

impl Lockable for Lock {
    /// Any thread that sees that it is held is taken for the owner.
    fn seems_owned(&self, _me: Thread, seen: u32) -> bool {
        seen != 0
    }

    fn give_up(&mut self, _me: Thread) -> Option<u32> {
        let levels = self.held.then_some(1);
        self.held = false;
        levels
    }

    fn take_back(&mut self, _me: Thread, _levels: u32) -> bool {
        let free = !self.held;
        self.held = true;
        free
    }
}
