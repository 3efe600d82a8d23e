//! A region: memory that processes share, with a header that is checked.

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::{fmt, mem};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use super::error::RegionError;
use super::member::{self, Entry, Slots};

/// "racefree", as this machine writes a number: another byte order is another magic.
const MAGIC: u64 = u64::from_be_bytes(*b"racefree");
const VERSION: u32 = 1;

/// A type that can be in a region: one of the primitives, an atomic, an array of these, or a struct
/// that [`shared!`](super::shared) declares.
///
/// # Safety
///
/// Every pattern of bytes is a valid value, which needs no drop. All of it may change at any time,
/// by other processes, while there are references to it: it is made of atomics, and of bytes that
/// are accessed as atomics. It contains no addresses.
pub unsafe trait Share: Sync + 'static {
    /// Tells types of different layouts apart.
    #[doc(hidden)]
    const LAYOUT: u64;
}

/// One step of a layout's hash (FNV-1a, of words).
#[doc(hidden)]
#[must_use]
pub const fn layout(before: u64, next: u64) -> u64 {
    (before ^ next)
        .wrapping_mul(0x0100_0000_01b3)
        .rotate_left(29)
}

/// The hash of a name and of what it is the name of.
#[doc(hidden)]
#[must_use]
pub const fn layout_of<T>(name: &str) -> u64 {
    let mut hash = layout(size_of::<T>() as u64, align_of::<T>() as u64);
    let mut at = 0;
    while at < name.len() {
        hash = layout(hash, name.as_bytes()[at] as u64);
        at += 1;
    }
    hash
}

macro_rules! share_atomics {
    ($($atomic:ident)*) => {
        $(
            // SAFETY: an atomic integer has no invalid bytes, and may change at any time.
            unsafe impl Share for core::sync::atomic::$atomic {
                const LAYOUT: u64 = layout_of::<Self>(stringify!($atomic));
            }
        )*
    };
}

share_atomics!(AtomicU8 AtomicI8 AtomicU16 AtomicI16 AtomicU32 AtomicI32 AtomicU64 AtomicI64);
share_atomics!(AtomicUsize AtomicIsize);

// SAFETY: an array is its elements, without gaps that were not theirs.
unsafe impl<T: Share, const N: usize> Share for [T; N] {
    const LAYOUT: u64 = layout(layout_of::<Self>("[]"), T::LAYOUT);
}

/// A region's memory.
#[repr(C)]
struct Whole<T> {
    header: Header,
    value: T,
}

/// What a region begins with. The table comes first: see [`Entry::attach`].
#[repr(C, align(128))]
struct Header {
    slots: Slots,
    magic: AtomicU64,
    size: AtomicU64,
    layout: AtomicU64,
    version: AtomicU32,
    unused: AtomicU32,
}

/// The part of the header that is compared.
const COMPARED: usize = mem::offset_of!(Header, magic);
const COMPARED_SIZE: usize = 28;

/// A region of shared memory that contains a `T`, to which this process is attached.
///
/// One process [creates](Self::create) the region, and others attach to it: by a descriptor that
/// they inherited or received ([`attach`](Self::attach)), or by a name ([`open`](Self::open)). Each
/// of them has the `T` by dereferencing its own `Shared<T>`.
///
/// A process is attached from the creation of its `Shared<T>` until it drops it, or until it ends,
/// whatever ends it. To the others, a process that has dropped it is dead: what it held is held by
/// a dead process.
///
/// The child of a `fork` may use the region. It attaches by itself at its first use, and panics if it
/// cannot. It holds nothing of what its parent holds.
///
/// # Examples
///
/// A child receives the region as its standard input:
///
/// ```
/// use racefree::process::{Event, Shared};
/// use std::io;
/// use std::process::{Command, Stdio};
///
/// // In the parent.
/// let ready = Shared::create(Event::new())?;
/// let input = Stdio::from(ready.as_file()?);
/// # let mut child = Command::new("true").stdin(input).spawn().unwrap();
/// # child.wait().unwrap();
///
/// // In the child.
/// # fn child() -> Result<(), racefree::process::RegionError> {
/// let ready = Shared::<Event>::attach(&io::stdin())?;
/// ready.set();
/// # Ok(()) }
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
pub struct Shared<T: Share> {
    whole: NonNull<Whole<T>>,
    entry: &'static Entry,
    owns: PhantomData<T>,
}

