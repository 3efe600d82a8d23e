//! The code of the primitives against their specification: small programs are run with both, and
//! what the code does, the specification has to allow.
//!
//! There are three to compare: the specification by itself, the crate's own types of which each call
//! is a step of it ([`one_step`](racefree_loom::model::Builder::one_step)), and the code. Each has to
//! do no more than the one before it. The first two take different steps in a condition's waits. A
//! program without one is run with the first in the longer part only; a condition variable never is,
//! as the specification by itself has none.
//!
//! An outcome is all that a program can tell: what each call returned, which calls of other threads
//! were known to have begun when it did, and what is to be seen of the primitives at the end. The
//! specification is run in whole steps without any bound, so its outcomes are all that it allows.
//! The code may be run up to a bound: what it does is then a part of what it can do, and has to be
//! allowed all the same. A program that may hang by its specification is left out.

mod program;
mod run;
mod whole;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use program::{Kind, Program};
use racefree_loom::model::FailureKind;
use run::{Outcome, Primitives, Ran, run};

/// What was found in many programs.
#[derive(Default)]
struct Figures {
    programs: usize,
    /// Left out: they may hang, have a race of their own, have too many executions.
    hang: usize,
    race: usize,
    too_large: usize,
    /// In steps or in code, they have more executions than were run.
    cut_steps: usize,
    cut: usize,
    /// How many executions were run.
    specification: usize,
    steps: usize,
    code: usize,
    /// How many outcomes there are, and how many of them the code never has.
    outcomes: usize,
    unused: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5} programs | left out {:4}: {:4} hang, {:2} race, {:3} too large | cut: {:2} in steps, \
             {:3} in code | executions: {:6} specification, {:6} steps, {:6} code | outcomes {:4}, \
             {:3} of them never in code",
            self.programs,
            self.hang + self.race + self.too_large,
            self.hang,
            self.race,
            self.too_large,
            self.cut_steps,
            self.cut,
            self.specification,
            self.steps,
            self.code,
            self.outcomes,
            self.unused,
        )
    }
}

/// How many executions of the specification there may be: a program that has more is left out.
const ALLOWED: usize = if cfg!(feature = "deep") {
    50_000
} else {
    2_000
};

/// How far to go with the code.
#[derive(Clone, Copy)]
struct Limits {
    bound: Option<usize>,
    executions: usize,
}

const LIMITS: Limits = if cfg!(feature = "deep") {
    Limits {
        bound: Some(3),
        executions: 50_000,
    }
} else {
    Limits {
        bound: Some(2),
        executions: 2_000,
    }
};

/// Fails if `ran`, which is `what`, does something that is not `allowed`.
fn refines(program: &Program, what: &str, ran: &Ran, allowed: &Ran) -> Result<(), String> {
    if let Some(why) = &ran.failure {
        return Err(format!("{program}// {what} fails: {why:?}"));
    }
    let is_allowed = |outcome: &Outcome| allowed.outcomes.iter().any(|it| outcome.refines(it));
    match ran.outcomes.iter().find(|outcome| !is_allowed(outcome)) {
        Some(outcome) => Err(format!(
            "{program}// {what} has an outcome that is not allowed: {outcome:?}\n// allowed are {:?}",
            allowed.outcomes
        )),
        None => Ok(()),
    }
}

/// Runs the program with all, and says what is wrong.
fn compare(program: &Program, figures: &mut Figures) -> Result<(), String> {
    figures.programs += 1;
    let kinds = &program.kinds;
    let specified = !kinds.contains(&Kind::Condvar)
        && (cfg!(feature = "deep") || kinds.iter().any(|kind| kind.is_condition()));
    let first = match specified {
        true => Primitives::Specification,
        false => Primitives::OneStep,
    };
    let mut program = program.clone();
    let mut allowed = run(&program, first, None, ALLOWED);
    if allowed.hangs() {
        program = program.with_rescue();
        allowed = run(&program, first, None, ALLOWED);
    }
    match specified {
        true => figures.specification += allowed.executions,
        false => figures.steps += allowed.executions,
    }
    if allowed.hangs() {
        figures.hang += 1;
        return Ok(());
    }
    if allowed.cut {
        figures.too_large += 1;
        return Ok(());
    }
    if allowed.failed_by(FailureKind::Race) {
        // A program that releases what it does not hold may have a race of its own.
        figures.race += 1;
        return Ok(());
    }
    if let Some(why) = allowed.failure {
        return Err(format!("{program}// the specification fails: {why:?}"));
    }
    if specified {
        let steps = run(&program, Primitives::OneStep, None, ALLOWED);
        figures.steps += steps.executions;
        refines(&program, "one step a call", &steps, &allowed)?;
        // All that a check in steps shows: what the code does has to be among it.
        match steps.cut {
            true => figures.cut_steps += 1,
            false => allowed = steps,
        }
    }
    let code = run(&program, Primitives::Code, LIMITS.bound, LIMITS.executions);
    figures.code += code.executions;
    figures.cut += usize::from(code.cut);
    figures.outcomes += allowed.outcomes.len();
    let unused = |outcome: &&Outcome| !code.outcomes.iter().any(|it| it.said == outcome.said);
    figures.unused += allowed.outcomes.iter().filter(unused).count();
    refines(&program, "the code", &code, &allowed)
}

