//! What is run, in which order, and how long that should take.

use std::sync::OnceLock;
use std::time::Duration;

use crate::contend::{self, Clock, Contender, Setting};
use crate::load::{self, Condition};
use crate::timed::{self, Course, Run, Timed};
use crate::{Args, Case};

/// The variants of one case in one setting: what is compared with one another.
pub(crate) struct Job {
    pub(crate) case: &'static str,
    pub(crate) condition: Condition,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Timed {
        variants: Vec<&'static Timed>,
        /// How many threads take part, if that is what the case is about.
        threads: Option<u32>,
        /// How many repetitions make a sample of each, once that is known.
        repetitions: Vec<OnceLock<u64>>,
        /// What a sample should take.
        slice: Duration,
        /// These are short, and so have more turns in a round.
        turns: usize,
    },
    Contended {
        variants: Vec<&'static Contender>,
        setting: Setting,
        duration: Duration,
        clocks: &'static [Clock],
    },
}

/// How often waits are measured where throughput is what it is about: their percentiles are those
/// of all rounds together.
const ROUNDS_OF_WAITS: usize = 3;

pub(crate) enum Sample {
    /// Nanoseconds for each repetition.
    Timed(f64),
    Contended(contend::Sample, Clock),
}

impl Job {
    pub(crate) fn setting(&self) -> Option<Setting> {
        match &self.kind {
            Kind::Timed { .. } => None,
            Kind::Contended { setting, .. } => Some(*setting),
        }
    }

    /// How many threads take part, if that is what the case is about.
    pub(crate) fn threads(&self) -> Option<u32> {
        match &self.kind {
            Kind::Timed { threads, .. } => *threads,
            Kind::Contended { setting, .. } => Some(setting.threads),
        }
    }

    pub(crate) fn variants(&self) -> Vec<&'static str> {
        match &self.kind {
            Kind::Timed { variants, .. } => variants.iter().map(|variant| variant.name).collect(),
            Kind::Contended { variants, .. } => {
                variants.iter().map(|variant| variant.name).collect()
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        let threads = self
            .threads()
            .map_or(String::new(), |threads| format!(" of {threads}"));
        let work = self.setting().map_or(String::new(), |setting| {
            format!(", {} ns, pause {} ns", setting.section, setting.pause)
        });
        format!("{}{threads}{work}, {}", self.case, self.condition.name())
    }

    /// Who has its turn in a round, one after the other. Each round begins with another variant, so
    /// that none is always behind the same one.
    pub(crate) fn turns(&self, round: usize) -> Vec<(usize, Clock)> {
        let variants = self.variants().len();
        let rotated = |by: usize| (0..variants).map(move |variant| (variant + by) % variants);
        match &self.kind {
            Kind::Timed { turns, .. } => (0..*turns)
                .flat_map(|turn| rotated(round * turns + turn))
                .map(|variant| (variant, Clock::Off))
                .collect(),
            Kind::Contended { clocks, .. } => clocks
                .iter()
                .filter(|clock| {
                    **clock == Clock::Off || clocks.len() == 1 || round < ROUNDS_OF_WAITS
                })
                .flat_map(|&clock| rotated(round).map(move |variant| (variant, clock)))
                .collect(),
        }
    }

    pub(crate) fn expected_of_turn(&self) -> Duration {
        match &self.kind {
            // Starting the threads takes some 30 µs for each, and seeing that all of them sleep as
            // long.
            Kind::Timed { slice, threads, .. } => {
                *slice + Duration::from_micros(60) * threads.unwrap_or(0)
            }
            Kind::Contended { duration, .. } => *duration,
        }
    }

    pub(crate) fn run(&self, variant: usize, clock: Clock) -> Sample {
        self.condition.run(|| match &self.kind {
            Kind::Timed {
                variants,
                threads,
                repetitions,
                slice,
                ..
            } => {
                let (time, repetitions) = match variants[variant].run {
                    Run::Alone(run) => {
                        let repetitions =
                            *repetitions[variant].get_or_init(|| calibrated(run, *slice));
                        (run(repetitions), repetitions)
                    }
                    Run::Group(run) => {
                        let lap = run(&Course {
                            threads: threads.expect("a group") as usize,
                            repetitions: u64::MAX,
                            time: *slice,
                            bound: self.condition == Condition::Idle,
                        });
                        (lap.elapsed, lap.repetitions)
                    }
                };
                Sample::Timed(time.as_nanos() as f64 / repetitions as f64)
            }
            Kind::Contended {
                variants,
                setting,
                duration,
                ..
            } => Sample::Contended((variants[variant].run)(setting, *duration, clock), clock),
        })
    }
}

/// How many repetitions take about as long as `slice`.
fn calibrated(run: fn(u64) -> Duration, slice: Duration) -> u64 {
    let mut repetitions = 1;
    loop {
        let time = run(repetitions);
        if time >= slice / 8 {
            let wanted = slice.as_secs_f64() / time.as_secs_f64() * repetitions as f64;
            return (wanted as u64).max(1);
        }
        repetitions *= 8;
    }
}

/// The curves': how many contend ...
const CROWDS: &[u32] = &[2, 4, 8, 16, 32, 64];

/// ... and how many are woken.
pub(crate) const WAITERS: &[u32] = &[10, 30, 100, 300, 1000, 3000, 10_000];

pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    rounds: u32,
}

