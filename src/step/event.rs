//! `Event`.

use super::whole::Whole;
use crate::spec::{
    self, Patience,
    event::{Answer, Call},
};
use crate::sync::{Ordering, const_fn};

pub struct Event(Whole<spec::Event>);

impl Event {
    const_fn! {
        pub fn new() -> Self {
            Self(Whole::new(spec::Event::new(), 0))
        }
    }

    pub fn is_set(&self) -> bool {
        self.0.look(Ordering::Acquire) != 0
    }

    pub fn set(&self) {
        self.0.call(Patience::No, Call::Set);
    }

    pub fn clear(&self) {
        self.0.call(Patience::No, Call::Clear);
    }

    pub fn wait(&self, patience: Patience) -> bool {
        match self.0.call(patience, Call::Wait(patience)) {
            Answer::WasSet(was_set) => was_set,
            Answer::Done => unreachable!("it was a wait"),
        }
    }
}
