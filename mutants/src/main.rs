//! Breaks racefree in every way it knows, one at a time, and sees whether a model fails.
//!
//! ```text
//! cargo run --release -p mutants            all of them, and the table in docs/mutants.md
//! cargo run --release -p mutants -- --list  what there is to break
//! ```
//!
//! Only the models count, and the refinement: neither native tests nor the compiler's warnings. A
//! mutant that no model catches has to be argued for in `mutants/accepted.toml`; otherwise this ends
//! with an error.
//!
//! The results are in `mutants/results.jsonl`, which is part of the repository: all of them take hours,
//! and with `--keep` a run goes on where the last one ended, whichever machine that was on.

mod find;
mod run;
mod table;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use find::Mutant;
use run::{Judged, Verdict, Worker};
use table::{Accepted, Count, Row};

/// Breaks racefree in every way it knows, one at a time, and sees whether a model fails.
#[derive(Parser)]
struct Arguments {
    /// Print the mutants, and run none.
    #[arg(long)]
    list: bool,
    /// Only those whose line in --list contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Run the deep models too.
    #[arg(long)]
    deep: bool,
    /// How many to run at once, each in a copy of the repository. [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How long a model may take of a mutant, beside four times what it takes without.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    limit: u64,
    /// Where to write the table. [default: docs/mutants.md, or nowhere with --only]
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Forget the results of earlier runs.
    #[arg(long)]
    fresh: bool,
    /// Let a result count as long as the code of the broken file has not changed, whatever else has:
    /// its comments, its callers, what it calls, the models.
    #[arg(long)]
    keep: bool,
}

/// A result in the store: one line of JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    #[serde(default)]
    file_key: String,
    mutant: String,
    #[serde(flatten)]
    judged: Judged,
}

/// The results so far, by a hash of all that they depend on, so that what was interrupted goes on.
struct Store {
    known: HashMap<String, Judged>,
    file: File,
}

impl Store {
    fn open(path: &Path, fresh: bool) -> Result<Self> {
        if fresh && path.exists() {
            fs::remove_file(path)?;
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        // A line that was cut short is as good as none.
        let stored = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let keys = |stored: Stored| {
            [
                (stored.key, stored.judged.clone()),
                (stored.file_key, stored.judged),
            ]
        };
        let known = stored.flat_map(keys).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file)?;
        }
        Ok(Self { known, file })
    }

    fn add(&mut self, job: &Job, judged: &Judged) -> Result<()> {
        let line = serde_json::to_string(&Stored {
            key: job.key.clone(),
            file_key: job.file_key.clone(),
            mutant: job.mutant.to_string(),
            judged: judged.clone(),
        })?;
        writeln!(self.file, "{line}")?;
        self.known.insert(job.key.clone(), judged.clone());
        self.known.insert(job.file_key.clone(), judged.clone());
        Ok(())
    }

    /// A time-out counts only if no more time is given now.
    fn get(&self, key: &str, limit: u64) -> Option<&Judged> {
        let judged = self.known.get(key)?;
        match judged.verdict {
            Verdict::TimedOut { limit: old, .. } if old < limit => None,
            _ => Some(judged),
        }
    }
}

/// A mutant to run, and the source that it breaks.
struct Job {
    mutant: Mutant,
    source: String,
    /// A hash of all that the result depends on, and one of the broken file.
    key: String,
    file_key: String,
}

