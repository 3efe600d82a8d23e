//! A read outside the lock, for the statistics.

use racefree::Lock;
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Jobs {
    lock: Lock,
    done: RaceCell<u32>,
}

impl Jobs {
    pub fn finish(&self) {
        let _guard = self.lock.guard();
        self.done.with_mut(|done| *done += 1);
    }

    pub fn statistics(&self) -> u32 {
        self.done.with(|done| *done) // FAULT: without the lock
    }
}

pub fn body() {
    let jobs = Arc::new(Jobs {
        lock: Lock::new().named("lock"),
        done: RaceCell::new(0).named("done"),
    });
    let worker = thread::spawn({
        let jobs = jobs.clone();
        move || jobs.finish()
    });
    assert!(jobs.statistics() <= 1);
    worker.join().unwrap();
}
