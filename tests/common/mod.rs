//! What the tests share: threads that are not waited for without end, and one view of all that can
//! be acquired.
#![allow(dead_code, reason = "no test crate uses all of it")]
#![allow(unused_imports, unused_macros, reason = "the same")]

pub(crate) mod closed;

use std::any::Any;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, mem, panic};

use racefree::{ArcGuard, BoundedSemaphore, Guard, Guarded, Lock, RLock, ReleaseError, Semaphore};

/// What takes longer hangs. Never reached by a test that passes, however busy the machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// A primitive that threads may still use when its test has failed.
pub(crate) fn forever<T>(value: T) -> &'static T {
    /// Where they are, so that a sanitizer does not take them for lost.
    static ALL: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let kept: &T = Box::leak(Box::new(value));
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.push((&raw const *kept).expose_provenance());
    kept
}

/// A thread. A test that fails leaves it behind, where a scope would wait for it, maybe for ever.
pub(crate) struct Running<T> {
    thread: JoinHandle<T>,
    ended: Receiver<()>,
}

impl<T> Running<T> {
    /// Whether it has ended, with a result or a panic.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread's end, and has its result or its panic.
    #[track_caller]
    pub(crate) fn end(self) -> T {
        let ended = self.ended.recv_timeout(LIMIT);
        assert_ne!(ended, Err(RecvTimeoutError::Timeout), "a thread hangs");
        self.thread
            .join()
            .unwrap_or_else(|p| panic::resume_unwind(p))
    }
}

pub(crate) fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (end, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _end = end;
        run()
    });
    Running { thread, ended }
}

/// A thread that calls `wait`, returned when it sleeps there.
pub(crate) fn asleep<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let id = Arc::new(AtomicI32::new(0));
    let own = Arc::clone(&id);
    // Nothing between the store and the sleep blocks: no other sleep can be mistaken for it.
    let waiter = spawn(move || {
        own.store(os::thread_id(), Ordering::Release);
        wait()
    });
    until(|| waiter.thread.is_finished() || os::sleeps(id.load(Ordering::Acquire)));
    waiter
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "it does not come to pass");
        thread::sleep(Duration::from_micros(200));
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod os {
    pub(crate) fn thread_id() -> i32 {
        // SAFETY: it has no preconditions.
        unsafe { libc::gettid() }
    }

    pub(crate) fn sleeps(thread: i32) -> bool {
        // `1234 (name) S ...`, where the name may hold anything.
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
        stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" S"))
    }
}

/// Where nobody tells whether a thread sleeps, it has a quarter of a second to begin.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) mod os {
    pub(crate) fn thread_id() -> i32 {
        1
    }

    pub(crate) fn sleeps(thread: i32) -> bool {
        std::thread::sleep(std::time::Duration::from_millis(250));
        thread != 0
    }
}

/// Which processor a thread runs on, and before whom.
#[cfg(target_os = "linux")]
pub(crate) mod cpu {
    use std::mem;

    /// The first of those that this process may use.
    pub(crate) fn first() -> usize {
        // SAFETY: the set is plain data, of the size told.
        unsafe {
            let mut allowed: libc::cpu_set_t = mem::zeroed();
            let size = size_of::<libc::cpu_set_t>();
            assert_eq!(
                libc::sched_getaffinity(libc::getpid(), size, &mut allowed),
                0
            );
            (0..libc::CPU_SETSIZE as usize)
                .find(|&cpu| libc::CPU_ISSET(cpu, &allowed))
                .expect("a processor")
        }
    }

    /// The calling thread runs on this one alone.
    pub(crate) fn stay_on(cpu: usize) {
        // SAFETY: as above.
        unsafe {
            let mut one: libc::cpu_set_t = mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&one), &one), 0);
        }
    }

    /// The calling thread runs when no other has anything to do.
    pub(crate) fn be_idle() {
        // SAFETY: a plain struct, and the calling thread.
        unsafe {
            let parameter: libc::sched_param = mem::zeroed();
            assert_eq!(libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameter), 0);
        }
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    match panic.downcast_ref::<String>() {
        Some(text) => text,
        None => panic.downcast_ref::<&str>().expect("a panic with words"),
    }
}

/// What the four primitives have in common that one thread at a time can hold. The default of each
/// has one permit.
pub(crate) trait Acquire:
    Guarded + Default + fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe + 'static
{
    /// What a release without an acquire is told, if it is an error.
    const TOO_MANY: Option<ReleaseError>;

    fn acquire(&self);
    fn try_acquire(&self) -> bool;
    fn acquire_timeout(&self, timeout: Duration) -> bool;
    fn acquire_until(&self, deadline: Instant) -> bool;
    fn release(&self) -> Result<(), ReleaseError>;
    fn guard(&self) -> Guard<'_, Self>;
    fn try_guard(&self) -> Option<Guard<'_, Self>>;
    fn guard_timeout(&self, timeout: Duration) -> Option<Guard<'_, Self>>;
    fn guard_until(&self, deadline: Instant) -> Option<Guard<'_, Self>>;
    fn guard_arc(self: &Arc<Self>) -> ArcGuard<Self>;
    fn try_guard_arc(self: &Arc<Self>) -> Option<ArcGuard<Self>>;
    fn guard_arc_timeout(self: &Arc<Self>, timeout: Duration) -> Option<ArcGuard<Self>>;
    fn guard_arc_until(self: &Arc<Self>, deadline: Instant) -> Option<ArcGuard<Self>>;
}

