//! Which threads wait for what only threads that wait could give.
//!
//! Uses nothing else of this crate.

use std::collections::BTreeSet;

/// Who can end a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rescuers {
    /// Each of these alone.
    These(Vec<u64>),
    /// Any thread of the process.
    Anyone,
}

/// The threads that wait forever, out of those in `waits`: the largest set in which each can be
/// ended only by others of the set. `others` says whether the process has threads that are not in
/// `waits`.
pub(super) fn stuck(waits: &[(u64, Rescuers)], others: bool) -> BTreeSet<u64> {
    let mut stuck: BTreeSet<u64> = waits.iter().map(|(thread, _)| *thread).collect();
    loop {
        let all = stuck.len() == waits.len() && !others;
        let ends = |rescuers: &Rescuers| match rescuers {
            // If no thread holds it, one is just about to.
            Rescuers::These(threads) => {
                threads.is_empty() || threads.iter().any(|thread| !stuck.contains(thread))
            }
            Rescuers::Anyone => !all,
        };
        let freed: Vec<u64> = waits
            .iter()
            .filter(|(thread, rescuers)| stuck.contains(thread) && ends(rescuers))
            .map(|(thread, _)| *thread)
            .collect();
        if freed.is_empty() {
            return stuck;
        }
        for thread in freed {
            stuck.remove(&thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rescuers::{Anyone, These};
    use super::*;

    fn found(waits: &[(u64, Rescuers)], others: bool) -> Vec<u64> {
        stuck(waits, others).into_iter().collect()
    }

    #[test]
    fn those_that_wait_for_each_other() {
        let two = [(1, These(vec![2])), (2, These(vec![1]))];
        assert_eq!(found(&two, true), [1, 2]);
        // And who waits for one of them, but not who waits for one that runs.
        let more = [&two[..], &[(3, These(vec![1])), (4, These(vec![9]))]].concat();
        assert_eq!(found(&more, true), [1, 2, 3]);
    }

    #[test]
    fn one_of_several_holders_is_enough() {
        let waits = [(1, These(vec![2, 9])), (2, These(vec![1]))];
        assert_eq!(found(&waits, true), [0_u64; 0]);
    }

    #[test]
    fn what_no_thread_holds_is_free() {
        assert_eq!(found(&[(1, These(vec![]))], false), [0_u64; 0]);
    }

    #[test]
    fn anyone_is_nobody_only_if_all_wait() {
        let all = [(1, Anyone), (2, Anyone)];
        assert_eq!(found(&all, false), [1, 2]);
        assert_eq!(found(&all, true), [0_u64; 0]);
        let one_may_go = [(1, Anyone), (2, These(vec![]))];
        assert_eq!(found(&one_may_go, false), [0_u64; 0]);
    }
}
