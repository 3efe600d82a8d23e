//! What is special about `RLock`: it has an owner, who may acquire it again. What it shares with
//! others is in `acquire`.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{LIMIT, asleep, forever, hasty_ways, is_free, patient_ways, spawn, while_held};
use racefree::{RLock, ReleaseError};

#[test]
fn a_new_lock_is_nobodys() {
    for lock in [RLock::new(), RLock::default()] {
        assert!(!lock.locked());
        assert!(!lock.is_owned());
        assert_eq!(lock.recursion_count(), 0);
    }
}

#[test]
fn the_owner_acquires_it_again_in_every_way_and_releases_it_as_often() {
    let lock = forever(RLock::new());
    let ways = patient_ways::<RLock>().into_iter().chain(hasty_ways());
    let mut depth = 0;
    for acquire in ways {
        assert!(acquire(lock));
        depth += 1;
        assert_eq!(lock.recursion_count(), depth);
        assert!(lock.is_owned());
        assert!(!is_free(lock));
    }
    while depth > 0 {
        assert!(lock.locked());
        assert!(!is_free(lock));
        assert_eq!(lock.release(), Ok(()));
        depth -= 1;
        assert_eq!(lock.recursion_count(), depth);
        assert_eq!(lock.is_owned(), depth > 0);
    }
    assert!(!lock.locked());
    assert!(is_free(lock));
}

#[test]
fn guards_nest() {
    let lock = RLock::new();
    let outer = lock.guard();
    let inner = lock.guard();
    // Which of them goes first makes no difference.
    drop(outer);
    assert_eq!(lock.recursion_count(), 1);
    drop(inner);
    assert!(!lock.locked());
}

#[test]
fn a_waiter_gets_it_at_the_last_release_and_no_sooner() {
    let lock = forever(RLock::new());
    let levels = forever(AtomicU32::new(3));
    for _ in 0..3 {
        lock.acquire();
    }
    let waiter = asleep(|| {
        let _guard = lock.guard();
        levels.load(Ordering::Relaxed)
    });
    for left in [2, 1, 0] {
        levels.store(left, Ordering::Relaxed);
        lock.release().unwrap();
    }
    assert_eq!(waiter.end(), 0);
}

#[test]
fn only_the_owner_sees_itself_as_the_owner() {
    static LOCK: RLock = RLock::new();
    while_held(&LOCK, || {
        assert!(LOCK.locked());
        assert!(!LOCK.is_owned());
        assert_eq!(LOCK.recursion_count(), 0);
    });
    assert!(!LOCK.locked());
}

#[test]
fn a_release_by_another_thread_is_refused_in_pythons_words_and_changes_nothing() {
    let lock = forever(RLock::new());
    lock.acquire();
    lock.acquire();
    let error = spawn(|| lock.release()).end().unwrap_err();
    assert_eq!(error, ReleaseError::NotOwner);
    assert_eq!(error.to_string(), "cannot release un-acquired lock");
    assert_eq!(lock.recursion_count(), 2);
    assert!(!is_free(lock));
}

#[test]
fn a_release_while_unlocked_is_refused() {
    let lock = RLock::new();
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    lock.acquire();
    lock.release().unwrap();
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    assert!(!lock.locked());
}

#[test]
fn a_thread_may_own_several() {
    let locks = [(); 3].map(|()| RLock::new());
    let _guards = locks.each_ref().map(RLock::guard);
    assert!(locks.iter().all(RLock::is_owned));
    locks[1].release().unwrap();
    assert_eq!(locks.each_ref().map(RLock::is_owned), [true, false, true]);
    locks[1].acquire();
}

/// The system gives a thread's number, its stack and its thread-local storage to later threads.
#[test]
fn an_owner_that_ends_leaves_it_locked_for_ever_and_no_later_thread_owns_it() {
    let lock = forever(RLock::new());
    spawn(|| lock.acquire()).end();
    for _ in 0..500 {
        spawn(|| {
            assert!(lock.locked());
            assert!(!lock.is_owned());
            assert_eq!(lock.recursion_count(), 0);
            assert!(!lock.try_acquire());
            assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
        })
        .end();
    }
    let later = Duration::from_millis(10);
    assert!(!spawn(move || lock.acquire_timeout(later)).end());
    assert!(!spawn(move || lock.acquire_until(Instant::now() + later)).end());
}

#[test]
fn an_owner_that_ends_leaves_its_waiters_waiting() {
    let lock = forever(RLock::new());
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (begin, begun) = std::sync::mpsc::channel();
    let owner = spawn(move || {
        lock.acquire();
        begin.send(()).unwrap();
        ended.recv().unwrap_err();
    });
    begun.recv_timeout(LIMIT).unwrap();
    let waiter = asleep(|| lock.acquire_timeout(Duration::from_millis(200)));
    drop(end);
    owner.end();
    assert!(!waiter.end());
}

#[test]
fn debug_is_pythons_repr_with_the_count_for_the_owner_alone() {
    let lock = forever(RLock::new());
    let address = &raw const *lock;
    let unlocked = format!("<unlocked racefree::RLock owner=0 at {address:p}>");
    assert_eq!(format!("{lock:?}"), unlocked);

    lock.acquire();
    lock.acquire();
    let own = format!("{lock:?}");
    let owner = own
        .strip_prefix("<locked racefree::RLock owner=")
        .and_then(|rest| rest.strip_suffix(&format!(" count=2 at {address:p}>")))
        .expect(&own);
    assert_ne!(owner.parse(), Ok(0));

    let locked = format!("<locked racefree::RLock owner={owner} at {address:p}>");
    assert_eq!(spawn(move || format!("{lock:?}")).end(), locked);
}
