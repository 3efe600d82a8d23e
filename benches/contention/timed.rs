//! What takes a time that can be told for each repetition: pairs that nobody disturbs, round trips
//! between two threads, and waking many at once.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::os;
use crate::variants::*;

/// One variant of one case.
pub(crate) struct Timed {
    pub(crate) case: &'static str,
    /// Begins with `racefree` or `floor`, if it is not a peer.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// In one thread: how long so many repetitions take.
    Alone(fn(u64) -> Duration),
    /// In several threads, until the course is over.
    Group(fn(&Course) -> Lap),
}

/// How many threads take part, and for how long.
pub(crate) struct Course {
    pub(crate) threads: usize,
    /// It ends after so many repetitions, or ...
    pub(crate) repetitions: u64,
    /// ... when this time is over: what a repetition takes beside other threads that compute is
    /// not known before.
    pub(crate) time: Duration,
    /// Whether each of two threads is bound to a core.
    pub(crate) bound: bool,
}

/// What was run of a course.
pub(crate) struct Lap {
    pub(crate) repetitions: u64,
    pub(crate) elapsed: Duration,
}

impl Course {
    /// Runs it until the course is over. What is short is not disturbed by the clock each time.
    fn run(&self, mut operation: impl FnMut()) -> Lap {
        const SHORT: Duration = Duration::from_micros(5);
        let start = Instant::now();
        let (mut repetitions, mut until) = (0, 1);
        loop {
            while repetitions < until {
                operation();
                repetitions += 1;
            }
            let elapsed = start.elapsed();
            if repetitions >= self.repetitions || elapsed >= self.time {
                return Lap {
                    repetitions,
                    elapsed,
                };
            }
            let short = elapsed < SHORT * repetitions.try_into().unwrap_or(u32::MAX);
            until = (repetitions + if short { 16 } else { 1 }).min(self.repetitions);
        }
    }
}

const fn alone(case: &'static str, name: &'static str, run: fn(u64) -> Duration) -> Timed {
    Timed {
        case,
        name,
        run: Run::Alone(run),
    }
}

