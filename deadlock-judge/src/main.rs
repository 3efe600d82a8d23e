//! Judges the deadlock checker: random programs are run calmly on real threads, one thread after the
//! other, with the checker on; and an exhaustive search of their interleavings says whether they can
//! deadlock. Then they are run with all threads at once, for alarms that are certain.

mod program;

use std::collections::BTreeMap;
use std::panic;
use std::process::ExitCode;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use clap::Parser;
use program::{Kind, Patience, Program, Step};
use racefree::{BoundedSemaphore, Lock, Mutex, RLock, deadlock};

/// How often the deadlock checker is right.
#[derive(Parser)]
struct Args {
    /// How many programs
    #[arg(long, default_value_t = 10_000)]
    programs: u64,

    /// Of the first program; the next ones have the next
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Print each program of which a prediction is wrong, or missing
    #[arg(long)]
    verbose: bool,
}

enum Primitive {
    Lock(Lock),
    RLock(RLock),
    Mutex(Mutex<()>),
    Permits(BoundedSemaphore),
}

/// Releases what was acquired without a guard.
struct Bare<'a>(&'a Lock);

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        self.0.release().expect("it was acquired");
    }
}

/// What a thread holds: it is only there to be dropped.
trait Guard {}
impl<T> Guard for T {}

impl Primitive {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Lock | Kind::BareLock => Self::Lock(Lock::new()),
            Kind::RLock => Self::RLock(RLock::new()),
            Kind::Mutex => Self::Mutex(Mutex::new(())),
            Kind::One => Self::Permits(BoundedSemaphore::new(1)),
            Kind::Two => Self::Permits(BoundedSemaphore::new(2)),
        }
    }

    fn acquire(&self, kind: Kind, patience: Patience) -> Option<Box<dyn Guard + '_>> {
        const TIME: Duration = Duration::from_millis(2);
        /// The three ways, each in a line.
        macro_rules! acquire {
            ($it:expr, $forever:ident, $timed:ident, $try:ident) => {
                match patience {
                    Patience::Forever => Some(Box::new($it.$forever())),
                    Patience::Timed => Some(Box::new($it.$timed(TIME)?)),
                    Patience::Try => Some(Box::new($it.$try()?)),
                }
            };
        }
        match self {
            Self::Lock(it) if kind == Kind::BareLock => {
                let acquired = match patience {
                    Patience::Forever => {
                        it.acquire();
                        true
                    }
                    Patience::Timed => it.acquire_timeout(TIME),
                    Patience::Try => it.try_acquire(),
                };
                if acquired {
                    Some(Box::new(Bare(it)))
                } else {
                    None
                }
            }
            Self::Lock(it) => acquire!(it, guard, guard_timeout, try_guard),
            Self::RLock(it) => acquire!(it, guard, guard_timeout, try_guard),
            Self::Permits(it) => acquire!(it, guard, guard_timeout, try_guard),
            Self::Mutex(it) => acquire!(it, lock, try_lock_for, try_lock),
        }
    }
}

/// A program, and its primitives.
struct Running {
    program: Program,
    primitives: Vec<Primitive>,
}

impl Running {
    fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            primitives: program
                .primitives
                .iter()
                .copied()
                .map(Primitive::new)
                .collect(),
        }
    }

    fn thread(&self, number: usize) {
        let mut holds: Vec<(usize, Box<dyn Guard + '_>)> = Vec::new();
        for step in &self.program.threads[number] {
            match *step {
                Step::Acquire(primitive, patience, hold) => {
                    let kind = self.program.primitives[primitive];
                    if let Some(guard) = self.primitives[primitive].acquire(kind, patience) {
                        holds.push((hold, guard));
                    }
                }
                Step::Release(hold) => holds.retain(|(it, _)| *it != hold),
            }
        }
    }
}

/// What was reported.
fn told(reports: deadlock::Reports) -> Vec<deadlock::Kind> {
    let kinds = reports.take().iter().map(deadlock::Report::kind).collect();
    // Threads of an earlier program that hang go on to report, which would be a panic here.
    let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| drop(reports)));
    kinds
}

