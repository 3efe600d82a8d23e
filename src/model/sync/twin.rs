//! Atomics of the engine with std's interface, which tell `observe` what they do. Uses the engine
//! and `observe`.

use core::fmt;
use core::sync::atomic::{AtomicBool as AtomicBoolUnseen, AtomicU64 as Unseen};

use crate::model::engine::atomic::{self, Ordering};
use crate::observe::Act;
use crate::observe::steps::Ending;
use crate::observe::trace::{Call, Object};
use crate::sync::const_fn;

/// A value as it is told.
trait Value: Copy + PartialEq {
    fn bits(self) -> u64;
    fn ending(self) -> Ending;
    fn words(self) -> String;
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Value for $number {
            #[allow(clippy::cast_sign_loss, trivial_numeric_casts, reason = "of all kinds")]
            fn bits(self) -> u64 {
                self as u64
            }

            fn ending(self) -> Ending {
                match u64::try_from(self) {
                    Ok(number) => Ending::Number(number),
                    Err(_) => Ending::Words(self.to_string()),
                }
            }

            fn words(self) -> String {
                self.to_string()
            }
        }
    )*};
}

number!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl Value for bool {
    fn bits(self) -> u64 {
        u64::from(self)
    }

    fn ending(self) -> Ending {
        Ending::Answer(self)
    }

    fn words(self) -> String {
        self.to_string()
    }
}

impl<T> Value for *mut T {
    fn bits(self) -> u64 {
        self.addr() as u64
    }

    fn ending(self) -> Ending {
        Ending::Words(if self.is_null() { "null" } else { "a pointer" }.to_owned())
    }

    fn words(self) -> String {
        if self.is_null() {
            "null"
        } else {
            "another pointer"
        }
        .to_owned()
    }
}

const fn name(order: Ordering) -> &'static str {
    match order {
        Ordering::Relaxed => "Relaxed",
        Ordering::Acquire => "Acquire",
        Ordering::Release => "Release",
        Ordering::AcqRel => "AcqRel",
        Ordering::SeqCst => "SeqCst",
        _ => "",
    }
}

/// What is told of an atomic: and its newest value, by which one that is not is known.
struct Told {
    object: Object,
    newest: Unseen,
    written: AtomicBoolUnseen,
}

impl Told {
    #[track_caller]
    const fn new(kind: &'static str) -> Self {
        Self {
            object: Object::new(kind),
            newest: Unseen::new(0),
            written: AtomicBoolUnseen::new(false),
        }
    }

    fn is<T: Value>(&self, value: T) {
        self.newest.store(value.bits(), Ordering::Relaxed);
        self.written.store(true, Ordering::Relaxed);
    }

    #[track_caller]
    fn call<T: Value>(&self, act: Act, method: &'static str, value: Option<T>) -> Call {
        match value {
            Some(value) => self.object.call_with(act, method, value.bits()),
            None => self.object.call(act, method),
        }
    }

    fn loaded<T: Value>(&self, call: Call, value: T, order: Ordering) {
        let written = self.written.load(Ordering::Relaxed);
        if !written || value.bits() == self.newest.load(Ordering::Relaxed) {
            call.ends_as(value.ending(), Some(name(order)));
        } else {
            let words = format!("{}, stale", value.words());
            call.ends_as(Ending::Words(words), Some(name(order)));
        }
    }

    fn exchanged<T: Value>(&self, call: Call, result: Result<T, T>, new: T, orders: [Ordering; 2]) {
        match result {
            Ok(old) => {
                self.is(new);
                call.ends_as(old.ending(), Some(name(orders[0])));
            }
            Err(found) => {
                let words = format!("fails, found {}", found.words());
                call.ends_as(Ending::Words(words), Some(name(orders[1])));
            }
        }
    }
}

