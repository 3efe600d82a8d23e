//! shuttle: random interleavings. Uses the settings, and begins each execution of the modelled
//! futex.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
pub(crate) use shuttle::{sync::atomic, thread};

use crate::model::report::Engine;
use crate::model::settings::Settings;

pub(crate) const ENGINE: Engine = Engine::Shuttle;
pub(crate) const EXECUTIONS: usize = 1000;

pub(crate) fn run(settings: &Settings, body: impl Fn() + Send + Sync + 'static) {
    let futex = settings.futex();
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(settings.max_steps);
    config.silence_warnings = true;
    let executions = settings.executions.unwrap_or(EXECUTIONS);
    let scheduler: Box<dyn Scheduler + Send> = match (&settings.replay, settings.pct) {
        (Some(schedule), _) => {
            let mut scheduler = ReplayScheduler::new_from_encoded(schedule);
            // A schedule ends with the panic, and guards may be released while it unwinds.
            scheduler.set_allow_incomplete();
            Box::new(scheduler)
        }
        (None, None) => Box::new(RandomScheduler::new_from_seed(settings.seed, executions)),
        (None, Some(depth)) => Box::new(PctScheduler::new_from_seed(
            settings.seed,
            depth,
            executions,
        )),
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
