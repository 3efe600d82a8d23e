//! A semaphore in the place of a lock: it lets in as many as it has permits.

use racefree::Semaphore;
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Pool {
    connections: Semaphore,
    used: RaceCell<Vec<u32>>,
}

impl Pool {
    pub fn query(&self, number: u32) {
        let _permit = self.connections.guard();
        self.used.with_mut(|used| used.push(number)); // FAULT: two may be here
    }
}

pub fn body() {
    let pool = Arc::new(Pool {
        connections: Semaphore::new(2).named("connections"),
        used: RaceCell::new(Vec::new()).named("used"),
    });
    let other = thread::spawn({
        let pool = pool.clone();
        move || pool.query(1)
    });
    pool.query(2);
    other.join().unwrap();
}
