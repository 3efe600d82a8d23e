//! The floors of `src/`: who may use whom.
//!
//! CONTRIBUTING has the table. A file may use those of a floor below its own, and those beside it
//! as long as there is no circle between files. The source is read as text: what is under `tests`
//! in a file may use anything, and so may documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One use of a file by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    from: String,
    line: usize,
    path: String,
    to: String,
}

#[test]
fn each_file_uses_what_is_below_it() {
    let faults = faults(&Source::read(), &floors());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// All that is wrong, one line each.
fn faults(source: &Source, floors: &[Vec<String>]) -> Vec<String> {
    let floor = |file: &str| {
        floors.iter().position(|floor| {
            let holds =
                |room: &String| file == room || room.ends_with('/') && file.starts_with(room);
            floor.iter().any(holds)
        })
    };
    let uses = source.uses();
    let mut faults = Vec::new();
    for file in source.files.keys() {
        if floor(file).is_none() {
            faults.push(format!("src/{file}: on no floor of CONTRIBUTING's table"));
        }
    }
    for it in &uses {
        // The higher floors come first.
        if floor(&it.to) < floor(&it.from) {
            faults.push(format!(
                "src/{}:{}: `{}` is in src/{}, which is on a floor above",
                it.from, it.line, it.path, it.to
            ));
        }
    }
    let mut left: Vec<_> = uses.iter().collect();
    // What nobody uses, or uses nobody, is in no circle.
    loop {
        let before = left.len();
        let from: BTreeSet<_> = left.iter().map(|it| &it.from).collect();
        let to: BTreeSet<_> = left.iter().map(|it| &it.to).collect();
        left.retain(|it| from.contains(&it.to) && to.contains(&it.from));
        if left.len() == before {
            break;
        }
    }
    for it in left {
        faults.push(format!(
            "src/{}:{}: `{}` is in src/{}: part of a circle",
            it.from, it.line, it.path, it.to
        ));
    }
    faults
}

/// The rows of CONTRIBUTING's table, from the top: the names of the files and folders of each.
fn floors() -> Vec<Vec<String>> {
    let text = include_str!("../CONTRIBUTING.md");
    let rows = text
        .lines()
        .skip_while(|line| *line != "| floor | what it is |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let floors: Vec<Vec<String>> = rows
        .map(|row| {
            let rooms = row.split('|').nth(1).expect("a first column");
            let names = rooms.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        })
        .collect();
    assert!(floors.len() > 3, "CONTRIBUTING has the table of floors");
    floors
}

/// The text of each file of `src/`, by its path from there.
struct Source {
    files: BTreeMap<String, String>,
}

impl Source {
    fn read() -> Self {
        fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(root, &path, files);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    let text = fs::read_to_string(&path).unwrap();
                    files.insert(name.replace('\\', "/"), text);
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        collect(&root, &root, &mut files);
        Self { files }
    }

    /// All uses of one file by another, each path of each line.
    fn uses(&self) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for (from, text) in &self.files {
            for (line, path) in paths(text, &module(from)) {
                for to in self.files_of(&path) {
                    uses.insert(Use {
                        from: from.clone(),
                        line,
                        path: format!("crate::{}", path.join("::")),
                        to: to.clone(),
                    });
                }
            }
        }
        // A file and the folder of its name are one room, in several files.
        let room = |file: &str| {
            let above = file
                .split_once('/')
                .map(|(folder, _)| format!("{folder}.rs"));
            let above = above.filter(|above| self.files.contains_key(above));
            above.unwrap_or_else(|| file.to_owned())
        };
        uses.retain(|it| room(&it.from) != room(&it.to));
        uses
    }

    /// The file that defines what `path` names: the longest part of it that is a file's module. Or,
    /// of a module `imp`, each of the files that it may be: those of its folder that have no name
    /// of their own.
    fn files_of(&self, path: &[String]) -> Vec<&String> {
        let file = |part: &[String]| self.files.keys().find(|file| module(file) == part);
        let length = (0..=path.len())
            .rev()
            .find(|&length| file(&path[..length]).is_some());
        let length = length.unwrap_or(0);
        let named = file(&path[..length]);
        if path.get(length).is_none_or(|name| name != "imp") {
            return named.into_iter().collect();
        }
        let parent = named.expect("a module that has an `imp`");
        let declared: Vec<_> = paths(&self.files[parent], &path[..length])
            .into_iter()
            .map(|(_, path)| path)
            .collect();
        let in_folder = |file: &&String| {
            let module = module(file);
            module.len() == length + 1
                && module.starts_with(&path[..length])
                && !declared.contains(&module)
        };
        let files: Vec<_> = self.files.keys().filter(in_folder).collect();
        // One that is written out in the file itself.
        if length == 0 || files.is_empty() {
            return vec![parent];
        }
        files
    }
}

/// The module that a file is. (One of several files that may be a module has a name of its own here.)
fn module(file: &str) -> Vec<String> {
    let name = file.strip_suffix(".rs").unwrap();
    let parts = name
        .split('/')
        .filter(|part| !["lib", "mod"].contains(part));
    parts.map(str::to_owned).collect()
}

/// The paths in a file that begin with `crate`, `super` or a module that it declares, with their
/// lines: each from the crate's root.
fn paths(text: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut here = module.to_vec();
    // The modules that are written within the file: how many braces are open around each.
    let mut inner = Vec::new();
    let mut children: Vec<Vec<String>> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = (tokens[at].0, tokens[at].1);
        let next = |by: usize| tokens.get(at + by).map_or("", |it| it.1);
        match token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.last() == Some(&depth) {
                    inner.pop();
                    here.pop();
                }
            }
            "mod" if next(2) == "{" && next(1) == "tests" => {
                let from = at + 2;
                at = from + tree_end(&tokens[from..]);
                continue;
            }
            "mod" if next(2) == "{" => {
                here.push(next(1).to_owned());
                inner.push(depth);
                depth += 1;
                at += 3;
                continue;
            }
            "mod" if next(2) == ";" => {
                let child = here.iter().cloned().chain([next(1).to_owned()]);
                children.push(child.collect());
            }
            _ => {
                let base = match token {
                    "crate" => Some(Vec::new()),
                    "super" => Some(here[..here.len() - 1].to_vec()),
                    "self" if next(1) == "::" => Some(here.clone()),
                    name => children
                        .iter()
                        .find(|child| {
                            child[..child.len() - 1] == here && child.last().unwrap() == name
                        })
                        .cloned(),
                };
                let preceded = at > 0 && ["::", "."].contains(&tokens[at - 1].1);
                let used = next(1) == "::" || at > 0 && tokens[at - 1].1 == "use";
                if let (Some(base), true, false) = (base, used, preceded) {
                    match next(1) {
                        "::" => expand(&tokens[at + 2..], base, &mut found),
                        _ => found.push((line, base)),
                    }
                }
            }
        }
        at += 1;
    }
    found
}

