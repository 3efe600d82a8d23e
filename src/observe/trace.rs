//! Keeps the trace of an execution: a vector, cleared when the next begins.
//!
//! All the threads of a model run on one thread of the system. So what is running is known from
//! there, and which of the model's threads it is from the checker's thread-locals. With real
//! threads, each is told by the one that spawns it which check it belongs to.

use core::cell::{Cell, RefCell};
use core::panic::Location;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sleep::{MayWait, Sleep};
use super::steps::{Act, Ending, KEPT, Place, Step, Steps, Thing, Thread, Told};

/// The trace of a check. Shared by its threads, and by who watches over them.
#[derive(Debug)]
pub(crate) struct Trace {
    recorded: Mutex<Recorded>,
    /// Whether the crate's own steps are recorded.
    inner: bool,
}

#[derive(Debug, Default)]
struct Recorded {
    steps: Steps,
    /// Which execution of the process this is, counted over all checks.
    number: u64,
    time: u32,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Trace>>> = const { RefCell::new(None) };
    /// Whether there is one, and it records inner steps.
    static INNER: Cell<bool> = const { Cell::new(false) };
    /// The number of the thread that begins, for `ME`.
    static BEGINS: Cell<Option<usize>> = const { Cell::new(None) };
}

#[cfg(all(loom, feature = "loom"))]
loom::thread_local! {
    static ME: usize = register();
}

#[cfg(all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))))]
shuttle::thread_local! {
    static ME: usize = register();
}

#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
thread_local! {
    static ME: usize = register();
}

/// The number of a thread that is seen for the first time.
fn register() -> usize {
    if let Some(number) = BEGINS.take() {
        return number;
    }
    current().map_or(0, |trace| {
        let threads = &mut trace.recorded().steps.threads;
        threads.push(Thread::default());
        threads.len() - 1
    })
}

fn current() -> Option<Arc<Trace>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Has the trace of the running execution, and the number of the running thread, if there is one.
fn with<R>(record: impl FnOnce(&mut Recorded, usize) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.is_some().then_some(()))?;
    // It may have to be registered, which looks at the trace.
    let me = ME.try_with(|me| *me).ok()?;
    CURRENT.with_borrow(|current| {
        let mut recorded = current.as_ref()?.recorded();
        Some(record(&mut recorded, me))
    })
}

impl Trace {
    pub(crate) fn new(inner: bool) -> Arc<Self> {
        Arc::new(Self {
            recorded: Mutex::default(),
            inner,
        })
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what this thread of the system does, until the result is dropped.
    pub(crate) fn watch(self: &Arc<Self>) -> Watching {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        let inner = INNER.replace(self.inner);
        Watching { before, inner }
    }

    /// An execution begins, on this thread.
    pub(crate) fn begin(&self) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        {
            let mut recorded = self.recorded();
            recorded.number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
            recorded.time = 0;
            let steps = &mut recorded.steps;
            steps.steps.clear();
            steps.things.clear();
            steps.threads.clear();
            steps.panic = None;
            steps.threads.push(Thread {
                name: Some("main".to_owned()),
                known: true,
                ..Thread::default()
            });
        }
        thread::begins(0);
    }

    /// What was recorded since the execution began.
    pub(crate) fn take(&self) -> Steps {
        self.recorded().steps.clone()
    }

    /// How much was recorded: changes as long as a check gets on.
    #[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
    pub(crate) fn progress(&self) -> u64 {
        let recorded = self.recorded();
        recorded.number << 32 | u64::from(recorded.time)
    }

    /// The body has run to its end.
    pub(crate) fn body_ends(&self) {
        if let Some(main) = self.recorded().steps.threads.first_mut() {
            main.ended = true;
        }
    }

    /// How many of the threads that were seen to begin have yet to end.
    #[cfg(all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))))]
    pub(crate) fn threads_left(&self) -> usize {
        let recorded = self.recorded();
        let left = |thread: &&Thread| thread.known && !thread.ended;
        recorded.steps.threads.iter().filter(left).count()
    }
}

