//! What the threads of a round share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use racefree::{
    Barrier, BoundedSemaphore, Condition, Condvar, Event, Lock, Mutex, RLock, Semaphore,
};

use crate::room::{Door, Room};

/// How many kinds of things a thread may do.
pub(crate) const KINDS: u8 = 20;

/// How many threads do nothing but pass a barrier.
pub(crate) const MARCHERS: usize = 3;

/// The parties of the barrier that is broken all the time.
const PARTIES: usize = 3;

/// Tokens that each thread gives, or is owed, before it takes as many: so whoever waits for one need
/// not wait for ever.
#[derive(Debug)]
pub(crate) struct Store<D> {
    pub(crate) room: Room<D>,
    pub(crate) tokens: AtomicU64,
    pub(crate) owed: AtomicU32,
}

impl<D: Door> Store<D> {
    fn new(door: D) -> Self {
        Self {
            room: Room::new(door, 1),
            tokens: AtomicU64::new(0),
            owed: AtomicU32::new(0),
        }
    }

    fn balance(&self) {
        assert_eq!(self.tokens.load(Relaxed), 0, "{self:?}");
        self.room.balance();
    }
}

/// Tokens as those of a [`Store`], in a mutex, with a condition variable.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) tokens: Mutex<u64>,
    pub(crate) changed: Condvar,
    pub(crate) owed: AtomicU32,
}

/// An event that one thread sets and clears.
#[derive(Debug, Default)]
pub(crate) struct Light {
    pub(crate) event: Event,
    /// How often it began to be set, how often that was done, and the same for clearing.
    pub(crate) sets_begun: AtomicU64,
    pub(crate) sets: AtomicU64,
    pub(crate) clears_begun: AtomicU64,
    pub(crate) clears: AtomicU64,
}

/// A barrier that some threads pass in step.
#[derive(Debug)]
pub(crate) struct March {
    pub(crate) barrier: Barrier,
    /// The steps taken, and whether the last was the last: written by the action.
    pub(crate) steps: Arc<AtomicU64>,
    pub(crate) last: Arc<AtomicBool>,
}

impl March {
    fn new(over: &Arc<AtomicBool>) -> Self {
        let (steps, last) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let own = (Arc::clone(&steps), Arc::clone(&last), Arc::clone(over));
        let barrier = Barrier::new(MARCHERS).with_action(move || {
            let (steps, last, over) = &own;
            steps.fetch_add(1, Relaxed);
            last.store(over.load(Relaxed), Relaxed);
        });
        Self {
            barrier,
            steps,
            last,
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    over: Arc<AtomicBool>,
    /// What half of all that is done is, in some rounds: so that many meet there.
    pub(crate) favourite: Option<u8>,
    pub(crate) lock: Room<Lock>,
    pub(crate) rlock: Room<RLock>,
    pub(crate) semaphore: Room<Semaphore>,
    pub(crate) bounded: Room<BoundedSemaphore>,
    pub(crate) size: u32,
    pub(crate) mutex: Mutex<u64>,
    pub(crate) mutex_entries: AtomicU64,
    /// Permits that are given and taken: how many were.
    pub(crate) permits: Semaphore,
    pub(crate) given: AtomicU64,
    pub(crate) taken: AtomicU64,
    /// Permits that are waited for and have yet to be given.
    pub(crate) owed: AtomicU32,
    pub(crate) store: Store<Condition<Lock>>,
    pub(crate) nested_store: Store<Condition<RLock>>,
    pub(crate) shelf: Shelf,
    pub(crate) light: Light,
    pub(crate) march: March,
    pub(crate) barrier: Barrier,
    pub(crate) passed: [AtomicU32; PARTIES],
}

impl World {
    pub(crate) fn new(random: &mut fastrand::Rng) -> Self {
        let over = Arc::default();
        let size = random.u32(1..6);
        let permits = random.u32(1..4);
        let favourite = random.u8(0..2 * KINDS);
        Self {
            favourite: (favourite < KINDS).then_some(favourite),
            lock: Room::new(Lock::new(), 1),
            rlock: Room::new(RLock::new(), 1),
            semaphore: Room::new(Semaphore::new(permits), permits),
            bounded: Room::new(BoundedSemaphore::new(size), size),
            size,
            mutex: Mutex::new(0),
            mutex_entries: AtomicU64::new(0),
            permits: Semaphore::new(0),
            given: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            owed: AtomicU32::new(0),
            store: Store::new(Condition::with_lock(Lock::new())),
            nested_store: Store::new(Condition::new()),
            shelf: Shelf::default(),
            light: Light::default(),
            march: March::new(&over),
            barrier: Barrier::new(PARTIES),
            passed: Default::default(),
            over,
        }
    }

    /// Tells all to come to an end.
    pub(crate) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Fails unless all is as it has to be when all have ended.
    pub(crate) fn balance(&self) {
        assert!(
            self.bounded.door.release().is_err(),
            "{:?} has lost a permit",
            self.bounded
        );
        assert_eq!(self.bounded.door.value(), self.size);
        self.lock.balance();
        self.rlock.balance();
        self.semaphore.balance();
        self.bounded.balance();
        let entries = self.mutex_entries.load(Relaxed);
        let counted = self.mutex.try_lock().map(|counted| *counted);
        assert_eq!(counted, Some(entries), "{:?}", self.mutex);
        let (given, taken) = (self.given.load(SeqCst), self.taken.load(SeqCst));
        assert_eq!(
            given,
            taken + u64::from(self.permits.value()),
            "{:?}",
            self.permits
        );
        self.store.balance();
        self.nested_store.balance();
        assert_eq!(self.shelf.changed.n_waiting(), 0);
        let left = self.shelf.tokens.try_lock().map(|tokens| *tokens);
        assert_eq!(left, Some(0), "{:?}", self.shelf);
        assert_eq!(self.march.barrier.n_waiting() + self.barrier.n_waiting(), 0);
        let passed = self.passed.each_ref().map(|it| it.load(Relaxed));
        assert_eq!(
            passed, [passed[0]; PARTIES],
            "rounds of {:?} were passed by halves",
            self.barrier
        );
    }
}
