//! What is measured: this crate's primitives and their peers, each in one place, behind two traits.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};

use rsevents::Awaitable;

/// Something to take and to give back.
pub(crate) trait Pair: Send + Sync {
    /// `permits` is how many may have it at once: 1 for what is a lock.
    fn new(permits: u32) -> Self;

    /// Takes it, as long as that takes, runs `inside`, and gives it back.
    fn with<R>(&self, inside: impl FnOnce() -> R) -> R;
}

/// `Name(type): how to make it; how to take it; how to give back what was taken`.
macro_rules! pairs {
    ($($Name:ident($Inner:ty): |$permits:pat_param| $new:expr; |$it:ident| $take:expr;
        |$taken:pat_param| $give:expr,)*) => {$(
        pub(crate) struct $Name($Inner);

        impl Pair for $Name {
            fn new($permits: u32) -> Self {
                Self($new)
            }

            #[inline]
            fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
                let $it = &self.0;
                let $taken = $take;
                let result = inside();
                $give;
                result
            }
        }
    )*};
}

/// A lock of this crate: all of them have these three, and any thread may call the last.
macro_rules! own_pairs {
    ($($Name:ident: $new:expr,)*) => {$(
        impl Pair for racefree::$Name {
            fn new(permits: u32) -> Self {
                $new(permits)
            }

            #[inline]
            fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
                self.acquire();
                let result = inside();
                self.release().expect("it was acquired");
                result
            }
        }
    )*};
}

own_pairs! {
    Lock: |_| racefree::Lock::new(),
    RLock: |_| racefree::RLock::new(),
    Semaphore: racefree::Semaphore::new,
    BoundedSemaphore: racefree::BoundedSemaphore::new,
}

pairs! {
    OwnMutex(racefree::Mutex<()>): |_| racefree::Mutex::new(()); |it| it.lock(); |guard| drop(guard),
    StdMutex(Mutex<()>): |_| Mutex::new(()); |it| it.lock().unwrap(); |guard| drop(guard),
    ParkingLotMutex(parking_lot::Mutex<()>): |_| ().into(); |it| it.lock(); |guard| drop(guard),
    UsyncMutex(usync::Mutex<()>): |_| ().into(); |it| it.lock(); |guard| drop(guard),
    ParkingLotReentrant(parking_lot::ReentrantMutex<()>): |_| ().into(); |it| it.lock();
        |guard| drop(guard),
    UsyncReentrant(usync::ReentrantMutex<()>): |_| ().into(); |it| it.lock(); |guard| drop(guard),
    TokioSemaphore(tokio::sync::Semaphore): |permits| tokio::sync::Semaphore::new(permits as usize);
        |it| pollster::block_on(it.acquire()).unwrap(); |permit| drop(permit),
    // What tokio's costs where the future that may wait is left out.
    TokioTry(tokio::sync::Semaphore): |permits| tokio::sync::Semaphore::new(permits as usize);
        |it| it.try_acquire().unwrap(); |permit| drop(permit),
    AsyncLockSemaphore(async_lock::Semaphore): |permits| async_lock::Semaphore::new(permits as usize);
        |it| it.acquire_blocking(); |permit| drop(permit),
    AsyncLockTry(async_lock::Semaphore): |permits| async_lock::Semaphore::new(permits as usize);
        |it| it.try_acquire().unwrap(); |permit| drop(permit),
    // It is a Mutex and a Condvar of std.
    StdSemaphore(std_semaphore::Semaphore):
        |permits| std_semaphore::Semaphore::new(permits.try_into().unwrap());
        |it| it.access(); |guard| drop(guard),
}

/// The floor: no lock takes less than one compare-exchange.
pub(crate) struct CompareExchange(AtomicU32);

impl Pair for CompareExchange {
    fn new(_: u32) -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
        let exchanged = self
            .0
            .compare_exchange(0, 0, Ordering::Acquire, Ordering::Relaxed);
        assert!(exchanged.is_ok());
        inside()
    }
}

