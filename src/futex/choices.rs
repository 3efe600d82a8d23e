//! What a model may choose of its futex, and what it may ask of it afterwards. Plain data, which
//! uses nothing: the futex and `model` both stand on it.

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
#[derive(Clone, Copy, Debug, Default)]
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
