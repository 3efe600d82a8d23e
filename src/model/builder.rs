//! [`Builder`]: how to check, and the check itself. Uses the engine, the
//! settings, and what a check says of itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use super::engine;
use super::failure::Failure;
use super::report::Report;
use super::run::{Broken, Run, Size};
use super::settings::Settings;
use crate::futex::terms::WakeOrder;

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
    settings: Settings,
}

impl Builder {
    /// No preemption bound, no spurious wake-ups, the engine's number of executions.
    pub fn new() -> Self {
        Self {
            settings: Settings {
                preemption_bound: None,
                executions: None,
                max_steps: 10_000,
                spurious_wakeups: 0,
                wake_order: WakeOrder::FirstIn,
                polls: false,
                one_step: None,
                seed: 0,
                pct: None,
                replay: None,
                smallest: Duration::from_secs(5),
                time_limit: Duration::from_secs(60),
                inner_steps: false,
                svg: None,
            },
        }
    }

    /// loom: leaves out the executions in which threads are interrupted more often than `bound`
    /// times. Most faults show with 2 or 3; without a bound the check is a proof, if it ends.
    pub fn preemption_bound(mut self, bound: usize) -> Self {
        self.settings.preemption_bound = Some(bound);
        self
    }

    /// shuttle and real threads: how many executions to run (1000 and 100 if not said). loom, which
    /// runs all there are: fails if there are more.
    pub fn executions(mut self, executions: usize) -> Self {
        self.settings.executions = Some(executions);
        self
    }

    /// loom and shuttle: fails if an execution has more steps (10,000 if not said), as one has that
    /// polls in a loop.
    pub fn max_steps(mut self, max_steps: usize) -> Self {
        self.settings.max_steps = max_steps;
        self
    }

    /// loom and shuttle: in each execution, the first waits of this number that would sleep return
    /// for no reason, as the system allows (0 if not said).
    pub fn spurious_wakeups(mut self, number: usize) -> Self {
        self.settings.spurious_wakeups = number;
        self
    }

    /// loom and shuttle: which sleeper is woken first.
    pub fn wake_order(mut self, order: WakeOrder) -> Self {
        self.settings.wake_order = order;
        self
    }

    /// loom and shuttle: a waiter looks once more before it sleeps (not if not said). On real threads
    /// it polls for a while; a model leaves that out, as what polling finds a waiter finds without.
    pub fn polls(mut self, polls: bool) -> Self {
        self.settings.polls = polls;
        self
    }

    /// loom and shuttle: whether each call of a primitive is one step of its specification, rather
    /// than the many accesses of its code. A wait on a condition is a few steps. That takes far fewer
    /// executions, so that larger bodies can be checked without a bound.
    ///
    /// If not said, it is, unless the check asks for something that only the code has:
    /// [`spurious_wakeups`](Self::spurious_wakeups), [`wake_order`](Self::wake_order),
    /// [`polls`](Self::polls) or [`inner_steps`](Self::inner_steps). Where it is said to be, these
    /// have no effect.
    ///
    /// What the code does, the specification has to allow: the tests of this crate run generated
    /// programs with both, and compare the outcomes. A check of your own code does not need the code
    /// of the primitives.
    pub fn one_step(mut self, one_step: bool) -> Self {
        self.settings.one_step = Some(one_step);
        self
    }

    /// shuttle: the seed of its random choices (0 if not said; the environment variable
    /// `SHUTTLE_RANDOM_SEED` has precedence).
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// shuttle: chooses threads by priorities that change `depth` times, the probabilistic
    /// concurrency testing of Burckhardt and others ("A Randomized Scheduler with Probabilistic
    /// Guarantees of Finding Bugs", ASPLOS 2010), which finds faults of that depth sooner.
    pub fn pct(mut self, depth: usize) -> Self {
        self.settings.pct = Some(depth);
        self
    }

    /// Runs a failure again, from what the failing check printed: shuttle runs that one schedule;
    /// loom, which comes by the same executions each time, runs up to it. Real threads do not come
    /// by the same twice. A smaller failure is not looked for.
    pub fn replay(mut self, failure: impl Into<String>) -> Self {
        self.settings.replay = Some(failure.into());
        self
    }

