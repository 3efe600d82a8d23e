//! Two threads add to one counter, and a hundred count down from 100: without a lock, and with one.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, value_parser};
use racefree::Lock;

/// Threads that change one counter: some changes get lost without a `Lock`, and none with it.
#[derive(Parser)]
struct Args {
    /// How many threads add to the counter
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=100))]
    threads: u64,

    /// How often each of them adds 1
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..=100_000_000))]
    adds: u64,

    /// How many threads count down, once each; also where they begin
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..=1000))]
    decrementers: u64,

    /// Milliseconds that each of them pauses between reading and writing
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(0..=1000))]
    pause_ms: u64,
}

fn main() {
    let args = Args::parse();
    let lock = Lock::new();

    let expected = args.threads * args.adds;
    println!("{} threads add 1, {} times each.", args.threads, args.adds);
    for lock in [None, Some(&lock)] {
        let start = Instant::now();
        let sum = add(args.threads, args.adds, lock);
        println!(
            "  {}: {sum} of {expected}, {} lost ({:.2?})",
            named(lock),
            expected - sum,
            start.elapsed()
        );
    }

    let start = Instant::now();
    let sum = add_in_turn(args.threads, args.adds);
    println!(
        "  each joined before the next: {sum} of {expected}, {} lost ({:.2?})",
        expected - sum,
        start.elapsed()
    );

    let pause = Duration::from_millis(args.pause_ms);
    println!();
    println!(
        "{} threads each read n, pause {pause:?}, and write n - 1.",
        args.decrementers
    );
    for lock in [None, Some(&lock)] {
        let start = Instant::now();
        let rest = count_down(args.decrementers, pause, lock);
        println!(
            "  {}: from {} to {rest} ({:.2?})",
            named(lock),
            args.decrementers,
            start.elapsed()
        );
    }
}

fn named(lock: Option<&Lock>) -> &'static str {
    lock.map_or("without a lock", |_| "with a lock")
}

/// Returns the sum: each of the `threads` adds 1 to it, `adds` times.
fn add(threads: u64, adds: u64, lock: Option<&Lock>) -> u64 {
    // Threads that write to a plain `u64` do not compile. An atomic that is read and written in
    // two steps does, and loses updates like Python's `counter += 1`: both threads read 5, both
    // write 6.
    let counter = AtomicU64::new(0);
    // So that no thread is done before the next has begun.
    let start = Barrier::new(threads as usize);
    // The scheduler may stop a thread between its read and its write. Ten times it is made to, so
    // that the loss shows also where threads take turns: on one core, or on a busy machine.
    let tenth = adds.div_ceil(10);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                for i in 0..adds {
                    let _guard = lock.map(Lock::guard);
                    let read = counter.load(Relaxed);
                    if i % tenth == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    counter.store(read + 1, Relaxed);
                }
            });
        }
    });
    counter.into_inner()
}

/// As `add` without a lock, but the next thread starts when the last one has ended: right, and no
/// faster than a single thread would be.
fn add_in_turn(threads: u64, adds: u64) -> u64 {
    let mut counter = 0;
    for _ in 0..threads {
        // A plain number: the compiler sees that no two threads have it at once.
        thread::scope(|scope| {
            // Opaque, so that the compiler does not turn the loop into one addition.
            scope.spawn(|| (0..adds).for_each(|_| *black_box(&mut counter) += 1));
        });
    }
    counter
}

/// Returns what is left of `threads` when each thread has taken 1 away.
fn count_down(threads: u64, pause: Duration, lock: Option<&Lock>) -> u64 {
    let n = AtomicU64::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _guard = lock.map(Lock::guard);
                let read = n.load(Relaxed);
                thread::sleep(pause);
                n.store(read - 1, Relaxed);
                // Something to watch: only with the lock does it take a while.
                if lock.is_some() && (read - 1) % 10 == 0 {
                    println!("    n = {}", read - 1);
                }
            });
        }
    });
    n.into_inner()
}
