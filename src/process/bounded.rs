//! `multiprocessing.BoundedSemaphore`: a [`State`] that says which process holds how many permits.
//!
//! | step | change |
//! |---|---|
//! | acquire, if fewer are held than there are | one more for this process |
//! | release, if this process holds any | one less for it |
//! | release, if others hold any | one less for the first of them |
//! | release, if none is held | none: error |
//! | look who is alive | what the dead hold is `returned`, and they are forgotten |
//! | acquire, some were `returned` | the same, and this process is told how many |

use core::fmt;
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::error::HoldersDied;
use super::guard::{Acquire, Guard, acquires};
use super::member::{MAX_PROCESSES, Me};
use super::region::{Share, layout_of};
use super::state::{Next, Plain, State};
use crate::deadline::Deadline;
use crate::error::ReleaseError;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Holding {
    owner: u32,
    permits: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Holdings {
    length: u32,
    bound: u32,
    /// The permits of the dead, of which no one has been told.
    returned: u32,
    unused: u32,
    list: [Holding; MAX_PROCESSES],
}

impl Plain for Holdings {
    fn used(length: u32) -> usize {
        16 + (length as usize).min(MAX_PROCESSES) * size_of::<Holding>()
    }
}

impl Holdings {
    fn all(&mut self) -> &mut [Holding] {
        let length = (self.length as usize).min(MAX_PROCESSES);
        &mut self.list[..length]
    }

    fn held(&mut self) -> u32 {
        self.all()
            .iter()
            .fold(0, |sum, it| sum.saturating_add(it.permits))
    }

    /// Forgets those who hold nothing, or who do not live. Returns `true` if there were any.
    fn forget(&mut self, lives: impl Fn(u32) -> bool) -> bool {
        let mut kept = 0;
        let mut returned = self.returned;
        let all = self.all();
        for at in 0..all.len() {
            let it = all[at];
            if it.permits == 0 {
                continue;
            }
            if lives(it.owner) {
                all[kept] = it;
                kept += 1;
            } else {
                returned = returned.saturating_add(it.permits);
            }
        }
        let changed = kept < all.len();
        self.length = kept as u32;
        self.returned = returned;
        changed
    }

    /// Gives a permit to `owner`, if there is one.
    fn take(&mut self, owner: u32) -> bool {
        if self.held() >= self.bound {
            return false;
        }
        let length = self.all().len();
        if let Some(own) = self.all().iter_mut().find(|it| it.owner == owner) {
            own.permits += 1;
        } else if let Some(place) = self.list.get_mut(length) {
            *place = Holding { owner, permits: 1 };
            self.length = length as u32 + 1;
        } else {
            return false;
        }
        true
    }

    /// Takes a permit from `owner`, or from another.
    fn give(&mut self, owner: u32) -> bool {
        let holds = |it: &Holding| it.permits > 0;
        let all = self.all();
        let own = all.iter().position(|it| it.owner == owner && holds(it));
        let Some(at) = own.or_else(|| all.iter().position(holds)) else {
            return false;
        };
        all[at].permits -= 1;
        if all[at].permits == 0 {
            self.forget(|_| true);
        }
        true
    }
}

/// A semaphore between processes that knows who holds its permits: Python's
/// `multiprocessing.BoundedSemaphore`.
///
/// If a process dies, its permits are returned. The next acquire says how many those were: see
/// [`HoldersDied`]. They are returned when a permit is wanted and none is left. A waiter notices a
/// death within 50 ms.
///
/// A release returns a permit of the calling process. If it has none, it returns one of another
/// process. A release of more permits than are held is an error.
///
/// Everything that happens before a release happens before each acquire that follows it.
///
/// # Examples
///
/// ```
/// use racefree::process::{BoundedSemaphore, Shared};
///
/// let stalls = Shared::create(BoundedSemaphore::new(5))?;
/// let guard = stalls.guard().unwrap();
/// assert_eq!(stalls.value(), 4);
/// drop(guard);
/// assert_eq!(stalls.release().unwrap_err().to_string(), "Semaphore released too many times");
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct BoundedSemaphore {
    state: State<Holdings>,
}

// SAFETY: it is a `State`, which any bytes are.
unsafe impl Share for BoundedSemaphore {
    const LAYOUT: u64 = layout_of::<Self>("BoundedSemaphore");
}

impl Acquire for BoundedSemaphore {
    type News = HoldersDied;
    type Release = ();

    #[inline]
    fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<bool, HoldersDied> {
        let me = Me::at(self);
        let taken = self.state.wait(me, deadline, |state, look| {
            let forgot = look && state.forget(|owner| me.lives(owner));
            if state.take(me.owner()) {
                let returned = core::mem::take(&mut state.returned);
                return if forgot {
                    Next::Commit(returned)
                } else {
                    Next::Quiet(returned)
                };
            }
            if forgot {
                Next::CommitAndSleep
            } else {
                Next::Sleep
            }
        });
        match taken {
            None => Ok(false),
            Some(0) => Ok(true),
            Some(permits) => Err(HoldersDied {
                acquired: (),
                permits,
            }),
        }
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        let me = Me::at(self);
        self.state.change(me, |state| {
            if state.give(me.owner()) {
                Next::Commit(Ok(()))
            } else {
                Next::Leave(Err(ReleaseError::TooManyReleases))
            }
        })
    }
}

impl BoundedSemaphore {
    /// Creates a semaphore with `value` permits, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BoundedSemaphore, Shared};
    ///
    /// let semaphore = Shared::create(BoundedSemaphore::new(2))?;
    /// assert_eq!(semaphore.value(), 2);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new(value: u32) -> Self {
        let none = Holding {
            owner: 0,
            permits: 0,
        };
        Self {
            state: State::new(Holdings {
                length: 0,
                bound: value,
                returned: 0,
                unused: 0,
                list: [none; MAX_PROCESSES],
            }),
        }
    }

    acquires!("BoundedSemaphore", "BoundedSemaphore::new(1)", HoldersDied);

    /// Releases a permit: one of this process, or if it has none, one of another.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::TooManyReleases`] if no permit is held.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BoundedSemaphore, Shared};
    ///
    /// let semaphore = Shared::create(BoundedSemaphore::new(1))?;
    /// semaphore.acquire().unwrap();
    /// semaphore.release().unwrap();
    /// assert!(semaphore.release().is_err());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.give_back()
    }

    /// Returns the number of permits that are not held. Those of a process that died count as held
    /// until they are returned. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BoundedSemaphore, Shared};
    ///
    /// let semaphore = Shared::create(BoundedSemaphore::new(2))?;
    /// semaphore.acquire().unwrap();
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn value(&self) -> u32 {
        let mut state = self.state.look();
        state.bound.saturating_sub(state.held())
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::process::BoundedSemaphore value={}>",
            self.value()
        )
    }
}
