//! The deadlock checker: follows what each thread holds and waits for, on real threads.
//!
//! It is told what the primitives are told, see [`observe`](super), and passes it on to the trace or
//! to nothing (`under`). What it keeps:
//!
//! - for each thread, what it holds and what it waits for (`thread`): written by that thread alone,
//!   without a lock, at each acquire and release;
//! - for all, the order in which locks were acquired (`order`), behind a lock that is taken when a
//!   thread acquires in an order in which it has not acquired lately, when an object is used for the
//!   first time or dropped after use, and before a thread sleeps.
//!
//! **An alarm that is certain** has to be right, so it rests on what cannot be otherwise:
//!
//! 1. A thread is stuck only if all that could end its wait are (`stuck`).
//! 2. Locks that only the holder gives back are ended by their holder: `RLock`, `Mutex`, whatever
//!    is held by a guard, and a `Lock` or semaphore of one that was given back by its holders alone
//!    and at least once. All permits of a semaphore must be held so.
//! 3. Anything else could be ended by any thread. It is certain only if each thread of the process
//!    is known, and sleeps, in the same wait at two looks 50 ms apart. On systems that do not count
//!    the threads of a process, this is never certain.
//! 4. A hold is removed before its release and added after its acquire. So an object that is passed
//!    on at this moment has no holder, and a thread that waits for it is not stuck.
//! 5. Threads do not stop while one looks. The waits are read before the holds, and again after
//!    them: only threads that are in the same wait at both count, and have been for 250 ms.
//!
//! **An object that is used as a signal** is one that was given back, without a guard, by a thread
//! that does not hold it. From then on it is in no order.
//!
//! Uses the trace, and nothing else of this crate.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use self::order::{Dependency, Hold, Order, Place};
use self::report::{Kind, Report};
use self::stuck::Rescuers;
use self::thread::{GUARD, LOCK, OWNED, Thread, Wait};
use super::sleep::{MayWait, Sleep};
use super::steps::{Act, Ending, GIVES_UP, GUARD_DROPPED, TAKES_AGAIN, Told};
use super::under;

mod order;
pub(crate) mod report;
mod stuck;
mod thread;

/// How long a thread sleeps before it looks again whether it is stuck.
const PIECE: Duration = Duration::from_millis(50);

/// How long each thread of a deadlock has waited before it is certain. A deadlock does not end, so
/// nothing is lost; and a guard may be on its way to a thread that drops it.
const SETTLED: Duration = Duration::from_millis(250);

/// How long a thread waits before it says that nobody may be left to end its wait.
const GRACE: Duration = Duration::from_secs(1);

/// So many orders a thread remembers to have told.
const REMEMBERED: usize = 1 << 14;

/// What is known of an object.
#[derive(Clone, Copy, Debug)]
struct Info {
    kind: &'static str,
    name: Option<&'static str>,
    made: Place,
    /// How many can hold it, or 0 if it is nothing that is held.
    permits: u32,
}

#[derive(Debug, Default)]
struct Known {
    threads: Vec<Arc<Thread>>,
    /// Each with which one it is of those that were made at its place.
    objects: HashMap<u64, (Info, u32)>,
    /// How many were made at a place.
    made: HashMap<Place, u32>,
    order: Order,
    /// What was told, so that it is told once.
    told: HashSet<(Kind, Vec<Place>)>,
    round: u64,
    /// Stacks of acquires, by thread and object.
    stacks: HashMap<(u64, u64), String>,
    /// The waits that a thread found stuck when it looked last.
    suspected: HashMap<u64, Vec<(u64, u64)>>,
    /// When the checker was first used.
    since: Option<Instant>,
}

static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();

fn known() -> MutexGuard<'static, Known> {
    let known = KNOWN.get_or_init(|| {
        Mutex::new(Known {
            since: Some(Instant::now()),
            ..Known::default()
        })
    });
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next number of a thread, an object or a wait: never 0.
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that no two are the same matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A call that may sleep, in the thread that makes it.
#[derive(Clone, Copy)]
struct Current {
    object: u64,
    method: &'static str,
    place: Place,
    /// Whether its wait can be ended as if its time were up.
    may_give_up: bool,
    gave_up: bool,
}

