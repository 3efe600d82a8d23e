//! loom: every interleaving. Uses the settings, and begins each execution of the modelled futex.

use std::panic;
use std::time::Instant;

pub use loom::thread_local;
pub(crate) use loom::{sync::atomic, thread};

use crate::model::panics::{self, Hook};
use crate::model::report::Engine;
use crate::model::run::{Broken, Run, Size};
use crate::model::settings::Settings;

pub use loom::hint::spin_loop;

pub(crate) const ENGINE: Engine = Engine::Loom;
static HOOK: Hook = Hook {
    quiet: true,
    install: || {},
    is_checker: |file| {
        let file = file.replace('\\', "/");
        file.contains("/loom-0.") || file.contains("loom/src/rt/")
    },
};

pub(crate) fn run(settings: &Settings, run: &Run) -> Result<(), Box<Broken>> {
    let Some(message) = attempt(settings, run, settings.preemption_bound, None).failed() else {
        return Ok(());
    };
    let executions = run.executions();
    let found = Broken {
        message,
        executions,
        steps: run.steps(),
        size: Size::AsFound,
        replay: Some(executions.to_string()),
        replay_bound: settings.preemption_bound,
    };
    if settings.replay.is_some() || settings.smallest.is_zero() {
        return Err(Box::new(found));
    }
    Err(Box::new(smallest(settings, run, found)))
}

/// The failure with the fewest preemptions.
fn smallest(settings: &Settings, run: &Run, found: Broken) -> Broken {
    let until = Instant::now() + settings.smallest;
    for bound in 0..settings.preemption_bound.unwrap_or(usize::from(u8::MAX)) {
        let before = run.executions();
        match attempt(settings, run, Some(bound), Some(until)) {
            Attempt::Passed => {}
            Attempt::Failed(message) => {
                return Broken {
                    message,
                    steps: run.steps(),
                    size: Size::Preemptions(bound),
                    replay: Some((run.executions() - before).to_string()),
                    replay_bound: Some(bound),
                    ..found
                };
            }
            Attempt::OutOfTime => {
                return Broken {
                    size: Size::AtLeast(bound),
                    ..found
                };
            }
        }
    }
    Broken {
        size: settings
            .preemption_bound
            .map_or(Size::AsFound, Size::Preemptions),
        ..found
    }
}

enum Attempt {
    Passed,
    Failed(String),
    OutOfTime,
}

impl Attempt {
    fn failed(self) -> Option<String> {
        match self {
            Self::Failed(message) => Some(message),
            Self::Passed | Self::OutOfTime => None,
        }
    }
}

/// What ends a search, and is no failure.
struct OutOfTime;

fn attempt(
    settings: &Settings,
    run: &Run,
    bound: Option<usize>,
    until: Option<Instant>,
) -> Attempt {
    let config = settings.futex();
    let one_step = settings.one_step();
    let mut checker = loom::model::Builder::new();
    // loom's own limits on executions and time end a check early and in silence, and come from
    // the environment: what is explored is to be said in the code alone.
    checker.max_permutations = None;
    checker.max_duration = None;
    checker.preemption_bound = bound;
    checker.max_branches = settings.max_steps;
    checker.location = true;
    let limit = settings.executions.unwrap_or(usize::MAX);
    let _watching = run.watch();
    let this = run.clone();
    let result = panics::caught(&HOOK, move || {
        checker.check(move || {
            crate::futex::modelled::begin(config);
            crate::sync::choose(one_step);
            crate::step::begin(one_step && bound.is_none());
            let number = this.begin();
            match until {
                Some(until) if Instant::now() > until => panic::resume_unwind(Box::new(OutOfTime)),
                None => assert!(number < limit, "there are more than {limit} executions"),
                Some(_) => {}
            }
            this.body();
        });
    });
    match result {
        Ok(()) => Attempt::Passed,
        Err(payload) if payload.is::<OutOfTime>() => Attempt::OutOfTime,
        Err(payload) => Attempt::Failed(panics::message(&*payload)),
    }
}

/// Runs a thread's closure.
pub(crate) fn stopping<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// A panic ends the execution: no thread runs after it.
pub(crate) const STOPS: bool = true;

pub(crate) fn spawn<T: Send + 'static>(
    _name: Option<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(body)
}

pub(crate) fn sleep(_duration: std::time::Duration) {
    thread::yield_now();
}
