//! `multiprocessing.Condition`: an [`RLock`], and a [`State`] that says who waits.
//!
//! | step | change |
//! |---|---|
//! | wait, with the lock | a new waiter, the last of the list; then the lock is released, and the thread sleeps |
//! | notify of `n` | the first `n` without a verdict are `NOTIFIED`, and the dead among them are removed |
//! | end of a wait, `NOTIFIED` or out of time | the lock is acquired again; then the waiter is removed |
//! | look who is alive | the dead are removed; as many others are `NOTIFIED` as were among these |
//!
//! A notification counts as taken when its waiter is removed, with the lock. A process that dies before
//! leaves a waiter. Those that wait look who is alive, at first and after each piece of time in which
//! nothing came, and pass its notification on. It is for those alone who waited when it was made.

use core::fmt;
use std::time::{Duration, Instant};

use super::error::{ConditionError, LockError};
use super::guard::{Acquire, Guard, acquires};
use super::member::Me;
use super::region::{Share, layout, layout_of};
use super::rlock::RLock;
use super::state::{Next, State};
use super::waiters::{WAITS, Waiters};
use crate::deadline::Deadline;
use crate::error::ReleaseError;

const NOTIFIED: u32 = 1;

/// A condition variable between processes, together with its [`RLock`]: Python's
/// `multiprocessing.Condition`.
///
/// Waiters are notified in the order in which they came. There are no spurious wake-ups. A process
/// that dies before its wait has ended takes no notification with it: it goes to the next waiter. If a process
/// dies while it holds the lock, the next acquire and the next wait say so: see
/// [`LockError::OwnerDied`].
///
/// # Examples
///
/// ```
/// use racefree::process::{Condition, Shared, shared};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// shared! {
///     struct Items {
///         condition: Condition,
///         count: AtomicU32,
///     }
/// }
///
/// let items = Shared::create(Items { condition: Condition::new(), count: AtomicU32::new(0) })?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _guard = items.condition.guard().unwrap();
///         items.condition.wait_for(|| items.count.load(Ordering::Relaxed) > 0).unwrap();
///     });
///     let _guard = items.condition.guard().unwrap();
///     items.count.store(1, Ordering::Relaxed);
///     items.condition.notify(1).unwrap();
/// });
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Condition {
    lock: RLock,
    waiters: State<Waiters>,
}

// SAFETY: both fields are, and there is nothing between them that matters.
unsafe impl Share for Condition {
    const LAYOUT: u64 = layout(layout_of::<Self>("Condition"), RLock::LAYOUT);
}

impl Acquire for Condition {
    type News = LockError;
    type Release = <RLock as Acquire>::Release;

    #[inline]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, LockError> {
        self.lock.take(deadline)
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        self.lock.give_back()
    }
}

