//! All primitives at once, in more threads than there are processors: random operations, timeouts,
//! panics and signals, for as long as told. The first violation of what racefree promises ends it.
//!
//! It goes in rounds of about a second. Each has primitives and threads of its own, and at its end,
//! when all is at rest, the books have to balance.

mod figures;
mod room;
mod signals;
mod worker;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{panic, process, thread};

use clap::Parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use figures::{Figures, Slot};
use signals::Targets;
use worker::Worker;
use world::World;

/// Runs all of racefree's primitives at once, and counts what they promise.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 1.0, value_parser = minutes)]
    minutes: f64,
    /// How many threads do random operations [default: 8 for each processor].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// What the random choices begin with, to make the same ones again [default: a new one].
    #[arg(long)]
    seed: Option<u64>,
    /// How many seconds a wait may take that has to end, before it counts as one that hangs.
    #[arg(long, default_value_t = 30)]
    hang: u64,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        // A year, more or less.
        Ok(minutes) if (0.0..=500_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes, as 10 or 0.5".into()),
    }
}

/// How often the one who watches looks.
const LOOK: Duration = Duration::from_millis(50);

fn main() {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let threads = options.threads.map_or_else(
        || 8 * thread::available_parallelism().map_or(2, usize::from),
        usize::from,
    );
    let hang = Duration::from_secs(options.hang);
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    exit_at_a_panic(threads, seed);
    signals::install();

    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {msg}");
    let bar = ProgressBar::new(whole.as_secs()).with_style(style.expect("a template"));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut total = Figures::default();
    let start = Instant::now();
    while total.rounds == 0 || start.elapsed() < whole {
        let left = whole.saturating_sub(start.elapsed());
        let length = Duration::from_millis(random.u64(300..1500)).min(left);
        let before = total.operations;
        total.add(round(&mut random, threads, length, hang, |operations| {
            bar.set_position(start.elapsed().as_secs());
            bar.set_message(format!("{} operations", HumanCount(before + operations)));
        }));
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs();
    println!("soak: no violation in {seconds} s: {total}; {threads} threads, seed {seed}");
}

/// A violation is a panic: it ends all, before the threads that now wait for ever are waited for.
/// The panics that are part of the soak are raised without the hook.
fn exit_at_a_panic(threads: usize, seed: u64) {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        hook(info);
        eprintln!("soak: FAILED; the same choices again: --threads {threads} --seed {seed}");
        process::exit(1);
    }));
}

/// One round.
fn round(
    random: &mut fastrand::Rng,
    threads: usize,
    length: Duration,
    hang: Duration,
    progress: impl Fn(u64),
) -> Figures {
    let world = World::new(random);
    let targets = Targets::default();
    let named = |name: &str, count| -> Vec<_> {
        (0..count)
            .map(|index| Slot::new(format!("{name} {index}")))
            .collect()
    };
    let workers = named("worker", threads);
    let marchers = named("marcher", world::MARCHERS);
    let helper = Slot::new("helper".into());
    let slots = || workers.iter().chain(&marchers).chain([&helper]);
    let sum = Mutex::new(Figures::default());
    let add = |figures| sum.lock().expect("no panic is survived").add(figures);
    let working = AtomicUsize::new(threads);
    let helping = AtomicUsize::new(world::MARCHERS + 2);
    let end = |left: &AtomicUsize| left.fetch_sub(1, Ordering::Release);
    let any = |left: &AtomicUsize| left.load(Ordering::Acquire) > 0;
    let start = Instant::now();
    thread::scope(|scope| {
        // To be borrowed by all the threads.
        let (world, targets, helper, add, working, helping, end, any) = (
            &world, &targets, &helper, &add, &working, &helping, &end, &any,
        );
        for (index, slot) in workers.iter().enumerate() {
            let mut worker = Worker::new(world, slot, random.fork());
            scope.spawn(move || {
                // Only half of them: a signal would end a sleep whose wake was lost.
                let target = (index % 2 == 0).then(|| targets.add_this_thread());
                worker.work();
                drop(target);
                add(worker.figures);
                end(working);
            });
        }
        for slot in &marchers {
            let mut worker = Worker::new(world, slot, random.fork());
            scope.spawn(move || {
                worker.march();
                add(worker.figures);
                end(helping);
            });
        }
        // These two go on until the workers have ended, some of whose waits they are to end.
        let mut worker = Worker::new(world, helper, random.fork());
        scope.spawn(move || {
            while any(working) {
                worker.help();
            }
            add(worker.figures);
            end(helping);
        });
        let mut aim = random.fork();
        scope.spawn(move || {
            let mut figures = Figures::default();
            while any(working) {
                figures.signals += u64::from(targets.send_one(&mut aim));
                figures.sleep(Duration::from_micros(200));
            }
            add(figures);
            end(helping);
        });
        while any(working) || any(helping) {
            thread::sleep(LOOK.min(length));
            if start.elapsed() >= length {
                world.end();
            }
            progress(slots().map(Slot::operations).sum());
            let waiting =
                |limit| -> Vec<_> { slots().filter_map(|it| it.waits_for(limit)).collect() };
            let hanging = waiting(hang);
            if !hanging.is_empty() {
                let all = waiting(Duration::ZERO);
                panic!(
                    "these hang:\n{}\nand all that wait are:\n{}\n{world:?}",
                    hanging.join("\n"),
                    all.join("\n")
                );
            }
        }
    });
    world.balance();
    let mut figures = sum.into_inner().expect("no panic is survived");
    figures.rounds = 1;
    figures
}
