//! Nothing allocates: not to acquire, to wait, to be woken, to notify, nor to release. But where
//! there is no futex: parking_lot_core keeps a table of the threads that ever slept. Nor with the
//! deadlock checker, which keeps a list for each thread.
#![cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(racefree_parking),
    not(feature = "deadlock")
))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use common::{Acquire, LIMIT, asleep, for_each_primitive, forever};
use racefree::{Barrier, Condition, Event, Mutex};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

// SAFETY: it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `body`, and fails if it allocates.
#[track_caller]
fn without_allocation<T>(body: impl FnOnce() -> T) -> T {
    let before = ALLOCATIONS.get();
    let result = body();
    assert_eq!(ALLOCATIONS.get() - before, 0, "it allocates");
    result
}

#[test]
#[should_panic = "it allocates"]
fn an_allocation_is_noticed() {
    without_allocation(|| Box::new(1));
}

fn signal() -> (Sender<()>, Receiver<()>) {
    mpsc::channel()
}

for_each_primitive! {
    acquire_and_release
}

fn acquire_and_release<P: Acquire>() {
    let primitive = forever(P::default());
    let use_it = || {
        without_allocation(|| {
            primitive.acquire();
            primitive.release().unwrap();
            drop(primitive.guard());
            assert!(primitive.try_acquire() && primitive.release().is_ok());
            assert!(primitive.acquire_timeout(LIMIT) && primitive.release().is_ok());
        });
    };
    use_it();
    // One that waits, in vain and then not; and one that wakes it.
    let guard = primitive.guard();
    let (waited, in_vain) = signal();
    let waiter = asleep(move || {
        without_allocation(|| {
            assert!(!primitive.acquire_timeout(Duration::from_millis(20)));
            assert!(!primitive.acquire_until(Instant::now()));
        });
        waited.send(()).unwrap();
        use_it();
    });
    in_vain.recv_timeout(LIMIT).unwrap();
    without_allocation(|| guard.release().unwrap());
    waiter.end();
}

#[test]
fn event() {
    let event = forever(Event::new());
    let waiters = [(); 3].map(|()| asleep(|| without_allocation(|| event.wait_timeout(LIMIT))));
    without_allocation(|| {
        event.set();
        event.wait();
        event.clear();
        assert!(!event.wait_timeout(Duration::from_millis(1)));
    });
    for waiter in waiters {
        assert!(waiter.end());
    }
}

#[test]
fn condition() {
    let condition = forever(Condition::new());
    let waiters = [(); 9].map(|()| {
        asleep(|| {
            without_allocation(|| {
                let _guard = condition.guard();
                condition.wait().unwrap();
                assert_eq!(condition.wait_timeout(Duration::from_millis(1)), Ok(false));
                condition.wait_for(|| true).unwrap();
            });
        })
    });
    without_allocation(|| {
        let _guard = condition.guard();
        condition.notify(2).unwrap();
        condition.notify_all().unwrap();
    });
    waiters.into_iter().for_each(|waiter| waiter.end());
}

#[test]
fn barrier() {
    let barrier = forever(Barrier::new(3).with_action(|| ()));
    let round = || without_allocation(|| barrier.wait().is_ok());
    let waiters = [(); 2].map(|()| asleep(round));
    assert!(round());
    for waiter in waiters {
        assert!(waiter.end());
    }
    let waiter = asleep(round);
    without_allocation(|| {
        barrier.abort();
        barrier.reset();
        assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err());
    });
    assert!(!waiter.end());
}

#[test]
fn mutex() {
    let mutex = forever(Mutex::new(0));
    let mut guard = mutex.lock();
    let waiter = asleep(|| without_allocation(|| *mutex.try_lock_for(LIMIT).unwrap()));
    *guard += 1;
    without_allocation(|| drop(guard));
    assert_eq!(waiter.end(), 1);
}
