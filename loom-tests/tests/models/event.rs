//! Models of `Event`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use racefree_loom::Event;
use racefree_loom::model::{self, Builder, RaceCell};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, code, explore, explore_both, explore_both_with,
    explore_stalled, explore_timed, explore_with, spawn,
};

/// An event, and data that is written before it is set.
struct Published {
    event: Event,
    data: RaceCell<u32>,
}

impl Published {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            event: Event::new(),
            data: RaceCell::new(0),
        })
    }

    fn publish(&self) {
        self.data.with_mut(|data| *data = 1);
        self.event.set();
    }

    fn wait_and_read(&self) {
        self.event.wait();
        self.read();
    }

    fn read(&self) {
        self.data.with(|data| assert_eq!(*data, 1));
    }
}

fn hand_off(builder: &Builder, waiters: usize) {
    explore_with(builder, move || {
        let published = Published::new();
        let waiters: Vec<_> = (0..waiters)
            .map(|_| spawn(&published, Published::wait_and_read))
            .collect();
        published.publish();
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        // Whoever waited has been woken: there is nobody left for another set to wake.
        published.event.set();
        assert!(model::futex_calls().wakes <= 1);
        assert!(published.event.wait_timeout(Duration::ZERO));
    });
}

#[test]
fn one_waiter() {
    hand_off(&code(), 1);
}

#[test]
fn one_waiter_despite_spurious_wakeups() {
    hand_off(&code().spurious_wakeups(2), 1);
}

#[test]
fn one_waiter_that_polls() {
    hand_off(&code().polls(true), 1);
}

#[test]
fn two_waiters() {
    hand_off(&code(), 2);
}

#[test]
fn three_waiters() {
    hand_off(&bound(2, Some(3)), 3);
}

/// Whether so many waiters sleep at this moment.
fn asleep(published: &Published, waiters: usize) -> bool {
    // A step on the event's word, so that all the moments at which this may come are explored.
    let _ = published.event.is_set();
    model::sleepers() == waiters
}

/// A waiter that is certainly asleep is freed by the set, and sees what was written before it.
#[test]
fn hand_off_to_a_sleeper() {
    explore_both(move || {
        let published = Published::new();
        let waiter = spawn(&published, Published::wait_and_read);
        let outcome = asleep(&published, 1);
        published.publish();
        waiter.join().unwrap();
        outcome
    });
}

/// A waiter that is certainly asleep is freed by a set that is followed by a clear at once.
fn pulse(
    builder: &Builder,
    waiters: usize,
    wait: impl Fn(&Published) + Copy + Send + Sync + 'static,
) {
    explore_both_with(builder, move || {
        let published = Published::new();
        let threads: Vec<_> = (0..waiters).map(|_| spawn(&published, wait)).collect();
        let all_asleep = asleep(&published, waiters);
        published.publish();
        if all_asleep {
            published.event.clear();
        }
        threads
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        assert_eq!(published.event.is_set(), !all_asleep);
        all_asleep
    });
}

#[test]
fn pulse_frees_a_sleeper() {
    pulse(&code(), 1, Published::wait_and_read);
}

#[test]
fn pulse_frees_two_sleepers() {
    pulse(&bound(3, Some(4)), 2, |published| published.event.wait());
}

/// A sleeper that is freed by a pulse, and looks again late: who comes to sleep meanwhile does not
/// make the word what it was.
#[test]
fn pulse_frees_a_sleeper_beside_a_later_one() {
    explore_both(|| {
        let published = Published::new();
        let sleeper = spawn(&published, Published::wait_and_read);
        let asleep = asleep(&published, 1);
        published.publish();
        if asleep {
            published.event.clear();
            assert!(!published.event.wait_timeout(TIMEOUT));
        }
        sleeper.join().unwrap();
        asleep
    });
}

/// Who waits after others have slept, and the event was cleared again, sleeps and is woken as they.
#[test]
fn two_rounds() {
    explore(|| {
        let published = Published::new();
        for _ in 0..2 {
            let waiter = spawn(&published, |published| published.event.wait());
            published.event.set();
            waiter.join().unwrap();
            published.event.clear();
        }
    });
}

/// As a pulse, but somebody else clears: the waiter sees the set through the clear.
#[test]
fn pulse_cleared_by_another() {
    explore(|| {
        let published = Published::new();
        let waiter = spawn(&published, Published::wait_and_read);
        let all_asleep = asleep(&published, 1);
        let clearer = spawn(&published, move |published| {
            if all_asleep {
                published.event.clear();
            }
        });
        published.publish();
        waiter.join().unwrap();
        clearer.join().unwrap();
    });
}

/// A timed wait that ends by its timeout says so; one that was set says that, and has the data.
fn timed_against_set(wait: fn(&Event) -> bool) {
    explore_timed(move || {
        let published = Published::new();
        let waiter = spawn(&published, move |published| {
            let set = wait(&published.event);
            if set {
                published.read();
            }
            set
        });
        published.publish();
        waiter.join().unwrap()
    });
}

