//! `threading.Barrier`: the public interface of [`raw::Barrier`], which contains the state machine.

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::BrokenBarrierError;
use crate::observe::{self, Act, Object};
use crate::raw::{self, barrier};
use crate::sync::const_fn;

/// The error for a message of the state machine other than [`barrier::PASSED`].
fn error(why: barrier::Message) -> BrokenBarrierError {
    match why {
        barrier::ABORTED => BrokenBarrierError::Aborted,
        barrier::RESET => BrokenBarrierError::Reset,
        barrier::TIMED_OUT => BrokenBarrierError::TimedOut,
        _action_panicked => BrokenBarrierError::ActionPanicked,
    }
}

/// A barrier, at which a fixed number of threads wait for each other: Python's `threading.Barrier`.
///
/// Each thread calls [`wait`](Self::wait), which blocks until as many threads have arrived as there
/// are parties. Then all of them are released. The barrier can be used again for any number of
/// rounds. A fast thread cannot enter the round that is ending. It becomes the first thread of the
/// next round.
///
/// The barrier breaks if a wait times out, if the action panics, or if a thread calls
/// [`abort`](Self::abort). Then all current and later waits return an error until the barrier is
/// [`reset`](Self::reset).
///
/// A `Barrier` is at most 64 bytes in size, waits without allocating, and can be a `static`.
/// Everything that happens before a `wait` happens before the return of each `wait` of the same
/// round.
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
#[doc(alias("CyclicBarrier", "pthread_barrier_t"))]
pub struct Barrier {
    raw: raw::Barrier,
    timeout: Option<Duration>,
    object: Object,
}

// A panic in the action breaks the barrier, which every waiter sees.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl Barrier {
    const_fn! {
        /// Creates a barrier for `parties` threads.
        ///
        /// # Panics
        ///
        /// If `parties` is 0: "parties must be > 0". (CPython: `ValueError`, since 3.13.)
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

    /// Sets an action that runs once in each round. The last thread to arrive runs it, before any
    /// thread of the round is released.
    ///
    /// No lock is held while the action runs. During that time, [`abort`](Self::abort) and
    /// [`reset`](Self::reset) return immediately and end the round. A wait that times out breaks
    /// the barrier. Threads that arrive wait for the next round. The action never runs in two
    /// threads at the same time. It may call every method of its own barrier except the waits,
    /// which would wait for the action itself.
    ///
    /// Python's `Barrier(parties, action)`. In CPython the action runs under the barrier's lock.
    /// Timeouts do not count while it runs, and a call of the barrier's methods in it is a
    /// deadlock.
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

    /// Sets a timeout for each [`wait`](Self::wait).
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

    /// Blocks until all parties have arrived, or until the barrier's timeout if it has one. Returns
    /// the index of this thread: 0 for the first thread that arrived, `parties - 1` for the last.
    ///
    /// # Errors
    ///
    /// [`BrokenBarrierError`] if the barrier is broken, or if it breaks or is reset during the
    /// wait. If this wait times out, it breaks the barrier for all threads.
    ///
    /// # Panics
    ///
    /// If this thread runs the action and the action panics.
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
    #[doc(alias("await", "pthread_barrier_wait"))]
    pub fn wait(&self) -> Result<usize, BrokenBarrierError> {
        self.wait_by("wait", || {
            self.timeout.map_or(Deadline::Never, Deadline::after)
        })
    }

    /// Like [`wait`](Self::wait), but blocks no longer than `timeout`, which replaces the barrier's
    /// timeout.
    ///
    /// Python's `wait(timeout=seconds)`. With a timeout of zero, all other threads must have
    /// arrived already. [`Duration::MAX`] waits forever. Time is measured on the monotonic clock.
    ///
    /// # Errors
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait).
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

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline`, for several waits with a
    /// common deadline.
    ///
    /// # Errors
    ///
    /// # Panics
    ///
    /// The same as for [`wait`](Self::wait).
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

    /// Resets the barrier to its initial state. Waits of the current round return an error. Later
    /// waits belong to a new round. Never blocks.
    ///
    /// If an action is running, its round is broken too. The next round completes only after that
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

    /// Breaks the barrier. Current waits, and later waits until a reset, return an error. If an
    /// action is running, its round is broken too. Never blocks.
    ///
    /// A thread that cannot arrive calls this, so that the other threads do not wait forever.
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

    /// Returns the number of threads that complete a round.
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

    /// Returns the number of waiting threads. The result may be out of date by the time it is used.
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

    /// Returns `true` if the barrier is broken. The result may be out of date by the time it is
    /// used.
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

/// Formats the barrier like Python's `repr`: `<racefree::Barrier at 0x7ffd5e0f1c2c: waiters=1/2>`.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::Barrier at {:p}: ", &raw const *self)?;
        if self.raw.broken() {
            return f.write_str("broken>");
        }
        write!(f, "waiters={}/{}>", self.raw.n_waiting(), self.parties())
    }
}
