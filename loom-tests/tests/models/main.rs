//! The models: each runs every interleaving of a scenario, prints how many there were, and fails
//! if any of them ends wrong.
//!
//! A scenario is given a preemption bound only where it would take too long without one; the bound
//! is printed. The feature `deep` lifts the bounds, or raises them where there is no end without
//! one.

mod barrier;
mod condition;
mod condvar;
mod event;
mod freed;
mod lock;
mod mutex;
mod one_step;
mod permits;
mod programs;
mod reports;
mod rlock;
mod semaphore;

use std::cell::UnsafeCell;
use std::env;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread as system;
use std::time::Duration;

use racefree_loom::Semaphore;
use racefree_loom::model::{self, Builder, Failure, thread};

/// Some time. It does not pass in a model: both outcomes are explored.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A check that runs the code of the primitives: it is what these models are about.
fn code() -> Builder {
    Builder::new().one_step(false)
}

/// Runs every execution of `body`, and prints how many there were.
fn explore(body: impl Fn() + Send + Sync + 'static) {
    explore_with(&code(), body);
}

/// As [`explore`], with a bound, another order of wake-ups, or wake-ups for no reason.
fn explore_with(builder: &Builder, body: impl Fn() + Send + Sync + 'static) {
    match check(builder, body) {
        Ok(report) => say(&report.to_string()),
        Err(failure) => {
            let executions = failure.report.executions;
            say(&format!("failed after {executions} executions"));
            panic!("{failure}");
        }
    }
}

/// Runs every execution of `body`, or those up to the first that fails, while no other model runs:
/// loom maps and unmaps the stacks of its threads in each, and they would wait for one another.
fn check(
    builder: &Builder,
    body: impl Fn() + Send + Sync + 'static,
) -> Result<model::Report, Box<Failure>> {
    static RUNNING: Mutex<()> = Mutex::new(());
    let _one = RUNNING.lock();
    // The mutation table asks whether there is a failure, and not for the smallest.
    match env::var_os("RACEFREE_MODELS_AS_FOUND") {
        Some(_) => builder.clone().smallest(Duration::ZERO).try_check(body),
        None => builder.try_check(body),
    }
}

/// As [`explore`], for a scenario that may end in two ways: fails unless both were seen.
fn explore_both(body: impl Fn() -> bool + Send + Sync + 'static) {
    explore_both_with(&code(), body);
}

/// As [`explore_both`] and [`explore_with`].
fn explore_both_with(builder: &Builder, body: impl Fn() -> bool + Send + Sync + 'static) {
    let seen = Arc::new([const { AtomicBool::new(false) }; 2]);
    let count = Arc::clone(&seen);
    explore_with(builder, move || {
        count[usize::from(body())].store(true, Ordering::Relaxed);
    });
    for (way, seen) in [false, true].iter().zip(&*seen) {
        assert!(seen.load(Ordering::Relaxed), "no execution ends in {way}");
    }
}

/// As [`explore_both`], for a thread that waits for a time: fails unless it came to wait, in some
/// executions and not in others.
fn explore_timed(body: impl Fn() -> bool + Copy + Send + Sync + 'static) {
    explore_both(body);
    explore_both(move || {
        body();
        model::futex_calls().waits > 0
    });
}

/// The preemption bound of a scenario that takes long: none, or a higher one, with `deep`.
fn bound(quick: usize, deep: Option<usize>) -> Builder {
    let bound = if cfg!(feature = "deep") {
        deep
    } else {
        Some(quick)
    };
    match bound {
        Some(bound) => code().preemption_bound(bound),
        None => code(),
    }
}

/// Runs `body` until an execution fails, and fails itself unless one does, for the reason that
/// `message` is a part of.
fn must_fail(message: &str, body: impl Fn() + Send + Sync + 'static) {
    // The scenario's panic is expected: run it where its message is not printed as this test's.
    let failure = check(&code(), body).expect_err("no execution fails");
    let said = &failure.message;
    assert!(said.contains(message), "failed for another reason: {said}");
    say(&format!(
        "fails, as it must: {}",
        said.trim().lines().next().unwrap_or_default()
    ));
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

/// Two threads `wait` on what `shared` is, and `wake` lets both go: the one that is woken first, at a
/// notification if `notified`, is stalled until the other one has gone.
fn explore_stalled<T: Send + Sync + 'static>(
    builder: &Builder,
    notified: bool,
    shared: impl Fn() -> T + Send + Sync + 'static,
    wait: impl Fn(&T) + Copy + Send + Sync + 'static,
    wake: impl Fn(&T) + Send + Sync + 'static,
) {
    explore_with(builder, move || {
        let shared = Arc::new((shared(), Semaphore::new(0)));
        let waiters = [(); 2].map(|()| {
            spawn(&shared, move |(shared, gone)| {
                model::stall_when_woken(notified);
                wait(shared);
                gone.release().unwrap();
            })
        });
        wake(&shared.0);
        shared.1.acquire();
        model::let_go();
        waiters.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// What may be freed while others still have its memory: the models see who uses it after that.
struct Mortal<T>(UnsafeCell<ManuallyDrop<T>>);

// SAFETY: the threads of a model run one at a time.
unsafe impl<T: Sync> Sync for Mortal<T> {}

impl<T> Mortal<T> {
    fn get(&self) -> &T {
        // SAFETY: its memory stays, and what is left in it is a word that tells that it is dead.
        unsafe { &*self.0.get() }
    }

    fn free(&self) {
        // SAFETY: of the threads of a model, one calls this, once.
        unsafe { ManuallyDrop::drop(&mut *self.0.get()) };
    }
}

/// Two threads, each on one end of what is `made`: who is told true, by one of the two, is told that
/// the other one is done with it, and frees it.
fn explore_freed<T: Send + Sync + 'static>(
    builder: &Builder,
    made: impl Fn() -> T + Send + Sync + 'static,
    one: impl Fn(&T) -> bool + Copy + Send + Sync + 'static,
    other: impl Fn(&T) -> bool + Send + Sync + 'static,
) {
    explore_with(builder, move || {
        let shared = Arc::new(Mortal(UnsafeCell::new(ManuallyDrop::new(made()))));
        let thread = spawn(&shared, move |shared| {
            if one(shared.get()) {
                shared.free();
            }
        });
        if other(shared.get()) {
            shared.free();
        }
        thread.join().unwrap();
    });
}

/// Fails if `body` makes a futex call: with nobody waiting there is no reason for one.
fn assert_no_futex_call(body: impl FnOnce()) {
    let before = model::futex_calls();
    body();
    assert_eq!(model::futex_calls(), before);
}
