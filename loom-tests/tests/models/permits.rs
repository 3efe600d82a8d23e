//! Models of several permits at once.

use std::sync::Arc;
use std::time::Duration;

use racefree_loom::model::{self, RaceCell, WakeOrder};
use racefree_loom::{BoundedSemaphore, Semaphore};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, explore, explore_both, explore_both_with, explore_with,
    spawn,
};

/// Two permits that come one after the other are had at once, with what came before each.
#[test]
fn two_that_come_one_by_one() {
    explore(|| {
        let shared = Arc::new((Semaphore::new(0), [(); 2].map(|()| RaceCell::new(0))));
        let taker = spawn(&shared, |(semaphore, cells)| {
            semaphore.acquire_n(2);
            cells.each_ref().map(|cell| cell.with(|cell| *cell))
        });
        for cell in &shared.1 {
            cell.with_mut(|cell| *cell = 1);
            shared.0.release().unwrap();
        }
        assert_eq!(taker.join().unwrap(), [1, 1]);
        assert_eq!(shared.0.value(), 0);
        // It comes to wait for what is not enough, and wakes nobody.
        let calls = model::futex_calls();
        assert!(calls.wakes <= calls.waits, "{calls:?}");
    });
}

#[test]
fn two_from_two_threads() {
    explore_with(&bound(4, None), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let givers = [(); 2].map(|()| spawn(&semaphore, |it| it.release().unwrap()));
        semaphore.acquire_n(2);
        givers.into_iter().for_each(|giver| giver.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

/// A call whose time is up takes what is there, whenever that came.
#[test]
fn a_deadline_that_is_past() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let giver = spawn(&semaphore, |it| it.release().unwrap());
        let acquired = semaphore.acquire_n_timeout(2, Duration::ZERO);
        giver.join().unwrap();
        assert_eq!(semaphore.acquire_n_timeout(2, Duration::ZERO), !acquired);
        assert_eq!(semaphore.value(), 0);
    });
}

/// Each of two wants both, and neither has one that the other needs.
#[test]
fn two_who_want_both() {
    explore_with(&bound(3, Some(5)), || {
        let semaphore = Arc::new(BoundedSemaphore::new(2));
        let other = spawn(&semaphore, |it| drop(it.guard_n(2)));
        drop(semaphore.guard_n(2));
        other.join().unwrap();
        assert_no_futex_call(|| drop(semaphore.guard_n(2)));
        assert_eq!(semaphore.value(), 2);
    });
}

/// One who wants one, and one who wants two: the permit that is too little for the one goes to the
/// other, whoever came first.
#[test]
fn one_beside_two() {
    explore_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let small = spawn(&semaphore, Semaphore::acquire);
        let large = spawn(&semaphore, |it| it.acquire_n(2));
        semaphore.release().unwrap();
        semaphore.release_n(2).unwrap();
        small.join().unwrap();
        large.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

/// The one who wants one sleeps before, and has its permit, though the other never has its.
#[test]
fn one_beside_two_who_never_come() {
    explore_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let small = spawn(&semaphore, Semaphore::acquire);
        let large = spawn(&semaphore, |it| it.acquire_n_timeout(3, TIMEOUT));
        semaphore.release().unwrap();
        small.join().unwrap();
        assert!(!large.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

/// A time that runs out takes no permit with it, and no wake.
#[test]
fn timeout_against_the_last_release() {
    explore_both(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let other = spawn(&semaphore, |it| it.acquire_n_timeout(2, TIMEOUT));
        semaphore.release().unwrap();
        let acquired = other.join().unwrap();
        assert_eq!(semaphore.value(), if acquired { 0 } else { 2 });
        acquired
    });
}

#[test]
fn timeout_beside_a_waiter() {
    explore_both_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let large = spawn(&semaphore, |it| it.acquire_n_timeout(2, TIMEOUT));
        let small = spawn(&semaphore, Semaphore::acquire);
        semaphore.release().unwrap();
        semaphore.release_n(2).unwrap();
        small.join().unwrap();
        let acquired = large.join().unwrap();
        assert_eq!(semaphore.value(), if acquired { 0 } else { 2 });
        acquired
    });
}

/// A waiter for one whose time is up beside one for several: the latter is not forgotten.
#[test]
fn the_other_times_out() {
    explore_both_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let small = spawn(&semaphore, |it| it.acquire_timeout(TIMEOUT));
        let large = spawn(&semaphore, |it| it.acquire_n(2));
        semaphore.release_n(2).unwrap();
        let acquired = small.join().unwrap();
        if acquired {
            semaphore.release().unwrap();
        }
        large.join().unwrap();
        assert_eq!(semaphore.value(), 0);
        acquired
    });
}

#[test]
fn drain_against_a_release() {
    explore_both(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let other = spawn(&semaphore, |it| it.release().unwrap());
        let drained = semaphore.drain();
        other.join().unwrap();
        assert_eq!(drained + semaphore.value(), 2);
        drained == 2
    });
}

/// One waits for two permits and two wait for one each: a single permit goes to one of those two,
/// however they are woken.
fn one_permit_beside_one_who_wants_two(order: WakeOrder) {
    explore_with(&bound(2, Some(2)).wake_order(order), || {
        let shared = Arc::new((Semaphore::new(0), Semaphore::new(0)));
        let two = spawn(&shared, |(semaphore, _)| semaphore.acquire_n(2));
        let ones = [(); 2].map(|()| {
            spawn(&shared, |(semaphore, done)| {
                semaphore.acquire();
                done.release().unwrap();
            })
        });
        shared.0.release().unwrap();
        shared.1.acquire();
        shared.0.release_n(3).unwrap();
        two.join().unwrap();
        ones.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(shared.0.value(), 0);
    });
}

#[test]
fn one_permit_beside_one_who_wants_two_first_in() {
    one_permit_beside_one_who_wants_two(WakeOrder::FirstIn);
}

#[test]
fn one_permit_beside_one_who_wants_two_last_in() {
    one_permit_beside_one_who_wants_two(WakeOrder::LastIn);
}
