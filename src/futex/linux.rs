//! The futex of Linux and Android, by its system call.

use core::num::NonZeroU32;
use core::sync::atomic::AtomicU32;
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use rustix::time::{ClockId, clock_gettime};

use super::{Outcome, Private};

pub(crate) trait Scope {
    const FLAGS: Flags;
}

impl Scope for Private {
    const FLAGS: Flags = Flags::PRIVATE;
}

/// All who map the memory that holds the word, in whatever process and at whatever address.
#[cfg(test)]
pub(super) struct Shared;

#[cfg(test)]
impl Scope for Shared {
    const FLAGS: Flags = Flags::empty();
}

pub(super) fn wait<S: Scope>(word: &AtomicU32, expected: u32, until: Option<Instant>) -> Outcome {
    // FUTEX_WAIT_BITSET, because it alone takes an absolute time: a wait that is begun again after
    // a signal ends no later for it.
    let timeout = until.and_then(on_the_kernels_clock);
    match futex::wait_bitset(word, S::FLAGS, expected, timeout.as_ref(), NonZeroU32::MAX) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Outcome::Woken,
        Err(Errno::TIMEDOUT) => Outcome::TimedOut,
        Err(error) => panic!("the futex system call is refused: {error}"),
    }
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32) {
    // The word may be gone, see the module above. That a reference to an atomic may outlive what it
    // refers to, if it is not used, is what std's own locks rely on, and why the compiler marks no
    // reference to an `UnsafeCell` as dereferenceable (rust-lang/rust 98017).
    // SAFETY: as just said, for nothing here reads it: rustix hands its address to the kernel, which
    // looks it up in a table of sleepers.
    let word = unsafe { &*word };
    // The kernel reads the count as an i32. It fails only for an address that was never valid.
    let _ = futex::wake(word, S::FLAGS, count.min(i32::MAX as u32));
}

/// The same instant as the kernel tells it, or `None` if that is past the end of its clock.
///
/// `Instant` is the monotonic clock, but does not show its reading.
fn on_the_kernels_clock(instant: Instant) -> Option<Timespec> {
    // In this order: what passes between the two readings makes the result later, never earlier.
    let left = instant.saturating_duration_since(Instant::now());
    let now = clock_gettime(ClockId::Monotonic);
    let left = Timespec::try_from(left).ok()?;
    now.checked_add(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadline;
    use crate::futex;
    use core::ptr;
    use core::sync::atomic::Ordering;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use std::thread;
    use std::time::Duration;

    /// One word at two addresses.
    fn word_mapped_twice() -> [&'static AtomicU32; 2] {
        let size = size_of::<AtomicU32>();
        let memory = memfd_create("word", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, size as u64).unwrap();
        [(); 2].map(|()| {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: the kernel chooses an address that is free.
            let address =
                unsafe { mmap(ptr::null_mut(), size, access, MapFlags::SHARED, &memory, 0) };
            // SAFETY: zeroes are an atomic; the mapping is as large, is aligned to a page, and is
            // never taken back.
            unsafe { &*address.unwrap().cast::<AtomicU32>() }
        })
    }

    /// Whether one who sleeps on one of the addresses, for as long as `timeout`, is woken by wakes
    /// at the other.
    fn a_wake_crosses<S: Scope>(timeout: Duration) -> bool {
        let [here, there] = word_mapped_twice();
        thread::scope(|scope| {
            let deadline = Deadline::At(Instant::now() + timeout);
            let sleeper = scope.spawn(move || {
                there.store(1, Ordering::Relaxed);
                futex::wait::<S>(there, 1, deadline)
            });
            // The word stays as it is, so that nothing but a wake ends the sleep early. As the
            // first of the wakes may come before the sleep, there are more.
            while !sleeper.is_finished() {
                futex::wake::<S>(&raw const *here, 1);
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(here.load(Ordering::Relaxed), 1, "it is one word");
            sleeper.join().unwrap() == Outcome::Woken
        })
    }

    #[test]
    fn a_shared_wake_reaches_those_who_sleep_at_another_address() {
        assert!(a_wake_crosses::<Shared>(Duration::from_secs(30)));
    }

    #[test]
    fn a_private_wake_does_not() {
        assert!(!a_wake_crosses::<Private>(Duration::from_millis(50)));
    }

    #[test]
    fn an_instant_is_the_same_on_the_kernels_clock() {
        let ahead = Duration::from_secs(1000);
        let before = clock_gettime(ClockId::Monotonic);
        let instant = Instant::now() + ahead;
        let told = on_the_kernels_clock(instant).expect("a thousand seconds fit");
        let difference = told - before;
        assert!(difference.tv_sec >= 1000 && difference.tv_sec < 1010);
    }

    #[test]
    fn the_past_is_not_the_future() {
        let told = on_the_kernels_clock(Instant::now()).expect("now fits");
        assert!(told <= clock_gettime(ClockId::Monotonic));
    }
}
