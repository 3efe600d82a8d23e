//! Puts a mutant into a copy of the repository, builds the models there, and runs them.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::find::Mutant;

/// The package of the models, and the folder it is in.
const PACKAGE: &str = "racefree-loom-tests";
pub(crate) const FOLDER: &str = "loom-tests";

/// The test binaries, and how cargo builds them: the models, those that stand beside the code that they
/// are about, and the refinement. The last runs the specification beside the code: it is the one that
/// says whether the specification is broken, and is asked last about the code.
const BINARIES: [(&str, &[&str]); 3] = [
    ("models", &["--test", "models"]),
    ("racefree_loom", &["--lib"]),
    ("refinement", &["--test", "refinement"]),
];
const MODELS: usize = 0;
const BESIDE: usize = 1;
const SPECIFIED: [&str; 2] = ["src/spec/", "src/step/"];

/// The modules of the models that come to a file of the state machines, the likeliest to fail first.
/// The others are not run: they would pass. A file that is not told here is every model's.
const MODULES: &[(&str, &[&str])] = &[
    ("src/raw/barrier.rs", &["barrier"]),
    ("src/raw/event.rs", &["event", "programs"]),
    ("src/raw/owner.rs", &["rlock", "condition", "condvar"]),
    (
        "src/raw/queue.rs",
        &["condition", "barrier", "condvar", "programs"],
    ),
    (
        "src/raw/rlock.rs",
        &["rlock", "condition", "condvar", "programs"],
    ),
    (
        "src/raw/semaphore.rs",
        &["semaphore", "permits", "programs"],
    ),
    ("src/raw/waiters.rs", &["condition", "condvar", "programs"]),
];

/// What stands before the statement that is broken, in a copy that can tell where it ran.
const MARK: &str = "crate::observe::trace::broken(); ";
const MARKER: &str = include_str!("marker.rs");

/// So many models may get no end. After that no other is tried.
const ENDLESS: usize = 3;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// A model failed, after so many executions, if it said how many.
    Caught {
        model: String,
        executions: Option<u64>,
        /// `None`: it made no report.
        told: Option<Told>,
    },
    /// All models passed.
    Survived,
    /// This model was not done in time, and no other one failed.
    TimedOut { model: String, limit: u64 },
    /// Not a mutant at all.
    DoesNotCompile,
}

/// Where a report names a line from which the broken statement was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// In the reason that it gives, in words.
    Why,
    /// In the table of steps.
    Step,
    /// Nowhere.
    Nowhere,
}

/// A verdict, and what it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) build_seconds: f64,
    pub(crate) run_seconds: f64,
}

/// A test, and how long it takes if nothing is broken.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    binary: usize,
    name: String,
    takes: Duration,
}

/// A copy of the repository with a target folder of its own, which is kept from run to run.
pub(crate) struct Worker {
    copy: PathBuf,
    target: PathBuf,
    deep: bool,
    limit: Duration,
}

