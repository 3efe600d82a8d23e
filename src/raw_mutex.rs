//! The crate's lock with the interface of `lock_api`.

use core::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lock_api::{GetThreadId, GuardSend, RawMutex, RawMutexTimed};

use crate::lock::Lock;
use crate::lockable::sealed::Suspendable;
use crate::sync;

// SAFETY: a `Lock` has one holder at a time, and `lock_api` gives no one else access to it without
// unsafe code.
unsafe impl RawMutex for Lock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self::new();

    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        self.acquire();
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.try_acquire()
    }

    #[inline]
    unsafe fn unlock(&self) {
        let released = self.release();
        debug_assert!(released.is_ok(), "the caller holds it");
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.locked()
    }
}

// SAFETY: as above. `true` means that the lock was acquired.
unsafe impl RawMutexTimed for Lock {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    fn try_lock_for(&self, timeout: Duration) -> bool {
        self.acquire_timeout(timeout)
    }

    #[inline]
    fn try_lock_until(&self, deadline: Instant) -> bool {
        self.acquire_until(deadline)
    }
}

impl<T: ?Sized> Suspendable for lock_api::MutexGuard<'_, Lock, T> {
    fn release_save(&self) -> Option<u32> {
        // SAFETY: a wait borrows the guard, and nothing else uses it until the lock is acquired
        // again.
        unsafe { lock_api::MutexGuard::mutex(self).raw() }.release_save()
    }

    fn acquire_restore(&self, saved: u32, among_others: bool) {
        // SAFETY: as above.
        unsafe { lock_api::MutexGuard::mutex(self).raw() }.acquire_restore(saved, among_others);
    }
}

/// Identifies threads for [`lock_api::ReentrantMutex`].
///
/// An identity is never reused for another thread in the same process.
///
/// # Examples
///
/// ```
/// use racefree::{Lock, ThreadId, lock_api::ReentrantMutex};
///
/// static NUMBER: ReentrantMutex<Lock, ThreadId, u32> =
///     ReentrantMutex::from_raw(<Lock as racefree::lock_api::RawMutex>::INIT, ThreadId, 1);
///
/// let outer = NUMBER.lock();
/// let inner = NUMBER.lock();
/// assert_eq!(*outer + *inner, 2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadId;

// SAFETY: no two threads have the same number, and a thread always has the same number.
unsafe impl GetThreadId for ThreadId {
    const INIT: Self = Self;

    /// # Panics
    ///
    /// On a 32-bit platform, in the 2³²nd thread.
    fn nonzero_thread_id(&self) -> NonZeroUsize {
        usize::try_from(sync::thread_id())
            .ok()
            .and_then(NonZeroUsize::new)
            .expect("more threads than numbers")
    }
}
