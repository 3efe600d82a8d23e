//! std's `OnceLock` and `LazyLock` on this crate's lock. Uses the primitives, the engine's atomics,
//! and `observe`.

use core::cell::Cell;
use core::fmt;
use core::ops::Deref;

use crate::lock::Lock;
use crate::model::engine::atomic::{AtomicBool, Ordering};
use crate::observe;
use crate::sync::{UnsafeCell, const_fn};

/// See [`std::sync::OnceLock`].
pub struct OnceLock<T> {
    lock: Lock,
    done: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written by the thread that holds the lock, once, before `done`; it is read by
// those that have seen that.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// A cell without a value.
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self {
                lock: Lock::new(),
                done: AtomicBool::new(false),
                value: UnsafeCell::new(None),
            }
        }
    }

    /// The value, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        // Acquire: pairs with the Release of `init`.
        if !self.done.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it is written, and never again while this is borrowed.
        self.value.with(|value| unsafe { (*value).as_ref() })
    }

    /// The value, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: nobody else has it.
        self.value.with_mut(|value| unsafe { (*value).as_mut() })
    }

    /// Sets the value, if there is none.
    ///
    /// # Errors
    ///
    /// The value that was to be set, if there is one already.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let _guard = self.lock.guard();
        // Relaxed: the lock has ordered it.
        if self.done.load(Ordering::Relaxed) {
            return Err(value);
        }
        self.write(value);
        Ok(())
    }

    /// The value, which is made if there is none.
    ///
    /// # Panics
    ///
    /// If `init` does. Then there is no value.
    #[track_caller]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        {
            let _guard = self.lock.guard();
            // Relaxed: the lock has ordered it.
            if !self.done.load(Ordering::Relaxed) {
                self.write(observe::users(init));
            }
        }
        // SAFETY: as in `get`.
        let value = self.value.with(|value| unsafe { (*value).as_ref() });
        value.expect("it is set under the lock")
    }

    /// Sets the value, under the lock and before `done`.
    fn write(&self, value: T) {
        // SAFETY: this thread holds the lock, and nobody reads before `done`.
        self.value.with_mut(|it| unsafe { *it = Some(value) });
        self.done.store(true, Ordering::Release);
    }

    /// The value, if there is one.
    #[must_use]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if there is one.
    pub fn take(&mut self) -> Option<T> {
        core::mem::take(self).into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceLock").finish_non_exhaustive()
    }
}

/// See [`std::sync::LazyLock`].
pub struct LazyLock<T, F = fn() -> T> {
    once: OnceLock<T>,
    init: Cell<Option<F>>,
}

// SAFETY: `init` is taken under the lock of `once`, by one thread.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    const_fn! {
        /// A value that is made when it is first used.
        #[must_use]
        #[track_caller]
        pub fn new(init: F) -> Self {
            Self {
                once: OnceLock::new(),
                init: Cell::new(Some(init)),
            }
        }
    }

    /// The value, which is made if it is the first time.
    ///
    /// # Panics
    ///
    /// If the function panics, or has panicked.
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        this.once.get_or_init(|| {
            let init = this.init.take();
            init.expect("LazyLock instance has previously been poisoned")()
        })
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyLock").finish_non_exhaustive()
    }
}
