//! What the primitives are built from: atomics, cells and thread identity, from `core` and `std`,
//! or from one of the two checkers. The only place, with `futex` and `model`, that knows which. It
//! uses, in a model, `observe`, and nothing else of this crate.

#[cfg(target_has_atomic = "64")]
pub(crate) use imp::AtomicU64;
pub(crate) use imp::{AtomicU32, UnsafeCell, thread_id};
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) use {
    execution::{Which, begin, choose, deadlocked, one_step, unless_deadlocked, with_kept},
    imp::{Either, StepWord, Within, either, leave_out, look, peek, thread},
};

pub(crate) use core::sync::atomic::Ordering;

/// Whether a checker runs this build. Spinning is left out of a model: a poll that may be repeated
/// at will adds interleavings without end, and proves nothing that waiting does not.
pub(crate) const MODELLED: bool = cfg!(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle")
));

/// Defines a function that is `const`, but for loom, whose atomics have to be registered with the
/// checker when they are made.
#[cfg(not(all(loom, feature = "loom")))]
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visibility const fn $($rest)*
    };
}

#[cfg(all(loom, feature = "loom"))]
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])* $visibility fn $($rest)*
    };
}

pub(crate) use const_fn;

/// Keeps the items that are for a checker alone, or those that are for the real machine alone.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
macro_rules! modelled {
    ({ $($modelled:item)* } else { $($native:item)* }) => { $($modelled)* };
}

#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
macro_rules! modelled {
    ({ $($modelled:item)* } else { $($native:item)* }) => { $($native)* };
}

pub(crate) use modelled;

/// Whether each call of a primitive is one step, as a check may choose.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
#[inline(always)]
pub(crate) const fn one_step() -> bool {
    false
}

/// The next of the identities that [`thread_id`] gives out: never 0, and none twice.
#[cold]
fn next_thread_id() -> u64 {
    #[cfg(target_has_atomic = "64")]
    {
        use core::sync::atomic::AtomicU64;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only that no two are the same matters. A count of 2^64 is not reached. The
        // counter is `core`'s in a model too: it is of no concern to the order of events.
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
    #[cfg(not(target_has_atomic = "64"))]
    {
        use std::sync::{Mutex, PoisonError};
        static NEXT: Mutex<u64> = Mutex::new(1);
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next - 1
    }
}

/// Runs `with` on `value`: on the stack, but for a checker.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
#[inline]
pub(crate) fn with_kept<T, R>(value: T, with: impl FnOnce(&T) -> R) -> R {
    with(&value)
}

/// Runs `give_back`, what a drop has to do: always, but for a checker.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
#[inline]
pub(crate) fn unless_deadlocked(give_back: impl FnOnce()) {
    give_back();
}

/// `fetch_update`, which begins with a guess at what it finds: a load would have to wait for a change
/// just before it. A guess that is wrong changes nothing, so a model does without.
#[inline]
pub(crate) fn fetch_update_from(
    guess: u32,
    word: &AtomicU32,
    set_order: Ordering,
    fetch_order: Ordering,
    mut update: impl FnMut(u32) -> Option<u32>,
) -> Result<u32, u32> {
    let guessed = !MODELLED
        && update(guess).is_some_and(|new| {
            word.compare_exchange(guess, new, set_order, fetch_order)
                .is_ok()
        });
    if guessed {
        return Ok(guess);
    }
    word.fetch_update(set_order, fetch_order, update)
}

/// The execution that a checker runs.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
mod execution {
    use std::any::Any;
    use std::cell::{Cell, RefCell, UnsafeCell};
    use std::mem::ManuallyDrop;
    use std::rc::Rc;

    #[derive(Default)]
    struct Execution {
        kept: Vec<Rc<dyn Any>>,
        deadlocked: bool,
    }

    thread_local! {
        // All the threads of a model run on one thread of the system, one at a time.
        static EXECUTION: RefCell<Execution> = RefCell::default();
    }

    thread_local! {
        static ONE_STEP: Cell<bool> = const { Cell::new(false) };
    }

    /// Either of the two.
    pub(crate) enum Which<C, S> {
        Code(C),
        Steps(S),
    }

    /// For the execution that begins.
    pub(crate) fn choose(one_step: bool) {
        ONE_STEP.set(one_step);
    }

    /// Whether each call of a primitive is one step of its specification: the one place where that
    /// is decided. Otherwise its code is run.
    pub(crate) fn one_step() -> bool {
        ONE_STEP.get()
    }

    /// Begins an execution: nothing is kept, and there is no deadlock.
    pub(crate) fn begin() {
        // What was kept is dropped with nothing borrowed.
        drop(EXECUTION.take());
    }

    /// Runs `with` on `value`, and drops it. Its memory is kept until the execution ends: so that a
    /// model tells who uses it after that.
    pub(crate) fn with_kept<T: 'static, R>(value: T, with: impl FnOnce(&T) -> R) -> R {
        let value = Rc::new(Kept(UnsafeCell::new(ManuallyDrop::new(value))));
        let kept = Rc::clone(&value);
        EXECUTION.with_borrow_mut(|execution| execution.kept.push(kept));
        // SAFETY: it is dropped below, and nowhere else.
        let result = with(unsafe { &*value.0.get() });
        // SAFETY: the threads of a model run one at a time, and the borrow of `with` has ended.
        unsafe { ManuallyDrop::drop(&mut *value.0.get()) };
        result
    }

    struct Kept<T>(UnsafeCell<ManuallyDrop<T>>);

    /// The checker has found a deadlock: it panics in the calling thread, the last that came to
    /// wait.
    pub(crate) fn deadlocked() {
        EXECUTION.with_borrow_mut(|execution| execution.deadlocked = true);
    }

    /// Runs `give_back`, unless the checker has found a deadlock: in loom, each further step of the
    /// thread in which it panics then would be a panic of its own.
    pub(crate) fn unless_deadlocked(give_back: impl FnOnce()) {
        if !EXECUTION.with_borrow(|execution| execution.deadlocked) {
            give_back();
        }
    }
}

