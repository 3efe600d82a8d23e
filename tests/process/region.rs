//! Regions: what is refused, and what a fork does.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use racefree::process::{
    Lock, LockError, MAX_PROCESSES, MAX_REGIONS, RegionError, Share, Shared, shared,
};

use crate::child::LIMIT;

shared! {
    struct One {
        lock: Lock,
        count: AtomicU32,
    }
}

shared! {
    /// The same fields, in another order.
    struct Two {
        count: AtomicU32,
        lock: Lock,
    }
}

shared! {
    struct Larger {
        lock: Lock,
        counts: [AtomicU64; 1000],
    }
}

fn one() -> Shared<One> {
    Shared::create(One {
        lock: Lock::new(),
        count: AtomicU32::new(7),
    })
    .unwrap()
}

#[track_caller]
fn refused<T: Share>(file: &impl AsFd) -> RegionError {
    match Shared::<T>::attach(file) {
        Ok(_) => panic!("it is attached"),
        Err(error) => error,
    }
}

/// A copy of a region's file.
fn copy(region: &impl AsFd, change: impl FnOnce(&mut Vec<u8>)) -> File {
    let from = File::from(region.as_fd().try_clone_to_owned().unwrap());
    let mut bytes = vec![0; from.metadata().unwrap().len() as usize];
    from.read_exact_at(&mut bytes, 0).unwrap();
    change(&mut bytes);
    let to = tempfile::tempfile().unwrap();
    to.write_all_at(&bytes, 0).unwrap();
    to
}

#[test]
fn what_is_in_it_is_shared() {
    let one = one();
    let same = Shared::<One>::attach(&one).unwrap();
    assert_eq!(same.count.fetch_add(1, Ordering::Relaxed), 7);
    assert_eq!(one.count.load(Ordering::Relaxed), 8);
    assert_ne!(&raw const one.lock, &raw const same.lock);
    let copied = Shared::<One>::attach(&copy(&one, |_| ())).unwrap();
    assert_eq!(copied.count.load(Ordering::Relaxed), 8);
}

#[test]
fn a_region_of_another_type_is_refused() {
    let one = one();
    assert!(matches!(refused::<Two>(&one), RegionError::Layout));
    assert!(matches!(refused::<Larger>(&one), RegionError::Size { .. }));
    assert!(matches!(
        refused::<Lock>(&one),
        RegionError::Layout | RegionError::Size { .. }
    ));
}

#[test]
fn a_file_that_is_no_region_is_refused() {
    let file = tempfile::tempfile().unwrap();
    assert!(matches!(
        refused::<One>(&file),
        RegionError::Size { found: 0, .. }
    ));
    file.write_all_at(&[1; 100_000], 0).unwrap();
    assert!(matches!(refused::<One>(&file), RegionError::Foreign));
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    assert!(matches!(refused::<One>(&null), RegionError::Size { .. }));
    let (writes, _reads) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(matches!(
        refused::<One>(&writes),
        RegionError::System { .. }
    ));
    let error = Shared::<One>::open("/nowhere").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot open the region's file: "),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(Shared::<One>::open(folder.path()).is_err());
}

#[test]
fn a_region_that_was_cut_off_is_refused() {
    let one = one();
    let whole = copy(&one, |_| ()).metadata().unwrap().len();
    for length in [0, 1, whole / 2, whole - 1, whole + 1, 2 * whole] {
        let cut = copy(&one, |bytes| bytes.resize(length as usize, 0));
        let error = refused::<One>(&cut);
        let RegionError::Size { found, expected } = error else {
            panic!("{length}: {error}")
        };
        assert_eq!((found, expected), (length, whole));
    }
}

/// Where the header is: it begins with "racefree" as a number.
fn header(bytes: &[u8]) -> usize {
    let magic = u64::from_be_bytes(*b"racefree").to_ne_bytes();
    bytes.windows(8).position(|eight| eight == magic).unwrap()
}

