//! `Condvar`: with a `Mutex`, and with each other guard that it takes.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use common::{LIMIT, Running, asleep, forever, spawn, until, words};
use racefree::{Condvar, CondvarGuard, Lock, Mutex, MutexGuard, RLock};

const SHORT: Duration = Duration::from_millis(1);

/// Some data, and a way to wait for its change.
#[derive(Default)]
struct Shared {
    data: Mutex<u32>,
    changed: Condvar,
}

impl Shared {
    fn new() -> &'static Self {
        forever(Self::default())
    }

    /// A thread that waits, and returns what it was told as soon as it has the mutex again.
    fn waiter(&'static self) -> Running<()> {
        asleep(|| self.changed.wait(&mut self.data.lock()))
    }
}

#[test]
fn a_notification_with_nobody_there_is_gone() {
    let shared = Shared::new();
    assert!(!shared.changed.notify_one());
    assert_eq!(shared.changed.notify(5), 0);
    assert_eq!(shared.changed.notify_all(), 0);
    let waited = shared.changed.wait_timeout(&mut shared.data.lock(), SHORT);
    assert!(waited.timed_out());
}

#[test]
fn it_is_told_how_many_wait_and_how_many_are_notified() {
    let shared = Shared::new();
    let waiters = [(); 6].map(|()| shared.waiter());
    assert_eq!(shared.changed.n_waiting(), 6);
    assert_eq!(format!("{:?}", shared.changed), "Condvar { waiting: 6 }");
    assert!(shared.changed.notify_one());
    assert_eq!(shared.changed.notify(2), 2);
    assert_eq!(shared.changed.notify(0), 0);
    assert_eq!(shared.changed.n_waiting(), 3);
    assert_eq!(shared.changed.notify_all(), 3);
    assert!(!shared.changed.notify_one());
    waiters.into_iter().for_each(Running::end);
    assert_eq!(shared.changed.n_waiting(), 0);
}

#[test]
fn no_more_are_notified_than_there_are() {
    let shared = Shared::new();
    let waiters = [(); 2].map(|()| shared.waiter());
    assert_eq!(shared.changed.notify(3), 2);
    waiters.into_iter().for_each(Running::end);
    let later = shared.waiter();
    assert!(!later.is_finished());
    assert!(shared.changed.notify_one());
    later.end();
}

#[test]
fn the_first_goes_first_whether_the_mutex_is_locked_or_not() {
    for locked in [false, true] {
        let shared = Shared::new();
        let (went, order) = mpsc::channel();
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let went = went.clone();
                asleep(move || {
                    shared.changed.wait(&mut shared.data.lock());
                    went.send(number).unwrap();
                })
            })
            .collect();
        for number in 0..4 {
            let guard = locked.then(|| shared.data.lock());
            assert!(shared.changed.notify_one());
            drop(guard);
            assert_eq!(order.recv_timeout(LIMIT), Ok(number));
        }
        waiters.into_iter().for_each(Running::end);
    }
}

/// A waiter that comes after a notification does not take it from one that was there.
#[test]
fn none_is_stolen() {
    let shared = Shared::new();
    for _ in 0..50 {
        let first = shared.waiter();
        let guard = shared.data.lock();
        assert!(shared.changed.notify_one());
        // It enters the queue before the notified one has the mutex.
        let late = spawn(|| {
            let mut guard = shared.data.lock();
            shared.changed.wait_timeout(&mut guard, SHORT).timed_out()
        });
        drop(guard);
        first.end();
        assert!(late.end());
    }
}

#[test]
fn a_wait_unlocks_and_locks_again() {
    let shared = Shared::new();
    let waiter = asleep(|| {
        let mut data = shared.data.lock();
        *data = 1;
        shared.changed.wait(&mut data);
        assert!(shared.data.try_lock().is_none());
        *data
    });
    let mut data = shared.data.try_lock().unwrap();
    assert_eq!(*data, 1);
    assert!(shared.changed.notify_one());
    assert_eq!(shared.changed.n_waiting(), 0);
    // It has been notified, and cannot go on before the mutex is unlocked.
    std::thread::sleep(Duration::from_millis(5));
    assert!(!waiter.is_finished());
    *data = 2;
    drop(data);
    assert_eq!(waiter.end(), 2);
}

