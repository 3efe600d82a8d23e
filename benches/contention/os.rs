//! What the system has to be asked: which cores, and who sleeps.

/// Whether threads can be bound to cores here.
pub(crate) const PINS: bool = cfg!(target_os = "linux");

/// Whether a thread can be given a lower priority than others here.
pub(crate) const PRIORITIES: bool = cfg!(target_os = "linux");

/// How many cores this thread may use.
#[cfg(target_os = "linux")]
pub(crate) fn cores() -> usize {
    allowed().len()
}

/// Binds this thread, and those that it starts, to one of the cores that it may use.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) {
    let core = allowed()[core];
    // SAFETY: all zeroes is a set of no cores; the core is one that the kernel named, so it is
    // within the set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    // SAFETY: all zeroes is a set of no cores, which the kernel fills in as far as it is told that
    // it goes.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
        set
    };
    let cores = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: within the set.
    cores
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect()
}

/// Lowers the priority of this thread, and of those that it starts. It cannot be raised again.
#[cfg(target_os = "linux")]
pub(crate) fn nice(by: i32) {
    // SAFETY: it takes numbers alone. 0 is this thread, as a thread is what Linux gives a priority.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, by) };
    assert_eq!(result, 0, "a lower priority is refused");
}

/// The processor's name; and as names are vague (each `AMD EPYC` is another), its numbers.
#[cfg(target_os = "linux")]
pub(crate) fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of_first = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.trim() == name);
        found
            .map_or("unknown", |(_, value)| value.trim())
            .to_string()
    };
    format!(
        "{}, {}, family {}, model {}, stepping {}",
        of_first("model name"),
        std::env::consts::ARCH,
        of_first("cpu family"),
        of_first("model"),
        of_first("stepping")
    )
}

#[cfg(target_os = "linux")]
pub(crate) fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// Returns once all threads but this one sleep.
#[cfg(target_os = "linux")]
pub(crate) fn until_all_others_sleep(_threads: usize) {
    use std::fs;
    use std::time::Duration;

    let asleep = |task: std::io::Result<fs::DirEntry>| {
        // `1234 (name) S ...`, where the name may hold anything; and a thread may have ended.
        let stat = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
        stat.map_or(true, |stat| {
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"))
        })
    };
    loop {
        let tasks = fs::read_dir("/proc/self/task").expect("the list of threads");
        // This one is awake.
        if tasks.map(asleep).filter(|asleep| !asleep).take(2).count() < 2 {
            return;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_core: usize) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn nice(_by: i32) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn processor() -> String {
    std::env::consts::ARCH.to_string()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn kernel() -> String {
    std::env::consts::OS.to_string()
}

/// Nobody tells: they have the time that they should need.
#[cfg(not(target_os = "linux"))]
pub(crate) fn until_all_others_sleep(threads: usize) {
    use std::time::Duration;

    std::thread::sleep(Duration::from_millis(20) + Duration::from_micros(50) * threads as u32);
}
