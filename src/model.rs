//! Check your own code with the primitives that you ship: one test body, three engines.
//!
//! [`check`] runs a closure again and again, with the primitives of this crate in it, and the
//! threads, atomics and cells of this module:
//!
//! | built with | engine | what it runs |
//! |---|---|---|
//! | `--cfg loom`, feature `loom` | [loom] | every interleaving, and every value that the memory orderings allow a load to see |
//! | `--cfg shuttle`, feature `shuttle` | [shuttle] | random interleavings, sequentially consistent: for what is too large for loom |
//! | neither | real threads | as many runs as [`Builder::executions`] says |
//!
//! A panic, a deadlock, and two accesses to a [`RaceCell`] that are not ordered, fail the check.
//! The README says how to switch it on.
//!
//! Under loom nothing of this crate can be used outside of a check, at most 5 threads run, the
//! closure's own among them, and primitives can not be `static`s, as loom has to be told of each
//! when it is made; nor may they be used where you have told loom to `stop_exploring`. The closure
//! has to do the same each time: no clock that decides, no random numbers, nothing left over from
//! the run before. Time does not pass in either checker: a wait with a timeout may end in either
//! way, and both are explored.
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle
//!
//! # Examples
//!
//! ```
//! use racefree::Lock;
//! use racefree::model::{RaceCell, check, sync::Arc, thread};
//!
//! check(|| {
//!     let shared = Arc::new((Lock::new(), RaceCell::new(0)));
//!     let add = |shared: &(Lock, RaceCell<i32>)| {
//!         let _guard = shared.0.guard();
//!         shared.1.with_mut(|count| *count += 1);
//!     };
//!     let other = thread::spawn({
//!         let shared = Arc::clone(&shared);
//!         move || add(&shared)
//!     });
//!     add(&shared);
//!     other.join().unwrap();
//!     assert_eq!(shared.1.with(|count| *count), 2);
//! });
//! ```

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
mod engine {
    pub(super) use std::{sync::atomic, thread};

    pub(super) const ENGINE: super::Engine = super::Engine::Threads;
    pub(super) const EXECUTIONS: usize = 100;

    pub(super) fn run(builder: &super::Builder, body: impl Fn() + Send + Sync + 'static) {
        for _ in 0..builder.executions.unwrap_or(EXECUTIONS) {
            body();
        }
    }
}

#[cfg(all(loom, feature = "loom"))]
mod engine {
    pub(super) use loom::{sync::atomic, thread};

    pub(super) const ENGINE: super::Engine = super::Engine::Loom;

    pub(super) fn run(builder: &super::Builder, body: impl Fn() + Send + Sync + 'static) {
        let config = builder.futex();
        let mut checker = loom::model::Builder::new();
        // loom's own limits on executions and time end a check early and in silence, and come from
        // the environment: what is explored is to be said in the code alone.
        checker.max_permutations = None;
        checker.max_duration = None;
        checker.preemption_bound = builder.preemption_bound;
        checker.max_branches = builder.max_steps;
        checker.location |= builder.replay.is_some();
        checker.check(move || {
            crate::futex::modelled::begin(config);
            body();
        });
    }
}

#[cfg(all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))))]
mod engine {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
    use shuttle::{Config, MaxSteps, Runner};
    pub(super) use shuttle::{sync::atomic, thread};

    use super::{Arc, AtomicUsize, Ordering};

    pub(super) const ENGINE: super::Engine = super::Engine::Shuttle;
    pub(super) const EXECUTIONS: usize = 1000;

