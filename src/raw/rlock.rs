//! The state machine of `threading.RLock`.
//!
//! # State machine
//!
//! A [`Lock`], which says whether the `RLock` is held, with the owner's identity and the depth
//! beside it, as in std's `ReentrantLock`.
//!
//! | step by thread `t` | owner before | owner after | lock |
//! |---|---|---|---|
//! | acquire | `t` | `t`, one deeper | untouched |
//! | acquire | another, or nobody | `t`, depth 1 | acquired first |
//! | release | `t`, depth over 1 | `t`, one less deep | untouched |
//! | release | `t`, depth 1 | nobody | released after |
//! | release | another, or nobody | as before: error | untouched |
//!
//! # Invariants
//!
//! 1. `owner` is changed by the thread that holds `lock`, and by no other: to itself, and then to
//!    nobody. A thread finds itself there only if it is the owner. (models `rlock::exclusion`,
//!    `rlock::release_by_another`)
//! 2. `depth` is touched by the owner alone; `lock` hands it over. (models `rlock::nesting*`)
//! 3. An identity is not given to another thread while the process lives, so a thread that ends
//!    while it owns an `RLock` leaves it to nobody. (tests `an_owner_that_ends_*`)

use core::panic::{RefUnwindSafe, UnwindSafe};

use super::lock::Lock;
use super::owner::Owner;
use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::sync::{UnsafeCell, const_fn};

/// A lock with its owner and how often the owner holds it.
pub(crate) struct RLock {
    owner: Owner,
    lock: Lock,
    depth: UnsafeCell<u32>,
}

// SAFETY: `depth` is the only part that is not `Sync` by itself; it is accessed by the owner alone,
// and handed over by `lock` (invariant 2).
unsafe impl Sync for RLock {}

// A panic leaves the depth as it is: there is nothing half done to see.
impl UnwindSafe for RLock {}
impl RefUnwindSafe for RLock {}

impl RLock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                owner: Owner::new(),
                lock: Lock::new(),
                depth: UnsafeCell::new(0),
            }
        }
    }

    /// # Panics
    ///
    /// If the calling thread holds it `u32::MAX` times.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        if self.is_owned() {
            // SAFETY: the calling thread is the owner, checked above.
            unsafe {
                self.with_depth(|depth| {
                    *depth = depth.checked_add(1).expect("RLock acquired too many times");
                });
            }
            return true;
        }
        self.enter_if(self.lock.try_acquire(), 1)
    }

    /// Acquires after a try has failed: another thread is, or was, the owner.
    pub(crate) fn acquire_slow(&self, deadline: Deadline) -> bool {
        self.enter_if(self.lock.acquire_slow(deadline), 1)
    }

    #[inline]
    pub(crate) fn release(&self) -> Result<(), ReleaseError> {
        if !self.is_owned() {
            return Err(ReleaseError::NotOwner);
        }
        // SAFETY: the calling thread is the owner, checked above.
        let depth = unsafe {
            self.with_depth(|depth| {
                *depth -= 1;
                *depth
            })
        };
        if depth > 0 {
            return Ok(());
        }
        self.leave()
    }

    /// Releases all levels and returns their number; `None` if the caller is not the owner.
    pub(crate) fn release_save(&self) -> Option<u32> {
        match self.recursion_count() {
            0 => None,
            depth => self.leave().ok().map(|()| depth),
        }
    }

    /// Acquires `depth` levels, of which the calling thread has none: as one of several that were
    /// woken together, or alone.
    pub(crate) fn acquire_restore(&self, depth: u32, among_others: bool) {
        self.lock.acquire_restore(among_others);
        self.enter_if(true, depth);
    }

    pub(crate) fn locked(&self) -> bool {
        self.lock.locked()
    }

    /// The owner's identity, or [`NOBODY`](super::NOBODY). It may be out of date.
    pub(crate) fn owner(&self) -> u64 {
        self.owner.id()
    }

    #[inline]
    pub(crate) fn is_owned(&self) -> bool {
        self.owner.is_current()
    }

    pub(crate) fn recursion_count(&self) -> u32 {
        if !self.is_owned() {
            return 0;
        }
        // SAFETY: the calling thread is the owner, checked above.
        unsafe { self.with_depth(|depth| *depth) }
    }

    /// Becomes the owner if the calling thread `acquired` the lock. Returns `acquired`.
    #[inline]
    fn enter_if(&self, acquired: bool, depth: u32) -> bool {
        if acquired {
            self.owner.set_current();
            // SAFETY: the calling thread is the owner.
            unsafe { self.with_depth(|own| *own = depth) };
        }
        acquired
    }

    /// Is the owner no longer, at all levels.
    #[inline]
    fn leave(&self) -> Result<(), ReleaseError> {
        self.owner.clear();
        self.lock.release()
    }

    /// # Safety
    ///
    /// The calling thread is the owner (invariant 2), and `access` uses no `RLock`.
    #[inline]
    unsafe fn with_depth<R>(&self, access: impl FnOnce(&mut u32) -> R) -> R {
        // SAFETY: the owner alone gets here, and it does not get here twice at once.
        self.depth.with_mut(|depth| access(unsafe { &mut *depth }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    #[test]
    fn a_level_too_many_is_refused_and_changes_nothing() {
        crate::model::check(|| {
            let lock = RLock::new();
            assert!(lock.try_acquire());
            // SAFETY: the calling thread has just acquired it.
            unsafe { lock.with_depth(|depth| *depth = u32::MAX) };
            catch_unwind(AssertUnwindSafe(|| lock.try_acquire())).unwrap_err();
            assert_eq!(lock.recursion_count(), u32::MAX);
        });
    }
}
