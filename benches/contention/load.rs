//! What else goes on beside what is measured: nothing, or threads that compute.
//!
//! These are of another process, as on a machine that others use: so the threads of this one are
//! all those that are measured.

use std::env;
use std::hint::black_box;
use std::io::{self, Read};
use std::process::{self, Child, Command, Stdio};
use std::thread;

use clap::ValueEnum;

use crate::os;

/// What the measured threads find when they are run.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Condition {
    /// Nothing else runs
    Idle,
    /// Beside threads that compute, of the same priority
    Busy,
    /// Beside threads that compute, of a higher priority: what is measured is at nice 10
    LowerPriority,
    /// Nothing else runs, and all threads are bound to one core
    OneCore,
    /// On one core, beside those of the threads that compute that fall to it
    BusyOneCore,
}

use Condition::{Busy, BusyOneCore, Idle, LowerPriority, OneCore};

pub(crate) const ALL: &[Condition] = &[Idle, Busy, LowerPriority, OneCore, BusyOneCore];

impl Condition {
    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Busy | LowerPriority | BusyOneCore)
    }

    pub(crate) fn is_on_one_core(self) -> bool {
        matches!(self, OneCore | BusyOneCore)
    }

    /// Whether it can be had here.
    pub(crate) fn possible(self) -> bool {
        match self {
            Idle | Busy => true,
            LowerPriority => os::PRIORITIES,
            OneCore | BusyOneCore => os::PINS,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Idle => "idle",
            Busy => "busy",
            LowerPriority => "lower-priority",
            OneCore => "one-core",
            BusyOneCore => "busy-one-core",
        }
    }

    /// Runs it in a thread that is bound, and whose priority is, as they have to be. Those that it
    /// starts are so too.
    pub(crate) fn run<R: Send>(self, what: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let stage = scope.spawn(|| {
                if self.is_on_one_core() {
                    os::pin(0);
                }
                if self == LowerPriority {
                    os::nice(10);
                }
                what()
            });
            stage.join().unwrap()
        })
    }
}

/// Threads of another process that compute until this is dropped.
pub(crate) struct Load(Option<Child>);

impl Load {
    /// `busy` threads on all cores; on one core, its share of them.
    pub(crate) fn start(condition: Condition, busy: u32) -> io::Result<Self> {
        if !condition.is_busy() {
            return Ok(Self(None));
        }
        let busy = match condition {
            BusyOneCore => busy.div_ceil(os::cores() as u32),
            _ => busy,
        };
        let start = || {
            let mut child = Command::new(env::current_exe()?)
                .args(["--compute", &busy.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            // It says so once all of them compute.
            let mut ready = [0];
            child
                .stdout
                .as_mut()
                .expect("it is a pipe")
                .read_exact(&mut ready)?;
            Ok(child)
        };
        // Not at a lower priority, but on the same core.
        let condition = match condition {
            LowerPriority => Busy,
            condition => condition,
        };
        condition.run(start).map(|child| Self(Some(child)))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Computes with so many threads, until what started this process is no more.
pub(crate) fn compute(threads: u32) -> ! {
    for _ in 0..threads {
        thread::spawn(|| {
            loop {
                black_box(());
            }
        });
    }
    println!();
    // The end of the pipe, as nothing is ever written.
    let _ = io::stdin().read(&mut [0]);
    process::exit(0);
}
