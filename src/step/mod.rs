//! The primitives as a checker is to see them in a model of somebody's own code: each call is one
//! step on a value of [`spec`](crate::spec), not the many accesses of the real code.
//!
//! The state is where the checker does not see it. What it sees is a [`StepWord`]: each step is a
//! turn at that word, so that it explores the orders of the steps, and nothing else.
//!
//! # Why nothing is missed
//!
//! - **The order of steps** is explored by the checker: each step of a primitive depends on each
//!   other one.
//! - **Whether the time is up** needs no choice. A timed call that cannot go on has a second turn,
//!   and ends there: in some executions that turn comes late, and what the call waits for before
//!   it.
//! - **Who is woken** needs no choice where the order is free. A thread that fails to acquire
//!   changes nothing, so each execution in which it asks early has one beside it in which it asks
//!   when it can be served. Those that wait are woken in the order in which they came; any other
//!   order is that of another execution, in which the one who is served has not asked before.
//!   That is why [`leave_out`] may cut an execution short where a call has asked in vain, too: what
//!   comes after is explored in that other one. A deadlock is still found, as the execution itself
//!   runs to its end. With a bound on preemptions the other one may not be run, and nothing is cut.
//! - **A look** loads the word, and may see each value that its memory order allows.
//!
//! # Order
//!
//! A turn orders nothing. What a step publishes and sees goes by the word, with the orderings that
//! the specification gives. A thread that is unparked sees what its waker did before: so that is
//! done only where the specification says that the wait was ended by that step, or where an acquire
//! follows that sees it anyway.

mod barrier;
mod condition;
mod event;
mod locks;
mod whole;

pub use barrier::Barrier;
pub use condition::{ConditionLock, Line, Waiters};
pub use event::Event;
pub use locks::{Lock, Permits, RLock};
pub use whole::{begin, sleepers};

pub use crate::spec::Patience;