macro_rules! acquire {
    ($Primitive:ident, $too_many:expr) => {
        impl Acquire for $Primitive {
            const TOO_MANY: Option<ReleaseError> = $too_many;

            fn acquire(&self) {
                self.acquire();
            }

            fn try_acquire(&self) -> bool {
                self.try_acquire()
            }

            fn acquire_timeout(&self, timeout: Duration) -> bool {
                self.acquire_timeout(timeout)
            }

            fn acquire_until(&self, deadline: Instant) -> bool {
                self.acquire_until(deadline)
            }

            fn release(&self) -> Result<(), ReleaseError> {
                self.release()
            }

            fn guard(&self) -> Guard<'_, Self> {
                self.guard()
            }

            fn try_guard(&self) -> Option<Guard<'_, Self>> {
                self.try_guard()
            }

            fn guard_timeout(&self, timeout: Duration) -> Option<Guard<'_, Self>> {
                self.guard_timeout(timeout)
            }

            fn guard_until(&self, deadline: Instant) -> Option<Guard<'_, Self>> {
                self.guard_until(deadline)
            }

            fn guard_arc(self: &Arc<Self>) -> ArcGuard<Self> {
                self.guard_arc()
            }

            fn try_guard_arc(self: &Arc<Self>) -> Option<ArcGuard<Self>> {
                self.try_guard_arc()
            }

            fn guard_arc_timeout(self: &Arc<Self>, timeout: Duration) -> Option<ArcGuard<Self>> {
                self.guard_arc_timeout(timeout)
            }

            fn guard_arc_until(self: &Arc<Self>, deadline: Instant) -> Option<ArcGuard<Self>> {
                self.guard_arc_until(deadline)
            }
        }
    };
}

acquire!(Lock, Some(ReleaseError::Unlocked));
acquire!(RLock, Some(ReleaseError::NotOwner));
acquire!(Semaphore, None);
acquire!(BoundedSemaphore, Some(ReleaseError::TooManyReleases));

/// Makes each of these functions, which are generic over [`Acquire`], a test of each primitive.
macro_rules! for_each_primitive {
    ($($test:ident)*) => {
        for_each_primitive!(@lock racefree::Lock: $($test)*);
        for_each_primitive!(@rlock racefree::RLock: $($test)*);
        for_each_primitive!(@semaphore racefree::Semaphore: $($test)*);
        for_each_primitive!(@bounded_semaphore racefree::BoundedSemaphore: $($test)*);
    };
    (@$module:ident $Primitive:ty: $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test::<$Primitive>();
            })*
        }
    };
}
pub(crate) use for_each_primitive;

/// All ways to acquire that wait as long as a test does.
pub(crate) fn patient_ways<P: Acquire>() -> [fn(&P) -> bool; 7] {
    [
        |primitive| {
            primitive.acquire();
            true
        },
        |primitive| {
            mem::forget(primitive.guard());
            true
        },
        |primitive| primitive.acquire_timeout(LIMIT * 2),
        |primitive| primitive.acquire_timeout(Duration::MAX),
        |primitive| primitive.acquire_until(Instant::now() + LIMIT * 2),
        |primitive| {
            primitive
                .guard_timeout(LIMIT * 2)
                .map(mem::forget)
                .is_some()
        },
        |primitive| {
            primitive
                .guard_until(Instant::now() + LIMIT * 2)
                .map(mem::forget)
                .is_some()
        },
    ]
}

/// All ways to acquire that wait for nothing, or for next to nothing.
pub(crate) fn hasty_ways<P: Acquire>() -> [fn(&P) -> bool; 8] {
    [
        |primitive| primitive.try_acquire(),
        |primitive| primitive.acquire_timeout(Duration::ZERO),
        |primitive| primitive.acquire_timeout(Duration::from_nanos(1)),
        |primitive| primitive.acquire_until(Instant::now()),
        |primitive| primitive.acquire_until(Instant::now() - Duration::from_millis(1)),
        |primitive| primitive.try_guard().map(mem::forget).is_some(),
        |primitive| {
            primitive
                .guard_timeout(Duration::from_nanos(1))
                .map(mem::forget)
                .is_some()
        },
        |primitive| {
            primitive
                .guard_until(Instant::now())
                .map(mem::forget)
                .is_some()
        },
    ]
}

/// Whether another thread could acquire it.
#[track_caller]
pub(crate) fn is_free<P: Acquire>(primitive: &'static P) -> bool {
    spawn(|| primitive.try_acquire() && primitive.release().is_ok()).end()
}

/// Fails unless it has one permit, no more and no less. Nobody else may hold one.
#[track_caller]
pub(crate) fn has_one_permit<P: Acquire>(primitive: &'static P) {
    assert!(primitive.try_acquire(), "the permit is lost");
    assert!(!is_free(primitive), "there is a permit too many");
    primitive.release().unwrap();
    assert!(is_free(primitive), "the release released nothing");
}

/// Runs `test` while another thread holds the primitive.
pub(crate) fn while_held<P: Acquire>(primitive: &'static P, test: impl FnOnce()) {
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let holder = spawn(move || {
        let _guard = primitive.guard();
        begin.send(()).unwrap();
        ended.recv().unwrap_err();
    });
    begun.recv_timeout(LIMIT).unwrap();
    test();
    drop(end);
    holder.end();
}

/// Numbers without much of a pattern, the same in each run (Marsaglia, "Xorshift RNGs", 2003).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(u64::from(seed) + 0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % u64::from(end)) as u32
    }

    pub(crate) fn micros(&mut self, end: u32) -> Duration {
        Duration::from_micros(self.below(end).into())
    }
}

/// Keeps the processor busy for a while: a sleep would be fifty times as long.
pub(crate) fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
