//! The deadlock checker, on real threads: what it reports, and what it does not.
//!
//! Reports are those of the whole process. So the tests run one at a time.
#![cfg(feature = "deadlock")]

use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use racefree::deadlock::{self, Kind, Report, Reports};
use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, Mutex, RLock, Semaphore};

/// Long enough for anything that has to happen.
const SOON: Duration = Duration::from_secs(20);

/// Collects the reports of one test, while no other test runs.
struct Test {
    reports: Reports,
    _alone: StdGuard<'static, ()>,
}

impl Test {
    fn begin() -> Self {
        static ALONE: StdMutex<()> = StdMutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            reports: deadlock::collect(),
            _alone: alone,
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        self.reports.take().iter().map(Report::kind).collect()
    }

    /// The only report.
    fn one(&self) -> Report {
        let reports = self.reports.take();
        let [report] = &reports[..] else {
            panic!("not one report: {reports:#?}")
        };
        report.clone()
    }

    /// The first report of this kind, waited for.
    fn wait_for(&self, kind: Kind) -> Report {
        let end = Instant::now() + SOON;
        loop {
            let found = self.reports.take().into_iter().find(|it| it.kind() == kind);
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < end, "no report of {kind:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Acquires something, and runs code while it is held.
type Within<'a> = dyn Fn(&dyn Fn()) + Sync + 'a;

/// Runs each of these on a thread, one after the other.
fn in_turn(threads: &[(&str, &(dyn Fn() + Sync))]) {
    for (name, code) in threads {
        thread::scope(|scope| {
            let builder = thread::Builder::new().name((*name).to_owned());
            builder.spawn_scoped(scope, code).unwrap();
        });
    }
}

#[test]
fn two_orders_are_reported_with_both_places() {
    let test = Test::begin();
    let (a, b) = (Lock::new().named("a"), Lock::new().named("b"));
    let line = line!();
    in_turn(&[
        ("left", &|| {
            let _a = a.guard();
            let _b = b.guard();
        }),
        ("right", &|| {
            let _b = b.guard();
            let _a = a.guard();
        }),
    ]);
    let report = test.one();
    assert_eq!(report.kind(), Kind::Inversion);
    assert!(
        ["a", "b", "left", "right"]
            .iter()
            .all(|name| report.involves(name))
    );
    let mut lines: Vec<_> = report
        .places()
        .iter()
        .map(|place| place.line() - line)
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [3, 4, 7, 8]);
    let text = report.to_string();
    for part in [
        "Lock \"a\"",
        "Lock \"b\"",
        "left held",
        "right held",
        file!(),
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn each_pair_of_places_is_reported_once() {
    let test = Test::begin();
    for _ in 0..3 {
        let (a, b) = (Lock::new(), Lock::new());
        in_turn(&[
            ("left", &|| drop((a.guard(), b.guard()))),
            ("right", &|| drop((b.guard(), a.guard()))),
        ]);
    }
    assert_eq!(test.kinds(), [Kind::Inversion]);
}

#[test]
fn all_locks_are_in_the_order() {
    let test = Test::begin();
    let (lock, rlock, mutex) = (Lock::new(), RLock::new(), Mutex::new(0));
    let (bounded, condition) = (BoundedSemaphore::new(1), Condition::new());
    let semaphore = Semaphore::new(1);
    let first = |code: &dyn Fn()| {
        let _guard = lock.guard();
        code();
    };
    let takes: [&Within<'_>; 5] = [
        &|code| {
            let _guard = rlock.guard();
            code();
        },
        &|code| {
            let _guard = mutex.lock();
            code();
        },
        &|code| {
            let _guard = bounded.guard();
            code();
        },
        &|code| {
            let _guard = semaphore.guard();
            code();
        },
        &|code| {
            condition.acquire();
            code();
            condition.release().unwrap();
        },
    ];
    for take in takes {
        in_turn(&[("left", &|| first(&|| take(&|| {})))]);
        assert_eq!(test.kinds(), []);
        in_turn(&[("right", &|| take(&|| first(&|| {})))]);
        assert_eq!(test.kinds(), [Kind::Inversion]);
    }
}

#[test]
fn three_locks_in_a_circle() {
    let test = Test::begin();
    let locks = [Lock::new(), Lock::new(), Lock::new()];
    let both = |first: usize, second: usize| {
        let _first = locks[first].guard();
        let _second = locks[second].guard();
    };
    in_turn(&[("1", &|| both(0, 1)), ("2", &|| both(1, 2))]);
    assert_eq!(test.kinds(), []);
    in_turn(&[("3", &|| both(2, 0))]);
    let report = test.one();
    assert!(["1", "2", "3"].iter().all(|name| report.involves(name)));
}

#[test]
fn a_gate_makes_an_inversion_harmless() {
    let test = Test::begin();
    let (gate, a, b) = (Lock::new(), Lock::new(), Lock::new());
    in_turn(&[
        ("left", &|| drop((gate.guard(), a.guard(), b.guard()))),
        ("right", &|| drop((gate.guard(), b.guard(), a.guard()))),
    ]);
    assert_eq!(test.kinds(), []);
    in_turn(&[("ungated", &|| drop((b.guard(), a.guard())))]);
    assert_eq!(test.kinds(), [Kind::Inversion]);
}

#[test]
fn a_try_does_not_wait_but_holds() {
    let test = Test::begin();
    let (a, b) = (Lock::new(), Lock::new());
    in_turn(&[
        ("left", &|| drop((a.guard(), b.guard()))),
        ("tries", &|| drop((b.guard(), a.try_guard().unwrap()))),
        ("zero", &|| {
            drop((b.guard(), a.guard_timeout(Duration::ZERO)));
        }),
    ]);
    assert_eq!(test.kinds(), []);
    in_turn(&[("right", &|| drop((b.try_guard().unwrap(), a.guard())))]);
    assert_eq!(test.kinds(), [Kind::Inversion]);
}

#[test]
fn an_acquire_with_a_timeout_has_a_kind() {
    let test = Test::begin();
    let (a, b) = (Lock::new(), Mutex::new(()));
    in_turn(&[
        ("left", &|| drop((a.guard(), b.lock()))),
        ("right", &|| drop((b.lock(), a.guard_timeout(SOON)))),
    ]);
    assert_eq!(test.kinds(), [Kind::TimedInversion]);
}

#[test]
fn hand_over_hand_is_an_order() {
    let test = Test::begin();
    let list: Vec<Lock> = (0..10).map(|_| Lock::new()).collect();
    let walk = || {
        let mut before = list[0].guard();
        for lock in &list[1..] {
            let next = lock.guard();
            drop(before);
            before = next;
        }
    };
    in_turn(&[("one", &walk), ("two", &walk)]);
    assert_eq!(test.kinds(), []);
}

#[test]
fn a_level_more_is_no_order() {
    let test = Test::begin();
    let (a, b) = (RLock::new(), Lock::new());
    let again = || {
        let _one = a.guard();
        let _b = b.guard();
        let _two = a.guard();
    };
    in_turn(&[("one", &again), ("two", &again)]);
    assert_eq!(test.kinds(), []);
}

#[test]
fn one_thread_alone_has_no_inversion() {
    let test = Test::begin();
    let (a, b) = (Lock::new(), Lock::new());
    in_turn(&[("both", &|| {
        drop((a.guard(), b.guard()));
        drop((b.guard(), a.guard()));
    })]);
    assert_eq!(test.kinds(), []);
}

#[test]
fn locks_that_are_ordered_by_address() {
    let test = Test::begin();
    let accounts: Vec<_> = (0..8).map(Mutex::new).collect();
    let transfer = |from: usize, to: usize| {
        let (low, high) = (from.min(to), from.max(to));
        let mut low = accounts[low].lock();
        let mut high = accounts[high].lock();
        *low -= 1;
        *high += 1;
    };
    let all = || {
        for from in 0..8 {
            (0..8)
                .filter(|&to| to != from)
                .for_each(|to| transfer(from, to));
        }
    };
    in_turn(&[("one", &all), ("two", &all)]);
    assert_eq!(test.kinds(), []);
}

#[test]
fn a_guard_that_is_sent_away_takes_its_hold_along() {
    let test = Test::begin();
    let (a, b) = (Arc::new(Lock::new()), Lock::new());
    let guard = a.guard_arc();
    thread::spawn(move || drop(guard)).join().unwrap();
    // This thread holds `a` no longer.
    drop(b.guard());
    in_turn(&[("other", &|| drop((b.guard(), a.guard())))]);
    assert_eq!(test.kinds(), []);
    // And it is no signal: an inversion is still one.
    in_turn(&[("third", &|| drop((a.guard(), b.guard())))]);
    assert_eq!(test.kinds(), [Kind::Inversion]);
}

#[test]
fn a_lock_that_another_thread_releases_is_a_signal() {
    let test = Test::begin();
    let (a, ready) = (Lock::new(), Lock::new());
    thread::scope(|scope| {
        ready.acquire();
        scope.spawn(|| {
            drop(a.guard());
            ready.release().unwrap();
        });
        // Waits for the release of the other.
        ready.acquire();
        ready.release().unwrap();
    });
    in_turn(&[
        ("left", &|| drop((a.guard(), ready.guard()))),
        ("right", &|| drop((ready.guard(), a.guard()))),
    ]);
    assert_eq!(test.kinds(), []);
}

#[test]
fn a_condition_releases_its_lock_and_acquires_it_again() {
    let test = Test::begin();
    let (condition, outer) = (Condition::new(), Lock::new());
    let waits = || {
        condition.acquire();
        let notified = condition.wait_timeout(Duration::from_millis(1)).unwrap();
        assert!(!notified);
        condition.release().unwrap();
    };
    in_turn(&[("waits", &waits)]);
    assert_eq!(test.kinds(), []);
    in_turn(&[
        ("inner", &|| drop((outer.guard(), condition.guard()))),
        // While it waits, it does not hold the lock; after it, it does.
        ("waits", &|| {
            condition.acquire();
            assert!(!condition.wait_timeout(Duration::from_millis(1)).unwrap());
            drop(outer.guard());
            condition.release().unwrap();
        }),
    ]);
    assert_eq!(test.kinds(), [Kind::Inversion]);
}

#[test]
fn locks_that_are_dropped_leave_nothing_behind() {
    let test = Test::begin();
    let outer = Lock::new();
    let before = resident();
    for _ in 0..300_000 {
        let inner = Lock::new();
        drop((outer.guard(), inner.guard()));
    }
    assert_eq!(test.kinds(), []);
    let (Some(before), Some(after)) = (before, resident()) else {
        return;
    };
    assert!(
        after < before + 16_000,
        "{before} kB before, {after} kB after"
    );
}

/// Memory of the process in kilobytes, if the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Two threads that certainly deadlock. Returns the message of the one that panics.
fn embrace(first: &Within<'_>, second: &Within<'_>) -> String {
    let met = std::sync::Barrier::new(2);
    let both = |one: &Within<'_>, two: &Within<'_>| {
        one(&|| {
            met.wait();
            two(&|| {});
        });
    };
    thread::scope(|scope| {
        let threads = [
            scope.spawn(|| both(first, second)),
            scope.spawn(|| both(second, first)),
        ];
        let ends = threads.map(|thread| thread.join());
        let panics: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
        let [panic] = &panics[..] else {
            panic!("{} panics", panics.len())
        };
        panic.downcast_ref::<String>().unwrap().clone()
    })
}

#[test]
fn a_deadlock_ends_in_a_panic_of_one_of_its_threads() {
    let test = Test::begin();
    let (a, b) = (Lock::new().named("a"), Mutex::new(()).named("b"));
    let text = embrace(
        &|code| {
            let _guard = a.guard();
            code();
        },
        &|code| {
            let _guard = b.lock();
            code();
        },
    );
    for part in [
        "deadlock",
        "waits in guard of Lock \"a\"",
        "waits in lock of Mutex \"b\"",
        "held by",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let kinds = test.kinds();
    assert!(kinds.contains(&Kind::Deadlock), "{kinds:?}");
    // What the panic left is as it should be.
    assert!(!a.locked() && b.try_lock().is_some());
}

#[test]
fn a_deadlock_of_rlock_and_bounded_semaphore() {
    let test = Test::begin();
    let (a, b) = (RLock::new(), BoundedSemaphore::new(1));
    let text = embrace(
        &|code| {
            let _guard = a.guard();
            code();
        },
        &|code| {
            let _guard = b.guard();
            code();
        },
    );
    assert!(
        text.contains("RLock of") && text.contains("BoundedSemaphore of"),
        "{text}"
    );
    assert!(test.kinds().contains(&Kind::Deadlock));
    assert_eq!(b.value(), 1);
}

#[test]
fn without_panics_a_deadlock_is_only_reported() {
    let test = Test::begin();
    deadlock::set_panics(false);
    // Leaked, with the threads that wait forever.
    let locks: &'static [Mutex<()>; 2] = Box::leak(Box::new([Mutex::new(()), Mutex::new(())]));
    let met: &'static std::sync::Barrier = Box::leak(Box::new(std::sync::Barrier::new(2)));
    for (first, second) in [(0, 1), (1, 0)] {
        thread::spawn(move || {
            let _first = locks[first].lock();
            met.wait();
            let _second = locks[second].lock();
        });
    }
    let report = test.wait_for(Kind::Deadlock);
    deadlock::set_panics(true);
    assert_eq!(
        report.to_string().matches("waits in lock of Mutex").count(),
        2
    );
    // Once, however long they wait. With panics, they end.
    thread::sleep(Duration::from_millis(300));
    assert!(!test.kinds().contains(&Kind::Deadlock));
}

#[test]
fn permits_that_their_holders_want_more_of() {
    let test = Test::begin();
    let permits = BoundedSemaphore::new(2);
    let met = std::sync::Barrier::new(2);
    let panics = thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                let _one = permits.guard();
                met.wait();
                let _two = permits.guard();
            })
        });
        threads.map(|thread| thread.join().is_err())
    });
    assert_eq!(panics.iter().filter(|it| **it).count(), 1);
    assert_eq!(test.kinds(), [Kind::Inversion, Kind::Deadlock]);
    assert_eq!(permits.value(), 2);
}

