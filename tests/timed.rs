//! A timed call ends at its deadline, whatever others do meanwhile: notify, hand the primitive
//! round, wake for nothing, send signals.
//!
//! How late each call ends is compared with how late a plain sleep ends beside it, in the same
//! thread. `cargo test --test timed -- --nocapture` prints the figures.

mod common;

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::closed::{CondvarOfMutex, Twos};
use common::{LIMIT, Running, forever, spawn};
use racefree::{
    Barrier, BoundedSemaphore, Condition, ConditionLock, Event, Lock, Mutex, RLock, Semaphore,
};

/// A timed call, until the instant. What it acquires, it releases.
type Way<T> = (&'static str, fn(&T, Instant));

/// What has timed calls.
trait Timed: Send + Sync + 'static {
    const NAME: &str;

    /// Such that no timed call is let through.
    fn closed() -> Self;

    /// Such that timed calls are let through now and then, by what [`barge`](Self::barge) does.
    fn contended() -> Self;

    fn ways() -> Vec<Way<Self>>;

    /// What others may do all the time that is of no use to who waits.
    fn stir(&self);

    /// What others may do all the time that may be of use to who waits.
    fn barge(&self);
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

const NEXT_TO_NOTHING: Duration = Duration::from_micros(50);

macro_rules! timed_acquires {
    ($($Primitive:ident)*) => {
        $(impl Timed for $Primitive {
            const NAME: &str = stringify!($Primitive);

            fn closed() -> Self {
                let primitive = Self::default();
                // An `RLock` would let its owner in; one that has ended leaves it held.
                thread::scope(|scope| {
                    scope.spawn(|| primitive.acquire());
                });
                primitive
            }

            fn contended() -> Self {
                Self::default()
            }

            fn ways() -> Vec<Way<Self>> {
                vec![
                    ("acquire_timeout", |it, deadline| {
                        if it.acquire_timeout(left(deadline)) {
                            it.release().unwrap();
                        }
                    }),
                    ("acquire_until", |it, deadline| {
                        if it.acquire_until(deadline) {
                            it.release().unwrap();
                        }
                    }),
                ]
            }

            fn stir(&self) {
                assert!(!self.acquire_timeout(NEXT_TO_NOTHING));
            }

            fn barge(&self) {
                if self.acquire_timeout(NEXT_TO_NOTHING) {
                    thread::yield_now();
                    self.release().unwrap();
                }
            }
        })*
    };
}
timed_acquires! { Lock RLock Semaphore BoundedSemaphore }

macro_rules! timed_permits {
    ($($Primitive:ident)*) => {
        $(impl Timed for Twos<$Primitive> {
            const NAME: &str = concat!("two permits of ", stringify!($Primitive));

            fn closed() -> Self {
                let semaphore = $Primitive::new(2);
                semaphore.acquire();
                Self(semaphore)
            }

            fn contended() -> Self {
                Self($Primitive::new(2))
            }

            fn ways() -> Vec<Way<Self>> {
                vec![
                    ("acquire_n_timeout", |it, deadline| {
                        if it.0.acquire_n_timeout(2, left(deadline)) {
                            it.0.release_n(2).unwrap();
                        }
                    }),
                    ("acquire_n_until", |it, deadline| {
                        if it.0.acquire_n_until(2, deadline) {
                            it.0.release_n(2).unwrap();
                        }
                    }),
                    ("guard_n_timeout", |it, deadline| {
                        drop(it.0.guard_n_timeout(2, left(deadline)));
                    }),
                ]
            }

            fn stir(&self) {
                assert!(!self.0.acquire_n_timeout(2, NEXT_TO_NOTHING));
            }

            /// One permit comes and goes, beside those who want two.
            fn barge(&self) {
                if self.0.acquire_timeout(NEXT_TO_NOTHING) {
                    thread::yield_now();
                    self.0.release().unwrap();
                }
            }
        })*
    };
}
timed_permits! { Semaphore BoundedSemaphore }

/// One of the mutexes, which have the same calls.
macro_rules! timed_mutex {
    ($name:literal, $Mutex:ty) => {
        impl Timed for $Mutex {
            const NAME: &str = $name;

            fn closed() -> Self {
                let mutex = Self::new(0);
                thread::scope(|scope| {
                    scope.spawn(|| mem::forget(mutex.lock()));
                });
                mutex
            }

            fn contended() -> Self {
                Self::new(0)
            }

            fn ways() -> Vec<Way<Self>> {
                vec![
                    ("try_lock_for", |it, deadline| {
                        drop(it.try_lock_for(left(deadline)));
                    }),
                    ("try_lock_until", |it, deadline| {
                        drop(it.try_lock_until(deadline));
                    }),
                ]
            }

            fn stir(&self) {
                assert!(self.try_lock_for(NEXT_TO_NOTHING).is_none());
            }

            fn barge(&self) {
                if let Some(_guard) = self.try_lock_for(NEXT_TO_NOTHING) {
                    thread::yield_now();
                }
            }
        }
    };
}
timed_mutex!("Mutex", Mutex<u32>);
#[cfg(feature = "lock_api")]
type RawMutexTimed = racefree::lock_api::Mutex<Lock, u32>;
#[cfg(feature = "lock_api")]
timed_mutex!("lock_api::Mutex", RawMutexTimed);
#[cfg(feature = "lock_api")]
type RawReentrantMutexTimed = racefree::lock_api::ReentrantMutex<Lock, racefree::ThreadId, u32>;
#[cfg(feature = "lock_api")]
timed_mutex!("lock_api::ReentrantMutex", RawReentrantMutexTimed);

impl Timed for Event {
    const NAME: &str = "Event";

    fn closed() -> Self {
        Self::new()
    }

    fn contended() -> Self {
        Self::new()
    }

    fn ways() -> Vec<Way<Self>> {
        vec![
            ("wait_timeout", |it, deadline| {
                let _ = it.wait_timeout(left(deadline));
            }),
            ("wait_until", |it, deadline| {
                let _ = it.wait_until(deadline);
            }),
        ]
    }

    fn stir(&self) {
        self.clear();
        assert!(!self.wait_timeout(NEXT_TO_NOTHING));
    }

    fn barge(&self) {
        self.set();
        self.clear();
        thread::yield_now();
    }
}

impl<L: ConditionLock + Default + Send + Sync + 'static> Timed for Condition<L> {
    const NAME: &str = "Condition";

    fn closed() -> Self {
        Self::default()
    }

    fn contended() -> Self {
        Self::default()
    }

    /// A wait that is notified may end early. That of a predicate which is never true must not, and
    /// neither must a loop of waits until the same deadline.
    fn ways() -> Vec<Way<Self>> {
        vec![
            ("wait_timeout", |it, deadline| {
                let _guard = it.guard();
                it.wait_timeout(left(deadline)).unwrap();
            }),
            ("wait_until", |it, deadline| {
                let _guard = it.guard();
                it.wait_until(deadline).unwrap();
            }),
            ("wait_for_timeout", |it, deadline| {
                let _guard = it.guard();
                let came = it.wait_for_timeout(|| false, left(deadline)).unwrap();
                assert!(!came && Instant::now() >= deadline);
            }),
            ("wait_for_until", |it, deadline| {
                let _guard = it.guard();
                let mut late = 0;
                let came = it.wait_for_until(
                    || {
                        late += u32::from(Instant::now() > deadline);
                        false
                    },
                    deadline,
                );
                assert!(!came.unwrap() && Instant::now() >= deadline);
                assert!(late <= 2, "asked {late} times when the time was up");
            }),
            ("loop of wait_until", |it, deadline| {
                let _guard = it.guard();
                let mut late = 0;
                while it.wait_until(deadline).unwrap() {
                    late += u32::from(Instant::now() > deadline);
                }
                assert!(Instant::now() >= deadline);
                assert!(late <= 1, "notified {late} times when the time was up");
            }),
        ]
    }

    fn stir(&self) {
        if self.try_acquire() {
            self.notify_all().unwrap();
            self.release().unwrap();
        }
        thread::yield_now();
    }

    /// The lock alone: whose time is up has to have it again.
    fn barge(&self) {
        if self.acquire_timeout(NEXT_TO_NOTHING) {
            self.notify(1).unwrap();
            self.release().unwrap();
        }
        thread::yield_now();
    }
}