/// The running thread.
struct Me {
    thread: OnceCell<Arc<Thread>>,
    current: Cell<Option<Current>>,
    /// Whether it is in `Thread::wait`.
    sleeps: Cell<bool>,
    /// Whether the checker itself runs, or a hook: what they use is not followed.
    inside: Cell<bool>,
    /// Orders that were told.
    remembered: RefCell<Option<HashSet<u64>>>,
    /// Levels of objects that a wait of a condition has given up.
    given_up: RefCell<Vec<(u64, u32)>>,
    /// The text of a deadlock, to panic with.
    text: Cell<Option<String>>,
}

thread_local! {
    static ME: Me = const {
        Me {
            thread: OnceCell::new(),
            current: Cell::new(None),
            sleeps: Cell::new(false),
            inside: Cell::new(false),
            remembered: RefCell::new(None),
            given_up: RefCell::new(Vec::new()),
            text: Cell::new(None),
        }
    };
}

impl Me {
    fn thread(&self) -> &Arc<Thread> {
        self.thread.get_or_init(|| {
            let thread = Arc::new(Thread::new(next()));
            known().threads.push(Arc::clone(&thread));
            thread
        })
    }

    /// Runs code whose own use of primitives is not followed.
    fn inside<R>(&self, code: impl FnOnce() -> R) -> R {
        let before = self.inside.replace(true);
        let result = code();
        self.inside.set(before);
        result
    }

    fn tell(&self, reports: impl IntoIterator<Item = Report>) {
        self.inside(|| reports.into_iter().for_each(|report| report::tell(&report)));
    }

    fn is_awake(&self) {
        if self.sleeps.replace(false) {
            self.thread().is_awake();
        }
    }
}

impl Drop for Me {
    fn drop(&mut self) {
        let Some(thread) = self.thread.get() else {
            return;
        };
        let mut known = known();
        known.threads.retain(|it| !Arc::ptr_eq(it, thread));
        known.suspected.remove(&thread.number);
        known
            .stacks
            .retain(|(number, _), _| *number != thread.number);
        let held = thread.held();
        let reports: Vec<_> = held
            .iter()
            .filter(|held| held.is(OWNED))
            .filter_map(|held| known.ended_holding(thread, held.hold))
            .collect();
        drop(known);
        reports.iter().for_each(report::tell);
    }
}

/// Runs this with the running thread, unless the checker itself runs, or the thread is at its end.
fn with<R>(code: impl FnOnce(&Me) -> R) -> Option<R> {
    ME.try_with(|me| (!me.inside.get()).then(|| code(me)))
        .ok()?
}

/// Identifies a primitive.
#[derive(Debug)]
pub struct Object {
    under: under::Object,
    /// 0 before the first use.
    number: AtomicU64,
    info: Info,
    /// A thread that does not hold it has given it back.
    signal: AtomicBool,
    /// A thread that holds it has given it back, without a guard.
    owned: AtomicBool,
}

impl Object {
    #[track_caller]
    pub(crate) const fn new(kind: &'static str) -> Self {
        Self {
            under: under::Object::new(kind),
            number: AtomicU64::new(0),
            info: Info {
                kind,
                name: None,
                made: Location::caller(),
                permits: matches!(kind.as_bytes(), b"Lock" | b"RLock" | b"Mutex") as u32,
            },
            signal: AtomicBool::new(false),
            owned: AtomicBool::new(false),
        }
    }

    /// It has so many permits.
    pub(crate) const fn set_permits(&mut self, permits: u32) {
        self.under.set_permits(permits);
        self.info.permits = permits;
    }

    pub(crate) const fn set_name(&mut self, name: &'static str) {
        self.under.set_name(name);
        self.info.name = Some(name);
    }

