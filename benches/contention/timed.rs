//! What takes a time that can be told for each repetition: pairs that nobody disturbs, round trips
//! between two threads, and waking many at once.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::os;
use crate::variants::*;

/// One variant of one case.
pub(crate) struct Timed {
    pub(crate) case: &'static str,
    /// Begins with `racefree` or `floor`, if it is not a peer.
    pub(crate) name: &'static str,
    /// How long so many repetitions take.
    pub(crate) run: fn(u64) -> Duration,
    /// How many repetitions a sample has, if it is not as many as its time allows.
    pub(crate) repetitions: Option<u64>,
}

const fn timed(case: &'static str, name: &'static str, run: fn(u64) -> Duration) -> Timed {
    Timed {
        case,
        name,
        run,
        repetitions: None,
    }
}

pub(crate) const LOCK: &str = "lock";
pub(crate) const RLOCK: &str = "rlock";
pub(crate) const RLOCK_NESTED: &str = "rlock nested";
pub(crate) const SEMAPHORE: &str = "semaphore";
pub(crate) const EVENT_IS_SET: &str = "event is_set";
pub(crate) const EVENT_WAIT: &str = "event wait when set";
pub(crate) const EVENT_SET_CLEAR: &str = "event set and clear";
pub(crate) const BARRIER_OF_ONE: &str = "barrier of one";

impl Timed {
    /// Whether it can be run here.
    pub(crate) fn possible(&self) -> bool {
        match self.case {
            PING_PONG_TWO => os::cores() >= 2,
            PING_PONG_ONE => os::PINS,
            _ => true,
        }
    }
}

/// What each costs that nobody else wants.
pub(crate) const UNCONTENDED: &[Timed] = &[
    timed(LOCK, "racefree Lock", pair::<racefree::Lock>),
    timed(LOCK, "racefree Mutex", pair::<OwnMutex>),
    timed(LOCK, "std Mutex", pair::<StdMutex>),
    timed(LOCK, "parking_lot Mutex", pair::<ParkingLotMutex>),
    timed(LOCK, "usync Mutex", pair::<UsyncMutex>),
    timed(LOCK, "std Mutex+Condvar", pair::<CondvarLock>),
    timed(LOCK, FLOOR_ONE, pair::<CompareExchange>),
    timed(LOCK, FLOOR_TWO, pair::<CompareExchangeExchange>),
    timed(RLOCK, "racefree RLock", pair::<racefree::RLock>),
    timed(RLOCK, PARKING_LOT_REENTRANT, pair::<ParkingLotReentrant>),
    timed(RLOCK, "usync ReentrantMutex", pair::<UsyncReentrant>),
    timed(RLOCK, "std Mutex+Condvar", pair::<CondvarRLock>),
    timed(RLOCK_NESTED, "racefree RLock", nested::<racefree::RLock>),
    timed(
        RLOCK_NESTED,
        PARKING_LOT_REENTRANT,
        nested::<ParkingLotReentrant>,
    ),
    timed(
        RLOCK_NESTED,
        "usync ReentrantMutex",
        nested::<UsyncReentrant>,
    ),
    timed(RLOCK_NESTED, "std Mutex+Condvar", nested::<CondvarRLock>),
    timed(SEMAPHORE, "racefree Semaphore", pair::<racefree::Semaphore>),
    timed(
        SEMAPHORE,
        "racefree BoundedSemaphore",
        pair::<racefree::BoundedSemaphore>,
    ),
    timed(SEMAPHORE, "tokio Semaphore", pair::<TokioSemaphore>),
    timed(SEMAPHORE, TOKIO_TRY, pair::<TokioTry>),
    timed(
        SEMAPHORE,
        "async-lock Semaphore",
        pair::<AsyncLockSemaphore>,
    ),
    timed(SEMAPHORE, ASYNC_LOCK_TRY, pair::<AsyncLockTry>),
    timed(SEMAPHORE, "std-semaphore", pair::<StdSemaphore>),
    timed(EVENT_IS_SET, "racefree Event", is_set),
    timed(
        EVENT_WAIT,
        "racefree Event",
        wait_when_set::<racefree::Event>,
    ),
    timed(
        EVENT_WAIT,
        RSEVENTS,
        wait_when_set::<rsevents::ManualResetEvent>,
    ),
    timed(EVENT_WAIT, "std Condvar", wait_when_set::<StdCondvar>),
    timed(
        EVENT_SET_CLEAR,
        "racefree Event",
        set_and_clear::<racefree::Event>,
    ),
    timed(EVENT_SET_CLEAR, CONDITION, set_and_clear::<ConditionEvent>),
    timed(
        EVENT_SET_CLEAR,
        RSEVENTS,
        set_and_clear::<rsevents::ManualResetEvent>,
    ),
    timed(EVENT_SET_CLEAR, "std Condvar", set_and_clear::<StdCondvar>),
    timed(
        EVENT_SET_CLEAR,
        "parking_lot Condvar",
        set_and_clear::<ParkingLotCondvar>,
    ),
    timed(
        EVENT_SET_CLEAR,
        "usync Condvar",
        set_and_clear::<UsyncCondvar>,
    ),
    timed(BARRIER_OF_ONE, "racefree Barrier", barrier_of_one),
    timed(BARRIER_OF_ONE, "std Barrier", |rounds| {
        let barrier = Barrier::new(1);
        let barrier = black_box(&barrier);
        time(rounds, || {
            black_box(barrier.wait().is_leader());
        })
    }),
];

