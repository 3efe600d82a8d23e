//! What a number of threads may be in at once.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use racefree::{BoundedSemaphore, Condition, Lock, RLock, ReleaseError, Semaphore};

/// What is acquired and released.
pub(crate) trait Door: fmt::Debug + Sync {
    const NAME: &'static str;

    fn acquire(&self);
    fn try_acquire(&self) -> bool;
    fn acquire_timeout(&self, timeout: Duration) -> bool;
    fn acquire_until(&self, deadline: Instant) -> bool;
    fn release(&self) -> Result<(), ReleaseError>;
    fn with_guard(&self, inside: &mut dyn FnMut());
}

macro_rules! door {
    ($Door:ty) => {
        impl Door for $Door {
            const NAME: &'static str = stringify!($Door);

            fn acquire(&self) {
                self.acquire();
            }

            fn try_acquire(&self) -> bool {
                self.try_acquire()
            }

            fn acquire_timeout(&self, timeout: Duration) -> bool {
                self.acquire_timeout(timeout)
            }

            fn acquire_until(&self, deadline: Instant) -> bool {
                self.acquire_until(deadline)
            }

            fn release(&self) -> Result<(), ReleaseError> {
                self.release()
            }

            fn with_guard(&self, inside: &mut dyn FnMut()) {
                let _guard = self.guard();
                inside();
            }
        }
    };
}

door!(Lock);
door!(RLock);
door!(Semaphore);
door!(BoundedSemaphore);
door!(Condition<Lock>);
door!(Condition<RLock>);

/// A room with a door that lets so many in.
#[derive(Debug)]
pub(crate) struct Room<D> {
    pub(crate) door: D,
    size: u32,
    inside: AtomicU32,
    entries: AtomicU64,
    /// Counted in two steps, so that what two add at once is lost: in rooms for one.
    counted: AtomicU64,
}

impl<D: Door> Room<D> {
    pub(crate) fn new(door: D, size: u32) -> Self {
        Self {
            door,
            size,
            inside: AtomicU32::new(0),
            entries: AtomicU64::new(0),
            counted: AtomicU64::new(0),
        }
    }

    /// Called by who has been let in.
    pub(crate) fn stay(&self, meanwhile: impl FnOnce()) {
        let others = self.inside.fetch_add(1, Relaxed);
        let name = D::NAME;
        assert!(
            others < self.size,
            "{name} of {} let in {others} and one more",
            self.size
        );
        self.entries.fetch_add(1, Relaxed);
        let counted = self.counted.load(Relaxed);
        meanwhile();
        self.counted.store(counted + 1, Relaxed);
        self.inside.fetch_sub(1, Relaxed);
    }

    /// Fails unless all have left, and it lets in as many as at first.
    pub(crate) fn balance(&self) {
        assert_eq!(self.inside.load(Relaxed), 0, "{self:?}");
        if self.size == 1 {
            assert_eq!(
                self.counted.load(Relaxed),
                self.entries.load(Relaxed),
                "{self:?}"
            );
        }
        // By threads of their own, as an `RLock` lets the same one in again.
        let admitted = std::thread::scope(|scope| {
            let one = || {
                scope
                    .spawn(|| self.door.try_acquire())
                    .join()
                    .expect("it does not panic")
            };
            (0..=self.size).filter(|_| one()).count()
        });
        assert_eq!(
            admitted, self.size as usize,
            "{self:?} has other permits than at first"
        );
    }
}
