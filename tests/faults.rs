//! What the world does to those who wait: signals, wake-ups for nothing, a process that is stopped
//! or forked, threads that end without giving back, a crowd at once, and absurd timeouts.
#![cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "wakes by address are not tested there")
)]

mod common;

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::closed::{Closed, LockedMutex, for_each_wait, open};
use common::{
    Acquire, LIMIT, asleep, for_each_primitive, forever, has_one_permit, is_free, spawn, until,
};
use racefree::{
    Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Event, Lock, Mutex, RLock,
    ReleaseError, Semaphore,
};

mod timeouts {
    use super::*;

    for_each_wait! {
        next_to_no_time_is_soon_up
        the_longest_times_are_not_up
    }

    fn next_to_no_time_is_soon_up<C: Closed>() {
        let closed = forever(C::closed(1));
        let waiter = spawn(|| {
            for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
                for _ in 0..100 {
                    let start = Instant::now();
                    assert!(!closed.wait_timeout(timeout));
                    assert!(start.elapsed() >= timeout);
                }
            }
        });
        waiter.end();
    }

    /// Up to and past the ends of the clocks: of 32 bits, of 64 bits, and of `Instant`.
    fn the_longest_times_are_not_up<C: Closed>() {
        let seconds = [1 << 31, 1 << 32, u64::MAX >> 1, u64::MAX].map(Duration::from_secs);
        let in_nanos = Duration::from_nanos(u64::MAX);
        // The last moment that an `Instant` can tell.
        let mut last = Duration::ZERO;
        for bit in (0..63).rev().map(|bit| Duration::from_secs(1 << bit)) {
            let further = last + bit;
            // Less a day for the test to end in.
            if Instant::now()
                .checked_add(further + Duration::from_secs(86_400))
                .is_some()
            {
                last = further;
            }
        }
        let timeouts = seconds.into_iter().chain([in_nanos, last, Duration::MAX]);
        for timeout in timeouts {
            let closed = forever(C::closed(1));
            let opened = forever(AtomicBool::new(false));
            let gone = forever(AtomicBool::new(false));
            let waiter = spawn(move || {
                assert!(closed.wait_timeout(timeout), "{timeout:?} were up");
                assert!(opened.load(Ordering::Relaxed));
                gone.store(true, Ordering::Relaxed);
            });
            thread::sleep(Duration::from_millis(5));
            opened.store(true, Ordering::Relaxed);
            open(closed, 1, || gone.load(Ordering::Relaxed));
            waiter.end();
        }
    }
}

mod crowds {
    use super::*;

    for_each_wait! {
        a_crowd_waits_and_all_go
    }

    /// One at a time, or each beside a thousand others.
    static TURN: StdMutex<()> = StdMutex::new(());

    fn a_crowd_waits_and_all_go<C: Closed>() {
        // Wine guards its queue with a lock that spins and never yields: of two thousand who woke at
        // once, few had got through it after four minutes.
        const WAITERS: u32 = if cfg!(windows) { 200 } else { 2000 };
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = forever(C::closed(WAITERS));
        let begun = forever(AtomicU32::new(0));
        let ended = forever(AtomicU32::new(0));
        for _ in 0..WAITERS {
            let small = thread::Builder::new().stack_size(64 << 10);
            let waiter = small.spawn(|| {
                begun.fetch_add(1, Ordering::Relaxed);
                closed.wait();
                ended.fetch_add(1, Ordering::Relaxed);
            });
            waiter.expect("room for a small thread");
        }
        until(|| begun.load(Ordering::Relaxed) == WAITERS);
        // Long enough for nearly all to fall asleep; who has yet to is no worse a case.
        thread::sleep(Duration::from_millis(100));
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        open(closed, WAITERS, || ended.load(Ordering::Relaxed) == WAITERS);
    }
}

/// Who ends while it holds something leaves it held: nobody else gets in, and those who wait go on
/// when somebody releases it in its stead.
mod ends {
    use super::*;

    for_each_primitive! {
        a_thread_that_ends_leaves_held_what_it_holds
    }

