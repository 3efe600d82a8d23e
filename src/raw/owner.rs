//! Whose an [`RLock`](super::RLock) is.
//!
//! Written by the thread that holds the lock below, and by no other: its own identity, and then
//! [`NOBODY`]. A thread asks whether it is the owner. It reads its own identity there only if it is,
//! however old the value that it reads: it wrote that itself, and would read its own later
//! `NOBODY`. So all accesses are Relaxed.

#[cfg(not(target_has_atomic = "64"))]
pub(crate) use halves::Owner;
#[cfg(target_has_atomic = "64")]
pub(crate) use word::Owner;

/// No thread's identity.
pub(crate) const NOBODY: u64 = 0;

#[cfg(target_has_atomic = "64")]
mod word {
    use super::NOBODY;
    use crate::sync::{AtomicU64, Ordering, const_fn, thread_id};

    pub(crate) struct Owner(AtomicU64);

    impl Owner {
        const_fn! {
            pub(crate) fn new() -> Self {
                Self(AtomicU64::new(NOBODY))
            }
        }

        /// The owner's identity, or [`NOBODY`]. It may be out of date.
        #[inline]
        pub(crate) fn id(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        #[inline]
        pub(crate) fn is_current(&self) -> bool {
            self.id() == thread_id()
        }

        #[inline]
        pub(crate) fn set_current(&self) {
            self.0.store(thread_id(), Ordering::Relaxed);
        }

        #[inline]
        pub(crate) fn clear(&self) {
            self.0.store(NOBODY, Ordering::Relaxed);
        }
    }
}

/// In words of 32 bits, as in std's `ReentrantLock`: the address of a variable of the thread's, which
/// no other thread has while it lives, and the identity in two halves.
///
/// A thread looks at the halves only if it reads its own address. It wrote that last itself; or a
/// thread that has ended did, as the owner, and then nobody writes again. So nobody changes the
/// halves meanwhile.
#[cfg(any(not(target_has_atomic = "64"), test))]
mod halves {
    use super::NOBODY;
    use crate::sync::{AtomicU32, Ordering, const_fn, thread_id};
    use core::sync::atomic::AtomicUsize;

    /// No variable's address.
    const NOWHERE: usize = 0;

    pub(crate) struct Owner {
        address: AtomicUsize,
        low: AtomicU32,
        high: AtomicU32,
    }

    fn address() -> usize {
        thread_local! {
            static OWN: u8 = const { 0 };
        }
        OWN.with(|own| (&raw const *own).addr())
    }

    impl Owner {
        const_fn! {
            pub(crate) fn new() -> Self {
                Self {
                    address: AtomicUsize::new(NOWHERE),
                    low: AtomicU32::new(0),
                    high: AtomicU32::new(0),
                }
            }
        }

        /// The owner's identity, or [`NOBODY`]. It may be out of date, or of two owners.
        pub(crate) fn id(&self) -> u64 {
            match self.address.load(Ordering::Relaxed) {
                NOWHERE => NOBODY,
                _ => self.last(),
            }
        }

        pub(crate) fn is_current(&self) -> bool {
            self.address.load(Ordering::Relaxed) == address() && self.last() == thread_id()
        }

        pub(crate) fn set_current(&self) {
            self.set(thread_id());
            self.address.store(address(), Ordering::Relaxed);
        }

        fn set(&self, id: u64) {
            self.low.store(id as u32, Ordering::Relaxed);
            self.high.store((id >> 32) as u32, Ordering::Relaxed);
        }

        pub(crate) fn clear(&self) {
            self.address.store(NOWHERE, Ordering::Relaxed);
        }

        fn last(&self) -> u64 {
            let high = u64::from(self.high.load(Ordering::Relaxed));
            high << 32 | u64::from(self.low.load(Ordering::Relaxed))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_owner_in_halves_is_the_thread_that_became_it() {
            crate::model::check(|| {
                let owner = Owner::new();
                assert_eq!((owner.id(), owner.is_current()), (NOBODY, false));
                owner.set_current();
                assert_eq!((owner.id(), owner.is_current()), (thread_id(), true));
                // A thread that ended, at the same address.
                owner.high.fetch_add(1, Ordering::Relaxed);
                assert!(!owner.is_current());
                owner.high.fetch_sub(1, Ordering::Relaxed);
                owner.low.fetch_add(1, Ordering::Relaxed);
                assert!(!owner.is_current());
                owner.set(7 << 32 | 5);
                assert_eq!((owner.id(), owner.is_current()), (7 << 32 | 5, false));
                // Another that lives.
                owner.set_current();
                owner.address.fetch_add(1, Ordering::Relaxed);
                assert!(!owner.is_current());
                owner.set_current();
                owner.clear();
                assert_eq!((owner.id(), owner.is_current()), (NOBODY, false));
            });
        }
    }
}