/// Somebody panics: a thread, or the checker itself, which can not be asked then which thread it is.
pub(crate) fn panics(message: &str, place: Option<Place>, checker: bool) {
    let Some(trace) = current() else { return };
    if checker {
        let mut recorded = trace.recorded();
        let panic = &mut recorded.steps.panic;
        panic.get_or_insert_with(|| (None, message.to_owned()));
        return;
    }
    with(|recorded, me| {
        let panic = &mut recorded.steps.panic;
        panic.get_or_insert_with(|| (Some(me), message.to_owned()));
        let step = recorded.begin(me, Act::Panic, "panic", place);
        recorded.end(step, Ending::Words(message.to_owned()));
    });
}

/// See [`Trace::watch`].
#[must_use]
pub(crate) struct Watching {
    before: Option<Arc<Trace>>,
    inner: bool,
}

impl Drop for Watching {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
        INNER.set(self.inner);
    }
}

impl Recorded {
    fn tick(&mut self) -> u32 {
        self.time += 1;
        self.time
    }

    fn begin(&mut self, me: usize, act: Act, method: &'static str, place: Option<Place>) -> usize {
        let begun = self.tick();
        let within = self.steps.threads[me].open.last().copied();
        // What is done within a call is done from where that came.
        let place = within
            .filter(|_| act != Act::Panic)
            .map_or(place, |step| self.steps.steps[step].place);
        self.steps.steps.push(Step {
            thread: me,
            place,
            object: None,
            act,
            method,
            amount: None,
            begun,
            slept: None,
            ended: None,
            ending: Ending::Open,
            woke: Vec::new(),
            remark: None,
            within,
            inner: false,
        });
        self.steps.steps.len() - 1
    }

    fn end(&mut self, step: usize, ending: Ending) {
        let ended = self.tick();
        // One of an execution that is gone.
        if let Some(step) = self.steps.steps.get_mut(step) {
            step.ended = Some(ended);
            step.ending = ending;
        }
    }

    /// The step in which the thread is.
    fn open(&mut self, me: usize) -> Option<&mut Step> {
        let &step = self.steps.threads.get(me)?.open.last()?;
        self.steps.steps.get_mut(step)
    }
}

/// Identifies a primitive: by where it was made, and by its name if it has one.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "with the deadlock checker, it is part of another"
)]
pub struct Object {
    kind: &'static str,
    name: Option<&'static str>,
    made: Place,
    /// In which execution it was last used, and which of that one's things it is.
    seen: AtomicU64,
}

/// As many things an execution may have.
const THINGS: u64 = 1 << 20;

