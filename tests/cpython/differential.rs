//! The same calls, made here and by the machine's CPython (`differential.py`), with every result and
//! every error compared. A primitive's table says which calls: the Python, and the Rust that is to
//! do the same.
//!
//! Another seed than 1 is taken from `RACEFREE_SEED`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::io::{self, BufRead, BufReader, Write};
use std::ops::{Deref, RangeInclusive};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, mem, thread};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use racefree::{
    Barrier, BoundedSemaphore, BrokenBarrierError, Condition, ConditionLock, Event, Lock,
    NotOwnerError, RLock, ReleaseError, Semaphore,
};

use crate::common::{self, Acquire, LIMIT, Running, os, spawn, until};
use crate::python;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cpython/differential.py");

/// A timeout that is waited for to its end, in Python `0.0001`, and one for several threads to
/// notice, in Python `0.002`.
const BRIEF: Duration = Duration::from_micros(100);
const SHORT: Duration = Duration::from_millis(2);

/// What a call returned or raised, as Python's `str` has it.
trait Said {
    fn said(self) -> String;
}

impl Said for bool {
    fn said(self) -> String {
        if self { "True" } else { "False" }.to_owned()
    }
}

impl Said for () {
    fn said(self) -> String {
        "None".to_owned()
    }
}

impl Said for u32 {
    fn said(self) -> String {
        self.to_string()
    }
}

impl Said for String {
    fn said(self) -> String {
        self
    }
}

impl Said for usize {
    fn said(self) -> String {
        self.to_string()
    }
}

impl<T: Said> Said for Result<T, NotOwnerError> {
    fn said(self) -> String {
        self.map_or_else(|error| format!("RuntimeError: {error}"), T::said)
    }
}

/// CPython's error has no text.
impl<T: Said> Said for Result<T, BrokenBarrierError> {
    fn said(self) -> String {
        self.map_or_else(|_| "BrokenBarrierError: ".to_owned(), T::said)
    }
}

impl<T: Said> Said for Result<T, ReleaseError> {
    fn said(self) -> String {
        self.map_or_else(|error| format!("{}: {error}", exception(error)), T::said)
    }
}

/// What CPython raises in the place of it: the documentation of [`ReleaseError`] says so.
fn exception(error: ReleaseError) -> &'static str {
    match error {
        ReleaseError::Unlocked | ReleaseError::NotOwner => "RuntimeError",
        ReleaseError::TooManyReleases | ReleaseError::ZeroPermits => "ValueError",
        other => panic!("CPython has no {other:?}"),
    }
}

/// Of a `Debug`, what it tells of the state.
fn words(shown: &impl Debug) -> String {
    let shown = format!("{shown:?}");
    let known = |word: &&str| {
        ["locked", "unlocked", "set", "unset", "broken"].contains(word)
            || word.starts_with("value=")
            || word.starts_with("waiters=")
    };
    let all = shown.split(|c: char| !c.is_alphanumeric() && c != '=' && c != '/');
    let mut words: Vec<_> = all.filter(known).collect();
    // The number of those who wait for a condition.
    let waiting = shown
        .strip_suffix(")>")
        .and_then(|shown| shown.rsplit(' ').next());
    words.extend(waiting);
    words.join(" ")
}

/// Which thread of a crew makes a call.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Owner,
    Other,
}

/// A call in both languages.
struct Call<S> {
    python: &'static str,
    here: fn(&S) -> String,
    /// How likely it is.
    weight: u32,
    /// The minor version of CPython 3 that has it.
    since: u32,
    who: Who,
    /// It ends by itself.
    ends: bool,
}

/// A table of calls.
macro_rules! calls {
    ($Type:ty; $($python:literal $([$($how:tt)*])? => |$p:ident| $here:expr,)*) => {
        vec![$(Call::<$Type>::new($python, |$p| Said::said($here))$(.$($how)*)?,)*]
    };
}

impl<S> Call<S> {
    fn new(python: &'static str, here: fn(&S) -> String) -> Self {
        Self {
            python,
            here,
            weight: 4,
            since: 8,
            who: Who::Other,
            ends: false,
        }
    }

    /// A call that costs the time of a timeout, say.
    fn seldom(mut self) -> Self {
        self.weight = 1;
        self
    }

    fn often(mut self) -> Self {
        self.weight = 10;
        self
    }

    fn since(mut self, minor: u32) -> Self {
        self.since = minor;
        self
    }

    fn by_owner(mut self) -> Self {
        self.who = Who::Owner;
        self
    }

    fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    /// As a crew's script has it.
    fn of_crew(&self) -> String {
        let who = match self.who {
            Who::Owner => "owner",
            Who::Other => "other",
        };
        let ends = if self.ends { "+" } else { "" };
        format!("{who}{ends} {}", self.python)
    }
}

impl<S> Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.python)
    }
}

/// How to make the primitive, in both languages.
type Make<S> = (&'static str, fn() -> S);

/// A primitive to be compared with CPython's.
trait Subject: Send + Sync + Sized + 'static {
    /// Whether a call that may wait would not, on the one thread that there is.
    fn free(&self) -> bool;

    /// Whether the calling thread owns it, if a thread can.
    fn owned(&self) -> bool {
        false
    }

    /// Brings those that wait for it nearer to their end.
    fn rescue(&self);
}

macro_rules! subjects {
    ($($Type:ty: $free:expr, $owned:expr, $rescue:expr;)*) => {
        $(impl Subject for $Type {
            fn free(&self) -> bool {
                $free(self)
            }

            fn owned(&self) -> bool {
                $owned(self)
            }

            fn rescue(&self) {
                _ = $rescue(self);
            }
        })*
    };
}

