//! CPython's own suite for these types, `Lib/test/lock_tests.py`, in Rust: each of its tests has a
//! counterpart of the same name, in a module that is named after its class, which `suite` checks.
//! And the same calls made here and by CPython itself, with the same results (`differential`).
//!
//! A few of its tests ask for what there is not in Rust. What stands for it:
//!
//! | test | asks for | here |
//! |---|---|---|
//! | `test_weakref_exists`, `test_weakref_deleted` | weak references | a `Weak` of an `Arc` |
//! | `test_acquire_destroy` | a collected object that is held | a dropped one |
//! | `test_with` | an exception under `with` | a panic under a guard |
//! | `base_lock::test_timeout`, `test_acquire_timeout` | timeouts that are refused | a `Duration` is none of them: the longest one is for ever |
//! | `test_thread_leak` | no `Thread` objects left behind | threads that come and go while others wait |
//! | `rlock::test_release_save_unacquired` | the private `_release_save` | the wait of a `Condition`, which is what it is for |
//! | `test_at_fork_reinit` | the private `_at_fork_reinit` | another one in the place of the old: with std nobody forks and goes on |
//! | `base_semaphore::test_constructor` | a negative value | a value that is too large: a `u32` is not negative |
//! | `barrier::test_constructor` | fewer than one party | none: a `usize` is not negative |
//! | `test_repr` and its like | `repr` | `Debug` |

mod common;
#[path = "cpython/differential.rs"]
mod differential;
#[path = "cpython/python.rs"]
mod python;

use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Acquire, LIMIT, Running, asleep, forever, spawn, until, while_held, words};
use racefree::{
    Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Event, Lock, NotOwnerError, RLock,
    ReleaseError, Semaphore,
};

mod suite {
    use std::env;
    use std::io::{self, Write};
    use std::process::Command;

    use super::python;

    /// The last minor version of CPython 3 whose suite was read for this one.
    const READ: u32 = 13;

    /// Prints the class and the name of each test of the suite, and nothing if it is not installed.
    const TESTS: &str = r#"
import ast, importlib.util
try:
    file = importlib.util.find_spec("test.lock_tests").origin
except (AttributeError, ImportError):
    raise SystemExit
for of in ast.parse(open(file, encoding="utf-8").read()).body:
    for test in of.body if isinstance(of, ast.ClassDef) else []:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test"):
            print(of.name, test.name)
"#;

    #[test]
    fn every_test_of_cpython_has_its_counterpart() {
        let this = "suite::every_test_of_cpython_has_its_counterpart";
        let Some(minor) = python::find(this) else {
            return;
        };
        // 3.8 had one more, of a private method that `test_at_fork_reinit` asks for since.
        let (oldest, newest) = (9, READ);
        let theirs = Command::new(python::name()).args(["-c", TESTS]).output();
        let theirs = String::from_utf8(theirs.unwrap().stdout).unwrap();
        if theirs.is_empty() || minor < oldest {
            let why = "has no such suite, or an old one";
            return python::skipped(this, &format!("CPython 3.{minor} {why}"));
        }
        let ours = Command::new(env::current_exe().unwrap())
            .arg("--list")
            .output();
        let ours = String::from_utf8(ours.unwrap().stdout).unwrap();
        let missing: Vec<_> = theirs.lines().filter(|test| !has(&ours, test)).collect();
        if minor > newest && !missing.is_empty() {
            let _ = writeln!(
                io::stderr(),
                "{this}: new in CPython 3.{minor}: {missing:?}"
            );
            return;
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }

    /// Whether a test, as `BaseLockTests test_repr`, is in a list, as `base_lock::lock::test_repr`.
    fn has(list: &str, test: &str) -> bool {
        let (class, name) = test.split_once(' ').unwrap();
        let class = class.strip_suffix("Tests").unwrap();
        let module = match class {
            "RLock" => "rlock".to_owned(),
            class => snake_case(class),
        };
        list.lines().any(|ours| {
            ours.starts_with(&format!("{module}::")) && ours.ends_with(&format!("::{name}: test"))
        })
    }

    fn snake_case(name: &str) -> String {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        snake
    }
}

/// A timeout that is waited for to its end.
const SHORT: Duration = Duration::from_millis(50);

/// As many threads as asked for, each of which runs `run`.
fn bunch<T: Send + 'static>(
    threads: usize,
    run: impl Fn() -> T + Clone + Send + 'static,
) -> Vec<Running<T>> {
    (0..threads).map(|_| spawn(run.clone())).collect()
}

