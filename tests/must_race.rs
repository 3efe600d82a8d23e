//! For `scripts/tsan` alone: a lock whose orderings are too weak, which ThreadSanitizer must report.
#![cfg(racefree_tsan)]

use std::cell::UnsafeCell;
use std::hint;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Excludes as it should, and hands nothing over.
struct Broken {
    locked: AtomicBool,
    count: UnsafeCell<u32>,
}

// SAFETY: a lie, which is what this is for.
unsafe impl Sync for Broken {}

impl Broken {
    fn add(&self) {
        while self.locked.swap(true, Ordering::Relaxed) {
            hint::spin_loop();
        }
        // SAFETY: none, see above.
        unsafe { *self.count.get() += 1 };
        self.locked.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_lock_that_hands_nothing_over_is_a_race() {
    let broken = Broken {
        locked: AtomicBool::new(false),
        count: UnsafeCell::new(0),
    };
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                (0..10_000).for_each(|_| broken.add());
            });
        }
    });
}
