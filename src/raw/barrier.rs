//! The state machine of `threading.Barrier`.
//!
//! A [`Queue`] of the waiters; beside it why the barrier is broken, if it is; and, where there is an
//! action, how the round fares whose action runs. Each is changed with the queue locked. No code of
//! a user's runs with the queue locked.
//!
//! | step | broken | acting | waiting | and then |
//! |---|---|---|---|---|
//! | wait, not the last | no | any | one more | sleeps until it is woken |
//! | wait, the last, no action | no | | none | wakes all: passed |
//! | wait, the last | no | idle, becomes `PASSED` | the same | runs the action |
//! | wait, the last | no | not idle | one more | sleeps until it is woken |
//! | wait | yes | any | the same | error |
//! | the action ends | any | `PASSED`, becomes idle | `parties - 1` fewer | wakes these: passed |
//! | the action ends | any | why it broke, becomes idle | the same | error |
//! | the action panics | becomes so if acting was `PASSED` | becomes idle | none if acting was `PASSED` | wakes all: broken; goes on to panic |
//! | the next round is complete when an action ends | any | idle, becomes `PASSED` | one less | wakes the first: lead |
//! | told to lead | any | | | runs the action |
//! | out of time | becomes so | if `PASSED`, why it broke | none | wakes all: broken; error |
//! | abort | becomes so | if `PASSED`, why it broke | none | wakes all: broken |
//! | reset | no longer | if `PASSED`, why it broke | none | wakes all: broken |
//!
//! CPython's barrier is *draining* after a round: who comes meanwhile has to wait until all of the
//! round have gone, as these have yet to read how it ended. Here each of them is told by a message
//! of its own and leaves the queue in the same step as the round ends: so who comes next is of the
//! next round, and has nobody to wait for but an action.
//!
//! # Invariants
//!
//! 1. Of those who enter a round, each has another index, from 0, in the order of coming. (models
//!    `barrier::two_rounds`, `barrier::three_of_two`)
//! 2. While acting is `PASSED`, the first `parties - 1` in the queue are of the round that acts: none
//!    of them leaves without breaking it. (models `barrier::*_during_the_action`)
//! 3. All who are in the queue when the barrier breaks or is reset are told so. (models
//!    `barrier::abort_against_wait`, `barrier::three_of_two`)
//! 4. While the barrier is broken nobody is in the queue. (models `barrier::timeout_*`)
//! 5. The action runs once in each round, after all have come and before any of them goes on: what
//!    was written before a wait is there to see for the action, and for all after it. It runs in
//!    one thread at a time: that which made acting `PASSED`, or was told to lead, until it makes it
//!    idle. (models `barrier::the_action_runs_before_anybody_goes`,
//!    `barrier::a_round_that_is_complete_during_the_action`)
//! 6. Whether the queue has `parties` waiters while no action runs, is looked at by the thread whose
//!    action ended: so a round that was complete by then is led by somebody. (the same models)

use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};

use super::queue::{self, Locked, Queue};
use crate::deadline::Deadline;
use crate::sync::{AtomicU32, Ordering, const_fn, unless_deadlocked};

pub(crate) use super::queue::Message;

/// The round is complete; and while its action runs, that nothing has broken it.
pub(crate) const PASSED: Message = queue::WOKEN;

pub(crate) const ABORTED: Message = PASSED + 1;
pub(crate) const RESET: Message = PASSED + 2;
pub(crate) const TIMED_OUT: Message = PASSED + 3;
pub(crate) const ACTION_PANICKED: Message = PASSED + 4;

/// The round is complete, and its action is this waiter's to run.
const LEAD: Message = PASSED + 5;

/// The barrier is not broken, or no action runs.
const NONE: Message = 0;

/// What runs once in each round.
pub(crate) type Action = dyn Fn() + Send + Sync;

/// A barrier without its timeout.
pub(crate) struct Barrier {
    parties: usize,
    queue: Queue,
    /// [`NONE`], or what those are told who come.
    broken: AtomicU32,
    /// [`NONE`], or how the round fares whose action runs.
    acting: AtomicU32,
    action: Option<Box<Action>>,
}

impl Barrier {
    const_fn! {
        pub(crate) fn new(parties: usize) -> Self {
            assert!(parties > 0, "parties must be > 0");
            Self {
                parties,
                queue: Queue::new(),
                broken: AtomicU32::new(NONE),
                acting: AtomicU32::new(NONE),
                action: None,
            }
        }
    }

