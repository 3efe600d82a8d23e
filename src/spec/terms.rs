//! The words in which the primitives are specified.

/// A thread: any number, as long as no two threads have the same.
pub(crate) type Thread = u64;

/// How long a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// Not at all: `blocking=False`, or a timeout of zero.
    No,
    /// Until it can go on, or until the time is up.
    Timed,
    /// Until it can go on.
    Forever,
}

/// A primitive.
pub(crate) trait Object {
    /// A call, with its arguments, and where it is if it has begun.
    type Call;
    /// What a call returns.
    type Answer;

    /// The step that `call` takes when thread `me` has its turn. `None` if it cannot take one yet:
    /// then nothing has changed.
    fn step(&mut self, me: Thread, call: &Self::Call) -> Option<Step<Self::Call, Self::Answer>>;

    /// Of the threads that could not take their step, how many could take it now, one after the
    /// other. It may be said too many.
    fn room(&self) -> usize;

    /// What a look sees of the state, in a word.
    fn shown(&self) -> u32;
}

/// What a step has done, but for the change of the state.
#[derive(Debug)]
pub(crate) struct Step<C, A> {
    pub(crate) then: Then<C, A>,
    pub(crate) order: Order,
    /// Those whose wait this step has ended. Each sees what its thread did before.
    pub(crate) ends: Vec<Thread>,
}

/// How a call goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then<C, A> {
    Returns(A),
    /// With another step. If there is none yet, the thread waits for it.
    GoesOn(C),
    /// With another step, when a step of another thread has ended the wait: see [`Step::ends`].
    Waits(C),
}

/// What a step says to the steps of others on the same primitive, and what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// What its thread did before is published, to be seen by a later step or look that
    /// [`sees`](Self::sees) it.
    pub(crate) publishes: bool,
    /// What was published before is forgotten, as far as later steps are concerned.
    pub(crate) anew: bool,
    /// What was published by earlier steps happens before this one.
    pub(crate) sees: bool,
}

/// A call that no other thread comes between.
///
/// # Panics
///
/// If it has to wait.
pub(crate) fn now<O: Object>(object: &mut O, me: Thread, call: &O::Call) -> O::Answer
where
    O::Call: Clone,
{
    let mut call = call.clone();
    loop {
        let step = object.step(me, &call).expect("it would wait forever");
        match step.then {
            Then::Returns(answer) => return answer,
            Then::GoesOn(next) | Then::Waits(next) => call = next,
        }
    }
}

impl<C, A> Step<C, A> {
    pub(super) fn new(then: Then<C, A>) -> Self {
        Self {
            then,
            order: Order::default(),
            ends: Vec::new(),
        }
    }

    pub(super) fn returns(answer: A) -> Self {
        Self::new(Then::Returns(answer))
    }

    pub(super) fn goes_on(call: C) -> Self {
        Self::new(Then::GoesOn(call))
    }

    pub(super) fn waits(call: C) -> Self {
        Self::new(Then::Waits(call))
    }

    pub(super) fn publishing(mut self) -> Self {
        self.order.publishes = true;
        self
    }

    pub(super) fn publishing_anew(mut self) -> Self {
        self.order.anew = true;
        self.publishing()
    }

    pub(super) fn seeing(mut self) -> Self {
        self.order.sees = true;
        self
    }

    pub(super) fn ending(mut self, waits: Vec<Thread>) -> Self {
        self.ends = waits;
        self
    }
}
