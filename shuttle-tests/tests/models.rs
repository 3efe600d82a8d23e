//! The programs at full size: random interleavings, with more threads than loom can run.
//!
//! Each is run with two choices of the next thread (at random, and by the priorities of
//! probabilistic concurrency testing), and with two orders of wake-ups; what was run is printed.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as UnseenUsize, Ordering::Relaxed};
use std::thread as system;
use std::time::Duration;

use racefree_shuttle::model::sync::atomic::{AtomicUsize, Ordering};
use racefree_shuttle::model::{
    self, Builder, Failure, FailureKind, RaceCell, Report, WakeOrder, thread,
};
use racefree_shuttle::{
    Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, ReleaseError, Semaphore,
};

/// As far away as if it were never: in a model a timed wait may still end by it.
const LONG: Duration = Duration::from_secs(1000);

/// Runs `body` as often as told in each of six ways: with the code, where either sleeper is woken
/// first, and in steps; by random schedules and by PCT's.
fn explore(executions: usize, body: impl Fn() + Clone + Send + Sync + 'static) {
    explore_with(&Builder::new(), executions, body);
}

fn explore_with(
    builder: &Builder,
    executions: usize,
    body: impl Fn() + Clone + Send + Sync + 'static,
) {
    let code = |order| builder.clone().one_step(false).wake_order(order);
    for (what, builder) in [
        ("first in", code(WakeOrder::FirstIn)),
        ("last in", code(WakeOrder::LastIn)),
        ("one step a call", builder.clone().one_step(true)),
    ] {
        let random = builder.executions(executions);
        let pct = random.clone().pct(3);
        for (way, builder) in [("random", random), ("PCT of depth 3", pct)] {
            let report: Report = builder.check(body.clone());
            assert_eq!(report.executions, executions);
            say(&format!("{report} ({way}, {what})"));
        }
    }
}

/// The message with which an execution of `body` fails.
fn failure(builder: &Builder, body: impl Fn() + Send + Sync + 'static) -> String {
    let failure = panic::catch_unwind(AssertUnwindSafe(|| builder.check(body)))
        .expect_err("no execution fails");
    match failure.downcast::<String>() {
        Ok(said) => *said,
        Err(failure) => (*failure.downcast::<&str>().expect("a message")).to_owned(),
    }
}

/// Fails unless executions of `body` fail, in random schedules and in PCT's, for the reason that
/// `message` is a part of.
fn must_fail(message: &str, body: impl Fn() + Clone + Send + Sync + 'static) {
    for builder in [Builder::new(), Builder::new().pct(3)] {
        let said = failure(&builder, body.clone());
        assert!(said.contains(message), "failed for another reason: {said}");
        let first = said.lines().next().unwrap_or_default();
        say(&format!("fails, as it must: {first}"));
    }
}

/// Prints a line about the running model, past the test harness's capture.
fn say(line: &str) {
    let current = system::current();
    let name = current.name().unwrap_or("model");
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "{name}: {line}");
}

/// Runs `body` on another thread of the model.
fn spawn<T: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<T>,
    body: impl FnOnce(&T) -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

/// Runs `body` on each of so many threads.
fn crowd<T: Send + Sync + 'static, R: Send + 'static>(
    size: usize,
    shared: &Arc<T>,
    body: impl Fn(&T) -> R + Copy + Send + 'static,
) -> Vec<thread::JoinHandle<R>> {
    (0..size).map(|_| spawn(shared, body)).collect()
}

fn join<R>(threads: Vec<thread::JoinHandle<R>>) -> Vec<R> {
    let joined = threads.into_iter().map(|thread| thread.join().unwrap());
    joined.collect()
}

/// Lets the other threads run until so many sleep.
fn until_asleep(number: usize) {
    while model::sleepers() < number {
        thread::yield_now();
    }
}

