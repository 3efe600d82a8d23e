//! A region whose bytes a sick process overwrites. The others get errors or wrong results; they
//! neither crash nor hang.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use std::{panic, thread};

use racefree::process::{
    Barrier, BoundedSemaphore, BytesQueue, Condition, Event, Lock, Queue, RLock, Semaphore, Shared,
    Value, shared,
};

shared! {
    struct All {
        lock: Lock,
        rlock: RLock,
        semaphore: Semaphore,
        bounded: BoundedSemaphore,
        event: Event,
        condition: Condition,
        barrier: Barrier,
        queue: Queue<[u32; 3], 5>,
        bytes: BytesQueue<6>,
        value: Value<[u64; 3]>,
    }
}

fn all() -> All {
    All {
        lock: Lock::new(),
        rlock: RLock::new(),
        semaphore: Semaphore::new(2),
        bounded: BoundedSemaphore::new(2),
        event: Event::new(),
        condition: Condition::new(),
        barrier: Barrier::new(2),
        queue: Queue::new(),
        bytes: BytesQueue::new(),
        value: Value::new([0; 3]),
    }
}

const SHORT: Duration = Duration::from_millis(1);

/// Each operation, with a timeout where it has one. What it says does not matter.
fn use_all(it: &All) {
    let _ = it.lock.acquire_timeout(SHORT);
    let _ = it.lock.repaired();
    let _ = it.lock.release();
    let _ = it.rlock.acquire_timeout(SHORT);
    let _ = it.rlock.recursion_count();
    let _ = it.rlock.release();
    let _ = it.semaphore.acquire_timeout(SHORT);
    let _ = it.semaphore.release();
    let _ = it.bounded.acquire_timeout(SHORT);
    let _ = it.bounded.release();
    let _ = it.bounded.value();
    let _ = it.event.wait_timeout(SHORT);
    it.event.set();
    it.event.clear();
    let _ = it.condition.acquire_timeout(SHORT);
    let _ = it.condition.notify(3);
    let _ = it.condition.wait_timeout(SHORT);
    while it.condition.release().is_ok() && it.condition.lock().recursion_count() < 3 {}
    let _ = it.barrier.wait_timeout(SHORT);
    it.barrier.abort();
    it.barrier.reset();
    let _ = it.queue.put_timeout([1; 3], SHORT);
    let _ = it.queue.get_timeout(SHORT);
    let _ = it.queue.qsize();
    let _ = it.bytes.put_timeout(b"Ada Lovelace", SHORT);
    let _ = it.bytes.get_timeout(SHORT);
    let _ = it.value.get();
    it.value.set([2; 3]);
    let _ = format!("{:?} {:?} {:?}", it.condition, it.barrier, it.rlock);
}

/// Overwrites words of the region by what is often special.
fn overwrite(region: &Shared<All>, random: &mut fastrand::Rng, words: usize) {
    let file = region.as_file().unwrap();
    let start = (&raw const **region).addr() % 4096;
    // Behind the header: what a process writes there is a lie about who lives.
    let words_of_all = size_of::<All>() / 4;
    for _ in 0..words {
        let at = start + 4 * random.usize(..words_of_all);
        let word = match random.u8(..6) {
            0 => 0,
            1 => u32::MAX,
            2 => random.u32(..10),
            3 => 1 << random.u32(..32),
            4 => u32::MAX - random.u32(..10),
            _ => random.u32(..),
        };
        file.write_all_at(&word.to_ne_bytes(), at as u64).unwrap();
    }
}

#[test]
fn random_words() {
    let seed =
        std::env::var("RACEFREE_SEED").map_or_else(|_| fastrand::u64(..), |it| it.parse().unwrap());
    let rounds = std::env::var("RACEFREE_ROUNDS").map_or(300, |it| it.parse().unwrap());
    println!("RACEFREE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..rounds {
        let region = Shared::create(all()).unwrap();
        use_all(&region);
        let words = 1 << random.u32(..9);
        overwrite(&region, &mut random, words);
        let start = Instant::now();
        // What it counts may overflow, which is told as for threads.
        let used = panic::catch_unwind(panic::AssertUnwindSafe(|| use_all(&region)));
        if let Err(panicked) = used {
            let text = panicked
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_default();
            assert!(text.contains("2^32 - 1 times"), "round {round}: {text}");
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "round {round}: {took:?}");
    }
}

#[test]
fn words_that_change_all_the_time() {
    let mut random = fastrand::Rng::new();
    for _ in 0..5 {
        let region = Shared::create(all()).unwrap();
        thread::scope(|scope| {
            let user = scope.spawn(|| {
                for _ in 0..30 {
                    let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| use_all(&region)));
                }
            });
            let start = Instant::now();
            while !user.is_finished() {
                overwrite(&region, &mut random, 10);
                assert!(start.elapsed() < Duration::from_secs(60), "it hangs");
            }
            user.join().unwrap();
        });
    }
}