    fn a_thread_that_ends_leaves_held_what_it_holds<P: Acquire>() {
        for guarded in [false, true] {
            let primitive = forever(P::default());
            let holder = spawn(move || match guarded {
                true => mem::forget(primitive.guard()),
                false => primitive.acquire(),
            });
            let entered = forever(AtomicBool::new(false));
            holder.end();
            let waiter = asleep(|| {
                primitive.acquire();
                entered.store(true, Ordering::Relaxed);
            });
            assert!(!is_free(primitive));
            assert!(!entered.load(Ordering::Relaxed));
            if P::TOO_MANY == Some(ReleaseError::NotOwner) {
                // It has an owner, who alone may release it, and who is gone.
                assert_eq!(primitive.release(), Err(ReleaseError::NotOwner));
                continue;
            }
            primitive.release().unwrap();
            waiter.end();
            primitive.release().unwrap();
            has_one_permit(primitive);
        }
    }

    #[test]
    fn a_mutex_whose_guard_is_forgotten_stays_locked() {
        let mutex = forever(Mutex::new(1));
        spawn(|| mem::forget(mutex.lock())).end();
        assert!(mutex.is_locked());
        assert!(mutex.try_lock().is_none());
        assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
    }

    #[test]
    fn a_condition_whose_holder_has_ended_is_given_up_by_who_waits() {
        let condition = forever(Condition::with_lock(Lock::new()));
        let waiter = asleep(|| {
            let _guard = condition.guard();
            condition.wait().unwrap();
        });
        spawn(|| mem::forget(condition.guard())).end();
        // A lock without an owner: who comes may speak for the one who has gone.
        condition.notify_all().unwrap();
        condition.release().unwrap();
        waiter.end();
        assert!(condition.try_acquire());
    }

