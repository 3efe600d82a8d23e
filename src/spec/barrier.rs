//! `threading.Barrier`.

use super::super::error::BrokenBarrierError;
use super::terms::{Object, Patience, Step, Thread};

/// Those who wait for their round to be complete, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Barrier {
    parties: usize,
    has_action: bool,
    waiting: Vec<Thread>,
    broken: Option<BrokenBarrierError>,
    /// While an action runs: how its round fares. The first `parties - 1` that wait are of that
    /// round, unless it is broken.
    acting: Option<Round>,
    /// Those whose wait has ended, and how, and who have yet to return.
    told: Vec<(Thread, Told)>,
}

type Round = Result<(), BrokenBarrierError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ended(Round),
    /// The round is complete, and the action is this thread's to run.
    Lead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Wait(Patience),
    /// A wait that has come as the so-many-th of its round, from 0.
    Waiting(Patience, usize),
    /// A wait that has run the action, or has tried to.
    Acted {
        index: usize,
        panicked: bool,
    },
    Reset,
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Waited(Result<usize, BrokenBarrierError>),
    /// The action is to be run, outside of any step, and then [`Call::Acted`] to be called.
    Act {
        index: usize,
    },
}

impl Barrier {
    pub(crate) const fn new(parties: usize) -> Self {
        Self {
            parties,
            has_action: false,
            waiting: Vec::new(),
            broken: None,
            acting: None,
            told: Vec::new(),
        }
    }

    pub(crate) fn set_action(&mut self) {
        self.has_action = true;
    }

    pub(crate) fn parties(&self) -> usize {
        self.parties
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn broken(&self) -> bool {
        self.broken.is_some()
    }

    /// How many of those who wait are of the round whose action runs.
    fn of_the_acting_round(&self) -> usize {
        match self.acting {
            Some(Ok(())) => self.parties - 1,
            _ => 0,
        }
    }

    /// Ends the wait of the first `n`, and says who they are.
    fn tell(&mut self, n: usize, told: Told) -> Vec<Thread> {
        let first: Vec<_> = self.waiting.drain(..n).collect();
        self.told.extend(first.iter().map(|&thread| (thread, told)));
        first
    }

    /// All who wait, and who runs the action, are told why; those who come, that it is `broken`.
    fn end(&mut self, broken: Option<BrokenBarrierError>, why: BrokenBarrierError) -> Vec<Thread> {
        self.broken = broken;
        if let Some(round @ Ok(())) = &mut self.acting {
            *round = Err(why);
        }
        self.tell(self.waiting.len(), Told::Ended(Err(why)))
    }

    fn wait(&mut self, me: Thread, patience: Patience) -> Step<Call, Answer> {
        if let Some(why) = self.broken {
            return Step::returns(Answer::Waited(Err(why)));
        }
        let nobody_waits = self.waiting.is_empty() && self.acting.is_none();
        let index = (self.waiting.len() - self.of_the_acting_round()) % self.parties;
        let step = if index + 1 < self.parties || self.acting.is_some() {
            self.waiting.push(me);
            Step::waits(Call::Waiting(patience, index))
        } else if self.has_action {
            self.acting = Some(Ok(()));
            Step::returns(Answer::Act { index }).seeing()
        } else {
            let others = self.tell(self.parties - 1, Told::Ended(Ok(())));
            Step::returns(Answer::Waited(Ok(index)))
                .seeing()
                .ending(others)
        };
        // What was done before a wait is there to see after each wait of the same round.
        match nobody_waits {
            true => step.publishing_anew(),
            false => step.publishing(),
        }
    }

    fn acted(&mut self, index: usize, panicked: bool) -> Step<Call, Answer> {
        if self.acting == Some(Ok(())) && panicked {
            let why = BrokenBarrierError::ActionPanicked;
            let all = self.end(Some(why), why);
            self.acting = None;
            return Step::returns(Answer::Done).ending(all);
        }
        let mut ends = self.tell(self.of_the_acting_round(), Told::Ended(Ok(())));
        let round = self.acting.take().unwrap_or(Ok(()));
        if self.waiting.len() >= self.parties {
            // The next round was complete before the action ended. Its first leads it.
            self.acting = Some(Ok(()));
            ends.extend(self.tell(1, Told::Lead));
        }
        Step::returns(Answer::Waited(round.map(|()| index))).ending(ends)
    }
}

impl Object for Barrier {
    type Call = Call;
    type Answer = Answer;

    fn step(&mut self, me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        match *call {
            Call::Wait(patience) => Some(self.wait(me, patience)),
            Call::Waiting(patience, index) => {
                let told = self.told.iter().position(|&(thread, _)| thread == me);
                match told.map(|at| self.told.remove(at).1) {
                    Some(Told::Lead) => Some(Step::returns(Answer::Act { index }).seeing()),
                    Some(Told::Ended(round)) => {
                        Some(Step::returns(Answer::Waited(round.map(|()| index))))
                    }
                    None if patience == Patience::Forever => None,
                    None => {
                        self.waiting.retain(|&it| it != me);
                        let why = BrokenBarrierError::TimedOut;
                        let others = self.end(Some(why), why);
                        Some(Step::returns(Answer::Waited(Err(why))).ending(others))
                    }
                }
            }
            Call::Acted { index, panicked } => Some(self.acted(index, panicked)),
            Call::Reset => {
                let all = self.end(None, BrokenBarrierError::Reset);
                Some(Step::returns(Answer::Done).ending(all))
            }
            Call::Abort => {
                let why = BrokenBarrierError::Aborted;
                let all = self.end(Some(why), why);
                Some(Step::returns(Answer::Done).ending(all))
            }
        }
    }

    fn room(&self) -> usize {
        0
    }

    fn shown(&self) -> u32 {
        self.waiting.len() as u32
    }
}
