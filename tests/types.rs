//! What the types promise to the compiler, and their sizes.

use std::error::Error;
use std::panic::{RefUnwindSafe, UnwindSafe};

use racefree::{BoundedSemaphore, Event, Guard, Lock, RLock, ReleaseError, Semaphore};
use static_assertions::{assert_impl_all, assert_not_impl_any, const_assert, const_assert_eq};

assert_impl_all!(Lock: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(RLock: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Semaphore: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(BoundedSemaphore: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);
assert_impl_all!(Event: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Default);

assert_impl_all!(Guard<'static, Lock>: Send, Sync);
assert_impl_all!(Guard<'static, Semaphore>: Send, Sync);
assert_impl_all!(Guard<'static, BoundedSemaphore>: Send, Sync);
assert_impl_all!(Guard<'static, RLock>: Sync);
assert_not_impl_any!(Guard<'static, RLock>: Send);

// A copy of a guard would release twice.
assert_not_impl_any!(Guard<'static, Lock>: Clone);

assert_impl_all!(ReleaseError: Error, Copy, Eq, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);

// What is promised.
const_assert!(size_of::<Lock>() <= 4);
const_assert!(size_of::<Event>() <= 4);
const_assert!(size_of::<Semaphore>() <= 16);
const_assert!(size_of::<BoundedSemaphore>() <= 16);
const_assert!(size_of::<RLock>() <= 24);

// What it is today, so that nobody grows one without noticing.
const_assert_eq!(size_of::<Lock>(), 4);
const_assert_eq!(size_of::<Event>(), 4);
const_assert_eq!(size_of::<Semaphore>(), 4);
const_assert_eq!(size_of::<BoundedSemaphore>(), 8);

// A guard is a reference and nothing more.
const_assert_eq!(size_of::<Guard<'static, RLock>>(), size_of::<usize>());

#[test]
fn an_error_goes_wherever_errors_go() {
    fn misuse() -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(Lock::new().release()?)
    }
    let error = misuse().unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&ReleaseError::Unlocked));
}
