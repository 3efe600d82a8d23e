//! What this crate wants to reach, and whether it did in this run.
//!
//! A goal has an interval: the figure's, were the rounds drawn again. It is reached or missed when
//! all of the interval is on one side of its limit; until then it is open, and is measured again.

use crate::contend::Clock;
use crate::load::Condition;
use crate::report::Table;
use crate::results::{Draw, JobResults, Measured, Part, Results, geometric_mean};
use crate::timed;

pub(crate) struct Goal {
    what: String,
    /// Those of one kind are not named one by one when they are reached.
    kind: Option<String>,
    limit: Limit,
    /// What it is a figure of.
    jobs: Vec<usize>,
    clock: Clock,
    figure: Figure,
}

type Figure = Box<dyn Fn(&Results, Draw) -> Option<f64>>;

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

use Limit::{AtLeast, AtMost};

impl Limit {
    fn holds(self, figure: f64) -> bool {
        match self {
            AtMost(most) => figure <= most,
            AtLeast(least) => figure >= least,
        }
    }

    fn text(self) -> String {
        match self {
            AtMost(most) => format!("at most {most}"),
            AtLeast(least) => format!("at least {least}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Reached,
    Missed,
    Open,
}

/// A goal's figure in this run, and the ends of its interval.
struct Outcome {
    figure: f64,
    from: f64,
    to: f64,
    verdict: Verdict,
}

impl Goal {
    /// Nothing, if what it is about was not measured.
    fn outcome(&self, results: &Results) -> Option<Outcome> {
        let figure = |draw| (self.figure)(results, draw).filter(|figure| !figure.is_nan());
        // To as many places as the limits have: what is less is noise.
        let rounded = |figure: f64| (figure * 100.0).round() / 100.0;
        let whole = rounded(figure(Draw::ALL)?);
        let (from, to) = Draw::interval(figure)?;
        // Of a single round there is no interval.
        let is_one = from == to;
        let (from, to) = (rounded(from), rounded(to));
        let verdict = match (self.limit.holds(from), self.limit.holds(to)) {
            _ if is_one => Verdict::Open,
            (true, true) => Verdict::Reached,
            (false, false) => Verdict::Missed,
            _ => Verdict::Open,
        };
        Some(Outcome {
            figure: whole,
            from,
            to,
            verdict,
        })
    }
}

/// What has to be measured again for goals that are open: jobs, and whether with a clock.
pub(crate) fn open(goals: &[Goal], results: &Results) -> Vec<(usize, Clock)> {
    let mut again = Vec::new();
    for goal in goals {
        let outcome = goal.outcome(results);
        if outcome.is_some_and(|outcome| outcome.verdict == Verdict::Open) {
            for &job in &goal.jobs {
                if !again.contains(&(job, goal.clock)) {
                    again.push((job, goal.clock));
                }
            }
        }
    }
    again
}

/// The goals that this run says something about, each with a verdict.
pub(crate) fn print(goals: &[Goal], results: &Results, rounds: u32) {
    let mut table = Table::new(&["goal", "figure", "interval", "wanted", "verdict"]);
    let mut kinds: Vec<(&str, Limit, Vec<Outcome>)> = Vec::new();
    let mut any = false;
    for goal in goals {
        let Some(outcome) = goal.outcome(results) else {
            continue;
        };
        any = true;
        let reached = outcome.verdict == Verdict::Reached;
        if goal.kind.is_none() || !reached {
            table.row(vec![
                goal.what.clone(),
                format!("{:.2}", outcome.figure),
                format!("{:.2} to {:.2}", outcome.from, outcome.to),
                goal.limit.text(),
                match outcome.verdict {
                    Verdict::Reached => "reached",
                    Verdict::Missed => "MISSED",
                    Verdict::Open => "open",
                }
                .to_string(),
            ]);
        }
        if let Some(kind) = &goal.kind {
            match kinds.iter_mut().find(|(other, ..)| other == kind) {
                Some((_, _, outcomes)) => outcomes.push(outcome),
                None => kinds.push((kind, goal.limit, vec![outcome])),
            }
        }
    }
    if !any {
        return;
    }
    println!(
        "\nThe goals: ours over the best peer, or over the one that is named, and by 95 % in which \
         interval.\n"
    );
    table.print();
    for (kind, limit, outcomes) in kinds {
        let count = |verdict| {
            let of_it = outcomes.iter().filter(|outcome| outcome.verdict == verdict);
            of_it.count()
        };
        let figures = outcomes.iter().map(|outcome| outcome.figure);
        let worst = match limit {
            AtMost(_) => figures.fold(f64::MIN, f64::max),
            AtLeast(_) => figures.fold(f64::MAX, f64::min),
        };
        println!(
            "{kind}, {} each: {} of {} reached, {} open, {} missed; the worst {worst:.2}",
            limit.text(),
            count(Verdict::Reached),
            outcomes.len(),
            count(Verdict::Open),
            count(Verdict::Missed),
        );
    }
    if rounds < 5 {
        println!("\nOf fewer than 5 rounds: no verdict to rely on.");
    }
}

/// All that can be told of these jobs.
pub(crate) fn of(results: &Results) -> Vec<Goal> {
    let mut goals = Goals {
        results,
        goals: Vec::new(),
    };
    goals.uncontended();
    goals.ping_pong();
    goals.wakes();
    goals.locks();
    goals.semaphores();
    goals.fairness();
    goals.other_conditions();
    goals.goals
}

struct Goals<'a> {
    results: &'a Results,
    goals: Vec<Goal>,
}

const MUTEXES: [&str; 2] = ["racefree Mutex", "racefree Lock"];
const SEMAPHORES: [&str; 2] = ["racefree Semaphore", "racefree BoundedSemaphore"];
const PARKING_LOT: &str = "parking_lot Mutex";

impl Goals<'_> {
    /// A figure of one job.
    fn one(
        &mut self,
        what: String,
        job: usize,
        clock: Clock,
        limit: Limit,
        figure: impl Fn(&JobResults, Draw) -> Option<f64> + 'static,
    ) {
        self.goals.push(Goal {
            what,
            kind: None,
            limit,
            jobs: vec![job],
            clock,
            figure: Box::new(move |results, draw| figure(&results.jobs[job], draw)),
        });
    }

    /// The same, of a kind of which there are many.
    fn one_of_many(
        &mut self,
        kind: String,
        job: usize,
        limit: Limit,
        figure: impl Fn(&JobResults, Draw) -> Option<f64> + 'static,
    ) {
        let what = format!("{kind}: {}", self.results.jobs[job].setting_name());
        self.one(what, job, Clock::Off, limit, figure);
        self.goals.last_mut().expect("just made").kind = Some(kind);
    }

    /// The geometric mean of a figure of each of some jobs.
    fn mean(
        &mut self,
        what: String,
        jobs: Vec<usize>,
        limit: Limit,
        figure: impl Fn(&JobResults, Draw) -> Option<f64> + 'static,
    ) {
        self.goals.push(Goal {
            what: format!("{what}, mean of {}", jobs.len()),
            kind: None,
            limit,
            jobs: jobs.clone(),
            clock: Clock::Off,
            figure: Box::new(move |results, draw| {
                let figures = jobs.iter().map(|&job| figure(&results.jobs[job], draw));
                geometric_mean(&figures.collect::<Option<Vec<_>>>()?)
            }),
        });
    }

    fn idle(&self, case: &str) -> Vec<usize> {
        self.jobs(|job| job.case == case && job.condition == Condition::Idle)
    }

    fn jobs(&self, which: impl Fn(&JobResults) -> bool) -> Vec<usize> {
        let jobs = self.results.jobs.iter().enumerate();
        jobs.filter(|(_, job)| which(job))
            .map(|(number, _)| number)
            .collect()
    }

    fn time_over(
        &mut self,
        what: String,
        case: &str,
        own: &'static str,
        peer: &'static str,
        most: f64,
    ) {
        for job in self.idle(case) {
            self.one(
                what.clone(),
                job,
                Clock::Off,
                AtMost(most),
                move |job, draw| job.time_over(own, peer, draw),
            );
        }
    }

    /// `scripts/counts` tells exactly whether these grow. Here is what that comes to beside the
    /// peers.
    fn uncontended(&mut self) {
        for own in ["racefree Lock", "racefree Mutex"] {
            for job in self.idle(timed::LOCK) {
                // Theirs are a compare-exchange and an exchange as well: less than one of twenty
                // cannot be told from noise.
                let what = format!("{own}, uncontended: time");
                self.one(what, job, Clock::Off, AtMost(1.05), |job, draw| {
                    job.time_over_best(own, draw)
                });
            }
            let what = format!("{own} over its floor");
            self.time_over(what, timed::LOCK, own, timed::FLOOR_TWO, 1.1);
        }
        let own = "racefree RLock";
        let peer = timed::PARKING_LOT_REENTRANT;
        for (case, most) in [(timed::RLOCK, 0.9), (timed::RLOCK_NESTED, 1.0)] {
            self.time_over(format!("{case} over parking_lot's"), case, own, peer, most);
        }
        for own in SEMAPHORES {
            for (peer, most) in [(timed::TOKIO_TRY, 0.65), (timed::ASYNC_LOCK_TRY, 0.45)] {
                self.time_over(
                    format!("{own} over {peer}"),
                    timed::SEMAPHORE,
                    own,
                    peer,
                    most,
                );
            }
        }
        let own = "racefree Event";
        let what = "event wait when set over rsevents'".to_string();
        self.time_over(what, timed::EVENT_WAIT, own, timed::RSEVENTS, 0.5);
        for condvar in ["std Condvar", "parking_lot Condvar", "usync Condvar"] {
            let what = format!("event set and clear over {condvar}");
            self.time_over(what, timed::EVENT_SET_CLEAR, own, condvar, 0.6);
        }
    }

    fn ping_pong(&mut self) {
        for job in self.idle(timed::PING_PONG) {
            let what = "ping-pong of Event on two cores: times the best peer's speed".to_string();
            self.one(what, job, Clock::Off, AtLeast(20.0), |job, draw| {
                job.time_over_best("racefree Event", draw).map(f64::recip)
            });
        }
    }

    fn wakes(&mut self) {
        for job in self.idle(timed::WAKE) {
            let name = self.results.jobs[job].setting_name();
            for own in ["racefree Event", timed::CONDITION, "racefree Barrier"] {
                for peer in ["std Condvar", timed::STD_LOCKED] {
                    let what = format!("wake {name}: {own} over {peer}");
                    self.one(what, job, Clock::Off, AtMost(1.1), move |job, draw| {
                        job.time_over(own, peer, draw)
                    });
                }
            }
        }
    }

    fn locks(&mut self) {
        let all = self.idle("locks");
        let threads_of = |job: usize| self.results.jobs[job].threads;
        let mut all_threads: Vec<_> = all.iter().map(|&job| threads_of(job)).collect();
        all_threads.sort_unstable();
        all_threads.dedup();
        let groups: Vec<_> = all_threads
            .into_iter()
            .map(|threads| {
                let of_group = |&job: &usize| threads_of(job) == threads;
                (
                    threads.unwrap_or(0),
                    all.iter().copied().filter(of_group).collect::<Vec<_>>(),
                )
            })
            .collect();
        for own in MUTEXES {
            for (threads, jobs) in &groups {
                let what = format!("{own}, {threads} threads: throughput");
                self.mean(what, jobs.clone(), AtLeast(1.05), |job, draw| {
                    job.rate_over_best(own, draw)
                });
            }
            if !all.is_empty() {
                let what = format!("{own}: throughput over std's");
                self.mean(what, all.clone(), AtLeast(1.5), |job, draw| {
                    job.rate_over(own, "std Mutex", draw)
                });
            }
            for &job in &all {
                let kind = format!("{own}: throughput in one setting");
                self.one_of_many(kind, job, AtLeast(0.85), |job, draw| {
                    job.rate_over_best(own, draw)
                });
            }
        }
    }

    /// 1.5 times as fast as the others is possible only where threads wait for permits, and where
    /// what they do with them is short. With pauses of ten sections the permits are never short (8
    /// threads of which one in eleven is inside have 3; and 22 have 5), and with long sections all
    /// semaphores are as fast as the sections: to be level is what is left.
    fn semaphores(&mut self) {
        for own in SEMAPHORES {
            for job in self.idle("semaphores") {
                let setting = self.results.jobs[job].setting.expect("a contended case");
                let short = setting.section <= 50 && setting.pause <= setting.section.max(10);
                let (least, kind) = if short {
                    (1.5, format!("{own}: throughput, short of permits"))
                } else {
                    (0.95, format!("{own}: throughput"))
                };
                self.one_of_many(kind, job, AtLeast(least), |job, draw| {
                    job.rate_over_best(own, draw)
                });
            }
        }
    }

    fn fairness(&mut self) {
        for own in MUTEXES {
            for job in self.idle("fairness") {
                let name = self.results.jobs[job].setting_name();
                let (longest, share) = ("longest wait over parking_lot's", "least over most");
                self.one(
                    format!("{own} {name}: {longest}"),
                    job,
                    Clock::On,
                    AtMost(2.0),
                    |job, draw| {
                        let longest = |name| job.figure(name, |of| &of.longest, draw);
                        Some(longest(own)? / longest(PARKING_LOT)?)
                    },
                );
                self.one(
                    format!("{own} {name}: {share}"),
                    job,
                    Clock::On,
                    AtLeast(0.6),
                    |job, draw| job.figure(own, |of| &of.least_over_most, draw),
                );
                self.one(
                    format!("{own} {name}: {share}, less parking_lot's"),
                    job,
                    Clock::On,
                    AtLeast(-0.1),
                    |job, draw| {
                        let share = |name| job.figure(name, |of| &of.least_over_most, draw);
                        Some(share(own)? - share(PARKING_LOT)?)
                    },
                );
            }
        }
    }

    /// On a busy machine, or on one core: no more than a fifth slower than the best peer.
    fn other_conditions(&mut self) {
        for number in self.jobs(|job| job.condition != Condition::Idle) {
            let job = &self.results.jobs[number];
            let name = format!(
                "{} {}, {}",
                job.case,
                job.setting_name(),
                job.condition.name()
            );
            let names: Vec<_> = job.variants.iter().map(|measured| measured.name).collect();
            for own in names
                .into_iter()
                .filter(|name| name.starts_with("racefree"))
            {
                let most = match (job.case, job.condition) {
                    (timed::PING_PONG, Condition::OneCore) => 1.0,
                    _ => 1.2,
                };
                let contended = job.setting.is_some();
                let what = format!("{name}: {own}");
                self.one(what, number, Clock::Off, AtMost(most), move |job, draw| {
                    if contended {
                        job.rate_over_best(own, draw).map(f64::recip)
                    } else {
                        job.time_over_best(own, draw)
                    }
                });
            }
        }
    }
}

impl JobResults {
    fn figure(
        &self,
        name: &str,
        figures: impl Fn(&Measured) -> &Vec<f64>,
        draw: Draw,
    ) -> Option<f64> {
        let figures = figures(self.of(name)?);
        (!figures.is_empty()).then(|| self.median(figures, Part::All, draw))
    }

