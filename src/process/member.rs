//! Who lives: the processes that are attached to a region.
//!
//! A region has a table of slots. A process that attaches takes a slot: it locks one byte of the
//! region's file, far behind its end, by a lock of an open file description (`F_OFD_SETLK`). The
//! description belongs to this attachment alone, so the kernel releases the lock when the process
//! ends, whatever ended it. No process id is involved, and no namespace.
//!
//! An owner is written as 29 bits: the slot's number from 1 on (7 bits), and the generation of the
//! slot (22 bits). Each attachment begins a new generation, so a slot can be used again before what
//! its last process held has been recovered.
//!
//! | step of an attachment | what others see of the slot's last owner |
//! |---|---|
//! | locks the byte | it seems to live, until the next step |
//! | adds one to the generation | it is dead |
//!
//! The owner of a word is dead if the slot has another generation, or if its byte is not locked.
//!
//! # A fork
//!
//! The child inherits the mapping, and the descriptor with the lock. A handler of `pthread_atfork`
//! closes the descriptor in the child and forgets the slot, so the lock ends with the parent. The
//! child attaches at its first use of the region, by a description of its own. No fork comes while
//! another thread attaches or detaches: the system does not copy descriptors and memory at the same
//! moment, so the child could have a descriptor that is in no entry, and keep its lock.

use core::ffi::c_int;
use core::mem;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Once;
use std::{process, thread};

use super::error::RegionError;
use crate::raw::Lock;

/// The number of processes that can be attached to a region at the same time.
pub const MAX_PROCESSES: usize = 64;

/// The number of regions that a process can be attached to at the same time.
pub const MAX_REGIONS: usize = 64;

/// The bits of an owner.
pub(super) const OWNER: u32 = (1 << 29) - 1;
const SLOT_BITS: u32 = 7;
const SLOT: u32 = (1 << SLOT_BITS) - 1;

/// The place of an owner that is being chosen, after a fork. No slot has this number.
const CHOOSING: u32 = SLOT;

/// The byte that the first slot locks: behind the end of every region.
const LOCKS: i64 = 1 << 48;

/// A region's table.
#[repr(C)]
pub(super) struct Slots {
    generations: [AtomicU32; MAX_PROCESSES],
    /// For reports only.
    pids: [AtomicU32; MAX_PROCESSES],
}

/// An attachment of this process.
pub(super) struct Entry {
    /// The mapping: the number of its first page, and how many there are. 0 if the entry is free.
    pages: AtomicU64,
    /// What this process writes into the words that it owns. 0 after a fork.
    owner: AtomicU32,
    /// The region's file, and the description that holds the lock.
    file: AtomicI32,
    lock: AtomicI32,
}

/// The size of a page for `Entry::pages`, whatever the system's, and the bits for the count.
const PAGE: usize = 4096;
const COUNT_BITS: u32 = 28;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// An entry that is being made: the page at address 0, where nothing is.
const RESERVED: u64 = 1;

static TABLE: [Entry; MAX_REGIONS] = [const {
    Entry {
        pages: AtomicU64::new(0),
        owner: AtomicU32::new(0),
        file: AtomicI32::new(-1),
        lock: AtomicI32::new(-1),
    }
}; MAX_REGIONS];

/// This process, as it is known in one region.
#[derive(Clone, Copy)]
pub(super) struct Me {
    entry: &'static Entry,
    owner: u32,
}

impl Me {
    /// This process in the region that contains `place`.
    ///
    /// # Panics
    ///
    /// If no region contains it, or if this is the child of a fork that cannot attach.
    #[inline]
    pub(super) fn at<T>(place: &T) -> Self {
        let address = (&raw const *place).addr();
        for entry in &TABLE {
            // Relaxed: the reference came from the attachment, and with it all that was stored.
            let pages = entry.pages.load(Ordering::Relaxed);
            let offset = ((address / PAGE) as u64).wrapping_sub(pages >> COUNT_BITS);
            if offset < pages & COUNT {
                // Acquire: another thread may have attached anew after a fork.
                let owner = entry.owner.load(Ordering::Acquire);
                if owner & SLOT != CHOOSING && owner != 0 {
                    return Self { entry, owner };
                }
                return entry.attach_anew();
            }
        }
        not_in_a_region()
    }

    /// The bits for a word that this process owns.
    #[inline]
    pub(super) fn owner(self) -> u32 {
        self.owner
    }

