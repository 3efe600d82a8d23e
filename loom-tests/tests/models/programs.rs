//! The programs of `examples/`, at a size at which every interleaving can be run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as UnseenU32, Ordering::Relaxed};

use racefree_loom::model::sync::atomic::{AtomicUsize, Ordering};
use racefree_loom::model::{self, Builder, RaceCell};
use racefree_loom::{BoundedSemaphore, Event, Lock, RLock, ReleaseError};

use crate::{
    bound, code, explore, explore_both, explore_both_with, explore_with, must_fail, spawn,
};

/// Counter race: threads that each add 1 a number of times, by `add`, and the sum that it should be.
fn counter_race<T: Send + Sync + 'static>(
    threads: usize,
    rounds: usize,
    new: fn() -> T,
    add: fn(&T),
    sum: fn(&T) -> usize,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        let counter = Arc::new(new());
        let work = move |counter: &T| (0..rounds).for_each(|_| add(counter));
        let others: Vec<_> = (1..threads).map(|_| spawn(&counter, work)).collect();
        work(&counter);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(sum(&counter), threads * rounds, "updates were lost");
    }
}

pub(crate) fn locked_counter_race(
    threads: usize,
    rounds: usize,
) -> impl Fn() + Send + Sync + 'static {
    counter_race(
        threads,
        rounds,
        || (Lock::new(), RaceCell::new(0)),
        |(lock, count)| {
            let _guard = lock.guard();
            count.with_mut(|count| *count += 1);
        },
        |(_, count)| count.with(|count| *count),
    )
}

#[test]
fn counter_without_a_lock_is_a_data_race() {
    must_fail(
        "Causality violation: Concurrent",
        counter_race(
            2,
            1,
            || RaceCell::new(0),
            |count| count.with_mut(|count| *count += 1),
            |count| count.with(|count| *count),
        ),
    );
}

#[test]
fn counter_without_a_lock_loses_updates() {
    must_fail(
        "updates were lost",
        counter_race(
            2,
            1,
            || AtomicUsize::new(0),
            |count| count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            |count| count.load(Ordering::Relaxed),
        ),
    );
}

#[test]
fn counter_with_a_lock() {
    explore(locked_counter_race(2, 2));
}

#[test]
fn counter_with_a_lock_for_three() {
    explore_with(&bound(4, None), locked_counter_race(3, 1));
}

/// Hundred decrements, with fewer: the lock spans the pause, which is where others get a turn.
#[test]
fn decrements_across_a_pause() {
    explore(|| {
        let left = Arc::new((Lock::new(), AtomicUsize::new(2)));
        let decrement = |(lock, left): &(Lock, AtomicUsize)| {
            let _guard = lock.guard();
            let read = left.load(Ordering::Relaxed);
            model::thread::yield_now();
            left.store(read - 1, Ordering::Relaxed);
        };
        let other = spawn(&left, decrement);
        decrement(&left);
        other.join().unwrap();
        assert_eq!(left.1.load(Ordering::Relaxed), 0);
    });
}

/// Toilet semaphore: how many are inside is counted where the checker does not see it, so that the
/// count adds no interleavings.
struct Toilet {
    stalls: BoundedSemaphore,
    inside: UnseenU32,
    /// How many may be inside.
    bound: u32,
}

impl Toilet {
    fn new(stalls: u32, bound: u32) -> Arc<Self> {
        Arc::new(Self {
            stalls: BoundedSemaphore::new(stalls),
            inside: UnseenU32::new(0),
            bound,
        })
    }

    /// Goes in, does something, and comes out.
    fn visit_for(&self, something: impl FnOnce()) {
        self.stalls.acquire();
        let others = self.inside.fetch_add(1, Relaxed);
        assert!(others < self.bound, "more inside than stalls");
        something();
        self.inside.fetch_sub(1, Relaxed);
        self.stalls.release().unwrap();
    }

    /// Stays inside for a step, at which others get their turn: a release too many, which has to
    /// fail and change nothing.
    fn visit(&self) {
        self.visit_for(|| {
            let too_many = self.stalls.release_n(self.stalls.initial_value() + 1);
            assert_eq!(too_many, Err(ReleaseError::TooManyReleases));
        });
    }

