//! Models of `Condition`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use racefree_loom::model::{self, Builder, RaceCell, WakeOrder, thread};
use racefree_loom::{
    Condition, ConditionLock, Lock, NotOwnerError, RLock, ReleaseError, Semaphore,
};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, code, explore, explore_both_with, explore_stalled,
    explore_with, must_fail, spawn,
};

/// A condition, and a count of what may be taken, under its lock.
struct Shelf<L = Lock> {
    condition: Condition<L>,
    items: RaceCell<usize>,
    /// How many have said that they wait.
    waiting: RaceCell<usize>,
}

impl<L: ConditionLock + Default> Shelf<L> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            condition: Condition::default(),
            items: RaceCell::new(0),
            waiting: RaceCell::new(0),
        })
    }

    fn take(&self) {
        let _guard = self.condition.guard();
        let any = || self.items.with(|items| *items > 0);
        self.condition.wait_for(any).unwrap();
        self.items.with_mut(|items| *items -= 1);
    }

    fn put(&self, items: usize) {
        let _guard = self.condition.guard();
        self.items.with_mut(|all| *all += items);
        self.condition.notify(items).unwrap();
    }

    /// Waits for a notification, for a time, without anything to look at.
    fn wait_timeout(&self) -> bool {
        let _guard = self.condition.guard();
        self.waiting.with_mut(|waiting| *waiting += 1);
        self.condition.wait_timeout(TIMEOUT).unwrap()
    }

    fn waiting(&self) -> usize {
        self.waiting.with(|waiting| *waiting)
    }
}

fn hand_over<L: ConditionLock + Default + Send + Sync + 'static>(builder: &Builder) {
    explore_with(builder, || {
        let shelf = Shelf::<L>::new();
        let taker = spawn(&shelf, Shelf::take);
        shelf.put(1);
        taker.join().unwrap();
        assert_no_futex_call(|| shelf.put(1));
        shelf.items.with(|items| assert_eq!(*items, 1));
    });
}

#[test]
fn hand_over_under_a_lock() {
    hand_over::<Lock>(&code());
}

#[test]
fn hand_over_under_an_rlock() {
    hand_over::<RLock>(&code());
}

#[test]
fn hand_over_despite_spurious_wakeups() {
    hand_over::<Lock>(&bound(3, Some(5)).spurious_wakeups(1));
}

/// Each notification frees one, and each item finds its taker.
fn notify_one_twice(order: WakeOrder) {
    explore_with(&bound(3, Some(4)).wake_order(order), || {
        let shelf = Shelf::<Lock>::new();
        let takers = [(); 2].map(|()| spawn(&shelf, Shelf::take));
        shelf.put(1);
        shelf.put(1);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
    });
}

#[test]
fn notify_one_twice_first_in() {
    notify_one_twice(WakeOrder::FirstIn);
}

#[test]
fn notify_one_twice_last_in() {
    notify_one_twice(WakeOrder::LastIn);
}

#[test]
fn notify_two_at_once() {
    explore_with(&bound(3, Some(4)), || {
        let shelf = Shelf::<Lock>::new();
        let takers = [(); 2].map(|()| spawn(&shelf, Shelf::take));
        shelf.put(2);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
    });
}

/// A buffer with room for one, and a condition for each side, under one lock.
struct Buffer {
    not_full: Condition<Arc<Lock>>,
    not_empty: Condition<Arc<Lock>>,
    item: RaceCell<Option<usize>>,
}

impl Buffer {
    fn new() -> Arc<Self> {
        let lock = Arc::new(Lock::new());
        Arc::new(Self {
            not_full: Condition::with_lock(Arc::clone(&lock)),
            not_empty: Condition::with_lock(lock),
            item: RaceCell::new(None),
        })
    }

    fn put(&self, item: usize) {
        let _guard = self.not_full.guard();
        let room = || self.item.with(Option::is_none);
        self.not_full.wait_for(room).unwrap();
        self.item.with_mut(|place| *place = Some(item));
        self.not_empty.notify(1).unwrap();
    }

    fn take(&self) -> usize {
        let _guard = self.not_empty.guard();
        let any = || self.item.with(Option::is_some);
        self.not_empty.wait_for(any).unwrap();
        let item = self.item.with_mut(Option::take).unwrap();
        self.not_full.notify(1).unwrap();
        item
    }
}

