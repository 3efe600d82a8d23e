//! A notification of the wrong condition: a bounded queue wakes those who wait for room when there
//! is an item.

use std::collections::VecDeque;

use racefree::model::{RaceCell, sync::Arc, thread};
use racefree::{Condition, RLock};

pub struct Queue {
    items: RaceCell<VecDeque<u32>>,
    room: usize,
    not_full: Condition<Arc<RLock>>,
    not_empty: Condition<Arc<RLock>>,
}

impl Queue {
    pub fn new(room: usize) -> Self {
        let lock = Arc::new(RLock::new().named("lock"));
        Self {
            items: RaceCell::new(VecDeque::new()).named("items"),
            room,
            not_full: Condition::with_lock(lock.clone()).named("not_full"),
            not_empty: Condition::with_lock(lock).named("not_empty"),
        }
    }

    pub fn put(&self, item: u32) {
        let _guard = self.not_full.guard();
        let has_room = || self.items.with(VecDeque::len) < self.room;
        self.not_full.wait_for(has_room).unwrap();
        self.items.with_mut(|items| items.push_back(item));
        self.not_full.notify(1).unwrap(); // FAULT: should be not_empty
    }

    pub fn take(&self) -> u32 {
        let _guard = self.not_empty.guard();
        let has_items = || self.items.with(VecDeque::len) > 0;
        self.not_empty.wait_for(has_items).unwrap();
        let item = self.items.with_mut(VecDeque::pop_front).unwrap();
        self.not_full.notify(1).unwrap();
        item
    }
}

pub fn body() {
    let queue = Arc::new(Queue::new(1));
    let taker = thread::spawn({
        let queue = queue.clone();
        move || queue.take()
    });
    queue.put(1);
    assert_eq!(taker.join().unwrap(), 1);
}
