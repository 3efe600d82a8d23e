//! Who waits is woken. A sleeper looks again within 50 ms in any case, so a wake that is forgotten
//! would only make the others late.

use std::thread;
use std::time::{Duration, Instant};

use racefree::process::{
    Barrier, BoundedSemaphore, BytesQueue, Condition, Event, Lock, Queue, Semaphore, Share, Shared,
    Value,
};

use crate::child::LIMIT;

const ROUNDS: usize = 20;

/// Runs `waits` in a thread, and `wakes` when it is likely to sleep. Most of the waits end soon after.
#[track_caller]
fn is_woken<T: Share>(value: T, waits: fn(&T), wakes: fn(&T)) {
    let region = Shared::create(value).unwrap();
    let late = (0..ROUNDS).filter(|_| {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                waits(&region);
                Instant::now()
            });
            // A piece of the sleep is long enough that few of them end in between.
            thread::sleep(Duration::from_millis(5));
            let start = Instant::now();
            wakes(&region);
            waiter.join().unwrap().saturating_duration_since(start) > Duration::from_millis(25)
        })
    });
    let late = late.count();
    assert!(late < ROUNDS / 2, "{late} of {ROUNDS} were late");
}

#[test]
fn lock() {
    let lock = Lock::new();
    is_woken(
        [lock, Lock::new()],
        |[lock, ready]| {
            // Held by nobody in particular.
            while !ready.locked() {
                thread::yield_now();
            }
            assert_eq!(lock.acquire_timeout(LIMIT), Ok(true));
            lock.release().unwrap();
            ready.release().unwrap();
        },
        |[lock, ready]| {
            lock.acquire().unwrap();
            ready.acquire().unwrap();
            thread::sleep(Duration::from_millis(5));
            lock.release().unwrap();
        },
    );
}

#[test]
fn semaphore() {
    is_woken(
        Semaphore::new(0),
        |it| assert!(it.acquire_timeout(LIMIT)),
        |it| it.release().unwrap(),
    );
}

#[test]
fn bounded_semaphore() {
    is_woken(
        [BoundedSemaphore::new(1), BoundedSemaphore::new(0)],
        |[it, _]| {
            let first = it.try_guard().unwrap();
            let guard = it.guard_timeout(Duration::from_millis(5)).unwrap();
            assert!(guard.is_none() && first.is_some());
            // The other thread releases it.
            assert_eq!(it.acquire_timeout(LIMIT), Ok(true));
            drop(first);
        },
        |[it, _]| {
            thread::sleep(Duration::from_millis(10));
            it.release().unwrap();
        },
    );
}

#[test]
fn event() {
    is_woken(
        Event::new(),
        |it| {
            assert!(it.wait_timeout(LIMIT));
            it.clear();
        },
        Event::set,
    );
}

#[test]
fn condition() {
    is_woken(
        Condition::new(),
        |it| {
            let _guard = it.guard().unwrap();
            assert_eq!(it.wait_timeout(LIMIT), Ok(true));
        },
        |it| {
            let _guard = it.guard().unwrap();
            it.notify(1).unwrap();
        },
    );
}

#[test]
fn barrier() {
    is_woken(
        Barrier::new(2),
        |it| assert_eq!(it.wait_timeout(LIMIT), Ok(0)),
        |it| assert_eq!(it.wait_timeout(LIMIT), Ok(1)),
    );
}

#[test]
fn queue() {
    is_woken(
        Queue::<u8, 1>::new(),
        |it| assert_eq!(it.get_timeout(LIMIT), Ok(1)),
        |it| it.put(1),
    );
    is_woken(
        BytesQueue::<2>::new(),
        |it| {
            it.put(b"1").unwrap();
            it.put_timeout(b"2", LIMIT).unwrap();
            assert_eq!(it.get(), b"2");
        },
        |it| assert_eq!(it.get(), b"1"),
    );
}

#[test]
fn value() {
    is_woken(
        Value::new(0_u32),
        |it| it.update(|it| *it += 1),
        |it| {
            it.update(|it| {
                thread::sleep(Duration::from_millis(5));
                *it += 1;
            });
        },
    );
}