impl Job {
    /// What its result is looked for by.
    fn key(&self, keep: bool) -> &str {
        if keep { &self.file_key } else { &self.key }
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().context("no repository around this package")?;
    let found = find::find(root)?;
    let accepted = table::read_accepted(&root.join("mutants/accepted.toml"), &found.mutants)?;
    for macros in &found.unread {
        eprintln!("cannot be read, and so is not broken: {macros}");
    }
    let wanted = |mutant: &Mutant| {
        let only = arguments.only.as_ref();
        only.is_none_or(|only| mutant.to_string().contains(only))
    };
    let mutants: Vec<Mutant> = found.mutants.into_iter().filter(wanted).collect();
    if arguments.list {
        list(&mutants);
        return Ok(ExitCode::SUCCESS);
    }

    let folder = root.join("target/mutants");
    fs::create_dir_all(&folder)?;
    let mut store = Store::open(&root.join("mutants/results.jsonl"), arguments.fresh)?;
    let jobs = jobs(root, mutants, arguments.deep)?;
    run_all(root, &folder, &arguments, &jobs, &mut store)?;

    let rows: Vec<Row<'_>> = jobs
        .iter()
        .map(|job| Row {
            mutant: &job.mutant,
            verdict: &store.known[job.key(arguments.keep)].verdict,
            why: reason(&accepted, &job.mutant),
        })
        .collect();
    if let Some(path) = arguments.table.clone().or_else(|| {
        let all = arguments.only.is_none();
        all.then(|| root.join("docs/mutants.md"))
    }) {
        let mut command = "cargo run --release -p mutants".to_owned();
        if arguments.deep || arguments.keep {
            command += " --";
        }
        for (given, flag) in [(arguments.deep, " --deep"), (arguments.keep, " --keep")] {
            if given {
                command += flag;
            }
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, table::markdown(&rows, &command))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report(&rows))
}

fn list(mutants: &[Mutant]) {
    for mutant in mutants {
        println!("{mutant}");
    }
    let mut kinds: Vec<_> = mutants.iter().map(|mutant| mutant.kind).collect();
    kinds.sort();
    for kind in kinds.chunk_by(|a, b| a == b) {
        eprintln!("{:12}{:4}", kind[0], kind.len());
    }
    eprintln!("{:12}{:4}", "all", mutants.len());
}

fn jobs(root: &Path, mutants: Vec<Mutant>, deep: bool) -> Result<Vec<Job>> {
    let mut inputs = Hash::default();
    inputs.add(&[u8::from(deep)]);
    for folder in ["src", run::FOLDER] {
        inputs.add_folder(&root.join(folder))?;
    }
    let jobs = mutants.into_iter().map(|mutant| {
        let source = fs::read_to_string(root.join(&mutant.file))?;
        let broken = mutant.apply(&source);
        let key = |mut hash: Hash, text: &str| {
            hash.add(mutant.file.as_bytes());
            hash.add(text.as_bytes());
            format!("{:016x}", hash.0)
        };
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = broken.lines().filter(is_code).collect();
        Ok(Job {
            key: key(inputs, &broken),
            file_key: key(Hash::default(), &code.join("\n")),
            mutant,
            source,
        })
    });
    jobs.collect()
}

/// Runs those whose result is not known.
fn run_all(
    root: &Path,
    folder: &Path,
    arguments: &Arguments,
    jobs: &[Job],
    store: &mut Store,
) -> Result<()> {
    let limit = arguments.limit;
    let open: Vec<&Job> = jobs
        .iter()
        .filter(|job| store.get(job.key(arguments.keep), limit).is_none())
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = arguments.jobs.unwrap_or(cores).clamp(1, open.len());
    let worker = |at: usize| {
        let folder = folder.join(format!("worker-{at}"));
        Worker::new(root, &folder, arguments.deep, Duration::from_secs(limit))
    };
    let workers = (0..workers).map(worker).collect::<Result<Vec<_>>>()?;

    eprintln!("the models, without any mutation:");
    let start = Instant::now();
    let tests = workers[0].baseline()?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{} pass, in {seconds:.0} s", tests.len());

    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left: {msg}")?;
    let bar = ProgressBar::new(open.len() as u64).with_style(style);
    let queue = Mutex::new(open.into_iter());
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for (at, worker) in workers.iter().enumerate() {
            let (sender, queue, tests) = (sender.clone(), &queue, &tests);
            scope.spawn(move || {
                if at > 0 {
                    if let Err(error) = worker.warm_up() {
                        let _ = sender.send(Err(error));
                        return;
                    }
                }
                loop {
                    let next = queue.lock().expect("nothing panics under it").next();
                    let Some(job) = next else {
                        return;
                    };
                    let judged = worker.judge(&job.mutant, &job.source, tests);
                    // Fails only if the other end has given up.
                    if sender.send(judged.map(|judged| (job, judged))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut missed = 0;
        for result in results {
            let (job, judged) = result?;
            store.add(job, &judged)?;
            let is_missed = matches!(judged.verdict, Verdict::Survived | Verdict::TimedOut { .. });
            missed += usize::from(is_missed);
            bar.set_message(format!("{missed} not caught"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    })
}

fn reason<'a>(accepted: &'a [Accepted], mutant: &Mutant) -> Option<&'a str> {
    let entry = accepted.iter().find(|entry| entry.is_about(mutant));
    entry.map(|entry| entry.why.as_str())
}

/// Says what has to be done, and whether anything has.
fn report(rows: &[Row<'_>]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for Row {
        mutant,
        verdict,
        why,
    } in rows
    {
        let problem = match (verdict, why) {
            (Verdict::Caught { .. } | Verdict::DoesNotCompile, None) => continue,
            (Verdict::Survived | Verdict::TimedOut { .. }, Some(_)) => continue,
            (Verdict::Survived | Verdict::TimedOut { .. }, None) => "not argued",
            (_, Some(_)) => "in accepted.toml for nothing",
        };
        eprintln!("{}, {problem}: {mutant}", name(verdict));
        code = ExitCode::FAILURE;
    }
    println!("{}", Count::of(rows).summary());
    code
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Caught { .. } => "caught",
        Verdict::Survived => "survived",
        Verdict::TimedOut { .. } => "timed out",
        Verdict::DoesNotCompile => "does not compile",
    }
}

/// FNV-1a: the same in every build, which std's hashers do not promise.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        // The length first, so that two parts are not taken for two others.
        for byte in bytes.len().to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))?;
        let mut paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<PathBuf>>>()?;
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.add_folder(&path)?;
            } else {
                self.add(path.to_string_lossy().as_bytes());
                self.add(&fs::read(&path)?);
            }
        }
        Ok(())
    }
}
