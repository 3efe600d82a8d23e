//! `Condition`: over each lock, alike.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{LIMIT, Running, asleep, forever, spawn, until};
use racefree::{Condition, ConditionLock, Lock, NotOwnerError, RLock, ReleaseError};

/// Makes each of these functions, which are generic over the lock, a test of each kind of it.
macro_rules! for_each_lock {
    ($($test:ident)*) => {
        for_each_lock!(@lock Lock: $($test)*);
        for_each_lock!(@rlock RLock: $($test)*);
        for_each_lock!(@shared_lock Arc<Lock>: $($test)*);
        for_each_lock!(@shared_rlock Arc<RLock>: $($test)*);
    };
    (@$module:ident $Lock:ty: $($test:ident)*) => {
        mod $module {
            use super::*;
            $(#[test]
            fn $test() {
                super::$test::<$Lock>();
            })*
        }
    };
}

for_each_lock! {
    nothing_is_done_without_the_lock
    it_is_its_lock
    each_acquire_has_its_guard
    a_notification_with_nobody_there_is_gone
    a_notification_wakes_the_first_and_no_other
    each_of_many_goes_in_its_turn
    all_are_notified
    no_more_are_notified_than_there_are
    who_comes_after_a_notification_waits
    a_wait_gives_up_the_lock_and_has_it_again
    a_wait_ends_in_time
    a_wait_that_ended_in_time_leaves_its_place
    a_notified_waiter_has_to_wait_for_the_lock
    a_predicate_is_asked_under_the_lock
    a_predicate_that_comes_true_ends_the_wait
    a_predicate_may_panic
    debug_has_the_lock_and_the_number_of_waiters
}

trait AnyLock: ConditionLock + Default + std::fmt::Debug + Send + Sync + 'static {}

impl<L: ConditionLock + Default + std::fmt::Debug + Send + Sync + 'static> AnyLock for L {}

fn new<L: AnyLock>() -> &'static Condition<L> {
    forever(Condition::default())
}

/// A thread that waits, and tells when it was notified.
fn waiter<L: AnyLock>(
    condition: &'static Condition<L>,
    then: impl FnOnce() + Send + 'static,
) -> Running<()> {
    asleep(move || {
        let _guard = condition.guard();
        condition.wait().unwrap();
        then();
    })
}

fn nothing_is_done_without_the_lock<L: AnyLock>() {
    let condition = new::<L>();
    let zero = Duration::ZERO;
    assert_eq!(condition.wait(), Err(NotOwnerError::Wait));
    assert_eq!(condition.wait_timeout(LIMIT), Err(NotOwnerError::Wait));
    assert_eq!(condition.wait_timeout(zero), Err(NotOwnerError::Wait));
    let now = Instant::now();
    assert_eq!(condition.wait_until(now), Err(NotOwnerError::Wait));
    let never = || -> bool { panic!("it was asked") };
    assert_eq!(condition.wait_for(never), Err(NotOwnerError::Wait));
    assert_eq!(
        condition.wait_for_timeout(never, zero),
        Err(NotOwnerError::Wait)
    );
    assert_eq!(condition.notify(0), Err(NotOwnerError::Notify));
    assert_eq!(condition.notify(1), Err(NotOwnerError::Notify));
    assert_eq!(condition.notify_all(), Err(NotOwnerError::Notify));
    assert_eq!(
        condition.wait().unwrap_err().to_string(),
        "cannot wait on un-acquired lock"
    );
    assert_eq!(
        condition.notify_all().unwrap_err().to_string(),
        "cannot notify on un-acquired lock"
    );
    assert!(condition.try_acquire());
}

fn it_is_its_lock<L: AnyLock>() {
    let condition = new::<L>();
    let free = || spawn(|| condition.try_acquire() && condition.release().is_ok()).end();
    condition.acquire();
    assert!(!free());
    assert!(!spawn(|| condition.acquire_timeout(Duration::from_millis(1))).end());
    assert!(!spawn(|| condition.acquire_until(Instant::now())).end());
    condition.release().unwrap();
    assert!(free());
    assert!(condition.acquire_timeout(LIMIT));
    condition.release().unwrap();
    assert!(condition.acquire_until(Instant::now() + LIMIT));
    condition.release().unwrap();
    let guard = condition.guard();
    assert!(!free());
    drop(guard);
    assert!(matches!(
        condition.release(),
        Err(ReleaseError::Unlocked | ReleaseError::NotOwner)
    ));
}