/// A load after which the caller only looks again if the value is too old: so a model, in which a
/// load may see any old value, does with the newest.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
#[inline]
pub(crate) fn look(word: &AtomicU32, order: Ordering) -> u32 {
    word.load(order)
}

/// The real machine.
#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
mod imp {
    pub(crate) use super::cell::UnsafeCell;
    use core::cell::Cell;
    pub(crate) use core::sync::atomic::AtomicU32;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use core::sync::atomic::AtomicU64;

    /// The calling thread's identity: never 0, and never used again by another thread.
    #[inline]
    pub(crate) fn thread_id() -> u64 {
        thread_local! {
            static ID: Cell<u64> = const { Cell::new(0) };
        }
        ID.with(|id| {
            if id.get() == 0 {
                id.set(super::next_thread_id());
            }
            id.get()
        })
    }
}

/// `core`'s cell with loom's interface, which sees when an access begins and ends.
#[cfg(not(all(loom, feature = "loom")))]
mod cell {
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        #[inline]
        pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

/// loom: all interleavings, and all that the memory orderings allow.
#[cfg(all(loom, feature = "loom"))]
mod imp {
    use loom::sync::atomic;

    use super::{Ordering, Which};
    use crate::observe::{Act, inner};
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::thread;

    /// See the native one.
    pub(crate) fn thread_id() -> u64 {
        loom::thread_local! {
            static ID: u64 = super::next_thread_id();
        }
        ID.with(|id| *id)
    }

    /// A thread's turn at an atomic: with each access, a step that depends on all other turns.
    ///
    /// loom 0.7 remembers of each atomic one access, the last, to find out which orders of steps
    /// are yet to be explored. So if a thread loads a word and another one loads it and then
    /// changes it, it never runs the change before the first load: the second load has hidden the
    /// first (tokio-rs/loom 166 and 392). A turn is a read-modify-write, which nothing hides. What
    /// an access does to the value is then done within the turn; only a load is left with the
    /// choice of what old value to see.
    struct Turn(atomic::AtomicU32);

    impl Turn {
        fn new() -> Self {
            Self(atomic::AtomicU32::new(0))
        }

        fn take(&self) {
            newest(&self.0, Ordering::Relaxed);
        }

