//! Runners that wait at the gate until all are there, race after race: a `Barrier`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, value_parser};
use racefree::{Barrier, Mutex};

/// Runners at a starting gate: a `Barrier` opens when the last of them has come.
#[derive(Parser)]
struct Args {
    /// How many runners
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(2..=100))]
    runners: u64,

    /// How many races
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    races: u32,

    /// Milliseconds that the slowest takes to come to the gate
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(0..=10_000))]
    walk_ms: u64,
}

fn main() {
    let args = Args::parse();
    println!("{} runners, {} races.", args.runners, args.races);
    let race = Arc::new(AtomicU32::new(0));
    let gate = Barrier::new(args.runners as usize).with_action({
        let race = Arc::clone(&race);
        move || println!("  the gate opens: race {}", race.fetch_add(1, Relaxed) + 1)
    });
    let starts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for runner in 1..=args.runners {
            let (gate, starts) = (&gate, &starts);
            let walk = Duration::from_millis(args.walk_ms) * runner as u32 / args.runners as u32;
            scope.spawn(move || {
                for race in 1..=args.races {
                    thread::sleep(walk);
                    println!("  runner {runner} is at the gate");
                    let index = gate.wait().expect("everybody comes");
                    starts.lock().push((race, runner, index, Instant::now()));
                }
            });
        }
    });
    let starts = starts.into_inner();
    for race in 1..=args.races {
        let of_race = starts.iter().filter(|start| start.0 == race);
        let last = of_race.clone().max_by_key(|start| start.2).unwrap();
        let first_off = of_race.clone().map(|start| start.3).min().unwrap();
        let last_off = of_race.map(|start| start.3).max().unwrap();
        println!(
            "Race {race}: runner {} was the last to come; all were off within {:.1} ms.",
            last.1,
            (last_off - first_off).as_secs_f64() * 1e3
        );
    }
    println!();

    println!("One of them does not come, and the others have had enough after 100 ms:");
    let gate = Barrier::new(args.runners as usize).with_timeout(Duration::from_millis(100));
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 1..args.runners {
            scope.spawn(|| {
                if let Err(error) = gate.wait() {
                    told.lock().push(error);
                }
            });
        }
    });
    let told = told.into_inner();
    println!("  {} of {} runners are told:", told.len(), args.runners - 1);
    println!("  {}", told[0]);
    println!("  {gate:?}");
    gate.reset();
    println!("  after a reset: broken is {}", gate.broken());
}
