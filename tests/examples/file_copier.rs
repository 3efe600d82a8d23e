//! `file_copier`: copies, compares, reports, and leaves nothing by halves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use walkdir::WalkDir;

use super::{assert_lines, command, end_of, output, stdout};

const EVERYTHING_THERE: &str = "1000 files were there already, and are equal";

/// A folder of a thousand files, up to three chunks long, and where to copy it.
fn thousand_files() -> (TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "a new/target"].map(|it| place.path().join(it));
    for file in 0..1000 {
        let folder = source.join(format!("{}/{}", file % 5, file % 25));
        fs::create_dir_all(&folder).unwrap();
        let content = format!("{file},").repeat(file * 3 / 4);
        fs::write(folder.join(format!("file-{file}")), content).unwrap();
    }
    fs::create_dir(source.join("empty")).unwrap();
    (place, source, target)
}

/// What is in a folder: the bytes of each file, and nothing for a folder.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    WalkDir::new(folder)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let content = entry.file_type().is_file().then(|| fs::read(entry.path()));
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, content.map(Result::unwrap))
        })
        .collect()
}

#[track_caller]
fn assert_equal(source: &Path, target: &Path) {
    let (source, target) = (tree(source), tree(target));
    assert!(source.keys().eq(target.keys()), "{:?}", target.keys());
    assert!(source == target, "same names, other contents");
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "partial")
}

/// How many files there are, whole and partial. They may come and go meanwhile.
fn count(folder: &Path) -> [usize; 2] {
    let mut counts = [0, 0];
    for entry in WalkDir::new(folder).into_iter().flatten() {
        if entry.file_type().is_file() {
            counts[usize::from(is_partial(entry.path()))] += 1;
        }
    }
    counts
}

fn copier(source: &Path, target: &Path, options: &[&str]) -> Command {
    let mut command = command("file_copier", options);
    command.arg(source).arg(target);
    command
}

