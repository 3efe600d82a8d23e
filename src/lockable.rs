//! What everything that can be acquired has in common: the locks, the semaphores, and a condition
//! by its lock. It has one room, below all of them.

pub(crate) mod sealed {
    use crate::deadline::Deadline;
    use crate::error::ReleaseError;
    use crate::observe::{Act, Object};

    /// Something that can be acquired and released. The names are not those of the public methods,
    /// so that a bound on [`Guarded`](crate::Guarded) hides none of a user's traits.
    pub trait Lockable {
        /// A type that is `Send` if the release may come from another thread than the acquire.
        type Release;

        /// What watches it.
        fn object(&self) -> &Object;

        /// Acquires without blocking.
        fn attempt(&self) -> bool;

        /// Acquires after [`attempt`](Self::attempt) has failed, blocking until `deadline`.
        fn acquire_slow(&self, deadline: Deadline) -> bool;

        /// Gives back what was acquired.
        fn give_back(&self) -> Result<(), ReleaseError>;

        /// Acquires, blocking until `deadline`, which is asked for only if that takes time.
        #[inline]
        fn acquire_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
            self.attempt() || self.acquire_slow(deadline())
        }

        /// As [`acquire_by`](Self::acquire_by), for a caller of this public method.
        #[inline]
        #[track_caller]
        fn take(&self, method: &'static str, deadline: impl FnOnce() -> Deadline) -> bool {
            let call = self.object().call(Act::Take, method);
            call.ends(self.acquire_by(deadline))
        }

        /// As [`attempt`](Self::attempt), for a caller of this public method.
        #[inline]
        #[track_caller]
        fn try_take(&self, method: &'static str) -> bool {
            self.object().call(Act::Take, method).ends(self.attempt())
        }

        /// As [`give_back`](Self::give_back), for a caller of this public method.
        #[inline]
        #[track_caller]
        fn give(&self, method: &'static str) -> Result<(), ReleaseError> {
            self.object().call(Act::Give, method).ends(self.give_back())
        }
    }

    /// A lock, with what `threading.Condition` asks of one.
    pub trait ConditionLockable: Lockable + Suspendable {
        /// Whether the calling thread may be the owner, as far as the lock can tell. CPython's
        /// `_is_owned`.
        fn may_be_owned(&self) -> bool;
    }

    /// A lock, or a guard of one, that can be given up for a while.
    pub trait Suspendable {
        /// Releases all levels and returns what restores them; `None` if the caller does not hold
        /// the lock.
        fn release_save(&self) -> Option<u32>;

        /// Acquires the lock with the levels that [`release_save`](Self::release_save) returned: as
        /// one of several threads that were woken together, or alone.
        fn acquire_restore(&self, saved: u32, among_others: bool);
    }

    impl<L: Suspendable> Suspendable for &L {
        fn release_save(&self) -> Option<u32> {
            (**self).release_save()
        }

        fn acquire_restore(&self, saved: u32, among_others: bool) {
            (**self).acquire_restore(saved, among_others);
        }
    }
}
