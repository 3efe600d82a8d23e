//! Models of `Barrier`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use racefree_loom::model::RaceCell;
use racefree_loom::{Barrier, BrokenBarrierError, Event, Lock};

use crate::{
    TIMEOUT, assert_no_futex_call, bound, code, explore, explore_both, explore_both_with,
    explore_stalled, explore_with, must_fail, spawn,
};

/// A barrier of two, and what each of them writes before each round.
struct Pair {
    barrier: Barrier,
    written: [[RaceCell<bool>; 2]; 2],
}

impl Pair {
    fn new() -> Arc<Self> {
        Self::with(Barrier::new(2))
    }

    fn with(barrier: Barrier) -> Arc<Self> {
        Arc::new(Self {
            barrier,
            written: [(); 2].map(|()| [(); 2].map(|()| RaceCell::new(false))),
        })
    }

    /// Writes, waits, and reads what the other one wrote.
    fn meet(&self, me: usize, round: usize) -> usize {
        self.written[me][round].with_mut(|written| *written = true);
        let index = self.barrier.wait().unwrap();
        self.written[1 - me][round].with(|written| assert!(*written));
        index
    }
}

fn rounds(rounds: usize) -> impl Fn() + Send + Sync + 'static {
    move || {
        let pair = Pair::new();
        let other = spawn(&pair, move |pair| {
            (0..rounds)
                .map(|round| pair.meet(1, round))
                .collect::<Vec<_>>()
        });
        let here: Vec<_> = (0..rounds).map(|round| pair.meet(0, round)).collect();
        for (here, there) in here.into_iter().zip(other.join().unwrap()) {
            assert_eq!(here + there, 1);
        }
        assert_eq!(pair.barrier.n_waiting(), 0);
    }
}

#[test]
fn one_round() {
    explore(rounds(1));
}

#[test]
fn two_rounds() {
    explore_with(&bound(4, None), rounds(2));
}

#[test]
fn one_round_despite_spurious_wakeups() {
    explore_with(&code().spurious_wakeups(1), rounds(1));
}

/// Nobody slips into a round that is complete: of three, two go together and one is left.
#[test]
fn three_of_two() {
    explore_both_with(&bound(2, Some(4)), || {
        let barrier = Arc::new(Barrier::new(2));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait_timeout(TIMEOUT)));
        let mut results = vec![barrier.wait_timeout(TIMEOUT)];
        results.extend(others.map(|other| other.join().unwrap()));
        let mut passed: Vec<_> = results.iter().flatten().collect();
        passed.sort();
        assert!(passed.is_empty() || passed == [&0, &1]);
        for result in &results {
            assert!(matches!(result, Ok(_) | Err(BrokenBarrierError::TimedOut)));
        }
        assert!(barrier.broken());
        assert_eq!(barrier.n_waiting(), 0);
        !passed.is_empty()
    });
}

#[test]
fn timeout_against_the_last() {
    explore_both(|| {
        let pair = Pair::new();
        let other = spawn(&pair, |pair| pair.barrier.wait_timeout(TIMEOUT));
        let results = [pair.barrier.wait(), other.join().unwrap()];
        let passed = results[0].is_ok();
        if passed {
            assert_eq!(results[0].unwrap() + results[1].unwrap(), 1);
        } else {
            assert_eq!(results, [Err(BrokenBarrierError::TimedOut); 2]);
        }
        assert_eq!(pair.barrier.broken(), !passed);
        passed
    });
}

#[test]
fn default_timeout_against_the_last() {
    explore_both(|| {
        let pair = Pair::with(Barrier::new(2).with_timeout(TIMEOUT));
        let other = spawn(&pair, |pair| pair.barrier.wait());
        let results = [pair.barrier.wait_timeout(TIMEOUT), other.join().unwrap()];
        assert_eq!(results[0].is_ok(), results[1].is_ok());
        results[0].is_ok()
    });
}

/// All who wait are told, and who sleeps is woken: by a reset, and then the others by an abort.
#[test]
fn abort_against_wait() {
    explore_both_with(&bound(3, Some(5)), || {
        let barrier = Arc::new(Barrier::new(3));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait()));
        // How many wait is exact at each moment, but no step by itself.
        assert!(!barrier.broken());
        let both_wait = barrier.n_waiting() == 2;
        if both_wait {
            barrier.reset();
        }
        barrier.abort();
        let told = if both_wait {
            BrokenBarrierError::Reset
        } else {
            BrokenBarrierError::Aborted
        };
        for other in others {
            assert_eq!(other.join().unwrap(), Err(told));
        }
        assert!(barrier.broken());
        assert_no_futex_call(|| {
            assert_eq!(barrier.wait(), Err(BrokenBarrierError::Aborted));
        });
        both_wait
    });
}