/// What the checker says of a run in which one thread follows the other.
fn calm(program: &Program) -> Vec<deadlock::Kind> {
    let reports = deadlock::collect();
    let running = Running::new(program);
    thread::scope(|scope| {
        for number in 0..program.threads.len() {
            let running = &running;
            scope.spawn(move || running.thread(number)).join().unwrap();
        }
    });
    drop(running);
    told(reports)
}

/// How a run of all threads at once ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Calm,
    Deadlock,
    /// It deadlocked, and nothing was said that is certain.
    Hang,
}

fn wild(program: &Program) -> End {
    let reports = deadlock::collect();
    let running = Arc::new(Running::new(program));
    let start = Arc::new(Barrier::new(program.threads.len()));
    let (sender, ends) = mpsc::channel();
    for number in 0..program.threads.len() {
        let (running, start, sender) = (Arc::clone(&running), Arc::clone(&start), sender.clone());
        thread::spawn(move || {
            start.wait();
            let run = panic::AssertUnwindSafe(|| running.thread(number));
            let _ = panic::catch_unwind(run);
            let _ = sender.send(());
        });
    }
    drop(sender);
    for _ in 0..program.threads.len() {
        if ends.recv_timeout(Duration::from_secs(2)).is_err() {
            told(reports);
            return End::Hang;
        }
    }
    if told(reports).contains(&deadlock::Kind::Deadlock) {
        End::Deadlock
    } else {
        End::Calm
    }
}

#[derive(Default)]
struct Counts {
    can: u64,
    warned: u64,
    predictions: u64,
    false_predictions: u64,
    timed: u64,
    false_timed: u64,
    false_certain: u64,
    ends: BTreeMap<End, u64>,
    missed: BTreeMap<&'static str, u64>,
}

/// Why a program that can deadlock may go without a warning.
fn why_missed(program: &Program) -> &'static str {
    let permits = program.primitives.contains(&Kind::Two);
    if permits {
        "two permits are part of it"
    } else {
        "locks alone"
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // The panics of certain deadlocks are expected.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.starts_with("racefree::deadlock") {
            hook(info);
        }
    }));
    // Threads that a program leaves behind go on to report.
    let _silent = deadlock::on_report(|_| {});
    let mut counts = Counts::default();
    for seed in args.seed..args.seed + args.programs {
        let program = Program::random(&mut fastrand::Rng::with_seed(seed));
        let can = program.can_deadlock(false);
        let kinds = calm(&program);
        let inversion = kinds.contains(&deadlock::Kind::Inversion);
        let timed = kinds.contains(&deadlock::Kind::TimedInversion);
        counts.can += u64::from(can);
        counts.warned += u64::from(can && inversion);
        counts.predictions += u64::from(inversion);
        counts.false_predictions += u64::from(inversion && !can);
        counts.timed += u64::from(timed);
        counts.false_timed += u64::from(timed && !program.can_deadlock(true));
        if can && !inversion {
            *counts.missed.entry(why_missed(&program)).or_default() += 1;
        }
        if args.verbose && can != inversion {
            println!(
                "seed {seed}, {}: {program}",
                if can { "missed" } else { "false" }
            );
        }
        let end = wild(&program);
        *counts.ends.entry(end).or_default() += 1;
        if end == End::Hang && !program.primitives.contains(&Kind::BareLock) {
            println!("seed {seed}, hangs with guards alone: {program}");
        }
        if end == End::Deadlock && !can {
            counts.false_certain += 1;
            println!("seed {seed}, false and certain: {program}");
        }
    }
    let percent = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    let right = counts.predictions - counts.false_predictions;
    let precision = percent(right, counts.predictions);
    let recall = percent(counts.warned, counts.can);
    println!(
        "{} programs, of which {} can deadlock",
        args.programs, counts.can
    );
    println!(
        "warned of by one calm run: {} ({recall:.1}%)",
        counts.warned
    );
    println!("missed: {:?}", counts.missed);
    println!(
        "predictions: {}, right: {right} ({precision:.1}%)",
        counts.predictions
    );
    println!(
        "timed inversions: {}, wrong: {}",
        counts.timed, counts.false_timed
    );
    println!("all threads at once: {:?}", counts.ends);
    println!("certain, and wrong: {}", counts.false_certain);
    if counts.false_certain == 0 && precision >= 99.0 && recall >= 90.0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
