//! A [`Condition`] apart from its lock, as a condition variable is: whoever waits comes first, then
//! gives up a lock of any kind, and has it again at the end.

use super::condition::{self, Condition, Lockable};
use super::terms::{Object, Patience, Step, Then, Thread};

/// It orders nothing: the lock does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(Condition);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Come,
    Wait(Patience),
    /// At most so many.
    Notify(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Notified(usize),
    WasNotified(bool),
}

/// The lock is elsewhere.
struct Elsewhere;

impl Lockable for Elsewhere {
    fn seems_owned(&self, _me: Thread, _seen: u32) -> bool {
        true
    }

    fn give_up(&mut self, _me: Thread) -> Option<u32> {
        Some(0)
    }

    fn take_back(&mut self, _me: Thread, _levels: u32) -> bool {
        true
    }
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self(Condition::new())
    }
}

impl Object for Line {
    type Call = Call;
    type Answer = Answer;

    fn step(&mut self, me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        let waiting = self.0.len();
        let of_condition = match *call {
            Call::Come => condition::Call::Wait(Patience::Forever),
            Call::Wait(patience) => condition::Call::Waiting(patience, 0),
            Call::Notify(n) => condition::Call::Notify(n),
        };
        let step = self.0.step(&mut Elsewhere, me, &of_condition, 0)?;
        Some(Step::returns(match *call {
            Call::Come => Answer::Done,
            Call::Notify(_) => Answer::Notified(waiting - self.0.len()),
            Call::Wait(_) => Answer::WasNotified(matches!(step.then, Then::Returns(_))),
        }))
    }

    fn room(&self) -> usize {
        match self.0.any_notified() {
            true => usize::MAX,
            false => 0,
        }
    }

    fn shown(&self) -> u32 {
        self.0.len() as u32
    }
}
