//! Copies a folder: a thread for each file, and never more at once than a `BoundedSemaphore` lets.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use racefree::{BoundedSemaphore, Event, Mutex};
use walkdir::WalkDir;

/// Copies a folder with a bounded number of threads, and compares each copy with its original.
///
/// A file gets its name only when it is whole and compared. So after a run that was stopped or
/// killed, the same command copies what is missing: a file that is there already is compared, and
/// left alone if it is equal. If it is not, it is left alone too, and that is an error, unless
/// `--overwrite` allows to replace it. What else is in the target stays there.
///
/// Links and devices are not copied, and each is an error. The exit code is 0 if all is there, 1
/// if something is not, 130 if the copier was stopped (Ctrl-C).
#[derive(Parser)]
struct Args {
    /// The folder to copy; without one, the copier shows itself on files of its own
    #[arg(requires = "target")]
    source: Option<PathBuf>,

    /// The folder to copy to, made if it is not there
    target: Option<PathBuf>,

    /// Replace files that are in the target with other contents
    #[arg(long)]
    overwrite: bool,

    /// How many files are copied at once, at most
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=256))]
    workers: u32,

    /// How many bytes a thread copies at a time
    #[arg(long, default_value_t = 1024, value_parser = value_parser!(u32).range(1..=1 << 24))]
    chunk_bytes: u32,

    /// Milliseconds of pause after each chunk, to have something to watch
    #[arg(long, value_parser = value_parser!(u64).range(0..=10_000))]
    pause_ms: Option<u64>,
}

/// Set by Ctrl-C.
static STOP: Event = Event::new();

/// What a file is called while it is not whole.
const PARTIAL: (&str, &str) = (".file_copier-", ".partial");

fn main() -> ExitCode {
    let args = Args::parse();
    ctrlc::set_handler(|| STOP.set()).expect("the first handler");
    let all_there = match (&args.source, &args.target) {
        (Some(source), Some(target)) => {
            let pause = Duration::from_millis(args.pause_ms.unwrap_or(0));
            copy_folder(source, target, &args, pause)
        }
        _ => demonstrate(&args),
    };
    let code = match all_there {
        Ok(()) => return ExitCode::SUCCESS,
        Err(problems) => {
            for problem in &problems {
                eprintln!("file_copier: {problem}");
            }
            if STOP.is_set() { 130 } else { 1 }
        }
    };
    ExitCode::from(code)
}

/// Copies a folder of 60 files, twice.
fn demonstrate(args: &Args) -> Result<(), Vec<String>> {
    let made = || -> io::Result<_> {
        let place = tempfile::tempdir()?;
        for file in 0..60 {
            let folder = place.path().join(format!("source/{}", file % 6));
            fs::create_dir_all(&folder)?;
            let content = format!("{file} ").repeat(500 + 50 * file);
            fs::write(folder.join(format!("file-{file}")), content)?;
        }
        Ok(place)
    };
    let place = made().map_err(|error| vec![format!("cannot make files to copy: {error}")])?;
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    let pause = Duration::from_millis(args.pause_ms.unwrap_or(15));
    for run in ["The first run:", "The second run:"] {
        println!("{run}");
        copy_folder(&source, &target, args, pause)?;
    }
    Ok(())
}

/// What the threads have done so far.
#[derive(Default)]
struct Tally {
    copied: u64,
    already_there: u64,
    bytes: u64,
    problems: Vec<String>,
    /// Files that are being copied, and the most that ever were at once.
    open: u32,
    most_open: u32,
    over: bool,
}

/// The tally, and an event that is set each time that it has changed.
#[derive(Default)]
struct Progress {
    tally: Mutex<Tally>,
    news: Event,
}

impl Progress {
    fn tell<R>(&self, change: impl FnOnce(&mut Tally) -> R) -> R {
        let result = change(&mut self.tally.lock());
        self.news.set();
        result
    }

    /// How many files and bytes there are in the target, and whether it was the last of them.
    fn look(&self) -> (u64, u64, bool) {
        let tally = self.tally.lock();
        (tally.copied + tally.already_there, tally.bytes, tally.over)
    }
}

