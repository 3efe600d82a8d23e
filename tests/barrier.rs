//! `Barrier`.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{LIMIT, Running, asleep, forever, spawn, until, words};
use racefree::{Barrier, BrokenBarrierError};

const SOON: Duration = Duration::from_millis(20);

fn waiters(
    barrier: &'static Barrier,
    number: usize,
) -> Vec<Running<Result<usize, BrokenBarrierError>>> {
    (0..number).map(|_| asleep(|| barrier.wait())).collect()
}

#[test]
fn each_has_an_index_in_the_order_of_coming() {
    let barrier = forever(Barrier::new(6));
    for _ in 0..3 {
        let waiters = waiters(barrier, 5);
        assert_eq!(barrier.n_waiting(), 5);
        assert_eq!(barrier.wait(), Ok(5));
        for (index, waiter) in waiters.into_iter().enumerate() {
            assert_eq!(waiter.end(), Ok(index));
        }
        assert_eq!(barrier.n_waiting(), 0);
        assert!(!barrier.broken());
    }
}

#[test]
fn a_single_party_never_waits() {
    let barrier = Barrier::new(1).with_timeout(Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(barrier.wait(), Ok(0));
        assert_eq!(barrier.wait_timeout(Duration::ZERO), Ok(0));
    }
    assert_eq!(barrier.parties(), 1);
}

#[test]
fn there_have_to_be_parties() {
    let panic = panic::catch_unwind(|| Barrier::new(0)).unwrap_err();
    assert_eq!(words(&*panic), "parties must be > 0");
}

/// No thread passes a round before all have come to it.
#[test]
fn many_rounds() {
    const PARTIES: usize = 5;
    const ROUNDS: usize = 2000;
    let barrier = forever(Barrier::new(PARTIES));
    let came = forever([const { AtomicUsize::new(0) }; ROUNDS]);
    let indices = forever([const { AtomicUsize::new(0) }; ROUNDS]);
    let threads = [(); PARTIES].map(|()| {
        spawn(|| {
            for round in 0..ROUNDS {
                came[round].fetch_add(1, Relaxed);
                let index = barrier.wait().unwrap();
                assert_eq!(came[round].load(Relaxed), PARTIES);
                indices[round].fetch_add(1 << (4 * index), Relaxed);
            }
        })
    });
    threads.into_iter().for_each(Running::end);
    for indices in indices {
        assert_eq!(indices.load(Relaxed), 0x1_1111);
    }
}

/// More threads than parties: whoever is fast is of the next round, never of the one that ends.
#[test]
fn more_threads_than_parties() {
    const PARTIES: u32 = 3;
    const THREADS: u32 = 7;
    const WAITS: u32 = 600;
    let barrier = forever(Barrier::new(PARTIES as usize));
    let passed = forever([const { AtomicU32::new(0) }; PARTIES as usize]);
    let left = forever(AtomicU32::new(THREADS * WAITS / PARTIES * PARTIES));
    let threads = [(); THREADS as usize].map(|()| {
        spawn(|| {
            let one_more = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            while one_more().is_ok() {
                passed[barrier.wait().unwrap()].fetch_add(1, Relaxed);
            }
        })
    });
    threads.into_iter().for_each(Running::end);
    for passed in passed {
        assert_eq!(passed.load(Relaxed), THREADS * WAITS / PARTIES);
    }
    assert_eq!(barrier.n_waiting(), 0);
}

#[test]
fn the_last_runs_the_action_before_anybody_goes() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static GONE: AtomicU32 = AtomicU32::new(0);
    let barrier = forever(Barrier::new(3).with_action(|| {
        std::thread::sleep(SOON);
        assert_eq!(GONE.load(Relaxed), 0);
        RUNS.fetch_add(1, Relaxed);
    }));
    let others = [(); 2].map(|()| {
        asleep(|| {
            barrier.wait().unwrap();
            GONE.fetch_add(1, Relaxed);
            RUNS.load(Relaxed)
        })
    });
    barrier.wait().unwrap();
    assert_eq!(RUNS.load(Relaxed), 1);
    for other in others {
        assert_eq!(other.end(), 1);
    }
}

