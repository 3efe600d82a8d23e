//! A thread that would loop for ever is asked to stop, by an `Event`, and stops where it is safe.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum, value_parser};
use racefree::{Event, Lock, Semaphore};

/// Threads that loop for ever, and stop when an `Event` is set.
#[derive(Parser)]
struct Args {
    /// The threads to stop; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// Milliseconds that each of them may run
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u64).range(1..=60_000))]
    run_ms: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// One that is always at work
    Busy,
    /// One that sleeps for an hour between two rounds
    Sleeping,
    /// One that waits for work that does not come
    Waiting,
}

fn main() {
    let args = Args::parse();
    let run = Duration::from_millis(args.run_ms);
    let parts = if args.parts.is_empty() {
        Part::value_variants()
    } else {
        &args.parts
    };
    for part in parts {
        match part {
            Part::Busy => busy(run),
            Part::Sleeping => sleeping(run),
            Part::Waiting => waiting(run),
        }
        println!();
    }
}

/// Lets `work` run for that long in a thread of its own, then stops it, and joins it.
fn stop_after(run: Duration, work: impl FnOnce(&Event) -> u64 + Send) {
    let stop = Event::new();
    thread::scope(|scope| {
        let worker = scope.spawn(|| work(&stop));
        thread::sleep(run);
        let asked = Instant::now();
        stop.set();
        let rounds = worker.join().expect("does not panic");
        println!(
            "  stopped after {rounds} rounds, {:.2?} after it was asked",
            asked.elapsed()
        );
    });
}

fn busy(run: Duration) {
    println!("A thread moves coins between two purses, 100 in all, without a pause.");
    let lock = Lock::new();
    let purses = [AtomicU64::new(100), AtomicU64::new(0)];
    stop_after(run, |stop| {
        let mut rounds = 0;
        // Asked for between two moves: never while a coin is in neither purse. A thread that is
        // killed, or has an exception thrown into it, may be anywhere.
        while !stop.is_set() {
            let _guard = lock.guard();
            let [from, to] = if rounds / 100 % 2 == 0 {
                [0, 1]
            } else {
                [1, 0]
            };
            purses[from].fetch_sub(1, Relaxed);
            thread::yield_now();
            purses[to].fetch_add(1, Relaxed);
            rounds += 1;
        }
        rounds
    });
    let coins: u64 = purses.into_iter().map(AtomicU64::into_inner).sum();
    println!("  coins: {coins}; the lock: {lock:?}");
}

fn sleeping(run: Duration) {
    println!("A thread sleeps for an hour after each round.");
    stop_after(run, |stop| {
        let mut rounds = 0;
        // `time.sleep` can not be cut short. Waiting for the event is a sleep that can.
        while !stop.wait_timeout(Duration::from_secs(3600)) {
            rounds += 1;
        }
        rounds
    });
}

fn waiting(run: Duration) {
    println!("A thread waits for work, which never comes, and looks up now and then.");
    let work = Semaphore::new(0);
    stop_after(run, |stop| {
        let mut rounds = 0;
        // Something else than the event is waited for here, so not for ever at a time.
        while !stop.is_set() {
            if work.acquire_timeout(Duration::from_millis(50)) {
                println!("  work has come");
            }
            rounds += 1;
        }
        rounds
    });
}
