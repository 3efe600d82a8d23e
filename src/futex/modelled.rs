//! The futex as the model checkers see it.
//!
//! Neither loom nor shuttle has one. This one has to be as weak as the kernel's, or the models prove nothing: in
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
//! A peek reads the newest value, as the kernel does, stores nothing, orders nothing, and is a step
//! that every other access to the word depends on.
//!
//! A waiter that nobody wakes stays parked, which the checker reports as a deadlock: that is how a lost
//! wake-up shows.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use super::terms::{Config, FutexCalls, Outcome, Private, WakeOrder};
use crate::observe;
use crate::sync::{self, AtomicU32, peek, thread};

pub(crate) trait Scope {}

impl Scope for Private {}

struct Sleeper {
    id: usize,
    word: *const AtomicU32,
    mask: u32,
    thread: thread::Thread,
    /// Its number in the trace.
    number: usize,
    parked: bool,
}

#[derive(Default)]
struct Queue {
    sleepers: VecDeque<Sleeper>,
    next_id: usize,
    config: Config,
    calls: FutexCalls,
    stall: Stall,
}

/// A thread that was woken, and that the model does not run on.
#[derive(Default)]
struct Stall {
    /// The threads of which the first that is woken is to be stalled; with each, whether that is to be
    /// in a slot of a queue, and not for a lock on the way.
    candidates: Vec<(usize, bool)>,
    stalled: Option<thread::Thread>,
}

thread_local! {
    // All the threads of a model run on one thread of the system, one at a time, and switch only
    // at the checker's own operations: none of which is called with this borrowed.
    static QUEUE: RefCell<Queue> = RefCell::default();
}

/// Begins an execution: nobody sleeps, and the budget of spurious wake-ups is whole.
pub(crate) fn begin(config: Config) {
    sync::begin();
    QUEUE.with_borrow_mut(|queue| {
        *queue = Queue {
            config,
            ..Queue::default()
        };
    });
}

/// How many sleep, on whatever word.
pub(crate) fn sleepers() -> usize {
    QUEUE.with_borrow(|queue| queue.sleepers.len())
}

/// The calls since the execution began.
pub(crate) fn calls() -> FutexCalls {
    QUEUE.with_borrow(|queue| queue.calls)
}

/// Parks until unparked, or for no reason. Panics if that is a deadlock.
pub(crate) fn park() {
    struct Deadlock;

    impl Drop for Deadlock {
        fn drop(&mut self) {
            sync::deadlocked();
        }
    }

    let panics = Deadlock;
    thread::park();
    mem::forget(panics);
}

/// Whether waiters look once more before they sleep.
pub(crate) fn polls() -> bool {
    QUEUE.with_borrow(|queue| queue.config.polls)
}

/// Has the calling thread stalled when it is woken, if it is the first of those that called this.
pub(crate) fn stall_when_woken(notified: bool) {
    let me = observe::thread::me();
    QUEUE.with_borrow_mut(|queue| queue.stall.candidates.push((me, notified)));
}

/// Lets the stalled thread run on, and stalls no other.
pub(crate) fn let_go() {
    let stalled = QUEUE.with_borrow_mut(|queue| mem::take(&mut queue.stall).stalled);
    if let Some(thread) = stalled {
        thread.unpark();
    }
}

/// Does not return while the calling thread is stalled.
fn stall(mask: u32) {
    // The last bit is that of those who wait for the lock of a queue.
    let woken = (observe::thread::me(), mask < 1 << 31);
    let stalls = QUEUE.with_borrow_mut(|queue| {
        let stalls = queue.stall.candidates.contains(&woken);
        if stalls {
            queue.stall.candidates.clear();
            queue.stall.stalled = Some(thread::current());
        }
        stalls
    });
    while stalls && QUEUE.with_borrow(|queue| queue.stall.stalled.is_some()) {
        park();
    }
}