    pub(super) fn run(builder: &super::Builder, body: impl Fn() + Send + Sync + 'static) {
        let futex = builder.futex();
        let mut config = Config::new();
        config.max_steps = MaxSteps::FailAfter(builder.max_steps);
        config.silence_warnings = true;
        let executions = builder.executions.unwrap_or(EXECUTIONS);
        let scheduler: Box<dyn Scheduler + Send> = match (&builder.replay, builder.pct) {
            (Some(schedule), _) => {
                let mut scheduler = ReplayScheduler::new_from_encoded(schedule);
                // A schedule ends with the panic, and guards may be released while it unwinds.
                scheduler.set_allow_incomplete();
                Box::new(scheduler)
            }
            (None, None) => Box::new(RandomScheduler::new_from_seed(builder.seed, executions)),
            (None, Some(depth)) => {
                Box::new(PctScheduler::new_from_seed(builder.seed, depth, executions))
            }
        };
        let finished = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&finished);
        let begun = Runner::new(scheduler, config).run(move || {
            crate::futex::modelled::begin(futex);
            body();
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(
            finished.load(Ordering::Relaxed),
            begun,
            "the schedule does not fit: it is of other code, or of other settings"
        );
    }
}

/// The engine's threads: `spawn`, `yield_now`, `current`, `park`, `JoinHandle`.
pub mod thread {
    pub use super::engine::thread::{JoinHandle, Thread, current, park, spawn, yield_now};
}

/// The engine's atomics, and what goes with them.
pub mod sync {
    /// `std`'s, with every engine: what is counted by a checker's own would add interleavings of
    /// the counts.
    pub use std::sync::Arc;

    /// The engine's atomics. Under loom and shuttle, `new` registers each with the checker.
    pub mod atomic {
        pub use super::super::engine::atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        };
    }
}

/// What runs a check: chosen when the crate is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// Threads of the system, on the real machine: finds what happens to happen.
    Threads,
    /// loom: all interleavings.
    Loom,
    /// shuttle: random interleavings.
    Shuttle,
}

/// Which of several sleepers a wake takes first. No system promises an order, so what holds should
/// hold with both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeOrder {
    /// The one that has slept longest.
    #[default]
    FirstIn,
    /// The one that came last.
    LastIn,
}

/// Checks `body` as the engine does by default: [`Builder::check`] of [`Builder::new`].
///
/// # Panics
///
/// If an execution fails.
///
/// # Examples
///
/// ```
/// let report = racefree::model::check(|| assert!(racefree::Lock::new().try_acquire()));
/// assert!(report.executions > 0);
/// ```
pub fn check(body: impl Fn() + Send + Sync + 'static) -> Report {
    Builder::new().check(body)
}

/// How to check: bounds, limits, seeds. What an engine has no use for, it ignores.
///
/// # Examples
///
/// ```
/// use racefree::model::Builder;
///
/// let report = Builder::new().preemption_bound(3).executions(50).check(|| {});
/// println!("{report}");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    preemption_bound: Option<usize>,
    executions: Option<usize>,
    max_steps: usize,
    spurious_wakeups: usize,
    wake_order: WakeOrder,
    seed: u64,
    pct: Option<usize>,
    replay: Option<String>,
}

impl Builder {
    /// No preemption bound, no spurious wake-ups, the engine's number of executions.
    pub fn new() -> Self {
        Self {
            preemption_bound: None,
            executions: None,
            max_steps: 10_000,
            spurious_wakeups: 0,
            wake_order: WakeOrder::FirstIn,
            seed: 0,
            pct: None,
            replay: None,
        }
    }

    /// loom: leaves out the executions in which threads are interrupted more often than `bound`
    /// times. Most faults show with 2 or 3; without a bound the check is a proof, if it ends.
    pub fn preemption_bound(mut self, bound: usize) -> Self {
        self.preemption_bound = Some(bound);
        self
    }

    /// shuttle and real threads: how many executions to run (1000 and 100 if not said). loom, which
    /// runs all there are: fails if there are more.
    pub fn executions(mut self, executions: usize) -> Self {
        self.executions = Some(executions);
        self
    }

    /// loom and shuttle: fails if an execution has more steps (10,000 if not said), as one has that
    /// polls in a loop.
    pub fn max_steps(mut self, max_steps: usize) -> Self {
        self.max_steps = max_steps;
        self
    }

