//! The tables on the terminal, and the same as CSV.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::contend;
use crate::plan::Plan;
use crate::results::{JobResults, Measured, Results, median};

/// A table whose columns are as wide as they need to be: text to the left, figures to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(ToString::to_string).collect();
        Self { rows: vec![head] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.rows[0].len()).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let figure = column > 0 && self.is_figure(column);
                let _ = if figure {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            println!("{}", line.trim_end());
            if number == 0 {
                let rule = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
                println!("{}", "-".repeat(rule));
            }
        }
    }

    fn is_figure(&self, column: usize) -> bool {
        self.rows[1..].iter().all(|row| {
            row.get(column).is_none_or(|cell| {
                cell.is_empty()
                    || cell.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            })
        })
    }
}

pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// A time with three figures, and its unit.
pub(crate) fn time(nanoseconds: f64) -> String {
    let (number, unit) = match nanoseconds {
        _ if nanoseconds.is_nan() => return "-".to_string(),
        ..1e3 => (nanoseconds, "ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        ..1e9 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    format!("{} {unit}", three_figures(number))
}

pub(crate) fn three_figures(number: f64) -> String {
    match number {
        ..1.0 => format!("{number:.3}"),
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ if number.is_nan() => "-".to_string(),
        _ => format!("{number:.0}"),
    }
}

/// What is ours over the best peer, or a peer over the best of them.
fn ratio(figure: f64, peers: impl Iterator<Item = f64>, best: impl Fn(f64, f64) -> f64) -> String {
    match peers.reduce(best) {
        Some(best) => format!("{:.2}", figure / best),
        None => "-".to_string(),
    }
}

pub(crate) fn print(plan: &Plan, results: &Results) {
    let (timed, contended): (Vec<_>, Vec<_>) =
        results.jobs.iter().partition(|job| job.setting.is_none());
    if !timed.is_empty() {
        println!("\nTime for each repetition; the ratio is to the best peer.\n");
        print_timed(&timed);
    }
    if !contended.is_empty() {
        let clock = time(contend::time_of_clock());
        println!("\nA wait that is none takes as long as the clock that measures it: {clock}.");
    }
    let mut cases: Vec<_> = plan
        .jobs
        .iter()
        .filter(|job| job.setting().is_some())
        .map(|job| job.case)
        .collect();
    // Each once, though each condition has them all.
    let mut seen = Vec::new();
    cases.retain(|case| {
        !seen.contains(case) && {
            seen.push(*case);
            true
        }
    });
    for case in cases {
        let jobs: Vec<_> = contended
            .iter()
            .copied()
            .filter(|job| job.case == case)
            .collect();
        if case == "fairness" {
            println!("\nfairness: who gets how much; medians, but for the percentiles\n");
            print_fairness(&jobs);
        } else {
            println!("\n{case}: millions of acquisitions a second, and how long they waited\n");
            print_contended(&jobs);
        }
    }
}

fn print_timed(jobs: &[&JobResults]) {
    let mut table = Table::new(&["case", "threads", "condition", "variant", "time", "ratio"]);
    for job in jobs {
        for measured in &job.variants {
            table.row(vec![
                job.case.to_string(),
                job.threads
                    .map_or("-".to_string(), |threads| threads.to_string()),
                job.condition.name().to_string(),
                measured.name.to_string(),
                time(measured.time()),
                ratio(measured.time(), job.peers().map(Measured::time), f64::min),
            ]);
        }
    }
    table.print();
}

fn setting_cells(job: &JobResults) -> Vec<String> {
    let setting = job.setting.expect("a contended case");
    let threads = match setting.permits {
        1 => setting.threads.to_string(),
        permits => format!("{} on {permits}", setting.threads),
    };
    vec![
        threads,
        setting.section.to_string(),
        setting.pause.to_string(),
        job.condition.name().to_string(),
    ]
}

fn wait(measured: &Measured, share: f64) -> String {
    time(measured.wait(share))
}

fn futex_cell(measured: &Measured) -> String {
    measured
        .futex_calls
        .map_or("-".to_string(), |calls| format!("{calls:.3}"))
}

fn print_contended(jobs: &[&JobResults]) {
    let mut table = Table::new(&[
        "threads",
        "section",
        "pause",
        "condition",
        "variant",
        "M/s",
        "ratio",
        "p50",
        "p99",
        "p99.9",
        "max",
        "futex calls",
    ]);
    for job in jobs {
        for measured in &job.variants {
            let mut cells = setting_cells(job);
            cells.extend([
                measured.name.to_string(),
                three_figures(measured.rate() / 1e6),
                ratio(measured.rate(), job.peers().map(Measured::rate), f64::max),
                wait(measured, 0.5),
                wait(measured, 0.99),
                wait(measured, 0.999),
                wait(measured, 1.0),
                futex_cell(measured),
            ]);
            table.row(cells);
        }
    }
    table.print();
}

fn print_fairness(jobs: &[&JobResults]) {
    let mut table = Table::new(&[
        "threads",
        "section",
        "pause",
        "condition",
        "variant",
        "least/most",
        "Jain",
        "longest wait",
        "p50",
        "p99",
        "p99.9",
        "futex calls",
    ]);
    for job in jobs {
        for measured in &job.variants {
            let mut cells = setting_cells(job);
            cells.extend([
                measured.name.to_string(),
                format!("{:.3}", median(&measured.least_over_most)),
                format!("{:.3}", median(&measured.jain)),
                time(median(&measured.longest)),
                wait(measured, 0.5),
                wait(measured, 0.99),
                wait(measured, 0.999),
                futex_cell(measured),
            ]);
            table.row(cells);
        }
    }
    table.print();
}

pub(crate) fn write_csv(
    machine: &[(&str, String)],
    results: &Results,
    path: &Path,
) -> Result<(), String> {
    let mut csv = String::new();
    for (name, what) in machine {
        let _ = writeln!(csv, "# {name}: {what}");
    }
    csv.push_str(
        "case,condition,variant,threads,permits,section_ns,pause_ns,rounds,time_ns,acquisitions_per_s,\
         wait_p50_ns,wait_p99_ns,wait_p999_ns,wait_max_ns,longest_wait_median_ns,\
         least_over_most,jain,futex_calls_per_acquisition\n",
    );
    for job in &results.jobs {
        for measured in &job.variants {
            let number = |number: Option<u32>| number.map_or(String::new(), |it| it.to_string());
            let setting = [
                job.threads,
                job.setting.map(|setting| setting.permits),
                job.setting.map(|setting| setting.section),
                job.setting.map(|setting| setting.pause),
            ]
            .map(number);
            let rounds = measured
                .nanoseconds
                .len()
                .max(measured.rates.len())
                .max(measured.jain.len());
            // Empty, where a figure was not taken.
            let figure = |number: f64| {
                if number.is_nan() {
                    String::new()
                } else {
                    number.to_string()
                }
            };
            let cells = [
                // A name may have a comma in it.
                format!("\"{}\"", job.case),
                job.condition.name().to_string(),
                format!("\"{}\"", measured.name),
                setting.join(","),
                rounds.to_string(),
                figure(measured.time()),
                figure(measured.rate()),
                figure(measured.wait(0.5)),
                figure(measured.wait(0.99)),
                figure(measured.wait(0.999)),
                figure(measured.wait(1.0)),
                figure(median(&measured.longest)),
                figure(median(&measured.least_over_most)),
                figure(median(&measured.jain)),
                measured
                    .futex_calls
                    .map(|calls| calls.to_string())
                    .unwrap_or_default(),
            ];
            csv.push_str(&cells.join(","));
            csv.push('\n');
        }
    }
    fs::write(path, csv).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