    /// Does not stay. People are alike, so it is enough to look at the cases in which this one
    /// comes in last, and finds too many.
    fn visit_last(&self) {
        self.visit_for(|| ());
    }
}

pub(crate) fn toilet(people: usize, stalls: u32) -> impl Fn() + Send + Sync + 'static {
    move || {
        let toilet = Toilet::new(stalls, stalls);
        let others: Vec<_> = (1..people).map(|_| spawn(&toilet, Toilet::visit)).collect();
        toilet.visit_last();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(toilet.stalls.release(), Err(ReleaseError::TooManyReleases));
        assert_eq!(toilet.stalls.value(), stalls);
    }
}

#[test]
fn toilet_3_on_2() {
    explore(toilet(3, 2));
}

#[test]
fn toilet_4_on_3() {
    explore_with(&bound(3, Some(5)), toilet(4, 3));
}

/// The check of the bound can fail: with a stall more than it checks for, it does.
#[test]
fn toilet_with_a_stall_too_many() {
    must_fail("more inside than stalls", || {
        let toilet = Toilet::new(2, 1);
        let other = spawn(&toilet, Toilet::visit);
        toilet.visit_last();
        other.join().unwrap();
    });
}

/// Traffic light: how many times it has been green is written before each green.
struct Light {
    green: Event,
    greens: AtomicUsize,
}

impl Light {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            green: Event::new(),
            greens: AtomicUsize::new(0),
        })
    }

    fn turn_green(&self, time: usize) {
        self.greens.store(time, Ordering::Relaxed);
        self.green.set();
    }

    /// Goes on the first green. If it then sees red, it goes on the second, and not before.
    fn drive(&self) -> bool {
        self.green.wait();
        assert!(
            self.greens.load(Ordering::Relaxed) >= 1,
            "went before any green"
        );
        let red = !self.green.is_set();
        self.green.wait();
        if red {
            assert_eq!(self.greens.load(Ordering::Relaxed), 2, "moved on red");
        }
        red
    }
}

pub(crate) fn traffic_light(builder: &Builder, cars: usize) {
    explore_both_with(builder, move || {
        let light = Light::new();
        let cars: Vec<_> = (0..cars).map(|_| spawn(&light, Light::drive)).collect();
        light.turn_green(1);
        light.green.clear();
        light.turn_green(2);
        // Whether the last one saw red; all are driven home.
        cars.into_iter().fold(false, |_, car| car.join().unwrap())
    });
}

#[test]
fn traffic_light_1_car() {
    traffic_light(&code(), 1);
}

#[test]
fn traffic_light_2_cars() {
    traffic_light(&bound(2, Some(3)), 2);
}

/// Green, red, and then a pulse of green: every car that was waiting for certain is freed by it.
#[test]
fn traffic_light_pulse() {
    explore_both(move || {
        let light = Light::new();
        light.turn_green(1);
        light.green.clear();
        let car = spawn(&light, |light| {
            light.green.wait();
            assert_eq!(light.greens.load(Ordering::Relaxed), 2, "moved on red");
        });
        // A step on the light, so that all the moments at which this may come are explored.
        let _ = light.green.is_set();
        let waits = model::sleepers() == 1;
        light.turn_green(2);
        if waits {
            light.green.clear();
        }
        car.join().unwrap();
        waits
    });
}

/// Recursive lock: taken twice by each.
#[test]
fn recursive_lock() {
    explore(|| {
        let shared = Arc::new((RLock::new(), RaceCell::new(0)));
        let work = |(lock, count): &(RLock, RaceCell<usize>)| {
            let _outer = lock.guard();
            let _inner = lock.guard();
            assert_eq!(lock.recursion_count(), 2);
            count.with_mut(|count| *count += 1);
        };
        let other = spawn(&shared, work);
        work(&shared);
        other.join().unwrap();
        shared.1.with(|count| assert_eq!(*count, 2));
    });
}