    /// Returns `true` if the process that wrote `owner` into a word may still run. A system call,
    /// unless it is this process.
    #[cold]
    pub(super) fn lives(self, owner: u32) -> bool {
        if owner == self.owner {
            return true;
        }
        let Some(slot) = self.slot_of(owner) else {
            return false;
        };
        let lock = self.entry.lock.load(Ordering::Relaxed);
        // An error would be that of a descriptor that the program has closed. The living are not
        // taken for dead.
        locked_by_another(lock, slot).unwrap_or(true)
    }

    /// The process id that an owner had in its own namespace, if its slot is still the same.
    pub(super) fn pid(self, owner: u32) -> Option<u32> {
        let slot = self.slot_of(owner)?;
        let pid = self.entry.slots().pids[slot].load(Ordering::Relaxed);
        (pid != 0).then_some(pid)
    }

    /// The slot of an owner, if it has no new owner.
    fn slot_of(self, owner: u32) -> Option<usize> {
        let slot = (owner & SLOT).checked_sub(1)? as usize;
        // Acquire: pairs with the Release of `Slots::take`.
        let generation = self.entry.slots().generations.get(slot)?;
        (with_generation(slot, generation.load(Ordering::Acquire)) == owner).then_some(slot)
    }
}

#[cold]
fn not_in_a_region() -> ! {
    panic!("a primitive of racefree::process is used outside of a `Shared` region")
}

/// The owner of a slot in a generation.
fn with_generation(slot: usize, generation: u32) -> u32 {
    (generation << SLOT_BITS | (slot as u32 + 1)) & OWNER
}

impl Entry {
    /// Attaches this process to the region that is mapped from `base` on and whose table is there.
    ///
    /// # Safety
    ///
    /// `base` is the address of `size` mapped bytes that begin with a [`Slots`], at least until
    /// [`Entry::detach`] returns.
    pub(super) unsafe fn attach(
        base: *const Slots,
        size: usize,
        file: OwnedFd,
    ) -> Result<&'static Self, RegionError> {
        static HANDLER: Once = Once::new();
        let mut result = 0;
        HANDLER.call_once(|| {
            // SAFETY: the handlers are functions that may be called at a fork. The one in the child
            // makes only calls that are allowed there.
            result = unsafe { libc::pthread_atfork(Some(forks), Some(forked_here), Some(forked)) };
        });
        if result != 0 {
            let error = io::Error::from_raw_os_error(result);
            return Err(RegionError::System {
                to: "watch for forks",
                error,
            });
        }
        let first = (base.addr() / PAGE) as u64;
        let count = size.div_ceil(PAGE) as u64;
        if first >= 1 << (64 - COUNT_BITS) || count > COUNT {
            let error = io::ErrorKind::OutOfMemory.into();
            return Err(RegionError::System {
                to: "map the region at this address",
                error,
            });
        }
        // SAFETY: as the caller promises.
        let slots = unsafe { &*base };
        between_forks(|| Self::enter(slots, first << COUNT_BITS | count, file))
    }

    fn enter(slots: &Slots, pages: u64, file: OwnedFd) -> Result<&'static Self, RegionError> {
        let (lock, owner) = slots.take(file.as_raw_fd())?;
        let free = |entry: &&Self| {
            let free = entry.pages.load(Ordering::Relaxed) == 0;
            free && (entry.pages)
                // Acquire: pairs with the Release of `detach`.
                .compare_exchange(0, RESERVED, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        };
        let entry = TABLE.iter().find(free).ok_or(RegionError::TooManyRegions)?;
        entry.file.store(file.into_raw_fd(), Ordering::Relaxed);
        entry.lock.store(lock.into_raw_fd(), Ordering::Relaxed);
        entry.owner.store(owner, Ordering::Relaxed);
        // Release: with the reference to the region comes the rest.
        entry.pages.store(pages, Ordering::Release);
        Ok(entry)
    }

    /// Ends the attachment. To the others, the process is dead.
    pub(super) fn detach(&self) {
        between_forks(|| {
            close(self.lock.swap(-1, Ordering::Relaxed));
            close(self.file.swap(-1, Ordering::Relaxed));
            self.owner.store(0, Ordering::Relaxed);
            // Release: who reuses the entry comes after this.
            self.pages.store(0, Ordering::Release);
        });
    }

    /// The region's file.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open until `detach`, which ends the attachment from which the caller has
        // this entry.
        unsafe { BorrowedFd::borrow_raw(self.file.load(Ordering::Relaxed)) }
    }

    fn slots(&self) -> &Slots {
        let first = self.pages.load(Ordering::Relaxed) >> COUNT_BITS;
        let base = core::ptr::with_exposed_provenance::<Slots>(first as usize * PAGE);
        // SAFETY: an entry in use is of a mapping that begins with this table and that lasts as long
        // as the references into it, from one of which the caller has found the entry. The table is
        // made of atomics.
        unsafe { &*base }
    }

    /// The child of a fork takes a slot.
    #[cold]
    fn attach_anew(&'static self) -> Me {
        loop {
            // Acquire: what another thread has stored.
            match self
                .owner
                .compare_exchange(0, CHOOSING, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => {
                    let taken = between_forks(|| {
                        let (lock, owner) = self.slots().take(self.file.load(Ordering::Relaxed))?;
                        self.lock.store(lock.into_raw_fd(), Ordering::Relaxed);
                        Ok::<_, RegionError>(owner)
                    });
                    let owner = match taken {
                        Ok(owner) => owner,
                        Err(error) => {
                            self.owner.store(0, Ordering::Release);
                            panic!("the child of a fork cannot attach to its region: {error}");
                        }
                    };
                    // Release: the descriptor belongs to it.
                    self.owner.store(owner, Ordering::Release);
                    return Me { entry: self, owner };
                }
                Err(CHOOSING) => thread::yield_now(),
                Err(owner) => return Me { entry: self, owner },
            }
        }
    }
}