/// Compares all these, and fails with all that is wrong.
fn compare_all(what: &str, programs: &[Program]) {
    let _one = one_at_a_time();
    let start = Instant::now();
    let mut figures = Figures::default();
    let mut faults = Vec::new();
    for program in programs {
        faults.extend(compare(program, &mut figures).err());
    }
    say(&format!(
        "{what:24} {figures} | {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    let number = faults.len();
    faults.truncate(3);
    assert!(
        faults.is_empty(),
        "{number} programs show a difference, as\n{}",
        faults.join("\n")
    );
}

/// loom maps and unmaps stacks all the time: two at once wait for one another.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(line: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "{line}");
}

macro_rules! all {
    ($($name:ident: $kind:expr, $threads:expr, $calls:expr;)*) => {
        $(#[test]
        fn $name() {
            compare_all(stringify!($name), &Program::all(&[$kind], $threads, $calls));
        })*
    };
}

all! {
    lock_2_by_2: Kind::Lock, 2, 2;
    lock_3_by_1: Kind::Lock, 3, 1;
    rlock_2_by_2: Kind::RLock, 2, 2;
    semaphore_2_by_1: Kind::Semaphore(0), 2, 1;
    semaphore_3_by_1: Kind::Semaphore(0), 3, 1;
    bounded_2_by_1: Kind::Bounded(1), 2, 1;
    event_2_by_2: Kind::Event, 2, 2;
    event_3_by_1: Kind::Event, 3, 1;
    condition_2_by_1: Kind::Condition, 2, 1;
    nested_condition_2_by_1: Kind::NestedCondition, 2, 1;
    condvar_2_by_1: Kind::Condvar, 2, 1;
    bounded_of_two_2_by_1: Kind::Bounded(2), 2, 1;
    barrier_2_by_1: Kind::Barrier(2), 2, 1;
    barrier_3_by_1: Kind::Barrier(3), 3, 1;
    acting_barrier_2_by_1: Kind::ActingBarrier(2), 2, 1;
}

/// A call that fails sees nothing of a release before it. That it came after one is known from the
/// two looks, which order nothing: it was held, and then it was not.
#[test]
fn failed_after_a_release() {
    use program::Op::{AcquireTimeout, Look, Release, TryAcquire};

    let programs: Vec<_> = [
        Kind::Lock,
        Kind::RLock,
        Kind::Semaphore(1),
        Kind::Bounded(1),
    ]
    .into_iter()
    .flat_map(|kind| {
        [TryAcquire, AcquireTimeout].map(|call| Program {
            kinds: vec![kind],
            threads: vec![
                vec![(0, TryAcquire), (0, Release), (0, TryAcquire)],
                vec![(0, Look), (0, Look), (0, call)],
            ],
        })
    })
    .collect();
    compare_all("failed_after_a_release", &programs);
}

/// All programs of two threads of two calls, and of three threads of one, for each primitive.
#[cfg(feature = "deep")]
mod deep {
    use super::{Kind, Program, compare_all};

    all! {
        rlock_3_by_1: Kind::RLock, 3, 1;
        semaphore_2_by_2: Kind::Semaphore(0), 2, 2;
        semaphore_of_one_2_by_2: Kind::Semaphore(1), 2, 2;
        semaphore_of_one_3_by_1: Kind::Semaphore(1), 3, 1;
        bounded_2_by_2: Kind::Bounded(1), 2, 2;
        bounded_3_by_1: Kind::Bounded(1), 3, 1;
        condition_3_by_1: Kind::Condition, 3, 1;
        nested_condition_3_by_1: Kind::NestedCondition, 3, 1;
        condvar_3_by_1: Kind::Condvar, 3, 1;
        condvar_2_by_2: Kind::Condvar, 2, 2;
        barrier_2_by_2: Kind::Barrier(2), 2, 2;
        barrier_of_2_3_by_1: Kind::Barrier(2), 3, 1;
        acting_barrier_2_by_2: Kind::ActingBarrier(2), 2, 2;
        acting_barrier_3_by_1: Kind::ActingBarrier(2), 3, 1;
        condition_2_by_2: Kind::Condition, 2, 2;
        nested_condition_2_by_2: Kind::NestedCondition, 2, 2;
    }
}

/// Random programs, larger ones too, the same each time; with `deep`, for as many seconds as the
/// variable `RACEFREE_SECONDS` says, or for ten minutes.
#[test]
fn random_programs() {
    let _one = one_at_a_time();
    let start = Instant::now();
    let seconds = match std::env::var("RACEFREE_SECONDS") {
        Ok(seconds) => seconds.parse().expect("a number of seconds"),
        Err(_) => 600,
    };
    let time = cfg!(feature = "deep").then(|| Duration::from_secs(seconds));
    let figures = RefCell::new(Figures::default());
    for seed in 0.. {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(40)
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let found = runner.run(&Program::any(), |program| {
            let fault = compare(&program, &mut figures.borrow_mut());
            fault.map_err(TestCaseError::fail)
        });
        if let Err(TestError::Fail(why, _)) = found {
            panic!("{why}");
        }
        if time.is_none_or(|time| start.elapsed() > time) {
            break;
        }
    }
    say(&format!(
        "{:24} {} | {:.1} s",
        "random_programs",
        figures.borrow(),
        start.elapsed().as_secs_f64()
    ));
}
