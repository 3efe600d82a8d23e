//! Philosophers who share forks: a deadlock that is reported before it happens.
//!
//! ```text
//! cargo run --example dining_philosophers --features deadlock
//! ```

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use racefree::Lock;

/// Philosophers at a round table, with a fork between each two: each needs both.
#[derive(Parser)]
struct Args {
    /// How many philosophers there are
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(2..=26))]
    philosophers: u32,

    /// How often each of them eats
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=1000))]
    meals: u32,
}

/// Which fork comes first.
#[derive(Clone, Copy)]
enum Manners {
    /// The left one. All may have theirs, and wait for the right one forever.
    LeftFirst,
    /// The one with the lower number: so nobody who has a fork waits for a lower one.
    LowerFirst,
}

fn main() {
    let args = Args::parse();
    if cfg!(feature = "deadlock") {
        println!(
            "Each takes the left fork first. They come one after the other, so all goes well:"
        );
        dine(&args, Manners::LeftFirst);
    } else {
        println!("With --features deadlock, the wrong order is shown as well, and reported.");
    }
    println!("Each takes the fork with the lower number first. They come together:");
    dine(&args, Manners::LowerFirst);
}

fn dine(args: &Args, manners: Manners) {
    #[cfg(feature = "deadlock")]
    let reports = racefree::deadlock::collect();
    let forks: Vec<Lock> = (0..args.philosophers).map(|_| Lock::new()).collect();
    let meals = AtomicU32::new(0);
    let eat = |left: usize| {
        let right = (left + 1) % forks.len();
        let (first, second) = match manners {
            Manners::LeftFirst => (left, right),
            Manners::LowerFirst => (left.min(right), left.max(right)),
        };
        for _ in 0..args.meals {
            let _first = forks[first].guard();
            let _second = forks[second].guard();
            meals.fetch_add(1, Relaxed);
            thread::sleep(Duration::from_micros(100));
        }
    };
    thread::scope(|scope| {
        for seat in 0..forks.len() {
            let name = format!("philosopher {}", seat + 1);
            let eat = &eat;
            let philosopher = thread::Builder::new().name(name);
            let philosopher = philosopher.spawn_scoped(scope, move || eat(seat)).unwrap();
            if matches!(manners, Manners::LeftFirst) {
                philosopher.join().unwrap();
            }
        }
    });
    println!("  {} meals", meals.load(Relaxed));
    #[cfg(feature = "deadlock")]
    match &reports.take()[..] {
        [] => println!("  no report"),
        reports => reports.iter().for_each(|report| println!("{report}")),
    }
}
