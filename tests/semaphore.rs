//! What is special about `Semaphore` and `BoundedSemaphore`: several permits. What they share with
//! others is in `acquire`.

mod common;

use std::panic;
use std::sync::mpsc;

use common::{Acquire, LIMIT, Running, asleep, forever, hasty_ways, patient_ways, spawn, words};
use racefree::{BoundedSemaphore, ReleaseError, Semaphore};

/// What both have.
trait Count: Acquire {
    fn new(value: u32) -> Self;
    fn value(&self) -> u32;
    fn release_n(&self, n: u32) -> Result<(), ReleaseError>;

    /// A semaphore whose permits are all acquired.
    fn exhausted(permits: u32) -> &'static Self {
        let semaphore = forever(Self::new(permits));
        for _ in 0..permits {
            semaphore.acquire();
        }
        semaphore
    }
}

macro_rules! count {
    ($module:ident $Semaphore:ident: $($test:ident)*) => {
        impl Count for $Semaphore {
            fn new(value: u32) -> Self {
                Self::new(value)
            }

            fn value(&self) -> u32 {
                self.value()
            }

            fn release_n(&self, n: u32) -> Result<(), ReleaseError> {
                self.release_n(n)
            }
        }

        mod $module {
            $(#[test]
            fn $test() {
                super::$test::<racefree::$Semaphore>();
            })*
        }
    };
}

macro_rules! for_both {
    ($($test:ident)*) => {
        count!(plain Semaphore: $($test)*);
        count!(bounded BoundedSemaphore: $($test)*);
    };
}

for_both! {
    the_default_has_one_permit
    there_are_as_many_permits_as_were_asked_for
    a_release_of_no_permit_is_refused_in_pythons_words
    a_release_of_several_gives_several_back
    more_permits_than_it_can_count_are_refused
    another_thread_may_release
    a_guard_may_be_dropped_by_another_thread
    a_release_of_several_lets_as_many_waiters_through_and_no_more
    releases_that_come_in_a_row_let_all_waiters_through
    nobody_sleeps_beside_a_permit_that_others_left
}

fn the_default_has_one_permit<S: Count>() {
    assert_eq!(S::default().value(), 1);
}

fn there_are_as_many_permits_as_were_asked_for<S: Count>() {
    for permits in 0..12 {
        let semaphore = forever(S::new(permits));
        let ways = patient_ways().into_iter().chain(hasty_ways());
        for (left, acquire) in (0..permits).rev().zip(ways.cycle()) {
            assert!(acquire(semaphore));
            assert_eq!(semaphore.value(), left);
        }
        for acquire in hasty_ways() {
            assert!(!spawn(move || acquire(semaphore)).end());
            assert_eq!(semaphore.value(), 0);
        }
        for value in 1..=permits {
            semaphore.release().unwrap();
            assert_eq!(semaphore.value(), value);
        }
    }
}

fn a_release_of_no_permit_is_refused_in_pythons_words<S: Count>() {
    for semaphore in [S::exhausted(2), &S::new(2)] {
        let value = semaphore.value();
        let error = semaphore.release_n(0).unwrap_err();
        assert_eq!(error, ReleaseError::ZeroPermits);
        assert_eq!(error.to_string(), "n must be one or more");
        assert_eq!(semaphore.value(), value);
    }
}

fn a_release_of_several_gives_several_back<S: Count>() {
    let semaphore = S::exhausted(5);
    semaphore.release_n(3).unwrap();
    assert_eq!(semaphore.value(), 3);
    semaphore.release_n(2).unwrap();
    assert_eq!(semaphore.value(), 5);
}

fn more_permits_than_it_can_count_are_refused<S: Count>() {
    assert_eq!(Semaphore::MAX_VALUE, (1 << 30) - 1);
    assert_eq!(S::new(Semaphore::MAX_VALUE).value(), Semaphore::MAX_VALUE);
    for too_many in [Semaphore::MAX_VALUE + 1, u32::MAX] {
        let panic = panic::catch_unwind(|| drop(S::new(too_many))).unwrap_err();
        assert_eq!(words(&*panic), "semaphore initial value too large");
    }
}

fn another_thread_may_release<S: Count>() {
    let semaphore = S::exhausted(1);
    assert_eq!(spawn(|| semaphore.release()).end(), Ok(()));
    assert_eq!(semaphore.value(), 1);
}

fn a_guard_may_be_dropped_by_another_thread<S: Count>()
where
    racefree::Guard<'static, S>: Send,
{
    let semaphore = forever(S::new(2));
    let guard = semaphore.guard();
    spawn(move || drop(guard)).end();
    assert_eq!(semaphore.value(), 2);
}

/// Sleepers that keep what they acquire, and say when they have.
fn sleepers<S: Count>(
    semaphore: &'static S,
    number: usize,
) -> (Vec<Running<()>>, mpsc::Receiver<()>) {
    let (say, said) = mpsc::channel();
    let sleeper = || {
        let say = say.clone();
        asleep(move || {
            semaphore.acquire();
            say.send(()).unwrap();
        })
    };
    ((0..number).map(|_| sleeper()).collect(), said)
}

