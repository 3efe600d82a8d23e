//! Runs the examples, and looks at what they print.

use std::collections::{HashMap, HashSet};
use std::env;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use wait_timeout::ChildExt;

#[path = "examples/file_copier.rs"]
mod file_copier;
#[cfg(all(feature = "process", target_os = "linux"))]
#[path = "examples/processes.rs"]
mod processes;

/// The example `name`, which cargo builds beside this test, with `arguments`.
fn command(name: &str, arguments: &[&str]) -> Command {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        example.is_file(),
        "{} is missing: `cargo test` builds it, `cargo test --test` does not",
        example.display()
    );
    let mut command = Command::new(example);
    command.args(arguments);
    // What these ask for is asked for by the tests that mean it.
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the example, and fails if it hangs. What it prints has to fit into a pipe.
fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    end_of(command.spawn().unwrap())
}

/// Waits for a process, and fails if it hangs.
fn end_of(mut child: Child) -> Output {
    let ended = child.wait_timeout(Duration::from_secs(60)).unwrap();
    if ended.is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(ended.is_some(), "hangs: {output:?}");
    output
}

/// What the example prints when all goes well.
fn stdout(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails unless `lines` are lines of `text`, in this order.
#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    let mut rest = text.lines();
    for line in lines {
        assert!(rest.any(|it| it.trim() == *line), "no {line:?} in\n{text}");
    }
}

/// The number before `word`.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words.iter().position(|&it| it == word).unwrap();
    words[at - 1].parse().unwrap()
}

#[test]
fn counter_race() {
    let arguments = ["--adds", "20000", "--threads", "3"];
    let arguments = [&arguments[..], &["--decrementers", "20", "--pause-ms", "1"]].concat();
    let text = stdout(&mut command("counter_race", &arguments));
    assert_lines(
        &text,
        &[
            "3 threads add 1, 20000 times each.",
            "20 threads each read n, pause 1ms, and write n - 1.",
            "n = 10",
            "n = 0",
        ],
    );
    let with: Vec<_> = text.lines().filter(|it| it.contains("with a")).collect();
    assert!(with[0].contains("60000 of 60000, 0 lost"), "{text}");
    assert!(with[1].contains("from 20 to 0"), "{text}");
}

#[test]
fn counter_race_loses_updates() {
    let arguments = ["--decrementers", "1", "--threads", "4"];
    let loses = || {
        let text = stdout(&mut command("counter_race", &arguments));
        let without = text.lines().find(|it| it.contains("without")).unwrap();
        number_before(without, "lost") > 0
    };
    // Once may go well by accident.
    assert!((0..10).any(|_| loses()));
}

#[test]
fn counter_race_in_turn_loses_nothing() {
    let arguments = ["--adds", "5000", "--threads", "3", "--decrementers", "1"];
    let text = stdout(&mut command("counter_race", &arguments));
    assert!(
        text.contains("  each joined before the next: 15000 of 15000, 0 lost ("),
        "{text}"
    );
}

#[test]
fn toilet_semaphore() {
    let arguments = ["--people", "9", "--stalls", "4,2", "--stay-ms", "20"];
    let text = stdout(&mut command("toilet_semaphore", &arguments));
    for (run, stalls) in text.split("\n\n").zip([4, 2]) {
        assert_lines(
            run,
            &[
                &format!("9 people, {stalls} stalls: whoever finds them all taken waits."),
                "Done: 9 of 9 people.",
                &format!("Free stalls: {stalls}."),
                "A release too many: Semaphore released too many times.",
                &format!("Free stalls: {stalls}."),
            ],
        );
        for step in ["enters", "leaves"] {
            let mut people: Vec<_> = run
                .lines()
                .filter(|it| it.contains(step))
                .map(|it| number_before(it, step))
                .collect();
            people.sort_unstable();
            assert_eq!(people, (1..=9).collect::<Vec<_>>(), "{step}:\n{run}");
        }
        let most = run
            .lines()
            .filter(|it| it.ends_with("inside"))
            .map(|it| number_before(it, "inside"))
            .max()
            .unwrap();
        assert!((1..=stalls).contains(&most), "{run}");
        assert_lines(run, &[&format!("Most inside at once: {most} of {stalls}.")]);
    }
    assert_eq!(text.matches("Done").count(), 2);
}

