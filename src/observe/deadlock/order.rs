//! In which order threads take locks, and whether some of them could wait for each other.
//!
//! A *dependency* is an acquire that may wait, made while other locks were held: the thread, what it
//! held, and what it wanted. Dependencies `d1 ... dn` could deadlock if
//!
//! 1. each wants what the next one holds, and the last wants what the first holds;
//! 2. no two are of the same thread: a thread does not wait for itself in another place;
//! 3. no two hold a common lock: that lock would let only one of them get so far (a *gate*).
//!
//! From Klaus Havelund, "Using Runtime Analysis to Guide Model Checking of Java Programs" (SPIN,
//! 2000), and Pallavi Joshi, Chang-Seo Park, Koushik Sen, Mayur Naik, "A Randomized Dynamic Program
//! Analysis Technique for Detecting Real Deadlocks" (PLDI, 2009).
//!
//! Uses nothing else of this crate.

use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;

/// A line of the user's.
pub(super) type Place = &'static Location<'static>;

/// An object, and where it was acquired.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) object: u64,
    pub(super) place: Place,
}

/// An acquire that may wait, made while other locks were held.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) thread: u64,
    /// The thread's name.
    pub(super) name: String,
    pub(super) held: Vec<Hold>,
    pub(super) wanted: Hold,
    /// Whether it would have waited only for a time.
    pub(super) timed: bool,
    /// When it was made, after the first use of the checker.
    pub(super) when: Duration,
}

impl Dependency {
    fn holds(&self, object: u64) -> bool {
        self.held.iter().any(|hold| hold.object == object)
    }

    /// Whether it is made in the same order as `other`, whichever thread makes it.
    fn repeats(&self, other: &Self) -> bool {
        self.timed == other.timed
            && self.held.len() == other.held.len()
            && self.held.iter().all(|hold| other.holds(hold.object))
    }

    /// Whether both may be in progress at once.
    fn is_beside(&self, other: &Self) -> bool {
        self.thread != other.thread && !self.held.iter().any(|hold| other.holds(hold.object))
    }

    /// Where the object that `before` wants was acquired.
    pub(super) fn hold_of(&self, object: u64) -> Option<Hold> {
        self.held.iter().copied().find(|hold| hold.object == object)
    }
}

/// So many threads are kept of an order, however many take locks in it: enough for any cycle that
/// is looked for.
const THREADS: usize = LONGEST;

/// Longer cycles are not looked for.
const LONGEST: usize = 6;

/// So many dependencies are looked at when one is added. A search that takes longer ends.
const STEPS: u32 = 20_000;

/// All dependencies between objects that exist.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: u64,
    dependencies: HashMap<u64, Dependency>,
    /// Those that hold an object, and those that want it.
    holding: HashMap<u64, Vec<u64>>,
    wanting: HashMap<u64, Vec<u64>>,
}

impl Order {
    /// Adds a dependency. Returns the shortest cycle that it closes: each wants what the next holds.
    pub(super) fn add(&mut self, new: Dependency) -> Option<Vec<Dependency>> {
        let like = self.wanting.get(&new.wanted.object);
        let like = like.into_iter().flatten().map(|id| &self.dependencies[id]);
        let mut threads = 0;
        for other in like.filter(|other| new.repeats(other)) {
            threads += 1;
            if other.thread == new.thread || threads == THREADS {
                return None;
            }
        }
        let id = self.next;
        self.next += 1;
        for hold in &new.held {
            self.holding.entry(hold.object).or_default().push(id);
        }
        self.wanting.entry(new.wanted.object).or_default().push(id);
        self.dependencies.insert(id, new);
        let mut steps = STEPS;
        (2..=LONGEST).find_map(|length| {
            let mut cycle = vec![id];
            let found = self.search(&mut cycle, length, &mut steps);
            found.then(|| {
                cycle
                    .iter()
                    .map(|id| self.dependencies[id].clone())
                    .collect()
            })
        })
    }

    /// Continues `cycle` until it is of this length and closed.
    fn search(&self, cycle: &mut Vec<u64>, length: usize, steps: &mut u32) -> bool {
        let first = &self.dependencies[&cycle[0]];
        let wanted = self.dependencies[&cycle[cycle.len() - 1]].wanted.object;
        if cycle.len() == length {
            return first.holds(wanted);
        }
        for &id in self.holding.get(&wanted).into_iter().flatten() {
            let Some(left) = steps.checked_sub(1) else {
                return false;
            };
            *steps = left;
            let next = &self.dependencies[&id];
            if cycle
                .iter()
                .all(|id| next.is_beside(&self.dependencies[id]))
            {
                cycle.push(id);
                if self.search(cycle, length, steps) {
                    return true;
                }
                cycle.pop();
            }
        }
        false
    }

