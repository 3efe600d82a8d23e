//! The programs that threading tutorials teach, at their full size, as assertions.

use std::fs;
use std::mem;
use std::panic;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, ReleaseError};

/// Longer than anything here takes, however busy the machine: what takes longer, hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `program`, and fails if it hangs, as it would if a wake got lost.
fn run(program: impl FnOnce() + Send + 'static) {
    let (ends, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _ends = ends;
        program();
    });
    if ended.recv_timeout(6 * PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("the program hangs");
    }
    if let Err(panicked) = thread.join() {
        panic::resume_unwind(panicked);
    }
}

/// Waits until `condition` holds, and says whether it ever did.
fn comes_true(condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Threads that each say when they are about to wait; then they can be waited for until they do.
#[derive(Default)]
struct Sleepers(Mutex<Vec<PathBuf>>);

impl Sleepers {
    /// Called by a thread before it waits.
    fn add_me(&self) {
        let me = fs::read_link("/proc/thread-self").unwrap_or_default();
        self.0.lock().unwrap().push(PathBuf::from("/proc").join(me));
    }

    /// Waits until `count` threads sleep, says whether they ever did, and forgets them.
    fn are_asleep(&self, count: u64) -> bool {
        let all_here = comes_true(|| self.0.lock().unwrap().len() as u64 == count);
        let threads = mem::take(&mut *self.0.lock().unwrap());
        if !cfg!(target_os = "linux") {
            // Only Linux tells whether a thread sleeps.
            thread::sleep(Duration::from_millis(100));
            return all_here;
        }
        let sleeps = |thread: &PathBuf| {
            fs::read_to_string(thread.join("status"))
                .is_ok_and(|status| status.contains("\nState:\tS"))
        };
        all_here && comes_true(|| threads.iter().all(sleeps))
    }
}

/// Adds to `number` in two steps, so that an update gets lost if two threads do so at once.
fn add(number: &AtomicU64, change: u64) {
    number.store(number.load(Relaxed).wrapping_add(change), Relaxed);
}

#[test]
fn counter_race_loses_nothing_under_a_lock() {
    run(|| {
        let lock = Lock::new();
        let counter = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..1_000_000 {
                        let _guard = lock.guard();
                        add(&counter, 1);
                    }
                });
            }
        });
        assert_eq!(counter.into_inner(), 2_000_000);
    });
}

#[test]
fn a_hundred_decrements_end_at_zero() {
    run(|| {
        let lock = Lock::new();
        let n = AtomicU64::new(100);
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    lock.acquire();
                    let read = n.load(Relaxed);
                    thread::sleep(Duration::from_millis(1));
                    n.store(read - 1, Relaxed);
                    lock.release().unwrap();
                });
            }
        });
        assert_eq!(n.into_inner(), 0);
        assert!(!lock.locked());
    });
}

/// 22 people and fewer stalls: the first ones stay inside until the others have come and wait.
fn toilet(stalls: u32) {
    const PEOPLE: u32 = 22;
    let free = BoundedSemaphore::new(stalls);
    let inside = AtomicU32::new(0);
    let most = AtomicU32::new(0);
    let done = AtomicU32::new(0);
    let leave = Event::new();
    let sleepers = Sleepers::default();
    thread::scope(|scope| {
        for _ in 0..PEOPLE {
            scope.spawn(|| {
                sleepers.add_me();
                let _stall = free.guard();
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                assert!(leave.wait_timeout(2 * PATIENCE));
                inside.fetch_sub(1, SeqCst);
                done.fetch_add(1, SeqCst);
            });
        }
        // All sleep, some inside and the others in front of a stall.
        assert!(sleepers.are_asleep(PEOPLE.into()));
        assert_eq!(inside.load(SeqCst), stalls);
        assert_eq!(free.value(), 0);
        assert!(!free.try_acquire());
        leave.set();
    });
    assert_eq!(most.into_inner(), stalls);
    assert_eq!(done.into_inner(), PEOPLE);
    assert_eq!(free.value(), stalls);

    assert_eq!(free.release(), Err(ReleaseError::TooManyReleases));
    assert_eq!(free.value(), stalls);
    let taken = (0..=stalls).take_while(|_| free.try_acquire()).count();
    assert_eq!(taken, stalls as usize, "as many as there are, and no more");
}

#[test]
fn toilet_with_5_stalls() {
    run(|| toilet(5));
}

#[test]
fn toilet_with_3_stalls() {
    run(|| toilet(3));
}

#[test]
fn cars_run_on_green_and_wait_on_red() {
    const CARS: u64 = 8;
    const CYCLES: u64 = 30;
    run(|| {
        let light = Event::new();
        // How often the light began to turn green, and how often it was done.
        let (turning, turned) = (AtomicU64::new(0), AtomicU64::new(0));
        let at_red = AtomicU64::new(0);
        let moves = AtomicU64::new(0);
        let closed = Event::new();
        thread::scope(|scope| {
            for _ in 0..CARS {
                scope.spawn(|| {
                    while !closed.is_set() {
                        let greens = turned.load(SeqCst);
                        if !light.is_set() {
                            at_red.fetch_add(1, SeqCst);
                            assert!(light.wait_timeout(PATIENCE));
                            // It was red after those greens, so another one must have come.
                            assert!(turning.load(SeqCst) > greens, "moved on red");
                            at_red.fetch_sub(1, SeqCst);
                        }
                        moves.fetch_add(1, SeqCst);
                    }
                });
            }
            for _ in 0..CYCLES {
                // On red: all wait, and nobody moves.
                assert!(comes_true(|| at_red.load(SeqCst) == CARS));
                let before = moves.load(SeqCst);
                thread::yield_now();
                assert_eq!(moves.load(SeqCst), before);

                turning.fetch_add(1, SeqCst);
                light.set();
                turned.fetch_add(1, SeqCst);
                // On green: nobody waits, and they move, again and again.
                assert!(comes_true(|| at_red.load(SeqCst) == 0));
                let before = moves.load(SeqCst);
                assert!(comes_true(|| moves.load(SeqCst) >= before + 2 * CARS));
                light.clear();
            }
            closed.set();
            turning.fetch_add(1, SeqCst);
            light.set();
        });
    });
}