fn a_release_of_several_lets_as_many_waiters_through_and_no_more<S: Count>() {
    let semaphore = S::exhausted(8);
    let (waiters, acquired) = sleepers(semaphore, 8);
    for n in [3, 4, 1] {
        semaphore.release_n(n).unwrap();
        for _ in 0..n {
            acquired.recv_timeout(LIMIT).expect("a waiter is forgotten");
        }
        acquired.try_recv().expect_err("a permit was made");
        assert_eq!(semaphore.value(), 0);
    }
    for waiter in waiters {
        waiter.end();
    }
}

fn releases_that_come_in_a_row_let_all_waiters_through<S: Count>() {
    for _ in 0..20 {
        let semaphore = S::exhausted(8);
        let (waiters, _acquired) = sleepers(semaphore, 8);
        // All but the first find permits, and nobody whom the word shows to be asleep.
        for n in [1, 1, 2, 1, 3] {
            semaphore.release_n(n).unwrap();
        }
        for waiter in waiters {
            waiter.end();
        }
        assert_eq!(semaphore.value(), 0);
    }
}

fn nobody_sleeps_beside_a_permit_that_others_left<S: Count>() {
    for _ in 0..20 {
        let semaphore = S::exhausted(4);
        let (waiters, _acquired) = sleepers(semaphore, 4);
        semaphore.release_n(4).unwrap();
        // Takes a permit before those who sleep, and gives it back to nobody in particular.
        for _ in 0..100 {
            if semaphore.try_acquire() {
                semaphore.release().unwrap();
            }
        }
        for waiter in waiters {
            waiter.end();
        }
        assert_eq!(semaphore.value(), 0);
    }
}

#[test]
fn a_plain_semaphore_takes_more_than_it_gave() {
    static SEMAPHORE: Semaphore = Semaphore::new(0);
    SEMAPHORE.release().unwrap();
    SEMAPHORE.release_n(5).unwrap();
    assert_eq!(SEMAPHORE.value(), 6);
}

#[test]
fn a_plain_semaphore_refuses_what_it_cannot_count_and_changes_nothing() {
    const MAX: u32 = Semaphore::MAX_VALUE;
    for (value, n) in [(MAX, 1), (MAX, u32::MAX), (MAX - 2, 3), (0, MAX + 1)] {
        let semaphore = Semaphore::new(value);
        let error = semaphore.release_n(n).unwrap_err();
        assert_eq!(error, ReleaseError::Overflow);
        assert_eq!(error.to_string(), "semaphore value too large");
        assert_eq!(semaphore.value(), value);
    }
    let semaphore = Semaphore::new(1);
    semaphore.release_n(MAX - 2).unwrap();
    semaphore.release().unwrap();
    assert_eq!(semaphore.value(), MAX);
    assert!(semaphore.try_acquire());
    assert_eq!(semaphore.value(), MAX - 1);
}

#[test]
fn a_bounded_semaphore_refuses_more_than_it_began_with_and_changes_nothing() {
    static SEMAPHORE: BoundedSemaphore = BoundedSemaphore::new(3);
    SEMAPHORE.acquire();
    for n in [2, 3, u32::MAX - 1, u32::MAX] {
        let error = SEMAPHORE.release_n(n).unwrap_err();
        assert_eq!(error, ReleaseError::TooManyReleases);
        assert_eq!(error.to_string(), "Semaphore released too many times");
        assert_eq!(SEMAPHORE.value(), 2);
    }
    SEMAPHORE.release().unwrap();
    assert_eq!(SEMAPHORE.release(), Err(ReleaseError::TooManyReleases));
    assert_eq!(SEMAPHORE.value(), 3);
}

#[test]
fn a_bounded_semaphore_refuses_too_much_also_while_threads_wait() {
    let semaphore = BoundedSemaphore::exhausted(2);
    let (waiters, _acquired) = sleepers(semaphore, 2);
    assert_eq!(semaphore.release_n(3), Err(ReleaseError::TooManyReleases));
    assert_eq!(semaphore.value(), 0);
    semaphore.release_n(2).unwrap();
    for waiter in waiters {
        waiter.end();
    }
}

#[test]
fn a_bounded_semaphore_knows_what_it_began_with() {
    let semaphore = BoundedSemaphore::new(2);
    semaphore.acquire();
    assert_eq!(semaphore.initial_value(), 2);
    assert_eq!(BoundedSemaphore::default().initial_value(), 1);
}

#[test]
fn debug_is_pythons_repr() {
    let semaphore = Semaphore::new(3);
    semaphore.acquire();
    let address = &raw const semaphore;
    let shown = format!("<racefree::Semaphore at {address:p}: value=2>");
    assert_eq!(format!("{semaphore:?}"), shown);

    let semaphore = BoundedSemaphore::new(5);
    semaphore.acquire();
    let address = &raw const semaphore;
    let shown = format!("<racefree::BoundedSemaphore at {address:p}: value=4/5>");
    assert_eq!(format!("{semaphore:?}"), shown);
}

#[test]
fn debug_shows_no_permit_while_threads_wait() {
    let semaphore = BoundedSemaphore::exhausted(2);
    let (waiters, _acquired) = sleepers(semaphore, 2);
    assert!(format!("{semaphore:?}").ends_with(": value=0/2>"));
    semaphore.release_n(2).unwrap();
    for waiter in waiters {
        waiter.end();
    }
}
