//! What the threads, the things and the lines of an execution are called in a report. Uses the
//! steps that `observe` keeps.

use std::collections::{BTreeMap, BTreeSet};

use crate::observe::steps::{Place, Steps};

pub(crate) struct Names {
    threads: Vec<String>,
    things: Vec<String>,
    flags: Vec<bool>,
    files: BTreeMap<&'static str, String>,
}

impl Names {
    pub(crate) fn of(steps: &Steps) -> Self {
        let files = files(steps);
        let threads = steps.threads.iter().enumerate();
        let threads = threads
            .map(|(number, thread)| match &thread.name {
                Some(name) => name.clone(),
                None => format!("thread {number}"),
            })
            .collect();
        let mut names = Self {
            threads,
            things: Vec::new(),
            flags: steps
                .things
                .iter()
                .map(|it| it.kind == "AtomicBool")
                .collect(),
            files,
        };
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        let all: Vec<String> = steps
            .things
            .iter()
            .map(|thing| match thing.name {
                Some(name) => name.to_owned(),
                None => format!("{}@{}", thing.kind, names.line(thing.made)),
            })
            .collect();
        for name in &all {
            let number = alike.entry(name.clone()).or_default();
            *number += 1;
            let twins = all.iter().filter(|other| *other == name).count();
            names.things.push(match twins {
                1 => name.clone(),
                _ => format!("{name}#{number}"),
            });
        }
        names
    }

    pub(crate) fn thread(&self, number: usize) -> &str {
        self.threads.get(number).map_or("a thread", String::as_str)
    }

    pub(crate) fn threads(&self) -> &[String] {
        &self.threads
    }

    pub(crate) fn thing(&self, number: usize) -> &str {
        &self.things[number]
    }

    /// Whether its values are `true` and `false`.
    pub(crate) fn is_flag(&self, thing: usize) -> bool {
        self.flags[thing]
    }

    /// `bank.rs:12`.
    pub(crate) fn place(&self, place: Place) -> String {
        let file = self
            .files
            .get(place.file)
            .map_or(place.file, String::as_str);
        format!("{file}:{}", place.line)
    }

    /// The line alone, if there is but one file.
    fn line(&self, place: Place) -> String {
        match self.files.len() {
            1 => place.line.to_string(),
            _ => self.place(place),
        }
    }
}

/// The shortest end of each file's path that is no other's.
fn files(steps: &Steps) -> BTreeMap<&'static str, String> {
    let places = steps.steps.iter().filter_map(|step| step.place);
    let made = steps.things.iter().map(|thing| thing.made);
    let files: BTreeSet<&'static str> = places.chain(made).map(|place| place.file).collect();
    let end = |file: &str, parts: usize| {
        let all: Vec<&str> = file.split(['/', '\\']).collect();
        all[all.len().saturating_sub(parts)..].join("/")
    };
    files
        .iter()
        .map(|file| {
            let parts = (1..8).find(|&parts| {
                let short = end(file, parts);
                !files
                    .iter()
                    .any(|other| other != file && end(other, parts) == short)
            });
            (*file, end(file, parts.unwrap_or(8)))
        })
        .collect()
}