    #[inline]
    #[track_caller]
    pub(crate) fn call(&self, act: Act, method: &'static str) -> Call<'_> {
        let under = self.under.call(act, method);
        self.begin(under, act, method, 1, Location::caller())
    }

    #[inline]
    #[track_caller]
    pub(crate) fn call_with(&self, act: Act, method: &'static str, amount: u64) -> Call<'_> {
        let under = self.under.call_with(act, method, amount);
        self.begin(under, act, method, amount, Location::caller())
    }

    #[inline]
    pub(crate) fn call_at(
        &self,
        act: Act,
        method: &'static str,
        amount: Option<u64>,
        place: Here,
    ) -> Call<'_> {
        let under = self.under.call_at(act, method, amount, place.under);
        self.begin(under, act, method, amount.unwrap_or(1), place.place)
    }

    #[inline]
    fn begin(
        &self,
        under: under::Call,
        act: Act,
        method: &'static str,
        amount: u64,
        place: Place,
    ) -> Call<'_> {
        let mut call = Begun {
            object: None,
            number: 0,
            method,
            amount: amount as u32,
            place,
            before: None,
            followed: false,
        };
        match act {
            Act::Take | Act::Wait => {
                with(|me| {
                    let number = self.number();
                    call.number = number;
                    call.object = (act == Act::Take).then_some(self);
                    call.followed = true;
                    me.is_awake();
                    call.before = me.current.replace(Some(Current {
                        object: number,
                        method,
                        place,
                        may_give_up: act == Act::Wait,
                        gave_up: false,
                    }));
                });
            }
            Act::Give => {
                with(|me| {
                    call.number = self.number();
                    self.give(me, &mut call);
                });
            }
            _ => {}
        }
        Call { under, begun: call }
    }

    #[inline]
    fn number(&self) -> u64 {
        match self.number.load(Ordering::Relaxed) {
            0 => self.register(),
            number => number,
        }
    }

    #[cold]
    fn register(&self) -> u64 {
        let mut known = known();
        // Relaxed: under the lock.
        let number = match self.number.load(Ordering::Relaxed) {
            0 => next(),
            number => return number,
        };
        self.number.store(number, Ordering::Relaxed);
        let count = known.made.entry(self.info.made).or_default();
        *count += 1;
        let count = *count;
        known.objects.insert(number, (self.info, count));
        number
    }

    /// A call gives it back.
    #[inline]
    fn give(&self, me: &Me, call: &mut Begun<'_>) {
        let thread = me.thread();
        let levels = (call.method != GIVES_UP).then_some(call.amount);
        match thread.pop(call.number, levels) {
            Some(had) if call.method == GIVES_UP => {
                me.given_up.borrow_mut().push((call.number, had));
            }
            Some(_) if call.method == GUARD_DROPPED => {}
            Some(_) => {
                // Relaxed: it says nothing of other memory, and is looked at first.
                if !self.owned.load(Ordering::Relaxed) {
                    self.owned.store(true, Ordering::Relaxed);
                }
            }
            // A release by a thread that is not the owner fails, and changes nothing.
            None if self.info.kind == "RLock" => {}
            None => {
                call.given_for_another();
                let signals = call.method != GUARD_DROPPED;
                if signals && !self.signal.swap(true, Ordering::Relaxed) {
                    known().order.forget(call.number);
                }
            }
        }
    }

    /// The flags of a hold.
    #[inline]
    fn flags(&self, method: &'static str) -> u32 {
        let mut flags = 0;
        if self.info.permits > 0 && !self.signal.load(Ordering::Relaxed) {
            flags |= LOCK;
        }
        if returns_guard(method) {
            flags |= GUARD | OWNED;
        } else if self.info.kind == "RLock"
            || self.owned.load(Ordering::Relaxed) && !self.signal.load(Ordering::Relaxed)
        {
            flags |= OWNED;
        }
        flags
    }
}

