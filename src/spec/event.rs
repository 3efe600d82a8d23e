//! `threading.Event`.

use super::terms::{Object, Patience, Step, Thread};

/// A flag, and those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    set: bool,
    waiting: Vec<Thread>,
    /// Those who waited when it was set, and have yet to return: true, even if it is cleared
    /// meanwhile.
    released: Vec<Thread>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Set,
    Clear,
    Wait(Patience),
    /// A wait that has begun while the event was not set.
    Waiting(Patience),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    WasSet(bool),
}

impl Event {
    pub(crate) const fn new() -> Self {
        Self {
            set: false,
            waiting: Vec::new(),
            released: Vec::new(),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set
    }
}

impl Object for Event {
    type Call = Call;
    type Answer = Answer;

    fn step(&mut self, me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        match *call {
            // Once more: those who see that it is set see what was done before each of these calls.
            Call::Set if self.set => Some(Step::returns(Answer::Done).publishing()),
            Call::Set => {
                self.set = true;
                let waiting = std::mem::take(&mut self.waiting);
                self.released.extend(&waiting);
                Some(
                    Step::returns(Answer::Done)
                        .publishing_anew()
                        .ending(waiting),
                )
            }
            // Who sees that it is cleared sees what was done before.
            Call::Clear if self.set => {
                self.set = false;
                Some(Step::returns(Answer::Done).seeing().publishing_anew())
            }
            Call::Clear => Some(Step::returns(Answer::Done)),
            Call::Wait(_) if self.set => Some(Step::returns(Answer::WasSet(true)).seeing()),
            Call::Wait(Patience::No) => Some(Step::returns(Answer::WasSet(false))),
            Call::Wait(patience) => {
                self.waiting.push(me);
                Some(Step::waits(Call::Waiting(patience)))
            }
            Call::Waiting(_) if self.released.contains(&me) => {
                self.released.retain(|&it| it != me);
                Some(Step::returns(Answer::WasSet(true)))
            }
            Call::Waiting(Patience::Forever) => None,
            Call::Waiting(Patience::Timed | Patience::No) => {
                self.waiting.retain(|&it| it != me);
                Some(Step::returns(Answer::WasSet(false)))
            }
        }
    }

    fn room(&self) -> usize {
        0
    }

    fn shown(&self) -> u32 {
        u32::from(self.set)
    }
}
