//! Which machine this is, and what the steps take on it that everything here is made of.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::os;
use crate::report;

/// What is told at the head of the output and of the CSV: a name and what there is to it.
pub(crate) fn description() -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("processor", os::processor()),
        ("cores", os::cores().to_string()),
        ("kernel", os::kernel()),
    ];
    let steps = [
        ("pause", Some(each(spin_loop))),
        ("compare-exchange", Some(compare_exchange())),
        ("foreign cache line", foreign_cache_line()),
        ("futex wake of nobody", futex_wake()),
        ("yield", Some(each(thread::yield_now))),
    ];
    for (name, time) in steps {
        lines.push((name, time.map_or("unknown".to_string(), report::time)));
    }
    lines
}

/// The least and the most of what a foreign cache line took in the course of a run.
pub(crate) fn course(times: &[f64]) -> Option<(&'static str, String)> {
    let least = times.iter().copied().reduce(f64::min)?;
    let most = times.iter().copied().reduce(f64::max)?;
    let range = format!("{} to {}", report::time(least), report::time(most));
    Some(("foreign cache line, before each round", range))
}

/// Nanoseconds for each, in the batch that took the least: whatever disturbs makes it longer.
fn each(mut operation: impl FnMut()) -> f64 {
    const BATCHES: u32 = 50;
    const EACH: u32 = 1000;
    let batches = (0..BATCHES).map(|_| {
        let start = Instant::now();
        for _ in 0..EACH {
            operation();
        }
        start.elapsed()
    });
    let least = batches.min().expect("there are some");
    least.as_nanos() as f64 / f64::from(EACH)
}

fn compare_exchange() -> f64 {
    let word = AtomicU32::new(0);
    let word = black_box(&word);
    each(|| {
        let _ = word.compare_exchange(0, 0, Ordering::Acquire, Ordering::Relaxed);
    })
}

/// Until a core sees what another one has written: half of there and back. A virtual machine's cores
/// may be moved, and then it is another.
pub(crate) fn foreign_cache_line() -> Option<f64> {
    const TRIPS: u32 = 2000;
    if os::cores() < 2 {
        return None;
    }
    let word = CachePadded::new(AtomicU32::new(0));
    let play = |core: usize, own: u32| {
        os::pin(core);
        let start = Instant::now();
        for trip in 0..TRIPS {
            while word.load(Ordering::Acquire) != 2 * trip + own {}
            word.store(2 * trip + own + 1, Ordering::Release);
        }
        start.elapsed()
    };
    let batch = |_| {
        word.store(0, Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(|| play(1, 1));
            scope.spawn(|| play(0, 0)).join().unwrap()
        })
    };
    let least: Duration = (0..10).map(batch).min().expect("there are some");
    Some(least.as_nanos() as f64 / f64::from(2 * TRIPS))
}

#[cfg(target_os = "linux")]
fn futex_wake() -> Option<f64> {
    use rustix::thread::futex::{self, Flags};

    let word = AtomicU32::new(0);
    Some(each(|| {
        futex::wake(&word, Flags::PRIVATE, 1).expect("it can be woken on");
    }))
}

#[cfg(not(target_os = "linux"))]
fn futex_wake() -> Option<f64> {
    None
}
