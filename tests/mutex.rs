//! `Mutex`, and `Lock` under `lock_api`'s interface.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use common::{LIMIT, asleep, forever, spawn, words};
use racefree::{ArcMutexGuard, MappedMutexGuard, Mutex, MutexGuard};

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
fn a_mapped_guard_is_mapped_further() {
    let mutex = Mutex::new((1, vec![String::from("one"), String::from("two")]));
    let list = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
    let mut word = MappedMutexGuard::map(list, |list| &mut list[1]);
    word.push('!');
    assert!(mutex.is_locked());
    assert_eq!(format!("{word} {word:?}"), "two! \"two!\"");
    drop(word);
    assert_eq!(mutex.lock().1[1], "two!");
}

#[test]
fn a_part_that_is_not_there_leaves_the_guard() {
    let mutex = Mutex::new(vec![1, 2]);
    let guard = MutexGuard::try_map(mutex.lock(), |list| list.get_mut(2)).unwrap_err();
    let (guard, error) =
        MutexGuard::try_map_or_err(guard, |list| list.get_mut(2).ok_or("none")).unwrap_err();
    assert_eq!((guard.len(), error), (2, "none"));
    assert!(mutex.is_locked());
    let part = MutexGuard::try_map(guard, |list| list.get_mut(..)).unwrap();
    let part = MappedMutexGuard::try_map(part, |list| list.get_mut(2)).unwrap_err();
    let (part, error) =
        MappedMutexGuard::try_map_or_err(part, |list| list.get_mut(2).ok_or("none")).unwrap_err();
    assert_eq!((&*part, error), (&[1, 2][..], "none"));
    assert!(mutex.is_locked());
    let part = MappedMutexGuard::try_map_or_err(part, |list| list.get_mut(1).ok_or("none"));
    *part.unwrap() = 3;
    assert!(!mutex.is_locked());
    let first = MutexGuard::try_map_or_err(mutex.lock(), |list| list.get_mut(0).ok_or("none"));
    let mut first = MappedMutexGuard::try_map(first.unwrap(), |it| Some(it)).unwrap();
    *first = 4;
    drop(first);
    assert_eq!(mutex.into_inner(), [4, 3]);
}

/// Whatever panics on the way to a part, the mutex is unlocked once: another thread that has it by
/// then keeps it.
#[test]
fn a_panic_on_the_way_to_a_part_unlocks() {
    fn part<T, U>(_: T) -> U {
        panic!("on the way")
    }
    let ways: [fn(MutexGuard<'_, u32>); 6] = [
        |guard| drop(MutexGuard::map(guard, |it| part::<_, &mut u32>(it))),
        |guard| {
            drop(MutexGuard::try_map(guard, |it| {
                part::<_, Option<&mut u32>>(it)
            }));
        },
        |guard| {
            drop(MutexGuard::try_map_or_err(guard, |it| {
                part::<_, Result<&mut u32, ()>>(it)
            }));
        },
        |guard| {
            let whole = MutexGuard::map(guard, |it| it);
            drop(MappedMutexGuard::map(whole, |it| part::<_, &mut u32>(it)));
        },
        |guard| {
            let whole = MutexGuard::map(guard, |it| it);
            drop(MappedMutexGuard::try_map(whole, |it| {
                part::<_, Option<&mut u32>>(it)
            }));
        },
        |guard| {
            let whole = MutexGuard::map(guard, |it| it);
            drop(MappedMutexGuard::try_map_or_err(whole, |it| {
                part::<_, Result<&mut u32, ()>>(it)
            }));
        },
    ];
    for way in ways {
        let mutex = Mutex::new(0);
        let panicked = panic::catch_unwind(|| way(mutex.lock())).unwrap_err();
        assert_eq!(words(&*panicked), "on the way");
        assert!(!mutex.is_locked());
    }
}

#[test]
fn unlocked_gives_the_mutex_up_for_a_while() {
    let mutex = forever(Mutex::new(1));
    let mut guard = mutex.lock();
    let seen = MutexGuard::unlocked(&mut guard, || {
        spawn(|| {
            let mut guard = mutex.try_lock().unwrap();
            *guard += 1;
            *guard
        })
        .end()
    });
    assert_eq!((seen, *guard), (2, 2));
    assert!(mutex.try_lock().is_none());
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        MutexGuard::unlocked(&mut guard, || panic!("while unlocked"));
    }));
    assert_eq!(words(&*panicked.unwrap_err()), "while unlocked");
    assert!(mutex.is_locked(), "it was locked again");
    *guard += 1;
    drop(guard);
    assert_eq!(*mutex.lock(), 3);
}

