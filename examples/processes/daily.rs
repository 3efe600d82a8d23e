//! Starting, joining and killing processes; what they share; a queue.

use std::os::unix::process::{ExitStatusExt, parent_id};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use racefree::process::{Event, Queue, Shared, Value, shared};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use wait_timeout::ChildExt;

use crate::Outcome;
use crate::children::{Child, region};

pub(crate) fn sing_and_dance(pause: Duration) -> Outcome {
    println!(
        "Process {} starts one that sings and one that dances.",
        process::id()
    );
    let pause_ms = pause.as_millis().to_string();
    let start =
        |what, times| Child::start(&["perform", what, times, "--pause-ms", pause_ms.as_str()]);
    let (mut singer, mut dancer) = (start("sings", "3")?, start("dances", "2")?);
    singer.join()?;
    dancer.join()?;
    println!("Both have ended.\n");
    Ok(())
}

pub(crate) fn perform(what: &str, times: u32, pause: Duration) -> Outcome {
    for time in 1..=times {
        println!(
            "  process {}, child of {}, {what} {time} of {times}",
            process::id(),
            parent_id()
        );
        thread::sleep(pause);
    }
    Ok(())
}

pub(crate) fn join(pause: Duration) -> Outcome {
    println!("Three processes sleep.");
    let mut sleeper = Child::start(&["sleep"])?;
    let ended = sleeper.wait_timeout(pause)?;
    println!(
        "  a join with a timeout: {}",
        if ended.is_none() {
            "it sleeps on"
        } else {
            "over"
        }
    );

    let pid = Pid::from_child(&sleeper);
    kill_process(pid, Signal::TERM)?;
    // The kernel keeps how it ended until a join asks: a zombie.
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    println!("  terminated, and not joined: a zombie, {}", exists(pid));
    let status = sleeper.wait()?;
    println!("  joined: {}, {}", ended_by(status.signal()), exists(pid));

    let mut sleeper = Child::start(&["sleep"])?;
    sleeper.kill()?;
    println!("  killed: {}", ended_by(sleeper.wait()?.signal()));

    let daemon = Child::start(&["sleep"])?;
    let pid = Pid::from_child(&daemon);
    drop(daemon);
    println!("  the handle of a daemon is dropped: {}\n", exists(pid));
    Ok(())
}

fn exists(pid: Pid) -> &'static str {
    match rustix::process::test_kill_process(pid) {
        Ok(()) => "the system knows the process",
        Err(_) => "the system knows no such process",
    }
}

fn ended_by(signal: Option<i32>) -> String {
    signal.map_or("ended by itself".into(), |signal| {
        format!("ended by signal {signal}")
    })
}

pub(crate) fn sleep() -> Outcome {
    thread::sleep(Duration::from_secs(60));
    Err("nobody killed it".into())
}

/// Each process has one.
static GLOBAL: AtomicU32 = AtomicU32::new(0);

pub(crate) fn share_nothing() -> Outcome {
    println!("A child adds 1 to a global, and to a value in a region.");
    let shared = Shared::create(Value::new(0_u32))?;
    Child::with(&["increment"], &shared)?.join()?;
    println!(
        "  in the parent: global {}, shared {}\n",
        GLOBAL.load(Relaxed),
        shared.get()
    );
    Ok(())
}

pub(crate) fn increment() -> Outcome {
    let shared = region::<Value<u32>>()?;
    GLOBAL.fetch_add(1, Relaxed);
    shared.update(|it| *it += 1);
    println!(
        "  in the child:  global {}, shared {}",
        GLOBAL.load(Relaxed),
        shared.get()
    );
    Ok(())
}

pub(crate) fn fork() -> Outcome {
    println!("Forks in a row: each process that there is makes each of them.");
    for forks in 1..=3_u32 {
        let count = Shared::create(Value::new(0_u32))?;
        Child::with(&["fork", "0", &forks.to_string()], &count)?.join()?;
        println!("  {forks} in a row: {} processes", count.get());
    }
    println!();
    Ok(())
}

/// A process that has `generation` of the forks behind it makes those up to `last`.
pub(crate) fn fork_on(generation: u32, last: u32) -> Outcome {
    let count = region::<Value<u32>>()?;
    count.update(|it| *it += 1);
    let mut children = Vec::new();
    for next in generation + 1..=last {
        children.push(Child::with(
            &["fork", &next.to_string(), &last.to_string()],
            &count,
        )?);
    }
    children.iter_mut().try_for_each(Child::join)
}

shared! {
    struct Letters {
        queue: Queue<u32, 3>,
        may_get: Event,
    }
}

pub(crate) fn queue() -> Outcome {
    println!("A queue of 3.");
    let letters = Shared::create(Letters {
        queue: Queue::new(),
        may_get: Event::new(),
    })?;
    let queue = &letters.queue;
    let mut consumer = Child::with(&["consume"], &letters)?;
    println!(
        "  empty: {}, a get without waiting: {:?}",
        queue.empty(),
        queue.get_nowait()
    );
    for item in 1..=3 {
        queue.put(item);
    }
    println!(
        "  after three puts: {} in it, full: {}",
        queue.qsize(),
        queue.full()
    );
    println!("  a put without waiting: {:?}", queue.put_nowait(4));
    letters.may_get.set();
    // It waits until the child has got one.
    queue.put(4);
    consumer.join()?;
    println!("  at the end: {} in it\n", queue.qsize());
    Ok(())
}

pub(crate) fn consume() -> Outcome {
    let letters = region::<Letters>()?;
    letters.may_get.wait();
    let got: Vec<_> = (0..4).map(|_| letters.queue.get()).collect();
    println!("  the child got {got:?}");
    Ok(())
}
