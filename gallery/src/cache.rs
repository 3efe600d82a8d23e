//! A forgotten release: one way out of a function keeps the lock.

use racefree::Lock;
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Cache {
    lock: Lock,
    value: RaceCell<Option<u32>>,
}

impl Cache {
    pub fn get(&self) -> u32 {
        self.lock.acquire(); // FAULT: one way out does not release it
        if let Some(value) = self.value.with(|value| *value) {
            return value;
        }
        self.value.with_mut(|value| *value = Some(42));
        self.lock.release().unwrap();
        42
    }
}

pub fn body() {
    let cache = Arc::new(Cache {
        lock: Lock::new().named("lock"),
        value: RaceCell::new(None).named("value"),
    });
    let others = [1, 2].map(|_| {
        let cache = cache.clone();
        thread::spawn(move || cache.get())
    });
    for other in others {
        assert_eq!(other.join().unwrap(), 42);
    }
    assert_eq!(cache.get(), 42);
}