fn each_acquire_has_its_guard<L: AnyLock>() {
    let condition = new::<L>();
    let timeout = Duration::from_millis(1);
    for _ in 0..2 {
        for way in 0..3 {
            let guard = match way {
                0 => condition.try_guard(),
                1 => condition.guard_timeout(LIMIT * 2),
                _ => condition.guard_until(Instant::now() + LIMIT * 2),
            };
            let guard = guard.unwrap();
            condition.notify_all().unwrap();
            assert!(spawn(|| condition.try_guard().is_none()).end());
            assert!(spawn(move || condition.guard_timeout(timeout).is_none()).end());
            assert!(spawn(|| condition.guard_until(Instant::now()).is_none()).end());
            drop(guard);
        }
    }
    assert_eq!(condition.notify_all(), Err(NotOwnerError::Notify));
}

fn a_notification_with_nobody_there_is_gone<L: AnyLock>() {
    let condition = new::<L>();
    let _guard = condition.guard();
    for n in [0, 1, 2, usize::MAX] {
        condition.notify(n).unwrap();
    }
    condition.notify_all().unwrap();
    assert_eq!(condition.wait_timeout(Duration::from_millis(1)), Ok(false));
}

fn a_notification_wakes_the_first_and_no_other<L: AnyLock>() {
    let condition = new::<L>();
    let (tell, told) = mpsc::channel();
    let waiters: Vec<_> = (0..6)
        .map(|number| {
            let tell = tell.clone();
            waiter(condition, move || tell.send(number).unwrap())
        })
        .collect();
    for number in 0..6 {
        let guard = condition.guard();
        condition.notify(1).unwrap();
        drop(guard);
        assert_eq!(told.recv_timeout(LIMIT), Ok(number));
        assert!(told.try_recv().is_err());
    }
    waiters.into_iter().for_each(Running::end);
}

/// More than go on at once: those who were woken wake the others.
fn each_of_many_goes_in_its_turn<L: AnyLock>() {
    const MANY: usize = 40;
    let condition = new::<L>();
    let gone = forever(AtomicU32::new(0));
    let waiters: Vec<_> = (0..MANY)
        .map(|_| {
            waiter(condition, || {
                gone.fetch_add(1, Relaxed);
            })
        })
        .collect();
    for n in [7, 20, 13] {
        let before = gone.load(Relaxed);
        let guard = condition.guard();
        condition.notify(n).unwrap();
        drop(guard);
        until(|| gone.load(Relaxed) as usize == before as usize + n);
    }
    waiters.into_iter().for_each(Running::end);
}

fn all_are_notified<L: AnyLock>() {
    let condition = new::<L>();
    let waiters: Vec<_> = (0..30).map(|_| waiter(condition, || ())).collect();
    let guard = condition.guard();
    condition.notify_all().unwrap();
    drop(guard);
    waiters.into_iter().for_each(Running::end);
}

fn no_more_are_notified_than_there_are<L: AnyLock>() {
    let condition = new::<L>();
    let first = waiter(condition, || ());
    let guard = condition.guard();
    condition.notify(5).unwrap();
    drop(guard);
    first.end();
    let gone = forever(AtomicU32::new(0));
    let second = waiter(condition, || gone.store(1, Relaxed));
    let guard = condition.guard();
    assert_eq!(gone.load(Relaxed), 0);
    condition.notify(0).unwrap();
    drop(guard);
    let guard = condition.guard();
    assert_eq!(gone.load(Relaxed), 0);
    condition.notify(1).unwrap();
    drop(guard);
    second.end();
}

/// Under one hold of the lock: a notification, and then a wait, which it is not for.
fn who_comes_after_a_notification_waits<L: AnyLock>() {
    let condition = new::<L>();
    let before = waiter(condition, || ());
    let guard = condition.guard();
    condition.notify(1).unwrap();
    assert_eq!(condition.wait_timeout(Duration::from_millis(20)), Ok(false));
    drop(guard);
    before.end();
}

