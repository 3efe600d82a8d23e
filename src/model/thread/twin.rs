//! Threads of the engine with std's interface, which tell `observe` what they do. Uses the engine,
//! the parker and `observe`.

use core::cell::RefCell;
use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use std::thread::{Result, panicking};

use super::parker::Parker;
use crate::deadline::Deadline;
use crate::model::engine;
use crate::observe::Act;
use crate::observe::steps::Place;
use crate::observe::trace::{self, thread::Spawned};

/// See [`std::thread::Thread`].
#[derive(Clone)]
pub struct Thread {
    inner: Arc<Inner>,
}

struct Inner {
    name: Option<String>,
    number: usize,
    parker: Parker,
}

/// See [`std::thread::ThreadId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(usize);

impl Thread {
    fn new(name: Option<String>, number: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                number,
                parker: Parker::new(),
            }),
        }
    }

    /// Its identity: no two threads of an execution have the same.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        ThreadId(self.inner.number)
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// See [`std::thread::Thread::unpark`].
    #[track_caller]
    pub fn unpark(&self) {
        let place = Place::of(Location::caller());
        let number = self.inner.number as u64;
        let call = trace::step(Act::Wake, "unpark", Some(number), place);
        self.inner.parker.unpark();
        call.ends(());
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

engine::thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "not so under loom")]
    static CURRENT: RefCell<Option<Thread>> = RefCell::new(None);
}

/// See [`std::thread::current`].
#[must_use]
pub fn current() -> Thread {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let thread = current.get_or_insert_with(|| {
            let name = std::thread::current().name().map(str::to_owned);
            Thread::new(name, trace::thread::me())
        });
        thread.clone()
    })
}

/// See [`std::thread::park`].
#[track_caller]
pub fn park() {
    let call = trace::step(Act::Other, "park", None, Place::of(Location::caller()));
    call.ends(current().inner.parker.park(Deadline::Never));
}

/// See [`std::thread::park_timeout`]. Under a checker both ends are explored.
#[track_caller]
pub fn park_timeout(timeout: Duration) {
    let place = Place::of(Location::caller());
    let call = trace::step(Act::Other, "park_timeout", None, place);
    call.ends(current().inner.parker.park(Deadline::after(timeout)));
}

/// Lets other threads run. Under loom this thread runs again when one of them has made a step.
pub fn yield_now() {
    engine::thread::yield_now();
}

/// See [`std::thread::sleep`]. Under a checker no time passes: it is [`yield_now`].
pub fn sleep(duration: Duration) {
    engine::sleep(duration);
}

/// See [`std::thread::spawn`].
#[track_caller]
pub fn spawn<F, T>(body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    start(None, Location::caller(), Box::new(body))
}

/// See [`std::thread::JoinHandle`].
pub struct JoinHandle<T> {
    handle: engine::thread::JoinHandle<T>,
    thread: Thread,
    number: Option<usize>,
}

impl<T> JoinHandle<T> {
    /// See [`std::thread::JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// What the thread panicked with, on real threads; under a checker a panic fails the check.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let place = Place::of(Location::caller());
        let number = self.number.map(|number| number as u64);
        let call = trace::step(Act::Wait, "join", number, place);
        let result = self.handle.join();
        call.ends(());
        result
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Spawns a thread, and tells of it.
fn start<T: Send + 'static>(
    name: Option<String>,
    place: &'static Location<'static>,
    body: Box<dyn FnOnce() -> T + Send>,
) -> JoinHandle<T> {
    let spawned = trace::thread::spawns(name.as_deref(), "spawn", Place::of(place));
    let number = spawned.number();
    let thread = Thread::new(name.clone(), number.unwrap_or(usize::MAX));
    let here = thread.clone();
    let handle = engine::spawn(name, move || run(spawned, here, body));
    JoinHandle {
        handle,
        thread,
        number,
    }
}

fn run<T>(spawned: Spawned, thread: Thread, body: Box<dyn FnOnce() -> T + Send>) -> T {
    let running = spawned.runs();
    CURRENT.with(|current| *current.borrow_mut() = Some(thread));
    let result = engine::stopping(body);
    running.ends();
    result
}