/// The same, once all of them sleep, or have ended without.
fn bunch_asleep<T: Send + 'static>(
    threads: usize,
    run: impl Fn() -> T + Clone + Send + 'static,
) -> Vec<Running<T>> {
    (0..threads).map(|_| asleep(run.clone())).collect()
}

fn ends<T>(bunch: Vec<Running<T>>) -> Vec<T> {
    bunch.into_iter().map(Running::end).collect()
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

/// Makes each of these functions, which are generic, a test of each of the types.
macro_rules! tests {
    ({$($module:ident: $Type:ty),*} $tests:tt) => {
        $(tests!(@$module: $Type, $tests);)*
    };
    (@$module:ident: $Type:ty, {$($test:ident)*}) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test::<$Type>();
            })*
        }
    };
}

mod base_lock {
    use super::*;

    tests! {{ lock: racefree::Lock, rlock: racefree::RLock } {
        test_constructor
        test_repr
        test_locked_repr
        test_acquire_destroy
        test_acquire_release
        test_try_acquire
        test_try_acquire_contended
        test_acquire_contended
        test_with
        test_thread_leak
        test_timeout
        test_weakref_exists
        test_weakref_deleted
    }}

    fn test_constructor<L: Acquire>() {
        drop(L::default());
    }

    fn test_repr<L: Acquire>() {
        let shown = format!("{:?}", L::default());
        assert!(shown.starts_with("<unlocked racefree::"), "{shown}");
        assert!(shown.contains(" at 0x"), "{shown}");
    }

    fn test_locked_repr<L: Acquire>() {
        let lock = L::default();
        lock.acquire();
        let shown = format!("{lock:?}");
        assert!(shown.starts_with("<locked racefree::"), "{shown}");
        assert!(shown.contains(" at 0x"), "{shown}");
    }

    fn test_acquire_destroy<L: Acquire>() {
        let lock = L::default();
        lock.acquire();
        drop(lock);
    }

    fn test_acquire_release<L: Acquire>() {
        let lock = L::default();
        lock.acquire();
        lock.release().unwrap();
    }

    fn test_try_acquire<L: Acquire>() {
        let lock = L::default();
        assert!(lock.try_acquire());
        lock.release().unwrap();
    }

    fn test_try_acquire_contended<L: Acquire>() {
        let lock = forever(L::default());
        lock.acquire();
        assert!(!spawn(|| lock.try_acquire()).end());
        lock.release().unwrap();
    }

