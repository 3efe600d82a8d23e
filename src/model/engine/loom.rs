//! loom: every interleaving. Uses the settings, and begins each execution of the modelled futex.

use crate::model::report::Engine;
use crate::model::settings::Settings;
pub(crate) use loom::{sync::atomic, thread};

pub(crate) const ENGINE: Engine = Engine::Loom;

pub(crate) fn run(settings: &Settings, body: impl Fn() + Send + Sync + 'static) {
    let config = settings.futex();
    let mut checker = loom::model::Builder::new();
    // loom's own limits on executions and time end a check early and in silence, and come from
    // the environment: what is explored is to be said in the code alone.
    checker.max_permutations = None;
    checker.max_duration = None;
    checker.preemption_bound = settings.preemption_bound;
    checker.max_branches = settings.max_steps;
    checker.location |= settings.replay.is_some();
    checker.check(move || {
        crate::futex::modelled::begin(config);
        body();
    });
}