impl Object {
    #[track_caller]
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self {
            kind,
            name: None,
            made: Place::of(Location::caller()),
            seen: AtomicU64::new(0),
        }
    }

    /// It has so many permits, which do not matter here.
    pub(crate) const fn set_permits(&mut self, _permits: u32) {}

    pub(crate) const fn set_name(&mut self, name: &'static str) {
        self.name = Some(name);
    }

    /// A call of one of its methods begins.
    #[track_caller]
    pub(crate) fn call(&self, act: Act, method: &'static str) -> Call {
        self.begin(act, method, None, Place::of(Location::caller()))
    }

    /// As [`call`](Self::call), with how many.
    #[track_caller]
    pub(crate) fn call_with(&self, act: Act, method: &'static str, amount: u64) -> Call {
        self.begin(act, method, Some(amount), Place::of(Location::caller()))
    }

    /// As [`call`](Self::call), from a line that is not the caller's.
    pub(crate) fn call_at(
        &self,
        act: Act,
        method: &'static str,
        amount: Option<u64>,
        place: Here,
    ) -> Call {
        self.begin(act, method, amount, place.0)
    }

    fn begin(&self, act: Act, method: &'static str, amount: Option<u64>, place: Place) -> Call {
        let step = with(|recorded, me| {
            let object = self.register(recorded)?;
            let step = recorded.begin(me, act, method, Some(place));
            let this = &mut recorded.steps.steps[step];
            this.object = Some(object);
            this.amount = amount;
            recorded.steps.threads[me].open.push(step);
            Some((recorded.number, me, step))
        });
        if step == Some(None) {
            let Place { file, line } = self.made;
            panic!("{KEPT}: the {} that was made at {file}:{line}", self.kind);
        }
        Call {
            step: step.flatten(),
        }
    }

    /// Which of the execution's things it is. `None` under a checker, if it was used in an execution
    /// before: its state is what that one has left.
    fn register(&self, recorded: &mut Recorded) -> Option<usize> {
        let seen = self.seen.load(Ordering::Relaxed);
        if seen / THINGS == recorded.number {
            return Some((seen % THINGS) as usize);
        }
        let checked = cfg!(any(
            all(loom, feature = "loom"),
            all(shuttle, feature = "shuttle")
        ));
        if checked && seen != 0 {
            return None;
        }
        let things = &mut recorded.steps.things;
        things.push(Thing {
            kind: self.kind,
            name: self.name,
            made: self.made,
        });
        let thing = things.len() - 1;
        let seen = recorded.number * THINGS + thing as u64;
        self.seen.store(seen, Ordering::Relaxed);
        Some(thing)
    }
}

/// A line of the user's.
#[derive(Clone, Copy, Debug)]
#[allow(
    unreachable_pub,
    reason = "with the deadlock checker, it is part of another"
)]
pub struct Here(Place);

impl Here {
    #[track_caller]
    pub(crate) const fn new() -> Self {
        Self(Place::of(Location::caller()))
    }
}

/// A call that has begun: of which execution, by which thread, in which step.
#[must_use]
pub(crate) struct Call {
    step: Option<(u64, usize, usize)>,
}

impl Call {
    /// Says how long the call may wait, which does not matter here.
    pub(crate) fn may_wait<D: MayWait, F: FnOnce() -> D>(
        &self,
        deadline: F,
    ) -> impl FnOnce() -> D + use<D, F> {
        deadline
    }

    /// It ends, and returns this.
    pub(crate) fn ends<T: Told>(self, value: T) -> T {
        self.ends_as(value.told(), None);
        value
    }

    /// It ends so, and with something more to say.
    pub(crate) fn ends_as(self, ending: Ending, remark: Option<&'static str>) {
        let Some((number, me, step)) = self.step else {
            return;
        };
        CURRENT.with_borrow(|current| {
            let Some(trace) = current else { return };
            let mut recorded = trace.recorded();
            if recorded.number != number {
                return;
            }
            // Not asked again which thread it is: it was this one that began.
            recorded.end(step, ending);
            if remark.is_some() {
                recorded.steps.steps[step].remark = remark;
            }
            // What began within it, and was left by a panic, is left as it is.
            let open = &mut recorded.steps.threads[me].open;
            if let Some(at) = open.iter().position(|&it| it == step) {
                open.truncate(at);
            }
        });
    }
}

/// Runs code of the user's that is called within a method: what it does is not that method's.
pub(crate) fn users<R>(code: impl FnOnce() -> R) -> R {
    let take = |recorded: &mut Recorded, me: usize| {
        (me, core::mem::take(&mut recorded.steps.threads[me].open))
    };
    let Some((me, open)) = with(take) else {
        return code();
    };
    let result = code();
    with(|recorded, _| recorded.steps.threads[me].open = open);
    result
}

/// A call begins that is on no object.
pub(crate) fn step(act: Act, method: &'static str, amount: Option<u64>, place: Place) -> Call {
    let step = with(|recorded, me| {
        let step = recorded.begin(me, act, method, Some(place));
        recorded.steps.steps[step].amount = amount;
        recorded.steps.threads[me].open.push(step);
        (recorded.number, me, step)
    });
    Call { step }
}

