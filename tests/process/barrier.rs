//! `Barrier`.

use std::thread;
use std::time::{Duration, Instant};

use racefree::process::{Barrier, BarrierError, Shared};

use crate::child::{LIMIT, say, soon, until_killed, with_children};

const ROUNDS: usize = 300;

fn meet(barrier: &Shared<Barrier>) -> usize {
    let mut first = 0;
    for _ in 0..ROUNDS {
        first += usize::from(barrier.wait_timeout(LIMIT).unwrap() == 0);
    }
    first
}

with_children! {
    fn rounds: Barrier = Barrier::new(3);
    { "meets" => |barrier| say(meet(&barrier)), }
    |barrier, start| {
        let children = [start("meets"), start("meets")];
        let mut first = meet(barrier);
        for child in children {
            first += child.hear().parse::<usize>().unwrap();
            child.join();
        }
        assert_eq!(first, ROUNDS, "one of each round is its first");
        assert_eq!(barrier.n_waiting(), 0);
    }
}

fn until_waiting(barrier: &Shared<Barrier>, many: usize) {
    let limit = Instant::now() + LIMIT;
    while barrier.n_waiting() < many {
        assert!(Instant::now() < limit);
        thread::sleep(Duration::from_millis(1));
    }
}

fn wait(barrier: Shared<Barrier>) {
    let _ = barrier.wait();
    until_killed()
}

with_children! {
    fn a_death_breaks_it_for_those_who_wait: Barrier = Barrier::new(3);
    { "waits" => wait, }
    |barrier, start| {
        let mut child = start("waits");
        until_waiting(barrier, 1);
        let died = BarrierError::ProcessDied { pid: Some(child.id()) };
        thread::scope(|scope| {
            let waiter = scope.spawn(|| barrier.wait_timeout(LIMIT));
            until_waiting(barrier, 2);
            thread::sleep(Duration::from_millis(60));
            soon(|| {
                child.kill();
                assert_eq!(waiter.join().unwrap(), Err(died));
            });
        });
        assert!(barrier.broken());
        assert_eq!(barrier.wait(), Err(died));
        let text = format!("the barrier is broken: process {} died", child.id());
        assert_eq!(died.to_string(), text);
        barrier.reset();
        assert_eq!(barrier.wait_timeout(Duration::from_millis(70)), Err(BarrierError::TimedOut));
    }
}

with_children! {
    fn a_death_breaks_it_for_the_last: Barrier = Barrier::new(2);
    { "waits" => wait, }
    |barrier, start| {
        let mut child = start("waits");
        until_waiting(barrier, 1);
        child.kill();
        assert!(matches!(barrier.wait_timeout(LIMIT), Err(BarrierError::ProcessDied { .. })));
    }
}

with_children! {
    fn a_wait_that_times_out_breaks_it_for_all: Barrier = Barrier::new(3);
    {
        "waits" => |barrier| {
            assert_eq!(barrier.wait_timeout(LIMIT), Err(BarrierError::TimedOut));
        },
    }
    |barrier, start| {
        let child = start("waits");
        until_waiting(barrier, 1);
        let waited = barrier.wait_timeout(Duration::from_millis(10));
        assert_eq!(waited, Err(BarrierError::TimedOut));
        child.join();
    }
}

with_children! {
    fn a_reset_and_an_abort: Barrier = Barrier::new(2);
    {
        "waits" => |barrier| {
            assert_eq!(barrier.wait_timeout(LIMIT), Err(BarrierError::Reset));
            assert_eq!(barrier.wait_timeout(LIMIT), Err(BarrierError::Aborted));
        },
    }
    |barrier, start| {
        let child = start("waits");
        until_waiting(barrier, 1);
        barrier.reset();
        until_waiting(barrier, 1);
        barrier.abort();
        child.join();
    }
}
