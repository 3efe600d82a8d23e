//! Random sequences of all operations, beside the specification: each has to say what that says, and
//! to leave what that leaves.

mod common;
mod error {
    pub(crate) use racefree::{BrokenBarrierError, NotOwnerError, ReleaseError};
}
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "one thread at a time has no need of all of it"
)]
#[path = "../src/spec/mod.rs"]
mod spec;

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
use spec::Patience;

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

/// The thread that does all.
const ME: spec::Thread = 1;

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

    /// What both specifications have in common.
    pub(super) trait Model {
        /// Without a result if it would wait forever.
        fn acquire(&mut self) -> bool;
        fn release(&mut self, n: u32) -> Result<(), ReleaseError>;
        fn permits(&self) -> u32;
    }

    impl Model for spec::Lock {
        fn acquire(&mut self) -> bool {
            match spec::terms::now(self, ME, &spec::lock::Call::Acquire(Patience::No)) {
                spec::lock::Answer::Acquired(acquired) => acquired,
                other => unreachable!("{other:?}"),
            }
        }

        fn release(&mut self, n: u32) -> Result<(), ReleaseError> {
            assert_eq!(n, 1);
            match spec::terms::now(self, ME, &spec::lock::Call::Release) {
                spec::lock::Answer::Released(released) => released,
                other => unreachable!("{other:?}"),
            }
        }

        fn permits(&self) -> u32 {
            u32::from(!self.locked())
        }
    }

    impl Model for spec::Semaphore {
        fn acquire(&mut self) -> bool {
            match spec::terms::now(self, ME, &spec::semaphore::Call::Acquire(Patience::No, 1)) {
                spec::lock::Answer::Acquired(acquired) => acquired,
                other => unreachable!("{other:?}"),
            }
        }

        fn release(&mut self, n: u32) -> Result<(), ReleaseError> {
            match spec::terms::now(self, ME, &spec::semaphore::Call::Release(n)) {
                spec::lock::Answer::Released(released) => released,
                other => unreachable!("{other:?}"),
            }
        }

        fn permits(&self) -> u32 {
            self.value()
        }
    }

    /// Takes each step with both; `release_n` is that of the primitive, and `look` what it shows
    /// of itself, and what it should show beside so many permits.
    pub(super) fn check<P: Acquire, S: Debug + PartialEq>(
        primitive: &P,
        mut model: impl Model,
        steps: Vec<Step>,
        release_n: impl Fn(&P, u32) -> Result<(), ReleaseError>,
        look: impl Fn(&P) -> S,
        show: impl Fn(u32) -> S,
    ) {
        assert_eq!(look(primitive), show(model.permits()));
        for step in steps {
            let there = model.permits() > 0;
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
                    if let Guarded::Forgotten = guarded {
                        assert!(model.acquire());
                    }
                    (
                        Said::Released(guarded.run(primitive)),
                        Said::Released(Ok(())),
                    )
                }
            };
            assert_eq!(said, expected, "{step:?}");
            assert_eq!(look(primitive), show(model.permits()), "after {step:?}");
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
            permits::check(
                &lock,
                spec::Lock::new(),
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
            permits::check(
                &semaphore,
                spec::Semaphore::new(value, MAX, ReleaseError::Overflow),
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
            permits::check(
                &semaphore,
                spec::Semaphore::new(value, value, ReleaseError::TooManyReleases),
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
                let mut model = spec::Event::new();
                for step in steps {
                    match step {
                        Step::Set => {
                            event.set();
                            spec::terms::now(&mut model, ME, &spec::event::Call::Set);
                        }
                        Step::Clear => {
                            event.clear();
                            spec::terms::now(&mut model, ME, &spec::event::Call::Clear);
                        }
                        Step::Wait(wait) => {
                            let was_set = wait.unless_for_ever(model.is_set()).event(&event);
                            let call = spec::event::Call::Wait(Patience::No);
                            let expected = spec::terms::now(&mut model, ME, &call);
                            let was_set = spec::event::Answer::WasSet(was_set);
                            assert_eq!(was_set, expected, "{step:?}");
                        }
                    }
                    assert_eq!(event.is_set(), model.is_set(), "after {step:?}");
                    let state = if model.is_set() { "set" } else { "unset" };
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

    struct Model(spec::RLock);

    impl Model {
        fn is_open_to(&self, who: Who) -> bool {
            !self.0.locked() || self.0.is_owned(who as spec::Thread)
        }

        fn call(&mut self, who: Who, call: spec::lock::Call) -> Said {
            match spec::terms::now(&mut self.0, who as spec::Thread, &call) {
                spec::lock::Answer::Acquired(acquired) => Said::Acquired(acquired),
                spec::lock::Answer::Released(released) => Said::Released(released),
                spec::lock::Answer::Drained(_) => unreachable!("it is no semaphore"),
            }
        }

        fn run(&mut self, who: Who, step: Step) -> Said {
            let acquire = spec::lock::Call::Acquire(Patience::No);
            match step {
                Step::Acquire(_) => self.call(who, acquire),
                Step::Release => self.call(who, spec::lock::Call::Release),
                Step::Guard(_) if !self.is_open_to(who) => Said::Skipped,
                Step::Guard(guarded) => {
                    if let Guarded::Forgotten = guarded {
                        self.call(who, acquire);
                    }
                    Said::Released(Ok(()))
                }
            }
        }

        fn look(&self, who: Who) -> Look {
            let count = self.0.recursion_count(who as spec::Thread);
            Look {
                locked: self.0.locked(),
                is_owned: self.0.is_owned(who as spec::Thread),
                count,
                shown_locked: self.0.locked(),
                shown_owner: self.0.locked(),
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
                let mut model = Model(spec::RLock::new());
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
