//! What a check says of each mistake: compared with the text in `reports`, without the paths and
//! the times. `BLESS=1 cargo test` writes them anew.

#![cfg(any(loom, shuttle))]

use std::path::Path;
use std::{env, fs};

use racefree::model::{Builder, FailureKind};

/// A mistake, what the check has to call it, and the report.
fn report(name: &str, kind: FailureKind, source: &str, body: fn()) {
    let failure = Builder::new().preemption_bound(3).try_check(body).unwrap_err();
    let text = without_times(&failure.to_string());
    println!("{text}");
    let engine = if cfg!(loom) { "loom" } else { "shuttle" };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/reports/{engine}/{name}.txt"));
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(failure.kind, kind);
    let lines = text.lines().count();
    assert!(lines <= 40, "{lines} lines");
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    let fault = source.lines().position(|line| line.contains("FAULT")).unwrap() + 1;
    let place = format!("{name}.rs:{fault}");
    assert!(text.contains(&place), "the faulty line, {place}, is not named");
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default());
}

/// The text, without how long it took.
fn without_times(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        lines.push(match line.split_once(" in ").filter(|_| line.starts_with("found by")) {
            Some((before, after)) => {
                let (_, after) = after.split_once(" s").unwrap();
                format!("{before}{after}")
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
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
