//! Threads that wait in the order in which they came: what `Condition` and `Barrier` share.
//!
//! A list of waiters, each on the stack of the thread that waits, so that waiting allocates
//! nothing; and a [`Lock`] that protects the links, but is not held while anybody sleeps. Each
//! waiter sleeps on a word of its own. So a wake reaches whom it is meant for and nobody else, and
//! brings a message: how the wait ended. Of the two designs without allocation, this one and
//! numbers in the order of coming, only this one can take a waiter out of the middle.
//!
//! Who wakes many wakes the first few, and each of these wakes one more before it goes on: so the
//! system calls are made by all of them, and not by one that others may wait for.
//!
//! # State machine of a waiter
//!
//! | state | meaning |
//! |---|---|
//! | `WAITING` | it has yet to fall asleep |
//! | `ASLEEP` | it may sleep |
//! | any other | the message: its wait has ended |
//!
//! | step | by | from | to | and then |
//! |---|---|---|---|---|
//! | enter | its thread | | `WAITING`, in the queue | |
//! | fall asleep | its thread | `WAITING` | `ASLEEP` | sleeps while it is that |
//! | take | a waker | in the queue | not in the queue | has to wake it |
//! | wake | the waker that took it | `WAITING` | the message | |
//! | wake | the waker that took it | `ASLEEP` | the message | wakes its thread |
//! | pass on | its thread, woken | the message | the same | wakes the next that was taken with it |
//! | give up | its thread, out of time | in the queue | not in the queue | |
//! | give up | its thread, out of time | not in the queue | the same | waits for the waker, without end |
//!
//! # Invariants
//!
//! 1. The links of a waiter are accessed by who holds the queue's lock; but once it was taken,
//!    `next` by the waker that took it, and by its own thread once it is woken. (models
//!    `condition::*`, `barrier::*`: loom watches each access)
//! 2. A waiter leaves the queue once: taken or given up. Who was taken is woken, and does not end
//!    its wait before that: no wake is lost with it, and none comes after its end. (models
//!    `condition::timeout_against_notify`, `barrier::timeout_against_the_last`)
//! 3. Whoever was woken sees what was written before the wake. (models `barrier::two_rounds`)
//! 4. Who was taken is woken: by the waker, or by the one before it in its chain, which does that
//!    first of all when it is woken itself. (models `condition::notify_two_at_once`,
//!    `barrier::three_parties`)

use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr;

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::lock::Lock;
use crate::spin;
use crate::sync::{
    AtomicU32, MODELLED, Ordering, UnsafeCell, const_fn, unless_deadlocked, with_kept,
};

/// How a wait ended: anything but the two states below.
pub(crate) type Message = u32;

/// The smallest message.
pub(crate) const WOKEN: Message = 2;

const WAITING: u32 = 0;
const ASLEEP: u32 = 1;

/// A count for all who wait.
pub(crate) const ALL: usize = usize::MAX;

/// In how many chains a wake of many goes on. One would have a single thread under way at any time,
/// and idle processors take long to wake. In a model it is one, so that two waiters are a chain.
const CHAINS: usize = if MODELLED { 1 } else { 32 };

/// The threads that wait, first come first.
pub(crate) struct Queue {
    lock: Lock,
    /// How many there are, to be known without the lock.
    len: AtomicU32,
    /// A ring: the one before the first is the last. Null if there is none.
    first: UnsafeCell<*const Waiter>,
}

// SAFETY: what the pointer leads to is accessed as invariant 1 says, from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above; the pointer itself is accessed by who holds the lock.
unsafe impl Sync for Queue {}

// No code of anybody else's runs in the middle of a change.
impl UnwindSafe for Queue {}
impl RefUnwindSafe for Queue {}

struct Waiter {
    state: AtomicU32,
    /// The next in the queue, or the next that the same waker took.
    next: UnsafeCell<*const Waiter>,
    /// Null if it is not in the queue.
    previous: UnsafeCell<*const Waiter>,
}

