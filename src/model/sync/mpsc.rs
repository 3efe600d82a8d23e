//! std's channels on this crate's mutex and condition variable. Uses the primitives.
//!
//! Under a checker there is no channel without room (`sync_channel(0)`).

use core::panic::Location;
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

use crate::condvar::Condvar;
use crate::mutex::Mutex;
use crate::observe::steps::Place;
use crate::observe::{Act, trace};

struct Channel<T> {
    state: Mutex<State<T>>,
    room: usize,
    /// That there is an item, or no sender any more.
    filled: Condvar,
    /// That there is room, or no receiver any more.
    emptied: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    senders: usize,
    receives: bool,
}

#[track_caller]
fn new<T>(room: usize) -> Arc<Channel<T>> {
    let state = State {
        items: VecDeque::new(),
        senders: 1,
        receives: true,
    };
    Arc::new(Channel {
        state: Mutex::new(state),
        room,
        filled: Condvar::new(),
        emptied: Condvar::new(),
    })
}

/// See [`std::sync::mpsc::channel`].
#[must_use]
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = new(usize::MAX);
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

/// See [`std::sync::mpsc::sync_channel`].
///
/// # Panics
///
/// If `bound` is 0.
#[must_use]
#[track_caller]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    assert!(
        bound > 0,
        "a channel without room can not be had under a checker"
    );
    let channel = new(bound);
    (SyncSender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Channel<T> {
    #[track_caller]
    fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut state = self.state.lock();
        let full = |state: &mut State<T>| state.receives && state.items.len() >= self.room;
        self.emptied.wait_while(&mut state, full);
        if !state.receives {
            return Err(SendError(item));
        }
        state.items.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    #[track_caller]
    fn leaves(&self) {
        let mut state = self.state.lock();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.filled.notify_all();
        }
    }
}

macro_rules! sender {
    ($Sender:ident) => {
        #[doc = concat!("See [`std::sync::mpsc::", stringify!($Sender), "`].")]
        pub struct $Sender<T>(Arc<Channel<T>>);

        impl<T> $Sender<T> {
            /// See std's.
            ///
            /// # Errors
            ///
            /// If there is no receiver any more.
            #[track_caller]
            pub fn send(&self, item: T) -> Result<(), SendError<T>> {
                self.0.send(item)
            }
        }

        impl<T> Clone for $Sender<T> {
            #[track_caller]
            fn clone(&self) -> Self {
                self.0.state.lock().senders += 1;
                Self(Arc::clone(&self.0))
            }
        }

        impl<T> Drop for $Sender<T> {
            fn drop(&mut self) {
                crate::sync::unless_deadlocked(|| self.0.leaves());
            }
        }

        impl<T> fmt::Debug for $Sender<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Sender)).finish_non_exhaustive()
            }
        }
    };
}

sender!(Sender);
sender!(SyncSender);

impl<T> SyncSender<T> {
    /// See std's.
    ///
    /// # Errors
    ///
    /// If there is no room, or no receiver any more.
    #[track_caller]
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.state.lock();
        if !state.receives {
            return Err(TrySendError::Disconnected(item));
        }
        if state.items.len() >= self.0.room {
            return Err(TrySendError::Full(item));
        }
        state.items.push_back(item);
        drop(state);
        self.0.filled.notify_one();
        Ok(())
    }
}

/// See [`std::sync::mpsc::Receiver`].
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Receiver<T> {
    /// See std's.
    ///
    /// # Errors
    ///
    /// If there is no item and no sender any more.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.state.lock();
        let empty = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
        self.0.filled.wait_while(&mut state, empty);
        let item = state.items.pop_front().ok_or(RecvError);
        drop(state);
        self.0.emptied.notify_one();
        item
    }

    /// See std's. Under a checker both ends are explored.
    ///
    /// # Errors
    ///
    /// If the time is up, or there is no item and no sender any more.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let mut state = self.0.state.lock();
        let empty = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
        let waited = self.0.filled.wait_while_timeout(&mut state, empty, timeout);
        let item = state.items.pop_front();
        drop(state);
        match item {
            Some(item) => {
                self.0.emptied.notify_one();
                Ok(item)
            }
            None if waited.timed_out() => Err(RecvTimeoutError::Timeout),
            None => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// See std's.
    ///
    /// # Errors
    ///
    /// If there is no item.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state.lock();
        let senders = state.senders;
        let item = state.items.pop_front();
        drop(state);
        match item {
            Some(item) => {
                self.0.emptied.notify_one();
                Ok(item)
            }
            None if senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// The items, as they come, until there is no sender any more.
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        self.into_iter()
    }

    /// The items that are there.
    #[track_caller]
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        Items::new(self, |receiver| receiver.try_recv().ok())
    }
}

/// What `next` receives. It is told from the line of the user's that made this.
struct Items<R, T> {
    receiver: R,
    next: fn(&Receiver<T>) -> Option<T>,
    place: Place,
}

impl<R, T> Items<R, T> {
    #[track_caller]
    fn new(receiver: R, next: fn(&Receiver<T>) -> Option<T>) -> Self {
        let place = Place::of(Location::caller());
        Self {
            receiver,
            next,
            place,
        }
    }
}

impl<R: Borrow<Receiver<T>>, T> Iterator for Items<R, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let call = trace::step(Act::Other, "recv", None, self.place);
        call.ends((self.next)(self.receiver.borrow()))
    }
}

macro_rules! iterator {
    ($Iter:ident $(<$a:lifetime>)?, $Receiver:ty) => {
        #[doc = concat!("See [`std::sync::mpsc::", stringify!($Iter), "`].")]
        pub struct $Iter<$($a,)? T>(Items<$Receiver, T>);

        impl<$($a,)? T> Iterator for $Iter<$($a,)? T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.0.next()
            }
        }

        impl<$($a,)? T> fmt::Debug for $Iter<$($a,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Iter)).finish_non_exhaustive()
            }
        }

        impl<$($a,)? T> IntoIterator for $Receiver {
            type Item = T;
            type IntoIter = $Iter<$($a,)? T>;

            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                $Iter(Items::new(self, |receiver| receiver.recv().ok()))
            }
        }
    };
}

iterator!(Iter<'a>, &'a Receiver<T>);
iterator!(IntoIter, Receiver<T>);

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        crate::sync::unless_deadlocked(|| {
            let mut state = self.0.state.lock();
            state.receives = false;
            let items = core::mem::take(&mut state.items);
            drop(state);
            drop(items);
            self.0.emptied.notify_all();
        });
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
