//! Futex calls, as strace counts them in a process of their own.
//!
//! With `--seccomp-bpf` nothing but these calls is stopped at: a process whose yields are traced
//! would sleep where it does not otherwise.

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};

use crate::load::Condition;
use crate::plan::{Job, Kind, Plan};
use crate::results::Results;

pub(crate) fn count(plan: &Plan, results: &mut Results) -> Result<(), Box<dyn Error>> {
    let version = Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !version.is_ok_and(|status| status.success()) {
        return Err("there is no strace here".into());
    }
    for (job, results) in plan.jobs.iter().zip(&mut results.jobs) {
        // Others that compute change how often a thread sleeps, and the tracer is another.
        let is_counted = job.condition == Condition::Idle;
        if let (Kind::Contended { .. }, true) = (&job.kind, is_counted) {
            for measured in &mut results.variants {
                measured.futex_calls = Some(calls(job, measured.name)?);
            }
        }
    }
    Ok(())
}

/// The calls of one variant for each acquisition. Those that start and end the threads are among
/// them, a few for each thread.
fn calls(job: &Job, name: &str) -> Result<f64, Box<dyn Error>> {
    let Kind::Contended {
        setting, duration, ..
    } = &job.kind
    else {
        unreachable!("a case without contention");
    };
    let case = match job.case {
        // The same, without being prolonged once more.
        "fairness" => "locks",
        case => case,
    };
    let summary = env::temp_dir().join(format!("futex-calls-{}", std::process::id()));
    let output = Command::new("strace")
        .args([
            "--follow-forks",
            "--seccomp-bpf",
            "--summary-only",
            "--trace=futex",
            "--output",
        ])
        .arg(&summary)
        .arg(env::current_exe()?)
        .args([
            "--count",
            "--conditions",
            "idle",
            "--cases",
            case,
            "--only",
            name,
        ])
        .args(["--threads", &setting.threads.to_string()])
        .args(["--permits", &setting.permits.to_string()])
        .args(["--section", &setting.section.to_string()])
        .args([
            "--pause",
            &(setting.pause / setting.section.max(10)).to_string(),
        ])
        .args(["--duration", &duration.as_millis().to_string()])
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("strace failed: {}", why.trim()).into());
    }
    let acquisitions: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let table = std::fs::read_to_string(&summary)?;
    std::fs::remove_file(&summary)?;
    // `% time, seconds, usecs/call, calls, errors, syscall`; no line, if there was no call.
    let line = table.lines().find(|line| line.ends_with(" futex"));
    let calls = line
        .and_then(|line| line.split_whitespace().nth(3))
        .unwrap_or("0");
    Ok(calls.parse::<f64>()? / acquisitions)
}