/// Whether a method returns a guard, by its name.
#[inline]
fn returns_guard(method: &str) -> bool {
    let method = method.as_bytes();
    matches!(method, [b'g' | b'l', ..] | [b't', _, _, _, b'g' | b'l', ..])
}

impl Drop for Object {
    fn drop(&mut self) {
        let number = *self.number.get_mut();
        if number == 0 {
            return;
        }
        let mut known = known();
        known.order.forget(number);
        let report = known.leaked(number);
        known.objects.remove(&number);
        drop(known);
        with(|me| me.tell(report));
    }
}

/// A line of the user's.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    under: under::Here,
    place: Place,
}

impl Here {
    #[track_caller]
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            under: under::Here::new(),
            place: Location::caller(),
        }
    }
}

/// A call that has begun.
#[must_use]
pub(crate) struct Call<'a> {
    under: under::Call,
    begun: Begun<'a>,
}

/// What the checker knows of a call.
struct Begun<'a> {
    /// What is acquired. For other calls it may be gone at their end.
    object: Option<&'a Object>,
    number: u64,
    method: &'static str,
    amount: u32,
    place: Place,
    before: Option<Current>,
    /// Whether it is followed.
    followed: bool,
}

impl Call<'_> {
    /// Says how long the call may wait: forever, for a time, or not at all. `deadline` is returned.
    #[inline]
    pub(crate) fn may_wait<D: MayWait, F: FnOnce() -> D>(
        &self,
        deadline: F,
    ) -> impl FnOnce() -> D + use<D, F> {
        let deadline = self.under.may_wait(deadline)();
        if let Some(timed) = deadline.is_timed() {
            with(|me| self.begun.wants(me, timed));
        }
        move || deadline
    }

    /// It ends, and returns this.
    #[inline]
    pub(crate) fn ends<T: Told>(self, value: T) -> T {
        let Self { under, mut begun } = self;
        let told = value.told();
        let acquired = matches!(told, Ending::Done | Ending::Answer(true));
        let panics = begun.settle(acquired || matches!(told, Ending::Number(_)), acquired);
        drop(begun);
        let value = under.ends(value);
        if let Some(text) = panics {
            panic!("{text}");
        }
        value
    }
}

impl Begun<'_> {
    #[inline]
    fn wants(&self, me: &Me, timed: bool) {
        if let Some(mut current) = me.current.get() {
            current.may_give_up = true;
            me.current.set(Some(current));
        }
        let thread = me.thread();
        if thread.holds_nothing() && !std::thread::panicking() {
            return;
        }
        if let Some(object) = self.object {
            self.wants_more(me, thread, object, timed);
        }
    }

    /// It wants one more.
    #[cold]
    fn wants_more(&self, me: &Me, thread: &Arc<Thread>, object: &Object, timed: bool) {
        if object.info.permits == 1 && thread.holds(self.number) {
            // Again by an owner, or by a thread that waits for a signal.
            return;
        }
        let mut reports = Vec::new();
        if std::thread::panicking() && !timed {
            let line = format!("{} calls {} at {}", thread.name, self.method, self.place);
            let mut known = known();
            let names = vec![thread.name.clone()];
            reports.extend(known.report_on(
                Kind::WhileUnwinding,
                self.number,
                vec![line],
                names,
                vec![self.place],
            ));
        }
        let held = thread.held();
        let is_lock = object.flags(self.method) & LOCK != 0;
        let held: Vec<Hold> = held
            .iter()
            .filter(|held| held.is(LOCK))
            .map(|held| held.hold)
            .collect();
        if is_lock && !held.is_empty() && me.is_new(&held, self.number, timed) {
            let mut known = known();
            let since = known.since;
            reports.extend(known.depends(Dependency {
                thread: thread.number,
                name: thread.name.clone(),
                held,
                wanted: Hold {
                    object: self.number,
                    place: self.place,
                    amount: self.amount,
                },
                timed,
                when: since.map_or(Duration::ZERO, |since| since.elapsed()),
            }));
        }
        me.tell(reports);
    }

    /// What the call has done. Returns the text of a panic.
    #[inline]
    fn settle(&mut self, done: bool, acquired: bool) -> Option<String> {
        if !self.followed {
            return None;
        }
        self.followed = false;
        with(|me| {
            me.is_awake();
            if acquired {
                self.acquired(me);
            }
            let current = me.current.replace(self.before);
            if !done && current.is_some_and(|current| current.gave_up) {
                me.text.take()
            } else {
                None
            }
        })
        .flatten()
    }

    #[inline]
    fn acquired(&self, me: &Me) {
        let Some(object) = self.object else { return };
        let thread = me.thread();
        let mut levels = self.amount;
        if self.method == TAKES_AGAIN {
            let mut given_up = me.given_up.borrow_mut();
            if let Some(at) = given_up
                .iter()
                .rposition(|(number, _)| *number == self.number)
            {
                levels = given_up.remove(at).1;
            }
        }
        thread.push(self.number, self.place, levels, object.flags(self.method));
        if report::stacks() {
            let stack = std::backtrace::Backtrace::force_capture().to_string();
            known().stacks.insert((thread.number, self.number), stack);
        }
    }

    /// The running thread gives back what another one holds: that one holds it no longer.
    #[cold]
    fn given_for_another(&self) {
        let known = known();
        let holders = known.threads.iter().filter_map(|thread| {
            let held = thread.held();
            let held = held.iter().find(|held| held.hold.object == self.number)?;
            Some((held.hold.place != self.place, thread))
        });
        // A guard knows where it was acquired.
        if let Some((_, thread)) = holders.min_by_key(|(elsewhere, _)| *elsewhere) {
            thread.rob(self.number);
        }
    }
}

