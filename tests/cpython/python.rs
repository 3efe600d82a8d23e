//! The machine's CPython: `python3`, or what `RACEFREE_PYTHON` names.

use std::env;
use std::io::{self, Write};
use std::process::Command;

pub(crate) fn name() -> String {
    env::var("RACEFREE_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Says that a test was not run, past the harness's capture.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = writeln!(io::stderr(), "{test}: SKIPPED: {why}");
}

/// The minor version of CPython 3. Where there is none, says that this test is skipped.
pub(crate) fn find(test: &str) -> Option<u32> {
    let name = name();
    let program = "import platform as p; print(p.python_implementation(), p.python_version())";
    let output = match Command::new(&name).args(["-c", program]).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(test, &format!("{name} does not start: {error}"));
            return None;
        }
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let minor = version
        .strip_prefix("CPython 3.")
        .and_then(|rest| rest.split('.').next()?.parse().ok())
        .filter(|&minor| minor >= 8);
    if minor.is_none() {
        skipped(
            test,
            &format!("{name} is not CPython 3.8 or newer, but {version:?}"),
        );
    }
    minor
}