subjects! {
    Lock: |lock: &Lock| !lock.locked(), |_| false, Lock::release;
    RLock: |_| true, RLock::is_owned, RLock::release;
    Semaphore: |it: &Semaphore| it.value() > 0, |_| false, Semaphore::release;
    BoundedSemaphore: |it: &BoundedSemaphore| it.value() > 0, |_| false, BoundedSemaphore::release;
    Event: Event::is_set, |_| false, Event::set;
    Barrier: |it: &Barrier| it.parties() == 1 || it.broken(), |_| false, Barrier::abort;
    Shared<Lock>: |it: &Self| !it.lock.locked(), |_| false, Shared::let_go;
    Shared<RLock>: |_| true, |it: &Self| it.lock.is_owned(), |it: &Self| {
        it.let_go();
        if it.lock.is_owned() { it.lock.release() } else { Ok(()) }
    };
}

/// A condition, the lock that it shares, and a number that the lock protects.
struct Shared<L> {
    lock: Arc<L>,
    condition: Condition<Arc<L>>,
    n: AtomicU32,
}

impl<L: Default> Default for Shared<L>
where
    Arc<L>: ConditionLock,
{
    fn default() -> Self {
        let lock = Arc::new(L::default());
        Self {
            lock: Arc::clone(&lock),
            condition: Condition::with_lock(lock),
            n: AtomicU32::new(0),
        }
    }
}

impl<L> Deref for Shared<L> {
    type Target = Condition<Arc<L>>;

    fn deref(&self) -> &Self::Target {
        &self.condition
    }
}

impl<L> Shared<L>
where
    Arc<L>: ConditionLock,
{
    fn try_within<T: Said>(&self, inside: impl FnOnce() -> T) -> String {
        if !self.try_acquire() {
            return "busy".to_owned();
        }
        let said = inside().said();
        self.release()
            .map_or_else(|error| Err::<(), _>(error).said(), |()| said)
    }

    fn put(&self) -> Result<(), NotOwnerError> {
        self.n.fetch_add(1, Ordering::Relaxed);
        self.notify(1)
    }

    fn take(&self) -> Result<String, NotOwnerError> {
        self.wait_for(|| self.n.load(Ordering::Relaxed) > 0)?;
        self.n.fetch_sub(1, Ordering::Relaxed);
        Ok("took".to_owned())
    }

    fn take_in(&self, timeout: Duration) -> Result<String, NotOwnerError> {
        if !self.wait_for_timeout(|| self.n.load(Ordering::Relaxed) > 0, timeout)? {
            return Ok("nothing".to_owned());
        }
        self.take()
    }

    /// Lets all go on who wait, with enough for each to take, and releases the lock once.
    fn let_go(&self) {
        self.n.store(1000, Ordering::Relaxed);
        _ = self.try_acquire();
        _ = self.notify_all();
        _ = self.release();
    }
}

/// A CPython that runs the script.
struct Python {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Python {
    fn start() -> Self {
        let mut child = Command::new(python::name())
            .arg(SCRIPT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it has started before");
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn ask(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("python has ended");
    }

    fn answer(&self) -> String {
        let answer = self.lines.recv_timeout(LIMIT);
        answer.expect("python hangs, or has ended")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Threads {
    One,
    Several,
}

/// A sequence of calls on a new primitive. It is shown as the Python that it is.
#[derive(Clone)]
struct Sequence<S: 'static> {
    crew: bool,
    make: Make<S>,
    calls: Vec<&'static Call<S>>,
}

impl<S> Sequence<S> {
    fn line(&self) -> String {
        let kind = if self.crew { "crew" } else { "one" };
        let calls = self.calls.iter().map(|call| match self.crew {
            false => call.python.to_owned(),
            true => call.of_crew(),
        });
        let fields = [kind.to_owned(), self.make.0.to_owned()];
        fields
            .into_iter()
            .chain(calls)
            .collect::<Vec<_>>()
            .join("\t")
    }
}

impl<S> Debug for Sequence<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n    p = {}", self.make.0)?;
        for call in &self.calls {
            match self.crew {
                false => write!(f, "\n    {}", call.python)?,
                true => write!(f, "\n    {}", call.of_crew())?,
            }
        }
        Ok(())
    }
}

impl<S: Subject> Sequence<S> {
    /// Makes the calls here.
    fn run(&self) -> Vec<String> {
        let (make, calls) = (self.make.1, self.calls.clone());
        if self.crew {
            let mut crew = Crew::new(make());
            let mut said: Vec<_> = calls.into_iter().map(|call| crew.run(call)).collect();
            if !crew.end() {
                said.push("a thread waits, and nothing frees it".to_owned());
            }
            return said;
        }
        // In a thread of its own, so that it fails if it hangs.
        let run = move || {
            let subject = make();
            calls.iter().map(|call| (call.here)(&subject)).collect()
        };
        spawn(run).end()
    }
}

/// Compares sequences of these calls. `seen` are results that have to come up, or the test would
/// compare nothing; which they do with the seed that they were chosen for.
fn compare<S: Subject>(
    name: &str,
    threads: Threads,
    makes: Vec<Make<S>>,
    calls: Vec<Call<S>>,
    seen: &[(&str, &str)],
) {
    let (test, cases) = match threads {
        Threads::One => (format!("differential::one_thread::{name}"), 1000),
        Threads::Several => (format!("differential::several_threads::{name}"), 150),
    };
    let Some(minor) = python::find(&test) else {
        return;
    };
    let crew = threads == Threads::Several;
    if crew && !cfg!(any(target_os = "linux", target_os = "android")) {
        let _ = writeln!(
            io::stderr(),
            "{test}: SKIPPED, who sleeps is read from /proc"
        );
        return;
    }
    let calls: &'static [Call<S>] = Vec::leak(calls);
    let weighted: Vec<_> = calls
        .iter()
        .filter(|call| call.since <= minor)
        .flat_map(|call| vec![call; call.weight as usize])
        .collect();
    let length: RangeInclusive<usize> = if crew { 0..=20 } else { 0..=40 };
    let sequences = (select(makes), vec(select(weighted), length));
    let sequences = sequences.prop_map(|(make, calls)| Sequence { crew, make, calls });

    let seed = env::var("RACEFREE_SEED").map_or(1, |seed| seed.parse().expect("a seed"));
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::with_cases(cases)
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seeded(seed));
    let mut runner = TestRunner::new_with_rng(config, rng);