    #[test]
    fn a_party_that_ends_is_made_up_for_by_an_abort() {
        let barrier = forever(Barrier::new(2));
        let waiter = asleep(|| barrier.wait());
        spawn(|| ()).end();
        barrier.abort();
        assert_eq!(waiter.end(), Err(BrokenBarrierError::Aborted));
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod interrupted {
    use super::*;
    use common::closed::signals::{RECEIVED, send_signal};
    use common::{Random, Running, os, work};
    use std::sync::atomic::AtomicI32;

    for_each_wait! {
        a_storm_of_signals_ends_no_wait
        a_storm_of_signals_leaves_a_deadline_where_it_is
    }

    const WAITERS: usize = 8;

    /// Threads that wait, and say so to `ended` when that is over.
    fn waiters<C: Closed>(
        closed: &'static C,
        ended: &'static AtomicU32,
    ) -> ([Running<()>; WAITERS], &'static [AtomicI32; WAITERS]) {
        let ids = forever([const { AtomicI32::new(0) }; WAITERS]);
        let threads = ids.each_ref().map(|id| {
            asleep(move || {
                id.store(os::thread_id(), Ordering::Relaxed);
                closed.wait();
                ended.fetch_add(1, Ordering::Relaxed);
            })
        });
        (threads, ids)
    }

    fn a_storm_of_signals_ends_no_wait<C: Closed>() {
        let closed = forever(C::closed(WAITERS as u32));
        let ended = forever(AtomicU32::new(0));
        let (threads, ids) = waiters(closed, ended);
        let mut random = Random::new(1);
        let before = RECEIVED.load(Ordering::Relaxed);
        for _ in 0..3000 {
            let id = &ids[random.below(WAITERS as u32) as usize];
            send_signal(id.load(Ordering::Relaxed));
            work(random.micros(20));
        }
        until(|| RECEIVED.load(Ordering::Relaxed) > before + 100);
        assert_eq!(ended.load(Ordering::Relaxed), 0, "a signal ended a wait");
        // And on, while they are let go.
        let stop = forever(AtomicBool::new(false));
        let storm = spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                ids.iter()
                    .for_each(|id| send_signal(id.load(Ordering::Relaxed)));
            }
        });
        open(closed, WAITERS as u32, || {
            ended.load(Ordering::Relaxed) == WAITERS as u32
        });
        stop.store(true, Ordering::Relaxed);
        storm.end();
        threads.into_iter().for_each(Running::end);
    }

    fn a_storm_of_signals_leaves_a_deadline_where_it_is<C: Closed>() {
        let closed = forever(C::closed(1));
        let id = forever(AtomicI32::new(0));
        let stop = forever(AtomicBool::new(false));
        let waiter = spawn(|| {
            id.store(os::thread_id(), Ordering::Relaxed);
            for timeout in [1, 3, 10, 30, 100].map(Duration::from_millis) {
                let start = Instant::now();
                assert!(!closed.wait_timeout(timeout));
                assert!(start.elapsed() >= timeout, "a signal ended a wait");
            }
            stop.store(true, Ordering::Relaxed);
        });
        until(|| id.load(Ordering::Relaxed) != 0);
        until(|| {
            send_signal(id.load(Ordering::Relaxed));
            stop.load(Ordering::Relaxed)
        });
        waiter.end();
    }

    #[cfg(not(racefree_parking))]
    mod for_nothing {
        use super::*;
        use common::closed::for_nothing::{flood, stack, wake_all};
        use common::closed::place;
        use std::sync::atomic::AtomicUsize;

        for_each_wait! {
            wakes_for_nothing_end_no_wait
            wakes_for_nothing_leave_a_deadline_where_it_is
        }

        fn wakes_for_nothing_end_no_wait<C: Closed>() {
            let closed = forever(C::closed(1));
            let below = forever(AtomicUsize::new(0));
            let ended = forever(AtomicBool::new(false));
            let waiter = asleep(|| {
                below.store(stack() + 256, Ordering::Relaxed);
                closed.wait();
                ended.store(true, Ordering::Relaxed);
            });
            let mut woken = 0;
            until(|| {
                woken += u32::from(flood(closed, below));
                woken == 100
            });
            assert!(
                !ended.load(Ordering::Relaxed),
                "a wake for nothing ended a wait"
            );
            open(closed, 1, || ended.load(Ordering::Relaxed));
            waiter.end();
        }

        fn wakes_for_nothing_leave_a_deadline_where_it_is<C: Closed>() {
            let closed = forever(C::closed(1));
            let below = forever(AtomicUsize::new(0));
            let over = forever(AtomicBool::new(false));
            let waiter = spawn(|| {
                below.store(stack() + 256, Ordering::Relaxed);
                for timeout in [1, 3, 10, 30, 100].map(Duration::from_millis) {
                    let start = Instant::now();
                    assert!(!closed.wait_timeout(timeout));
                    assert!(
                        start.elapsed() >= timeout,
                        "a wake for nothing ended a wait"
                    );
                }
                over.store(true, Ordering::Relaxed);
            });
            while !over.load(Ordering::Relaxed) && !waiter.is_finished() {
                flood(closed, below);
            }
            waiter.end();
        }

        mod hand_overs {
            use super::*;

            for_each_primitive! {
                hand_overs_in_a_flood_of_wakes_for_nothing
            }

            fn hand_overs_in_a_flood_of_wakes_for_nothing<P: Acquire>() {
                let primitive = forever(P::default());
                let total = forever(AtomicU32::new(0));
                let threads = [1, 2, 3, 4].map(|seed| {
                    spawn(move || {
                        let mut random = Random::new(seed);
                        let mut entered = 0;
                        for _ in 0..2000 {
                            if random.below(2) == 0 {
                                primitive.acquire();
                            } else if !primitive.acquire_timeout(random.micros(300)) {
                                continue;
                            }
                            let before = total.load(Ordering::Relaxed);
                            work(random.micros(10));
                            if random.below(10) == 0 {
                                thread::yield_now();
                            }
                            total.store(before + 1, Ordering::Relaxed);
                            primitive.release().unwrap();
                            entered += 1;
                        }
                        entered
                    })
                });
                while !threads.iter().all(Running::is_finished) {
                    wake_all(place(primitive));
                }
                let entered: u32 = threads.into_iter().map(Running::end).sum();
                assert_eq!(total.load(Ordering::Relaxed), entered);
                has_one_permit(primitive);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod processes {
    use super::*;
    use std::env;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, ExitStatus, Stdio};

    use wait_timeout::ChildExt;

    use common::Random;

    /// Set in a child process that runs a single test, in which it has another part.
    const CHILD: &str = "RACEFREE_TEST_CHILD";

    fn is_child() -> bool {
        env::var_os(CHILD).is_some()
    }

    /// This very test in a child process.
    fn child(test: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "yes")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn end(mut child: Child) -> ExitStatus {
        let ended = child.wait_timeout(LIMIT).unwrap();
        ended.unwrap_or_else(|| {
            child.kill().unwrap();
            panic!("the child hangs");
        })
    }

    /// One thread hands over to the next, by each primitive, until it has gone round often enough;
    /// and some wait for a time that is up while the process is stopped.
    fn hand_over() {
        const THREADS: u32 = 3;
        const ROUNDS: u32 = 400;
        let batons = forever([const { Semaphore::new(0) }; THREADS as usize]);
        let lock = forever(Lock::new());
        let event = forever(Event::new());
        let condition = forever(Condition::new());
        let barrier = forever(Barrier::new(THREADS as usize));
        let count = forever(Mutex::new(0));
        let threads = [0, 1, 2].map(|number| {
            spawn(move || {
                for round in 0..ROUNDS {
                    batons[number as usize].acquire();
                    {
                        let _guard = lock.guard();
                        *count.lock() += 1;
                        thread::sleep(Duration::from_micros(100));
                    }
                    batons[(number as usize + 1) % batons.len()]
                        .release()
                        .unwrap();
                    {
                        let _guard = condition.guard();
                        condition.notify_all().unwrap();
                        let goal = (round + 1) * THREADS;
                        condition.wait_for(|| *count.lock() >= goal).unwrap();
                        condition.notify_all().unwrap();
                    }
                    let start = Instant::now();
                    let timeout = Duration::from_micros(500);
                    assert!(!event.wait_timeout(timeout));
                    assert!(start.elapsed() >= timeout);
                    barrier.wait().unwrap();
                }
            })
        });
        batons[0].release().unwrap();
        threads.into_iter().for_each(common::Running::end);
        assert_eq!(*count.lock(), THREADS * ROUNDS);
        assert_eq!(batons.each_ref().map(Semaphore::value), [1, 0, 0]);
    }

    #[test]
    fn a_process_that_is_stopped_and_continued_goes_on() {
        if is_child() {
            return hand_over();
        }
        let mut child = child("processes::a_process_that_is_stopped_and_continued_goes_on");
        let id = child.id() as libc::pid_t;
        let mut random = Random::new(1);
        let mut stops = 0;
        while child.try_wait().unwrap().is_none() {
            thread::sleep(random.micros(5000));
            // SAFETY: the child has not been waited for, so the number is its own.
            unsafe { libc::kill(id, libc::SIGSTOP) };
            thread::sleep(random.micros(5000));
            // SAFETY: as above.
            unsafe { libc::kill(id, libc::SIGCONT) };
            stops += 1;
            assert!(stops < 60_000, "the child hangs");
        }
        let status = end(child);
        assert!(status.success(), "{status}");
        assert!(stops > 10, "{stops} stops only");
    }

    /// What docs/guide/guarantees.md tells of a fork, with the futex that is the system's: what this
    /// thread holds is the child's to release, what others hold stays held there, and neither process wakes or
    /// changes the other.
    #[test]
    #[cfg(not(racefree_parking))]
    fn a_child_that_is_forked_has_locks_of_its_own() {
        let (own, own_r, others) = (
            forever(Lock::new()),
            forever(RLock::new()),
            forever(Lock::new()),
        );
        let (semaphore, event) = (forever(Semaphore::new(1)), forever(Event::new()));
        own.acquire();
        own_r.acquire();
        own_r.acquire();
        let waiters = [
            asleep(|| own.acquire()),
            asleep(|| own_r.acquire()),
            asleep(|| event.wait()),
        ];
        let check = || {
            let short = Duration::from_millis(10);
            // Held by a thread that is not here.
            let checks = [
                !others.try_acquire() && !others.acquire_timeout(short),
                // Held by this thread, and waited for by threads that are not here.
                own.release().is_ok() && own.acquire_timeout(short) && own.release().is_ok(),
                own_r.recursion_count() == 2
                    && own_r.release().is_ok()
                    && own_r.release().is_ok()
                    && !own_r.locked(),
                semaphore.acquire_timeout(short) && !semaphore.acquire_timeout(short),
                !event.wait_timeout(short),
                {
                    event.set();
                    event.wait_timeout(short)
                },
                // A new one is as any other.
                {
                    let new = Lock::new();
                    new.acquire_timeout(short) && !new.acquire_timeout(short)
                },
            ];
            checks
                .iter()
                .position(|ok| !ok)
                .map_or(0, |failed| failed + 1)
        };
        let mut status = 0;
        common::while_held(others, || {
            // SAFETY: the child does nothing but what is safe in a signal handler: it uses atomics,
            // sleeps by the futex, reads the clock, and ends at once.
            match unsafe { libc::fork() } {
                0 => {
                    let failed = check();
                    // SAFETY: it has no preconditions.
                    unsafe { libc::_exit(failed as libc::c_int) }
                }
                child => {
                    assert!(child > 0);
                    // SAFETY: the status is there to be written.
                    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                }
            }
        });
        let status = ExitStatus::from_raw(status);
        assert_eq!(
            status.code(),
            Some(0),
            "the number of the check that failed: {status}"
        );
        // Nothing that the child did was done here.
        assert!(own.locked() && own_r.is_owned() && !event.is_set());
        assert_eq!((own_r.recursion_count(), semaphore.value()), (2, 1));
        own.release().unwrap();
        own_r.release().unwrap();
        own_r.release().unwrap();
        event.set();
        waiters.into_iter().for_each(common::Running::end);
    }

    /// A clock that is set, as the one that tells the time of day may be at any moment, moves no
    /// deadline: no wait asks for that clock. The kernel shows it, and kills who does.
    #[cfg(all(target_os = "linux", not(racefree_parking)))]
    mod clocks {
        use super::*;

        use std::io::{self, Write};
        use std::ptr;

        const REFUSED: i32 = 77;

        #[test]
        fn no_deadline_is_on_a_clock_that_can_be_set() {
            fn all() {
                fn wait<C: Closed>() {
                    assert!(!C::closed(1).wait_timeout(Duration::from_millis(3)));
                }
                // An `RLock` would let its owner in.
                wait::<Lock>();
                wait::<Semaphore>();
                wait::<BoundedSemaphore>();
                wait::<LockedMutex>();
                wait::<Event>();
                wait::<Condition<Lock>>();
                wait::<Condition<RLock>>();
                wait::<Barrier>();
            }
            if let Some(status) = run("no_deadline_is_on_a_clock_that_can_be_set", all) {
                assert!(status.success(), "{status}");
            }
        }

        /// Without this, the test above would prove nothing.
        #[test]
        fn a_deadline_on_a_clock_that_can_be_set_is_noticed() {
            fn ask() {
                let (word, operation) =
                    (0_u32, libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME);
                // SAFETY: the word does not hold 1: the kernel says so at once, and reads no time.
                unsafe {
                    let word = &raw const word;
                    let none = ptr::null::<libc::timespec>();
                    libc::syscall(libc::SYS_futex, word, operation, 1, none, word, u32::MAX);
                }
            }
            if let Some(status) = run("a_deadline_on_a_clock_that_can_be_set_is_noticed", ask) {
                assert_eq!(status.signal(), Some(libc::SIGSYS), "{status}");
            }
        }

        /// How a child process ends that runs `body` where that clock is forbidden; nothing where
        /// it cannot be forbidden.
        fn run(test: &str, body: fn()) -> Option<ExitStatus> {
            if is_child() {
                // SAFETY: it has no preconditions.
                let exit = |code| unsafe { libc::_exit(code) };
                if !forbid_the_clock() {
                    exit(REFUSED);
                }
                body();
                exit(0);
            }
            let status = end(child(&format!("processes::clocks::{test}")));
            if status.code() == Some(REFUSED) {
                // Not by `eprintln`, whose output is shown for tests that fail.
                let _ = writeln!(
                    io::stderr(),
                    "\nNOT TESTED, seccomp is refused here: {test}\n"
                );
                return None;
            }
            Some(status)
        }

        fn forbid_the_clock() -> bool {
            const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
            const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
            const JUMP_IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
            const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
            const fn step(code: u16, k: u32, jf: u8) -> libc::sock_filter {
                libc::sock_filter { code, jt: 0, jf, k }
            }
            // The second argument, where it has 32 bits: the lower half.
            const OPERATION: u32 = if cfg!(target_endian = "little") {
                24
            } else {
                28
            };
            let mut filter = [
                // The number of the system call is the first field of `seccomp_data`.
                step(LOAD, 0, 0),
                step(JUMP_IF_EQUAL, libc::SYS_futex as u32, 3),
                step(LOAD, OPERATION, 0),
                step(JUMP_IF_ANY_BIT, libc::FUTEX_CLOCK_REALTIME as u32, 1),
                step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0),
                step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
            ];
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_mut_ptr(),
            };
            // SAFETY: none of the options writes to memory; the last reads the program, which is
            // there for as long as the call. The second keeps a killed process from leaving a core.
            unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                    && libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
                    && libc::prctl(
                        libc::PR_SET_SECCOMP,
                        libc::SECCOMP_MODE_FILTER,
                        &raw const program,
                    ) == 0
            }
        }
    }
}
