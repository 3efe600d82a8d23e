//! Checks on real threads: what a failing one says, and that one that hangs ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use racefree::model::{Builder, Engine, FailureKind, RaceCell, check, sync::Arc, thread};
use racefree::{Event, Lock};

#[test]
fn what_passes_is_counted() {
    let report = Builder::new().executions(7).check(|| {});
    assert_eq!((report.executions, report.engine), (7, Engine::Threads));
}

#[test]
fn a_panic_is_a_failure() {
    let failure = Builder::new()
        .try_check(|| assert_eq!(1 + 1, 3, "so it goes"))
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(failure.message.contains("so it goes"), "{failure}");
    assert_eq!(failure.report.executions, 1);
    assert!(
        failure
            .to_string()
            .starts_with("racefree::model: a thread panics\n")
    );
}

#[test]
#[should_panic(expected = "so it goes")]
fn a_check_panics_with_it() {
    check(|| panic!("so it goes"));
}

/// One that begins while another one is under way.
#[test]
fn overlapping_accesses_are_a_race() {
    let failure = Builder::new()
        .try_check(|| {
            let shared = Arc::new((RaceCell::new(0), Event::new(), Event::new()));
            let other = thread::spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let (cell, inside, tried) = &*shared;
                    inside.wait();
                    let access = AssertUnwindSafe(|| cell.with_mut(|value| *value += 1));
                    let result = catch_unwind(access);
                    tried.set();
                    result
                }
            });
            let (cell, inside, tried) = &*shared;
            cell.with(|_| {
                inside.set();
                tried.wait();
            });
            if let Err(panic) = other.join().unwrap() {
                resume_unwind(panic);
            }
        })
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Race);
}

/// The thread that waits is left behind.
#[test]
fn what_hangs_fails_in_time() {
    let start = Instant::now();
    let failure = Builder::new()
        .time_limit(Duration::from_millis(200))
        .try_check(|| {
            let event = Event::new().named("never");
            event.wait();
        })
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(failure.kind, FailureKind::Hangs);
    assert_eq!(failure.report.executions, 1);
    #[cfg(feature = "trace")]
    {
        assert_eq!(failure.threads, ["main"]);
        assert!(
            failure.why[0].contains("main waits at model.rs:"),
            "{failure}"
        );
        assert!(
            failure.why[0].contains("for never (made at model.rs:"),
            "{failure}"
        );
    }
}

/// Many quick executions take longer than one may.
#[test]
fn the_limit_is_one_executions() {
    let limit = Duration::from_millis(300);
    let builder = Builder::new().executions(60).time_limit(limit);
    let report = builder.check(|| std::thread::sleep(Duration::from_millis(10)));
    assert!(report.elapsed > limit);
}

#[test]
fn two_locks_in_two_orders_are_told() {
    let failure = Builder::new()
        .time_limit(Duration::from_millis(300))
        .try_check(|| {
            let locks = Arc::new([Lock::new().named("left"), Lock::new().named("right")]);
            let both = Arc::new([Event::new(), Event::new()]);
            let other = thread::Builder::new().name("other".to_owned()).spawn({
                let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
                move || {
                    locks[1].acquire();
                    both[1].set();
                    both[0].wait();
                    locks[0].acquire();
                }
            });
            locks[0].acquire();
            both[0].set();
            both[1].wait();
            locks[1].acquire();
            other.unwrap().join().unwrap();
        })
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Hangs);
    #[cfg(feature = "trace")]
    {
        let why = failure.why.join("\n");
        assert!(why.contains("for right (made at model.rs:"), "{failure}");
        assert!(
            why.contains("which other holds since model.rs:"),
            "{failure}"
        );
        assert!(
            why.contains("in a circle: main -> other -> main"),
            "{failure}"
        );
    }
}

#[test]
fn a_failure_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failure.svg");
    let builder = Builder::new().svg(&path);
    builder.try_check(|| panic!("<so it goes>")).unwrap_err();
    let drawn = std::fs::read_to_string(path).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>\n"));
}