    let python = Mutex::new(None);
    let said = Mutex::new(BTreeMap::<_, BTreeSet<String>>::new());
    let ran = runner.run(&sequences, |sequence| {
        let mut process: Python = match python.lock().unwrap().take() {
            Some(process) => process,
            None => {
                let process = Python::start();
                assert!(process.answer().starts_with("CPython 3 "));
                process
            }
        };
        process.ask(&sequence.line());
        let here = sequence.run();
        let answer = process.answer();
        // Only a process that has answered is asked again.
        *python.lock().unwrap() = Some(process);
        let there: Vec<_> = match answer.as_str() {
            "" => Vec::new(),
            answer => answer.split('\t').collect(),
        };
        let differs = (0..here.len().max(there.len()))
            .find(|&i| here.get(i).map(String::as_str) != there.get(i).copied());
        if let Some(i) = differs {
            return Err(TestCaseError::fail(format!(
                "call {} of {:?}: here {:?}, CPython {:?}",
                i + 1,
                sequence.calls.get(i).map(|call| call.python),
                &here[i.min(here.len())..],
                &there[i.min(there.len())..],
            )));
        }
        let mut said = said.lock().unwrap();
        for (call, result) in sequence.calls.iter().zip(here) {
            said.entry(call.python).or_default().insert(result);
        }
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, sequence)) => {
            panic!("{test}, seed {seed}: {reason}, in{sequence:?}")
        }
        Err(error) => panic!("{test}, seed {seed}: {error}"),
    }

    let said = said.into_inner().unwrap();
    for call in calls.iter().filter(|call| call.since <= minor) {
        assert!(
            said.contains_key(call.python),
            "{} was not run",
            call.python
        );
        let seen = seen.iter().filter(|_| seed == 1);
        for (_, result) in seen.filter(|(python, _)| *python == call.python) {
            let results = &said[call.python];
            assert!(results.contains(*result), "{}: {results:?}", call.python);
        }
    }
    for (python, _) in seen {
        assert!(
            calls.iter().any(|call| call.python == *python),
            "no {python}"
        );
    }
    let _ = writeln!(
        io::stderr(),
        "{test}: {cases} sequences as CPython 3.{minor}"
    );
}