/// See [`std::thread::Builder`].
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    name: Option<String>,
}

impl Builder {
    /// A thread without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name: a report calls it so.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Has no effect: the checker chooses the size.
    pub fn stack_size(self, _size: usize) -> Self {
        self
    }

    /// See [`std::thread::Builder::spawn`].
    ///
    /// # Errors
    ///
    /// None.
    #[track_caller]
    pub fn spawn<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(start(self.name, Location::caller(), Box::new(body)))
    }

    /// See [`std::thread::Builder::spawn_scoped`].
    ///
    /// # Errors
    ///
    /// None.
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Ok(scope.start(self.name, Location::caller(), body))
    }
}

/// See [`std::thread::Scope`].
pub struct Scope<'scope, 'env: 'scope> {
    /// What waits for each thread that nobody has joined.
    left: Mutex<Vec<(usize, JoinHandle<()>)>>,
    count: AtomicUsize,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// See [`std::thread::scope`].
///
/// # Panics
///
/// If a thread panicked that nobody joined.
#[track_caller]
pub fn scope<'env, F, T>(body: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        left: Mutex::new(Vec::new()),
        count: AtomicUsize::new(0),
        scope: PhantomData,
        env: PhantomData,
    };
    let joins = JoinsAll {
        left: &scope.left,
        place: Location::caller(),
    };
    let result = body(&scope);
    let failed = joins.join();
    mem::forget(joins);
    assert!(!failed, "a scoped thread panicked");
    result
}

/// Joins what is left when it is dropped by a panic: the threads borrow from here.
struct JoinsAll<'a> {
    left: &'a Mutex<Vec<(usize, JoinHandle<()>)>>,
    place: &'static Location<'static>,
}

impl Drop for JoinsAll<'_> {
    fn drop(&mut self) {
        // Under a checker a panic ends the execution, in which no thread runs any more.
        if !engine::STOPS {
            self.join();
        }
    }
}

impl JoinsAll<'_> {
    /// Says whether one of them has panicked.
    fn join(&self) -> bool {
        let mut failed = false;
        loop {
            let left = &mut self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, handle)) = left.pop() else { break };
            let number = handle.number.map(|number| number as u64);
            let call = trace::step(Act::Wait, "join", number, Place::of(self.place));
            failed |= handle.handle.join().is_err();
            call.ends(());
        }
        failed
    }
}

impl<'scope> Scope<'scope, '_> {
    /// See [`std::thread::Scope::spawn`].
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, body: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.start(None, Location::caller(), body)
    }

    fn start<F, T>(
        &'scope self,
        name: Option<String>,
        place: &'static Location<'static>,
        body: F,
    ) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let result = Arc::new(Mutex::new(None));
        let store = Arc::clone(&result);
        let body: Box<dyn FnOnce() + Send + 'scope> = Box::new(move || {
            let value = body();
            *store.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        // SAFETY: it runs, and is dropped, before `scope` returns: `JoinsAll` waits for that, unless
        // the execution has ended, in which it never runs again and is never dropped.
        let body: Box<dyn FnOnce() + Send> = unsafe { mem::transmute(body) };
        let handle = start(name, place, body);
        let thread = handle.thread.clone();
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let left = &mut self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.push((id, handle));
        ScopedJoinHandle {
            scope: &self.left,
            id,
            thread,
            result,
        }
    }
}

/// See [`std::thread::ScopedJoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    scope: &'scope Mutex<Vec<(usize, JoinHandle<()>)>>,
    id: usize,
    thread: Thread,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// See [`std::thread::ScopedJoinHandle::join`].
    ///
    /// # Errors
    ///
    /// What the thread panicked with, on real threads; under a checker a panic fails the check.
    ///
    /// # Panics
    ///
    /// Never.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let handle = {
            let left = &mut self.scope.lock().unwrap_or_else(PoisonError::into_inner);
            let at = left.iter().position(|(id, _)| *id == self.id);
            left.swap_remove(at.expect("a thread is joined once")).1
        };
        handle.join()?;
        let result = self
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(result.expect("a thread that has ended has a result"))
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