    /// Which of the peers is the best is told by one half of the rounds, and how much better it is by
    /// the other half; and the other way round. Were both told by the same, the one that was lucky
    /// would be the best: one of five that are alike, and whose figures vary as on a busy machine,
    /// looks a third better than each is.
    fn over_best(
        &self,
        own: &str,
        figures: impl Fn(&Measured) -> &Vec<f64>,
        better: impl Fn(f64, f64) -> bool,
        draw: Draw,
    ) -> Option<f64> {
        let own = figures(self.of(own)?);
        let over = |told_by: Part, measured_by: Part| {
            let figure = |of: &Measured, part| self.median(figures(of), part, draw);
            let best = self.peers().reduce(|best, peer| {
                if better(figure(peer, told_by), figure(best, told_by)) {
                    peer
                } else {
                    best
                }
            })?;
            Some(self.median(own, measured_by, draw) / figure(best, measured_by))
        };
        if own.len() < 4 {
            return over(Part::All, Part::All).filter(|_| !own.is_empty());
        }
        geometric_mean(&[over(Part::Even, Part::Odd)?, over(Part::Odd, Part::Even)?])
    }

    fn time_over(&self, own: &str, peer: &str, draw: Draw) -> Option<f64> {
        let time = |name| self.figure(name, |of| &of.nanoseconds, draw);
        Some(time(own)? / time(peer)?)
    }

    fn time_over_best(&self, own: &str, draw: Draw) -> Option<f64> {
        self.over_best(own, |of| &of.nanoseconds, |peer, best| peer < best, draw)
    }

    fn rate_over(&self, own: &str, peer: &str, draw: Draw) -> Option<f64> {
        let rate = |name| self.figure(name, |of| &of.rates, draw);
        Some(rate(own)? / rate(peer)?)
    }

    fn rate_over_best(&self, own: &str, draw: Draw) -> Option<f64> {
        self.over_best(own, |of| &of.rates, |peer, best| peer > best, draw)
    }
}