macro_rules! atomic {
    ($Atomic:ident $(<$T:ident>)?, $value:ty) => {
        #[doc = concat!("See [`std::sync::atomic::", stringify!($Atomic), "`].")]
        pub struct $Atomic $(<$T>)? {
            inner: atomic::$Atomic $(<$T>)?,
            told: Told,
        }

        impl $(<$T>)? $Atomic $(<$T>)? {
            const_fn! {
                /// An atomic with this value.
                #[must_use]
                #[track_caller]
                pub fn new(value: $value) -> Self {
                    let first = Told::new(stringify!($Atomic));
                    Self {
                        inner: atomic::$Atomic::new(value),
                        told: first,
                    }
                }
            }

            /// See std's.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                let call = self.told.call::<$value>(Act::Read, "load", None);
                let value = self.inner.load(order);
                self.told.loaded(call, value, order);
                value
            }

            /// See std's.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                let call = self.told.call(Act::Write, "store", Some(value));
                self.inner.store(value, order);
                self.told.is(value);
                call.ends_as(Ending::Done, Some(name(order)));
            }

            /// See std's.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                let call = self.told.call(Act::Update, "swap", Some(value));
                let old = self.inner.swap(value, order);
                self.told.exchanged(call, Ok(old), value, [order; 2]);
                old
            }

            /// See std's.
            ///
            /// # Errors
            ///
            /// The value that is there, if it is not the expected one.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let call = self.told.call(Act::Update, "compare_exchange", Some(new));
                let result = self.inner.compare_exchange(current, new, success, failure);
                self.told.exchanged(call, result, new, [success, failure]);
                result
            }

            /// See std's. Under a checker it does not fail for no reason.
            ///
            /// # Errors
            ///
            /// The value that is there, if it is not the expected one.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            /// See std's.
            ///
            /// # Errors
            ///
            /// The last value, if the function has none to set.
            #[track_caller]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut last = self.load(fetch_order);
                while let Some(new) = update(last) {
                    match self.compare_exchange_weak(last, new, set_order, fetch_order) {
                        Ok(last) => return Ok(last),
                        Err(found) => last = found,
                    }
                }
                Err(last)
            }

            /// The value.
            #[must_use]
            pub fn into_inner(self) -> $value {
                self.inner.into_inner()
            }
        }

        impl $(<$T>)? fmt::Debug for $Atomic $(<$T>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Atomic)).finish_non_exhaustive()
            }
        }

        impl $(<$T>)? From<$value> for $Atomic $(<$T>)? {
            #[track_caller]
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }
    };
}

/// The updates that a type has: what is new after each.
macro_rules! updates {
    ($Atomic:ident, $value:ty: $($update:ident($old:ident, $by:ident) $new:expr;)*) => {
        impl $Atomic {
            $(
                /// See std's.
                #[track_caller]
                pub fn $update(&self, value: $value, order: Ordering) -> $value {
                    let call = self.told.call(Act::Update, stringify!($update), Some(value));
                    let old = self.inner.$update(value, order);
                    let ($old, $by) = (old, value);
                    self.told.exchanged(call, Ok(old), $new, [order; 2]);
                    old
                }
            )*
        }

        impl Default for $Atomic {
            #[track_caller]
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }
    };
}

macro_rules! atomic_number {
    ($($Atomic:ident: $value:ty,)*) => {$(
        atomic!($Atomic, $value);
        updates! { $Atomic, $value:
            fetch_add(old, by) old.wrapping_add(by);
            fetch_sub(old, by) old.wrapping_sub(by);
            fetch_and(old, by) old & by;
            fetch_nand(old, by) !(old & by);
            fetch_or(old, by) old | by;
            fetch_xor(old, by) old ^ by;
            fetch_max(old, by) old.max(by);
            fetch_min(old, by) old.min(by);
        }
    )*};
}

atomic_number! {
    AtomicU8: u8,
    AtomicU16: u16,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
    AtomicI8: i8,
    AtomicI16: i16,
    AtomicI32: i32,
    AtomicI64: i64,
    AtomicIsize: isize,
}

atomic!(AtomicBool, bool);
updates! { AtomicBool, bool:
    fetch_and(old, by) old & by;
    fetch_nand(old, by) !(old & by);
    fetch_or(old, by) old | by;
    fetch_xor(old, by) old ^ by;
}

impl AtomicBool {
    /// See std's.
    #[track_caller]
    pub fn fetch_not(&self, order: Ordering) -> bool {
        self.fetch_xor(true, order)
    }
}

atomic!(AtomicPtr<T>, *mut T);

impl<T> Default for AtomicPtr<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new(core::ptr::null_mut())
    }
}