fn a_wait_gives_up_the_lock_and_has_it_again<L: AnyLock>() {
    let condition = new::<L>();
    let waiter = asleep(|| {
        let guard = condition.guard();
        condition.wait().unwrap();
        assert!(!spawn(|| condition.try_acquire()).end());
        drop(guard);
    });
    assert!(condition.try_acquire());
    condition.notify(1).unwrap();
    condition.release().unwrap();
    waiter.end();
}

fn a_wait_ends_in_time<L: AnyLock>() {
    let condition = new::<L>();
    let guard = condition.guard();
    let time = Duration::from_millis(20);
    for time in [time, Duration::from_nanos(1), Duration::ZERO] {
        let start = Instant::now();
        assert_eq!(condition.wait_timeout(time), Ok(false));
        assert_eq!(condition.wait_until(Instant::now() + time), Ok(false));
        assert_eq!(condition.wait_for_timeout(|| false, time), Ok(false));
        assert!(start.elapsed() >= 3 * time);
    }
    let past = Instant::now() - time;
    assert_eq!(condition.wait_until(past), Ok(false));
    drop(guard);
    // As long as there is: until it is notified.
    let waiter = asleep(|| {
        let _guard = condition.guard();
        condition.wait_timeout(Duration::MAX)
    });
    let guard = condition.guard();
    condition.notify(1).unwrap();
    drop(guard);
    assert_eq!(waiter.end(), Ok(true));
}

fn a_wait_that_ended_in_time_leaves_its_place<L: AnyLock>() {
    let condition = new::<L>();
    for place in 0..3 {
        let (hasty, patient): (Vec<_>, Vec<_>) = (0..3)
            .map(|number| {
                let hasty = number == place;
                asleep(move || {
                    let _guard = condition.guard();
                    if hasty {
                        condition.wait_timeout(Duration::from_millis(50)).unwrap()
                    } else {
                        condition.wait().unwrap();
                        true
                    }
                })
            })
            .enumerate()
            .partition(|(number, _)| *number == place);
        for (_, waiter) in hasty {
            assert!(!waiter.end());
        }
        let guard = condition.guard();
        condition.notify(2).unwrap();
        drop(guard);
        for (_, waiter) in patient {
            assert!(waiter.end());
        }
    }
}

/// Its time is up long before it has the lock, but it was notified before that.
fn a_notified_waiter_has_to_wait_for_the_lock<L: AnyLock>() {
    let condition = new::<L>();
    let waiter = asleep(|| {
        let _guard = condition.guard();
        condition.wait_timeout(LIMIT)
    });
    let guard = condition.guard();
    condition.notify(1).unwrap();
    assert!(!spawn(|| condition.acquire_timeout(Duration::from_millis(20))).end());
    drop(guard);
    assert_eq!(waiter.end(), Ok(true));
}

fn a_predicate_is_asked_under_the_lock<L: AnyLock>() {
    let condition = new::<L>();
    let asked = forever(AtomicU32::new(0));
    let waiter = asleep(|| {
        let _guard = condition.guard();
        condition.wait_for(|| {
            assert!(!spawn(|| condition.try_acquire()).end());
            asked.fetch_add(1, Relaxed) == 2
        })
    });
    for _ in 0..2 {
        let guard = condition.guard();
        // Under the lock: so it has been asked, and waits.
        let before = asked.load(Relaxed);
        condition.notify_all().unwrap();
        drop(guard);
        until(|| asked.load(Relaxed) == before + 1);
    }
    waiter.end().unwrap();
    assert_eq!(asked.load(Relaxed), 3);
}

fn a_predicate_that_comes_true_ends_the_wait<L: AnyLock>() {
    let condition = new::<L>();
    let ready = forever(AtomicU32::new(0));
    let waiter = asleep(|| {
        let _guard = condition.guard();
        condition.wait_for_timeout(|| ready.load(Relaxed) == 1, LIMIT)
    });
    let guard = condition.guard();
    ready.store(1, Relaxed);
    condition.notify(1).unwrap();
    drop(guard);
    assert_eq!(waiter.end(), Ok(true));
    let _guard = condition.guard();
    assert_eq!(condition.wait_for(|| true), Ok(()));
    assert_eq!(condition.wait_for_timeout(|| true, LIMIT), Ok(true));
    // It is asked once more at the end of the time.
    let mut asked = 0;
    let mut on_second = || {
        asked += 1;
        asked == 2
    };
    assert_eq!(
        condition.wait_for_timeout(&mut on_second, Duration::from_millis(1)),
        Ok(true)
    );
}