#[test]
fn an_action_that_panics_breaks_it_for_all_until_it_is_reset() {
    static PANICS: AtomicU32 = AtomicU32::new(1);
    let barrier = forever(Barrier::new(2).with_action(|| {
        assert_eq!(PANICS.load(Relaxed), 0, "in the action");
    }));
    let other = asleep(|| barrier.wait());
    let panic = panic::catch_unwind(AssertUnwindSafe(|| barrier.wait())).unwrap_err();
    assert!(words(&*panic).contains("in the action"));
    let error = other.end().unwrap_err();
    assert_eq!(error, BrokenBarrierError::ActionPanicked);
    assert_eq!(
        error.to_string(),
        "the barrier is broken: its action panicked"
    );
    assert_eq!(barrier.wait(), Err(error));
    barrier.reset();
    PANICS.store(0, Relaxed);
    let other = asleep(|| barrier.wait());
    assert_eq!(barrier.wait(), Ok(1));
    assert_eq!(other.end(), Ok(0));
}

#[test]
fn abort_tells_all_who_wait_and_all_who_come() {
    let barrier = forever(Barrier::new(4));
    let waiters = waiters(barrier, 3);
    barrier.abort();
    for waiter in waiters {
        assert_eq!(waiter.end(), Err(BrokenBarrierError::Aborted));
    }
    assert!(barrier.broken());
    assert_eq!(barrier.n_waiting(), 0);
    assert_eq!(barrier.wait(), Err(BrokenBarrierError::Aborted));
    assert_eq!(
        barrier.wait_timeout(LIMIT),
        Err(BrokenBarrierError::Aborted)
    );
}

#[test]
fn reset_tells_those_who_wait_and_nobody_who_comes() {
    let barrier = forever(Barrier::new(3));
    let early = waiters(barrier, 2);
    barrier.reset();
    for waiter in early {
        let error = waiter.end().unwrap_err();
        assert_eq!(error, BrokenBarrierError::Reset);
        assert_eq!(error.to_string(), "the barrier was reset");
    }
    assert!(!barrier.broken());
    let late = waiters(barrier, 2);
    assert_eq!(barrier.wait(), Ok(2));
    late.into_iter().for_each(|waiter| {
        waiter.end().unwrap();
    });
    barrier.reset();
    assert!(!barrier.broken());
}

#[test]
fn a_timeout_breaks_it_for_all() {
    let barrier = forever(Barrier::new(3));
    let patient = asleep(|| barrier.wait());
    let start = Instant::now();
    let error = barrier.wait_timeout(SOON).unwrap_err();
    assert!(start.elapsed() >= SOON);
    assert_eq!(error, BrokenBarrierError::TimedOut);
    assert_eq!(error.to_string(), "the barrier is broken: a wait timed out");
    assert_eq!(patient.end(), Err(error));
    assert!(barrier.broken());
    barrier.reset();
    assert!(!barrier.broken());
    assert_eq!(barrier.wait_timeout(Duration::ZERO), Err(error));
}

#[test]
fn the_barriers_own_timeout_holds_unless_a_wait_has_its_own() {
    let barrier = forever(Barrier::new(2).with_timeout(SOON));
    let start = Instant::now();
    assert_eq!(barrier.wait(), Err(BrokenBarrierError::TimedOut));
    assert!(start.elapsed() >= SOON);
    barrier.reset();
    let patient = asleep(|| barrier.wait_timeout(Duration::MAX));
    std::thread::sleep(2 * SOON);
    assert_eq!(barrier.wait(), Ok(1));
    assert_eq!(patient.end(), Ok(0));
}

/// Who comes while the action runs is of the next round.
#[test]
fn who_comes_while_the_action_runs_waits() {
    static IN_ACTION: AtomicU32 = AtomicU32::new(0);
    static END: AtomicU32 = AtomicU32::new(0);
    let barrier = forever(Barrier::new(2).with_action(|| {
        IN_ACTION.store(1, Relaxed);
        until(|| END.load(Relaxed) == 1);
    }));
    let pair = [(); 2].map(|()| spawn(|| barrier.wait()));
    until(|| IN_ACTION.load(Relaxed) == 1);
    let third = asleep(|| barrier.wait());
    END.store(1, Relaxed);
    for one in pair {
        one.end().unwrap();
    }
    until(|| barrier.n_waiting() == 1);
    assert_eq!(barrier.wait(), Ok(1));
    assert_eq!(third.end(), Ok(0));
}

#[test]
fn debug_is_pythons_repr() {
    let barrier = forever(Barrier::new(2));
    let address = &raw const *barrier;
    let text = |state| format!("<racefree::Barrier at {address:p}: {state}>");
    assert_eq!(format!("{barrier:?}"), text("waiters=0/2"));
    let waiter = asleep(|| barrier.wait());
    assert_eq!(format!("{barrier:?}"), text("waiters=1/2"));
    barrier.abort();
    assert_eq!(format!("{barrier:?}"), text("broken"));
    waiter.end().unwrap_err();
}

