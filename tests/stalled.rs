//! A waiter that is stalled holds up nobody: those that were woken with it, or have a permit to take,
//! go on. It is stalled in a signal handler, as by a profiler or a collector that stops the world.
//!
//! Not on the parking futex: a thread that is stalled inside of `parking_lot_core` keeps its place in
//! the queue, and may hold a lock of the table, which other tests' threads need.
#![cfg(all(target_os = "linux", not(racefree_parking)))]

mod common;

use std::cell::Cell;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use std::{array, mem};

use common::closed::{Closed, for_each_wait};
use common::{LIMIT, Running, asleep, forever, os, spawn, until};
use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore};

/// How long those that are not stalled have: they need next to nothing of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What stalls a thread.
#[derive(Default)]
struct Stall {
    thread: AtomicI32,
    stalled: AtomicBool,
    over: AtomicBool,
}

thread_local! {
    static OWN: Cell<Option<&'static Stall>> = const { Cell::new(None) };
}

extern "C" fn stall(_signal: libc::c_int) {
    if let Some(own) = OWN.get() {
        own.stalled.store(true, SeqCst);
        while !own.over.load(SeqCst) {
            // SAFETY: it may be called in a signal handler, and looks at no file.
            unsafe { libc::poll(ptr::null_mut(), 0, 1) };
        }
    }
}

impl Stall {
    fn new() -> &'static Self {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: an action of all zeroes is one.
            let mut action: libc::sigaction = unsafe { mem::zeroed() };
            action.sa_sigaction = stall as extern "C" fn(libc::c_int) as libc::sighandler_t;
            // SAFETY: the handler calls only what it may.
            let set = unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, ptr::null_mut()) };
            assert_eq!(set, 0);
        });
        forever(Self::default())
    }

    /// The calling thread is the one to be stalled.
    fn take_this_thread(&'static self) {
        OWN.set(Some(self));
        self.thread.store(os::thread_id(), SeqCst);
    }

    /// Does nothing if the thread has ended.
    fn begin(&self) {
        let thread = self.thread.load(SeqCst);
        // SAFETY: it has no preconditions.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR2) };
    }

    fn end(&self) {
        self.over.store(true, SeqCst);
    }
}

/// Whether it comes to pass while there is patience.
fn comes_to_pass(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}

mod in_its_sleep {
    use super::*;

    for_each_wait! {
        all_but_the_stalled_go_on
    }

    /// More than any number that a primitive may take at once.
    const WAITERS: u32 = 40;

    /// The first is stalled when all are let through.
    fn all_but_the_stalled_go_on<C: Closed>() {
        spawn(|| {
            let closed = forever(C::closed(WAITERS));
            let gone = forever(AtomicU32::new(0));
            let stall = Stall::new();
            let waiters: [_; WAITERS as usize] = array::from_fn(|number| {
                asleep(move || {
                    if number == 0 {
                        stall.take_this_thread();
                    }
                    closed.wait();
                    gone.fetch_add(1, SeqCst);
                })
            });
            stall.begin();
            until(|| stall.stalled.load(SeqCst));
            closed.open(WAITERS);
            let went_on = comes_to_pass(|| gone.load(SeqCst) == WAITERS - 1);
            let gone = gone.load(SeqCst);
            stall.end();
            waiters.into_iter().for_each(Running::end);
            assert!(went_on, "{gone} of {} went on", WAITERS - 1);
        })
        .end();
    }
}

/// The first of two is woken, and stalled before it has run: it shares a processor with the thread
/// that does both, and has the least of all priorities.
mod when_it_is_woken {
    use super::*;
    use common::cpu;

