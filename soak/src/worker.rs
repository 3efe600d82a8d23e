//! What each thread does.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{hint, thread};

use racefree::{Condition, ConditionLock, ReleaseError};

use crate::figures::{Figures, Slot};
use crate::room::{Door, Room};
use crate::world::{KINDS, Store, World};

pub(crate) struct Worker<'a> {
    world: &'a World,
    slot: &'a Slot,
    random: fastrand::Rng,
    pub(crate) figures: Figures,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(world: &'a World, slot: &'a Slot, random: fastrand::Rng) -> Self {
        Self {
            world,
            slot,
            random,
            figures: Figures::default(),
        }
    }

    /// Anything, again and again.
    pub(crate) fn work(&mut self) {
        let world = self.world;
        while !world.is_over() {
            let any = self.random.u8(0..KINDS);
            let kind = world
                .favourite
                .filter(|_| self.random.bool())
                .unwrap_or(any);
            match kind {
                0 | 1 => self.visit(&world.lock),
                2 => self.visit(&world.rlock),
                3 => self.nest(),
                4 => self.visit(&world.semaphore),
                5 => self.visit(&world.bounded),
                6 => self.panic_in(),
                7 | 8 => self.lock_the_mutex(),
                9 => self.give_and_take(),
                10 => self.trade(&world.store, 1),
                11 => {
                    let depth = self.random.usize(1..4);
                    self.trade(&world.nested_store, depth);
                }
                12 | 13 => self.wait_for_the_light(),
                14 | 15 => self.wait_for_a_supply(),
                16 | 17 => self.trade_at_the_shelf(),
                _ => self.meet(),
            }
        }
    }

    /// What some waits of the others need to come to an end.
    pub(crate) fn help(&mut self) {
        self.turn_the_light();
        let world = self.world;
        let owed = world.owed.swap(0, SeqCst);
        if owed > 0 {
            world.given.fetch_add(owed.into(), SeqCst);
            let released = self.step("Semaphore::release_n", || world.permits.release_n(owed));
            assert_eq!(released, Ok(()));
        }
        let owed = [&world.store.owed, &world.nested_store.owed].map(|it| it.swap(0, SeqCst));
        let owed_at_the_shelf = world.shelf.owed.swap(0, SeqCst);
        if owed_at_the_shelf > 0 {
            self.fill_the_shelf(owed_at_the_shelf);
        }
        if owed[0] > 0 {
            self.stock(&world.store, owed[0]);
        }
        if owed[1] > 0 {
            self.stock(&world.nested_store, owed[1]);
        }
    }

    /// Passes the barrier in step with the others, until told that it was the last time.
    pub(crate) fn march(&mut self) {
        let march = &self.world.march;
        for step in 1.. {
            let patient = self.random.bool();
            let passed = self.step("Barrier::wait", || match patient {
                true => march.barrier.wait(),
                false => march.barrier.wait_timeout(Duration::MAX),
            });
            assert!(passed.is_ok(), "{passed:?}");
            // Nobody can be a step ahead of the one who asks.
            assert_eq!(march.steps.load(Relaxed), step, "{:?}", march.barrier);
            if march.last.load(Relaxed) {
                break;
            }
            self.linger();
        }
    }

    /// Green, and red again.
    fn turn_the_light(&mut self) {
        let light = &self.world.light;
        light.sets_begun.fetch_add(1, SeqCst);
        self.step("Event::set", || light.event.set());
        light.sets.fetch_add(1, SeqCst);
        if self.random.bool() {
            self.pause(300);
        }
        light.clears_begun.fetch_add(1, SeqCst);
        self.step("Event::clear", || light.event.clear());
        light.clears.fetch_add(1, SeqCst);
        self.pause(1000);
    }

    /// One operation, that the watcher knows of.
    fn step<R>(&mut self, what: &'static str, operation: impl FnOnce() -> R) -> R {
        self.slot.begin(what, Instant::now());
        let result = operation();
        self.slot.end();
        self.figures.operations += 1;
        result
    }

    /// One that waits no longer than told.
    fn timed(
        &mut self,
        what: &'static str,
        timeout: Duration,
        wait: impl FnOnce(Instant) -> bool,
    ) -> bool {
        let start = Instant::now();
        let came = self.step(what, || wait(start + timeout));
        if !came {
            self.figures.timed_out(what, timeout, start.elapsed());
        }
        came
    }

    /// A time to wait: nothing, next to nothing, or less than a few sleeps take.
    fn timeout(&mut self) -> Duration {
        match self.random.u8(0..8) {
            0 => Duration::ZERO,
            1 => Duration::from_nanos(1),
            2..6 => Duration::from_nanos(self.random.u64(0..200_000)),
            _ => Duration::from_micros(self.random.u64(0..5_000)),
        }
    }

    fn pause(&mut self, micros: u64) {
        thread::sleep(Duration::from_micros(self.random.u64(0..micros)));
    }

    /// Mostly a short moment, sometimes until others have run.
    fn linger(&mut self) {
        match self.random.u8(0..60) {
            0 => self.pause(100),
            1..5 => thread::yield_now(),
            5..15 => (0..self.random.u32(0..2000)).for_each(|_| hint::spin_loop()),
            _ => {}
        }
    }

    /// Acquires in one way or another, and says whether it did.
    fn enter<D: Door>(&mut self, door: &D) -> bool {
        match self.random.u8(0..8) {
            0 => self.step(D::NAME, || door.try_acquire()),
            1 | 2 => {
                let timeout = self.timeout();
                self.timed(D::NAME, timeout, |_| door.acquire_timeout(timeout))
            }
            3 => {
                let timeout = self.timeout();
                self.timed(D::NAME, timeout, |deadline| door.acquire_until(deadline))
            }
            4 => self.step(D::NAME, || door.acquire_timeout(Duration::MAX)),
            _ => {
                self.step(D::NAME, || door.acquire());
                true
            }
        }
    }

    fn leave<D: Door>(&mut self, door: &D) {
        let released = self.step(D::NAME, || door.release());
        assert_eq!(released, Ok(()), "{door:?}");
    }

    fn visit<D: Door>(&mut self, room: &Room<D>) {
        if self.enter(&room.door) {
            room.stay(|| self.linger());
            self.leave(&room.door);
        }
    }

    fn nest(&mut self) {
        let room = &self.world.rlock;
        assert_eq!(room.door.release(), Err(ReleaseError::NotOwner));
        if !self.enter(&room.door) {
            return;
        }
        let depth = self.random.u32(1..5);
        room.stay(|| {
            for level in 1..depth {
                assert_eq!(room.door.recursion_count(), level);
                assert!(self.enter(&room.door), "the owner is kept out");
                self.linger();
            }
        });
        (0..depth).for_each(|_| self.leave(&room.door));
        assert!(!room.door.is_owned());
    }

    /// Panics under a guard, and goes on.
    fn panic_in(&mut self) {
        fn panic_in<D: Door>(worker: &mut Worker<'_>, room: &Room<D>) {
            let panicked = worker.step(D::NAME, || {
                catch_unwind(AssertUnwindSafe(|| {
                    room.door.with_guard(&mut || {
                        room.stay(|| ());
                        // Without the hook, which would end all.
                        resume_unwind(Box::new(()));
                    });
                }))
            });
            assert!(panicked.is_err());
            worker.figures.panics += 1;
        }
        let world = self.world;
        match self.random.u8(0..7) {
            0 => panic_in(self, &world.lock),
            1 => panic_in(self, &world.rlock),
            2 => panic_in(self, &world.semaphore),
            3 => panic_in(self, &world.bounded),
            4 => panic_in(self, &world.store.room),
            5 => panic_in(self, &world.nested_store.room),
            _ => {
                let panicked = self.step("Mutex", || {
                    catch_unwind(AssertUnwindSafe(|| {
                        let _guard = world.mutex.lock();
                        resume_unwind(Box::new(()));
                    }))
                });
                assert!(panicked.is_err());
                self.figures.panics += 1;
            }
        }
    }

    fn lock_the_mutex(&mut self) {
        let world = self.world;
        let (way, timeout) = (self.random.u8(0..6), self.timeout());
        let mut guard = None;
        let mut keep = |locked: Option<_>| {
            guard = locked;
            guard.is_some()
        };
        let locked = match way {
            0 => self.step("Mutex", || keep(world.mutex.try_lock())),
            1 => self.timed("Mutex", timeout, |_| {
                keep(world.mutex.try_lock_for(timeout))
            }),
            2 => self.timed("Mutex", timeout, |deadline| {
                keep(world.mutex.try_lock_until(deadline))
            }),
            _ => self.step("Mutex", || keep(Some(world.mutex.lock()))),
        };
        assert_eq!(locked, guard.is_some());
        if let Some(mut guard) = guard {
            let before = *guard;
            self.linger();
            *guard = before + 1;
            world.mutex_entries.fetch_add(1, Relaxed);
        }
    }

    /// Gives permits, and then takes as many, of whoever's.
    fn give_and_take(&mut self) {
        let world = self.world;
        let number = self.random.u32(1..6);
        world.given.fetch_add(number.into(), SeqCst);
        let released = self.step("Semaphore::release_n", || world.permits.release_n(number));
        assert_eq!(released, Ok(()));
        self.linger();
        self.take(number);
    }

    /// Asks for permits, which come several at once, and takes them.
    fn wait_for_a_supply(&mut self) {
        let number = self.random.u32(1..3);
        self.world.owed.fetch_add(number, SeqCst);
        self.take(number);
    }

    fn take(&mut self, number: u32) {
        let world = self.world;
        let mut left = number;
        while left > 0 {
            let n = self.random.u32(1..=left);
            if self.enter_with(n) {
                let taken = world.taken.fetch_add(n.into(), SeqCst) + u64::from(n);
                assert!(
                    taken <= world.given.load(SeqCst),
                    "a permit that nobody gave"
                );
                left -= n;
            }
        }
    }

    /// Acquires so many permits in one way or another, and says whether it did.
    fn enter_with(&mut self, n: u32) -> bool {
        let permits = &self.world.permits;
        let (way, timeout) = (self.random.u8(0..4), self.timeout());
        match way {
            _ if n == 1 => self.enter(permits),
            0 => self.step("Semaphore::try_acquire_n", || permits.try_acquire_n(n)),
            1 => self.timed("Semaphore::acquire_n_timeout", timeout, |_| {
                permits.acquire_n_timeout(n, timeout)
            }),
            _ => {
                self.step("Semaphore::acquire_n", || permits.acquire_n(n));
                true
            }
        }
    }

    /// As [`trade`](Self::trade), with a mutex and a condition variable.
    fn trade_at_the_shelf(&mut self) {
        let shelf = &self.world.shelf;
        let number = self.random.u32(1..4);
        if self.random.u8(0..3) == 0 {
            self.fill_the_shelf(number);
        } else {
            shelf.owed.fetch_add(number, SeqCst);
        }
        self.linger();
        for _ in 0..number {
            while !self.take_from_the_shelf() {}
        }
    }

    fn fill_the_shelf(&mut self, number: u32) {
        let shelf = &self.world.shelf;
        let mut tokens = self.step("Mutex", || shelf.tokens.lock());
        *tokens += u64::from(number);
        let held = self.random.bool().then_some(tokens);
        let notified = self.step("Condvar::notify", || shelf.changed.notify(number as usize));
        assert!(notified <= number as usize);
        drop(held);
    }

    fn take_from_the_shelf(&mut self) -> bool {
        let shelf = &self.world.shelf;
        let (way, timeout) = (self.random.u8(0..3), self.timeout());
        let mut tokens = self.step("Mutex", || shelf.tokens.lock());
        let none = |tokens: &mut u64| *tokens == 0;
        match way {
            0 => {
                self.timed("Condvar::wait_while_timeout", timeout, |_| {
                    let ended = shelf.changed.wait_while_timeout(&mut tokens, none, timeout);
                    !ended.timed_out()
                });
            }
            1 if *tokens == 0 => {
                self.timed("Condvar::wait_until", timeout, |deadline| {
                    !shelf.changed.wait_until(&mut tokens, deadline).timed_out()
                });
            }
            _ => self.step("Condvar::wait_while", || {
                shelf.changed.wait_while(&mut tokens, none);
            }),
        }
        let came = *tokens > 0;
        if came {
            let before = *tokens;
            self.linger();
            *tokens = before - 1;
        }
        came
    }

    /// Gives tokens under a condition's lock, or asks for some, which come several at once; and then
    /// takes as many, of whoever's.
    fn trade<L: ConditionLock>(&mut self, store: &Store<Condition<L>>, depth: usize)
    where
        Condition<L>: Door,
    {
        let number = self.random.u32(1..4);
        if self.random.u8(0..3) == 0 {
            self.stock(store, number);
        } else {
            store.owed.fetch_add(number, SeqCst);
        }
        self.linger();
        self.take_tokens(store, number, depth);
    }

    fn stock<L: ConditionLock>(&mut self, store: &Store<Condition<L>>, number: u32)
    where
        Condition<L>: Door,
    {
        let condition = &store.room.door;
        while !self.enter(condition) {}
        store.room.stay(|| {
            store.tokens.fetch_add(number.into(), Relaxed);
            self.linger();
            let notified = self.step("Condition::notify", || condition.notify(number as usize));
            assert_eq!(notified, Ok(()));
        });
        self.leave(condition);
    }

    fn take_tokens<L: ConditionLock>(
        &mut self,
        store: &Store<Condition<L>>,
        number: u32,
        depth: usize,
    ) where
        Condition<L>: Door,
    {
        let condition = &store.room.door;
        let mut left = number;
        while left > 0 {
            for _ in 0..depth {
                self.step("Condition::acquire", || condition.acquire());
            }
            let any = || store.tokens.load(Relaxed) > 0;
            let came = match self.random.u8(0..3) {
                0 => {
                    let timeout = self.timeout();
                    self.timed("Condition::wait_for_timeout", timeout, |_| {
                        condition.wait_for_timeout(any, timeout) == Ok(true)
                    })
                }
                1 => {
                    let timeout = self.timeout();
                    let wait = |deadline| condition.wait_until(deadline) == Ok(true);
                    // What was notified may have been taken by another.
                    (any() || self.timed("Condition::wait_until", timeout, wait)) && any()
                }
                _ => {
                    let waited = self.step("Condition::wait_for", || condition.wait_for(any));
                    assert_eq!(waited, Ok(()));
                    true
                }
            };
            if came {
                store.room.stay(|| {
                    let before = store.tokens.load(Relaxed);
                    self.linger();
                    assert!(before > 0, "{condition:?} let somebody go for nothing");
                    store.tokens.store(before - 1, Relaxed);
                });
                left -= 1;
            }
            (0..depth).for_each(|_| self.leave(condition));
        }
    }

    fn wait_for_the_light(&mut self) {
        let light = &self.world.light;
        let cleared = light.clears.load(SeqCst);
        // Set by now, and not yet to be cleared: it is, for as long as nothing begins.
        let clears_begun = light.clears_begun.load(SeqCst);
        let green = light.sets.load(SeqCst) > clears_begun;
        let timeout = self.timeout();
        let came = match self.random.u8(0..4) {
            0 => self.timed("Event::wait_timeout", timeout, |_| {
                light.event.wait_timeout(timeout)
            }),
            1 => self.timed("Event::wait_until", timeout, |deadline| {
                light.event.wait_until(deadline)
            }),
            2 => self.step("Event::is_set", || light.event.is_set()),
            _ => {
                self.step("Event::wait", || light.event.wait());
                true
            }
        };
        if came {
            assert!(
                light.sets_begun.load(SeqCst) > cleared,
                "green, and nobody set it"
            );
        } else {
            let still = light.clears_begun.load(SeqCst) == clears_begun;
            assert!(!(green && still), "red, and nobody cleared it");
        }
    }

    /// Waits at a barrier that others break.
    fn meet(&mut self) {
        let world = self.world;
        let barrier = &world.barrier;
        match self.random.u8(0..40) {
            0 => self.step("Barrier::abort", || barrier.abort()),
            1..4 => self.step("Barrier::reset", || barrier.reset()),
            _ => {
                let timeout = match self.random.u8(0..8) {
                    0 => Duration::from_nanos(self.random.u64(0..100_000)),
                    _ => Duration::from_millis(5),
                };
                let start = Instant::now();
                let passed = self.step("Barrier::wait_timeout", || barrier.wait_timeout(timeout));
                let took = start.elapsed();
                match passed {
                    Ok(index) => _ = world.passed[index].fetch_add(1, Relaxed),
                    Err(_) => {
                        // It may have been told so by another, and then earlier.
                        if took >= timeout {
                            self.figures
                                .timed_out("Barrier::wait_timeout", timeout, took);
                        }
                        self.step("Barrier::reset", || barrier.reset());
                    }
                }
            }
        }
    }
}
