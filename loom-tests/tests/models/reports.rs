//! What a failing check says, where that is not one of the gallery's.

use std::sync::{Arc, Mutex as Unseen};
use std::time::Duration;

use racefree_loom::model::sync::atomic::{AtomicU32, Ordering};
use racefree_loom::model::sync::{OnceLock, mpsc};
use racefree_loom::model::{Builder, Failure, FailureKind, RaceCell, thread};
use racefree_loom::{Condition, Event, Lock};

use super::check;

fn fails(builder: &Builder, body: impl Fn() + Send + Sync + 'static) -> Box<Failure> {
    check(builder, body).expect_err("no execution fails")
}

/// A lock that the checker does not see, held where it may switch.
#[test]
fn an_unseen_lock_does_not_hang_the_check() {
    let builder = Builder::new().time_limit(Duration::from_millis(500));
    let failure = fails(&builder, || {
        let shared = Arc::new((Unseen::new(()), Event::new()));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _unseen = shared.0.lock();
                shared.1.set();
            }
        });
        let _unseen = shared.0.lock();
        shared.1.wait();
        other.join().unwrap();
    });
    assert_eq!(failure.kind, FailureKind::Hangs);
    let why = failure.why.join("\n");
    assert!(why.contains("main waits at reports.rs:"), "{failure}");
    assert!(why.contains("thread 1 is not seen"), "{failure}");
}

#[test]
fn a_thread_too_many_is_told_in_words() {
    let failure = fails(&Builder::new(), || {
        let threads: Vec<_> = (0..5).map(|_| thread::spawn(|| {})).collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
    });
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.why[0].contains("5 threads at most"), "{failure}");
}

#[test]
fn a_loop_that_polls_is_told_in_words() {
    let failure = fails(&Builder::new().max_steps(100), || {
        let lock = Lock::new();
        while !lock.locked() {}
    });
    assert_eq!(failure.kind, FailureKind::TooManySteps);
}

/// A value that is no longer the newest is told as such, and the newest where it was written.
#[test]
fn a_stale_value_is_told() {
    let failure = fails(&Builder::new(), || {
        let shared = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared[0].store(7, Ordering::Relaxed);
                shared[1].store(1, Ordering::Relaxed);
            }
        });
        if shared[1].load(Ordering::Relaxed) == 1 {
            assert_eq!(shared[0].load(Ordering::Relaxed), 7);
        }
        other.join().unwrap();
    });
    assert_eq!(failure.kind, FailureKind::Panic);
    let told = |what: &str| failure.steps.iter().any(|step| step.what.contains(what));
    assert!(told(".load: 0, stale, Relaxed"), "{failure}");
    assert!(told(".store(7): Relaxed"), "{failure}");
}

/// The crate's own steps are told on request alone.
#[test]
fn inner_steps_are_told_on_request() {
    let body = || {
        let lock = Lock::new();
        lock.acquire();
        panic!("so it goes");
    };
    let inner = |failure: &Failure| {
        let inner = |step: &&_| {
            let step: &racefree_loom::model::Step = step;
            step.file.is_some_and(|file| file.contains("raw"))
        };
        failure.steps.iter().filter(inner).count()
    };
    assert_eq!(inner(&fails(&Builder::new(), body)), 0);
    assert!(inner(&fails(&Builder::new().inner_steps(true), body)) > 0);
}

/// Found with many preemptions, told with one.
#[test]
fn the_smallest_failure_is_told() {
    let body = || {
        let shared = Arc::new((Lock::new(), RaceCell::new(0)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let _guard = shared.0.guard();
                    shared.1.with_mut(|value| *value += 1);
                })
            })
            .collect();
        let seen = shared.1.with(|value| *value);
        others.into_iter().for_each(|it| it.join().unwrap());
        assert!(seen < 3);
    };
    let found = fails(&Builder::new().smallest(Duration::ZERO), body);
    let smallest = fails(&Builder::new(), body);
    assert!(smallest.steps.len() <= found.steps.len());
    assert!(
        smallest.to_string().contains("without a preemption"),
        "{smallest}"
    );
    assert!(!found.to_string().contains("preemption;"), "{found}");
    // What it says of how to see it again is right.
    let again = fails(
        &Builder::new()
            .preemption_bound(0)
            .replay(smallest.replay.clone().unwrap()),
        body,
    );
    assert_eq!(again.steps, smallest.steps);
}

/// A thread that panics, and one that ends, are told; so is who was spawned where.
#[test]
fn threads_are_told_by_name() {
    let failure = fails(&Builder::new(), || {
        let other = thread::Builder::new().name("worker".to_owned());
        let other = other.spawn(|| panic!("no more")).unwrap();
        let _ = other.join();
    });
    assert_eq!(failure.threads, ["main", "worker"]);
    assert!(
        failure.why[0].contains("worker panics at reports.rs:"),
        "{failure}"
    );
    assert!(
        failure
            .steps
            .iter()
            .any(|step| step.what == "spawns worker")
    );
}