    /// loom and shuttle: in each execution, the first waits of this number that would sleep return
    /// for no reason, as the system allows (0 if not said).
    pub fn spurious_wakeups(mut self, number: usize) -> Self {
        self.spurious_wakeups = number;
        self
    }

    /// loom and shuttle: which sleeper is woken first.
    pub fn wake_order(mut self, order: WakeOrder) -> Self {
        self.wake_order = order;
        self
    }

    /// shuttle: the seed of its random choices (0 if not said; the environment variable
    /// `SHUTTLE_RANDOM_SEED` has precedence).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// shuttle: chooses threads by priorities that change `depth` times, the probabilistic
    /// concurrency testing of Burckhardt and others ("A Randomized Scheduler with Probabilistic
    /// Guarantees of Finding Bugs", ASPLOS 2010), which finds faults of that depth sooner.
    pub fn pct(mut self, depth: usize) -> Self {
        self.pct = Some(depth);
        self
    }

    /// Runs a failure again, from what the failing check printed: shuttle runs that one schedule;
    /// loom, which comes by the same executions each time, runs up to it and names the lines of the
    /// accesses that race. Real threads do not come by the same twice.
    pub fn replay(mut self, failure: impl Into<String>) -> Self {
        self.replay = Some(failure.into());
        self
    }

    /// Checks `body`, and says what was run.
    ///
    /// # Panics
    ///
    /// If an execution fails: with its own panic, or with the checker's. What was run until then,
    /// and how to run it again, is printed to the standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::Event;
    /// use racefree::model::{Builder, sync::Arc, thread};
    ///
    /// Builder::new().executions(20).check(|| {
    ///     let event = Arc::new(Event::new());
    ///     let waiter = thread::spawn({
    ///         let event = Arc::clone(&event);
    ///         move || event.wait()
    ///     });
    ///     event.set();
    ///     waiter.join().unwrap();
    /// });
    /// ```
    pub fn check(&self, body: impl Fn() + Send + Sync + 'static) -> Report {
        let begun = Arc::new(AtomicUsize::new(0));
        let progress = Progress {
            builder: self,
            begun: Arc::clone(&begun),
            start: Instant::now(),
        };
        let limit = self
            .executions
            .filter(|_| engine::ENGINE == Engine::Loom)
            .unwrap_or(usize::MAX);
        engine::run(self, move || {
            let number = begun.fetch_add(1, Ordering::Relaxed);
            assert!(number < limit, "there are more than {limit} executions");
            body();
        });
        progress.report()
    }

    #[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
    fn futex(&self) -> crate::futex::modelled::Config {
        crate::futex::modelled::Config {
            spurious_wakeups: self.spurious_wakeups,
            wake_order: self.wake_order,
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// A check that is under way: if it ends by a panic, it says how far it came.
struct Progress<'a> {
    builder: &'a Builder,
    begun: Arc<AtomicUsize>,
    start: Instant,
}

impl Progress<'_> {
    fn report(&self) -> Report {
        Report {
            engine: engine::ENGINE,
            preemption_bound: self.builder.preemption_bound,
            executions: self.begun.load(Ordering::Relaxed),
            elapsed: self.start.elapsed(),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let report = self.report();
        let executions = report.executions;
        eprintln!("racefree::model: failed after {report}");
        match report.engine {
            Engine::Loom => eprintln!(
                "to see where: Builder::new().replay(\"{executions}\") with the same settings"
            ),
            Engine::Shuttle => eprintln!(
                "to see it again: Builder::new().replay(the first schedule that shuttle printed) \
                 with the same settings"
            ),
            Engine::Threads => {}
        }
    }
}

/// What a check has run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What ran it.
    pub engine: Engine,
    /// The bound on interruptions; if there is none, loom has run all the executions there are.
    pub preemption_bound: Option<usize>,
    /// How many executions were run.
    pub executions: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// `loom, no bound: 10099 executions in 0.25 s`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.engine, self.preemption_bound) {
            (Engine::Loom, None) => f.write_str("loom, no bound")?,
            (Engine::Loom, Some(bound)) => write!(f, "loom, preemption bound {bound}")?,
            (Engine::Shuttle, _) => f.write_str("shuttle")?,
            (Engine::Threads, _) => f.write_str("real threads")?,
        }
        write!(
            f,
            ": {} executions in {:.2} s",
            self.executions,
            self.elapsed.as_secs_f64()
        )
    }
}

