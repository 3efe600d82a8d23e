//! `if` for `while`: of two buyers that wait, both are told of the one piece.

use racefree::model::{RaceCell, sync::Arc, thread};
use racefree::{Condition, Lock};

pub struct Stock {
    pieces: RaceCell<u32>,
    changed: Condition<Lock>,
}

impl Stock {
    pub fn buy(&self) {
        let _guard = self.changed.guard();
        if self.pieces.with(|pieces| *pieces == 0) {
            self.changed.wait().unwrap(); // FAULT: another buyer may be first
        }
        self.pieces.with_mut(|pieces| {
            *pieces = pieces.checked_sub(1).expect("sold what is not there");
        });
    }

    pub fn deliver(&self, more: u32) {
        let _guard = self.changed.guard();
        self.pieces.with_mut(|pieces| *pieces += more);
        self.changed.notify_all().unwrap();
    }
}

pub fn body() {
    let stock = Arc::new(Stock {
        pieces: RaceCell::new(0).named("pieces"),
        changed: Condition::with_lock(Lock::new().named("lock")).named("changed"),
    });
    let buyers = ["ann", "bob"].map(|name| {
        let stock = stock.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || stock.buy()).unwrap()
    });
    stock.deliver(1);
    stock.deliver(1);
    for buyer in buyers {
        buyer.join().unwrap();
    }
}