/// Counter race: threads that each add 1 a number of times.
fn locked_counter(threads: usize, rounds: usize) -> impl Fn() + Clone + Send + Sync + 'static {
    move || {
        let counter = Arc::new((Lock::new(), RaceCell::new(0)));
        join(crowd(threads, &counter, move |(lock, count)| {
            for _ in 0..rounds {
                let _guard = lock.guard();
                count.with_mut(|count| *count += 1);
            }
        }));
        assert_eq!(counter.1.with(|count| *count), threads * rounds);
    }
}

/// For a hundred threads at one lock.
fn many_steps() -> Builder {
    Builder::new().max_steps(100_000)
}

/// Loads and stores, with nothing to keep the others out in between.
fn unlocked_counter() {
    let counter = Arc::new(AtomicUsize::new(0));
    join(crowd(4, &counter, |counter| {
        counter.store(counter.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    }));
    assert_eq!(counter.load(Ordering::SeqCst), 4, "updates were lost");
}

#[test]
fn counter_100_threads() {
    explore_with(&many_steps(), 25, locked_counter(100, 1));
}

#[test]
fn counter_8_threads() {
    explore(1000, locked_counter(8, 3));
}

#[test]
fn counter_without_a_lock_loses_updates() {
    must_fail("updates were lost", unlocked_counter);
}

#[test]
fn counter_without_a_lock_is_a_data_race() {
    must_fail("data race: two accesses to a RaceCell overlap", || {
        let counter = Arc::new(RaceCell::new(0));
        join(crowd(2, &counter, |counter| {
            counter.with_mut(|count| *count += 1);
        }));
    });
}

/// Hundred decrements: the lock spans the pause between what is read and what is written.
#[test]
fn hundred_decrements() {
    explore_with(&many_steps(), 25, || {
        let left = Arc::new((Lock::new(), AtomicUsize::new(100)));
        join(crowd(100, &left, |(lock, left)| {
            let _guard = lock.guard();
            let read = left.load(Ordering::Relaxed);
            thread::yield_now();
            left.store(read - 1, Ordering::Relaxed);
        }));
        assert_eq!(left.1.load(Ordering::Relaxed), 0);
    });
}

/// Each has one lock and waits for the other's.
fn locks_in_two_orders() {
    let locks = Arc::new([Lock::new(), Lock::new()]);
    let other = spawn(&locks, |[first, second]| {
        let _guards = (first.guard(), second.guard());
    });
    {
        let [first, second] = &*locks;
        let _guards = (second.guard(), first.guard());
    }
    other.join().unwrap();
}

#[test]
fn locks_in_two_orders_are_a_deadlock() {
    must_fail("deadlock", locks_in_two_orders);
}

/// Toilet semaphore: how many are inside is counted where the checker does not see it, as of no
/// concern to it.
struct Toilet {
    stalls: BoundedSemaphore,
    inside: UnseenUsize,
    most: Arc<UnseenUsize>,
}

impl Toilet {
    fn visit(&self) {
        self.stalls.acquire();
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(inside, Relaxed);
        let too_many = self.stalls.release_n(self.stalls.initial_value() + 1);
        assert_eq!(too_many, Err(ReleaseError::TooManyReleases));
        self.inside.fetch_sub(1, Relaxed);
        self.stalls.release().unwrap();
    }
}

fn toilet(people: usize, stalls: u32) {
    let most = Arc::new(UnseenUsize::new(0));
    let seen = Arc::clone(&most);
    explore(1000, move || {
        let toilet = Arc::new(Toilet {
            stalls: BoundedSemaphore::new(stalls),
            inside: UnseenUsize::new(0),
            most: Arc::clone(&seen),
        });
        join(crowd(people, &toilet, Toilet::visit));
        assert_eq!(toilet.stalls.value(), stalls);
        assert_eq!(toilet.stalls.release(), Err(ReleaseError::TooManyReleases));
        assert_eq!(toilet.stalls.value(), stalls);
    });
    // Never more than there are stalls, and not because they never all came.
    assert_eq!(most.load(Relaxed), stalls as usize);
}

#[test]
fn toilet_22_on_5() {
    toilet(22, 5);
}

#[test]
fn toilet_22_on_3() {
    toilet(22, 3);
}

/// Traffic light, with two counts of how often it has turned green: raised before, and after.
struct Light {
    green: Event,
    turning: UnseenUsize,
    turned: UnseenUsize,
}

impl Light {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            green: Event::new(),
            turning: UnseenUsize::new(0),
            turned: UnseenUsize::new(0),
        })
    }

    fn turn_green(&self) {
        self.turning.fetch_add(1, Relaxed);
        self.green.set();
        self.turned.fetch_add(1, Relaxed);
    }

    /// Drives over two lights, and at red not before the next green.
    fn drive(&self) {
        for _ in 0..2 {
            let red = !self.green.is_set();
            let before = self.turned.load(Relaxed);
            self.green.wait();
            if red {
                assert!(self.turning.load(Relaxed) > before, "moved on red");
            }
        }
    }
}

