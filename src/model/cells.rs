//! [`RaceCell`]: data that tells when nothing orders its accesses. Uses the engine's
//! threads, and `observe`.

use crate::observe::{Act, Object};

/// A cell for data that something else is to protect, which tells when it does not.
///
/// loom reports any two accesses, one of them a write, that nothing has ordered; shuttle and real
/// threads, those that overlap.
///
/// With shuttle and on real threads each access takes a lock and yields, so that those of others can
/// overlap with it: a cell for what is checked, not for what is shipped.
///
/// # Panics
///
/// Each access panics if it is not ordered with another one.
///
/// # Examples
///
/// ```
/// let cell = racefree::model::RaceCell::new(1);
/// cell.with_mut(|value| *value += 1);
/// assert_eq!(cell.with(|value| *value), 2);
/// ```
#[derive(Debug)]
pub struct RaceCell<T> {
    cell: cell::Cell<T>,
    object: Object,
}

impl<T> RaceCell<T> {
    /// A cell that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self {
            cell: cell::Cell::new(value),
            object: Object::new("RaceCell"),
        }
    }

    /// Gives it a name, by which a report calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = racefree::model::RaceCell::new(1).named("count");
    /// ```
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.object.set_name(name);
        self
    }

    /// Reads the value.
    #[track_caller]
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        let call = self.object.call(Act::Read, "read");
        let result = self.cell.with(read);
        call.ends(());
        result
    }

    /// Changes the value.
    #[track_caller]
    pub fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
        let call = self.object.call(Act::Write, "write");
        let result = self.cell.with_mut(write);
        call.ends(());
        result
    }
}

#[cfg(all(loom, feature = "loom"))]
mod cell {
    #[derive(Debug)]
    pub(super) struct Cell<T>(loom::cell::UnsafeCell<T>);

    // SAFETY: loom lets an access begin only if it is ordered with all those that it would race
    // with, and panics otherwise. So the value is handed from thread to thread as by a lock for
    // readers and writers.
    unsafe impl<T: Send + Sync> Sync for Cell<T> {}

    impl<T> Cell<T> {
        #[track_caller]
        pub(super) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        #[track_caller]
        pub(super) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            // SAFETY: loom has let the access begin, see above.
            self.0.with(|value| read(unsafe { &*value }))
        }

        #[track_caller]
        pub(super) fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: loom has let the access begin, see above.
            self.0.with_mut(|value| write(unsafe { &mut *value }))
        }
    }
}

#[cfg(not(all(loom, feature = "loom")))]
mod cell {
    use crate::model::engine::thread;
    use std::sync::{PoisonError, RwLock, TryLockError};

    #[derive(Debug)]
    pub(super) struct Cell<T>(RwLock<T>);

    impl<T> Cell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(RwLock::new(value))
        }

        #[track_caller]
        pub(super) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            let value = ordered(self.0.try_read());
            // Another thread gets its turn in the middle of the access, so that a race shows.
            thread::yield_now();
            read(&value)
        }

        #[track_caller]
        pub(super) fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            let mut value = ordered(self.0.try_write());
            thread::yield_now();
            write(&mut value)
        }
    }

    #[track_caller]
    fn ordered<G>(access: Result<G, TryLockError<G>>) -> G {
        match access {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(error)) => PoisonError::into_inner(error),
            Err(TryLockError::WouldBlock) => {
                panic!("data race: two accesses to a RaceCell overlap")
            }
        }
    }
}
