//! `Mutex`, and `Lock` under `lock_api`'s interface.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use common::{LIMIT, asleep, forever, spawn};
use racefree::{Mutex, MutexGuard};

#[test]
fn the_data_is_one_threads_at_a_time() {
    let mutex = forever(Mutex::new(0));
    let threads = [(); 8].map(|()| {
        spawn(|| {
            for _ in 0..10_000 {
                *mutex.lock() += 1;
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.end());
    assert_eq!(*mutex.lock(), 80_000);
}

#[test]
fn every_way_to_lock() {
    let mutex = forever(Mutex::new(1));
    let mut guard = mutex.lock();
    assert!(mutex.is_locked());
    assert!(mutex.try_lock().is_none());
    assert!(mutex.try_lock_for(Duration::ZERO).is_none());
    assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
    assert!(mutex.try_lock_until(Instant::now()).is_none());
    let waiters = [
        asleep(|| *mutex.lock()),
        asleep(|| *mutex.try_lock_for(LIMIT * 2).unwrap()),
        asleep(|| *mutex.try_lock_for(Duration::MAX).unwrap()),
        asleep(|| *mutex.try_lock_until(Instant::now() + LIMIT * 2).unwrap()),
    ];
    *guard = 2;
    drop(guard);
    for waiter in waiters {
        assert_eq!(waiter.end(), 2);
    }
    assert!(!mutex.is_locked());
    assert_eq!(*mutex.try_lock().unwrap(), 2);
}

#[test]
fn whose_it_is_alone_needs_no_lock() {
    let mut mutex = Mutex::from(String::from("a"));
    mutex.get_mut().push('b');
    assert_eq!(mutex.into_inner(), "ab");
    assert_eq!(Mutex::<u32>::default().into_inner(), 0);
}

#[test]
fn the_data_may_have_no_size() {
    let mutex: Box<Mutex<[u8]>> = Box::new(Mutex::new([1, 2, 3]));
    mutex.lock().reverse();
    assert_eq!(*mutex.lock(), [3, 2, 1]);
}

#[test]
fn a_panic_unlocks_and_poisons_nothing() {
    let mutex = Mutex::new(0);
    let panicked = panic::catch_unwind(|| {
        *mutex.lock() = 1;
        let _guard = mutex.lock();
        panic!("under the guard");
    });
    assert!(panicked.is_err());
    assert_eq!(*mutex.lock(), 1);
}

#[test]
fn a_mapped_guard_keeps_it_locked() {
    let mutex = Mutex::new((1, String::from("one")));
    let mut word = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
    word.push('!');
    assert!(mutex.try_lock().is_none());
    assert_eq!(format!("{word:?}"), "\"one!\"");
    drop(word);
    assert_eq!(mutex.lock().1, "one!");
    // A panic on the way unlocks.
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let _ = MutexGuard::map(mutex.lock(), |_| -> &mut u32 { panic!("in the mapping") });
    }));
    assert!(panicked.is_err());
    assert!(!mutex.is_locked());
}

#[test]
fn a_guard_may_be_dropped_by_another_thread() {
    let mutex = forever(Mutex::new(1));
    let guard = mutex.lock();
    spawn(move || drop(guard)).end();
    let mapped = MutexGuard::map(mutex.lock(), |it| it);
    spawn(move || drop(mapped)).end();
    assert!(!mutex.is_locked());
}

#[test]
fn debug_shows_the_data_or_that_it_is_locked() {
    let mutex = Mutex::new(1);
    assert_eq!(format!("{mutex:?}"), "Mutex { data: 1 }");
    let guard = mutex.lock();
    assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked> }");
    assert_eq!(format!("{guard:?} {guard}"), "1 1");
}

#[cfg(feature = "lock_api")]
mod lock_api {
    use racefree::lock_api::{self, ReentrantMutex};
    use racefree::{Lock, ThreadId};

    use super::*;

    #[test]
    fn a_mutex() {
        static MUTEX: lock_api::Mutex<Lock, u32> = lock_api::Mutex::new(0);
        let threads = [(); 4].map(|()| {
            spawn(|| {
                for _ in 0..10_000 {
                    *MUTEX.lock() += 1;
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.end());
        let guard = MUTEX.lock();
        assert_eq!(*guard, 40_000);
        assert!(MUTEX.is_locked());
        assert!(MUTEX.try_lock().is_none());
        assert!(MUTEX.try_lock_for(Duration::from_millis(1)).is_none());
        assert!(MUTEX.try_lock_until(Instant::now()).is_none());
        // As this crate's own: any thread may drop it.
        spawn(move || drop(guard)).end();
        assert!(!MUTEX.is_locked());
    }

    #[test]
    fn a_reentrant_mutex() {
        type Reentrant = ReentrantMutex<Lock, ThreadId, u32>;
        let mutex: &'static Reentrant = forever(Reentrant::new(1));
        let outer = mutex.lock();
        let inner = mutex.try_lock().unwrap();
        assert_eq!(*outer + *inner, 2);
        assert!(spawn(|| mutex.try_lock().is_none()).end());
        drop(outer);
        assert!(spawn(|| mutex.try_lock().is_none()).end());
        drop(inner);
        assert!(spawn(|| mutex.try_lock().is_some()).end());
    }
}
