//! A check and an act in two critical sections: between the two, somebody else acts.

use racefree::Mutex;
use racefree::model::{sync::Arc, thread};

pub struct Tickets {
    left: Mutex<u32>,
}

impl Tickets {
    pub fn sell(&self) -> bool {
        if *self.left.lock() == 0 {
            return false;
        }
        let mut left = self.left.lock(); // FAULT: what was looked at is out of date
        *left = left.checked_sub(1).expect("sold one too many");
        true
    }
}

pub fn body() {
    let tickets = Arc::new(Tickets {
        left: Mutex::new(1).named("left"),
    });
    let other = thread::spawn({
        let tickets = tickets.clone();
        move || tickets.sell()
    });
    let here = tickets.sell();
    assert!(here != other.join().unwrap());
}
