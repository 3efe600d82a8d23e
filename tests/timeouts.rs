//! Where a deadline and a release meet, and where signals come between.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Acquire, Random, Running, for_each_primitive, forever, has_one_permit};
use common::{spawn, work};
use racefree::{BoundedSemaphore, Event, Semaphore};

for_each_primitive! {
    a_deadline_that_meets_a_release_loses_nothing
}

/// How often the threads of a round acquired, and how often their time was up.
#[derive(Clone, Copy, Default)]
struct Outcomes {
    acquired: u32,
    timed_out: u32,
}

impl Outcomes {
    fn count(&mut self, acquired: bool) -> bool {
        let which = match acquired {
            true => &mut self.acquired,
            false => &mut self.timed_out,
        };
        *which += 1;
        acquired
    }

    fn sum(parts: impl IntoIterator<Item = Running<Self>>) -> Self {
        parts.into_iter().fold(Self::default(), |sum, part| {
            let part = part.end();
            Self {
                acquired: sum.acquired + part.acquired,
                timed_out: sum.timed_out + part.timed_out,
            }
        })
    }
}

/// Repeats a round until each outcome was seen: which of them comes is for the machine to say.
fn until_both_are_seen(mut round: impl FnMut() -> Outcomes) {
    let mut seen = Outcomes::default();
    for done in 1..=100 {
        let outcomes = round();
        seen.acquired += outcomes.acquired;
        seen.timed_out += outcomes.timed_out;
        if done >= 3 && seen.acquired > 0 && seen.timed_out > 0 {
            return;
        }
    }
    panic!("acquired {}, timed out {}", seen.acquired, seen.timed_out);
}

/// A wake that is spent on a waiter which gives up leaves those without a deadline asleep for ever.
fn a_deadline_that_meets_a_release_loses_nothing<P: Acquire>() {
    until_both_are_seen(|| {
        let primitive = forever(P::default());
        let holders = forever(AtomicU32::new(0));
        let hold = |random: &mut Random| {
            assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0);
            work(random.micros(60));
            holders.fetch_sub(1, Ordering::Relaxed);
            primitive.release().unwrap();
        };
        let hasty = (0..6).map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                let mut outcomes = Outcomes::default();
                for _ in 0..300 {
                    if outcomes.count(primitive.acquire_timeout(random.micros(200))) {
                        hold(&mut random);
                    }
                }
                outcomes
            })
        });
        let hasty: Vec<_> = hasty.collect();
        let patient = [10, 11].map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..150 {
                    primitive.acquire();
                    hold(&mut random);
                }
            })
        });
        let outcomes = Outcomes::sum(hasty);
        for thread in patient {
            thread.end();
        }
        has_one_permit(primitive);
        outcomes
    });
}

#[test]
fn every_permit_is_taken_or_left_when_deadlines_meet_releases() {
    const RELEASES: u32 = 600;
    until_both_are_seen(|| {
        let semaphore = forever(Semaphore::new(0));
        let over = forever(AtomicBool::new(false));
        let consumers = (0..6).map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                let mut outcomes = Outcomes::default();
                while !over.load(Ordering::Relaxed) {
                    outcomes.count(semaphore.acquire_timeout(random.micros(200)));
                }
                outcomes
            })
        });
        let consumers: Vec<_> = consumers.collect();
        let mut random = Random::new(20);
        for number in 0..RELEASES {
            semaphore.release_n(1 + number % 2).unwrap();
            work(random.micros(150));
        }
        over.store(true, Ordering::Relaxed);
        let outcomes = Outcomes::sum(consumers);
        let released = RELEASES + RELEASES / 2;
        assert_eq!(outcomes.acquired + semaphore.value(), released);
        outcomes
    });
}

#[test]
fn a_bounded_semaphore_ends_with_what_it_began_with_when_deadlines_meet_releases() {
    const PERMITS: u32 = 3;
    until_both_are_seen(|| {
        let semaphore = forever(BoundedSemaphore::new(PERMITS));
        let threads = (0..8).map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                let mut outcomes = Outcomes::default();
                for _ in 0..200 {
                    if outcomes.count(semaphore.acquire_timeout(random.micros(100))) {
                        // Sleeping holders let more than two processors' worth of threads compete.
                        std::thread::sleep(random.micros(50));
                        semaphore.release().unwrap();
                    }
                }
                outcomes
            })
        });
        let outcomes = Outcomes::sum(threads.collect::<Vec<_>>());
        assert_eq!(semaphore.value(), PERMITS);
        outcomes
    });
}

/// A wait is true only if the event was set at some time after it began, and it loses no set: the
/// last one, which is not cleared, ends the waits that have no deadline.
#[test]
fn a_deadline_that_meets_a_set_tells_the_truth() {
    until_both_are_seen(|| {
        let event = forever(Event::new());
        let sets = forever(AtomicU32::new(0));
        let clears = forever(AtomicU32::new(0));
        let waiters = (0..6).map(|seed| {
            spawn(move || {
                let mut random = Random::new(seed);
                let mut outcomes = Outcomes::default();
                for _ in 0..300 {
                    let cleared = clears.load(Ordering::SeqCst);
                    if outcomes.count(event.wait_timeout(random.micros(200))) {
                        assert!(sets.load(Ordering::SeqCst) > cleared);
                    }
                }
                outcomes
            })
        });
        let waiters: Vec<_> = waiters.collect();
        let patient = [(); 2].map(|()| spawn(|| (0..100).for_each(|_| event.wait())));
        let mut random = Random::new(20);
        for _ in 0..200 {
            sets.fetch_add(1, Ordering::SeqCst);
            event.set();
            work(random.micros(20));
            event.clear();
            clears.fetch_add(1, Ordering::SeqCst);
            work(random.micros(200));
        }
        sets.fetch_add(1, Ordering::SeqCst);
        event.set();
        for thread in patient {
            thread.end();
        }
        Outcomes::sum(waiters)
    });
}

