//! `threading.Barrier`: the face of [`raw::Barrier`], where its state machine is.

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::BrokenBarrierError;
use crate::observe::{self, Act, Object};
use crate::raw::{self, barrier};
use crate::sync::const_fn;

/// What a message of the state machine other than [`barrier::PASSED`] tells a waiter.
fn error(why: barrier::Message) -> BrokenBarrierError {
    match why {
        barrier::ABORTED => BrokenBarrierError::Aborted,
        barrier::RESET => BrokenBarrierError::Reset,
        barrier::TIMED_OUT => BrokenBarrierError::TimedOut,
        _action_panicked => BrokenBarrierError::ActionPanicked,
    }
}

/// Where a number of threads wait for one another: Python's `threading.Barrier`.
///
/// Each calls [`wait`](Self::wait), and none goes on before as many have come as there are
/// parties. Then all go on, and the barrier is as new: it can be used again and again. A thread
/// that is fast cannot slip into the round that is ending; it is the first of the next.
///
/// If a wait times out, if the action panics, or if somebody calls [`abort`](Self::abort), the
/// barrier is broken: all who wait, and all who come, are told so, until it is
/// [`reset`](Self::reset).
///
/// It is 64 bytes at most, waits without allocation, and can be a `static`. What happens before a
/// `wait` happens before the return of each `wait` of the same round.
///
/// # Examples
///
/// ```
/// use racefree::Barrier;
///
/// let barrier = Barrier::new(3);
/// let mut indices = std::thread::scope(|scope| {
///     let threads = [(); 3].map(|()| scope.spawn(|| barrier.wait()));
///     threads.map(|thread| thread.join().unwrap().unwrap())
/// });
/// indices.sort();
/// assert_eq!(indices, [0, 1, 2]);
/// ```
pub struct Barrier {
    raw: raw::Barrier,
    timeout: Option<Duration>,
    object: Object,
}

