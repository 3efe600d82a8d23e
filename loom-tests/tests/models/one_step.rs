//! Programs of which each call is one step: the faces of the primitives, on their specification. All
//! at a size that has no end with the code, and without a bound.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as Seen};

use racefree_loom::model::{Builder, RaceCell};
use racefree_loom::{Barrier, Condition, Condvar, Event, Lock, Mutex, RLock, Semaphore};

use crate::programs::{locked_counter_race, toilet, traffic_light};
use crate::{TIMEOUT, check, explore_with, spawn};

/// A check as its users have it.
fn one_step() -> Builder {
    Builder::new()
}

/// Fails unless these are the outcomes of `body`, no more and no less.
fn outcomes<T: Ord + std::fmt::Debug + Send + 'static>(
    body: impl Fn() -> T + Send + Sync + 'static,
    expected: impl IntoIterator<Item = T>,
) {
    let all = Arc::new(Seen::new(BTreeSet::new()));
    let seen = Arc::clone(&all);
    explore_with(&one_step(), move || {
        let outcome = body();
        seen.lock().unwrap().insert(outcome);
    });
    assert_eq!(*all.lock().unwrap(), expected.into_iter().collect());
}

fn must_fail(message: &str, body: impl Fn() + Send + Sync + 'static) {
    let failure = check(&one_step(), body).expect_err("no execution fails");
    let said = &failure.message;
    assert!(said.contains(message), "failed for another reason: {said}");
}

#[test]
fn counter_3_by_2() {
    explore_with(&one_step(), locked_counter_race(3, 2));
}

#[test]
fn counter_2_by_2() {
    explore_with(&one_step(), locked_counter_race(2, 2));
}

#[test]
fn counter_3_by_1() {
    explore_with(&one_step(), locked_counter_race(3, 1));
}

#[test]
fn toilet_3_on_2() {
    explore_with(&one_step(), toilet(3, 2));
}

#[test]
fn traffic_light_1_car() {
    traffic_light(&one_step(), 1);
}

/// A buffer for one item.
struct Buffer {
    item: RaceCell<Option<usize>>,
    lock: Arc<Lock>,
    not_full: Condition<Arc<Lock>>,
    not_empty: Condition<Arc<Lock>>,
}

impl Buffer {
    fn new() -> Arc<Self> {
        let lock = Arc::new(Lock::new());
        Arc::new(Self {
            item: RaceCell::new(None),
            not_full: Condition::with_lock(Arc::clone(&lock)),
            not_empty: Condition::with_lock(Arc::clone(&lock)),
            lock,
        })
    }

    fn put(&self, item: usize) {
        let _guard = self.lock.guard();
        let empty = || self.item.with(Option::is_none);
        self.not_full.wait_for(empty).unwrap();
        self.item.with_mut(|place| *place = Some(item));
        self.not_empty.notify(1).unwrap();
    }

    fn take(&self) -> usize {
        let _guard = self.lock.guard();
        let full = || self.item.with(Option::is_some);
        self.not_empty.wait_for(full).unwrap();
        self.not_full.notify(1).unwrap();
        self.item.with_mut(Option::take).unwrap()
    }
}

fn queue(producers: usize) {
    explore_with(&one_step(), move || {
        let buffer = Buffer::new();
        let others: Vec<_> = (0..producers)
            .map(|item| spawn(&buffer, move |buffer| buffer.put(item)))
            .collect();
        let taken: BTreeSet<_> = others.iter().map(|_| buffer.take()).collect();
        assert_eq!(taken.len(), producers);
        others.into_iter().for_each(|it| it.join().unwrap());
    });
}

#[test]
fn queue_1_by_1() {
    queue(1);
}

#[test]
fn queue_2_by_1() {
    queue(2);
}

