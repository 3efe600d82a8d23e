//! A barrier one short: made for the workers, and the one who starts them waits there too.

use racefree::Barrier;
use racefree::model::{sync::Arc, thread};

pub fn body() {
    let workers = 2;
    let start = Arc::new(Barrier::new(workers).named("start")); // FAULT: main waits as well
    let threads: Vec<_> = (0..workers)
        .map(|number| {
            let start = start.clone();
            let thread = thread::Builder::new().name(format!("worker {number}"));
            thread.spawn(move || start.wait().is_ok()).unwrap()
        })
        .collect();
    start.wait().unwrap();
    for thread in threads {
        assert!(thread.join().unwrap());
    }
}