impl Timed for CondvarOfMutex {
    const NAME: &str = "Condvar";

    fn closed() -> Self {
        Self::default()
    }

    fn contended() -> Self {
        Self::default()
    }

    /// As those of a condition.
    fn ways() -> Vec<Way<Self>> {
        vec![
            ("wait_timeout", |it, deadline| {
                it.0.wait_timeout(&mut it.1.lock(), left(deadline));
            }),
            ("wait_while_timeout", |it, deadline| {
                let mut guard = it.1.lock();
                let timeout = left(deadline);
                let ended = it.0.wait_while_timeout(&mut guard, |_| true, timeout);
                assert!(ended.timed_out() && Instant::now() >= deadline);
            }),
            ("wait_while_until", |it, deadline| {
                let mut late = 0;
                let ended = it.0.wait_while_until(
                    &mut it.1.lock(),
                    |_| {
                        late += u32::from(Instant::now() > deadline);
                        true
                    },
                    deadline,
                );
                assert!(ended.timed_out() && Instant::now() >= deadline);
                assert!(late <= 2, "asked {late} times when the time was up");
            }),
            ("loop of wait_until", |it, deadline| {
                let mut guard = it.1.lock();
                let mut late = 0;
                while !it.0.wait_until(&mut guard, deadline).timed_out() {
                    late += u32::from(Instant::now() > deadline);
                }
                assert!(Instant::now() >= deadline);
                assert!(late <= 1, "notified {late} times when the time was up");
            }),
        ]
    }

