//! A bounded queue between threads, on two semaphores and a lock: what they guard is in a
//! `RaceCell`, so that a checker sees if they do not.

use std::collections::VecDeque;

use racefree::model::RaceCell;
use racefree::{Lock, Semaphore};

/// A queue with a number of places. `push` waits for a free one, `pop` for an item.
///
/// `HASTY` seeds a mistake: `pop` frees the place before it has taken the item out of it.
pub struct BoundedQueue<T, const HASTY: bool = false> {
    places: usize,
    free: Semaphore,
    filled: Semaphore,
    lock: Lock,
    items: RaceCell<VecDeque<T>>,
}

impl<T, const HASTY: bool> BoundedQueue<T, HASTY> {
    pub fn new(places: u32) -> Self {
        Self {
            places: places as usize,
            free: Semaphore::new(places),
            filled: Semaphore::new(0),
            lock: Lock::new(),
            items: RaceCell::new(VecDeque::new()),
        }
    }

    pub fn push(&self, item: T) {
        self.free.acquire();
        {
            let _guard = self.lock.guard();
            self.items.with_mut(|items| {
                assert!(items.len() < self.places, "more items than places");
                items.push_back(item);
            });
        }
        self.filled.release().unwrap();
    }

    pub fn pop(&self) -> T {
        self.filled.acquire();
        if HASTY {
            self.free.release().unwrap();
        }
        let item = {
            let _guard = self.lock.guard();
            self.items.with_mut(VecDeque::pop_front)
        };
        if !HASTY {
            self.free.release().unwrap();
        }
        item.expect("an item for each permit")
    }
}