/// The last wakes both of the others.
#[test]
fn three_parties() {
    explore_with(&bound(3, Some(5)), || {
        let barrier = Arc::new(Barrier::new(3));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait().unwrap()));
        let mut indices = vec![barrier.wait().unwrap()];
        indices.extend(others.map(|other| other.join().unwrap()));
        indices.sort();
        assert_eq!(indices, [0, 1, 2]);
    });
}

/// Who was told that the round is no more comes again, and finds the barrier as new.
#[test]
fn reset_against_wait() {
    explore_both(|| {
        let pair = Pair::new();
        let other = spawn(&pair, |pair| match pair.barrier.wait() {
            Ok(index) => (false, index),
            Err(error) => {
                assert_eq!(error, BrokenBarrierError::Reset);
                (true, pair.barrier.wait().unwrap())
            }
        });
        pair.barrier.reset();
        let index = pair.barrier.wait().unwrap();
        let (was_reset, there) = other.join().unwrap();
        assert_eq!(index + there, 1);
        assert!(!pair.barrier.broken());
        was_reset
    });
}

#[test]
fn reset_of_a_broken_one() {
    explore(|| {
        let pair = Pair::new();
        pair.barrier.abort();
        pair.barrier.reset();
        let other = spawn(&pair, |pair| pair.meet(1, 0));
        pair.meet(0, 0);
        other.join().unwrap();
    });
}

#[test]
fn the_action_runs_before_anybody_goes() {
    explore(|| {
        let cells = Arc::new([(); 3].map(|()| RaceCell::new(0)));
        let seen = Arc::clone(&cells);
        let barrier = Arc::new(Barrier::new(2).with_action(move || {
            let sum = seen[0].with(|it| *it) + seen[1].with(|it| *it);
            seen[2].with_mut(|it| *it += sum);
        }));
        let meet = |cells: &[RaceCell<u32>; 3], barrier: &Barrier, me: usize| {
            cells[me].with_mut(|it| *it = 1);
            barrier.wait().unwrap();
            cells[2].with(|it| assert_eq!(*it, 2));
        };
        let other = spawn(&barrier, {
            let cells = Arc::clone(&cells);
            move |barrier| meet(&cells, barrier, 1)
        });
        meet(&cells, &barrier, 0);
        other.join().unwrap();
    });
}

#[test]
fn an_action_that_panics_breaks_it_for_all() {
    explore(|| {
        // Past the panic hook, which would print each of them.
        let action = || panic::resume_unwind(Box::new("the action's"));
        let barrier = Arc::new(Barrier::new(2).with_action(action));
        let wait = |barrier: &Barrier| panic::catch_unwind(AssertUnwindSafe(|| barrier.wait()));
        let other = spawn(&barrier, move |barrier| wait(barrier).ok());
        let results = [wait(&barrier).ok(), other.join().unwrap()];
        let broken = Some(Err(BrokenBarrierError::ActionPanicked));
        assert!(results == [None, broken] || results == [broken, None]);
        assert!(barrier.broken());
    });
}

/// See [`super::lock::locks_in_two_orders_are_a_deadlock`].
#[test]
fn an_action_that_waits_without_end_is_a_deadlock() {
    must_fail("deadlock", || {
        let lock = Arc::new(Lock::new());
        lock.acquire();
        let barrier = Barrier::new(1).with_action(move || lock.acquire());
        _ = barrier.wait();
    });
}

#[test]
fn a_stalled_waiter_beside_another() {
    explore_stalled(
        &bound(2, Some(3)),
        true,
        || Barrier::new(3),
        |barrier| assert!(barrier.wait().is_ok()),
        |barrier| assert!(barrier.wait().is_ok()),
    );
}

/// How the two of a round fare whose action runs while `disturb` is called.
fn during_the_action(told: BrokenBarrierError, disturb: fn(&Barrier)) {
    explore_both_with(&bound(4, Some(5)), move || {
        let acts = Arc::new(RaceCell::new(false));
        let lock = Arc::new(Lock::new());
        let barrier = Arc::new(Barrier::new(2).with_action({
            let (acts, lock) = (Arc::clone(&acts), Arc::clone(&lock));
            // A step in the middle of the action.
            move || {
                let _guard = lock.guard();
                acts.with_mut(|acts| *acts = true);
            }
        }));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait()));
        let guard = lock.guard();
        disturb(&barrier);
        drop(guard);
        let results = others.map(|other| other.join().unwrap());
        let passed = results.iter().filter(|result| result.is_ok()).count();
        // Both pass or neither does.
        assert!(passed != 1, "{results:?}");
        for result in &results {
            assert!(result.is_ok() || *result == Err(told), "{results:?}");
        }
        // If it broke, whether its action has run.
        passed == 0 && acts.with(|acts| *acts)
    });
}