fn producer_and_consumer(builder: &Builder, items: usize) {
    explore_with(builder, move || {
        let buffer = Buffer::new();
        let producer = spawn(&buffer, move |buffer| {
            (0..items).for_each(|item| buffer.put(item));
        });
        for item in 0..items {
            assert_eq!(buffer.take(), item);
        }
        producer.join().unwrap();
    });
}

#[test]
fn producer_and_consumer_of_one() {
    producer_and_consumer(&code(), 1);
}

#[test]
fn producer_and_consumer_of_two() {
    producer_and_consumer(&bound(4, Some(5)), 2);
}

#[test]
fn producer_and_consumer_of_three() {
    producer_and_consumer(&bound(3, Some(3)), 3);
}

#[test]
fn two_producers_and_a_consumer() {
    explore_with(&bound(2, Some(3)), || {
        let buffer = Buffer::new();
        let producers = [1, 2].map(|item| spawn(&buffer, move |buffer| buffer.put(item)));
        assert_eq!(buffer.take() + buffer.take(), 3);
        producers.into_iter().for_each(|it| it.join().unwrap());
    });
}

/// A wait that ends in time was notified, and what it was notified of is there to see.
fn timed_against_notify(wait: fn(&Condition<Lock>) -> Result<bool, NotOwnerError>) {
    explore_both_with(&bound(6, Some(8)), move || {
        let shelf = Shelf::<Lock>::new();
        let waiter = spawn(&shelf, move |shelf| {
            let _guard = shelf.condition.guard();
            shelf.waiting.with_mut(|waiting| *waiting += 1);
            let notified = wait(&shelf.condition).unwrap();
            if notified {
                shelf.items.with(|items| assert_eq!(*items, 1));
            }
            notified
        });
        let guard = shelf.condition.guard();
        shelf.items.with_mut(|items| *items = 1);
        let waited = shelf.waiting() > 0;
        shelf.condition.notify_all().unwrap();
        drop(guard);
        let notified = waiter.join().unwrap();
        assert!(waited || !notified);
        // It has left the queue: there is nobody to wake.
        assert_no_futex_call(|| {
            let _guard = shelf.condition.guard();
            shelf.condition.notify_all().unwrap();
        });
        notified
    });
}

#[test]
fn timeout_against_notify() {
    timed_against_notify(|condition| condition.wait_timeout(TIMEOUT));
}

#[test]
fn deadline_against_notify() {
    timed_against_notify(|condition| condition.wait_until(Instant::now() + TIMEOUT));
}

#[test]
fn predicate_with_a_timeout_against_notify() {
    explore_both_with(&bound(6, Some(8)), || {
        let shelf = Shelf::<Lock>::new();
        let waiter = spawn(&shelf, |shelf| {
            let _guard = shelf.condition.guard();
            let any = || shelf.items.with(|items| *items > 0);
            let came = shelf.condition.wait_for_timeout(any, TIMEOUT).unwrap();
            assert_eq!(came, any());
            came
        });
        shelf.put(1);
        waiter.join().unwrap()
    });
}

/// Of one notification with two that wait, one is notified and the other one is not: whether the
/// first runs out of time or not.
#[test]
fn timeout_beside_a_waiter() {
    explore_both_with(&bound(3, Some(4)), || {
        let shelf = Shelf::<Lock>::new();
        let gone = Arc::new(AtomicBool::new(false));
        let timed = spawn(&shelf, Shelf::wait_timeout);
        let waiter = spawn(&shelf, {
            let gone = Arc::clone(&gone);
            move |shelf| {
                let _guard = shelf.condition.guard();
                // Who comes when all has been given waits for nothing.
                if shelf.items.with(|items| *items == 0) {
                    shelf.waiting.with_mut(|waiting| *waiting += 1);
                    shelf.condition.wait().unwrap();
                }
                gone.store(true, Relaxed);
            }
        });
        let notify = |last| {
            let _guard = shelf.condition.guard();
            let both_wait = shelf.waiting() == 2;
            assert!(!both_wait || !gone.load(Relaxed), "notified by nobody");
            shelf.condition.notify(1).unwrap();
            if last || !both_wait {
                shelf.items.with_mut(|items| *items = 1);
                shelf.condition.notify_all().unwrap();
            }
            both_wait
        };
        let both_waited = notify(false);
        let notified = timed.join().unwrap();
        if notified && both_waited {
            notify(true);
        }
        waiter.join().unwrap();
        notified && both_waited
    });
}

