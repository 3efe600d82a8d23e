//! Waiters in the order of their coming: what `Condition` and `Barrier` share.
//!
//! ```text
//!  Queue                      on the stacks of the threads that wait
//! +-------+-----+-------+     +--------+     +--------+     +--------+
//! | word  | len | first |---->| Waiter |<--->| Waiter |<--->| Waiter |   a ring
//! +-------+-----+-------+     +--------+     +--------+     +--------+
//!     ^                        slot 0         slot 1         slot 2
//!     '---- all of them sleep on the word, each in its slot
//! ```
//!
//! A waiter is on the stack of its thread, so waiting allocates nothing. The word is a lock for the
//! list, and what all waiters sleep on: so one system call wakes any number of them. Each sleeps in
//! a slot of the futex (a bit of its mask), so that a wake of a few reaches few others; whether it
//! was meant a waiter knows by its own state.
//!
//! # The word
//!
//! | bits | name | meaning |
//! |---|---|---|
//! | 0 | `LOCKED` | a thread changes the list |
//! | 1 | `PARKED` | a thread may sleep until it can |
//! | 2 | `WAITERS` | the list is not empty |
//! | 3 to 31 | epoch | goes up by one each time that waiters were taken out |
//!
//! | step | by | word before | word after | and then |
//! |---|---|---|---|---|
//! | lock | any | not `LOCKED` | `LOCKED` | has the list to itself |
//! | lock | any | `LOCKED` | `LOCKED`, `PARKED` | sleeps while it is just that; locks again |
//! | unlock | the holder | `LOCKED` | neither, `WAITERS` as the list is | if it was `PARKED`, wakes all that sleep for the lock |
//! | unlock and wake | the holder | `LOCKED` | the same, next epoch | wakes those taken out, too |
//!
//! # State machine of a waiter
//!
//! | step | by | state before | state after | and then |
//! |---|---|---|---|---|
//! | enter | its thread, with the list locked | | `WAITING` | unlocks; sleeps while the word is as it left it |
//! | take | a waker, with the list locked | `WAITING`, in the list | the message and the next epoch, not in the list | "unlock and wake" |
//! | look | its thread | a message, and the word has come to its epoch | the same | its wait has ended |
//! | look | its thread | any other | the same | sleeps while the word is as it was at the look |
//! | give up | its thread, out of time, with the list locked | `WAITING`, in the list | not in the list | its wait has ended |
//! | give up | its thread, out of time, with the list locked | a message | the same | its wait has ended, with that |
//!
//! # Invariants
//!
//! 1. The list, and the links of the waiters in it, are accessed by the holder of the lock alone.
//!    (models `condition::*`, `barrier::*`: loom watches each access)
//! 2. A waiter leaves the list once: taken or given up. A waiter that was taken has its message: no
//!    wake is lost with one that gives up. (models `condition::timeout_against_notify`,
//!    `barrier::timeout_against_the_last`)
//! 3. A wait ends after "unlock and wake" of the waker, or with the list locked, and the waker touches
//!    neither the waiter nor the queue after that step: it wakes by the address alone. So both may
//!    be gone. (models `condition::*`: the waiter's last access is a write to its links)
//! 4. A woken waiter sees what was written before the wake. (models `barrier::two_rounds`)
//! 5. The thread that takes waiters out wakes each of them, itself, in one call: a waiter that reads
//!    the word before the step goes on not to sleep, or sleeps and is reached. (models
//!    `condition::notify_two_at_once`, `condition::a_stalled_waiter_*`, `barrier::three_parties`)
//!
//! A waiter could miss its epoch only if waiters were taken out 2^29 times between two of its looks.

use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr;

use crate::deadline::Deadline;
use crate::futex::{self, Outcome, Private};
use crate::spin;
use crate::sync::{
    AtomicU32, MODELLED, Ordering, UnsafeCell, const_fn, look, unless_deadlocked, with_kept,
};

/// How a wait ended: from 1 to [`LAST_MESSAGE`].
pub(crate) type Message = u32;

/// The messages that a `Condition` knows: woken alone, and with others.
pub(crate) const WOKEN: Message = 1;
pub(crate) const WOKEN_TOGETHER: Message = 2;

