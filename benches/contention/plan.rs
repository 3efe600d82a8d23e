//! What is run, in which order, and how long that should take.

use std::cell::OnceCell;
use std::time::Duration;

use crate::contend::{self, Clock, Contender, Setting};
use crate::timed::{self, Timed};
use crate::{Args, Case};

/// The variants of one case in one setting: what is compared with one another.
pub(crate) struct Job {
    pub(crate) case: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Timed {
        variants: Vec<&'static Timed>,
        /// How many repetitions make a sample of each, once that is known.
        repetitions: Vec<OnceCell<u64>>,
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

    pub(crate) fn variants(&self) -> Vec<&'static str> {
        match &self.kind {
            Kind::Timed { variants, .. } => variants.iter().map(|variant| variant.name).collect(),
            Kind::Contended { variants, .. } => {
                variants.iter().map(|variant| variant.name).collect()
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        match self.setting() {
            None => self.case.to_string(),
            Some(setting) => format!(
                "{}: {} threads, {} ns, pause {} ns",
                self.case, setting.threads, setting.section, setting.pause
            ),
        }
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
                .flat_map(|&clock| rotated(round).map(move |variant| (variant, clock)))
                .collect(),
        }
    }

    pub(crate) fn expected_of_turn(&self) -> Duration {
        match &self.kind {
            // Starting the threads, and seeing that all of them sleep, takes longer than the wake.
            Kind::Timed { .. } if self.case == "wake 1000" => Duration::from_millis(90),
            Kind::Timed { .. } if self.case.starts_with("wake") => Duration::from_millis(20),
            Kind::Timed { slice, .. } => *slice,
            Kind::Contended { duration, .. } => *duration,
        }
    }

    pub(crate) fn run(&self, variant: usize, clock: Clock) -> Sample {
        match &self.kind {
            Kind::Timed {
                variants,
                repetitions,
                slice,
                ..
            } => {
                let variant_of = variants[variant];
                let repetitions =
                    *repetitions[variant].get_or_init(|| calibrated(variant_of, *slice));
                let time = (variant_of.run)(repetitions);
                Sample::Timed(time.as_nanos() as f64 / repetitions as f64)
            }
            Kind::Contended {
                variants,
                setting,
                duration,
                ..
            } => Sample::Contended((variants[variant].run)(setting, *duration, clock), clock),
        }
    }
}

/// How many repetitions take about as long as `slice`.
fn calibrated(variant: &Timed, slice: Duration) -> u64 {
    if let Some(repetitions) = variant.repetitions {
        return repetitions;
    }
    let mut repetitions = 1;
    loop {
        let time = (variant.run)(repetitions);
        if time >= slice / 8 {
            let wanted = slice.as_secs_f64() / time.as_secs_f64() * repetitions as f64;
            return (wanted as u64).max(1);
        }
        repetitions *= 8;
    }
}

pub(crate) struct Plan {
    pub(crate) jobs: Vec<Job>,
    rounds: u32,
}

/// What is asked for, or else what is usual.
fn or_usual(asked: &[u32], usual: &[u32]) -> Vec<u32> {
    if asked.is_empty() { usual } else { asked }.to_vec()
}

impl Plan {
    pub(crate) fn new(args: &Args) -> Self {
        let mut plan = Self {
            jobs: Vec::new(),
            rounds: args.rounds,
        };
        let usual_cases = [
            Case::Uncontended,
            Case::RoundTrips,
            Case::Wakes,
            Case::Locks,
            Case::Semaphores,
            Case::Fairness,
        ];
        let cases = if args.cases.is_empty() {
            &usual_cases[..]
        } else {
            &args.cases
        };
        for &case in cases {
            plan.add(case, args);
        }
        plan
    }

