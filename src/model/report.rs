//! What a check says of itself when it has run. Plain data, which uses nothing.

use core::fmt;
use std::time::Duration;

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
            ": {} execution{} in {:.2} s",
            self.executions,
            if self.executions == 1 { "" } else { "s" },
            self.elapsed.as_secs_f64()
        )
    }
}
