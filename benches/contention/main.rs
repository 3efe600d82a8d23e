//! A laboratory for lock contention: this crate's primitives beside their peers, on this machine.
//!
//! `cargo bench --bench contention -- --help` tells what it can do.

mod contend;
mod futex_calls;
mod goals;
mod load;
mod machine;
mod memory;
mod os;
mod plan;
mod plot;
mod report;
mod results;
mod timed;
mod variants;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use contend::Clock;
use load::{Condition, Load};
use plan::{Job, Plan};
use results::Results;

/// Measures locks, semaphores and events, alone and under contention, beside their peers.
///
/// All variants of a case take turns in each round, in an order that changes; the figures are the
/// medians of the rounds. Throughput is measured without a clock in the threads, waits in runs of
/// their own. What a thread does in a critical section and between two of them is arithmetic, whose
/// speed is measured at first.
#[derive(Parser)]
#[command(name = "contention", bin_name = "cargo bench --bench contention --")]
struct Args {
    /// What to measure [default: all but rlocks, and memory only with --full and --curves]
    #[arg(long, value_delimiter = ',', value_enum)]
    cases: Vec<Case>,

    /// Only the variants whose name has one of these words in it, as in `racefree,std`
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    only: Vec<String>,

    /// How many threads contend, meet or are woken: one number for each setting [default: 2,8,32 for
    /// locks, 2,10,40 for barriers, 10,100,1000 for wakes]
    #[arg(long, value_delimiter = ',', value_parser = value_parser!(u32).range(1..=10_000))]
    threads: Vec<u32>,

    /// How many permits a semaphore has: one number for each setting
    #[arg(long, value_delimiter = ',', value_parser = value_parser!(u32).range(1..=512))]
    permits: Vec<u32>,

    /// How long a critical section is, in nanoseconds: one number for each setting [default: 10,200
    /// for locks and fairness, 50,5000 for semaphores]
    #[arg(long, value_delimiter = ',', value_name = "NS", value_parser = value_parser!(u32).range(0..=1_000_000))]
    section: Vec<u32>,

    /// How long a thread pauses between two sections, as a multiple of the section, or of 10 ns if
    /// that is longer [default: 1; 0 for fairness]
    #[arg(long, value_delimiter = ',', value_name = "TIMES", value_parser = value_parser!(u32).range(0..=1000))]
    pause: Vec<u32>,

    /// How many milliseconds each run takes [default: 20; on a busy machine 60, and 200 at
    /// a lower priority; 30 and 100 with --full]
    #[arg(long, value_name = "MS", value_parser = value_parser!(u32).range(1..=60_000))]
    duration: Option<u32>,

    /// How often each variant gets its turn [default: 5, or 7 with --full]
    #[arg(long, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// For how many seconds what is near the limit of a goal is measured again, until it is clear
    /// of it [default: a third of what the rest takes, and at least 10]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(0..=3600))]
    extra: Option<u32>,

    /// What else runs meanwhile, each by itself [default: idle,busy, or all with --full]
    #[arg(long, value_delimiter = ',', value_enum)]
    conditions: Vec<Condition>,

    /// On how busy a machine: so many threads compute beside what is measured. Without
    /// --conditions, only the busy ones of these are measured [default: two for each core]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=512))]
    busy: Option<u32>,

    /// Only on one core, as --conditions one-core,busy-one-core
    #[arg(long, conflicts_with = "conditions")]
    one_core: bool,

    /// How the cost grows with the threads: 2 to 64 that contend, 10 to 10,000 that are woken.
    /// Without --conditions, on an idle machine alone
    #[arg(long, conflicts_with = "full")]
    curves: bool,

    /// The whole matrix: 2, 4, 8, 16 and 32 threads, five sections, three pauses
    #[arg(long)]
    full: bool,

    /// Count futex calls as well, by strace, in runs of their own
    #[arg(long)]
    futex_calls: bool,

    /// Where results.csv and the plots go [default: contention/ in the target folder]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,

    /// Name all cases and variants, and measure nothing
    #[arg(long)]
    list: bool,

    /// Run once, and print the number of acquisitions: what is run under strace.
    #[arg(long, hide = true)]
    count: bool,

