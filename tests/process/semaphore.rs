//! `Semaphore` and `BoundedSemaphore`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use racefree::ReleaseError;
use racefree::process::{BoundedSemaphore, HoldersDied, Semaphore, Shared, shared};

use crate::child::{LIMIT, say, soon, until_killed, with_children};

with_children! {
    fn permits_that_another_process_releases: Semaphore = Semaphore::new(0);
    { "releases" => |semaphore| (0..1000).for_each(|_| semaphore.release().unwrap()), }
    |semaphore, start| {
        let child = start("releases");
        for _ in 0..1000 {
            assert!(semaphore.acquire_timeout(LIMIT));
        }
        child.join();
        assert!(!semaphore.try_acquire());
    }
}

#[test]
fn a_semaphore_has_limits() {
    let semaphore = Shared::create(Semaphore::new(Semaphore::MAX_VALUE)).unwrap();
    assert_eq!(semaphore.release(), Err(ReleaseError::Overflow));
    assert_eq!(semaphore.release_n(0), Err(ReleaseError::ZeroPermits));
    assert_eq!(semaphore.release_n(u32::MAX), Err(ReleaseError::Overflow));
    assert_eq!(semaphore.value(), Semaphore::MAX_VALUE);
    drop(semaphore.guard());
    assert_eq!(semaphore.value(), Semaphore::MAX_VALUE);
}

shared! {
    struct Inside {
        semaphore: BoundedSemaphore,
        inside: AtomicU32,
    }
}

const INSIDE: u32 = 2;

fn enter(it: &Shared<Inside>) {
    for _ in 0..2000 {
        let _guard = it
            .semaphore
            .guard_timeout(LIMIT)
            .unwrap()
            .expect("a permit");
        assert!(it.inside.fetch_add(1, Ordering::Relaxed) < INSIDE);
        it.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

with_children! {
    fn a_bound_for_all: Inside =
        Inside { semaphore: BoundedSemaphore::new(INSIDE), inside: AtomicU32::new(0) };
    { "enters" => |it| enter(&it), }
    |it, start| {
        let children = [start("enters"), start("enters")];
        enter(it);
        children.into_iter().for_each(|child| child.join());
        assert_eq!(it.semaphore.value(), INSIDE);
        assert_eq!(it.semaphore.release(), Err(ReleaseError::TooManyReleases));
    }
}

fn hold_two(semaphore: Shared<BoundedSemaphore>) {
    semaphore.acquire().unwrap();
    semaphore.acquire().unwrap();
    say("held");
    until_killed()
}

with_children! {
    fn the_permits_of_a_dead_process_are_returned: BoundedSemaphore = BoundedSemaphore::new(3);
    { "holds" => hold_two, }
    |semaphore, start| {
        let mut child = start("holds");
        child.expect("held");
        semaphore.acquire().unwrap();
        assert_eq!(semaphore.try_acquire(), Ok(false));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire_timeout(LIMIT));
            thread::sleep(Duration::from_millis(100));
            assert!(!waiter.is_finished());
            soon(|| {
                child.kill();
                let news = HoldersDied { acquired: (), permits: 2 };
                assert_eq!(waiter.join().unwrap(), Err(news));
            });
        });
        assert_eq!(semaphore.value(), 1);
        assert_eq!(semaphore.acquire(), Ok(()), "the news come once");
        for _ in 0..3 {
            semaphore.release().unwrap();
        }
        assert_eq!(semaphore.release(), Err(ReleaseError::TooManyReleases));
    }
}

with_children! {
    fn another_process_may_release: BoundedSemaphore = BoundedSemaphore::new(2);
    { "holds" => hold_two, }
    |semaphore, start| {
        let child = start("holds");
        child.expect("held");
        semaphore.release().unwrap();
        assert_eq!(semaphore.value(), 1);
        drop(child);
        semaphore.acquire().unwrap();
        let Err(HoldersDied { acquired, permits: 1 }) = semaphore.try_guard() else { panic!("one") };
        assert_eq!(semaphore.value(), 0);
        drop(acquired);
        assert_eq!(semaphore.value(), 1);
    }
}

#[test]
fn more_holders_than_slots_over_time() {
    let semaphore = Shared::create(BoundedSemaphore::new(200)).unwrap();
    let mut told = 0;
    for _ in 0..150 {
        let other = Shared::<BoundedSemaphore>::attach(&semaphore).unwrap();
        match other.acquire() {
            Ok(()) => {}
            Err(news) => told += news.permits,
        }
    }
    semaphore.acquire().unwrap();
    let mut held = 1;
    while semaphore.value() > 0 {
        semaphore.acquire().unwrap();
        held += 1;
    }
    let news = semaphore.acquire().unwrap_err();
    told += news.permits;
    assert_eq!(told, 150);
    held += 1;
    while semaphore.try_acquire() == Ok(true) {
        held += 1;
    }
    assert_eq!(held, 200);
}
