//! What a check says of each mistake: compared with the text in `reports`, but for the counts and
//! the times. `BLESS=1 cargo test` writes them anew.

#![cfg(any(loom, shuttle))]

use std::path::{Path, PathBuf};
use std::{env, fs};

use racefree::model::{Builder, FailureKind};

/// A mistake, what the check has to call it, and the report.
fn report(name: &str, kind: FailureKind, source: &str, body: fn()) {
    let failure = Builder::new()
        .preemption_bound(3)
        .try_check(body)
        .unwrap_err();
    let text = failure.to_string();
    println!("{text}");
    assert_eq!(failure.kind, kind);
    let lines = text.lines().count();
    assert!(lines <= 40, "{lines} lines");
    let mut lines = text.lines().filter(|line| !line.starts_with("again: "));
    assert!(lines.all(|line| line.chars().count() <= 100));
    let fault = source
        .lines()
        .position(|line| line.contains("FAULT"))
        .unwrap()
        + 1;
    let place = format!("{name}.rs:{fault}");
    assert!(
        text.contains(&place),
        "the faulty line, {place}, is not named"
    );
    // What shuttle comes to first is another one with each change of the primitives.
    if cfg!(loom) {
        let path = path(&format!("tests/reports/{name}.txt"));
        if env::var_os("BLESS").is_some() {
            fs::write(&path, format!("{text}\n")).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(without_counts(&text), without_counts(&expected));
    }
}

fn path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text, without how many executions it took and how long, which change with the primitives.
fn without_counts(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let cut = |from: &str, to: &str| {
            let (before, rest) = line.split_once(from)?;
            let (_, after) = rest.split_once(to)?;
            Some(format!("{before}{from}{to}{after}"))
        };
        let line = match line {
            _ if line.starts_with("found by") => cut(": ", " s"),
            _ if line.starts_with("again: ") => cut(".replay(", ")"),
            _ => None,
        }
        .unwrap_or_else(|| line.to_owned());
        lines.push(line);
    }
    lines.join("\n")
}

/// The documentation has three of the reports, as they are.
#[cfg(loom)]
#[test]
fn the_documentation_is_up_to_date() {
    let text = |name: &str| without_counts(&fs::read_to_string(path(name)).unwrap());
    let has = |document: &str, name: &str| {
        let report = text(&format!("tests/reports/{name}.txt"));
        assert!(
            text(document).contains(&report),
            "{name} is not as it is told now"
        );
    };
    has("../README.md", "bank");
    has("../docs/guide/checking.md", "bank");
    for name in ["bank", "config", "mailbox"] {
        has("../docs/guide/failing.md", name);
    }
}

macro_rules! reports {
    ($($name:ident: $kind:ident,)*) => {$(
        #[test]
        fn $name() {
            let source = include_str!(concat!("../src/", stringify!($name), ".rs"));
            report(stringify!($name), FailureKind::$kind, source, gallery::$name::body);
        }
    )*};
}

reports! {
    bank: Deadlock,
    cache: Deadlock,
    counter: Panic,
    gate: LostWakeUp,
    handoff: LostWakeUp,
    mailbox: LostWakeUp,
    printer: Race,
    queue: LostWakeUp,
    stock: Panic,
}

/// Those that shuttle sees only if two accesses overlap, or never.
mod races {
    use super::*;

    reports! {
        jobs: Race,
        pool: Race,
    }
}

/// Orders of memory are loom's alone.
#[cfg(loom)]
mod orders {
    use super::*;

    reports! {
        config: Race,
    }
}