const LIGHT: [&str; 8] = [
    "--cars",
    "5",
    "--cycles",
    "2",
    "--green-ms",
    "200",
    "--red-ms",
    "400",
];

#[test]
fn traffic_light() {
    let text = stdout(&mut command("traffic_light", &LIGHT));
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(text.ends_with("\n5 of 5 waiting cars went, however short the green was.\n"));

    // How often the light was green until now, and when each waiting car began to wait.
    let mut greens = 0;
    let mut waiting = HashMap::new();
    let mut steps = Vec::new();
    for line in text.lines().filter(|it| it.contains(" s ")) {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        match words[..] {
            ["green", "set():", ..] => greens += 1,
            ["red", "clear():", ..] => {}
            ["red", "set(),", "clear():", ..] => {
                assert_eq!(waiting.len(), 5, "{text}");
                greens += 1;
            }
            ["green", "car", car, "drives"] => {
                assert!(!waiting.contains_key(car), "drives while it waits:\n{text}");
            }
            ["red", "car", car, "waits"] => {
                assert_eq!(waiting.insert(car, greens), None, "waits twice:\n{text}");
            }
            [_, "car", car, "goes"] => {
                let since = waiting.remove(car).expect("a car that waited");
                assert!(greens > since, "goes on red:\n{text}");
            }
            _ => panic!("{line:?}"),
        }
        steps.push(words[words.len() - 1]);
    }
    assert_eq!(greens, 3);
    assert!(waiting.is_empty(), "{text}");
    for step in ["drives", "waits", "goes"] {
        assert!(steps.contains(&step), "{text}");
    }
}

#[test]
fn traffic_light_has_colors_unless_they_are_unwanted() {
    let mut colored = command("traffic_light", &LIGHT);
    colored.env("CLICOLOR_FORCE", "1");
    assert!(stdout(&mut colored).contains("\x1b["));
    assert!(!stdout(colored.env("NO_COLOR", "1")).contains('\x1b'));
}

#[test]
fn recursive_lock() {
    let text = stdout(&mut command(
        "recursive_lock",
        &["--threads", "4", "--hold-ms", "5"],
    ));
    // Each thread's three lines are together, for the lock is its own from the first to the last.
    let lines: Vec<_> = text.lines().filter(|it| it.contains("  thread ")).collect();
    assert_eq!(lines.len(), 12, "{text}");
    for lines in lines.chunks(3) {
        let thread = lines[0].split_whitespace().nth(1);
        let owner = lines[0].split_whitespace().find(|it| it.contains("owner="));
        for (line, count) in lines.iter().zip([1, 2, 1]) {
            assert_eq!(line.split_whitespace().nth(1), thread, "{text}");
            assert!(line.contains(owner.unwrap()), "{text}");
            assert!(
                line.contains(&format!("recursion_count {count} ")),
                "{text}"
            );
        }
    }
    assert!(text.contains("\nAll done: <unlocked racefree::RLock owner=0 at "));
    assert_lines(
        &text,
        &[
            "cannot release un-acquired lock",
            "not acquired within 100 ms",
        ],
    );
}

#[test]
fn bounded_buffer() {
    let arguments = ["--producers", "3", "--consumers", "2", "--items", "40"];
    let arguments = [&arguments[..], &["--room", "3", "--consume-ms", "0"]].concat();
    let text = stdout(&mut command("bounded_buffer", &arguments));
    // What is in the buffer after each step, and what went in and out.
    let mut inside = std::collections::VecDeque::new();
    let mut out = Vec::new();
    for line in text.lines().filter(|it| it.contains('[')) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..2] {
            ["+", item] => inside.push_back(item),
            ["-", item] => {
                assert_eq!(inside.pop_front(), Some(item), "{text}");
                out.push(item.parse::<u32>().unwrap());
            }
            _ => panic!("{line:?}"),
        }
        assert!(inside.len() <= 3, "{text}");
        assert_eq!(words[3], inside.len().to_string(), "{text}");
    }
    out.sort_unstable();
    assert_eq!(out, (1..=120).collect::<Vec<_>>());
    assert_lines(
        &text,
        &[
            "3 producers of 40 items each, 2 consumers, room for 3.",
            "Done: 120 items; their sum is 7260, as it should be 7260.",
        ],
    );
}