fn a_predicate_may_panic<L: AnyLock>() {
    let condition = new::<L>();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let _guard = condition.guard();
        let _ = condition.wait_for(|| panic!("in the predicate"));
    }));
    assert!(panicked.is_err());
    assert!(condition.try_acquire());
    assert_eq!(condition.notify_all(), Ok(()));
}

fn debug_has_the_lock_and_the_number_of_waiters<L: AnyLock>() {
    let condition = new::<L>();
    let text = format!("{condition:?}");
    let start = "<racefree::Condition(<unlocked racefree::";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with(">, 0)>"), "{text}");
    let waiter = waiter(condition, || ());
    assert!(format!("{condition:?}").ends_with(">, 1)>"));
    let guard = condition.guard();
    condition.notify(1).unwrap();
    drop(guard);
    waiter.end();
}

#[test]
fn an_rlock_is_given_up_at_all_its_levels() {
    let lock = forever(RLock::new());
    let condition = forever(Condition::with_lock(lock));
    let waiter = asleep(|| {
        for _ in 0..5 {
            lock.acquire();
        }
        condition.wait().unwrap();
        assert_eq!(lock.recursion_count(), 5);
        assert_eq!(condition.wait_timeout(Duration::ZERO), Ok(false));
        assert_eq!(lock.recursion_count(), 5);
        for _ in 0..5 {
            lock.release().unwrap();
        }
        assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    });
    lock.acquire();
    lock.acquire();
    condition.notify(1).unwrap();
    lock.release().unwrap();
    assert!(lock.is_owned());
    lock.release().unwrap();
    waiter.end();
}

/// A lock that is another thread's is not one's own.
#[test]
fn an_rlock_that_somebody_else_holds_does_not_help() {
    let condition = forever(Condition::new());
    let _guard = condition.guard();
    assert_eq!(spawn(|| condition.wait()).end(), Err(NotOwnerError::Wait));
    assert_eq!(
        spawn(|| condition.notify(1)).end(),
        Err(NotOwnerError::Notify)
    );
}

/// As in CPython: a `Lock` has no owner, so whoever finds it locked is taken for it.
#[test]
fn a_lock_that_somebody_else_holds_is_taken_for_ones_own() {
    let condition = forever(Condition::with_lock(Lock::new()));
    condition.acquire();
    assert_eq!(spawn(|| condition.notify(1)).end(), Ok(()));
    let intruder = asleep(|| condition.wait());
    // The intruder has released it.
    assert_eq!(condition.release(), Err(ReleaseError::Unlocked));
    let guard = condition.guard();
    condition.notify(1).unwrap();
    drop(guard);
    intruder.end().unwrap();
}

#[test]
fn several_conditions_share_a_lock() {
    let lock = forever(Lock::new());
    let [one, other] = [(); 2].map(|()| forever(Condition::with_lock(lock)));
    let first = asleep(|| {
        let _guard = one.guard();
        one.wait()
    });
    let _second = asleep(|| {
        let _guard = other.guard();
        other.wait()
    });
    let guard = one.guard();
    assert!(!other.try_acquire());
    one.notify_all().unwrap();
    drop(guard);
    first.end().unwrap();
    assert!(format!("{other:?}").ends_with(", 1)>"));
}

#[test]
fn a_condition_can_be_a_static() {
    static CONDITION: Condition = Condition::new();
    static OVER_A_LOCK: Condition<Lock> = Condition::with_lock(Lock::new());
    static LOCK: RLock = RLock::new();
    static OVER_A_BORROWED_LOCK: Condition<&RLock> = Condition::with_lock(&LOCK);
    let _guards = (
        CONDITION.guard(),
        OVER_A_LOCK.guard(),
        OVER_A_BORROWED_LOCK.guard(),
    );
    CONDITION.notify_all().unwrap();
    OVER_A_LOCK.notify_all().unwrap();
    OVER_A_BORROWED_LOCK.notify_all().unwrap();
    assert!(LOCK.is_owned());
}
