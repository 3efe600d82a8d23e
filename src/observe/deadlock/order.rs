//! In which order threads acquire things, and whether some of them could wait for each other.
//!
//! A *dependency* is an acquire that may wait, made while other things were held: the thread, what it
//! held, and what it wanted. A lock is one permit, a semaphore several. Dependencies `d1 ... dn` could
//! deadlock if
//!
//! 1. for each, the permits that all of them hold of what it wants leave too few for it;
//! 2. no two are of the same thread: a thread does not wait for itself in another place;
//! 3. no more permits are held than there are. For two that hold a common lock this is never so: that
//!    lock would let only one of them get so far (a *gate*).
//!
//! With locks alone, such a set is a cycle: each wants what the next one holds. That is from Klaus
//! Havelund, "Using Runtime Analysis to Guide Model Checking of Java Programs" (SPIN, 2000), and
//! Pallavi Joshi, Chang-Seo Park, Koushik Sen, Mayur Naik, "A Randomized Dynamic Program Analysis
//! Technique for Detecting Real Deadlocks" (PLDI, 2009).
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
    /// How many permits it is.
    pub(super) amount: u32,
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
    /// How many permits of it this one holds.
    fn amount_of(&self, object: u64) -> u32 {
        self.hold_of(object).map_or(0, |hold| hold.amount)
    }

    /// Whether it is made in the same order as `other`, whichever thread makes it.
    fn repeats(&self, other: &Self) -> bool {
        self.timed == other.timed
            && self.wanted.amount == other.wanted.amount
            && self.held.len() == other.held.len()
            && self
                .held
                .iter()
                .all(|hold| other.amount_of(hold.object) == hold.amount)
    }

    /// What it holds of an object.
    pub(super) fn hold_of(&self, object: u64) -> Option<Hold> {
        self.held.iter().copied().find(|hold| hold.object == object)
    }
}

/// So many threads are kept of an order, however many acquire in it: enough for any set that is
/// looked for.
const THREADS: usize = MOST;

/// Larger sets are not looked for.
const MOST: usize = 6;

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
    /// How many permits there are of each.
    permits: HashMap<u64, u32>,
}

impl Order {
    /// Adds a dependency. Returns the smallest set with it that could deadlock. `permits`: how many
    /// there are of an object.
    pub(super) fn add(
        &mut self,
        new: Dependency,
        permits: impl Fn(u64) -> u32,
    ) -> Option<Vec<Dependency>> {
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
        for object in new.held.iter().chain([&new.wanted]).map(|hold| hold.object) {
            self.permits
                .entry(object)
                .or_insert_with(|| permits(object));
        }
        self.dependencies.insert(id, new);
        let mut steps = STEPS;
        (1..=MOST).find_map(|most| {
            let mut set = vec![id];
            let found = self.search(&mut set, most, &mut steps);
            found.then(|| set.iter().map(|id| self.dependencies[id].clone()).collect())
        })
    }

    /// Adds to the set until each of it waits, with `most` in it at last.
    fn search(&self, set: &mut Vec<u64>, most: usize, steps: &mut u32) -> bool {
        let all = || set.iter().map(|id| &self.dependencies[id]);
        let held = |object| all().map(|it| it.amount_of(object)).sum::<u32>();
        let waits = |it: &Dependency| {
            held(it.wanted.object) + it.wanted.amount > self.permits[&it.wanted.object]
        };
        let Some(goes_on) = all().find(|it| !waits(it)) else {
            return true;
        };
        if set.len() == most {
            return false;
        }
        let wanted = goes_on.wanted.object;
        for &id in self.holding.get(&wanted).into_iter().flatten() {
            let Some(left) = steps.checked_sub(1) else {
                return false;
            };
            *steps = left;
            let next = &self.dependencies[&id];
            if self.is_beside(next, set) {
                set.push(id);
                if self.search(set, most, steps) {
                    return true;
                }
                set.pop();
            }
        }
        false
    }

    /// Whether this one may be in progress beside all of the set.
    fn is_beside(&self, next: &Dependency, set: &[u64]) -> bool {
        let all = || set.iter().map(|id| &self.dependencies[id]);
        all().all(|it| it.thread != next.thread)
            && next.held.iter().all(|hold| {
                let others: u32 = all().map(|it| it.amount_of(hold.object)).sum();
                others + hold.amount <= self.permits[&hold.object]
            })
    }

    /// Forgets an object, and every dependency in which it is.
    pub(super) fn forget(&mut self, object: u64) {
        self.permits.remove(&object);
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
        self.dependencies.is_empty()
            && self.holding.is_empty()
            && self.wanting.is_empty()
            && self.permits.is_empty()
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
        let hold = |&object| Hold {
            object,
            place,
            amount: 1,
        };
        Dependency {
            thread,
            name: String::new(),
            held: held.iter().map(hold).collect(),
            wanted: hold(&wanted),
            timed: false,
            when: Duration::ZERO,
        }
    }

    /// From 100 on, there are two of each.
    fn permits(object: u64) -> u32 {
        if object < 100 { 1 } else { 2 }
    }

    /// How many are in the set that the last of these closes, and that no other of them does.
    fn cycle(all: &[(u64, &[u64], u64)]) -> Option<usize> {
        let mut order = Order::default();
        let mut found = all.iter().map(|&(thread, held, wanted)| {
            let found = order.add(dependency(thread, held, wanted), permits);
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
    fn permits_are_short_if_all_are_held() {
        // Both hold one of two, and want another.
        assert_eq!(cycle(&[(1, &[100], 100), (2, &[100], 100)]), Some(2));
        // One of two is left for the first.
        assert_eq!(cycle(&[(1, &[1], 100), (2, &[100], 1)]), None);
        assert_eq!(
            cycle(&[(1, &[1], 100), (2, &[100], 1), (3, &[100], 1)]),
            Some(3)
        );
        // They are no gate for two, and one for three.
        assert_eq!(cycle(&[(1, &[100, 1], 2), (2, &[100, 2], 1)]), Some(2));
        let three: [(u64, &[u64], u64); 3] =
            [(1, &[100, 1], 2), (2, &[100, 2], 3), (3, &[100, 3], 1)];
        assert_eq!(cycle(&three), None);
    }

    #[test]
    fn what_is_forgotten_is_in_no_cycle_and_takes_no_room() {
        let mut order = Order::default();
        assert!(order.add(dependency(1, &[1], 2), permits).is_none());
        order.forget(1);
        order.forget(2);
        assert!(order.is_empty());
        assert!(order.add(dependency(2, &[2], 1), permits).is_none());
        order.forget(2);
        order.forget(1);
        assert!(order.is_empty());
    }

    #[test]
    fn a_repeated_order_takes_no_room() {
        let mut order = Order::default();
        for thread in 0..1000 {
            assert!(order.add(dependency(thread, &[1], 2), permits).is_none());
        }
        assert_eq!(order.dependencies.len(), THREADS);
        assert_eq!(
            order.add(dependency(7000, &[2], 1), permits).unwrap().len(),
            2
        );
    }
}
