//! `threading.Semaphore` and `threading.BoundedSemaphore`.

use super::super::error::ReleaseError;
use super::terms::{Object, Patience, Step, Thread};

/// A number of permits, which belong to nobody: any thread may release one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Semaphore {
    permits: u32,
    /// How many there may be, and the error of a release that would exceed it.
    limit: u32,
    past_limit: ReleaseError,
    /// Whether a thread has had to wait for several.
    several: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// So many permits at once, or none.
    Acquire(Patience, u32),
    /// All permits that there are.
    Drain,
    /// So many permits at once.
    Release(u32),
}

pub(crate) use super::lock::Answer;

impl Semaphore {
    pub(crate) const fn new(permits: u32, limit: u32, past_limit: ReleaseError) -> Self {
        Self {
            permits,
            limit,
            past_limit,
            several: false,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: u32, past_limit: ReleaseError) {
        self.limit = limit;
        self.past_limit = past_limit;
    }

    pub(crate) fn value(&self) -> u32 {
        self.permits
    }
}

impl Object for Semaphore {
    type Call = Call;
    type Answer = Answer;

    fn step(&mut self, _me: Thread, call: &Call) -> Option<Step<Call, Answer>> {
        match *call {
            // What was done before a release is there to see after the acquires that follow it.
            Call::Acquire(_, n) if self.permits >= n => {
                self.permits -= n;
                Some(Step::returns(Answer::Acquired(true)).seeing())
            }
            Call::Acquire(Patience::Forever, n) => {
                self.several |= n > 1;
                None
            }
            Call::Drain => {
                let permits = std::mem::take(&mut self.permits);
                Some(Step::returns(Answer::Drained(permits)).seeing())
            }
            Call::Acquire(Patience::Timed | Patience::No, _) => {
                Some(Step::returns(Answer::Acquired(false)))
            }
            Call::Release(0) => Some(refused(ReleaseError::ZeroPermits)),
            // All of them or none.
            Call::Release(n) => match self.permits.checked_add(n) {
                Some(sum) if sum <= self.limit => {
                    self.permits = sum;
                    Some(Step::returns(Answer::Released(Ok(()))).publishing())
                }
                _ => Some(refused(self.past_limit)),
            },
        }
    }

    fn room(&self) -> usize {
        match self.several {
            // Who comes first may want more than there are, and who comes next may not.
            true if self.permits > 0 => usize::MAX,
            _ => self.permits as usize,
        }
    }

    fn shown(&self) -> u32 {
        self.permits
    }
}

fn refused(error: ReleaseError) -> Step<Call, Answer> {
    Step::returns(Answer::Released(Err(error)))
}
