//! Why an execution failed, in words. Uses the names, and the steps that `observe` keeps.

use super::names::Names;
use crate::observe::steps::{Act, Ending, KEPT, Step, Steps};

/// What kind of failure a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A thread panics: a failed assertion, say.
    Panic,
    /// All threads wait, and some of them for one another.
    Deadlock,
    /// All threads wait, and nobody is left who could wake them.
    LostWakeUp,
    /// Two accesses to the same data, one of them a write, that nothing orders.
    Race,
    /// An execution has more steps than it may have, as one that polls in a loop.
    TooManySteps,
    /// An execution takes longer than it may, or a thread is somewhere where the checker can not
    /// see it.
    Hangs,
    /// The checker refuses the body.
    Refused,
}

/// Someone who holds something, since which step.
struct Hold {
    thing: usize,
    thread: usize,
    step: usize,
}

pub(crate) struct Why<'a> {
    steps: &'a Steps,
    names: &'a Names,
    holds: Vec<Hold>,
}

impl<'a> Why<'a> {
    pub(crate) fn of(steps: &'a Steps, names: &'a Names) -> Self {
        Self {
            steps,
            names,
            holds: holds(steps, u32::MAX),
        }
    }

    /// The kind of failure, and what is to be said of it, for an execution that ended so.
    pub(crate) fn tell(&self, message: &str, hangs: bool) -> (FailureKind, Vec<String>) {
        let first = message.trim_start();
        if hangs {
            return (FailureKind::Hangs, self.hangs());
        }
        if first.starts_with("deadlock") {
            let kind = match self.circle() {
                Some(_) => FailureKind::Deadlock,
                None if self.someone_waits_for_a_wake() => FailureKind::LostWakeUp,
                None => FailureKind::Deadlock,
            };
            return (kind, self.waits());
        }
        let races = [
            "Causality violation",
            "data race",
            "currently reading from cell",
            "currently writing to cell",
        ];
        if races.iter().any(|race| first.starts_with(race)) {
            return (FailureKind::Race, self.race(message));
        }
        if first.starts_with("Model exceeded maximum number of branches")
            || first.starts_with("exceeded max_steps bound")
        {
            let why = "the execution has more steps than `Builder::max_steps` allows: is there a \
                       loop that polls?";
            return (FailureKind::TooManySteps, vec![why.to_owned()]);
        }
        if first.starts_with("assertion failed: self.threads.len() < self.max") {
            let why = "loom runs 5 threads at most, the body's own among them: use fewer, or \
                       check it with shuttle";
            return (FailureKind::Refused, vec![why.to_owned()]);
        }
        if first.contains("cannot access Loom execution state")
            || first.contains("outside of a Shuttle")
            || first.starts_with(KEPT)
        {
            let why = "something was made or used outside of the body: make what you share in it";
            return (FailureKind::Refused, vec![why.to_owned()]);
        }
        (FailureKind::Panic, self.panic(message))
    }

