//! `multiprocessing.Queue`: places for items, and a [`State`] that says which of them are in use.
//!
//! | step | change |
//! |---|---|
//! | put, a place is free | the item is written into the place behind the last; then one item more |
//! | get, there is an item | the first is read; then the first is the next, and one item less |
//!
//! A process that dies before the commit of its `put` leaves bytes in a free place. One that dies
//! after the commit of its `get` has the item, and takes it with it.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::error::{Empty, Full};
use super::guard::endless;
use super::member::Me;
use super::region::{Share, layout, layout_of};
use super::state::{Data, Next, Place, Plain, State};
use crate::deadline::Deadline;

/// Which places are in use: `length` of them from `first` on, in a ring. And how many items there
/// are, which for bytes is another number.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Used {
    first: u32,
    length: u32,
    items: u32,
    unused: u32,
}

impl Plain for Used {}

impl Used {
    const NONE: Self = Self {
        first: 0,
        length: 0,
        items: 0,
        unused: 0,
    };

    /// The number of free places, of so many. `usize::MAX` is none.
    fn free(self, places: usize) -> usize {
        places.saturating_sub(self.length as usize)
    }

    /// The place that is `by` behind the first, of so many.
    fn place(self, by: usize, places: usize) -> usize {
        (self.first as usize % places + by % places) % places
    }

    /// The last `places` were taken, by an item.
    fn add(&mut self, places: usize) {
        self.length = self.length.wrapping_add(places as u32);
        self.items = self.items.wrapping_add(1);
    }

    /// The first `taken` of so many places are free.
    fn remove(&mut self, taken: usize, places: usize) {
        self.first = self.place(taken, places) as u32;
        self.length = self.length.saturating_sub(taken as u32);
        self.items = self.items.saturating_sub(1);
    }
}

/// A bounded queue between processes: Python's `multiprocessing.Queue(N)`, without its feeder thread.
///
/// It contains up to `N` items of plain [`Data`]. For bytes of any length, use a
/// [`BytesQueue`]. A `put` copies the item into the queue before it returns.
///
/// If a process dies in the middle of a `put`, the item is in the queue whole, or not at all. If it
/// dies in the middle of a `get`, the item is still in the queue, or has gone with it. The queue goes
/// on in either case.
///
/// # Examples
///
/// ```
/// use racefree::process::{Empty, Queue, Shared};
///
/// let queue = Shared::create(Queue::<u32, 3>::new())?;
/// queue.put(7);
/// assert_eq!(queue.get(), 7);
/// assert_eq!(queue.get_nowait(), Err(Empty));
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Queue<T, const N: usize> {
    state: State<Used>,
    places: [Place<T>; N],
}

// SAFETY: it is a `State` and places for data, which any bytes are.
unsafe impl<T: Data, const N: usize> Share for Queue<T, N> {
    const LAYOUT: u64 = layout(layout_of::<Self>("Queue"), N as u64);
}