        /// Takes a turn, and has `access` in it: no other thread comes between.
        fn during<R>(&self, access: impl FnOnce() -> R) -> R {
            self.take();
            loom::stop_exploring();
            let result = access();
            loom::explore();
            result
        }
    }

    /// Whether a word has been dropped. What holds it may keep its memory, as the models do, to see
    /// who comes too late. No step of its own, and looked at after each access: no other thread has
    /// come between.
    #[derive(Default)]
    struct Life(core::sync::atomic::AtomicBool);

    impl Life {
        #[track_caller]
        fn goes_on(&self) {
            let over = self.0.load(Ordering::Relaxed);
            // A checker unwinds all threads when one has failed.
            assert!(!over || std::thread::panicking(), "used after it was freed");
        }
    }

    impl Drop for Life {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// loom's atomic, with turns.
    macro_rules! atomic {
        ($Atomic:ident, $value:ty) => {
            pub(crate) struct $Atomic {
                turn: Turn,
                value: atomic::$Atomic,
                life: Life,
            }

            #[allow(dead_code, reason = "of what a word may need, no primitive uses all")]
            impl $Atomic {
                pub(crate) fn new(value: $value) -> Self {
                    Self {
                        turn: Turn::new(),
                        value: atomic::$Atomic::new(value),
                        life: Life::default(),
                    }
                }

                /// See [`Turn::during`].
                #[track_caller]
                fn during<R>(&self, access: impl FnOnce() -> R) -> R {
                    let result = self.turn.during(access);
                    self.life.goes_on();
                    result
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    // The load first: it has to choose which old value to see, which it may not
                    // do while loom is told not to explore. The two are still one step.
                    let value = self.value.load(order);
                    loom::stop_exploring();
                    self.turn.take();
                    loom::explore();
                    self.life.goes_on();
                    inner(Act::Read, "load", || format!("{value} {order:?}"));
                    value
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.during(|| self.value.store(value, order));
                    inner(Act::Write, "store", || format!("{value} {order:?}"));
                }

                #[track_caller]
                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    let old = self.during(|| self.value.swap(value, order));
                    inner(Act::Update, "swap", || {
                        format!("{value} on {old} {order:?}")
                    });
                    old
                }

                #[track_caller]
                pub(crate) fn fetch_or(&self, bits: $value, order: Ordering) -> $value {
                    let old = self.during(|| self.value.fetch_or(bits, order));
                    inner(Act::Update, "fetch_or", || {
                        format!("{bits} on {old} {order:?}")
                    });
                    old
                }

                #[track_caller]
                pub(crate) fn fetch_and(&self, bits: $value, order: Ordering) -> $value {
                    let old = self.during(|| self.value.fetch_and(bits, order));
                    inner(Act::Update, "fetch_and", || {
                        format!("{bits} on {old} {order:?}")
                    });
                    old
                }

                #[track_caller]
                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    let old = self.during(|| self.value.fetch_add(value, order));
                    inner(Act::Update, "fetch_add", || {
                        format!("{value} on {old} {order:?}")
                    });
                    old
                }

                #[track_caller]
                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    let old = self.during(|| self.value.fetch_sub(value, order));
                    inner(Act::Update, "fetch_sub", || {
                        format!("{value} on {old} {order:?}")
                    });
                    old
                }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    set_order: Ordering,
                    fetch_order: Ordering,
                ) -> Result<$value, $value> {
                    let result = self.during(|| {
                        self.value
                            .compare_exchange(old, new, set_order, fetch_order)
                    });
                    inner(Act::Update, "compare_exchange", || {
                        format!("{old} by {new}: {result:?} {set_order:?} {fetch_order:?}")
                    });
                    result
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);

