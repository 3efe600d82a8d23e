//! A method that takes a lock calls another one that takes it too: an `RLock` allows that.

use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use racefree::{Lock, RLock};

/// Threads that each take an `RLock` twice, one take inside the other.
#[derive(Parser)]
struct Args {
    /// How many threads
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=1000))]
    threads: u64,

    /// Milliseconds that each of them holds the lock
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(0..=10_000))]
    hold_ms: u64,
}

fn main() {
    let args = Args::parse();
    let hold = Duration::from_millis(args.hold_ms);
    let lock = RLock::new();

    println!("{} threads each take an RLock twice.", args.threads);
    println!("(Owners are numbered in the order in which they first came.)");
    thread::scope(|scope| {
        for thread in 1..=args.threads {
            let lock = &lock;
            scope.spawn(move || outer(lock, thread, hold));
        }
    });
    println!("All done: {lock:?}");
    println!();

    println!("Only the owner may release it. The main thread has it, another one tries:");
    lock.acquire();
    thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = lock.release() {
                println!("  {error}");
            }
        });
    });
    println!("  still {lock:?}");
    println!();

    println!("A plain Lock has no owner, so to take it twice would be to wait for ever:");
    let plain = Lock::new();
    plain.acquire();
    if !plain.acquire_timeout(Duration::from_millis(100)) {
        println!("  not acquired within 100 ms");
    }
}

fn outer(lock: &RLock, thread: u64, hold: Duration) {
    let _guard = lock.guard();
    say(lock, thread, "takes it");
    inner(lock, thread, hold);
    say(lock, thread, "released once");
}

fn inner(lock: &RLock, thread: u64, hold: Duration) {
    let _guard = lock.guard();
    say(lock, thread, "takes it again");
    thread::sleep(hold);
}

fn say(lock: &RLock, thread: u64, what: &str) {
    let count = lock.recursion_count();
    println!("  thread {thread:2} {what:14}  recursion_count {count}  {lock:?}");
}
