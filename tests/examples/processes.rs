//! `processes`: children, what they share, and copies by processes.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::{assert_lines, command, number_before, output, stdout};

/// What a part prints.
fn part(arguments: &[&str]) -> String {
    stdout(&mut command("processes", arguments))
}

#[test]
fn sing_and_dance() {
    let text = part(&["sing-and-dance", "--pause-ms", "1"]);
    let mut performers = HashMap::<_, u32>::new();
    let parent = text.split_whitespace().nth(1).unwrap();
    for line in text.lines().filter(|line| line.starts_with("  process ")) {
        assert!(line.contains(&format!("child of {parent},")), "{text}");
        *performers
            .entry(line.split(',').next().unwrap())
            .or_default() += 1;
    }
    let mut times: Vec<_> = performers.into_values().collect();
    times.sort_unstable();
    assert_eq!(times, [2, 3], "{text}");
}

#[test]
fn join_and_kill() {
    assert_lines(
        &part(&["join", "--pause-ms", "1"]),
        &[
            "a join with a timeout: it sleeps on",
            "terminated, and not joined: a zombie, the system knows the process",
            "joined: ended by signal 15, the system knows no such process",
            "killed: ended by signal 9",
            "the handle of a daemon is dropped: the system knows no such process",
        ],
    );
}

#[test]
fn processes_share_nothing_but_regions() {
    assert_lines(
        &part(&["share-nothing"]),
        &[
            "in the child:  global 1, shared 1",
            "in the parent: global 0, shared 1",
        ],
    );
}

#[test]
fn forks_in_a_row() {
    assert_lines(
        &part(&["fork"]),
        &[
            "1 in a row: 2 processes",
            "2 in a row: 4 processes",
            "3 in a row: 8 processes",
        ],
    );
}

#[test]
fn a_queue_of_three() {
    assert_lines(
        &part(&["queue"]),
        &[
            "empty: true, a get without waiting: Err(Empty)",
            "after three puts: 3 in it, full: true",
            "a put without waiting: Err(Full)",
            "the child got [1, 2, 3, 4]",
            "at the end: 0 in it",
        ],
    );
}

#[test]
fn a_pool_of_three() {
    assert_lines(
        &part(&["pool"]),
        &[
            "apply: the square of 12 is 144",
            "apply_async: the squares of 1 to 10 are [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]",
            "closed and joined",
        ],
    );
}

#[test]
fn all_parts() {
    let text = part(&["--pause-ms", "1"]);
    assert_eq!(text.matches("Copied.").count(), 2, "{text}");
}

/// Copies 30 files, one of which is in the target already, with the option.
fn copy(options: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "a new/target"].map(|it| place.path().join(it));
    fs::create_dir_all(source.join("folder")).unwrap();
    fs::create_dir_all(&target).unwrap();
    for file in 0..30 {
        let folder = source.join(if file % 2 == 0 { "folder" } else { "." });
        fs::write(folder.join(file.to_string()), "x".repeat(file)).unwrap();
    }
    fs::write(target.join("7"), "mine").unwrap();
    let mut copier = command("processes", &["copy"]);
    let output = output(copier.args([&source, &target]).args(options));

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("1 of 30 files were not copied"), "{errors}");
    assert!((text + &errors).contains("7: File exists"), "{errors}");
    for file in 0..30 {
        let copied = target
            .join(if file % 2 == 0 { "folder" } else { "." })
            .join(file.to_string());
        let content = if file == 7 {
            "mine".into()
        } else {
            "x".repeat(file)
        };
        assert_eq!(fs::read_to_string(copied).unwrap(), content);
    }
    // And nothing that was begun.
    assert_eq!(fs::read_dir(&target).unwrap().count(), 16);
}

#[test]
fn a_process_for_each_file() {
    copy(&["--each"]);
}

#[test]
fn a_pool_copies() {
    copy(&["--workers", "3"]);
}

#[test]
fn the_percentage_rises_to_a_hundred() {
    let text = part(&["copy"]);
    let reports: Vec<_> = text.lines().filter(|line| line.contains(" % ")).collect();
    let files: HashSet<_> = reports
        .iter()
        .map(|line| line.split(" % ").nth(1))
        .collect();
    assert_eq!((reports.len(), files.len()), (20, 20), "{text}");
    let percent: Vec<_> = reports
        .iter()
        .map(|line| number_before(line, "%"))
        .collect();
    assert!(
        percent.is_sorted() && percent.last() == Some(&100),
        "{text}"
    );
}

#[test]
fn a_source_that_is_missing() {
    let output = output(&mut command(
        "processes",
        &["copy", "no such folder", "target"],
    ));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("no such folder"), "{errors}");
}
