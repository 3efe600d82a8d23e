//! One view of all at which threads wait, and what the world does to them there.

use std::ops::Range;
use std::sync::Mutex as StdMutex;
use std::time::{Duration, Instant};

use super::{LIMIT, forever, until};
use racefree::{
    Barrier, BoundedSemaphore, Condition, ConditionLock, Condvar, Event, Lock, Mutex, MutexGuard,
    RLock, Semaphore,
};

/// What lets nobody through until it is opened, by the thread that made it; then all.
pub(crate) trait Closed: Send + Sync + 'static {
    /// Whether those who come when it has been opened wait until it is opened again.
    const CLOSES_AGAIN: bool = false;

    /// For so many who will wait.
    fn closed(waiters: u32) -> Self;

    fn open(&self, waiters: u32);

    fn wait(&self);

    /// Says whether it was let through.
    fn wait_timeout(&self, timeout: Duration) -> bool;

    /// Where its words are.
    fn place(&self) -> Range<usize>
    where
        Self: Sized,
    {
        place(self)
    }
}

pub(crate) fn place<T>(value: &T) -> Range<usize> {
    let first = (&raw const *value).addr();
    first..first + size_of::<T>()
}

/// Opens it, and waits until `all_have_gone`.
#[track_caller]
pub(crate) fn open<C: Closed>(closed: &C, waiters: u32, all_have_gone: impl Fn() -> bool) {
    closed.open(waiters);
    until(|| {
        if C::CLOSES_AGAIN {
            closed.open(waiters);
        }
        all_have_gone()
    });
}

/// Who has been let in lets in the next.
macro_rules! closed_while_held {
    ($($Primitive:ty)*) => {
        $(impl Closed for $Primitive {
            fn closed(_waiters: u32) -> Self {
                let primitive = Self::default();
                primitive.acquire();
                primitive
            }

            fn open(&self, _waiters: u32) {
                self.release().unwrap();
            }

            fn wait(&self) {
                self.acquire();
                self.release().unwrap();
            }

            fn wait_timeout(&self, timeout: Duration) -> bool {
                self.acquire_timeout(timeout) && self.release().is_ok()
            }
        })*
    };
}
closed_while_held! { Lock RLock }

macro_rules! closed_without_permits {
    ($($Primitive:ty)*) => {
        $(impl Closed for $Primitive {
            fn closed(waiters: u32) -> Self {
                let primitive = Self::new(waiters);
                (0..waiters).for_each(|_| primitive.acquire());
                primitive
            }

            fn open(&self, waiters: u32) {
                self.release_n(waiters).unwrap();
            }

            fn wait(&self) {
                self.acquire();
            }

            fn wait_timeout(&self, timeout: Duration) -> bool {
                self.acquire_timeout(timeout)
            }
        })*
    };
}
closed_without_permits! { Semaphore BoundedSemaphore }

/// A semaphore at which each wants two permits.
pub(crate) struct Twos<S>(pub(crate) S);

macro_rules! closed_without_two_permits {
    ($($Primitive:ty)*) => {
        $(impl Closed for Twos<$Primitive> {
            fn closed(waiters: u32) -> Self {
                let primitive = <$Primitive>::new(2 * waiters);
                primitive.acquire_n(2 * waiters - 1);
                Self(primitive)
            }

            fn open(&self, waiters: u32) {
                self.0.release_n(2 * waiters - 1).unwrap();
            }

            fn wait(&self) {
                self.0.acquire_n(2);
            }

            fn wait_timeout(&self, timeout: Duration) -> bool {
                self.0.acquire_n_timeout(2, timeout)
            }
        })*
    };
}
closed_without_two_permits! { Semaphore BoundedSemaphore }

/// A mutex, and the guard that keeps it closed.
pub(crate) struct LockedMutex {
    mutex: &'static Mutex<u32>,
    guard: StdMutex<Option<MutexGuard<'static, u32>>>,
}

impl Closed for LockedMutex {
    fn closed(_waiters: u32) -> Self {
        let mutex = forever(Mutex::new(0));
        let guard = StdMutex::new(Some(mutex.lock()));
        Self { mutex, guard }
    }

    fn open(&self, _waiters: u32) {
        drop(self.guard.lock().unwrap().take());
    }

    fn wait(&self) {
        *self.mutex.lock() += 1;
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        self.mutex.try_lock_for(timeout).is_some()
    }

    fn place(&self) -> Range<usize> {
        place(self.mutex)
    }
}

impl Closed for Event {
    fn closed(_waiters: u32) -> Self {
        Self::new()
    }

    fn open(&self, _waiters: u32) {
        self.set();
    }

    fn wait(&self) {
        self.wait();
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_timeout(timeout)
    }
}

