//! Runs a program: all its outcomes, with the specification or with the code.

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use racefree_loom::model::{Builder, FailureKind, RaceCell, thread};

use crate::program::{Kind, Op, Program};

/// What a program did, in one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Outcome {
    /// Of each thread, what each call returned; and what was to be seen of the primitives at the
    /// end.
    pub(crate) said: Vec<Vec<u8>>,
    /// Of each thread, after each call, how many calls of each other thread had begun before, by an
    /// order that it can rely on.
    pub(crate) known: Vec<Vec<u8>>,
}

impl Outcome {
    /// Whether it is allowed where `other` is: the same, in no less an order.
    pub(crate) fn refines(&self, other: &Self) -> bool {
        let known = self
            .known
            .iter()
            .flatten()
            .zip(other.known.iter().flatten());
        self.said == other.said && known.into_iter().all(|(own, needed)| own >= needed)
    }
}

/// What a program does.
pub(crate) struct Ran {
    pub(crate) outcomes: BTreeSet<Outcome>,
    pub(crate) executions: usize,
    /// The message with which an execution failed, the last that was run.
    pub(crate) failure: Option<(FailureKind, String)>,
    /// There are more executions than were to be run.
    pub(crate) cut: bool,
}

impl Ran {
    /// Whether it may wait forever.
    pub(crate) fn hangs(&self) -> bool {
        self.failed_by(FailureKind::Deadlock) || self.failed_by(FailureKind::LostWakeUp)
    }

    pub(crate) fn failed_by(&self, kind: FailureKind) -> bool {
        self.failure.as_ref().is_some_and(|it| it.0 == kind)
    }
}

/// What is called: one of the two.
pub(crate) trait Thing: Send + Sync + Sized + 'static {
    fn new(kind: Kind) -> Self;
    fn call(&self, op: Op) -> u8;
    /// What is to be seen of it when all is over.
    fn rest(&self) -> u8;
}

mod code {
    use racefree_loom as primitives;

    include!("thing.rs");
}

mod specification {
    use crate::whole as primitives;

    include!("thing.rs");
}

/// Which of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Primitives {
    /// The specification, by itself.
    Specification,
    /// The crate's own types, of which each call is a step of the specification.
    OneStep,
    /// The crate's own types.
    Code,
}

struct World<T> {
    things: Vec<T>,
    calls: Vec<Vec<Begun>>,
    outcome: Mutex<Outcome>,
}

/// Tells who comes after the beginning of a call, by an order that is there in each execution. The
/// checker tells two accesses that nothing orders, and that is asked of it here: which adds no
/// interleavings, as a word would.
struct Begun {
    cell: RaceCell<()>,
    /// Not seen by the checker.
    written: AtomicBool,
}

impl Begun {
    fn new() -> Self {
        Self {
            cell: RaceCell::new(()),
            written: AtomicBool::new(false),
        }
    }

    fn begin(&self) {
        self.cell.with_mut(|()| ());
        self.written.store(true, Relaxed);
    }

    fn is_before(&self) -> bool {
        let read = AssertUnwindSafe(|| self.cell.with(|()| ()));
        self.written.load(Relaxed) && panic::catch_unwind(read).is_ok()
    }
}

impl<T: Thing> World<T> {
    fn new(program: &Program) -> Self {
        let threads = program.threads.len();
        Self {
            things: program.kinds.iter().map(|&kind| T::new(kind)).collect(),
            calls: program
                .threads
                .iter()
                .map(|calls| calls.iter().map(|_| Begun::new()).collect())
                .collect(),
            outcome: Mutex::new(Outcome {
                said: vec![Vec::new(); threads],
                known: vec![Vec::new(); threads],
            }),
        }
    }

    fn run(&self, me: usize, calls: &[(usize, Op)]) {
        for (begun, &(at, op)) in self.calls[me].iter().zip(calls) {
            begun.begin();
            let said = self.things[at].call(op);
            let others = self.calls.iter().enumerate().filter(|(it, _)| *it != me);
            let known: Vec<_> = others
                .map(|(_, calls)| calls.iter().take_while(|it| it.is_before()).count() as u8)
                .collect();
            let mut outcome = self.outcome.lock().unwrap();
            outcome.said[me].push(said);
            outcome.known[me].extend(known);
        }
    }
}

/// Runs the program with these primitives, up to so many executions.
pub(crate) fn run(
    program: &Program,
    primitives: Primitives,
    bound: Option<usize>,
    limit: usize,
) -> Ran {
    match primitives {
        Primitives::Code => run_all::<code::Thing>(program, false, bound, limit),
        Primitives::OneStep => run_all::<code::Thing>(program, true, bound, limit),
        Primitives::Specification => run_all::<specification::Thing>(program, true, bound, limit),
    }
}

fn run_all<T: Thing>(program: &Program, one_step: bool, bound: Option<usize>, limit: usize) -> Ran {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&outcomes);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let own = program.clone();
    let body = move || {
        counted.fetch_add(1, Relaxed);
        let world = Arc::new(World::<T>::new(&own));
        let others: Vec<_> = (1..own.threads.len())
            .map(|me| {
                let world = Arc::clone(&world);
                let calls = own.threads[me].clone();
                thread::spawn(move || world.run(me, &calls))
            })
            .collect();
        world.run(0, &own.threads[0]);
        others.into_iter().for_each(|it| it.join().unwrap());
        let mut outcome = std::mem::take(&mut *world.outcome.lock().unwrap());
        outcome
            .said
            .push(world.things.iter().map(T::rest).collect());
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(outcome);
    };
    let mut builder = Builder::new().one_step(one_step).executions(limit);
    if let Some(bound) = bound {
        builder = builder.preemption_bound(bound);
    }
    let failure = builder.smallest(Duration::ZERO).try_check(body).err();
    let failure = failure.map(|failure| (failure.kind, failure.message));
    let cut = failure
        .as_ref()
        .is_some_and(|it| it.1.starts_with("there are more than"));
    let outcomes = std::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    Ran {
        outcomes,
        executions: count.load(Relaxed),
        failure: failure.filter(|_| !cut),
        cut,
    }
}