const MESSAGE_BITS: u32 = 3;
const LAST_MESSAGE: Message = (1 << MESSAGE_BITS) - 1;

/// The state of a waiter that nobody has taken out.
const WAITING: u32 = 0;

/// A count for all who wait.
pub(crate) const ALL: usize = usize::MAX;

const LOCKED: u32 = 1;
const PARKED: u32 = 2;
const WAITERS: u32 = 4;
const EPOCH: u32 = 8;

/// The bit of the futex's mask for those who sleep until they can lock the list. The bits below
/// are the slots of the waiters.
const LOCKERS: u32 = 1 << SLOTS;
const SLOTS: u32 = 31;

/// The waiters, first come first.
pub(crate) struct Queue {
    word: AtomicU32,
    /// How many there are. Changed with the list locked, so the lock orders its accesses and no checker
    /// has to see them. Without the lock it may be out of date.
    len: core::sync::atomic::AtomicU32,
    /// A ring: the one before the first is the last. Null if there is none.
    first: UnsafeCell<*const Waiter>,
}

// SAFETY: what the pointer leads to is accessed by the holder of the lock, from any thread
// (invariant 1).
unsafe impl Send for Queue {}
// SAFETY: as above; so is the pointer itself.
unsafe impl Sync for Queue {}

// No code of a user's runs in the middle of a change.
impl UnwindSafe for Queue {}
impl RefUnwindSafe for Queue {}

struct Waiter {
    /// [`WAITING`], or the message and, above its bits, the epoch at which it counts.
    state: AtomicU32,
    slot: u32,
    next: UnsafeCell<*const Waiter>,
    previous: UnsafeCell<*const Waiter>,
}

impl Queue {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                len: core::sync::atomic::AtomicU32::new(0),
                first: UnsafeCell::new(ptr::null()),
            }
        }
    }

    /// How many wait, at about this moment.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether any wait. Exact if what happened before this call orders all that entered and left:
    /// for the holder of a lock under which they do.
    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        // Relaxed: that order is enough to see the newest value.
        self.word.load(Ordering::Relaxed) & WAITERS != 0
    }

    /// Locks the list, for a moment.
    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_> {
        let word = match self.try_lock() {
            Ok(word) => word,
            Err(_locked) => self.lock_slow(),
        };
        Locked { queue: self, word }
    }

    /// Has the word from before it was locked, or as it is if it cannot be.
    #[inline]
    fn try_lock(&self) -> Result<u32, u32> {
        // Acquire: pairs with the Release of `unlock`: the list is as the last holder left it.
        self.word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                (word & LOCKED == 0).then_some(word | LOCKED)
            })
    }

    #[cold]
    fn lock_slow(&self) -> u32 {
        let unlocked = || self.word.load(Ordering::Relaxed) & LOCKED == 0;
        let mut word = Err(0);
        spin::poll(Deadline::Never, || {
            if unlocked() {
                word = self.try_lock();
            }
            word.is_ok()
        });
        while let Err(_locked) = word {
            // Acquire: as in `try_lock`.
            let before = self
                .word
                .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                    Some(word | if word & LOCKED == 0 { LOCKED } else { PARKED })
                })
                .expect("there is always a next");
            if before & LOCKED == 0 {
                word = Ok(before);
            } else {
                let parked = before | PARKED;
                let _ =
                    futex::wait_masked::<Private>(&self.word, parked, 0, LOCKERS, Deadline::Never);
            }
        }
        word.expect("it was locked")
    }
}

/// The queue, with its list locked.
pub(crate) struct Locked<'a> {
    queue: &'a Queue,
    /// The word as it was locked: nobody else changes more than the two bits of the lock.
    word: u32,
}

impl<'a> Locked<'a> {
    /// How many wait, exactly.
    pub(crate) fn len(&self) -> u32 {
        self.queue.len()
    }

    fn set_len(&self, len: u32) {
        self.queue.len.store(len, Ordering::Relaxed);
    }

