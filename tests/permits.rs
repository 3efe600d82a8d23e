//! Several permits at once, and the guards of them: on both semaphores, alike.

mod common;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{LIMIT, Random, Running, asleep, forever, spawn, words};
use racefree::{BoundedSemaphore, Permits, ReleaseError, Semaphore};

/// Makes each of these functions, which are written once as a macro over the type, a test of both.
macro_rules! both {
    ($($(#[$attribute:meta])* fn $test:ident($S:ident) $body:block)*) => {
        mod semaphore {
            use super::*;
            $($(#[$attribute])* #[test] fn $test() {
                #[allow(dead_code, reason = "not all use it")]
                type $S = Semaphore;
                $body
            })*
        }
        mod bounded_semaphore {
            use super::*;
            $($(#[$attribute])* #[test] fn $test() {
                #[allow(dead_code, reason = "not all use it")]
                type $S = BoundedSemaphore;
                $body
            })*
        }
    };
}

both! {
    fn all_or_none(S) {
        let semaphore = S::new(5);
        semaphore.acquire_n(3);
        assert_eq!(semaphore.value(), 2);
        assert!(!semaphore.try_acquire_n(3));
        assert!(!semaphore.acquire_n_timeout(3, Duration::ZERO));
        assert!(!semaphore.acquire_n_timeout(3, Duration::from_millis(1)));
        assert!(!semaphore.acquire_n_until(3, Instant::now()));
        assert_eq!(semaphore.value(), 2, "a part was taken");
        assert!(semaphore.try_acquire_n(2));
        semaphore.release_n(5).unwrap();
        assert!(semaphore.acquire_n_timeout(4, Duration::MAX));
        assert!(semaphore.acquire_n_until(1, Instant::now()));
        assert_eq!(semaphore.value(), 0);
    }

    fn none_at_all_never_blocks(S) {
        let semaphore = S::new(0);
        semaphore.acquire_n(0);
        assert!(semaphore.try_acquire_n(0));
        assert!(semaphore.acquire_n_timeout(0, Duration::ZERO));
        drop(semaphore.guard_n(0));
        assert_eq!(semaphore.guard_n(0).release(), Ok(()));
        assert_eq!(semaphore.value(), 0);
    }

    fn a_waiter_for_several_has_them_when_the_last_comes(S) {
        let semaphore = forever(S::new(3));
        semaphore.acquire_n(3);
        let waiter = asleep(|| semaphore.acquire_n(3));
        semaphore.release().unwrap();
        semaphore.release().unwrap();
        // It was woken, and takes no part.
        common::until(|| semaphore.value() == 2);
        std::thread::sleep(Duration::from_millis(5));
        assert!(!waiter.is_finished());
        assert_eq!(semaphore.value(), 2);
        semaphore.release().unwrap();
        waiter.end();
        assert_eq!(semaphore.value(), 0);
    }

    /// Permits that are too few for one are not kept from another.
    fn a_small_wish_is_granted_beside_a_large_one(S) {
        let semaphore = forever(S::new(4));
        semaphore.acquire_n(4);
        let large = asleep(|| semaphore.acquire_n(4));
        let small = [(); 2].map(|()| asleep(|| semaphore.acquire()));
        semaphore.release().unwrap();
        semaphore.release().unwrap();
        small.into_iter().for_each(Running::end);
        assert!(!large.is_finished());
        semaphore.release_n(4).unwrap();
        large.end();
        assert_eq!(semaphore.value(), 0);
    }

    fn a_waiter_for_several_times_out_and_leaves_the_others_their_turn(S) {
        let semaphore = forever(S::new(3));
        semaphore.acquire_n(3);
        let one = asleep(|| semaphore.acquire());
        let many = asleep(|| semaphore.acquire_n_timeout(3, Duration::from_millis(20)));
        let last = asleep(|| semaphore.acquire());
        assert!(!many.end());
        semaphore.release().unwrap();
        semaphore.release().unwrap();
        one.end();
        last.end();
        assert_eq!(semaphore.value(), 0);
    }

    fn all_who_fit_go_with_one_release(S) {
        let semaphore = forever(S::new(10));
        semaphore.acquire_n(10);
        let waiters = [1, 2, 3, 4].map(|n| asleep(move || semaphore.acquire_n(n)));
        semaphore.release_n(10).unwrap();
        waiters.into_iter().for_each(Running::end);
        assert_eq!(semaphore.value(), 0);
    }

    fn more_than_there_can_be_is_refused_at_once(S) {
        let semaphore = S::new(1);
        let most = if mem::size_of::<S>() > 4 { 1 } else { Semaphore::MAX_VALUE };
        let ways: [fn(&S, u32); 4] = [
            |semaphore, n| semaphore.acquire_n(n),
            |semaphore, n| _ = semaphore.try_acquire_n(n),
            |semaphore, n| _ = semaphore.acquire_n_timeout(n, Duration::ZERO),
            |semaphore, n| _ = semaphore.acquire_n_until(n, Instant::now()),
        ];
        for way in ways {
            for n in [most + 1, u32::MAX] {
                let panicked = panic::catch_unwind(|| way(&semaphore, n)).unwrap_err();
                assert_eq!(words(&*panicked), "more permits than there can be");
            }
        }
        assert_eq!(semaphore.value(), 1);
        assert_eq!(semaphore.try_acquire_n(most), most == 1);
    }

    fn drained(S) {
        let semaphore = forever(S::new(3));
        assert_eq!(semaphore.drain(), 3);
        assert_eq!(semaphore.drain(), 0);
        let waiter = asleep(|| semaphore.acquire_n(2));
        semaphore.release().unwrap();
        assert_eq!(semaphore.drain(), 1);
        semaphore.release_n(2).unwrap();
        waiter.end();
    }

    fn a_guard_of_several(S) {
        let semaphore = S::new(5);
        let deadline = || Instant::now() + LIMIT;
        let short = Duration::from_millis(1);
        for way in 0..4 {
            let guard = match way {
                0 => Some(semaphore.guard_n(3)),
                1 => semaphore.try_guard_n(3),
                2 => semaphore.guard_n_timeout(3, LIMIT),
                _ => semaphore.guard_n_until(3, deadline()),
            };
            let guard = guard.unwrap();
            assert_eq!((guard.count(), semaphore.value()), (3, 2));
            assert!(semaphore.try_guard_n(3).is_none());
            assert!(semaphore.guard_n_timeout(3, short).is_none());
            assert!(semaphore.guard_n_until(3, Instant::now()).is_none());
            drop(guard);
            assert_eq!(semaphore.value(), 5);
        }
    }

    fn a_guard_of_several_that_borrows_nothing(S) {
        let semaphore = Arc::new(S::new(5));
        let short = Duration::from_millis(1);
        for way in 0..4 {
            let guard = match way {
                0 => Some(semaphore.guard_n_arc(3)),
                1 => semaphore.try_guard_n_arc(3),
                2 => semaphore.guard_n_arc_timeout(3, LIMIT),
                _ => semaphore.guard_n_arc_until(3, Instant::now() + LIMIT),
            };
            let mut guard: Permits<Arc<S>> = guard.unwrap();
            assert!(semaphore.try_guard_n_arc(3).is_none());
            assert!(semaphore.guard_n_arc_timeout(3, short).is_none());
            assert!(semaphore.guard_n_arc_until(3, Instant::now()).is_none());
            let one = guard.split(1).unwrap();
            spawn(move || drop(one)).end();
            assert_eq!(semaphore.value(), 3);
            spawn(move || drop(guard)).end();
            assert_eq!(semaphore.value(), 5);
        }
        let weak = Arc::downgrade(&semaphore);
        let mut guard = semaphore.guard_n_arc(2);
        let other = guard.split(1).unwrap();
        drop(semaphore);
        drop(guard);
        assert!(weak.upgrade().is_some());
        drop(other);
        assert!(weak.upgrade().is_none());
    }

    fn split_and_merged(S) {
        let semaphore = S::new(9);
        let mut five = semaphore.guard_n(5);
        assert!(five.split(6).is_none());
        assert_eq!(five.count(), 5);
        let two = five.split(2).unwrap();
        let none = five.split(0).unwrap();
        assert_eq!((five.count(), two.count(), none.count()), (3, 2, 0));
        drop(none);
        assert_eq!(semaphore.value(), 4);
        let mut all = semaphore.guard_n(4);
        all.merge(five);
        all.merge(two);
        assert_eq!((all.count(), semaphore.value()), (9, 0));
        let rest = all.split(9).unwrap();
        drop(all);
        assert_eq!(semaphore.value(), 0);
        assert!(format!("{rest:?}").starts_with("Permits(9, <racefree::"));
        assert_eq!(rest.release(), Ok(()));
        assert_eq!(semaphore.value(), 9);
    }

    fn permits_of_two_semaphores_are_not_merged(S) {
        let (first, second) = (S::new(2), S::new(2));
        let mut guard = first.guard_n(1);
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| guard.merge(second.guard_n(2))));
        assert_eq!(words(&*panicked.unwrap_err()), "permits of different semaphores");
        assert_eq!((guard.count(), first.value(), second.value()), (1, 1, 2));
    }

    fn a_panic_releases(S) {
        let semaphore = S::new(2);
        let panicked = panic::catch_unwind(|| {
            let _permits = semaphore.guard_n(2);
            panic!("under the guard");
        });
        assert!(panicked.is_err());
        assert_eq!(semaphore.value(), 2);
    }

    fn forgotten(S) {
        let semaphore = S::new(2);
        semaphore.guard_n(2).forget();
        assert_eq!(semaphore.value(), 0);
        semaphore.release_n(2).unwrap();
        assert_eq!(semaphore.value(), 2);
    }

    /// Threads that each acquire as many as chance has it: never more inside than there are.
    fn none_is_made_or_lost(S) {
        const ALL: u32 = 7;
        let semaphore = forever(S::new(ALL));
        let inside = forever(AtomicU32::new(0));
        let threads = [1, 2, 3, 4, 5, 6].map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..2000 {
                    let n = random.below(ALL) + 1;
                    let permits = match random.below(3) {
                        0 => Some(semaphore.guard_n(n)),
                        1 => semaphore.try_guard_n(n),
                        _ => semaphore.guard_n_timeout(n, random.micros(200)),
                    };
                    let Some(mut permits) = permits else { continue };
                    let before = inside.fetch_add(n, Relaxed);
                    assert!(before + n <= ALL, "{} inside", before + n);
                    let part = permits.split(random.below(n + 1)).unwrap();
                    inside.fetch_sub(part.count(), Relaxed);
                    drop(part);
                    inside.fetch_sub(permits.count(), Relaxed);
                }
            })
        });
        threads.into_iter().for_each(Running::end);
        assert_eq!(semaphore.value(), ALL);
    }
}

