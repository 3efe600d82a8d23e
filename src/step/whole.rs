//! A primitive that takes whole steps: what all of them have in common.

use crate::futex::modelled::park;
use crate::observe;
use crate::spec::{Object, Order, Patience, Step, Then, Thread};
use crate::sync::{Ordering, StepWord, Within, const_fn, leave_out, thread, thread_id};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};

thread_local! {
    static LEAVES_OUT: Cell<bool> = const { Cell::new(false) };
    static SLEEPERS: Cell<usize> = const { Cell::new(0) };
}

/// Begins an execution. Only in a check that has no bound on preemptions may one be left out.
pub fn begin(without_a_bound: bool) {
    LEAVES_OUT.set(without_a_bound);
    SLEEPERS.set(0);
}

/// How many threads sleep, in whatever call.
pub fn sleepers() -> usize {
    SLEEPERS.get()
}

/// A primitive, of which each call is made of whole steps.
pub(super) struct Whole<O> {
    word: StepWord,
    hidden: RefCell<Hidden<O>>,
}

struct Hidden<O> {
    state: O,
    /// Those that could not take a step, the first that came first.
    line: VecDeque<Thread>,
    /// Those that have been woken to try it again, and have not yet.
    woken: Vec<Thread>,
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    who: Thread,
    /// As whom the trace knows it.
    number: usize,
    thread: thread::Thread,
    parked: bool,
    /// It may go on.
    up: bool,
    /// It was unparked before it had parked.
    token: bool,
}

// A panic leaves no step half done.
impl<O> UnwindSafe for Whole<O> {}
impl<O> RefUnwindSafe for Whole<O> {}

// SAFETY: all threads of a model run on one thread of the system, one at a time. They switch at the
// checker's own operations, none of which is called with `hidden` borrowed.
unsafe impl<O> Sync for Whole<O> {}
// SAFETY: as above.
unsafe impl<O> Send for Whole<O> {}

/// What the end of a wait is.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// The thread goes on, and sees what was done before.
    Unpark,
    /// The thread stands in line for a step that it could not take by now.
    StandInLine,
}

impl<O: Object> Whole<O> {
    const_fn! {
        pub(super) fn new(state: O, shown: u32) -> Self {
            Self {
                word: StepWord::new(shown),
                hidden: RefCell::new(Hidden {
                    state,
                    line: VecDeque::new(),
                    woken: Vec::new(),
                    sleepers: Vec::new(),
                }),
            }
        }
    }

    /// What is shown, or was.
    pub(super) fn look(&self, order: Ordering) -> u32 {
        self.word.look(order)
    }

    /// Reads or changes what no other thread can see: no step.
    pub(super) fn aside<R>(&self, access: impl FnOnce(&mut O) -> R) -> R {
        access(&mut self.hidden.borrow_mut().state)
    }

    /// A call: see [`run`](Self::run).
    pub(super) fn call(&self, patience: Patience, call: O::Call) -> O::Answer {
        let step = |state: &mut O, me, call: &O::Call, _seen| state.step(me, call);
        self.run(patience, Ends::Unpark, false, call, step, |_, _| ())
    }

