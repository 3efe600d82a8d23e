//! The mutants that survive for a reason, and the table of what became of all.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::find::{EXCLUDED, Mutant};
use crate::run::{Told, Verdict};

/// A mutant that changes nothing that matters, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    file: String,
    function: String,
    old: String,
    new: String,
    /// Which of those that read alike in that function; all of them if it is left out.
    nth: Option<usize>,
    pub(crate) why: String,
}

impl Accepted {
    pub(crate) fn is_about(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file
            && self.function == mutant.function
            && self.old == mutant.old
            && self.new == mutant.new
            && self.nth.is_none_or(|nth| nth == mutant.nth)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mutant: Vec<Accepted>,
}

/// Reads the list, and checks that each entry has an argument and is about a mutant of today.
pub(crate) fn read_accepted(path: &Path, mutants: &[Mutant]) -> Result<Vec<Accepted>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    parse_accepted(&fs::read_to_string(path)?, mutants)
        .with_context(|| format!("in {}", path.display()))
}

fn parse_accepted(text: &str, mutants: &[Mutant]) -> Result<Vec<Accepted>> {
    let accepted = toml::from_str::<File>(text)?.mutant;
    for entry in &accepted {
        let Accepted {
            file,
            function,
            old,
            new,
            why,
            ..
        } = entry;
        let shown = format!("{file} {function} `{old}` -> `{new}`");
        ensure!(!why.trim().is_empty(), "{shown}: no reason is given");
        let is_known = mutants.iter().any(|mutant| entry.is_about(mutant));
        ensure!(is_known, "{shown}: there is no such mutant (any more)");
    }
    Ok(accepted)
}

/// A mutant, what became of it, and the argument if it has one.
pub(crate) struct Row<'a> {
    pub(crate) mutant: &'a Mutant,
    pub(crate) verdict: &'a Verdict,
    pub(crate) why: Option<&'a str>,
}

/// How many mutants came to which end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) caught: usize,
    pub(crate) equivalent: usize,
    pub(crate) survived: usize,
    pub(crate) timed_out: usize,
    pub(crate) broken: usize,
    /// Of those caught: those that were reported, and of them, whose report names the line.
    pub(crate) reported: usize,
    pub(crate) named: usize,
}