#[test]
fn who_could_still_be_helped_is_in_no_deadlock() {
    let test = Test::begin();
    // A lock that was never given back by a holder may be a signal.
    let (a, event) = (Lock::new(), Event::new());
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            a.acquire();
            a.acquire();
            event.wait();
        });
        thread::sleep(Duration::from_millis(300));
        a.release().unwrap();
        thread::sleep(Duration::from_millis(300));
        event.set();
        waits.join().unwrap();
    });
    assert!(!test.kinds().contains(&Kind::Deadlock));
}

#[test]
fn a_guard_on_its_way_is_in_no_deadlock() {
    let test = Test::begin();
    let (sent, other) = (Lock::new(), Lock::new());
    let met = std::sync::Barrier::new(3);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let (sent, other, met) = (&sent, &other, &met);
        scope.spawn(move || {
            sender.send(sent.guard()).unwrap();
            met.wait();
            drop(other.guard());
        });
        scope.spawn(move || {
            let _other = other.guard();
            met.wait();
            drop(sent.guard());
        });
        scope.spawn(move || {
            let guard = receiver.recv().unwrap();
            met.wait();
            thread::sleep(Duration::from_millis(100));
            drop(guard);
        });
    });
    assert!(!test.kinds().contains(&Kind::Deadlock));
}