#[test]
fn a_barrier_can_be_a_static() {
    static BARRIER: Barrier = Barrier::new(2);
    let other = asleep(|| BARRIER.wait());
    BARRIER.wait().unwrap();
    other.end().unwrap();
}

/// The action runs under no lock: others see the barrier, and end the round, meanwhile.
mod while_the_action_runs {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::sync::{Mutex, OnceLock};

    /// A barrier of two whose first action runs until it is told to end.
    struct Acting {
        barrier: &'static Barrier,
        /// The one that waits for the action's end, and the one that runs it.
        parties: [Running<Result<usize, BrokenBarrierError>>; 2],
        end: Sender<()>,
        rounds: &'static AtomicU32,
    }

    impl Acting {
        fn begin() -> Self {
            Self::begin_with(Duration::MAX)
        }

        /// The first of the parties waits for so long.
        fn begin_with(timeout: Duration) -> Self {
            let (begin, begun) = mpsc::channel();
            let (end, ended): (_, Receiver<()>) = mpsc::channel();
            let ended = Mutex::new(ended);
            let rounds = forever(AtomicU32::new(0));
            let barrier = forever(Barrier::new(2).with_action(move || {
                if rounds.fetch_add(1, Relaxed) == 0 {
                    begin.send(()).unwrap();
                    ended.lock().unwrap().recv().unwrap();
                }
            }));
            let first = asleep(move || barrier.wait_timeout(timeout));
            let last = spawn(|| barrier.wait());
            begun.recv_timeout(LIMIT).unwrap();
            Self {
                barrier,
                parties: [first, last],
                end,
                rounds,
            }
        }

        /// What the parties are told when the action has ended.
        fn end(self) -> [Result<usize, BrokenBarrierError>; 2] {
            self.end.send(()).unwrap();
            self.parties.map(Running::end)
        }
    }

    #[test]
    fn who_looks_does_not_wait() {
        let acting = Acting::begin();
        assert_eq!(acting.barrier.parties(), 2);
        assert!(!acting.barrier.broken());
        assert!(acting.barrier.n_waiting() <= 2);
        assert!(format!("{:?}", acting.barrier).contains("waiters="));
        assert_eq!(acting.end(), [Ok(0), Ok(1)]);
    }

    #[test]
    fn a_timeout_of_who_comes_counts() {
        for timeout in [Duration::ZERO, Duration::from_nanos(1), SOON] {
            let acting = Acting::begin();
            let start = Instant::now();
            let told = acting.barrier.wait_timeout(timeout);
            assert_eq!(told, Err(BrokenBarrierError::TimedOut));
            assert!(start.elapsed() >= timeout);
            assert!(acting.barrier.broken());
            // It broke the barrier, and with it the round that had yet to end.
            let told = Err(BrokenBarrierError::TimedOut);
            assert_eq!(acting.end(), [told, told]);
        }
    }

    #[test]
    fn a_timeout_of_who_waits_for_it_counts() {
        let acting = Acting::begin_with(SOON);
        until(|| acting.parties[0].is_finished());
        assert!(acting.barrier.broken());
        let told = Err(BrokenBarrierError::TimedOut);
        assert_eq!(acting.end(), [told, told]);
    }

    #[test]
    fn an_abort_ends_the_round() {
        let acting = Acting::begin();
        acting.barrier.abort();
        assert!(acting.barrier.broken());
        let aborted = Err(BrokenBarrierError::Aborted);
        assert_eq!(acting.barrier.wait(), aborted);
        until(|| acting.parties[0].is_finished());
        let barrier = acting.barrier;
        assert_eq!(acting.end(), [aborted, aborted]);
        assert!(barrier.broken());
    }

    #[test]
    fn a_reset_ends_the_round() {
        let acting = Acting::begin();
        acting.barrier.reset();
        assert!(!acting.barrier.broken());
        until(|| acting.parties[0].is_finished());
        let barrier = acting.barrier;
        let reset = Err(BrokenBarrierError::Reset);
        assert_eq!(acting.end(), [reset, reset]);
        assert!(!barrier.broken());
        assert_eq!(barrier.n_waiting(), 0);
    }