/// How a test ended.
enum Ended {
    Passed,
    Failed(String),
    TimedOut,
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
        add_marker(&copy)?;
        Ok(Self {
            copy,
            target: folder.join("target"),
            deep,
            limit,
        })
    }

    /// Runs all tests on the source as it is: how long each takes, if they pass.
    pub(crate) fn baseline(&self) -> Result<Vec<Test>> {
        let mut tests = Vec::new();
        for number in 0..BINARIES.len() {
            let binary = self.build(number, Stdio::inherit())?;
            let binary = binary.context("the models do not compile without any mutation")?;
            for name in self.list(&binary)? {
                // They are about the reports, which are not the smallest here, and about checks.
                if name.starts_with("reports::") || name.starts_with("model::") {
                    continue;
                }
                let start = Instant::now();
                match self.run(&binary, &name, self.limit * 10)? {
                    Ended::Passed => {}
                    Ended::Failed(_) => bail!("{name} fails without any mutation"),
                    Ended::TimedOut => bail!("{name} is not done in time without any mutation"),
                }
                tests.push(Test {
                    binary: number,
                    name,
                    takes: start.elapsed(),
                });
            }
        }
        Ok(tests)
    }

    /// Builds, so that the first mutant does not pay for all that they share.
    pub(crate) fn warm_up(&self) -> Result<()> {
        self.build(0, Stdio::null()).map(drop)
    }

    /// Runs the tests on a mutant of `source`.
    pub(crate) fn judge(&self, mutant: &Mutant, source: &str, tests: &[Test]) -> Result<Judged> {
        let path = self.copy.join(&mutant.file);
        let mut judged = Judged {
            verdict: Verdict::DoesNotCompile,
            build_seconds: 0.0,
            run_seconds: 0.0,
        };
        // What does not compile with the mark is tried without.
        let marked = mutant.apply_marked(source, MARK);
        for text in marked.into_iter().chain([mutant.apply(source)]) {
            fs::write(&path, text)?;
            self.judge_copy(&mutant.file, tests, &mut judged)?;
            if judged.verdict != Verdict::DoesNotCompile {
                break;
            }
        }
        fs::write(&path, source)?;
        Ok(judged)
    }

    fn judge_copy(&self, file: &str, tests: &[Test], judged: &mut Judged) -> Result<()> {
        let mut endless = Vec::new();
        for (number, (name, _)) in BINARIES.iter().enumerate() {
            let mut tests: Vec<&Test> = tests.iter().filter(|it| it.binary == number).collect();
            if number == MODELS {
                if SPECIFIED.iter().any(|prefix| file.starts_with(prefix)) {
                    continue;
                }
                let module = |test: &Test| module_rank(file, &test.name);
                tests.retain(|test| module(test).is_some());
                // Short before long, and of those that take about as long, the likeliest first.
                tests.sort_by_key(|test| (test.takes.as_millis().max(50).ilog(4), module(test)));
            }
            tests.retain(|test| match number {
                MODELS => true,
                BESIDE => is_beside(file, &test.name),
                _ => is_about(file, &test.name),
            });
            if tests.is_empty() && number == BESIDE {
                continue;
            }
            let start = Instant::now();
            let binary = self.build(number, Stdio::null())?;
            judged.build_seconds += start.elapsed().as_secs_f64();
            let Some(binary) = binary else {
                judged.verdict = Verdict::DoesNotCompile;
                return Ok(());
            };
            let start = Instant::now();
            for test in tests {
                if number == MODELS && endless.len() == ENDLESS {
                    break;
                }
                let model = match number {
                    MODELS => test.name.clone(),
                    _ => format!("{name}::{}", test.name),
                };
                match self.run(&binary, &test.name, self.limit + test.takes * 4)? {
                    Ended::Passed => {}
                    Ended::TimedOut => endless.push(model),
                    Ended::Failed(said) => {
                        judged.run_seconds += start.elapsed().as_secs_f64();
                        judged.verdict = Verdict::Caught {
                            executions: parse_executions(&said, &model),
                            told: told(&said),
                            model,
                        };
                        return Ok(());
                    }
                }
            }
            judged.run_seconds += start.elapsed().as_secs_f64();
        }
        judged.verdict = match endless.into_iter().next() {
            None => Verdict::Survived,
            Some(model) => Verdict::TimedOut {
                model,
                limit: self.limit.as_secs(),
            },
        };
        Ok(())
    }

    /// A test binary, unless the source does not compile.
    fn build(&self, number: usize, errors: Stdio) -> Result<Option<PathBuf>> {
        let (name, target) = BINARIES[number];
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["test", "--no-run", "--quiet", "-p", PACKAGE])
            .args(target)
            .arg("--message-format=json-render-diagnostics")
            .args(if self.deep {
                &["--features", "deep"][..]
            } else {
                &[]
            })
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
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
            (message["target"]["name"] == name)
                .then(|| message["executable"].as_str().map(PathBuf::from))?
        });
        let binary = binary.context("cargo built no test binary of the models")?;
        Ok(Some(binary))
    }

    /// The names of the tests of a binary.
    fn list(&self, binary: &Path) -> Result<Vec<String>> {
        let mut command = Command::new(binary);
        let output = command.args(["--list", "--format=terse"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    /// Runs one test.
    ///
    /// The binary is run as it is and not through cargo: it is one process, so killing it leaves
    /// nothing behind, and an interrupt from the keyboard reaches it.
    fn run(&self, binary: &Path, test: &str, limit: Duration) -> Result<Ended> {
        let mut command = Command::new(binary);
        command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .current_dir(self.copy.join(FOLDER))
            .env("RUST_BACKTRACE", "0")
            // The first failure is as good as the smallest, and there at once.
            .env("RACEFREE_MODELS_AS_FOUND", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // loom takes limits from the environment, and passes silently when it has reached them.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOOM_") {
                command.env_remove(name);
            }
        }
        let end = Instant::now() + limit;
        let mut child = command.spawn().context("cannot run the models")?;
        let mut stderr = child.stderr.take().context("no error output")?;
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before an error is as good as all.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > end {
                child.kill()?;
                child.wait()?;
                break None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let errors = errors.join().expect("reading does not panic");
        Ok(match status {
            None => Ended::TimedOut,
            Some(status) if status.success() => Ended::Passed,
            // Or it was aborted.
            Some(_) => Ended::Failed(errors),
        })
    }
}

/// Has the trace of the copy keep where the broken statement ran, and tell it of what fails.
fn add_marker(copy: &Path) -> Result<()> {
    let path = copy.join("src/observe/trace.rs");
    let text = fs::read_to_string(&path)?;
    let taken = "self.recorded().steps.clone()";
    ensure!(text.contains(taken), "{} has changed", path.display());
    let telling = format!("tell_broken(self.recorded().number); {taken}");
    fs::write(&path, text.replacen(taken, &telling, 1) + MARKER)?;
    Ok(())
}

/// Whether a test beside the code comes to a file: it is in its module, or in one within or around
/// that.
fn is_beside(file: &str, test: &str) -> bool {
    let file = file.trim_start_matches("src/").trim_end_matches(".rs");
    let module = file.trim_end_matches("/mod").replace('/', "::");
    let is_in = |inner: &str, outer: &str| format!("{inner}::").starts_with(&format!("{outer}::"));
    test.split_once("::tests::")
        .is_some_and(|(around, _)| is_in(around, &module) || is_in(&module, around))
}

/// Whether a test of the specification comes to a file. They are called after the primitives, as
/// `barrier_2_by_1`.
fn is_about(file: &str, test: &str) -> bool {
    let names: &[&str] = match file {
        "src/raw/barrier.rs" => &["barrier"],
        "src/raw/event.rs" => &["event"],
        "src/raw/owner.rs" | "src/raw/rlock.rs" => &["rlock", "condition"],
        "src/raw/queue.rs" => &["condition", "barrier"],
        "src/raw/semaphore.rs" => &["semaphore", "bounded"],
        "src/raw/waiters.rs" => &["condition"],
        _ => return true,
    };
    test.starts_with("random") || names.iter().any(|name| test.contains(name))
}

/// Where the module of a model comes among those to run, if it is to be run.
fn module_rank(file: &str, test: &str) -> Option<usize> {
    let (module, _) = test.split_once("::").unwrap_or((test, ""));
    match MODULES.iter().find(|(known, _)| *known == file) {
        Some((_, modules)) => modules.iter().position(|it| *it == module),
        None => Some(usize::from(module != stem(file))),
    }
}

/// The module of the models that is about a file: it has the same name.
fn stem(file: &str) -> &str {
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

/// `lock::exclusion: failed after 17 executions`, which the models print.
fn parse_executions(errors: &str, model: &str) -> Option<u64> {
    errors.lines().find_map(|line| {
        let (_, rest) = line.split_once(&format!("{model}: failed after "))?;
        rest.split(' ').next()?.replace(',', "").parse().ok()
    })
}

/// Where the report names one of the lines that the marker has told before it.
fn told(errors: &str) -> Option<Told> {
    let at = errors.rfind("racefree::model: ")?;
    let (before, report) = errors.split_at(at);
    let places = before
        .lines()
        .filter_map(|line| line.strip_prefix("broken in: "));
    let (steps, why) = report.split_once("\nwhy:\n").unwrap_or((report, ""));
    let names = |text: &str, name: &str| {
        text.match_indices(name)
            .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_ascii_digit()))
    };
    let told = places.map(|place| {
        let file = place.rsplit('/').next().unwrap_or(place);
        let line = place.rsplit(':').next().unwrap_or(place);
        if names(why, file) || names(why, &format!("line {line}")) {
            Told::Why
        } else if names(steps, file) {
            Told::Step
        } else {
            Told::Nowhere
        }
    });
    Some(told.min().unwrap_or(Told::Nowhere))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_modules() {
        assert_eq!(module_rank("src/raw/lock.rs", "lock::exclusion"), Some(0));
        assert_eq!(module_rank("src/raw/lock.rs", "event::pulse"), Some(1));
        assert_eq!(module_rank("src/raw/queue.rs", "barrier::two"), Some(1));
        assert_eq!(module_rank("src/raw/queue.rs", "lock::exclusion"), None);
        assert_eq!(stem("src/futex/mod.rs"), "futex");
        assert!(is_about("src/raw/queue.rs", "nested_condition_2_by_1"));
        assert!(!is_about("src/raw/queue.rs", "rlock_2_by_2"));
    }

    #[test]
    fn a_test_is_beside_its_file() {
        assert!(is_beside("src/raw/queue.rs", "raw::queue::tests::at_rest"));
        assert!(is_beside("src/step/whole.rs", "step::tests::a_queue"));
        assert!(!is_beside("src/raw/lock.rs", "raw::queue::tests::at_rest"));
        assert!(!is_beside("src/stepped.rs", "step::tests::a_queue"));
    }

    #[test]
    fn executions_are_read() {
        let errors = "rlock::a: failed after 3 executions\nlock::b: failed after 17 executions\n";
        assert_eq!(parse_executions(errors, "lock::b"), Some(17));
        assert_eq!(parse_executions(errors, "lock::c"), None);
    }

    #[test]
    fn a_report_names_a_line_or_does_not() {
        let report = "racefree::model: deadlock\na.rs:17  x.acquire\n\nwhy:\n  1. at line 21\n";
        let of = |line: &str| told(&format!("broken in: tests/a.rs:{line}\n{report}"));
        assert_eq!(of("17"), Some(Told::Step));
        assert_eq!(of("21"), Some(Told::Why));
        assert_eq!(of("1"), Some(Told::Nowhere));
        assert_eq!(told(report), Some(Told::Nowhere));
        assert_eq!(told("no execution ends in true"), None);
    }
}
