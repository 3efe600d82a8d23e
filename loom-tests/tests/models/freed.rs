//! Models of primitives that are freed as soon as a call on them allows it: by the next holder while
//! a release may be on its way out, by a waiter while its waker is. The word tells who comes too late.

use racefree_loom::model::RaceCell;
use racefree_loom::{
    Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Condvar, Event, Lock, Mutex, RLock,
    Semaphore,
};

use crate::{bound, code, explore_freed};

#[test]
fn lock_by_the_next_holder() {
    explore_freed(
        &code(),
        || {
            let lock = Lock::new();
            lock.acquire();
            lock
        },
        |lock| {
            lock.acquire();
            true
        },
        |lock| {
            lock.release().unwrap();
            false
        },
    );
}

#[test]
fn rlock_by_the_next_holder() {
    explore_freed(
        &code(),
        || {
            let lock = RLock::new();
            lock.acquire();
            lock
        },
        |lock| {
            lock.acquire();
            true
        },
        |lock| {
            lock.release().unwrap();
            false
        },
    );
}

#[test]
fn semaphore_by_who_has_its_permit() {
    explore_freed(
        &code(),
        || Semaphore::new(0),
        |semaphore| {
            semaphore.acquire();
            true
        },
        |semaphore| {
            semaphore.release().unwrap();
            false
        },
    );
}

#[test]
fn semaphore_by_who_has_two_permits() {
    explore_freed(
        &code(),
        || {
            let semaphore = BoundedSemaphore::new(2);
            semaphore.acquire();
            semaphore
        },
        |semaphore| {
            semaphore.acquire_n(2);
            true
        },
        |semaphore| {
            semaphore.release().unwrap();
            false
        },
    );
}

#[test]
fn event_by_who_waited_for_it() {
    explore_freed(
        &code(),
        Event::new,
        |event| {
            event.wait();
            true
        },
        |event| {
            event.set();
            false
        },
    );
}

#[test]
fn condition_by_who_waited_for_it() {
    explore_freed(
        &bound(4, None),
        || (Condition::with_lock(Lock::new()), RaceCell::new(false)),
        |(condition, set)| {
            let guard = condition.guard();
            condition.wait_for(|| set.with(|set| *set)).unwrap();
            drop(guard);
            true
        },
        |(condition, set)| {
            let _guard = condition.guard();
            set.with_mut(|set| *set = true);
            condition.notify(1).unwrap();
            false
        },
    );
}

#[test]
fn condvar_by_who_waited_for_it() {
    explore_freed(
        &bound(4, None),
        || (Condvar::new(), Mutex::new(false)),
        |(condvar, set)| {
            let mut set = set.lock();
            while !*set {
                condvar.wait(&mut set);
            }
            drop(set);
            true
        },
        |(condvar, set)| {
            let mut set = set.lock();
            *set = true;
            condvar.notify_one();
            false
        },
    );
}

/// A waiter that was let through frees it, while the last to come is on its way out.
fn barrier(make: impl Fn() -> Barrier + Send + Sync + 'static) {
    let passes = |barrier: &Barrier| barrier.wait() == Ok(0);
    explore_freed(&code(), make, passes, passes);
}

#[test]
fn barrier_by_the_first_to_come() {
    barrier(|| Barrier::new(2));
}

#[test]
fn acting_barrier_by_the_first_to_come() {
    barrier(|| Barrier::new(2).with_action(|| ()));
}

/// A waiter that is told that the barrier is broken frees it, while who broke it is on its way out.
#[test]
fn barrier_by_who_is_told_of_an_abort() {
    explore_freed(
        &code(),
        || Barrier::new(2),
        |barrier| {
            assert_eq!(barrier.wait(), Err(BrokenBarrierError::Aborted));
            true
        },
        |barrier| {
            barrier.abort();
            false
        },
    );
}
