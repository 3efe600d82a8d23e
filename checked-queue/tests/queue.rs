//! The same bodies on real threads, under loom, and under shuttle: see `docs/guide/checking.md`.

use checked_queue::BoundedQueue;
use racefree::model::{Builder, check, sync::Arc, thread};

/// One thread pushes two items, the other pops them.
fn in_order<const HASTY: bool>() {
    let queue = Arc::new(BoundedQueue::<_, HASTY>::new(1));
    let producer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || (0..2).for_each(|item| queue.push(item))
    });
    assert_eq!([queue.pop(), queue.pop()], [0, 1]);
    producer.join().unwrap();
}

#[test]
fn items_come_out_in_order() {
    println!("{}", check(in_order::<false>));
}

/// Real threads may or may not come to it; the checkers do.
#[cfg(any(loom, shuttle))]
#[test]
#[should_panic(expected = "more items than places")]
fn a_hasty_pop_is_found() {
    check(in_order::<true>);
}

/// Several threads push an item each, one pops them all: each comes out once.
fn crowd(producers: u32, places: u32) {
    let queue = Arc::new(BoundedQueue::<_>::new(places));
    let others: Vec<_> = (0..producers)
        .map(|item| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(item))
        })
        .collect();
    let mut items: Vec<_> = (0..producers).map(|_| queue.pop()).collect();
    others.into_iter().for_each(|other| other.join().unwrap());
    items.sort_unstable();
    assert!(items.into_iter().eq(0..producers));
}

#[test]
fn two_producers() {
    let builder = Builder::new().preemption_bound(4);
    println!("{}", builder.check(|| crowd(2, 1)));
}

/// More threads than loom can run.
#[cfg(not(loom))]
#[test]
fn twenty_producers() {
    println!("{}", check(|| crowd(20, 3)));
}