// A panic in the action breaks the barrier for all to see.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl Barrier {
    const_fn! {
        /// A barrier for so many threads.
        ///
        /// # Panics
        ///
        /// If there are no parties: "parties must be > 0". (CPython: so since 3.13, as a
        /// `ValueError`.)
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(racefree::Barrier::new(2).parties(), 2);
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new(parties: usize) -> Self {
            Self {
                raw: raw::Barrier::new(parties),
                timeout: None,
                object: Object::new("Barrier"),
            }
        }
    }

    crate::observe::named! { "let barrier = racefree::Barrier::new(2).named(\"start\");" }

    /// With an action that runs once in each round: in the thread that came last, when all parties
    /// have come, and before any of them goes on.
    ///
    /// The action runs under no lock. While it runs, [`abort`](Self::abort) and
    /// [`reset`](Self::reset) return at once and end the round, a wait whose timeout runs out breaks
    /// the barrier, and threads that come wait for the next round. The action never runs in two
    /// threads at once. It may call every method of its own barrier but the waits, which would wait
    /// for the action itself.
    ///
    /// Python's `Barrier(parties, action)`. In CPython the action runs under the barrier's lock:
    /// timeouts do not count while it runs, and a call of the barrier's methods in it is a deadlock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use racefree::Barrier;
    ///
    /// static ROUNDS: AtomicU32 = AtomicU32::new(0);
    /// let barrier = Barrier::new(1).with_action(|| {
    ///     ROUNDS.fetch_add(1, Ordering::Relaxed);
    /// });
    /// barrier.wait()?;
    /// barrier.wait()?;
    /// assert_eq!(ROUNDS.load(Ordering::Relaxed), 2);
    /// # Ok::<(), racefree::BrokenBarrierError>(())
    /// ```
    #[must_use]
    pub fn with_action(mut self, action: impl Fn() + Send + Sync + 'static) -> Self {
        self.raw
            .set_action(Box::new(move || observe::users(&action)));
        self
    }

    /// With a limit for each [`wait`](Self::wait).
    ///
    /// Python's `Barrier(parties, timeout=seconds)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Barrier, BrokenBarrierError};
    ///
    /// let barrier = Barrier::new(2).with_timeout(Duration::from_millis(1));
    /// assert_eq!(barrier.wait(), Err(BrokenBarrierError::TimedOut));
    /// ```
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits until all parties have come, as long as it takes or as the barrier's timeout says; has
    /// this thread's index: 0 for the first that came, up to `parties - 1` for the last.
    ///
    /// # Errors
    ///
    /// [`BrokenBarrierError`] if the barrier is broken, or breaks or is reset while this waits. If
    /// this wait times out, it breaks the barrier for all.
    ///
    /// # Panics
    ///
    /// In the thread that runs the action, if that panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = racefree::Barrier::new(2);
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait());
    ///     let index = barrier.wait().unwrap();
    ///     assert_eq!(other.join().unwrap(), Ok(1 - index));
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> Result<usize, BrokenBarrierError> {
        self.wait_by("wait", || {
            self.timeout.map_or(Deadline::Never, Deadline::after)
        })
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`, whatever the barrier's own says.
    ///
    /// Python's `wait(timeout=seconds)`. With a timeout of zero all the others have to be there
    /// already; with [`Duration::MAX`] it waits for ever. Time is that of the monotonic clock.
    ///
    /// # Errors
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use racefree::{Barrier, BrokenBarrierError};
    ///
    /// let barrier = Barrier::new(2);
    /// let timeout = Duration::from_millis(1);
    /// assert_eq!(barrier.wait_timeout(timeout), Err(BrokenBarrierError::TimedOut));
    /// assert!(barrier.broken());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<usize, BrokenBarrierError> {
        self.wait_by("wait_timeout", || Deadline::after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), but until `deadline`: for several waits that share
    /// one end.
    ///
    /// # Errors
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use racefree::{Barrier, BrokenBarrierError};
    ///
    /// let barrier = Barrier::new(2);
    /// assert_eq!(barrier.wait_until(Instant::now()), Err(BrokenBarrierError::TimedOut));
    /// ```
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> Result<usize, BrokenBarrierError> {
        self.wait_by("wait_until", || Deadline::At(deadline))
    }

    /// Makes the barrier as new: whoever waits is told that the round is broken, and whoever comes
    /// is of a new one. Never waits.
    ///
    /// While an action runs, its round is broken, too. The next round is not complete before that
    /// action has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = racefree::Barrier::new(1);
    /// barrier.abort();
    /// barrier.reset();
    /// assert_eq!(barrier.wait(), Ok(0));
    /// ```
    #[track_caller]
    pub fn reset(&self) {
        let call = self.object.call(Act::Wake, "reset");
        self.raw.reset();
        call.ends(());
    }

    /// Breaks the barrier: whoever waits, and whoever comes until it is reset, is told so.
    /// Never waits, and ends the round whose action runs.
    ///
    /// For a party that cannot come, so that the others do not wait for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::{Barrier, BrokenBarrierError};
    ///
    /// let barrier = Barrier::new(2);
    /// barrier.abort();
    /// assert_eq!(barrier.wait(), Err(BrokenBarrierError::Aborted));
    /// ```
    #[track_caller]
    pub fn abort(&self) {
        let call = self.object.call(Act::Wake, "abort");
        self.raw.abort();
        call.ends(());
    }

    /// How many have to come.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Barrier::new(2).parties(), 2);
    /// ```
    #[must_use]
    pub fn parties(&self) -> usize {
        self.raw.parties()
    }

    /// How many wait. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Barrier::new(2).n_waiting(), 0);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn n_waiting(&self) -> usize {
        let call = self.object.call(Act::Look, "n_waiting");
        call.ends(self.raw.n_waiting())
    }

    /// Whether the barrier is broken. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = racefree::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.broken());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn broken(&self) -> bool {
        self.object
            .call(Act::Look, "broken")
            .ends(self.raw.broken())
    }

    #[track_caller]
    fn wait_by(
        &self,
        method: &'static str,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<usize, BrokenBarrierError> {
        let parties = self.raw.parties() as u64;
        let call = self.object.call_with(Act::Wait, method, parties);
        call.ends(self.raw.wait_by(deadline).map_err(error))
    }
}

/// As Python's `repr`: `<racefree::Barrier at 0x7ffd5e0f1c2c: waiters=1/2>`.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::Barrier at {:p}: ", &raw const *self)?;
        if self.raw.broken() {
            return f.write_str("broken>");
        }
        write!(f, "waiters={}/{}>", self.raw.n_waiting(), self.parties())
    }
}
