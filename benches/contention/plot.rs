//! The plots: times as bars, throughput against threads, and waits by percentile.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contend::Setting;
use crate::load::Condition;
use crate::memory::Footprint;
use crate::report::time;
use crate::results::{JobResults, Measured, Results};

const PANEL: (u32, u32) = (440, 320);
const LEGEND_ROW: u32 = 22;
const TITLE: u32 = 40;

/// Colours that can be told apart by the colour-blind too (Okabe and Ito, and a dark red);
/// the first are ours.
const OWN_COLOURS: [RGBColor; 3] = [
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(128, 0, 64),
];
const PEER_COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(0, 0, 0),
];
const FLOOR_COLOUR: RGBColor = RGBColor(190, 190, 190);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// One chart of several.
struct Panel {
    title: String,
    section: u32,
    x: Axis,
    y: Axis,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
    /// Whether each point is a measurement of its own, and shown.
    marked: bool,
}

#[derive(Clone)]
struct Axis {
    label: &'static str,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    text: fn(f64) -> String,
    logarithmic: bool,
}

impl Axis {
    /// With these numbers of threads, the least first.
    fn threads(threads: Vec<f64>) -> Self {
        Self {
            label: "threads",
            from: threads[0] / 1.2,
            to: threads[threads.len() - 1] * 1.2,
            ticks: threads,
            text: |threads| format!("{threads:.0}"),
            logarithmic: true,
        }
    }

