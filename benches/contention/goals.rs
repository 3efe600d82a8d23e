//! What this crate wants to reach, and whether it did in this run.

use crate::report::Table;
use crate::results::{JobResults, Measured, Results, geometric_mean, median};
use crate::timed;

enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

use Goal::{AtLeast, AtMost};

/// The goals that this run says something about, each with a verdict.
pub(crate) fn print(results: &Results, rounds: u32) {
    let mut goals = Goals {
        table: Table::new(&["goal", "figure", "wanted", "verdict"]),
        any: false,
    };
    goals.uncontended(results);
    goals.round_trips(results);
    for own in ["racefree Mutex", "racefree Lock"] {
        goals.locks(results, own);
    }
    goals.semaphores(results);
    for own in ["racefree Mutex", "racefree Lock"] {
        goals.fairness(results, own);
    }
    if goals.any {
        println!("\nThe goals: ours over the best peer, or over the one that is named.\n");
        goals.table.print();
        if rounds < 7 {
            println!("\nOf fewer than 7 rounds: no verdict to rely on.");
        }
    }
}

struct Goals {
    table: Table,
    any: bool,
}

impl Goals {
    /// Says nothing of what was not measured.
    fn check(&mut self, what: String, figure: Option<f64>, goal: Goal) {
        let Some(figure) = figure.filter(|figure| !figure.is_nan()) else {
            return;
        };
        // To as many places as the goals have: what is less is noise.
        let figure = (figure * 100.0).round() / 100.0;
        let (reached, wanted) = match goal {
            AtMost(most) => (figure <= most, format!("at most {most}")),
            AtLeast(least) => (figure >= least, format!("at least {least}")),
        };
        let verdict = if reached { "reached" } else { "MISSED" };
        self.any = true;
        self.table.row(vec![
            what,
            format!("{figure:.2}"),
            wanted,
            verdict.to_string(),
        ]);
    }

    fn uncontended(&mut self, results: &Results) {
        for own in ["racefree Lock", "racefree Mutex"] {
            let best = time_over_best(results, timed::LOCK, own);
            self.check(format!("{own}, uncontended: time"), best, AtMost(1.0));
            let floor = time_over(results, timed::LOCK, own, timed::FLOOR_TWO);
            self.check(format!("{own} over its floor"), floor, AtMost(1.1));
        }
        let own = "racefree RLock";
        let peer = timed::PARKING_LOT_REENTRANT;
        for (case, most) in [(timed::RLOCK, 0.85), (timed::RLOCK_NESTED, 1.0)] {
            let ratio = time_over(results, case, own, peer);
            self.check(format!("{case} over parking_lot's"), ratio, AtMost(most));
        }
        for own in ["racefree Semaphore", "racefree BoundedSemaphore"] {
            let ratio = |peer| time_over(results, timed::SEMAPHORE, own, peer);
            self.check(
                format!("{own} over tokio's try"),
                ratio(timed::TOKIO_TRY),
                AtMost(0.65),
            );
            let async_lock = ratio(timed::ASYNC_LOCK_TRY);
            self.check(
                format!("{own} over async-lock's try"),
                async_lock,
                AtMost(0.45),
            );
        }
        let own = "racefree Event";
        let wait = time_over(results, timed::EVENT_WAIT, own, timed::RSEVENTS);
        self.check(
            "event wait when set over rsevents'".into(),
            wait,
            AtMost(0.5),
        );
        for condvar in ["std Condvar", "parking_lot Condvar", "usync Condvar"] {
            let ratio = time_over(results, timed::EVENT_SET_CLEAR, own, condvar);
            self.check(
                format!("event set and clear over {condvar}"),
                ratio,
                AtMost(0.6),
            );
        }
    }

    fn round_trips(&mut self, results: &Results) {
        let own = "racefree Event";
        for (case, least) in [(timed::PING_PONG_TWO, 20.0), (timed::PING_PONG_ONE, 1.3)] {
            let times_faster = time_over_best(results, case, own).map(f64::recip);
            self.check(
                format!("{case}: times the best peer"),
                times_faster,
                AtLeast(least),
            );
        }
        for case in ["wake 10", "wake 100", "wake 1000"] {
            for (own, peer) in [
                ("racefree Event", "std Condvar"),
                (timed::CONDITION, "std Condvar"),
                (timed::CONDITION, timed::STD_LOCKED),
            ] {
                let ratio = time_over(results, case, own, peer);
                self.check(format!("{case}: {own} over {peer}"), ratio, AtMost(1.1));
            }
        }
    }

