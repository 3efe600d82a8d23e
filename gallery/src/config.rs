//! A relaxed flag: it is seen, and what was written before it is not.

use racefree::model::sync::atomic::{AtomicBool, Ordering};
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Config {
    value: RaceCell<u32>,
    ready: AtomicBool,
}

impl Config {
    pub fn load(&self) {
        self.value.with_mut(|value| *value = 42);
        self.ready.store(true, Ordering::Relaxed); // FAULT: orders nothing
    }

    pub fn get(&self) -> Option<u32> {
        let ready = self.ready.load(Ordering::Acquire);
        ready.then(|| self.value.with(|value| *value))
    }
}

pub fn body() {
    let config = Arc::new(Config {
        value: RaceCell::new(0).named("value"),
        ready: AtomicBool::new(false),
    });
    let loader = thread::spawn({
        let config = config.clone();
        move || config.load()
    });
    assert!(config.get().is_none_or(|value| value == 42));
    loader.join().unwrap();
}