pub(crate) const FLOOR_ONE: &str = "floor: compare-exchange";
pub(crate) const FLOOR_TWO: &str = "floor: compare-exchange, exchange";
pub(crate) const PARKING_LOT_REENTRANT: &str = "parking_lot ReentrantMutex";
pub(crate) const TOKIO_TRY: &str = "tokio Semaphore, try";
pub(crate) const ASYNC_LOCK_TRY: &str = "async-lock Semaphore, try";
pub(crate) const CONDITION: &str = "racefree Condition<Lock>";
pub(crate) const RSEVENTS: &str = "rsevents ManualResetEvent";
pub(crate) const STD_LOCKED: &str = "std Condvar, in its lock";

pub(crate) const PING_PONG_TWO: &str = "ping-pong, two cores";
pub(crate) const PING_PONG_ONE: &str = "ping-pong, one core";
pub(crate) const BARRIER: &str = "barrier of two";

/// There and back between two threads, each on a core of its own, or both on one.
///
/// rsevents' ManualResetEvent is not among them: a `set` that is overtaken by the waiter's next wait
/// ends that one too (0.3.1 wakes after it has changed its word), so the two get out of step.
pub(crate) const ROUND_TRIPS: &[Timed] = &[
    timed(
        PING_PONG_TWO,
        "racefree Event",
        ping_pong::<racefree::Event, 2>,
    ),
    timed(PING_PONG_TWO, CONDITION, ping_pong::<ConditionEvent, 2>),
    timed(
        PING_PONG_TWO,
        "rsevents AutoResetEvent",
        ping_pong::<rsevents::AutoResetEvent, 2>,
    ),
    timed(PING_PONG_TWO, "std Condvar", ping_pong::<StdCondvar, 2>),
    timed(
        PING_PONG_TWO,
        "parking_lot Condvar",
        ping_pong::<ParkingLotCondvar, 2>,
    ),
    timed(PING_PONG_TWO, "usync Condvar", ping_pong::<UsyncCondvar, 2>),
    timed(
        PING_PONG_ONE,
        "racefree Event",
        ping_pong::<racefree::Event, 1>,
    ),
    timed(PING_PONG_ONE, CONDITION, ping_pong::<ConditionEvent, 1>),
    timed(
        PING_PONG_ONE,
        "rsevents AutoResetEvent",
        ping_pong::<rsevents::AutoResetEvent, 1>,
    ),
    timed(PING_PONG_ONE, "std Condvar", ping_pong::<StdCondvar, 1>),
    timed(
        PING_PONG_ONE,
        "parking_lot Condvar",
        ping_pong::<ParkingLotCondvar, 1>,
    ),
    timed(PING_PONG_ONE, "usync Condvar", ping_pong::<UsyncCondvar, 1>),
    timed(BARRIER, "racefree Barrier", |trips| {
        rendezvous(trips, &racefree::Barrier::new(2), |it| {
            it.wait().expect("nobody breaks it");
        })
    }),
    timed(BARRIER, "std Barrier", |trips| {
        rendezvous(trips, &Barrier::new(2), |it| {
            black_box(it.wait().is_leader());
        })
    }),
];

const fn wakes<S: Signal, const WAITERS: usize>(name: &'static str) -> Timed {
    let (case, repetitions) = match WAITERS {
        10 => ("wake 10", 10),
        100 => ("wake 100", 3),
        1000 => ("wake 1000", 1),
        _ => panic!("a number without a name"),
    };
    Timed {
        case,
        name,
        run: wake::<S, WAITERS>,
        repetitions: Some(repetitions),
    }
}

/// Many that wait, and one that wakes them all: until the last of them goes on.
pub(crate) const WAKES: &[Timed] = &[
    wakes::<racefree::Event, 10>("racefree Event"),
    wakes::<ConditionEvent, 10>(CONDITION),
    wakes::<rsevents::ManualResetEvent, 10>(RSEVENTS),
    wakes::<StdCondvar, 10>("std Condvar"),
    wakes::<StdCondvarLocked, 10>(STD_LOCKED),
    wakes::<ParkingLotCondvar, 10>("parking_lot Condvar"),
    wakes::<UsyncCondvar, 10>("usync Condvar"),
    wakes::<racefree::Event, 100>("racefree Event"),
    wakes::<ConditionEvent, 100>(CONDITION),
    wakes::<rsevents::ManualResetEvent, 100>(RSEVENTS),
    wakes::<StdCondvar, 100>("std Condvar"),
    wakes::<StdCondvarLocked, 100>(STD_LOCKED),
    wakes::<ParkingLotCondvar, 100>("parking_lot Condvar"),
    wakes::<UsyncCondvar, 100>("usync Condvar"),
    wakes::<racefree::Event, 1000>("racefree Event"),
    wakes::<ConditionEvent, 1000>(CONDITION),
    wakes::<rsevents::ManualResetEvent, 1000>(RSEVENTS),
    wakes::<StdCondvar, 1000>("std Condvar"),
    wakes::<StdCondvarLocked, 1000>(STD_LOCKED),
    wakes::<ParkingLotCondvar, 1000>("parking_lot Condvar"),
    wakes::<UsyncCondvar, 1000>("usync Condvar"),
];

