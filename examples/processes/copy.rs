//! A folder, copied with a process for each file, or by a pool that reports each file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use racefree::process::{BytesQueue, Shared, shared};
use tempfile::NamedTempFile;
use walkdir::WalkDir;

use crate::Outcome;
use crate::children::{Child, region};

/// How long a report is waited for before the workers are looked at.
const PIECE: Duration = Duration::from_millis(100);

/// How many processes run at once without a pool.
const AT_ONCE: usize = 16;

/// More than the longest path of the system.
const WORDS: usize = 1024;

shared! {
    struct Copies {
        /// What a worker is to copy, by its path in the folder; an empty one is the end.
        files: BytesQueue<WORDS>,
        /// What was copied, or, after a 0, why not.
        finished: BytesQueue<WORDS>,
    }
}

/// Copies a folder that is made for it.
pub(crate) fn show(each: bool, workers: u32) -> Outcome {
    let place = tempfile::tempdir()?;
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    for file in 0..20 {
        let folder = source.join((file % 4).to_string());
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(format!("file-{file}")),
            format!("{file} ").repeat(500),
        )?;
    }
    folder(&source, &target, each, workers)
}

pub(crate) fn folder(source: &Path, target: &Path, each: bool, workers: u32) -> Outcome {
    let mut files = Vec::new();
    for entry in WalkDir::new(source).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(entry.path().strip_prefix(source)?.to_owned());
        }
    }
    let all = files.len();
    let problems = if each {
        println!("{all} files, a process for each.");
        copy_each(source, target, &files)?
    } else {
        println!("{all} files, a pool of {workers}.");
        copy_by_pool(source, target, &files, workers)?
    };
    if problems == 0 {
        println!("Copied.\n");
        return Ok(());
    }
    Err(format!("{problems} of {all} files were not copied").into())
}

fn copy_each(source: &Path, target: &Path, files: &[PathBuf]) -> Outcome<usize> {
    let mut problems = 0;
    for some in files.chunks(AT_ONCE) {
        let start = |file| {
            let role = OsStr::new("copy-one");
            Child::start(&[role, source.join(file).as_ref(), target.join(file).as_ref()])
        };
        let children = some.iter().map(start).collect::<Outcome<Vec<_>>>()?;
        for mut child in children {
            // It has said why.
            problems += usize::from(child.join().is_err());
        }
    }
    Ok(problems)
}

fn copy_by_pool(source: &Path, target: &Path, files: &[PathBuf], workers: u32) -> Outcome<usize> {
    let copies = Shared::create(Copies {
        files: BytesQueue::new(),
        finished: BytesQueue::new(),
    })?;
    let role = [OsStr::new("copy-many"), source.as_ref(), target.as_ref()];
    let start = |_| Child::with(&role, &copies);
    let mut pool = (0..workers).map(start).collect::<Outcome<Vec<_>>>()?;
    let (mut given, mut done, mut problems) = (0, 0, 0);
    while done < files.len() {
        // As many as there is place for: the workers may wait until their reports are read.
        while given < files.len() {
            let file = files[given].as_os_str().as_bytes();
            if copies.files.put_nowait(file).is_err() {
                break;
            }
            given += 1;
        }
        let Ok(report) = copies.finished.get_timeout(PIECE) else {
            pool.iter_mut().try_for_each(Child::check)?;
            continue;
        };
        done += 1;
        let percent = 100 * done / files.len();
        match report.strip_prefix(&[0]) {
            None => println!(
                "  {percent:3} % {}",
                Path::new(OsStr::from_bytes(&report)).display()
            ),
            Some(why) => {
                problems += 1;
                println!("  {percent:3} % {}", String::from_utf8_lossy(why));
            }
        }
    }
    for _ in &pool {
        copies.files.put(&[])?;
    }
    pool.iter_mut().try_for_each(Child::join)?;
    Ok(problems)
}

pub(crate) fn one(source: &Path, target: &Path) -> Outcome {
    copy(source, target).map_err(|error| explain(source, &error).into())
}

pub(crate) fn many(source: &Path, target: &Path) -> Outcome {
    let copies = region::<Copies>()?;
    loop {
        let file = PathBuf::from(OsString::from_vec(copies.files.get()));
        if file.as_os_str().is_empty() {
            return Ok(());
        }
        match copy(&source.join(&file), &target.join(&file)) {
            Ok(()) => copies.finished.put(file.as_os_str().as_bytes())?,
            Err(error) => {
                let mut report = explain(&file, &error).into_bytes();
                report.insert(0, 0);
                copies.finished.put(&report)?;
            }
        }
    }
}

fn explain(file: &Path, error: &io::Error) -> String {
    format!("cannot copy {}: {error}", file.display())
}

/// Copies a file, and replaces none. The copy has its name only when it is whole, so a process that
/// is killed leaves none that is not.
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut source = File::open(source)?;
    let mut copy = NamedTempFile::new_in(folder)?;
    io::copy(&mut source, &mut copy)?;
    copy.as_file()
        .set_permissions(source.metadata()?.permissions())?;
    copy.persist_noclobber(target)?;
    Ok(())
}
