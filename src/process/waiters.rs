//! Those who wait for a condition or at a barrier, in the order in which they came: what such a
//! [`State`](super::state::State) contains.
//!
//! A waiter that has its verdict stays until it has taken note of it, or is found dead.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::member::Me;
use super::state::Plain;

/// The number of threads, of all processes, that can wait for the same
/// [`Condition`](super::Condition) or at the same [`Barrier`](super::Barrier) at the same time.
pub const MAX_WAITERS: usize = 128;

/// Of a waiter without a verdict.
pub(super) const WAITS: u32 = 0;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Waiter {
    pub(super) owner: u32,
    ticket: u32,
    /// `WAITS`, or what the primitive makes of it.
    pub(super) verdict: u32,
    /// The next ticket at the time of the verdict: those from it on came later.
    pub(super) until: u32,
}

impl Waiter {
    /// Whether it came before the ticket `until` was given out.
    pub(super) fn is_before(&self, until: u32) -> bool {
        until.wrapping_sub(self.ticket).wrapping_sub(1) < u32::MAX / 2
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Waiters {
    length: u32,
    pub(super) next_ticket: u32,
    /// What a barrier knows beside.
    pub(super) parties: u32,
    pub(super) broken: u32,
    pub(super) pid: u32,
    unused: u32,
    list: [Waiter; MAX_WAITERS],
}

/// A waiter's place in the list, wherever it moves.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    owner: u32,
    number: u32,
}

impl Plain for Waiters {
    fn used(length: u32) -> usize {
        core::mem::offset_of!(Self, list) + (length as usize).min(MAX_WAITERS) * size_of::<Waiter>()
    }
}

impl Waiters {
    pub(super) const fn new(parties: u32) -> Self {
        let none = Waiter {
            owner: 0,
            ticket: 0,
            verdict: WAITS,
            until: 0,
        };
        Self {
            length: 0,
            next_ticket: 0,
            parties,
            broken: 0,
            pid: 0,
            unused: 0,
            list: [none; MAX_WAITERS],
        }
    }

    fn all(&mut self) -> &mut [Waiter] {
        let length = (self.length as usize).min(MAX_WAITERS);
        &mut self.list[..length]
    }

    /// Those without a verdict.
    pub(super) fn waiting(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.all().iter_mut().filter(|it| it.verdict == WAITS)
    }

    /// A new waiter, if there is a place.
    pub(super) fn add(&mut self, me: Me) -> Option<Ticket> {
        let length = self.all().len();
        let ticket = Ticket {
            owner: me.owner(),
            number: self.next_ticket,
        };
        let place = self.list.get_mut(length)?;
        *place = Waiter {
            owner: ticket.owner,
            ticket: ticket.number,
            verdict: WAITS,
            until: 0,
        };
        self.length = length as u32 + 1;
        self.next_ticket = self.next_ticket.wrapping_add(1);
        Some(ticket)
    }

    /// The waiter's verdict, if it is there.
    pub(super) fn verdict(&mut self, ticket: Ticket) -> Option<u32> {
        let is_it = |it: &&mut Waiter| it.owner == ticket.owner && it.ticket == ticket.number;
        self.all().iter_mut().find(is_it).map(|it| it.verdict)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) {
        self.keep(|it| it.owner != ticket.owner || it.ticket != ticket.number);
    }

    /// Removes all but those that `keeps` wants. Returns `true` if there were any.
    pub(super) fn keep(&mut self, mut keeps: impl FnMut(&Waiter) -> bool) -> bool {
        let mut kept = 0;
        let all = self.all();
        for at in 0..all.len() {
            let it = all[at];
            if keeps(&it) {
                all[kept] = it;
                kept += 1;
            }
        }
        let changed = kept < all.len();
        self.length = kept as u32;
        changed
    }
}