    fn test_acquire_contended<L: Acquire>() {
        let lock = forever(L::default());
        let ended = forever(AtomicU32::new(0));
        lock.acquire();
        let waiters = bunch_asleep(5, || {
            lock.acquire();
            lock.release().unwrap();
            ended.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        lock.release().unwrap();
        ends(waiters);
        assert_eq!(ended.load(Ordering::Relaxed), 5);
    }

    fn test_with<L: Acquire>() {
        let lock = forever(L::default());
        let acquire_and_release = || {
            lock.acquire();
            lock.release().unwrap();
        };
        drop(lock.guard());
        spawn(acquire_and_release).end();

        let panic = panic::catch_unwind(|| {
            let _guard = lock.guard();
            panic!("with the lock");
        });
        assert_eq!(words(&*panic.unwrap_err()), "with the lock");
        spawn(acquire_and_release).end();
    }

    fn test_thread_leak<L: Acquire>() {
        let lock = forever(L::default());
        for _ in 0..20 {
            ends(bunch(15, || {
                lock.acquire();
                lock.release().unwrap();
            }));
        }
        assert!(lock.try_acquire());
    }

    fn test_timeout<L: Acquire>() {
        let lock = forever(L::default());
        for longest in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert!(lock.acquire_timeout(longest));
            lock.release().unwrap();
        }
        assert!(lock.acquire_timeout(LIMIT));
        let (acquired, time) = spawn(|| timed(|| lock.acquire_timeout(SHORT))).end();
        assert!(!acquired);
        assert!(time >= SHORT);
    }

    fn test_weakref_exists<L: Acquire>() {
        let lock = Arc::new(L::default());
        let weak = Arc::downgrade(&lock);
        assert!(weak.upgrade().is_some());
    }

    fn test_weakref_deleted<L: Acquire>() {
        let lock = Arc::new(L::default());
        let weak = Arc::downgrade(&lock);
        drop(lock);
        assert!(weak.upgrade().is_none());
    }
}

mod lock {
    use super::*;

    #[test]
    fn test_reacquire() {
        let lock = forever(Lock::new());
        let phase = forever(AtomicU32::new(0));
        let thread = asleep(|| {
            lock.acquire();
            phase.store(1, Ordering::Relaxed);
            lock.acquire();
            phase.store(2, Ordering::Relaxed);
        });
        assert_eq!(phase.load(Ordering::Relaxed), 1);
        lock.release().unwrap();
        thread.end();
        assert_eq!(phase.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn test_different_thread() {
        let lock = forever(Lock::new());
        lock.acquire();
        spawn(|| lock.release().unwrap()).end();
        lock.acquire();
        lock.release().unwrap();
    }

    #[test]
    fn test_state_after_timeout() {
        let lock = Lock::new();
        lock.acquire();
        assert!(!lock.acquire_timeout(Duration::from_millis(10)));
        lock.release().unwrap();
        assert!(!lock.locked());
        assert!(lock.try_acquire());
    }

    #[test]
    fn test_at_fork_reinit() {
        let mut lock = Lock::new();
        for locked in [false, true] {
            assert_eq!(lock.locked(), locked);
            lock = Lock::new();
            lock.acquire();
            lock.release().unwrap();
            lock.acquire();
        }
    }
}

mod rlock {
    use super::*;

    const REFUSED: Result<(), ReleaseError> = Err(ReleaseError::NotOwner);

    #[test]
    fn test_reacquire() {
        let lock = RLock::new();
        lock.acquire();
        lock.acquire();
        lock.release().unwrap();
        lock.acquire();
        lock.release().unwrap();
        lock.release().unwrap();
        assert!(!lock.locked());
    }

    #[test]
    fn test_release_unacquired() {
        let lock = RLock::new();
        assert_eq!(lock.release(), REFUSED);
        lock.acquire();
        lock.acquire();
        lock.release().unwrap();
        lock.acquire();
        lock.release().unwrap();
        lock.release().unwrap();
        assert_eq!(lock.release(), REFUSED);
    }

    #[test]
    fn test_release_save_unacquired() {
        let lock = RLock::new();
        let condition = Condition::with_lock(&lock);
        assert_eq!(condition.wait(), Err(NotOwnerError::Wait));
        lock.acquire();
        lock.acquire();
        lock.release().unwrap();
        lock.acquire();
        lock.release().unwrap();
        lock.release().unwrap();
        assert_eq!(condition.wait(), Err(NotOwnerError::Wait));
    }

    #[test]
    fn test_recursion_count() {
        let lock = forever(RLock::new());
        assert_eq!(lock.recursion_count(), 0);
        lock.acquire();
        assert_eq!(lock.recursion_count(), 1);
        lock.acquire();
        lock.acquire();
        assert_eq!(lock.recursion_count(), 3);
        lock.release().unwrap();
        assert_eq!(lock.recursion_count(), 2);
        lock.release().unwrap();
        lock.release().unwrap();
        assert_eq!(lock.recursion_count(), 0);

        while_held(lock, || assert_eq!(lock.recursion_count(), 0));
        assert_eq!(lock.recursion_count(), 0);
    }

    #[test]
    fn test_different_thread() {
        let lock = forever(RLock::new());
        while_held(lock, || assert_eq!(lock.release(), REFUSED));
    }

    #[test]
    #[allow(
        non_snake_case,
        reason = "the method's name in CPython begins with a line"
    )]
    fn test__is_owned() {
        let lock = forever(RLock::new());
        assert!(!lock.is_owned());
        lock.acquire();
        assert!(lock.is_owned());
        lock.acquire();
        assert!(lock.is_owned());
        assert!(!spawn(|| lock.is_owned()).end());
        lock.release().unwrap();
        assert!(lock.is_owned());
        lock.release().unwrap();
        assert!(!lock.is_owned());
    }
}

mod event {
    use super::*;