    /// A call, taken step by step. It may begin with a look, and each `step` is told what was seen.
    /// `beside` is run in each step that is taken, to show more.
    pub(super) fn run<C, A>(
        &self,
        patience: Patience,
        ends: Ends,
        mut looks: bool,
        mut call: C,
        mut step: impl FnMut(&mut O, Thread, &C, u32) -> Option<Step<C, A>>,
        mut beside: impl FnMut(&O, &Within<'_>),
    ) -> A {
        let me = thread_id();
        loop {
            let mut act = |seen, within: &Within<'_>| {
                let hidden = &mut *self.hidden.borrow_mut();
                let token = hidden.leave(me);
                let before = hidden.state.shown();
                let Some(step) = step(&mut hidden.state, me, &call, seen) else {
                    hidden.line.push_back(me);
                    hidden.sleep(me);
                    if LEAVES_OUT.get() {
                        leave_out();
                    }
                    return (Taken::NotYet, Vec::new());
                };
                order(within, step.order, before, hidden.state.shown());
                beside(&hidden.state, within);
                if let Then::Waits(_) = step.then {
                    hidden.sleep(me);
                }
                let mut wakes = hidden.end(step.ends, ends);
                hidden.wake_line(&mut wakes);
                (Taken::Step(step.then, token), wakes)
            };
            let (taken, wakes) = match std::mem::take(&mut looks) {
                true => self.word.look_and_step(Ordering::Relaxed, act),
                false => self.word.step(|within| act(0, within)),
            };
            wakes.iter().for_each(thread::Thread::unpark);
            match taken {
                Taken::NotYet => self.sleep(me),
                Taken::Step(then, token) => {
                    if token {
                        // The end of the wait came before the second turn: nothing to wait for.
                        park();
                    }
                    match then {
                        Then::Returns(answer) => return answer,
                        Then::GoesOn(next) => call = next,
                        Then::Waits(next) => {
                            call = next;
                            if patience == Patience::Forever {
                                self.sleep(me);
                                if let Ends::Unpark = ends {
                                    return self.told(me, &call, &mut step);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The last step of a wait that another thread has ended: nobody sees it.
    fn told<C, A>(
        &self,
        me: Thread,
        call: &C,
        step: &mut impl FnMut(&mut O, Thread, &C, u32) -> Option<Step<C, A>>,
    ) -> A {
        let step = self.aside(|state| step(state, me, call, 0));
        let step = step.expect("the wait has ended");
        if step.order.sees {
            self.word.step(|within| within.see());
        }
        match step.then {
            Then::Returns(answer) => answer,
            _ => unreachable!("the wait has ended"),
        }
    }

    /// Sleeps until woken.
    fn sleep(&self, me: Thread) {
        loop {
            {
                let hidden = &mut *self.hidden.borrow_mut();
                let at = hidden.sleeper(me);
                let at = at.expect("it sleeps until it is woken");
                if hidden.sleepers[at].up {
                    hidden.sleepers.remove(at);
                    return;
                }
                if !std::mem::replace(&mut hidden.sleepers[at].parked, true) {
                    SLEEPERS.set(SLEEPERS.get() + 1);
                }
            }
            observe::sleeps(false);
            park();
        }
    }
}

enum Taken<C, A> {
    NotYet,
    /// And whether the thread has a token from having been unparked.
    Step(Then<C, A>, bool),
}

impl<O: Object> Hidden<O> {
    fn sleeper(&self, who: Thread) -> Option<usize> {
        self.sleepers.iter().position(|it| it.who == who)
    }

    /// Lies down, to be woken.
    fn sleep(&mut self, me: Thread) {
        self.sleepers.push(Sleeper {
            who: me,
            number: observe::thread::me(),
            thread: thread::current(),
            parked: false,
            up: false,
            token: false,
        });
    }

    /// Is in no line any more, and no sleeper. Has the sleeper's token.
    fn leave(&mut self, me: Thread) -> bool {
        self.line.retain(|&it| it != me);
        self.woken.retain(|&it| it != me);
        let Some(at) = self.sleeper(me) else {
            return false;
        };
        self.sleepers.remove(at).token
    }

    /// Ends these waits. Has those that are to be unparked for that.
    fn end(&mut self, waits: Vec<Thread>, ends: Ends) -> Vec<thread::Thread> {
        match ends {
            Ends::StandInLine => {
                self.line.extend(waits);
                Vec::new()
            }
            Ends::Unpark => waits
                .into_iter()
                .map(|who| self.up(who, true).expect("it is unparked in any case"))
                .collect(),
        }
    }

    /// Wakes as many of the line as there is room for.
    fn wake_line(&mut self, wakes: &mut Vec<thread::Thread>) {
        while self.woken.len() < self.state.room() {
            let Some(who) = self.line.pop_front() else {
                break;
            };
            self.woken.push(who);
            wakes.extend(self.up(who, false));
        }
    }

    /// Lets a sleeper go on. It is unparked if it has parked, or if it is to see what was done.
    fn up(&mut self, who: Thread, sees: bool) -> Option<thread::Thread> {
        let at = self.sleeper(who).expect("who waits sleeps");
        let sleeper = &mut self.sleepers[at];
        observe::wakes(sleeper.number);
        sleeper.up = true;
        if sleeper.parked {
            SLEEPERS.set(SLEEPERS.get() - 1);
        }
        sleeper.token = sees && !sleeper.parked;
        (sleeper.parked || sees).then(|| sleeper.thread.clone())
    }
}

/// Shows the state, and orders what the step orders.
fn order(within: &Within<'_>, order: Order, before: u32, shown: u32) {
    if order.sees {
        within.see();
    }
    if order.anew {
        within.publish_anew(shown);
    } else if order.publishes {
        within.publish(shown);
    } else if shown != before {
        within.show(shown);
    }
}
