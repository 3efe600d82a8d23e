//! An event that the waiter clears: what was set for the next one is gone.

use racefree::Event;
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Handoff {
    ready: Event,
    taken: RaceCell<u32>,
}

impl Handoff {
    pub fn work(&self) {
        for _ in 0..2 {
            self.ready.wait();
            self.ready.clear(); // FAULT: a set that came since the wait is cleared unseen
            self.taken.with_mut(|taken| *taken += 1);
        }
    }
}

pub fn body() {
    let handoff = Arc::new(Handoff {
        ready: Event::new().named("ready"),
        taken: RaceCell::new(0).named("taken"),
    });
    let worker = thread::Builder::new().name("worker".to_owned()).spawn({
        let handoff = handoff.clone();
        move || handoff.work()
    });
    handoff.ready.set();
    handoff.ready.set();
    worker.unwrap().join().unwrap();
}