#[test]
fn starting_gate() {
    let arguments = ["--runners", "4", "--races", "3", "--walk-ms", "40"];
    let text = stdout(&mut command("starting_gate", &arguments));
    let mut at_the_gate = 0;
    let mut race = 0;
    for line in text.lines().filter(|it| it.contains("gate")) {
        if line.contains("the gate opens") {
            race += 1;
            assert_eq!(line, format!("  the gate opens: race {race}"));
            assert_eq!(at_the_gate, 4, "{text}");
            at_the_gate = 0;
        } else {
            at_the_gate += 1;
        }
    }
    assert_eq!((race, at_the_gate), (3, 0), "{text}");
    assert_lines(
        &text,
        &[
            "3 of 3 runners are told:",
            "the barrier is broken: a wait timed out",
            "after a reset: broken is false",
        ],
    );
}

#[test]
fn threads_at_the_same_time() {
    let run = || {
        let start = Instant::now();
        let text = stdout(&mut command(
            "threads",
            &["sing-and-dance", "--pause-ms", "100"],
        ));
        (text, start.elapsed())
    };
    let (text, _) = run();
    let position = |line: &str| {
        text.find(line)
            .unwrap_or_else(|| panic!("no {line}: {text}"))
    };
    for (what, times) in [("sings", 5), ("dances", 3)] {
        let lines: Vec<_> = (1..=times)
            .map(|time| position(&format!("  {what} {time} of {times}\n")))
            .collect();
        assert!(lines.is_sorted(), "{text}");
    }
    // Each of them begins before the other one ends.
    assert!(position("sings 1") < position("dances 3"), "{text}");
    assert!(position("dances 1") < position("sings 5"), "{text}");
    assert!(text.contains("\nTogether: "), "{text}");
    assert!(text.contains("; one after the other: 800"), "{text}");
    // A busy machine may take longer once.
    let together = |(_, time)| time < Duration::from_millis(790);
    assert!((0..10).any(|_| together(run())));
}

#[test]
fn threads_with_arguments() {
    let text = stdout(&mut command("threads", &["arguments", "--pause-ms", "1"]));
    assert_lines(
        &text,
        &[
            "sings 1 of 2",
            "sings 2 of 2",
            "dances: name waltz, count 3, loud false",
            "the dancer counted 9 steps",
        ],
    );
}

#[test]
fn threads_with_names() {
    let text = stdout(&mut command("threads", &["names", "--pause-ms", "20"]));
    let (mut names, mut identities): (Vec<_>, HashSet<_>) = text
        .lines()
        .filter_map(|it| it.trim().split_once(" is ThreadId("))
        .unzip();
    // The order is the scheduler's.
    names.sort_unstable();
    let expected = "main nameless worker-1 worker-2 worker-3 worker-4 worker-5";
    assert_eq!(names.join(" "), expected, "{text}");
    assert_eq!(identities.len(), 7, "{text}");
    assert!(identities.remove("1)"), "main's: {text}");
}

#[test]
fn threads_joined() {
    let text = stdout(&mut command("threads", &["join", "--pause-ms", "200"]));
    assert_lines(
        &text,
        &[
            "A thread works for 600ms.",
            "not joined after 200ms: main goes on",
            "the thread is done",
            "the event says that it has ended",
            "joined",
        ],
    );
}

/// What `daemon_thread` prints when main does `end`, and how many lines the thread got to print.
fn daemon_thread(end: &str, lines: &str) -> (String, usize) {
    let arguments = [
        end,
        "--lines",
        lines,
        "--pause-ms",
        "20",
        "--leave-ms",
        "150",
    ];
    let text = stdout(&mut command("daemon_thread", &arguments));
    let printed = text.matches(&format!(" of {lines}\n")).count();
    (text, printed)
}