    fn step(&self, number: usize) -> &'a Step {
        &self.steps.steps[number]
    }

    fn place(&self, step: &Step) -> String {
        match step.place {
            Some(place) => self.names.place(place),
            None => "a line that is not known".to_owned(),
        }
    }

    /// What it is called, and where it was made.
    fn thing(&self, number: usize) -> String {
        let name = self.names.thing(number);
        match self.steps.things[number].name {
            Some(_) => {
                let made = self.names.place(self.steps.things[number].made);
                format!("{name} (made at {made})")
            }
            None => name.to_owned(),
        }
    }

    /// The step in which a thread waits.
    fn waits_in(&self, thread: usize) -> Option<usize> {
        let thread = &self.steps.threads[thread];
        let waits =
            |&&step: &&usize| matches!(self.step(step).act, Act::Take | Act::Wait | Act::Other);
        (!thread.ended).then(|| thread.open.iter().rev().find(waits).copied())?
    }

    fn waiting(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.steps.threads.len()).filter_map(|it| Some((it, self.waits_in(it)?)))
    }

    /// For whom a thread waits: for who holds what it wants, or for the one that it joins.
    fn waits_for(&self, step: usize) -> Vec<usize> {
        let step = self.step(step);
        match (step.act, step.object, step.amount) {
            (Act::Wait, None, Some(joined)) => vec![joined as usize],
            (Act::Take, Some(thing), _) => {
                let holds = self.holds.iter().filter(|hold| hold.thing == thing);
                holds.map(|hold| hold.thread).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Threads that wait for one another in a circle.
    fn circle(&self) -> Option<Vec<usize>> {
        for (start, _) in self.waiting() {
            let mut path = vec![start];
            while let Some(next) = path
                .last()
                .and_then(|&thread| self.waits_in(thread))
                .and_then(|step| self.waits_for(step).first().copied())
            {
                if let Some(at) = path.iter().position(|&it| it == next) {
                    return Some(path.split_off(at));
                }
                path.push(next);
            }
        }
        None
    }

    fn someone_waits_for_a_wake(&self) -> bool {
        self.waiting().any(|(_, step)| {
            let holders = self.waits_for(step);
            self.step(step).object.is_some() && holders.is_empty()
        })
    }

    /// What each thread waits for, and why that does not come.
    fn waits(&self) -> Vec<String> {
        let mut told = Vec::new();
        let circle = self.circle();
        let mut waiting: Vec<_> = self.waiting().collect();
        // Who waits for another thread to end tells the least.
        waiting.sort_by_key(|&(_, step)| self.step(step).object.is_none());
        for (thread, number) in waiting {
            told.push(format!(
                "{} {}",
                self.names.thread(thread),
                self.wait(thread, number)
            ));
        }
        if let Some(circle) = circle {
            let mut names: Vec<&str> = circle.iter().map(|&it| self.names.thread(it)).collect();
            names.push(names[0]);
            told.push(match circle.len() {
                1 => format!("{} waits for itself", names[0]),
                _ => format!("in a circle: {}", names.join(" -> ")),
            });
        } else if self.someone_waits_for_a_wake() {
            told.push("nobody is left who could wake them".to_owned());
        }
        told
    }

    /// What each thread does that has yet to end.
    fn hangs(&self) -> Vec<String> {
        let mut told = self.waits();
        for (thread, it) in self.steps.threads.iter().enumerate() {
            if it.ended || self.waits_in(thread).is_some() {
                continue;
            }
            let last = self.steps.steps.iter().rfind(|step| step.thread == thread);
            let since = match last.and_then(|step| step.place) {
                Some(place) => format!(" since {}", self.names.place(place)),
                None => String::new(),
            };
            told.push(format!(
                "{} is not seen{since}: it computes, or waits for what the check does not see, as \
                 a lock of std's",
                self.names.thread(thread)
            ));
        }
        if self.steps.threads.is_empty() {
            told.push(
                "with racefree's feature `trace` this says what each thread waits for".to_owned(),
            );
        }
        told
    }

    fn wait(&self, thread: usize, number: usize) -> String {
        let step = self.step(number);
        let here = self.place(step);
        let Some(thing) = step.object else {
            return match (step.act, step.amount) {
                (Act::Wait, Some(joined)) => format!(
                    "waits at {here} for {} to end",
                    self.names.thread(joined as usize)
                ),
                _ => format!("waits in {} ({here})", step.method),
            };
        };
        let name = self.thing(thing);
        let held: Vec<String> = self
            .holds
            .iter()
            .filter(|hold| hold.thing == thing)
            .map(|hold| {
                let who = match hold.thread == thread {
                    true => "it holds itself".to_owned(),
                    false => format!("{} holds", self.names.thread(hold.thread)),
                };
                let ended = match self.steps.threads[hold.thread].ended {
                    true => ", and has ended",
                    false => "",
                };
                format!("{who} since {}{ended}", self.place(self.step(hold.step)))
            })
            .collect();
        if step.act == Act::Take && !held.is_empty() {
            return format!("waits at {here} for {name}, which {}", held.join(" and "));
        }
        format!(
            "waits at {here} for {name}: {}",
            self.last_wake(thing, step)
        )
    }

    /// What became of the wakes.
    fn last_wake(&self, thing: usize, waits: &Step) -> String {
        let here = |step: &&Step| step.object == Some(thing) && step.within.is_none();
        let kind = self.steps.things[thing].kind;
        if kind == "Barrier" {
            let at = self
                .waiting()
                .filter(|&(_, step)| self.step(step).object == Some(thing));
            let parties = waits.amount.unwrap_or_default();
            return format!(
                "{} of {parties} wait there, and no other will come",
                at.count()
            );
        }
        let what = |step: &Step| {
            format!(
                "`{}` by {} ({})",
                step.method,
                self.names.thread(step.thread),
                self.place(step)
            )
        };
        let wakes = |step: &&Step| matches!(step.act, Act::Wake | Act::Give) && here(step);
        let resets = |step: &&Step| step.act == Act::Reset && here(step);
        let succeeded = |step: &&Step| !matches!(step.ending, Ending::Error(_));
        let slept = waits.slept.unwrap_or(waits.begun);
        let all = || self.steps.steps.iter().filter(wakes).filter(succeeded);
        let Some(last) = all().next_back() else {
            return match waits.act {
                Act::Take => "nobody releases it".to_owned(),
                _ => "nothing ever woke those that wait there".to_owned(),
            };
        };
        let mut said = match last.begun < slept {
            true => format!("the last {} came before it slept", what(last)),
            false => {
                let whom = match last.woke.as_slice() {
                    [] => "nobody".to_owned(),
                    woken => {
                        let woken = woken.iter().map(|&it| self.names.thread(it));
                        woken.collect::<Vec<_>>().join(", ")
                    }
                };
                format!("the last {} woke {whom}", what(last))
            }
        };
        let reset = self.steps.steps.iter().rfind(resets);
        if let Some(reset) = reset.filter(|reset| reset.begun > last.begun) {
            said.push_str(&format!(", then {}", what(reset)));
        }
        said
    }

    /// The two accesses of a race. loom tells its lines, the older one by `file:line`.
    fn race(&self, message: &str) -> Vec<String> {
        let access = |step: &&Step| {
            matches!(step.act, Act::Read | Act::Write | Act::Update) && step.object.is_some()
        };
        let Some(second) = self
            .steps
            .steps
            .iter()
            .rev()
            .filter(access)
            .find(|step| step.ended.is_none() || step.within.is_none())
        else {
            return vec![message.trim().lines().next().unwrap_or_default().to_owned()];
        };
        let conflicts = |step: &&Step| {
            access(step)
                && step.object == second.object
                && step.thread != second.thread
                && (step.act != Act::Read || second.act != Act::Read)
        };
        let named = |step: &&Step| {
            step.place.is_some_and(|place| {
                let place = format!("{}:{}:", place.file, place.line);
                message.contains(&place)
            })
        };
        let others = || self.steps.steps.iter().rev().filter(conflicts);
        let Some(first) = others().find(named).or_else(|| others().next()) else {
            return vec![message.trim().lines().next().unwrap_or_default().to_owned()];
        };
        let thing = second.object.map_or("the data", |it| self.names.thing(it));
        let what = |step: &Step| {
            let does = match step.act {
                Act::Read => "reads",
                _ => "writes",
            };
            let holds = holds(self.steps, step.begun);
            let held: Vec<&str> = holds
                .iter()
                .filter(|hold| hold.thread == step.thread)
                .map(|hold| self.names.thing(hold.thing))
                .collect();
            let held = match held.is_empty() {
                true => "nothing".to_owned(),
                false => held.join(", "),
            };
            format!(
                "{} {does} {thing} at {}, and holds {held}",
                self.names.thread(step.thread),
                self.place(step)
            )
        };
        vec![
            what(first),
            what(second),
            "nothing orders the two".to_owned(),
        ]
    }

    fn panic(&self, message: &str) -> Vec<String> {
        let is_it = |step: &&Step| {
            step.act == Act::Panic && step.ending == Ending::Words(message.to_owned())
        };
        let steps = &self.steps.steps;
        let Some(panic) = steps.iter().rev().find(is_it) else {
            return Vec::new();
        };
        let mut told = vec![format!(
            "{} panics at {}",
            self.names.thread(panic.thread),
            self.place(panic)
        )];
        for (thread, number) in self.waiting() {
            if thread != panic.thread && self.step(number).slept.is_some() {
                let waits = self.wait(thread, number);
                told.push(format!("{} {waits}", self.names.thread(thread)));
            }
        }
        told
    }
}

/// Who holds what, at this time.
fn holds(steps: &Steps, until: u32) -> Vec<Hold> {
    let mut events: Vec<(u32, usize)> = Vec::new();
    for (number, step) in steps.steps.iter().enumerate() {
        match step.act {
            Act::Take => events.extend(step.ended.map(|at| (at, number))),
            Act::Give => events.push((step.begun, number)),
            _ => {}
        }
    }
    events.retain(|&(at, _)| at < until);
    events.sort_unstable();
    let mut holds: Vec<Hold> = Vec::new();
    for (_, number) in events {
        let step = &steps.steps[number];
        let Some(thing) = step.object else { continue };
        let succeeded = !matches!(step.ending, Ending::Error(_) | Ending::Answer(false));
        let amount = step.amount.unwrap_or(1);
        match step.act {
            _ if !succeeded => {}
            Act::Take => holds.extend((0..amount).map(|_| Hold {
                thing,
                thread: step.thread,
                step: number,
            })),
            _ => {
                // Whoever gives it back: its own, or what another has taken; but what is counted
                // may be more than was ever taken.
                let counted = steps.things[thing].kind.contains("Semaphore");
                for _ in 0..amount {
                    let own = holds
                        .iter()
                        .rposition(|hold| hold.thing == thing && hold.thread == step.thread);
                    let any = holds.iter().position(|hold| hold.thing == thing);
                    if let Some(at) = own.or(any.filter(|_| !counted)) {
                        holds.remove(at);
                    }
                }
            }
        }
    }
    holds
}