    /// loom and shuttle: how long a smaller failure is looked for when one was found (5 seconds if
    /// not said; zero: not at all). The body runs again for that, as often as there is time for.
    pub fn smallest(mut self, limit: Duration) -> Self {
        self.settings.smallest = limit;
        self
    }

    /// How long an execution may take on real threads, and how long loom and shuttle may get nowhere
    /// (60 seconds if not said). After that the check fails, and says what each thread waits for.
    /// Its threads are left as they are.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.settings.time_limit = limit;
        self
    }

    /// loom and shuttle: shows the steps within this crate's primitives too, with their atomics. For
    /// that the check runs their code ([`one_step`](Self::one_step)). So a failure that was found
    /// without is to be found again, and not to be replayed.
    pub fn inner_steps(mut self, shown: bool) -> Self {
        self.settings.inner_steps = shown;
        self
    }

    /// Where a failing execution is drawn, as [`Failure::svg`] does: the path of a file. If not said,
    /// the environment variable `RACEFREE_SVG` has it.
    pub fn svg(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.svg = Some(path.into());
        self
    }

    /// Checks `body`, and says what was run.
    ///
    /// # Panics
    ///
    /// If an execution fails: with the [`Failure`] as its message.
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
    #[track_caller]
    pub fn check(&self, body: impl Fn() + Send + Sync + 'static) -> Report {
        match self.try_check(body) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`check`](Self::check), for a program that looks at the failure itself.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if an execution fails.
    ///
    /// # Panics
    ///
    /// If the system has no thread to run it on.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::model::Builder;
    ///
    /// let failure = Builder::new().try_check(|| panic!("so it is")).unwrap_err();
    /// assert_eq!(failure.message, "so it is");
    /// ```
    pub fn try_check(
        &self,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Result<Report, Box<Failure>> {
        let run = Run::new(Arc::new(body), self.settings.inner_steps);
        let start = Instant::now();
        let result = watched(&self.settings, &run);
        let elapsed = start.elapsed();
        let bound = self.settings.preemption_bound;
        match result {
            Ok(()) => Ok(Report {
                engine: engine::ENGINE,
                preemption_bound: bound,
                executions: run.executions(),
                elapsed,
            }),
            Err(broken) => {
                let failure = Failure::new(*broken, engine::ENGINE, bound, elapsed);
                draw(&failure, self.settings.svg.clone());
                Err(Box::new(failure))
            }
        }
    }
}

/// Draws a failure, if there is a place for it. That it can not be is said, and hides nothing.
fn draw(failure: &Failure, path: Option<PathBuf>) {
    let path = path.or_else(|| env::var_os("RACEFREE_SVG").map(PathBuf::from));
    if let Some(path) = path {
        match fs::write(&path, failure.svg()) {
            Ok(()) => eprintln!("racefree::model: drawn in {}", path.display()),
            Err(error) => eprintln!("racefree::model: can not write {}: {error}", path.display()),
        }
    }
}

/// Runs the check on a thread of its own, and looks whether it gets on: one that does not, for as
/// long as the limit says, is left behind.
fn watched(settings: &Settings, run: &Run) -> Result<(), Box<Broken>> {
    let (tell, told) = mpsc::sync_channel(1);
    let runner = {
        let (settings, run) = (settings.clone(), run.clone());
        move || _ = tell.send(engine::run(&settings, &run))
    };
    let mut thread = thread::Builder::new();
    if let Some(name) = thread::current().name() {
        thread = thread.name(name.to_owned());
    }
    let thread = thread.spawn(runner).expect("a thread to run the check on");
    let mut seen = (run.progress(), Instant::now());
    loop {
        match told.recv_timeout(settings.time_limit.min(Duration::from_millis(500))) {
            Ok(result) => {
                // It has nothing more to do, but for its thread-locals.
                let _ = thread.join();
                return result;
            }
            Err(RecvTimeoutError::Disconnected) => {
                if let Err(panic) = thread.join() {
                    panic::resume_unwind(panic);
                }
                unreachable!("it tells, or it panics");
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = run.progress();
        if now != seen.0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() >= settings.time_limit {
            return Err(Box::new(Broken {
                message: format!("nothing happens for {:?}", settings.time_limit),
                executions: run.executions(),
                steps: run.steps(),
                size: Size::Hangs,
                replay: None,
                replay_bound: None,
            }));
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
