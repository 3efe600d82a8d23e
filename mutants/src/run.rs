//! Puts a mutant into a copy of the repository, builds the models there, and runs them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::find::Mutant;

/// The package of the models, the folder it is in, and the test binary.
const PACKAGE: &str = "racefree-loom-tests";
pub(crate) const FOLDER: &str = "loom-tests";
const BINARY: &str = "models";

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// A model failed, after so many executions, if it said how many.
    Caught {
        model: String,
        executions: Option<u64>,
    },
    /// All models passed.
    Survived,
    /// The models were not done in time; this one was running.
    TimedOut { model: String, limit: u64 },
    /// Not a mutant at all.
    DoesNotCompile,
}

/// A verdict, and what it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) build_seconds: f64,
    pub(crate) run_seconds: f64,
}

/// A copy of the repository with a target folder of its own, which is kept from run to run.
pub(crate) struct Worker {
    copy: PathBuf,
    target: PathBuf,
    deep: bool,
    limit: Duration,
}

impl Worker {
    /// Copies the repository at `root` into `folder`.
    ///
    /// All of it but build output and what is hidden: it is small, and so whatever a manifest
    /// names is there. Only the models and what they need are built.
    pub(crate) fn new(root: &Path, folder: &Path, deep: bool, limit: Duration) -> Result<Self> {
        let copy = folder.join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {copy:?}"))?;
        }
        copy_folder(root, &copy)?;
        Ok(Self {
            copy,
            target: folder.join("target"),
            deep,
            limit,
        })
    }

    /// Runs the models on the source as it is: how long that takes, if they pass.
    pub(crate) fn baseline(&self) -> Result<Judged> {
        let judged = self.judge_copy("", Stdio::inherit())?;
        match &judged.verdict {
            Verdict::Survived => Ok(judged),
            Verdict::Caught { model, .. } => bail!("{model} fails without any mutation"),
            Verdict::TimedOut { model, limit } => {
                bail!("{model} is not done in {limit} s without any mutation: see --limit")
            }
            Verdict::DoesNotCompile => bail!("the models do not compile without any mutation"),
        }
    }

    /// Builds, so that the first mutant does not pay for all that they share.
    pub(crate) fn warm_up(&self) -> Result<()> {
        self.build(Stdio::null()).map(drop)
    }

    /// Runs the models on a mutant of `source`.
    pub(crate) fn judge(&self, mutant: &Mutant, source: &str) -> Result<Judged> {
        let path = self.copy.join(&mutant.file);
        fs::write(&path, mutant.apply(source))?;
        let judged = self.judge_copy(module(&mutant.file), Stdio::null());
        fs::write(&path, source)?;
        judged
    }

    /// The models of the module `first` come first: they are the likeliest to fail, and what
    /// fails ends the run.
    fn judge_copy(&self, first: &str, errors: Stdio) -> Result<Judged> {
        let start = Instant::now();
        let binary = self.build(errors)?;
        let build_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let verdict = match binary {
            None => Verdict::DoesNotCompile,
            Some(binary) if first.is_empty() => self.run(&binary, &[], self.limit)?,
            Some(binary) => {
                let module = format!("{first}::");
                match self.run(&binary, &[&module], self.limit)? {
                    Verdict::Survived => {
                        let left = self.limit.saturating_sub(start.elapsed());
                        self.run(&binary, &["--skip", &module], left)?
                    }
                    verdict => verdict,
                }
            }
        };
        Ok(Judged {
            verdict,
            build_seconds,
            run_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The test binary, unless the source does not compile.
    fn build(&self, errors: Stdio) -> Result<Option<PathBuf>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args([
                "test", "--no-run", "--quiet", "-p", PACKAGE, "--test", BINARY,
            ])
            .arg("--message-format=json-render-diagnostics")
            .args(if self.deep {
                &["--features", "deep"][..]
            } else {
                &[]
            })
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            // What a mutant leaves unused is no error, whatever the caller's flags say.
            .env("RUSTFLAGS", "--cap-lints=allow")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .stdin(Stdio::null())
            .stderr(errors);
        let output = cargo.output().context("cannot run cargo")?;
        if !output.status.success() {
            return Ok(None);
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let binary = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            (message["target"]["name"] == BINARY)
                .then(|| message["executable"].as_str().map(PathBuf::from))?
        });
        binary
            .map(Some)
            .context("cargo built no test binary of the models")
    }

    /// Runs the test binary, one model at a time, until one fails or the time is up.
    ///
    /// The binary is run as it is and not through cargo: it is one process, so killing it leaves
    /// nothing behind, and an interrupt from the keyboard reaches it.
    fn run(&self, binary: &Path, arguments: &[&str], limit: Duration) -> Result<Verdict> {
        let mut command = Command::new(binary);
        command
            .args(["--test-threads=1", "--color=never"])
            .args(arguments)
            .current_dir(self.copy.join(FOLDER))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // loom takes limits from the environment, and passes silently when it has reached them.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOOM_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().context("cannot run the models")?;
        let verdict = self.watch(&mut child, limit);
        // In case of an error above; a process that has ended is not hurt.
        let _ = child.kill();
        let _ = child.wait();
        verdict
    }

    fn watch(&self, child: &mut Child, limit: Duration) -> Result<Verdict> {
        let end = Instant::now() + limit;
        let mut stdout = BufReader::new(child.stdout.take().context("no output")?);
        let mut stderr = child.stderr.take().context("no error output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before an error is as good as all.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        // The line of a test is complete only when it has ended.
        let mut unfinished = "no model".to_owned();
        let mut is_over = false;
        let failed = loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match parse_test(&line) {
                    Some((name, Some(true))) => unfinished = format!("what came after {name}"),
                    Some((name, Some(false))) => break Some(name.to_owned()),
                    Some((name, None)) => unfinished = name.to_owned(),
                    None => {}
                },
                Err(RecvTimeoutError::Timeout) if !is_over => {
                    is_over = true;
                    child.kill()?;
                }
                Err(RecvTimeoutError::Timeout) => thread::yield_now(),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        let status = match &failed {
            Some(_) => {
                child.kill()?;
                child.wait()?;
                None
            }
            None => Some(child.wait()?),
        };
        let errors = errors.join().expect("reading does not panic");
        Ok(match (failed, status) {
            (None, Some(status)) if status.success() => Verdict::Survived,
            (None, _) if is_over => Verdict::TimedOut {
                model: unfinished,
                limit: self.limit.as_secs(),
            },
            // Without a name: the process has aborted, in the last model that it began.
            (failed, _) => {
                let model = failed.unwrap_or(unfinished);
                let executions = parse_executions(&errors, &model);
                Verdict::Caught { model, executions }
            }
        })
    }
}

/// The module of the models that is about a file: it has the same name.
fn module(file: &str) -> &str {
    let file = file.strip_suffix("/mod.rs").unwrap_or(file);
    let stem = Path::new(file).file_stem().and_then(OsStr::to_str);
    stem.unwrap_or_default()
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {to:?}"))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {:?}", entry.path()))?;
        }
    }
    Ok(())
}

