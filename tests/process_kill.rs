//! A process that is killed in the middle of an operation, at each instruction.
//!
//! A child runs an operation, one instruction after the other (`PTRACE_SINGLESTEP`). Once it runs to
//! the end, and after each instruction the bytes of the region are compared. Then a new child, with a
//! new region, is killed after each instruction that changed a byte, and before it. What lies between
//! two changes leaves the same bytes, so that the others cannot tell these deaths apart.
//! `RACEFREE_KILLS=all` kills at each instruction nevertheless, and `RACEFREE_KILLS=7` at every
//! seventh.
//!
//! After each death, the operations of the survivor end within a second, and what they find is the
//! state before the operation or after it.
#![cfg(all(feature = "process", target_os = "linux", not(racefree_parking)))]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, ptr};

use racefree::process::{
    Barrier, BarrierError, BoundedSemaphore, BytesQueue, Condition, Event, Lock, LockError, Queue,
    RLock, Semaphore, Shared, Value, shared,
};

shared! {
    struct All {
        lock: Lock,
        rlock: RLock,
        semaphore: Semaphore,
        bounded: BoundedSemaphore,
        event: Event,
        condition: Condition,
        alone: Barrier,
        pair: Barrier,
        queue: Queue<[u32; 3], 2>,
        bytes: BytesQueue<6>,
        value: Value<[u64; 3]>,
    }
}

impl All {
    fn new() -> Self {
        Self {
            lock: Lock::new(),
            rlock: RLock::new(),
            semaphore: Semaphore::new(0),
            bounded: BoundedSemaphore::new(2),
            event: Event::new(),
            condition: Condition::new(),
            alone: Barrier::new(1),
            pair: Barrier::new(2),
            queue: Queue::new(),
            bytes: BytesQueue::new(),
            value: Value::new([1; 3]),
        }
    }
}

type Region = Shared<All>;

/// What survivors wait for at most.
const SECOND: Duration = Duration::from_secs(1);

/// What a child is given to sleep, where its operation does.
const SHORT: Duration = Duration::from_millis(2);

/// All kills of this run.
static KILLS: AtomicU64 = AtomicU64::new(0);

/// One operation.
struct Operation {
    /// Runs before it, in the survivor.
    prepare: fn(&Region),
    /// Runs before it, in the child.
    before: fn(&Region),
    /// The operation.
    run: fn(&Region),
    /// Runs in another thread of the survivor meanwhile, and blocks.
    waiter: Option<fn(&Region)>,
    /// Runs after it, in the survivor, with whether the operation had ended: so that the waiter's wait
    /// can end.
    help: fn(&Region, bool),
    /// Runs last, in the survivor, with the same.
    after: fn(&Region, bool),
}

/// A child that is stepped.
struct Stepped {
    pid: libc::pid_t,
    ended: bool,
}

impl Stepped {
    /// Starts a child, which stops before the operation.
    fn start(operation: &Operation, region: &Region) -> Self {
        // SAFETY: the child of this process with several threads uses the region and makes system
        // calls; what it allocates, glibc allows. It ends without returning to the test.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            // A panic must not run on in a copy of the harness.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                // It attaches by itself.
                let _ = region.lock.repaired();
                (operation.before)(region);
                // SAFETY: system calls that change this process alone.
                unsafe {
                    libc::alarm(60);
                    libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                    libc::raise(libc::SIGSTOP);
                }
                (operation.run)(region);
                // SAFETY: the same.
                unsafe { libc::raise(libc::SIGSTOP) };
            }));
            // SAFETY: it ends the process, and runs nothing else.
            unsafe { libc::_exit(99) };
        }
        let mut it = Self { pid, ended: false };
        assert_eq!(it.stopped(), libc::SIGSTOP);
        it
    }

    /// The signal with which it has stopped.
    fn stopped(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: the call writes the status. It returns at the latest with the child's alarm.
        let pid = unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) };
        assert_eq!(pid, self.pid);
        assert!(libc::WIFSTOPPED(status), "the child has ended: {status:#x}");
        libc::WSTOPSIG(status)
    }

    /// One instruction. `false` if the operation has ended.
    fn step(&mut self) -> bool {
        let none = ptr::null_mut::<libc::c_void>();
        // SAFETY: it continues the child, which has stopped.
        let result = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid, none, none) };
        assert_eq!(result, 0);
        match self.stopped() {
            libc::SIGTRAP => {}
            libc::SIGSTOP => self.ended = true,
            signal => panic!("the operation hangs, or signal {signal}"),
        }
        !self.ended
    }

    fn kill(&mut self) {
        // SAFETY: signals the child, and waits for its end, which nothing can delay.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            let mut status = 0;
            assert_eq!(
                libc::waitpid(self.pid, &raw mut status, libc::__WALL),
                self.pid
            );
            assert!(libc::WIFSIGNALED(status), "{status:#x}");
        }
        self.pid = 0;
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        if self.pid != 0 {
            self.kill();
        }
    }
}

