//! Small programs on the primitives: what they are, all of a size, and how they are printed.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A primitive, as it is at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock,
    RLock,
    Semaphore(u32),
    Bounded(u32),
    Event,
    Condition,
    NestedCondition,
    /// A condition variable, with a mutex that holds the items.
    Condvar,
    Barrier(usize),
    ActingBarrier(usize),
}

/// A call, or a few that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Acquire,
    TryAcquire,
    AcquireTimeout,
    Release,
    AcquireTwo,
    AcquireTwoTimeout,
    Drain,
    ReleaseTwo,
    Look,
    Set,
    Clear,
    Wait,
    WaitTimeout,
    /// A condition's are called with its lock, but for these two.
    WaitWithoutLock,
    NotifyWithoutLock,
    Notify,
    NotifyTwo,
    NotifyAll,
    /// Adds an item and notifies, waits for an item and takes it.
    Put,
    Take,
    TakeTimeout,
    Reset,
    Abort,
    Broken,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::Lock,
        Self::RLock,
        Self::Semaphore(0),
        Self::Semaphore(1),
        Self::Bounded(1),
        Self::Bounded(2),
        Self::Event,
        Self::Condition,
        Self::NestedCondition,
        Self::Condvar,
        Self::Barrier(2),
        Self::Barrier(3),
        Self::ActingBarrier(2),
    ];

    pub(crate) fn ops(self) -> &'static [Op] {
        use Op::*;

        match self {
            Self::Lock | Self::RLock => &[Acquire, TryAcquire, AcquireTimeout, Release, Look],
            Self::Semaphore(_) | Self::Bounded(2..) => &[
                Acquire,
                TryAcquire,
                AcquireTimeout,
                Release,
                ReleaseTwo,
                Look,
                AcquireTwo,
                AcquireTwoTimeout,
                Drain,
            ],
            Self::Bounded(_) => &[
                Acquire,
                TryAcquire,
                AcquireTimeout,
                Release,
                ReleaseTwo,
                Look,
                Drain,
            ],
            Self::Event => &[Set, Clear, Wait, WaitTimeout, Look],
            Self::Condition | Self::NestedCondition => &[
                Acquire,
                Release,
                Wait,
                WaitTimeout,
                WaitWithoutLock,
                NotifyWithoutLock,
                Notify,
                NotifyAll,
                Put,
                Take,
                TakeTimeout,
                TryAcquire,
                AcquireTimeout,
                NotifyTwo,
                Look,
            ],
            Self::Condvar => &[
                Wait,
                WaitTimeout,
                Notify,
                NotifyTwo,
                NotifyAll,
                Put,
                Take,
                TakeTimeout,
                TryAcquire,
                AcquireTimeout,
                Look,
            ],
            Self::Barrier(_) | Self::ActingBarrier(_) => {
                &[Wait, WaitTimeout, Reset, Abort, Look, Broken]
            }
        }
    }

    /// Whether the crate's own type takes other steps than the specification: it has a line of
    /// waiters, and a lock of any kind.
    pub(crate) fn is_condition(self) -> bool {
        matches!(self, Self::Condition | Self::NestedCondition)
    }

    /// What lets go on those that would wait forever.
    fn rescue(self) -> Op {
        match self {
            Self::Lock | Self::RLock | Self::Bounded(_) => Op::Release,
            Self::Semaphore(_) => Op::ReleaseTwo,
            Self::Event => Op::Set,
            Self::Condition | Self::NestedCondition | Self::Condvar => Op::Put,
            Self::Barrier(_) | Self::ActingBarrier(_) => Op::Abort,
        }
    }

    fn made(self) -> String {
        match self {
            Self::Lock => "Lock::new()".into(),
            Self::RLock => "RLock::new()".into(),
            Self::Semaphore(value) => format!("Semaphore::new({value})"),
            Self::Bounded(value) => format!("BoundedSemaphore::new({value})"),
            Self::Event => "Event::new()".into(),
            Self::Condition => "Condition::with_lock(Lock::new())".into(),
            Self::NestedCondition => "Condition::new()".into(),
            Self::Condvar => "(Mutex::new(0), Condvar::new())".into(),
            Self::Barrier(parties) => format!("Barrier::new({parties})"),
            Self::ActingBarrier(parties) => {
                format!("Barrier::new({parties}).with_action(model::thread::yield_now)")
            }
        }
    }
}