    fn stir(&self) {
        self.0.notify_all();
        thread::yield_now();
    }

    /// The mutex alone: whose time is up has to have it again.
    fn barge(&self) {
        if let Some(_guard) = self.1.try_lock_for(NEXT_TO_NOTHING) {
            self.0.notify_one();
        }
        thread::yield_now();
    }
}

impl Timed for Barrier {
    const NAME: &str = "Barrier";

    fn closed() -> Self {
        Self::new(100)
    }

    fn contended() -> Self {
        Self::new(3)
    }

    fn ways() -> Vec<Way<Self>> {
        vec![
            ("wait_timeout", |it, deadline| {
                if it.wait_timeout(left(deadline)).is_err() {
                    it.reset();
                }
            }),
            ("wait_until", |it, deadline| {
                if it.wait_until(deadline).is_err() {
                    it.reset();
                }
            }),
        ]
    }

    fn stir(&self) {
        assert!(self.n_waiting() <= 1);
        let _ = (self.broken(), format!("{self:?}"));
        thread::yield_now();
    }

    fn barge(&self) {
        if self.wait_timeout(NEXT_TO_NOTHING).is_err() {
            self.abort();
            self.reset();
        }
    }
}

/// The tests of each of these.
macro_rules! for_each_timed {
    ($($test:ident)*) => {
        for_each_timed! { @lock Lock: $($test)* }
        for_each_timed! { @rlock RLock: $($test)* }
        for_each_timed! { @semaphore Semaphore: $($test)* }
        for_each_timed! { @bounded_semaphore BoundedSemaphore: $($test)* }
        for_each_timed! { @two_permits Twos<Semaphore>: $($test)* }
        for_each_timed! { @two_bounded_permits Twos<BoundedSemaphore>: $($test)* }
        for_each_timed! { @mutex Mutex<u32>: $($test)* }
        #[cfg(feature = "lock_api")]
        for_each_timed! { @lock_api_mutex RawMutexTimed: $($test)* }
        #[cfg(feature = "lock_api")]
        for_each_timed! { @lock_api_reentrant_mutex RawReentrantMutexTimed: $($test)* }
        for_each_timed! { @event Event: $($test)* }
        for_each_timed! { @condition_with_lock Condition<Lock>: $($test)* }
        for_each_timed! { @condition_with_rlock Condition<RLock>: $($test)* }
        for_each_timed! { @condvar CondvarOfMutex: $($test)* }
        for_each_timed! { @barrier Barrier: $($test)* }
    };
    (@$module:ident $Timed:ty: $($test:ident)*) => {
        mod $module {
            use super::*;
            $(#[test]
            fn $test() {
                super::$test::<$Timed>();
            })*
        }
    };
}

const ROUNDS: usize = 3;
const TIMEOUT: Duration = Duration::from_millis(10);

/// How long a storm lasts at most: what waits for its end is this late.
const STORM: Duration = Duration::from_secs(3);

/// That a call may be late beyond what sleeps are: less than a storm.
const MARGIN: Duration = Duration::from_millis(400);

