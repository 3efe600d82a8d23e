//! Data that changes in one step: a [`State`] for users.

use core::fmt;

use super::member::Me;
use super::region::{Share, layout_of};
use super::state::{Data, Next, Plain, State};

/// The state of a value. (`Plain` of each `T` itself would be of the other states as well.)
#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(transparent)]
struct Whole<T>(T);

impl<T: Data> Plain for Whole<T> {}

/// A value between processes, each change of which is one step: in the place of Python's
/// `multiprocessing.Value` and `Array`.
///
/// A process that dies during a change leaves the old value or the new one, whole. No lock is needed
/// for changes of a single value.
///
/// # Examples
///
/// ```
/// use racefree::process::{Shared, Value};
///
/// let scores = Shared::create(Value::new([0_u32; 3]))?;
/// scores.update(|scores| scores[1] += 5);
/// assert_eq!(scores.get(), [0, 5, 0]);
/// # Ok::<(), racefree::process::RegionError>(())
/// ```
#[repr(C)]
pub struct Value<T> {
    state: State<Whole<T>>,
}

// SAFETY: it is a `State`, which any bytes are.
unsafe impl<T: Data> Share for Value<T> {
    const LAYOUT: u64 = layout_of::<Self>("Value");
}

impl<T: Data> Value<T> {
    /// Creates a value, to be moved into a region.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Shared, Value};
    ///
    /// let number = Shared::create(Value::new(7_u64))?;
    /// assert_eq!(number.get(), 7);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            state: State::new(Whole(value)),
        }
    }

    /// Returns the value. Does not wait for a process that changes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Shared, Value};
    ///
    /// let number = Shared::create(Value::new(7_u64))?;
    /// assert_eq!(number.get(), 7);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    #[must_use]
    pub fn get(&self) -> T {
        self.state.look().0
    }

    /// Sets the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Shared, Value};
    ///
    /// let number = Shared::create(Value::new(7_u64))?;
    /// number.set(8);
    /// assert_eq!(number.get(), 8);
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn set(&self, value: T) {
        self.update(|old| *old = value);
    }

    /// Changes the value in one step. Others that change it wait meanwhile, so `change` should be
    /// short. It must not use this value. If it panics, nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::process::{Shared, Value};
    ///
    /// let number = Shared::create(Value::new(7_u64))?;
    /// let before = number.update(|number| {
    ///     *number += 1;
    ///     *number - 1
    /// });
    /// assert_eq!((before, number.get()), (7, 8));
    /// # Ok::<(), racefree::process::RegionError>(())
    /// ```
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.state
            .change(Me::at(self), |state| Next::Commit(change(&mut state.0)))
    }
}

impl<T: Data + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<racefree::process::Value {:?}>", self.get())
    }
}