    #[test]
    fn test_is_set() {
        let event = Event::new();
        assert!(!event.is_set());
        event.set();
        assert!(event.is_set());
        event.set();
        assert!(event.is_set());
        event.clear();
        assert!(!event.is_set());
        event.clear();
        assert!(!event.is_set());
    }

    #[test]
    fn test_notify() {
        let event = forever(Event::new());
        let passed = forever(AtomicU32::new(0));
        for round in 1..=2 {
            let waiters = bunch_asleep(5, || {
                for _ in 0..2 {
                    event.wait();
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            });
            assert_eq!(passed.load(Ordering::Relaxed), (round - 1) * 10);
            event.set();
            ends(waiters);
            assert_eq!(passed.load(Ordering::Relaxed), round * 10);
            event.set();
            event.clear();
        }
    }

    #[test]
    fn test_timeout() {
        let event = forever(Event::new());
        let waits = || {
            let at_once = event.wait_timeout(Duration::ZERO);
            (at_once, timed(|| event.wait_timeout(SHORT)))
        };
        for (at_once, (in_time, time)) in ends(bunch(5, waits)) {
            assert!(!at_once && !in_time);
            assert!(time >= SHORT);
        }
        event.set();
        for (at_once, (in_time, _)) in ends(bunch(5, waits)) {
            assert!(at_once && in_time);
        }
    }

    #[test]
    fn test_set_and_clear() {
        let event = forever(Event::new());
        let waiters = bunch_asleep(5, || event.wait_timeout(LIMIT));
        event.set();
        event.clear();
        assert_eq!(ends(waiters), [true; 5]);
    }

    #[test]
    fn test_at_fork_reinit() {
        let mut event = Event::new();
        event.set();
        assert!(event.wait_timeout(LIMIT));
        event = Event::new();
        assert!(!event.wait_timeout(Duration::ZERO));
    }

    #[test]
    fn test_repr() {
        let event = Event::new();
        let shown = format!("{event:?}");
        assert!(shown.starts_with("<racefree::Event at 0x"), "{shown}");
        assert!(shown.ends_with(": unset>"), "{shown}");
        event.set();
        let shown = format!("{event:?}");
        assert!(shown.ends_with(": set>"), "{shown}");
    }
}

/// What the two semaphores can do beside what is in [`Acquire`].
trait Permits: Acquire {
    fn with(value: u32) -> Self;
    fn release_n(&self, n: u32) -> Result<(), ReleaseError>;
}

impl Permits for Semaphore {
    fn with(value: u32) -> Self {
        Self::new(value)
    }

    fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        self.release_n(n)
    }
}

impl Permits for BoundedSemaphore {
    fn with(value: u32) -> Self {
        Self::new(value)
    }

    fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
        self.release_n(n)
    }
}

mod base_semaphore {
    use super::*;

