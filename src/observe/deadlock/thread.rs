//! What a thread holds, and what it waits for. A thread writes its own list, and other threads read
//! it when they look for a deadlock.
//!
//! Uses `order`, and nothing else of this crate.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::order::{Hold, Place};

/// So many different objects of a thread are followed at a time. It may hold more.
const MOST: usize = 64;

/// What is known of a hold, beside how many levels or permits it has.
pub(super) const LOCK: u32 = 1 << 31;
/// Only its holder gives it back, as far as can be seen.
pub(super) const OWNED: u32 = 1 << 30;
/// It was acquired by a method that returns a guard.
pub(super) const GUARD: u32 = 1 << 29;
const FLAGS: u32 = LOCK | OWNED | GUARD;

/// An object that the thread holds. `object` is 0 if the slot is free.
#[derive(Debug)]
struct Slot {
    object: AtomicU64,
    place: AtomicPtr<Location<'static>>,
    /// Levels or permits, and flags.
    levels: AtomicU32,
}

/// A hold as it was at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) hold: Hold,
    flags: u32,
}

impl Held {
    pub(super) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) object: u64,
    pub(super) place: Place,
    pub(super) method: &'static str,
    pub(super) since: Instant,
    /// Which of the thread's waits it is.
    pub(super) number: u64,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) number: u64,
    pub(super) name: String,
    held: [Slot; MOST],
    /// No slot from here on is used.
    len: AtomicU32,
    /// Acquires for which no slot was left.
    more: AtomicU32,
    /// Whether there is something in `taken`.
    robbed: AtomicBool,
    /// What other threads have given back for this one.
    taken: Mutex<Vec<u64>>,
    wait: Mutex<Option<Wait>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Thread {
    pub(super) fn new(number: u64) -> Self {
        let slot = || Slot {
            object: AtomicU64::new(0),
            place: AtomicPtr::new(ptr::null_mut()),
            levels: AtomicU32::new(0),
        };
        let name = std::thread::current().name().map(str::to_owned);
        Self {
            number,
            name: name.unwrap_or_else(|| format!("thread {number}")),
            held: std::array::from_fn(|_| slot()),
            len: AtomicU32::new(0),
            more: AtomicU32::new(0),
            robbed: AtomicBool::new(false),
            taken: Mutex::default(),
            wait: Mutex::default(),
        }
    }

    /// The used slots, for the thread itself. Relaxed, as in the functions below: only this thread
    /// writes them.
    fn slots(&self) -> &[Slot] {
        &self.held[..self.len.load(Ordering::Relaxed) as usize]
    }

    fn find(&self, object: u64) -> Option<&Slot> {
        let mut slots = self.slots().iter().rev();
        slots.find(|slot| slot.object.load(Ordering::Relaxed) == object)
    }

    pub(super) fn holds_nothing(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn holds(&self, object: u64) -> bool {
        self.settle();
        self.find(object).is_some()
    }

    /// This thread has acquired so many levels or permits of it.
    #[inline]
    pub(super) fn push(&self, object: u64, place: Place, levels: u32, flags: u32) {
        self.settle();
        if let Some(slot) = self.find(object) {
            let before = slot.levels.load(Ordering::Relaxed);
            slot.levels
                .store(before.wrapping_add(levels), Ordering::Relaxed);
            return;
        }
        let len = self.len.load(Ordering::Relaxed);
        let Some(slot) = self.held.get(len as usize) else {
            self.more
                .store(self.more.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return;
        };
        slot.place
            .store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
        slot.levels
            .store(levels & !FLAGS | flags, Ordering::Relaxed);
        // Release: who sees the object sees its place and its levels.
        slot.object.store(object, Ordering::Release);
        self.len.store(len + 1, Ordering::Release);
    }

    /// This thread gives so many levels or permits of it back, or all. Returns how many it had, and
    /// `None` if it has none.
    #[inline]
    pub(super) fn pop(&self, object: u64, levels: Option<u32>) -> Option<u32> {
        self.settle();
        let Some(slot) = self.find(object) else {
            let more = self.more.load(Ordering::Relaxed);
            // It may be one for which no slot was left.
            self.more.store(more.saturating_sub(1), Ordering::Relaxed);
            return (more > 0).then_some(1);
        };
        let before = slot.levels.load(Ordering::Relaxed);
        let had = before & !FLAGS;
        let left = levels.map_or(0, |levels| had.saturating_sub(levels));
        if left > 0 {
            slot.levels.store(before & FLAGS | left, Ordering::Relaxed);
        } else {
            self.free(slot);
        }
        Some(had)
    }

    /// Frees a slot, and moves the last one into it.
    fn free(&self, slot: &Slot) {
        let len = self.len.load(Ordering::Relaxed) - 1;
        let last = &self.held[len as usize];
        // Free before it is written anew: no thread reads one object with another one's place.
        slot.object.store(0, Ordering::Release);
        if !ptr::eq(slot, last) {
            slot.place
                .store(last.place.load(Ordering::Relaxed), Ordering::Relaxed);
            slot.levels
                .store(last.levels.load(Ordering::Relaxed), Ordering::Relaxed);
            slot.object
                .store(last.object.load(Ordering::Relaxed), Ordering::Release);
            last.object.store(0, Ordering::Release);
        }
        self.len.store(len, Ordering::Release);
    }

    /// Another thread gives back what this one holds.
    pub(super) fn rob(&self, object: u64) {
        let mut taken = lock(&self.taken);
        taken.push(object);
        // Under the lock, as where it is reset.
        self.robbed.store(true, Ordering::Relaxed);
    }

    /// Removes what other threads have given back.
    #[inline]
    fn settle(&self) {
        if self.robbed.load(Ordering::Relaxed) {
            self.settle_slow();
        }
    }

    #[cold]
    fn settle_slow(&self) {
        let mut taken = lock(&self.taken);
        self.robbed.store(false, Ordering::Relaxed);
        for object in std::mem::take(&mut *taken) {
            if let Some(slot) = self.find(object) {
                self.free(slot);
            }
        }
    }

    /// What the thread holds. Exact if it is the running one, or if it sleeps.
    pub(super) fn held(&self) -> Vec<Held> {
        let taken = lock(&self.taken);
        let len = self.len.load(Ordering::Acquire) as usize;
        let read = |slot: &Slot| {
            let object = slot.object.load(Ordering::Acquire);
            let place = slot.place.load(Ordering::Relaxed);
            if object == 0 || taken.contains(&object) {
                return None;
            }
            // SAFETY: a slot's place is null, or was made in `push` from a reference that lives as
            // long as the program.
            let place = unsafe { place.as_ref() }?;
            let levels = slot.levels.load(Ordering::Relaxed);
            Some(Held {
                hold: Hold {
                    object,
                    place,
                    amount: levels & !FLAGS,
                },
                flags: levels & FLAGS,
            })
        };
        self.held[..len.min(MOST)].iter().filter_map(read).collect()
    }

    /// The thread falls asleep, or looks again whether it has to.
    pub(super) fn sleeps(&self, wait: Wait) {
        *lock(&self.wait) = Some(wait);
    }

    pub(super) fn is_awake(&self) {
        *lock(&self.wait) = None;
    }

    pub(super) fn wait(&self) -> Option<Wait> {
        *lock(&self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(thread: &Thread) -> Vec<u64> {
        thread.held().iter().map(|held| held.hold.object).collect()
    }

    #[test]
    fn what_is_held_is_known_in_any_order() {
        let thread = Thread::new(1);
        let place = Location::caller();
        for object in [1, 2, 3] {
            thread.push(object, place, 1, LOCK);
        }
        thread.push(2, place, 2, LOCK);
        assert_eq!(thread.pop(1, Some(1)), Some(1));
        assert_eq!(objects(&thread), [3, 2]);
        assert_eq!(thread.held()[1].hold.amount, 3);
        assert!(thread.held()[1].is(LOCK) && !thread.held()[1].is(OWNED));
        assert_eq!(thread.pop(2, Some(1)), Some(3));
        assert_eq!(thread.pop(2, None), Some(2));
        assert_eq!(thread.pop(2, None), None);
        assert_eq!(objects(&thread), [3]);
        thread.rob(3);
        assert!(objects(&thread).is_empty());
        assert_eq!(thread.pop(3, None), None);
        assert!(thread.holds_nothing());
    }

    #[test]
    fn what_has_no_slot_is_counted() {
        let thread = Thread::new(1);
        let most = MOST as u64;
        for object in 1..=most + 2 {
            thread.push(object, Location::caller(), 1, LOCK);
        }
        assert_eq!(objects(&thread).len(), MOST);
        for object in (1..=most + 2).rev() {
            assert_eq!(thread.pop(object, Some(1)), Some(1));
        }
        assert_eq!(thread.pop(1, Some(1)), None);
    }
}
