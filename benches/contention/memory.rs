//! What waiters take of the heap. What is on their stacks is not counted: they have these anyway.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;

use crate::Args;
use crate::os;
use crate::plan::{WAITERS, or_usual};
use crate::report::Table;
use crate::timed::{self, spawn};
use crate::variants::*;

/// Counts the bytes that are in use, where that is asked for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static IN_USE: AtomicI64 = AtomicI64::new(0);

/// Where it is not asked for this is one load of a line that nobody writes.
fn count(bytes: i64) {
    if COUNTS.load(Ordering::Relaxed) {
        IN_USE.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does all of it, with what it is given. The default
// `alloc_zeroed` and `realloc` are made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Something that can be waited for, and how many bytes of the heap so many waiters take.
struct Variant {
    name: &'static str,
    size: usize,
    heap: fn(usize) -> i64,
}

/// An object that threads wait for until it lets all of them through.
const fn signal<S: Signal>(name: &'static str) -> Variant {
    Variant {
        name,
        size: size_of::<S>(),
        heap: |waiters| {
            let signal = S::new(waiters);
            let wait = || signal.wait();
            heap_of(waiters, wait, |count| {
                count();
                signal.set();
            })
        },
    }
}

/// One that lets them through one by one.
const fn pair<P: Pair>(name: &'static str) -> Variant {
    Variant {
        name,
        size: size_of::<P>(),
        heap: |waiters| {
            let pair = P::new(1);
            heap_of(waiters, || pair.with(|| ()), |count| pair.with(count))
        },
    }
}

/// `hold` keeps the waiters waiting while it counts.
fn heap_of(waiters: usize, wait: impl Fn() + Sync, hold: impl FnOnce(&mut dyn FnMut())) -> i64 {
    let (came, go, waits) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        AtomicUsize::new(0),
    );
    let waiter = || {
        came.fetch_add(1, Ordering::Relaxed);
        while !go.load(Ordering::Acquire) {
            thread::park();
        }
        waits.fetch_add(1, Ordering::Relaxed);
        wait();
    };
    let all = |counter: &AtomicUsize| {
        while counter.load(Ordering::Relaxed) < waiters {
            thread::yield_now();
        }
        os::until_all_others_sleep(waiters);
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..waiters).map(|_| spawn(scope, waiter)).collect();
        all(&came);
        let mut heap = 0;
        hold(&mut || {
            COUNTS.store(true, Ordering::Relaxed);
            go.store(true, Ordering::Release);
            threads.iter().for_each(|thread| thread.thread().unpark());
            all(&waits);
            COUNTS.store(false, Ordering::Relaxed);
            heap = IN_USE.load(Ordering::Relaxed);
        });
        heap
    })
}

const VARIANTS: &[Variant] = &[
    signal::<racefree::Event>("racefree Event"),
    signal::<ConditionEvent>(timed::CONDITION),
    signal::<LastParty<racefree::Barrier>>("racefree Barrier"),
    pair::<OwnMutex>("racefree Mutex"),
    pair::<racefree::Semaphore>("racefree Semaphore"),
    signal::<rsevents::ManualResetEvent>(timed::RSEVENTS),
    signal::<StdCondvar>("std Condvar"),
    signal::<ParkingLotCondvar>("parking_lot Condvar"),
    signal::<UsyncCondvar>("usync Condvar"),
    signal::<LastParty<std::sync::Barrier>>("std Barrier"),
    pair::<TokioSemaphore>("tokio Semaphore"),
    pair::<AsyncLockSemaphore>("async-lock Semaphore"),
];

/// What was found of one variant.
pub(crate) struct Footprint {
    pub(crate) name: &'static str,
    pub(crate) waiters: u32,
    size: usize,
    /// For each waiter.
    pub(crate) heap: f64,
}

/// Each in a process of its own: some tables grow with the first waiters, and stay.
pub(crate) fn measure(args: &Args) -> Result<Vec<Footprint>, Box<dyn Error>> {
    let mut footprints = Vec::new();
    if !args.measures_memory() {
        return Ok(footprints);
    }
    let usual = if args.curves { WAITERS } else { &[10, 1000] };
    for variant in VARIANTS.iter().filter(|variant| args.wants(variant.name)) {
        for waiters in or_usual(&args.threads, usual) {
            let output = Command::new(env::current_exe()?)
                .args(["--heap-of", variant.name, "--threads", &waiters.to_string()])
                .output()?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("{} of {waiters}: {}", variant.name, why.trim()).into());
            }
            let heap: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
            footprints.push(Footprint {
                name: variant.name,
                waiters,
                size: variant.size,
                heap: heap / f64::from(waiters),
            });
        }
    }
    Ok(footprints)
}

/// What the process of one does.
pub(crate) fn of(name: &str, waiters: u32) -> Option<i64> {
    let variant = VARIANTS.iter().find(|variant| variant.name == name)?;
    Some((variant.heap)(waiters as usize))
}

const HEAD: [&str; 4] = ["variant", "size", "waiters", "heap for each"];

impl Footprint {
    fn cells(&self) -> [String; 4] {
        [
            self.name.to_string(),
            self.size.to_string(),
            self.waiters.to_string(),
            format!("{:.1}", self.heap),
        ]
    }
}

pub(crate) fn print(footprints: &[Footprint]) {
    if footprints.is_empty() {
        return;
    }
    println!("\nmemory: bytes of what is waited for, and of the heap for each waiter\n");
    let mut table = Table::new(&HEAD);
    for footprint in footprints {
        table.row(footprint.cells().to_vec());
    }
    table.print();
}

pub(crate) fn write_csv(footprints: &[Footprint], path: &Path) -> Result<(), String> {
    let mut csv = String::from("variant,size_bytes,waiters,heap_bytes_per_waiter\n");
    for footprint in footprints {
        // A name may have a comma in it.
        let [name, rest @ ..] = footprint.cells();
        let _ = writeln!(csv, "\"{name}\",{}", rest.join(","));
    }
    fs::write(path, csv).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