    tests! {{ semaphore: racefree::Semaphore, bounded_semaphore: racefree::BoundedSemaphore } {
        test_constructor
        test_acquire
        test_acquire_destroy
        test_acquire_contended
        test_multirelease
        test_try_acquire
        test_try_acquire_contended
        test_acquire_timeout
        test_default_value
        test_with
    }}

    fn test_constructor<S: Permits>() {
        for too_large in [Semaphore::MAX_VALUE + 1, u32::MAX] {
            let panic = panic::catch_unwind(|| S::with(too_large)).unwrap_err();
            assert_eq!(words(&*panic), "semaphore initial value too large");
        }
    }

    fn test_acquire<S: Permits>() {
        let semaphore = S::with(1);
        semaphore.acquire();
        semaphore.release().unwrap();
        let semaphore = S::with(2);
        semaphore.acquire();
        semaphore.acquire();
        semaphore.release().unwrap();
        semaphore.release().unwrap();
    }

    fn test_acquire_destroy<S: Permits>() {
        let semaphore = S::default();
        semaphore.acquire();
        drop(semaphore);
    }

    /// Ten threads that acquire twice each, and are given their permits in three phases.
    fn contended<S: Permits>(release: fn(&S, u32)) {
        let semaphore = forever(S::with(7));
        let phase = forever(AtomicU32::new(0));
        let phases = forever(Mutex::new(Vec::new()));
        semaphore.acquire();

        let threads = bunch(10, || {
            for _ in 0..2 {
                semaphore.acquire();
                let now = phase.load(Ordering::Relaxed);
                phases.lock().unwrap().push(now);
            }
        });
        let mut expected = Vec::new();
        for (now, permits) in [(0, 6), (1, 7), (2, 6), (3, 1)] {
            phase.store(now, Ordering::Relaxed);
            if now == 3 {
                assert!(!semaphore.try_acquire());
            }
            if now > 0 {
                release(semaphore, permits);
            }
            expected.extend(vec![now; permits as usize]);
            until(|| phases.lock().unwrap().len() >= expected.len());
            let mut phases = phases.lock().unwrap().clone();
            phases.sort_unstable();
            assert_eq!(phases, expected);
        }
        ends(threads);
        assert!(!semaphore.try_acquire());
    }

    fn test_acquire_contended<S: Permits>() {
        contended::<S>(|semaphore, n| (0..n).for_each(|_| semaphore.release().unwrap()));
    }

    fn test_multirelease<S: Permits>() {
        contended::<S>(|semaphore, n| semaphore.release_n(n).unwrap());
    }

    fn test_try_acquire<S: Permits>() {
        let semaphore = S::with(2);
        assert!(semaphore.try_acquire());
        assert!(semaphore.try_acquire());
        assert!(!semaphore.try_acquire());
        semaphore.release().unwrap();
        assert!(semaphore.try_acquire());
    }

    fn test_try_acquire_contended<S: Permits>() {
        let semaphore = forever(S::with(4));
        semaphore.acquire();
        let tries = || [semaphore.try_acquire(), semaphore.try_acquire()];
        let acquired = ends(bunch(5, tries)).concat();
        assert_eq!(acquired.iter().filter(|&&acquired| acquired).count(), 3);
    }

    fn test_acquire_timeout<S: Permits>() {
        let semaphore = S::with(2);
        let brief = Duration::from_millis(5);
        assert!(semaphore.acquire_timeout(brief));
        assert!(semaphore.acquire_timeout(Duration::MAX));
        assert!(!semaphore.acquire_timeout(brief));
        semaphore.release().unwrap();
        assert!(semaphore.acquire_timeout(brief));
        let (acquired, time) = timed(|| semaphore.acquire_timeout(SHORT));
        assert!(!acquired);
        assert!(time >= SHORT);
    }

