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
//! - A wait longer than the system can be told ends early, as if woken for nothing.
//!
//! A waiter may have a mask, and a wake one of its own: it is for those waiters whose masks share a
//! bit with it. What has no masks of its own (Windows) wakes all who sleep on the word
//! for any mask but [`ANY`]: those that were not meant are woken for nothing.
//!
//! Described in Hubertus Franke, Rusty Russell, Matthew Kirkwood, "Fuss, Futexes and Furwocks"
//! (Ottawa Linux Symposium, 2002), and Ulrich Drepper, "Futexes Are Tricky" (2011).

use std::time::Instant;

pub(crate) use terms::{ALL, ANY, Outcome, Private};

use crate::deadline::Deadline;
use crate::observe::{self, Sleep};
use crate::sync::{AtomicU32, MODELLED};

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) mod modelled;
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
mod pieces;
pub(crate) mod terms;
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

/// The threads of all processes that map the word.
#[cfg(all(
    feature = "process",
    target_os = "linux",
    not(any(
        racefree_parking,
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle")
    ))
))]
pub(crate) use imp::Shared;

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) use modelled::polls;

/// Whether waiters of a model look once more before they sleep.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
pub(crate) const fn polls() -> bool {
    false
}

/// Who may sleep on a word: a family of waiters that wake one another.
pub(crate) trait Scope: imp::Scope {}

impl<S: imp::Scope> Scope for S {}

/// Sleeps until the word is woken, as long as it holds `expected`, at most until `deadline`.
#[inline]
pub(crate) fn wait<S: Scope>(word: &AtomicU32, expected: u32, deadline: Deadline) -> Outcome {
    wait_masked::<S>(word, expected, 0, ANY, deadline)
}

/// As [`wait`], for those wakes alone whose mask shares a bit with `mask`, which is not 0.
///
/// The bits `apart` do not matter to the caller: while no other bit changes it would only wait
/// again. The system compares whole words, and then ends the wait, as if woken for nothing. A model
/// leaves that out, as it does other wakes for nothing unless told not to.
#[inline]
pub(crate) fn wait_masked<S: Scope>(
    word: &AtomicU32,
    expected: u32,
    apart: u32,
    mask: u32,
    deadline: Deadline,
) -> Outcome {
    debug_assert_ne!(mask, 0);
    let until: Option<Instant> = match deadline {
        Deadline::Now => return Outcome::TimedOut,
        Deadline::At(instant) => Some(instant),
        Deadline::Never => None,
    };
    // The modelled one knows whether it comes to that.
    if MODELLED {
        return imp::wait::<S>(word, expected, apart, mask, until);
    }
    match observe::sleeps(until.is_none()) {
        Sleep::AsAsked => imp::wait::<S>(word, expected, apart, mask, until),
        Sleep::GiveUp => Outcome::TimedOut,
        Sleep::InPieces(piece) => {
            let piece = Instant::now() + piece;
            let until = until.map_or(piece, |until| until.min(piece));
            // The end of a piece is no end of the wait.
            let _ = imp::wait::<S>(word, expected, apart, mask, Some(until));
            Outcome::Woken
        }
    }
}

/// Wakes at most `count` of those who sleep on the word at this address. Says how many that were,
/// if the system tells: fewer than `count` if no more were asleep.
#[cold]
pub(crate) fn wake<S: Scope>(word: *const AtomicU32, count: u32) -> Option<usize> {
    imp::wake::<S>(word, count, ANY)
}

/// As [`wake`], but only those whose mask shares a bit with `mask`, which is not 0. Where there are
/// no masks it wakes all, and does not say how many.
#[cold]
pub(crate) fn wake_masked<S: Scope>(
    word: *const AtomicU32,
    count: u32,
    mask: u32,
) -> Option<usize> {
    debug_assert_ne!(mask, 0);
    imp::wake::<S>(word, count, mask)
}