impl<L: ConditionLock + Default + Send + Sync + 'static> Closed for Condition<L> {
    const CLOSES_AGAIN: bool = true;

    fn closed(_waiters: u32) -> Self {
        Self::default()
    }

    fn open(&self, _waiters: u32) {
        let _guard = self.guard();
        self.notify_all().unwrap();
    }

    fn wait(&self) {
        let _guard = self.guard();
        self.wait().unwrap();
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        let _guard = self.guard();
        self.wait_timeout(timeout).unwrap()
    }
}

/// A condition variable, and its mutex.
#[derive(Default)]
pub(crate) struct CondvarOfMutex(pub(crate) Condvar, pub(crate) Mutex<()>);

impl Closed for CondvarOfMutex {
    const CLOSES_AGAIN: bool = true;

    fn closed(_waiters: u32) -> Self {
        Self::default()
    }

    fn open(&self, _waiters: u32) {
        self.0.notify_all();
    }

    fn wait(&self) {
        self.0.wait(&mut self.1.lock());
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        let mut guard = self.1.lock();
        !self.0.wait_timeout(&mut guard, timeout).timed_out()
    }
}

impl Closed for Barrier {
    fn closed(waiters: u32) -> Self {
        Self::new(waiters as usize + 1)
    }

    fn open(&self, _waiters: u32) {
        self.wait_timeout(LIMIT).unwrap();
    }

    fn wait(&self) {
        self.wait().unwrap();
    }

    fn wait_timeout(&self, timeout: Duration) -> bool {
        let passed = self.wait_timeout(timeout).is_ok();
        // The time was up, and broke it.
        if !passed {
            self.reset();
        }
        passed
    }
}

/// Makes each of these functions, which are generic over [`Closed`], a test of each primitive.
macro_rules! for_each_wait {
    ($($test:ident)*) => {
        for_each_wait!(@lock racefree::Lock: $($test)*);
        for_each_wait!(@rlock racefree::RLock: $($test)*);
        for_each_wait!(@semaphore racefree::Semaphore: $($test)*);
        for_each_wait!(@bounded_semaphore racefree::BoundedSemaphore: $($test)*);
        for_each_wait!(@two_permits
            $crate::common::closed::Twos<racefree::Semaphore>: $($test)*);
        for_each_wait!(@two_bounded_permits
            $crate::common::closed::Twos<racefree::BoundedSemaphore>: $($test)*);
        for_each_wait!(@mutex $crate::common::closed::LockedMutex: $($test)*);
        for_each_wait!(@event racefree::Event: $($test)*);
        for_each_wait!(@condition_with_lock racefree::Condition<racefree::Lock>: $($test)*);
        for_each_wait!(@condition_with_rlock racefree::Condition<racefree::RLock>: $($test)*);
        for_each_wait!(@condvar $crate::common::closed::CondvarOfMutex: $($test)*);
        for_each_wait!(@barrier racefree::Barrier: $($test)*);
    };
    (@$module:ident $Closed:ty: $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test::<$Closed>();
            })*
        }
    };
}
pub(crate) use for_each_wait;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod signals {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::{mem, ptr};

    pub(crate) static RECEIVED: AtomicU32 = AtomicU32::new(0);

    extern "C" fn receive(_signal: libc::c_int) {
        RECEIVED.fetch_add(1, Ordering::Relaxed);
    }

    /// Without `SA_RESTART`: each interrupts the system call in which its thread sleeps.
    pub(crate) fn send_signal(thread: i32) {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: an action of all zeroes is one.
            let mut action: libc::sigaction = unsafe { mem::zeroed() };
            action.sa_sigaction = receive as extern "C" fn(libc::c_int) as libc::sighandler_t;
            // SAFETY: the handler counts, and does nothing else.
            let set = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
            assert_eq!(set, 0);
        });
        // SAFETY: it has no preconditions; a thread that has ended is told of by an error.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) };
    }
}

/// Wake-ups that no change of the word came before, as the system may send them.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(racefree_parking)))]
pub(crate) mod for_nothing {
    use super::Closed;
    use std::ops::Range;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Wakes one who sleeps at the address, if anybody does, and says whether.
    pub(crate) fn wake(address: usize) -> bool {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the kernel takes the address for a name, and accesses nothing there.
        unsafe { libc::syscall(libc::SYS_futex, address, operation, 1) > 0 }
    }

    pub(crate) fn wake_all(place: Range<usize>) -> bool {
        place
            .step_by(4)
            .fold(false, |any, address| any | wake(address))
    }

    /// The words on a thread's stack, below a variable of its.
    pub(crate) const DEPTH: usize = 8192;

    /// An address near the top of the stack that the calling thread has in use.
    pub(crate) fn stack() -> usize {
        let here = 0_u32;
        (&raw const here).addr() & !3
    }

    /// Wakes for nothing the thread whose stack is told, wherever it sleeps.
    pub(crate) fn flood<C: Closed>(closed: &C, stack: &AtomicUsize) -> bool {
        let stack = stack.load(Ordering::Relaxed);
        wake_all(closed.place()) | (stack != 0 && wake_all(stack - DEPTH..stack))
    }
}