impl Drop for Begun<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.followed {
            with(|me| {
                me.is_awake();
                me.current.set(self.before);
            });
        }
    }
}

impl Me {
    /// Whether the thread has not told this order lately.
    fn is_new(&self, held: &[Hold], wanted: u64, timed: bool) -> bool {
        // FNV-1a, of numbers.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let held = held
            .iter()
            .flat_map(|hold| [hold.object, hold.amount.into()]);
        for number in held.chain([wanted, timed.into()]) {
            hash = (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
            hash ^= hash >> 29;
        }
        let mut remembered = self.remembered.borrow_mut();
        let remembered = remembered.get_or_insert_default();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash)
    }
}

/// Runs code of the user's that is called within a method: it is not what the method waits for.
pub(crate) fn users<R>(code: impl FnOnce() -> R) -> R {
    let current = with(|me| {
        me.is_awake();
        me.current.take()
    });
    let result = under::users(code);
    if let Some(current) = current {
        with(|me| me.current.set(current));
    }
    result
}

/// The running thread is about to sleep. Returns how.
pub(crate) fn sleeps(forever: bool) -> Sleep {
    under::sleeps(forever);
    if !forever {
        return Sleep::AsAsked;
    }
    with(|me| {
        let Some(current) = me.current.get() else {
            return Sleep::AsAsked;
        };
        let thread = me.thread();
        let wait = match thread.wait().filter(|_| me.sleeps.get()) {
            Some(wait) => wait,
            None => Wait {
                object: current.object,
                place: current.place,
                method: current.method,
                since: Instant::now(),
                number: next(),
            },
        };
        thread.sleeps(wait);
        me.sleeps.set(true);
        let mut known = known();
        let (certain, mut reports) = known.look(thread, &wait);
        let text = certain.as_ref().map(Report::to_string);
        reports.extend(certain.filter(|certain| known.is_new(certain)));
        let gives_up =
            text.is_some() && current.may_give_up && !current.gave_up && report::panics();
        if gives_up {
            // Before another thread looks: one that gives up is enough.
            me.is_awake();
        }
        drop(known);
        if gives_up {
            me.text.set(text);
            me.current.set(Some(Current {
                gave_up: true,
                ..current
            }));
            me.tell(reports);
            return Sleep::GiveUp;
        }
        me.tell(reports);
        Sleep::InPieces(PIECE)
    })
    .unwrap_or(Sleep::AsAsked)
}