/// A wait with a timeout; it says whether its time was up.
type TimedWait = fn(&Shared, &mut MutexGuard<'_, u32>, Duration) -> bool;

#[test]
fn a_wait_ends_in_time_and_not_before() {
    let shared = Shared::new();
    for timeout in [Duration::from_nanos(1), SHORT, Duration::from_millis(30)] {
        let waits: [TimedWait; 6] = [
            |it, data, time| it.changed.wait_timeout(data, time).timed_out(),
            |it, data, time| it.changed.wait_for(data, time).timed_out(),
            |it, data, time| {
                let deadline = Instant::now() + time;
                it.changed.wait_until(data, deadline).timed_out()
            },
            |it, data, time| {
                let waited = it.changed.wait_while_timeout(data, |_| true, time);
                waited.timed_out()
            },
            |it, data, time| it.changed.wait_while_for(data, |_| true, time).timed_out(),
            |it, data, time| {
                let deadline = Instant::now() + time;
                let waited = it.changed.wait_while_until(data, |_| true, deadline);
                waited.timed_out()
            },
        ];
        for wait in waits {
            let mut data = shared.data.lock();
            let start = Instant::now();
            assert!(wait(shared, &mut data, timeout));
            assert!(start.elapsed() >= timeout);
            assert!(
                shared.data.try_lock().is_none(),
                "the mutex is not locked again"
            );
            *data += 1;
        }
    }
    assert_eq!(*shared.data.lock(), 18);
    assert_eq!(shared.changed.n_waiting(), 0);
}

#[test]
fn a_patient_wait_is_notified_in_time() {
    let shared = Shared::new();
    let waits: [fn(&Shared, &mut MutexGuard<'_, u32>) -> bool; 5] = [
        |it, data| it.changed.wait_timeout(data, LIMIT * 2).timed_out(),
        |it, data| it.changed.wait_timeout(data, Duration::MAX).timed_out(),
        |it, data| it.changed.wait_for(data, LIMIT * 2).timed_out(),
        |it, data| {
            let deadline = Instant::now() + LIMIT * 2;
            it.changed.wait_until(data, deadline).timed_out()
        },
        |it, data| {
            let waited = it
                .changed
                .wait_while_timeout(data, |data| *data == 0, Duration::MAX);
            waited.timed_out()
        },
    ];
    let waiters = waits.map(|wait| asleep(move || wait(shared, &mut shared.data.lock())));
    *shared.data.lock() = 1;
    assert_eq!(shared.changed.notify_all(), 5);
    assert_eq!(waiters.map(Running::end), [false; 5]);
}

/// A past deadline gives the mutex up for a moment, and is beyond the reach of notifications.
#[test]
fn a_wait_whose_time_is_up_does_not_wait() {
    let shared = Shared::new();
    let mut data = shared.data.lock();
    let past = Instant::now();
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(shared.changed.wait_until(&mut data, past).timed_out());
        assert!(
            shared
                .changed
                .wait_timeout(&mut data, Duration::ZERO)
                .timed_out()
        );
    }
    assert!(start.elapsed() < LIMIT);
}

/// Beside threads that notify without end, a condition that stays true ends in time.
#[test]
fn a_storm_of_notifications_keeps_nobody() {
    let shared = Shared::new();
    let over = forever(AtomicBool::new(false));
    let stormers = [(); 2].map(|()| {
        spawn(|| {
            while !over.load(Relaxed) {
                shared.changed.notify_all();
                std::thread::yield_now();
            }
        })
    });
    for _ in 0..3 {
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut late = 0;
        let waited = shared.changed.wait_while_until(
            &mut shared.data.lock(),
            |_| {
                late += u32::from(Instant::now() >= deadline);
                true
            },
            deadline,
        );
        assert!(waited.timed_out());
        assert!(late <= 1, "it was asked {late} times after its time");
    }
    over.store(true, Relaxed);
    stormers.into_iter().for_each(Running::end);
}

#[test]
fn a_condition_is_asked_with_the_mutex_locked_at_first_and_after_each_notification() {
    let shared = Shared::new();
    let asked = forever(AtomicU32::new(0));
    let waiter = asleep(|| {
        let mut data = shared.data.lock();
        shared.changed.wait_while(&mut data, |data| {
            asked.fetch_add(1, Relaxed);
            assert!(shared.data.try_lock().is_none());
            *data += 1;
            *data < 3
        });
        *data
    });
    assert_eq!(asked.load(Relaxed), 1);
    assert!(shared.changed.notify_one());
    until(|| shared.changed.n_waiting() == 1);
    assert_eq!(asked.load(Relaxed), 2);
    assert!(shared.changed.notify_one());
    assert_eq!(waiter.end(), 3);
    // What is not so at first is not waited for.
    shared
        .changed
        .wait_while(&mut shared.data.lock(), |_| false);
    let waited =
        shared
            .changed
            .wait_while_timeout(&mut shared.data.lock(), |_| false, Duration::ZERO);
    assert!(!waited.timed_out());
}

#[test]
fn a_condition_that_changes_as_the_time_is_up_is_met() {
    let shared = Shared::new();
    let mut data = shared.data.lock();
    let waited = shared.changed.wait_while_timeout(
        &mut data,
        |data| {
            *data += 1;
            *data < 2
        },
        SHORT,
    );
    assert!(!waited.timed_out());
    assert_eq!(*data, 2);
}

#[test]
fn a_condition_may_panic() {
    let shared = Shared::new();
    let mut data = shared.data.lock();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let panics = |_: &mut u32| -> bool { panic!("in the condition") };
        shared.changed.wait_while(&mut data, panics);
    }));
    assert_eq!(words(&*panicked.unwrap_err()), "in the condition");
    assert!(shared.data.is_locked());
    drop(data);
    assert_eq!(shared.changed.n_waiting(), 0);
    let waiter = asleep(|| {
        let mut first = true;
        let panics = |_: &mut u32| {
            assert!(std::mem::take(&mut first), "after a notification");
            true
        };
        panic::catch_unwind(AssertUnwindSafe(|| {
            shared.changed.wait_while(&mut shared.data.lock(), panics);
        }))
        .is_err()
    });
    assert!(shared.changed.notify_one());
    assert!(waiter.end());
    assert!(!shared.data.is_locked());
}

