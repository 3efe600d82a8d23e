//! What the rounds gave.

use hdrhistogram::Histogram;

use crate::contend::Clock;
use crate::contend::{self, Setting, histogram};
use crate::load::Condition;
use crate::plan::{Plan, Sample};

pub(crate) struct Results {
    pub(crate) jobs: Vec<JobResults>,
}

pub(crate) struct JobResults {
    number: usize,
    pub(crate) case: &'static str,
    pub(crate) condition: Condition,
    /// How many take part, if that is what the case is about.
    pub(crate) threads: Option<u32>,
    pub(crate) setting: Option<Setting>,
    pub(crate) variants: Vec<Measured>,
}

/// One variant: a number for each round.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    /// For each repetition.
    pub(crate) nanoseconds: Vec<f64>,
    /// Acquisitions a second.
    pub(crate) rates: Vec<f64>,
    /// The waits of all rounds, in nanoseconds.
    pub(crate) waits: Histogram<u64>,
    /// The longest wait, in nanoseconds.
    pub(crate) longest: Vec<f64>,
    /// What the thread that had it the fewest times had, over what the one with the most had.
    pub(crate) least_over_most: Vec<f64>,
    /// Jain's index: 1 if all had the same, 1/n if one had all.
    pub(crate) jain: Vec<f64>,
    /// For each acquisition.
    pub(crate) futex_calls: Option<f64>,
}

impl Results {
    pub(crate) fn new(plan: &Plan) -> Self {
        let jobs = plan
            .jobs
            .iter()
            .enumerate()
            .map(|(number, job)| JobResults {
                number,
                case: job.case,
                condition: job.condition,
                threads: job.threads(),
                setting: job.setting(),
                variants: job.variants().into_iter().map(Measured::new).collect(),
            });
        Self {
            jobs: jobs.collect(),
        }
    }
}

/// Which rounds a figure is of: all, or as many that are drawn, some of them several times.
#[derive(Clone, Copy)]
pub(crate) struct Draw(Option<u64>);

/// All rounds, or every second one.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    All,
    Even,
    Odd,
}

impl Draw {
    pub(crate) const ALL: Self = Self(None);

    /// The interval that a figure is in by 95 %, were the rounds drawn again (the bootstrap).
    pub(crate) fn interval(figure: impl Fn(Self) -> Option<f64>) -> Option<(f64, f64)> {
        const DRAWS: u64 = 400;
        let mut figures: Vec<_> = (0..DRAWS)
            .map(|seed| figure(Self(Some(seed))))
            .collect::<Option<_>>()?;
        figures.sort_by(f64::total_cmp);
        let tail = figures.len() / 40;
        Some((figures[tail], figures[figures.len() - 1 - tail]))
    }
}

impl JobResults {
    pub(crate) fn add(&mut self, variant: usize, sample: Sample) {
        let measured = &mut self.variants[variant];
        match sample {
            Sample::Timed(nanoseconds) => measured.nanoseconds.push(nanoseconds),
            Sample::Contended(sample, clock) => measured.add(&sample, clock),
        }
    }

    /// The median of what the rounds of one part gave, or of such as were drawn of them. Not a
    /// number, if there are none.
    pub(crate) fn median(&self, numbers: &[f64], part: Part, draw: Draw) -> f64 {
        let (first, step) = match part {
            Part::All => (0, 1),
            Part::Even => (0, 2),
            Part::Odd => (1, 2),
        };
        let mut numbers: Vec<_> = numbers.iter().copied().skip(first).step_by(step).collect();
        if let Draw(Some(seed)) = draw {
            // The same rounds for all variants: what disturbed one of a round disturbed the others.
            let mut random = fastrand::Rng::with_seed(seed << 32 | self.number as u64);
            let drawn = |_| numbers[random.usize(..numbers.len())];
            numbers = (0..numbers.len()).map(drawn).collect();
        }
        median(&numbers)
    }

    pub(crate) fn of(&self, name: &str) -> Option<&Measured> {
        self.variants.iter().find(|measured| measured.name == name)
    }

    /// How many take part, and what they do, as far as that is what the case is about.
    pub(crate) fn setting_name(&self) -> String {
        let mut name = self
            .threads
            .map_or(String::new(), |threads| format!("of {threads}"));
        if let Some(setting) = self.setting {
            if setting.permits > 1 {
                name += &format!(" on {}", setting.permits);
            }
            name += &format!(", {}/{} ns", setting.section, setting.pause);
        }
        name
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Measured> {
        self.variants.iter().filter(|measured| measured.is_peer())
    }
}

impl Measured {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            nanoseconds: Vec::new(),
            rates: Vec::new(),
            waits: histogram(),
            longest: Vec::new(),
            least_over_most: Vec::new(),
            jain: Vec::new(),
            futex_calls: None,
        }
    }

    fn add(&mut self, sample: &contend::Sample, clock: Clock) {
        let each = sample.acquisitions.iter().map(|&count| count as f64);
        let sum: f64 = each.clone().sum();
        if clock == Clock::Off {
            self.rates.push(sum / sample.elapsed.as_secs_f64());
            return;
        }
        let most = each.clone().fold(0.0, f64::max);
        let least = each.clone().fold(f64::INFINITY, f64::min);
        let squares: f64 = each.map(|count| count * count).sum();
        self.least_over_most.push(least / most);
        self.jain
            .push(sum * sum / squares / sample.acquisitions.len() as f64);
        self.longest.push(sample.waits.max() as f64);
        self.waits.add(&sample.waits).expect("the same bounds");
    }

    pub(crate) fn is_peer(&self) -> bool {
        !self.name.starts_with("racefree") && !self.name.starts_with("floor")
    }

    /// Up to so long was waited in such a share of the cases, in nanoseconds; not a number, if that
    /// was not measured.
    pub(crate) fn wait(&self, share: f64) -> f64 {
        if self.waits.is_empty() {
            f64::NAN
        } else {
            self.waits.value_at_quantile(share) as f64
        }
    }

    pub(crate) fn time(&self) -> f64 {
        median(&self.nanoseconds)
    }

    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }
}

/// Not a number, if there are none.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// None, if there are no numbers.
pub(crate) fn geometric_mean(numbers: &[f64]) -> Option<f64> {
    let logarithms: f64 = numbers.iter().map(|number| number.ln()).sum();
    (!numbers.is_empty()).then(|| (logarithms / numbers.len() as f64).exp())
}