/// Who notifies and then waits is not woken by that.
#[test]
fn a_notification_is_not_for_a_later_waiter() {
    explore_both_with(&bound(3, Some(6)), || {
        let shelf = Shelf::<Lock>::new();
        let waiter = spawn(&shelf, |shelf| {
            let _guard = shelf.condition.guard();
            if shelf.items.with(|items| *items > 0) {
                return false;
            }
            shelf.waiting.with_mut(|waiting| *waiting += 1);
            shelf.condition.wait().unwrap();
            true
        });
        let guard = shelf.condition.guard();
        shelf.items.with_mut(|items| *items = 1);
        shelf.condition.notify(1).unwrap();
        let waited = shelf.waiting() > 0;
        assert_eq!(shelf.condition.wait_timeout(TIMEOUT), Ok(false));
        drop(guard);
        assert_eq!(waiter.join().unwrap(), waited);
        waited
    });
}

/// The first that came is the first that goes.
#[test]
fn in_the_order_of_coming() {
    explore_both_with(&bound(3, Some(4)), || {
        let shelf = Shelf::<Lock>::new();
        let came = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let waiters = [0, 1].map(|number| {
            let came = Arc::clone(&came);
            spawn(&shelf, move |shelf| {
                let _guard = shelf.condition.guard();
                if shelf.waiting() < 2 {
                    shelf.waiting.with_mut(|waiting| *waiting += 1);
                    came[number].store(shelf.waiting(), Relaxed);
                    shelf.condition.wait().unwrap();
                }
                shelf.items.with_mut(|items| {
                    *items += 1;
                    *items
                })
            })
        });
        let notify = || {
            let _guard = shelf.condition.guard();
            let all = shelf.waiting() == 2;
            if all {
                shelf.condition.notify(1).unwrap();
            } else {
                // Who comes later goes at once.
                shelf.waiting.with_mut(|waiting| *waiting = 2);
                shelf.condition.notify_all().unwrap();
            }
            all
        };
        let all = notify();
        let mut waiters = waiters;
        if all && came[1].load(Relaxed) == 1 {
            waiters.reverse();
        }
        let [first, second] = waiters;
        let first = first.join().unwrap();
        if all {
            assert_eq!(first, 1);
            notify();
            assert_eq!(second.join().unwrap(), 2);
        } else {
            second.join().unwrap();
        }
        all
    });
}

#[test]
fn all_levels_are_given_up_and_restored() {
    explore(|| {
        let lock = Arc::new(RLock::new());
        let shared = Arc::new((Condition::with_lock(Arc::clone(&lock)), RaceCell::new(0)));
        lock.acquire();
        lock.acquire();
        let other = spawn(&shared, |(condition, data)| {
            let _guard = condition.guard();
            data.with_mut(|data| *data += 1);
            condition.notify(1).unwrap();
        });
        shared.0.wait().unwrap();
        assert_eq!(lock.recursion_count(), 2);
        shared.1.with(|data| assert_eq!(*data, 1));
        other.join().unwrap();
        lock.release().unwrap();
        lock.release().unwrap();
        assert!(!lock.locked());
    });
}

#[test]
fn without_the_lock_nothing_is_done() {
    explore(|| {
        let condition = Condition::new();
        assert_eq!(condition.wait(), Err(NotOwnerError::Wait));
        assert_eq!(condition.wait_timeout(TIMEOUT), Err(NotOwnerError::Wait));
        assert_eq!(
            condition.wait_for(|| unreachable!()),
            Err(NotOwnerError::Wait)
        );
        assert_eq!(condition.notify(1), Err(NotOwnerError::Notify));
        assert_eq!(condition.notify_all(), Err(NotOwnerError::Notify));
        assert_eq!(condition.release(), Err(ReleaseError::NotOwner));
        assert!(condition.acquire_timeout(Duration::ZERO));
        assert!(condition.acquire_until(Instant::now() + TIMEOUT));
        assert!(condition.try_acquire());
    });
}

/// A `Lock` cannot tell who holds it. What is notified by somebody else is in order all the same.
#[test]
fn notified_by_one_that_does_not_hold_the_lock() {
    explore_both_with(&bound(5, Some(7)), || {
        let shelf = Shelf::<Lock>::new();
        let other = spawn(&shelf, |shelf| shelf.condition.notify(1));
        let notified = shelf.wait_timeout();
        let result = other.join().unwrap();
        assert!(result.is_ok() || !notified);
        notified
    });
}

