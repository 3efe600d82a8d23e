//! shuttle: random interleavings. Uses the settings, and begins each execution of the modelled
//! futex.
//!
//! A panic or a deadlock is seen here before shuttle sees it, and the execution is stopped: so
//! shuttle prints nothing of it, and the schedule is ours to keep, to repeat and to cut down.

use std::fmt::Write;
use std::mem::{self, ManuallyDrop};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
pub use shuttle::thread_local;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
pub(crate) use shuttle::{sync::atomic, thread};

use crate::model::panics::{self, Hook};
use crate::model::report::Engine;
use crate::model::run::{Broken, Run, Size};
use crate::model::settings::Settings;
use crate::sync;

pub use shuttle::hint::spin_loop;

pub(crate) const ENGINE: Engine = Engine::Shuttle;
pub(crate) const EXECUTIONS: usize = 1000;

static HOOK: Hook = Hook {
    quiet: true,
    install: || {
        // shuttle's is put by its first execution.
        let scheduler = Chooser::new(Vec::new(), Fit::Loose);
        Runner::new(scheduler, config(1000)).run(|| {});
    },
    is_checker: |file| {
        let file = file.replace('\\', "/");
        [
            "/shuttle-engine-",
            "/shuttle-std-",
            "/shuttle-schedulers-",
            "/shuttle-0.",
        ]
        .iter()
        .any(|part| file.contains(part))
    },
};

const MISFIT: &str = "the schedule does not fit: it is of other code, or of other settings";

/// The task that is run when no other can: the second, after that of the closure.
const LAST: usize = 1;

fn config(max_steps: usize) -> Config {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(max_steps);
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::None;
    config
}

pub(crate) fn run(settings: &Settings, run: &Run) -> Result<(), Box<Broken>> {
    let executions = settings.executions.unwrap_or(EXECUTIONS);
    let (message, log) = match (&settings.replay, settings.pct) {
        (Some(schedule), _) => {
            let choices = decode(schedule).ok_or_else(|| misfit(run))?;
            let log = Log::default();
            let chooser = Chooser::new(choices, Fit::Strict);
            let failed = attempt(settings, run, chooser, &log);
            if failed.is_none() && log.get().misfit {
                return Err(misfit(run));
            }
            (failed, log)
        }
        (None, None) => {
            let log = Log::default();
            let scheduler = RandomScheduler::new_from_seed(settings.seed, executions);
            (attempt(settings, run, scheduler, &log), log)
        }
        (None, Some(depth)) => {
            let log = Log::default();
            let scheduler = PctScheduler::new_from_seed(settings.seed, depth, executions);
            (attempt(settings, run, scheduler, &log), log)
        }
    };
    let Some(message) = message else {
        return Ok(());
    };
    let choices = mem::take(&mut log.get().choices);
    let found = Broken {
        message,
        executions: run.executions(),
        steps: run.steps(),
        size: Size::AsFound,
        replay: Some(encode(&choices)),
        replay_bound: None,
    };
    if settings.replay.is_some() || settings.smallest.is_zero() {
        return Err(Box::new(found));
    }
    Err(Box::new(smallest(settings, run, found, choices)))
}

fn misfit(run: &Run) -> Box<Broken> {
    Box::new(Broken {
        message: MISFIT.to_owned(),
        executions: run.executions(),
        steps: run.steps(),
        size: Size::AsFound,
        replay: None,
        replay_bound: None,
    })
}

/// Cuts the schedule down, as far as the body still fails: leaves out what a task does in one go,
/// first many at a time and then one by one.
fn smallest(settings: &Settings, run: &Run, found: Broken, choices: Vec<Choice>) -> Broken {
    let until = Instant::now() + settings.smallest;
    let at_first = switches(&choices);
    let mut best = choices;
    let mut broken = found;
    let mut at_once = goes(&best).len() / 2;
    let mut in_time = true;
    'search: while at_once > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < goes(&best).len() {
            if Instant::now() > until {
                in_time = false;
                break 'search;
            }
            let left: Vec<Choice> = goes(&best)
                .iter()
                .enumerate()
                .filter(|(number, _)| !(at..at + at_once).contains(number))
                .flat_map(|(_, go)| go.iter().copied())
                .collect();
            let log = Log::default();
            let failed = attempt(settings, run, Chooser::new(left, Fit::Loose), &log);
            let choices = mem::take(&mut log.get().choices);
            match failed {
                Some(message)
                    if alike(&message, &broken.message) && switches(&choices) < switches(&best) =>
                {
                    broken.message = message;
                    broken.steps = run.steps();
                    broken.replay = Some(encode(&choices));
                    best = choices;
                    shorter = true;
                }
                _ => at += at_once,
            }
        }
        if !shorter || at_once > 1 {
            at_once /= 2;
        }
    }
    let left = switches(&best);
    broken.size = match in_time {
        true => Size::Switches(left, at_first),
        false => Size::SwitchesSoFar(left, at_first),
    };
    broken
}

