//! Runs one thing so many times, and says nothing: for scripts/counts, which counts the
//! instructions or the futex calls that it takes.

#[path = "contention/os.rs"]
#[expect(dead_code, reason = "the laboratory uses what is left of it")]
mod os;
#[path = "contention/timed.rs"]
#[expect(dead_code, reason = "the laboratory uses what is left of it")]
mod timed;
#[path = "contention/variants.rs"]
#[expect(dead_code, reason = "the laboratory uses what is left of it")]
mod variants;

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, builder::PossibleValuesParser};
use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, Mutex, RLock, Semaphore};
use timed::{barrier_of_one, is_set, nested, pair, set_and_clear, wait_when_set};
use variants::{ConditionEvent, OwnMutex};

/// Runs one of the things that scripts/counts counts.
#[derive(Parser)]
struct Args {
    /// Which
    #[arg(value_parser = PossibleValuesParser::new(names()), required_unless_present = "list")]
    name: Option<String>,

    /// How many times
    #[arg(default_value_t = 1)]
    times: u64,

    /// Name all that nobody disturbs (`alone`), or all with threads that sleep (`asleep`)
    #[arg(long, value_parser = ["alone", "asleep"])]
    list: Option<String>,

    /// cargo says so to each benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

type Named<F> = (&'static str, F);
type Timed = fn(u64) -> Duration;

/// What makes no system call, as nobody waits.
const ALONE: &[Named<Timed>] = &[
    ("lock", pair::<Lock>),
    ("mutex", pair::<OwnMutex>),
    ("rlock", pair::<RLock>),
    ("rlock-nested", nested::<RLock>),
    ("semaphore", pair::<Semaphore>),
    ("bounded-semaphore", pair::<BoundedSemaphore>),
    ("event-is-set", is_set),
    ("event-wait-when-set", wait_when_set::<Event>),
    ("event-set-and-clear", set_and_clear::<Event>),
    ("condition-set-and-clear", set_and_clear::<ConditionEvent>),
    ("barrier-of-one", barrier_of_one),
];

/// What wakes threads that sleep. One that is woken gives back what it then has, too.
const ASLEEP: &[Named<fn(u64)>] = &[
    ("lock-and-one", |rounds| {
        let lock = Lock::new();
        let give_back = || lock.release().expect("it is held");
        let wait = || {
            lock.acquire();
            give_back();
        };
        wake_up(rounds, 1, || lock.acquire(), wait, give_back);
    }),
    ("mutex-and-one", |rounds| {
        let mutex = Mutex::new(());
        let held = RefCell::new(None);
        wake_up(
            rounds,
            1,
            || *held.borrow_mut() = Some(mutex.lock()),
            || drop(mutex.lock()),
            || *held.borrow_mut() = None,
        );
    }),
    ("rlock-and-one", |rounds| {
        let lock = RLock::new();
        let give_back = || lock.release().expect("it is held");
        let wait = || {
            lock.acquire();
            give_back();
        };
        wake_up(rounds, 1, || lock.acquire(), wait, give_back);
    }),
    ("semaphore-and-one", |rounds| {
        let semaphore = Semaphore::new(0);
        let wake = || semaphore.release().expect("there is room");
        wake_up(rounds, 1, || (), || semaphore.acquire(), wake);
    }),
    ("semaphore-and-four", |rounds| {
        let semaphore = Semaphore::new(0);
        let wake = || semaphore.release_n(4).expect("there is room");
        wake_up(rounds, 4, || (), || semaphore.acquire(), wake);
    }),
    ("event-and-four", |rounds| {
        let event = Event::new();
        wake_up(rounds, 4, || event.clear(), || event.wait(), || event.set());
    }),
    ("condition-and-four", |rounds| {
        let condition = Condition::with_lock(Lock::new());
        let wait = || {
            let _guard = condition.guard();
            condition.wait().expect("it is held");
        };
        let wake = || {
            let _guard = condition.guard();
            condition.notify_all().expect("it is held");
        };
        wake_up(rounds, 4, || (), wait, wake);
    }),
    ("barrier-of-four", |rounds| {
        let barrier = Barrier::new(4);
        let wait = || {
            barrier.wait().expect("nobody breaks it");
        };
        wake_up(rounds, 3, || (), wait, wait);
    }),
];

/// In each round lets so many threads go to sleep in `wait`, and then wakes them. Nothing else here
/// makes a futex call.
fn wake_up(rounds: u64, threads: u64, prepare: impl Fn(), wait: impl Fn() + Sync, wake: impl Fn()) {
    let (round, came, went) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let until = |counter: &AtomicU64, number: u64| {
        while counter.load(Ordering::Acquire) < number {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for number in 1..=rounds {
                    until(&round, number);
                    came.fetch_add(1, Ordering::AcqRel);
                    wait();
                    went.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        for number in 1..=rounds {
            prepare();
            round.store(number, Ordering::Release);
            until(&came, number * threads);
            os::until_all_others_sleep(threads as usize);
            wake();
            until(&went, number * threads);
        }
    });
}

fn names() -> Vec<&'static str> {
    let alone = ALONE.iter().map(|(name, _)| *name);
    alone.chain(ASLEEP.iter().map(|(name, _)| *name)).collect()
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.list.as_deref() {
        Some("alone") => ALONE.iter().for_each(|(name, _)| println!("{name}")),
        Some(_) => ASLEEP.iter().for_each(|(name, _)| println!("{name}")),
        None => {}
    }
    let Some(wanted) = args.name else {
        return ExitCode::SUCCESS;
    };
    for (name, run) in ALONE {
        if *name == wanted {
            run(args.times);
        }
    }
    for (name, run) in ASLEEP {
        if *name == wanted {
            run(args.times);
        }
    }
    ExitCode::SUCCESS
}
