//! Who has come to wait is reached, however busy the processor is that it waits on.
#![cfg(target_os = "linux")]

mod common;

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use common::{LIMIT, Running, cpu, forever, spawn, until};
use racefree::{Barrier, BrokenBarrierError, Condition, Event, Lock};

const ROUNDS: usize = 20;

/// How many threads have a processor of theirs for nothing.
const HOGS: usize = 6;

/// Runs `test` beside threads that leave the first processor next to no time.
fn beside_hogs<T>(test: impl FnOnce() -> T) -> T {
    let over = forever(AtomicBool::new(false));
    let hogs = [(); HOGS].map(|()| {
        spawn(|| {
            cpu::stay_on(cpu::first());
            while !over.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        })
    });
    let result = test();
    over.store(true, Ordering::Relaxed);
    hogs.into_iter().for_each(Running::end);
    result
}

/// A thread on the processor with the hogs, and milliseconds after it said that it calls `wait`.
fn waiter<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let calls = forever(AtomicBool::new(false));
    let waiter = spawn(move || {
        cpu::stay_on(cpu::first());
        calls.store(true, Ordering::Release);
        wait()
    });
    until(|| calls.load(Ordering::Acquire));
    thread::sleep(Duration::from_millis(3));
    waiter
}

/// What is set and cleared at once.
trait Pulsed: Default + Send + Sync + 'static {
    fn pulse(&self);
    fn wait_timeout(&self, timeout: Duration) -> bool;
}

impl Pulsed for Event {
    fn pulse(&self) {
        self.set();
        self.clear();
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_timeout(timeout)
    }
}

/// An event as CPython has it, on std's condition variable: what it misses, it misses because its
/// waiter was stopped just before the wait began.
#[derive(Default)]
struct Control {
    set: Mutex<bool>,
    sets: AtomicU64,
    changed: Condvar,
}

impl Pulsed for Control {
    fn pulse(&self) {
        let mut set = self.set.lock().unwrap();
        *set = true;
        self.sets.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
        *set = false;
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        let set = self.set.lock().unwrap();
        let before = self.sets.load(Ordering::Relaxed);
        let unset = |set: &mut bool| !*set && self.sets.load(Ordering::Relaxed) == before;
        let waited = self.changed.wait_timeout_while(set, timeout, unset);
        !waited.unwrap().1.timed_out()
    }
}

fn missed<P: Pulsed>() -> usize {
    let is_missed = || {
        let pulsed = forever(P::default());
        let waiter = waiter(|| pulsed.wait_timeout(Duration::from_millis(500)));
        pulsed.pulse();
        !waiter.end()
    };
    (0..ROUNDS).filter(|_| is_missed()).count()
}

#[test]
fn a_pulse_reaches_who_waits() {
    let (control, missed) = beside_hogs(|| (missed::<Control>(), missed::<Event>()));
    println!("{missed} of {ROUNDS} pulses were missed, {control} by the control");
    assert!(
        missed <= control + 2,
        "{missed} of {ROUNDS} pulses were missed, {control} by the control"
    );
}

/// A wait begins before its lock is free.
#[test]
fn a_notification_reaches_who_waits() {
    beside_hogs(|| {
        for _ in 0..ROUNDS {
            let condition = forever(Condition::with_lock(Lock::new()));
            let waits = forever(AtomicBool::new(false));
            let waiter = waiter(|| {
                let _guard = condition.guard();
                waits.store(true, Ordering::Relaxed);
                condition.wait_timeout(LIMIT)
            });
            until(|| {
                let _guard = condition.guard();
                let waits = waits.load(Ordering::Relaxed);
                condition.notify(usize::from(waits)).unwrap();
                waits
            });
            assert_eq!(waiter.end(), Ok(true));
        }
    });
}

/// A wait begins before it is counted.
#[test]
fn a_reset_and_an_abort_reach_who_waits() {
    beside_hogs(|| {
        for round in 0..ROUNDS {
            let barrier = forever(Barrier::new(2));
            let waiter = waiter(|| barrier.wait_timeout(LIMIT));
            until(|| barrier.n_waiting() == 1);
            let told = if round % 2 == 0 {
                barrier.reset();
                BrokenBarrierError::Reset
            } else {
                barrier.abort();
                barrier.reset();
                BrokenBarrierError::Aborted
            };
            assert_eq!(waiter.end(), Err(told));
        }
    });
}