/// The floor of a lock that notices misuse: a compare-exchange to take it, an exchange to give it
/// back.
pub(crate) struct CompareExchangeExchange(AtomicU32);

impl Pair for CompareExchangeExchange {
    fn new(_: u32) -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
        let exchanged = self
            .0
            .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        assert!(exchanged.is_ok());
        let result = inside();
        assert!(self.0.swap(0, Ordering::Release) == 1);
        result
    }
}

/// What a Mutex and a Condvar make of a lock that any thread may release.
pub(crate) struct CondvarLock {
    held: Mutex<bool>,
    released: Condvar,
}

impl Pair for CondvarLock {
    fn new(_: u32) -> Self {
        Self {
            held: Mutex::new(false),
            released: Condvar::new(),
        }
    }

    #[inline]
    fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.released.wait(held).unwrap();
        }
        *held = true;
        drop(held);
        let result = inside();
        *self.held.lock().unwrap() = false;
        self.released.notify_one();
        result
    }
}

/// And of a reentrant one.
pub(crate) struct CondvarRLock {
    owner: Mutex<(Option<std::thread::ThreadId>, u32)>,
    released: Condvar,
}

impl Pair for CondvarRLock {
    fn new(_: u32) -> Self {
        Self {
            owner: Mutex::new((None, 0)),
            released: Condvar::new(),
        }
    }

    #[inline]
    fn with<R>(&self, inside: impl FnOnce() -> R) -> R {
        let me = Some(std::thread::current().id());
        let mut owner = self.owner.lock().unwrap();
        while owner.0.is_some() && owner.0 != me {
            owner = self.released.wait(owner).unwrap();
        }
        *owner = (me, owner.1 + 1);
        drop(owner);
        let result = inside();
        let mut owner = self.owner.lock().unwrap();
        owner.1 -= 1;
        if owner.1 == 0 {
            owner.0 = None;
            self.released.notify_one();
        }
        result
    }
}

/// Something to wait for until somebody says go.
pub(crate) trait Signal: Send + Sync {
    /// `waiters` is how many wait at once.
    fn new(waiters: usize) -> Self;
    fn set(&self);
    fn clear(&self);
    fn wait(&self);
}

impl Signal for racefree::Event {
    fn new(_waiters: usize) -> Self {
        Self::new()
    }

    #[inline]
    fn set(&self) {
        self.set();
    }

    #[inline]
    fn clear(&self) {
        self.clear();
    }

    #[inline]
    fn wait(&self) {
        self.wait();
    }
}

impl Signal for rsevents::ManualResetEvent {
    fn new(_waiters: usize) -> Self {
        Self::new(rsevents::EventState::Unset)
    }

    #[inline]
    fn set(&self) {
        self.set();
    }

    #[inline]
    fn clear(&self) {
        self.reset();
    }

    #[inline]
    fn wait(&self) {
        Awaitable::wait(self);
    }
}

/// Clears itself when a waiter goes through.
impl Signal for rsevents::AutoResetEvent {
    fn new(_waiters: usize) -> Self {
        Self::new(rsevents::EventState::Unset)
    }

    #[inline]
    fn set(&self) {
        self.set();
    }

    fn clear(&self) {}

    #[inline]
    fn wait(&self) {
        Awaitable::wait(self);
    }
}

/// An event made of a condition, to compare it with those made of a Condvar.
pub(crate) struct ConditionEvent {
    condition: racefree::Condition<racefree::Lock>,
    /// Changed under the condition's lock only.
    set: AtomicBool,
}

impl ConditionEvent {
    #[inline]
    fn put(&self, set: bool, and_then: impl FnOnce()) {
        let _guard = self.condition.guard();
        self.set.store(set, Ordering::Relaxed);
        and_then();
    }
}

impl Signal for ConditionEvent {
    fn new(_waiters: usize) -> Self {
        Self {
            condition: racefree::Condition::with_lock(racefree::Lock::new()),
            set: AtomicBool::new(false),
        }
    }

