//! `multiprocessing.RLock`: the word of `Lock`, and beside it which thread has it, and how often.
//!
//! | step | the word | holder | levels |
//! |---|---|---|---|
//! | takes or steals the word | mine | any, but not mine | any |
//! | then | mine | mine | 1 |
//! | acquires again | mine | mine | one more |
//! | releases all but the last | mine | mine | one less |
//! | releases the last | mine | 0 | any |
//! | then | free | 0 | any |
//!
//! The holder is a number that no other thread of any process has: the owner, as in the word, and the
//! number of the thread in its process. So a thread that reads its own number has written it, and
//! holds the lock. What a dead process has written there is the number of no living thread.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::LockError;
use super::guard::{Acquire, Guard, acquires};
use super::lock::news;
use super::member::Me;
use super::region::{Share, layout_of};
use super::word::{INCONSISTENT, Word};
use crate::deadline::Deadline;
use crate::error::ReleaseError;
use crate::guard::SameThread;
use crate::sync::thread_id;

/// The bits for a thread's number.
const THREAD_BITS: u32 = 35;

/// A reentrant lock between processes: Python's `multiprocessing.RLock`.
///
/// The thread that holds the lock may acquire it any number of times without blocking. It must
/// release the lock as often. Only that thread may release it.
///
/// If the owner's process dies, the next acquire succeeds with the news
/// [`LockError::OwnerDied`], as for a [`Lock`](super::Lock). A *thread* that ends while it holds
/// the lock keeps it until its process ends.
///
/// # Examples
///
/// ```
/// use racefree::process::{RLock, Shared};
///
/// let lock = Shared::create(RLock::new())?;
/// let outer = lock.guard().unwrap();
/// let inner = lock.guard().unwrap();
/// assert_eq!(lock.recursion_count(), 2);
/// # drop(inner);
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct RLock {
    word: Word,
    levels: AtomicU32,
    holder: AtomicU64,
}

// SAFETY: it is made of atomics, every value of which is a state.
unsafe impl Share for RLock {
    const LAYOUT: u64 = layout_of::<Self>("RLock");
}

impl Acquire for RLock {
    type News = LockError;
    type Release = SameThread;

    #[inline]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, LockError> {
        let me = Me::at(self);
        if self.is_held_by(me) {
            let levels = self.levels.load(Ordering::Relaxed).checked_add(1);
            let levels = levels.expect("a lock is acquired at most 2^32 - 1 times");
            self.levels.store(levels, Ordering::Relaxed);
            return Ok(true);
        }
        self.take_word(me, 1, deadline)
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        let me = Me::at(self);
        if !self.is_held_by(me) {
            return Err(ReleaseError::NotOwner);
        }
        let levels = self.levels.load(Ordering::Relaxed);
        if levels > 1 {
            self.levels.store(levels - 1, Ordering::Relaxed);
            return Ok(());
        }
        self.give_word(me)
    }
}

impl RLock {
    /// Creates an unlocked lock, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// assert!(!lock.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: Word::new(),
            levels: AtomicU32::new(0),
            holder: AtomicU64::new(0),
        }
    }

    acquires!("RLock", "RLock::new()", LockError);

    /// Releases one level of the lock.
    ///
    /// A release of the last level after [`LockError::OwnerDied`] and without
    /// [`repaired`](Self::repaired) makes the lock [`Lost`](LockError::Lost).
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotOwner`] if the calling thread does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::ReleaseError;
    /// use racefree::process::{RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give_back()
    }

    /// Declares the data repaired, after an acquire with [`LockError::OwnerDied`]. Does nothing
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotOwner`] if the calling thread does not hold the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{LockError, RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// let other = Shared::<RLock>::attach(&lock)?;
    /// other.acquire().unwrap();
    /// drop(other);
    ///
    /// assert_eq!(lock.acquire(), Err(LockError::OwnerDied(())));
    /// lock.repaired().unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn repaired(&self) -> Result<(), ReleaseError> {
        let me = Me::at(self);
        let repaired = self.is_held_by(me) && self.word.repair(me);
        repaired.then_some(()).ok_or(ReleaseError::NotOwner)
    }

    /// Returns `true` if the lock is held, by the living or the dead, or is lost. The result may be
    /// out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// lock.acquire().unwrap();
    /// assert!(lock.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.word.is_held()
    }

    /// Returns `true` if the calling thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// assert!(!lock.is_owned());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.is_held_by(Me::at(self))
    }

    /// Returns how many times the calling thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{RLock, Shared};
    ///
    /// let lock = Shared::create(RLock::new())?;
    /// assert_eq!(lock.recursion_count(), 0);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn recursion_count(&self) -> u32 {
        let held = self.is_owned();
        if held {
            self.levels.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    /// Releases all levels, and returns how many. `None` if the thread does not hold the lock.
    pub(super) fn release_save(&self) -> Option<u32> {
        let me = Me::at(self);
        if !self.is_held_by(me) {
            return None;
        }
        let levels = self.levels.load(Ordering::Relaxed);
        self.give_word(me).ok().map(|()| levels)
    }

    /// Acquires the lock again, with so many levels.
    pub(super) fn acquire_restore(&self, levels: u32) -> Result<(), LockError> {
        self.take_word(Me::at(self), levels, || Deadline::Never)
            .map(|_acquired| ())
    }

    /// Takes the word, and says which thread did.
    #[inline]
    fn take_word(
        &self,
        me: Me,
        levels: u32,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<bool, LockError> {
        let news = news(self.word.take(me, INCONSISTENT, deadline));
        if matches!(news, Ok(true) | Err(LockError::OwnerDied(()))) {
            // Relaxed: the number tells this thread alone something.
            self.levels.store(levels, Ordering::Relaxed);
            self.holder.store(number(me), Ordering::Relaxed);
        }
        news
    }

    #[inline]
    fn give_word(&self, me: Me) -> Result<(), ReleaseError> {
        self.holder.store(0, Ordering::Relaxed);
        self.word.release(me).map_err(|_| ReleaseError::NotOwner)
    }

    #[inline]
    fn is_held_by(&self, me: Me) -> bool {
        self.holder.load(Ordering::Relaxed) == number(me)
    }
}

/// The calling thread's number.
#[inline]
fn number(me: Me) -> u64 {
    (u64::from(me.owner()) << THREAD_BITS) | (thread_id() % (1 << THREAD_BITS))
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.locked() { "locked" } else { "unlocked" };
        write!(f, "<racefree::process::RLock {state}>")
    }
}