impl Known {
    /// The object as it is called in a report.
    fn object(&self, number: u64) -> String {
        let Some((
            Info {
                kind, name, made, ..
            },
            which,
        )) = self.objects.get(&number)
        else {
            return "an object that is gone".to_owned();
        };
        let (file, line) = (made.file(), made.line());
        let which = match self.made[made] {
            1 => String::new(),
            _several => format!(" (number {which} of that line)"),
        };
        match name {
            Some(name) => format!("{kind} \"{name}\" of {file}:{line}{which}"),
            None => format!("{kind} of {file}:{line}{which}"),
        }
    }

    fn names(&self, objects: impl IntoIterator<Item = u64>) -> Vec<String> {
        let name = |number| self.objects.get(&number)?.0.name.map(str::to_owned);
        objects.into_iter().filter_map(name).collect()
    }

    /// Whether no report was made before of the same places.
    fn is_new(&mut self, report: &Report) -> bool {
        let mut key = report.places.clone();
        key.sort_by_key(|place| (place.file(), place.line(), place.column()));
        let round = report::round();
        if self.round != round {
            self.round = round;
            self.told.clear();
        }
        self.told.insert((report.kind, key))
    }

    /// A report, unless it was made before of the same places.
    fn report(
        &mut self,
        kind: Kind,
        lines: Vec<String>,
        names: Vec<String>,
        places: Vec<Place>,
    ) -> Option<Report> {
        let report = Report {
            kind,
            lines,
            names,
            places,
        };
        self.is_new(&report).then_some(report)
    }

    /// A report on one object.
    fn report_on(
        &mut self,
        kind: Kind,
        object: u64,
        mut lines: Vec<String>,
        mut names: Vec<String>,
        places: Vec<Place>,
    ) -> Option<Report> {
        lines.insert(0, self.object(object));
        names.extend(self.names([object]));
        self.report(kind, lines, names, places)
    }

    /// The stack of an acquire, if it was captured, after a line about it.
    fn with_stack(&self, line: String, thread: u64, object: u64) -> String {
        match self.stacks.get(&(thread, object)) {
            Some(stack) => format!("{line}\n{stack}"),
            None => line,
        }
    }

    fn ended_holding(&mut self, thread: &Thread, hold: Hold) -> Option<Report> {
        let line = format!("acquired by {}, at {}", thread.name, hold.place);
        let names = vec![thread.name.clone()];
        self.report_on(
            Kind::EndedHolding,
            hold.object,
            vec![line],
            names,
            vec![hold.place],
        )
    }

    /// An object is dropped: no guard can exist.
    fn leaked(&mut self, object: u64) -> Option<Report> {
        let (thread, hold) = self.threads.iter().find_map(|thread| {
            let held = thread.held();
            let held = held.iter().find(|held| held.hold.object == object)?;
            thread.rob(object);
            held.is(GUARD).then(|| (Arc::clone(thread), held.hold))
        })?;
        let line = format!("acquired by {}, at {}", thread.name, hold.place);
        let names = vec![thread.name.clone()];
        self.report_on(
            Kind::LeakedGuard,
            object,
            vec![line],
            names,
            vec![hold.place],
        )
    }

