//! `Condition`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use racefree::process::{Condition, ConditionError, MAX_WAITERS, Shared, shared};

use crate::child::{LIMIT, say, soon, until_killed, with_children};

shared! {
    struct Turns {
        condition: Condition,
        turn: AtomicU32,
    }
}

const ROUNDS: u32 = 1000;

fn take_turns(turns: &Shared<Turns>, mine: u32) {
    let _guard = turns
        .condition
        .guard_timeout(LIMIT)
        .unwrap()
        .expect("the lock");
    for round in 0..ROUNDS {
        let is_mine = || turns.turn.load(Ordering::Relaxed) == 2 * round + mine;
        assert_eq!(turns.condition.wait_for_timeout(is_mine, LIMIT), Ok(true));
        turns.turn.fetch_add(1, Ordering::Relaxed);
        turns.condition.notify(1).unwrap();
    }
}

fn turns() -> Turns {
    Turns {
        condition: Condition::new(),
        turn: AtomicU32::new(0),
    }
}

with_children! {
    fn in_turns: Turns = turns();
    { "second" => |turns| take_turns(&turns, 1), }
    |turns, start| {
        let child = start("second");
        take_turns(turns, 0);
        child.join();
        assert_eq!(turns.turn.load(Ordering::Relaxed), 2 * ROUNDS);
    }
}

/// Until so many threads wait.
fn until_waiting(turns: &Shared<Turns>, many: usize) {
    let limit = Instant::now() + LIMIT;
    while !format!("{:?}", turns.condition).contains(&format!("waiters={many}>")) {
        assert!(Instant::now() < limit, "{:?}", turns.condition);
        thread::sleep(Duration::from_millis(1));
    }
}

fn wait(turns: Shared<Turns>) {
    let _guard = turns.condition.guard().unwrap();
    assert_eq!(turns.condition.wait_timeout(LIMIT), Ok(true));
    say("notified");
    until_killed()
}

with_children! {
    fn the_first_that_came_is_notified: Turns = turns();
    { "waits" => wait, }
    |turns, start| {
        let first = start("waits");
        until_waiting(turns, 1);
        let second = start("waits");
        until_waiting(turns, 2);
        {
            let _guard = turns.condition.guard().unwrap();
            turns.condition.notify(1).unwrap();
        }
        first.expect("notified");
        drop(first);
        // The first one died with the lock.
        let guard = turns.condition.guard().unwrap_err();
        turns.condition.lock().repaired().unwrap();
        turns.condition.notify_all().unwrap();
        drop(guard);
        second.expect("notified");
    }
}

with_children! {
    fn a_dead_waiter_takes_no_notification: Turns = turns();
    { "waits" => wait, }
    |turns, start| {
        let mut first = start("waits");
        until_waiting(turns, 1);
        let second = start("waits");
        until_waiting(turns, 2);
        first.kill();
        let guard = turns.condition.guard().unwrap();
        turns.condition.notify(1).unwrap();
        drop(guard);
        soon(|| second.expect("notified"));
    }
}

with_children! {
    fn a_notification_of_a_waiter_that_dies_then_is_passed_on: Turns = turns();
    { "waits" => wait, }
    |turns, start| {
        let mut first = start("waits");
        until_waiting(turns, 1);
        let second = start("waits");
        until_waiting(turns, 2);
        // It cannot take note of its notification.
        first.stop();
        let guard = turns.condition.guard().unwrap();
        turns.condition.notify(1).unwrap();
        drop(guard);
        until_waiting(turns, 1);
        first.kill();
        soon(|| second.expect("notified"));
    }
}

with_children! {
    fn a_notification_of_the_dead_is_not_for_one_who_comes_later: Turns = turns();
    { "waits" => wait, }
    |turns, start| {
        let mut child = start("waits");
        until_waiting(turns, 1);
        child.stop();
        let guard = turns.condition.guard().unwrap();
        turns.condition.notify(1).unwrap();
        child.kill();
        assert_eq!(turns.condition.wait_timeout(Duration::from_millis(120)), Ok(false));
        drop(guard);
    }
}

with_children! {
    fn an_owner_that_dies_during_a_wait: Turns = turns();
    {
        "holds" => |turns| {
            turns.condition.acquire().unwrap();
            turns.condition.notify_all().unwrap();
            say("held");
            until_killed()
        },
    }
    |turns, start| {
        let guard = turns.condition.guard().unwrap();
        let child = start("holds");
        thread::scope(|scope| {
            scope.spawn(move || {
                child.expect("held");
                drop(child);
            });
            let waited = turns.condition.wait_timeout(LIMIT);
            assert_eq!(waited, Err(ConditionError::OwnerDied));
        });
        turns.condition.lock().repaired().unwrap();
        drop(guard);
        turns.condition.acquire().unwrap();
    }
}

#[test]
fn a_wait_that_times_out_leaves_nothing() {
    let turns = Shared::create(turns()).unwrap();
    let _guard = turns.condition.guard().unwrap();
    let _again = turns.condition.guard().unwrap();
    assert_eq!(
        turns.condition.wait_timeout(Duration::from_millis(120)),
        Ok(false)
    );
    assert_eq!(turns.condition.wait_timeout(Duration::ZERO), Ok(false));
    assert_eq!(turns.condition.lock().recursion_count(), 2);
    until_waiting(&turns, 0);
}

#[test]
fn as_many_waiters_as_there_are_places() {
    let turns = Shared::create(turns()).unwrap();
    thread::scope(|scope| {
        for _ in 0..MAX_WAITERS {
            scope.spawn(|| {
                let _guard = turns.condition.guard().unwrap();
                assert_eq!(turns.condition.wait_timeout(LIMIT), Ok(true));
            });
        }
        until_waiting(&turns, MAX_WAITERS);
        let _guard = turns.condition.guard().unwrap();
        let refused = turns.condition.wait_timeout(LIMIT);
        turns.condition.notify_all().unwrap();
        assert_eq!(refused, Err(ConditionError::TooManyWaiters));
    });
}