    pub(crate) fn set_action(&mut self, action: Box<Action>) {
        self.action = Some(action);
    }

    pub(crate) fn parties(&self) -> usize {
        self.parties
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.queue.len() as usize
    }

    pub(crate) fn broken(&self) -> bool {
        // Relaxed, as every access: who decides by it holds the queue's lock.
        self.broken.load(Ordering::Relaxed) != NONE
    }

    /// Waits until the round is complete: has the index, or why it is broken.
    ///
    /// # Panics
    ///
    /// If the action that it runs panics.
    pub(crate) fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<usize, Message> {
        let locked = self.queue.lock();
        let broken = self.broken.load(Ordering::Relaxed);
        if broken != NONE {
            return Err(broken);
        }
        let acting = self.acting();
        let others = locked.len() as usize - self.of_the_acting_round(acting);
        let index = others % self.parties;
        if index + 1 == self.parties && acting == NONE {
            return self.lead(locked).map(|()| index);
        }
        match locked.wait(deadline) {
            Ok(PASSED) => Ok(index),
            Ok(LEAD) => self.act().map(|()| index),
            Ok(why) => Err(why),
            Err(locked) => {
                self.end_for_all(locked, TIMED_OUT, TIMED_OUT);
                Err(TIMED_OUT)
            }
        }
    }

    pub(crate) fn abort(&self) {
        self.end_for_all(self.queue.lock(), ABORTED, ABORTED);
    }

    pub(crate) fn reset(&self) {
        self.end_for_all(self.queue.lock(), NONE, RESET);
    }

    /// How the round fares whose action runs.
    fn acting(&self) -> Message {
        match self.action {
            Some(_) => self.acting.load(Ordering::Relaxed),
            None => NONE,
        }
    }

    /// How many of those in the queue are of the round whose action runs.
    fn of_the_acting_round(&self, acting: Message) -> usize {
        if acting == PASSED {
            self.parties - 1
        } else {
            0
        }
    }

    /// Ends the round in which this thread is the last.
    fn lead(&self, locked: Locked<'_>) -> Result<(), Message> {
        if self.action.is_none() {
            locked.wake(queue::ALL, PASSED);
            return Ok(());
        }
        self.acting.store(PASSED, Ordering::Relaxed);
        drop(locked);
        self.act()
    }

    /// Runs the action of a round that is complete, and ends it.
    fn act(&self) -> Result<(), Message> {
        let action = self
            .action
            .as_ref()
            .expect("a barrier without one does not act");
        // What the action leaves half done is for those to judge who see the barrier broken.
        let panicked = catch_unwind(AssertUnwindSafe(action));
        let mut round = PASSED;
        unless_deadlocked(|| round = self.end_of_action(panicked.is_ok()));
        match panicked {
            Err(panic) => resume_unwind(panic),
            Ok(()) if round == PASSED => Ok(()),
            Ok(()) => Err(round),
        }
    }

    /// Ends the round whose action has ended, and has how it fared.
    fn end_of_action(&self, well: bool) -> Message {
        let locked = self.queue.lock();
        let round = self.acting.load(Ordering::Relaxed);
        self.acting.store(NONE, Ordering::Relaxed);
        if round == PASSED && !well {
            self.end_for_all(locked, ACTION_PANICKED, ACTION_PANICKED);
            return ACTION_PANICKED;
        }
        let passed = self.of_the_acting_round(round);
        let left = locked.len() as usize - passed;
        locked.wake(passed, PASSED);
        if left >= self.parties {
            self.begin_next_round();
        }
        round
    }

    /// Has the round led that was complete before an action ended.
    fn begin_next_round(&self) {
        let locked = self.queue.lock();
        if locked.len() as usize >= self.parties && self.acting() == NONE {
            self.acting.store(PASSED, Ordering::Relaxed);
            locked.wake(1, LEAD);
        }
    }

    /// Tells all who wait, and the thread that acts, `why` their round has ended, and those who come
    /// that the barrier is `broken`.
    fn end_for_all(&self, locked: Locked<'_>, broken: Message, why: Message) {
        self.broken.store(broken, Ordering::Relaxed);
        if self.acting() == PASSED {
            self.acting.store(why, Ordering::Relaxed);
        }
        locked.wake(queue::ALL, why);
    }
}
