//! What the checker tells, and whom.
//!
//! Uses `order`, and nothing else of this crate.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::order::Place;

/// What a [`Report`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Predicted: threads acquire locks in different orders. Each of them could wait forever for a
    /// lock that another one holds. It has not happened.
    Inversion,
    /// The same, but at least one of the acquires has a timeout, and would have waited for it.
    TimedInversion,
    /// Certain: a thread waits for what only threads that wait can give. It has happened.
    Deadlock,
    /// Suspicious: all threads that have ever used the object wait forever or have ended. Another
    /// thread that has a reference to it could still end the wait.
    NobodyLeft,
    /// Suspicious: a wait is longer than [`set_long_wait`] allows.
    LongWait,
    /// Suspicious: a thread ended while it held something.
    EndedHolding,
    /// Suspicious: a primitive was dropped while a guard of it existed. The guard was leaked.
    LeakedGuard,
    /// Suspicious: a thread that is unwinding from a panic acquires something, and may block. A
    /// destructor does so.
    WhileUnwinding,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Inversion => "possible deadlock: locks are acquired in different orders",
            Self::TimedInversion => {
                "possible wait until a timeout: locks are acquired in different orders"
            }
            Self::Deadlock => "deadlock: threads wait for each other, and no other thread can help",
            Self::NobodyLeft => {
                "a wait that may not end: all threads that have used this wait or have ended"
            }
            Self::LongWait => "a long wait",
            Self::EndedHolding => "a thread has ended, and still holds this",
            Self::LeakedGuard => "a guard was leaked: its primitive is dropped, and still held",
            Self::WhileUnwinding => "a thread that unwinds from a panic may block here",
        }
    }
}

/// One thing that the checker has to tell. [`Display`](fmt::Display) is its text.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) kind: Kind,
    /// A line for each thread.
    pub(super) lines: Vec<String>,
    /// Names of objects and threads.
    pub(super) names: Vec<String>,
    pub(super) places: Vec<Place>,
}

impl Report {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a thread or a primitive of this name is part of it.
    #[must_use]
    pub fn involves(&self, name: &str) -> bool {
        self.names.iter().any(|it| it == name)
    }

    /// The lines of the user's code that it names, in the order of its text.
    #[must_use]
    pub fn places(&self) -> &[&'static Location<'static>] {
        &self.places
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "racefree::deadlock: {}", self.kind.title())?;
        self.lines
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

type Hook = Arc<dyn Fn(&Report) + Send + Sync>;

static HOOKS: Mutex<Vec<(u64, Hook)>> = Mutex::new(Vec::new());
/// What was told once may be told again in the next round.
static ROUND: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicBool = AtomicBool::new(true);
static STACKS: AtomicBool = AtomicBool::new(false);
/// In milliseconds. 0: none is too long.
static LONG_WAIT: AtomicU64 = AtomicU64::new(0);

fn hooks() -> MutexGuard<'static, Vec<(u64, Hook)>> {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `hook` with each report from now on, on the thread that makes the report, until the result
/// is dropped. While there is a hook, nothing is written to standard error.
///
/// # Examples
///
/// ```
/// let hook = racefree::deadlock::on_report(|report| eprintln!("{report}"));
/// # drop(hook);
/// ```
pub fn on_report(hook: impl Fn(&Report) + Send + Sync + 'static) -> Hooked {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only that no two are the same matters.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    hooks().push((number, Arc::new(hook)));
    Hooked { number }
}

/// A hook that is in use. See [`on_report`].
#[must_use = "the hook is removed when this is dropped"]
#[derive(Debug)]
pub struct Hooked {
    number: u64,
}

impl Drop for Hooked {
    fn drop(&mut self) {
        hooks().retain(|(number, _)| *number != self.number);
    }
}

/// Collects the reports of the whole process from now on. What was reported before may be reported
/// again. See [`Reports`].
///
/// # Examples
///
/// ```
/// let reports = racefree::deadlock::collect();
/// let lock = racefree::Lock::new();
/// drop(lock.guard());
/// assert!(reports.take().is_empty());
/// ```
pub fn collect() -> Reports {
    // Relaxed: read under a lock.
    ROUND.fetch_add(1, Ordering::Relaxed);
    let list = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&list);
    let hooked = on_report(move |report| lock(&into).push(report.clone()));
    Reports {
        list,
        _hooked: hooked,
    }
}

/// The reports since [`collect`].
///
/// # Panics
///
/// Dropping it panics if it has reports that [`take`](Self::take) has not returned, unless the
/// thread is already unwinding: so a test with reports fails at its end.
#[must_use = "reports are collected until this is dropped"]
#[derive(Debug)]
pub struct Reports {
    list: Arc<Mutex<Vec<Report>>>,
    _hooked: Hooked,
}

fn lock(list: &Mutex<Vec<Report>>) -> MutexGuard<'_, Vec<Report>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reports {
    /// Returns the reports, and removes them.
    #[must_use = "reports that are taken do not fail the test"]
    pub fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *lock(&self.list))
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        let left = self.take();
        if !left.is_empty() && !std::thread::panicking() {
            let texts: Vec<_> = left.iter().map(Report::to_string).collect();
            panic!("{}", texts.join("\n"));
        }
    }
}

/// Sets whether a thread that waits in a certain deadlock panics, with the report as its message.
/// It does by default. Otherwise it waits on, and only the hooks are told.
///
/// Waits that can not be ended without harm do not panic: where a condition acquires its lock again,
/// and where [`Mutex::unlocked`](crate::MutexGuard::unlocked) does.
pub fn set_panics(panics: bool) {
    // Relaxed, as below: a setting by itself.
    PANICS.store(panics, Ordering::Relaxed);
}

/// Sets how long a wait without a timeout may be before it is reported, to the millisecond. There is
/// no limit by default, and `None` removes it.
///
/// A wait is looked at about every 50 ms.
pub fn set_long_wait(limit: Option<Duration>) {
    let millis = limit.map_or(0, |limit| {
        limit.as_millis().clamp(1, u64::MAX.into()) as u64
    });
    LONG_WAIT.store(millis, Ordering::Relaxed);
}

/// Sets whether the stack is captured at each acquire, to be part of reports. This costs
/// microseconds an acquire. It is off by default.
pub fn set_stacks(stacks: bool) {
    STACKS.store(stacks, Ordering::Relaxed);
}

pub(super) fn round() -> u64 {
    ROUND.load(Ordering::Relaxed)
}

pub(super) fn panics() -> bool {
    PANICS.load(Ordering::Relaxed)
}

pub(super) fn stacks() -> bool {
    STACKS.load(Ordering::Relaxed)
}

pub(super) fn long_wait() -> Option<Duration> {
    match LONG_WAIT.load(Ordering::Relaxed) {
        0 => None,
        millis => Some(Duration::from_millis(millis)),
    }
}

/// Tells it to all hooks, or to standard error.
pub(super) fn tell(report: &Report) {
    let hooks: Vec<Hook> = hooks().iter().map(|(_, hook)| Arc::clone(hook)).collect();
    if hooks.is_empty() {
        eprintln!("{report}");
    }
    for hook in hooks {
        hook(report);
    }
}
