//! Many threads that want the same: how often each gets it, and how long it waits.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use crate::variants::*;

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Setting {
    pub(crate) threads: u32,
    pub(crate) permits: u32,
    /// Work while holding, in nanoseconds.
    pub(crate) section: u32,
    /// Work between two acquisitions, in nanoseconds.
    pub(crate) pause: u32,
}

/// One variant that can be contended for.
pub(crate) struct Contender {
    /// Begins with `racefree`, if it is not a peer.
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Setting, Duration, Clock) -> Sample,
}

const fn contender<P: Pair>(name: &'static str) -> Contender {
    Contender {
        name,
        run: contend::<P>,
    }
}

pub(crate) const LOCKS: &[Contender] = &[
    contender::<racefree::Lock>("racefree Lock"),
    contender::<OwnMutex>("racefree Mutex"),
    contender::<StdMutex>("std Mutex"),
    contender::<ParkingLotMutex>("parking_lot Mutex"),
    contender::<UsyncMutex>("usync Mutex"),
];

pub(crate) const RLOCKS: &[Contender] = &[
    contender::<racefree::RLock>("racefree RLock"),
    contender::<ParkingLotReentrant>("parking_lot ReentrantMutex"),
    contender::<UsyncReentrant>("usync ReentrantMutex"),
];

pub(crate) const SEMAPHORES: &[Contender] = &[
    contender::<racefree::Semaphore>("racefree Semaphore"),
    contender::<racefree::BoundedSemaphore>("racefree BoundedSemaphore"),
    contender::<TokioSemaphore>("tokio Semaphore"),
    contender::<AsyncLockSemaphore>("async-lock Semaphore"),
    contender::<StdSemaphore>("std-semaphore"),
];

/// Whether each acquisition is timed. Two readings of the clock cost more than an uncontended lock,
/// so throughput is measured without them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Clock {
    Off,
    On,
}

pub(crate) struct Sample {
    pub(crate) elapsed: Duration,
    /// How often each thread had it.
    pub(crate) acquisitions: Vec<u64>,
    /// Nanoseconds waited, if the clock was on.
    pub(crate) waits: Histogram<u64>,
}

/// A histogram of nanoseconds, up to a minute, to 1 %.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds that fit")
}

fn contend<P: Pair>(setting: &Setting, duration: Duration, clock: Clock) -> Sample {
    // Each alone on its cache lines: where they lie on one, whoever looks whether to stop takes it
    // from who has the lock, and how they lie is another with each variant.
    let pair = CachePadded::new(P::new(setting.permits));
    let stop = CachePadded::new(AtomicBool::new(false));
    let (section, pause) = (steps(setting.section), steps(setting.pause));
    let ready = Barrier::new(setting.threads as usize + 1);
    let start = OnceLock::new();
    let body = || {
        let mut acquisitions = 0;
        let mut waits = histogram();
        ready.wait();
        // Whoever comes first: the one that sleeps for the duration may be late.
        start.get_or_init(Instant::now);
        while !stop.load(Ordering::Relaxed) {
            if clock == Clock::On {
                let asked = Instant::now();
                let waited = pair.with(|| {
                    let waited = asked.elapsed();
                    work(section);
                    waited
                });
                waits.saturating_record(waited.as_nanos() as u64);
            } else {
                pair.with(|| work(section));
            }
            acquisitions += 1;
            work(pause);
        }
        (acquisitions, waits)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..setting.threads).map(|_| scope.spawn(body)).collect();
        ready.wait();
        thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        let elapsed = start.get_or_init(Instant::now).elapsed();
        let mut sample = Sample {
            elapsed,
            acquisitions: Vec::new(),
            waits: histogram(),
        };
        for thread in threads {
            let (acquisitions, waits) = thread.join().unwrap();
            sample.acquisitions.push(acquisitions);
            sample.waits.add(waits).expect("the same bounds");
        }
        sample
    })
}

/// Keeps this core busy, with nothing but steps that have to wait for one another. The same code for
/// all variants; and the compiler cannot make one multiplication of several, as without the turn.
#[inline(never)]
fn work(steps: u64) {
    let mut product = black_box(3_u64);
    for _ in 0..steps {
        product = product.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    black_box(product);
}

/// Measures what has to be known before the first sample, while nothing else runs.
pub(crate) fn prepare() {
    steps(0);
}

/// How many steps of work so many nanoseconds are: measured once, as the clock is too slow to be
/// asked in a critical section.
fn steps(nanoseconds: u32) -> u64 {
    static STEPS_A_NANOSECOND: OnceLock<f64> = OnceLock::new();
    let rate = STEPS_A_NANOSECOND.get_or_init(|| {
        const STEPS: u64 = 20_000;
        let times = (0..200).map(|_| {
            let start = Instant::now();
            work(STEPS);
            start.elapsed()
        });
        // The shortest: whatever disturbs makes it longer.
        STEPS as f64 / times.min().expect("200 of them").as_nanos() as f64
    });
    (f64::from(nanoseconds) * rate).round() as u64
}

/// The nanoseconds that one reading of the clock takes.
pub(crate) fn time_of_clock() -> f64 {
    const READINGS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..READINGS {
        black_box(Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READINGS)
}