#[test]
fn a_green_pulse_frees_every_waiting_car() {
    const CARS: u64 = 8;
    const PULSES: u64 = 50;
    run(|| {
        let light = Event::new();
        let moves = AtomicU64::new(0);
        let pulses = AtomicU64::new(0);
        let sleepers = Sleepers::default();
        thread::scope(|scope| {
            for _ in 0..CARS {
                scope.spawn(|| {
                    for pulse in 0..PULSES {
                        // Not before the pulse is over: it would let a car through twice.
                        assert!(comes_true(|| pulses.load(SeqCst) == pulse));
                        sleepers.add_me();
                        assert!(light.wait_timeout(PATIENCE), "the pulse was missed");
                        moves.fetch_add(1, SeqCst);
                    }
                });
            }
            for pulse in 0..PULSES {
                assert!(sleepers.are_asleep(CARS));
                assert_eq!(moves.load(SeqCst), CARS * pulse);
                light.set();
                light.clear();
                pulses.fetch_add(1, SeqCst);
            }
        });
        assert_eq!(moves.into_inner(), CARS * PULSES);
        assert!(!light.is_set());
    });
}

#[test]
fn a_recursive_lock_is_taken_twice_by_ten_threads() {
    run(|| {
        let lock = RLock::new();
        let counter = AtomicU64::new(0);
        let (lock, counter) = (&lock, &counter);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let _outer = lock.guard();
                        add(counter, 1);
                        {
                            let _inner = lock.guard();
                            assert_eq!(lock.recursion_count(), 2);
                            add(counter, 1);
                        }
                        // The inner release has let nobody in.
                        assert_eq!(lock.recursion_count(), 1);
                        add(counter, 1);
                    }
                });
            }
        });
        assert_eq!(counter.load(Relaxed), 3 * 10 * 10_000);
        assert!(!lock.locked());
    });
}

#[test]
fn a_recursive_lock_is_released_by_its_owner_alone() {
    run(|| {
        let lock = RLock::new();
        lock.acquire();
        lock.acquire();
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    assert!(!lock.is_owned());
                    assert_eq!(lock.recursion_count(), 0);
                    assert!(!lock.try_acquire());
                    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
                });
            }
        });
        assert_eq!(lock.recursion_count(), 2);
        lock.release().unwrap();
        lock.release().unwrap();
        assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    });
}

/// A buffer with room for a few, between producers and consumers: two conditions share a lock.
#[test]
fn bounded_buffer() {
    const ROOM: usize = 3;
    const PRODUCERS: u64 = 4;
    const CONSUMERS: u64 = 3;
    const ITEMS: u64 = 30_000;
    run(|| {
        let lock = Lock::new();
        let not_full = Condition::with_lock(&lock);
        let not_empty = Condition::with_lock(&lock);
        // Free whenever it is wanted: who has it has the lock above.
        let items = racefree::Mutex::new(Vec::new());
        let sum = AtomicU64::new(0);
        thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                let (not_full, not_empty, items) = (&not_full, &not_empty, &items);
                scope.spawn(move || {
                    for item in (producer..ITEMS).step_by(PRODUCERS as usize) {
                        let _guard = not_full.guard();
                        not_full.wait_for(|| items.lock().len() < ROOM).unwrap();
                        let mut items = items.try_lock().expect("nobody else has it");
                        items.push(item);
                        not_empty.notify(1).unwrap();
                    }
                });
            }
            for _ in 0..CONSUMERS {
                scope.spawn(|| {
                    for _ in 0..ITEMS / CONSUMERS {
                        let _guard = not_empty.guard();
                        not_empty.wait_for(|| !items.lock().is_empty()).unwrap();
                        let mut items = items.try_lock().expect("nobody else has it");
                        assert!(items.len() <= ROOM);
                        sum.fetch_add(items.pop().unwrap(), Relaxed);
                        not_full.notify(1).unwrap();
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), ITEMS * (ITEMS - 1) / 2);
        assert!(items.into_inner().is_empty());
    });
}

/// Nobody starts before the last has come, race after race.
#[test]
fn starting_gate() {
    const RUNNERS: u32 = 8;
    const RACES: u32 = 500;
    run(|| {
        let at_the_gate = AtomicU32::new(0);
        let gate = Barrier::new(RUNNERS as usize);
        let first = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..RUNNERS {
                scope.spawn(|| {
                    for race in 1..=RACES {
                        at_the_gate.fetch_add(1, Relaxed);
                        if gate.wait().unwrap() == 0 {
                            first.fetch_add(1, Relaxed);
                        }
                        assert!(at_the_gate.load(Relaxed) >= race * RUNNERS);
                    }
                });
            }
        });
        assert_eq!(first.into_inner(), RACES);
    });
}
