//! The guide's tables leave out none of the public names of CPython's `threading`.

/// Of CPython 3.14: `threading.__all__`, what else is documented, and the members of its classes.
const NAMES: &[&str] = &[
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "Event",
    "ExceptHookArgs",
    "Lock",
    "RLock",
    "Semaphore",
    "TIMEOUT_MAX",
    "Thread",
    "ThreadError",
    "Timer",
    "activeCount",
    "active_count",
    "currentThread",
    "current_thread",
    "enumerate",
    "excepthook",
    "get_ident",
    "get_native_id",
    "getprofile",
    "gettrace",
    "local",
    "main_thread",
    "setprofile",
    "setprofile_all_threads",
    "settrace",
    "settrace_all_threads",
    "stack_size",
    // Thread
    "daemon",
    "getName",
    "ident",
    "isDaemon",
    "is_alive",
    "join",
    "name",
    "native_id",
    "run",
    "setDaemon",
    "setName",
    "start",
    // Lock, RLock, Semaphore
    "acquire",
    "locked",
    "release",
    // Condition
    "notify",
    "notifyAll",
    "notify_all",
    "wait",
    "wait_for",
    // Event
    "clear",
    "isSet",
    "is_set",
    "set",
    // Timer
    "cancel",
    // Barrier
    "abort",
    "broken",
    "n_waiting",
    "parties",
    "reset",
];

#[test]
fn each_name_has_its_row() {
    let guide = include_str!("../docs/guide.md");
    // What is set as code in the first column of the tables, in words: `Thread.join(timeout)` has
    // three.
    let words: Vec<_> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let missing: Vec<_> = NAMES.iter().filter(|it| !words.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
