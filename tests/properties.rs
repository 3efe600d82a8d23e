//! Random sequences of all operations, beside a plain model: each has to say what the model says,
//! and to leave what the model leaves.

mod common;

use std::fmt::Debug;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use common::{Acquire, LIMIT, Running, spawn};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use racefree::{BoundedSemaphore, Event, Lock, RLock, ReleaseError, Semaphore};

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        // A case that hangs takes a while, and so do the smaller ones that are tried after it.
        max_shrink_time: 20_000,
        ..ProptestConfig::with_cases(256)
    }
}

/// Checks a case in a thread of its own, so that it fails if it hangs.
fn in_time(check: impl FnOnce() + Send + 'static) {
    spawn(check).end();
}

const MAX: u32 = Semaphore::MAX_VALUE;

#[derive(Clone, Copy, Debug)]
enum Wait {
    Patient,
    Try,
    Zero,
    Nanosecond,
    Longest,
    Past,
    Soon,
}

fn waits() -> impl Strategy<Value = Wait> {
    let waits = [Wait::Patient, Wait::Try, Wait::Zero, Wait::Longest];
    // Few of those that may get as far as a sleep, which a busy machine makes a long one.
    let timed = [Wait::Nanosecond, Wait::Past, Wait::Soon];
    prop_oneof![9 => select(waits.to_vec()), 1 => select(timed.to_vec())]
}

impl Wait {
    /// The wait itself; or, if it would never end because nothing is `there`, one that does.
    fn unless_for_ever(self, there: bool) -> Self {
        match self {
            Self::Patient | Self::Longest if !there => Self::Try,
            other => other,
        }
    }

    fn acquire<P: Acquire>(self, primitive: &P) -> bool {
        match self {
            Self::Patient => {
                primitive.acquire();
                true
            }
            Self::Try => primitive.try_acquire(),
            Self::Zero => primitive.acquire_timeout(Duration::ZERO),
            Self::Nanosecond => primitive.acquire_timeout(Duration::from_nanos(1)),
            Self::Longest => primitive.acquire_timeout(Duration::MAX),
            Self::Past => primitive.acquire_until(Instant::now() - Duration::from_millis(1)),
            Self::Soon => primitive.acquire_until(Instant::now() + Duration::from_micros(10)),
        }
    }

    fn event(self, event: &Event) -> bool {
        match self {
            Self::Patient => {
                event.wait();
                true
            }
            Self::Try => event.is_set(),
            Self::Zero => event.wait_timeout(Duration::ZERO),
            Self::Nanosecond => event.wait_timeout(Duration::from_nanos(1)),
            Self::Longest => event.wait_timeout(Duration::MAX),
            Self::Past => event.wait_until(Instant::now() - Duration::from_millis(1)),
            Self::Soon => event.wait_until(Instant::now() + Duration::from_micros(10)),
        }
    }
}

/// What becomes of a guard.
#[derive(Clone, Copy, Debug)]
enum Guarded {
    Dropped,
    Released,
    Forgotten,
}

const GUARDED: [Guarded; 3] = [Guarded::Dropped, Guarded::Released, Guarded::Forgotten];

impl Guarded {
    fn run<P: Acquire>(self, primitive: &P) -> Result<(), ReleaseError> {
        let guard = primitive.guard();
        match self {
            Self::Dropped => drop(guard),
            Self::Released => return guard.release(),
            Self::Forgotten => mem::forget(guard),
        }
        Ok(())
    }
}

/// The result of any step.
#[derive(Debug, PartialEq)]
enum Said {
    Acquired(bool),
    Released(Result<(), ReleaseError>),
    Skipped,
}

/// `Lock` and both semaphores, which one model fits: a lock is a semaphore with one permit.
mod permits {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Step {
        Acquire(Wait),
        Release,
        ReleaseN(u32),
        Guard(Guarded),
    }

    pub(super) fn steps(release_n: bool) -> impl Strategy<Value = Vec<Step>> {
        let numbers = prop_oneof![4 => 0..4_u32, 1 => MAX - 4..=u32::MAX];
        let step = prop_oneof![
            3 => waits().prop_map(Step::Acquire),
            1 => Just(Step::Release),
            u32::from(release_n) => numbers.prop_map(Step::ReleaseN),
            1 => select(&GUARDED[..]).prop_map(Step::Guard),
        ];
        vec(step, 0..100)
    }

    pub(super) struct Model {
        pub(super) permits: u32,
        pub(super) limit: u32,
        pub(super) past_limit: ReleaseError,
    }

    impl Model {
        fn acquire(&mut self) -> bool {
            let there = self.permits > 0;
            self.permits -= u32::from(there);
            there
        }

        fn release(&mut self, n: u32) -> Result<(), ReleaseError> {
            if n == 0 {
                return Err(ReleaseError::ZeroPermits);
            }
            match self.permits.checked_add(n) {
                Some(sum) if sum <= self.limit => self.permits = sum,
                _ => return Err(self.past_limit),
            }
            Ok(())
        }
    }