/// Fails if one of the timed calls of `it` ends much later than a plain sleep beside it. What `begin`
/// begins has to end when it is told that all is over.
fn ends_at_its_deadline<T: Timed>(
    it: &'static T,
    storm: &str,
    begin: impl FnOnce(&'static AtomicBool) -> Vec<Running<()>>,
) {
    let over = forever(AtomicBool::new(false));
    let threads = begin(over);
    let mut figures = Vec::new();
    for (name, way) in T::ways() {
        let mut late = Vec::new();
        let mut sleeps_late = Vec::new();
        for _ in 0..ROUNDS {
            let deadline = Instant::now() + TIMEOUT;
            way(it, deadline);
            late.push(deadline.elapsed());
            let deadline = Instant::now() + TIMEOUT;
            thread::sleep(left(deadline));
            sleeps_late.push(deadline.elapsed());
        }
        late.sort_unstable();
        sleeps_late.sort_unstable();
        figures.push((name, late, sleeps_late));
    }
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(Running::end);
    let latest_sleep = figures.iter().map(|it| it.2[ROUNDS - 1]).max().unwrap();
    for (name, late, sleep) in &figures {
        println!(
            "{}::{name} beside {storm}: {:?} late, {:?} at worst; a sleep {:?}, {:?} at worst",
            T::NAME,
            late[ROUNDS / 2],
            late[ROUNDS - 1],
            sleep[ROUNDS / 2],
            sleep[ROUNDS - 1],
        );
    }
    for (name, late, _) in figures {
        let worst = late[ROUNDS - 1];
        assert!(
            worst < latest_sleep * 4 + MARGIN,
            "{}::{name} ended {worst:?} late beside {storm}, and a sleep {latest_sleep:?}",
            T::NAME
        );
    }
}

/// Three threads that do the same until it is `over`, or for as long as a storm.
fn three(over: &'static AtomicBool, act: impl Fn() + Send + Copy + 'static) -> Vec<Running<()>> {
    let begun = Instant::now();
    let run = move || {
        while !over.load(Ordering::Relaxed) && begun.elapsed() < STORM {
            act();
        }
    };
    [(); 3].map(|()| spawn(run)).into()
}

mod storms {
    use super::*;

    for_each_timed! {
        others_stir
        others_barge
    }

    fn others_stir<T: Timed>() {
        let it = forever(T::closed());
        let begin = |over| three(over, || it.stir());
        spawn(move || ends_at_its_deadline(it, "stirs", begin)).end();
    }

    fn others_barge<T: Timed>() {
        let it = forever(T::contended());
        let begin = |over| three(over, || it.barge());
        spawn(move || ends_at_its_deadline(it, "barging", begin)).end();
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod interrupted {
    use super::*;
    use common::closed::signals::send_signal;
    use common::os;

    for_each_timed! {
        signals_come
    }

    fn signals_come<T: Timed>() {
        let it = forever(T::closed());
        spawn(move || {
            let waiter = os::thread_id();
            let begin = |over| three(over, move || send_signal(waiter));
            ends_at_its_deadline(it, "signals", begin);
        })
        .end();
    }

    #[cfg(not(racefree_parking))]
    mod for_nothing {
        use super::*;
        use common::closed::for_nothing::{DEPTH, stack, wake_all};
        use common::closed::place;

        for_each_timed! {
            wakes_for_nothing_come
        }

        fn wakes_for_nothing_come<T: Timed>() {
            let it = forever(T::closed());
            spawn(move || {
                let stack = stack();
                let begin = |over| {
                    three(over, move || {
                        wake_all(place(it));
                        wake_all(stack - DEPTH..stack);
                    })
                };
                ends_at_its_deadline(it, "wakes for nothing", begin);
            })
            .end();
        }
    }
}

mod past {
    use super::*;

    for_each_timed! {
        a_deadline_that_is_past_costs_a_look
    }

    /// A fraction of what polling or a sleep costs, and many times what a look and the clock do.
    const COST: Duration = Duration::from_micros(25);

    /// What an attempt costs in the best of many batches: so it does not count that the machine is
    /// busy.
    fn cost(attempt: impl Fn()) -> Duration {
        let batch = || {
            let start = Instant::now();
            (0..20).for_each(|_| attempt());
            start.elapsed() / 20
        };
        (0..100).map(|_| batch()).min().unwrap()
    }

    fn a_deadline_that_is_past_costs_a_look<T: Timed>() {
        spawn(|| {
            let it = T::closed();
            for (name, way) in T::ways() {
                let past = Instant::now();
                let nanosecond = Duration::from_nanos(1);
                for (when, cost) in [
                    ("past", cost(|| way(&it, past))),
                    ("now", cost(|| way(&it, Instant::now()))),
                    ("in 1 ns", cost(|| way(&it, Instant::now() + nanosecond))),
                ] {
                    println!("{}::{name}, {when}: {cost:?}", T::NAME);
                    assert!(cost < COST, "{}::{name}, {when}, took {cost:?}", T::NAME);
                }
            }
        })
        .end();
    }

    /// The same by a duration: all but 0 ends after a reading of the clock.
    #[test]
    fn a_barrier_with_next_to_no_time_of_its_own() {
        for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
            let barrier = Barrier::new(2).with_timeout(timeout);
            let cost = cost(|| {
                barrier.wait().unwrap_err();
                barrier.reset();
            });
            assert!(cost < COST, "{timeout:?}: {cost:?}");
        }
    }
}

/// Without this, the tests above would prove nothing.
#[test]
#[should_panic(expected = "late beside nothing")]
fn a_call_that_ends_late_is_noticed() {
    struct Late;

    impl Timed for Late {
        const NAME: &str = "Late";

        fn closed() -> Self {
            Self
        }

        fn contended() -> Self {
            Self
        }

        fn ways() -> Vec<Way<Self>> {
            vec![("sleep", |_, deadline| {
                // Later than any margin, however late the sleeps are.
                while deadline.elapsed() < MARGIN * 5 {
                    thread::sleep(LIMIT.min(MARGIN));
                }
            })]
        }

        fn stir(&self) {}

        fn barge(&self) {}
    }

    ends_at_its_deadline(forever(Late), "nothing", |_| Vec::new());
}
