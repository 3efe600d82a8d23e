// The primitives of a program, and what it does with them: with those of `primitives`, which the
// module that includes this has.

use std::time::Duration;

use racefree_loom::BrokenBarrierError;
use racefree_loom::model::RaceCell;
use racefree_loom::{Condvar, Mutex};

use primitives::{
    Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore,
};
use crate::program::{Kind, Op};
use crate::run;

const TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) enum Thing {
    Lock(Lock),
    RLock(RLock),
    Semaphore(Semaphore),
    Bounded(BoundedSemaphore),
    Event(Event),
    Condition(Condition<Lock>, RaceCell<usize>),
    NestedCondition(Condition<RLock>, RaceCell<usize>),
    /// The same in both: see `compare`.
    Condvar(Mutex<usize>, Condvar),
    Barrier(Barrier),
}

impl run::Thing for Thing {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Lock => Self::Lock(Lock::new()),
            Kind::RLock => Self::RLock(RLock::new()),
            Kind::Semaphore(value) => Self::Semaphore(Semaphore::new(value)),
            Kind::Bounded(value) => Self::Bounded(BoundedSemaphore::new(value)),
            Kind::Event => Self::Event(Event::new()),
            Kind::Condition => {
                Self::Condition(Condition::with_lock(Lock::new()), RaceCell::new(0))
            }
            Kind::NestedCondition => Self::NestedCondition(Condition::new(), RaceCell::new(0)),
            Kind::Condvar => Self::Condvar(Mutex::new(0), Condvar::new()),
            Kind::Barrier(parties) => Self::Barrier(Barrier::new(parties)),
            Kind::ActingBarrier(parties) => {
                let acted = RaceCell::new(0);
                let action = move || acted.with_mut(|it| *it += 1);
                Self::Barrier(Barrier::new(parties).with_action(action))
            }
        }
    }

    fn call(&self, op: Op) -> u8 {
        macro_rules! acquire {
            ($it:expr, $look:expr) => {
                match op {
                    Op::Acquire => {
                        $it.acquire();
                        1
                    }
                    Op::TryAcquire => $it.try_acquire().into(),
                    Op::AcquireTimeout => $it.acquire_timeout(TIMEOUT).into(),
                    Op::Release => $it.release().is_ok().into(),
                    Op::Look => $look,
                    other => unreachable!("{other:?}"),
                }
            };
        }
        macro_rules! condition {
            ($it:expr, $items:expr) => {{
                let any = || $items.with(|items| *items > 0);
                let mut code = 9;
                let locked = |body: &mut dyn FnMut()| {
                    $it.acquire();
                    body();
                    // Another one may have released it.
                    let _ = $it.release();
                };
                match op {
                    Op::Acquire => {
                        $it.acquire();
                        code = 1;
                    }
                    Op::TryAcquire => code = $it.try_acquire().into(),
                    Op::AcquireTimeout => code = $it.acquire_timeout(TIMEOUT).into(),
                    Op::Look => code = $it.n_waiting() as u8,
                    Op::Release => code = $it.release().is_ok().into(),
                    Op::WaitWithoutLock => {
                        code = $it.wait_timeout(TIMEOUT).map_or(2, u8::from);
                    }
                    Op::NotifyWithoutLock => code = $it.notify(1).is_ok().into(),
                    Op::Wait => locked(&mut || code = $it.wait().is_ok().into()),
                    Op::WaitTimeout => {
                        locked(&mut || code = $it.wait_timeout(TIMEOUT).map_or(2, u8::from));
                    }
                    Op::Notify => locked(&mut || code = $it.notify(1).is_ok().into()),
                    Op::NotifyTwo => locked(&mut || code = $it.notify(2).is_ok().into()),
                    Op::NotifyAll => locked(&mut || code = $it.notify_all().is_ok().into()),
                    Op::Put => locked(&mut || {
                        $items.with_mut(|items| *items += 1);
                        code = $it.notify(1).is_ok().into();
                    }),
                    Op::Take => locked(&mut || {
                        code = $it.wait_for(any).is_ok().into();
                        if code == 1 {
                            $items.with_mut(|items| *items -= 1);
                        }
                    }),
                    Op::TakeTimeout => locked(&mut || {
                        code = $it.wait_for_timeout(any, TIMEOUT).map_or(2, u8::from);
                        if code == 1 {
                            $items.with_mut(|items| *items -= 1);
                        }
                    }),
                    other => unreachable!("{other:?}"),
                }
                code
            }};
        }
        macro_rules! permits {
            ($it:expr) => {
                match op {
                    Op::AcquireTwo => {
                        $it.acquire_n(2);
                        1
                    }
                    Op::AcquireTwoTimeout => $it.acquire_n_timeout(2, TIMEOUT).into(),
                    Op::Drain => $it.drain() as u8,
                    Op::ReleaseTwo => $it.release_n(2).is_ok().into(),
                    _ => acquire!($it, $it.value() as u8),
                }
            };
        }
        match self {
            Self::Lock(it) => acquire!(it, it.locked().into()),
            Self::RLock(it) => acquire!(
                it,
                u8::from(it.locked()) + 2 * u8::from(it.is_owned()) + 4 * it.recursion_count() as u8
            ),
            Self::Semaphore(it) => permits!(it),
            Self::Bounded(it) => permits!(it),
            Self::Event(it) => match op {
                Op::Set => {
                    it.set();
                    1
                }
                Op::Clear => {
                    it.clear();
                    1
                }
                Op::Wait => {
                    it.wait();
                    1
                }
                Op::WaitTimeout => it.wait_timeout(TIMEOUT).into(),
                Op::Look => it.is_set().into(),
                other => unreachable!("{other:?}"),
            },
            Self::Condition(it, items) => condition!(it, items),
            Self::NestedCondition(it, items) => condition!(it, items),
            Self::Condvar(mutex, changed) => {
                // 100 is none; and otherwise the items, or how many were notified.
                let items = |guard: Option<usize>| guard.map_or(100, |it| it as u8);
                match op {
                    Op::TryAcquire => items(mutex.try_lock().map(|it| *it)),
                    Op::AcquireTimeout => items(mutex.try_lock_for(TIMEOUT).map(|it| *it)),
                    Op::Look => changed.n_waiting() as u8,
                    Op::Wait => {
                        let mut guard = mutex.lock();
                        changed.wait(&mut guard);
                        *guard as u8
                    }
                    Op::WaitTimeout => {
                        let waited = changed.wait_timeout(&mut mutex.lock(), TIMEOUT);
                        waited.timed_out().into()
                    }
                    Op::Notify => changed.notify_one().into(),
                    Op::NotifyTwo => changed.notify(2) as u8,
                    Op::NotifyAll => changed.notify_all() as u8,
                    Op::Put => {
                        let mut guard = mutex.lock();
                        *guard += 1;
                        changed.notify_one().into()
                    }
                    Op::Take => {
                        let mut guard = mutex.lock();
                        changed.wait_while(&mut guard, |it| *it == 0);
                        *guard -= 1;
                        *guard as u8
                    }
                    Op::TakeTimeout => {
                        let mut guard = mutex.lock();
                        let waited = changed.wait_while_timeout(&mut guard, |it| *it == 0, TIMEOUT);
                        if waited.timed_out() {
                            return 100;
                        }
                        *guard -= 1;
                        *guard as u8
                    }
                    other => unreachable!("{other:?}"),
                }
            }
            Self::Barrier(it) => {
                let waited = match op {
                    Op::Wait => it.wait(),
                    Op::WaitTimeout => it.wait_timeout(TIMEOUT),
                    Op::Reset => {
                        it.reset();
                        return 1;
                    }
                    Op::Abort => {
                        it.abort();
                        return 1;
                    }
                    Op::Look => return it.n_waiting() as u8,
                    Op::Broken => return it.broken().into(),
                    other => unreachable!("{other:?}"),
                };
                match waited {
                    Ok(index) => index as u8,
                    Err(BrokenBarrierError::Aborted) => 11,
                    Err(BrokenBarrierError::Reset) => 12,
                    Err(BrokenBarrierError::TimedOut) => 13,
                    Err(_) => 14,
                }
            }
        }
    }

    fn rest(&self) -> u8 {
        match self {
            Self::Lock(it) => it.locked().into(),
            Self::RLock(it) => it.locked().into(),
            Self::Semaphore(it) => it.value() as u8,
            Self::Bounded(it) => it.value() as u8,
            Self::Event(it) => it.is_set().into(),
            Self::Condition(it, items) => {
                2 * items.with(|it| *it) as u8 + u8::from(it.try_acquire())
            }
            Self::NestedCondition(it, items) => {
                2 * items.with(|it| *it) as u8 + u8::from(it.try_acquire())
            }
            Self::Condvar(mutex, changed) => 2 * *mutex.lock() as u8 + changed.n_waiting() as u8,
            Self::Barrier(it) => 2 * it.n_waiting() as u8 + u8::from(it.broken()),
        }
    }
}