    /// Whoever comes for the next round waits for the action, and for the rest of its own.
    #[test]
    fn the_next_round_begins_after_it() {
        let acting = Acting::begin();
        let barrier = acting.barrier;
        let next = [(); 2].map(|()| asleep(|| barrier.wait()));
        assert_eq!(acting.rounds.load(Relaxed), 1);
        let rounds = acting.rounds;
        assert_eq!(acting.end(), [Ok(0), Ok(1)]);
        let mut indices = next.map(|thread| thread.end().unwrap());
        indices.sort_unstable();
        assert_eq!(indices, [0, 1]);
        assert_eq!(rounds.load(Relaxed), 2);
        assert_eq!(barrier.n_waiting(), 0);
    }

    /// A round after a reset is complete before the action of the one before has ended.
    #[test]
    fn a_round_after_a_reset_waits_for_it() {
        let acting = Acting::begin();
        let barrier = acting.barrier;
        barrier.reset();
        let next = [(); 2].map(|()| asleep(|| barrier.wait()));
        let rounds = acting.rounds;
        assert_eq!(rounds.load(Relaxed), 1);
        let reset = Err(BrokenBarrierError::Reset);
        assert_eq!(acting.end(), [reset, reset]);
        let mut indices = next.map(|thread| thread.end().unwrap());
        indices.sort_unstable();
        assert_eq!(indices, [0, 1]);
        assert_eq!(rounds.load(Relaxed), 2);
    }

    /// A barrier whose action calls `call` on it, in each round.
    fn acts_on_itself(call: impl Fn(&Barrier) + Send + Sync + 'static) -> &'static Barrier {
        let own = forever(OnceLock::<&Barrier>::new());
        let barrier = forever(Barrier::new(2).with_action(move || call(own.get().unwrap())));
        own.set(barrier).unwrap();
        barrier
    }

    fn round(barrier: &'static Barrier) -> [Result<usize, BrokenBarrierError>; 2] {
        let first = asleep(|| barrier.wait());
        let last = spawn(|| barrier.wait());
        let last = last.end();
        [first.end(), last]
    }

    #[test]
    fn it_may_look_at_its_own_barrier() {
        let barrier = acts_on_itself(|barrier| {
            assert_eq!(barrier.parties(), 2);
            assert!(!barrier.broken());
            assert!(barrier.n_waiting() <= 2);
            assert!(!format!("{barrier:?}").contains("broken"));
        });
        assert_eq!(round(barrier), [Ok(0), Ok(1)]);
        assert_eq!(round(barrier), [Ok(0), Ok(1)]);
    }

    #[test]
    fn it_may_abort_its_own_barrier() {
        let barrier = acts_on_itself(Barrier::abort);
        let aborted = Err(BrokenBarrierError::Aborted);
        assert_eq!(round(barrier), [aborted, aborted]);
        assert!(barrier.broken());
    }

    #[test]
    fn it_may_reset_its_own_barrier() {
        let barrier = acts_on_itself(Barrier::reset);
        let reset = Err(BrokenBarrierError::Reset);
        assert_eq!(round(barrier), [reset, reset]);
        assert!(!barrier.broken());
        assert_eq!(round(barrier), [reset, reset]);
    }

    #[test]
    fn it_may_abort_its_own_barrier_and_panic() {
        let barrier = acts_on_itself(|barrier| {
            barrier.abort();
            panic!("the action");
        });
        let first = asleep(|| barrier.wait());
        let last = panic::catch_unwind(|| barrier.wait());
        assert_eq!(words(&*last.unwrap_err()), "the action");
        assert_eq!(first.end(), Err(BrokenBarrierError::Aborted));
        assert!(barrier.broken());
    }

    #[test]
    fn a_panic_in_it_is_told_to_those_who_came_meanwhile() {
        let (begin, begun) = mpsc::channel();
        let go_on = forever(AtomicBool::new(false));
        let barrier = forever(Barrier::new(2).with_action(move || {
            begin.send(()).unwrap();
            until(|| go_on.load(SeqCst));
            panic!("the action");
        }));
        let first = asleep(|| barrier.wait());
        let last = spawn(|| panic::catch_unwind(AssertUnwindSafe(|| barrier.wait())).is_err());
        begun.recv_timeout(LIMIT).unwrap();
        let next = asleep(|| barrier.wait());
        go_on.store(true, SeqCst);
        assert!(last.end());
        let panicked = Err(BrokenBarrierError::ActionPanicked);
        assert_eq!(first.end(), panicked);
        assert_eq!(next.end(), panicked);
        assert!(barrier.broken());
    }
}