#[test]
fn nobody_may_be_left_to_set_an_event() {
    let test = Test::begin();
    let event = Arc::new(Event::new().named("done"));
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::clone(&event);
    let waits = thread::spawn(move || {
        waiting.wait();
        sender.send(()).unwrap();
    });
    let report = test.wait_for(Kind::NobodyLeft);
    assert!(report.involves("done"));
    // It was only a suspicion: a thread that had not used it does so now.
    event.set();
    receiver.recv_timeout(SOON).unwrap();
    waits.join().unwrap();
}

#[test]
fn a_wait_that_is_too_long_names_the_holder() {
    let test = Test::begin();
    deadlock::set_long_wait(Some(Duration::from_millis(60)));
    let lock = Lock::new().named("slow");
    thread::scope(|scope| {
        let guard = lock.guard();
        let waits = scope.spawn(|| drop(lock.guard()));
        let report = test.wait_for(Kind::LongWait);
        drop(guard);
        waits.join().unwrap();
        assert!(report.involves("slow"));
        assert_eq!(report.places().len(), 2);
    });
    deadlock::set_long_wait(None);
    let _ = test.kinds();
}

#[test]
fn a_thread_that_ends_while_it_holds() {
    let test = Test::begin();
    let lock = Lock::new().named("kept");
    in_turn(&[("ends", &|| std::mem::forget(lock.guard()))]);
    let report = test.wait_for(Kind::EndedHolding);
    assert!(report.involves("kept") && report.involves("ends"));
}