impl Queue {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                lock: Lock::new(),
                len: AtomicU32::new(0),
                first: UnsafeCell::new(ptr::null()),
            }
        }
    }

    /// How many wait. Exact for who holds a lock under which all of them enter and leave.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        // Relaxed: whoever needs it to be exact has it ordered by that lock.
        self.len.load(Ordering::Relaxed)
    }

    /// Locks the queue, for a moment.
    pub(crate) fn lock(&self) -> Locked<'_> {
        self.lock.acquire();
        Locked(self)
    }
}

/// The queue, locked.
pub(crate) struct Locked<'a>(&'a Queue);

impl<'a> Locked<'a> {
    /// How many wait.
    pub(crate) fn len(&self) -> u32 {
        self.0.len()
    }

    /// Enters the queue, unlocks it, asks `until` how long to wait, and waits: has the message, or
    /// the locked queue again if the time was up before anybody took this waiter out of it.
    pub(crate) fn wait(self, until: impl FnOnce() -> Deadline) -> Result<Message, Self> {
        with_kept(Waiter::new(), |waiter| {
            let queue = self.0;
            // SAFETY: the waiter stays where it is until it has been removed, or woken: this
            // function does not end before, neither by a return nor by a panic.
            unsafe { self.push(waiter) };
            let stays = Stays;
            // Who has others before it is not the next, and may as well sleep at once.
            let spin = self.len() == 1;
            drop(self);
            let ended = match waiter.sleep(until(), spin) {
                Some(message) => Ok(message),
                None => waiter.give_up(queue),
            };
            core::mem::forget(stays);
            ended.inspect(|&message| {
                // SAFETY: it was woken (invariant 1).
                let next = unsafe { get(&waiter.next) };
                wake_first(next, message);
            })
        })
    }

    /// Takes the first `n` out of the queue, unlocks it, and wakes them with the message.
    pub(crate) fn wake(self, n: usize, message: Message) {
        if self.first().is_null() {
            return;
        }
        let mut chains = [Chain::EMPTY; CHAINS];
        for chain in (0..CHAINS).cycle().take(n) {
            let waiter = self.first();
            if waiter.is_null() {
                break;
            }
            // SAFETY: whoever is in the queue is alive, and stays so until it is woken (invariant
            // 2), which only the chain's threads will do.
            unsafe {
                self.remove(waiter);
                chains[chain].push(waiter);
            }
        }
        drop(self);
        for chain in chains {
            wake_first(chain.first, message);
        }
    }

    fn first(&self) -> *const Waiter {
        // SAFETY: the queue is locked.
        unsafe { get(&self.0.first) }
    }

    fn set_first(&self, waiter: *const Waiter) {
        // SAFETY: the queue is locked.
        unsafe { set(&self.0.first, waiter) };
    }

    fn set_len(&self, len: u32) {
        self.0.len.store(len, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// The waiter stays alive until it has been removed or woken.
    unsafe fn push(&self, waiter: *const Waiter) {
        let first = self.first();
        // SAFETY: all that are in the queue are alive, and the queue is locked.
        unsafe {
            let (next, last) = if first.is_null() {
                self.set_first(waiter);
                (waiter, waiter)
            } else {
                (first, get(&(*first).previous))
            };
            set(&(*waiter).next, next);
            set(&(*waiter).previous, last);
            set(&(*next).previous, waiter);
            set(&(*last).next, waiter);
        }
        self.set_len(self.len() + 1);
    }

    /// Takes the waiter out of the queue, and says whether it was in it.
    ///
    /// # Safety
    ///
    /// The waiter is alive.
    unsafe fn remove(&self, waiter: *const Waiter) -> bool {
        // SAFETY: the caller's, for this one; all that are in the queue are alive, and the queue
        // is locked. `next` is the waker's if this one is not in the queue.
        unsafe {
            let previous = get(&(*waiter).previous);
            if previous.is_null() {
                return false;
            }
            let next = get(&(*waiter).next);
            if self.first() == waiter {
                self.set_first(if next == waiter { ptr::null() } else { next });
            }
            set(&(*previous).next, next);
            set(&(*next).previous, previous);
            set(&(*waiter).previous, ptr::null());
        }
        self.set_len(self.len() - 1);
        true
    }
}

/// Some of those that were taken out of the queue together, linked by `next`.
#[derive(Clone, Copy)]
struct Chain {
    first: *const Waiter,
    last: *const Waiter,
}

impl Chain {
    const EMPTY: Self = Self {
        first: ptr::null(),
        last: ptr::null(),
    };

    /// # Safety
    ///
    /// The caller took the waiter, and nobody has been woken since.
    unsafe fn push(&mut self, waiter: *const Waiter) {
        // SAFETY: the caller's.
        unsafe {
            set(&(*waiter).next, ptr::null());
            if self.last.is_null() {
                self.first = waiter;
            } else {
                set(&(*self.last).next, waiter);
            }
        }
        self.last = waiter;
    }
}

/// Wakes the first of a chain, if there is one.
fn wake_first(chain: *const Waiter, message: Message) {
    if !chain.is_null() {
        // SAFETY: a chain is made of waiters that were taken, and is had by one thread at a time:
        // the one that took them, and then each of those that it wakes.
        unsafe { Waiter::wake(chain, message) };
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        unless_deadlocked(|| {
            let released = self.0.lock.release();
            debug_assert!(released.is_ok(), "nobody else has this lock");
        });
    }
}

impl Waiter {
    fn new() -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            next: UnsafeCell::new(ptr::null()),
            previous: UnsafeCell::new(ptr::null()),
        }
    }

