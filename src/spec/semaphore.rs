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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Acquire(Patience),
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
            Call::Acquire(_) if self.permits > 0 => {
                self.permits -= 1;
                Some(Step::returns(Answer::Acquired(true)).seeing())
            }
            Call::Acquire(Patience::Forever) => None,
            Call::Acquire(Patience::Timed | Patience::No) => {
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
        self.permits as usize
    }

    fn shown(&self) -> u32 {
        self.permits
    }
}

fn refused(error: ReleaseError) -> Step<Call, Answer> {
    Step::returns(Answer::Released(Err(error)))
}
