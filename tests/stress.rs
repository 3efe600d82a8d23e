//! Many more threads than processors, and everything at once.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use common::{Acquire, Random, for_each_primitive, forever, has_one_permit, spawn, work};
use racefree::{BoundedSemaphore, Event, RLock, ReleaseError, Semaphore};

const THREADS: u32 = 24;

/// Acquires in one way or another, and says whether it did.
fn acquire_somehow<P: Acquire>(primitive: &P, random: &mut Random) -> bool {
    match random.below(6) {
        0 => primitive.try_acquire(),
        1 => primitive.acquire_timeout(random.micros(100)),
        2 => primitive.acquire_until(Instant::now() + random.micros(100)),
        3 => {
            std::mem::forget(primitive.guard());
            true
        }
        _ => {
            primitive.acquire();
            true
        }
    }
}

/// Keeps what it holds for a moment: mostly a short one, sometimes until others have run.
fn linger(random: &mut Random) {
    match random.below(50) {
        0 => thread::sleep(random.micros(100)),
        1..5 => thread::yield_now(),
        5..10 => work(random.micros(20)),
        _ => {}
    }
}

/// Calls `each` with the turns of one thread, in many threads, and sums up what they return.
fn turns(number: u32, each: impl Fn(&mut Random) -> u32 + Copy + Send + 'static) -> u32 {
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                (0..number).map(|_| each(&mut random)).sum::<u32>()
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.end()).sum()
}

for_each_primitive! {
    one_thread_at_a_time
}

fn one_thread_at_a_time<P: Acquire>() {
    let primitive = forever(P::default());
    let holders = forever(AtomicU32::new(0));
    let total = forever(AtomicU32::new(0));
    let acquired = turns(10000, |random| {
        if !acquire_somehow(primitive, random) {
            return 0;
        }
        assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0);
        // In two steps, so that what two holders add at once is lost.
        let before = total.load(Ordering::Relaxed);
        linger(random);
        total.store(before + 1, Ordering::Relaxed);
        holders.fetch_sub(1, Ordering::Relaxed);
        primitive.release().unwrap();
        1
    });
    assert_eq!(total.load(Ordering::Relaxed), acquired);
    has_one_permit(primitive);
}

#[test]
fn an_rlock_nests_while_others_want_it() {
    let lock = forever(RLock::new());
    let holders = forever(AtomicU32::new(0));
    turns(1000, |random| {
        let depth = 1 + random.below(4);
        assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
        lock.acquire();
        assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0);
        for level in 1..depth {
            assert_eq!(lock.recursion_count(), level);
            assert!(acquire_somehow(lock, random));
            linger(random);
        }
        holders.fetch_sub(1, Ordering::Relaxed);
        for _ in 0..depth {
            assert!(lock.is_owned());
            lock.release().unwrap();
        }
        assert!(!lock.is_owned());
        0
    });
    has_one_permit(lock);
}

#[test]
fn a_bounded_semaphore_lets_no_more_in_than_it_has_permits() {
    const PERMITS: u32 = 5;
    let semaphore = forever(BoundedSemaphore::new(PERMITS));
    let holders = forever(AtomicU32::new(0));
    turns(10000, |random| {
        if acquire_somehow(semaphore, random) {
            assert!(holders.fetch_add(1, Ordering::Relaxed) < PERMITS);
            assert!(semaphore.value() < PERMITS);
            linger(random);
            holders.fetch_sub(1, Ordering::Relaxed);
            semaphore.release().unwrap();
        }
        0
    });
    assert_eq!(semaphore.value(), PERMITS);
    assert_eq!(semaphore.release(), Err(ReleaseError::TooManyReleases));
}

/// Half of the threads release, several at once and one by one, what the other half acquires.
#[test]
fn a_semaphore_hands_every_permit_to_somebody() {
    const TURNS: u32 = 1500;
    let semaphore = forever(Semaphore::new(0));
    let suppliers: Vec<_> = (0..THREADS / 2)
        .map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                let mut left = TURNS;
                while left > 0 {
                    let n = (1 + random.below(4)).min(left);
                    semaphore.release_n(n).unwrap();
                    left -= n;
                    linger(&mut random);
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..THREADS / 2)
        .map(|seed| {
            spawn(move || {
                let mut random = Random::new(100 + seed);
                let mut left = TURNS;
                while left > 0 {
                    left -= u32::from(acquire_somehow(semaphore, &mut random));
                }
            })
        })
        .collect();
    for thread in suppliers.into_iter().chain(consumers) {
        thread.end();
    }
    assert_eq!(semaphore.value(), 0);
}

/// Two gates, of which one is open: nobody is let through the second before all are through the
/// first, so nobody can make up for a wake that was lost.
#[test]
fn events_let_everybody_through_each_gate() {
    const ROUNDS: u32 = 500;
    let gates = forever([Event::new(), Event::new()]);
    let through = forever(Semaphore::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                for gate in gates.iter().cycle().take(ROUNDS as usize) {
                    match random.below(3) {
                        0 => while !gate.wait_timeout(random.micros(100)) {},
                        1 => while !gate.wait_until(Instant::now() + random.micros(100)) {},
                        _ => gate.wait(),
                    }
                    through.release().unwrap();
                }
            })
        })
        .collect();
    for (round, gate) in gates.iter().cycle().take(ROUNDS as usize).enumerate() {
        gates[(round + 1) % 2].clear();
        gate.set();
        for _ in 0..THREADS {
            assert!(through.acquire_timeout(common::LIMIT), "a thread hangs");
        }
    }
    for thread in threads {
        thread.end();
    }
}
