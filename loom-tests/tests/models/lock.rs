//! Models of `Lock`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use racefree_loom::model::{RaceCell, WakeOrder};
use racefree_loom::{Lock, ReleaseError};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, code, explore, explore_both, explore_timed, explore_with,
    must_fail, spawn,
};

struct Counter {
    lock: Lock,
    count: RaceCell<usize>,
}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: Lock::new(),
            count: RaceCell::new(0),
        })
    }

    /// A counter whose lock is held.
    fn held() -> Arc<Self> {
        let counter = Self::new();
        counter.lock.acquire();
        counter
    }

    /// The count is a race unless the lock excludes, and is wrong unless it hands over.
    fn add(&self, rounds: usize) {
        for _ in 0..rounds {
            self.lock.acquire();
            self.count.with_mut(|count| *count += 1);
            self.lock.release().unwrap();
        }
    }

    fn assert_count(&self, expected: usize) {
        self.count.with(|count| assert_eq!(*count, expected));
    }
}

/// Several threads that each add to the counter, main among them.
fn adders(threads: usize, rounds: usize) -> impl Fn() + Send + Sync + 'static {
    move || {
        let counter = Counter::new();
        let others: Vec<_> = (1..threads)
            .map(|_| spawn(&counter, move |counter| counter.add(rounds)))
            .collect();
        counter.add(rounds);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_no_futex_call(|| counter.add(1));
        counter.assert_count(threads * rounds + 1);
        assert!(!counter.lock.locked());
    }
}

/// Three threads are in `programs::counter_with_a_lock_for_three`.
#[test]
fn exclusion() {
    explore(adders(2, 2));
}

#[test]
fn exclusion_of_three_rounds() {
    explore_with(&bound(5, None), adders(2, 3));
}

#[test]
fn exclusion_despite_spurious_wakeups() {
    explore_with(&code().spurious_wakeups(1), adders(2, 2));
}

/// One thread acquires, another one releases: what was written before is there to read.
#[test]
fn hand_over() {
    explore(|| {
        let counter = Counter::held();
        let next = spawn(&counter, |counter| {
            counter.lock.acquire();
            counter.assert_count(1);
        });
        counter.count.with_mut(|count| *count = 1);
        counter.lock.release().unwrap();
        next.join().unwrap();
    });
}

/// Nobody is forgotten, whoever is woken first.
fn two_waiters(order: WakeOrder) {
    explore_with(&bound(4, None).wake_order(order), || {
        let counter = Counter::held();
        let waiters = [(); 2].map(|()| spawn(&counter, |counter| counter.add(1)));
        counter.lock.release().unwrap();
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        counter.assert_count(2);
    });
}

#[test]
fn two_waiters_first_in() {
    two_waiters(WakeOrder::FirstIn);
}

#[test]
fn two_waiters_last_in() {
    two_waiters(WakeOrder::LastIn);
}

/// The lock is had, or it is free: never lost. `acquire` is one that waits for a time.
fn timed_against_release(acquire: fn(&Lock) -> bool) {
    explore_timed(move || {
        let counter = Counter::held();
        let waiter = spawn(&counter, move |counter| {
            let acquired = acquire(&counter.lock);
            if acquired {
                counter.assert_count(1);
            }
            acquired
        });
        counter.count.with_mut(|count| *count = 1);
        counter.lock.release().unwrap();
        let acquired = waiter.join().unwrap();
        // A timeout of zero tries, and does not wait.
        assert_eq!(counter.lock.acquire_timeout(Duration::ZERO), !acquired);
        let free = Lock::new();
        assert_no_futex_call(|| {
            assert!(acquire(&free));
            free.release().unwrap();
        });
        acquired
    });
}

#[test]
fn timeout_against_release() {
    timed_against_release(|lock| lock.acquire_timeout(TIMEOUT));
}

#[test]
fn deadline_against_release() {
    timed_against_release(|lock| lock.acquire_until(Instant::now() + TIMEOUT));
}

/// A waiter that gives up takes no wake with it: the one beside it gets the lock.
#[test]
fn timeout_beside_a_waiter() {
    explore_with(&bound(4, None), || {
        let counter = Counter::held();
        let timed = spawn(&counter, |counter| {
            if counter.lock.acquire_timeout(TIMEOUT) {
                counter.lock.release().unwrap();
            }
        });
        let waiter = spawn(&counter, |counter| counter.add(1));
        counter.lock.release().unwrap();
        timed.join().unwrap();
        waiter.join().unwrap();
        counter.assert_count(1);
    });
}

#[test]
fn try_against_release() {
    explore_both(move || {
        let counter = Counter::held();
        let trier = spawn(&counter, |counter| {
            let acquired = counter.lock.try_acquire();
            if acquired {
                counter.assert_count(1);
            }
            acquired
        });
        counter.count.with_mut(|count| *count = 1);
        counter.lock.release().unwrap();
        let acquired = trier.join().unwrap();
        assert_eq!(counter.lock.locked(), acquired);
        acquired
    });
}

/// It is held once and released twice: exactly one of the two is told so.
#[test]
fn double_release() {
    explore(|| {
        let counter = Counter::held();
        let other = spawn(&counter, |counter| counter.lock.release());
        let results = [counter.lock.release(), other.join().unwrap()];
        let refused = results
            .iter()
            .filter(|result| **result == Err(ReleaseError::Unlocked));
        assert_eq!(refused.count(), 1);
        assert!(!counter.lock.locked());
    });
}

/// A release that is refused takes no wake from the one that is not.
#[test]
fn double_release_beside_a_waiter() {
    explore(|| {
        let counter = Counter::held();
        let waiter = spawn(&counter, |counter| counter.lock.acquire());
        let other = spawn(&counter, |counter| counter.lock.release().is_ok());
        let here = counter.lock.release().is_ok();
        let there = other.join().unwrap();
        assert!(here || there);
        waiter.join().unwrap();
        // Either the waiter has it, or the second release took it from the waiter.
        assert_eq!(counter.lock.locked(), !(here && there));
    });
}

/// A deadlock ends the check, and not the process, though the last thread to wait holds a guard.
#[test]
fn locks_in_two_orders_are_a_deadlock() {
    must_fail("deadlock", || {
        let locks = Arc::new((Lock::new(), Lock::new()));
        let other = spawn(&locks, |(first, second)| {
            let _second = second.guard();
            let _first = first.guard();
        });
        let first = locks.0.guard();
        drop(locks.1.guard());
        drop(first);
        other.join().unwrap();
    });
}