const fn group(case: &'static str, name: &'static str, run: fn(&Course) -> Lap) -> Timed {
    Timed {
        case,
        name,
        run: Run::Group(run),
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

/// What each costs that nobody else wants.
pub(crate) const UNCONTENDED: &[Timed] = &[
    alone(LOCK, "racefree Lock", pair::<racefree::Lock>),
    alone(LOCK, "racefree Mutex", pair::<OwnMutex>),
    alone(LOCK, "std Mutex", pair::<StdMutex>),
    alone(LOCK, "parking_lot Mutex", pair::<ParkingLotMutex>),
    alone(LOCK, "usync Mutex", pair::<UsyncMutex>),
    alone(LOCK, "std Mutex+Condvar", pair::<CondvarLock>),
    alone(LOCK, FLOOR_ONE, pair::<CompareExchange>),
    alone(LOCK, FLOOR_TWO, pair::<CompareExchangeExchange>),
    alone(RLOCK, "racefree RLock", pair::<racefree::RLock>),
    alone(RLOCK, PARKING_LOT_REENTRANT, pair::<ParkingLotReentrant>),
    alone(RLOCK, "usync ReentrantMutex", pair::<UsyncReentrant>),
    alone(RLOCK, "std Mutex+Condvar", pair::<CondvarRLock>),
    alone(RLOCK_NESTED, "racefree RLock", nested::<racefree::RLock>),
    alone(
        RLOCK_NESTED,
        PARKING_LOT_REENTRANT,
        nested::<ParkingLotReentrant>,
    ),
    alone(
        RLOCK_NESTED,
        "usync ReentrantMutex",
        nested::<UsyncReentrant>,
    ),
    alone(RLOCK_NESTED, "std Mutex+Condvar", nested::<CondvarRLock>),
    alone(SEMAPHORE, "racefree Semaphore", pair::<racefree::Semaphore>),
    alone(
        SEMAPHORE,
        "racefree BoundedSemaphore",
        pair::<racefree::BoundedSemaphore>,
    ),
    alone(SEMAPHORE, "tokio Semaphore", pair::<TokioSemaphore>),
    alone(SEMAPHORE, TOKIO_TRY, pair::<TokioTry>),
    alone(
        SEMAPHORE,
        "async-lock Semaphore",
        pair::<AsyncLockSemaphore>,
    ),
    alone(SEMAPHORE, ASYNC_LOCK_TRY, pair::<AsyncLockTry>),
    alone(SEMAPHORE, "std-semaphore", pair::<StdSemaphore>),
    alone(EVENT_IS_SET, "racefree Event", is_set),
    alone(
        EVENT_WAIT,
        "racefree Event",
        wait_when_set::<racefree::Event>,
    ),
    alone(
        EVENT_WAIT,
        RSEVENTS,
        wait_when_set::<rsevents::ManualResetEvent>,
    ),
    alone(EVENT_WAIT, "std Condvar", wait_when_set::<StdCondvar>),
    alone(
        EVENT_SET_CLEAR,
        "racefree Event",
        set_and_clear::<racefree::Event>,
    ),
    alone(EVENT_SET_CLEAR, CONDITION, set_and_clear::<ConditionEvent>),
    alone(
        EVENT_SET_CLEAR,
        RSEVENTS,
        set_and_clear::<rsevents::ManualResetEvent>,
    ),
    alone(EVENT_SET_CLEAR, "std Condvar", set_and_clear::<StdCondvar>),
    alone(
        EVENT_SET_CLEAR,
        "parking_lot Condvar",
        set_and_clear::<ParkingLotCondvar>,
    ),
    alone(
        EVENT_SET_CLEAR,
        "usync Condvar",
        set_and_clear::<UsyncCondvar>,
    ),
    alone(BARRIER_OF_ONE, "racefree Barrier", barrier_of_one),
    alone(BARRIER_OF_ONE, "std Barrier", |rounds| {
        let barrier = black_box(Barrier::new(1));
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

pub(crate) const PING_PONG: &str = "ping-pong";
pub(crate) const BARRIER: &str = "barrier";
pub(crate) const WAKE: &str = "wake";

/// There and back between two threads.
///
/// rsevents' ManualResetEvent is not among them: a `set` that is overtaken by the waiter's next wait
/// ends that one too (0.3.1 wakes after it has changed its word), so the two get out of step.
pub(crate) const PING_PONGS: &[Timed] = &[
    group(PING_PONG, "racefree Event", ping_pong::<racefree::Event>),
    group(PING_PONG, CONDITION, ping_pong::<ConditionEvent>),
    group(
        PING_PONG,
        "rsevents AutoResetEvent",
        ping_pong::<rsevents::AutoResetEvent>,
    ),
    group(PING_PONG, "std Condvar", ping_pong::<StdCondvar>),
    group(
        PING_PONG,
        "parking_lot Condvar",
        ping_pong::<ParkingLotCondvar>,
    ),
    group(PING_PONG, "usync Condvar", ping_pong::<UsyncCondvar>),
];

/// Threads that meet at a barrier again and again: what a round takes.
pub(crate) const BARRIERS: &[Timed] = &[
    group(BARRIER, "racefree Barrier", meet::<racefree::Barrier>),
    group(BARRIER, "std Barrier", meet::<Barrier>),
    group(BARRIER, "async-lock Barrier", meet::<async_lock::Barrier>),
];

/// Many that wait, and one that wakes them all: until the last of them goes on.
pub(crate) const WAKES: &[Timed] = &[
    group(WAKE, "racefree Event", wake::<racefree::Event>),
    group(WAKE, CONDITION, wake::<ConditionEvent>),
    group(
        WAKE,
        "racefree Barrier",
        wake::<LastParty<racefree::Barrier>>,
    ),
    group(WAKE, RSEVENTS, wake::<rsevents::ManualResetEvent>),
    group(WAKE, "std Condvar", wake::<StdCondvar>),
    group(WAKE, STD_LOCKED, wake::<StdCondvarLocked>),
    group(WAKE, "std Barrier", wake::<LastParty<Barrier>>),
    group(WAKE, "parking_lot Condvar", wake::<ParkingLotCondvar>),
    group(WAKE, "usync Condvar", wake::<UsyncCondvar>),
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
    let signal = S::new(0);
    let signal = black_box(&signal);
    signal.set();
    time(repetitions, || signal.wait())
}

pub(crate) fn set_and_clear<S: Signal>(repetitions: u64) -> Duration {
    let signal = S::new(0);
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

fn ping_pong<S: Signal>(course: &Course) -> Lap {
    let (ping, pong) = (S::new(1), S::new(1));
    let over = AtomicBool::new(false);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            if course.bound {
                os::pin(1 % os::cores());
            }
            start.wait();
            loop {
                ping.wait();
                if over.load(Ordering::Relaxed) {
                    return;
                }
                ping.clear();
                pong.set();
            }
        });
        let first = scope.spawn(|| {
            if course.bound {
                os::pin(0);
            }
            start.wait();
            let lap = course.run(|| {
                ping.set();
                pong.wait();
                pong.clear();
            });
            over.store(true, Ordering::Relaxed);
            ping.set();
            lap
        });
        first.join().unwrap()
    })
}

fn meet<B: Meeting>(course: &Course) -> Lap {
    let barrier = CachePadded::new(B::new(course.threads));
    // The number of the last round: a thread may learn of it when it is a round behind.
    let last = CachePadded::new(AtomicU64::new(u64::MAX));
    let start = Barrier::new(course.threads);
    let follow = || {
        if course.bound && course.threads == 2 {
            os::pin(1 % os::cores());
        }
        start.wait();
        let mut round = 0;
        while round != last.load(Ordering::Relaxed) {
            barrier.meet();
            round += 1;
        }
    };
    thread::scope(|scope| {
        for _ in 1..course.threads {
            spawn(scope, follow);
        }
        let first = scope.spawn(|| {
            if course.bound && course.threads == 2 {
                os::pin(0);
            }
            start.wait();
            let lap = course.run(|| barrier.meet());
            last.store(lap.repetitions + 1, Ordering::Relaxed);
            barrier.meet();
            lap
        });
        first.join().unwrap()
    })
}

fn wake<S: Signal>(course: &Course) -> Lap {
    const OVER: u64 = u64::MAX;
    let waiting = course.threads as u64;
    // Not on a cache line with what those count who are awake.
    let signal = CachePadded::new(S::new(course.threads));
    let [round, came, went] = [(); 3].map(|()| CachePadded::new(AtomicU64::new(0)));
    let last = Mutex::new(None);
    let waker = thread::current();
    let waiter = || {
        for repetition in 1.. {
            // Each sleeps by itself: who is done is not in the way of those who are yet to go on.
            while round.load(Ordering::Acquire) < repetition {
                thread::park();
            }
            if round.load(Ordering::Acquire) == OVER {
                return;
            }
            came.fetch_add(1, Ordering::Relaxed);
            signal.wait();
            if went.fetch_add(1, Ordering::Relaxed) + 1 == repetition * waiting {
                *last.lock().unwrap() = Some(Instant::now());
                waker.unpark();
            }
        }
    };
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..course.threads).map(|_| spawn(scope, waiter)).collect();
        let go = |number| {
            round.store(number, Ordering::Release);
            for waiter in &waiters {
                waiter.thread().unpark();
            }
        };
        let begin = Instant::now();
        let mut lap = Lap {
            repetitions: 0,
            elapsed: Duration::ZERO,
        };
        // To bring all of them to sleep takes longer than to wake them, and is part of the course.
        while lap.repetitions < course.repetitions
            && (lap.repetitions == 0 || begin.elapsed() < course.time)
        {
            lap.repetitions += 1;
            signal.clear();
            go(lap.repetitions);
            while came.load(Ordering::Relaxed) < lap.repetitions * waiting {
                thread::yield_now();
            }
            os::until_all_others_sleep(course.threads);
            let start = Instant::now();
            signal.set();
            let end = loop {
                if let Some(end) = last.lock().unwrap().take() {
                    break end;
                }
                thread::park();
            };
            lap.elapsed += end - start;
        }
        go(OVER);
        lap
    })
}

/// A thread with a small stack, as there may be ten thousand.
pub(crate) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    body: impl FnOnce() + Send + 'scope,
) -> ScopedJoinHandle<'scope, ()> {
    let builder = thread::Builder::new().stack_size(64 * 1024);
    builder.spawn_scoped(scope, body).expect("a thread")
}
