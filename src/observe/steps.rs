//! What is known of an execution: its threads, the objects that they used, and the steps in which
//! they did. Plain data.

use core::panic::Location;

/// A line of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

#[allow(dead_code, reason = "without a trace there is none")]
impl Place {
    pub(crate) const fn of(location: &'static Location<'static>) -> Self {
        Self {
            file: location.file(),
            line: location.line(),
        }
    }
}

/// How the panic begins that refuses a primitive of an execution before.
pub(crate) const KEPT: &str = "used in a second execution";

/// What a method does to its object, whatever it is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "without a trace nothing is told")]
pub(crate) enum Act {
    /// Takes it, or a part of it, and waits if it can not: `acquire`.
    Take,
    /// Gives it back: `release`.
    Give,
    /// Waits until another thread lets it through: `Event::wait`, `join`.
    Wait,
    /// Lets others through: `set`, `notify`.
    Wake,
    /// Changes what others will see, and lets nobody through: `clear`.
    Reset,
    /// Looks: `locked`, `is_set`.
    Look,
    /// Reads a cell or an atomic.
    Read,
    /// Writes it.
    Write,
    /// Reads and writes it in one step.
    Update,
    /// Begins another thread.
    Spawn,
    /// Begins to run.
    Begin,
    /// Has run to its end.
    End,
    /// Panics.
    Panic,
    /// Anything else.
    Other,
}

/// What a condition does with its lock while it waits.
pub(crate) const GIVES_UP: &str = "gives up";

/// What releases a lock when its guard is dropped.
pub(crate) const GUARD_DROPPED: &str = "drop of the guard";
pub(crate) const TAKES_AGAIN: &str = "acquire";

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "without a trace nothing is told")]
pub(crate) enum Ending {
    /// It has not.
    Open,
    /// With nothing to say.
    Done,
    /// With yes or no.
    Answer(bool),
    /// With a number.
    Number(u64),
    /// With anything else that was told in words.
    Words(String),
    /// With an error.
    Error(String),
}

/// What a method returns, as an ending.
#[allow(dead_code, reason = "without a trace nothing is told")]
pub(crate) trait Told {
    fn told(&self) -> Ending;
}

impl Told for () {
    fn told(&self) -> Ending {
        Ending::Done
    }
}

impl Told for bool {
    fn told(&self) -> Ending {
        Ending::Answer(*self)
    }
}

impl Told for usize {
    fn told(&self) -> Ending {
        Ending::Number(*self as u64)
    }
}

impl Told for u32 {
    fn told(&self) -> Ending {
        Ending::Number(u64::from(*self))
    }
}

impl<T> Told for Option<T> {
    fn told(&self) -> Ending {
        Ending::Answer(self.is_some())
    }
}

impl<T: Told, E: core::fmt::Display> Told for Result<T, E> {
    fn told(&self) -> Ending {
        match self {
            Ok(value) => value.told(),
            Err(error) => Ending::Error(error.to_string()),
        }
    }
}

/// One step of one thread. Times are counts of what happened before.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "without a trace there are none")]
pub(crate) struct Step {
    pub(crate) thread: usize,
    /// The user's line.
    pub(crate) place: Option<Place>,
    pub(crate) object: Option<usize>,
    pub(crate) act: Act,
    pub(crate) method: &'static str,
    pub(crate) amount: Option<u64>,
    pub(crate) begun: u32,
    /// When it fell asleep, the first time.
    pub(crate) slept: Option<u32>,
    pub(crate) ended: Option<u32>,
    pub(crate) ending: Ending,
    /// The threads that it woke.
    pub(crate) woke: Vec<usize>,
    /// Something more to say of it.
    pub(crate) remark: Option<&'static str>,
    /// The step within which this one was made, by the same thread.
    pub(crate) within: Option<usize>,
    /// A step of this crate's own, and none of the user's.
    pub(crate) inner: bool,
}

/// Something that threads used.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "without a trace there are none")]
pub(crate) struct Thing {
    pub(crate) kind: &'static str,
    pub(crate) name: Option<&'static str>,
    pub(crate) made: Place,
}

/// A thread.
#[derive(Clone, Debug, Default)]
#[allow(dead_code, reason = "without a trace there are none")]
pub(crate) struct Thread {
    pub(crate) name: Option<String>,
    /// Its calls that have not ended, the innermost last.
    pub(crate) open: Vec<usize>,
    /// Whether its end will be told.
    pub(crate) known: bool,
    pub(crate) ended: bool,
}

/// An execution.
#[derive(Clone, Debug, Default)]
#[allow(dead_code, reason = "without a trace there is none")]
pub(crate) struct Steps {
    pub(crate) steps: Vec<Step>,
    pub(crate) things: Vec<Thing>,
    pub(crate) threads: Vec<Thread>,
    /// The thread that panicked first, and what it said. `None`: the checker, and no thread.
    pub(crate) panic: Option<(Option<usize>, String)>,
}