    impl AtomicU32 {
        /// As `core`'s, which is a load and a loop of compare-exchanges; here it is one step.
        ///
        /// What the loop tries in vain changes nothing, and what it loads is but a guess at what
        /// the next exchange will find. So each of its runs is one in which all happens where
        /// the last exchange succeeds, or where `update` refuses; there is no other to explore.
        #[track_caller]
        pub(crate) fn fetch_update(
            &self,
            set_order: Ordering,
            fetch_order: Ordering,
            mut update: impl FnMut(u32) -> Option<u32>,
        ) -> Result<u32, u32> {
            let result = self.during(|| {
                let old = newest(&self.value, fetch_order);
                let new = update(old).ok_or(old)?;
                self.value
                    .compare_exchange(old, new, set_order, fetch_order)
            });
            inner(Act::Update, "fetch_update", || {
                format!("{result:?} {set_order:?} {fetch_order:?}")
            });
            result
        }
    }

    /// What the checker sees of a primitive whose calls are steps: what the primitive shows of
    /// itself, and what it orders.
    pub(crate) struct StepWord {
        turn: Turn,
        shown: atomic::AtomicU32,
    }

    impl StepWord {
        pub(crate) fn new(shown: u32) -> Self {
            Self {
                turn: Turn::new(),
                shown: atomic::AtomicU32::new(shown),
            }
        }

        /// A step: no other thread comes between what `act` does, and each other step depends on
        /// it. Of itself it orders nothing.
        pub(crate) fn step<R>(&self, act: impl FnOnce(&Within<'_>) -> R) -> R {
            self.turn.during(|| act(&Within(&self.shown)))
        }

        /// What is shown, or was.
        pub(crate) fn look(&self, order: Ordering) -> u32 {
            self.look_and_step(order, |shown, _| shown)
        }

        /// A step that begins with a look, which may see what was shown before.
        pub(crate) fn look_and_step<R>(
            &self,
            order: Ordering,
            act: impl FnOnce(u32, &Within<'_>) -> R,
        ) -> R {
            // As `load` of an atomic.
            let shown = self.shown.load(order);
            loom::stop_exploring();
            self.turn.take();
            let result = act(shown, &Within(&self.shown));
            loom::explore();
            result
        }
    }

    /// A word in the middle of a step.
    pub(crate) struct Within<'a>(&'a atomic::AtomicU32);

    impl Within<'_> {
        /// Sees all that was published.
        pub(crate) fn see(&self) {
            newest(self.0, Ordering::Acquire);
        }

        /// Shows another value.
        pub(crate) fn show(&self, shown: u32) {
            self.0.swap(shown, Ordering::Relaxed);
        }

        /// Shows a value, and publishes what the thread did before, beside what was published.
        pub(crate) fn publish(&self, shown: u32) {
            self.0.swap(shown, Ordering::Release);
        }

        /// The same, in the place of what was published.
        pub(crate) fn publish_anew(&self, shown: u32) {
            // A store begins a new release sequence. The look before it has it come after all that
            // was stored.
            newest(self.0, Ordering::Relaxed);
            self.0.store(shown, Ordering::Release);
        }

        /// Another word, in the same step.
        pub(crate) fn beside<'a>(&self, other: &'a StepWord) -> Within<'a> {
            other.turn.take();
            Within(&other.shown)
        }
    }

    /// A primitive's own code, or its steps: the one that the check asks for. Each is known to loom
    /// when it is made.
    pub(crate) struct Either<C, S>(pub(crate) Which<C, S>);

    impl<C, S> Either<C, S> {
        pub(crate) fn which(&self) -> Which<&C, &S> {
            match &self.0 {
                Which::Code(code) => Which::Code(code),
                Which::Steps(steps) => Which::Steps(steps),
            }
        }

        pub(crate) fn which_mut(&mut self) -> Which<&mut C, &mut S> {
            match &mut self.0 {
                Which::Code(code) => Which::Code(code),
                Which::Steps(steps) => Which::Steps(steps),
            }
        }
    }

    macro_rules! either {
        ($code:expr, $steps:expr) => {
            $crate::sync::Either(if $crate::sync::one_step() {
                $crate::sync::Which::Steps($steps)
            } else {
                $crate::sync::Which::Code($code)
            })
        };
    }
    pub(crate) use either;

    /// Leaves out the executions that differ from this one only in what comes from here on.
    pub(crate) fn leave_out() {
        loom::skip_branch();
    }

    /// The newest value, without a store and without order, in a step of its own.
    pub(crate) fn peek(word: &AtomicU32) -> u32 {
        look(word, Ordering::Relaxed)
    }

    /// See the native one: the newest value, without a store, in a step of its own.
    pub(crate) fn look(word: &AtomicU32, order: Ordering) -> u32 {
        // The look first, as in `load`: a store and an update that nothing has ordered may come in
        // either order, and which of them is the newest is for loom to choose.
        let value = newest(&word.value, order);
        loom::stop_exploring();
        word.turn.take();
        loom::explore();
        value
    }

    /// A load may see any old value: a compare-exchange, of a value with itself, sees the newest.
    fn newest(value: &atomic::AtomicU32, order: Ordering) -> u32 {
        const NEVER: u32 = 0xDEAD_BEEF;
        match value.compare_exchange(NEVER, NEVER, Ordering::Relaxed, order) {
            Ok(value) | Err(value) => value,
        }
    }
}