    /// Leaves the queue, which is then locked; or has the message, if it was taken out before.
    fn give_up<'a>(&self, queue: &'a Queue) -> Result<Message, Locked<'a>> {
        let locked = queue.lock();
        // SAFETY: the waiter is alive.
        if unsafe { locked.remove(self) } {
            return Err(locked);
        }
        drop(locked);
        // It was taken: the wake is on its way.
        let message = self.sleep(Deadline::Never, false);
        Ok(message.expect("without a deadline the time is never up"))
    }

    /// Waits for the message; `None` if the time is up before.
    fn sleep(&self, deadline: Deadline, spin: bool) -> Option<Message> {
        if deadline == Deadline::Now {
            return None;
        }
        if spin {
            spin::yield_until(deadline, || self.state.load(Ordering::Relaxed) != WAITING);
        }
        // Acquire, here and below: pairs with the Release of the wake (invariant 3).
        let state =
            self.state
                .compare_exchange(WAITING, ASLEEP, Ordering::Relaxed, Ordering::Acquire);
        if let Err(message @ WOKEN..) = state {
            return Some(message);
        }
        loop {
            if futex::wait::<Private>(&self.state, ASLEEP, deadline) == Outcome::TimedOut {
                return None;
            }
            let state = self.state.load(Ordering::Acquire);
            if state != ASLEEP {
                return Some(state);
            }
        }
    }

    /// Ends the wait.
    ///
    /// # Safety
    ///
    /// The caller took the waiter out of its queue, and has not woken it before.
    unsafe fn wake(waiter: *const Self, message: Message) {
        // SAFETY: it is alive until it is woken (invariant 2).
        let state = unsafe { &raw const (*waiter).state };
        // SAFETY: as above. Release: what this thread did before is the woken one's to see, and
        // its links are its own again.
        let before = unsafe { (*state).swap(message, Ordering::Release) };
        if before == ASLEEP {
            // From here on the waiter may be gone: its wait may have ended.
            futex::wake::<Private>(state, 1);
        }
    }
}

/// # Safety
///
/// The link is the caller's to access (invariant 1).
unsafe fn get(link: &UnsafeCell<*const Waiter>) -> *const Waiter {
    // SAFETY: the caller's.
    link.with_mut(|link| unsafe { *link })
}

/// # Safety
///
/// As [`get`]'s.
unsafe fn set(link: &UnsafeCell<*const Waiter>, waiter: *const Waiter) {
    // SAFETY: the caller's.
    link.with_mut(|link| unsafe { *link = waiter });
}

/// Ends the process rather than let a waiter go while others may reach it: by a panic in the
/// middle of its wait, which there is only if the system refuses to let it sleep.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        // A checker unwinds all threads when one has failed, and runs none of them again.
        if !MODELLED {
            std::process::abort();
        }
    }
}
