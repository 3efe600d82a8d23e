//! What the primitives are built from: atomics, cells and thread identity, from `core` and `std`
//! or from the model checker. The only place, with `futex` and `model`, that knows which.

pub(crate) use imp::{AtomicU32, AtomicU64, Ordering, UnsafeCell, thread_id};

/// Whether a model checker runs this build. Spinning is left out of a model: a poll that may be
/// repeated at will adds interleavings without end, and proves nothing that waiting does not.
pub(crate) const MODELLED: bool = cfg!(all(loom, feature = "loom"));

/// Defines a function that is `const`, but for a model, whose atomics have to be registered with
/// the checker when they are made.
#[cfg(not(all(loom, feature = "loom")))]
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visibility const fn $($rest)*
    };
}

#[cfg(all(loom, feature = "loom"))]
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visibility fn $($rest)*
    };
}

pub(crate) use const_fn;

#[cfg(not(all(loom, feature = "loom")))]
mod imp {
    use core::cell::Cell;
    pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    /// `core`'s cell with loom's interface, which sees when an access begins and ends.
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }

    /// The calling thread's identity: never 0, and never used again by another thread.
    #[inline]
    pub(crate) fn thread_id() -> u64 {
        thread_local! {
            static ID: Cell<u64> = const { Cell::new(0) };
        }
        ID.with(|id| {
            if id.get() == 0 {
                id.set(next_thread_id());
            }
            id.get()
        })
    }

    #[cold]
    fn next_thread_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only that no two are the same matters. A count of 2^64 is not reached.
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(all(loom, feature = "loom"))]
mod imp {
    use core::ops::Deref;
    pub(crate) use loom::cell::UnsafeCell;
    use loom::sync::atomic;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom's atomic, with an update that is one step.
    pub(crate) struct AtomicU32(atomic::AtomicU32);

    impl AtomicU32 {
        pub(crate) fn new(value: u32) -> Self {
            Self(atomic::AtomicU32::new(value))
        }

        /// The newest value, read in a step that every other access to the word depends on, but
        /// that stores nothing: a compare-exchange of a value with itself.
        pub(crate) fn peek(&self, order: Ordering) -> u32 {
            const ANY: u32 = 0xDEAD_BEEF;
            match self.0.compare_exchange(ANY, ANY, Ordering::Relaxed, order) {
                Ok(value) | Err(value) => value,
            }
        }

        /// As `core`'s, which is a load and a loop of compare-exchanges; here it is one step.
        ///
        /// What the loop tries in vain changes nothing, and what it loads is but a guess at what
        /// the next exchange will find. So each of its runs is one in which all happens where
        /// the last exchange succeeds, or where `update` refuses; there is no other to explore.
        pub(crate) fn fetch_update(
            &self,
            set_order: Ordering,
            fetch_order: Ordering,
            mut update: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            let old = self.peek(fetch_order);
            let Some(new) = update(old) else {
                return Err(old);
            };
            // Between the peek and the exchange no other thread gets a turn.
            loom::stop_exploring();
            let exchanged = self.0.compare_exchange(old, new, set_order, fetch_order);
            loom::explore();
            assert_eq!(exchanged, Ok(old), "an update is one step");
            exchanged
        }
    }

    impl Deref for AtomicU32 {
        type Target = atomic::AtomicU32;

        fn deref(&self) -> &atomic::AtomicU32 {
            &self.0
        }
    }

    /// See the native one. The counter is not loom's: it is of no concern to the order of events.
    pub(crate) fn thread_id() -> u64 {
        use core::sync::atomic as native;
        static NEXT: native::AtomicU64 = native::AtomicU64::new(1);
        loom::thread_local! {
            static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        ID.with(|id| *id)
    }
}
