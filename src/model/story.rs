//! An execution as it is told: who did what, a line for each, in the order in which it happened.
//! Uses the names, and the steps that `observe` keeps.

use super::names::Names;
use crate::observe::GUARD_DROPPED;
use crate::observe::steps::{Act, Ending, Place, Step, Steps};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) thread: usize,
    pub(crate) place: Option<Place>,
    pub(crate) object: Option<usize>,
    pub(crate) text: String,
    /// The threads that it woke or spawned.
    pub(crate) to: Vec<usize>,
}

/// What of a step is told at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Begun,
    Slept,
    Ended,
}

pub(crate) fn lines(steps: &Steps, names: &Names) -> Vec<Line> {
    let mut parts: Vec<(u32, usize, Part)> = Vec::new();
    for (number, step) in steps.steps.iter().enumerate() {
        parts.push((step.begun, number, Part::Begun));
        parts.extend(step.slept.map(|at| (at, number, Part::Slept)));
        parts.extend(step.ended.map(|at| (at, number, Part::Ended)));
    }
    parts.sort_unstable();
    // What the program panics with, if it is not caught, is the end of the story.
    let end = end_of(steps);
    let mut lines = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let (time, number, part) = parts[at];
        if end.is_some_and(|end| time > end) {
            break;
        }
        // As much of the step as comes at once is told at once.
        let mut last = part;
        while let Some(&(_, other, next)) = parts.get(at + 1) {
            if other != number {
                break;
            }
            last = next;
            at += 1;
        }
        at += 1;
        let step = &steps.steps[number];
        // What a method of the crate's does for another is told only where it waits.
        let waits = step.act == Act::Take && (step.slept.is_some() || step.ended.is_none());
        if step.within.is_some() && !step.inner && step.object.is_some() && !waits {
            continue;
        }
        if let Some(text) = text(step, part, last, names) {
            let mut to = Vec::new();
            if last == Part::Ended || part == Part::Begun {
                to.clone_from(&step.woke);
            }
            if step.act == Act::Spawn {
                to.extend(step.amount.map(|number| number as usize));
            }
            lines.push(Line {
                thread: step.thread,
                place: step.place,
                object: step.object,
                text,
                to,
            });
        }
    }
    lines
}

/// When the panic that ended the execution had been told.
fn end_of(steps: &Steps) -> Option<u32> {
    let (thread, message) = steps.panic.as_ref()?;
    let thread = (*thread)?;
    let is_it = |step: &&Step| {
        step.act == Act::Panic
            && step.thread == thread
            && step.ending == Ending::Words(message.clone())
    };
    steps.steps.iter().find(is_it).and_then(|step| step.ended)
}

/// What is told of a step, between two of its parts; nothing if another line tells it.
fn text(step: &Step, first: Part, last: Part, names: &Names) -> Option<String> {
    let call = call(step, names);
    let whole = step.ended.is_none();
    // What gives is told when it begins, as others may go on from there before it returns; what
    // waits or looks is told when it ends, as it has nothing before.
    let gives = matches!(step.act, Act::Give | Act::Wake | Act::Reset);
    match (step.act, first, last) {
        (Act::Begin, ..) => None,
        (Act::End, ..) => Some("ends".to_owned()),
        (Act::Panic, ..) => match &step.ending {
            Ending::Words(words) => Some(format!(
                "panics: {}",
                words.lines().next().unwrap_or_default()
            )),
            _ => Some("panics".to_owned()),
        },
        (Act::Spawn, ..) => Some(format!(
            "spawns {}",
            names.thread(step.amount.unwrap_or_default() as usize)
        )),
        (_, _, Part::Ended) if step.slept.is_some() && first != Part::Ended => {
            Some(format!("{call}: waits, {}", outcome(step, names)))
        }
        (_, Part::Begun, Part::Ended) => Some(match outcome(step, names) {
            outcome if outcome.is_empty() => call,
            outcome => format!("{call}: {outcome}"),
        }),
        (_, Part::Ended, _) => {
            let said = outcome(step, names);
            let is_news =
                !gives || !step.woke.is_empty() || matches!(step.ending, Ending::Error(_));
            is_news.then(|| match said.is_empty() {
                true => call,
                false => format!("{call}: {said}"),
            })
        }
        (_, _, Part::Slept) => Some(format!("{call}: waits")),
        (_, _, Part::Begun) => (gives || whole && step.slept.is_none()).then_some(call),
        (_, Part::Slept, Part::Ended) => Some(format!("{call}: waits, {}", outcome(step, names))),
    }
}

/// `lock.acquire`.
fn call(step: &Step, names: &Names) -> String {
    let method = step.method;
    match (step.object, step.act, step.amount) {
        (Some(object), Act::Give, None) if method == GUARD_DROPPED => {
            format!("{}: guard dropped", names.thing(object))
        }
        // A barrier's is how many have to come.
        (Some(object), Act::Wait, _) => format!("{}.{method}", names.thing(object)),
        (_, Act::Wait, Some(thread)) if method == "join" => {
            format!("join {}", names.thread(thread as usize))
        }
        (Some(object), _, Some(amount)) => {
            let amount = match names.is_flag(object) {
                true => (amount != 0).to_string(),
                false => amount.to_string(),
            };
            format!("{}.{method}({amount})", names.thing(object))
        }
        (Some(object), _, None) => format!("{}.{method}", names.thing(object)),
        (None, ..) => method.to_owned(),
    }
}

/// How it ended.
fn outcome(step: &Step, names: &Names) -> String {
    let mut said = match &step.ending {
        Ending::Open => String::new(),
        Ending::Words(words) => words.clone(),
        Ending::Error(error) => format!("error: {error}"),
        Ending::Done => match step.act {
            Act::Take => "got it".to_owned(),
            Act::Wait if step.method == "join" => "ended".to_owned(),
            Act::Wait if step.slept.is_some() => "goes on".to_owned(),
            _ => String::new(),
        },
        Ending::Answer(answer) => match (step.act, answer) {
            (Act::Take, true) => "got it".to_owned(),
            (Act::Take, false) if step.method.starts_with("try") => "not free".to_owned(),
            (Act::Take | Act::Wait, false) => "timed out".to_owned(),
            (Act::Wait, true) => "goes on".to_owned(),
            (_, answer) => answer.to_string(),
        },
        Ending::Number(number) => match step.act {
            Act::Wait => format!("goes on, {number}"),
            _ => number.to_string(),
        },
    };
    let mut add = |more: &str| {
        if !said.is_empty() {
            said.push_str(", ");
        }
        said.push_str(more);
    };
    if !step.woke.is_empty() {
        let woken: Vec<&str> = step.woke.iter().map(|&it| names.thread(it)).collect();
        add(&format!("woke {}", woken.join(", ")));
    } else if step.act == Act::Wake && step.ending == Ending::Done {
        add("nobody waits");
    }
    if let Some(remark) = step.remark {
        add(remark);
    }
    said
}
