//! The common interface of everything that can be acquired: the locks, the semaphores, and a
//! condition through its lock.

pub(crate) mod sealed {
    use crate::deadline::Deadline;
    use crate::error::ReleaseError;
    use crate::observe::{Act, Object};
    use crate::sync::one_step;

    /// Something that can be acquired and released. The names are not those of the public methods,
    /// so that a bound on [`Guarded`](crate::Guarded) hides none of a user's traits.
    pub trait Lockable {
        /// A type that is `Send` if the release may come from another thread than the acquire.
        type Release;

        /// The object that represents it in traces and reports.
        fn object(&self) -> &Object;

        /// Acquires without blocking.
        fn attempt(&self) -> bool;

        /// Acquires after a failed [`attempt`](Self::attempt), blocking until `deadline`.
        fn acquire_slow(&self, deadline: Deadline) -> bool;

        /// Releases what was acquired.
        fn give_back(&self) -> Result<(), ReleaseError>;

        /// Acquires, blocking until `deadline`, which is computed only if the first attempt fails.
        #[inline]
        fn acquire_by(&self, deadline: impl FnOnce() -> Deadline) -> bool {
            (!one_step() && self.attempt()) || self.acquire_slow(deadline())
        }

        /// Like [`acquire_by`](Self::acquire_by), as part of the public method `method`.
        #[inline]
        #[track_caller]
        fn take(&self, method: &'static str, deadline: impl FnOnce() -> Deadline) -> bool {
            let call = self.object().call(Act::Take, method);
            let deadline = call.may_wait(deadline);
            call.ends(self.acquire_by(deadline))
        }

        /// Like [`attempt`](Self::attempt), as part of the public method `method`.
        #[inline]
        #[track_caller]
        fn try_take(&self, method: &'static str) -> bool {
            self.object().call(Act::Take, method).ends(self.attempt())
        }

        /// Like [`give_back`](Self::give_back), as part of the public method `method`.
        #[inline]
        #[track_caller]
        fn give(&self, method: &'static str) -> Result<(), ReleaseError> {
            self.object().call(Act::Give, method).ends(self.give_back())
        }
    }

    /// A lock that `threading.Condition` can use.
    pub trait ConditionLockable: Lockable + Suspendable {
        /// Returns `true` if the calling thread may be the owner, as far as the lock knows.
        /// CPython's `_is_owned`.
        fn may_be_owned(&self) -> bool;
    }

    /// A lock, or a guard of a lock, that can be released for the time of a wait.
    pub trait Suspendable {
        /// Releases all levels, and returns the value that restores them. Returns `None` if the
        /// caller does not hold the lock.
        fn release_save(&self) -> Option<u32>;

        /// Acquires the lock with the levels that [`release_save`](Self::release_save) returned.
        /// `among_others` is `true` if several threads were woken together.
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
