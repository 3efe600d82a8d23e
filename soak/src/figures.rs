//! What is counted, and what each thread is at.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::HumanCount;

/// How late something came to an end, and what that was.
#[derive(Clone, Copy, Default)]
pub(crate) struct Latest {
    by: Duration,
    what: &'static str,
}

impl Latest {
    fn max(self, other: Self) -> Self {
        if other.by > self.by { other } else { self }
    }
}

/// What the last line tells.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) rounds: u64,
    pub(crate) operations: u64,
    pub(crate) timeouts: u64,
    pub(crate) panics: u64,
    pub(crate) signals: u64,
    timeout: Latest,
    sleep: Latest,
}

/// What no scheduler explains.
const ABSURD: Duration = Duration::from_secs(20);

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.operations += other.operations;
        self.timeouts += other.timeouts;
        self.panics += other.panics;
        self.signals += other.signals;
        self.timeout = self.timeout.max(other.timeout);
        self.sleep = self.sleep.max(other.sleep);
    }

    /// A wait that was in vain: it may have ended late, but not early.
    pub(crate) fn timed_out(&mut self, what: &'static str, timeout: Duration, took: Duration) {
        let by = took.checked_sub(timeout);
        let by = by.unwrap_or_else(|| panic!("{what} gave up after {took:?} of {timeout:?}"));
        assert!(by < ABSURD, "{what} gave up {by:?} after its deadline");
        self.timeouts += 1;
        self.timeout = self.timeout.max(Latest { by, what });
    }

    /// Sleeps without racefree, to tell how late the machine itself is.
    pub(crate) fn sleep(&mut self, time: Duration) {
        let start = Instant::now();
        thread::sleep(time);
        let by = start.elapsed().saturating_sub(time);
        self.sleep = self.sleep.max(Latest { by, what: "" });
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations in {} rounds, {} timeouts fired, {} panics under guards, \
             {} signals sent; the latest was {:?} behind its deadline ({}), \
             where a plain sleep was up to {:?}",
            HumanCount(self.operations),
            HumanCount(self.rounds),
            HumanCount(self.timeouts),
            HumanCount(self.panics),
            HumanCount(self.signals),
            self.timeout.by,
            self.timeout.what,
            self.sleep.by,
        )
    }
}

/// What a thread is at, for the one who watches.
pub(crate) struct Slot {
    name: String,
    operations: AtomicU64,
    wait: Mutex<Option<(&'static str, Instant)>>,
}

impl Slot {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            operations: AtomicU64::new(0),
            wait: Mutex::new(None),
        }
    }

    pub(crate) fn begin(&self, what: &'static str, now: Instant) {
        *self.wait.lock().expect("no panic is survived") = Some((what, now));
    }

    pub(crate) fn end(&self) {
        *self.wait.lock().expect("no panic is survived") = None;
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Who waits where, if that is for so long already.
    pub(crate) fn waits_for(&self, limit: Duration) -> Option<String> {
        let (what, since) = (*self.wait.lock().expect("no panic is survived"))?;
        let time = since.elapsed();
        (time >= limit).then(|| format!("  {} in {what} for {time:?}", self.name))
    }
}
