//! [`Builder`]: how to check, and the check itself. Uses the engine, the settings and the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::engine;
use super::report::{Engine, Report};
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
                seed: 0,
                pct: None,
                replay: None,
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
    /// loom, which comes by the same executions each time, runs up to it and names the lines of the
    /// accesses that race. Real threads do not come by the same twice.
    pub fn replay(mut self, failure: impl Into<String>) -> Self {
        self.settings.replay = Some(failure.into());
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
            settings: &self.settings,
            begun: Arc::clone(&begun),
            start: Instant::now(),
        };
        let limit = self
            .settings
            .executions
            .filter(|_| engine::ENGINE == Engine::Loom)
            .unwrap_or(usize::MAX);
        engine::run(&self.settings, move || {
            let number = begun.fetch_add(1, Ordering::Relaxed);
            assert!(number < limit, "there are more than {limit} executions");
            body();
        });
        progress.report()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// A check that is under way: if it ends by a panic, it says how far it came.
struct Progress<'a> {
    settings: &'a Settings,
    begun: Arc<AtomicUsize>,
    start: Instant,
}

impl Progress<'_> {
    fn report(&self) -> Report {
        Report {
            engine: engine::ENGINE,
            preemption_bound: self.settings.preemption_bound,
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