/// A line of libtest's: the test, and whether it passed, if it has ended.
fn parse_test(line: &str) -> Option<(&str, Option<bool>)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    let passed = match result.trim() {
        "" => None,
        result => Some(!result.starts_with("FAILED")),
    };
    Some((name, passed))
}

/// `lock::exclusion: failed after 17 executions`, which the models print.
fn parse_executions(errors: &str, model: &str) -> Option<u64> {
    errors.lines().find_map(|line| {
        let (_, rest) = line.split_once(&format!("{model}: failed after "))?;
        rest.split(' ').next()?.replace(',', "").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libtest_are_read() {
        let cases = [
            ("test lock::a ... ok\n", Some(("lock::a", Some(true)))),
            ("test lock::a ... FAILED\n", Some(("lock::a", Some(false)))),
            ("test lock::a ... ", Some(("lock::a", None))),
            (
                "test a - should panic ... ignored\n",
                Some(("a", Some(true))),
            ),
            ("test result: FAILED. 1 passed", None),
            ("running 3 tests", None),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_test(line), expected, "{line}");
        }
    }

    #[test]
    fn a_file_has_its_module() {
        assert_eq!(module("src/lock.rs"), "lock");
        assert_eq!(module("src/futex/mod.rs"), "futex");
    }

    #[test]
    fn executions_are_read() {
        let errors = "rlock::a: failed after 3 executions\nlock::b: failed after 17 executions\n";
        assert_eq!(parse_executions(errors, "lock::b"), Some(17));
        assert_eq!(parse_executions(errors, "lock::c"), None);
    }
}