fn bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The numbers of the instructions that change something, and of all.
fn changes(region: &Region, child: &mut Stepped) -> (BTreeSet<u64>, u64) {
    let file = region.as_file().unwrap();
    let mut before = bytes(&file);
    let mut steps = 0;
    let mut changes = BTreeSet::new();
    while child.step() {
        steps += 1;
        let after = bytes(&file);
        if after != before {
            changes.insert(steps);
            before = after;
        }
    }
    (changes, steps)
}

/// Runs `step` with the region of an operation and a child that has stopped before it, while another
/// thread waits if one is to. Then kills the child, and lets the survivor look.
fn with_child<R>(operation: &Operation, step: impl FnOnce(&Region, &mut Stepped) -> R) -> R {
    let region = &Shared::create(All::new()).unwrap();
    (operation.prepare)(region);
    let mut child = Stepped::start(operation, region);
    let (result, ended) = thread::scope(|scope| {
        let waiter = operation.waiter.map(|wait| {
            let (send, receive) = mpsc::channel();
            let waiter = scope.spawn(move || {
                send.send(rustix::thread::gettid()).unwrap();
                wait(region);
            });
            let stat = format!("/proc/self/task/{}/stat", receive.recv().unwrap());
            let sleeps = || fs::read_to_string(&stat).unwrap().contains(") S ");
            while !sleeps() {
                thread::yield_now();
            }
            waiter
        });
        let result = step(region, &mut child);
        child.kill();
        KILLS.fetch_add(1, Ordering::Relaxed);
        (operation.help)(region, child.ended);
        if let Some(waiter) = waiter {
            soon(|| waiter.join().unwrap());
        }
        (result, child.ended)
    });
    (operation.after)(region, ended);
    result
}

/// Kills a child after so many instructions. `false` if the operation has fewer.
fn kill_after(operation: &Operation, steps: u64) -> bool {
    with_child(operation, |_, child| (0..steps).all(|_| child.step()))
}

fn kill_at_each_instruction(name: &str, operation: &Operation) {
    let (changes, steps) = with_child(operation, changes);
    let at: BTreeSet<u64> = match env::var("RACEFREE_KILLS") {
        Ok(all) if all == "all" => (0..=steps).collect(),
        Ok(stride) => (0..=steps)
            .step_by(stride.parse().expect("a number"))
            .collect(),
        Err(_) => changes
            .iter()
            .flat_map(|&at| [at - 1, at])
            .chain([0])
            .collect(),
    };
    for &at in &at {
        let start = Instant::now();
        kill_after(operation, at);
        let took = start.elapsed();
        assert!(took < 20 * SECOND, "{name}, killed after {at}: {took:?}");
    }
    // The last one has ended its operation, whatever it does differently this time.
    assert!(!kill_after(operation, 2 * steps + 1000));
    let kills = at.len() + 1;
    println!(
        "{name}: {steps} instructions, {} changes, {kills} kills",
        changes.len()
    );
}

#[track_caller]
fn soon<R>(act: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed();
    assert!(took < SECOND, "it took {took:?}");
    result
}