    #[inline]
    fn set(&self) {
        self.put(true, || self.condition.notify_all().expect("it is held"));
    }

    #[inline]
    fn clear(&self) {
        self.put(false, || ());
    }

    #[inline]
    fn wait(&self) {
        let _guard = self.condition.guard();
        while !self.set.load(Ordering::Relaxed) {
            self.condition.wait().expect("it is held");
        }
    }
}

/// `Name: Mutex, Condvar; how to lock; how to wait with a guard`: an event made of the two.
macro_rules! condvar_events {
    ($($Name:ident: $Mutex:ty, $Condvar:ty; |$mutex:ident| $lock:expr;
        |$condvar:ident, $guard:ident| $wait:expr,)*) => {$(
        pub(crate) struct $Name {
            set: $Mutex,
            changed: $Condvar,
        }

        impl Signal for $Name {
            fn new(_waiters: usize) -> Self {
                Self {
                    set: <$Mutex>::new(false),
                    changed: <$Condvar>::new(),
                }
            }

            #[inline]
            fn set(&self) {
                let $mutex = &self.set;
                *$lock = true;
                self.changed.notify_all();
            }

            #[inline]
            fn clear(&self) {
                let $mutex = &self.set;
                *$lock = false;
            }

            #[inline]
            fn wait(&self) {
                let ($mutex, $condvar) = (&self.set, &self.changed);
                let mut $guard = $lock;
                while !*$guard {
                    $wait;
                }
            }
        }
    )*};
}

condvar_events! {
    StdCondvar: Mutex<bool>, Condvar; |mutex| mutex.lock().unwrap();
        |condvar, guard| guard = condvar.wait(guard).unwrap(),
    ParkingLotCondvar: parking_lot::Mutex<bool>, parking_lot::Condvar; |mutex| mutex.lock();
        |condvar, guard| condvar.wait(&mut guard),
    UsyncCondvar: usync::Mutex<bool>, usync::Condvar; |mutex| mutex.lock();
        |condvar, guard| condvar.wait(&mut guard),
}

/// As [`StdCondvar`], but it notifies while it holds the lock, as Python's `Condition` has to.
pub(crate) struct StdCondvarLocked(StdCondvar);

impl Signal for StdCondvarLocked {
    fn new(waiters: usize) -> Self {
        Self(StdCondvar::new(waiters))
    }

    #[inline]
    fn set(&self) {
        let mut set = self.0.set.lock().unwrap();
        *set = true;
        self.0.changed.notify_all();
    }

    #[inline]
    fn clear(&self) {
        self.0.clear();
    }

    #[inline]
    fn wait(&self) {
        self.0.wait();
    }
}

/// A barrier that waits again and again.
pub(crate) trait Meeting: Send + Sync {
    fn new(parties: usize) -> Self;
    fn meet(&self);
}

impl Meeting for racefree::Barrier {
    fn new(parties: usize) -> Self {
        Self::new(parties)
    }

    #[inline]
    fn meet(&self) {
        self.wait().expect("nobody breaks it");
    }
}

impl Meeting for std::sync::Barrier {
    fn new(parties: usize) -> Self {
        Self::new(parties)
    }

    #[inline]
    fn meet(&self) {
        self.wait();
    }
}

impl Meeting for async_lock::Barrier {
    fn new(parties: usize) -> Self {
        Self::new(parties)
    }

    #[inline]
    fn meet(&self) {
        self.wait_blocking();
    }
}

/// The party that comes last to a barrier wakes those that are there.
pub(crate) struct LastParty<B>(B);

impl<B: Meeting> Signal for LastParty<B> {
    fn new(waiters: usize) -> Self {
        Self(B::new(waiters + 1))
    }

    #[inline]
    fn set(&self) {
        self.0.meet();
    }

    fn clear(&self) {}

    #[inline]
    fn wait(&self) {
        self.0.meet();
    }
}
