//! `Event`.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{LIMIT, asleep, forever, spawn};
use racefree::Event;

/// All ways to wait for as long as a test does.
fn patient_ways() -> [fn(&Event) -> bool; 4] {
    [
        |event| {
            event.wait();
            true
        },
        |event| event.wait_timeout(LIMIT * 2),
        |event| event.wait_timeout(Duration::MAX),
        |event| event.wait_until(Instant::now() + LIMIT * 2),
    ]
}

/// All ways to wait for nothing, or for next to nothing.
fn hasty_ways() -> [fn(&Event) -> bool; 4] {
    [
        |event| event.wait_timeout(Duration::ZERO),
        |event| event.wait_timeout(Duration::from_nanos(1)),
        |event| event.wait_until(Instant::now()),
        |event| event.wait_until(Instant::now() - Duration::from_millis(1)),
    ]
}

#[test]
fn a_new_event_is_not_set() {
    assert!(!Event::new().is_set());
    assert!(!Event::default().is_set());
}

#[test]
fn it_is_set_from_set_to_clear_however_often() {
    static EVENT: Event = Event::new();
    for _ in 0..1000 {
        EVENT.clear();
        assert!(!EVENT.is_set());
        EVENT.clear();
        assert!(!EVENT.is_set());
        EVENT.set();
        assert!(EVENT.is_set());
        EVENT.set();
        assert!(EVENT.is_set());
    }
}

#[test]
fn nobody_waits_for_an_event_that_is_set() {
    let event = forever(Event::new());
    event.set();
    for wait in patient_ways().into_iter().chain(hasty_ways()) {
        assert!(spawn(move || wait(event)).end());
        assert!(event.is_set());
    }
}

#[test]
fn a_wait_of_no_length_says_that_it_is_not_set() {
    let event = forever(Event::new());
    for wait in hasty_ways() {
        assert!(!spawn(move || wait(event)).end());
    }
    event.set();
    event.clear();
    for wait in hasty_ways() {
        assert!(!spawn(move || wait(event)).end());
    }
}

#[test]
fn a_timeout_ends_the_wait_and_not_before_its_time() {
    let event = forever(Event::new());
    for timeout in [1, 1_000, 100_000, 30_000_000].map(Duration::from_nanos) {
        let start = Instant::now();
        assert!(!spawn(move || event.wait_timeout(timeout)).end());
        assert!(start.elapsed() >= timeout);

        let deadline = Instant::now() + timeout;
        assert!(!spawn(move || event.wait_until(deadline)).end());
        assert!(Instant::now() >= deadline);
    }
}

#[test]
fn a_set_lets_all_waiters_through_and_none_before() {
    let event = forever(Event::new());
    let was_set = forever(AtomicBool::new(false));
    let ways = patient_ways().into_iter().chain(patient_ways());
    let waiters: Vec<_> = ways
        .map(|wait| asleep(move || wait(event) && was_set.load(Ordering::Relaxed)))
        .collect();
    was_set.store(true, Ordering::Relaxed);
    event.set();
    for waiter in waiters {
        assert!(waiter.end());
    }
}

/// Python's own test of it is `test_set_and_clear`, for bpo-13502.
#[test]
fn a_set_lets_all_waiters_through_even_if_it_is_cleared_at_once() {
    for _ in 0..20 {
        let event = forever(Event::new());
        let ways = patient_ways().into_iter().chain(patient_ways());
        let waiters: Vec<_> = ways.map(|wait| asleep(move || wait(event))).collect();
        event.set();
        event.clear();
        for waiter in waiters {
            assert!(waiter.end());
        }
        assert!(!event.is_set());
    }
}

#[test]
fn a_waiter_that_comes_after_the_clear_waits_for_the_next_set() {
    let event = forever(Event::new());
    let first = asleep(|| event.wait());
    event.set();
    event.clear();
    let second = asleep(|| event.wait_timeout(Duration::from_millis(100)));
    first.end();
    assert!(!second.end());

    let third = asleep(|| event.wait());
    event.set();
    third.end();
}

#[test]
fn a_clear_of_what_is_not_set_disturbs_no_waiter() {
    let event = forever(Event::new());
    let patient = asleep(|| event.wait());
    let hasty = asleep(|| event.wait_timeout(Duration::from_millis(100)));
    event.clear();
    assert!(!hasty.end());
    event.clear();
    event.set();
    patient.end();
}

#[test]
fn debug_is_pythons_repr() {
    let event = Event::new();
    let address = &raw const event;
    let unset = format!("<racefree::Event at {address:p}: unset>");
    assert_eq!(format!("{event:?}"), unset);
    event.set();
    let set = format!("<racefree::Event at {address:p}: set>");
    assert_eq!(format!("{event:?}"), set);
    event.clear();
    assert_eq!(format!("{event:?}"), unset);
}