    /// Takes each step with both; `release_n` is that of the primitive, and `look` what it shows
    /// of itself, and what it should show beside so many permits.
    pub(super) fn check<P: Acquire, S: Debug + PartialEq>(
        primitive: &P,
        mut model: Model,
        steps: Vec<Step>,
        release_n: impl Fn(&P, u32) -> Result<(), ReleaseError>,
        look: impl Fn(&P) -> S,
        show: impl Fn(u32) -> S,
    ) {
        assert_eq!(look(primitive), show(model.permits));
        for step in steps {
            let there = model.permits > 0;
            let (said, expected) = match step {
                Step::Acquire(wait) => {
                    let acquired = wait.unless_for_ever(there).acquire(primitive);
                    (Said::Acquired(acquired), Said::Acquired(model.acquire()))
                }
                Step::Release => (
                    Said::Released(primitive.release()),
                    Said::Released(model.release(1)),
                ),
                Step::ReleaseN(n) => (
                    Said::Released(release_n(primitive, n)),
                    Said::Released(model.release(n)),
                ),
                Step::Guard(_) if !there => (Said::Skipped, Said::Skipped),
                Step::Guard(guarded) => {
                    model.permits -= u32::from(matches!(guarded, Guarded::Forgotten));
                    (
                        Said::Released(guarded.run(primitive)),
                        Said::Released(Ok(())),
                    )
                }
            };
            assert_eq!(said, expected, "{step:?}");
            assert_eq!(look(primitive), show(model.permits), "after {step:?}");
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_lock_is_as_its_model(steps in permits::steps(false)) {
        in_time(move || {
            let lock = Lock::new();
            let address = &raw const lock;
            let model = permits::Model { permits: 1, limit: 1, past_limit: ReleaseError::Unlocked };
            permits::check(
                &lock,
                model,
                steps,
                |_, _| unreachable!("a lock has one permit"),
                |lock| (lock.locked(), format!("{lock:?}")),
                |permits| {
                    let state = if permits == 0 { "locked" } else { "unlocked" };
                    (permits == 0, format!("<{state} racefree::Lock at {address:p}>"))
                },
            );
        });
    }

    #[test]
    fn a_semaphore_is_as_its_model(
        value in prop_oneof![0..4_u32, MAX - 4..=MAX],
        steps in permits::steps(true),
    ) {
        in_time(move || {
            let semaphore = Semaphore::new(value);
            let address = &raw const semaphore;
            let past_limit = ReleaseError::Overflow;
            let model = permits::Model { permits: value, limit: MAX, past_limit };
            permits::check(
                &semaphore,
                model,
                steps,
                Semaphore::release_n,
                |semaphore| (semaphore.value(), format!("{semaphore:?}")),
                |permits| {
                    let name = "racefree::Semaphore";
                    (permits, format!("<{name} at {address:p}: value={permits}>"))
                },
            );
        });
    }

    #[test]
    fn a_bounded_semaphore_is_as_its_model(
        value in prop_oneof![8 => 0..8_u32, 1 => MAX - 4..=MAX],
        steps in permits::steps(true),
    ) {
        in_time(move || {
            let semaphore = BoundedSemaphore::new(value);
            let address = &raw const semaphore;
            let past_limit = ReleaseError::TooManyReleases;
            let model = permits::Model { permits: value, limit: value, past_limit };
            permits::check(
                &semaphore,
                model,
                steps,
                BoundedSemaphore::release_n,
                |it| (it.value(), it.initial_value(), format!("{it:?}")),
                |permits| {
                    let name = "racefree::BoundedSemaphore";
                    (permits, value, format!("<{name} at {address:p}: value={permits}/{value}>"))
                },
            );
        });
    }
}

mod event {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Set,
        Clear,
        Wait(Wait),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Set),
            Just(Step::Clear),
            waits().prop_map(Step::Wait),
        ];
        vec(step, 0..100)
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn an_event_is_as_its_model(steps in steps()) {
            in_time(move || {
                let event = Event::new();
                let address = &raw const event;
                let mut model = false;
                for step in steps {
                    match step {
                        Step::Set => {
                            event.set();
                            model = true;
                        }
                        Step::Clear => {
                            event.clear();
                            model = false;
                        }
                        Step::Wait(wait) => {
                            let was_set = wait.unless_for_ever(model).event(&event);
                            assert_eq!(was_set, model, "{step:?}");
                        }
                    }
                    assert_eq!(event.is_set(), model, "after {step:?}");
                    let state = if model { "set" } else { "unset" };
                    let shown = format!("<racefree::Event at {address:p}: {state}>");
                    assert_eq!(format!("{event:?}"), shown, "after {step:?}");
                }
            });
        }
    }
}

/// `RLock`, by two threads that take turns.
mod rlock {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Who {
        Main,
        Helper,
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Acquire(Wait),
        Release,
        Guard(Guarded),
    }

