//! A lost wake-up: the reader looks, and begins to wait only after it has let go of what it looked
//! at.

use racefree::model::{sync::Arc, thread};
use racefree::{Condition, Lock, Mutex};

pub struct Mailbox {
    letters: Mutex<Vec<u32>>,
    arrived: Condition<Lock>,
}

impl Mailbox {
    pub fn put(&self, letter: u32) {
        self.letters.lock().push(letter);
        let _guard = self.arrived.guard();
        self.arrived.notify(1).unwrap();
    }

    pub fn take(&self) -> u32 {
        loop {
            if let Some(letter) = self.letters.lock().pop() {
                return letter;
            }
            let _guard = self.arrived.guard();
            self.arrived.wait().unwrap(); // FAULT: the letter may have come since the look
        }
    }
}

pub fn body() {
    let mailbox = Arc::new(Mailbox {
        letters: Mutex::new(Vec::new()).named("letters"),
        arrived: Condition::with_lock(Lock::new().named("lock")).named("arrived"),
    });
    let writer = thread::spawn({
        let mailbox = mailbox.clone();
        move || mailbox.put(7)
    });
    assert_eq!(mailbox.take(), 7);
    writer.join().unwrap();
}
