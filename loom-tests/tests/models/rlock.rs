//! Models of `RLock`.

use std::sync::Arc;
use std::time::Instant;

use racefree_loom::model::RaceCell;
use racefree_loom::{RLock, ReleaseError};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, explore, explore_both, explore_timed, explore_with, spawn,
};

struct Counter {
    lock: RLock,
    count: RaceCell<usize>,
}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: RLock::new(),
            count: RaceCell::new(0),
        })
    }

    /// Adds at the given depth, and again on the way out.
    fn add_nested(&self, depth: u32) {
        if depth > 0 {
            let _guard = self.lock.guard();
            self.count.with_mut(|count| *count += 1);
            self.add_nested(depth - 1);
            assert!(self.lock.is_owned());
            self.count.with_mut(|count| *count += 1);
        }
    }
}

fn adders(threads: usize, rounds: usize, depth: u32) -> impl Fn() + Send + Sync + 'static {
    move || {
        let counter = Counter::new();
        let add = move |counter: &Counter| (0..rounds).for_each(|_| counter.add_nested(depth));
        let others: Vec<_> = (1..threads).map(|_| spawn(&counter, add)).collect();
        add(&counter);
        others.into_iter().for_each(|other| other.join().unwrap());
        let expected = threads * rounds * 2 * depth as usize;
        counter.count.with(|count| assert_eq!(*count, expected));
        assert!(!counter.lock.locked());
        assert_eq!(counter.lock.recursion_count(), 0);
        assert_no_futex_call(|| counter.add_nested(2));
    }
}

#[test]
fn exclusion() {
    explore(adders(2, 1, 1));
}

#[test]
fn nesting() {
    explore(adders(2, 1, 2));
}

#[test]
fn nesting_twice() {
    explore_with(&bound(3, Some(5)), adders(2, 2, 2));
}

#[test]
fn three_threads() {
    explore_with(&bound(2, Some(3)), adders(3, 1, 2));
}

/// A thread that does not own it is refused, whatever the owner is doing meanwhile.
#[test]
fn release_by_another() {
    explore(|| {
        let counter = Counter::new();
        let other = spawn(&counter, |counter| {
            assert!(!counter.lock.is_owned());
            assert_eq!(counter.lock.recursion_count(), 0);
            assert_eq!(counter.lock.release(), Err(ReleaseError::NotOwner));
        });
        counter.add_nested(2);
        other.join().unwrap();
    });
}

#[test]
fn try_against_nesting() {
    explore_both(move || {
        let counter = Counter::new();
        let trier = spawn(&counter, |counter| {
            let acquired = counter.lock.try_acquire();
            if acquired {
                counter.add_nested(1);
                counter.lock.release().unwrap();
            }
            acquired
        });
        counter.add_nested(2);
        let outcome = trier.join().unwrap();
        assert!(!counter.lock.locked());
        outcome
    });
}

fn timed_against_release(acquire: fn(&RLock) -> bool) {
    explore_timed(move || {
        let counter = Counter::new();
        counter.lock.acquire();
        let waiter = spawn(&counter, move |counter| {
            let acquired = acquire(&counter.lock);
            assert_eq!(counter.lock.is_owned(), acquired);
            if acquired {
                counter.add_nested(1);
                counter.lock.release().unwrap();
            }
            acquired
        });
        counter.add_nested(1);
        counter.lock.release().unwrap();
        let outcome = waiter.join().unwrap();
        assert!(counter.lock.try_acquire());
        outcome
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