impl Condition {
    /// Creates a condition and its lock, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lock: RLock::new(),
            waiters: State::new(Waiters::new(0)),
        }
    }

    acquires!("Condition", "Condition::new()", LockError);

    /// Releases one level of the lock.
    ///
    /// # Errors
    ///
    /// The same as for [`RLock::release`].
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// condition.acquire().unwrap();
    /// condition.release().unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.lock.release()
    }

    /// Returns the lock, for all of its methods.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// assert!(!condition.lock().is_owned());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn lock(&self) -> &RLock {
        &self.lock
    }

    /// Releases all levels of the lock, blocks until a notification, and acquires them again.
    ///
    /// # Errors
    ///
    /// [`ConditionError`], which says whether the lock is held.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let guard = condition.guard().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let _guard = condition.guard().unwrap();
    ///         condition.notify_all().unwrap();
    ///     });
    ///     condition.wait().unwrap();
    /// });
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait(&self) -> Result<(), ConditionError> {
        self.wait_by(Deadline::Never).map(|_notified| ())
    }

    /// Like [`wait`](Self::wait), but blocks no longer than `timeout` for the notification. Returns
    /// `true` if there was one.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    /// use std::time::Duration;
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// assert_eq!(condition.wait_timeout(Duration::from_millis(1)), Ok(false));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, ConditionError> {
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
    /// use racefree::process::{Condition, Shared};
    /// use std::time::Instant;
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// assert_eq!(condition.wait_until(Instant::now()), Ok(false));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_until(&self, deadline: Instant) -> Result<bool, ConditionError> {
        self.wait_by(Deadline::At(deadline))
    }

    /// Waits until `predicate` returns `true`. It is called while the lock is held.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// condition.wait_for(|| true).unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_for(&self, predicate: impl FnMut() -> bool) -> Result<(), ConditionError> {
        self.wait_for_by(Deadline::Never, predicate)
            .map(|_is_true| ())
    }

    /// Like [`wait_for`](Self::wait_for), but blocks no longer than `timeout`. Returns the
    /// predicate's last value.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    /// use std::time::Duration;
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// assert_eq!(condition.wait_for_timeout(|| false, Duration::from_millis(1)), Ok(false));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_for_timeout(
        &self,
        predicate: impl FnMut() -> bool,
        timeout: Duration,
    ) -> Result<bool, ConditionError> {
        self.wait_for_by(Deadline::after(timeout), predicate)
    }

    /// Like [`wait_for_timeout`](Self::wait_for_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// The same as for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    /// use std::time::Instant;
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// assert_eq!(condition.wait_for_until(|| false, Instant::now()), Ok(false));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn wait_for_until(
        &self,
        predicate: impl FnMut() -> bool,
        deadline: Instant,
    ) -> Result<bool, ConditionError> {
        self.wait_for_by(Deadline::At(deadline), predicate)
    }

    /// Notifies the `n` threads that have waited longest, of processes that are alive. Notifies all
    /// if there are fewer.
    ///
    /// # Errors
    ///
    /// [`ConditionError::NotOwner`] if the calling thread does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, ConditionError, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// assert_eq!(condition.notify(1), Err(ConditionError::NotOwner));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn notify(&self, n: usize) -> Result<(), ConditionError> {
        if !self.lock.is_owned() {
            return Err(ConditionError::NotOwner);
        }
        let me = Me::at(self);
        self.waiters.change(me, |waiters| {
            let changed = notify(waiters, me, n, waiters.next_ticket);
            if changed {
                Next::Commit(())
            } else {
                Next::Leave(())
            }
        });
        Ok(())
    }

    /// Notifies all threads that wait.
    ///
    /// # Errors
    ///
    /// The same as for [`notify`](Self::notify).
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Condition, Shared};
    ///
    /// let condition = Shared::create(Condition::new())?;
    /// let _guard = condition.guard().unwrap();
    /// condition.notify_all().unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn notify_all(&self) -> Result<(), ConditionError> {
        self.notify(usize::MAX)
    }

    fn wait_for_by(
        &self,
        deadline: Deadline,
        mut predicate: impl FnMut() -> bool,
    ) -> Result<bool, ConditionError> {
        loop {
            if predicate() {
                return Ok(true);
            }
            if !self.wait_by(deadline)? {
                return Ok(predicate());
            }
        }
    }

    fn wait_by(&self, deadline: Deadline) -> Result<bool, ConditionError> {
        if !self.lock.is_owned() {
            return Err(ConditionError::NotOwner);
        }
        let me = Me::at(self);
        let come = |waiters: &mut Waiters| {
            if let Some(ticket) = waiters.add(me) {
                return Next::Quiet(Some(ticket));
            }
            pass_on(waiters, me);
            Next::Commit(waiters.add(me))
        };
        let ticket = self
            .waiters
            .change(me, come)
            .ok_or(ConditionError::TooManyWaiters)?;
        let levels = self.lock.release_save().unwrap_or(1);
        self.waiters.wait(
            me,
            || deadline,
            |waiters, look| {
                let passed_on = look && pass_on(waiters, me);
                match (waiters.verdict(ticket), passed_on) {
                    (Some(WAITS), true) => Next::CommitAndSleep,
                    (Some(WAITS), false) => Next::Sleep,
                    (_, true) => Next::Commit(()),
                    (_, false) => Next::Leave(()),
                }
            },
        );
        let restored = self.lock.acquire_restore(levels);
        // Nobody notifies while this thread has the lock.
        let notified = self.waiters.change(me, |waiters| {
            let verdict = waiters.verdict(ticket);
            waiters.remove(ticket);
            Next::Quiet(verdict == Some(NOTIFIED))
        });
        match restored {
            Ok(()) => Ok(notified),
            Err(LockError::OwnerDied(())) => Err(ConditionError::OwnerDied),
            Err(LockError::Lost) => Err(ConditionError::Lost),
        }
    }
}

/// Notifies the first `n` that are alive and came before the ticket `until`, and removes the dead
/// among these. Returns `true` if there were any.
fn notify(waiters: &mut Waiters, me: Me, n: usize, until: u32) -> bool {
    const DEAD: u32 = NOTIFIED + 1;
    let mut left = n;
    let mut changed = false;
    for waiter in waiters.waiting().filter(|it| it.is_before(until)) {
        if left == 0 {
            break;
        }
        changed = true;
        if me.lives(waiter.owner) {
            waiter.verdict = NOTIFIED;
            waiter.until = until;
            left -= 1;
        } else {
            waiter.verdict = DEAD;
        }
    }
    waiters.keep(|it| it.verdict != DEAD);
    changed
}

/// Removes the dead, and passes their notifications on to those who waited at that time. Returns
/// `true` if there were any.
fn pass_on(waiters: &mut Waiters, me: Me) -> bool {
    let mut changed = false;
    // One after the other: each may be for other waiters.
    loop {
        let mut notified = None;
        changed |= waiters.keep(|it| {
            let removed = notified.is_none() && !me.lives(it.owner);
            if removed && it.verdict != WAITS {
                notified = Some(it.until);
            }
            !removed
        });
        match notified {
            Some(until) => notify(waiters, me, 1, until),
            None => return changed,
        };
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiters.look().waiting().count();
        write!(
            f,
            "<racefree::process::Condition {:?}, waiters={waiting}>",
            self.lock
        )
    }
}