impl<T: Data, const N: usize> Queue<T, N> {
    /// Creates an empty queue, to be moved into a region.
    ///
    /// `N` is 1 at least, and less than 2³².
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert!(queue.empty());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0 && N < u32::MAX as usize, "a queue has places") };
        Self {
            state: State::new(Used::NONE),
            places: [const { Place::zeroed() }; N],
        }
    }

    /// Puts an item into the queue, blocking until there is a place.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// queue.put(7);
    /// assert_eq!(queue.qsize(), 1);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put(&self, item: T) {
        let put = self.put_by(item, || Deadline::Never);
        debug_assert!(put.is_ok());
    }

    /// Puts an item into the queue if there is a place.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Full, Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 1>::new())?;
    /// assert_eq!(queue.put_nowait(7), Ok(()));
    /// assert_eq!(queue.put_nowait(8), Err(Full));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put_nowait(&self, item: T) -> Result<(), Full> {
        self.put_by(item, || Deadline::Now)
    }

    /// Puts an item into the queue, blocking no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there was no place in this time.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    /// use std::time::Duration;
    ///
    /// let queue = Shared::create(Queue::<u32, 1>::new())?;
    /// queue.put_timeout(7, Duration::from_secs(1)).unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), Full> {
        self.put_by(item, || Deadline::after(timeout))
    }

    /// Like [`put_timeout`](Self::put_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there was no place by then.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    /// use std::time::Instant;
    ///
    /// let queue = Shared::create(Queue::<u32, 1>::new())?;
    /// queue.put_until(7, Instant::now()).unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put_until(&self, item: T, deadline: Instant) -> Result<(), Full> {
        self.put_by(item, || Deadline::At(deadline))
    }

    /// Takes the first item out of the queue, blocking until there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// queue.put(7);
    /// assert_eq!(queue.get(), 7);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn get(&self) -> T {
        endless(self.get_by(|| Deadline::Never).ok())
    }

    /// Takes the first item out of the queue if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`] if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Empty, Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert_eq!(queue.get_nowait(), Err(Empty));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn get_nowait(&self) -> Result<T, Empty> {
        self.get_by(|| Deadline::Now)
    }

    /// Takes the first item out of the queue, blocking no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Empty`] if there was no item in this time.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Empty, Queue, Shared};
    /// use std::time::Duration;
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(Empty));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Empty> {
        self.get_by(|| Deadline::after(timeout))
    }

    /// Like [`get_timeout`](Self::get_timeout), but until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Empty`] if there was no item by then.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Empty, Queue, Shared};
    /// use std::time::Instant;
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert_eq!(queue.get_until(Instant::now()), Err(Empty));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn get_until(&self, deadline: Instant) -> Result<T, Empty> {
        self.get_by(|| Deadline::At(deadline))
    }

    /// Returns the number of items. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert_eq!(queue.qsize(), 0);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn qsize(&self) -> usize {
        (self.state.look().length as usize).min(N)
    }

    /// Returns `true` if there is no item. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert!(queue.empty());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Returns `true` if there is no place. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Queue, Shared};
    ///
    /// let queue = Shared::create(Queue::<u32, 3>::new())?;
    /// assert!(!queue.full());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn full(&self) -> bool {
        self.qsize() == N
    }

    fn put_by(&self, item: T, deadline: impl FnOnce() -> Deadline) -> Result<(), Full> {
        let put = self.state.wait(Me::at(self), deadline, |used, _| {
            if used.free(N) == 0 {
                return Next::Sleep;
            }
            let place = used.place(used.length as usize, N);
            self.places[place].store(&item, size_of::<T>());
            used.add(1);
            Next::Commit(())
        });
        put.ok_or(Full)
    }

    fn get_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<T, Empty> {
        let got = self.state.wait(Me::at(self), deadline, |used, _| {
            if used.length == 0 {
                return Next::Sleep;
            }
            let item = self.places[used.place(0, N)].load(size_of::<T>());
            used.remove(1, N);
            Next::Commit(item)
        });
        got.ok_or(Empty)
    }
}

impl<T: Data, const N: usize> Default for Queue<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Data, const N: usize> fmt::Debug for Queue<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::process::Queue {} of {N}>", self.qsize())
    }
}

/// A bounded queue of bytes between processes: each item is a slice, with its length.
///
/// Its capacity is `WORDS` words of 8 bytes. An item takes its length, rounded up to a word, and one
/// word more. The rest is as for a [`Queue`].
///
/// # Examples
///
/// ```
/// use racefree::process::{BytesQueue, Shared};
///
/// let queue = Shared::create(BytesQueue::<16>::new())?;
/// queue.put(b"Ada").unwrap();
/// assert_eq!(queue.get(), b"Ada");
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct BytesQueue<const WORDS: usize> {
    state: State<Used>,
    words: [AtomicU64; WORDS],
}

// SAFETY: it is a `State` and atomics, which any bytes are.
unsafe impl<const WORDS: usize> Share for BytesQueue<WORDS> {
    const LAYOUT: u64 = layout_of::<Self>("BytesQueue");
}

impl<const WORDS: usize> BytesQueue<WORDS> {
    /// The length of the longest item that fits.
    pub const MAX_LENGTH: usize = (WORDS - 1) * 8;