/// Whether two failures are of one kind.
fn alike(one: &str, other: &str) -> bool {
    one == other || one.starts_with("deadlock") && other.starts_with("deadlock")
}

/// One decision of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Task(usize),
    Random(u64),
}

/// What each task does in one go: the choices, cut where another task is chosen.
fn goes(choices: &[Choice]) -> Vec<&[Choice]> {
    let same = |one: &Choice, other: &Choice| match (one, other) {
        (Choice::Task(one), Choice::Task(other)) => one == other,
        (_, Choice::Random(_)) => true,
        (Choice::Random(_), Choice::Task(_)) => false,
    };
    choices.chunk_by(same).collect()
}

fn switches(choices: &[Choice]) -> usize {
    goes(choices).len().saturating_sub(1)
}

/// `0x12 2x3 ?ff 2`: task 0 twelve times, task 2 three times, a random number, task 2 once.
fn encode(choices: &[Choice]) -> String {
    let mut text = String::new();
    for alike in choices.chunk_by(|one, other| one == other) {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = match (alike[0], alike.len()) {
            (Choice::Task(task), 1) => write!(text, "{task}"),
            (Choice::Task(task), count) => write!(text, "{task}x{count}"),
            (Choice::Random(value), 1) => write!(text, "?{value:x}"),
            (Choice::Random(value), count) => write!(text, "?{value:x}x{count}"),
        };
    }
    text
}

fn decode(text: &str) -> Option<Vec<Choice>> {
    let mut choices = Vec::new();
    for part in text.split_whitespace() {
        let (what, count) = part.split_once('x').unwrap_or((part, "1"));
        let choice = match what.strip_prefix('?') {
            Some(value) => Choice::Random(u64::from_str_radix(value, 16).ok()?),
            None => Choice::Task(what.parse().ok()?),
        };
        choices.extend(std::iter::repeat_n(choice, count.parse().ok()?));
    }
    Some(choices)
}

/// What happened in an execution, told by the scheduler and the tasks to one another.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    choices: Vec<Choice>,
    failed: Option<String>,
    misfit: bool,
}