    fn test_default_value<S: Permits>() {
        let semaphore = forever(S::default());
        let ended = forever(AtomicU32::new(0));
        semaphore.acquire();
        let waiter = asleep(|| {
            semaphore.acquire();
            semaphore.release().unwrap();
            ended.store(1, Ordering::Relaxed);
        });
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        semaphore.release().unwrap();
        waiter.end();
    }

    fn test_with<S: Permits>() {
        let semaphore = S::with(2);
        let with = |fails: bool| {
            let _outer = semaphore.guard();
            assert!(semaphore.try_acquire());
            semaphore.release().unwrap();
            let _inner = semaphore.guard();
            assert!(!semaphore.try_acquire());
            assert!(!fails, "on purpose");
        };
        with(false);
        assert!(semaphore.try_acquire());
        semaphore.release().unwrap();
        let panic = panic::catch_unwind(AssertUnwindSafe(|| with(true)));
        assert_eq!(words(&*panic.unwrap_err()), "on purpose");
        assert!(semaphore.try_acquire());
        semaphore.release().unwrap();
    }
}

#[track_caller]
fn shows(value: &impl Debug, name: &str, state: &str) {
    let shown = format!("{value:?}");
    assert!(
        shown.starts_with(&format!("<racefree::{name} at 0x")),
        "{shown}"
    );
    assert!(shown.ends_with(&format!(": {state}>")), "{shown}");
}

mod semaphore {
    use super::*;

    #[test]
    fn test_release_unacquired() {
        let semaphore = Semaphore::new(1);
        semaphore.release().unwrap();
        semaphore.acquire();
        semaphore.acquire();
        semaphore.release().unwrap();
    }

    #[test]
    fn test_repr() {
        let semaphore = Semaphore::new(3);
        shows(&semaphore, "Semaphore", "value=3");
        semaphore.acquire();
        shows(&semaphore, "Semaphore", "value=2");
        semaphore.release_n(2).unwrap();
        shows(&semaphore, "Semaphore", "value=4");
    }
}

mod bounded_semaphore {
    use super::*;

    #[test]
    fn test_release_unacquired() {
        let semaphore = BoundedSemaphore::default();
        assert_eq!(semaphore.release(), Err(ReleaseError::TooManyReleases));
        semaphore.acquire();
        semaphore.release().unwrap();
        assert_eq!(semaphore.release(), Err(ReleaseError::TooManyReleases));
    }

    #[test]
    fn test_repr() {
        let semaphore = BoundedSemaphore::new(3);
        shows(&semaphore, "BoundedSemaphore", "value=3/3");
        semaphore.acquire();
        shows(&semaphore, "BoundedSemaphore", "value=2/3");
    }
}

mod condition {
    use super::*;

    #[test]
    fn test_acquire() {
        let condition = Condition::new();
        condition.acquire();
        condition.acquire();
        condition.release().unwrap();
        condition.release().unwrap();

        let lock = Lock::new();
        let condition = Condition::with_lock(&lock);
        condition.acquire();
        assert!(!lock.try_acquire());
        condition.release().unwrap();
        assert!(lock.try_acquire());
        assert!(!condition.try_acquire());
        lock.release().unwrap();
        let _guard = condition.guard();
        assert!(!lock.try_acquire());
    }

    #[test]
    fn test_unacquired_wait() {
        assert_eq!(Condition::new().wait(), Err(NotOwnerError::Wait));
    }

    #[test]
    fn test_unacquired_notify() {
        assert_eq!(Condition::new().notify(1), Err(NotOwnerError::Notify));
    }

