//! A failing execution as a drawing: a space-time diagram, threads as lines down, wakes and spawns
//! as arrows. Uses the failure.

use std::fmt::Write;

use super::failure::{Failure, Step};

/// No narrower than a character of the font is.
const CHARACTER: usize = 8;
const LEFT: usize = 20;
const TOP: usize = 56;
const ROW: usize = 22;

impl Failure {
    /// The failing execution as an SVG, to be put into an issue: a line down for each thread, a
    /// mark for each step, and arrows for what one thread does to another.
    ///
    /// # Examples
    ///
    /// ```
    /// use racefree::model::Builder;
    ///
    /// let failure = Builder::new().try_check(|| panic!("so it is")).unwrap_err();
    /// assert!(failure.svg().starts_with("<svg"));
    /// ```
    #[must_use]
    pub fn svg(&self) -> String {
        let title = self.to_string();
        let title = title.lines().next().unwrap_or_default();
        // Each column has room for the longest text of all, and the drawing for the words under it.
        let told: Vec<String> = self.steps.iter().map(told).collect();
        let longest = |texts: &mut dyn Iterator<Item = &String>| {
            let lengths = texts.map(|text| text.chars().count());
            CHARACTER * lengths.max().unwrap_or(0)
        };
        let column = longest(&mut told.iter().chain(&self.threads)) + 2 * LEFT;
        let x_of = |thread: usize| LEFT + column * thread + 4;
        let words = longest(&mut self.why.iter().chain([&title.to_owned()]));
        let width = LEFT * 2 + words.max(column * self.threads.len());
        let bottom = TOP + ROW * (self.steps.len() + 1);
        let height = bottom + ROW * (self.why.len() + 1);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"monospace\" font-size=\"12\">\n\
             <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#06c\"/>\
             </marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut out, LEFT, 20, title, "font-weight=\"bold\"");
        for (number, name) in self.threads.iter().enumerate() {
            let x = x_of(number);
            text(&mut out, x - 4, TOP - 14, name, "font-weight=\"bold\"");
            let y = TOP - 8;
            let _ = writeln!(
                out,
                "<path d=\"M{x} {y} V{bottom}\" stroke=\"#bbb\" fill=\"none\"/>"
            );
        }
        for (number, step) in self.steps.iter().enumerate() {
            let (x, y) = (x_of(step.thread), y_of(number));
            for &to in &step.to {
                // To where the other goes on.
                let mut rest = self.steps.iter().enumerate().skip(number + 1);
                let next = rest.find(|(_, other)| other.thread == to);
                let y2 = next.map_or(y + ROW, |(number, _)| y_of(number));
                let x2 = x_of(to);
                let _ = writeln!(
                    out,
                    "<path d=\"M{x} {y} L{x2} {y2}\" stroke=\"#06c\" fill=\"none\" \
                     marker-end=\"url(#tip)\"/>"
                );
            }
            let color = match () {
                () if step.what.contains("panics") => "#c00",
                () if step.what.ends_with("waits") => "#c60",
                () => "#333",
            };
            let _ = writeln!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{color}\"/>"
            );
            text(
                &mut out,
                x + 8,
                y + 4,
                &told[number],
                &format!("fill=\"{color}\""),
            );
        }
        for (number, line) in self.why.iter().enumerate() {
            text(&mut out, LEFT, bottom + ROW * (number + 1), line, "");
        }
        out.push_str("</svg>\n");
        out
    }
}

/// What a step says, with its line.
fn told(step: &Step) -> String {
    match step.line {
        Some(line) => format!("{} :{line}", step.what),
        None => step.what.clone(),
    }
}

fn y_of(step: usize) -> usize {
    TOP + ROW * step + ROW / 2
}

fn text(out: &mut String, x: usize, y: usize, said: &str, more: &str) {
    let said = said
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // Drawn over the lines of other threads.
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" {more} stroke=\"#fff\" stroke-width=\"4\" \
         paint-order=\"stroke\">{said}</text>"
    );
}