/// A readers-writer lock of a mutex and a condition variable; `wakes`: the last reader wakes a writer.
fn readers_and_writer(wakes: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        struct Shared {
            readers: Mutex<usize>,
            none_left: Condvar,
            data: RaceCell<usize>,
        }
        let shared = Arc::new(Shared {
            readers: Mutex::new(0),
            none_left: Condvar::new(),
            data: RaceCell::new(0),
        });
        let reader = spawn(&shared, move |shared| {
            *shared.readers.lock() += 1;
            shared.data.with(|_| ());
            let mut readers = shared.readers.lock();
            *readers -= 1;
            if *readers == 0 && wakes {
                shared.none_left.notify_one();
            }
        });
        {
            let mut readers = shared.readers.lock();
            shared.none_left.wait_while(&mut readers, |it| *it > 0);
            shared.data.with_mut(|data| *data += 1);
        }
        reader.join().unwrap();
    }
}

#[test]
fn readers_writer() {
    explore_with(&one_step(), readers_and_writer(true));
}

#[test]
fn readers_writer_with_a_lost_wake_up() {
    must_fail("deadlock", readers_and_writer(false));
}

/// A notification without the lock, as a condition variable allows.
#[test]
fn a_notification_beside_the_lock() {
    explore_with(&one_step(), || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let waiters = [(); 2].map(|()| {
            spawn(&shared, |(ready, changed)| {
                changed.wait_while(&mut ready.lock(), |ready| !*ready);
            })
        });
        *shared.0.lock() = true;
        shared.1.notify_all();
        waiters.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// It orders nothing by itself: what was written before it is not there to see after the wait.
#[test]
fn a_notification_orders_no_memory() {
    must_fail("Causality violation", || {
        let shared = Arc::new((Mutex::new(()), Condvar::new(), RaceCell::new(0)));
        let waiter = spawn(&shared, |(lock, changed, cell)| {
            let mut guard = lock.lock();
            if !changed.wait_timeout(&mut guard, TIMEOUT).timed_out() {
                cell.with(|_| ());
            }
        });
        shared.2.with_mut(|it| *it = 1);
        shared.1.notify_one();
        waiter.join().unwrap();
    });
}

#[test]
fn a_timed_wait_ends_in_both_ways() {
    let wait = || {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let waiter = spawn(&shared, |(lock, changed)| {
            changed.wait_timeout(&mut lock.lock(), TIMEOUT).timed_out()
        });
        let notified = {
            let _guard = shared.0.lock();
            shared.1.notify_one()
        };
        (notified, waiter.join().unwrap())
    };
    outcomes(wait, [(false, true), (true, false)]);
}

/// It wakes both, if both wait.
#[test]
fn a_notification_of_two() {
    explore_with(&one_step(), || {
        let shared = Arc::new((Condition::new(), RaceCell::new(false)));
        let waiters = [(); 2].map(|()| {
            spawn(&shared, |(condition, ready)| {
                let _guard = condition.guard();
                condition.wait_for(|| ready.with(|it| *it)).unwrap();
            })
        });
        {
            let _guard = shared.0.guard();
            shared.1.with_mut(|it| *it = true);
            shared.0.notify(2).unwrap();
        }
        waiters.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// The first that came is the first to be notified, and the other sleeps on.
#[test]
fn first_come_first_notified() {
    explore_with(&one_step(), || {
        let shared = Arc::new((Condition::with_lock(Lock::new()), RaceCell::new(false)));
        let first = spawn(&shared, |(condition, over)| {
            let _guard = condition.guard();
            if !over.with(|it| *it) {
                condition.wait().unwrap();
            }
        });
        let second = spawn(&shared, |(condition, over)| {
            let _guard = condition.guard();
            if !over.with(|it| *it) && condition.n_waiting() == 1 {
                condition.wait().unwrap();
            }
        });
        let (condition, over) = &*shared;
        condition.acquire();
        let both = condition.n_waiting() == 2;
        if both {
            condition.notify(1).unwrap();
        } else {
            over.with_mut(|it| *it = true);
            condition.notify_all().unwrap();
        }
        condition.release().unwrap();
        first.join().unwrap();
        if both {
            let _guard = condition.guard();
            assert_eq!(condition.n_waiting(), 1);
            condition.notify(1).unwrap();
        }
        second.join().unwrap();
    });
}

/// All levels are given up, and restored.
#[test]
fn a_wait_with_a_recursive_lock() {
    let wait = || {
        let condition = Arc::new(Condition::new());
        let waiter = spawn(&condition, |condition: &Condition<RLock>| {
            let _outer = condition.guard();
            let _inner = condition.guard();
            let notified = condition.wait_timeout(TIMEOUT).unwrap();
            condition.release().unwrap();
            condition.release().unwrap();
            assert!(condition.release().is_err());
            condition.acquire();
            condition.acquire();
            notified
        });
        let _guard = condition.guard();
        condition.notify(1).unwrap();
        drop(_guard);
        waiter.join().unwrap()
    };
    outcomes(wait, [false, true]);
}

/// The first in the line wants more than there are, and the next does not.
#[test]
fn several_permits_and_one() {
    explore_with(&one_step(), || {
        let permits = Arc::new(Semaphore::new(0));
        let three = spawn(&permits, |permits| permits.acquire_n(3));
        let one = spawn(&permits, Semaphore::acquire);
        permits.release_n(2).unwrap();
        one.join().unwrap();
        permits.release_n(2).unwrap();
        three.join().unwrap();
        assert_eq!(permits.drain(), 0);
    });
}

#[test]
fn a_permit_too_few_is_a_deadlock() {
    must_fail("deadlock", || {
        let permits = Arc::new(Semaphore::new(0));
        let three = spawn(&permits, |permits| permits.acquire_n(3));
        permits.release_n(2).unwrap();
        three.join().unwrap();
    });
}

#[test]
fn an_event_and_a_lock_that_is_timed() {
    let wait = || {
        let shared = Arc::new((Event::new(), Lock::new()));
        let other = spawn(&shared, |(event, lock)| {
            let set = event.wait_timeout(TIMEOUT);
            let guard = lock.guard_timeout(TIMEOUT);
            (set, guard.is_some())
        });
        shared.1.acquire();
        shared.0.set();
        shared.1.release().unwrap();
        other.join().unwrap()
    };
    let all = [(false, false), (false, true), (true, false), (true, true)];
    outcomes(wait, all);
}

/// Whoever waits goes on when it is set, and not before.
#[test]
fn a_clear_frees_nobody() {
    explore_with(&one_step(), || {
        let shared = Arc::new((Event::new(), RaceCell::new(0)));
        let waiter = spawn(&shared, |(event, cell)| {
            event.wait();
            assert_eq!(cell.with(|it| *it), 1);
        });
        shared.0.clear();
        shared.1.with_mut(|it| *it = 1);
        shared.0.set();
        waiter.join().unwrap();
    });
}

#[test]
fn gate_of_2_in_two_rounds() {
    gate::<2>(2);
}

#[test]
fn gate_of_3() {
    gate::<3>(1);
}

/// What is written before a round is there to see after it.
fn gate<const RUNNERS: usize>(rounds: usize) {
    explore_with(&one_step(), move || {
        let cells = [(); RUNNERS].map(|()| RaceCell::new(0));
        let gate = Arc::new((Barrier::new(RUNNERS), cells));
        let run = move |(gate, cells): &(Barrier, [RaceCell<usize>; RUNNERS]), me: usize| {
            for round in 1..=rounds {
                cells[me].with_mut(|it| *it = round);
                gate.wait().unwrap();
                let others = cells.iter().map(|it| it.with(|it| *it));
                others.for_each(|it| assert_eq!(it, round));
                gate.wait().unwrap();
            }
        };
        let others: Vec<_> = (1..RUNNERS)
            .map(|me| spawn(&gate, move |gate| run(gate, me)))
            .collect();
        run(&gate, 0);
        others.into_iter().for_each(|it| it.join().unwrap());
    });
}
