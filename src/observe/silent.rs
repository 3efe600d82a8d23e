//! Nothing watches: all of it is compiled to nothing.

use std::sync::Arc;

use super::sleep::{MayWait, Sleep};
use super::steps::{Act, Steps};

/// The trace of a check, in which nothing is.
#[derive(Debug)]
pub(crate) struct Trace;

impl Trace {
    pub(crate) fn new(_inner: bool) -> Arc<Self> {
        Arc::new(Self)
    }

    pub(crate) fn watch(self: &Arc<Self>) -> Watching {
        Watching
    }

    pub(crate) fn begin(&self) {}

    pub(crate) fn body_ends(&self) {}

    pub(crate) fn take(&self) -> Steps {
        Steps::default()
    }
}

#[must_use]
pub(crate) struct Watching;

/// Identifies a primitive.
#[derive(Debug)]
#[allow(
    unreachable_pub,
    reason = "with the deadlock checker, it is part of another"
)]
pub struct Object;

impl Object {
    #[inline(always)]
    pub(crate) const fn new(_kind: &'static str) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) const fn set_permits(&mut self, _permits: u32) {}

    #[inline(always)]
    pub(crate) const fn set_name(&mut self, _name: &'static str) {}

    #[inline(always)]
    pub(crate) fn call(&self, _act: Act, _method: &'static str) -> Call {
        Call
    }

    #[inline(always)]
    pub(crate) fn call_at(
        &self,
        _act: Act,
        _method: &'static str,
        _amount: Option<u64>,
        _place: Here,
    ) -> Call {
        Call
    }

    #[inline(always)]
    pub(crate) fn call_with(&self, _act: Act, _method: &'static str, _amount: u64) -> Call {
        Call
    }
}

/// A line of the user's.
#[derive(Clone, Copy, Debug)]
#[allow(
    unreachable_pub,
    reason = "with the deadlock checker, it is part of another"
)]
pub struct Here;

impl Here {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self
    }
}

#[inline(always)]
pub(crate) fn sleeps(_forever: bool) -> Sleep {
    Sleep::AsAsked
}

#[inline(always)]
pub(crate) fn users<R>(code: impl FnOnce() -> R) -> R {
    code()
}

/// A call that has begun.
#[must_use]
pub(crate) struct Call;

impl Call {
    #[inline(always)]
    pub(crate) fn may_wait<D: MayWait, F: FnOnce() -> D>(
        &self,
        deadline: F,
    ) -> impl FnOnce() -> D + use<D, F> {
        deadline
    }

    #[inline(always)]
    pub(crate) fn ends<T>(self, value: T) -> T {
        value
    }
}
