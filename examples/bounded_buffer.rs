//! Producers and consumers with a buffer between them that has room for a few items: a `Mutex` around
//! the items, and a `Condvar` for each of full and empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use racefree::{Condvar, Mutex};

/// Producers and consumers with a buffer between them: who finds it full, or empty, waits.
#[derive(Parser)]
struct Args {
    /// How many producers
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    producers: u32,

    /// How many consumers
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..=100))]
    consumers: u32,

    /// Items that each producer makes
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(1..=100_000))]
    items: u32,

    /// Room in the buffer
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=1000))]
    room: u32,

    /// Milliseconds that it takes to consume an item
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u64).range(0..=10_000))]
    consume_ms: u64,
}

struct Buffer {
    items: Mutex<VecDeque<u32>>,
    not_full: Condvar,
    not_empty: Condvar,
    room: usize,
}

impl Buffer {
    fn new(room: u32) -> Self {
        Self {
            items: Mutex::default(),
            not_full: Condvar::new(),
            not_empty: Condvar::new(),
            room: room as usize,
        }
    }

    fn put(&self, item: u32, done: impl FnOnce(usize)) {
        let mut items = self.items.lock();
        self.not_full
            .wait_while(&mut items, |items| items.len() == self.room);
        items.push_back(item);
        done(items.len());
        self.not_empty.notify_one();
    }

    fn take(&self, done: impl FnOnce(u32, usize)) {
        let mut items = self.items.lock();
        self.not_empty
            .wait_while(&mut items, |items| items.is_empty());
        let item = items.pop_front().expect("it has any");
        done(item, items.len());
        self.not_full.notify_one();
    }
}

fn main() {
    let args = Args::parse();
    let all = args.producers * args.items;
    println!(
        "{} producers of {} items each, {} consumers, room for {}.",
        args.producers, args.items, args.consumers, args.room
    );
    let buffer = Buffer::new(args.room);
    let left = AtomicU32::new(all);
    let sum = AtomicU64::new(0);
    let most = AtomicU32::new(0);
    thread::scope(|scope| {
        for producer in 0..args.producers {
            let (buffer, most) = (&buffer, &most);
            scope.spawn(move || {
                for number in 1..=args.items {
                    let item = producer * args.items + number;
                    buffer.put(item, |used| {
                        most.fetch_max(used as u32, Relaxed);
                        println!("  + {item:3}  {}", shown(used, args.room));
                    });
                }
            });
        }
        for _ in 0..args.consumers {
            scope.spawn(|| {
                let one_more = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                while one_more().is_ok() {
                    buffer.take(|item, used| {
                        sum.fetch_add(item.into(), Relaxed);
                        println!("  - {item:3}  {}", shown(used, args.room));
                    });
                    thread::sleep(Duration::from_millis(args.consume_ms));
                }
            });
        }
    });
    println!(
        "Done: {all} items; their sum is {}, as it should be {}.",
        sum.into_inner(),
        u64::from(all) * (u64::from(all) + 1) / 2
    );
    println!(
        "Most in the buffer at once: {} of {}.",
        most.into_inner(),
        args.room
    );
}

/// The items in the buffer: `[##..] 2`.
fn shown(used: usize, room: u32) -> String {
    let items = "#".repeat(used);
    format!("[{items:.<width$}] {used}", width = room as usize)
}
