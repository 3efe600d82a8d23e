//! Models of `Mutex`. Its data is a cell of loom's, so each access of it is watched.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use racefree_loom::{MappedMutexGuard, Mutex, MutexGuard};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, explore, explore_both, explore_timed, explore_with,
    must_fail, spawn,
};

fn add(mutex: &Mutex<usize>, rounds: usize) {
    for _ in 0..rounds {
        *mutex.lock() += 1;
    }
}

#[test]
fn exclusion() {
    explore(|| {
        let mutex = Arc::new(Mutex::new(0));
        let other = spawn(&mutex, |mutex| add(mutex, 2));
        add(&mutex, 2);
        other.join().unwrap();
        assert_no_futex_call(|| add(&mutex, 1));
        assert!(!mutex.is_locked());
        assert_eq!(Arc::into_inner(mutex).unwrap().into_inner(), 5);
    });
}

/// A part of the data, and then all of it: the mutex is locked until the mapped guard has gone.
#[test]
fn exclusion_by_a_part() {
    explore_with(&bound(5, None), || {
        let mutex = Arc::new(Mutex::new((0, 0)));
        let add = |mutex: &Mutex<(usize, usize)>| {
            let mut part = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
            *part += 1;
            assert!(mutex.is_locked());
            drop(part);
            mutex.lock().0 += 1;
        };
        let other = spawn(&mutex, move |mutex| add(mutex));
        add(&mutex);
        other.join().unwrap();
        assert_eq!(*mutex.lock(), (2, 2));
    });
}

/// A panic on the way to a part unlocks once: the thread that has the mutex by then keeps it.
#[test]
fn a_panic_on_the_way_to_a_part() {
    /// Not `panic!`, which prints its message in each execution.
    fn fail() -> ! {
        panic::resume_unwind(Box::new(()))
    }
    fn panicking(lock: impl Fn(&Mutex<usize>) + Copy + Send + Sync + 'static) {
        explore(move || {
            let mutex = Arc::new(Mutex::new(0));
            let other = spawn(&mutex, |mutex| add(mutex, 1));
            panic::catch_unwind(AssertUnwindSafe(|| lock(&mutex))).unwrap_err();
            add(&mutex, 1);
            other.join().unwrap();
            assert_eq!(*mutex.lock(), 2);
        });
    }
    panicking(|mutex| drop(MutexGuard::map(mutex.lock(), |_| -> &mut usize { fail() })));
    panicking(|mutex| {
        drop(MutexGuard::try_map(
            mutex.lock(),
            |_| -> Option<&mut usize> { fail() },
        ));
    });
    panicking(|mutex| {
        let whole = MutexGuard::map(mutex.lock(), |it| it);
        drop(MappedMutexGuard::map(whole, |_| -> &mut usize { fail() }));
    });
}

/// Another thread may come in between, and what it leaves is seen.
#[test]
fn unlocked_for_a_while() {
    explore_both(|| {
        let mutex = Arc::new(Mutex::new(0));
        let mut guard = mutex.lock();
        let other = spawn(&mutex, |mutex| add(mutex, 1));
        let before = *guard;
        MutexGuard::unlocked(&mut guard, || {});
        let after = *guard;
        *guard = after + 1;
        drop(guard);
        other.join().unwrap();
        assert_eq!(*mutex.lock(), 2);
        before != after
    });
}

#[test]
fn try_lock_against_unlock() {
    explore_both(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let other = spawn(&mutex, |mutex| mutex.try_lock().map(|data| *data));
        let mut guard = guard;
        *guard = 1;
        drop(guard);
        let seen = other.join().unwrap();
        assert!(matches!(seen, None | Some(1)));
        assert!(!mutex.is_locked());
        seen.is_some()
    });
}

fn timed_against_unlock(lock: fn(&Mutex<usize>) -> Option<MutexGuard<'_, usize>>) {
    explore_timed(move || {
        let mutex = Arc::new(Mutex::new(0));
        let mut guard = mutex.lock();
        let other = spawn(&mutex, move |mutex| lock(mutex).map(|data| *data));
        *guard = 1;
        drop(guard);
        let seen = other.join().unwrap();
        assert!(matches!(seen, None | Some(1)));
        assert!(mutex.try_lock_for(Duration::ZERO).is_some());
        seen.is_some()
    });
}

#[test]
fn timeout_against_unlock() {
    timed_against_unlock(|mutex| mutex.try_lock_for(TIMEOUT));
}

#[test]
fn deadline_against_unlock() {
    timed_against_unlock(|mutex| mutex.try_lock_until(Instant::now() + TIMEOUT));
}

/// See [`super::lock::locks_in_two_orders_are_a_deadlock`].
#[test]
fn mutexes_in_two_orders_are_a_deadlock() {
    must_fail("deadlock", || {
        let mutexes = Arc::new((Mutex::new(0), Mutex::new(0)));
        let other = spawn(&mutexes, |(first, second)| {
            *second.lock() += *first.lock();
        });
        *mutexes.0.lock() += *mutexes.1.lock();
        other.join().unwrap();
    });
}
