//! `Lock`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use racefree::ReleaseError;
use racefree::process::{Lock, LockError, Shared, shared};

use crate::child::{LIMIT, say, soon, until_killed, with_children};

shared! {
    struct Counter {
        lock: Lock,
        count: AtomicU32,
    }
}

const ROUNDS: u32 = 20_000;

/// Adds one, in two steps.
fn add(counter: &Shared<Counter>) {
    let _guard = counter
        .lock
        .guard_timeout(LIMIT)
        .unwrap()
        .expect("the lock");
    let count = counter.count.load(Ordering::Relaxed);
    counter.count.store(count + 1, Ordering::Relaxed);
}

with_children! {
    fn exclusion: Counter = Counter { lock: Lock::new(), count: AtomicU32::new(0) };
    { "adds" => |counter| (0..ROUNDS).for_each(|_| add(&counter)), }
    |counter, start| {
        let child = start("adds");
        (0..ROUNDS).for_each(|_| add(counter));
        child.join();
        assert_eq!(counter.count.load(Ordering::Relaxed), 2 * ROUNDS);
    }
}

fn hold(lock: Shared<Lock>) {
    lock.acquire().unwrap();
    say("held");
    until_killed()
}

with_children! {
    fn another_process_may_release: Lock = Lock::new();
    { "holds" => hold, }
    |lock, start| {
        let child = start("holds");
        child.expect("held");
        assert_eq!(lock.try_acquire(), Ok(false));
        assert_eq!(lock.acquire_timeout(Duration::from_millis(120)), Ok(false));
        lock.release().unwrap();
        assert_eq!(lock.try_acquire(), Ok(true));
    }
}

with_children! {
    fn a_death_is_told_to_one_who_waits: Lock = Lock::new();
    { "holds" => hold, }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.acquire_timeout(LIMIT));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiter.is_finished());
            soon(|| {
                child.kill();
                assert_eq!(waiter.join().unwrap(), Err(LockError::OwnerDied(())));
            });
        });
        lock.repaired().unwrap();
        lock.release().unwrap();
        assert_eq!(lock.acquire(), Ok(()));
    }
}

with_children! {
    fn a_death_is_told_to_one_who_tries: Lock = Lock::new();
    { "holds" => hold, }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        assert_eq!(lock.try_acquire(), Ok(false));
        child.kill();
        assert_eq!(lock.try_acquire(), Err(LockError::OwnerDied(())));
        lock.repaired().unwrap();
    }
}

with_children! {
    fn what_nobody_repairs_is_lost: Lock = Lock::new();
    { "holds" => hold, }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        child.kill();
        std::thread::scope(|scope| {
            let Err(LockError::OwnerDied(guard)) = lock.guard() else { panic!("news") };
            let waiter = scope.spawn(|| lock.acquire_timeout(LIMIT));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiter.is_finished());
            drop(guard);
            assert_eq!(waiter.join().unwrap(), Err(LockError::Lost));
        });
        assert_eq!(lock.try_acquire(), Err(LockError::Lost));
        assert_eq!(lock.release(), Err(ReleaseError::Unlocked));
        assert_eq!(lock.repaired(), Err(ReleaseError::NotOwner));
    }
}

with_children! {
    fn a_death_during_the_repair: Lock = Lock::new();
    {
        "holds" => hold,
        "repairs" => |lock| {
            assert_eq!(lock.acquire(), Err(LockError::OwnerDied(())));
            say("repairing");
            until_killed()
        },
    }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        child.kill();
        let mut child = start("repairs");
        child.expect("repairing");
        assert_eq!(lock.try_acquire(), Ok(false));
        child.kill();
        assert_eq!(soon(|| lock.acquire()), Err(LockError::OwnerDied(())));
    }
}

with_children! {
    fn a_waiter_that_dies_is_in_nobodys_way: Lock = Lock::new();
    { "waits" => |lock| { say("waiting"); lock.acquire().unwrap(); say("acquired"); until_killed() }, }
    |lock, start| {
        lock.acquire().unwrap();
        let mut child = start("waits");
        child.expect("waiting");
        std::thread::sleep(Duration::from_millis(50));
        child.kill();
        lock.release().unwrap();
        assert_eq!(lock.try_acquire(), Ok(true));
    }
}

#[test]
fn a_slot_that_is_used_again_is_another_process() {
    let lock = Shared::create(Lock::new()).unwrap();
    let first = Shared::<Lock>::attach(&lock).unwrap();
    first.acquire().unwrap();
    drop(first);
    // It takes the same slot.
    let second = Shared::<Lock>::attach(&lock).unwrap();
    assert_eq!(lock.try_acquire(), Err(LockError::OwnerDied(())));
    assert_eq!(second.try_acquire(), Ok(false));
}

#[test]
#[should_panic(expected = "outside of a `Shared` region")]
fn a_lock_that_is_in_no_region_is_an_error() {
    let _ = Lock::new().acquire();
}