/// parking_lot panics here; each waiter has its own mutex again.
#[test]
fn waiters_may_have_different_mutexes() {
    let changed = forever(Condvar::new());
    let mutexes = forever([Mutex::new(0), Mutex::new(1)]);
    let waiters = [0, 1].map(|own: usize| {
        asleep(move || {
            let mut data = mutexes[own].lock();
            changed.wait(&mut data);
            assert!(mutexes[own].try_lock().is_none());
            *data
        })
    });
    assert_eq!(changed.notify_all(), 2);
    assert_eq!(waiters.map(Running::end), [0, 1]);
}

#[test]
fn two_condvars_of_one_mutex() {
    static FULL: Condvar = Condvar::new();
    static EMPTY: Condvar = Condvar::new();
    static PLACE: Mutex<Option<u32>> = Mutex::new(None);
    let producers = [0, 1, 2].map(|number| {
        spawn(move || {
            for _ in 0..100 {
                let mut place = PLACE.lock();
                EMPTY.wait_while(&mut place, |place| place.is_some());
                *place = Some(number);
                drop(place);
                FULL.notify_one();
            }
        })
    });
    let consumers = [(); 2].map(|()| {
        spawn(|| {
            let mut sum = 0;
            for _ in 0..150 {
                let mut place = PLACE.lock();
                FULL.wait_while(&mut place, |place| place.is_none());
                sum += place.take().unwrap();
                EMPTY.notify_one();
            }
            sum
        })
    });
    producers.into_iter().for_each(Running::end);
    let sums = consumers.map(Running::end);
    assert_eq!(sums.iter().sum::<u32>(), 300);
}

/// The last wake may free the condition variable.
#[test]
fn it_may_go_with_its_last_waiter() {
    for _ in 0..200 {
        let shared = Arc::new(Shared::default());
        let waiter = {
            let shared = Arc::clone(&shared);
            spawn(move || {
                shared
                    .changed
                    .wait_while(&mut shared.data.lock(), |data| *data == 0);
            })
        };
        *shared.data.lock() = 1;
        shared.changed.notify_one();
        drop(shared);
        waiter.end();
    }
}

/// Every guard that can be given up: it is, and comes back whole.
fn gives_up<G: CondvarGuard>(
    guard: impl FnOnce() -> G + Send + 'static,
    is_free: fn() -> bool,
    changed: &'static Condvar,
) {
    let waiter = asleep(move || {
        let mut guard = guard();
        changed.wait(&mut guard);
        assert!(!spawn(is_free).end());
        let waited = changed.wait_while_timeout(&mut guard, |_| true, SHORT);
        assert!(waited.timed_out());
        assert!(!spawn(is_free).end());
    });
    assert!(spawn(is_free).end());
    assert!(changed.notify_one());
    waiter.end();
    assert!(spawn(is_free).end());
}