/// One that waits without the lock, while somebody else has it and releases it: that is an error,
/// and it takes no notification from the one behind it.
#[test]
fn a_waiter_that_does_not_hold_the_lock() {
    explore_both_with(&bound(3, Some(3)), || {
        let shelf = Shelf::<Lock>::new();
        let waits = Arc::new(AtomicBool::new(false));
        let gone = Arc::new(AtomicBool::new(false));
        let intruder = spawn(&shelf, |shelf| {
            let waited = shelf.condition.wait_timeout(TIMEOUT);
            if waited.is_ok() {
                let _ = shelf.condition.release();
            }
            waited
        });
        let waiter = spawn(&shelf, {
            let (waits, gone) = (Arc::clone(&waits), Arc::clone(&gone));
            move |shelf| {
                shelf.condition.acquire();
                waits.store(true, Relaxed);
                // The intruder may have released the lock.
                let _ = shelf.condition.wait();
                let _ = shelf.condition.release();
                gone.store(true, Relaxed);
            }
        });
        let notify = |n| {
            shelf.condition.acquire();
            let waited = waits.load(Relaxed);
            let _ = shelf.condition.notify(n);
            let _ = shelf.condition.release();
            waited
        };
        let waited = notify(1);
        // If the intruder released nothing, then the waiter was in the queue when it was notified.
        let refused = intruder.join().unwrap().is_err();
        while !(waited && refused || gone.load(Relaxed)) {
            notify(1);
            thread::yield_now();
        }
        waiter.join().unwrap();
        waited && refused
    });
}

/// See [`super::lock::locks_in_two_orders_are_a_deadlock`].
#[test]
fn a_wait_that_nobody_ends_is_a_deadlock() {
    must_fail("deadlock", || {
        let condition = Condition::new();
        let _guard = condition.guard();
        condition.wait().unwrap();
    });
}

/// Two wait for a flag, and are woken by `wake`.
fn stalled(wake: fn(&Condition<Lock>)) {
    explore_stalled(
        &bound(2, Some(3)),
        true,
        || (Condition::with_lock(Lock::new()), RaceCell::new(false)),
        |(condition, set)| {
            let _guard = condition.guard();
            condition.wait_for(|| set.with(|set| *set)).unwrap();
        },
        move |(condition, set)| {
            let _guard = condition.guard();
            set.with_mut(|set| *set = true);
            wake(condition);
        },
    );
}

#[test]
fn a_stalled_waiter_beside_another_of_all() {
    stalled(|condition| condition.notify_all().unwrap());
}

#[test]
fn a_stalled_waiter_beside_another_of_two() {
    stalled(|condition| condition.notify(2).unwrap());
}

#[test]
fn a_stalled_waiter_beside_another_of_two_notifications() {
    stalled(|condition| {
        condition.notify(1).unwrap();
        condition.notify(1).unwrap();
    });
}

/// Two that were woken together sleep for the lock that their waker holds. Whichever of them is woken
/// for it first may stall there: the other one goes on.
fn stalled_on_the_way_to_the_lock(wake: fn(&Condition<Lock>)) {
    explore_with(&bound(2, Some(3)), move || {
        let shelf = Shelf::<Lock>::new();
        let shared = Arc::new((shelf, [(); 2].map(|()| Semaphore::new(0))));
        let waiters = [(); 2].map(|()| {
            spawn(&shared, |(shelf, [waiting, gone])| {
                let guard = shelf.condition.guard();
                waiting.release().unwrap();
                model::stall_when_woken(false);
                let any = || shelf.items.with(|items| *items > 0);
                shelf.condition.wait_for(any).unwrap();
                drop(guard);
                gone.release().unwrap();
            })
        });
        let (shelf, [waiting, gone]) = &*shared;
        waiting.acquire_n(2);
        // Both are in the queue by now: each gave up the lock.
        let guard = shelf.condition.guard();
        shelf.items.with_mut(|items| *items = 1);
        wake(&shelf.condition);
        drop(guard);
        gone.acquire();
        model::let_go();
        waiters.into_iter().for_each(|it| it.join().unwrap());
    });
}

#[test]
fn a_waiter_that_stalls_on_the_way_to_the_lock_beside_another_of_all() {
    stalled_on_the_way_to_the_lock(|condition| condition.notify_all().unwrap());
}

#[test]
fn a_waiter_that_stalls_on_the_way_to_the_lock_beside_another_of_two() {
    stalled_on_the_way_to_the_lock(|condition| condition.notify(2).unwrap());
}

#[test]
fn hand_over_to_a_waiter_that_polls() {
    hand_over::<Lock>(&code().polls(true));
}