#[test]
fn timeout_against_set() {
    timed_against_set(|event| event.wait_timeout(TIMEOUT));
}

#[test]
fn deadline_against_set() {
    timed_against_set(|event| event.wait_until(Instant::now() + TIMEOUT));
}

/// What was set and cleared before is over: a timed wait ends by its timeout.
#[test]
fn timeout_after_a_clear() {
    explore(|| {
        let published = Published::new();
        published.event.set();
        published.event.clear();
        let waiter = spawn(&published, |published| {
            published.event.wait_timeout(TIMEOUT)
        });
        assert!(!published.event.wait_timeout(TIMEOUT));
        assert!(!waiter.join().unwrap());
    });
}

/// A waiter that gives up takes no wake with it.
#[test]
fn timeout_beside_a_waiter() {
    explore(|| {
        let published = Published::new();
        let timed = spawn(&published, |published| {
            let _ = published.event.wait_timeout(TIMEOUT);
        });
        let waiter = spawn(&published, Published::wait_and_read);
        published.publish();
        timed.join().unwrap();
        waiter.join().unwrap();
    });
}

/// Two threads set it: each waiter sees the one that it sees.
#[test]
fn set_against_set() {
    explore(|| {
        let published = Published::new();
        let other = spawn(&published, |published| published.event.set());
        let waiter = spawn(&published, |published| published.event.wait());
        published.event.set();
        waiter.join().unwrap();
        other.join().unwrap();
        assert!(published.event.is_set());
    });
}

/// Who clears it and finds it set again sees what was written before that.
#[test]
fn set_after_clear_publishes() {
    explore_both(move || {
        let published = Published::new();
        published.event.set();
        let setter = spawn(&published, Published::publish);
        published.event.clear();
        let set_again = published.event.is_set();
        if set_again {
            published.read();
        }
        setter.join().unwrap();
        set_again
    });
}

/// One clears it and one sets it: the later one has the last word, and the event goes on working.
#[test]
fn clear_against_set() {
    explore_both(move || {
        let published = Published::new();
        published.event.set();
        let setter = spawn(&published, |published| published.event.set());
        published.event.clear();
        setter.join().unwrap();
        let outcome = published.event.is_set();
        published.event.set();
        published.event.wait();
        outcome
    });
}

#[test]
fn clear_against_clear() {
    explore(|| {
        let published = Published::new();
        published.event.set();
        let other = spawn(&published, |published| published.event.clear());
        published.event.clear();
        other.join().unwrap();
        assert!(!published.event.is_set());
        // The epoch has moved on by no more than it should: a waiter still waits for the next set.
        let waiter = spawn(&published, Published::wait_and_read);
        published.publish();
        waiter.join().unwrap();
    });
}

/// Whoever clears the event sees what was written before the set that this undoes, also if another
/// one came before that: so what comes between a wait and its clear is not overlooked.
#[test]
fn clear_sees_what_was_set() {
    explore_both(move || {
        let published = Published::new();
        published.event.set();
        let came = Arc::new(AtomicBool::new(false));
        let setter = spawn(&published, {
            let came = Arc::clone(&came);
            move |published| {
                published.publish();
                came.store(true, Relaxed);
            }
        });
        published.event.wait();
        let came = came.load(Relaxed);
        published.event.clear();
        if came {
            published.read();
        }
        setter.join().unwrap();
        came
    });
}

/// Who sees that the event is clear sees what was written before it was cleared.
#[test]
fn clear_publishes() {
    explore_both(move || {
        let published = Published::new();
        published.event.set();
        let looker = spawn(&published, |published| {
            let clear = !published.event.is_set();
            if clear {
                published.read();
            }
            clear
        });
        published.data.with_mut(|data| *data = 1);
        published.event.clear();
        looker.join().unwrap()
    });
}

/// Nobody passes an event that was cleared before, and is set after the data is there.
#[test]
fn no_passing_on_an_old_set() {
    explore(|| {
        let published = Published::new();
        published.event.set();
        published.event.clear();
        let waiter = spawn(&published, Published::wait_and_read);
        published.publish();
        waiter.join().unwrap();
    });
}

#[test]
fn a_stalled_waiter_beside_another() {
    explore_stalled(
        &bound(3, Some(4)),
        false,
        Event::new,
        Event::wait,
        Event::set,
    );
}

/// A waiter that polls before it sleeps, and the one after it, which does not.
#[test]
fn a_pulse_to_waiters_that_poll() {
    explore_with(&bound(3, Some(4)).polls(true), || {
        let event = Arc::new(Event::new());
        let waiters = [(); 2].map(|()| spawn(&event, Event::wait));
        event.set();
        event.clear();
        event.set();
        waiters.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// No thread sleeps on a new event, so a set wakes none.
#[test]
fn the_first_set_makes_no_call() {
    explore(|| {
        let event = Event::new();
        assert_no_futex_call(|| event.set());
        assert!(event.is_set());
    });
}
