//! Starting threads, telling them what to do, naming them, and waiting for them.

use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum, value_parser};
use racefree::Event;

/// Threads: started, given arguments, named, and joined.
#[derive(Parser)]
struct Args {
    /// The parts to show; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// Milliseconds of each pause
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(1..=10_000))]
    pause_ms: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Two threads at the same time take as long as one
    SingAndDance,
    /// What a thread is to work on, by position and by name
    Arguments,
    /// Five threads with a name and an identity, in an order that nobody chose
    Names,
    /// Waiting for a thread, as long as it takes or not so long
    Join,
}

fn main() {
    let args = Args::parse();
    let pause = Duration::from_millis(args.pause_ms);
    let parts = if args.parts.is_empty() {
        Part::value_variants()
    } else {
        &args.parts
    };
    for part in parts {
        match part {
            Part::SingAndDance => sing_and_dance(pause),
            Part::Arguments => arguments(pause),
            Part::Names => names(pause),
            Part::Join => join(pause),
        }
        println!();
    }
}

fn sing_and_dance(pause: Duration) {
    println!("One thread sings five lines, one dances three, with {pause:?} after each.");
    let start = Instant::now();
    // A scope joins its threads at its end, so they may borrow what is outside.
    thread::scope(|scope| {
        scope.spawn(|| perform("sings", 5, pause));
        scope.spawn(|| perform("dances", 3, pause));
    });
    let one_by_one = pause * (5 + 3);
    println!(
        "Together: {:.2?}; one after the other: {one_by_one:.2?}.",
        start.elapsed()
    );
}

fn perform(what: &str, times: u32, pause: Duration) {
    for time in 1..=times {
        println!("  {what} {time} of {times}");
        thread::sleep(pause);
    }
}

/// What Python has in `kwargs`: named, and some may be left out.
struct Dance {
    name: &'static str,
    count: u32,
    loud: bool,
}

impl Default for Dance {
    fn default() -> Self {
        Self {
            name: "waltz",
            count: 1,
            loud: false,
        }
    }
}

fn arguments(pause: Duration) {
    println!("A thread runs a closure, and the closure has what it needs.");
    // By position: `Thread(target=perform, args=("sings", 2, pause))`.
    let by_position = thread::spawn(move || perform("sings", 2, pause));
    by_position.join().expect("does not panic");

    // By name: `Thread(target=dance, kwargs={"count": 3})`.
    let arguments = Dance {
        count: 3,
        ..Dance::default()
    };
    let by_name = thread::spawn(move || dance(&arguments));
    // What the thread returns comes out of `join`. Python's threads return nothing.
    let steps = by_name.join().expect("does not panic");
    println!("  the dancer counted {steps} steps");
}

fn dance(arguments: &Dance) -> u32 {
    let Dance { name, count, loud } = arguments;
    println!("  dances: name {name}, count {count}, loud {loud}");
    3 * count
}

fn names(pause: Duration) {
    println!("Five threads sleep equally long. Who comes first is up to the scheduler.");
    let introduce = || {
        let thread = thread::current();
        println!(
            "  {} is {:?}",
            thread.name().unwrap_or("nameless"),
            thread.id()
        );
    };
    introduce();
    thread::scope(|scope| {
        let mut started = Vec::new();
        for number in 1..=5 {
            let worker = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn_scoped(scope, || {
                    thread::sleep(pause);
                    introduce();
                });
            started.push(worker.expect("there is room for five threads"));
        }
        scope.spawn(introduce);
        // Python's `active_count()` counts all there are: in Rust you count those you started.
        let active = started.iter().filter(|it| !it.is_finished()).count();
        println!("  of the named ones, {active} are active");
    });
}

/// Sets the event however the thread ends: at the end of its closure, or by a panic.
struct SetOnDrop<'a>(&'a Event);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn join(pause: Duration) {
    println!("A thread works for {:?}.", pause * 3);
    let ended = Event::new();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _ended = SetOnDrop(&ended);
            thread::sleep(pause * 3);
            println!("  the thread is done");
        });
        // Python's `join(timeout)`. Std has no such thing; an event that is set last will do.
        if !ended.wait_timeout(pause) {
            println!("  not joined after {pause:?}: main goes on");
        }
        if ended.wait_timeout(pause * 50) {
            println!("  the event says that it has ended");
        }
        worker.join().expect("does not panic");
        println!("  joined");
    });
}
