//! Many more threads than processors, and everything at once.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Acquire, Random, for_each_primitive, forever, has_one_permit, spawn, work};
use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, ReleaseError, Semaphore};

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

/// Tokens are given and taken under a condition's lock, by threads that wait for ever or for a
/// moment: each that was notified finds its token, and none is left over.
fn tokens_and_notifications<L>()
where
    L: racefree::ConditionLock + Default + Send + Sync + 'static,
{
    let condition = forever(Condition::<L>::default());
    let tokens = forever(AtomicU32::new(0));
    let taken = turns(3000, |random| {
        let _guard = condition.guard();
        if random.below(2) == 0 {
            let more = random.below(3);
            tokens.fetch_add(more, Ordering::Relaxed);
            condition.notify(more as usize).unwrap();
            return 0;
        }
        let any = || tokens.load(Ordering::Relaxed) > 0;
        let came = condition.wait_for_timeout(any, random.micros(200)).unwrap();
        assert_eq!(came, any());
        if came {
            tokens.fetch_sub(1, Ordering::Relaxed);
        }
        came.into()
    });
    assert!(taken > 0);
}

#[test]
fn tokens_under_a_lock() {
    tokens_and_notifications::<Lock>();
}

#[test]
fn tokens_under_an_rlock() {
    tokens_and_notifications::<RLock>();
}

/// Each notification ends exactly one wait, of those that wait for ever; and all of them end.
#[test]
fn as_many_wake_as_are_notified() {
    let condition = forever(Condition::with_lock(Lock::new()));
    let waiting = forever(AtomicU32::new(0));
    let woken = forever(AtomicU32::new(0));
    let waiters: Vec<_> = (0..THREADS)
        .map(|_| {
            spawn(|| {
                for _ in 0..300 {
                    let _guard = condition.guard();
                    waiting.fetch_add(1, Ordering::Relaxed);
                    condition.wait().unwrap();
                    woken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut notified = 0;
    let mut random = Random::new(1);
    while notified < THREADS * 300 {
        let guard = condition.guard();
        // All that were notified have been taken out of the queue already.
        let there = waiting.load(Ordering::Relaxed) - notified;
        let n = random.below(6).min(there);
        condition.notify(n as usize).unwrap();
        notified += n;
        assert!(woken.load(Ordering::Relaxed) <= notified);
        drop(guard);
        linger(&mut random);
    }
    waiters.into_iter().for_each(|waiter| waiter.end());
    assert_eq!(woken.load(Ordering::Relaxed), notified);
}

/// Waits that time out, aborts and resets meet at a barrier: nobody hangs, and in each round that
/// passes there is one of each index.
#[test]
fn a_barrier_that_breaks_all_the_time() {
    const PARTIES: usize = 4;
    let barrier = forever(Barrier::new(PARTIES));
    let passed = forever([const { AtomicU32::new(0) }; PARTIES]);
    turns(1000, |random| {
        match random.below(60) {
            0 => barrier.abort(),
            1..6 => barrier.reset(),
            _ => {
                let waited = match random.below(10) {
                    0 => barrier.wait_timeout(random.micros(50)),
                    // Not for ever: the last would wait for parties that have gone.
                    _ => barrier.wait_timeout(Duration::from_millis(100)),
                };
                match waited {
                    Ok(index) => _ = passed[index].fetch_add(1, Ordering::Relaxed),
                    // It would stay broken while all the others come.
                    Err(_) if barrier.broken() => barrier.reset(),
                    Err(_) => {}
                }
            }
        }
        0
    });
    let rounds = passed[0].load(Ordering::Relaxed);
    assert!(rounds > 0);
    assert!(passed.iter().all(|it| it.load(Ordering::Relaxed) == rounds));
}
