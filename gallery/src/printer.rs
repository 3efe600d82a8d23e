//! A release too many: the error path releases, and so does its caller.

use racefree::Lock;
use racefree::model::{RaceCell, sync::Arc, thread};

pub struct Printer {
    lock: Lock,
    pages: RaceCell<u32>,
}

impl Printer {
    fn print_locked(&self, pages: u32) -> Result<(), String> {
        if pages > 2 {
            self.lock.release().unwrap();
            return Err("too many pages".to_owned());
        }
        self.pages.with_mut(|printed| *printed += pages);
        Ok(())
    }

    pub fn print(&self, pages: u32) -> Result<(), String> {
        self.lock.acquire();
        let result = self.print_locked(pages);
        let _ = self.lock.release(); // FAULT: releases what another one has acquired
        result
    }
}

pub fn body() {
    let printer = Arc::new(Printer {
        lock: Lock::new().named("lock"),
        pages: RaceCell::new(0).named("pages"),
    });
    let others = [1, 3].map(|pages| {
        let printer = printer.clone();
        thread::spawn(move || printer.print(pages).is_ok())
    });
    let _ = printer.print(1);
    for other in others {
        other.join().unwrap();
    }
}
