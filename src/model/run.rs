//! What an engine is given to run, and what it hands back. Plain data, and the count of executions;
//! uses `observe`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::observe::steps::Steps;
use crate::observe::{Trace, Watching};

/// A body to run again and again, watched.
#[derive(Clone)]
pub(crate) struct Run {
    body: Arc<dyn Fn() + Send + Sync>,
    executions: Arc<AtomicUsize>,
    trace: Arc<Trace>,
}

impl Run {
    pub(crate) fn new(body: Arc<dyn Fn() + Send + Sync>, inner_steps: bool) -> Self {
        Self {
            body,
            executions: Arc::default(),
            trace: Trace::new(inner_steps),
        }
    }

    /// How many executions were begun.
    pub(crate) fn executions(&self) -> usize {
        self.executions.load(Ordering::Relaxed)
    }

    /// Counts an execution as begun, and says how many were before it.
    pub(crate) fn begin(&self) -> usize {
        let number = self.executions.fetch_add(1, Ordering::Relaxed);
        self.trace.begin();
        number
    }

    /// Runs the body, once.
    pub(crate) fn body(&self) {
        (self.body)();
        self.trace.body_ends();
    }

    /// How many threads have yet to end.
    #[cfg(all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))))]
    pub(crate) fn threads_left(&self) -> usize {
        self.trace.threads_left()
    }

    /// What the last execution did.
    pub(crate) fn steps(&self) -> Steps {
        self.trace.take()
    }

    /// Records what this thread does, until the result is dropped.
    pub(crate) fn watch(&self) -> Watching {
        self.trace.watch()
    }

    /// Changes as long as the run gets on.
    pub(crate) fn progress(&self) -> (usize, u64) {
        #[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
        return (self.executions(), self.trace.progress());
        // Real threads: an execution takes a time, however busy it is.
        #[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
        (self.executions(), 0)
    }
}

/// A failure, as the engine has it.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What the panic says.
    pub(crate) message: String,
    /// After how many executions it was found.
    pub(crate) executions: usize,
    /// The steps of the smallest failing execution that was found.
    pub(crate) steps: Steps,
    pub(crate) size: Size,
    /// What [`Builder::replay`](super::Builder::replay) takes, and under which bound.
    pub(crate) replay: Option<String>,
    pub(crate) replay_bound: Option<usize>,
}

/// Whether there is a smaller failure than the one that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "no engine knows all of them")]
pub(crate) enum Size {
    /// It was not looked for.
    AsFound,
    /// With as many preemptions; with fewer, nothing fails.
    Preemptions(usize),
    /// With fewer preemptions than this, nothing fails; then the time was up.
    AtLeast(usize),
    /// As many switches between threads are left, of so many, and none of them can be left out.
    Switches(usize, usize),
    /// As many switches are left, of so many, and then the time was up.
    SwitchesSoFar(usize, usize),
    /// It never ended: the watchdog gave up.
    Hangs,
}
