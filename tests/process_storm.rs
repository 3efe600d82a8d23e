//! A kill storm: eight processes work on one region, and another kills and replaces them at random.
//! At the end, all permits are there, each item has come once or went with a dead process, and what
//! a lock protects is whole.
//!
//! For two seconds, or for `RACEFREE_SECONDS`.
#![cfg(all(feature = "process", target_os = "linux", not(racefree_parking)))]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use racefree::process::{
    Barrier, BarrierError, BoundedSemaphore, Condition, ConditionError, Lock, LockError, Queue,
    RLock, Shared, Value, shared,
};

const PROCESSES: usize = 8;
const PERMITS: u32 = 3;
const SHORT: Duration = Duration::from_millis(1);

/// How many consumed items are remembered. Items that share a place are far apart.
const PLACES: usize = 1 << 12;

shared! {
    struct Storm {
        lock: Lock,
        /// What the lock protects: they are equal.
        pair: [AtomicU64; 2],
        rlock: RLock,
        permits: BoundedSemaphore,
        queue: Queue<u64, 16>,
        condition: Condition,
        barrier: Barrier,
        value: Value<[u64; 8]>,
        /// The next item; how many were consumed; the last one that was, for each place.
        next: AtomicU64,
        consumed: AtomicU64,
        seen: [AtomicU64; PLACES],
        rounds: AtomicU64,
        /// Deaths that were told, by a lock, a semaphore and a barrier.
        told: [AtomicU32; 3],
    }
}

/// A lock was acquired, or its owner died and the pair is repaired.
fn with_lock(it: &Storm, act: impl FnOnce()) {
    match it.lock.guard() {
        Ok(_guard) => act(),
        Err(LockError::OwnerDied(_guard)) => {
            it.told[0].fetch_add(1, Relaxed);
            it.pair[1].store(it.pair[0].load(Relaxed), Relaxed);
            it.lock.repaired().unwrap();
            act();
        }
        Err(LockError::Lost) => {
            // Its holder died with the news, between the repair and its declaration, at the worst
            // another one takes them over: it is not lost before a release.
            panic!("the lock is lost");
        }
    }
}

fn add_to_pair(it: &Storm) {
    with_lock(it, || {
        let [first, second] = &it.pair;
        assert_eq!(first.load(Relaxed), second.load(Relaxed));
        first.fetch_add(1, Relaxed);
        second.fetch_add(1, Relaxed);
    });
}

fn consume(it: &Storm, item: u64) {
    let before = it.seen[item as usize % PLACES].swap(item, Relaxed);
    assert!(before < item, "{item} after {before}: twice");
    it.consumed.fetch_add(1, Relaxed);
}

fn work(it: &Storm, random: &mut fastrand::Rng) {
    match random.u8(..8) {
        0 => add_to_pair(it),
        1 => {
            let news = it.rlock.acquire();
            if news == Err(LockError::OwnerDied(())) {
                it.rlock.repaired().unwrap();
            }
            it.rlock.acquire().unwrap();
            it.rlock.release().unwrap();
            it.rlock.release().unwrap();
        }
        2 => {
            if let Err(news) = it.permits.acquire() {
                it.told[1].fetch_add(news.permits, Relaxed);
            }
            if random.bool() {
                thread::yield_now();
            }
            it.permits.release().unwrap();
        }
        3 => {
            let item = it.next.fetch_add(1, Relaxed) + 1;
            while it.queue.put_timeout(item, SHORT).is_err() {}
        }
        4 => {
            if let Ok(item) = it.queue.get_timeout(SHORT) {
                consume(it, item);
            }
        }
        5 => {
            if it.condition.acquire().is_err() {
                it.condition.lock().repaired().unwrap();
            }
            match it.condition.wait_timeout(SHORT) {
                Ok(_) => {}
                Err(ConditionError::OwnerDied) => it.condition.lock().repaired().unwrap(),
                Err(error) => panic!("{error}"),
            }
            it.condition.notify(2).unwrap();
            it.condition.release().unwrap();
        }
        6 => {
            if let Err(error) = it.barrier.wait_timeout(SHORT) {
                if matches!(error, BarrierError::ProcessDied { .. }) {
                    it.told[2].fetch_add(1, Relaxed);
                }
                it.barrier.reset();
            }
        }
        _ => {
            it.value.update(|it| it.iter_mut().for_each(|it| *it += 1));
            let value = it.value.get();
            assert_eq!(value, [value[0]; 8]);
        }
    }
    it.rounds.fetch_add(1, Relaxed);
}

