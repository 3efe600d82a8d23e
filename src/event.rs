//! `threading.Event`: the face of [`raw::Event`], where its state machine is.

use core::fmt;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::observe::{Act, Object};
use crate::raw;
use crate::sync::const_fn;

/// A flag that threads can wait for: Python's `threading.Event`.
///
/// [`set`](Self::set) lets through all who wait and all who come, until [`clear`](Self::clear)
/// makes them wait again. A thread that waits when the event is set goes through, even if the event
/// is cleared at once.
///
/// It is 4 bytes, needs no allocation, and can be a `static`. What happens before a `set` happens
/// before the return of each wait, each [`is_set`](Self::is_set) and each `clear` that saw it; and
/// what happens before a `clear` of a set event, before each `is_set` that saw that.
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
pub struct Event {
    raw: raw::Event,
    object: Object,
}

impl Event {
    const_fn! {
        /// An event that is not set.
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

    /// Whether the event is set. Never waits.
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

    /// Sets the event: all who wait go on, and nobody who comes has to wait. Never waits.
    ///
    /// Does nothing if it is set already, but what was written before is still there to see for
    /// those who see this call.
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

    /// Clears the event: who comes now has to wait until it is set again. Never waits.
    ///
    /// Does nothing if it is not set.
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
    pub fn clear(&self) {
        let call = self.object.call(Act::Reset, "clear");
        self.raw.clear();
        call.ends(());
    }

    /// Waits until the event is set, as long as it takes.
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

    /// Waits until the event is set, no longer than `timeout`, and says whether it was.
    ///
    /// Python's `wait(timeout=seconds)`. True if the event was set when this was called, or while the
    /// thread waited, even if it has been cleared since. A timeout of zero does not wait; one that
    /// is too long for the clock ([`Duration::MAX`]) waits for ever. Time is that of the monotonic
    /// clock.
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

    /// Waits until the event is set, no longer than until `deadline`, and says whether it was.
    ///
    /// As [`wait_timeout`](Self::wait_timeout), for several waits that share one end.
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

/// As Python's `repr`: `<racefree::Event at 0x7ffd5e0f1c2c: unset>`.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.raw.is_set() { "set" } else { "unset" };
        write!(f, "<racefree::Event at {:p}: {state}>", &raw const *self)
    }
}
