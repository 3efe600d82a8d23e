//! What `Lock`, `RLock`, `Semaphore` and `BoundedSemaphore` have in common: acquiring, timeouts,
//! guards.

mod common;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use racefree::ArcGuard;

use common::{
    Acquire, LIMIT, asleep, for_each_primitive, forever, has_one_permit, hasty_ways, is_free,
    patient_ways, spawn, while_held, words,
};

for_each_primitive! {
    every_way_to_acquire_takes_what_is_free_and_a_release_gives_it_back
    every_patient_way_waits_for_the_release
    no_hasty_way_waits_for_the_release
    a_timeout_ends_the_wait_and_not_before_its_time
    a_timed_out_wait_leaves_no_trace
    a_timed_out_waiter_leaves_the_others_their_turn
    all_waiters_get_their_turn
    a_release_too_many_changes_nothing
    a_guard_releases_when_it_is_dropped
    a_guard_releases_when_it_is_told_to
    a_guard_releases_in_a_panic_and_nothing_is_poisoned
    a_guard_that_holds_nothing_any_more_panics_in_the_words_of_the_error
    a_guard_that_holds_nothing_any_more_returns_the_error_when_it_is_told_to_release
    a_guard_that_holds_nothing_any_more_keeps_still_while_unwinding
    a_forgotten_guard_leaves_it_acquired_for_a_plain_release
    a_guard_shows_what_it_holds
    every_way_to_a_guard_that_borrows_nothing
    a_guard_that_borrows_nothing_keeps_the_primitive_alive
    a_guard_that_borrows_nothing_panics_and_errs_as_the_other_does
}

fn every_way_to_acquire_takes_what_is_free_and_a_release_gives_it_back<P: Acquire>() {
    let primitive = forever(P::default());
    for acquire in patient_ways().into_iter().chain(hasty_ways()) {
        assert!(acquire(primitive));
        assert!(!is_free(primitive));
        primitive.release().unwrap();
        has_one_permit(primitive);
    }
}

fn every_patient_way_waits_for_the_release<P: Acquire>() {
    let primitive = forever(P::default());
    for acquire in patient_ways() {
        let released = forever(AtomicBool::new(false));
        primitive.acquire();
        let waiter = asleep(move || {
            assert!(acquire(primitive));
            assert!(released.load(Ordering::Relaxed));
            primitive.release().unwrap();
        });
        released.store(true, Ordering::Relaxed);
        primitive.release().unwrap();
        waiter.end();
        has_one_permit(primitive);
    }
}

fn no_hasty_way_waits_for_the_release<P: Acquire>() {
    let primitive = forever(P::default());
    while_held(primitive, || {
        for acquire in hasty_ways() {
            assert!(!spawn(move || acquire(primitive)).end());
        }
    });
    has_one_permit(primitive);
}

fn a_timeout_ends_the_wait_and_not_before_its_time<P: Acquire>() {
    let primitive = forever(P::default());
    while_held(primitive, || {
        for timeout in [1, 1_000, 100_000, 30_000_000].map(Duration::from_nanos) {
            let start = Instant::now();
            assert!(!spawn(move || primitive.acquire_timeout(timeout)).end());
            assert!(start.elapsed() >= timeout);

            let deadline = Instant::now() + timeout;
            assert!(!spawn(move || primitive.acquire_until(deadline)).end());
            assert!(Instant::now() >= deadline);
        }
    });
}

fn a_timed_out_wait_leaves_no_trace<P: Acquire>() {
    let primitive = forever(P::default());
    while_held(primitive, || {
        let timeout = Duration::from_millis(20);
        let waiters = [(); 4].map(|()| spawn(move || primitive.acquire_timeout(timeout)));
        assert_eq!(waiters.map(|waiter| waiter.end()), [false; 4]);
    });
    has_one_permit(primitive);
}

fn a_timed_out_waiter_leaves_the_others_their_turn<P: Acquire>() {
    let primitive = forever(P::default());
    primitive.acquire();
    let hasty = asleep(|| primitive.acquire_timeout(Duration::from_millis(100)));
    let patient = asleep(|| drop(primitive.guard()));
    let last = asleep(|| primitive.acquire_timeout(Duration::from_millis(100)));
    assert!(!hasty.end());
    assert!(!last.end());
    primitive.release().unwrap();
    patient.end();
    has_one_permit(primitive);
}

fn all_waiters_get_their_turn<P: Acquire>() {
    let primitive = forever(P::default());
    primitive.acquire();
    let waiters = patient_ways().map(|acquire| {
        asleep(move || {
            assert!(acquire(primitive));
            primitive.release().unwrap();
        })
    });
    primitive.release().unwrap();
    for waiter in waiters {
        waiter.end();
    }
    has_one_permit(primitive);
}

fn a_release_too_many_changes_nothing<P: Acquire>() {
    let primitive = forever(P::default());
    if let Some(error) = P::TOO_MANY {
        for _ in 0..3 {
            assert_eq!(primitive.release(), Err(error));
            has_one_permit(primitive);
        }
    }
}

fn a_guard_releases_when_it_is_dropped<P: Acquire>() {
    let primitive = forever(P::default());
    {
        let _guard = primitive.guard();
        assert!(!is_free(primitive));
    }
    has_one_permit(primitive);
}

fn a_guard_releases_when_it_is_told_to<P: Acquire>() {
    let primitive = forever(P::default());
    assert_eq!(primitive.guard().release(), Ok(()));
    has_one_permit(primitive);
}