#[test]
fn daemon_thread_that_is_waited_for() {
    let (text, printed) = daemon_thread("wait", "20");
    assert_eq!(printed, 20, "{text}");
    assert_lines(
        &text,
        &["line 20 of 20", "the thread tidies its desk", "joined"],
    );
}

#[test]
fn daemon_thread_that_is_stopped() {
    let (text, printed) = daemon_thread("stop", "1000");
    assert!((1..1000).contains(&printed), "{text}");
    assert_lines(
        &text,
        &[
            "line 1 of 1000",
            "the thread was told to stop",
            "the thread tidies its desk",
            "joined",
        ],
    );
}

#[test]
fn daemon_thread_that_is_left() {
    let (text, printed) = daemon_thread("leave", "1000");
    assert!((1..1000).contains(&printed), "{text}");
    assert!(!text.contains("tidies"), "{text}");
    assert!(!text.contains("joined"), "{text}");
}

#[test]
fn stop_thread() {
    let start = Instant::now();
    let text = stdout(&mut command("stop_thread", &["--run-ms", "120"]));
    // None of the three would end by itself.
    assert!(start.elapsed() < Duration::from_secs(10), "{text}");
    let rounds: Vec<_> = text
        .lines()
        .filter(|it| it.contains(" after it was asked"))
        .map(|it| number_before(it, "rounds,"))
        .collect();
    let [busy, sleeping, waiting] = rounds[..] else {
        panic!("{text}");
    };
    assert!(busy > 0, "{text}");
    assert_eq!(sleeping, 0, "{text}");
    assert!((1..=4).contains(&waiting), "{text}");
    assert!(
        text.contains("\n  coins: 100; the lock: <unlocked racefree::Lock at "),
        "{text}"
    );
}

#[test]
fn stop_thread_never_between_two_purses() {
    // Half of the moments at which it could be stopped would be wrong.
    for _ in 0..20 {
        let text = stdout(&mut command("stop_thread", &["busy", "--run-ms", "2"]));
        assert!(text.contains("  coins: 100; "), "{text}");
    }
}

#[test]
fn help_tells_the_options() {
    for (name, option) in [
        ("counter_race", "--decrementers <DECREMENTERS>"),
        ("toilet_semaphore", "--stalls <STALLS>"),
        ("traffic_light", "--green-ms <GREEN_MS>"),
        ("recursive_lock", "--threads <THREADS>"),
        ("bounded_buffer", "--room <ROOM>"),
        ("starting_gate", "--runners <RUNNERS>"),
        ("threads", "sing-and-dance"),
        ("daemon_thread", "--leave-ms <LEAVE_MS>"),
        ("stop_thread", "--run-ms <RUN_MS>"),
        ("file_copier", "--workers <WORKERS>"),
    ] {
        let help = stdout(&mut command(name, &["--help"]));
        assert!(help.contains(option), "{help}");
    }
}

#[test]
fn bad_arguments_are_refused() {
    for (name, arguments, reason) in [
        (
            "counter_race",
            &["--threads", "0"][..],
            "0 is not in 1..=100",
        ),
        ("counter_race", &["--adds", "many"], "invalid digit found"),
        (
            "toilet_semaphore",
            &["--stalls", "5,0"],
            "0 is not in 1..=50",
        ),
        ("traffic_light", &["--cars", "101"], "101 is not in 1..=100"),
        ("recursive_lock", &["--hold", "1"], "unexpected argument"),
        ("bounded_buffer", &["--room", "0"], "0 is not in 1..=1000"),
        ("starting_gate", &["--runners", "1"], "1 is not in 2..=100"),
        ("threads", &["sleep"], "invalid value"),
        ("daemon_thread", &["kill"], "invalid value"),
        ("stop_thread", &["--run-ms", "0"], "0 is not in 1..=60000"),
        ("file_copier", &["--workers", "0"], "0 is not in 1..=256"),
        ("file_copier", &["--fast"], "unexpected argument"),
    ] {
        let Output {
            status,
            stdout,
            stderr,
        } = output(&mut command(name, arguments));
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stdout.is_empty());
        assert!(stderr.contains(reason), "{stderr}");
        assert!(stderr.contains(arguments[0]), "{stderr}");
    }
}