fn enqueue(word: &AtomicU32, mask: u32) -> usize {
    let thread = thread::current();
    let number = observe::thread::me();
    QUEUE.with_borrow_mut(|queue| {
        let id = queue.next_id;
        queue.next_id += 1;
        queue.sleepers.push_back(Sleeper {
            id,
            word,
            mask,
            thread,
            number,
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

pub(super) fn wait<S: Scope>(
    word: &AtomicU32,
    expected: u32,
    apart: u32,
    mask: u32,
    until: Option<Instant>,
) -> Outcome {
    QUEUE.with_borrow_mut(|queue| queue.calls.waits += 1);
    if (peek(word) ^ expected) & !apart != 0 {
        return Outcome::Woken;
    }
    observe::inner(observe::Act::Wait, "futex wait", || {
        format!("while {expected}")
    });
    let id = enqueue(word, mask);
    peek(word);
    if !is_queued(id) {
        stall(mask);
        return Outcome::Woken;
    }
    if take_spurious_wakeup() {
        dequeue(id);
        observe::woken_for_nothing();
        return Outcome::Woken;
    }
    if until.is_some() {
        dequeue(id);
        return Outcome::TimedOut;
    }
    while mark_parked(id) {
        observe::sleeps(false);
        park();
    }
    stall(mask);
    Outcome::Woken
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32, mask: u32) -> Option<usize> {
    QUEUE.with_borrow_mut(|queue| queue.calls.wakes += 1);
    // SAFETY: in a model a primitive outlives the calls that are made on it: the models share it
    // by reference count, and each thread holds its own. What is made for a wait is kept.
    peek(unsafe { &*word });
    observe::inner(observe::Act::Wake, "futex wake", || match count {
        u32::MAX => "all".to_owned(),
        count => count.to_string(),
    });
    for before in 0..count as usize {
        let woken = QUEUE.with_borrow_mut(|queue| {
            let mut order = 0..queue.sleepers.len();
            let sleeps_here = |&at: &usize| {
                let sleeper = &queue.sleepers[at];
                sleeper.word == word && sleeper.mask & mask != 0
            };
            let at = match queue.config.wake_order {
                WakeOrder::FirstIn => order.find(sleeps_here),
                WakeOrder::LastIn => order.rfind(sleeps_here),
            };
            at.and_then(|at| queue.sleepers.remove(at))
        });
        match woken {
            Some(sleeper) => {
                observe::wakes(sleeper.number);
                if sleeper.parked {
                    sleeper.thread.unpark();
                }
            }
            None => return Some(before),
        }
    }
    Some(count as usize)
}

#[cfg(all(test, loom, feature = "loom"))]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::deadline::Deadline;
    use crate::futex::{self, wait, wait_masked, wake, wake_masked};
    use crate::model::{Builder, RaceCell};
    use crate::sync::Ordering;

    struct Word {
        word: AtomicU32,
        data: RaceCell<u32>,
    }

    impl Word {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                word: AtomicU32::new(0),
                data: RaceCell::new(0),
            })
        }

        /// Sleeps until the word is not 0, and looks at it with `order`.
        fn wait_until_set(&self, order: Ordering) {
            while self.word.load(order) == 0 {
                let _ = wait::<Private>(&self.word, 0, Deadline::Never);
            }
        }

        fn set_and_wake(&self, count: u32) {
            self.word.swap(1, Ordering::Release);
            wake::<Private>(&raw const self.word, count);
        }
    }

    fn far_away() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(1000))
    }

    fn spawn<R: 'static>(
        word: &Arc<Word>,
        body: impl FnOnce(&Word) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let word = Arc::clone(word);
        thread::spawn(move || body(&word))
    }

    /// The message with which an execution of `body` fails.
    fn failure(body: impl Fn() + Send + Sync + 'static) -> String {
        let failure = panic::catch_unwind(AssertUnwindSafe(|| Builder::new().check(body)))
            .expect_err("an execution has to fail");
        failure
            .downcast_ref::<String>()
            .expect("a formatted message")
            .clone()
    }

    #[test]
    fn a_wake_after_the_change_is_never_lost() {
        Builder::new().check(|| {
            let word = Word::new();
            let waiter = spawn(&word, |word| word.wait_until_set(Ordering::Acquire));
            word.set_and_wake(1);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_lost_wake_is_a_deadlock() {
        let message = failure(|| {
            let word = Word::new();
            let waiter = spawn(&word, |word| word.wait_until_set(Ordering::Acquire));
            word.word.swap(1, Ordering::Release);
            waiter.join().unwrap();
        });
        assert!(message.contains("deadlock"), "{message}");
    }

    #[test]
    fn a_wake_before_the_change_is_lost() {
        let message = failure(|| {
            let word = Word::new();
            let waiter = spawn(&word, |word| word.wait_until_set(Ordering::Acquire));
            wake::<Private>(&raw const word.word, 1);
            word.word.swap(1, Ordering::Release);
            waiter.join().unwrap();
        });
        assert!(message.contains("deadlock"), "{message}");
    }

    #[test]
    fn a_wake_orders_no_memory() {
        let hand_over = |order| {
            move || {
                let word = Word::new();
                let waiter = spawn(&word, move |word| {
                    word.wait_until_set(order);
                    word.data.with(|data| assert_eq!(*data, 1));
                });
                word.data.with_mut(|data| *data = 1);
                word.set_and_wake(1);
                waiter.join().unwrap();
            }
        };
        Builder::new().check(hand_over(Ordering::Acquire));
        let message = failure(hand_over(Ordering::Relaxed));
        assert!(message.contains("Causality violation"), "{message}");
    }

    /// Even a waiter that was asleep, and looks at nothing once it is woken.
    #[test]
    fn a_wake_that_is_trusted_is_a_race() {
        let message = failure(|| {
            let word = Word::new();
            let waiter = spawn(&word, |word| {
                if wait::<Private>(&word.word, 0, Deadline::Never) == Outcome::Woken {
                    word.data.with(|data| assert_eq!(*data, 1));
                }
            });
            word.data.with_mut(|data| *data = 1);
            word.set_and_wake(1);
            waiter.join().unwrap();
        });
        assert!(message.contains("Causality violation"), "{message}");
    }

    /// How often, over all executions, a timed wait was woken, timed out, and lost its race: timed
    /// out although the word had been changed before it said so.
    #[test]
    fn a_timed_wait_ends_in_both_ways_and_their_race() {
        let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let seen = Arc::clone(&counts);
        Builder::new().check(move || {
            let word = Word::new();
            let waiter = spawn(&word, |word| {
                let outcome = wait::<Private>(&word.word, 0, far_away());
                (outcome, peek(&word.word))
            });
            word.set_and_wake(1);
            let kind = match waiter.join().unwrap() {
                (Outcome::Woken, _) => 0,
                (Outcome::TimedOut, 0) => 1,
                (Outcome::TimedOut, _) => 2,
            };
            seen[kind].fetch_add(1, Relaxed);
        });
        for count in &*counts {
            assert!(count.load(Relaxed) > 0, "{counts:?}");
        }
    }

    /// A waiter that times out has not taken the wake from the one beside it.
    #[test]
    fn a_timeout_takes_no_wake() {
        Builder::new().check(|| {
            let word = Word::new();
            let timed = spawn(&word, |word| {
                // Whoever is woken passes the wake on; who timed out has none to pass on.
                if wait::<Private>(&word.word, 0, far_away()) == Outcome::Woken {
                    wake::<Private>(&raw const word.word, 1);
                }
            });
            let waiter = spawn(&word, |word| word.wait_until_set(Ordering::Acquire));
            word.set_and_wake(1);
            timed.join().unwrap();
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_wait_ends_for_no_reason_as_often_as_told() {
        let message = failure(|| {
            let word = Word::new();
            let _ = wait::<Private>(&word.word, 0, Deadline::Never);
        });
        assert!(message.contains("deadlock"), "{message}");
        Builder::new().spurious_wakeups(2).check(|| {
            let word = Word::new();
            for _ in 0..2 {
                assert_eq!(wait::<Private>(&word.word, 0, far_away()), Outcome::Woken);
            }
            assert_eq!(
                wait::<Private>(&word.word, 0, far_away()),
                Outcome::TimedOut
            );
        });
    }

    /// Who is woken by a single wake, if both sleep for certain.
    fn first_woken(order: WakeOrder) -> usize {
        let first = Arc::new(AtomicUsize::new(usize::MAX));
        let seen = Arc::clone(&first);
        Builder::new().wake_order(order).check(move || {
            let word = Word::new();
            let woken = Arc::new(AtomicUsize::new(usize::MAX));
            let sleeper = |number: usize| {
                let woken = Arc::clone(&woken);
                spawn(&word, move |word| {
                    let _ = wait::<Private>(&word.word, 0, Deadline::Never);
                    let _ = woken.compare_exchange(usize::MAX, number, Relaxed, Relaxed);
                    // Only one was woken, so it sees to the other.
                    wake::<Private>(&raw const word.word, 1);
                })
            };
            let threads = [sleeper(0), sleeper(1)];
            peek(&word.word);
            let in_order = QUEUE.with_borrow(|queue| {
                let ids: Vec<_> = queue.sleepers.iter().map(|it| it.thread.id()).collect();
                ids == threads.each_ref().map(|it| it.thread().id())
            });
            word.set_and_wake(1);
            threads.into_iter().for_each(|it| it.join().unwrap());
            if in_order {
                seen.store(woken.load(Relaxed), Relaxed);
            }
        });
        first.load(Relaxed)
    }

    #[test]
    fn a_wake_takes_the_first_or_the_last_as_told() {
        assert_eq!(first_woken(WakeOrder::FirstIn), 0);
        assert_eq!(first_woken(WakeOrder::LastIn), 1);
    }

    #[test]
    fn a_wake_reaches_its_own_word_alone() {
        Builder::new().check(|| {
            let [word, other] = [Word::new(), Word::new()];
            let waiter = spawn(&word, |word| word.wait_until_set(Ordering::Acquire));
            wake::<Private>(&raw const other.word, futex::ALL);
            word.set_and_wake(1);
            waiter.join().unwrap();
            assert_eq!(sleepers(), 0);
        });
    }

    #[test]
    fn a_wake_with_a_mask_reaches_those_that_share_a_bit() {
        let waiter = |word: &Word| {
            while word.word.load(Ordering::Acquire) == 0 {
                let _ = wait_masked::<Private>(&word.word, 0, 0, 2, Deadline::Never);
            }
        };
        let wake_with = move |mask| {
            move || {
                let word = Word::new();
                let waiter = spawn(&word, waiter);
                word.word.swap(1, Ordering::Release);
                wake_masked::<Private>(&raw const word.word, futex::ALL, mask);
                waiter.join().unwrap();
            }
        };
        Builder::new().check(wake_with(2 | 4));
        Builder::new().check(wake_with(futex::ANY));
        let message = failure(wake_with(4));
        assert!(message.contains("deadlock"), "{message}");
    }

    #[test]
    fn a_wake_says_how_many_were_asleep() {
        let seen = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let counts = Arc::clone(&seen);
        Builder::new().check(move || {
            let word = Word::new();
            let waiters = [(); 2].map(|()| {
                spawn(&word, |word| {
                    let _ = wait::<Private>(&word.word, 0, Deadline::Never);
                })
            });
            peek(&word.word);
            let asleep = sleepers();
            word.word.swap(1, Ordering::Release);
            let woken = wake::<Private>(&raw const word.word, futex::ALL);
            let woken = woken.expect("a model tells");
            assert!(woken >= asleep, "{woken} of {asleep}");
            counts[woken].fetch_add(1, Relaxed);
            assert_eq!(wake::<Private>(&raw const word.word, 1), Some(0));
            waiters.into_iter().for_each(|it| it.join().unwrap());
        });
        assert!(seen.iter().all(|count| count.load(Relaxed) > 0), "{seen:?}");
    }

    /// loom itself does not run the change before the first load here: see `sync::Turn`.
    #[test]
    fn a_load_does_not_hide_another() {
        let seen = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let values = Arc::clone(&seen);
        Builder::new().check(move || {
            let word = Word::new();
            let other = spawn(&word, |word| {
                word.word.load(Ordering::Relaxed);
                word.word.swap(1, Ordering::Relaxed);
            });
            let value = word.word.load(Ordering::Relaxed);
            values[value as usize].fetch_add(1, Relaxed);
            other.join().unwrap();
        });
        assert!(seen.iter().all(|count| count.load(Relaxed) > 0), "{seen:?}");
    }
}