#[inline]
fn time(repetitions: u64, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..repetitions {
        operation();
    }
    start.elapsed()
}

pub(crate) fn pair<P: Pair>(repetitions: u64) -> Duration {
    // One permit is in use at a time, and one to spare.
    let pair = black_box(P::new(2));
    let pair = black_box(&pair);
    time(repetitions, || pair.with(|| ()))
}

pub(crate) fn nested<P: Pair>(repetitions: u64) -> Duration {
    let pair = black_box(P::new(1));
    let pair = black_box(&pair);
    pair.with(|| time(repetitions, || pair.with(|| ())))
}

pub(crate) fn is_set(repetitions: u64) -> Duration {
    let event = racefree::Event::new();
    let event = black_box(&event);
    time(repetitions, || {
        black_box(event.is_set());
    })
}

pub(crate) fn wait_when_set<S: Signal>(repetitions: u64) -> Duration {
    let signal = S::new();
    let signal = black_box(&signal);
    signal.set();
    time(repetitions, || signal.wait())
}

pub(crate) fn set_and_clear<S: Signal>(repetitions: u64) -> Duration {
    let signal = S::new();
    let signal = black_box(&signal);
    time(repetitions, || {
        signal.set();
        signal.clear();
    })
}

pub(crate) fn barrier_of_one(rounds: u64) -> Duration {
    let barrier = racefree::Barrier::new(1);
    let barrier = black_box(&barrier);
    time(rounds, || {
        black_box(barrier.wait().is_ok());
    })
}

/// Runs both at once, on so many cores, and tells how long the first one took.
fn two_threads(
    cores: usize,
    first: impl FnOnce() -> Duration + Send,
    second: impl FnOnce() + Send,
) -> Duration {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            os::pin(1 % cores);
            start.wait();
            second();
        });
        let first = scope.spawn(|| {
            os::pin(0);
            start.wait();
            first()
        });
        first.join().unwrap()
    })
}

fn ping_pong<S: Signal, const CORES: usize>(trips: u64) -> Duration {
    let (ping, pong) = (S::new(), S::new());
    let (ping, pong) = (&ping, &pong);
    two_threads(
        CORES,
        || {
            time(trips, || {
                ping.set();
                pong.wait();
                pong.clear();
            })
        },
        || {
            for _ in 0..trips {
                ping.wait();
                ping.clear();
                pong.set();
            }
        },
    )
}

fn rendezvous<B: Sync>(trips: u64, barrier: &B, wait: impl Fn(&B) + Sync) -> Duration {
    two_threads(
        2,
        || time(trips, || wait(barrier)),
        || {
            for _ in 0..trips {
                wait(barrier);
            }
        },
    )
}

fn wake<S: Signal, const WAITERS: usize>(repetitions: u64) -> Duration {
    // Not on a cache line with what those count who are awake.
    let signal = CachePadded::new(S::new());
    let (round, came, went) = [(); 3].map(|()| AtomicUsize::new(0)).into();
    let last = Mutex::new(None);
    let waker = thread::current();
    let waiter = || {
        for repetition in 1..=repetitions as usize {
            // Each sleeps by itself: who is done is not in the way of those who are yet to go on.
            while round.load(Ordering::Acquire) < repetition {
                thread::park();
            }
            came.fetch_add(1, Ordering::Relaxed);
            signal.wait();
            if (went.fetch_add(1, Ordering::Relaxed) + 1) % WAITERS == 0 {
                *last.lock().unwrap() = Some(Instant::now());
                waker.unpark();
            }
        }
    };
    thread::scope(|scope| {
        let waiters = [(); WAITERS].map(|()| {
            let builder = thread::Builder::new().stack_size(64 * 1024);
            builder.spawn_scoped(scope, waiter).expect("a thread")
        });
        let mut total = Duration::ZERO;
        for repetition in 1..=repetitions as usize {
            signal.clear();
            round.store(repetition, Ordering::Release);
            for waiter in &waiters {
                waiter.thread().unpark();
            }
            while came.load(Ordering::Relaxed) < repetition * WAITERS {
                thread::yield_now();
            }
            os::until_all_others_sleep(WAITERS);
            let start = Instant::now();
            signal.set();
            let end = loop {
                if let Some(end) = last.lock().unwrap().take() {
                    break end;
                }
                thread::park();
            };
            total += end - start;
        }
        total
    })
}
