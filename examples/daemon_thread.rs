//! Threads that still run when `main` returns: all of Rust's are what Python calls daemons.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use racefree::Event;

/// A thread in the background, and three ways to leave it.
#[derive(Parser)]
struct Args {
    /// What main does; all of it if nothing is named
    #[arg(value_enum)]
    ends: Vec<End>,

    /// How often the thread prints
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    lines: u32,

    /// Milliseconds between two of its lines
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(1..=10_000))]
    pause_ms: u64,

    /// Milliseconds until main has had enough
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u64).range(0..=60_000))]
    leave_ms: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum End {
    /// Waits for the thread: Python's thread that is no daemon
    Wait,
    /// Tells the thread to stop, by an event, and waits until it has
    Stop,
    /// Returns: Python's daemon thread, which dies where it is
    Leave,
}

/// What a thread has to put in order before it ends: a file to close, a line to end.
struct Desk;

impl Drop for Desk {
    fn drop(&mut self) {
        println!("  the thread tidies its desk");
    }
}

fn main() {
    let args = Args::parse();
    let pause = Duration::from_millis(args.pause_ms);
    let patience = Duration::from_millis(args.leave_ms);
    let ends = if args.ends.is_empty() {
        End::value_variants()
    } else {
        &args.ends
    };
    for end in ends {
        match end {
            End::Wait => println!("Main waits for the thread."),
            End::Stop => println!("Main tells the thread to stop after {patience:?}."),
            End::Leave => println!("Main returns after {patience:?}, and does not look back."),
        }
        let stop = Arc::new(Event::new());
        let worker = thread::spawn({
            let stop = Arc::clone(&stop);
            move || work(&stop, args.lines, pause)
        });
        match end {
            End::Wait => {}
            End::Stop => {
                thread::sleep(patience);
                stop.set();
            }
            End::Leave => {
                thread::sleep(patience);
                // The handle is dropped, and the thread goes on: until the process ends, which is
                // when `main` returns. Nothing of the thread is dropped, nor is a line finished.
                return;
            }
        }
        worker.join().expect("does not panic");
        println!("  joined");
        println!();
    }
}

fn work(stop: &Event, lines: u32, pause: Duration) {
    let _desk = Desk;
    for line in 1..=lines {
        println!("  line {line} of {lines}");
        // A sleep that ends at once when it is time to stop.
        if stop.wait_timeout(pause) {
            println!("  the thread was told to stop");
            return;
        }
    }
}
