//! What is refused changes nothing, not for a moment: others do not see it.

mod common;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Acquire, Running, forever, spawn};
use racefree::{BoundedSemaphore, Lock, RLock, ReleaseError, Semaphore};

/// How long each test tries to bring the calls together.
const LENGTH: Duration = Duration::from_secs(1);

/// A barrier that spins, so that all leave it at once.
struct Gate {
    parties: usize,
    arrived: AtomicUsize,
    rounds: AtomicUsize,
}

impl Gate {
    fn new(parties: usize) -> Self {
        Self {
            parties,
            arrived: AtomicUsize::new(0),
            rounds: AtomicUsize::new(0),
        }
    }

    fn wait(&self) {
        let round = self.rounds.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parties {
            self.arrived.store(0, Ordering::Relaxed);
            self.rounds.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        for spins in 0_u32.. {
            if self.rounds.load(Ordering::Acquire) != round {
                return;
            }
            if spins % 1024 == 1023 {
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

/// How often each makes its calls in a round, where no call of one makes another's right: for longer
/// than a processor is a thread's, so that threads are stopped in the middle of a call.
const BURST: usize = 20_000;

/// More than there are processors, as a rule.
const STRANGERS: usize = 4;

/// Runs `stranger` in threads of its own and `owner` in this one, all at once, round after round,
/// and `check` after each with what the owner had and how many calls of the strangers were accepted.
fn at_once<T>(
    burst: usize,
    stranger: impl Fn() -> bool + Send + Copy + 'static,
    owner: impl Fn() -> T,
    check: impl Fn(Vec<T>, usize),
) {
    let gate = forever(Gate::new(STRANGERS + 1));
    let over = forever(AtomicBool::new(false));
    let accepted = forever(AtomicUsize::new(0));
    let run = move |number: usize| {
        for round in number.. {
            gate.wait();
            if over.load(Ordering::Relaxed) {
                return;
            }
            (0..round % 13).for_each(|_| spin_loop());
            let count = (0..burst).filter(|_| stranger()).count();
            accepted.fetch_add(count, Ordering::Relaxed);
            gate.wait();
        }
    };
    let threads: Vec<_> = (0..STRANGERS)
        .map(|number| spawn(move || run(number)))
        .collect();
    /// So that the strangers end, if a check fails.
    struct End(&'static AtomicBool, &'static Gate);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
            self.1.wait();
        }
    }
    let end = End(over, gate);
    let start = Instant::now();
    for round in 0.. {
        gate.wait();
        (0..round % 17).for_each(|_| spin_loop());
        let results = (0..burst).map(|_| owner()).collect();
        gate.wait();
        check(results, accepted.swap(0, Ordering::Relaxed));
        if start.elapsed() > LENGTH {
            break;
        }
    }
    drop(end);
    threads.into_iter().for_each(Running::end);
}

/// The semaphore is full. One thread acquires and releases, others release what they do not have. In
/// every order of these calls, one release is accepted, and in the end it is full.
macro_rules! full_semaphores {
    ($($test:ident: $semaphore:expr, $release:expr;)*) => {
        $(#[test]
        fn $test() {
            let semaphore = forever($semaphore);
            let full = semaphore.value();
            at_once(
                1,
                || $release(semaphore),
                || (semaphore.try_acquire(), semaphore.release().is_ok()),
                |owner, others| {
                    let (acquired, released) = owner[0];
                    assert!(acquired, "a permit was lost");
                    assert_eq!(others + usize::from(released), 1, "releases accepted");
                    assert_eq!(semaphore.value(), full);
                },
            );
        })*
    };
}
full_semaphores! {
    a_release_past_the_maximum: Semaphore::new(Semaphore::MAX_VALUE),
        |it: &Semaphore| it.release().is_ok();
    a_release_of_one_past_the_bound: BoundedSemaphore::new(1),
        |it: &BoundedSemaphore| it.release().is_ok();
    a_release_of_one_past_a_higher_bound: BoundedSemaphore::new(3),
        |it: &BoundedSemaphore| it.release_n(1).is_ok();
}

/// Nobody sees more permits than there can be.
macro_rules! looks_at_full_semaphores {
    ($($test:ident: $semaphore:expr;)*) => {
        $(#[test]
        fn $test() {
            let semaphore = forever($semaphore);
            let full = semaphore.value();
            at_once(
                BURST,
                || semaphore.release().is_ok(),
                || semaphore.value(),
                |seen, accepted| {
                    assert_eq!(accepted, 0);
                    assert_eq!(seen.into_iter().max(), Some(full));
                },
            );
        })*
    };
}
looks_at_full_semaphores! {
    a_look_beside_releases_past_the_maximum: Semaphore::new(Semaphore::MAX_VALUE);
    a_look_beside_releases_past_the_bound: BoundedSemaphore::new(3);
}

/// Of more than can be accepted, none is, not even in part.
macro_rules! releases_of_two {
    ($($test:ident: $semaphore:expr;)*) => {
        $(#[test]
        fn $test() {
            let semaphore = forever($semaphore);
            let full = semaphore.value();
            at_once(
                BURST,
                || semaphore.release_n(2).is_ok(),
                || (semaphore.try_acquire(), semaphore.release()),
                |owner, others| {
                    assert_eq!((owner, others), (vec![(true, Ok(())); BURST], 0));
                    assert_eq!(semaphore.value(), full);
                },
            );
        })*
    };
}
releases_of_two! {
    a_release_of_two_past_the_maximum: Semaphore::new(Semaphore::MAX_VALUE);
    a_release_of_two_past_the_bound: BoundedSemaphore::new(3);
}

/// A guard's release, which panics where it is refused.
#[test]
fn a_guard_beside_releases_past_the_maximum() {
    let semaphore = forever(Semaphore::new(Semaphore::MAX_VALUE - 1));
    at_once(
        BURST,
        || semaphore.release_n(3).is_ok(),
        || drop(semaphore.guard()),
        |_, others| {
            assert_eq!(others, 0);
            assert_eq!(semaphore.value(), Semaphore::MAX_VALUE - 1);
        },
    );
}

/// Of who does not own it, whatever its owner does.
#[test]
fn a_release_by_a_stranger() {
    let lock = forever(RLock::new());
    at_once(
        BURST,
        || lock.release().is_ok(),
        || {
            let _outer = lock.guard();
            let inner = lock.guard();
            let deep = lock.recursion_count();
            drop(inner);
            (deep, lock.recursion_count())
        },
        |depths, others| {
            assert_eq!((depths, others), (vec![(2, 1); BURST], 0));
            assert!(!lock.locked());
        },
    );
}

/// Of a lock that is not locked: it stays so for all who look.
#[test]
fn a_release_of_an_unlocked_lock() {
    let lock = forever(Lock::new());
    at_once(
        BURST,
        || Acquire::release(lock) != Err(ReleaseError::Unlocked),
        || lock.locked(),
        |locked, others| assert_eq!((locked, others), (vec![false; BURST], 0)),
    );
}
