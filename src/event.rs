//! `threading.Event`: the public interface of [`raw::Event`], which contains the state machine.

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::observe::{Act, Object};
use crate::raw;
use crate::sync::const_fn;

/// A flag that threads can wait for: Python's `threading.Event`.
///
/// [`set`](Self::set) releases all waiting threads, and later waits return immediately. After
/// [`clear`](Self::clear), waits block again. A thread that is waiting when the event is set is
/// always released, even if the event is cleared immediately afterwards.
///
/// An `Event` is 4 bytes in size, does not allocate, and can be a `static`. Everything that happens
/// before a `set` happens before the return of each wait, each [`is_set`](Self::is_set) and each
/// `clear` that saw it. Everything that happens before a `clear` of a set event happens before each
/// `is_set` that saw the `clear`.
///
/// On Linux and Android, a signal handler may call `set`, `clear` and `is_set`.
///
/// # Examples
///
/// ```
/// use racefree::Event;
///
/// let ready = Event::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.wait());
///     ready.set();
/// });
/// assert!(ready.is_set());
/// ```
#[doc(alias("ManualResetEvent", "Gate"))]
pub struct Event {
    raw: raw::Event,
    object: Object,
}

impl Event {
    const_fn! {
        /// Creates an event that is not set.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!racefree::Event::new().is_set());
        /// ```
        #[must_use]
        #[track_caller]
        pub fn new() -> Self {
            Self {
                raw: raw::Event::new(),
                object: Object::new("Event"),
            }
        }
    }

    crate::observe::named! { "let event = racefree::Event::new().named(\"ready\");" }

    /// Returns `true` if the event is set. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn is_set(&self) -> bool {
        self.object
            .call(Act::Look, "is_set")
            .ends(self.raw.is_set())
    }

    /// Sets the event. All waiting threads are released, and later waits return immediately. Never
    /// blocks.
    ///
    /// If the event is already set, the state does not change. But everything before this call
    /// still happens before each call that saw it.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self) {
        let call = self.object.call(Act::Wake, "set");
        self.raw.set();
        call.ends(());
    }

    /// Clears the event. Later waits block until it is set again. Never blocks.
    ///
    /// Does nothing if the event is not set.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    #[inline]
    #[track_caller]
    #[doc(alias = "reset")]
    pub fn clear(&self) {
        let call = self.object.call(Act::Reset, "clear");
        self.raw.clear();
        call.ends(());
    }

    /// Blocks until the event is set. Returns immediately if it is already set.
    ///
    /// Python's `wait()`, which always returns `True`.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = racefree::Event::new();
    /// event.set();
    /// event.wait();
    /// ```
    #[inline]
    #[track_caller]
    pub fn wait(&self) {
        let call = self.object.call(Act::Wait, "wait");
        call.ends(self.raw.wait_by(|| Deadline::Never));
    }

    /// Blocks until the event is set, no longer than `timeout`, and returns `true` if it was set.
    ///
    /// Python's `wait(timeout=seconds)`. The result is `true` if the event was set at the call or
    /// while the thread was waiting, even if it has been cleared since. A timeout of zero does not
    /// block. A timeout that is too long for the clock, such as [`Duration::MAX`], never ends. Time
    /// is measured on the monotonic clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = racefree::Event::new();
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let call = self.object.call(Act::Wait, "wait_timeout");
        call.ends(self.raw.wait_by(|| Deadline::after(timeout)))
    }

    /// Blocks until the event is set, no longer than until `deadline`, and returns `true` if it was
    /// set.
    ///
    /// Like [`wait_timeout`](Self::wait_timeout), for several waits with a common deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let event = racefree::Event::new();
    /// assert!(!event.wait_until(Instant::now() + Duration::from_millis(1)));
    /// ```
    #[inline]
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let call = self.object.call(Act::Wait, "wait_until");
        call.ends(self.raw.wait_by(|| Deadline::At(deadline)))
    }
}

impl Default for Event {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Formats the event like Python's `repr`: `<racefree::Event at 0x7ffd5e0f1c2c: unset>`.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.raw.is_set() { "set" } else { "unset" };
        write!(f, "<racefree::Event at {:p}: {state}>", &raw const *self)
    }
}