#[test]
fn a_guard_that_is_leaked() {
    let test = Test::begin();
    let lock = Lock::new().named("leaked");
    std::mem::forget(lock.guard());
    drop(lock);
    let report = test.one();
    assert_eq!(report.kind(), Kind::LeakedGuard);
    assert!(report.involves("leaked"));
}

#[test]
fn a_destructor_that_acquires_while_its_thread_unwinds() {
    struct Acquires<'a>(&'a Lock);
    impl Drop for Acquires<'_> {
        fn drop(&mut self) {
            drop(self.0.guard());
        }
    }
    let test = Test::begin();
    let lock = Lock::new();
    thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _acquires = Acquires(&lock);
            panic!("to unwind");
        });
        assert!(panics.join().is_err());
    });
    assert_eq!(test.kinds(), [Kind::WhileUnwinding]);
}

#[test]
fn stacks_are_part_of_a_report_if_asked_for() {
    let test = Test::begin();
    deadlock::set_stacks(true);
    let (a, b) = (Lock::new(), Lock::new());
    in_turn(&[
        ("left", &|| drop((a.guard(), b.guard()))),
        ("right", &|| drop((b.guard(), a.guard()))),
    ]);
    deadlock::set_stacks(false);
    let text = test.one().to_string();
    assert!(text.contains("stacks_are_part_of_a_report"), "{text}");
}

#[test]
fn reports_that_are_not_taken_fail_a_test() {
    let test = Test::begin();
    let reports = deadlock::collect();
    let lock = Lock::new();
    std::mem::forget(lock.guard());
    drop(lock);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(reports)));
    let text = failed.unwrap_err();
    assert!(
        text.downcast_ref::<String>()
            .unwrap()
            .contains("a guard was leaked")
    );
    assert_eq!(test.kinds(), [Kind::LeakedGuard]);
}

#[test]
fn calm_use_of_everything_is_not_reported() {
    let test = Test::begin();
    let (event, barrier) = (Event::new(), Barrier::new(3));
    let (condition, permits) = (Condition::new(), Semaphore::new(2));
    let count = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                event.wait();
                for _ in 0..50 {
                    let _permit = permits.guard();
                    *count.lock() += 1;
                }
                barrier.wait().unwrap();
                condition.acquire();
                condition.notify_all().unwrap();
                condition.release().unwrap();
            });
        }
        event.set();
        condition.acquire();
        condition.wait_for(|| *count.lock() == 150).unwrap();
        condition.release().unwrap();
    });
    assert_eq!(test.kinds(), []);
}
