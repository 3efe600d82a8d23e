//! `Barrier`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::whole::{Ends, Whole};
use crate::error::BrokenBarrierError;
use crate::spec::{
    self, Object, Patience,
    barrier::{Answer, Call},
};
use crate::sync::{Ordering, StepWord, Within, const_fn, unless_deadlocked};

/// What runs once in each round.
type Action = dyn Fn() + Send + Sync;

pub struct Barrier {
    whole: Whole<spec::Barrier>,
    broken: StepWord,
    /// What [`broken`](Self::broken) shows.
    shows_broken: Cell<bool>,
    action: Option<Box<Action>>,
}

// SAFETY: see `Whole`.
unsafe impl Sync for Barrier {}

impl Barrier {
    const_fn! {
        pub fn new(parties: usize) -> Self {
            Self {
                whole: Whole::new(spec::Barrier::new(parties), 0),
                broken: StepWord::new(0),
                shows_broken: Cell::new(false),
                action: None,
            }
        }
    }

    pub fn set_action(&mut self, action: Box<Action>) {
        self.action = Some(action);
        self.whole.aside(spec::Barrier::set_action);
    }

    pub fn parties(&self) -> usize {
        self.whole.aside(|state| state.parties())
    }

    pub fn n_waiting(&self) -> usize {
        self.whole.look(Ordering::Relaxed) as usize
    }

    pub fn broken(&self) -> bool {
        self.broken.look(Ordering::Relaxed) != 0
    }

    pub fn reset(&self) {
        self.call(Patience::No, Call::Reset);
    }

    pub fn abort(&self) {
        self.call(Patience::No, Call::Abort);
    }

    pub fn wait(&self, patience: Patience) -> Result<usize, BrokenBarrierError> {
        let patience = match patience {
            // It comes before it goes: who comes last lets it pass.
            Patience::No => Patience::Timed,
            other => other,
        };
        let answer = self.call(patience, Call::Wait(patience));
        let Answer::Act { index } = answer else {
            return waited(answer);
        };
        let action = self.action.as_ref().expect("it was to be run");
        let acted = catch_unwind(AssertUnwindSafe(action));
        let panicked = acted.is_err();
        let mut answer = Answer::Done;
        unless_deadlocked(|| {
            answer = self.call(Patience::No, Call::Acted { index, panicked });
        });
        match acted {
            Ok(()) => waited(answer),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn call(&self, patience: Patience, call: Call) -> Answer {
        let show = |state: &spec::Barrier, within: &Within<'_>| {
            let broken = state.broken();
            if self.shows_broken.replace(broken) != broken {
                within.beside(&self.broken).show(broken.into());
            }
        };
        let step = |state: &mut spec::Barrier, me, call: &Call, _seen| state.step(me, call);
        self.whole
            .run(patience, Ends::Unpark, false, call, step, show)
    }
}

fn waited(answer: Answer) -> Result<usize, BrokenBarrierError> {
    match answer {
        Answer::Waited(waited) => waited,
        Answer::Done | Answer::Act { .. } => unreachable!("it was a wait"),
    }
}