/// Starts a process that works until it is killed.
fn start(it: &Storm, seed: u64) -> libc::pid_t {
    // SAFETY: the child uses the region and makes system calls; what it allocates, glibc allows. It
    // ends without returning to the test.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let mut random = fastrand::Rng::with_seed(seed);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                work(it, &mut random);
            }
        }));
        // SAFETY: it ends the process, and runs nothing else.
        unsafe { libc::_exit(99) };
    }
    pid
}

/// Kills a process. It has worked until then.
fn kill(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: signals a child of this process, and waits for its end.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
    assert!(libc::WIFSIGNALED(status), "a worker failed: {status:#x}");
}

#[test]
fn counts_are_conserved() {
    let seconds = std::env::var("RACEFREE_SECONDS").map_or(2, |it| it.parse().unwrap());
    let it = Shared::create(Storm {
        lock: Lock::new(),
        pair: [const { AtomicU64::new(0) }; 2],
        rlock: RLock::new(),
        permits: BoundedSemaphore::new(PERMITS),
        queue: Queue::new(),
        condition: Condition::new(),
        barrier: Barrier::new(2),
        value: Value::new([0; 8]),
        next: AtomicU64::new(0),
        consumed: AtomicU64::new(0),
        seen: [const { AtomicU64::new(0) }; PLACES],
        rounds: AtomicU64::new(0),
        told: [const { AtomicU32::new(0) }; 3],
    })
    .unwrap();
    let mut random = fastrand::Rng::new();
    let mut workers: Vec<_> = (0..PROCESSES).map(|_| start(&it, random.u64(..))).collect();
    let mut kills = 0;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut last = (Instant::now(), 0);
    while Instant::now() < end {
        thread::sleep(Duration::from_micros(random.u64(..4000)));
        let worker = &mut workers[random.usize(..PROCESSES)];
        kill(*worker);
        kills += 1;
        *worker = start(&it, random.u64(..));
        let rounds = it.rounds.load(Relaxed);
        if rounds == last.1 {
            assert!(last.0.elapsed() < Duration::from_secs(10), "all hang");
        } else {
            last = (Instant::now(), rounds);
        }
    }
    for worker in workers {
        kill(worker);
        kills += 1;
    }

    let second = Duration::from_secs(1);
    let start = Instant::now();
    for _ in 0..PERMITS {
        assert_ne!(
            it.permits.acquire_timeout(second),
            Ok(false),
            "a permit is lost"
        );
    }
    assert_eq!(it.permits.try_acquire(), Ok(false), "a permit too many");
    add_to_pair(&it);
    let _ = it.rlock.acquire_timeout(second);
    assert_eq!(it.rlock.recursion_count(), 1);
    while let Ok(item) = it.queue.get_nowait() {
        consume(&it, item);
    }
    let lost = it.next.load(Relaxed) - it.consumed.load(Relaxed);
    assert!(lost <= kills, "{lost} items of {kills} dead processes");
    let value = it.value.get();
    assert_eq!(value, [value[0]; 8]);
    assert!(start.elapsed() < second, "{:?}", start.elapsed());
    println!(
        "{kills} kills, {} rounds, {} items, {lost} of them lost with a process; told: {:?}",
        it.rounds.load(Relaxed),
        it.next.load(Relaxed),
        it.told
    );
}