    fn add(&mut self, case: Case, args: &Args) {
        let usual_duration = if args.full { 50 } else { 30 };
        let duration = Duration::from_millis(args.duration.unwrap_or(usual_duration).into());
        match case {
            Case::Uncontended => self.add_timed(timed::UNCONTENDED, args, duration / 10, 5),
            Case::RoundTrips => self.add_timed(timed::ROUND_TRIPS, args, duration / 10, 5),
            Case::Wakes => self.add_timed(timed::WAKES, args, duration, 1),
            Case::Locks | Case::Rlocks => {
                let (name, variants) = match case {
                    Case::Locks => ("locks", contend::LOCKS),
                    _ => ("rlocks", contend::RLOCKS),
                };
                let threads: &[u32] = if args.full {
                    &[2, 4, 8, 16, 32]
                } else {
                    &[2, 8, 32]
                };
                for (section, pause) in work(args, &[10, 200], &[0, 10, 50, 200, 1000]) {
                    for threads in or_usual(&args.threads, threads) {
                        let setting = Setting {
                            threads,
                            permits: 1,
                            section,
                            pause,
                        };
                        self.add_contended(name, variants, setting, duration, args);
                    }
                }
            }
            Case::Semaphores => {
                // Most people in a few stalls.
                let mut crowds = vec![(8, 3), (22, 5)];
                if !(args.threads.is_empty() && args.permits.is_empty()) {
                    crowds = or_usual(&args.threads, &[8, 22])
                        .into_iter()
                        .flat_map(|threads| {
                            or_usual(&args.permits, &[3, 5])
                                .into_iter()
                                .map(move |permits| (threads, permits))
                        })
                        .collect();
                }
                for (section, pause) in work(args, &[50, 5000], &[0, 50, 200, 1000, 5000]) {
                    for &(threads, permits) in &crowds {
                        let setting = Setting {
                            threads,
                            permits,
                            section,
                            pause,
                        };
                        self.add_contended(
                            "semaphores",
                            contend::SEMAPHORES,
                            setting,
                            duration,
                            args,
                        );
                    }
                }
            }
            Case::Fairness => {
                for threads in or_usual(&args.threads, &[8, 32]) {
                    let setting = Setting {
                        threads,
                        permits: 1,
                        section: args.section.first().copied().unwrap_or(200),
                        pause: 0,
                    };
                    // Each thread has to have had its time slice, several times.
                    let duration = duration * (threads / 4).max(4);
                    self.add_contended("fairness", contend::LOCKS, setting, duration, args);
                }
            }
        }
    }

    fn add_timed(&mut self, all: &'static [Timed], args: &Args, slice: Duration, turns: usize) {
        let all = all
            .iter()
            .filter(|variant| variant.possible() && wanted(args, variant.name));
        for variant in all {
            let last = self.jobs.last_mut().filter(|job| job.case == variant.case);
            match last.map(|job| &mut job.kind) {
                Some(Kind::Timed {
                    variants,
                    repetitions,
                    ..
                }) => {
                    variants.push(variant);
                    repetitions.push(OnceCell::new());
                }
                _ => self.jobs.push(Job {
                    case: variant.case,
                    kind: Kind::Timed {
                        variants: vec![variant],
                        repetitions: vec![OnceCell::new()],
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
        duration: Duration,
        args: &Args,
    ) {
        let variants: Vec<_> = all
            .iter()
            .filter(|variant| wanted(args, variant.name))
            .collect();
        if !variants.is_empty() {
            self.jobs.push(Job {
                case,
                kind: Kind::Contended {
                    variants,
                    setting,
                    duration,
                    // Fairness is about long waits, and those need the clock.
                    clocks: match case {
                        "fairness" => &[Clock::On],
                        _ => &[Clock::Off, Clock::On],
                    },
                },
            });
        }
    }

    pub(crate) fn expected(&self) -> Duration {
        let jobs = self.jobs.iter();
        self.rounds
            * jobs
                .map(|job| job.expected_of_turn() * job.turns(0).len() as u32)
                .sum::<Duration>()
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

fn wanted(args: &Args, name: &str) -> bool {
    let name = name.to_lowercase();
    args.only.is_empty()
        || args
            .only
            .iter()
            .any(|word| name.contains(&word.to_lowercase()))
}

/// The sections and pauses, in nanoseconds, each pair once.
fn work(args: &Args, quick: &[u32], full: &[u32]) -> Vec<(u32, u32)> {
    let (sections, pauses): (_, &[u32]) = if args.full {
        (full, &[0, 1, 10])
    } else {
        (quick, &[1])
    };
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