/// What is asked for, or else what is usual.
pub(crate) fn or_usual(asked: &[u32], usual: &[u32]) -> Vec<u32> {
    if asked.is_empty() { usual } else { asked }.to_vec()
}

impl Plan {
    pub(crate) fn new(args: &Args) -> Self {
        let mut plan = Self {
            jobs: Vec::new(),
            rounds: args.rounds(),
        };
        let usual: &[Case] = if args.curves {
            &[Case::Barriers, Case::Wakes, Case::Locks, Case::Semaphores]
        } else {
            &[
                Case::Uncontended,
                Case::PingPong,
                Case::Barriers,
                Case::Wakes,
                Case::Locks,
                Case::Semaphores,
                Case::Fairness,
            ]
        };
        let cases = if args.cases.is_empty() {
            usual
        } else {
            &args.cases
        };
        for &condition in load::ALL {
            if args.conditions().contains(&condition) && condition.possible() {
                for &case in cases {
                    plan.add(case, condition, args);
                }
            }
        }
        plan
    }

    fn add(&mut self, case: Case, condition: Condition, args: &Args) {
        // What runs beside others has to have had its time slices, several times.
        let usual_duration = match (condition, args.full) {
            // Of a low priority, they have a twentieth of the time.
            (Condition::LowerPriority, _) => 200,
            (Condition::Busy | Condition::BusyOneCore, true) => 100,
            (Condition::Busy | Condition::BusyOneCore, false) => 60,
            (Condition::Idle | Condition::OneCore, true) => 30,
            (Condition::Idle | Condition::OneCore, false) => 20,
        };
        let duration = Duration::from_millis(args.duration.unwrap_or(usual_duration).into());
        let is_idle = condition == Condition::Idle;
        // What is short has more turns in a round, if it is not for others to say how long it is.
        let (slice, turns) = if condition.is_busy() {
            (duration, 1)
        } else {
            (duration / 10, 5)
        };
        let threads = |usual: &[u32]| or_usual(&args.threads, usual);
        match case {
            Case::Uncontended if is_idle => {
                self.add_timed(timed::UNCONTENDED, None, condition, args, slice, turns);
            }
            // Who is not disturbed by other threads is not disturbed by a busy machine either.
            Case::Uncontended => {}
            Case::PingPong => {
                self.add_timed(timed::PING_PONGS, Some(2), condition, args, slice, turns);
            }
            Case::Barriers => {
                let usual: &[u32] = if args.curves { CROWDS } else { &[2, 10, 40] };
                for threads in threads(usual) {
                    let all = timed::BARRIERS;
                    self.add_timed(all, Some(threads), condition, args, slice, turns);
                }
            }
            Case::Wakes => {
                let usual: &[u32] = match (args.curves, is_idle) {
                    (true, _) => WAITERS,
                    (false, true) => &[10, 100, 1000],
                    (false, false) => &[10, 100],
                };
                for threads in threads(usual) {
                    let all = timed::WAKES;
                    self.add_timed(all, Some(threads), condition, args, duration, 1);
                }
            }
            Case::Locks | Case::Rlocks => {
                let (name, variants) = match case {
                    Case::Locks => ("locks", contend::LOCKS),
                    _ => ("rlocks", contend::RLOCKS),
                };
                let usual: &[u32] = match (is_idle, args.full) {
                    _ if args.curves => CROWDS,
                    (true, true) => &[2, 4, 8, 16, 32],
                    (true, false) => &[2, 8, 32],
                    (false, true) => &[2, 8],
                    (false, false) => &[8],
                };
                let full = args.full && is_idle;
                for (section, pause) in work(args, full, &[10, 200], &[0, 10, 50, 200, 1000]) {
                    for threads in threads(usual) {
                        let setting = Setting {
                            threads,
                            permits: 1,
                            section,
                            pause,
                        };
                        self.add_contended(name, variants, setting, condition, duration, args);
                    }
                }
            }
            Case::Semaphores => {
                // Most people in a few stalls.
                let mut crowds = vec![(8, 3), (22, 5)];
                if args.curves {
                    crowds = CROWDS.iter().map(|&threads| (threads, 2)).collect();
                } else if !(is_idle || args.full) {
                    crowds.truncate(1);
                }
                if !(args.threads.is_empty() && args.permits.is_empty()) {
                    crowds = threads(&[8, 22])
                        .into_iter()
                        .flat_map(|threads| {
                            or_usual(&args.permits, &[3, 5])
                                .into_iter()
                                .map(move |permits| (threads, permits))
                        })
                        .collect();
                }
                let full = args.full && is_idle;
                for (section, pause) in work(args, full, &[50, 5000], &[0, 50, 200, 1000, 5000]) {
                    for &(threads, permits) in &crowds {
                        let setting = Setting {
                            threads,
                            permits,
                            section,
                            pause,
                        };
                        let (name, all) = ("semaphores", contend::SEMAPHORES);
                        self.add_contended(name, all, setting, condition, duration, args);
                    }
                }
            }
            Case::Fairness if is_idle => {
                let pauses: &[u32] = if args.full { &[0, 1] } else { &[0] };
                for (section, pause) in work_of(args, &[10, 200], pauses) {
                    for threads in threads(&[8, 32]) {
                        let setting = Setting {
                            threads,
                            permits: 1,
                            section,
                            pause,
                        };
                        // Each thread has to have had its time slice, several times.
                        let duration = duration * (threads / 4).max(4);
                        let (name, all) = ("fairness", contend::LOCKS);
                        self.add_contended(name, all, setting, condition, duration, args);
                    }
                }
            }
            // By itself, once.
            Case::Memory => {}
            // Whoever computes beside them decides who comes to wait.
            Case::Fairness => {}
        }
    }

