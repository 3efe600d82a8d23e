//! `RLock`.

use std::thread;

use racefree::ReleaseError;
use racefree::process::{LockError, RLock, Shared};

use crate::child::{say, soon, until_killed, with_children};

#[test]
fn levels() {
    let lock = Shared::create(RLock::new()).unwrap();
    for _ in 0..3 {
        lock.acquire().unwrap();
    }
    assert_eq!(lock.recursion_count(), 3);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lock.try_acquire(), Ok(false));
            assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
            assert_eq!(lock.repaired(), Err(ReleaseError::NotOwner));
        });
    });
    for left in (0..3).rev() {
        lock.release().unwrap();
        assert_eq!(lock.recursion_count(), left);
    }
    assert!(!lock.locked());
}

with_children! {
    fn a_death_at_some_level: RLock = RLock::new();
    {
        "holds" => |lock| {
            lock.acquire().unwrap();
            lock.acquire().unwrap();
            say("held");
            until_killed()
        },
    }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        assert_eq!(lock.try_acquire(), Ok(false));
        assert_eq!(lock.release(), Err(ReleaseError::NotOwner), "the same thread of another process");
        child.kill();
        assert_eq!(soon(|| lock.acquire()), Err(LockError::OwnerDied(())));
        assert_eq!(lock.recursion_count(), 1, "nothing of the dead one's levels");
        // The news come once.
        lock.acquire().unwrap();
        lock.repaired().unwrap();
        lock.release().unwrap();
        lock.release().unwrap();
        assert_eq!(lock.try_acquire(), Ok(true));
    }
}

with_children! {
    fn what_nobody_repairs_is_lost: RLock = RLock::new();
    { "holds" => |lock| { lock.acquire().unwrap(); say("held"); until_killed() }, }
    |lock, start| {
        let mut child = start("holds");
        child.expect("held");
        child.kill();
        drop(lock.guard().unwrap_err());
        assert_eq!(lock.acquire(), Err(LockError::Lost));
    }
}