#[cfg(all(
    test,
    not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))
))]
mod tests {
    use super::*;
    use std::sync::Mutex;
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
            let end = Instant::now() + Duration::from_secs(20);
            for count in [1, 3] {
                let mut left = count;
                while left > 0 && Instant::now() < end {
                    // On a busy machine, fewer may be asleep yet.
                    let reached = wake::<Private>(&raw const word, left);
                    left -= reached.map_or(left, |reached| reached as u32);
                    thread::yield_now();
                }
            }
            while woken.load(Ordering::Relaxed) < 4 && Instant::now() < end {
                thread::yield_now();
            }
            // No more come.
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
        assert!(matches!(wake::<Private>(address, 1), None | Some(0)));
    }

    /// Whether the system knows of masks, and how many it woke.
    const TELLS: bool = !cfg!(all(
        windows,
        not(target_vendor = "win7"),
        not(racefree_parking)
    ));

    /// A sleeper with each of the masks, and what `wakes` says, which are made while all sleep. Has
    /// the masks of those that were woken.
    fn woken<const N: usize>(
        masks: [u32; N],
        wakes: impl FnOnce(&AtomicU32) -> Option<usize>,
    ) -> (Vec<u32>, Option<usize>) {
        let word = AtomicU32::new(0);
        let came = AtomicU32::new(0);
        let gone = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for mask in masks {
                let (word, came, gone) = (&word, &came, &gone);
                scope.spawn(move || {
                    came.fetch_add(1, Ordering::Relaxed);
                    let _ = wait_masked::<Private>(word, 0, 0, mask, Deadline::Never);
                    gone.lock().unwrap().push(mask);
                });
            }
            while came.load(Ordering::Relaxed) < N as u32 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(100));
            let told = wakes(&word);
            thread::sleep(Duration::from_millis(200));
            let mut woken = gone.lock().unwrap().clone();
            woken.sort_unstable();
            word.store(1, Ordering::Relaxed);
            wake::<Private>(&raw const word, ALL);
            (woken, told)
        })
    }

    #[test]
    fn a_wake_says_how_many_were_asleep() {
        let (woken, told) = woken([ANY; 3], |word| wake::<Private>(word, 2));
        assert_eq!((woken.len(), told), (2, TELLS.then_some(2)));
        let (woken, told) = self::woken([ANY; 3], |word| wake::<Private>(word, 5));
        assert_eq!((woken.len(), told), (3, TELLS.then_some(3)));
        let (woken, told) = self::woken([ANY; 3], |word| wake::<Private>(word, ALL));
        assert_eq!((woken.len(), told), (3, TELLS.then_some(3)));
        let (_, told) = self::woken([], |word| wake::<Private>(word, 1));
        assert_eq!(told, TELLS.then_some(0));
    }

    #[test]
    fn a_wake_with_a_mask_reaches_those_that_share_a_bit() {
        let all = [1, 2, 3, 4];
        let (woken, told) = woken(all, |word| wake_masked::<Private>(word, ALL, 2));
        if TELLS {
            assert_eq!((woken, told), (vec![2, 3], Some(2)));
        } else {
            assert_eq!((woken, told), (all.to_vec(), None));
        }
    }

    #[test]
    fn a_wake_with_a_mask_counts_those_alone() {
        let (woken, told) = woken([1, 1, 4, 4], |word| wake_masked::<Private>(word, 1, 4));
        if TELLS {
            assert_eq!((woken, told), (vec![4], Some(1)));
        } else {
            assert_eq!(told, None);
        }
    }

    #[test]
    fn a_wake_without_a_mask_reaches_all() {
        let (woken, _) = woken([1, 2, 1 << 31], |word| wake::<Private>(word, ALL));
        assert_eq!(woken, [1, 2, 1 << 31]);
        let (woken, _) = self::woken([ANY], |word| wake_masked::<Private>(word, 1, 1 << 31));
        assert_eq!(woken, [ANY]);
    }

    #[test]
    fn a_time_that_is_too_long_is_slept_in_pieces() {
        let longest = Duration::from_secs(10);
        let told = |until, ended| {
            let mut told = None;
            let outcome = pieces::in_pieces(until, longest, |left| {
                told = left;
                ended
            });
            (told, outcome)
        };
        let now = Instant::now();
        // The end of a piece is no end of the wait; a wake is one.
        let far = Some(now + Duration::from_secs(1000));
        let piece = Some(longest);
        assert_eq!(told(far, Outcome::TimedOut), (piece, Outcome::Woken));
        assert_eq!(told(far, Outcome::Woken), (piece, Outcome::Woken));
        // What fits is told as it is, and its end is the end, but not before the time is up.
        let soon = Some(now + Duration::from_secs(5));
        let (left, outcome) = told(soon, Outcome::TimedOut);
        assert!(left.unwrap() <= Duration::from_secs(5) && left.unwrap() > Duration::ZERO);
        assert_eq!(outcome, Outcome::Woken);
        let past = Some(now);
        assert_eq!(told(past, Outcome::Woken), (None, Outcome::TimedOut));
        assert_eq!(told(None, Outcome::Woken), (None, Outcome::Woken));
    }
}