// SAFETY: it is a reference to a `T`, which is `Sync`. The mapping belongs to the process.
unsafe impl<T: Share> Send for Shared<T> {}
// SAFETY: the same.
unsafe impl<T: Share> Sync for Shared<T> {}

impl<T: Share> Shared<T> {
    const SIZE: u64 = size_of::<Whole<T>>() as u64;

    /// Creates an anonymous region that contains `value`. Others attach to its
    /// [descriptor](Self::as_file).
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] if the system has no memory or no descriptor, and
    /// [`RegionError::TooManyRegions`].
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// lock.acquire().unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn create(value: T) -> Result<Self, RegionError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("racefree", flags)
            .map_err(|error| system("create memory to share", error))?;
        rustix::fs::ftruncate(&file, Self::SIZE)
            .map_err(|error| system("size the region", error))?;
        // Nothing that has the descriptor can cut pages off.
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)
            .map_err(|error| system("seal the region", error))?;
        Self::begin(file, value)
    }

    /// Creates a region that contains `value` in a new file at `path`. Others [`open`](Self::open)
    /// it by this path, and never see it unfinished.
    ///
    /// In `/dev/shm` the region is in memory, as Python's
    /// `multiprocessing.shared_memory` is. The file stays until it is removed, by
    /// [`std::fs::remove_file`]. Its owner alone may use it. The filesystem must be a local one with
    /// unnamed files (`O_TMPFILE`), such as tmpfs, ext4, xfs or btrfs.
    ///
    /// # Errors
    ///
    /// The same as for [`create`](Self::create). [`RegionError::System`] if the path exists already.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("lock");
    /// let lock = Shared::create_at(&path, Lock::new())?;
    /// let same = Shared::<Lock>::open(&path)?;
    /// lock.acquire().unwrap();
    /// assert!(same.locked());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn create_at(path: impl AsRef<Path>, value: T) -> Result<Self, RegionError> {
        let path = path.as_ref();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .open(folder)
            .map_err(|error| system("create the region's file", error))?;
        file.set_len(Self::SIZE)
            .map_err(|error| system("size the region", error))?;
        let shared = Self::begin(file.into(), value)?;
        let link = format!("/proc/self/fd/{}", shared.as_fd().as_raw_fd());
        rustix::fs::linkat(CWD, link, CWD, path, AtFlags::SYMLINK_FOLLOW)
            .map_err(|error| system("name the region", error))?;
        Ok(shared)
    }

    /// Attaches to a region by a descriptor of its file: one that was inherited, for example as the
    /// standard input, or one that was received over a socket. The descriptor is not needed any more
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`RegionError`], if the descriptor is not that of a region with a `T`, or is one that is used
    /// by too many processes.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Semaphore, RegionError, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// let same = Shared::<Lock>::attach(&lock)?;
    /// lock.acquire().unwrap();
    /// assert!(same.locked());
    ///
    /// let error = Shared::<Semaphore>::attach(&lock).unwrap_err();
    /// assert!(matches!(error, RegionError::Layout | RegionError::Size { .. }));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn attach(descriptor: &impl AsFd) -> Result<Self, RegionError> {
        Self::check(member::reopen(descriptor.as_fd().as_raw_fd())?)
    }

    /// Attaches to the region in the file at `path`.
    ///
    /// The path may also be `/proc/PID/fd/NUMBER`, of a descriptor of another process of the same
    /// user.
    ///
    /// # Errors
    ///
    /// The same as for [`attach`](Self::attach). [`RegionError::System`] if the file cannot be
    /// opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, RegionError, Shared};
    ///
    /// let error = Shared::<Lock>::open("/nowhere/lock").unwrap_err();
    /// assert!(matches!(error, RegionError::System { .. }));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RegionError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| system("open the region's file", error))?;
        Self::check(file)
    }

    /// Returns a new descriptor of the region's file, which can be handed to another process: as a
    /// [`Stdio`](std::process::Stdio), or over a socket. It is closed in a child that runs another
    /// program, unless it is one of the standard streams there.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] if the process has too many descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Lock, Shared};
    ///
    /// let lock = Shared::create(Lock::new())?;
    /// let same = Shared::<Lock>::attach(&lock.as_file()?)?;
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn as_file(&self) -> Result<File, RegionError> {
        let file = self.as_fd().try_clone_to_owned();
        Ok(file
            .map_err(|error| system("copy the descriptor", error))?
            .into())
    }

    /// Maps a new file, and fills it.
    fn begin(file: OwnedFd, value: T) -> Result<Self, RegionError> {
        let whole = Self::map(&file)?;
        // SAFETY: the mapping is as large as a `Whole<T>`, and aligned to a page, which is enough.
        // The file is new: nothing else has it. A header of zeroes is valid.
        unsafe {
            (&raw mut (*whole.as_ptr()).value).write(value);
            let header = &(*whole.as_ptr()).header;
            header.size.store(Self::SIZE, Ordering::Relaxed);
            header.layout.store(T::LAYOUT, Ordering::Relaxed);
            header.version.store(VERSION, Ordering::Relaxed);
            header.magic.store(MAGIC, Ordering::Release);
        }
        unmap(whole);
        // In another mapping all bytes are initialized, those between the fields as well.
        Self::enter(Self::map(&file)?, file)
    }

    /// Checks the header of a file, and maps it.
    fn check(file: File) -> Result<Self, RegionError> {
        let found = file
            .metadata()
            .map_err(|error| system("ask for the region's size", error))?
            .len();
        let mut header = [0; COMPARED_SIZE];
        let expected = Self::SIZE;
        match file.read_exact_at(&mut header, COMPARED as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(RegionError::Size { found, expected });
            }
            Err(error) => return Err(system("read the region's header", error)),
        }
        let number =
            |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let version = u32::from_ne_bytes(header[24..].try_into().expect("four bytes"));
        if number(0) != MAGIC {
            return Err(RegionError::Foreign);
        }
        if version != VERSION {
            return Err(RegionError::Version {
                found: version,
                expected: VERSION,
            });
        }
        if number(8) != found || number(8) != expected {
            return Err(RegionError::Size { found, expected });
        }
        if number(16) != T::LAYOUT {
            return Err(RegionError::Layout);
        }
        let file = file.into();
        let whole = Self::map(&file)?;
        Self::enter(whole, file)
    }

    fn map(file: &OwnedFd) -> Result<NonNull<Whole<T>>, RegionError> {
        const { assert!(align_of::<Whole<T>>() <= 4096, "a page is aligned enough") };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let size = size_of::<Whole<T>>();
        // SAFETY: the kernel chooses an address that is free.
        let address =
            unsafe { rustix::mm::mmap(ptr::null_mut(), size, access, MapFlags::SHARED, file, 0) };
        let address = address.map_err(|error| system("map the region", error))?;
        // What finds the table by the address of a primitive makes a pointer of a number.
        address.expose_provenance();
        Ok(NonNull::new(address.cast()).expect("a mapping is not at address 0"))
    }

    fn enter(whole: NonNull<Whole<T>>, file: OwnedFd) -> Result<Self, RegionError> {
        // SAFETY: the mapping begins with the header, which begins with the table. It lasts until
        // this `Shared` is dropped, which detaches first.
        let entry = unsafe { Entry::attach(whole.as_ptr().cast(), size_of::<Whole<T>>(), file) };
        match entry {
            Ok(entry) => Ok(Self {
                whole,
                entry,
                owns: PhantomData,
            }),
            Err(error) => {
                unmap(whole);
                Err(error)
            }
        }
    }
}

fn system(to: &'static str, error: impl Into<std::io::Error>) -> RegionError {
    RegionError::System {
        to,
        error: error.into(),
    }
}

fn unmap<T>(whole: NonNull<Whole<T>>) {
    // SAFETY: the caller has the mapping, and gives it up; references to it have ended.
    let result = unsafe { rustix::mm::munmap(whole.as_ptr().cast(), size_of::<Whole<T>>()) };
    debug_assert!(result.is_ok());
}

impl<T: Share> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mapping has a `T` there, whose every pattern of bytes is valid and which may
        // change at any time.
        unsafe { &(*self.whole.as_ptr()).value }
    }
}

impl<T: Share> AsFd for Shared<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.entry.file()
    }
}

impl<T: Share> Drop for Shared<T> {
    fn drop(&mut self) {
        self.entry.detach();
        unmap(self.whole);
    }
}

impl<T: Share> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::process::Shared of {}>",
            core::any::type_name::<T>()
        )
    }
}