#[test]
fn guards_of_locks() {
    static CHANGED: Condvar = Condvar::new();
    static LOCK: Lock = Lock::new();
    static RLOCK: RLock = RLock::new();
    static MUTEX: Mutex<u32> = Mutex::new(0);
    gives_up(|| LOCK.guard(), || LOCK.try_guard().is_some(), &CHANGED);
    gives_up(|| RLOCK.guard(), || RLOCK.try_guard().is_some(), &CHANGED);
    gives_up(|| MUTEX.lock(), || MUTEX.try_lock().is_some(), &CHANGED);
}

#[test]
fn guards_that_borrow_nothing() {
    static CHANGED: Condvar = Condvar::new();
    static LOCK: OnceLock<Arc<Lock>> = OnceLock::new();
    static RLOCK: OnceLock<Arc<RLock>> = OnceLock::new();
    static MUTEX: OnceLock<Arc<Mutex<u32>>> = OnceLock::new();
    let lock = || LOCK.get_or_init(Arc::default);
    let rlock = || RLOCK.get_or_init(Arc::default);
    let mutex = || MUTEX.get_or_init(Arc::default);
    lock();
    rlock();
    mutex();
    gives_up(
        move || lock().guard_arc(),
        || LOCK.get().unwrap().try_guard().is_some(),
        &CHANGED,
    );
    gives_up(
        move || rlock().guard_arc(),
        || RLOCK.get().unwrap().try_guard().is_some(),
        &CHANGED,
    );
    gives_up(
        move || mutex().lock_arc(),
        || MUTEX.get().unwrap().try_lock().is_some(),
        &CHANGED,
    );
}

#[cfg(feature = "lock_api")]
#[test]
fn a_guard_of_lock_api() {
    use racefree::lock_api;
    static CHANGED: Condvar = Condvar::new();
    static MUTEX: lock_api::Mutex<Lock, u32> = lock_api::Mutex::new(0);
    gives_up(|| MUTEX.lock(), || MUTEX.try_lock().is_some(), &CHANGED);
    let waiter = asleep(|| CHANGED.wait_while(&mut MUTEX.lock(), |data| *data == 0));
    *MUTEX.lock() = 1;
    CHANGED.notify_one();
    waiter.end();
}

#[test]
fn an_rlock_is_given_up_at_all_levels() {
    static CHANGED: Condvar = Condvar::new();
    static LOCK: RLock = RLock::new();
    let waiter = asleep(|| {
        let _first = LOCK.guard();
        let _second = LOCK.guard();
        let mut third = LOCK.guard();
        CHANGED.wait(&mut third);
        assert_eq!(LOCK.recursion_count(), 3);
    });
    assert!(LOCK.try_acquire());
    LOCK.release().unwrap();
    assert!(CHANGED.notify_one());
    waiter.end();
    assert!(!LOCK.locked());
}

/// A guard of a lock that was released beside it: nothing waits, and nothing is changed.
#[test]
fn a_guard_that_holds_nothing_any_more() {
    fn refused<G: CondvarGuard>(changed: &Condvar, mut guard: G) {
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| changed.wait(&mut guard)));
        let panicked = panicked.unwrap_err();
        assert_eq!(words(&*panicked), "cannot wait on un-acquired lock");
        assert_eq!(changed.n_waiting(), 0);
        std::mem::forget(guard);
    }
    let changed = Condvar::new();
    let (lock, rlock) = (Lock::new(), RLock::new());
    let guard = lock.guard();
    lock.release().unwrap();
    refused(&changed, guard);
    let guard = rlock.guard();
    rlock.release().unwrap();
    refused(&changed, guard);
    assert!(!lock.locked() && !rlock.locked());
    assert!(!changed.notify_one());
}

#[test]
fn timeouts_beside_notifications_lose_none() {
    // Each token is put by one notification and taken by one waiter, whatever times out meanwhile.
    const TOKENS: u32 = 2000;
    let shared = Shared::new();
    let left = forever(AtomicU32::new(TOKENS));
    let takers = [(); 4].map(|()| {
        spawn(|| {
            while left.load(Relaxed) > 0 {
                let mut tokens = shared.data.lock();
                let timeout = Duration::from_micros(50);
                let waited = shared
                    .changed
                    .wait_while_timeout(&mut tokens, |it| *it == 0, timeout);
                if !waited.timed_out() {
                    *tokens -= 1;
                    left.fetch_sub(1, Relaxed);
                }
            }
        })
    });
    for _ in 0..TOKENS {
        *shared.data.lock() += 1;
        shared.changed.notify_one();
    }
    takers.into_iter().for_each(Running::end);
    assert_eq!(*shared.data.lock(), 0);
}