    /// Creates an empty queue, to be moved into a region.
    ///
    /// `WORDS` is 2 at least, and less than 2³².
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// assert!(queue.empty());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(WORDS > 1 && WORDS < u32::MAX as usize, "a queue has places") };
        Self {
            state: State::new(Used::NONE),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Puts a copy of `item` into the queue, blocking until there is enough place.
    ///
    /// # Errors
    ///
    /// [`Full`] if the item is longer than [`MAX_LENGTH`](Self::MAX_LENGTH): it never fits.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Full, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<2>::new())?;
    /// assert_eq!(queue.put(&[0; 9]), Err(Full));
    /// assert_eq!(queue.put(&[0; 8]), Ok(()));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put(&self, item: &[u8]) -> Result<(), Full> {
        self.put_by(item, || Deadline::Never)
    }

    /// Puts a copy of `item` into the queue if there is enough place.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is not.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Full, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<2>::new())?;
    /// assert_eq!(queue.put_nowait(b"Ada"), Ok(()));
    /// assert_eq!(queue.put_nowait(b"Bob"), Err(Full));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put_nowait(&self, item: &[u8]) -> Result<(), Full> {
        self.put_by(item, || Deadline::Now)
    }

    /// Puts a copy of `item` into the queue, blocking no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there was not enough place in this time.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Shared};
    /// use std::time::Duration;
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// queue.put_timeout(b"Ada", Duration::from_secs(1)).unwrap();
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn put_timeout(&self, item: &[u8], timeout: Duration) -> Result<(), Full> {
        self.put_by(item, || Deadline::after(timeout))
    }

    /// Takes the first item out of the queue, blocking until there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// queue.put(b"Ada").unwrap();
    /// assert_eq!(queue.get(), b"Ada");
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn get(&self) -> Vec<u8> {
        endless(self.get_by(|| Deadline::Never).ok())
    }

    /// Takes the first item out of the queue if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`] if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Empty, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// assert_eq!(queue.get_nowait(), Err(Empty));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn get_nowait(&self) -> Result<Vec<u8>, Empty> {
        self.get_by(|| Deadline::Now)
    }

    /// Takes the first item out of the queue, blocking no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`Empty`] if there was no item in this time.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Empty, Shared};
    /// use std::time::Duration;
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(Empty));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<u8>, Empty> {
        self.get_by(|| Deadline::after(timeout))
    }

    /// Returns the number of items. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// assert_eq!(queue.qsize(), 0);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn qsize(&self) -> usize {
        self.state.look().items as usize
    }

    /// Returns `true` if there is no item. The result may be out of date by the time it is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{BytesQueue, Shared};
    ///
    /// let queue = Shared::create(BytesQueue::<16>::new())?;
    /// assert!(queue.empty());
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn empty(&self) -> bool {
        self.state.look().length == 0
    }

    fn put_by(&self, item: &[u8], deadline: impl FnOnce() -> Deadline) -> Result<(), Full> {
        if item.len() > Self::MAX_LENGTH {
            return Err(Full);
        }
        let needed = 1 + item.len().div_ceil(8);
        let put = self.state.wait(Me::at(self), deadline, |used, _| {
            if used.free(WORDS) < needed {
                return Next::Sleep;
            }
            let word = |at: usize| &self.words[used.place(used.length as usize + at, WORDS)];
            word(0).store(item.len() as u64, Ordering::Relaxed);
            for (at, bytes) in item.chunks(8).enumerate() {
                let mut padded = [0; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                word(1 + at).store(u64::from_ne_bytes(padded), Ordering::Relaxed);
            }
            used.add(needed);
            Next::Commit(())
        });
        put.ok_or(Full)
    }

    fn get_by(&self, deadline: impl FnOnce() -> Deadline) -> Result<Vec<u8>, Empty> {
        let got = self.state.wait(Me::at(self), deadline, |used, _| {
            if used.length == 0 {
                return Next::Sleep;
            }
            let word = |at: usize| self.words[used.place(at, WORDS)].load(Ordering::Relaxed);
            // Not more than fits, whatever is there.
            let length = (word(0) as usize).min(Self::MAX_LENGTH);
            let mut item = vec![0; length];
            for (at, bytes) in item.chunks_mut(8).enumerate() {
                bytes.copy_from_slice(&word(1 + at).to_ne_bytes()[..bytes.len()]);
            }
            used.remove(1 + length.div_ceil(8), WORDS);
            Next::Commit(item)
        });
        got.ok_or(Empty)
    }
}

impl<const WORDS: usize> Default for BytesQueue<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> fmt::Debug for BytesQueue<WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<racefree::process::BytesQueue of {} items>",
            self.qsize()
        )
    }
}
