//! For `scripts/sanitizers` alone: mistakes that a sanitizer must report, or it is blind.
#![cfg(racefree_sanitizer)]

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use racefree::Lock;

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
            thread::yield_now();
        }
        // SAFETY: none, see above.
        unsafe { *self.count.get() += 1 };
        self.locked.store(false, Ordering::Relaxed);
    }
}

/// ThreadSanitizer ends the process at the first report. It needs the threads to have run at the
/// same time, and to know where both of them were: so there are new ones until it does.
#[test]
fn a_lock_that_hands_nothing_over_is_a_race() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) {
        let broken = Broken {
            locked: AtomicBool::new(false),
            count: UnsafeCell::new(0),
        };
        let begin = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    begin.wait();
                    (0..1000).for_each(|_| broken.add());
                });
            }
        });
    }
}

/// A release by who does not know that the lock has gone with its last holder.
#[test]
fn a_lock_that_is_used_after_its_end_is_reported() {
    let lock = Box::into_raw(Box::new(Lock::new()));
    // SAFETY: it comes from a box.
    drop(unsafe { Box::from_raw(lock) });
    // SAFETY: none: it is gone.
    let _ = unsafe { &*black_box(lock) }.release();
}

#[test]
fn what_is_never_freed_is_reported() {
    thread::spawn(|| _ = black_box(Box::leak(Box::new([1_u8; 4321]))))
        .join()
        .unwrap();
}