    fn place(&self, value: f64) -> f64 {
        if self.logarithmic {
            value.max(self.from).ln()
        } else {
            value
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let (from, to) = (self.place(self.from), self.place(self.to));
        let share = (self.place(*value) - from) / (to - from);
        pixels.0 + (share * f64::from(pixels.1 - pixels.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.text)(*value)
    }
}

pub(crate) fn write(
    results: &Results,
    footprints: &[Footprint],
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let idle = || {
        let jobs = results.jobs.iter();
        jobs.filter(|job| job.condition == Condition::Idle)
    };
    let timed: Vec<_> = idle().filter(|job| job.setting.is_none()).collect();
    if !timed.is_empty() {
        bars(&timed, &folder.join("times.svg"))?;
    }
    for (case, panels) in growth(idle(), footprints) {
        let title = format!("{case}: how the cost grows with the threads (lower is better)");
        let columns = panels.len().min(2);
        grid(
            &title,
            &panels,
            columns,
            &folder.join(format!("{case}-growth.svg")),
        )?;
    }
    let mut cases: Vec<_> = idle()
        .filter(|job| job.setting.is_some())
        .map(|job| job.case)
        .collect();
    cases.dedup();
    for case in cases {
        let jobs: Vec<_> = idle().filter(|job| job.case == case).collect();
        if case != "fairness" {
            let panels = throughput(&jobs);
            let columns = panels_in_a_row(&panels);
            let title = format!("{case}: throughput (higher is better)");
            grid(
                &title,
                &panels,
                columns,
                &folder.join(format!("{case}-throughput.svg")),
            )?;
        }
        let panels = waits(&jobs);
        let columns = panels_in_a_row(&panels);
        let title = format!("{case}: time to acquire, by percentile (lower is better)");
        grid(
            &title,
            &panels,
            columns,
            &folder.join(format!("{case}-latency.svg")),
        )?;
    }
    Ok(())
}

/// Of each case, a panel for each figure that was measured for several numbers of threads.
fn growth<'a>(
    jobs: impl Iterator<Item = &'a JobResults>,
    footprints: &[Footprint],
) -> BTreeMap<&'static str, Vec<Panel>> {
    type Figure = (&'static str, fn(&Measured) -> f64);
    const TIMES: &[Figure] = &[("time", Measured::time)];
    const WAITS: &[Figure] = &[
        ("wait, 99.9th percentile", |measured| measured.wait(0.999)),
        ("longest wait", |measured| measured.wait(1.0)),
    ];
    let mut cases: BTreeMap<&'static str, Vec<Panel>> = BTreeMap::new();
    for job in jobs {
        let Some(threads) = job.threads.map(f64::from) else {
            continue;
        };
        let (title, figures) = match job.setting {
            None => ("until all are through".to_string(), TIMES),
            Some(Setting { section, pause, .. }) => {
                (format!("section {section} ns, pause {pause} ns"), WAITS)
            }
        };
        let panels = cases.entry(job.case).or_default();
        for (label, figure) in figures {
            for measured in &job.variants {
                let point = (threads, figure(measured));
                add_point(panels, &title, label, measured.name, point);
            }
        }
    }
    for footprint in footprints {
        let point = (footprint.waiters.into(), footprint.heap);
        let label = "bytes for each waiter";
        let panels = cases.entry("memory").or_default();
        add_point(panels, "heap", label, footprint.name, point);
    }
    for panels in cases.values_mut() {
        panels.retain(|panel| panel.lines.iter().any(|line| line.points.len() > 1));
        panels.iter_mut().for_each(fit);
    }
    cases.retain(|_, panels| !panels.is_empty());
    cases
}

/// Makes the axes as long as the lines.
fn fit(panel: &mut Panel) {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let mut threads: Vec<_> = points().map(|point| point.0).collect();
    threads.sort_by(f64::total_cmp);
    threads.dedup();
    let (from, to) = points().fold((f64::MAX, 1.0_f64), |(from, to), point| {
        (from.min(point.1), to.max(point.1))
    });
    panel.x = Axis::threads(threads);
    if panel.y.logarithmic {
        let powers = (from.max(1.0).log10().floor() as i32)..=(to.log10().ceil() as i32);
        panel.y.ticks = powers.map(|power| 10_f64.powi(power)).collect();
        panel.y.from = panel.y.ticks[0];
        panel.y.to = panel.y.ticks[panel.y.ticks.len() - 1];
    } else {
        panel.y.to = to * 1.08;
        panel.y.ticks = round_ticks(panel.y.to);
    }
}

/// To the panel with that title and label, which is made if there is none.
fn add_point(
    panels: &mut Vec<Panel>,
    title: &str,
    label: &'static str,
    name: &'static str,
    point: (f64, f64),
) {
    if !point.1.is_finite() {
        return;
    }
    let is_it = |panel: &Panel| panel.title == title && panel.y.label == label;
    let number = panels.iter().position(is_it).unwrap_or_else(|| {
        let is_memory = label.starts_with("bytes");
        panels.push(Panel {
            title: title.to_string(),
            section: 0,
            x: Axis::threads(vec![1.0]),
            y: Axis {
                label,
                from: 0.0,
                to: 0.0,
                ticks: Vec::new(),
                text: if is_memory {
                    |bytes| format!("{bytes}")
                } else {
                    round_time
                },
                logarithmic: !is_memory,
            },
            lines: Vec::new(),
        });
        panels.len() - 1
    });
    let lines = &mut panels[number].lines;
    match lines.iter_mut().find(|line| line.name == name) {
        Some(line) => line.points.push(point),
        None => lines.push(Line {
            name,
            points: vec![point],
            marked: true,
        }),
    }
}

/// A row for each section; or all in one, where a section has a single panel.
fn panels_in_a_row(panels: &[Panel]) -> usize {
    let first = panels.first().map(|panel| panel.section);
    let of_first = panels.iter().filter(|panel| Some(panel.section) == first);
    match of_first.count() {
        0 | 1 => panels.len().clamp(1, 4),
        columns => columns,
    }
}

/// A panel for each section and pause.
fn throughput(jobs: &[&JobResults]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut threads: Vec<f64> = jobs.iter().map(|job| threads_of(job)).collect();
    threads.sort_by(f64::total_cmp);
    threads.dedup();
    for job in jobs {
        let setting = job.setting.expect("a contended case");
        let title = format!("section {} ns, pause {} ns", setting.section, setting.pause);
        if panels.iter().all(|panel| panel.title != title) {
            panels.push(Panel {
                title: title.clone(),
                section: setting.section,
                x: Axis::threads(threads.clone()),
                y: Axis {
                    label: "million acquisitions a second",
                    from: 0.0,
                    to: 0.0,
                    ticks: Vec::new(),
                    text: |rate| format!("{}", (rate * 1e6).round() / 1e6),
                    logarithmic: false,
                },
                lines: job
                    .variants
                    .iter()
                    .map(|measured| Line {
                        name: measured.name,
                        points: Vec::new(),
                        marked: true,
                    })
                    .collect(),
            });
        }
        let panel = panels
            .iter_mut()
            .find(|panel| panel.title == title)
            .expect("just made");
        for (line, measured) in panel.lines.iter_mut().zip(&job.variants) {
            let rate = measured.rate() / 1e6;
            line.points.push((threads_of(job), rate));
            panel.y.to = panel.y.to.max(rate * 1.08);
        }
    }
    for panel in &mut panels {
        panel.y.ticks = round_ticks(panel.y.to);
        for line in &mut panel.lines {
            line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
    }
    panels
}

fn threads_of(job: &JobResults) -> f64 {
    job.setting.expect("a contended case").threads.into()
}

/// About five round numbers from nought.
fn round_ticks(to: f64) -> Vec<f64> {
    let power = 10_f64.powf((to / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| to / step <= 6.0);
    let step = step.unwrap_or(to);
    (0..=6)
        .map(|number| f64::from(number) * step)
        .filter(|tick| *tick <= to)
        .collect()
}

/// A panel for each setting with a middling pause: waits up to each percentile.
fn waits(jobs: &[&JobResults]) -> Vec<Panel> {
    const NINES: f64 = 1e5;
    let pauses = |section| {
        let of_section = jobs
            .iter()
            .filter_map(|job| job.setting)
            .filter(move |setting| setting.section == section);
        let mut pauses: Vec<_> = of_section.map(|setting| setting.pause).collect();
        pauses.sort_unstable();
        pauses.dedup();
        pauses
    };
    let shown = jobs.iter().filter(|job| {
        let setting = job.setting.expect("a contended case");
        let pauses = pauses(setting.section);
        setting.pause == pauses[pauses.len() / 2]
    });
    shown
        .map(|job| {
            let setting = job.setting.expect("a contended case");
            let on = match setting.permits {
                1 => String::new(),
                permits => format!(" on {permits}"),
            };
            let lines = job
                .variants
                .iter()
                .filter(|measured| !measured.waits.is_empty())
                .map(|measured| {
                    // A percentile that is one wait of all the waits is not shown.
                    let known = (measured.waits.len() as f64).min(NINES);
                    let one_in = (0..=50)
                        .map(|tenth| 10_f64.powf(f64::from(tenth) / 10.0))
                        .take_while(|one_in| *one_in <= known);
                    let wait =
                        |one_in: f64| measured.waits.value_at_quantile(1.0 - 1.0 / one_in) as f64;
                    Line {
                        name: measured.name,
                        points: one_in.map(|one_in| (one_in, wait(one_in))).collect(),
                        marked: false,
                    }
                })
                .collect();
            Panel {
                section: setting.section,
                title: format!(
                    "{}{on} threads, section {} ns, pause {} ns",
                    setting.threads, setting.section, setting.pause
                ),
                x: Axis {
                    label: "percentile",
                    from: 1.0,
                    to: NINES,
                    ticks: vec![1.0, 10.0, 100.0, 1e3, 1e4, 1e5],
                    text: |one_in| match one_in.round() as u32 {
                        0..2 => "0".into(),
                        2..20 => "90".into(),
                        20..200 => "99".into(),
                        200..2000 => "99.9".into(),
                        2000..20_000 => "99.99".into(),
                        _ => "99.999".into(),
                    },
                    logarithmic: true,
                },
                y: Axis {
                    label: "time to acquire",
                    from: 10.0,
                    to: 1e9,
                    ticks: (1..=9).map(|power| 10_f64.powi(power)).collect(),
                    text: round_time,
                    logarithmic: true,
                },
                lines,
            }
        })
        .collect()
}

/// A power of ten of nanoseconds.
fn round_time(nanoseconds: f64) -> String {
    match nanoseconds.round() {
        ns @ ..1e3 => format!("{ns} ns"),
        ns @ ..1e6 => format!("{} µs", ns / 1e3),
        ns @ ..1e9 => format!("{} ms", ns / 1e6),
        ns => format!("{} s", ns / 1e9),
    }
}

fn grid(title: &str, panels: &[Panel], columns: usize, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut names: Vec<&str> = Vec::new();
    for line in panels.iter().flat_map(|panel| &panel.lines) {
        if !names.contains(&line.name) {
            names.push(line.name);
        }
    }
    let rows = panels.len().div_ceil(columns);
    let width = (PANEL.0 * columns as u32).max(640);
    let legend_rows = names.len().div_ceil(legend_columns(&names, width)) as u32;
    let legend = legend_rows * LEGEND_ROW + 20;
    let size = (width, PANEL.1 * rows as u32 + legend + TITLE);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, rest) = root.split_vertically(TITLE);
    head.draw(&centred(title, (size.0 as i32 / 2, TITLE as i32 / 2), 20.0))?;
    let (charts, legend) = rest.split_vertically(PANEL.1 * rows as u32);
    for (area, panel) in charts.split_evenly((rows, columns)).iter().zip(panels) {
        draw(panel, &names, area)?;
    }
    draw_legend(&names, &legend, size.0)?;
    root.present()?;
    Ok(())
}

fn draw(panel: &Panel, names: &[&str], area: &Area) -> Result<(), Box<dyn Error>> {
    let Panel {
        title, x, y, lines, ..
    } = panel;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(20)
        .caption(title, ("sans-serif", 15))
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(x.label)
        .y_desc(y.label)
        .label_style(("sans-serif", 12))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    for line in lines {
        let colour = colour(line.name, names);
        let points = line.points.iter().copied();
        chart.draw_series(LineSeries::new(
            points.clone(),
            colour.stroke_width(stroke(line.name)),
        ))?;
        if line.marked {
            chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    Ok(())
}

fn draw_legend(names: &[&str], area: &Area, width: u32) -> Result<(), Box<dyn Error>> {
    let columns = legend_columns(names, width);
    for (number, name) in names.iter().enumerate() {
        let left = (width as usize / columns * (number % columns)) as i32 + 12;
        let top = (number / columns) as i32 * LEGEND_ROW as i32;
        let colour = colour(name, names);
        let line = vec![(left, top + 16), (left + 24, top + 16)];
        area.draw(&PathElement::new(
            line,
            colour.stroke_width(stroke(name) + 1),
        ))?;
        let style = ("sans-serif", 13).into_text_style(area);
        area.draw(&Text::new(*name, (left + 30, top + 10), style))?;
    }
    Ok(())
}

/// As many names beside one another as there is room for.
fn legend_columns(names: &[&str], width: u32) -> usize {
    const LETTER: usize = 8;
    let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
    (width as usize / (longest * LETTER + 50)).clamp(1, names.len().max(1))
}

/// Each variant's time as a bar, the longest of each case as long as all there is.
fn bars(jobs: &[&JobResults], path: &Path) -> Result<(), Box<dyn Error>> {
    const ROW: i32 = 20;
    const LEFT: i32 = 270;
    const WIDTH: i32 = 860;
    const BAR: f64 = 470.0;
    let rows: usize = jobs.iter().map(|job| job.variants.len() + 2).sum();
    let height = rows as i32 * ROW + TITLE as i32;
    let root = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&centred(
        "time for each repetition (lower is better)",
        (WIDTH / 2, 20),
        20.0,
    ))?;
    let mut top = TITLE as i32;
    for job in jobs {
        let heading = ("sans-serif", 15).into_text_style(&root);
        let title = format!("{} {}", job.case, job.setting_name());
        root.draw(&Text::new(title, (12, top + 4), heading))?;
        top += ROW + 6;
        let longest = job.variants.iter().map(Measured::time).fold(0.0, f64::max);
        let names: Vec<_> = job.variants.iter().map(|measured| measured.name).collect();
        for measured in &job.variants {
            let right = LEFT + (measured.time() / longest * BAR).max(1.0) as i32;
            let bar = [(LEFT, top + 2), (right, top + ROW - 3)];
            root.draw(&Rectangle::new(bar, colour(measured.name, &names).filled()))?;
            let style = ("sans-serif", 13).into_text_style(&root);
            let name = style.pos(Pos::new(HPos::Right, VPos::Top));
            root.draw(&Text::new(measured.name, (LEFT - 8, top + 3), name))?;
            let style = ("sans-serif", 13).into_text_style(&root);
            root.draw(&Text::new(
                time(measured.time()),
                (right + 6, top + 3),
                style,
            ))?;
            top += ROW;
        }
        top += ROW - 6;
    }
    root.present()?;
    Ok(())
}

fn centred(text: &str, place: (i32, i32), size: f64) -> Text<'_, (i32, i32), &str> {
    let style = TextStyle::from(("sans-serif", size)).pos(Pos::new(HPos::Center, VPos::Center));
    Text::new(text, place, style)
}

fn stroke(name: &str) -> u32 {
    if name.starts_with("racefree") { 3 } else { 2 }
}

/// The same for a name throughout a plot.
fn colour(name: &str, names: &[&str]) -> RGBColor {
    let like = |other: &&&str| kind(other) == kind(name);
    let number = names
        .iter()
        .filter(like)
        .position(|other| *other == name)
        .unwrap_or(0);
    match kind(name) {
        "racefree" => OWN_COLOURS[number % OWN_COLOURS.len()],
        "floor" => FLOOR_COLOUR,
        _ => PEER_COLOURS[number % PEER_COLOURS.len()],
    }
}

fn kind(name: &str) -> &str {
    ["racefree", "floor"]
        .into_iter()
        .find(|kind| name.starts_with(kind))
        .unwrap_or("peer")
}
