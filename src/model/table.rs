//! The lines of an execution as a table: a column for each thread, 100 columns wide, long runs
//! folded. Uses the story and the names.

use super::names::Names;
use super::story::Line;

/// How wide a report is.
pub(crate) const WIDTH: usize = 100;

/// How many lines of it are shown, at most.
const LINES: usize = 24;

/// How many lines of one thread in a row are shown whole.
const RUN: usize = 7;

enum Row<'a> {
    Line(&'a Line),
    Left(usize, usize),
    LeftAtFirst(usize),
}

pub(crate) fn table(lines: &[Line], names: &Names) -> String {
    let mut rows = folded(lines);
    let too_many = rows.len().saturating_sub(LINES);
    if too_many > 0 {
        rows.drain(..=too_many);
        rows.insert(0, Row::LeftAtFirst(too_many + 1));
    }
    let places: Vec<String> = lines
        .iter()
        .filter_map(|line| line.place)
        .map(|place| names.place(place))
        .collect();
    let first = places.iter().map(|it| it.chars().count()).max();
    let first = first.unwrap_or(4).clamp(4, 24);
    // Threads that do nothing have no column.
    let columns: Vec<usize> = (0..names.threads().len())
        .filter(|&thread| lines.iter().any(|line| line.thread == thread))
        .collect();
    let Some(gaps) = columns.len().checked_sub(1) else {
        return String::new();
    };
    let widths = widths(lines, &columns, WIDTH - first - 2 - 2 * gaps, names);
    let mut out = String::new();
    let heads = columns.iter().map(|&thread| names.thread(thread));
    put_row(
        &mut out,
        "line",
        first,
        &widths,
        heads.map(str::to_owned).enumerate(),
    );
    let mut rule = "-".repeat(first);
    for width in &widths {
        rule.push_str("  ");
        rule.push_str(&"-".repeat(*width));
    }
    out.push_str(&rule);
    out.push('\n');
    for row in rows {
        match row {
            Row::LeftAtFirst(count) => {
                out.push_str(&format!("... {count} lines before\n"));
            }
            Row::Left(thread, count) => {
                let column = columns.iter().position(|&it| it == thread).unwrap_or(0);
                let text = format!("... {count} more steps");
                put_row(&mut out, "", first, &widths, [(column, text)].into_iter());
            }
            Row::Line(line) => {
                let column = columns
                    .iter()
                    .position(|&it| it == line.thread)
                    .unwrap_or(0);
                let place = line.place.map(|place| names.place(place));
                let place = place.unwrap_or_default();
                for (number, part) in wrapped(&line.text, widths[column]).into_iter().enumerate() {
                    let place = if number == 0 { &*place } else { "" };
                    put_row(
                        &mut out,
                        place,
                        first,
                        &widths,
                        [(column, part)].into_iter(),
                    );
                }
            }
        }
    }
    out
}

/// As wide as what is in it, as far as there is room; the rest is shared.
fn widths(lines: &[Line], columns: &[usize], room: usize, names: &Names) -> Vec<usize> {
    let wanted: Vec<usize> = columns
        .iter()
        .map(|&thread| {
            let texts = lines.iter().filter(|line| line.thread == thread);
            let longest = texts.map(|line| line.text.chars().count()).max();
            longest
                .unwrap_or(0)
                .max(names.thread(thread).chars().count())
                .max(8)
        })
        .collect();
    let mut widths = vec![0; columns.len()];
    let mut room = room;
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&column| wanted[column]);
    for (number, &column) in order.iter().enumerate() {
        let share = room / (columns.len() - number);
        widths[column] = wanted[column].min(share);
        room -= widths[column];
    }
    widths
}

fn put_row(
    out: &mut String,
    place: &str,
    first: usize,
    widths: &[usize],
    cells: impl Iterator<Item = (usize, String)>,
) {
    let mut row = pad(place, first);
    let mut at = 0;
    for (column, text) in cells {
        while at < column {
            row.push_str("  ");
            row.push_str(&" ".repeat(widths[at]));
            at += 1;
        }
        row.push_str("  ");
        row.push_str(&pad(&text, widths[column]));
        at += 1;
    }
    out.push_str(row.trim_end());
    out.push('\n');
}

/// The text, as wide as told.
fn pad(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length > width {
        let shown: String = text.chars().take(width - 1).collect();
        return format!("{shown}~");
    }
    format!("{text}{}", " ".repeat(width - length))
}

/// The text in lines of at most this width, three at most.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let length = line.chars().count();
        if length > 0 && length + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
            line.push(' ');
            line.push_str(word);
        } else {
            if length > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.push(line);
    if lines.len() > 3 {
        lines.truncate(3);
        lines[2].push_str(" ~");
    }
    lines
}

/// The rows, of which long runs of one thread are folded.
fn folded(lines: &[Line]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for run in lines.chunk_by(|one, other| one.thread == other.thread) {
        if run.len() <= RUN {
            rows.extend(run.iter().map(Row::Line));
        } else {
            rows.extend(run[..2].iter().map(Row::Line));
            rows.push(Row::Left(run[0].thread, run.len() - 5));
            rows.extend(run[run.len() - 3..].iter().map(Row::Line));
        }
    }
    rows
}
