//! What tutorials of Python's `multiprocessing` teach. A child is this program, started anew with a
//! role as its argument and with a region of shared memory as its standard input.
//!
//! ```text
//! cargo run --features process --example processes
//! ```

#![forbid(unsafe_code)]

mod children;
mod copy;
mod daily;
mod pool;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, value_parser};

/// Processes: started, given arguments, joined, killed, and what they share.
#[derive(Parser)]
struct Args {
    /// The part to show; all of them without one
    #[command(subcommand)]
    part: Option<Part>,

    /// Milliseconds of each pause
    #[arg(long, global = true, default_value_t = 50, value_parser = value_parser!(u64).range(1..=10_000))]
    pause_ms: u64,
}

#[derive(Subcommand)]
enum Part {
    /// Two processes with arguments, at the same time
    SingAndDance,
    /// Waiting for a process, killing one, and the zombie that a join removes
    Join,
    /// A global that each process has for itself, and a value that they share
    ShareNothing,
    /// One, two and three forks in a row: 2, 4 and 8 processes
    Fork,
    /// A queue of three places between two processes
    Queue,
    /// Three workers, and more tasks than workers
    Pool,
    /// Copies a folder: with a process for each file, or with a pool
    Copy {
        /// The folder to copy; without one, the copier shows itself on files made for it
        #[arg(requires = "target")]
        source: Option<PathBuf>,

        /// The folder to copy to, made if it is not there; a file that is in it is never replaced
        target: Option<PathBuf>,

        /// A process for each file, and not a pool
        #[arg(long)]
        each: bool,

        /// How many processes the pool has
        #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=32))]
        workers: u32,
    },
    /// What a child does
    #[command(subcommand, hide = true)]
    Child(Role),
}

#[derive(Subcommand)]
enum Role {
    Perform { what: String, times: u32 },
    Sleep,
    Increment,
    Fork { generation: u32, last: u32 },
    Consume,
    Work,
    CopyOne { source: PathBuf, target: PathBuf },
    CopyMany { source: PathBuf, target: PathBuf },
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("processes: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, to be printed.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn run(args: Args) -> Outcome {
    let pause = Duration::from_millis(args.pause_ms);
    match args.part {
        None => {
            daily::sing_and_dance(pause)?;
            daily::join(pause)?;
            daily::share_nothing()?;
            daily::fork()?;
            daily::queue()?;
            pool::show()?;
            copy::show(true, 5)?;
            copy::show(false, 5)
        }
        Some(Part::SingAndDance) => daily::sing_and_dance(pause),
        Some(Part::Join) => daily::join(pause),
        Some(Part::ShareNothing) => daily::share_nothing(),
        Some(Part::Fork) => daily::fork(),
        Some(Part::Queue) => daily::queue(),
        Some(Part::Pool) => pool::show(),
        Some(Part::Copy {
            source: Some(source),
            target: Some(target),
            each,
            workers,
        }) => copy::folder(&source, &target, each, workers),
        Some(Part::Copy { each, workers, .. }) => copy::show(each, workers),
        Some(Part::Child(role)) => match role {
            Role::Perform { what, times } => daily::perform(&what, times, pause),
            Role::Sleep => daily::sleep(),
            Role::Increment => daily::increment(),
            Role::Fork { generation, last } => daily::fork_on(generation, last),
            Role::Consume => daily::consume(),
            Role::Work => pool::work(),
            Role::CopyOne { source, target } => copy::one(&source, &target),
            Role::CopyMany { source, target } => copy::many(&source, &target),
        },
    }
}
