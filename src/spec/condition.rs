//! `threading.Condition`.

use super::super::error::NotOwnerError;
use super::terms::{Patience, Step, Thread};

/// What a condition asks of its lock.
pub(crate) trait Lockable {
    /// Whether the lock takes the thread for its owner. It has `seen` what the lock shows.
    fn seems_owned(&self, me: Thread, seen: u32) -> bool;

    /// Gives it up, whole, and says how many levels that were, if it is owned.
    fn give_up(&mut self, me: Thread) -> Option<u32>;

    /// Takes it, so many levels deep, if it is free, and says whether it was.
    fn take_back(&mut self, me: Thread, levels: u32) -> bool;
}

/// Those who wait, the first that came first. The lock stands beside it: several conditions may
/// have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    waiting: Vec<Thread>,
    /// Those who have been notified, and have yet to have the lock back.
    notified: Vec<Thread>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Wait(Patience),
    /// A wait that has given up so many levels of the lock.
    Waiting(Patience, u32),
    /// A wait whose time is up, and which has to have the lock back.
    TimedOut(u32),
    /// At most so many.
    Notify(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Waited(Result<bool, NotOwnerError>),
    Notified(Result<(), NotOwnerError>),
}

impl Condition {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            notified: Vec::new(),
        }
    }

    /// How many wait, and have not been notified.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether some have been notified that have yet to go on.
    pub(crate) fn any_notified(&self) -> bool {
        !self.notified.is_empty()
    }

    /// As [`Object::step`](super::Object::step), on the condition and its lock.
    ///
    /// What is published and seen is so by the lock: a wait gives it up as a release does, and has
    /// it back as an acquire does. A call begins with a look at the lock: what it has `seen`.
    pub(crate) fn step(
        &mut self,
        lock: &mut impl Lockable,
        me: Thread,
        call: &Call,
        seen: u32,
    ) -> Option<Step<Call, Answer>> {
        match *call {
            Call::Wait(patience) => {
                let owned = lock.seems_owned(me, seen);
                let Some(levels) = owned.then(|| lock.give_up(me)).flatten() else {
                    return Some(Step::returns(Answer::Waited(Err(NotOwnerError::Wait))));
                };
                if patience == Patience::No {
                    // It waits for nothing, but for the lock that it has given up.
                    return Some(Step::goes_on(Call::TimedOut(levels)).publishing());
                }
                self.waiting.push(me);
                Some(Step::waits(Call::Waiting(patience, levels)).publishing())
            }
            Call::Waiting(_, levels) if self.notified.contains(&me) => {
                lock.take_back(me, levels).then(|| {
                    self.notified.retain(|&it| it != me);
                    Step::returns(Answer::Waited(Ok(true))).seeing()
                })
            }
            Call::Waiting(Patience::Forever, _) => None,
            // No notification is for it from here on.
            Call::Waiting(Patience::Timed | Patience::No, levels) => {
                self.waiting.retain(|&it| it != me);
                Some(Step::goes_on(Call::TimedOut(levels)))
            }
            Call::TimedOut(levels) => lock
                .take_back(me, levels)
                .then(|| Step::returns(Answer::Waited(Ok(false))).seeing()),
            Call::Notify(_) if !lock.seems_owned(me, seen) => {
                Some(Step::returns(Answer::Notified(Err(NotOwnerError::Notify))))
            }
            Call::Notify(n) => {
                let n = n.min(self.waiting.len());
                let first: Vec<_> = self.waiting.drain(..n).collect();
                self.notified.extend(&first);
                Some(Step::returns(Answer::Notified(Ok(()))).ending(first))
            }
        }
    }
}