    fn add_timed(
        &mut self,
        all: &'static [Timed],
        threads: Option<u32>,
        condition: Condition,
        args: &Args,
        slice: Duration,
        turns: usize,
    ) {
        let first_of_these = self.jobs.len();
        for variant in all.iter().filter(|variant| args.wants(variant.name)) {
            let last = self.jobs[first_of_these..].last_mut();
            match last
                .filter(|job| job.case == variant.case)
                .map(|job| &mut job.kind)
            {
                Some(Kind::Timed {
                    variants,
                    repetitions,
                    ..
                }) => {
                    variants.push(variant);
                    repetitions.push(OnceLock::new());
                }
                _ => self.jobs.push(Job {
                    case: variant.case,
                    condition,
                    kind: Kind::Timed {
                        variants: vec![variant],
                        threads,
                        repetitions: vec![OnceLock::new()],
                        slice,
                        turns,
                    },
                }),
            }
        }
    }

    fn add_contended(
        &mut self,
        case: &'static str,
        all: &'static [Contender],
        setting: Setting,
        condition: Condition,
        duration: Duration,
        args: &Args,
    ) {
        let variants: Vec<_> = all
            .iter()
            .filter(|variant| args.wants(variant.name))
            .collect();
        if !variants.is_empty() {
            self.jobs.push(Job {
                case,
                condition,
                kind: Kind::Contended {
                    variants,
                    setting,
                    duration,
                    clocks: match case {
                        // It is about long waits, and those need the clock.
                        "fairness" => &[Clock::On],
                        _ if condition == Condition::Idle => &[Clock::Off, Clock::On],
                        _ => &[Clock::Off],
                    },
                },
            });
        }
    }

    pub(crate) fn expected(&self) -> Duration {
        let of_round = |round: usize| {
            let jobs = self.jobs.iter();
            jobs.map(|job| job.expected_of_turn() * job.turns(round).len() as u32)
                .sum::<Duration>()
        };
        (0..self.rounds as usize).map(of_round).sum()
    }

    pub(crate) fn list(&self) {
        let mut last = "";
        for job in &self.jobs {
            if job.case != last {
                println!("{}\n    {}", job.case, job.variants().join("\n    "));
                last = job.case;
            }
        }
    }

    /// Runs each variant once, without a clock, and tells how often they were acquired.
    pub(crate) fn count(&self) -> u64 {
        let runs = self
            .jobs
            .iter()
            .flat_map(|job| (0..job.variants().len()).map(|variant| job.run(variant, Clock::Off)));
        runs.map(|sample| match sample {
            Sample::Timed(_) => 0,
            Sample::Contended(sample, _) => sample.acquisitions.iter().sum(),
        })
        .sum()
    }
}

/// The sections and pauses of the whole matrix, or of a quick look.
fn work(args: &Args, whole: bool, quick: &[u32], full: &[u32]) -> Vec<(u32, u32)> {
    if whole {
        work_of(args, full, &[0, 1, 10])
    } else {
        work_of(args, quick, &[1])
    }
}

/// The sections and pauses, in nanoseconds, each pair once.
fn work_of(args: &Args, sections: &[u32], pauses: &[u32]) -> Vec<(u32, u32)> {
    let mut work = Vec::new();
    for section in or_usual(&args.section, sections) {
        for times in or_usual(&args.pause, pauses) {
            let pair = (section, times.saturating_mul(section.max(10)));
            if !work.contains(&pair) {
                work.push(pair);
            }
        }
    }
    work
}