#[test]
fn traffic_light_8_cars() {
    explore(1000, || {
        let light = Light::new();
        let cars = crowd(8, &light, Light::drive);
        for _ in 0..3 {
            light.turn_green();
            thread::yield_now();
            light.green.clear();
        }
        light.turn_green();
        join(cars);
    });
}

/// A pulse of green frees each car that waited for it, though it is red again before any looks.
#[test]
fn traffic_light_pulse() {
    explore(1000, || {
        let light = Light::new();
        for _ in 0..3 {
            let cars = crowd(8, &light, |light| light.green.wait());
            until_asleep(8);
            light.turn_green();
            light.green.clear();
            join(cars);
        }
    });
}

/// Recursive lock: taken twice by each.
#[test]
fn recursive_lock_10_threads() {
    explore(1000, || {
        let shared = Arc::new((RLock::new(), RaceCell::new(0)));
        join(crowd(10, &shared, |(lock, count)| {
            let _outer = lock.guard();
            count.with_mut(|count| *count += 1);
            {
                let _inner = lock.guard();
                assert_eq!(lock.recursion_count(), 2);
                count.with_mut(|count| *count += 1);
            }
            assert_eq!(lock.recursion_count(), 1);
        }));
        assert!(!shared.0.locked());
        assert_eq!(shared.1.with(|count| *count), 20);
    });
}