    /// Five threads that wait twice each, and tell in which phase they went on.
    fn check_notify(condition: &'static Condition) {
        let phase = forever(AtomicU32::new(0));
        let ready = forever(AtomicU32::new(0));
        let phases = forever([const { Mutex::new(Vec::new()) }; 2]);
        let threads = bunch(5, move || {
            for phases in phases {
                condition.acquire();
                ready.fetch_add(1, Ordering::Relaxed);
                condition.wait().unwrap();
                condition.release().unwrap();
                let now = phase.load(Ordering::Relaxed);
                phases.lock().unwrap().push(now);
            }
        });
        let seen = || {
            phases
                .each_ref()
                .map(|phases| phases.lock().unwrap().clone())
        };
        let notify = |after, now, n| {
            until(|| ready.load(Ordering::Relaxed) == after);
            // They were ready under the lock: as this has it, they wait.
            condition.acquire();
            let before = seen();
            condition.notify(n).unwrap();
            phase.store(now, Ordering::Relaxed);
            assert_eq!(seen(), before);
            condition.release().unwrap();
        };

        notify(5, 1, 3);
        until(|| seen()[0].len() >= 3);
        notify(8, 2, 5);
        until(|| seen().concat().len() >= 8);
        assert_eq!(seen(), [vec![1, 1, 1, 2, 2], vec![2, 2, 2]]);
        notify(10, 3, usize::MAX);
        ends(threads);
        assert_eq!(seen(), [vec![1, 1, 1, 2, 2], vec![2, 2, 2, 3, 3]]);
    }

    #[test]
    fn test_notify() {
        let condition = forever(Condition::new());
        check_notify(condition);
        check_notify(condition);
    }

    #[test]
    fn test_timeout() {
        let condition = forever(Condition::new());
        let waits = || {
            condition.acquire();
            let result = timed(|| condition.wait_timeout(SHORT));
            condition.release().unwrap();
            result
        };
        for (notified, time) in ends(bunch(5, waits)) {
            assert_eq!(notified, Ok(false));
            assert!(time >= SHORT);
        }
    }

    /// Adds one to the state, so many times, and notifies each time.
    fn count(condition: &Condition, state: &AtomicU32, times: u32) {
        for _ in 0..times {
            let _guard = condition.guard();
            state.fetch_add(1, Ordering::Relaxed);
            condition.notify(1).unwrap();
        }
    }

    #[test]
    fn test_waitfor() {
        let condition = forever(Condition::new());
        let state = forever(AtomicU32::new(0));
        let waiter = asleep(|| {
            let _guard = condition.guard();
            let four = || state.load(Ordering::Relaxed) == 4;
            condition.wait_for(four).unwrap();
            assert!(four());
        });
        count(condition, state, 4);
        waiter.end();
    }

    #[test]
    fn test_waitfor_timeout() {
        let condition = forever(Condition::new());
        let state = forever(AtomicU32::new(0));
        let waiter = asleep(|| {
            let _guard = condition.guard();
            let four = || state.load(Ordering::Relaxed) == 4;
            timed(|| condition.wait_for_timeout(four, SHORT))
        });
        count(condition, state, 3);
        let (came_true, time) = waiter.end();
        assert_eq!(came_true, Ok(false));
        assert!(time >= SHORT);
    }
}

mod barrier {
    use super::*;

    const N: usize = 5;

