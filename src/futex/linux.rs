//! The futex of Linux and Android, by its system call.

use core::ffi::c_int;
use core::num::NonZeroU32;
use core::ptr;
use core::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use rustix::time::{ClockId, clock_gettime};

use super::pieces::in_pieces;
use super::terms::{Outcome, Private};

pub(crate) trait Scope {
    const FLAGS: Flags;
}

impl Scope for Private {
    const FLAGS: Flags = Flags::PRIVATE;
}

/// All who map the memory that holds the word, in whatever process and at whatever address.
#[cfg(any(test, feature = "process"))]
pub(crate) struct Shared;

#[cfg(any(test, feature = "process"))]
impl Scope for Shared {
    const FLAGS: Flags = Flags::empty();
}

/// The longest wait that the kernel is told. On 32 bits its older call has as many for the seconds
/// since the machine was started; of those, this takes one half, 34 years.
const LONGEST: Duration = Duration::from_secs(1 << 30);

pub(super) fn wait<S: Scope>(
    word: &AtomicU32,
    expected: u32,
    _apart: u32,
    mask: u32,
    until: Option<Instant>,
) -> Outcome {
    let mask = NonZeroU32::new(mask).expect("a mask has a bit");
    in_pieces(until, LONGEST, |left| {
        // FUTEX_WAIT_BITSET takes an absolute time: a wait that is begun again after a signal ends no
        // later for it.
        let timeout = left.map(on_the_kernels_clock);
        match futex::wait_bitset(word, S::FLAGS, expected, timeout.as_ref(), mask) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Outcome::Woken,
            Err(Errno::TIMEDOUT) => Outcome::TimedOut,
            Err(error) => panic!("the futex system call is refused: {error}"),
        }
    })
}

pub(super) fn wake<S: Scope>(word: *const AtomicU32, count: u32, mask: u32) -> Option<usize> {
    let operation = libc::FUTEX_WAKE_BITSET | S::FLAGS.bits() as c_int;
    // The kernel reads the count as an i32.
    let count = count.min(i32::MAX as u32);
    // SAFETY: the word may be gone, see the module above. The kernel looks its address up in a table
    // of sleepers and accesses nothing there. These are the arguments of the operation, which leaves
    // two of its six out.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            operation,
            count,
            ptr::null::<Timespec>(),
            ptr::null::<AtomicU32>(),
            mask,
        )
    };
    // It fails, with -1, only for an address that was never valid.
    usize::try_from(woken).ok()
}

/// When the kernel's clock has gone on by so much.
///
/// `Instant` is that clock, but does not show its reading.
fn on_the_kernels_clock(left: Duration) -> Timespec {
    // What passes between the reading from which `left` came and this one makes the result later,
    // never earlier.
    let now = clock_gettime(ClockId::Monotonic);
    let left = Timespec::try_from(left).expect("LONGEST fits");
    now.checked_add(left)
        .expect("the clock is far from its end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadline;
    use crate::futex;
    use core::sync::atomic::Ordering;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use std::thread;

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
    fn a_time_ahead_is_the_same_on_the_kernels_clock() {
        let before = clock_gettime(ClockId::Monotonic);
        let difference = on_the_kernels_clock(Duration::from_secs(1000)) - before;
        assert!(difference.tv_sec >= 1000 && difference.tv_sec < 1010);
    }

    #[test]
    fn no_time_ahead_is_not_the_future() {
        assert!(on_the_kernels_clock(Duration::ZERO) <= clock_gettime(ClockId::Monotonic));
    }

    /// Before 5.1 there is no system call for a time of 64 bits.
    #[cfg(target_pointer_width = "32")]
    #[test]
    fn a_far_deadline_needs_no_64_bits() {
        let word = AtomicU32::new(0);
        let far = Instant::now() + Duration::from_secs(100 * 366 * 86_400);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                forbid_64_bits();
                futex::wait::<Private>(&word, 0, Deadline::At(far))
            });
            while !sleeper.is_finished() {
                futex::wake::<Private>(&raw const word, 1);
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(sleeper.join().unwrap(), Outcome::Woken);
        });
    }

    /// The calling thread has no such system call any more.
    #[cfg(target_pointer_width = "32")]
    fn forbid_64_bits() {
        const FUTEX_TIME64: u32 = 422;
        let step = |code: u32, jf, k| libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf,
            k,
        };
        let mut filter = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, FUTEX_TIME64),
            step(
                libc::BPF_RET | libc::BPF_K,
                0,
                libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            ),
            step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: neither writes to memory; the second reads the program, which is there.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let mode = libc::SECCOMP_MODE_FILTER;
            assert_eq!(
                libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
                0
            );
        }
    }
}