#[test]
fn a_header_that_is_wrong_is_refused() {
    let one = one();
    let flipped = |at: usize| {
        copy(&one, |bytes| {
            let at = header(bytes) + at;
            bytes[at] ^= 1;
        })
    };
    assert!(matches!(refused::<One>(&flipped(0)), RegionError::Foreign));
    assert!(matches!(
        refused::<One>(&flipped(8)),
        RegionError::Size { .. }
    ));
    assert!(matches!(refused::<One>(&flipped(16)), RegionError::Layout));
    let error = refused::<One>(&flipped(24));
    assert!(matches!(
        error,
        RegionError::Version {
            found: 0,
            expected: 1
        }
    ));
    assert_eq!(error.to_string(), "a region of version 0, not of version 1");
}

#[test]
fn an_anonymous_region_cannot_be_cut_off() {
    let one = one();
    assert!(one.as_file().unwrap().set_len(0).is_err());
}

#[test]
fn a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("region");
    let lock = Shared::create_at(&path, Lock::new()).unwrap();
    lock.acquire().unwrap();
    assert!(Shared::create_at(&path, Lock::new()).is_err(), "it exists");
    let same = Shared::<Lock>::open(&path).unwrap();
    assert_eq!(same.try_acquire(), Ok(false));
    fs::remove_file(&path).unwrap();
    lock.release().unwrap();
    assert_eq!(same.try_acquire(), Ok(true));
    let by_proc = format!("/proc/{}/fd/{}", process::id(), {
        use std::os::fd::AsRawFd;
        lock.as_fd().as_raw_fd()
    });
    assert!(Shared::<Lock>::open(by_proc).unwrap().locked());
}

#[test]
fn as_many_processes_as_there_are_slots() {
    // In a child: the process is attached to as many regions as it can be, and others test, too.
    if crate::child::role().is_none() {
        let lock = Shared::create(Lock::new()).unwrap();
        let test = "region::as_many_processes_as_there_are_slots";
        return crate::child::Child::start(test, "attaches", &lock).join();
    }
    assert_eq!(
        MAX_PROCESSES, MAX_REGIONS,
        "or the other limit is met first"
    );
    let parents = 1;
    let mut all: Vec<Shared<Lock>> = (parents..MAX_PROCESSES)
        .map(|_| crate::child::region())
        .collect();
    let error = Shared::<Lock>::attach(&std::io::stdin()).unwrap_err();
    assert!(matches!(error, RegionError::TooManyProcesses));
    let another = Shared::create(Lock::new()).unwrap();
    let error = Shared::create(Lock::new()).unwrap_err();
    assert!(matches!(error, RegionError::TooManyRegions));
    drop(another);
    all.pop();
    all.push(crate::child::region());
    all.last().unwrap().acquire().unwrap();
}

/// Runs `child` in the child of a fork. Returns its process id.
fn fork(child: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child makes system calls and uses atomics. What it allocates, glibc allows after a
    // fork of several threads. It ends without returning to the test.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
        // SAFETY: it ends the process, and runs nothing else.
        unsafe { libc::_exit(i32::from(!right.unwrap_or(false))) };
    }
    pid
}

#[track_caller]
fn ended_well(pid: libc::pid_t) {
    let limit = Instant::now() + LIMIT;
    let mut status = 0;
    // SAFETY: the call writes the status.
    while unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > limit {
            // SAFETY: the child of this test.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("the child of a fork hangs");
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(status, 0);
}

#[test]
fn the_child_of_a_fork_is_another_process() {
    let lock = Shared::create(Lock::new()).unwrap();
    lock.acquire().unwrap();
    let child = fork(|| {
        // The parent lives, and holds it.
        let tried = lock.try_acquire() == Ok(false);
        let not_owner = lock.repaired().is_err();
        tried && not_owner && lock.release().is_ok() && lock.acquire() == Ok(())
    });
    ended_well(child);
    // The child has died with it.
    assert_eq!(lock.try_acquire(), Err(LockError::OwnerDied(())));
}

#[test]
fn a_fork_does_not_keep_its_parent_alive() {
    let lock = Shared::create(Lock::new()).unwrap();
    // The first child holds the lock and forks; the second outlives it.
    let child = fork(|| {
        lock.acquire() == Ok(()) && {
            fork(|| {
                thread::sleep(Duration::from_secs(5));
                true
            }) > 0
        }
    });
    ended_well(child);
    let start = Instant::now();
    assert_eq!(lock.acquire_timeout(LIMIT), Err(LockError::OwnerDied(())));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "the second child lives"
    );
}
