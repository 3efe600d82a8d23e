//! What a signal handler may call on the very primitive at which its own thread was interrupted, at
//! whatever point: where the futex is the system's, all that neither waits nor takes a lock. The
//! docs/guide/guarantees.md says which calls these are.
#![cfg(all(any(target_os = "linux", target_os = "android"), not(racefree_parking)))]

mod common;

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use common::{LIMIT, Random, forever, os, spawn, until, work};
use racefree::{BoundedSemaphore, Event, Lock, Mutex, Semaphore};

const SIGNALS: u32 = 4000;

thread_local! {
    /// What the handler does in this thread.
    static ACT: Cell<Option<fn()>> = const { Cell::new(None) };
}

extern "C" fn handle(_signal: libc::c_int) {
    if let Some(act) = ACT.get() {
        act();
    }
}

fn install() {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // SAFETY: an action of all zeroes is one.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handle as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handlers below call what is said to be allowed, and atomics.
        let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
        assert_eq!(set, 0);
    });
}

/// Calls `run` again and again in a thread that is interrupted by `act`, which counts `handled` up:
/// [`SIGNALS`] times, and then until the last `run` has ended. A run may wait for what `act` does.
fn interrupt(act: fn(), handled: &'static AtomicU32, run: fn()) {
    install();
    let id = forever(AtomicI32::new(0));
    let runs = forever(AtomicU32::new(0));
    let over = forever(AtomicBool::new(false));
    let interrupted = spawn(move || {
        ACT.set(Some(act));
        id.store(os::thread_id(), SeqCst);
        while !over.load(SeqCst) {
            run();
            runs.fetch_add(1, SeqCst);
        }
    });
    until(|| id.load(SeqCst) != 0);
    let start = Instant::now();
    let mut random = Random::new(1);
    for sent in 1.. {
        over.store(sent > SIGNALS, SeqCst);
        // SAFETY: it has no preconditions; a thread that has ended is told of by an error.
        unsafe {
            libc::syscall(
                libc::SYS_tgkill,
                libc::getpid(),
                id.load(SeqCst),
                libc::SIGUSR1,
            )
        };
        while handled.load(SeqCst) < sent && !interrupted.is_finished() {
            assert!(start.elapsed() < LIMIT, "a handler hangs");
            thread::yield_now();
        }
        if interrupted.is_finished() {
            break;
        }
        assert!(start.elapsed() < LIMIT, "what a handler does frees nobody");
        // At another point of the run, and now and then in its sleep.
        work(random.micros(if sent % 16 == 0 { 200 } else { 3 }));
    }
    interrupted.end();
    println!(
        "{} runs, {} signals",
        runs.load(SeqCst),
        handled.load(SeqCst)
    );
    assert!(runs.load(SeqCst) > SIGNALS / 40);
}

/// A handler that counts itself.
macro_rules! handler {
    ($handled:ident, $act:expr) => {{
        static $handled: AtomicU32 = AtomicU32::new(0);
        fn act() {
            $act;
            $handled.fetch_add(1, SeqCst);
        }
        (act as fn(), &$handled)
    }};
}

/// Each release that is accepted lets one acquire through, and no more.
#[test]
fn a_lock_is_released() {
    static LOCK: Lock = Lock::new();
    static RELEASED: AtomicU32 = AtomicU32::new(0);
    static ACQUIRED: AtomicU32 = AtomicU32::new(0);
    let (act, handled) = handler!(HANDLED, {
        RELEASED.fetch_add(u32::from(LOCK.release().is_ok()), SeqCst);
    });
    interrupt(act, handled, || {
        LOCK.acquire();
        ACQUIRED.fetch_add(1, SeqCst);
    });
    let held = u32::from(LOCK.locked());
    assert_eq!(ACQUIRED.load(SeqCst), RELEASED.load(SeqCst) + held);
}

/// A handler that finds them free may take them for a moment, also in the middle of a release.
#[test]
fn a_lock_and_a_mutex_are_tried() {
    static LOCK: Lock = Lock::new();
    static MUTEX: Mutex<u32> = Mutex::new(0);
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let (act, handled) = handler!(HANDLED, {
        if LOCK.try_acquire() {
            LOCK.release().unwrap();
        }
        if let Some(mut count) = MUTEX.try_lock() {
            *count += 1;
            TAKEN.fetch_add(1, SeqCst);
        }
    });
    static TURNS: AtomicU32 = AtomicU32::new(0);
    interrupt(act, handled, || {
        drop(LOCK.guard());
        *MUTEX.lock() += 1;
        TURNS.fetch_add(1, SeqCst);
        thread::yield_now();
    });
    assert!(!LOCK.locked());
    assert_eq!(*MUTEX.lock(), TAKEN.load(SeqCst) + TURNS.load(SeqCst));
}

macro_rules! semaphores {
    ($($test:ident: $Semaphore:ident, $initial:literal, $count:literal;)*) => {
        $(#[test]
        fn $test() {
            static SEMAPHORE: $Semaphore = $Semaphore::new($initial);
            static RELEASED: AtomicU32 = AtomicU32::new(0);
            static ACQUIRED: AtomicU32 = AtomicU32::new(0);
            let (act, handled) = handler!(HANDLED, {
                if SEMAPHORE.release_n($count).is_ok() {
                    RELEASED.fetch_add($count, SeqCst);
                }
                if SEMAPHORE.try_acquire() {
                    ACQUIRED.fetch_add(1, SeqCst);
                    SEMAPHORE.release().unwrap();
                    RELEASED.fetch_add(1, SeqCst);
                }
            });
            interrupt(act, handled, || {
                SEMAPHORE.acquire();
                ACQUIRED.fetch_add(1, SeqCst);
            });
            let left = SEMAPHORE.value();
            assert_eq!(ACQUIRED.load(SeqCst) + left, RELEASED.load(SeqCst) + $initial);
        })*
    };
}
semaphores! {
    a_semaphore_is_released: Semaphore, 0, 1;
    a_semaphore_is_released_for_two: Semaphore, 0, 2;
    a_bounded_semaphore_is_released: BoundedSemaphore, 3, 1;
}

#[test]
fn an_event_is_set() {
    static EVENT: Event = Event::new();
    let (act, handled) = handler!(HANDLED, EVENT.set());
    interrupt(act, handled, || {
        EVENT.wait();
        EVENT.clear();
    });
}

#[test]
fn an_event_is_set_and_cleared() {
    static EVENT: Event = Event::new();
    let (act, handled) = handler!(HANDLED, {
        EVENT.set();
        assert!(EVENT.is_set());
        EVENT.clear();
    });
    interrupt(act, handled, || EVENT.wait());
}
