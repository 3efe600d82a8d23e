//! Two locks in two orders: money goes from one account to another, and back at the same time.

use racefree::Mutex;
use racefree::model::{sync::Arc, thread};

pub struct Account {
    balance: Mutex<u32>,
}

pub fn transfer(from: &Account, to: &Account, amount: u32) {
    let mut from = from.balance.lock();
    let mut to = to.balance.lock(); // FAULT: the other transfer takes them the other way round
    *from -= amount;
    *to += amount;
}

pub fn body() {
    let ann = Arc::new(Account {
        balance: Mutex::new(5).named("ann"),
    });
    let bob = Arc::new(Account {
        balance: Mutex::new(5).named("bob"),
    });
    let there = thread::Builder::new().name("there".to_owned()).spawn({
        let (ann, bob) = (ann.clone(), bob.clone());
        move || transfer(&ann, &bob, 1)
    });
    transfer(&bob, &ann, 2);
    there.unwrap().join().unwrap();
}