/// What an acquire of a lock says of a death. The lock is free and repaired afterwards.
#[track_caller]
fn died(lock: &Lock) -> bool {
    let died = match soon(|| lock.acquire_timeout(2 * SECOND)) {
        Ok(true) => false,
        Err(LockError::OwnerDied(())) => true,
        other => panic!("{other:?}"),
    };
    lock.repaired().unwrap();
    lock.release().unwrap();
    assert_eq!(lock.try_acquire(), Ok(true));
    lock.release().unwrap();
    died
}

/// The same.
#[track_caller]
fn died_with(lock: &RLock) -> bool {
    let died = match soon(|| lock.acquire_timeout(2 * SECOND)) {
        Ok(true) => false,
        Err(LockError::OwnerDied(())) => true,
        other => panic!("{other:?}"),
    };
    assert_eq!(lock.recursion_count(), 1);
    lock.repaired().unwrap();
    lock.release().unwrap();
    assert!(!lock.locked());
    died
}

/// Takes both permits of the semaphore. Returns how many were those of the dead.
#[track_caller]
fn both_permits(region: &Region) -> u32 {
    let mut returned = 0;
    for _ in 0..2 {
        match soon(|| region.bounded.acquire_timeout(2 * SECOND)) {
            Ok(true) => {}
            Err(news) => returned += news.permits,
            Ok(false) => panic!("a permit is lost"),
        }
    }
    assert_eq!(region.bounded.try_acquire(), Ok(false));
    region.bounded.release().unwrap();
    region.bounded.release().unwrap();
    assert!(region.bounded.release().is_err());
    returned
}

/// The items of the queue, which is then used once more.
#[track_caller]
fn items(region: &Region) -> Vec<u32> {
    let mut items = Vec::new();
    while let Ok(item) = soon(|| region.queue.get_nowait()) {
        assert_eq!(item, [item[0]; 3], "an item is whole");
        items.push(item[0]);
    }
    assert!(region.queue.empty());
    for _ in 0..3 {
        region.queue.put_nowait([9; 3]).unwrap();
        assert_eq!(region.queue.get_nowait(), Ok([9; 3]));
    }
    items
}

/// The items of the other queue.
#[track_caller]
fn lines(region: &Region) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    while let Ok(line) = soon(|| region.bytes.get_nowait()) {
        lines.push(line);
    }
    region.bytes.put_nowait(&[9; 17]).unwrap();
    assert_eq!(region.bytes.get_nowait(), Ok(vec![9; 17]));
    lines
}

/// A condition does what it is for: a thread that waits is notified.
#[track_caller]
fn notifies(region: &Region) {
    let condition = &region.condition;
    died_with(condition.lock());
    thread::scope(|scope| {
        let guard = condition.guard().unwrap();
        scope.spawn(|| {
            let _guard = condition.guard().unwrap();
            condition.notify(1).unwrap();
        });
        assert_eq!(soon(|| condition.wait_timeout(2 * SECOND)), Ok(true));
        drop(guard);
    });
}

/// A barrier of two does what it is for.
#[track_caller]
fn meets(region: &Region) {
    region.pair.reset();
    thread::scope(|scope| {
        let other = scope.spawn(|| region.pair.wait_timeout(2 * SECOND));
        let here = soon(|| region.pair.wait_timeout(2 * SECOND)).unwrap();
        assert_eq!(other.join().unwrap(), Ok(1 - here));
    });
}

/// The children of an operation.
macro_rules! operations {
    ($($name:ident { $($field:ident: $value:expr,)* })*) => {
        $(
            #[test]
            fn $name() {
                let operation = Operation { $($field: $value,)* ..NOTHING };
                kill_at_each_instruction(stringify!($name), &operation);
            }
        )*
    };
}

const NOTHING: Operation = Operation {
    prepare: |_| (),
    before: |_| (),
    run: |_| (),
    waiter: None,
    help: |_, _| (),
    after: |_, _| (),
};

/// A process died while it held the lock.
fn a_dead_owner(region: &Region) {
    let other = Region::attach(region).unwrap();
    other.lock.acquire().unwrap();
    other.rlock.acquire().unwrap();
}

