//! `threading.RLock`.

use super::super::error::ReleaseError;
use super::condition::Lockable;
use super::terms::{Object, Patience, Step, Thread};

/// Who owns it, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RLock {
    owner: Option<Thread>,
    /// 0 if nobody does.
    levels: u32,
}

pub(crate) use super::lock::{Answer, Call};

impl RLock {
    pub(crate) const fn new() -> Self {
        Self {
            owner: None,
            levels: 0,
        }
    }

    pub(crate) fn locked(&self) -> bool {
        self.owner.is_some()
    }

    pub(crate) fn is_owned(&self, me: Thread) -> bool {
        self.owner == Some(me)
    }

    /// What its owner does alone, for another number of levels.
    pub(crate) fn set_levels(&mut self, levels: u32) {
        self.levels = levels;
    }

    pub(crate) fn recursion_count(&self, me: Thread) -> u32 {
        if self.is_owned(me) { self.levels } else { 0 }
    }
}

impl Object for RLock {
    type Call = Call;
    type Answer = Answer;

    /// # Panics
    ///
    /// If the thread holds it 2³² - 1 times already.
    fn step(&mut self, me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        match call {
            Call::Acquire(_) if self.is_owned(me) => {
                let deeper = self.levels.checked_add(1);
                self.levels = deeper.expect("RLock acquired too many times");
                Some(Step::returns(Answer::Acquired(true)))
            }
            // What was done before the last release is there to see after the acquires that follow.
            Call::Acquire(_) if self.owner.is_none() => {
                self.owner = Some(me);
                self.levels = 1;
                Some(Step::returns(Answer::Acquired(true)).seeing())
            }
            Call::Acquire(Patience::Forever) => None,
            Call::Acquire(Patience::Timed | Patience::No) => {
                Some(Step::returns(Answer::Acquired(false)))
            }
            Call::Release if !self.is_owned(me) => {
                Some(Step::returns(Answer::Released(Err(ReleaseError::NotOwner))))
            }
            Call::Release if self.levels > 1 => {
                self.levels -= 1;
                Some(Step::returns(Answer::Released(Ok(()))))
            }
            Call::Release => {
                self.owner = None;
                self.levels = 0;
                Some(Step::returns(Answer::Released(Ok(()))).publishing())
            }
        }
    }

    fn room(&self) -> usize {
        usize::from(self.owner.is_none())
    }

    fn shown(&self) -> u32 {
        self.owner.map_or(0, |owner| owner as u32)
    }
}

impl Lockable for RLock {
    fn seems_owned(&self, me: Thread, _seen: u32) -> bool {
        self.is_owned(me)
    }

    fn give_up(&mut self, me: Thread) -> Option<u32> {
        self.is_owned(me).then(|| {
            self.owner = None;
            std::mem::take(&mut self.levels)
        })
    }

    fn take_back(&mut self, me: Thread, levels: u32) -> bool {
        let free = self.owner.is_none();
        if free {
            *self = Self {
                owner: Some(me),
                levels,
            };
        }
        free
    }
}
