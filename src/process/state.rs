//! A state that processes change one after the other, each change in one step.
//!
//! ```text
//! latch | count | bell | copy 0 | copy 1
//! ```
//!
//! The state is the copy that the lowest bit of `count` names. A change:
//!
//! | step | what a death after it leaves |
//! |---|---|
//! | takes the latch, a robust lock (`word.rs`) | the old state; the next process takes the latch from the dead one |
//! | writes the new state into the other copy | the same |
//! | adds one to `count` | the new state |
//! | releases the latch | the new state |
//! | rings the bell: wakes those who sleep, if any do | the new state; sleepers look again within 50 ms |
//!
//! So a process may end at any instruction: the change has happened, or it has not. Nothing has to be
//! repaired, and there is no journal.
//!
//! # Invariants
//!
//! 1. The copy that `count` names is never written. So a reader without the latch has seen one state
//!    if `count` is the same before and after it.
//! 2. Who sleeps has marked the bell before it looked at the state under the latch. So a change that
//!    it did not see comes after it and sees the mark.
//! 3. The bytes of a copy are accessed as atomics and copied before they are used. Each pattern of
//!    bytes is a valid state: numbers are checked where they are used as indices.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::member::Me;
use super::word::{Word, sleep};
use crate::deadline::Deadline;
use crate::futex::{self, Shared};

/// Plain data that processes can share: numbers, arrays of them, and structs for which
/// [`zerocopy`]'s traits are derived. Implemented for all of these.
pub trait Data: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Copy + Send + Sync + 'static> Data for T {}

/// A place for data in a region.
#[repr(C, align(8))]
pub(super) struct Place<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: it is accessed as atomics alone.
unsafe impl<T: Data> Sync for Place<T> {}

impl<T: Data> Place<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(MaybeUninit::new(value)))
    }

    pub(super) const fn zeroed() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    fn words(&self) -> &[AtomicU64] {
        let first = self.0.get().cast::<AtomicU64>();
        // SAFETY: the place has this size and is aligned for it. Nothing accesses it in another way.
        // Its bytes are initialized: it is in a region.
        unsafe { slice::from_raw_parts(first, size_of::<Self>() / 8) }
    }

    /// The first `length` bytes of the data, and zeroes after them. If another process writes at the
    /// same time, they may be of several values.
    pub(super) fn load(&self, length: usize) -> T {
        let mut value = T::new_zeroed();
        let length = length.min(size_of::<T>());
        for (bytes, word) in value.as_mut_bytes()[..length]
            .chunks_mut(8)
            .zip(self.words())
        {
            let word = word.load(Ordering::Relaxed).to_ne_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        value
    }

    /// Stores the first `length` bytes.
    pub(super) fn store(&self, value: &T, length: usize) {
        let length = length.min(size_of::<T>());
        for (bytes, word) in value.as_bytes()[..length].chunks(8).zip(self.words()) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
    }
}

/// What a [`State`] contains.
pub(super) trait Plain: Data {
    /// How many bytes of it are in use, in a state that begins with the number `first`.
    fn used(_first: u32) -> usize {
        size_of::<Self>()
    }
}

/// What to do after a look at the state.
pub(super) enum Next<R> {
    /// The changed state becomes the state, and those who wait for a change look at it.
    Commit(R),
    /// The changed state becomes the state. It is nothing that others wait for.
    Quiet(R),
    /// The state stays as it is.
    Leave(R),
    /// The state stays as it is. Look again after a change of another thread.
    Sleep,
    /// The changed state becomes the state, and those who wait look at it. Then the same.
    CommitAndSleep,
}

/// How long a call that does not block, or that has little time left, waits for a process that is
/// in the middle of a change. It takes longer if that process is stopped there.
const GRACE: Duration = Duration::from_secs(1);

/// Threads wait for changes.
const AWAITED: u32 = 1;

/// See the module.
#[repr(C)]
pub(super) struct State<S> {
    latch: Word,
    count: AtomicU32,
    /// The lowest bit is `AWAITED`, the others count.
    bell: AtomicU32,
    copies: [Place<S>; 2],
}

impl<S: Plain> State<S> {
    pub(super) const fn new(state: S) -> Self {
        Self {
            latch: Word::new(),
            count: AtomicU32::new(0),
            bell: AtomicU32::new(0),
            copies: [Place::new(state), Place::zeroed()],
        }
    }

    /// The state at a moment.
    pub(super) fn look(&self) -> S {
        loop {
            // Acquire: pairs with the Release of a commit.
            let count = self.count.load(Ordering::Acquire);
            let state = self.load(count);
            // The loads above come before the load below.
            fence(Ordering::Acquire);
            if self.count.load(Ordering::Relaxed) == count {
                return state;
            }
        }
    }