/// The running thread falls asleep, in the call that it is in.
pub(crate) fn sleeps(_forever: bool) -> Sleep {
    with(|recorded, me| {
        let now = recorded.tick();
        if let Some(step) = recorded.open(me) {
            step.slept.get_or_insert(now);
        }
    });
    Sleep::AsAsked
}

/// The running thread wakes another one, in the call that it is in.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) fn wakes(thread: usize) {
    with(|recorded, me| {
        if let Some(step) = recorded.open(me) {
            step.woke.push(thread);
        }
    });
}

/// The running thread goes on from a sleep for no reason, as systems allow.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) fn woken_for_nothing() {
    with(|recorded, me| {
        if let Some(step) = recorded.open(me) {
            step.remark = Some("woken once for no reason");
        }
    });
}

/// A step of the crate's own, if such are recorded.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
#[track_caller]
pub(crate) fn inner(act: Act, method: &'static str, value: impl FnOnce() -> String) {
    if !INNER.get() {
        return;
    }
    let place = Place::of(Location::caller());
    let value = value();
    with(|recorded, me| {
        let step = recorded.begin(me, act, method, Some(place));
        recorded.steps.steps[step].inner = true;
        recorded.steps.steps[step].place = Some(place);
        recorded.end(step, Ending::Words(value));
    });
}

/// The threads of an execution.
pub(crate) mod thread {
    use super::{Act, Arc, BEGINS, Cell, Ending, ME, Place, Thread, Trace, current, with};

    /// The number of the running thread.
    pub(crate) fn me() -> usize {
        with(|_, me| me).unwrap_or(usize::MAX)
    }

    /// A thread that is being spawned.
    #[derive(Debug)]
    pub(crate) struct Spawned {
        number: Option<usize>,
        trace: Option<Arc<Trace>>,
    }

    /// The running thread spawns another one.
    pub(crate) fn spawns(name: Option<&str>, method: &'static str, place: Place) -> Spawned {
        let number = with(|recorded, me| {
            let threads = &mut recorded.steps.threads;
            let number = threads.len();
            threads.push(Thread {
                name: name.map(str::to_owned),
                known: true,
                ..Thread::default()
            });
            let step = recorded.begin(me, Act::Spawn, method, Some(place));
            recorded.steps.steps[step].amount = Some(number as u64);
            recorded.end(step, Ending::Done);
            number
        });
        Spawned {
            number,
            trace: current(),
        }
    }

    impl Spawned {
        pub(crate) fn number(&self) -> Option<usize> {
            self.number
        }

        /// The running thread is the one that was spawned: until the result is dropped.
        pub(crate) fn runs(self) -> Running {
            let watching = match (&self.trace, cfg!(feature = "trace")) {
                (Some(trace), true) => Some(trace.watch()),
                _ => None,
            };
            if let Some(number) = self.number {
                begins(number);
                with(|recorded, me| {
                    let step = recorded.begin(me, Act::Begin, "begins", None);
                    recorded.end(step, Ending::Done);
                });
            }
            Running {
                number: self.number,
                _watching: watching,
                _here: Cell::new(()),
            }
        }
    }

    /// A thread that runs.
    pub(crate) struct Running {
        number: Option<usize>,
        _watching: Option<super::Watching>,
        _here: Cell<()>,
    }

    impl Running {
        /// It has run to its end.
        pub(crate) fn ends(self) {
            if self.number.is_none() {
                return;
            }
            with(|recorded, me| {
                let step = recorded.begin(me, Act::End, "ends", None);
                recorded.end(step, Ending::Done);
                recorded.steps.threads[me].ended = true;
            });
        }
    }

    /// The running thread has this number.
    pub(super) fn begins(number: usize) {
        BEGINS.set(Some(number));
        let _ = ME.try_with(|_| ());
        BEGINS.set(None);
    }
}
