//! Real threads: as many runs as told, on the machine as it is. Uses the settings.

use crate::model::report::Engine;
use crate::model::settings::Settings;
pub(crate) use std::{sync::atomic, thread};

pub(crate) const ENGINE: Engine = Engine::Threads;
pub(crate) const EXECUTIONS: usize = 100;

pub(crate) fn run(settings: &Settings, body: impl Fn() + Send + Sync + 'static) {
    for _ in 0..settings.executions.unwrap_or(EXECUTIONS) {
        body();
    }
}