impl Count {
    pub(crate) fn of(rows: &[Row<'_>]) -> Self {
        let mut count = Self::default();
        for row in rows {
            if let Verdict::Caught {
                told: Some(told), ..
            } = row.verdict
            {
                count.reported += 1;
                count.named += usize::from(*told != Told::Nowhere);
            }
            *match (row.verdict, row.why) {
                (Verdict::Caught { .. }, _) => &mut count.caught,
                (Verdict::DoesNotCompile, _) => &mut count.broken,
                (_, Some(_)) => &mut count.equivalent,
                (Verdict::Survived, None) => &mut count.survived,
                (Verdict::TimedOut { .. }, None) => &mut count.timed_out,
            } += 1;
        }
        count
    }

    /// The one line that says it all.
    pub(crate) fn summary(&self) -> String {
        let Self {
            caught,
            equivalent,
            survived,
            timed_out,
            broken,
            reported,
            named,
        } = self;
        format!(
            "{} mutants: {caught} caught, {equivalent} equivalent, {survived} survived, \
             {timed_out} timed out; {broken} more do not compile. {named} of {reported} reports \
             name a line from which the broken one was reached",
            caught + equivalent + survived + timed_out
        )
    }
}

/// The table, as markdown.
pub(crate) fn markdown(rows: &[Row<'_>], command: &str) -> String {
    let mut text = format!(
        "# Mutants\n\n\
         The source of the primitives, broken in one place at a time, and the model that fails \
         then. Written by `{command}`.\n\n\
         {}.\n\n\
         *line*: where the report of the failing model names the line of the model whose call came to \
         the broken statement: in the reason that it gives, in words; in its table of steps; or \
         nowhere. Empty: what failed made no report, as a model does that never reaches an outcome.\n\n\
         | place | function | mutation | verdict | model | executions | line |\n\
         |---|---|---|---|---|---:|---|\n",
        Count::of(rows).summary()
    );
    for Row {
        mutant,
        verdict,
        why,
    } in rows
    {
        let (verdict, model, executions, told) = match verdict {
            Verdict::DoesNotCompile => continue,
            Verdict::Caught {
                model,
                executions,
                told,
            } => ("caught".to_owned(), model.as_str(), *executions, *told),
            Verdict::Survived => {
                let why = why.map(|why| format!("equivalent: {}", cell(why)));
                (
                    why.unwrap_or_else(|| "**survived**".to_owned()),
                    "",
                    None,
                    None,
                )
            }
            Verdict::TimedOut { model, limit } => {
                let why = why.map(|why| format!("no end in {limit} s: {}", cell(why)));
                let bare = || format!("**timed out** after {limit} s");
                (why.unwrap_or_else(bare), model.as_str(), None, None)
            }
        };
        let executions = executions.map(|n| n.to_string()).unwrap_or_default();
        let told = match told {
            Some(Told::Why) => "reason",
            Some(Told::Step) => "step",
            Some(Told::Nowhere) => "nowhere",
            None => "",
        };
        let Mutant {
            file,
            line,
            function,
            old,
            new,
            ..
        } = mutant;
        let (old, new) = (cell(old), cell(new));
        writeln!(
            text,
            "| {file}:{line} | `{function}` | `{old}` → `{new}` | {verdict} | {model} | {executions} | {told} |"
        )
        .expect("a string takes all");
    }
    text += "\nLeft alone:\n\n";
    for (prefix, why) in EXCLUDED {
        writeln!(text, "- `{prefix}`: {why}").expect("a string takes all");
    }
    text
}

/// Fit to stand in a table, and in code in it.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::find_in;

    const SOURCE: &str = "fn f(a: &A) { a.b.store(1, Ordering::Release); }";

    #[test]
    fn an_entry_needs_a_mutant_and_a_reason() {
        let mutants = find_in("src/a.rs", SOURCE).unwrap().mutants;
        let entry = |new: &str, why: &str| {
            format!(
                "[[mutant]]\nfile = 'src/a.rs'\nfunction = 'f'\n\
                 old = 'a.b.store(1, Ordering::Release)'\nnew = '{new}'\nwhy = '{why}'\n"
            )
        };
        let good = entry("a.b.store(1, Ordering::Relaxed)", "so");
        let accepted = parse_accepted(&good, &mutants).unwrap();
        assert_eq!(
            mutants.iter().filter(|m| accepted[0].is_about(m)).count(),
            1
        );
        let unknown = entry("a.b.store(2, Ordering::Relaxed)", "so");
        assert!(parse_accepted(&unknown, &mutants).is_err());
        let unargued = entry("a.b.store(1, Ordering::Relaxed)", " ");
        assert!(parse_accepted(&unargued, &mutants).is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_that_compiles() {
        let mutants = find_in("src/a.rs", SOURCE).unwrap().mutants;
        let caught = Verdict::Caught {
            model: "a::b".to_owned(),
            executions: Some(17),
            told: Some(Told::Step),
        };
        let row = |at: usize, verdict, why| Row {
            mutant: &mutants[at],
            verdict,
            why,
        };
        let rows = [
            row(0, &caught, None),
            row(1, &Verdict::Survived, Some("a|b")),
            row(1, &Verdict::DoesNotCompile, None),
        ];
        let table = markdown(&rows, "it");
        assert!(table.contains(
            "2 mutants: 1 caught, 1 equivalent, 0 survived, 0 timed out; 1 more do not compile. 1 of 1 reports"
        ));
        assert!(table.contains("| caught | a::b | 17 | step |\n"));
        assert!(table.contains("| equivalent: a\\|b |  |  |  |\n"));
        assert_eq!(table.matches("| src/a.rs:1 |").count(), 2);
    }
}
