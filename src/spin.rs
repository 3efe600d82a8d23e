//! What a thread does before it sleeps: the one policy of all slow paths.
//!
//! There are two cases. A lock is released by a thread that holds it for a short time, and that may
//! take it again at once: [`poll`]. An event is set by a thread that has yet to come to it:
//! [`poll_for_another`].
//!
//! # A lock
//!
//! Each look at a lock takes its cache line from the holder. If a thread takes the lock again as soon
//! as it has released it, waiters should leave it alone: it holds the lock a hundred times in the time
//! of a few hand-overs. If it works outside the lock in between, a waiter should be there when the lock
//! becomes free. Otherwise the threads do one after the other what they could do at once.
//!
//! No constant serves both cases. A thread finds out which one it is in while it looks often. With
//! work of `s` in the lock and `p` outside it, and a hand-over that takes `h`, a thread that gets the
//! lock comes back after `s + p`, and then waits for about `s + 2h - p`. Taking turns pays if `p > h`,
//! which is if the thread works for longer than it waits. A thread measures that at a few of its waits.
//! No fast path reads the clock, and nothing depends on how long a pause, a section or a hand-over takes
//! on this machine.
//!
//! # No yields
//!
//! A yield is cheap on an idle machine; on a busy one it gives away a time slice, while a thread
//! that sleeps runs almost at once when it is woken.

use core::cell::Cell;
use core::hint;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::futex::polls;
use crate::sync::MODELLED;

/// How long to poll for a lock. A sleep and a wake-up take longer, but the holder may not be running.
const PATIENCE_FOR_LOCK: Duration = Duration::from_micros(12);

/// A thread that looks often does so after each pause, for so many looks; for a section that is
/// longer the rest of its patience is enough at these intervals.
const LOOKS: u32 = 100;
const OFTEN: Duration = Duration::from_nanos(500);

/// How long a thread that looks rarely leaves the others alone.
const RARELY: Duration = Duration::from_micros(4);

/// For how many waits an answer holds.
const WAITS: u8 = 128;

/// At how many waits a thread looks often to find out, and at how many of these it reads the clock:
/// at first, others may have looked rarely.
const TRIALS: u8 = 9;
const TIMED: u8 = 5;

/// How many waits that were longer than the work before them make a thread look rarely. More than
/// one: a single one may have been disturbed.
const LONG_WAITS: u8 = 2;

/// How long to poll for another thread: a wake of an idle processor takes some 50 µs.
const PATIENCE: Duration = Duration::from_micros(10);

/// Pauses between two polls for another thread.
const PAUSES_FOR_ANOTHER: u32 = 4;

/// After how many polls in vain a thread stops polling, and how often it then tries anew.
const FAILURES: i8 = 2;
const REST: i8 = 32;

/// What a thread has found out where it waited for locks, whichever they were.
#[derive(Clone, Copy)]
struct Turns {
    /// For how many waits that holds, the trials after them included.
    left: u8,
    rarely: bool,
    long_waits: u8,
    /// When it was given a lock, if it is to time its work.
    given: Option<Instant>,
}

thread_local! {
    static TURNS: Cell<Turns> = const {
        Cell::new(Turns {
            left: TRIALS,
            rarely: false,
            long_waits: 0,
            given: None,
        })
    };
}

/// Polls `ready` for a while, which takes the lock if it is free, and returns whether it did: if
/// not, sleep.
///
/// Ends at `deadline`, if it can tell; it is for the sleep to say so.
pub(crate) fn poll(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return polls() && ready();
    }
    let mut turns = TURNS.get();
    let asked = (turns.left <= TIMED).then(Instant::now);
    let rarely = turns.rarely && turns.left > TRIALS;
    let taken = look(rarely, deadline, &mut ready);
    if let Some(asked) = asked {
        let now = Instant::now();
        let long = |given| taken && now - asked > asked - given;
        turns.long_waits += u8::from(turns.given.is_some_and(long));
        turns.given = taken.then_some(now);
    }
    turns.left -= 1;
    if turns.left == 0 {
        turns = Turns {
            left: WAITS + TRIALS,
            rarely: turns.long_waits >= LONG_WAITS,
            long_waits: 0,
            given: None,
        };
    }
    TURNS.set(turns);
    taken
}

fn look(rarely: bool, deadline: Deadline, ready: &mut impl FnMut() -> bool) -> bool {
    let often = || {
        hint::spin_loop();
        ready()
    };
    if !rarely
        && core::iter::repeat_with(often)
            .take(LOOKS as usize)
            .any(|taken| taken)
    {
        return true;
    }
    let gap = if rarely { RARELY } else { OFTEN };
    let mut now = Instant::now();
    let mut end = now + PATIENCE_FOR_LOCK;
    if let Deadline::At(instant) = deadline {
        end = end.min(instant);
    }
    while now < end {
        let next = end.min(now + gap);
        while now < next {
            hint::spin_loop();
            now = Instant::now();
        }
        if ready() {
            return true;
        }
    }
    false
}

thread_local! {
    /// How often polling for another thread may fail until this one stops it; below 0, how many
    /// waits until it tries again.
    static CREDIT: Cell<i8> = const { Cell::new(FAILURES) };
}

/// Whether it pays to poll for another thread. It does not if that was in vain the last times: as on
/// a machine with one processor, or one that is busy.
pub(crate) fn pays() -> bool {
    if MODELLED {
        return polls();
    }
    let credit = CREDIT.get();
    if credit < 0 {
        CREDIT.set(credit + 1);
    }
    credit >= 0
}

/// Polls `ready` for a while, for something that another thread has yet to come to, and returns
/// whether it came true. For one whom polling [`pays`].
pub(crate) fn poll_for_another(deadline: Deadline, mut ready: impl FnMut() -> bool) -> bool {
    if MODELLED {
        return polls() && ready();
    }
    let mut end = Instant::now() + PATIENCE;
    if let Deadline::At(instant) = deadline {
        end = end.min(instant);
    }
    loop {
        for _ in 0..PAUSES_FOR_ANOTHER {
            hint::spin_loop();
        }
        if ready() {
            CREDIT.set(FAILURES);
            return true;
        }
        if Instant::now() >= end {
            let credit = CREDIT.get();
            CREDIT.set(if credit > 0 { credit - 1 } else { -REST });
            return false;
        }
    }
}