/// Waiters that come at any time, and permits that come several at once.
fn release_n(semaphore: &Arc<Semaphore>, asleep: usize) {
    let waiters = crowd(12, semaphore, Semaphore::acquire);
    until_asleep(asleep);
    for permits in [5, 1, 6] {
        assert_eq!(semaphore.release_n(0), Err(ReleaseError::ZeroPermits));
        semaphore.release_n(permits).unwrap();
    }
    join(waiters);
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn release_n_against_12_waiters() {
    explore(1000, || release_n(&Arc::new(Semaphore::new(0)), 0));
}

#[test]
fn release_n_against_12_sleepers() {
    explore(1000, || release_n(&Arc::new(Semaphore::new(0)), 12));
}

#[test]
fn release_n_with_spurious_wakeups() {
    explore_with(&Builder::new().spurious_wakeups(6), 1000, || {
        release_n(&Arc::new(Semaphore::new(0)), 0);
    });
}

/// Each permit is acquired by somebody or left, whatever timed out meanwhile.
#[test]
fn timed_waiters_lose_no_permit() {
    let outcomes = Arc::new([const { UnseenUsize::new(0) }; 2]);
    let seen = Arc::clone(&outcomes);
    explore(1000, move || {
        let semaphore = Arc::new(Semaphore::new(0));
        let timed = crowd(10, &semaphore, |semaphore| semaphore.acquire_timeout(LONG));
        for permits in [1, 2, 3] {
            semaphore.release_n(permits).unwrap();
        }
        let mut acquired = 0;
        for outcome in join(timed) {
            seen[usize::from(outcome)].fetch_add(1, Relaxed);
            acquired += u32::from(outcome);
        }
        assert_eq!(acquired + semaphore.value(), 6, "permits were made or lost");
    });
    assert!(
        outcomes.iter().all(|count| count.load(Relaxed) > 0),
        "{outcomes:?}"
    );
}

/// Who times out has not taken the wake of those who wait on.
#[test]
fn timed_waiters_beside_patient_ones() {
    explore(1000, || {
        let semaphore = Arc::new(Semaphore::new(0));
        let patient = crowd(4, &semaphore, Semaphore::acquire);
        let timed = crowd(10, &semaphore, |semaphore| {
            if semaphore.acquire_timeout(LONG) {
                semaphore.release().unwrap();
            }
        });
        semaphore.release().unwrap();
        semaphore.release_n(3).unwrap();
        join(patient);
        join(timed);
        assert_eq!(semaphore.value(), 0);
    });
}

/// Waiters with and without a timeout, against threads that set and clear.
#[test]
fn event_12_waiters() {
    explore(1000, || {
        let event = Arc::new(Event::new());
        let patient = crowd(6, &event, Event::wait);
        let timed = crowd(6, &event, |event| event.wait_timeout(LONG));
        join(crowd(2, &event, |event| {
            event.set();
            event.clear();
        }));
        event.set();
        join(patient);
        join(timed);
        assert!(event.wait_timeout(LONG));
    });
}

/// A buffer with room for two, between producers and consumers.
struct Buffer {
    not_full: Condition<Arc<Lock>>,
    not_empty: Condition<Arc<Lock>>,
    items: RaceCell<Vec<usize>>,
}

impl Buffer {
    fn put(&self, item: usize) {
        let _guard = self.not_full.guard();
        let has_room = || self.items.with(|items| items.len() < 2);
        self.not_full.wait_for(has_room).unwrap();
        self.items.with_mut(|items| items.push(item));
        self.not_empty.notify(1).unwrap();
    }

    fn take(&self) -> usize {
        let _guard = self.not_empty.guard();
        let has_any = || self.items.with(|items| !items.is_empty());
        self.not_empty.wait_for(has_any).unwrap();
        let item = self.items.with_mut(|items| items.remove(0));
        self.not_full.notify(1).unwrap();
        item
    }
}

#[test]
fn bounded_buffer_6_producers_and_6_consumers() {
    explore_with(&many_steps(), 100, || {
        let lock = Arc::new(Lock::new());
        let buffer = Arc::new(Buffer {
            not_full: Condition::with_lock(Arc::clone(&lock)),
            not_empty: Condition::with_lock(lock),
            items: RaceCell::new(Vec::new()),
        });
        let producers = crowd(6, &buffer, |buffer| (1..=3).for_each(|it| buffer.put(it)));
        let consumers = crowd(6, &buffer, |buffer| {
            (0..3).map(|_| buffer.take()).sum::<usize>()
        });
        join(producers);
        assert_eq!(join(consumers).iter().sum::<usize>(), 36);
    });
}

/// All of those that sleep are woken by one notification, in chains.
#[test]
fn notify_all_to_12_sleepers() {
    explore(200, || {
        let condition = Arc::new(Condition::new());
        let waiters = crowd(12, &condition, |condition| {
            let _guard = condition.guard();
            condition.wait().unwrap();
        });
        until_asleep(12);
        let guard = condition.guard();
        condition.notify(5).unwrap();
        condition.notify_all().unwrap();
        drop(guard);
        join(waiters);
    });
}

/// More threads than parties: all that come pass, in whole rounds.
#[test]
fn barrier_of_3_for_9_threads() {
    explore(200, || {
        let shared = Arc::new((Barrier::new(3), AtomicUsize::new(0)));
        let threads = crowd(9, &shared, |(barrier, came)| {
            let mut passed = [0; 3];
            while came.fetch_add(1, Ordering::Relaxed) < 18 {
                passed[barrier.wait().unwrap()] += 1;
            }
            passed
        });
        let passed = join(threads);
        for index in 0..3 {
            assert_eq!(passed.iter().map(|it| it[index]).sum::<usize>(), 6);
        }
    });
}

/// The starting gate: nobody goes before the last has come.
#[test]
fn starting_gate_8_runners() {
    explore(200, || {
        let gate = Arc::new((Barrier::new(8), AtomicUsize::new(0)));
        let runners = crowd(8, &gate, |(gate, came)| {
            for race in 1..=2 {
                came.fetch_add(1, Ordering::Relaxed);
                gate.wait().unwrap();
                assert!(came.load(Ordering::Relaxed) >= 8 * race);
            }
        });
        join(runners);
    });
}

/// The failure of a check that has to fail, as a value.
fn try_check(builder: &Builder, body: impl Fn() + Send + Sync + 'static) -> Box<Failure> {
    builder.try_check(body).expect_err("no execution fails")
}

/// Replays the schedule that the failing check of `body` tells: it fails at once, as before; and so
/// does the one that was found, before it was cut down.
fn replays(builder: &Builder, message: &str, body: impl Fn() + Clone + Send + Sync + 'static) {
    let uncut = builder.clone().smallest(Duration::ZERO);
    for builder in [builder.clone(), uncut] {
        let failure = try_check(&builder, body.clone());
        assert!(failure.message.contains(message), "{failure}");
        let schedule = failure.replay.clone().expect("a schedule");
        assert!(failure.to_string().contains(&schedule), "{failure}");
        let again = try_check(&builder.replay(schedule), body.clone());
        assert_eq!(again.report.executions, 1);
        assert_eq!(again.message, failure.message);
        assert_eq!(again.steps, failure.steps);
        say(&format!("replayed: {}", again.message));
    }
}

#[test]
fn a_lost_update_is_replayed() {
    replays(
        &Builder::new().seed(1),
        "updates were lost",
        unlocked_counter,
    );
}

#[test]
fn a_deadlock_is_replayed() {
    replays(&Builder::new().pct(3), "deadlock", locks_in_two_orders);
}

/// The guard is not released once the execution has failed.
#[test]
fn a_failure_under_a_guard_is_replayed() {
    let builder = Builder::new().wake_order(WakeOrder::LastIn);
    replays(&builder, "not the first", || {
        let shared = Arc::new((Lock::new(), RaceCell::new(None)));
        join(crowd(6, &shared, |(lock, first)| {
            let _guard = lock.guard();
            first.with_mut(|first| {
                let first = *first.get_or_insert(thread::current().id());
                assert_eq!(first, thread::current().id(), "not the first");
            });
        }));
    });
}

/// What is left of a schedule is less than what was found, and not so much that a person gives up.
#[test]
fn a_failure_is_cut_down() {
    let switches = |failure: &Failure| {
        let threads = failure
            .steps
            .chunk_by(|one, other| one.thread == other.thread);
        threads.count() - 1
    };
    let builder = Builder::new().seed(3);
    let found = try_check(
        &builder.clone().smallest(Duration::ZERO),
        locks_in_two_orders,
    );
    let cut = try_check(&builder, locks_in_two_orders);
    assert!(switches(&cut) <= switches(&found), "{found}\n{cut}");
    assert!(switches(&cut) <= 4, "{cut}");
}

#[test]
fn a_schedule_of_something_else_is_refused() {
    let schedule = try_check(&Builder::new(), unlocked_counter).replay.unwrap();
    let builder = Builder::new().replay(schedule);
    let said = failure(&builder, locked_counter(8, 3));
    assert!(said.contains("the schedule does not fit"), "{said}");
}

#[test]
fn what_is_made_outside_of_the_body_is_refused() {
    let lock = Arc::new(Lock::new());
    let failure = try_check(&Builder::new(), move || {
        let other = Arc::clone(&lock);
        let thread = thread::spawn(move || drop(other.guard()));
        drop(lock.guard());
        thread.join().unwrap();
    });
    assert_eq!(failure.kind, FailureKind::Refused);
    let said = failure.to_string();
    assert!(said.contains("made or used outside of the body"), "{said}");
}