#[test]
fn a_guard_of_what_was_released_beside_it() {
    let semaphore = BoundedSemaphore::new(3);
    let guard = semaphore.guard_n(2);
    semaphore.release().unwrap();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| drop(guard))).unwrap_err();
    assert_eq!(words(&*panicked), ReleaseError::TooManyReleases.to_string());
    assert_eq!(semaphore.value(), 2, "nothing was released");
    let guard = semaphore.guard_n(2);
    semaphore.release_n(2).unwrap();
    assert_eq!(guard.release(), Err(ReleaseError::TooManyReleases));
}

#[test]
fn as_many_as_there_can_be() {
    let semaphore = Semaphore::new(Semaphore::MAX_VALUE);
    let all = semaphore.guard_n(Semaphore::MAX_VALUE);
    assert_eq!(semaphore.value(), 0);
    assert!(!semaphore.try_acquire());
    drop(all);
    assert_eq!(semaphore.value(), Semaphore::MAX_VALUE);
    // As many while a thread sleeps for all of them.
    let semaphore = forever(Semaphore::new(Semaphore::MAX_VALUE - 1));
    let waiter = asleep(|| semaphore.acquire_n(Semaphore::MAX_VALUE));
    assert_eq!(semaphore.value(), Semaphore::MAX_VALUE - 1);
    assert_eq!(semaphore.release_n(2), Err(ReleaseError::Overflow));
    assert!(semaphore.try_acquire_n(5));
    assert_eq!(semaphore.release_n(5), Ok(()));
    semaphore.release().unwrap();
    waiter.end();
    assert_eq!(semaphore.value(), 0);
}
