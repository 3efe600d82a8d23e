//! Real threads: as many runs as told, on the machine as it is. Uses the settings.

pub use std::thread_local;
pub(crate) use std::{sync::atomic, thread};

use crate::model::panics::{self, Hook};
use crate::model::report::Engine;
use crate::model::run::{Broken, Run, Size};
use crate::model::settings::Settings;

pub use std::hint::spin_loop;

pub(crate) const ENGINE: Engine = Engine::Threads;
pub(crate) const EXECUTIONS: usize = 100;
/// A panic is the program's own: it is printed as any other.
static HOOK: Hook = Hook {
    quiet: false,
    install: || {},
    is_checker: |_| false,
};

pub(crate) fn run(settings: &Settings, run: &Run) -> Result<(), Box<Broken>> {
    let _watching = run.watch();
    for _ in 0..settings.executions.unwrap_or(EXECUTIONS) {
        run.begin();
        panics::caught(&HOOK, || run.body()).map_err(|payload| {
            Box::new(Broken {
                message: panics::message(&*payload),
                executions: run.executions(),
                steps: run.steps(),
                size: Size::AsFound,
                replay: None,
                replay_bound: None,
            })
        })?;
    }
    Ok(())
}

/// Runs a thread's closure.
#[cfg(feature = "trace")]
pub(crate) fn stopping<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// A panic ends its thread alone.
#[cfg(feature = "trace")]
pub(crate) const STOPS: bool = false;

#[cfg(feature = "trace")]
pub(crate) fn spawn<T: Send + 'static>(
    name: Option<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let mut thread = thread::Builder::new();
    if let Some(name) = name {
        thread = thread.name(name);
    }
    thread.spawn(body).expect("a thread to be had")
}

#[cfg(feature = "trace")]
pub(crate) use std::thread::sleep;