#[test]
fn abort_during_the_action() {
    during_the_action(BrokenBarrierError::Aborted, Barrier::abort);
}

/// One that comes while the action of two others may run, and whose time is up, breaks the round for
/// both or for neither. (It may also be one of the two, and then tells the one that is left.)
#[test]
fn a_timeout_during_the_action() {
    explore_both_with(&bound(3, Some(4)), || {
        let acts = Arc::new(RaceCell::new(false));
        let barrier = Arc::new(Barrier::new(2).with_action({
            let acts = Arc::clone(&acts);
            move || acts.with_mut(|acts| *acts = true)
        }));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait()));
        let own = barrier.wait_timeout(TIMEOUT);
        if own.is_ok() {
            barrier.abort();
        }
        let results = others.map(|other| other.join().unwrap());
        let passed = results.iter().filter(|result| result.is_ok()).count();
        assert!(own.is_ok() || passed != 1, "{own:?}, {results:?}");
        // Broken although the action has run.
        own == Err(BrokenBarrierError::TimedOut) && passed == 0 && acts.with(|acts| *acts)
    });
}

/// A barrier of one, whose next round is complete while the action of the first runs: the action
/// runs twice, one after the other.
#[test]
fn a_round_that_is_complete_during_the_action() {
    explore_with(&bound(4, Some(5)), || {
        let runs = Arc::new(RaceCell::new(0));
        let barrier = Arc::new(Barrier::new(1).with_action({
            let runs = Arc::clone(&runs);
            move || runs.with_mut(|runs| *runs += 1)
        }));
        let others = [(); 2].map(|()| spawn(&barrier, |barrier| barrier.wait()));
        assert_eq!(barrier.wait(), Ok(0));
        for other in others {
            assert_eq!(other.join().unwrap(), Ok(0));
        }
        runs.with(|runs| assert_eq!(*runs, 3));
    });
}

/// A reset before, while or after the action runs: those that it tells so come again, and pass.
#[test]
fn reset_during_the_action() {
    explore_with(&bound(3, Some(4)), || {
        let barrier = Arc::new(Barrier::new(2).with_action(|| {}));
        let pass = |barrier: &Barrier| {
            while let Err(error) = barrier.wait() {
                assert_eq!(error, BrokenBarrierError::Reset);
            }
        };
        let other = spawn(&barrier, pass);
        let resets = spawn(&barrier, Barrier::reset);
        pass(&barrier);
        other.join().unwrap();
        resets.join().unwrap();
        assert_eq!(barrier.n_waiting(), 0);
    });
}

/// As above, with a second round that is complete while the action of the first runs: after the reset
/// nobody is told to lead who is not there, and the next round passes.
#[test]
fn reset_of_a_round_that_is_complete_during_the_action() {
    explore_both_with(&bound(3, Some(4)), || {
        let barrier = Arc::new(Barrier::new(1).with_action(|| {}));
        let other = spawn(&barrier, |barrier| barrier.wait());
        let resets = spawn(&barrier, Barrier::reset);
        let own = barrier.wait();
        let results = [own, other.join().unwrap()];
        resets.join().unwrap();
        for result in results {
            assert!(matches!(result, Ok(0) | Err(BrokenBarrierError::Reset)));
        }
        assert_eq!(barrier.wait(), Ok(0));
        results.iter().any(Result::is_err)
    });
}

/// A reset while an action runs that then panics: the barrier stays as the reset left it.
#[test]
fn reset_during_an_action_that_panics() {
    explore(|| {
        let events = Arc::new([Event::new(), Event::new()]);
        let barrier = Arc::new(Barrier::new(1).with_action({
            let events = Arc::clone(&events);
            move || {
                events[0].set();
                events[1].wait();
                // Past the panic hook, which would print each of them.
                panic::resume_unwind(Box::new("the action's"))
            }
        }));
        let other = spawn(&barrier, |barrier| {
            panic::catch_unwind(AssertUnwindSafe(|| barrier.wait())).unwrap_err();
        });
        events[0].wait();
        barrier.reset();
        events[1].set();
        other.join().unwrap();
        assert!(!barrier.broken());
    });
}
