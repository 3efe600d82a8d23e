//! Small programs: a few threads that acquire and release a few primitives, and an exhaustive search
//! of all their interleavings for a deadlock.

use std::collections::HashSet;
use std::fmt;

/// What a primitive of the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A `Lock` with guards.
    Lock,
    /// A `Lock` that is acquired and released without guards.
    BareLock,
    RLock,
    Mutex,
    /// A `BoundedSemaphore` of one.
    One,
    /// A `BoundedSemaphore` of two.
    Two,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Lock,
        Self::BareLock,
        Self::RLock,
        Self::Mutex,
        Self::One,
        Self::Two,
    ];

    fn permits(self) -> u8 {
        if self == Self::Two { 2 } else { 1 }
    }
}

/// How long an acquire waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Patience {
    Forever,
    Timed,
    Try,
}

/// A step of a thread. An acquire that fails is skipped, and so is its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The primitive, and under which number the hold is kept.
    Acquire(usize, Patience, usize),
    /// The number of the hold.
    Release(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) primitives: Vec<Kind>,
    pub(crate) threads: Vec<Vec<Step>>,
}

impl Program {
    /// A random program of 2 to 4 threads and 2 to 4 primitives.
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let primitives: Vec<_> = (0..random.usize(2..=4))
            .map(|_| Kind::ALL[random.usize(..Kind::ALL.len())])
            .collect();
        let threads = (0..random.usize(2..=4))
            .map(|_| Self::thread(random, &primitives))
            .collect();
        Self {
            primitives,
            threads,
        }
    }

    /// Acquires, and releases in any order: so sections nest and cross.
    fn thread(random: &mut fastrand::Rng, primitives: &[Kind]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut held: Vec<(usize, usize)> = Vec::new();
        let acquires = random.usize(1..=4);
        let mut done = 0;
        while done < acquires || !held.is_empty() {
            if done < acquires && (held.is_empty() || random.u8(..10) < 6) {
                let primitive = random.usize(..primitives.len());
                let levels = held.iter().filter(|(it, _)| *it == primitive).count();
                let may = match primitives[primitive] {
                    Kind::RLock => levels < 2,
                    // With two of two it is alone, and waits for no other.
                    kind => levels < usize::from(kind.permits()),
                };
                if may {
                    let patience = match random.u8(..20) {
                        0 | 1 => Patience::Try,
                        2 => Patience::Timed,
                        _ => Patience::Forever,
                    };
                    steps.push(Step::Acquire(primitive, patience, done));
                    held.push((primitive, done));
                    done += 1;
                } else if held.len() == primitives.len() {
                    done = acquires;
                }
            } else {
                let (_, hold) = held.swap_remove(random.usize(..held.len()));
                steps.push(Step::Release(hold));
            }
        }
        steps
    }

    /// Whether any interleaving deadlocks. With `timed`, acquires with a timeout count as if they had
    /// none.
    pub(crate) fn can_deadlock(&self, timed: bool) -> bool {
        let start = State {
            at: vec![0; self.threads.len()],
            holds: vec![Vec::new(); self.threads.len()],
        };
        let mut seen = HashSet::from([start.clone()]);
        let mut left = vec![start];
        while let Some(state) = left.pop() {
            let mut moved = false;
            for thread in 0..self.threads.len() {
                if let Some(next) = self.step(&state, thread, timed) {
                    moved = true;
                    if seen.insert(next.clone()) {
                        left.push(next);
                    }
                }
            }
            let ended = state
                .at
                .iter()
                .zip(&self.threads)
                .all(|(at, it)| *at == it.len());
            if !moved && !ended {
                return true;
            }
        }
        false
    }

    /// The state after a step of a thread. `None` if it has ended or waits.
    fn step(&self, state: &State, thread: usize, timed: bool) -> Option<State> {
        let step = *self.threads[thread].get(state.at[thread])?;
        let mut next = state.clone();
        next.at[thread] += 1;
        match step {
            Step::Release(hold) => next.holds[thread].retain(|(_, it)| *it != hold),
            Step::Acquire(primitive, patience, hold) => {
                if self.is_free(state, thread, primitive) {
                    next.holds[thread].push((primitive, hold));
                } else if patience == Patience::Forever || patience == Patience::Timed && timed {
                    return None;
                }
            }
        }
        Some(next)
    }

    fn is_free(&self, state: &State, thread: usize, primitive: usize) -> bool {
        let holds =
            |holds: &Vec<(usize, usize)>| holds.iter().filter(|(it, _)| *it == primitive).count();
        let kind = self.primitives[primitive];
        if kind == Kind::RLock && holds(&state.holds[thread]) > 0 {
            return true;
        }
        state.holds.iter().map(holds).sum::<usize>() < usize::from(kind.permits())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    at: Vec<usize>,
    /// What each thread holds: the primitive, and the number of the hold.
    holds: Vec<Vec<(usize, usize)>>,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.primitives)?;
        self.threads.iter().try_for_each(|steps| {
            let shown = steps.iter().map(|step| match *step {
                Step::Acquire(primitive, patience, hold) => {
                    let how = match patience {
                        Patience::Forever => "+",
                        Patience::Timed => "~",
                        Patience::Try => "?",
                    };
                    format!("{how}{primitive}#{hold}")
                }
                Step::Release(hold) => format!("-#{hold}"),
            });
            writeln!(f, "  {}", shown.collect::<Vec<_>>().join(" "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Patience::{Forever, Timed, Try};
    use super::*;

    fn program(kind: Kind, second: Patience) -> Program {
        let thread = |first, second, patience| {
            vec![
                Step::Acquire(first, Forever, 0),
                Step::Acquire(second, patience, 1),
                Step::Release(1),
                Step::Release(0),
            ]
        };
        Program {
            primitives: vec![kind; 2],
            threads: vec![thread(0, 1, Forever), thread(1, 0, second)],
        }
    }

    #[test]
    fn the_search_finds_two_orders_and_no_more() {
        for kind in [Kind::Lock, Kind::RLock, Kind::One] {
            assert!(program(kind, Forever).can_deadlock(false));
        }
        assert!(!program(Kind::Two, Forever).can_deadlock(true));
        assert!(!program(Kind::Lock, Try).can_deadlock(true));
        assert!(!program(Kind::Lock, Timed).can_deadlock(false));
        assert!(program(Kind::Lock, Timed).can_deadlock(true));
    }

    #[test]
    fn two_of_two_permits_for_each_of_two_threads() {
        let thread = vec![
            Step::Acquire(0, Forever, 0),
            Step::Acquire(0, Forever, 1),
            Step::Release(1),
            Step::Release(0),
        ];
        let program = Program {
            primitives: vec![Kind::Two],
            threads: vec![thread.clone(), thread],
        };
        assert!(program.can_deadlock(false));
    }
}
