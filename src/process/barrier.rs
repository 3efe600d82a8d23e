//! `multiprocessing.Barrier`: a [`State`] that says who waits, with which verdict, and whether the
//! barrier is broken.
//!
//! | step | change |
//! |---|---|
//! | arrive, broken | none: error |
//! | arrive, as the last | all that wait have `PASSED` |
//! | arrive | a new waiter, which sleeps until it has a verdict |
//! | abort | broken, and all that wait are `ABORTED` |
//! | reset | not broken, and all that wait are `RESET` |
//! | out of time | broken, and all that wait are `TIMED_OUT` |
//! | look who is alive, as a waiter or as the last | broken if one that waits is dead, and all that wait have `DIED` |
//! | take note | the waiter is removed |
//!
//! Waiters of a round that has ended stay until they have taken note. They are not counted as waiting.

use core::fmt;
use std::time::{Duration, Instant};

use super::error::BarrierError;
use super::member::Me;
use super::region::{Share, layout_of};
use super::state::{Next, State};
use super::waiters::{MAX_WAITERS, Ticket, WAITS, Waiters};
use crate::deadline::Deadline;

const PASSED: u32 = 1;
const ABORTED: u32 = 2;
const RESET: u32 = 3;
const TIMED_OUT: u32 = 4;
const DIED: u32 = 5;

/// What became of an arrival.
enum Arrival {
    Last(usize),
    Waits(usize, Ticket),
    Broken(BarrierError),
}

/// A barrier, at which threads of several processes wait for each other: Python's
/// `multiprocessing.Barrier`.
///
/// If a process dies while it waits at the barrier, the barrier breaks: see
/// [`BarrierError::ProcessDied`]. Waiters notice that within 50 ms. A process that dies *before* it
/// arrives is not known to the barrier, and is waited for. Use a timeout where that can happen.
///
/// There is no action: a function cannot be shared. The thread with the index `parties - 1` can run
/// it between two waits.
///
/// # Examples
///
/// ```
/// use racefree::process::{Barrier, Shared};
///
/// let barrier = Shared::create(Barrier::new(2))?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| barrier.wait().unwrap());
///     barrier.wait().unwrap();
/// });
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Barrier {
    state: State<Waiters>,
}

// SAFETY: it is a `State`, which any bytes are.
unsafe impl Share for Barrier {
    const LAYOUT: u64 = layout_of::<Self>("Barrier");
}

