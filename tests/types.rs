//! What the types promise to the compiler, and their sizes.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::panic::{RefUnwindSafe, UnwindSafe};

use std::cell::Cell;
use std::sync::Arc;

use racefree::{
    ArcGuard, ArcMutexGuard, Barrier, BoundedSemaphore, BrokenBarrierError, Condition, Condvar,
    Event, Guard, Lock, MappedMutexGuard, Mutex, MutexGuard, NotOwnerError, RLock, ReleaseError,
    Semaphore,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

assert_impl_all!(Lock: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(RLock: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Semaphore: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(BoundedSemaphore: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Event: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);

assert_impl_all!(Condition: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Condition<Lock>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Condition<&'static Lock>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Condition<Arc<RLock>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Condvar: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Barrier: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(Mutex<u32>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default, From<u32>);

// A mutex makes what can be sent shareable, and nothing else.
assert_impl_all!(Mutex<Cell<u32>>: Send, Sync);
assert_not_impl_any!(Mutex<*const u32>: Send, Sync);
assert_impl_all!(MutexGuard<'static, u32>: Send, Sync);
assert_impl_all!(MutexGuard<'static, Cell<u32>>: Send);
assert_not_impl_any!(MutexGuard<'static, Cell<u32>>: Sync);
assert_not_impl_any!(MutexGuard<'static, *const u32>: Send, Sync, Clone);
assert_impl_all!(MappedMutexGuard<'static, u32>: Send, Sync);
assert_impl_all!(MappedMutexGuard<'static, Cell<u32>>: Send);
assert_not_impl_any!(MappedMutexGuard<'static, Cell<u32>>: Sync);
assert_not_impl_any!(MappedMutexGuard<'static, *const u32>: Send, Sync, Clone);

assert_impl_all!(ArcMutexGuard<u32>: Send, Sync);
assert_impl_all!(ArcMutexGuard<Cell<u32>>: Send);
assert_not_impl_any!(ArcMutexGuard<Cell<u32>>: Sync);
assert_not_impl_any!(ArcMutexGuard<*const u32>: Send, Sync, Clone);

// What moves here from std or parking_lot compiles.
assert_impl_all!(MutexGuard<'static, Cell<u32>>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(ArcMutexGuard<Cell<u32>>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(MappedMutexGuard<'static, Cell<u32>>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(MutexGuard<'static, u32>: Debug, Display);
assert_impl_all!(ArcMutexGuard<u32>: Debug, Display);
assert_impl_all!(MappedMutexGuard<'static, u32>: Debug, Display);
assert_impl_all!(Guard<'static, Lock>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(Guard<'static, RLock>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(Guard<'static, Semaphore>: UnwindSafe, RefUnwindSafe);
assert_impl_all!(Guard<'static, BoundedSemaphore>: UnwindSafe, RefUnwindSafe);

assert_impl_all!(Guard<'static, Lock>: Send, Sync);
assert_impl_all!(Guard<'static, Semaphore>: Send, Sync);
assert_impl_all!(Guard<'static, BoundedSemaphore>: Send, Sync);
assert_impl_all!(Guard<'static, RLock>: Sync);
assert_not_impl_any!(Guard<'static, RLock>: Send);

assert_impl_all!(ArcGuard<Lock>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(ArcGuard<Semaphore>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(ArcGuard<BoundedSemaphore>: Send, Sync, UnwindSafe, RefUnwindSafe);
assert_impl_all!(ArcGuard<RLock>: Sync, UnwindSafe, RefUnwindSafe);
assert_not_impl_any!(ArcGuard<RLock>: Send);

// A copy of a guard would release twice.
assert_not_impl_any!(Guard<'static, Lock>: Clone);
assert_not_impl_any!(ArcGuard<Lock>: Clone);

assert_impl_all!(ReleaseError: Error, Copy, Eq, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(NotOwnerError: Error, Copy, Eq, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(BrokenBarrierError: Error, Copy, Eq, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);

// With one of these features, primitives and guards know where they were made.
#[cfg(not(any(feature = "trace", feature = "deadlock")))]
mod sizes {
    use static_assertions::{const_assert, const_assert_eq};

    use super::*;

    // What is promised.
    const_assert!(size_of::<Lock>() <= 4);
    const_assert!(size_of::<Event>() <= 4);
    const_assert!(size_of::<Semaphore>() <= 16);
    const_assert!(size_of::<BoundedSemaphore>() <= 16);
    const_assert!(size_of::<RLock>() <= 24);
    const_assert!(size_of::<Mutex<()>>() <= 8);
    const_assert!(size_of::<Condition>() - size_of::<RLock>() <= 16);
    const_assert!(size_of::<Condition<&Lock>>() - size_of::<&Lock>() <= 16);
    const_assert!(size_of::<Condvar>() <= 16);
    const_assert!(size_of::<Barrier>() <= 64);

    // What it is today, so that nobody grows one without noticing.
    const_assert_eq!(size_of::<Lock>(), 4);
    const_assert_eq!(size_of::<Event>(), 4);
    const_assert_eq!(size_of::<Semaphore>(), 4);
    const_assert_eq!(size_of::<BoundedSemaphore>(), 8);
    const_assert_eq!(size_of::<Mutex<()>>(), 4);
    const_assert_eq!(
        size_of::<MutexGuard<'static, [u8; 9]>>(),
        size_of::<usize>()
    );

    // A guard is a reference and nothing more.
    const_assert_eq!(size_of::<Guard<'static, RLock>>(), size_of::<usize>());
    const_assert_eq!(size_of::<ArcGuard<RLock>>(), size_of::<usize>());
    const_assert_eq!(
        size_of::<Option<ArcMutexGuard<[u8; 9]>>>(),
        size_of::<usize>()
    );

    #[test]
    fn an_error_goes_wherever_errors_go() {
        fn misuse() -> Result<(), Box<dyn Error + Send + Sync>> {
            Ok(Lock::new().release()?)
        }
        let error = misuse().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&ReleaseError::Unlocked));
    }
}