    /// Enters the queue, unlocks it, asks `until` how long to wait, and waits: has the message, or
    /// the locked queue again if the time was up before this waiter was taken out of it.
    pub(crate) fn wait(self, until: impl FnOnce() -> Deadline) -> Result<Message, Self> {
        let queue = self.queue;
        with_kept(Waiter::new(self.next_slot()), |waiter| {
            // SAFETY: the waiter stays where it is until it has been taken out, or has given up:
            // this function does not end before, neither by a return nor by a panic.
            unsafe { self.push(waiter) };
            let stays = Stays;
            // A waiter with others before it is not the next, and may as well sleep at once.
            let alone = self.len() == 0;
            self.set_len(self.len() + 1);
            let left = self.unlocked();
            drop(self);
            let ended = match waiter.sleep(queue, left, until(), alone) {
                Some(message) => Ok(message),
                None => waiter.give_up(queue),
            };
            core::mem::forget(stays);
            if MODELLED {
                // SAFETY: its wait has ended (invariant 3). It tells the checker so.
                unsafe { set(&waiter.next, ptr::null()) };
            }
            ended
        })
    }

    /// Takes the first `n` out of the queue, unlocks it, and wakes them with the message. Returns
    /// how many there were.
    pub(crate) fn wake(self, n: usize, message: Message) -> usize {
        debug_assert!((1..=LAST_MESSAGE).contains(&message));
        let next_epoch = self.word.wrapping_add(EPOCH);
        let taken = message | ((next_epoch / EPOCH) << MESSAGE_BITS);
        let mut slots = 0;
        let mut count = 0;
        while count < n {
            let waiter = self.first();
            if waiter.is_null() {
                break;
            }
            // SAFETY: who is in the list is alive, and stays so until this unlocks it (invariant
            // 3).
            unsafe {
                self.remove(waiter);
                slots |= 1 << (*waiter).slot;
                // Relaxed: it counts from the next epoch on, by which it is ordered.
                (*waiter).state.store(taken, Ordering::Relaxed);
            }
            count += 1;
        }
        if count > 0 {
            self.set_len(self.len() - count as u32);
            let mut unlock = core::mem::ManuallyDrop::new(self);
            unlock.word = next_epoch;
            unlock.unlock(slots);
        }
        count
    }

    fn first(&self) -> *const Waiter {
        // SAFETY: the list is locked.
        unsafe { get(&self.queue.first) }
    }

    fn set_first(&self, waiter: *const Waiter) {
        // SAFETY: the list is locked.
        unsafe { set(&self.queue.first, waiter) };
    }

    /// The slot after that of the last waiter.
    fn next_slot(&self) -> u32 {
        let first = self.first();
        if first.is_null() {
            return 0;
        }
        // SAFETY: all that are in the list are alive, and it is locked.
        unsafe { ((*get(&(*first).previous)).slot + 1) % SLOTS }
    }

    /// # Safety
    ///
    /// The waiter stays alive until it is not in the list any more.
    unsafe fn push(&self, waiter: *const Waiter) {
        let first = self.first();
        // SAFETY: all that are in the list are alive, and it is locked.
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
    }

    /// # Safety
    ///
    /// The waiter is in the list.
    unsafe fn remove(&self, waiter: *const Waiter) {
        // SAFETY: all that are in the list are alive, and it is locked.
        unsafe {
            let previous = get(&(*waiter).previous);
            let next = get(&(*waiter).next);
            if self.first() == waiter {
                self.set_first(if next == waiter { ptr::null() } else { next });
            }
            set(&(*previous).next, next);
            set(&(*next).previous, previous);
        }
    }

    /// Unlocks the list, and wakes those who sleep in the slots.
    fn unlock(&self, slots: u32) {
        let word = &raw const self.queue.word;
        // Release: what this holder did is there to see for the next one, and what its thread did,
        // for those whom it wakes (invariant 4).
        let before = self.queue.word.swap(self.unlocked(), Ordering::Release);
        // From here on the queue may be gone: the wait of each waiter may have ended.
        let lockers = if before & PARKED != 0 { LOCKERS } else { 0 };
        if slots | lockers != 0 {
            futex::wake_masked::<Private>(word, futex::ALL, slots | lockers);
        }
    }