/// How few steps there are, and that they allow what they should.
#[cfg(all(test, loom, feature = "loom"))]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::Patience::{Forever, Timed};

    use super::*;
    use crate::error::{BrokenBarrierError, ReleaseError};
    use crate::model::{Builder, RaceCell, Report};
    use crate::sync::thread;

    fn spawn<T: 'static, R: 'static>(
        shared: &Arc<T>,
        body: impl FnOnce(&T) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let shared = Arc::clone(shared);
        thread::spawn(move || body(&shared))
    }

    /// The outcomes of all executions, and how many there were.
    fn outcomes<T: Ord + Send + 'static>(
        body: impl Fn() -> T + Send + Sync + 'static,
    ) -> (BTreeSet<T>, usize) {
        let all = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&all);
        let report = check(move || {
            let outcome = body();
            seen.lock().unwrap().insert(outcome);
        });
        let all = std::mem::take(&mut *all.lock().unwrap());
        (all, report.executions)
    }

    /// All executions of a body.
    fn check(body: impl Fn() + Send + Sync + 'static) -> Report {
        Builder::new().check(begun(body))
    }

    fn begun(body: impl Fn() + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
        move || {
            begin(true);
            body();
        }
    }

    fn failure(body: impl Fn() + Send + Sync + 'static) -> String {
        let checked = Builder::new().try_check(begun(body));
        checked.expect_err("an execution has to fail").message
    }

    fn counter(threads: usize, rounds: usize) -> usize {
        check(move || {
            let counter = Arc::new((Lock::new(), RaceCell::new(0)));
            let work = move |(lock, count): &(Lock, RaceCell<usize>)| {
                for _ in 0..rounds {
                    assert!(lock.acquire(Forever));
                    count.with_mut(|count| *count += 1);
                    lock.release().unwrap();
                }
            };
            let others: Vec<_> = (1..threads).map(|_| spawn(&counter, work)).collect();
            work(&counter);
            others.into_iter().for_each(|it| it.join().unwrap());
            counter.1.with(|count| assert_eq!(*count, threads * rounds));
        })
        .executions
    }

    #[test]
    fn a_lock_has_few_executions() {
        let few = [counter(2, 2), counter(3, 1)];
        eprintln!("2 x 2 and 3 x 1: {few:?}");
        assert!(few[0] <= 42 && few[1] <= 282, "{few:?}");
    }

    #[test]
    fn a_lock_that_nobody_releases_is_a_deadlock() {
        let message = failure(|| {
            let lock = Arc::new(Lock::new());
            let other = spawn(&lock, |lock| lock.acquire(Forever));
            lock.acquire(Forever);
            other.join().unwrap();
        });
        assert!(message.contains("deadlock"), "{message}");
    }

    #[test]
    fn a_timed_acquire_ends_in_both_ways() {
        let (outcomes, _) = outcomes(|| {
            let lock = Arc::new(Lock::new());
            lock.acquire(Patience::No);
            let other = spawn(&lock, |lock| lock.acquire(Timed));
            lock.release().unwrap();
            other.join().unwrap()
        });
        assert_eq!(outcomes, BTreeSet::from([false, true]));
    }

    #[test]
    fn a_lock_may_be_barged_and_handed_over() {
        let (outcomes, executions) = outcomes(|| {
            let lock = Arc::new(Lock::new());
            lock.acquire(Patience::No);
            let other = spawn(&lock, |lock| {
                lock.acquire(Forever);
                lock.release().unwrap();
            });
            lock.release().unwrap();
            let again = lock.acquire(Patience::No);
            if again {
                lock.release().unwrap();
            }
            other.join().unwrap();
            again
        });
        eprintln!("{executions}");
        assert_eq!(outcomes, BTreeSet::from([false, true]));
    }

    #[test]
    fn a_permit_orders_the_release_and_not_the_acquire() {
        let body = |release: bool| {
            move || {
                let shared = Arc::new((Permits::new(2), RaceCell::new(0)));
                let other = spawn(&shared, move |(permits, cell)| {
                    cell.with_mut(|it| *it = 1);
                    if release {
                        permits.release(1, 9, ReleaseError::Overflow).unwrap();
                    } else {
                        permits.acquire(1, Forever);
                    }
                });
                let (permits, cell) = &*shared;
                let done = if release { 3 } else { 1 };
                if permits.value() == done && permits.acquire(1, Forever) {
                    cell.with(|it| assert_eq!(*it, 1));
                }
                other.join().unwrap();
            }
        };
        check(body(true));
        let message = failure(body(false));
        assert!(message.contains("Causality violation"), "{message}");
    }

    #[test]
    fn a_pulse_reaches_a_waiter_that_has_come() {
        let (outcomes, _) = outcomes(|| {
            let event = Arc::new(Event::new());
            let other = spawn(&event, |event| event.wait(Timed));
            event.set();
            event.clear();
            other.join().unwrap()
        });
        assert_eq!(outcomes, BTreeSet::from([false, true]));
    }

    #[test]
    fn a_set_orders_memory_and_a_clear_forgets() {
        check(|| {
            let shared = Arc::new((Event::new(), RaceCell::new(0)));
            let others = [(); 2].map(|()| {
                spawn(&shared, |(event, cell)| {
                    assert!(event.wait(Forever));
                    cell.with(|it| assert_eq!(*it, 1));
                })
            });
            shared.1.with_mut(|it| *it = 1);
            shared.0.set();
            others.into_iter().for_each(|it| it.join().unwrap());
        });
    }

    fn queue(producers: usize, items: usize) -> usize {
        struct Buffer {
            lock: Lock,
            not_full: Waiters,
            not_empty: Waiters,
            item: RaceCell<Option<usize>>,
        }
        impl Buffer {
            fn put(&self, item: usize) {
                self.lock.acquire(Forever);
                while self.item.with(Option::is_some) {
                    self.lock.wait(&self.not_full, Forever).unwrap();
                }
                self.item.with_mut(|place| *place = Some(item));
                self.lock.notify(&self.not_empty, 1).unwrap();
                self.lock.release().unwrap();
            }

            fn take(&self) -> usize {
                self.lock.acquire(Forever);
                while self.item.with(Option::is_none) {
                    self.lock.wait(&self.not_empty, Forever).unwrap();
                }
                let item = self.item.with_mut(Option::take).unwrap();
                self.lock.notify(&self.not_full, 1).unwrap();
                self.lock.release().unwrap();
                item
            }
        }
        let report = check(move || {
            let buffer = Arc::new(Buffer {
                lock: Lock::new(),
                not_full: Waiters::new(),
                not_empty: Waiters::new(),
                item: RaceCell::new(None),
            });
            let producers: Vec<_> = (0..producers)
                .map(|_| {
                    spawn(&buffer, move |buffer| {
                        (0..items).for_each(|item| buffer.put(item));
                    })
                })
                .collect();
            for _ in 0..producers.len() * items {
                buffer.take();
            }
            producers.into_iter().for_each(|it| it.join().unwrap());
        });
        report.executions
    }

    #[test]
    fn a_queue_has_few_executions() {
        let few = [queue(1, 1), queue(2, 1)];
        eprintln!("1 x 1 and 2 x 1: {few:?}");
        assert!(few[0] <= 24 && few[1] <= 7_080, "{few:?}");
        eprintln!("1 x 3: {}", queue(1, 3));
    }

    #[test]
    fn a_wait_gives_up_all_levels() {
        let (outcomes, _) = outcomes(|| {
            let shared = Arc::new((RLock::new(), Waiters::new()));
            let other = spawn(&shared, |(lock, waiters)| {
                lock.acquire(Forever);
                lock.acquire(Forever);
                let notified = lock.wait(waiters, Timed).unwrap();
                assert_eq!(lock.recursion_count(), 2);
                lock.release().unwrap();
                lock.release().unwrap();
                notified
            });
            let (lock, waiters) = &*shared;
            lock.acquire(Forever);
            lock.notify(waiters, 1).unwrap();
            lock.release().unwrap();
            other.join().unwrap()
        });
        assert_eq!(outcomes, BTreeSet::from([false, true]));
    }

    #[test]
    fn a_barrier_lets_all_pass_or_breaks_for_all() {
        let (outcomes, executions) = outcomes(|| {
            let shared = Arc::new((Barrier::new(3), [(); 3].map(|()| RaceCell::new(0))));
            let meet = |(barrier, cells): &(Barrier, [RaceCell<u32>; 3]), me: usize| {
                cells[me].with_mut(|it| *it = 1);
                let patience = if me == 0 { Timed } else { Forever };
                let result = barrier.wait(patience);
                if result.is_ok() {
                    let sum: u32 = cells.iter().map(|it| it.with(|it| *it)).sum();
                    assert_eq!(sum, 3);
                }
                result.map_err(|why| assert_eq!(why, BrokenBarrierError::TimedOut))
            };
            let others = [0, 1].map(|me| spawn(&shared, move |shared| meet(shared, me)));
            let mut all = vec![meet(&shared, 2)];
            all.extend(others.map(|it| it.join().unwrap()));
            all.sort();
            all
        });
        eprintln!("{executions}");
        let passed = vec![Ok(0), Ok(1), Ok(2)];
        let broken = vec![Err(()); 3];
        assert_eq!(outcomes, BTreeSet::from([passed, broken]));
    }
}
