//! Models of `Semaphore` and `BoundedSemaphore`, which are one but for their limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use racefree_loom::model::{self, Builder, RaceCell, WakeOrder};
use racefree_loom::{BoundedSemaphore, ReleaseError, Semaphore};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, code, explore, explore_both, explore_both_with,
    explore_stalled, explore_timed, explore_with, spawn,
};

/// A semaphore of one permit is a lock: it excludes, and hands over.
fn one_permit(builder: &Builder, threads: usize, rounds: usize) {
    explore_with(builder, move || {
        let shared = Arc::new((Semaphore::new(1), RaceCell::new(0)));
        let add = move |(semaphore, count): &(Semaphore, RaceCell<usize>)| {
            for _ in 0..rounds {
                semaphore.acquire();
                count.with_mut(|count| *count += 1);
                semaphore.release().unwrap();
            }
        };
        let others: Vec<_> = (1..threads).map(|_| spawn(&shared, add)).collect();
        add(&shared);
        others.into_iter().for_each(|other| other.join().unwrap());
        shared.1.with(|count| assert_eq!(*count, threads * rounds));
        // A waiter that was counted twice costs a call for nothing.
        (1..threads).for_each(|_| add(&shared));
        assert_no_futex_call(|| add(&shared));
        assert_eq!(shared.0.value(), 1);
    });
}

#[test]
fn one_permit_for_two() {
    one_permit(&code(), 2, 2);
}

#[test]
fn one_permit_for_two_despite_spurious_wakeups() {
    one_permit(&code().spurious_wakeups(1), 2, 2);
}

#[test]
fn one_permit_for_three() {
    one_permit(&bound(3, Some(4)), 3, 1);
}

/// The same for a bounded one, which refuses what is not a permit.
#[test]
fn one_permit_of_a_bounded_one() {
    explore(|| {
        let shared = Arc::new((BoundedSemaphore::new(1), RaceCell::new(0)));
        let add = |(semaphore, count): &(BoundedSemaphore, RaceCell<usize>)| {
            semaphore.acquire();
            count.with_mut(|count| *count += 1);
            semaphore.release().unwrap();
        };
        let other = spawn(&shared, add);
        add(&shared);
        other.join().unwrap();
        shared.1.with(|count| assert_eq!(*count, 2));
        assert_eq!(shared.0.release_n(0), Err(ReleaseError::ZeroPermits));
        assert_eq!(shared.0.value(), 1);
    });
}

/// Nothing is acquired before it is released, and what was written before that is there to read.
fn released_to_a_waiter(release: fn(&Semaphore)) -> Semaphore {
    let shared = Arc::new((Semaphore::new(0), RaceCell::new(0)));
    let next = spawn(&shared, |(semaphore, data)| {
        semaphore.acquire();
        data.with(|data| assert_eq!(*data, 1));
    });
    shared.1.with_mut(|data| *data = 1);
    release(&shared.0);
    next.join().unwrap();
    Arc::into_inner(shared).expect("the waiter is done").0
}

#[test]
fn hand_over_of_several() {
    explore(|| {
        let semaphore = released_to_a_waiter(|semaphore| semaphore.release_n(2).unwrap());
        assert_eq!(semaphore.value(), 1);
    });
}

#[test]
fn hand_over() {
    explore(|| {
        let semaphore = released_to_a_waiter(|semaphore| semaphore.release().unwrap());
        assert_eq!(semaphore.value(), 0);
        // One permit, one waiter: there is nobody to pass a wake on to. If it has not waited, there
        // was nobody to wake at all, and there is nobody now.
        let calls = model::futex_calls();
        assert!(calls.wakes <= calls.waits.min(1));
        if calls.waits == 0 {
            assert_no_futex_call(|| semaphore.release().unwrap());
        }
    });
}

/// More permits than the waiter needs: it passes a wake on only if it may have been woken itself.
#[test]
fn permits_to_spare() {
    explore(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiter = spawn(&semaphore, Semaphore::acquire);
        semaphore.release_n(3).unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.value(), 2);
        let calls = model::futex_calls();
        assert!(calls.waits > 0 || calls.wakes == 0, "{calls:?}");
    });
}

/// Two releases, two acquires by one: it sees what both wrote.
#[test]
fn hand_over_from_two() {
    explore(|| {
        let shared = Arc::new((Semaphore::new(0), RaceCell::new(0), RaceCell::new(0)));
        let other = spawn(&shared, |(semaphore, _, data)| {
            data.with_mut(|data| *data = 2);
            semaphore.release().unwrap();
        });
        let next = spawn(&shared, |(semaphore, one, two)| {
            semaphore.acquire();
            semaphore.acquire();
            one.with(|data| assert_eq!(*data, 1));
            two.with(|data| assert_eq!(*data, 2));
        });
        shared.1.with_mut(|data| *data = 1);
        shared.0.release().unwrap();
        other.join().unwrap();
        next.join().unwrap();
    });
}

