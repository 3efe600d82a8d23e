//! A pool of processes: `apply`, `apply_async`, `close` and `join`, on two queues.

use std::collections::HashMap;
use std::process;
use std::time::Duration;

use racefree::process::{Queue, Shared, shared};

use crate::Outcome;
use crate::children::{Child, region};

/// How long a result is waited for before the workers are looked at.
const PIECE: Duration = Duration::from_millis(100);

/// What a worker is to square, or [`NONE`].
type Task = [u64; 2];
/// The number of a task that says that there are no more.
const NONE: u64 = u64::MAX;

shared! {
    struct Work {
        /// The number of the task, and its argument.
        tasks: Queue<Task, 4>,
        /// The number of the task, its result, and the worker.
        results: Queue<[u64; 3], 4>,
    }
}

/// Processes that square numbers.
struct Pool {
    work: Shared<Work>,
    workers: Vec<Child>,
    given: u64,
    /// Results that nobody has asked for.
    results: HashMap<u64, [u64; 2]>,
}

impl Pool {
    fn new(workers: usize) -> Outcome<Self> {
        let work = Shared::create(Work {
            tasks: Queue::new(),
            results: Queue::new(),
        })?;
        let start = |_| Child::with(&["work"], &work);
        let workers = (0..workers).map(start).collect::<Outcome<_>>()?;
        Ok(Self {
            work,
            workers,
            given: 0,
            results: HashMap::new(),
        })
    }

    /// Waits for the result.
    fn apply(&mut self, argument: u64) -> Outcome<u64> {
        let number = self.apply_async(argument)?;
        Ok(self.get(number)?[0])
    }

    /// Returns the number of the task, for [`get`](Self::get).
    fn apply_async(&mut self, argument: u64) -> Outcome<u64> {
        let number = self.given;
        self.give([number, argument])?;
        self.given += 1;
        Ok(number)
    }

    fn give(&mut self, task: Task) -> Outcome {
        // The workers may wait until there is place for a result: so it takes what is there.
        while self.work.tasks.put_nowait(task).is_err() {
            self.take_one()?;
        }
        Ok(())
    }

    /// The result of a task, and the worker that has it done.
    fn get(&mut self, number: u64) -> Outcome<[u64; 2]> {
        loop {
            if let Some(result) = self.results.remove(&number) {
                return Ok(result);
            }
            self.take_one()?;
        }
    }

    /// Waits for a result for a piece of time, and fails if a worker has failed.
    fn take_one(&mut self) -> Outcome {
        if let Ok([number, result, worker]) = self.work.results.get_timeout(PIECE) {
            self.results.insert(number, [result, worker]);
            return Ok(());
        }
        self.workers.iter_mut().try_for_each(Child::check)
    }

    /// Says that there are no more tasks.
    fn close(&mut self) -> Outcome {
        (0..self.workers.len()).try_for_each(|_| self.give([NONE, 0]))
    }

    fn join(&mut self) -> Outcome {
        self.workers.iter_mut().try_for_each(Child::join)
    }
}

pub(crate) fn show() -> Outcome {
    println!("A pool of 3.");
    let mut pool = Pool::new(3)?;
    println!("  apply: the square of 12 is {}", pool.apply(12)?);
    let tasks = (1..=10)
        .map(|it| pool.apply_async(it))
        .collect::<Outcome<Vec<_>>>()?;
    let mut squares = Vec::new();
    let mut workers = HashMap::<_, u32>::new();
    for task in tasks {
        let [square, worker] = pool.get(task)?;
        squares.push(square);
        *workers.entry(worker).or_default() += 1;
    }
    println!("  apply_async: the squares of 1 to 10 are {squares:?}");
    println!("  tasks of each worker: {:?}", workers.values());
    pool.close()?;
    pool.join()?;
    println!("  closed and joined\n");
    Ok(())
}

pub(crate) fn work() -> Outcome {
    let work = region::<Work>()?;
    loop {
        let [number, argument] = work.tasks.get();
        if number == NONE {
            return Ok(());
        }
        work.results
            .put([number, argument * argument, process::id().into()]);
    }
}