fn a_guard_releases_in_a_panic_and_nothing_is_poisoned<P: Acquire>() {
    let primitive = forever(P::default());
    let panic = panic::catch_unwind(|| {
        let _guard = primitive.guard();
        panic!("under a guard");
    });
    assert_eq!(words(&*panic.unwrap_err()), "under a guard");
    has_one_permit(primitive);

    // The same with somebody who waits for it: a thread that dies hands it on.
    let guard = primitive.guard();
    let panics = asleep(|| {
        let _guard = primitive.guard();
        panic!("under a guard");
    });
    let waits = asleep(|| drop(primitive.guard()));
    drop(guard);
    waits.end();
    panic::catch_unwind(AssertUnwindSafe(|| panics.end())).unwrap_err();
    has_one_permit(primitive);
}

fn a_guard_that_holds_nothing_any_more_panics_in_the_words_of_the_error<P: Acquire>() {
    let primitive = P::default();
    let guard = primitive.guard();
    primitive.release().unwrap();
    let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(guard)));
    match P::TOO_MANY {
        Some(error) => assert_eq!(words(&*dropped.unwrap_err()), error.to_string()),
        None => dropped.unwrap(),
    }
}

fn a_guard_that_holds_nothing_any_more_returns_the_error_when_it_is_told_to_release<P: Acquire>() {
    let primitive = P::default();
    let guard = primitive.guard();
    primitive.release().unwrap();
    assert_eq!(guard.release().err(), P::TOO_MANY);
}

fn a_guard_that_holds_nothing_any_more_keeps_still_while_unwinding<P: Acquire>() {
    let primitive = P::default();
    let panic = panic::catch_unwind(|| {
        let _guard = primitive.guard();
        primitive.release().unwrap();
        // A second panic would abort the process, and this test with it.
        panic!("the first");
    });
    assert_eq!(words(&*panic.unwrap_err()), "the first");
}

fn a_forgotten_guard_leaves_it_acquired_for_a_plain_release<P: Acquire>() {
    let primitive = forever(P::default());
    mem::forget(primitive.guard());
    assert!(!is_free(primitive));
    primitive.release().unwrap();
    has_one_permit(primitive);
}

fn a_guard_shows_what_it_holds<P: Acquire>() {
    let primitive = P::default();
    let guard = primitive.guard();
    assert_eq!(format!("{guard:?}"), format!("Guard({primitive:?})"));
}

type ArcWay<P> = fn(&Arc<P>) -> Option<ArcGuard<P>>;

fn every_way_to_a_guard_that_borrows_nothing<P: Acquire>() {
    let primitive = Arc::new(P::default());
    let free = {
        let primitive = Arc::clone(&primitive);
        move || {
            let primitive = Arc::clone(&primitive);
            spawn(move || primitive.try_guard_arc().is_some()).end()
        }
    };
    let patient: [ArcWay<P>; 4] = [
        |primitive| Some(primitive.guard_arc()),
        |primitive| primitive.guard_arc_timeout(LIMIT * 2),
        |primitive| primitive.guard_arc_timeout(Duration::MAX),
        |primitive| primitive.guard_arc_until(Instant::now() + LIMIT * 2),
    ];
    let hasty: [ArcWay<P>; 4] = [
        |primitive| primitive.try_guard_arc(),
        |primitive| primitive.guard_arc_timeout(Duration::ZERO),
        |primitive| primitive.guard_arc_timeout(Duration::from_nanos(1)),
        |primitive| primitive.guard_arc_until(Instant::now()),
    ];
    for way in patient.into_iter().chain(hasty) {
        let guard = way(&primitive).unwrap();
        assert!(!free());
        for way in hasty {
            let primitive = Arc::clone(&primitive);
            assert!(spawn(move || way(&primitive).is_none()).end());
        }
        drop(guard);
        assert!(free());
    }
    let guard = primitive.guard_arc();
    let waiters = patient.map(|way| {
        let primitive = Arc::clone(&primitive);
        asleep(move || drop(way(&primitive).unwrap()))
    });
    guard.release().unwrap();
    for waiter in waiters {
        waiter.end();
    }
    assert!(free());
}

fn a_guard_that_borrows_nothing_keeps_the_primitive_alive<P: Acquire>() {
    let primitive = Arc::new(P::default());
    let weak = Arc::downgrade(&primitive);
    let guard = primitive.guard_arc();
    drop(primitive);
    assert!(format!("{guard:?}").starts_with("ArcGuard(<"));
    let again = weak.upgrade().unwrap();
    drop(guard);
    let guard = again.try_guard_arc().unwrap();
    drop(again);
    guard.release().unwrap();
    assert!(weak.upgrade().is_none(), "a guard leaves it behind");
}

fn a_guard_that_borrows_nothing_panics_and_errs_as_the_other_does<P: Acquire>() {
    let Some(error) = P::TOO_MANY else { return };
    let primitive = Arc::new(P::default());
    let guard = primitive.guard_arc();
    primitive.release().unwrap();
    assert_eq!(guard.release(), Err(error));
    let guard = primitive.guard_arc();
    primitive.release().unwrap();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
    assert_eq!(words(&*panicked), error.to_string());
    // The guard is gone, though its drop panicked.
    assert!(Arc::into_inner(primitive).is_some());
}