    /// Only compute, with so many threads: what runs beside what is measured.
    #[arg(long, hide = true)]
    compute: Option<u32>,

    /// Print what so many waiters for this take of the heap: a process of its own.
    #[arg(long, hide = true)]
    heap_of: Option<String>,

    /// cargo says so to each benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn conditions(&self) -> Vec<Condition> {
        use Condition::{Busy, BusyOneCore, Idle, LowerPriority, OneCore};
        match (self.one_core, self.busy) {
            _ if !self.conditions.is_empty() => self.conditions.clone(),
            (true, None) => vec![OneCore, BusyOneCore],
            (true, Some(_)) => vec![BusyOneCore],
            (false, Some(_)) => vec![Busy, LowerPriority],
            (false, None) if self.curves => vec![Idle],
            (false, None) if self.full => load::ALL.to_vec(),
            (false, None) => vec![Idle, Busy],
        }
    }

    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.full { 7 } else { 5 })
    }

    fn measures_memory(&self) -> bool {
        let usual = self.cases.is_empty() && (self.full || self.curves);
        usual || self.cases.contains(&Case::Memory)
    }

    fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let mut words = self.only.iter().map(|word| word.to_lowercase());
        self.only.is_empty() || words.any(|word| name.contains(&word))
    }

    fn extra(&self, plan: &Plan) -> Duration {
        let usual = (plan.expected() / 3).max(Duration::from_secs(10));
        self.extra
            .map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    }

    fn busy(&self) -> u32 {
        self.busy.unwrap_or(2 * os::cores() as u32)
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Case {
    /// What each primitive costs that nobody else wants
    Uncontended,
    /// There and back between two threads
    PingPong,
    /// Rounds of a barrier of 2, 10 and 40 threads
    Barriers,
    /// Waking 10, 100 and 1000 threads that wait for the same
    Wakes,
    /// Locks that many threads want
    Locks,
    /// The reentrant ones
    Rlocks,
    /// Semaphores: 8 threads on 3 permits, 22 on 5
    Semaphores,
    /// Locks that 8 and 32 threads want, for longer: who gets how much
    Fairness,
    /// What 10 to 10,000 waiters take of the heap, and how large what they wait for is
    Memory,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(threads) = args.compute {
        load::compute(threads);
    }
    if let Some(name) = &args.heap_of {
        let heap = memory::of(name, args.threads[0]).expect("one of those that are measured");
        println!("{heap}");
        return ExitCode::SUCCESS;
    }
    let plan = Plan::new(&args);
    if plan.jobs.is_empty() && !args.measures_memory() {
        let message = "no variant of these cases has such a name: --list names all";
        Args::command()
            .error(ErrorKind::ValueValidation, message)
            .exit();
    }
    if args.list {
        plan.list();
        println!("in about {}", report::minutes(plan.expected()));
        return ExitCode::SUCCESS;
    }
    if args.count {
        println!("{}", plan.count());
        return ExitCode::SUCCESS;
    }
    match measure(&args, &plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("contention: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args, plan: &Plan) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        eprintln!("This is not optimized, and its figures mean nothing: use `cargo bench`.");
    }
    let output = args.output.clone().unwrap_or_else(default_output);
    std::fs::create_dir_all(&output)
        .map_err(|error| format!("cannot make {}: {error}", output.display()))?;
    // Before anything else runs.
    let mut machine = machine::description();
    contend::prepare();
    for (name, what) in &machine {
        println!("{name}: {what}");
    }
    println!(
        "{} rounds: about {}, and up to {} more for what is near the limit of a goal.",
        args.rounds(),
        report::minutes(plan.expected()),
        report::minutes(args.extra(plan)),
    );

    let mut results = Results::new(plan);
    let goals = goals::of(&results);
    let mut turns = Turns::new(args, plan);
    let rounds = args.rounds() as usize;
    for round in 0..rounds {
        turns.round(round, |_, _| true, &mut results)?;
    }
    let end = Instant::now() + args.extra(plan);
    for round in rounds..5 * rounds {
        let open = goals::open(&goals, &results);
        if open.is_empty() || Instant::now() > end {
            break;
        }
        let which = |number, clock| open.contains(&(number, clock));
        turns.round(round, which, &mut results)?;
    }
    if let Some((name, what)) = machine::course(&turns.end()) {
        println!("{name}: {what}");
        machine.push((name, what));
    }

    if args.futex_calls {
        if let Err(why) = futex_calls::count(plan, &mut results) {
            eprintln!("Futex calls were NOT COUNTED: {why}.");
        }
    }
    let footprints = memory::measure(args)?;
    report::print(plan, &results);
    memory::print(&footprints);
    goals::print(&goals, &results, args.rounds());
    report::write_csv(&machine, &results, &output.join("results.csv"))?;
    plot::write(&results, &footprints, &output)?;
    if !footprints.is_empty() {
        memory::write_csv(&footprints, &output.join("memory.csv"))?;
    }
    println!("\nresults.csv and the plots are in {}", output.display());
    Ok(())
}

/// The variants' turns, one after the other.
struct Turns<'a> {
    plan: &'a Plan,
    busy: u32,
    bar: ProgressBar,
    watch: Watch,
    /// What a foreign cache line took before each round.
    transfers: Vec<f64>,
}

impl<'a> Turns<'a> {
    fn new(args: &Args, plan: &'a Plan) -> Self {
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template("{bar:40} {percent:>3} %, {eta} left  {msg}")
                .expect("a template that is right"),
        );
        bar.set_length(plan.expected().as_millis() as u64);
        Self {
            plan,
            busy: args.busy(),
            bar,
            watch: Watch::start(),
            transfers: Vec::new(),
        }
    }

    /// One round of those jobs, in each condition that they have.
    fn round(
        &mut self,
        round: usize,
        which: impl Fn(usize, Clock) -> bool,
        results: &mut Results,
    ) -> io::Result<()> {
        self.transfers.extend(machine::foreign_cache_line());
        for &condition in load::ALL {
            let jobs = self.plan.jobs.iter().enumerate();
            let turns: Vec<_> = jobs
                .filter(|(_, job)| job.condition == condition)
                .flat_map(|(number, job)| {
                    let turns = job.turns(round).into_iter();
                    turns.map(move |(variant, clock)| (number, job, variant, clock))
                })
                .filter(|&(number, _, _, clock)| which(number, clock))
                .collect();
            if turns.is_empty() {
                continue;
            }
            let _load = Load::start(condition, self.busy)?;
            for (number, job, variant, clock) in turns {
                self.bar.set_message(job.name());
                self.watch.begin(job, job.variants()[variant]);
                results.jobs[number].add(variant, job.run(variant, clock));
                self.bar.inc(job.expected_of_turn().as_millis() as u64);
            }
        }
        Ok(())
    }

    /// Returns what a foreign cache line took.
    fn end(self) -> Vec<f64> {
        self.bar.finish_and_clear();
        self.watch.end();
        self.transfers
    }
}

/// Ends the program where a run does not end, and says which one it was: a lost wake-up would keep
/// it waiting for ever, and in silence.
struct Watch {
    /// What runs, and by when it has to be over.
    running: Arc<Mutex<Option<(String, Instant)>>>,
}

impl Watch {
    fn start() -> Self {
        let running = Arc::new(Mutex::new(None::<(String, Instant)>));
        let watched = Arc::clone(&running);
        // It looks now and then: to be told of each end would disturb what is measured.
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                let running = watched.lock().unwrap();
                if let Some((what, _)) = running.as_ref().filter(|(_, end)| *end < Instant::now()) {
                    eprintln!("contention: this does not come to an end: {what}");
                    process::exit(1);
                }
            }
        });
        Self { running }
    }

    fn begin(&self, job: &Job, variant: &str) {
        let limit = Duration::from_secs(60) + 10 * job.expected_of_turn();
        let what = format!("{variant} in {}", job.name());
        *self.running.lock().unwrap() = Some((what, Instant::now() + limit));
    }

    fn end(self) {
        *self.running.lock().unwrap() = None;
    }
}

/// Where this runs from is within the target folder, wherever that is.
fn default_output() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists());
    target
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("contention")
}