#[cfg(unix)]
mod signals {
    use super::*;
    use common::{LIMIT, os};
    use std::cell::Cell;
    use std::sync::{Once, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};
    use std::{mem, ptr};

    thread_local! {
        /// How many signals this thread has received.
        static RECEIVED: Cell<u32> = const { Cell::new(0) };
    }

    extern "C" fn receive(_signal: libc::c_int) {
        RECEIVED.set(RECEIVED.get() + 1);
    }

    /// Sends the calling thread signals that interrupt its system calls, when it sleeps in one,
    /// from when `begin` returns until `enough` have been sent; and then runs `finish`.
    fn pelt(
        begin: impl FnOnce() + Send + 'static,
        enough: impl Fn(u32) -> bool + Send + 'static,
        finish: impl FnOnce() + Send + 'static,
    ) -> Running<()> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: an action of all zeroes is one: no flags, among them SA_RESTART, and no
            // signals blocked.
            let mut action: libc::sigaction = unsafe { mem::zeroed() };
            action.sa_sigaction = receive as extern "C" fn(libc::c_int) as libc::sighandler_t;
            // SAFETY: the handler counts, in memory that its thread has from the start, and does
            // nothing else.
            let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
            assert_eq!(set, 0);
        });
        // SAFETY: it has no preconditions.
        let target = unsafe { libc::pthread_self() } as usize;
        let id = os::thread_id();
        let (begun, has_begun) = mpsc::channel();
        let sender = spawn(move || {
            begin();
            begun.send(()).unwrap();
            let start = Instant::now();
            let mut sent = 0;
            while !enough(sent) && start.elapsed() < LIMIT {
                if os::sleeps(id) {
                    // SAFETY: the target waits for this thread's end, so it has not ended.
                    let result = unsafe { libc::pthread_kill(target as _, libc::SIGUSR1) };
                    assert_eq!(result, 0);
                    sent += 1;
                }
                thread::sleep(Duration::from_micros(300));
            }
            finish();
        });
        has_begun.recv_timeout(LIMIT).unwrap();
        sender
    }

    /// Checks that signals neither end nor prolong a wait: `wait` is to be in vain.
    fn keeps_its_deadline(wait: impl Fn(Instant) -> bool) {
        let over = forever(AtomicBool::new(false));
        let sender = pelt(|| (), |_| over.load(Ordering::Relaxed), || ());
        // Longer and longer, until several signals came: a busy machine may need the time of the
        // first few to get as far as the sleep.
        for timeout in (0..7).map(|doubled| Duration::from_millis(50 << doubled)) {
            let before = RECEIVED.get();
            let start = Instant::now();
            assert!(!wait(start + timeout));
            assert!(start.elapsed() >= timeout, "a signal ended the wait");
            if RECEIVED.get() > before + 3 {
                over.store(true, Ordering::Relaxed);
                return sender.end();
            }
        }
        panic!("no signals came");
    }

    for_each_primitive! {
        a_deadline_survives_signals
        a_wait_without_a_deadline_survives_signals
    }

    fn a_deadline_survives_signals<P: Acquire>() {
        let primitive = forever(P::default());
        common::while_held(primitive, || {
            let waiter = spawn(|| {
                keeps_its_deadline(|deadline| primitive.acquire_until(deadline));
                keeps_its_deadline(|deadline| primitive.acquire_timeout(deadline - Instant::now()));
            });
            waiter.end();
        });
    }

    fn a_wait_without_a_deadline_survives_signals<P: Acquire>() {
        let primitive = forever(P::default());
        let released = forever(AtomicBool::new(false));
        let holder = pelt(
            || primitive.acquire(),
            |sent| sent == 20,
            || {
                released.store(true, Ordering::Relaxed);
                primitive.release().unwrap();
            },
        );
        primitive.acquire();
        assert!(released.load(Ordering::Relaxed), "a signal ended the wait");
        primitive.release().unwrap();
        holder.end();
    }

    #[test]
    fn an_events_deadline_survives_signals() {
        let event = forever(Event::new());
        let waiter = spawn(|| {
            keeps_its_deadline(|deadline| event.wait_until(deadline));
            keeps_its_deadline(|deadline| event.wait_timeout(deadline - Instant::now()));
        });
        waiter.end();
    }

    #[test]
    fn an_events_wait_without_a_deadline_survives_signals() {
        let event = forever(Event::new());
        let setter = pelt(|| (), |sent| sent == 20, || event.set());
        event.wait();
        assert!(event.is_set(), "a signal ended the wait");
        setter.end();
    }
}