/// Held while a thread attaches or detaches, and during a fork.
static FORKS: Lock = Lock::new();

/// Runs `act`, which does not panic, while no thread forks.
fn between_forks<R>(act: impl FnOnce() -> R) -> R {
    FORKS.acquire();
    let result = act();
    let released = FORKS.release();
    debug_assert!(released.is_ok());
    result
}

/// Before a fork.
unsafe extern "C" fn forks() {
    FORKS.acquire();
}

/// After a fork, in the parent.
unsafe extern "C" fn forked_here() {
    let _ = FORKS.release();
}

/// After a fork, in the child.
unsafe extern "C" fn forked() {
    for entry in &TABLE {
        entry.owner.store(0, Ordering::Relaxed);
        close(entry.lock.swap(-1, Ordering::Relaxed));
    }
    let _ = FORKS.release();
}

fn close(descriptor: RawFd) {
    if descriptor >= 0 {
        // SAFETY: the descriptor was owned by an entry, which has forgotten it.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
}

impl Slots {
    /// Takes a slot for this process, with a new open file description of `file`, which holds it.
    fn take(&self, file: RawFd) -> Result<(OwnedFd, u32), RegionError> {
        let lock = reopen(file)?;
        for slot in 0..MAX_PROCESSES {
            let mut request = request(slot);
            // SAFETY: the call reads the request, which is of the type for this operation.
            let result =
                unsafe { libc::fcntl(lock.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) };
            if result == 0 {
                // AcqRel: what the slot's last process did comes before what this one does.
                let generation = self.generations[slot].fetch_add(1, Ordering::AcqRel);
                self.pids[slot].store(process::id(), Ordering::Relaxed);
                return Ok((
                    lock.into(),
                    with_generation(slot, generation.wrapping_add(1)),
                ));
            }
            let error = io::Error::last_os_error();
            if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) {
                return Err(RegionError::System {
                    to: "lock a slot of the region",
                    error,
                });
            }
        }
        Err(RegionError::TooManyProcesses)
    }
}

/// A new open file description of the file.
pub(super) fn reopen(file: RawFd) -> Result<File, RegionError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(format!("/proc/self/fd/{file}"))
        .map_err(|error| RegionError::System {
            to: "open the region by /proc",
            error,
        })
}

/// Whether a description other than `lock` holds the slot.
fn locked_by_another(lock: RawFd, slot: usize) -> io::Result<bool> {
    let mut request = request(slot);
    // SAFETY: the call writes into the request, which is of the type for this operation.
    let result = unsafe { libc::fcntl(lock, libc::F_OFD_GETLK, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(c_int::from(request.l_type) != libc::F_UNLCK)
}

/// The request for a lock of the slot's byte.
fn request(slot: usize) -> libc::flock64 {
    // SAFETY: zeroes are valid for this struct of integers.
    let mut request: libc::flock64 = unsafe { mem::zeroed() };
    request.l_type = libc::F_WRLCK as _;
    request.l_whence = libc::SEEK_SET as _;
    request.l_start = LOCKS + slot as i64;
    request.l_len = 1;
    request
}