impl Op {
    /// As Rust, on `primitive`.
    fn call(self, kind: Kind, primitive: &str, items: &str) -> String {
        let condition = kind.is_condition();
        let locked = |body: &str| {
            format!("{{ {primitive}.acquire(); let _it = {body}; {primitive}.release().unwrap() }}")
        };
        let guarded = |body: &str| {
            format!(
                "{{ let mut guard = {primitive}.0.lock(); {}; }}",
                body.replace("CONDVAR", &format!("{primitive}.1"))
            )
        };
        if kind == Kind::Condvar {
            return match self {
                Self::Wait => guarded("CONDVAR.wait(&mut guard)"),
                Self::WaitTimeout => guarded("CONDVAR.wait_timeout(&mut guard, TIMEOUT)"),
                Self::Notify => format!("{primitive}.1.notify_one()"),
                Self::NotifyTwo => format!("{primitive}.1.notify(2)"),
                Self::NotifyAll => format!("{primitive}.1.notify_all()"),
                Self::Put => guarded("*guard += 1; CONDVAR.notify_one()"),
                Self::Take => guarded("CONDVAR.wait_while(&mut guard, |it| *it == 0); *guard -= 1"),
                Self::TakeTimeout => guarded(
                    "if !CONDVAR.wait_while_timeout(&mut guard, |it| *it == 0, TIMEOUT).timed_out() \
                     { *guard -= 1 }",
                ),
                Self::TryAcquire => format!("{primitive}.0.try_lock().map(|it| *it)"),
                Self::AcquireTimeout => {
                    format!("{primitive}.0.try_lock_for(TIMEOUT).map(|it| *it)")
                }
                Self::Look => format!("{primitive}.1.n_waiting()"),
                other => unreachable!("{other:?}"),
            };
        }
        match self {
            Self::Acquire => format!("{primitive}.acquire()"),
            Self::TryAcquire => format!("{primitive}.try_acquire()"),
            Self::AcquireTimeout => format!("{primitive}.acquire_timeout(TIMEOUT)"),
            Self::Release => format!("{primitive}.release()"),
            Self::AcquireTwo => format!("{primitive}.acquire_n(2)"),
            Self::AcquireTwoTimeout => format!("{primitive}.acquire_n_timeout(2, TIMEOUT)"),
            Self::Drain => format!("{primitive}.drain()"),
            Self::ReleaseTwo => format!("{primitive}.release_n(2)"),
            Self::Look => format!("format!(\"{{:?}}\", {primitive})"),
            Self::Set => format!("{primitive}.set()"),
            Self::Clear => format!("{primitive}.clear()"),
            Self::Wait if condition => locked(&format!("{primitive}.wait()")),
            Self::WaitTimeout if condition => locked(&format!("{primitive}.wait_timeout(TIMEOUT)")),
            Self::Wait => format!("{primitive}.wait()"),
            Self::WaitTimeout => format!("{primitive}.wait_timeout(TIMEOUT)"),
            Self::WaitWithoutLock => format!("{primitive}.wait_timeout(TIMEOUT)"),
            Self::NotifyWithoutLock => format!("{primitive}.notify(1)"),
            Self::Notify => locked(&format!("{primitive}.notify(1)")),
            Self::NotifyTwo => locked(&format!("{primitive}.notify(2)")),
            Self::NotifyAll => locked(&format!("{primitive}.notify_all()")),
            Self::Put => locked(&format!(
                "{{ {items}.with_mut(|it| *it += 1); {primitive}.notify(1) }}"
            )),
            Self::Take => locked(&format!(
                "{{ {primitive}.wait_for(|| {items}.with(|it| *it > 0)).unwrap(); \
                 {items}.with_mut(|it| *it -= 1) }}"
            )),
            Self::TakeTimeout => locked(&format!(
                "{primitive}.wait_for_timeout(|| {items}.with(|it| *it > 0), TIMEOUT)"
            )),
            Self::Reset => format!("{primitive}.reset()"),
            Self::Abort => format!("{primitive}.abort()"),
            Self::Broken => format!("{primitive}.broken()"),
        }
    }
}