fn seeded(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// A thread of a crew.
struct Worker {
    jobs: Sender<Job>,
    state: Arc<WorkerState>,
    thread: Running<()>,
    /// When it had its last turn.
    last: u32,
}

type Job = Box<dyn FnOnce() -> (String, bool) + Send>;

#[derive(Default)]
struct WorkerState {
    id: AtomicI32,
    busy: AtomicBool,
    /// What its last call said, and whether it owned the primitive then.
    result: Mutex<(String, bool)>,
}

impl Worker {
    fn new() -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        let state = Arc::new(WorkerState::default());
        let own = Arc::clone(&state);
        let thread = spawn(move || {
            own.id.store(os::thread_id(), Ordering::Release);
            for job in todo {
                let result = job();
                *own.result.lock().unwrap() = result;
                own.busy.store(false, Ordering::Release);
            }
        });
        until(|| state.id.load(Ordering::Acquire) != 0);
        Self {
            jobs,
            state,
            thread,
            last: 0,
        }
    }

    fn begin(&self, job: Job) {
        self.state.busy.store(true, Ordering::Relaxed);
        self.jobs.send(job).unwrap();
    }

    fn busy(&self) -> bool {
        self.state.busy.load(Ordering::Acquire)
    }

    fn result(&self) -> (String, bool) {
        self.state.result.lock().unwrap().clone()
    }

    /// The number of its sleep, or `None` if it is awake.
    fn sleep(&self) -> Option<String> {
        let id = self.state.id.load(Ordering::Relaxed);
        let status = std::fs::read_to_string(format!("/proc/self/task/{id}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        if !field("State:\t")?.starts_with('S') {
            return None;
        }
        field("voluntary_ctxt_switches:\t").map(str::to_owned)
    }
}

/// Four threads that share a primitive, and of which one at a time is given something to do.
struct Crew<S> {
    subject: Arc<S>,
    workers: Vec<Worker>,
    turns: u32,
    /// Who waited when the last call was over.
    waiting: Vec<usize>,
}

impl<S: Subject> Crew<S> {
    fn new(subject: S) -> Self {
        Self {
            subject: Arc::new(subject),
            workers: (0..4).map(|_| Worker::new()).collect(),
            turns: 0,
            waiting: Vec::new(),
        }
    }

    fn busy(&self) -> Vec<usize> {
        (0..4).filter(|&i| self.workers[i].busy()).collect()
    }

    /// Until the one that `ends` has ended; and then until each thread that has something to do sleeps
    /// over it, and sleeps on.
    ///
    /// In this order: whom it frees as it ends is awake by then, or has been. One that was looked at
    /// before would be taken to sleep on, and its end be that of the next call.
    fn settle(&self, ends: Option<usize>) {
        let mut before = None;
        until(|| {
            let ended = ends.is_none_or(|i| !self.workers[i].busy());
            let busy = self.workers.iter().enumerate().filter(|(_, it)| it.busy());
            let sleeps = busy.map(|(i, worker)| Some((i, worker.sleep()?)));
            let sleeps = sleeps.collect::<Option<Vec<_>>>();
            let settled = ended && sleeps.is_some() && sleeps == before;
            before = sleeps.filter(|_| ended);
            settled
        });
    }

    fn run(&mut self, call: &'static Call<S>) -> String {
        let waiting = self.busy();
        // A thread goes on because of a call, and before the next. Else it was late, or was taken
        // to be asleep when it was not.
        let late = if waiting == self.waiting {
            ""
        } else {
            "after a late one: "
        };
        let able = (0..4).filter(|i| {
            let owns = self.workers[*i].result().1;
            !waiting.contains(i) && owns == (call.who == Who::Owner)
        });
        let Some(turn) = able.min_by_key(|&i| self.workers[i].last) else {
            return format!("{late}nobody");
        };
        self.turns += 1;
        self.workers[turn].last = self.turns;
        let subject = Arc::clone(&self.subject);
        self.workers[turn].begin(Box::new(move || {
            let said = (call.here)(&subject);
            (said, subject.owned())
        }));
        self.settle(call.ends.then_some(turn));
        let worker = &self.workers[turn];
        let result = match worker.busy() {
            true => "waits".to_owned(),
            false => worker.result().0,
        };
        let went_on = waiting.into_iter().filter(|&i| !self.workers[i].busy());
        let mut others: Vec<_> = went_on.map(|i| self.workers[i].result().0).collect();
        others.sort_unstable();
        others.insert(0, result);
        self.waiting = self.busy();
        format!("{late}{}", others.join(", "))
    }

    /// Brings all waits to an end. Says whether that was to be done; if not, they are left behind.
    fn end(self) -> bool {
        let mut rounds = 0;
        while self.workers.iter().any(Worker::busy) {
            // A round frees a thread, or brings the owner one release nearer to it.
            rounds += 1;
            if rounds > 100 {
                return false;
            }
            self.subject.rescue();
            for worker in self.workers.iter().filter(|worker| !worker.busy()) {
                let subject = Arc::clone(&self.subject);
                worker.begin(Box::new(move || {
                    subject.rescue();
                    (String::new(), false)
                }));
            }
            self.settle(None);
        }
        for worker in self.workers {
            drop(worker.jobs);
            worker.thread.end();
        }
        true
    }
}

/// The result of a call that does not wait as things are, or that it would wait.
fn if_free<S: Subject, T: Said>(subject: &S, run: impl FnOnce() -> T) -> String {
    if subject.free() {
        run().said()
    } else {
        "waits".to_owned()
    }
}

/// Python's `fail()`, which here is a panic without a message of the hook.
fn fail() {
    panic::resume_unwind(Box::new("fails"));
}

/// What `run`, in which something fails, panics with.
fn fails(run: impl FnOnce()) -> String {
    let panic = panic::catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    format!("RuntimeError: {}", common::words(&*panic))
}

/// The result of a wait at a barrier, whose action may fail.
fn passing(wait: impl FnOnce() -> Result<usize, BrokenBarrierError>) -> String {
    match panic::catch_unwind(AssertUnwindSafe(wait)) {
        Ok(result) => result.said(),
        Err(panic) => format!("RuntimeError: {}", common::words(&*panic)),
    }
}

/// A predicate that is true when it is asked again.
fn flip() -> impl FnMut() -> bool {
    let mut asked = false;
    move || mem::replace(&mut asked, true)
}

/// The calls that all have that can be acquired, on one thread.
fn acquiring<P: Acquire + Subject>() -> Vec<Call<P>> {
    calls! { P;
        "p.acquire() if free(p) else 'waits'" => |p| if_free(p, || { p.acquire(); true }),
        "p.acquire(False)" => |p| p.try_acquire(),
        "p.acquire(timeout=0)" => |p| p.acquire_timeout(Duration::ZERO),
        "p.acquire(timeout=0.0001)" [seldom()] => |p| p.acquire_timeout(BRIEF),
        "p.acquire(True, 0.0001)" [seldom()] => |p| p.acquire_until(Instant::now() + BRIEF),
        "p.acquire(timeout=60) if free(p) else 'waits'" => |p|
            if_free(p, || p.acquire_timeout(LIMIT)),
        "p.release()" [often()] => |p| p.release(),
        "within(p, lambda: None) if free(p) else 'waits'" => |p| if_free(p, || drop(p.guard())),
        "within(p, p.release) if free(p) else 'waits'" => |p| if_free(p, || {
            let guard = p.guard();
            p.release().expect("it has just been acquired");
            guard.release()
        }),
        "within(p, fail) if free(p) else 'waits'" => |p| if_free(p, || fails(|| {
            let _guard = p.guard();
            fail();
        })),
    }
}

/// The calls that all have that can be acquired, on several threads.
fn contending<P: Acquire + Subject>() -> Vec<Call<P>> {
    calls! { P;
        "p.acquire()" [often()] => |p| { p.acquire(); true },
        "p.acquire(False)" => |p| p.try_acquire(),
        "p.acquire(timeout=60)" => |p| p.acquire_timeout(LIMIT),
        "p.acquire(timeout=0.002)" [ends()] => |p| p.acquire_timeout(SHORT),
        "p.acquire(timeout=0)" => |p| p.acquire_timeout(Duration::ZERO),
        "p.release()" [often()] => |p| p.release(),
    }
}

/// The calls of a condition on one thread.
fn conditional<L: Debug + 'static>() -> Vec<Call<Shared<L>>>
where
    Arc<L>: ConditionLock,
    Shared<L>: Subject + Deref<Target = Condition<Arc<L>>>,
{
    calls! { Shared<L>;
        "p.acquire() if free(p) else 'waits'" => |p| if_free(p, || { p.acquire(); true }),
        "p.acquire(False)" => |p| p.try_acquire(),
        "p.acquire(timeout=0)" => |p| p.acquire_timeout(Duration::ZERO),
        "p.acquire(timeout=0.0001)" [seldom()] => |p| p.acquire_timeout(BRIEF),
        "p.acquire(True, 0.0001)" [seldom()] => |p| p.acquire_until(Instant::now() + BRIEF),
        "p.release()" [often()] => |p| p.release(),
        "p.wait(0)" => |p| p.wait_timeout(Duration::ZERO),
        "p.wait(0.0001)" [seldom()] => |p| p.wait_timeout(BRIEF),
        "p.wait(timeout=0.0001)" [seldom()] => |p| p.wait_until(Instant::now() + BRIEF),
        "p.wait_for(lambda: True) if p._is_owned() else 'not held'" => |p|
            p.wait_for(|| true).map_or("not held".to_owned(), |()| true.said()),
        "p.wait_for(lambda: False, 0)" => |p| p.wait_for_timeout(|| false, Duration::ZERO),
        "p.wait_for(lambda: False, 0.0001)" [seldom()] => |p| p.wait_for_timeout(|| false, BRIEF),
        "p.wait_for(flip(), 0)" => |p| p.wait_for_timeout(flip(), Duration::ZERO),
        "p.notify()" => |p| p.notify(1),
        "p.notify(0)" => |p| p.notify(0),
        "p.notify(3)" => |p| p.notify(3),
        "p.notify_all()" => |p| p.notify_all(),
        "within(p, p.notify) if free(p) else 'waits'" => |p| if_free(p, || {
            let _guard = p.guard();
            p.notify(1)
        }),
        "within(p, lambda: p.wait(0)) if free(p) else 'waits'" => |p| if_free(p, || {
            let _guard = p.guard();
            p.wait_timeout(Duration::ZERO)
        }),
        "within(p, p.release) if free(p) else 'waits'" => |p| if_free(p, || {
            let guard = p.guard();
            p.release().expect("it has just been acquired");
            guard.release()
        }),
        "words(p)" => |p| words(&p.condition),
    }
}

/// The calls of a condition on several threads.
fn notifying<L: Debug + 'static>() -> Vec<Call<Shared<L>>>
where
    Arc<L>: ConditionLock,
    Shared<L>: Subject + Deref<Target = Condition<Arc<L>>>,
{
    calls! { Shared<L>;
        "p.acquire(False)" => |p| p.try_acquire(),
        "p.release()" => |p| p.release(),
        "try_within(p, p.wait)" [often()] => |p| p.try_within(|| p.wait().map(|()| true)),
        "try_within(p, lambda: p.wait(60))" => |p| p.try_within(|| p.wait_timeout(LIMIT)),
        "try_within(p, lambda: p.wait(0.002))" [ends()] => |p|
            p.try_within(|| p.wait_timeout(SHORT)),
        "try_within(p, lambda: p.wait(0))" => |p| p.try_within(|| p.wait_timeout(Duration::ZERO)),
        "try_within(p, p.notify)" => |p| p.try_within(|| p.notify(1)),
        "try_within(p, lambda: p.notify(2))" => |p| p.try_within(|| p.notify(2)),
        "try_within(p, p.notify_all)" => |p| p.try_within(|| p.notify_all()),
        "try_within(p, lambda: put(p))" => |p| p.try_within(|| p.put()),
        "try_within(p, lambda: take(p))" => |p| p.try_within(|| p.take()),
        "try_within(p, lambda: take(p, 60))" => |p| p.try_within(|| p.take_in(LIMIT)),
        "try_within(p, lambda: take(p, 0.002))" [ends()] => |p|
            p.try_within(|| p.take_in(SHORT)),
        "p.notify()" => |p| p.notify(1),
        "words(p)" => |p| words(&p.condition),
    }
}

const UNLOCKED: &str = "RuntimeError: release unlocked lock";
const NOT_OWNER: &str = "RuntimeError: cannot release un-acquired lock";
const TOO_MANY: &str = "ValueError: Semaphore released too many times";
const NO_WAIT: &str = "RuntimeError: cannot wait on un-acquired lock";
const NO_NOTIFY: &str = "RuntimeError: cannot notify on un-acquired lock";
const BROKEN: &str = "BrokenBarrierError: ";
const ZERO: &str = "ValueError: n must be one or more";

/// What is different, and is to stay so: docs/guide/differences.md says why. In CPython, and here.
#[test]
fn differences() {
    let test = "differential::differences";
    let Some(minor) = python::find(test) else {
        return;
    };
    let counts = |shown: String| shown.matches("count=").count().said();
    let no_parties = match minor {
        ..12 => "0",
        // Not yet in 3.12.1.
        12 => "",
        _ => "ValueError: parties must be > 0",
    };
    let barrier = Barrier::new(2);
    barrier.abort();
    let lines = [
        (
            "one\tRLock()\trepr(p).count('count=')",
            "1",
            counts(format!("{:?}", RLock::new())),
            "0",
        ),
        (
            "one\tLock()\tp.acquire(timeout=TIMEOUT_MAX + 1)",
            // What it says depends on the platform.
            "OverflowError: ",
            Lock::new().acquire_timeout(Duration::MAX).said(),
            "True",
        ),
        (
            "one\tCondition()\tp.wait_for(lambda: True)",
            "True",
            Condition::new().wait_for(|| true).said(),
            NO_WAIT,
        ),
        (
            "one\tBarrier(2)\tp.abort() or p.wait()",
            BROKEN,
            barrier.wait().unwrap_err().to_string(),
            "the barrier is broken: it was aborted",
        ),
        (
            "one\tBarrier(0)\tp.parties",
            no_parties,
            passing(|| Ok(Barrier::new(0).parties())),
            "RuntimeError: parties must be > 0",
        ),
    ];
    let mut python = Python::start();
    assert!(python.answer().starts_with("CPython 3 "));
    for (line, expected, here, expected_here) in lines {
        python.ask(line);
        let there = python.answer();
        assert!(there.starts_with(expected), "{line}: {there}");
        assert_eq!(here, expected_here, "{line}");
    }
}

mod one_thread {
    use super::*;

    #[test]
    fn lock() {
        let mut calls = acquiring();
        calls.extend(calls! { Lock;
            "p.locked()" => |p| p.locked(),
            "words(p)" => |p| words(p),
        });
        let seen = [
            ("p.acquire(False)", "False"),
            ("p.acquire(timeout=0.0001)", "False"),
            ("p.release()", "None"),
            ("p.release()", UNLOCKED),
            ("within(p, p.release) if free(p) else 'waits'", UNLOCKED),
            ("words(p)", "locked"),
        ];
        compare(
            "lock",
            Threads::One,
            vec![("Lock()", Lock::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn rlock() {
        let mut calls = acquiring();
        calls.extend(calls! { RLock;
            "p._is_owned()" => |p| p.is_owned(),
            "depth(p)" => |p| p.recursion_count(),
            "words(p)" => |p| words(p),
        });
        let seen = [
            ("p.release()", "None"),
            ("p.release()", NOT_OWNER),
            ("within(p, p.release) if free(p) else 'waits'", NOT_OWNER),
            ("p._is_owned()", "True"),
            ("depth(p)", "3"),
            ("words(p)", "unlocked"),
        ];
        compare(
            "rlock",
            Threads::One,
            vec![("RLock()", RLock::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn semaphore() {
        let mut calls = acquiring();
        calls.extend(calls! { Semaphore;
            "p.release(0)" [since(9)] => |p| p.release_n(0),
            "p.release(1)" [since(9)] => |p| p.release_n(1),
            "p.release(3)" [since(9)] => |p| p.release_n(3),
            "p._value" => |p| p.value(),
            "words(p)" [since(11)] => |p| words(p),
        });
        let makes: Vec<Make<Semaphore>> = vec![
            ("Semaphore()", Semaphore::default),
            ("Semaphore(0)", || Semaphore::new(0)),
            ("Semaphore(3)", || Semaphore::new(3)),
        ];
        let seen = [
            ("p.acquire(False)", "False"),
            ("p.acquire(timeout=0.0001)", "False"),
            ("p.release(0)", ZERO),
            ("p.release(3)", "None"),
            ("p._value", "0"),
            ("words(p)", "value=2"),
        ];
        compare("semaphore", Threads::One, makes, calls, &seen);
    }

    #[test]
    fn bounded_semaphore() {
        let mut calls = acquiring();
        calls.extend(calls! { BoundedSemaphore;
            "p.release(0)" [since(9)] => |p| p.release_n(0),
            "p.release(2)" [since(9)] => |p| p.release_n(2),
            "p._value" => |p| p.value(),
            "p._initial_value" => |p| p.initial_value(),
            "words(p)" [since(11)] => |p| words(p),
        });
        let makes: Vec<Make<BoundedSemaphore>> = vec![
            ("BoundedSemaphore()", BoundedSemaphore::default),
            ("BoundedSemaphore(0)", || BoundedSemaphore::new(0)),
            ("BoundedSemaphore(3)", || BoundedSemaphore::new(3)),
        ];
        let seen = [
            ("p.acquire(False)", "False"),
            ("p.release()", "None"),
            ("p.release()", TOO_MANY),
            ("p.release(0)", ZERO),
            ("p.release(2)", "None"),
            ("p.release(2)", TOO_MANY),
            ("within(p, p.release) if free(p) else 'waits'", TOO_MANY),
            ("p._value", "3"),
            ("words(p)", "value=2/3"),
        ];
        compare("bounded_semaphore", Threads::One, makes, calls, &seen);
    }

    #[test]
    fn event() {
        let calls = calls! { Event;
            "p.set()" => |p| p.set(),
            "p.clear()" => |p| p.clear(),
            "p.is_set()" => |p| p.is_set(),
            "p.wait() if free(p) else 'waits'" => |p| if_free(p, || { p.wait(); true }),
            "p.wait(0)" => |p| p.wait_timeout(Duration::ZERO),
            "p.wait(0.0001)" [seldom()] => |p| p.wait_timeout(BRIEF),
            "p.wait(timeout=0.0001)" [seldom()] => |p| p.wait_until(Instant::now() + BRIEF),
            "words(p)" [since(11)] => |p| words(p),
        };
        let seen = [
            ("p.wait(0)", "True"),
            ("p.wait(0)", "False"),
            ("p.wait(0.0001)", "False"),
            ("words(p)", "set"),
            ("words(p)", "unset"),
        ];
        compare(
            "event",
            Threads::One,
            vec![("Event()", Event::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn condition() {
        let mut calls = conditional();
        calls.extend(calls! { Shared<RLock>;
            "depth(p)" => |p| p.lock.recursion_count(),
        });
        let seen = [
            ("p.release()", NOT_OWNER),
            ("p.wait(0)", "False"),
            ("p.wait(0)", NO_WAIT),
            (
                "p.wait_for(lambda: True) if p._is_owned() else 'not held'",
                "True",
            ),
            ("p.wait_for(flip(), 0)", "True"),
            ("p.wait_for(flip(), 0)", NO_WAIT),
            ("p.notify()", "None"),
            ("p.notify()", NO_NOTIFY),
            ("depth(p)", "3"),
            ("words(p)", "locked 0"),
        ];
        let makes: Vec<Make<_>> = vec![("Condition()", Shared::default)];
        compare("condition", Threads::One, makes, calls, &seen);
    }

    #[test]
    fn condition_of_lock() {
        let seen = [
            ("p.acquire(False)", "False"),
            ("p.release()", UNLOCKED),
            ("p.wait(0)", "False"),
            ("p.wait(0)", NO_WAIT),
            ("p.wait_for(flip(), 0)", "True"),
            ("p.notify_all()", "None"),
            ("p.notify_all()", NO_NOTIFY),
            ("words(p)", "unlocked 0"),
        ];
        let makes: Vec<Make<Shared<Lock>>> = vec![("Condition(Lock())", Shared::default)];
        compare(
            "condition_of_lock",
            Threads::One,
            makes,
            conditional(),
            &seen,
        );
    }

    #[test]
    fn barrier() {
        let calls = calls! { Barrier;
            "p.wait() if free(p) else 'waits'" => |p| if_free(p, || passing(|| p.wait())),
            "p.wait(0)" => |p| passing(|| p.wait_timeout(Duration::ZERO)),
            "p.wait(0.0001)" [seldom()] => |p| passing(|| p.wait_timeout(BRIEF)),
            "p.reset()" => |p| p.reset(),
            "p.abort()" [seldom()] => |p| p.abort(),
            "p.parties" => |p| p.parties(),
            "p.n_waiting" => |p| p.n_waiting(),
            "p.broken" => |p| p.broken(),
            "words(p)" [since(11)] => |p| words(p),
        };
        let makes: Vec<Make<Barrier>> = vec![
            ("Barrier(1)", || Barrier::new(1)),
            ("Barrier(2)", || Barrier::new(2)),
            ("Barrier(1, lambda: None)", || {
                Barrier::new(1).with_action(|| {})
            }),
            ("Barrier(1, fail)", || Barrier::new(1).with_action(fail)),
        ];
        let seen = [
            ("p.wait(0)", "0"),
            ("p.wait(0)", BROKEN),
            ("p.wait(0)", "RuntimeError: fails"),
            ("p.broken", "True"),
            ("words(p)", "broken"),
            ("words(p)", "waiters=0/2"),
        ];
        compare("barrier", Threads::One, makes, calls, &seen);
    }
}

mod several_threads {
    use super::*;

    #[test]
    fn lock() {
        let mut calls = contending();
        calls.extend(calls! { Lock;
            "p.locked()" => |p| p.locked(),
        });
        let seen = [
            ("p.acquire()", "waits"),
            ("p.acquire(timeout=60)", "waits"),
            ("p.acquire(timeout=0.002)", "False"),
            ("p.release()", "None, True"),
            ("p.release()", UNLOCKED),
        ];
        compare(
            "lock",
            Threads::Several,
            vec![("Lock()", Lock::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn rlock() {
        let mut calls = contending();
        calls.extend(calls! { RLock;
            "p.acquire(timeout=60)" [by_owner().often()] => |p| p.acquire_timeout(LIMIT),
            "p.release()" [by_owner().often()] => |p| p.release(),
            "depth(p)" => |p| p.recursion_count(),
            "depth(p)" [by_owner()] => |p| p.recursion_count(),
            "p._is_owned()" => |p| p.is_owned(),
        });
        let seen = [
            ("p.acquire()", "waits"),
            ("p.acquire(timeout=60)", "waits"),
            ("p.acquire(timeout=60)", "True"),
            ("p.acquire(timeout=0.002)", "False"),
            ("p.release()", NOT_OWNER),
            ("p.release()", "None"),
            ("p.release()", "None, True"),
            ("depth(p)", "0"),
            ("depth(p)", "2"),
        ];
        compare(
            "rlock",
            Threads::Several,
            vec![("RLock()", RLock::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn semaphore() {
        let mut calls = contending();
        calls.extend(calls! { Semaphore;
            "p.release(2)" [since(9)] => |p| p.release_n(2),
            "p._value" => |p| p.value(),
        });
        let makes: Vec<Make<Semaphore>> = vec![
            ("Semaphore(0)", || Semaphore::new(0)),
            ("Semaphore(2)", || Semaphore::new(2)),
        ];
        let seen = [
            ("p.acquire()", "waits"),
            ("p.acquire(timeout=0.002)", "False"),
            ("p.release()", "None, True"),
            ("p.release(2)", "None"),
            ("p.release(2)", "None, True"),
            ("p.release(2)", "None, True, True"),
        ];
        compare("semaphore", Threads::Several, makes, calls, &seen);
    }

    #[test]
    fn bounded_semaphore() {
        let mut calls = contending();
        calls.extend(calls! { BoundedSemaphore;
            "p.release(2)" [since(9)] => |p| p.release_n(2),
            "p._value" => |p| p.value(),
        });
        let makes: Vec<Make<BoundedSemaphore>> = vec![
            ("BoundedSemaphore(1)", || BoundedSemaphore::new(1)),
            ("BoundedSemaphore(2)", || BoundedSemaphore::new(2)),
        ];
        let seen = [
            ("p.acquire()", "waits"),
            ("p.acquire(timeout=0.002)", "False"),
            ("p.release()", "None, True"),
            ("p.release()", TOO_MANY),
            ("p.release(2)", TOO_MANY),
            ("p.release(2)", "None, True, True"),
        ];
        compare("bounded_semaphore", Threads::Several, makes, calls, &seen);
    }

    #[test]
    fn event() {
        let calls = calls! { Event;
            "p.wait()" [often()] => |p| { p.wait(); true },
            "p.wait(60)" => |p| p.wait_timeout(LIMIT),
            "p.wait(0.002)" [ends()] => |p| p.wait_timeout(SHORT),
            "p.wait(0)" => |p| p.wait_timeout(Duration::ZERO),
            "p.set()" [seldom()] => |p| p.set(),
            "p.clear()" => |p| p.clear(),
            "p.set() or p.clear()" [seldom()] => |p| { p.set(); p.clear(); },
            "p.is_set()" => |p| p.is_set(),
        };
        let seen = [
            ("p.wait()", "waits"),
            ("p.wait()", "True"),
            ("p.wait(60)", "waits"),
            ("p.wait(0.002)", "False"),
            ("p.set()", "None, True"),
            ("p.set() or p.clear()", "None, True, True"),
        ];
        compare(
            "event",
            Threads::Several,
            vec![("Event()", Event::new)],
            calls,
            &seen,
        );
    }

    #[test]
    fn condition() {
        let mut calls = notifying();
        calls.extend(calls! { Shared<RLock>;
            "try_within(p, lambda: within(p, lambda: (p.wait(), depth(p))[1]))" => |p|
                p.try_within(|| {
                    let _guard = p.guard();
                    p.wait().map(|()| p.lock.recursion_count())
                }),
            "p.wait()" => |p| p.wait(),
            "p.acquire()" [by_owner()] => |p| { p.acquire(); true },
            "p.release()" [by_owner().often()] => |p| p.release(),
            "p.notify()" [by_owner()] => |p| p.notify(1),
            "p.notify(2)" [by_owner()] => |p| p.notify(2),
            "p.notify_all()" [by_owner()] => |p| p.notify_all(),
            "put(p)" [by_owner()] => |p| p.put(),
            "depth(p)" [by_owner()] => |p| p.lock.recursion_count(),
        });
        let seen = [
            ("try_within(p, p.wait)", "waits"),
            ("try_within(p, lambda: p.wait(60))", "waits"),
            ("try_within(p, lambda: p.wait(0.002))", "False"),
            ("try_within(p, p.notify)", "None"),
            ("try_within(p, p.notify)", "None, True"),
            ("try_within(p, p.notify)", "None, 2"),
            ("try_within(p, p.notify)", "busy"),
            ("try_within(p, lambda: p.notify(2))", "None, True, True"),
            ("try_within(p, p.notify_all)", "None, True"),
            ("try_within(p, lambda: put(p))", "None, took"),
            ("try_within(p, lambda: take(p, 0.002))", "nothing"),
            ("p.wait()", NO_WAIT),
            ("p.notify()", NO_NOTIFY),
            ("p.notify()", "None"),
            ("p.release()", "None, True"),
            ("words(p)", "unlocked 2"),
        ];
        let makes: Vec<Make<Shared<RLock>>> = vec![("counted(Condition())", Shared::default)];
        compare("condition", Threads::Several, makes, calls, &seen);
    }

    #[test]
    fn condition_of_lock() {
        let seen = [
            ("try_within(p, p.wait)", "waits"),
            ("try_within(p, lambda: p.wait(0.002))", "False"),
            ("try_within(p, p.notify)", "None, True"),
            ("try_within(p, p.notify_all)", "None, True"),
            ("try_within(p, lambda: put(p))", "None, took"),
            ("p.notify()", "None"),
            ("p.notify()", NO_NOTIFY),
            ("p.release()", "None, True"),
            ("words(p)", "unlocked 2"),
        ];
        let makes: Vec<Make<Shared<Lock>>> = vec![("counted(Condition(Lock()))", Shared::default)];
        compare(
            "condition_of_lock",
            Threads::Several,
            makes,
            notifying(),
            &seen,
        );
    }

    #[test]
    fn barrier() {
        let calls = calls! { Barrier;
            "p.wait()" [often()] => |p| passing(|| p.wait()),
            "p.wait(60)" => |p| passing(|| p.wait_timeout(LIMIT)),
            "p.wait(0.002)" [seldom().ends()] => |p| passing(|| p.wait_timeout(SHORT)),
            "p.wait(0)" [seldom()] => |p| passing(|| p.wait_timeout(Duration::ZERO)),
            "p.reset()" => |p| p.reset(),
            "p.abort()" [seldom()] => |p| p.abort(),
            "p.n_waiting" => |p| p.n_waiting(),
            "p.broken" => |p| p.broken(),
        };
        let makes: Vec<Make<Barrier>> = vec![
            ("Barrier(2)", || Barrier::new(2)),
            ("Barrier(3)", || Barrier::new(3)),
            ("Barrier(4, timeout=60)", || {
                Barrier::new(4).with_timeout(LIMIT)
            }),
            ("Barrier(3, lambda: None)", || {
                Barrier::new(3).with_action(|| {})
            }),
            ("Barrier(2, fail)", || Barrier::new(2).with_action(fail)),
        ];
        let seen = [
            ("p.wait()", "waits"),
            ("p.wait()", "1, 0"),
            ("p.wait()", "2, 0, 1"),
            ("p.wait()", BROKEN),
            ("p.wait()", "RuntimeError: fails, BrokenBarrierError: "),
            (
                "p.wait(0.002)",
                "BrokenBarrierError: , BrokenBarrierError: ",
            ),
            ("p.reset()", "None, BrokenBarrierError: "),
            ("p.abort()", "None, BrokenBarrierError: "),
            ("p.n_waiting", "2"),
        ];
        compare("barrier", Threads::Several, makes, calls, &seen);
    }
}