    /// Forgets an object, and every dependency in which it is.
    pub(super) fn forget(&mut self, object: u64) {
        let holding = self.holding.remove(&object).unwrap_or_default();
        let wanting = self.wanting.remove(&object).unwrap_or_default();
        for id in holding.into_iter().chain(wanting) {
            let Some(gone) = self.dependencies.remove(&id) else {
                continue;
            };
            for hold in &gone.held {
                remove(&mut self.holding, hold.object, id);
            }
            remove(&mut self.wanting, gone.wanted.object, id);
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.dependencies.is_empty() && self.holding.is_empty() && self.wanting.is_empty()
    }
}

fn remove(index: &mut HashMap<u64, Vec<u64>>, object: u64, id: u64) {
    if let Some(ids) = index.get_mut(&object) {
        ids.retain(|&it| it != id);
        if ids.is_empty() {
            index.remove(&object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn dependency(thread: u64, held: &[u64], wanted: u64) -> Dependency {
        let place = Location::caller();
        let hold = |&object| Hold { object, place };
        Dependency {
            thread,
            name: String::new(),
            held: held.iter().map(hold).collect(),
            wanted: hold(&wanted),
            timed: false,
            when: Duration::ZERO,
        }
    }

    /// How many are in the cycle that the last of these closes, and that no other of them does.
    fn cycle(all: &[(u64, &[u64], u64)]) -> Option<usize> {
        let mut order = Order::default();
        let mut found = all.iter().map(|&(thread, held, wanted)| {
            let found = order.add(dependency(thread, held, wanted));
            found.map(|cycle| cycle.len())
        });
        let before: Vec<_> = found.by_ref().take(all.len() - 1).flatten().collect();
        assert!(before.is_empty());
        found.next().unwrap()
    }

    #[test]
    fn two_orders_of_two_threads_are_a_cycle() {
        assert_eq!(cycle(&[(1, &[1], 2), (2, &[2], 1)]), Some(2));
        assert_eq!(cycle(&[(1, &[1], 2), (2, &[1], 2)]), None);
        assert_eq!(cycle(&[(1, &[1], 2), (1, &[2], 1)]), None);
    }

    #[test]
    fn three_make_one_of_three() {
        assert_eq!(cycle(&[(1, &[1], 2), (2, &[2], 3), (3, &[3], 1)]), Some(3));
        // Two of them are of one thread.
        assert_eq!(cycle(&[(1, &[1], 2), (2, &[2], 3), (1, &[3], 1)]), None);
    }

    #[test]
    fn a_common_lock_is_a_gate() {
        assert_eq!(cycle(&[(1, &[9, 1], 2), (2, &[9, 2], 1)]), None);
        assert_eq!(cycle(&[(1, &[9, 1], 2), (2, &[2], 1)]), Some(2));
        // A gate for two of three is one for all.
        assert_eq!(
            cycle(&[(1, &[9, 1], 2), (2, &[2], 3), (3, &[9, 3], 1)]),
            None
        );
    }

    #[test]
    fn a_lock_that_is_held_further_out_counts() {
        assert_eq!(cycle(&[(1, &[1, 5], 2), (2, &[2, 6], 1)]), Some(2));
    }

    #[test]
    fn what_is_forgotten_is_in_no_cycle_and_takes_no_room() {
        let mut order = Order::default();
        assert!(order.add(dependency(1, &[1], 2)).is_none());
        order.forget(1);
        assert!(order.is_empty());
        assert!(order.add(dependency(2, &[2], 1)).is_none());
        order.forget(1);
        assert!(order.is_empty());
    }

    #[test]
    fn a_repeated_order_takes_no_room() {
        let mut order = Order::default();
        for thread in 0..1000 {
            assert!(order.add(dependency(thread, &[1], 2)).is_none());
        }
        assert_eq!(order.dependencies.len(), THREADS);
        assert_eq!(order.add(dependency(7000, &[2], 1)).unwrap().len(), 2);
    }
}