operations! {
    lock_acquire {
        run: |it| it.lock.acquire().unwrap(),
        after: |it, ended| assert!(died(&it.lock) || !ended),
    }
    lock_release {
        before: |it| it.lock.acquire().unwrap(),
        run: |it| it.lock.release().unwrap(),
        after: |it, ended| assert!(!died(&it.lock) || !ended),
    }
    lock_release_for_a_waiter {
        before: |it| it.lock.acquire().unwrap(),
        run: |it| it.lock.release().unwrap(),
        waiter: Some(|it| match it.lock.acquire_timeout(2 * SECOND) {
            Ok(true) => it.lock.release().unwrap(),
            Err(LockError::OwnerDied(())) => {
                it.lock.repaired().unwrap();
                it.lock.release().unwrap();
            }
            other => panic!("{other:?}"),
        }),
        after: |it, _| assert!(!died(&it.lock)),
    }
    lock_acquire_from_the_dead {
        prepare: a_dead_owner,
        run: |it| assert!(it.lock.acquire().is_err()),
        after: |it, _| assert!(died(&it.lock), "nobody repaired it"),
    }
    lock_repaired {
        prepare: a_dead_owner,
        before: |it| assert!(it.lock.acquire().is_err()),
        run: |it| { it.lock.repaired().unwrap(); it.lock.release().unwrap(); },
        after: |it, ended| assert!(!died(&it.lock) || !ended),
    }
    lock_lost {
        prepare: a_dead_owner,
        before: |it| assert!(it.lock.acquire().is_err()),
        run: |it| it.lock.release().unwrap(),
        after: |it, ended| match soon(|| it.lock.acquire_timeout(SECOND)) {
            Err(LockError::Lost) => {}
            Err(LockError::OwnerDied(())) if !ended => {}
            other => panic!("{other:?}"),
        },
    }
    rlock_acquire {
        run: |it| it.rlock.acquire().unwrap(),
        after: |it, ended| assert!(died_with(&it.rlock) || !ended),
    }
    rlock_acquire_from_the_dead {
        prepare: a_dead_owner,
        run: |it| assert!(it.rlock.acquire().is_err()),
        after: |it, _| assert!(died_with(&it.rlock)),
    }
    rlock_acquire_and_release_again {
        before: |it| it.rlock.acquire().unwrap(),
        run: |it| { it.rlock.acquire().unwrap(); it.rlock.release().unwrap(); },
        after: |it, _| assert!(died_with(&it.rlock)),
    }
    rlock_release {
        before: |it| it.rlock.acquire().unwrap(),
        run: |it| it.rlock.release().unwrap(),
        after: |it, ended| assert!(!died_with(&it.rlock) || !ended),
    }
    semaphore_acquire {
        prepare: |it| it.semaphore.release_n(2).unwrap(),
        run: |it| it.semaphore.acquire(),
        after: |it, ended| {
            let value = it.semaphore.value();
            assert!(value == 1 || value == 2 && !ended);
            assert!(it.semaphore.acquire_timeout(SECOND));
        },
    }
    semaphore_release {
        run: |it| it.semaphore.release_n(2).unwrap(),
        after: |it, ended| {
            let value = it.semaphore.value();
            assert!(value == 2 || value == 0 && !ended);
        },
    }
    semaphore_release_for_a_waiter {
        run: |it| it.semaphore.release().unwrap(),
        waiter: Some(|it| assert!(it.semaphore.acquire_timeout(2 * SECOND), "a permit is lost")),
        help: |it, _| it.semaphore.release().unwrap(),
        after: |it, ended| {
            let value = it.semaphore.value();
            assert!(value == 1 || value == 0 && !ended);
        },
    }
    bounded_acquire {
        run: |it| it.bounded.acquire().unwrap(),
        after: |it, ended| {
            let returned = both_permits(it);
            assert!(returned == 1 || returned == 0 && !ended);
        },
    }
    bounded_acquire_from_the_dead {
        prepare: |it| {
            let other = Region::attach(it).unwrap();
            other.bounded.acquire().unwrap();
            other.bounded.acquire().unwrap();
        },
        run: |it| assert_eq!(it.bounded.acquire().unwrap_err().permits, 2),
        after: |it, ended| {
            // Told to the dead one, or to be told.
            let returned = both_permits(it);
            assert!(returned == 1 || returned == 2 && !ended, "{returned}");
        },
    }
    bounded_release {
        before: |it| it.bounded.acquire().unwrap(),
        run: |it| it.bounded.release().unwrap(),
        after: |it, ended| {
            let returned = both_permits(it);
            assert!(returned == 0 || returned == 1 && !ended);
        },
    }
    bounded_timeout_beside_the_dead {
        prepare: |it| { it.bounded.acquire().unwrap(); it.bounded.acquire().unwrap(); },
        run: |it| assert_eq!(it.bounded.acquire_timeout(SHORT), Ok(false)),
        after: |it, _| {
            it.bounded.release().unwrap();
            it.bounded.release().unwrap();
            assert_eq!(both_permits(it), 0);
        },
    }
    bounded_release_for_a_waiter {
        prepare: |it| it.bounded.acquire().unwrap(),
        before: |it| it.bounded.acquire().unwrap(),
        run: |it| it.bounded.release().unwrap(),
        waiter: Some(|it| match it.bounded.acquire_timeout(2 * SECOND) {
            Ok(true) => {}
            Err(news) => assert_eq!(news.permits, 1),
            Ok(false) => panic!("a permit is lost"),
        }),
        after: |it, _| {
            assert_eq!(it.bounded.value(), 0);
            it.bounded.release().unwrap();
            it.bounded.release().unwrap();
            assert_eq!(both_permits(it), 0);
        },
    }
    event_set {
        run: |it| it.event.set(),
        after: |it, ended| {
            assert!(it.event.is_set() || !ended);
            it.event.set();
            assert!(it.event.wait_timeout(SECOND));
            it.event.clear();
            assert!(!it.event.wait_timeout(SHORT));
        },
    }
    event_set_for_a_waiter {
        run: |it| it.event.set(),
        waiter: Some(|it| assert!(it.event.wait_timeout(2 * SECOND))),
        help: |it, ended| if !ended { it.event.set() },
    }
    event_clear {
        prepare: |it| it.event.set(),
        run: |it| it.event.clear(),
        after: |it, ended| {
            assert!(!it.event.is_set() || !ended);
            it.event.set();
            assert!(it.event.wait_timeout(SECOND));
        },
    }
    event_wait {
        run: |it| assert!(!it.event.wait_timeout(SHORT)),
        after: |it, _| {
            assert!(!it.event.is_set());
            it.event.set();
            assert!(it.event.wait_timeout(SECOND));
        },
    }
    condition_wait {
        before: |it| it.condition.acquire().unwrap(),
        run: |it| assert_eq!(it.condition.wait_timeout(SHORT), Ok(false)),
        after: |it, _| notifies(it),
    }
    condition_notify {
        before: |it| it.condition.acquire().unwrap(),
        run: |it| it.condition.notify(1).unwrap(),
        after: |it, _| notifies(it),
    }
    condition_notify_a_waiter {
        run: |it| {
            it.condition.acquire().unwrap();
            it.condition.notify(1).unwrap();
            it.condition.release().unwrap();
        },
        waiter: Some(|it| {
            it.condition.acquire().unwrap();
            match it.condition.wait_timeout(2 * SECOND) {
                Ok(true) => {}
                Err(_owner_died) => it.condition.lock().repaired().unwrap(),
                Ok(false) => panic!("a notification is lost"),
            }
            it.condition.release().unwrap();
        }),
        help: |it, ended| if !ended {
            died_with(it.condition.lock());
            let _guard = it.condition.guard().unwrap();
            it.condition.notify_all().unwrap();
        },
        after: |it, _| notifies(it),
    }
    barrier_alone {
        run: |it| assert_eq!(it.alone.wait(), Ok(0)),
        after: |it, _| assert_eq!(soon(|| it.alone.wait_timeout(2 * SECOND)), Ok(0)),
    }
    barrier_timeout {
        run: |it| assert_eq!(it.pair.wait_timeout(SHORT), Err(BarrierError::TimedOut)),
        after: |it, ended| {
            let waited = soon(|| it.pair.wait_timeout(Duration::from_millis(20)));
            let died = matches!(waited, Err(BarrierError::ProcessDied { .. }));
            assert!(died && !ended || waited == Err(BarrierError::TimedOut), "{waited:?}");
            meets(it);
        },
    }
    barrier_last {
        run: |it| assert_eq!(it.pair.wait_timeout(SECOND), Ok(1)),
        waiter: Some(|it| assert_eq!(it.pair.wait_timeout(2 * SECOND), Ok(0))),
        // If the child has not arrived, this is the second one.
        help: |it, _| if it.pair.n_waiting() == 1 { it.pair.wait_timeout(SECOND).unwrap(); },
        after: |it, _| meets(it),
    }
    barrier_abort {
        run: |it| it.pair.abort(),
        after: |it, ended| { assert!(it.pair.broken() || !ended); meets(it) },
    }
    barrier_reset {
        prepare: |it| it.pair.abort(),
        run: |it| it.pair.reset(),
        after: |it, ended| { assert!(!it.pair.broken() || !ended); meets(it) },
    }
    queue_put {
        prepare: |it| it.queue.put([1; 3]),
        run: |it| it.queue.put([2; 3]),
        after: |it, ended| {
            let items = items(it);
            assert!(items == [1, 2] || items == [1] && !ended, "{items:?}");
        },
    }
    queue_get {
        prepare: |it| { it.queue.put([1; 3]); it.queue.put([2; 3]); },
        run: |it| assert_eq!(it.queue.get(), [1; 3]),
        after: |it, ended| {
            let items = items(it);
            assert!(items == [2] || items == [1, 2] && !ended, "{items:?}");
        },
    }
    queue_put_for_a_waiter {
        run: |it| it.queue.put([2; 3]),
        waiter: Some(|it| assert_eq!(it.queue.get_timeout(2 * SECOND), Ok([2; 3]))),
        help: |it, _| it.queue.put([2; 3]),
        after: |it, ended| {
            let items = items(it);
            assert!(items == [2] || items.is_empty() && !ended, "{items:?}");
        },
    }
    queue_get_for_a_waiter {
        prepare: |it| { it.queue.put([1; 3]); it.queue.put([2; 3]); },
        run: |it| assert_eq!(it.queue.get(), [1; 3]),
        waiter: Some(|it| it.queue.put_timeout([3; 3], 2 * SECOND).unwrap()),
        help: |it, ended| if !ended { let _ = it.queue.get(); },
        after: |it, ended| {
            let items = items(it);
            assert!(items == [2, 3] || items == [3] && !ended, "{items:?}");
        },
    }
    queue_put_into_a_full_one {
        prepare: |it| { it.queue.put([1; 3]); it.queue.put([2; 3]); },
        run: |it| assert!(it.queue.put_timeout([3; 3], SHORT).is_err()),
        after: |it, _| assert_eq!(items(it), [1, 2]),
    }
    bytes_put {
        prepare: |it| it.bytes.put(b"Ada").unwrap(),
        run: |it| it.bytes.put(b"Grace Hopper").unwrap(),
        after: |it, ended| {
            let lines = lines(it);
            let both = [&b"Ada"[..], b"Grace Hopper"];
            assert!(lines == both || lines == [b"Ada"] && !ended, "{lines:?}");
        },
    }
    bytes_get {
        prepare: |it| it.bytes.put(b"Grace Hopper").unwrap(),
        run: |it| assert_eq!(it.bytes.get(), b"Grace Hopper"),
        after: |it, ended| {
            let lines = lines(it);
            assert!(lines.is_empty() || lines == [b"Grace Hopper"] && !ended, "{lines:?}");
        },
    }
    value_update {
        run: |it| it.value.update(|it| *it = [2; 3]),
        after: |it, ended| {
            let value = it.value.get();
            assert!(value == [2; 3] || value == [1; 3] && !ended, "{value:?}");
            it.value.update(|it| it[1] += 1);
            assert_eq!(it.value.get(), [value[0], value[1] + 1, value[2]]);
        },
    }
    attach_and_detach {
        run: |it| drop(Region::attach(it).unwrap()),
        after: |it, _| {
            let other = Region::attach(it).unwrap();
            other.lock.acquire().unwrap();
            assert_eq!(it.lock.try_acquire(), Ok(false));
            drop(other);
            assert!(died(&it.lock));
        },
    }
}
