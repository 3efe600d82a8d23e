//! `threading.Barrier`.
//!
//! # State machine
//!
//! A [`Queue`] of those who wait for the round to be complete, and beside it why the barrier is
//! broken, if it is. Both are changed by who holds the queue's lock.
//!
//! | step | broken | waiting | and then |
//! |---|---|---|---|
//! | wait, not the last | no | one more | sleeps until it is woken |
//! | wait, the last | no | none | runs the action, wakes all: passed |
//! | wait, the last, whose action panics | becomes so | none | wakes all: broken; goes on to panic |
//! | wait | yes | none | error |
//! | out of time | becomes so | none | wakes all: broken; error |
//! | abort | becomes so | none | wakes all: broken |
//! | reset | no longer | none | wakes all: broken |
//!
//! CPython's barrier is *draining* after a round: who comes meanwhile has to wait until all of the
//! round have gone, as these have yet to read how it ended. Here each of them is told by a message
//! of its own and leaves the queue in the same step as the round ends: so who comes next is of the
//! next round, and has nobody to wait for.
//!
//! # Invariants
//!
//! 1. Of those who enter a round, each has another index, from 0, in the order of coming. The last
//!    has `parties - 1`, and never enters the queue: so there are always fewer in it than parties.
//!    (models `barrier::two_rounds`, `barrier::three_of_two`)
//! 2. Who is in the queue when a round ends, whether passed or broken, is of that round; all of it
//!    are told the same. (models `barrier::abort_against_wait`, `barrier::three_of_two`)
//! 3. While the barrier is broken nobody is in the queue. (model `barrier::timeout_*`)
//! 4. The action runs once for each round, before anybody is let go, and after all have come: what
//!    was written before a wait is there to see for the action, and for all after it. (model
//!    `barrier::the_action_runs_before_anybody_goes`)

use core::fmt;
use core::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::panic::{catch_unwind, resume_unwind};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::BrokenBarrierError;
use crate::queue::{self, Locked, Message, Queue};
use crate::sync::{AtomicU32, Ordering, const_fn, unless_deadlocked};

/// The round is complete.
const PASSED: Message = queue::WOKEN;

/// The barrier is not broken. Else it is the message to those who wait that says why.
const INTACT: Message = 0;

const ABORTED: Message = PASSED + 1;
const RESET: Message = PASSED + 2;
const TIMED_OUT: Message = PASSED + 3;
const ACTION_PANICKED: Message = PASSED + 4;

/// What a message other than [`PASSED`] tells a waiter.
fn error(message: Message) -> BrokenBarrierError {
    match message {
        ABORTED => BrokenBarrierError::Aborted,
        RESET => BrokenBarrierError::Reset,
        TIMED_OUT => BrokenBarrierError::TimedOut,
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
    parties: usize,
    queue: Queue,
    /// [`INTACT`], or why not.
    broken: AtomicU32,
    timeout: Option<Duration>,
    action: Option<Box<dyn Fn() + Send + Sync>>,
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
        pub fn new(parties: usize) -> Self {
            assert!(parties > 0, "parties must be > 0");
            Self {
                parties,
                queue: Queue::new(),
                broken: AtomicU32::new(INTACT),
                timeout: None,
                action: None,
            }
        }
    }

    /// With something to do once for each round: by the thread that comes last, when all have
    /// come, and before any of them goes on.
    ///
    /// Python's `Barrier(parties, action)`. As there, those who come, and `reset` and `abort`,
    /// wait while it runs; so the action may call none of these on its own barrier.
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
        self.action = Some(Box::new(action));
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
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
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
    pub fn wait(&self) -> Result<usize, BrokenBarrierError> {
        self.wait_by(|| self.timeout.map_or(Deadline::Never, Deadline::after))
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
    pub fn wait_timeout(&self, timeout: Duration) -> Result<usize, BrokenBarrierError> {
        self.wait_by(|| Deadline::after(timeout))
    }

    /// Makes the barrier as new: whoever waits is told that the round is broken, and whoever comes
    /// is of a new one. Waits only for an action that runs.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = racefree::Barrier::new(1);
    /// barrier.abort();
    /// barrier.reset();
    /// assert_eq!(barrier.wait(), Ok(0));
    /// ```
    pub fn reset(&self) {
        let locked = self.queue.lock();
        // Relaxed, as every access: who decides by it holds the lock.
        self.broken.store(INTACT, Ordering::Relaxed);
        locked.wake(queue::ALL, RESET);
    }

    /// Breaks the barrier: whoever waits, and whoever comes until it is reset, is told so. Waits
    /// only for an action that runs.
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
    pub fn abort(&self) {
        self.break_for_all(self.queue.lock(), ABORTED);
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
        self.parties
    }

    /// How many wait. By the time you look, that may have changed.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(racefree::Barrier::new(2).n_waiting(), 0);
    /// ```
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.queue.len() as usize
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
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) != INTACT
    }

    fn wait_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<usize, BrokenBarrierError> {
        let locked = self.queue.lock();
        let broken = self.broken.load(Ordering::Relaxed);
        if broken != INTACT {
            return Err(error(broken));
        }
        let index = locked.len() as usize;
        if index + 1 == self.parties {
            self.act_and_pass(locked);
            return Ok(index);
        }
        match locked.wait(deadline) {
            Ok(PASSED) => Ok(index),
            Ok(message) => Err(error(message)),
            Err(locked) => {
                self.break_for_all(locked, TIMED_OUT);
                Err(BrokenBarrierError::TimedOut)
            }
        }
    }

    fn act_and_pass(&self, locked: Locked<'_>) {
        if let Some(action) = &self.action {
            // What the action leaves half done is for those to judge who see the barrier broken.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(action)) {
                unless_deadlocked(|| self.break_for_all(locked, ACTION_PANICKED));
                resume_unwind(panic);
            }
        }
        locked.wake(queue::ALL, PASSED);
    }

    fn break_for_all(&self, locked: Locked<'_>, why: Message) {
        self.broken.store(why, Ordering::Relaxed);
        locked.wake(queue::ALL, why);
    }
}

/// As Python's `repr`: `<racefree::Barrier at 0x7ffd5e0f1c2c: waiters=1/2>`.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::Barrier at {:p}: ", &raw const *self)?;
        if self.broken() {
            return f.write_str("broken>");
        }
        write!(f, "waiters={}/{}>", self.n_waiting(), self.parties)
    }
}