/// Ends the progress however the copying ends, so that nobody waits for more.
struct EndOnDrop<'a>(&'a Progress);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.tell(|tally| tally.over = true);
    }
}

struct Job {
    from: PathBuf,
    to: PathBuf,
    bytes: u64,
}

fn copy_folder(
    source: &Path,
    target: &Path,
    args: &Args,
    pause: Duration,
) -> Result<(), Vec<String>> {
    let progress = Progress::default();
    let jobs = plan(source, target, &progress).map_err(|problem| vec![problem])?;

    // Draws on standard error, and not at all if that is no terminal.
    let bar = ProgressBar::new(jobs.iter().map(|job| job.bytes).sum());
    let style = ProgressStyle::with_template("[{bar:30}] {bytes} of {total_bytes}, {msg}");
    bar.set_style(style.expect("a template"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _end = EndOnDrop(&progress);
            copy_all(&jobs, args, pause, &progress);
        });
        loop {
            progress.news.wait();
            // Before the look: what changes after the look sets it again.
            progress.news.clear();
            let (there, bytes, over) = progress.look();
            bar.set_message(format!("{there} of {} files", jobs.len()));
            bar.set_position(bytes);
            if over {
                break;
            }
        }
    });
    bar.finish_and_clear();

    let tally = progress.tally.into_inner();
    let Tally {
        copied,
        already_there,
        most_open,
        mut problems,
        ..
    } = tally;
    println!("  {copied} files copied and compared, at most {most_open} at once");
    println!("  {already_there} files were there already, and are equal");
    problems.sort_unstable();
    let missing = jobs.len() as u64 - copied - already_there;
    if STOP.is_set() {
        problems.push(format!(
            "stopped; {missing} of {} files are missing, and the same command copies them",
            jobs.len()
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Makes the folders, and lists the files to copy. What can not be copied is told to `progress`.
fn plan(source: &Path, target: &Path, progress: &Progress) -> Result<Vec<Job>, String> {
    let real = source.canonicalize().map_err(cannot("read", source))?;
    if !real.is_dir() {
        return Err(format!("{} is not a folder", source.display()));
    }
    if fs::metadata(target).is_ok_and(|it| !it.is_dir()) {
        return Err(format!(
            "{} is there already, and is not a folder",
            target.display()
        ));
    }
    // Where the target is, or will be.
    let absolute = path::absolute(target).map_err(cannot("find", target))?;
    let mut above = absolute.ancestors();
    if above
        .find_map(|it| it.canonicalize().ok())
        .is_some_and(|it| it.starts_with(&real))
    {
        return Err(format!("{} is in the folder to copy", target.display()));
    }

    let problem = |text| progress.tell(|tally| tally.problems.push(text));
    let mut jobs = Vec::new();
    let mut walk = WalkDir::new(source).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                problem(error.to_string());
                continue;
            }
        };
        let from = entry.path();
        let to = target.join(from.strip_prefix(source).expect("it is in there"));
        let kind = entry.file_type();
        // The root is a folder, even if it is named by a link.
        if kind.is_dir() || entry.depth() == 0 {
            if let Err(error) = prepare_folder(&to) {
                problem(error);
                walk.skip_current_dir();
            }
        } else if is_partial(from) {
            // Left behind by a copier that was killed: not a file of anybody's.
        } else if kind.is_file() {
            jobs.push(Job {
                bytes: entry.metadata().map_or(0, |it| it.len()),
                from: from.to_owned(),
                to,
            });
        } else {
            problem(format!(
                "{} is neither a file nor a folder: not copied",
                from.display()
            ));
        }
    }
    Ok(jobs)
}

/// Makes the folder, or removes what a copier that was killed has left in it.
fn prepare_folder(folder: &Path) -> Result<(), String> {
    if !folder.is_dir() {
        return fs::create_dir_all(folder).map_err(cannot("make", folder));
    }
    for entry in fs::read_dir(folder).map_err(cannot("read", folder))? {
        let path = entry.map_err(cannot("read", folder))?.path();
        if is_partial(&path) {
            fs::remove_file(&path).map_err(cannot("remove", &path))?;
        }
    }
    Ok(())
}

fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(PARTIAL.0.as_bytes()) && name.ends_with(PARTIAL.1.as_bytes())
}

fn copy_all(jobs: &[Job], args: &Args, pause: Duration, progress: &Progress) {
    let free = BoundedSemaphore::new(args.workers);
    thread::scope(|scope| {
        for job in jobs {
            // Acquired here, and not in the new thread: so there never is a thread that waits.
            let permit = free.guard();
            if STOP.is_set() {
                break;
            }
            scope.spawn(move || {
                let _permit = permit;
                progress.tell(|tally| {
                    tally.open += 1;
                    tally.most_open = tally.most_open.max(tally.open);
                });
                let done = copy(job, args, pause, progress);
                progress.tell(|tally| {
                    tally.open -= 1;
                    match done {
                        Ok(Done::Copied) => tally.copied += 1,
                        Ok(Done::AlreadyThere) => tally.already_there += 1,
                        Ok(Done::Stopped) => {}
                        Err(problem) => tally.problems.push(problem),
                    }
                });
            });
        }
    });
}

enum Done {
    Copied,
    AlreadyThere,
    Stopped,
}

fn copy(job: &Job, args: &Args, pause: Duration, progress: &Progress) -> Result<Done, String> {
    let Job { from, to, bytes } = job;
    let mut source = File::open(from).map_err(cannot("read", from))?;
    if let Ok(there) = fs::symlink_metadata(to) {
        if !there.is_file() {
            return Err(format!(
                "{} is there already, and is not a file",
                to.display()
            ));
        }
        if equal(from, to)? {
            progress.tell(|tally| tally.bytes += bytes);
            return Ok(Done::AlreadyThere);
        }
        if !args.overwrite {
            return Err(format!(
                "{} is there already, with other contents (--overwrite replaces it)",
                to.display()
            ));
        }
    }

    // Beside its place, as a file moves at once only within a file system. Removed when dropped.
    let folder = to.parent().expect("it is in the target");
    let mut partial = tempfile::Builder::new()
        .prefix(PARTIAL.0)
        .suffix(PARTIAL.1)
        .tempfile_in(folder)
        .map_err(cannot("write in", folder))?;
    let mut chunk = vec![0; args.chunk_bytes as usize];
    loop {
        let length = source.read(&mut chunk).map_err(cannot("read", from))?;
        if length == 0 {
            break;
        }
        let written = partial.write_all(&chunk[..length]);
        written.map_err(cannot("write", to))?;
        progress.tell(|tally| tally.bytes += length as u64);
        // A pause that Ctrl-C ends.
        if STOP.wait_timeout(pause) {
            return Ok(Done::Stopped);
        }
    }
    if !equal(from, partial.path())? {
        return Err(format!("{} changed while it was copied", from.display()));
    }
    let permissions = source
        .metadata()
        .map_err(cannot("read", from))?
        .permissions();
    let permitted = partial.as_file().set_permissions(permissions);
    permitted.map_err(cannot("write", to))?;
    let named = if args.overwrite {
        partial.persist(to)
    } else {
        // What has appeared there meanwhile is not overwritten either.
        partial.persist_noclobber(to)
    };
    named.map_err(|error| cannot("write", to)(error.error))?;
    Ok(Done::Copied)
}

/// Whether two files have the same bytes.
fn equal(one: &Path, other: &Path) -> Result<bool, String> {
    let open = |path| {
        File::open(path)
            .map(BufReader::new)
            .map_err(cannot("read", path))
    };
    let (mut first, mut second) = (open(one)?, open(other)?);
    loop {
        let a = first.fill_buf().map_err(cannot("read", one))?;
        let b = second.fill_buf().map_err(cannot("read", other))?;
        let length = a.len().min(b.len());
        if a[..length] != b[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(a.len() == b.len());
        }
        first.consume(length);
        second.consume(length);
    }
}

fn cannot(what: &str, path: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("cannot {what} {}: {error}", path.display())
}