/// The exit code, and what is on standard error.
fn failure(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = output(command);
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn shows_itself() {
    let text = stdout(&mut command("file_copier", &["--pause-ms", "1"]));
    assert_lines(
        &text,
        &[
            "The first run:",
            "60 files copied and compared, at most 4 at once",
            "0 files were there already, and are equal",
            "The second run:",
            "60 files were there already, and are equal",
        ],
    );
    assert!(text.contains("\n  0 files copied and compared"), "{text}");
}

#[test]
fn copies_a_thousand_files_and_then_none() {
    let (_place, source, target) = thousand_files();
    // `stdout` fails if there is anything on standard error: no progress in a pipe.
    let text = stdout(&mut copier(&source, &target, &[]));
    assert!(text.contains("  1000 files copied and compared"), "{text}");
    assert_equal(&source, &target);

    let text = stdout(&mut copier(&source, &target, &[]));
    assert!(text.contains("  0 files copied and compared"), "{text}");
    assert_lines(&text, &[EVERYTHING_THERE]);
}

#[test]
fn never_opens_more_files_than_there_are_workers() {
    let (_place, source, target) = thousand_files();
    let source = source.join("2");
    let text = stdout(&mut copier(
        &source,
        &target,
        &["--workers", "3", "--pause-ms", "1"],
    ));
    assert_lines(&text, &["200 files copied and compared, at most 3 at once"]);
    assert_equal(&source, &target);
}

/// Starts to copy, and comes back in the middle of it.
fn begin(source: &Path, target: &Path) -> Child {
    let mut slow = copier(source, target, &["--workers", "8", "--pause-ms", "5"]);
    slow.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = slow.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while count(target)[0] < 100 {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        assert_eq!(child.try_wait().unwrap(), None, "was too fast, or hung");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Fails unless all files of the target, but for partial ones, are as in the source.
#[track_caller]
fn assert_whole(source: &Path, target: &Path) {
    let source = tree(source);
    for (path, content) in tree(target) {
        if !is_partial(&path) {
            assert!(source[&path] == content, "half of {path:?}");
        }
    }
}

#[test]
fn killed_in_the_middle_and_run_again() {
    let (_place, source, target) = thousand_files();
    let mut child = begin(&source, &target);
    child.kill().unwrap();
    child.wait().unwrap();

    let [whole, partial] = count(&target);
    assert!(whole < 1000);
    assert!((1..=8).contains(&partial), "{partial}");
    assert_whole(&source, &target);

    let text = stdout(&mut copier(&source, &target, &[]));
    assert_lines(
        &text,
        &[&format!("{whole} files were there already, and are equal")],
    );
    assert_equal(&source, &target);
}

/// Ctrl-C.
#[cfg(unix)]
fn interrupt(child: &Child) {
    // SAFETY: a signal to a child that has not been waited for.
    let sent = unsafe { libc::kill(child.id().try_into().unwrap(), libc::SIGINT) };
    assert_eq!(sent, 0);
}

#[cfg(unix)]
#[test]
fn stopped_in_the_middle_and_run_again() {
    let (_place, source, target) = thousand_files();
    let child = begin(&source, &target);
    interrupt(&child);
    let Output { status, stderr, .. } = end_of(child);
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(130), "{stderr}");

    let [whole, partial] = count(&target);
    assert_eq!(partial, 0, "left behind");
    assert_eq!(
        stderr,
        format!(
            "file_copier: stopped; {} of 1000 files are missing, and the same command copies them\n",
            1000 - whole
        )
    );
    assert_whole(&source, &target);

    stdout(&mut copier(&source, &target, &[]));
    assert_equal(&source, &target);
}

#[cfg(unix)]
#[test]
fn stopped_in_the_middle_of_a_file() {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), [7; 3000]).unwrap();
    // More than an hour.
    let mut slow = copier(
        &source,
        &target,
        &["--chunk-bytes", "1", "--pause-ms", "2000"],
    );
    slow.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = slow.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while count(&target) != [0, 1] {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        assert_eq!(child.try_wait().unwrap(), None, "has not begun");
        thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    assert_eq!(end_of(child).status.code(), Some(130));
    assert_eq!(count(&target), [0, 0], "left behind");
}

#[test]
fn what_cannot_begin_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = |name| place.path().join(name);
    fs::create_dir_all(path("source/folder")).unwrap();
    fs::write(path("source/file"), "old").unwrap();
    let before = tree(place.path());
    for (source, target, problem) in [
        ("none", "target", "cannot read PLACE/none: "),
        ("source/file", "target", "PLACE/source/file is not a folder"),
        (
            "source",
            "source/file",
            "PLACE/source/file is there already, and is not a folder",
        ),
        (
            "source",
            "source/folder/new/newer",
            "PLACE/source/folder/new/newer is in the folder to copy",
        ),
        ("source", "source", "PLACE/source is in the folder to copy"),
    ] {
        let (code, stderr) = failure(&mut copier(&path(source), &path(target), &[]));
        assert_eq!(code, Some(1), "{stderr}");
        let problem = problem.replace("PLACE", place.path().to_str().unwrap());
        assert!(
            stderr.starts_with(&format!("file_copier: {problem}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!(tree(place.path()), before);
    }
}

#[test]
fn what_is_there_already_is_kept_unless_told_otherwise() {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    for folder in [&source, &target] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("same"), "same").unwrap();
    }
    fs::write(source.join("file"), "new").unwrap();
    fs::write(source.join("other"), "other").unwrap();
    fs::write(target.join("file"), "old").unwrap();
    fs::write(target.join("mine"), "mine").unwrap();

    let (code, stderr) = failure(&mut copier(&source, &target, &[]));
    assert_eq!(code, Some(1), "{stderr}");
    let problem = "is there already, with other contents (--overwrite replaces it)";
    let file = target.join("file");
    assert_eq!(
        stderr,
        format!("file_copier: {} {problem}\n", file.display())
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(fs::read_to_string(target.join("other")).unwrap(), "other");

    let text = stdout(&mut copier(&source, &target, &["--overwrite"]));
    assert_lines(&text, &["2 files were there already, and are equal"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::read_to_string(target.join("mine")).unwrap(), "mine");
    assert_eq!(count(&target), [4, 0]);
}

#[test]
fn a_folder_where_a_file_should_go() {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "file").unwrap();
    fs::create_dir_all(target.join("file")).unwrap();
    let (code, stderr) = failure(&mut copier(&source, &target, &["--overwrite"]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.ends_with("file is there already, and is not a file\n"),
        "{stderr}"
    );
}

#[test]
fn leftovers_of_a_killed_copier_are_not_copied() {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|it| place.path().join(it));
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join(".file_copier-a1b2c3.partial"), "half").unwrap();
    fs::write(source.join("mine.partial"), "whole").unwrap();
    stdout(&mut copier(&source, &target, &[]));
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    assert!(target.join("mine.partial").is_file());
}

#[cfg(unix)]
mod on_unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn permissions_are_copied_and_links_are_not() {
        let place = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "target"].map(|it| place.path().join(it));
        fs::create_dir_all(&source).unwrap();
        for (name, mode) in [("open", 0o644), ("run", 0o755), ("secret", 0o400)] {
            fs::write(source.join(name), name).unwrap();
            fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("open", source.join("link")).unwrap();

        let (code, stderr) = failure(&mut copier(&source, &target, &[]));
        assert_eq!(code, Some(1), "{stderr}");
        let link = source.join("link");
        assert_eq!(
            stderr,
            format!(
                "file_copier: {} is neither a file nor a folder: not copied\n",
                link.display()
            )
        );
        fs::remove_file(link).unwrap();
        assert_equal(&source, &target);
        for name in ["open", "run", "secret"] {
            assert_eq!(mode(&source.join(name)), mode(&target.join(name)), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_is_copied() {
        let (_place, source, target) = thousand_files();
        let file = source.join("3/13/file-413");
        let folder = source.join("1/11");
        for path in [&file, &folder] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        let (code, stderr) = failure_without_privileges(&mut copier(&source, &target, &[]));
        for path in [&file, &folder] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(code, Some(1), "{stderr}");
        assert_eq!(stderr.matches("ermission denied").count(), 2, "{stderr}");
        assert!(
            stderr.contains(&format!("cannot read {}: Permission", file.display())),
            "{stderr}"
        );
        assert!(
            stderr.contains(&format!("{}: Permission", folder.display())),
            "{stderr}"
        );
        // Those of the folder, and the file, and nothing by half.
        assert_eq!(count(&target), [1000 - 40 - 1, 0]);
        assert_whole(&source, &target);

        stdout(&mut copier(&source, &target, &[]));
        assert_equal(&source, &target);
    }

    /// Root may read everything: the copier shall not.
    fn failure_without_privileges(command: &mut Command) -> (Option<i32>, String) {
        thread::scope(|scope| {
            let run = scope.spawn(|| {
                #[cfg(target_os = "linux")]
                {
                    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
                    // For this thread and what it starts. Nobody but root may, and need.
                    for capability in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH]
                    {
                        let _ = remove_capability_from_bounding_set(capability);
                    }
                }
                failure(command)
            });
            run.join().unwrap()
        })
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn shows_its_progress_on_a_terminal() {
        let (_place, source, target) = thousand_files();
        let mut ours = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = Path::new(OsStr::from_bytes(name.as_bytes()));
        let theirs = File::options().read(true).write(true).open(theirs).unwrap();

        let mut command = copier(&source, &target, &["--pause-ms", "2"]);
        command
            .env("TERM", "xterm")
            .stdout(Stdio::null())
            .stderr(theirs);
        let child = command.spawn().unwrap();
        // It holds the terminal's other end as well: reading ends with the last of them.
        drop(command);
        let reader = thread::spawn(move || {
            let mut shown = Vec::new();
            let error = ours.read_to_end(&mut shown).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
            String::from_utf8(shown).unwrap()
        });
        assert!(end_of(child).status.success());
        let shown = reader.join().unwrap();
        let counts: BTreeSet<u32> = shown
            .split(" of 1000 files")
            .filter_map(|it| it.split(' ').next_back()?.parse().ok())
            .collect();
        assert!(counts.len() >= 5, "{counts:?} in {shown:?}");
        assert!(counts.iter().all(|it| *it <= 1000), "{counts:?}");
        assert!(shown.contains('█'), "{shown:?}");
        assert_equal(&source, &target);
    }

    #[test]
    fn a_copy_that_is_not_equal_is_not_kept() {
        // Each read of this file gives other bytes.
        let source = Path::new("/proc/sys/kernel/random");
        if !source.join("uuid").is_file() {
            return;
        }
        let target = tempfile::tempdir().unwrap();
        let (code, stderr) = failure(&mut copier(source, target.path(), &[]));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("random/uuid changed while it was copied\n"),
            "{stderr}"
        );
        assert!(!target.path().join("uuid").exists());
        assert!(target.path().join("boot_id").is_file());
        assert_eq!(count(target.path())[1], 0, "left behind");
    }
}
