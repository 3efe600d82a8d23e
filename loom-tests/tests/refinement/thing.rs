// The primitives of a program, and what it does with them: with those of `primitives`, which the
// module that includes this has.

use std::time::Duration;

use racefree_loom::BrokenBarrierError;
use racefree_loom::model::RaceCell;

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
        match self {
            Self::Lock(it) => acquire!(it, it.locked().into()),
            Self::RLock(it) => acquire!(
                it,
                u8::from(it.locked()) + 2 * u8::from(it.is_owned()) + 4 * it.recursion_count() as u8
            ),
            Self::Semaphore(it) if op == Op::ReleaseTwo => it.release_n(2).is_ok().into(),
            Self::Semaphore(it) => acquire!(it, it.value() as u8),
            Self::Bounded(it) if op == Op::ReleaseTwo => it.release_n(2).is_ok().into(),
            Self::Bounded(it) => acquire!(it, it.value() as u8),
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
            Self::Barrier(it) => 2 * it.n_waiting() as u8 + u8::from(it.broken()),
        }
    }
}

