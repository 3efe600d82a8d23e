//! More people than stalls: a `BoundedSemaphore` lets in as many as there is room for.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use racefree::{BoundedSemaphore, Lock};

/// People who share a few stalls: a `BoundedSemaphore` makes them wait for a free one.
#[derive(Parser)]
struct Args {
    /// How many people come
    #[arg(long, default_value_t = 22, value_parser = value_parser!(u32).range(1..=1000))]
    people: u32,

    /// How many stalls there are: one number for each run
    #[arg(long, default_value = "5,3", value_delimiter = ',', value_parser = value_parser!(u32).range(1..=50))]
    stalls: Vec<u32>,

    /// Milliseconds that each person stays
    #[arg(long, default_value_t = 150, value_parser = value_parser!(u64).range(0..=10_000))]
    stay_ms: u64,
}

fn main() {
    let args = Args::parse();
    for stalls in args.stalls {
        visit(args.people, stalls, Duration::from_millis(args.stay_ms));
    }
}

fn visit(people: u32, stalls: u32, stay: Duration) {
    println!("{people} people, {stalls} stalls: whoever finds them all taken waits.");
    let free = BoundedSemaphore::new(stalls);
    // The number inside changes, and is printed, under one lock: so the lines are in order.
    let door = Lock::new();
    let inside = AtomicU32::new(0);
    let most = AtomicU32::new(0);
    let done = AtomicU32::new(0);

    let enter = |person| {
        let _door = door.guard();
        let now = inside.fetch_add(1, Relaxed) + 1;
        most.fetch_max(now, Relaxed);
        println!("  person {person:2} enters  {}", shown(now, stalls));
    };
    let leave = |person| {
        let _door = door.guard();
        let now = inside.fetch_sub(1, Relaxed) - 1;
        done.fetch_add(1, Relaxed);
        println!("  person {person:2} leaves  {}", shown(now, stalls));
    };
    thread::scope(|scope| {
        for person in 1..=people {
            let (free, enter, leave) = (&free, &enter, &leave);
            scope.spawn(move || {
                let _stall = free.guard();
                enter(person);
                thread::sleep(stay);
                leave(person);
            });
        }
    });

    println!("Done: {} of {people} people.", done.into_inner());
    println!("Most inside at once: {} of {stalls}.", most.into_inner());
    println!("Free stalls: {}.", free.value());
    match free.release() {
        Ok(()) => println!("A release too many was not noticed."),
        Err(error) => println!("A release too many: {error}."),
    }
    println!("Free stalls: {}.", free.value());
    println!();
}

/// The stalls in use, and their number: `[###..] 3 inside`.
fn shown(inside: u32, stalls: u32) -> String {
    let used = "#".repeat(inside as usize);
    format!("[{used:.<width$}] {inside} inside", width = stalls as usize)
}
