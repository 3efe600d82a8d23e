//! Nobody waiting means no system call. A child process shows it, in which a thread that makes one
//! is killed by the kernel; and one that does have to wake somebody is.
#![cfg(all(target_os = "linux", not(racefree_parking)))]

mod common;

use std::env;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use common::{Acquire, LIMIT, asleep, forever};
use racefree::{Barrier, BoundedSemaphore, Condition, Event, Lock, Mutex, RLock, Semaphore};

const CHILD: &str = "RACEFREE_TEST_WITHOUT_SYSTEM_CALLS";
const REFUSED: i32 = 77;

#[test]
fn nobody_waiting_means_no_system_call() {
    without_system_calls("nobody_waiting_means_no_system_call", survives, || {
        let (lock, rlock, event) = (Lock::new(), RLock::new(), Event::new());
        let (semaphore, bounded) = (Semaphore::new(1), BoundedSemaphore::new(1));
        let (condition, mutex) = (Condition::new(), Mutex::new(0_u32));
        let barrier = Barrier::new(1);
        move || {
            macro_rules! every_way {
                ($primitive:ident) => {
                    let primitive = black_box(&$primitive);
                    primitive.acquire();
                    let mut released = primitive.release().is_ok();
                    released &= primitive.try_acquire() && primitive.release().is_ok();
                    released &= primitive.acquire_timeout(LIMIT) && primitive.release().is_ok();
                    drop(primitive.guard());
                    if !released {
                        exit(1);
                    }
                };
            }
            for _ in 0..250_000 {
                every_way!(lock);
                every_way!(rlock);
                every_way!(semaphore);
                every_way!(bounded);
                every_way!(condition);
                let condition = black_box(&condition);
                condition.acquire();
                let notified = condition.notify(1).and_then(|()| condition.notify_all());
                if notified.is_err() || condition.release().is_err() {
                    exit(1);
                }
                *black_box(&mutex).lock() += 1;
                if black_box(&barrier).wait() != Ok(0) {
                    exit(1);
                }
                let event = black_box(&event);
                event.set();
                event.wait();
                if !event.wait_timeout(Duration::MAX) {
                    exit(1);
                }
                event.clear();
            }
            // What does not wait makes none either, where it is in vain.
            lock.acquire();
            if lock.try_acquire() || lock.acquire_timeout(Duration::ZERO) {
                exit(1);
            }
            if event.is_set() || event.wait_timeout(Duration::ZERO) {
                exit(1);
            }
        }
    });
}

macro_rules! a_wake_is_a_system_call {
    ($($test:ident: $primitive:expr, $wait:path, $wake:path;)*) => {
        $(#[test]
        fn $test() {
            without_system_calls(stringify!($test), is_killed, || {
                let primitive = forever($primitive);
                asleep(|| $wait(primitive));
                || _ = $wake(primitive)
            });
        })*
    };
}

// Without these, the test above would prove nothing.
a_wake_is_a_system_call! {
    a_release_of_a_lock_that_is_waited_for_makes_one:
        held(), Lock::acquire, Lock::release;
    a_release_of_an_rlock_that_is_waited_for_makes_one:
        held(), RLock::acquire, RLock::release;
    a_release_of_a_semaphore_that_is_waited_for_makes_one:
        held(), Semaphore::acquire, Semaphore::release;
    a_release_of_a_bounded_semaphore_that_is_waited_for_makes_one:
        held(), BoundedSemaphore::acquire, BoundedSemaphore::release;
    a_set_of_an_event_that_is_waited_for_makes_one:
        Event::new(), Event::wait, Event::set;
    a_notification_of_a_condition_that_is_waited_for_makes_one:
        Condition::new(), wait_under_the_lock, notify_under_the_lock;
    the_last_at_a_barrier_makes_one:
        Barrier::new(2), Barrier::wait, Barrier::wait;
}

fn wait_under_the_lock(condition: &Condition) {
    let _guard = condition.guard();
    let _ = condition.wait();
}

fn notify_under_the_lock(condition: &Condition) {
    let _guard = condition.guard();
    let _ = condition.notify(1);
}

fn held<P: Acquire>() -> P {
    let primitive = P::default();
    primitive.acquire();
    primitive
}

fn survives(status: ExitStatus) -> bool {
    status.success()
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS)
}

/// Runs this very test in a child process, which gets `run` ready, gives up all system calls but
/// the last, and then runs it; `ends` says whether its end is as it should be.
fn without_system_calls<F: FnOnce()>(
    test: &str,
    ends: fn(ExitStatus) -> bool,
    get_ready: impl FnOnce() -> F,
) {
    if env::var_os(CHILD).is_some() {
        let run = get_ready();
        if !give_up_system_calls() {
            exit(REFUSED);
        }
        run();
        exit(0);
    }
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "yes")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    if status.code() == Some(REFUSED) {
        // Not by `eprintln`, whose output is shown for tests that fail.
        let _ = writeln!(
            io::stderr(),
            "\nNOT TESTED, seccomp is refused here: {test}\n"
        );
        return;
    }
    assert!(ends(status), "the child process ended with {status}");
}

/// From here on the kernel kills the process if this thread makes a system call, other than the
/// one that ends the process. Says whether the kernel agreed.
fn give_up_system_calls() -> bool {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const fn step(code: u16, k: u32, jf: u8) -> libc::sock_filter {
        libc::sock_filter { code, jt: 0, jf, k }
    }
    let mut filter = [
        // The number of the system call is the first field of `seccomp_data`.
        step(LOAD, 0, 0),
        step(JUMP_IF_EQUAL, libc::SYS_exit_group as u32, 1),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
        step(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: none of the three options writes to memory; the last reads the program, which is
    // there for as long as the call. The second keeps the killed process from leaving a core.
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

/// Ends the process with this one system call, and nothing that `std::process::exit` does besides.
fn exit(code: i32) -> ! {
    // SAFETY: it has no preconditions.
    unsafe { libc::_exit(code) }
}
