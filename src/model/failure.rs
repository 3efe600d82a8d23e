//! [`Failure`]: what a check says of an execution that fails. Uses the story, the table, the reason
//! and the names of it, and the report.

use core::fmt;
use std::time::Duration;

use super::names::Names;
use super::report::{Engine, Report};
use super::run::{Broken, Size};
use super::story::{Line, lines};
use super::table::{WIDTH, table};
use super::why::{FailureKind, Why};

/// A check that has failed: which execution, what each thread did in it, and why that fails.
///
/// Its `Display` is the report that [`check`](super::check) panics with.
///
/// # Examples
///
/// ```
/// use racefree::model::{Builder, FailureKind};
///
/// let failure = Builder::new().try_check(|| assert_eq!(1 + 1, 3)).unwrap_err();
/// assert_eq!(failure.kind, FailureKind::Panic);
/// assert!(failure.message.contains("assertion"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What the panic says: the program's own, or the checker's.
    pub message: String,
    /// What was run until it was found.
    pub report: Report,
    /// The names of the threads. The first is the one that runs the body.
    pub threads: Vec<String>,
    /// What the threads did, in the order in which it happened.
    pub steps: Vec<Step>,
    /// Why it fails, in words.
    pub why: Vec<String>,
    /// What [`Builder::replay`](super::Builder::replay) takes to run it again.
    pub replay: Option<String>,
    replay_bound: Option<usize>,
    size: Size,
    table: String,
}

/// A step of a thread, in a failing execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which thread: its place in [`Failure::threads`].
    pub thread: usize,
    /// The file of the user's line, as the compiler has it.
    pub file: Option<&'static str>,
    /// The user's line.
    pub line: Option<u32>,
    /// What was used: by its name, or by its kind and where it was made.
    pub object: Option<String>,
    /// What was done, and how it ended.
    pub what: String,
    /// Which threads it woke, or spawned.
    pub to: Vec<usize>,
}

impl Failure {
    pub(crate) fn new(
        broken: Broken,
        engine: Engine,
        bound: Option<usize>,
        elapsed: Duration,
    ) -> Self {
        let Broken {
            message,
            executions,
            steps,
            size,
            replay,
            replay_bound,
        } = broken;
        let names = Names::of(&steps);
        let (kind, why) = Why::of(&steps, &names).tell(&message, size == Size::Hangs);
        let lines = lines(&steps, &names);
        let step = |line: &Line| Step {
            thread: line.thread,
            file: line.place.map(|place| place.file),
            line: line.place.map(|place| place.line),
            object: line.object.map(|object| names.thing(object).to_owned()),
            what: line.text.clone(),
            to: line.to.clone(),
        };
        Self {
            kind,
            message,
            report: Report {
                engine,
                preemption_bound: bound,
                executions,
                elapsed,
            },
            threads: names.threads().to_vec(),
            steps: lines.iter().map(step).collect(),
            why,
            replay,
            replay_bound,
            size,
            table: table(&lines, &names),
        }
    }
}

/// The report.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FailureKind::Panic => "a thread panics",
            FailureKind::Deadlock => "deadlock",
            FailureKind::LostWakeUp => "deadlock, by a lost wake-up",
            FailureKind::Race => "data race",
            FailureKind::TooManySteps => "too many steps",
            FailureKind::Hangs => "no progress",
            FailureKind::Refused => "the checker can not run this",
        };
        writeln!(f, "racefree::model: {what}")?;
        if !self.message.starts_with("deadlock") {
            let said = self.message.trim().lines();
            for line in said.take(if self.kind == FailureKind::Panic {
                6
            } else {
                1
            }) {
                writeln!(f, "    {line}")?;
            }
        }
        write!(f, "found by {}", self.report)?;
        match self.size {
            Size::AsFound | Size::Hangs => {}
            Size::Preemptions(0) => f.write_str("\nsmallest: fails without a preemption")?,
            Size::Preemptions(bound) => write!(
                f,
                "\nsmallest: fails with {bound} preemption{}, and none fails with fewer",
                if bound == 1 { "" } else { "s" }
            )?,
            Size::AtLeast(bound) => write!(
                f,
                "\nnothing fails with fewer than {bound} preemptions; then time ran out"
            )?,
            Size::Switches(left, before) => write!(
                f,
                "\nsmallest: {left} switches between threads, of {before} when it was found"
            )?,
            Size::SwitchesSoFar(left, before) => write!(
                f,
                "\n{left} switches between threads, of {before}, were left when time ran out"
            )?,
        }
        writeln!(f)?;
        if !self.table.is_empty() {
            write!(f, "\n{}", self.table)?;
        }
        if !self.why.is_empty() {
            writeln!(f, "\nwhy:")?;
            for line in &self.why {
                for (number, part) in super::table::wrapped(line, WIDTH - 6).iter().enumerate() {
                    let indent = if number == 0 { "  " } else { "     " };
                    writeln!(f, "{indent}{part}")?;
                }
            }
        }
        if let Some(replay) = &self.replay {
            write!(f, "\nagain: Builder::new()")?;
            if let Some(bound) = self.replay_bound {
                write!(f, ".preemption_bound({bound})")?;
            }
            write!(
                f,
                ".replay(\"{replay}\"), with the other settings as they are"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