    /// A thread acquires something while it holds other things.
    fn depends(&mut self, mut new: Dependency) -> Option<Report> {
        let permits = |object| {
            self.objects
                .get(&object)
                .map_or(1, |(info, _)| info.permits)
        };
        for hold in &mut new.held {
            // A lock is held or not, on however many levels.
            hold.amount = hold.amount.min(permits(hold.object));
        }
        let set = self.order.add(new, permits)?;
        let mut lines = Vec::new();
        let mut names = Vec::new();
        let mut places = Vec::new();
        let mut kind = Kind::Inversion;
        for it in &set {
            // What another one wants, if it holds such.
            let others = set.iter().filter(|other| other.thread != it.thread);
            let mut wanted = others.chain([it]).map(|other| other.wanted.object);
            let Some(hold) = wanted.find_map(|object| it.hold_of(object)) else {
                continue;
            };
            let (held, wanted) = (self.object(hold.object), self.object(it.wanted.object));
            let time = it.when.as_secs_f64();
            let line = format!(
                "{} held {held},\n    acquired at {},\n    and wanted {wanted},\n    at {}, {time:.3} s after the first use",
                it.name, hold.place, it.wanted.place,
            );
            lines.push(self.with_stack(line, it.thread, hold.object));
            names.push(it.name.clone());
            places.extend([hold.place, it.wanted.place]);
            if it.timed {
                kind = Kind::TimedInversion;
            }
        }
        names.extend(self.names(set.iter().map(|it| it.wanted.object)));
        self.report(kind, lines, names, places)
    }

    /// Who could end a wait for this object.
    fn rescuers(&self, wait: &Wait) -> Rescuers {
        let info = self.objects.get(&wait.object);
        let permits = info.map_or(0, |(info, _)| info.permits);
        let (mut holders, mut levels) = (Vec::new(), 0);
        for thread in &self.threads {
            for held in thread.held() {
                if held.hold.object != wait.object {
                    continue;
                }
                if !held.is(OWNED) {
                    return Rescuers::Anyone;
                }
                levels += held.hold.amount;
                holders.push(thread.number);
            }
        }
        match permits {
            0 => Rescuers::Anyone,
            // One that is passed on just now, or was acquired by a thread that has ended.
            _ if levels < permits => Rescuers::Anyone,
            _ => Rescuers::These(holders),
        }
    }

    /// A thread looks whether it is stuck. Returns the report if that is certain, and others.
    fn look(&mut self, me: &Arc<Thread>, wait: &Wait) -> (Option<Report>, Vec<Report>) {
        let mut reports = Vec::new();
        let waits: Vec<(Arc<Thread>, Wait)> = self
            .threads
            .iter()
            .filter_map(|thread| Some((Arc::clone(thread), thread.wait()?)))
            .collect();
        let mut waits: Vec<(Arc<Thread>, Wait, Rescuers)> = waits
            .into_iter()
            .map(|(thread, wait)| (thread, wait, self.rescuers(&wait)))
            .collect();
        // Those that are still in the same wait were in it, all at once, when the others were looked
        // at. What a thread holds does not change in a wait.
        waits.retain(|(thread, wait, _)| {
            let same = thread.wait().is_some_and(|now| now.number == wait.number);
            same && wait.since.elapsed() >= SETTLED
        });
        let rescuers: Vec<_> = waits
            .iter()
            .map(|(it, _, by)| (it.number, by.clone()))
            .collect();
        let awake = waits.len() < self.threads.len();
        // By their owners alone.
        let mut stuck = stuck::stuck(&rescuers, true);
        let mut certain = stuck.contains(&me.number);
        if !certain && !awake {
            // Each thread that is known waits. Nobody else may be there, now and at the next look.
            stuck = stuck::stuck(&rescuers, false);
            let here = |(it, wait, _): &(Arc<Thread>, Wait, _)| {
                stuck
                    .contains(&it.number)
                    .then_some((it.number, wait.number))
            };
            let suspects: Vec<_> = waits.iter().filter_map(here).collect();
            if stuck.contains(&me.number) {
                let before = self.suspected.insert(me.number, suspects.clone());
                let again = before.is_some_and(|before| before == suspects);
                if again && all_sleep() == Some(self.threads.len()) {
                    certain = true;
                } else if again && wait.since.elapsed() >= GRACE {
                    reports.extend(self.nobody_left(me, wait));
                }
            }
        }
        if let Some(limit) = report::long_wait() {
            if wait.since.elapsed() >= limit {
                reports.extend(self.long_wait(me, wait));
            }
        }
        let certain = certain.then(|| {
            let stuck: Vec<_> = waits
                .iter()
                .filter(|it| stuck.contains(&it.0.number))
                .collect();
            self.deadlock(me, &stuck)
        });
        (certain, reports)
    }