    fn locks(&mut self, results: &Results, own: &str) {
        let jobs = || of_case(results, "locks");
        let mut all_threads: Vec<_> = jobs()
            .filter_map(|job| job.setting)
            .map(|setting| setting.threads)
            .collect();
        all_threads.sort_unstable();
        all_threads.dedup();
        for threads in all_threads {
            let jobs = jobs().filter(|job| {
                job.setting
                    .is_some_and(|setting| setting.threads == threads)
            });
            let ratios: Vec<_> = jobs.filter_map(|job| rate_over_best(job, own)).collect();
            let least = match threads {
                0..4 => 0.95,
                4..=16 => 1.1,
                _ => 1.05,
            };
            let what = format!(
                "{own}, {threads} threads: throughput, mean of {}",
                ratios.len()
            );
            self.check(what, geometric_mean(&ratios), AtLeast(least));
        }
        let ratios: Vec<_> = jobs().filter_map(|job| rate_over_best(job, own)).collect();
        let least = ratios.iter().copied().reduce(f64::min);
        self.check(
            format!("{own}: throughput, the worst setting"),
            least,
            AtLeast(0.75),
        );
        let over_std: Vec<_> = jobs()
            .filter_map(|job| Some(job.of(own)?.rate() / job.of("std Mutex")?.rate()))
            .collect();
        let what = format!("{own}: throughput over std's, mean of all");
        self.check(what, geometric_mean(&over_std), AtLeast(1.5));
    }

    fn semaphores(&mut self, results: &Results) {
        for own in ["racefree Semaphore", "racefree BoundedSemaphore"] {
            for job in of_case(results, "semaphores") {
                let setting = job.setting.expect("a contended case");
                let least = if setting.section <= 200 { 1.5 } else { 0.9 };
                let what = format!(
                    "{own}, {} threads on {}, {} ns, pause {} ns: throughput",
                    setting.threads, setting.permits, setting.section, setting.pause
                );
                self.check(what, rate_over_best(job, own), AtLeast(least));
            }
        }
    }

    fn fairness(&mut self, results: &Results, own: &str) {
        for job in of_case(results, "fairness") {
            let threads = job.setting.expect("a contended case").threads;
            let (Some(ours), Some(std)) = (job.of(own), job.of("std Mutex")) else {
                continue;
            };
            let both =
                |figures: fn(&Measured) -> &Vec<f64>| (median(figures(ours)), median(figures(std)));
            let shares = both(|measured| &measured.least_over_most);
            let jain = both(|measured| &measured.jain);
            let longest = both(|measured| &measured.longest);
            let name = |figure: &str| format!("{own}, {threads} threads: {figure}");
            if threads <= 8 {
                self.check(name("least over most"), Some(shares.0), AtLeast(0.3));
                self.check(name("Jain's index"), Some(jain.0), AtLeast(0.9));
                self.check(
                    name("longest wait over std's"),
                    Some(longest.0 / longest.1),
                    AtMost(2.0),
                );
            } else {
                self.check(
                    name("least over most, over std's"),
                    Some(shares.0 / shares.1),
                    AtLeast(1.0),
                );
                self.check(
                    name("Jain's index over std's"),
                    Some(jain.0 / jain.1),
                    AtLeast(1.0),
                );
                self.check(
                    name("longest wait over std's"),
                    Some(longest.0 / longest.1),
                    AtMost(1.0),
                );
            }
        }
    }
}

fn of_case<'a>(results: &'a Results, case: &'a str) -> impl Iterator<Item = &'a JobResults> {
    results.jobs.iter().filter(move |job| job.case == case)
}

fn time_over(results: &Results, case: &str, own: &str, peer: &str) -> Option<f64> {
    let job = results.jobs.iter().find(|job| job.case == case)?;
    Some(job.of(own)?.time() / job.of(peer)?.time())
}

fn time_over_best(results: &Results, case: &str, own: &str) -> Option<f64> {
    let job = results.jobs.iter().find(|job| job.case == case)?;
    Some(job.of(own)?.time() / job.peers().map(Measured::time).reduce(f64::min)?)
}

fn rate_over_best(job: &JobResults, own: &str) -> Option<f64> {
    Some(job.of(own)?.rate() / job.peers().map(Measured::rate).reduce(f64::max)?)
}
