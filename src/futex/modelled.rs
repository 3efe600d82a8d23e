//! The futex as the model checker sees it.
//!
//! loom has none. This one has to be as weak as the kernel's, or the models prove nothing: in
//! particular a wake must order no memory, while everything in loom that unblocks a thread does.
//! So there is a queue that loom does not see, and two looks at the word that it does:
//!
//! ```text
//! wait:  peek; if the word differs, return        the kernel's EAGAIN
//!        enqueue                                  no step of loom's since the peek: one with it
//!        peek                                     a wake may come here, before we sleep...
//!        if dequeued, return                      ...and then nothing was ordered by it
//!        if a spurious wake-up is left, dequeue, return
//!        if timed, dequeue, return TimedOut       so both outcomes are explored, and their race
//!        park until dequeued                      the wake that ends this does order memory, which
//!                                                 is why the one before the sleep has to exist
//! wake:  peek; dequeue; unpark those that parked  a thread that has not parked is not unparked:
//!                                                 that would order memory, and end a later join
//! ```
//!
//! A peek is a compare-exchange that fails: it reads the newest value, as the kernel does, stores
//! nothing, orders nothing, and is a step that every other access to the word depends on.
//!
//! A waiter that nobody wakes stays parked, which loom reports as a deadlock: that is how a lost
//! wake-up shows.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use loom::thread;

use super::{Outcome, Private};
use crate::sync::{AtomicU32, Ordering};

pub(crate) trait Scope {}

impl Scope for Private {}

/// Which of several sleepers a wake takes first. The kernel promises no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeOrder {
    /// The one that has slept longest.
    #[default]
    FirstIn,
    /// The one that came last.
    LastIn,
}

/// What a model may choose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Config {
    /// How many waits, in each execution, end for no reason.
    pub(crate) spurious_wakeups: usize,
    pub(crate) wake_order: WakeOrder,
}

struct Sleeper {
    id: usize,
    word: *const AtomicU32,
    thread: thread::Thread,
    parked: bool,
}

#[derive(Default)]
struct Queue {
    sleepers: VecDeque<Sleeper>,
    next_id: usize,
    config: Config,
}

thread_local! {
    // All the threads of a model run on one thread of the system, one at a time, and switch only
    // at loom's own operations: none of which is called with this borrowed.
    static QUEUE: RefCell<Queue> = RefCell::default();
}

/// Begins an execution: nobody sleeps, and the budget of spurious wake-ups is whole.
pub(crate) fn begin(config: Config) {
    QUEUE.with_borrow_mut(|queue| {
        *queue = Queue {
            config,
            ..Queue::default()
        };
    });
}

fn enqueue(word: &AtomicU32) -> usize {
    let thread = thread::current();
    QUEUE.with_borrow_mut(|queue| {
        let id = queue.next_id;
        queue.next_id += 1;
        queue.sleepers.push_back(Sleeper {
            id,
            word,
            thread,
            parked: false,
        });
        id
    })
}

fn is_queued(id: usize) -> bool {
    QUEUE.with_borrow(|queue| queue.sleepers.iter().any(|sleeper| sleeper.id == id))
}

fn dequeue(id: usize) {
    QUEUE.with_borrow_mut(|queue| queue.sleepers.retain(|sleeper| sleeper.id != id));
}

/// Marks the sleeper as parked, unless it has been woken.
fn mark_parked(id: usize) -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let sleeper = queue.sleepers.iter_mut().find(|sleeper| sleeper.id == id);
        sleeper.map(|sleeper| sleeper.parked = true).is_some()
    })
}

fn take_spurious_wakeup() -> bool {
    QUEUE.with_borrow_mut(|queue| {
        let left = &mut queue.config.spurious_wakeups;
        let any = *left > 0;
        *left -= usize::from(any);
        any
    })
}

pub(super) fn wait<S: Scope>(word: &AtomicU32, expected: u32, until: Option<Instant>) -> Outcome {
    if word.peek(Ordering::Relaxed) != expected {
        return Outcome::Woken;
    }
    let id = enqueue(word);
    word.peek(Ordering::Relaxed);
    if !is_queued(id) {
        return Outcome::Woken;
    }
    if take_spurious_wakeup() {
        dequeue(id);
        return Outcome::Woken;
    }
    if until.is_some() {
        dequeue(id);
        return Outcome::TimedOut;
    }
    while mark_parked(id) {
        thread::park();
    }
    Outcome::Woken
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32) {
    // SAFETY: under loom a primitive outlives the calls that are made on it: the models share it
    // by reference count, and each thread holds its own.
    unsafe { &*word }.peek(Ordering::Relaxed);
    for _ in 0..count {
        let woken = QUEUE.with_borrow_mut(|queue| {
            let mut order = 0..queue.sleepers.len();
            let sleeps_here = |&at: &usize| queue.sleepers[at].word == word;
            let at = match queue.config.wake_order {
                WakeOrder::FirstIn => order.find(sleeps_here),
                WakeOrder::LastIn => order.rfind(sleeps_here),
            };
            at.and_then(|at| queue.sleepers.remove(at))
        });
        match woken {
            Some(sleeper) if sleeper.parked => sleeper.thread.unpark(),
            Some(_) => {}
            None => return,
        }
    }
}
