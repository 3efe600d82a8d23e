//! Models of `Condvar`. What it shares with `Condition` is in that one's models; here is what is its
//! own: notifications without the lock, and the guards that it gives up.

use std::sync::Arc;
use std::time::Instant;

use racefree_loom::model::RaceCell;
use racefree_loom::model::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use racefree_loom::{Condvar, Lock, Mutex, MutexGuard, RLock};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, explore, explore_both_with, explore_with, must_fail,
    spawn,
};

/// A mutex with a count of what may be taken, and who waits for it.
struct Shelf {
    items: Mutex<usize>,
    more: Condvar,
}

impl Shelf {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            items: Mutex::new(0),
            more: Condvar::new(),
        })
    }

    fn take(&self) {
        let mut items = self.items.lock();
        self.more.wait_while(&mut items, |items| *items == 0);
        *items -= 1;
    }

    /// Notifies with the mutex unlocked.
    fn put(&self, items: usize) -> usize {
        *self.items.lock() += items;
        self.more.notify(items)
    }
}

#[test]
fn hand_over_with_the_mutex_unlocked() {
    explore(|| {
        let shelf = Shelf::new();
        let taker = spawn(&shelf, Shelf::take);
        shelf.put(1);
        taker.join().unwrap();
        assert_no_futex_call(|| assert_eq!(shelf.put(1), 0));
        assert_eq!(*shelf.items.lock(), 1);
    });
}

#[test]
fn hand_over_with_the_mutex_locked() {
    explore(|| {
        let shelf = Shelf::new();
        let taker = spawn(&shelf, Shelf::take);
        let mut items = shelf.items.lock();
        *items += 1;
        // Who waits has given up the mutex, which is held here: so the number is exact.
        let waiting = shelf.more.n_waiting();
        assert_eq!(shelf.more.notify_one(), waiting == 1);
        assert_eq!(shelf.more.n_waiting(), 0);
        drop(items);
        taker.join().unwrap();
    });
}

/// A change that is not made with the mutex locked may be missed, here as everywhere.
#[test]
fn a_change_without_the_mutex_is_missed() {
    must_fail("deadlock", || {
        let shelf = Arc::new((Mutex::new(()), Condvar::new(), AtomicUsize::new(0)));
        let taker = spawn(&shelf, |(mutex, more, items)| {
            let mut guard = mutex.lock();
            more.wait_while(&mut guard, |()| items.load(Relaxed) == 0);
        });
        shelf.2.store(1, Relaxed);
        shelf.1.notify_one();
        taker.join().unwrap();
    });
}

#[test]
fn notify_one_twice() {
    explore_with(&bound(3, Some(4)), || {
        let shelf = Shelf::new();
        let takers = [(); 2].map(|()| spawn(&shelf, Shelf::take));
        shelf.put(1);
        shelf.put(1);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(*shelf.items.lock(), 0);
    });
}

#[test]
fn notify_two_at_once() {
    explore_with(&bound(3, Some(4)), || {
        let shelf = Shelf::new();
        let takers = [(); 2].map(|()| spawn(&shelf, Shelf::take));
        shelf.put(2);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        assert_eq!(*shelf.items.lock(), 0);
    });
}

/// Threads that notify and wait with different mutexes do not disturb one another.
#[test]
fn two_mutexes() {
    explore_with(&bound(3, Some(4)), || {
        let shared = Arc::new((Condvar::new(), [(); 2].map(|()| Mutex::new(false))));
        let takers = [0, 1].map(|own| {
            spawn(&shared, move |(changed, mutexes)| {
                let mut done = mutexes[own].lock();
                changed.wait_while(&mut done, |done| !*done);
            })
        });
        for mutex in &shared.1 {
            *mutex.lock() = true;
        }
        shared.0.notify_all();
        takers.into_iter().for_each(|taker| taker.join().unwrap());
    });
}

/// A wait is told of a notification exactly if the notifier is told of the wait.
#[test]
fn timeout_against_notify() {
    for until in [false, true] {
        explore_both_with(&bound(6, Some(8)), move || {
            let shelf = Shelf::new();
            let waiter = spawn(&shelf, move |shelf| {
                let mut items = shelf.items.lock();
                let waited = match until {
                    false => shelf.more.wait_timeout(&mut items, TIMEOUT),
                    true => shelf.more.wait_until(&mut items, Instant::now() + TIMEOUT),
                };
                *items += 1;
                !waited.timed_out()
            });
            let notified = shelf.put(1) == 1;
            assert_eq!(waiter.join().unwrap(), notified);
            assert_eq!(*shelf.items.lock(), 2);
            notified
        });
    }
}

#[test]
fn timeout_of_a_condition_against_its_change() {
    explore_both_with(&bound(4, Some(6)), || {
        let shelf = Shelf::new();
        let waiter = spawn(&shelf, |shelf| {
            let mut items = shelf.items.lock();
            let more = &shelf.more;
            let waited = more.wait_while_timeout(&mut items, |items| *items == 0, TIMEOUT);
            assert_eq!(waited.timed_out(), *items == 0);
            !waited.timed_out()
        });
        shelf.put(1);
        waiter.join().unwrap()
    });
}

#[test]
fn a_guard_of_a_lock() {
    explore(|| {
        let shared = Arc::new((Lock::new(), Condvar::new(), RaceCell::new(0)));
        let taker = spawn(&shared, |(lock, more, items)| {
            let mut guard = lock.guard();
            more.wait_while(&mut guard, |_| items.with(|items| *items == 0));
            items.with_mut(|items| *items -= 1);
        });
        {
            let _guard = shared.0.guard();
            shared.2.with_mut(|items| *items += 1);
        }
        shared.1.notify_all();
        taker.join().unwrap();
    });
}

#[test]
fn all_levels_of_an_rlock() {
    explore(|| {
        let shared = Arc::new((RLock::new(), Condvar::new(), RaceCell::new(0)));
        let taker = spawn(&shared, |(lock, more, items)| {
            let _outer = lock.guard();
            let mut inner = lock.guard();
            more.wait_while(&mut inner, |_| items.with(|items| *items == 0));
            assert_eq!(lock.recursion_count(), 2);
            items.with_mut(|items| *items -= 1);
        });
        {
            let _guard = shared.0.guard();
            shared.2.with_mut(|items| *items += 1);
        }
        shared.1.notify_all();
        taker.join().unwrap();
    });
}

#[test]
fn a_guard_in_an_arc() {
    explore(|| {
        let shelf = Arc::new((Arc::new(Mutex::new(0)), Condvar::new()));
        let taker = spawn(&shelf, |(items, more)| {
            let mut items = items.lock_arc();
            more.wait_while(&mut items, |items| *items == 0);
            *items -= 1;
        });
        *shelf.0.lock_arc() += 1;
        shelf.1.notify_one();
        taker.join().unwrap();
    });
}

/// A mutex that is unlocked for a while, by a thread that others wait for.
#[test]
fn unlocked_beside_a_waiter() {
    explore_with(&bound(4, None), || {
        let shelf = Shelf::new();
        let taker = spawn(&shelf, Shelf::take);
        let mut items = shelf.items.lock();
        *items += 1;
        shelf.more.notify_one();
        MutexGuard::unlocked(&mut items, || {});
        drop(items);
        taker.join().unwrap();
    });
}