/// Threads that borrow, and tokens.
#[test]
fn scopes_and_tokens_work() {
    let report = check(&Builder::new(), || {
        let cell = RaceCell::new(0);
        let main = thread::current();
        thread::scope(|scope| {
            scope.spawn(|| {
                cell.with_mut(|value| *value = 1);
                main.unpark();
            });
            thread::park();
            assert_eq!(cell.with(|value| *value), 1);
        });
    });
    assert!(report.unwrap().executions > 1);
}

/// Both ends of a wait for a token with a timeout are explored.
#[test]
fn a_token_may_come_too_late() {
    super::explore_both(|| {
        let main = thread::current();
        let seen = Arc::new(AtomicU32::new(0));
        let other = thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                seen.store(1, Ordering::Relaxed);
                main.unpark();
            }
        });
        thread::park_timeout(Duration::from_secs(1));
        let came = seen.load(Ordering::Relaxed) == 1;
        other.join().unwrap();
        came
    });
}

/// A value is made once, whoever comes first, and seen by all.
#[test]
fn a_value_is_made_once() {
    super::explore(|| {
        let shared = Arc::new((OnceLock::new(), AtomicU32::new(0)));
        let get = |shared: &(OnceLock<u32>, AtomicU32)| {
            *shared.0.get_or_init(|| {
                shared.1.fetch_add(1, Ordering::Relaxed);
                7
            })
        };
        let other = super::spawn(&shared, get);
        assert_eq!(get(&shared), 7);
        assert_eq!(other.join().unwrap(), 7);
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
        assert_eq!(shared.0.set(8), Err(8));
    });
}

/// What is sent is received, in order, and then the end.
#[test]
fn a_channel_hands_over() {
    super::explore_with(&Builder::new().preemption_bound(2), || {
        let (sender, receiver) = mpsc::sync_channel(1);
        let other = thread::spawn(move || {
            sender.send(RaceCell::new(1)).unwrap();
            sender.send(RaceCell::new(2)).unwrap();
        });
        let received: Vec<u32> = receiver.iter().map(|it| it.with(|it| *it)).collect();
        assert_eq!(received, [1, 2]);
        other.join().unwrap();
    });
}

/// A wake-up for no reason is told where it happened.
#[test]
fn a_wake_up_for_no_reason_is_told() {
    let failure = fails(&Builder::new().spurious_wakeups(1), || {
        let event = Arc::new(Event::new());
        let other = thread::spawn({
            let event = Arc::clone(&event);
            move || event.set()
        });
        event.wait();
        other.join().unwrap();
        panic!("it is over");
    });
    let told = failure.to_string();
    assert!(told.contains("woken once for no reason"), "{told}");
}

/// What the crate does within a call is told from the user's line.
#[test]
fn what_a_wait_does_within_is_told_from_the_users_line() {
    let failure = fails(&Builder::new(), || {
        let shared = Arc::new((Condition::new(), Event::new()));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let (condition, has_it) = &*shared;
                condition.acquire();
                has_it.set();
                condition.wait().unwrap();
            }
        });
        let (condition, has_it) = &*shared;
        has_it.wait();
        condition.acquire();
        condition.notify(1).unwrap();
        other.join().unwrap();
    });
    let line = line!() - 9;
    let why = failure.why.join("\n");
    assert!(
        why.contains(&format!("thread 1 waits at reports.rs:{line} for")),
        "{failure}"
    );
}

#[test]
fn an_item_that_does_not_come_is_told_from_the_users_line() {
    let failure = fails(&Builder::new(), || {
        let (_sender, receiver) = mpsc::channel::<u32>();
        for _ in receiver {}
    });
    let line = line!() - 2;
    let why = failure.why.join("\n");
    assert!(
        why.contains(&format!("main waits at reports.rs:{line} for")),
        "{failure}"
    );
}

racefree_loom::model::thread_local! {
    static OWN: std::cell::Cell<u32> = std::cell::Cell::new(0);
}

#[test]
fn a_thread_has_its_own() {
    super::explore(|| {
        OWN.with(|own| own.set(1));
        let other = thread::spawn(|| OWN.with(std::cell::Cell::get));
        assert_eq!(other.join().unwrap(), 0);
        assert_eq!(OWN.with(std::cell::Cell::get), 1);
    });
}

/// A character of the drawing's font is wider than 7 of its units.
#[test]
fn nothing_of_a_drawing_is_cut_off() {
    let failure = fails(&Builder::new(), || panic!("{}", "<so it goes> ".repeat(12)));
    let drawn = failure.svg();
    let width = drawn
        .split('"')
        .find_map(|value| value.parse::<usize>().ok());
    let texts = drawn.lines().filter(|line| line.starts_with("<text"));
    let texts = texts.map(|line| line.split(['>', '<']).nth(2).unwrap());
    let lengths = texts.map(|text| text.replace("&lt;", "<").replace("&gt;", ">").len());
    let longest = lengths.max().unwrap();
    assert!(longest > 100, "{drawn}");
    assert!(width.unwrap() > 7 * longest, "{drawn}");
}