/// Threads, and what each of them calls: an operation on the primitive of that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) threads: Vec<Vec<(usize, Op)>>,
}

impl Program {
    /// All of so many threads of so many calls each. Of those that are the same but for the order
    /// of their threads, there is one.
    pub(crate) fn all(kinds: &[Kind], threads: usize, calls: usize) -> Vec<Self> {
        let steps: Vec<_> = kinds
            .iter()
            .enumerate()
            .flat_map(|(at, kind)| kind.ops().iter().map(move |&op| (at, op)))
            .collect();
        let mut bodies = vec![vec![]];
        for _ in 0..calls {
            bodies = bodies
                .iter()
                .flat_map(|body| {
                    steps.iter().map(move |&step| {
                        let mut body: Vec<_> = body.clone();
                        body.push(step);
                        body
                    })
                })
                .collect();
        }
        let mut all = vec![vec![]];
        for _ in 0..threads {
            all = all
                .iter()
                .flat_map(|chosen: &Vec<usize>| {
                    let first = chosen.last().copied().unwrap_or(0);
                    (first..bodies.len()).map(move |body| {
                        let mut chosen = chosen.clone();
                        chosen.push(body);
                        chosen
                    })
                })
                .collect();
        }
        all.into_iter()
            .map(|chosen| Self {
                kinds: kinds.to_vec(),
                threads: chosen
                    .into_iter()
                    .map(|body| bodies[body].clone())
                    .collect(),
            })
            .collect()
    }
}

impl Program {
    /// Programs of up to three threads of up to three calls each, on one primitive or two.
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        vec(select(&Kind::ALL[..]), 1..=2).prop_flat_map(|kinds| {
            let calls: Vec<_> = kinds
                .iter()
                .enumerate()
                .flat_map(|(at, kind)| kind.ops().iter().map(move |&op| (at, op)))
                .collect();
            let threads = vec(vec(select(calls), 1..=3), 2..=3);
            threads.prop_map(move |threads| Self {
                kinds: kinds.clone(),
                threads,
            })
        })
    }

    /// The same, and then something that lets go on those that would wait forever; with `deep`, in
    /// a thread of its own if there are but two.
    pub(crate) fn with_rescue(&self) -> Self {
        let mut program = self.clone();
        let rescue = self.kinds.iter().enumerate();
        let rescue = rescue.map(|(at, kind)| (at, kind.rescue()));
        if cfg!(feature = "deep") && self.threads.len() == 2 {
            program.threads.push(rescue.collect());
        } else {
            program.threads[0].extend(rescue);
        }
        program
    }
}

/// As a model of its own.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#[test]\nfn found_by_the_refinement() {{\n    explore(|| {{"
        )?;
        writeln!(f, "        let shared = Arc::new((")?;
        for kind in &self.kinds {
            writeln!(f, "            {},", kind.made())?;
        }
        writeln!(f, "            RaceCell::new(0),\n        ));")?;
        let items = format!("shared.{}", self.kinds.len());
        let body = |f: &mut fmt::Formatter<'_>, calls: &[(usize, Op)], indent: &str| {
            for (at, op) in calls {
                let call = op.call(self.kinds[*at], &format!("shared.{at}"), &items);
                writeln!(f, "{indent}let _it = {call};")?;
            }
            Ok(())
        };
        for (number, calls) in self.threads.iter().enumerate().skip(1) {
            writeln!(
                f,
                "        let thread_{number} = spawn(&shared, |shared| {{"
            )?;
            body(f, calls, "            ")?;
            writeln!(f, "        }});")?;
        }
        body(f, &self.threads[0], "        ")?;
        for number in 1..self.threads.len() {
            writeln!(f, "        thread_{number}.join().unwrap();")?;
        }
        writeln!(f, "    }});\n}}")
    }
}