/// How many threads sleep in this crate's primitives, at this moment of the execution: for a check
/// of what happens to one that is certainly asleep. Only with loom and shuttle; not a step of its
/// own.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[must_use]
pub fn sleepers() -> usize {
    crate::futex::modelled::sleepers()
}

/// What would have been system calls.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FutexCalls {
    /// To sleep, whether it came to that or not.
    pub waits: usize,
    /// To wake others, whether there were any or not.
    pub wakes: usize,
}

/// The system calls that this crate's primitives would have made, since the execution began: for a
/// check that there are no more than need be. Only with loom and shuttle; not a step of its own.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[must_use]
pub fn futex_calls() -> FutexCalls {
    crate::futex::modelled::calls()
}

/// A cell for data that something else is to protect, which tells when it does not.
///
/// loom reports any two accesses, one of them a write, that nothing has ordered; shuttle and real
/// threads, those that overlap.
///
/// With shuttle and on real threads each access takes a lock and yields, so that those of others can
/// overlap with it: a cell for what is checked, not for what is shipped.
///
/// # Panics
///
/// Each access panics if it is not ordered with another one.
///
/// # Examples
///
/// ```
/// let cell = racefree::model::RaceCell::new(1);
/// cell.with_mut(|value| *value += 1);
/// assert_eq!(cell.with(|value| *value), 2);
/// ```
#[derive(Debug)]
pub struct RaceCell<T>(cell::Cell<T>);

impl<T> RaceCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(cell::Cell::new(value))
    }

    /// Reads the value.
    #[track_caller]
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        self.0.with(read)
    }

    /// Changes the value.
    #[track_caller]
    pub fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
        self.0.with_mut(write)
    }
}

#[cfg(all(loom, feature = "loom"))]
mod cell {
    #[derive(Debug)]
    pub(super) struct Cell<T>(loom::cell::UnsafeCell<T>);

    // SAFETY: loom lets an access begin only if it is ordered with all those that it would race
    // with, and panics otherwise. So the value is handed from thread to thread as by a lock for
    // readers and writers.
    unsafe impl<T: Send + Sync> Sync for Cell<T> {}

    impl<T> Cell<T> {
        #[track_caller]
        pub(super) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        #[track_caller]
        pub(super) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            // SAFETY: loom has let the access begin, see above.
            self.0.with(|value| read(unsafe { &*value }))
        }

        #[track_caller]
        pub(super) fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: loom has let the access begin, see above.
            self.0.with_mut(|value| write(unsafe { &mut *value }))
        }
    }
}

#[cfg(not(all(loom, feature = "loom")))]
mod cell {
    use super::engine::thread;
    use std::sync::{PoisonError, RwLock, TryLockError};

    #[derive(Debug)]
    pub(super) struct Cell<T>(RwLock<T>);

    impl<T> Cell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(RwLock::new(value))
        }

        #[track_caller]
        pub(super) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            let value = ordered(self.0.try_read());
            // Another thread gets its turn in the middle of the access, so that a race shows.
            thread::yield_now();
            read(&value)
        }

        #[track_caller]
        pub(super) fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            let mut value = ordered(self.0.try_write());
            thread::yield_now();
            write(&mut value)
        }
    }

    #[track_caller]
    fn ordered<G>(access: Result<G, TryLockError<G>>) -> G {
        match access {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(error)) => PoisonError::into_inner(error),
            Err(TryLockError::WouldBlock) => {
                panic!("data race: two accesses to a RaceCell overlap")
            }
        }
    }
}