/// Waiters, and as many permits for them, however they come: all get through.
fn waiters(builder: &Builder, releases: usize, release: fn(&Semaphore)) {
    explore_with(builder, move || {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiters = [(); 2].map(|()| spawn(&semaphore, Semaphore::acquire));
        release(&semaphore);
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        assert_eq!(semaphore.value(), 0);
        // A thread that comes to wait wakes nobody.
        assert!(model::futex_calls().wakes <= releases);
    });
}

fn release_n(order: WakeOrder) {
    waiters(&code().wake_order(order), 1, |semaphore| {
        semaphore.release_n(2).unwrap();
    });
}

#[test]
fn release_n_first_in() {
    release_n(WakeOrder::FirstIn);
}

#[test]
fn release_n_last_in() {
    release_n(WakeOrder::LastIn);
}

fn two_releases(order: WakeOrder) {
    waiters(&bound(4, None).wake_order(order), 2, |semaphore| {
        semaphore.release().unwrap();
        semaphore.release().unwrap();
    });
}

#[test]
fn two_releases_first_in() {
    two_releases(WakeOrder::FirstIn);
}

#[test]
fn two_releases_last_in() {
    two_releases(WakeOrder::LastIn);
}

/// Three waiters and three permits: the chain of wakes is three long.
#[test]
fn release_n_to_three() {
    explore_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiters = [(); 3].map(|()| spawn(&semaphore, Semaphore::acquire));
        semaphore.release_n(3).unwrap();
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

/// The permit is had, or it is there: never lost. `acquire` is one that waits for a time.
fn timed_against_release(acquire: fn(&Semaphore) -> bool) {
    explore_timed(move || {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiter = spawn(&semaphore, acquire);
        semaphore.release().unwrap();
        let acquired = waiter.join().unwrap();
        assert_eq!(semaphore.value(), u32::from(!acquired));
        // A timeout of zero tries, and does not wait.
        assert_eq!(semaphore.acquire_timeout(Duration::ZERO), !acquired);
        let free = Semaphore::new(1);
        assert_no_futex_call(|| {
            assert!(acquire(&free));
            free.release().unwrap();
        });
        acquired
    });
}

#[test]
fn timeout_against_release() {
    timed_against_release(|semaphore| semaphore.acquire_timeout(TIMEOUT));
}

#[test]
fn deadline_against_release() {
    timed_against_release(|semaphore| semaphore.acquire_until(Instant::now() + TIMEOUT));
}

/// A waiter that gives up takes no wake with it: the one beside it gets the permit, if the one
/// that gave up does not have it.
fn timeout_beside_a_waiter(order: WakeOrder) {
    explore_with(&code().wake_order(order), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let timed = spawn(&semaphore, |semaphore| {
            if semaphore.acquire_timeout(TIMEOUT) {
                semaphore.release().unwrap();
            }
        });
        let waiter = spawn(&semaphore, Semaphore::acquire);
        semaphore.release().unwrap();
        timed.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn timeout_beside_a_waiter_first_in() {
    timeout_beside_a_waiter(WakeOrder::FirstIn);
}

#[test]
fn timeout_beside_a_waiter_last_in() {
    timeout_beside_a_waiter(WakeOrder::LastIn);
}

/// Of two permits that come at once, one is for a waiter whose time may run out, and one is for the
/// other waiter: it has it, whatever the first one does.
fn timeout_beside_a_waiter_of_release_n(order: WakeOrder) {
    explore_both_with(&bound(4, None).wake_order(order), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let timed = spawn(&semaphore, |it| it.acquire_timeout(TIMEOUT));
        let waiter = spawn(&semaphore, Semaphore::acquire);
        semaphore.release_n(2).unwrap();
        waiter.join().unwrap();
        let acquired = timed.join().unwrap();
        assert_eq!(semaphore.value(), u32::from(!acquired));
        acquired
    });
}

#[test]
fn timeout_beside_a_waiter_of_release_n_first_in() {
    timeout_beside_a_waiter_of_release_n(WakeOrder::FirstIn);
}

#[test]
fn timeout_beside_a_waiter_of_release_n_last_in() {
    timeout_beside_a_waiter_of_release_n(WakeOrder::LastIn);
}

/// The same with two other waiters, and a permit for each of them.
#[test]
fn timeout_beside_two_waiters_of_release_n() {
    explore_with(&bound(2, Some(3)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let timed = spawn(&semaphore, |it| {
            if it.acquire_timeout(TIMEOUT) {
                it.release().unwrap();
            }
        });
        let waiters = [(); 2].map(|()| spawn(&semaphore, Semaphore::acquire));
        semaphore.release_n(2).unwrap();
        waiters.into_iter().for_each(|it| it.join().unwrap());
        timed.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

/// The count of the waiters may fall short: both are counted, and the release of one permit counts one
/// of them no longer before either sleeps. If the permit is then taken by another thread, both sleep.
#[test]
fn two_waiters_that_are_counted_as_one() {
    explore_with(&bound(4, Some(5)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiters = [(); 2].map(|()| spawn(&semaphore, Semaphore::acquire));
        semaphore.release().unwrap();
        if semaphore.try_acquire() {
            semaphore.release().unwrap();
        }
        semaphore.release().unwrap();
        waiters.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

/// As above, and then the time of one of them runs out.
#[test]
fn timeout_of_one_of_two_waiters_that_are_counted_as_one() {
    explore_both_with(&bound(3, Some(4)), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let timed = spawn(&semaphore, |it| it.acquire_timeout(TIMEOUT));
        let waiter = spawn(&semaphore, Semaphore::acquire);
        semaphore.release().unwrap();
        let taken = semaphore.try_acquire();
        let acquired = timed.join().unwrap();
        if taken || acquired {
            semaphore.release().unwrap();
        }
        waiter.join().unwrap();
        assert_eq!(semaphore.value(), 0);
        acquired
    });
}

#[test]
fn try_against_release() {
    explore_both(move || {
        let shared = Arc::new((Semaphore::new(0), RaceCell::new(0)));
        let trier = spawn(&shared, |(semaphore, data)| {
            let acquired = semaphore.try_acquire();
            if acquired {
                data.with(|data| assert_eq!(*data, 1));
            }
            acquired
        });
        shared.1.with_mut(|data| *data = 1);
        shared.0.release().unwrap();
        let acquired = trier.join().unwrap();
        assert_eq!(shared.0.value(), u32::from(!acquired));
        acquired
    });
}

/// One permit is out and two threads release it: exactly one is refused, and the bound holds.
#[test]
fn over_release() {
    explore(|| {
        let semaphore = Arc::new(BoundedSemaphore::new(1));
        semaphore.acquire();
        let other = spawn(&semaphore, BoundedSemaphore::release);
        let results = [semaphore.release(), other.join().unwrap()];
        let refused = results
            .iter()
            .filter(|result| **result == Err(ReleaseError::TooManyReleases));
        assert_eq!(refused.count(), 1);
        assert_eq!(semaphore.value(), 1);
    });
}

/// At its bound, a release either finds the permit out, or is refused and changes nothing.
#[test]
fn over_release_against_acquire() {
    explore_both(move || {
        let semaphore = Arc::new(BoundedSemaphore::new(1));
        let acquirer = spawn(&semaphore, BoundedSemaphore::acquire);
        let released = semaphore.release().is_ok();
        acquirer.join().unwrap();
        assert_eq!(semaphore.value(), u32::from(released));
        released
    });
}

/// The same where there are as many permits as there can be.
#[test]
fn overflow_against_acquire() {
    explore_both(move || {
        let semaphore = Arc::new(Semaphore::new(Semaphore::MAX_VALUE));
        let acquirer = spawn(&semaphore, Semaphore::acquire);
        let released = semaphore.release();
        acquirer.join().unwrap();
        let full = u32::from(released.is_ok());
        assert_eq!(semaphore.value(), Semaphore::MAX_VALUE - 1 + full);
        released != Err(ReleaseError::Overflow)
    });
}

/// Of two releases that meet at the limit after one acquire, one is accepted, whichever it is.
#[test]
fn a_refused_release_takes_no_permit_from_others() {
    explore_both(|| {
        let semaphore = Arc::new(Semaphore::new(Semaphore::MAX_VALUE));
        let other = spawn(&semaphore, Semaphore::release);
        assert!(semaphore.try_acquire());
        let own = semaphore.release();
        let other = other.join().unwrap();
        assert!(own.is_ok() != other.is_ok());
        assert_eq!(semaphore.value(), Semaphore::MAX_VALUE);
        own.is_ok()
    });
}

/// Permits of one release are for two, and neither waits for the other one.
#[test]
fn a_stalled_waiter_beside_another_of_one_release() {
    explore_stalled(
        &bound(3, Some(4)),
        false,
        || Semaphore::new(0),
        Semaphore::acquire,
        |semaphore| semaphore.release_n(2).unwrap(),
    );
}

#[test]
fn a_stalled_waiter_beside_another_of_two_releases() {
    explore_stalled(
        &bound(3, Some(4)),
        false,
        || Semaphore::new(0),
        Semaphore::acquire,
        |semaphore| {
            semaphore.release().unwrap();
            semaphore.release().unwrap();
        },
    );
}
