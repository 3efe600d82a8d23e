//! Threads that wait to be notified, having given up a lock meanwhile: what `Condition` and `Condvar`
//! are.
//!
//! # State machine
//!
//! A [`Queue`] of the waiters, and the lock of each, which is the caller's.
//!
//! | step | by | lock | queue | and then |
//! |---|---|---|---|---|
//! | wait | a holder | given up, whole | enters at the end, before that | sleeps until it is taken out |
//! | notify `n` | any | untouched | the first `n` are taken out | wakes them |
//! | woken | a waiter | acquired, whole | is not in it | returns true |
//! | out of time | a waiter still in the queue | acquired, whole | leaves it, before that | returns false |
//! | out of time | a waiter taken out | acquired, whole | is not in it | returns true |
//! | wait | not a holder | untouched | as before | error |
//!
//! # Invariants
//!
//! 1. A waiter is in the queue from before it gives up the lock until it is notified or has run out
//!    of time. So a thread that changes something under the lock and then notifies, with the lock or
//!    after it has released it, cannot miss one that looked at it under the lock before. (models
//!    `condition::hand_over*`, `condition::producer_and_consumer*`, `condvar::hand_over*`)
//! 2. A notification takes waiters that are in the queue when it comes, the first first, and has no
//!    effect on later ones: none is stolen. (models `condition::notify_one_*`,
//!    `condition::a_notification_is_not_for_a_later_waiter`, `condvar::notify_one_*`)
//! 3. A wait returns true if and only if a notification took it out of the queue: none is lost, and
//!    none is made up. (models `condition::timeout_against_notify`, `condition::timeout_beside_*`,
//!    `condvar::timeout_against_notify`)
//! 4. An `RLock` is given up at all its levels and comes back with as many. (models
//!    `condition::all_levels_are_given_up_and_restored`, `condvar::all_levels_*`)

use super::queue::{self, Queue};
use crate::deadline::Deadline;
use crate::lockable::sealed::Suspendable;
use crate::sync::const_fn;

/// The lock is not the caller's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotHeld;

/// The waiters, first come first.
pub(crate) struct Waiters {
    queue: Queue,
}

impl Waiters {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                queue: Queue::new(),
            }
        }
    }

    /// How many there are. Exact for the holder of a lock that all of them gave up.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.queue.len()
    }

    /// Gives up the lock, waits for a notification until `deadline`, and acquires the lock again.
    /// Returns whether it was notified.
    pub(crate) fn wait(
        &self,
        lock: &impl Suspendable,
        deadline: Deadline,
    ) -> Result<bool, NotHeld> {
        if deadline.has_passed() {
            // Not a waiter for a moment: else notifications could reach it again and again.
            let saved = lock.release_save().ok_or(NotHeld)?;
            lock.acquire_restore(saved, false);
            return Ok(false);
        }
        let mut saved = None;
        let waited = self.queue.lock().wait(|| {
            saved = lock.release_save();
            saved.map_or(Deadline::Now, |_| deadline)
        });
        // The queue is unlocked here, before this thread waits for the lock.
        let notified = waited.as_ref().ok().copied();
        drop(waited);
        let Some(saved) = saved else {
            // A `Lock` that was released by another thread since it was asked. A notification that
            // came for this waiter is for the next one.
            if notified.is_some() {
                self.notify(1);
            }
            return Err(NotHeld);
        };
        lock.acquire_restore(saved, notified == Some(queue::WOKEN_TOGETHER));
        Ok(notified.is_some())
    }

    /// Waits as often as it takes until `predicate` is true, which is asked under the lock: first of
    /// all, after each notification, and once when the time is up. Returns what it said last.
    pub(crate) fn wait_for<L: Suspendable>(
        &self,
        lock: &mut L,
        predicate: impl FnMut(&mut L) -> bool,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, NotHeld> {
        wait_for(lock, predicate, deadline, |lock, deadline| {
            self.wait(lock, deadline)
        })
    }

    /// Notifies the first `n` waiters, and returns how many there were.
    #[inline]
    pub(crate) fn notify(&self, n: usize) -> usize {
        if self.queue.has_waiters() {
            self.wake(n)
        } else {
            0
        }
    }

    #[cold]
    fn wake(&self, n: usize) -> usize {
        let locked = self.queue.lock();
        let message = match n.min(locked.len() as usize) {
            0 | 1 => queue::WOKEN,
            _several => queue::WOKEN_TOGETHER,
        };
        locked.wake(n, message)
    }
}

/// What [`Waiters::wait_for`] does, whichever `wait` it is made of.
#[inline]
pub(super) fn wait_for<L>(
    lock: &mut L,
    mut predicate: impl FnMut(&mut L) -> bool,
    deadline: impl FnOnce() -> Deadline,
    wait: impl Fn(&L, Deadline) -> Result<bool, NotHeld>,
) -> Result<bool, NotHeld> {
    if predicate(lock) {
        return Ok(true);
    }
    let deadline = deadline();
    loop {
        let notified = wait(lock, deadline)?;
        if predicate(lock) {
            return Ok(true);
        }
        if !notified || deadline.has_passed() {
            return Ok(false);
        }
    }
}