/// What a path, or a tree of them, names: `a::{b, c::d}`.
fn expand(tokens: &[(usize, &str)], base: Vec<String>, found: &mut Vec<(usize, Vec<String>)>) {
    let mut path = base;
    let mut at = 0;
    loop {
        let Some(&(line, token)) = tokens.get(at) else {
            return;
        };
        match token {
            "super" => {
                path.pop();
            }
            "{" => {
                let end = tree_end(tokens);
                let mut begin = at + 1;
                let mut open = 0;
                for (number, (_, token)) in tokens.iter().enumerate().take(end).skip(at + 1) {
                    match *token {
                        "{" => open += 1,
                        "}" if open > 0 => open -= 1,
                        "," | "}" if open == 0 => {
                            if begin < number {
                                expand(&tokens[begin..number], path.clone(), found);
                            }
                            begin = number + 1;
                        }
                        _ => {}
                    }
                }
                return;
            }
            "*" | "self" => {}
            name if name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push(name.to_owned());
            }
            _ => {}
        }
        if tokens.get(at + 1).map(|it| it.1) == Some("::") {
            at += 2;
        } else {
            found.push((line, path));
            return;
        }
    }
}

/// Behind the brace that closes the first that opens.
fn tree_end(tokens: &[(usize, &str)]) -> usize {
    let mut open = 0;
    for (number, (_, token)) in tokens.iter().enumerate() {
        match *token {
            "{" => open += 1,
            "}" => {
                open -= 1;
                if open == 0 {
                    return number + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Words, `::` and single signs, with their lines; without comments and strings.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if first == '\'' && rest[1..].starts_with(['{', '}', '"', '\\']) {
            // A character, and not a lifetime.
            2 + rest[2..].find('\'').map_or(0, |end| end + 1)
        } else if word(first) {
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            tokens.push((line, &rest[..end]));
            end
        } else if rest.starts_with("::") {
            tokens.push((line, "::"));
            2
        } else {
            if !first.is_whitespace() {
                tokens.push((line, &rest[..first.len_utf8()]));
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// A source of these files, on three floors.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let source = Source {
        files: files.collect(),
    };
    let floors = [&["lib.rs"][..], &["top.rs", "room/"], &["low.rs"]];
    let floors = floors.map(|floor| floor.iter().map(|&name| name.to_owned()).collect());
    faults(&source, &floors)
}

#[test]
fn what_is_below_may_be_used() {
    let faults = faults_of(&[
        (
            "lib.rs",
            "mod top; mod low; mod room; pub use top::Top; pub use {low::Low, room::Part};",
        ),
        ("top.rs", "use crate::{low::{self, Low}, room::Part};"),
        ("room/mod.rs", "mod part; pub use part::Part;"),
        (
            "room/part.rs",
            "fn f() { crate::low::f(); super::super::low::f() }",
        ),
        (
            "low.rs",
            "// crate::top::Top\nmod tests { use crate::top::Top; }\n/// [`crate::top`]\nfn f() {}",
        ),
    ]);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn what_is_above_may_not() {
    let top = "use crate::low::Low;";
    for low in [
        "use crate::top::Top;",
        "fn f() {\n crate::top::f() }",
        "use super::top::*;",
        "use core::fmt;\nuse crate::{\n  room,\n top};",
        "mod inner { mod more { use super::super::super::top; } }",
        "const C: &str = \"// {\"; const D: char = '{'; use crate::top::Top;",
        "pub(crate) use {core::fmt, crate::top::Top};",
    ] {
        let faults = faults_of(&[("top.rs", top), ("low.rs", low)]);
        let said = faults.join("\n");
        assert!(
            said.contains("src/top.rs, which is on a floor above"),
            "{low}: {said}"
        );
        assert!(said.contains("part of a circle"), "{low}: {said}");
    }
}

#[test]
fn nobody_uses_the_root() {
    let faults = faults_of(&[("lib.rs", "mod top;"), ("top.rs", "\nuse crate::Thing;")]);
    assert_eq!(
        faults,
        ["src/top.rs:2: `crate::Thing` is in src/lib.rs, which is on a floor above"]
    );
}

#[test]
fn files_of_one_floor_make_no_circle() {
    let faults = faults_of(&[
        ("top.rs", "use crate::room::part::Part;"),
        ("room/mod.rs", "mod part;"),
        ("room/part.rs", "use crate::room::other::Other;"),
        ("room/other.rs", "\n\nuse crate::top::Top;"),
    ]);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[0].contains("src/room/other.rs:3: `crate::top::Top`"),
        "{faults:?}"
    );
}

#[test]
fn a_file_that_may_be_one_of_several_makes_no_circle() {
    let faults = faults_of(&[
        (
            "room/mod.rs",
            "mod terms; mod imp; use terms::Term; fn f() { imp::f() } struct Here;",
        ),
        ("room/terms.rs", ""),
        ("room/this.rs", "use super::Here;"),
        ("room/that.rs", "use super::terms::Term;"),
    ]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults.iter().all(|fault| fault.contains("circle")),
        "{faults:?}"
    );
}

#[test]
fn each_file_is_on_a_floor() {
    assert_eq!(
        faults_of(&[("new.rs", "")]),
        ["src/new.rs: on no floor of CONTRIBUTING's table"]
    );
}
