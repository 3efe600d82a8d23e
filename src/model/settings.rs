//! How a check is to be run: what [`Builder`](super::Builder) collects and the engines read. Plain
//! data, which uses only what a model may choose of its futex.

use std::path::PathBuf;
use std::time::Duration;

use crate::futex::terms::WakeOrder;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) preemption_bound: Option<usize>,
    pub(crate) executions: Option<usize>,
    pub(crate) max_steps: usize,
    pub(crate) spurious_wakeups: usize,
    pub(crate) wake_order: WakeOrder,
    pub(crate) polls: bool,
    /// Whether a call of a primitive is a step of its specification, if that was said.
    pub(crate) one_step: Option<bool>,
    pub(crate) seed: u64,
    pub(crate) pct: Option<usize>,
    pub(crate) replay: Option<String>,
    /// How long a smaller failure is looked for.
    pub(crate) smallest: Duration,
    /// How long an execution may take, or a thread of it get nowhere.
    pub(crate) time_limit: Duration,
    pub(crate) inner_steps: bool,
    /// Where a failure is drawn.
    pub(crate) svg: Option<PathBuf>,
}

impl Settings {
    #[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
    pub(super) fn futex(&self) -> crate::futex::terms::Config {
        crate::futex::terms::Config {
            spurious_wakeups: self.spurious_wakeups,
            wake_order: self.wake_order,
            polls: self.polls,
        }
    }

    /// Unless it was said: a check that asks for what only the code has runs the code.
    #[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
    pub(super) fn one_step(&self) -> bool {
        let asks_for_code = self.futex() != Default::default() || self.inner_steps;
        self.one_step.unwrap_or(!asks_for_code)
    }
}