    /// Fails if the second does not go on after `wake`. That is enough for both to go on, or else
    /// `free` is.
    fn the_second_goes_on<T: Send + Sync + 'static>(
        it: fn() -> T,
        wait: fn(&T),
        wake: fn(&T),
        free: fn(&T),
    ) {
        the_second_goes_on_or(it, wait, wake, free, |_, _| false);
    }

    /// The same, where the first may have been let through in the place of the second, and be stalled
    /// after that: `taken` says so, and is told whether the second sleeps.
    fn the_second_goes_on_or<T: Send + Sync + 'static>(
        it: fn() -> T,
        wait: fn(&T),
        wake: fn(&T),
        free: fn(&T),
        taken: fn(&T, bool) -> bool,
    ) {
        // The first may run for a moment after all, and be gone.
        let mut tries = 0;
        let mut conclusive = 0;
        while conclusive < 3 && tries < 50 {
            tries += 1;
            let it = forever(it());
            let stall = Stall::new();
            let first_gone = forever(AtomicBool::new(false));
            let second_gone = forever(AtomicBool::new(false));
            let first = asleep(move || {
                cpu::stay_on(cpu::first());
                cpu::be_idle();
                stall.take_this_thread();
                wait(it);
                first_gone.store(true, SeqCst);
            });
            until(|| os::sleeps(stall.thread.load(SeqCst)));
            let second_thread = forever(AtomicI32::new(0));
            let second = asleep(move || {
                second_thread.store(os::thread_id(), SeqCst);
                wait(it);
                second_gone.store(true, SeqCst);
            });
            let sleeps = || os::sleeps(second_thread.load(SeqCst));
            let waker = spawn(move || {
                cpu::stay_on(cpu::first());
                wake(it);
                stall.begin();
            });
            waker.end();
            until(|| stall.stalled.load(SeqCst) || first_gone.load(SeqCst));
            let stalled = !first_gone.load(SeqCst);
            let went_on = comes_to_pass(|| second_gone.load(SeqCst) || taken(it, sleeps()));
            conclusive += u32::from(stalled && second_gone.load(SeqCst));
            stall.end();
            free(it);
            first.end();
            second.end();
            assert!(went_on, "one sleeps on because another is stalled");
        }
        println!("{conclusive} of {tries} tries were conclusive");
        assert!(conclusive > 0, "in none of {tries} was it stalled in time");
    }

    macro_rules! semaphores {
        ($($module:ident $Semaphore:ident)*) => {
            $(mod $module {
                use super::*;

                fn it() -> $Semaphore {
                    let it = $Semaphore::new(2);
                    it.acquire();
                    it.acquire();
                    it
                }

                #[test]
                fn of_a_release_of_two() {
                    the_second_goes_on(it, $Semaphore::acquire, |it| it.release_n(2).unwrap(), |_| ());
                }

                #[test]
                fn of_two_releases() {
                    let release = |it: &$Semaphore| {
                        it.release().unwrap();
                        it.release().unwrap();
                    };
                    the_second_goes_on(it, $Semaphore::acquire, release, |_| ());
                }

                /// The permit that the first was woken for goes to a third, who gives it back.
                #[test]
                fn of_a_permit_that_comes_back() {
                    let release = |it: &$Semaphore| {
                        it.release().unwrap();
                        if it.try_acquire() {
                            it.release().unwrap();
                        }
                    };
                    let free = |it: &$Semaphore| it.release().unwrap();
                    the_second_goes_on_or(it, $Semaphore::acquire, release, free, |it, _| {
                        it.value() == 0
                    });
                }
            })*
        };
    }
    semaphores! { semaphore Semaphore bounded_semaphore BoundedSemaphore }

    mod condition {
        use super::*;

        fn wait<L: racefree::ConditionLock>(condition: &Condition<L>) {
            let _guard = condition.guard();
            condition.wait().unwrap();
        }

        /// The lock is held by the first, which does not go on; or both were notified and came to sleep
        /// until they can have it, and its release woke the first, as a lock's release wakes one.
        fn taken<L: racefree::ConditionLock>(condition: &Condition<L>, second_sleeps: bool) -> bool
        where
            Condition<L>: std::fmt::Debug,
        {
            held(condition) || second_sleeps && condition.n_waiting() == 0
        }

        /// It only looks: a release would wake the second.
        fn held<L: racefree::ConditionLock>(condition: &Condition<L>) -> bool
        where
            Condition<L>: std::fmt::Debug,
        {
            !format!("{condition:?}").contains("unlocked")
        }

        #[test]
        fn of_a_notification_of_two() {
            let notify = |it: &Condition<Lock>| {
                let _guard = it.guard();
                it.notify(2).unwrap();
            };
            the_second_goes_on_or(Condition::default, wait, notify, |_| (), |it, _| held(it));
        }

        #[test]
        fn of_two_notifications() {
            let notify = |it: &Condition<Lock>| {
                let _guard = it.guard();
                it.notify(1).unwrap();
                it.notify(1).unwrap();
            };
            the_second_goes_on_or(Condition::default, wait, notify, |_| (), taken);
        }

        #[test]
        fn of_two_notifications_under_two_locks() {
            let notify = |it: &Condition<RLock>| {
                for _ in 0..2 {
                    let _guard = it.guard();
                    it.notify(1).unwrap();
                }
            };
            the_second_goes_on_or(Condition::default, wait, notify, |_| (), taken);
        }

        #[test]
        fn of_all() {
            let notify = |it: &Condition<RLock>| {
                let _guard = it.guard();
                it.notify_all().unwrap();
            };
            the_second_goes_on_or(Condition::default, wait, notify, |_| (), |it, _| held(it));
        }
    }

    #[test]
    fn of_a_set() {
        the_second_goes_on(Event::new, Event::wait, Event::set, |_| ());
    }

    #[test]
    fn of_a_pulse() {
        let pulse = |event: &Event| {
            event.set();
            event.clear();
        };
        the_second_goes_on(Event::new, Event::wait, pulse, |_| ());
    }

    mod barrier {
        use super::*;

        fn wait(barrier: &Barrier) {
            let _ = barrier.wait();
        }

        #[test]
        fn of_a_round() {
            let last = |it: &Barrier| {
                it.wait_timeout(LIMIT).unwrap();
            };
            the_second_goes_on(|| Barrier::new(3), wait, last, |_| ());
        }

        #[test]
        fn of_an_abort() {
            the_second_goes_on(|| Barrier::new(3), wait, Barrier::abort, |_| ());
        }

        #[test]
        fn of_a_reset() {
            the_second_goes_on(|| Barrier::new(3), wait, Barrier::reset, |_| ());
        }
    }
}