    /// A line about a thread that waits.
    fn waits(&self, thread: &Thread, wait: &Wait) -> String {
        let (object, place) = (self.object(wait.object), wait.place);
        let time = wait.since.elapsed().as_secs_f64();
        let name = &thread.name;
        format!(
            "{name} waits in {} of {object}, at {place}, since {time:.3} s",
            wait.method
        )
    }

    /// Lines about the threads that hold an object, and where they acquired it.
    fn holders(&self, object: u64) -> (Vec<String>, Vec<String>, Vec<Place>) {
        let (mut lines, mut names, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for thread in &self.threads {
            for held in thread.held() {
                if held.hold.object == object {
                    let line =
                        format!("  held by {}, acquired at {}", thread.name, held.hold.place);
                    lines.push(self.with_stack(line, thread.number, object));
                    names.push(thread.name.clone());
                    places.push(held.hold.place);
                }
            }
        }
        (lines, names, places)
    }

    fn long_wait(&mut self, me: &Thread, wait: &Wait) -> Option<Report> {
        let (more, mut names, mut places) = self.holders(wait.object);
        let lines = [vec![self.waits(me, wait)], more].concat();
        names.push(me.name.clone());
        names.extend(self.names([wait.object]));
        places.insert(0, wait.place);
        self.report(Kind::LongWait, lines, names, places)
    }

    fn nobody_left(&mut self, me: &Thread, wait: &Wait) -> Option<Report> {
        let lines = vec![self.waits(me, wait)];
        let mut names = vec![me.name.clone()];
        names.extend(self.names([wait.object]));
        self.report(Kind::NobodyLeft, lines, names, vec![wait.place])
    }

    /// The threads that are stuck with this one: those that it waits for, and so on.
    fn deadlock(&self, me: &Thread, stuck: &[&(Arc<Thread>, Wait, Rescuers)]) -> Report {
        let mut part = vec![me.number];
        let mut at = 0;
        while let Some(&number) = part.get(at) {
            at += 1;
            let it = stuck.iter().find(|it| it.0.number == number);
            let all = || stuck.iter().map(|it| it.0.number).collect();
            let by = match it.map(|it| &it.2) {
                Some(Rescuers::These(threads)) => threads.clone(),
                _ => all(),
            };
            for number in by {
                if !part.contains(&number) {
                    part.push(number);
                }
            }
        }
        let (mut lines, mut names, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (thread, wait, _) in stuck.iter().filter(|it| part.contains(&it.0.number)) {
            let (more, _, held) = self.holders(wait.object);
            lines.push(self.waits(thread, wait));
            lines.extend(more);
            names.push(thread.name.clone());
            names.extend(self.names([wait.object]));
            places.push(wait.place);
            places.extend(held);
        }
        Report {
            kind: Kind::Deadlock,
            lines,
            names,
            places,
        }
    }
}

/// How many threads the process has, if all but the running one sleep. `None` if one does not, or if
/// the system does not say.
fn all_sleep() -> Option<usize> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let mut threads = 0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        // The state comes after the name, which is in parentheses and may contain anything.
        let state = stat.rsplit_once(") ")?.1.chars().next()?;
        threads += 1;
        // The running thread looks.
        if !matches!(state, 'S' | 'R') {
            return None;
        }
        if state == 'R' && !task_is_mine(&stat) {
            return None;
        }
    }
    Some(threads)
}

/// Whether this line of the system is on the running thread.
fn task_is_mine(stat: &str) -> bool {
    let mine = std::fs::read_link("/proc/thread-self").ok();
    let mine = mine.as_deref().and_then(std::path::Path::file_name);
    let number = stat.split(' ').next();
    mine.and_then(std::ffi::OsStr::to_str) == number
}
