//! The crate's lock under the interface of `lock_api`.

use core::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lock_api::{GetThreadId, GuardSend, RawMutex, RawMutexTimed};

use crate::lock::Lock;
use crate::lockable::sealed::Suspendable;
use crate::sync;

// SAFETY: a `Lock` lets in one holder at a time, and `lock_api` gives nobody else access to it
// without unsafe code.
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

// SAFETY: as above: what is true was acquired.
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
        // SAFETY: the guard is borrowed by a wait, and used by it alone until the lock is acquired
        // again.
        unsafe { lock_api::MutexGuard::mutex(self).raw() }.release_save()
    }

    fn acquire_restore(&self, saved: u32, among_others: bool) {
        // SAFETY: as above.
        unsafe { lock_api::MutexGuard::mutex(self).raw() }.acquire_restore(saved, among_others);
    }
}

/// Tells threads apart for [`lock_api::ReentrantMutex`].
///
/// An identity is not given to another thread while the process lives.
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

// SAFETY: no two threads have the same number, and a thread has the same one each time.
unsafe impl GetThreadId for ThreadId {
    const INIT: Self = Self;

    /// # Panics
    ///
    /// On a platform of 32 bits, in the 2³²nd thread.
    fn nonzero_thread_id(&self) -> NonZeroUsize {
        usize::try_from(sync::thread_id())
            .ok()
            .and_then(NonZeroUsize::new)
            .expect("more threads than numbers")
    }
}