impl Log {
    fn get(&self) -> MutexGuard<'_, Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs executions until one fails, and says how. On a thread of the system of their own: one that
/// is stopped while a task unwinds counts as panicking for ever.
fn attempt<S: Scheduler + Send + 'static>(
    settings: &Settings,
    run: &Run,
    scheduler: S,
    log: &Log,
) -> Option<String> {
    let here = std::thread::current();
    let mut there = std::thread::Builder::new();
    if let Some(name) = here.name() {
        there = there.name(name.to_owned());
    }
    std::thread::scope(|scope| {
        let attempt = || attempt_here(settings, run, scheduler, log);
        let there = there.spawn_scoped(scope, attempt);
        let result = there.expect("a thread to run it on").join();
        result.unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

fn attempt_here<S: Scheduler + 'static>(
    settings: &Settings,
    run: &Run,
    scheduler: S,
    log: &Log,
) -> Option<String> {
    let scheduler = Logging {
        inner: ManuallyDrop::new(scheduler),
        log: log.clone(),
    };
    let futex = settings.futex();
    let one_step = settings.one_step();
    let _watching = run.watch();
    let this = run.clone();
    FAILED.set(Some(log.clone()));
    let runner = Runner::new(scheduler, config(settings.max_steps));
    let result = panics::caught(&HOOK, move || {
        runner.run(move || {
            // Before all others, so that it is the second task.
            let last = Arc::new(this.clone());
            let _ = thread::spawn(move || last_of_all(&last));
            crate::futex::modelled::begin(futex);
            crate::sync::choose(one_step);
            crate::step::begin(false);
            this.begin();
            stopping(|| this.body());
        })
    });
    FAILED.set(None);
    let failed = log.get().failed.take();
    failed.or_else(|| result.err().map(|payload| panics::message(&*payload)))
}

std::thread_local! {
    /// Where the tasks of the running check tell that they failed.
    static FAILED: std::cell::RefCell<Option<Log>> = const { std::cell::RefCell::new(None) };
}

/// Runs a task's closure: a panic in it stops the execution.
pub(crate) fn stopping<R>(body: impl FnOnce() -> R) -> R {
    match panic::catch_unwind(panic::AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => match FAILED.with_borrow(Clone::clone) {
            Some(log) => stop(&log, panics::message(&*payload)),
            None => panic::resume_unwind(payload),
        },
    }
}

/// Ends the execution: the scheduler chooses nobody from here on.
fn stop(log: &Log, message: String) -> ! {
    log.get().failed.get_or_insert(message);
    // What is dropped from here on gives nothing back.
    sync::deadlocked();
    loop {
        thread::yield_now();
    }
}

/// Is run only when no other task can: all have ended, or there is a deadlock.
fn last_of_all(run: &Run) {
    thread::yield_now();
    if run.threads_left() == 0 {
        return;
    }
    if let Some(log) = FAILED.with_borrow(Clone::clone) {
        stop(&log, "deadlock: every thread waits".to_owned());
    }
}

/// Asks another scheduler, and logs what it chooses. It never chooses the last task while there is
/// another.
struct Logging<S> {
    inner: ManuallyDrop<S>,
    log: Log,
}

impl<S: Scheduler> Scheduler for Logging<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        {
            let mut log = self.log.get();
            if log.failed.is_some() {
                return None;
            }
            log.choices.clear();
        }
        self.inner.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if self.log.get().failed.is_some() {
            return None;
        }
        let is_last = |task: &&&Task| usize::from(task.id()) == LAST;
        let others: Vec<&Task> = runnable.iter().filter(|it| !is_last(it)).copied().collect();
        // One that is parked is among them, as it may be woken for nothing.
        if !others.iter().any(|task| task.runnable()) {
            return Some(LAST.into());
        }
        let current = current.filter(|&task| usize::from(task) != LAST);
        let chosen = self.inner.next_task(&others, current, is_yielding);
        let mut log = self.log.get();
        match chosen {
            Some(task) => log.choices.push(Choice::Task(task.into())),
            None => log.misfit = true,
        }
        chosen
    }

    fn next_u64(&mut self) -> u64 {
        let value = self.inner.next_u64();
        self.log.get().choices.push(Choice::Random(value));
        value
    }
}

impl<S> Drop for Logging<S> {
    fn drop(&mut self) {
        // shuttle's schedulers print how to repeat a failure with shuttle, when they are dropped.
        if self.log.get().failed.is_none() && !std::thread::panicking() {
            // SAFETY: dropped here, and not used any more.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}

/// Whether a schedule has to fit in each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Strict,
    /// What does not fit is left out; at the end, each task runs as long as it can.
    Loose,
}

/// Runs one schedule.
struct Chooser {
    choices: Vec<Choice>,
    at: usize,
    fit: Fit,
    begun: bool,
}

impl Chooser {
    fn new(choices: Vec<Choice>, fit: Fit) -> Self {
        Self {
            choices,
            at: 0,
            fit,
            begun: false,
        }
    }
}

impl Scheduler for Chooser {
    fn new_execution(&mut self) -> Option<Schedule> {
        let begun = mem::replace(&mut self.begun, true);
        (!begun).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let can_run = |task: usize| runnable.iter().any(|it| usize::from(it.id()) == task);
        while let Some(&choice) = self.choices.get(self.at) {
            self.at += 1;
            match choice {
                Choice::Task(task) if can_run(task) => return Some(task.into()),
                _ if self.fit == Fit::Strict => return None,
                _ => {}
            }
        }
        if self.fit == Fit::Strict {
            return None;
        }
        // One that yields is waiting for another.
        let goes_on = current.filter(|&task| !is_yielding && can_run(task.into()));
        let after = |task: &&&Task| current.is_some_and(|current| task.id() > current);
        goes_on
            .or_else(|| runnable.iter().find(after).map(|task| task.id()))
            .or_else(|| runnable.first().map(|task| task.id()))
    }

    fn next_u64(&mut self) -> u64 {
        match self.choices.get(self.at) {
            Some(&Choice::Random(value)) => {
                self.at += 1;
                value
            }
            _ => 0,
        }
    }
}

/// A panic ends the execution: no thread runs after it.
pub(crate) const STOPS: bool = true;

pub(crate) fn spawn<T: Send + 'static>(
    _name: Option<String>,
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(body)
}

pub(crate) fn sleep(_duration: std::time::Duration) {
    thread::yield_now();
}
