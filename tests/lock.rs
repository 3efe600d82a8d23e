//! What is special about `Lock`: no thread owns it. What it shares with others is in `acquire`.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{hint, thread};

use common::{LIMIT, asleep, forever, spawn};
use racefree::{Lock, ReleaseError};

#[test]
fn a_new_lock_is_unlocked() {
    assert!(!Lock::new().locked());
    assert!(!Lock::default().locked());
}

#[test]
fn it_is_locked_from_acquire_to_release() {
    static LOCK: Lock = Lock::new();
    LOCK.acquire();
    assert!(LOCK.locked());
    LOCK.release().unwrap();
    assert!(!LOCK.locked());
}

#[test]
fn it_stays_locked_while_others_wait_and_when_they_gave_up() {
    let lock = forever(Lock::new());
    lock.acquire();
    let waiter = asleep(|| lock.acquire_timeout(Duration::from_millis(100)));
    assert!(lock.locked());
    assert!(!waiter.end());
    assert!(lock.locked());
}

#[test]
fn the_thread_that_holds_it_waits_as_any_other() {
    let lock = forever(Lock::new());
    let holder = spawn(|| {
        lock.acquire();
        lock.try_acquire() || lock.acquire_timeout(Duration::from_millis(1))
    });
    assert!(!holder.end());
}

#[test]
fn another_thread_may_release_it() {
    let lock = forever(Lock::new());
    lock.acquire();
    assert_eq!(spawn(|| lock.release()).end(), Ok(()));
    assert!(!lock.locked());
}

#[test]
fn another_thread_may_release_its_holder_from_waiting_for_itself() {
    let lock = forever(Lock::new());
    let waiter = asleep(|| {
        lock.acquire();
        lock.acquire_timeout(LIMIT * 2)
    });
    lock.release().unwrap();
    assert!(waiter.end());
}

#[test]
fn a_guard_may_be_dropped_by_another_thread() {
    let lock = forever(Lock::new());
    let guard = lock.guard();
    spawn(move || drop(guard)).end();
    assert!(!lock.locked());
}

#[test]
fn a_release_while_unlocked_is_refused_in_pythons_words() {
    let error = Lock::new().release().unwrap_err();
    assert_eq!(error, ReleaseError::Unlocked);
    assert_eq!(error.to_string(), "release unlocked lock");
}

#[test]
fn of_two_releases_of_one_acquire_one_is_accepted() {
    const ROUNDS: u32 = 20_000;
    let lock = forever(Lock::new());
    let arrived = forever(AtomicU32::new(0));
    // Spins for a while, so that both go on at the same moment.
    let meet = |number| {
        arrived.fetch_add(1, Ordering::AcqRel);
        for tried in 0_u32.. {
            match arrived.load(Ordering::Acquire) {
                all if all >= 2 * number => return,
                _ if tried < 1000 => hint::spin_loop(),
                _ => thread::yield_now(),
            }
        }
    };
    let threads = [true, false].map(|acquires| {
        spawn(move || {
            let mut accepted = 0;
            for round in 0..ROUNDS {
                if acquires {
                    lock.acquire();
                }
                meet(2 * round + 1);
                accepted += u32::from(lock.release().is_ok());
                meet(2 * round + 2);
            }
            accepted
        })
    });
    let [first, second] = threads.map(|thread| thread.end());
    assert_eq!(first + second, ROUNDS);
}

#[test]
fn debug_is_pythons_repr() {
    let lock = Lock::new();
    let address = &raw const lock;
    let unlocked = format!("<unlocked racefree::Lock at {address:p}>");
    assert_eq!(format!("{lock:?}"), unlocked);
    lock.acquire();
    let locked = format!("<locked racefree::Lock at {address:p}>");
    assert_eq!(format!("{lock:?}"), locked);
}