    /// The word as this holder leaves it.
    fn unlocked(&self) -> u32 {
        let waiters = if self.first().is_null() { 0 } else { WAITERS };
        // The bits of the lock are clear already. With all three named, a barrier of one takes four
        // instructions less.
        self.word & !(LOCKED | PARKED | WAITERS) | waiters
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        unless_deadlocked(|| self.unlock(0));
    }
}

impl Waiter {
    fn new(slot: u32) -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            slot,
            next: UnsafeCell::new(ptr::null()),
            previous: UnsafeCell::new(ptr::null()),
        }
    }

    /// Leaves the queue, which is then locked; or has the message, if it was taken out before.
    fn give_up<'a>(&self, queue: &'a Queue) -> Result<Message, Locked<'a>> {
        let locked = queue.lock();
        // Relaxed: it is stored under the lock.
        match look(&self.state, Ordering::Relaxed) {
            WAITING => {
                // SAFETY: it has not been taken out of the list.
                unsafe { locked.remove(self) };
                locked.set_len(locked.len() - 1);
                Err(locked)
            }
            taken => Ok(taken & LAST_MESSAGE),
        }
    }

    /// Waits for the message, from when the word was as it was `left`; `None` if the time is up
    /// before.
    fn sleep(&self, queue: &Queue, left: u32, deadline: Deadline, alone: bool) -> Option<Message> {
        let slot = 1 << self.slot;
        // While the epoch does not change, this waiter has not been taken out.
        let apart = EPOCH - 1;
        let mut seen = left;
        let called = || self.state.load(Ordering::Relaxed) != WAITING;
        let mut called = alone
            && deadline != Deadline::Now
            && spin::pays()
            && spin::poll_for_another(deadline, called);
        loop {
            if !called
                && futex::wait_masked::<Private>(&queue.word, seen, apart, slot, deadline)
                    == Outcome::TimedOut
            {
                return None;
            }
            called = false;
            // Acquire: pairs with the Release of `unlock` (invariant 4).
            seen = look(&queue.word, Ordering::Acquire);
            // Relaxed: what was stored before the epoch that was just seen is there to see.
            let state = look(&self.state, Ordering::Relaxed);
            if state != WAITING && counts_at(state, seen) {
                return Some(state & LAST_MESSAGE);
            }
        }
    }
}

/// Whether the word has come to the epoch that the state of a waiter tells.
fn counts_at(state: u32, word: u32) -> bool {
    // Both are epochs of 29 bits, at the top. Their difference is negative if it is not there yet.
    let since = ((word / EPOCH) << MESSAGE_BITS).wrapping_sub(state & !LAST_MESSAGE);
    since <= u32::MAX / 2
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Builder, sync::Arc, thread};
    use std::time::Duration;

    /// As far as half of all epochs ahead, and no further.
    #[test]
    fn a_message_counts_from_its_epoch_on() {
        let last = u32::MAX / EPOCH;
        for from in [0, 1, 7, last / 2, last] {
            let state = WOKEN | from << MESSAGE_BITS;
            let word = |since: u32| from.wrapping_add(since).wrapping_mul(EPOCH) | (EPOCH - 1);
            for since in [0, 1, last / 2] {
                assert!(counts_at(state, word(since)), "{from}, {since}");
            }
            for since in [last / 2 + 1, last] {
                assert!(!counts_at(state, word(since)), "{from}, {since}");
            }
        }
    }

    /// At rest the word is the epoch alone: as many wakes as took a waiter out.
    #[test]
    fn at_rest_the_word_is_the_epoch() {
        Builder::new().check(|| {
            let queue = Arc::new(Queue::new());
            let waiter = thread::spawn({
                let queue = Arc::clone(&queue);
                let until = || Deadline::after(Duration::from_millis(1));
                move || queue.lock().wait(until).is_ok()
            });
            let woken = queue.lock().wake(1, WOKEN);
            assert_eq!(waiter.join().unwrap(), woken == 1);
            let rest = EPOCH * woken as u32;
            assert_eq!(queue.word.load(Ordering::Relaxed), rest);
            assert!(!queue.has_waiters());
            assert_eq!(queue.try_lock(), Ok(rest));
        });
    }
}