    fn steps() -> impl Strategy<Value = Vec<(Who, Step)>> {
        let step = prop_oneof![
            2 => waits().prop_map(Step::Acquire),
            2 => Just(Step::Release),
            1 => select(&GUARDED[..]).prop_map(Step::Guard),
        ];
        vec((select(&[Who::Main, Who::Helper][..]), step), 0..100)
    }

    #[derive(Default)]
    struct Model {
        owner: Option<Who>,
        depth: u32,
    }

    impl Model {
        fn is_open_to(&self, who: Who) -> bool {
            self.owner.is_none_or(|owner| owner == who)
        }

        fn acquire(&mut self, who: Who) -> bool {
            let open = self.is_open_to(who);
            if open {
                self.owner = Some(who);
                self.depth += 1;
            }
            open
        }

        fn release(&mut self, who: Who) -> Result<(), ReleaseError> {
            if self.owner != Some(who) {
                return Err(ReleaseError::NotOwner);
            }
            self.depth -= 1;
            if self.depth == 0 {
                self.owner = None;
            }
            Ok(())
        }

        fn run(&mut self, who: Who, step: Step) -> Said {
            match step {
                Step::Acquire(_) => Said::Acquired(self.acquire(who)),
                Step::Release => Said::Released(self.release(who)),
                Step::Guard(_) if !self.is_open_to(who) => Said::Skipped,
                Step::Guard(guarded) => {
                    if let Guarded::Forgotten = guarded {
                        self.acquire(who);
                    }
                    Said::Released(Ok(()))
                }
            }
        }

        fn look(&self, who: Who) -> Look {
            let count = match self.owner {
                Some(owner) if owner == who => self.depth,
                _ => 0,
            };
            Look {
                locked: self.owner.is_some(),
                is_owned: count > 0,
                count,
                shown_locked: self.owner.is_some(),
                shown_owner: self.owner.is_some(),
                shown_count: (count > 0).then_some(count),
            }
        }
    }

    /// All that a thread can see of the lock.
    #[derive(Debug, PartialEq)]
    struct Look {
        locked: bool,
        is_owned: bool,
        count: u32,
        shown_locked: bool,
        shown_owner: bool,
        shown_count: Option<u32>,
    }

    impl Look {
        fn at(lock: &RLock) -> Self {
            let shown = format!("{lock:?}");
            let field = |name: &str| {
                let field = shown.split(' ').find_map(|word| word.strip_prefix(name));
                field.map(|number| number.parse::<u32>().unwrap())
            };
            Self {
                locked: lock.locked(),
                is_owned: lock.is_owned(),
                count: lock.recursion_count(),
                shown_locked: shown.starts_with("<locked racefree::RLock "),
                shown_owner: field("owner=") != Some(0),
                shown_count: field("count="),
            }
        }
    }

    /// A step by the calling thread, and what it sees then.
    fn run(lock: &RLock, step: Step, open: bool) -> (Said, Look) {
        let said = match step {
            Step::Acquire(wait) => Said::Acquired(wait.unless_for_ever(open).acquire(lock)),
            Step::Release => Said::Released(lock.release()),
            Step::Guard(_) if !open => Said::Skipped,
            Step::Guard(guarded) => Said::Released(guarded.run(lock)),
        };
        (said, Look::at(lock))
    }

    type Job = Box<dyn FnOnce() + Send>;

    /// A thread that does what it is told.
    struct Helper {
        jobs: Sender<Job>,
        thread: Running<()>,
    }

    impl Helper {
        fn new() -> Self {
            let (jobs, todo) = mpsc::channel::<Job>();
            let thread = spawn(move || todo.iter().for_each(|job| job()));
            Self { jobs, thread }
        }

        fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
            let (say, said) = mpsc::channel();
            let job = move || say.send(job()).unwrap();
            self.jobs.send(Box::new(job)).unwrap();
            said.recv_timeout(LIMIT)
                .expect("the helper hangs, or panicked")
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn an_rlock_is_as_its_model(steps in steps()) {
            in_time(move || {
                let lock = Arc::new(RLock::new());
                let helper = Helper::new();
                let mut model = Model::default();
                for (who, step) in steps {
                    let open = model.is_open_to(who);
                    let here = Arc::clone(&lock);
                    let (said, main, other) = match who {
                        Who::Main => {
                            let (said, main) = run(&lock, step, open);
                            (said, main, helper.run(move || Look::at(&here)))
                        }
                        Who::Helper => {
                            let (said, other) = helper.run(move || run(&here, step, open));
                            (said, Look::at(&lock), other)
                        }
                    };
                    assert_eq!(said, model.run(who, step), "{who:?} {step:?}");
                    assert_eq!(main, model.look(Who::Main), "after {who:?} {step:?}");
                    assert_eq!(other, model.look(Who::Helper), "after {who:?} {step:?}");
                }
                drop(helper.jobs);
                helper.thread.end();
            });
        }
    }
}