impl Barrier {
    /// Creates a barrier for `parties` threads, to be moved into a region.
    ///
    /// # Panics
    ///
    /// If `parties` is 0, or more than [`MAX_WAITERS`].
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// assert_eq!(barrier.parties(), 2);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "parties must be > 0");
        assert!(parties <= MAX_WAITERS, "too many parties");
        Self {
            state: State::new(Waiters::new(parties as u32)),
        }
    }

    /// Blocks until all parties have arrived. Returns the index of this thread: 0 for the first
    /// thread that arrived, `parties - 1` for the last.
    ///
    /// # Errors
    ///
    /// [`BarrierError`] if the barrier is broken, or if it breaks or is reset during the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(1))?;
    /// assert_eq!(barrier.wait(), Ok(0));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait(&self) -> Result<usize, BarrierError> {
        self.wait_by(Deadline::Never)
    }

    /// Like [`wait`](Self::wait), but blocks no longer than `timeout`. If that is not enough, the
    /// barrier breaks for all.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, BarrierError, Shared};
    /// use std::time::Duration;
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// let timeout = Duration::from_millis(1);
    /// assert_eq!(barrier.wait_timeout(timeout), Err(BarrierError::TimedOut));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<usize, BarrierError> {
        self.wait_by(Deadline::after(timeout))
    }

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, BarrierError, Shared};
    /// use std::time::Instant;
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// assert_eq!(barrier.wait_until(Instant::now()), Err(BarrierError::TimedOut));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_until(&self, deadline: Instant) -> Result<usize, BarrierError> {
        self.wait_by(Deadline::At(deadline))
    }

    /// Breaks the barrier. Current waits, and later waits until a reset, return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, BarrierError, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// barrier.abort();
    /// assert_eq!(barrier.wait(), Err(BarrierError::Aborted));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn abort(&self) {
        self.state.change(Me::at(self), |state| {
            end(state, ABORTED);
            state.broken = ABORTED;
            Next::Commit(())
        });
    }

    /// Resets the barrier to its initial state. Waits of the current round return an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(1))?;
    /// barrier.abort();
    /// barrier.reset();
    /// assert_eq!(barrier.wait(), Ok(0));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn reset(&self) {
        self.state.change(Me::at(self), |state| {
            end(state, RESET);
            state.broken = 0;
            Next::Commit(())
        });
    }

    /// Returns the number of threads that complete a round.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// assert_eq!(barrier.parties(), 2);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn parties(&self) -> usize {
        self.state.look().parties as usize
    }

    /// Returns the number of waiting threads. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// assert_eq!(barrier.n_waiting(), 0);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.state.look().waiting().count()
    }

    /// Returns `true` if the barrier is broken. The result may be out of date by the time it is
    /// used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Barrier, Shared};
    ///
    /// let barrier = Shared::create(Barrier::new(2))?;
    /// assert!(!barrier.broken());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn broken(&self) -> bool {
        self.state.look().broken != 0
    }

    fn wait_by(&self, deadline: Deadline) -> Result<usize, BarrierError> {
        let me = Me::at(self);
        // A wait alone for a place in the list, which those of the last round leave soon.
        let arrival = self
            .state
            .wait(me, || deadline, |state, look| arrive(state, me, look));
        let (index, ticket) = match arrival {
            Some(Arrival::Last(index)) => return Ok(index),
            Some(Arrival::Broken(error)) => return Err(error),
            Some(Arrival::Waits(index, ticket)) => (index, ticket),
            None => {
                self.state.change(me, |state| {
                    break_by(state, TIMED_OUT);
                    Next::Commit(())
                });
                return Err(BarrierError::TimedOut);
            }
        };
        let verdict = self.state.wait(
            me,
            || deadline,
            |state, look| {
                if look {
                    break_if_dead(state, me);
                }
                match state.verdict(ticket) {
                    Some(WAITS) => Next::Sleep,
                    verdict => {
                        state.remove(ticket);
                        Next::Commit((verdict, state.pid))
                    }
                }
            },
        );
        let (verdict, pid) = verdict.unwrap_or_else(|| {
            self.state.change(me, |state| {
                if state.verdict(ticket) == Some(WAITS) {
                    break_by(state, TIMED_OUT);
                }
                let verdict = state.verdict(ticket);
                state.remove(ticket);
                Next::Commit((verdict, state.pid))
            })
        });
        match verdict {
            Some(PASSED) => Ok(index),
            verdict => Err(error(verdict.unwrap_or(ABORTED), pid)),
        }
    }
}

fn error(verdict: u32, pid: u32) -> BarrierError {
    match verdict {
        RESET => BarrierError::Reset,
        TIMED_OUT => BarrierError::TimedOut,
        DIED => BarrierError::ProcessDied {
            pid: (pid != 0).then_some(pid),
        },
        _aborted => BarrierError::Aborted,
    }
}

/// All that wait have the verdict.
fn end(state: &mut Waiters, verdict: u32) {
    state.waiting().for_each(|it| it.verdict = verdict);
}

/// The barrier breaks, unless it is broken already.
fn break_by(state: &mut Waiters, verdict: u32) {
    end(state, verdict);
    if state.broken == 0 {
        state.broken = verdict;
    }
}

/// The barrier breaks if one of those that wait is dead. Others that are dead are removed.
fn break_if_dead(state: &mut Waiters, me: Me) {
    let dead = state
        .waiting()
        .map(|it| it.owner)
        .find(|&owner| !me.lives(owner));
    if let Some(owner) = dead {
        state.pid = me.pid(owner).unwrap_or(0);
        break_by(state, DIED);
    }
}

fn arrive(state: &mut Waiters, me: Me, look: bool) -> Next<Arrival> {
    if state.broken != 0 {
        return Next::Leave(Arrival::Broken(error(state.broken, state.pid)));
    }
    let index = state.waiting().count();
    if index + 1 >= state.parties as usize {
        break_if_dead(state, me);
        if state.broken != 0 {
            return Next::Commit(Arrival::Broken(error(state.broken, state.pid)));
        }
        end(state, PASSED);
        return Next::Commit(Arrival::Last(index));
    }
    if look {
        // Those that died with a verdict take their places with them.
        state.keep(|it| it.verdict == WAITS || me.lives(it.owner));
    }
    match state.add(me) {
        Some(ticket) => Next::Quiet(Arrival::Waits(index, ticket)),
        None => Next::Sleep,
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut state = self.state.look();
        if state.broken != 0 {
            return f.write_str("<racefree::process::Barrier broken>");
        }
        let (waiting, parties) = (state.waiting().count(), state.parties);
        write!(
            f,
            "<racefree::process::Barrier waiters={waiting}/{parties}>"
        )
    }
}