#[test]
fn unlocked_waits_for_the_mutex_to_lock_it_again() {
    let mutex = forever(Mutex::new(1));
    let (guard, taken) = (mutex.lock(), Mutex::new(None));
    let taken = forever(taken);
    let waiter = asleep(move || {
        let mut guard = guard;
        MutexGuard::unlocked(&mut guard, || *taken.lock() = Some(mutex.lock()));
        *guard
    });
    let mut other = taken.lock().take().unwrap();
    *other = 2;
    drop(other);
    assert_eq!(waiter.end(), 2);
}

#[test]
fn what_is_leaked_stays_locked() {
    let mutex = Mutex::new(1);
    let data = MutexGuard::leak(mutex.lock());
    *data += 1;
    assert!(mutex.try_lock().is_none());
    assert_eq!(*data, 2);
    // SAFETY: the guard was leaked, and what it left is not used any more.
    unsafe { mutex.force_unlock() };
    assert_eq!(*mutex.try_lock().unwrap(), 2);
}

#[test]
fn a_forgotten_guard_is_made_up_for_by_force_and_wakes_a_waiter() {
    let mutex = forever(Mutex::new(1));
    std::mem::forget(mutex.lock());
    let waiter = asleep(|| *mutex.lock());
    // SAFETY: the guard was forgotten.
    unsafe { mutex.force_unlock() };
    assert_eq!(waiter.end(), 1);
}

#[test]
fn short_accesses() {
    struct Locks(&'static Mutex<Option<Locks>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            assert!(!self.0.is_locked());
        }
    }
    let mutex = Mutex::new(vec![1]);
    assert_eq!(mutex.get_cloned(), [1]);
    assert_eq!(mutex.replace(vec![2]), [1]);
    mutex.set(vec![3]);
    assert_eq!(mutex.with_mut(|list| list.pop()), Some(3));
    assert!(!mutex.is_locked());
    // What is replaced is dropped when the mutex is free.
    let mutex = forever(Mutex::new(None));
    mutex.set(Some(Locks(mutex)));
    mutex.set(Some(Locks(mutex)));
    mutex.set(None);
}

#[test]
fn every_way_to_lock_in_an_arc() {
    let mutex = Arc::new(Mutex::new(1));
    let mut guard = mutex.lock_arc();
    assert!(ArcMutexGuard::mutex(&guard).is_locked());
    assert!(mutex.try_lock_arc().is_none());
    assert!(mutex.try_lock_arc_for(Duration::ZERO).is_none());
    assert!(mutex.try_lock_arc_for(Duration::from_millis(1)).is_none());
    assert!(mutex.try_lock_arc_until(Instant::now()).is_none());
    type Lock = fn(&Arc<Mutex<i32>>) -> ArcMutexGuard<i32>;
    let ways: [Lock; 4] = [
        |mutex| mutex.lock_arc(),
        |mutex| mutex.try_lock_arc_for(LIMIT * 2).unwrap(),
        |mutex| mutex.try_lock_arc_for(Duration::MAX).unwrap(),
        |mutex| {
            mutex
                .try_lock_arc_until(Instant::now() + LIMIT * 2)
                .unwrap()
        },
    ];
    let waiters = ways.map(|lock| {
        let mutex = Arc::clone(&mutex);
        asleep(move || *lock(&mutex))
    });
    *guard = 2;
    // It borrows nothing, and goes wherever it is to be dropped.
    spawn(move || drop(guard)).end();
    for waiter in waiters {
        assert_eq!(waiter.end(), 2);
    }
    let mut guard = mutex.try_lock_arc().unwrap();
    ArcMutexGuard::unlocked(&mut guard, || *mutex.try_lock().unwrap() = 3);
    assert_eq!(format!("{guard} {guard:?}"), "3 3");
    assert!(Arc::ptr_eq(&ArcMutexGuard::into_arc(guard), &mutex));
    assert!(!mutex.is_locked());
}

#[test]
fn a_guard_in_an_arc_keeps_the_mutex_alive() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2]));
    let weak: Weak<Mutex<[u8]>> = Arc::downgrade(&mutex);
    let guard = mutex.lock_arc();
    drop(mutex);
    assert_eq!(*guard, [1, 2]);
    assert!(weak.upgrade().unwrap().is_locked());
    drop(guard);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_guard_goes_through_a_catch() {
    let mutex = Arc::new(Mutex::new(1));
    let guard = mutex.lock();
    assert_eq!(panic::catch_unwind(move || *guard).unwrap(), 1);
    let guard = mutex.lock_arc();
    assert_eq!(panic::catch_unwind(move || *guard).unwrap(), 1);
    let mapped = MutexGuard::map(mutex.lock(), |number| number);
    assert_eq!(panic::catch_unwind(move || *mapped).unwrap(), 1);
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
    fn an_unlock_wakes_who_sleeps() {
        let mutex = forever(lock_api::Mutex::<Lock, u32>::new(0));
        let mut guard = mutex.lock();
        let waiter = asleep(|| *mutex.lock());
        *guard = 1;
        drop(guard);
        assert_eq!(waiter.end(), 1);
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