    fn barrier() -> &'static Barrier {
        forever(Barrier::new(N).with_timeout(LIMIT))
    }

    #[test]
    fn test_constructor() {
        let panic = panic::catch_unwind(|| Barrier::new(0)).unwrap_err();
        assert_eq!(words(&*panic), "parties must be > 0");
    }

    /// All pass the barrier in lockstep, so often.
    fn multipass(passes: usize) {
        let barrier = barrier();
        let arrived = forever(AtomicU32::new(0));
        let passed = forever(AtomicU32::new(0));
        assert_eq!(barrier.parties(), N);
        let pass = move || {
            for round in 0..passes {
                arrived.fetch_add(1, Ordering::Relaxed);
                assert_eq!(passed.load(Ordering::Relaxed) as usize, round * N);
                barrier.wait().unwrap();
                passed.fetch_add(1, Ordering::Relaxed);
                assert_eq!(arrived.load(Ordering::Relaxed) as usize, (round + 1) * N);
                barrier.wait().unwrap();
            }
        };
        ends(bunch(N, pass));
        assert_eq!(barrier.n_waiting(), 0);
        assert!(!barrier.broken());
    }

    #[test]
    fn test_barrier() {
        multipass(1);
    }

    #[test]
    fn test_barrier_10() {
        multipass(10);
    }

    #[test]
    fn test_wait_return() {
        let barrier = barrier();
        let mut indices = ends(bunch(N, || barrier.wait().unwrap()));
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn test_action() {
        let actions = forever(AtomicU32::new(0));
        let action = || _ = actions.fetch_add(1, Ordering::Relaxed);
        let barrier = forever(Barrier::new(N).with_action(action));
        let acted = bunch(N, || {
            barrier.wait().unwrap();
            actions.load(Ordering::Relaxed)
        });
        assert_eq!(ends(acted), [1; N]);
    }

    /// The thread in the middle aborts the second round; has what the others are told.
    fn abort(barrier: &Barrier) -> Option<Result<usize, BrokenBarrierError>> {
        if barrier.wait().unwrap() == N / 2 {
            barrier.abort();
            return None;
        }
        Some(barrier.wait())
    }

    const ABORTED: Result<usize, BrokenBarrierError> = Err(BrokenBarrierError::Aborted);

    #[test]
    fn test_abort() {
        let barrier = barrier();
        let told: Vec<_> = ends(bunch(N, || abort(barrier)))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(told, [ABORTED; N - 1]);
        assert!(barrier.broken());
    }

    #[test]
    fn test_reset() {
        let barrier = barrier();
        let told = bunch(N, || {
            let told = if barrier.wait().unwrap() == N / 2 {
                until(|| barrier.n_waiting() == N - 1);
                barrier.reset();
                None
            } else {
                Some(barrier.wait())
            };
            barrier.wait().unwrap();
            told
        });
        let told: Vec<_> = ends(told).into_iter().flatten().collect();
        assert_eq!(told, [Err(BrokenBarrierError::Reset); N - 1]);
    }

    #[test]
    fn test_abort_and_reset() {
        let (barrier, second) = (barrier(), self::barrier());
        let told = bunch(N, || {
            let told = abort(barrier);
            // All have left it when it is reset, and none comes before.
            if second.wait().unwrap() == N / 2 {
                barrier.reset();
            }
            second.wait().unwrap();
            barrier.wait().unwrap();
            told
        });
        let told: Vec<_> = ends(told).into_iter().flatten().collect();
        assert_eq!(told, [ABORTED; N - 1]);
    }

    #[test]
    fn test_timeout() {
        let barrier = barrier();
        let told = bunch(N, || {
            if barrier.wait().unwrap() == N / 2 {
                // This one is late.
                until(|| barrier.broken());
            }
            barrier.wait_timeout(SHORT)
        });
        assert_eq!(ends(told), [Err(BrokenBarrierError::TimedOut); N]);
    }

    #[test]
    fn test_default_timeout() {
        let barrier = forever(Barrier::new(2).with_timeout(SHORT));
        let (told, time) = spawn(|| timed(|| barrier.wait())).end();
        assert_eq!(told, Err(BrokenBarrierError::TimedOut));
        assert!(time >= SHORT);
    }

    #[test]
    fn test_single_thread() {
        let barrier = Barrier::new(1);
        assert_eq!(barrier.wait(), Ok(0));
        assert_eq!(barrier.wait(), Ok(0));
    }

    #[test]
    fn test_repr() {
        let barrier = forever(Barrier::new(3));
        shows(barrier, "Barrier", "waiters=0/3");
        let waiters = bunch(2, || barrier.wait_timeout(LIMIT).unwrap());
        until(|| barrier.n_waiting() == 2);
        shows(barrier, "Barrier", "waiters=2/3");
        assert_eq!(barrier.wait_timeout(LIMIT), Ok(2));
        ends(waiters);
        shows(barrier, "Barrier", "waiters=0/3");
        barrier.abort();
        shows(barrier, "Barrier", "broken");
    }
}
