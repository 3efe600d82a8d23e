//! The words that the futex, its platforms and the models have in common. Plain data, which uses
//! nothing of this crate.

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// Look again: woken, or the word had changed, or for no reason at all.
    Woken,
    /// The deadline has passed, and no wake was spent on this waiter.
    TimedOut,
}

/// The threads of this process.
#[derive(Debug)]
pub(crate) struct Private;

/// The count of a wake for all who sleep.
pub(crate) const ALL: u32 = u32::MAX;

/// The mask that shares a bit with every other: of a wait and of a wake.
pub(crate) const ANY: u32 = u32::MAX;

/// Which of several sleepers a wake takes first. No system promises an order, so what holds should
/// hold with both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WakeOrder {
    /// The one that has slept longest.
    #[default]
    FirstIn,
    /// The one that came last.
    LastIn,
}

/// What an execution chooses.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// How many waits, in each execution, end for no reason.
    pub(crate) spurious_wakeups: usize,
    pub(crate) wake_order: WakeOrder,
    /// Whether a waiter looks once more before it sleeps, as it does many times on real threads.
    pub(crate) polls: bool,
}

/// What would have been system calls.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FutexCalls {
    /// To sleep, whether it came to that or not.
    pub waits: usize,
    /// To wake others, whether there were any or not.
    pub wakes: usize,
}