/// shuttle: random interleavings of more threads than loom can do, sequentially consistent.
#[cfg(all(shuttle, feature = "shuttle", not(all(loom, feature = "loom"))))]
mod imp {
    use super::Which;
    pub(crate) use super::cell::UnsafeCell;
    pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64};
    pub(crate) use shuttle::thread;

    /// See the native one.
    pub(crate) fn thread_id() -> u64 {
        shuttle::thread_local! {
            static ID: u64 = super::next_thread_id();
        }
        ID.with(|id| *id)
    }

    /// See loom's: here a point at which others have their turn, and what is shown.
    pub(crate) struct StepWord {
        turn: AtomicU32,
        shown: core::sync::atomic::AtomicU32,
    }

    impl StepWord {
        pub(crate) const fn new(shown: u32) -> Self {
            Self {
                turn: AtomicU32::new(0),
                shown: core::sync::atomic::AtomicU32::new(shown),
            }
        }

        pub(crate) fn step<R>(&self, act: impl FnOnce(&Within<'_>) -> R) -> R {
            peek(&self.turn);
            act(&Within(&self.shown))
        }

        pub(crate) fn look(&self, order: super::Ordering) -> u32 {
            self.look_and_step(order, |shown, _| shown)
        }

        pub(crate) fn look_and_step<R>(
            &self,
            order: super::Ordering,
            act: impl FnOnce(u32, &Within<'_>) -> R,
        ) -> R {
            self.step(|within| act(self.shown.load(order), within))
        }
    }

    pub(crate) struct Within<'a>(&'a core::sync::atomic::AtomicU32);

    impl Within<'_> {
        pub(crate) fn see(&self) {}

        pub(crate) fn show(&self, shown: u32) {
            self.0.store(shown, super::Ordering::Relaxed);
        }

        pub(crate) fn publish(&self, shown: u32) {
            self.show(shown);
        }

        pub(crate) fn publish_anew(&self, shown: u32) {
            self.show(shown);
        }

        pub(crate) fn beside<'a>(&self, other: &'a StepWord) -> Within<'a> {
            Within(&other.shown)
        }
    }

    /// A primitive's own code, and its steps. It may be a static, which is made before it is known
    /// which of the two the check asks for.
    pub(crate) struct Either<C, S>(pub(crate) C, pub(crate) S);

    impl<C, S> Either<C, S> {
        pub(crate) fn which(&self) -> Which<&C, &S> {
            match super::one_step() {
                false => Which::Code(&self.0),
                true => Which::Steps(&self.1),
            }
        }

        pub(crate) fn which_mut(&mut self) -> Which<&mut C, &mut S> {
            match super::one_step() {
                false => Which::Code(&mut self.0),
                true => Which::Steps(&mut self.1),
            }
        }
    }

    macro_rules! either {
        ($code:expr, $steps:expr) => {
            $crate::sync::Either($code, $steps)
        };
    }
    pub(crate) use either;

    /// See loom's: each execution is chosen by itself.
    pub(crate) fn leave_out() {}

    /// The newest value, in a step of its own.
    pub(crate) fn peek(word: &AtomicU32) -> u32 {
        look(word, super::Ordering::Relaxed)
    }

    /// See the native one.
    pub(crate) fn look(word: &AtomicU32, order: super::Ordering) -> u32 {
        word.load(order)
    }
}
