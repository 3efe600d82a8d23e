//! The only place where a thread blocks: compare a word and sleep, and wake who sleeps on it.
//!
//! A [`wait`] sleeps only if the word still holds what the caller last saw, and the check and the
//! falling asleep are one step against every [`wake`] of that word. So a thread that changes the
//! word *and then* wakes cannot be missed by one that looked before the change. That is all that
//! is promised:
//!
//! - A wait may return early, for a signal, for a value that differed, or for nothing. Callers
//!   look at the word again, always.
//! - A wake orders no memory. Callers take the happens-before edge from an Acquire access to the
//!   word.
//! - [`Outcome::TimedOut`] means that no wake was spent on this waiter. Who is told
//!   [`Outcome::Woken`] may have consumed one, and has to use it or to pass it on.
//! - A wake needs the word's address and not the word: it may be gone by then, freed by whoever
//!   acquired it after the release. A wake that comes so late may reach a stranger that sleeps at
//!   the same address, to whom it is a wake for nothing, see above.
//!
//! Described in Hubertus Franke, Rusty Russell, Matthew Kirkwood, "Fuss, Futexes and Furwocks"
//! (Ottawa Linux Symposium, 2002), and Ulrich Drepper, "Futexes Are Tricky" (2011).

use std::time::Instant;

use crate::deadline::Deadline;
use crate::sync::AtomicU32;

pub(crate) mod choices;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) mod modelled;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
use modelled as imp;

#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
#[cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(racefree_parking)),
    path = "linux.rs"
)]
#[cfg_attr(
    all(windows, not(target_vendor = "win7"), not(racefree_parking)),
    path = "windows.rs"
)]
#[cfg_attr(
    any(
        not(any(target_os = "linux", target_os = "android", windows)),
        target_vendor = "win7",
        racefree_parking
    ),
    path = "parking.rs"
)]
mod imp;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// Look again: woken, or the word had changed, or for no reason at all.
    Woken,
    /// The deadline has passed, and no wake was spent on this waiter.
    TimedOut,
}

/// Who may sleep on a word: a family of waiters that wake one another.
pub(crate) trait Scope: imp::Scope {}

impl<S: imp::Scope> Scope for S {}

/// The threads of this process.
#[derive(Debug)]
pub(crate) struct Private;

/// Sleeps until the word is woken, as long as it holds `expected`, at most until `deadline`.
#[inline]
pub(crate) fn wait<S: Scope>(word: &AtomicU32, expected: u32, deadline: Deadline) -> Outcome {
    let until: Option<Instant> = match deadline {
        Deadline::Now => return Outcome::TimedOut,
        Deadline::At(instant) => Some(instant),
        Deadline::Never => None,
    };
    imp::wait::<S>(word, expected, until)
}

/// Wakes at most `count` of those who sleep on the word at this address.
#[cold]
pub(crate) fn wake<S: Scope>(word: *const AtomicU32, count: u32) {
    imp::wake::<S>(word, count);
}

/// [`wake`]'s count for all who sleep.
pub(crate) const ALL: u32 = u32::MAX;

#[cfg(all(
    test,
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_changed_word_is_not_waited_for() {
        let word = AtomicU32::new(1);
        assert_eq!(wait::<Private>(&word, 0, Deadline::Never), Outcome::Woken);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_no_sooner() {
        let word = AtomicU32::new(0);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(20);
        // A wake for nothing is allowed, so wait on.
        while wait::<Private>(&word, 0, Deadline::At(deadline)) == Outcome::Woken {}
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn a_deadline_in_the_past_has_passed() {
        let word = AtomicU32::new(0);
        let past = Instant::now();
        assert_eq!(
            wait::<Private>(&word, 0, Deadline::At(past)),
            Outcome::TimedOut
        );
        assert_eq!(wait::<Private>(&word, 0, Deadline::Now), Outcome::TimedOut);
    }

    #[test]
    fn a_wake_of_all_wakes_all() {
        let word = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while word.load(Ordering::Acquire) == 0 {
                        let _ = wait::<Private>(&word, 0, Deadline::Never);
                    }
                });
            }
            thread::sleep(Duration::from_millis(10));
            word.store(1, Ordering::Release);
            wake::<Private>(&raw const word, ALL);
        });
    }

    #[test]
    fn wakes_reach_as_many_as_their_count_and_no_more() {
        let word = AtomicU32::new(0);
        let woken = AtomicU32::new(0);
        let reached = thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let _ = wait::<Private>(&word, 0, Deadline::Never);
                    woken.fetch_add(1, Ordering::Relaxed);
                });
            }
            thread::sleep(Duration::from_millis(100));
            wake::<Private>(&raw const word, 1);
            wake::<Private>(&raw const word, 3);
            thread::sleep(Duration::from_millis(200));
            let reached = woken.load(Ordering::Relaxed);
            word.store(1, Ordering::Relaxed);
            wake::<Private>(&raw const word, ALL);
            reached
        });
        assert_eq!(reached, 4);
    }

    #[test]
    fn a_wake_at_an_address_where_nothing_is_left_does_nothing() {
        let word = Box::new(AtomicU32::new(0));
        let address: *const AtomicU32 = &raw const *word;
        drop(word);
        wake::<Private>(address, 1);
    }
}