    fn copy(&self, count: u32) -> &Place<S> {
        &self.copies[(count & 1) as usize]
    }

    fn load(&self, count: u32) -> S {
        let copy = self.copy(count);
        let first = copy.words()[0].load(Ordering::Relaxed).to_ne_bytes();
        let [a, b, c, d, ..] = first;
        copy.load(S::used(u32::from_ne_bytes([a, b, c, d])))
    }

    /// Makes a step, as soon as no other process is in the middle of one. `None` if that takes
    /// longer than `deadline`.
    #[inline]
    fn step<R>(
        &self,
        me: Me,
        deadline: Deadline,
        act: impl FnOnce(&mut S) -> Next<R>,
    ) -> Option<Next<R>> {
        let enough = || match deadline {
            Deadline::Never => Deadline::Never,
            Deadline::Now => Deadline::after(GRACE),
            Deadline::At(end) => Deadline::At(end.max(Instant::now() + GRACE)),
        };
        self.latch.take(me, 0, enough).ok().flatten()?;
        let latched = Latched(&self.latch, me);
        // Relaxed: the latch orders it. (Of one that died, see `word.rs`.)
        let count = self.count.load(Ordering::Relaxed);
        let mut state = self.load(count);
        let next = act(&mut state);
        let rings = matches!(next, Next::Commit(_) | Next::CommitAndSleep);
        if rings || matches!(next, Next::Quiet(_)) {
            // Readers that are at this copy see another count afterwards: the copies change sides
            // before this one is written again. Release: see `look`.
            fence(Ordering::Release);
            let [a, b, c, d, ..] = first_bytes(&state);
            let used = S::used(u32::from_ne_bytes([a, b, c, d]));
            self.copy(count.wrapping_add(1)).store(&state, used);
            // Release: pairs with the Acquire of `look`.
            self.count.store(count.wrapping_add(1), Ordering::Release);
        }
        drop(latched);
        if rings {
            self.ring();
        }
        Some(next)
    }

    /// Changes the state. `act` does not sleep.
    #[inline]
    pub(super) fn change<R>(&self, me: Me, act: impl FnOnce(&mut S) -> Next<R>) -> R {
        match self.step(me, Deadline::Never, act) {
            Some(Next::Commit(result) | Next::Quiet(result) | Next::Leave(result)) => result,
            _ => unreachable!("it has no deadline, and does not sleep"),
        }
    }

    /// Looks at the state after each change, until `act` is content with it or until `deadline`.
    /// `act` is told whether to look who is alive.
    #[inline]
    pub(super) fn wait<R>(
        &self,
        me: Me,
        deadline: impl FnOnce() -> Deadline,
        mut act: impl FnMut(&mut S, bool) -> Next<R>,
    ) -> Option<R> {
        match self.step(me, Deadline::Now, |state| act(state, false)) {
            Some(Next::Commit(result) | Next::Quiet(result) | Next::Leave(result)) => Some(result),
            _ => self.wait_slow(me, deadline(), act),
        }
    }

    #[cold]
    fn wait_slow<R>(
        &self,
        me: Me,
        deadline: Deadline,
        mut act: impl FnMut(&mut S, bool) -> Next<R>,
    ) -> Option<R> {
        let mut alive = true;
        loop {
            // Relaxed: the latch orders it (invariant 2).
            let heard = self.bell.fetch_or(AWAITED, Ordering::Relaxed) | AWAITED;
            match self.step(me, deadline, |state| act(state, alive))? {
                Next::Commit(result) | Next::Quiet(result) | Next::Leave(result) => {
                    return Some(result);
                }
                Next::Sleep | Next::CommitAndSleep => {}
            }
            if deadline.has_passed() {
                return None;
            }
            alive = sleep(&self.bell, heard, deadline);
        }
    }

    /// Wakes all who sleep.
    #[inline]
    fn ring(&self) {
        let heard = self.bell.load(Ordering::Relaxed);
        if heard & AWAITED != 0 {
            self.ring_slow(heard);
        }
    }

    #[cold]
    fn ring_slow(&self, heard: u32) {
        // Without the mark. If it fails, another thread rings.
        let rung = heard.wrapping_add(AWAITED);
        let bell = &self.bell;
        if bell
            .compare_exchange(heard, rung, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            futex::wake::<Shared>(&raw const *bell, futex::ALL);
        }
    }
}

fn first_bytes<S: Plain>(state: &S) -> [u8; 8] {
    let mut first = [0; 8];
    let bytes = state.as_bytes();
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    first
}

/// Releases the latch, also in a panic.
struct Latched<'a>(&'a Word, Me);

impl Drop for Latched<'_> {
    #[inline]
    fn drop(&mut self) {
        // An error: the word was overwritten, by one that is no part of this.
        let _ = self.0.release(self.1);
    }
}
