//! Finds the places where the source can be broken, by its syntax tree: code that is written
//! tomorrow is broken tomorrow, with nothing to be added here.
//!
//! A mutant is one replacement of a range of bytes. What is looked for is what a concurrent
//! algorithm stands on, see [`Kind`].

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Block, Expr, ExprBinary, ExprCall, ExprMethodCall, Item, Lit, Meta,
    ReturnType, Stmt, Token, Type, UnOp,
};

/// What is left alone, and why: the beginning of a path, from the repository's root.
pub(crate) const EXCLUDED: &[(&str, &str)] = &[
    ("src/futex/linux.rs", "not in a model: the system call"),
    ("src/futex/parking.rs", "not in a model: other platforms"),
    ("src/futex/windows.rs", "not in a model: the system call"),
    ("src/futex/modelled.rs", "the model's own futex"),
    ("src/futex/terms.rs", "plain data"),
    (
        "src/futex/pieces.rs",
        "not in a model: how long the system sleeps at once",
    ),
    ("src/model", "the model's own entry"),
    (
        "src/observe",
        "what is told of a model, and not what it does",
    ),
    (
        "src/sync.rs",
        "no algorithm: atomics, from std or from loom",
    ),
    ("src/spin.rs", "compiled to nothing in a model"),
    ("src/deadline.rs", "no atomics: native tests cover it"),
    ("src/error.rs", "no code but texts"),
];

/// What a mutant does to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An ordering is weakened, or a fence removed.
    Ordering,
    /// A wake is removed, the crate's own ones too, or one is woken instead of many.
    Wake,
    /// A read-modify-write becomes a load and a store.
    Atomicity,
    /// Another state is stored, a bit of it is dropped, or a store is.
    State,
    /// A wait is believed, and its loop runs but once.
    Recheck,
    /// A step of an epoch or of a count is removed, or epochs are not compared.
    Step,
    /// A flag is flipped, an operand of `&&` or `||` dropped, a guard always or never true.
    Flag,
    /// A comparison is negated, or off by one.
    Comparison,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ordering => "ordering",
            Self::Wake => "wake",
            Self::Atomicity => "atomicity",
            Self::State => "state",
            Self::Recheck => "re-check",
            Self::Step => "step",
            Self::Flag => "flag",
            Self::Comparison => "comparison",
        })
    }
}

/// One way to break one file.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) kind: Kind,
    /// From the repository's root, with `/`.
    pub(crate) file: String,
    pub(crate) line: usize,
    /// As `Lock::release`.
    pub(crate) function: String,
    /// What is broken and what it becomes, to be read by people: with its surroundings, and short.
    pub(crate) old: String,
    pub(crate) new: String,
    /// Counts those of one function that read alike, from 1.
    pub(crate) nth: usize,
    range: Range<usize>,
    text: String,
    /// The statement that is broken, if there is one.
    statement: Option<Statement>,
}

/// Where another statement may stand.
#[derive(Clone, Debug)]
struct Statement {
    range: Range<usize>,
    /// The `const` of its function, if that is there.
    constness: Option<Range<usize>>,
}

impl Mutant {
    /// The whole file, broken.
    pub(crate) fn apply(&self, source: &str) -> String {
        self.replace(source, Vec::new())
    }

    /// The same, with `mark` before the statement that is broken.
    pub(crate) fn apply_marked(&self, source: &str, mark: &str) -> Option<String> {
        let Statement { range, constness } = self.statement.clone()?;
        let mut more = vec![(range.start..range.start, mark)];
        more.extend(constness.map(|range| (range, "")));
        Some(self.replace(source, more))
    }

    fn replace<'a>(&'a self, source: &str, mut parts: Vec<(Range<usize>, &'a str)>) -> String {
        parts.push((self.range.clone(), &self.text));
        // The mark comes before what stands at the same place.
        parts.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::new();
        let mut at = 0;
        for (range, new) in parts {
            text += &source[at..range.start];
            text += new;
            at = range.end;
        }
        text + &source[at..]
    }

    /// Whether the two read alike.
    fn is_like(&self, other: &Self) -> bool {
        (&self.file, &self.function, &self.old, &self.new)
            == (&other.file, &other.function, &other.old, &other.new)
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            file,
            line,
            function,
            old,
            new,
            nth,
            ..
        } = self;
        write!(
            f,
            "{file}:{line} {function} [{kind} {nth}] `{old}` -> `{new}`"
        )
    }
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// By file, and in the order of the text.
    pub(crate) mutants: Vec<Mutant>,
    /// Macros that could not be read, as `file:line: name`.
    pub(crate) unread: Vec<String>,
}

/// All the mutants of the repository at `root`.
pub(crate) fn find(root: &Path) -> Result<Found> {
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths)?;
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        let file = path.strip_prefix(root)?.to_string_lossy();
        let file = file.replace('\\', "/");
        if EXCLUDED.iter().any(|(prefix, _)| file.starts_with(prefix)) {
            continue;
        }
        let source = fs::read_to_string(&path)?;
        let more = find_in(&file, &source).with_context(|| format!("cannot parse {file}"))?;
        found.mutants.extend(more.mutants);
        found.unread.extend(more.unread);
    }
    Ok(found)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// All the mutants of one file.
pub(crate) fn find_in(file: &str, source: &str) -> syn::Result<Found> {
    let tree = syn::parse_file(source)?;
    let mut finder = Finder {
        file,
        source,
        constants: constants(&tree, source),
        types: Vec::new(),
        functions: Vec::new(),
        leave: Vec::new(),
        found: Found::default(),
    };
    finder.visit_file(&tree);
    let mut found = finder.found;
    let mutants = &mut found.mutants;
    let mut statements = Statements::default();
    statements.visit_file(&tree);
    for mutant in mutants.iter_mut() {
        mutant.statement = statements.around(&mutant.range);
    }
    mutants.sort_by_key(|mutant| (mutant.range.start, mutant.range.end, mutant.kind));
    for at in 0..mutants.len() {
        let (before, rest) = mutants.split_at_mut(at);
        rest[0].nth += before.iter().filter(|other| rest[0].is_like(other)).count();
    }
    Ok(found)
}

/// A constant of the file, which may be a state or a bit of one.
struct Constant {
    name: String,
    r#type: String,
    is_zero: bool,
}

fn constants(tree: &syn::File, source: &str) -> Vec<Constant> {
    let constants = tree.items.iter().filter_map(|item| match item {
        Item::Const(item) if is_compiled(&item.attrs) => Some(Constant {
            name: item.ident.to_string(),
            r#type: source[bytes(&item.ty)].to_owned(),
            is_zero: is_zero(&item.expr),
        }),
        _ => None,
    });
    constants.collect()
}

struct Finder<'a> {
    file: &'a str,
    source: &'a str,
    constants: Vec<Constant>,
    /// The `impl`s, the functions, and the ways out of them, that we are in.
    types: Vec<String>,
    functions: Vec<String>,
    leave: Vec<&'static str>,
    found: Found,
}

impl Finder<'_> {
    fn text(&self, node: &impl Spanned) -> &str {
        &self.source[bytes(node)]
    }

    /// Replaces `range` by `text`; where that is, and what it reads like, is up to the caller.
    fn push(
        &mut self,
        kind: Kind,
        at: usize,
        (range, text): (Range<usize>, String),
        (old, new): (String, String),
    ) {
        let known = |mutant: &Mutant| mutant.range == range && mutant.text == text;
        if self.functions.is_empty() || self.found.mutants.iter().any(known) {
            return;
        }
        let mut path: Vec<&str> = self.types.last().map(String::as_str).into_iter().collect();
        path.extend(self.functions.iter().map(String::as_str));
        self.found.mutants.push(Mutant {
            kind,
            file: self.file.to_owned(),
            line: self.line(at),
            function: path.join("::"),
            old,
            new,
            nth: 1,
            range,
            text,
            statement: None,
        });
    }

    /// Replaces `range`, shown in its `context`.
    fn replace(&mut self, kind: Kind, context: &Shown, range: Range<usize>, text: &str) {
        let old = context.render(self.source, None);
        let new = context.render(self.source, Some((&range, text)));
        self.push(kind, range.start, (range, text.to_owned()), (old, new));
    }

    /// One is woken instead of the number that `count` says.
    fn wakes_one(&mut self, count: Option<&Expr>, context: &Shown) {
        if let Some(count) = count {
            if self.text(count) != "1" {
                self.replace(Kind::Wake, context, bytes(count), "1");
            }
        }
    }

    /// Replaces the whole of `node`.
    fn replace_all(&mut self, kind: Kind, node: &impl Spanned, text: &str) {
        let range = bytes(node);
        self.replace(kind, &Shown::all(range.clone()), range, text);
    }

    fn line(&self, at: usize) -> usize {
        1 + self.source[..at].matches('\n').count()
    }

    fn function(&mut self, name: &Ident, output: &ReturnType, visit: impl FnOnce(&mut Self)) {
        let leave = match output {
            ReturnType::Default => "return;",
            ReturnType::Type(_, r#type) => match self.text(r#type).replace(' ', "").as_str() {
                "bool" => "return true;",
                result if result.starts_with("Result<()") => "return Ok(());",
                result if result.starts_with("Result<bool") => "return Ok(true);",
                _ => "break;",
            },
        };
        self.functions.push(name.to_string());
        self.leave.push(leave);
        visit(self);
        self.leave.pop();
        self.functions.pop();
    }

    // --- orderings ---

    /// The orderings among the arguments of a call to `callee`.
    fn orderings<'a>(
        &mut self,
        callee: &str,
        arguments: impl Iterator<Item = &'a Expr>,
        context: &Shown,
    ) {
        for (at, argument) in arguments.enumerate() {
            if let Some((order, range)) = literal_order(argument) {
                for weaker in weaker(&order, Access::of(callee, at)) {
                    self.replace(Kind::Ordering, context, range.clone(), weaker);
                }
            }
        }
    }

    // --- atomicity ---

    /// A read-modify-write in two steps.
    fn split(&mut self, call: &ExprMethodCall) {
        let method = call.method.to_string();
        let arguments: Vec<&Expr> = call.args.iter().collect();
        let (value, set, fetch) = match (method.as_str(), arguments.as_slice()) {
            ("compare_exchange" | "compare_exchange_weak", [_, new, set, fetch]) => {
                (*new, *set, Some(*fetch))
            }
            ("fetch_update" | "try_update", [set, fetch, update]) => (*update, *set, Some(*fetch)),
            ("swap", [new, order]) if is_order(order) => (*new, *order, None),
            (fetch, [operand, order]) if fetch.starts_with("fetch_") && is_order(order) => {
                (*operand, *order, None)
            }
            _ => return,
        };
        let receiver = self.text(&call.receiver).to_owned();
        let value = self.text(value).to_owned();
        let load = self.load_order(set, fetch);
        let store = self.half(set, Access::Store);
        let store_of = |value: &str| format!("{receiver}.store({value}, {store})");
        let rest = match method.as_str() {
            "swap" => format!("{}; mutant_old", store_of(&value)),
            "compare_exchange" | "compare_exchange_weak" => {
                let current = self.text(arguments[0]);
                let store = store_of(&value);
                format!(
                    "if mutant_old == ({current}) {{ {store}; Ok(mutant_old) }} \
                     else {{ Err(mutant_old) }}"
                )
            }
            "fetch_update" | "try_update" => {
                let store = store_of("mutant_new");
                format!(
                    "match Some(mutant_old).and_then({value}) {{ \
                     Some(mutant_new) => {{ {store}; Ok(mutant_old) }} \
                     None => Err(mutant_old) }}"
                )
            }
            fetch => {
                let new = match fetch {
                    "fetch_add" => format!("mutant_old.wrapping_add({value})"),
                    "fetch_sub" => format!("mutant_old.wrapping_sub({value})"),
                    "fetch_or" => format!("mutant_old | ({value})"),
                    "fetch_and" => format!("mutant_old & ({value})"),
                    "fetch_xor" => format!("mutant_old ^ ({value})"),
                    "fetch_nand" => format!("!(mutant_old & ({value}))"),
                    "fetch_max" => format!("mutant_old.max({value})"),
                    "fetch_min" => format!("mutant_old.min({value})"),
                    _ => return,
                };
                format!("{}; mutant_old", store_of(&new))
            }
        };
        let text = format!("({{ let mutant_old = {receiver}.load({load}); {rest} }})");
        let old = Shown::call(call, call.args.iter(), self.source).render(self.source, None);
        let named = |order: &str| {
            let short = order.strip_prefix("match ").map(|rest| {
                let name = rest.split(' ').next().unwrap_or(rest);
                format!("its half of {name}")
            });
            short.unwrap_or_else(|| order.to_owned())
        };
        let new = format!("load({}), then store(…, {})", named(&load), named(&store));
        let range = bytes(call);
        self.push(Kind::Atomicity, range.start, (range, text), (old, new));
    }

    /// What the load has to order, of a read-modify-write that orders `set`, or `fetch` if it
    /// fails.
    fn load_order(&self, set: &Expr, fetch: Option<&Expr>) -> String {
        let fetch = fetch.map(|fetch| self.text(fetch).to_owned());
        let set = self.half(set, Access::Load);
        match fetch {
            Some(fetch) if set.ends_with("Relaxed") || fetch.ends_with("SeqCst") => fetch,
            _ => set,
        }
    }

    /// The half of an ordering that a load or a store can have: decided here if it is written out,
    /// and when it runs if it is a variable.
    fn half(&self, order: &Expr, access: Access) -> String {
        let (half, strong) = match access {
            Access::Store => ("Release", ["Release", "AcqRel"]),
            _ => ("Acquire", ["Acquire", "AcqRel"]),
        };
        let text = self.text(order);
        let Some((name, range)) = literal_order(order) else {
            let [one, both] = strong;
            return format!(
                "match {text} {{ Ordering::SeqCst => Ordering::SeqCst, \
                 Ordering::{one} | Ordering::{both} => Ordering::{half}, \
                 _ => Ordering::Relaxed }}"
            );
        };
        let kept = match name.as_str() {
            "SeqCst" => "SeqCst",
            name if strong.contains(&name) => half,
            _ => "Relaxed",
        };
        format!("{}{kept}", &self.source[bytes(order).start..range.start])
    }

    // --- states ---

    /// The constants that `value`, the next state of a word, can be: each made another one.
    fn next_states(&mut self, value: &Expr, context: &Shown) {
        match value {
            Expr::Path(path) => {
                let name = path.path.get_ident().map(Ident::to_string);
                let Some(this) = self
                    .constants
                    .iter()
                    .find(|c| Some(&c.name) == name.as_ref())
                else {
                    return;
                };
                let others = self.constants.iter();
                let others = others.filter(|c| c.name != this.name && c.r#type == this.r#type);
                let mut news: Vec<String> = others.clone().map(|c| c.name.clone()).collect();
                if !this.is_zero && others.clone().all(|c| !c.is_zero) {
                    news.push("0".to_owned());
                }
                for new in news {
                    self.replace(Kind::State, context, bytes(path), &new);
                }
            }
            Expr::Paren(paren) => self.next_states(&paren.expr, context),
            Expr::Closure(closure) => {
                // Too long to be shown with all of the call that it is given to.
                self.next_states(&closure.body, &Shown::all(bytes(&closure.body)));
            }
            Expr::Block(block) => self.last_state(&block.block),
            Expr::If(branch) => {
                self.last_state(&branch.then_branch);
                if let Some((_, other)) = &branch.else_branch {
                    self.next_states(other, &Shown::all(bytes(other)));
                }
            }
            Expr::Match(choice) => {
                for arm in &choice.arms {
                    let range = bytes(&arm.pat).start..bytes(&arm.body).end;
                    self.next_states(&arm.body, &Shown::all(range));
                }
            }
            Expr::Call(call) if self.text(&call.func) == "Some" => {
                for argument in &call.args {
                    self.next_states(argument, context);
                }
            }
            Expr::MethodCall(call) if call.method == "then" || call.method == "then_some" => {
                for argument in &call.args {
                    self.next_states(argument, context);
                }
            }
            _ => {}
        }
    }

    fn last_state(&mut self, block: &Block) {
        if let Some(Stmt::Expr(value, None)) = block.stmts.last() {
            self.next_states(value, &Shown::all(bytes(value)));
        }
    }

    /// A constant of the file or a number, or what is made of these alone.
    fn is_constant(&self, value: &Expr) -> bool {
        match value {
            Expr::Path(path) => path
                .path
                .get_ident()
                .is_some_and(|name| self.constants.iter().any(|c| name == c.name.as_str())),
            Expr::Lit(literal) => matches!(literal.lit, Lit::Int(_)),
            Expr::Paren(paren) => self.is_constant(&paren.expr),
            Expr::Unary(not) => matches!(not.op, UnOp::Not(_)) && self.is_constant(&not.expr),
            Expr::Binary(pair) => self.is_constant(&pair.left) && self.is_constant(&pair.right),
            _ => false,
        }
    }

    // --- operators ---

    fn operator(&mut self, pair: &ExprBinary) {
        let left = self.text(&pair.left).to_owned();
        let right = self.text(&pair.right).to_owned();
        let compared = [&*pair.left, &*pair.right];
        let epochs = compared.into_iter().any(is_epoch);
        match pair.op {
            BinOp::And(_) | BinOp::Or(_) => {
                self.replace_all(Kind::Flag, pair, &left);
                self.replace_all(Kind::Flag, pair, &right);
            }
            BinOp::BitOr(_) | BinOp::BitAnd(_) | BinOp::BitXor(_) | BinOp::Add(_) => {
                if self.is_constant(&pair.right) {
                    self.replace_all(Kind::State, pair, &left);
                }
                if self.is_constant(&pair.left) {
                    self.replace_all(Kind::State, pair, &right);
                }
            }
            BinOp::Sub(_) if self.is_constant(&pair.right) => {
                self.replace_all(Kind::Step, pair, &left);
            }
            _ if is_assignment(&pair.op) => self.replace_all(Kind::Step, pair, "()"),
            BinOp::Ne(_) if epochs => self.replace_all(Kind::Step, pair, "false"),
            BinOp::Eq(_) if epochs => self.replace_all(Kind::Step, pair, "true"),
            _ => {
                let other = match pair.op {
                    BinOp::Eq(_) => "!=",
                    BinOp::Ne(_) => "==",
                    BinOp::Lt(_) => "<=",
                    BinOp::Le(_) => "<",
                    BinOp::Gt(_) => ">=",
                    BinOp::Ge(_) => ">",
                    _ => return,
                };
                let context = Shown::all(bytes(pair));
                self.replace(Kind::Comparison, &context, bytes(&pair.op), other);
            }
        }
    }

    /// `a.wrapping_add(STEP)` and its like.
    fn step(&mut self, call: &ExprMethodCall) {
        let (Some(operand), 1) = (call.args.first(), call.args.len()) else {
            return;
        };
        if !self.is_constant(operand) {
            return;
        }
        let receiver = self.text(&call.receiver).to_owned();
        match call.method.to_string().as_str() {
            "wrapping_add" | "wrapping_sub" | "saturating_add" | "saturating_sub" => {
                self.replace_all(Kind::Step, call, &receiver);
            }
            "checked_add" | "checked_sub" => {
                self.replace_all(Kind::Step, call, &format!("Some({receiver})"));
            }
            _ => {}
        }
    }

    // --- loops ---

    /// A `while` around a wait, made an `if`.
    fn believe_while(&mut self, head: Range<usize>, body: &Block) {
        let (start, head) = (head.start, squash(&self.source[head]));
        let mut inner = LastWait(None);
        inner.visit_block(body);
        if inner.0.is_none() && !head.contains("futex::wait") {
            return;
        }
        // Before the closing brace; a `break` leaves the names as they are, which an `if` may not.
        let end = bytes(body).end - 1;
        let text = format!("{}break; ", separator(body.stmts.last()));
        let old = format!("{head} {{ … }}");
        let new = match head.strip_prefix("while") {
            Some(condition) => format!("if{condition} {{ … }}"),
            None => format!("{head} {{ …; break; }}"),
        };
        self.push(Kind::Recheck, start, (end..end, text), (old, new));
    }

    /// A `loop` around a wait, left as soon as that returns.
    fn believe_loop(&mut self, start: usize, body: &Block) {
        let mut inner = LastWait(None);
        inner.visit_block(body);
        let (Some((end, separator)), Some(leave)) = (inner.0, self.leave.last()) else {
            return;
        };
        let new = format!("loop {{ … futex::wait(…) …; {leave} }}");
        let text = format!("{separator} {leave}");
        let old = "loop { … futex::wait(…) … }".to_owned();
        self.push(Kind::Recheck, start, (end..end, text), (old, new));
    }

    // --- macros ---

    /// Reads the inside of a macro as items, statements or expressions, whichever it is.
    fn read(&mut self, tokens: TokenStream) -> bool {
        if let Ok(file) = syn::parse2::<syn::File>(tokens.clone()) {
            self.visit_file(&file);
        } else if let Ok(statements) = Block::parse_within.parse2(tokens.clone()) {
            for statement in &statements {
                self.visit_stmt(statement);
            }
        } else if let Ok(expressions) =
            Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens)
        {
            for expression in &expressions {
                self.visit_expr(expression);
            }
        } else {
            return false;
        }
        true
    }

    fn unread(&mut self, node: &impl Spanned, name: &str) {
        let line = self.line(bytes(node).start);
        let file = self.file;
        self.found.unread.push(format!("{file}:{line}: {name}!"));
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Const(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            _ => &[],
        };
        if is_compiled(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.sig.output, |this| {
            visit::visit_item_fn(this, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_compiled(&item.attrs) {
            self.function(&item.sig.ident, &item.sig.output, |this| {
                visit::visit_impl_item_fn(this, item);
            });
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig.ident, &item.sig.output, |this| {
            visit::visit_trait_item_fn(this, item);
        });
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        // What a primitive looks like is no part of how it works.
        let of = item
            .trait_
            .as_ref()
            .and_then(|(path, _)| path.segments.last());
        if of.is_some_and(|of| of.ident == "Debug" || of.ident == "Display") {
            return;
        }
        let name = match &*item.self_ty {
            Type::Path(path) => path.path.segments.last().map(|last| self.text(&last.ident)),
            other => Some(self.text(other)),
        };
        let name = name.unwrap_or_default().to_owned();
        self.types.push(name);
        visit::visit_item_impl(self, item);
        self.types.pop();
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let Some(name) = &item.ident else {
            return visit::visit_item_macro(self, item);
        };
        // `(pattern) => { body };`, again and again: every other group is a body.
        let groups = item
            .mac
            .tokens
            .clone()
            .into_iter()
            .filter_map(|token| match token {
                TokenTree::Group(group) => Some(group),
                _ => None,
            });
        for body in groups.skip(1).step_by(2) {
            if !self.read(without_metavariables(body.stream())) {
                self.unread(item, &name.to_string());
            }
        }
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        let name = node.path.segments.last().map(|last| last.ident.to_string());
        let name = name.unwrap_or_default();
        // An assertion says what is so, and does nothing.
        if !name.contains("assert") && !self.read(node.tokens.clone()) {
            self.unread(node, &name);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.leave.push("break;");
        visit::visit_expr_closure(self, closure);
        self.leave.pop();
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let path = path_of(&call.func);
        // A model does not spin.
        if path.iter().any(|name| name == "spin") {
            return;
        }
        let name = path.last().cloned().unwrap_or_default();
        let context = Shown::call(call, call.args.iter(), self.source);
        self.orderings(&name, call.args.iter(), &context);
        if is_futex_call(call, "wake") {
            self.replace_all(Kind::Wake, call, "()");
            self.wakes_one(call.args.iter().nth(1), &context);
        } else if name.starts_with("wake") {
            self.replace_all(Kind::Wake, call, "()");
        }
        if name == "fence" && call.args.first().is_some_and(is_order) {
            self.replace_all(Kind::Ordering, call, "()");
        }
        if call.args.iter().any(is_order) {
            for argument in &call.args {
                self.next_states(argument, &context);
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let name = call.method.to_string();
        let context = Shown::call(call, call.args.iter(), self.source);
        self.orderings(&name, call.args.iter(), &context);
        if call.args.iter().any(is_order) {
            // What is expected is no next state.
            let expected = usize::from(name.starts_with("compare_"));
            for argument in call.args.iter().skip(expected) {
                self.next_states(argument, &context);
            }
            if name == "store" {
                self.replace_all(Kind::State, call, "()");
            }
        }
        // The crate's own, which end in a wake of the futex.
        if name == "wake" {
            self.replace_all(Kind::Wake, call, "()");
            self.wakes_one(call.args.first(), &context);
        }
        self.split(call);
        self.step(call);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        // An ordering that is no argument; the others have been found with their call.
        let expression = Expr::Path(path.clone());
        let range = literal_order(&expression).map(|(_, range)| range);
        let is_found = |mutant: &Mutant| Some(&mutant.range) == range.as_ref();
        if !self.found.mutants.iter().any(is_found) {
            let context = Shown::all(bytes(path));
            self.orderings("", std::iter::once(&expression), &context);
        }
    }

    fn visit_expr_binary(&mut self, pair: &'ast ExprBinary) {
        self.operator(pair);
        visit::visit_expr_binary(self, pair);
    }

    fn visit_expr_assign(&mut self, assignment: &'ast syn::ExprAssign) {
        if let Some(flipped) = flipped(&assignment.right) {
            let context = Shown::all(bytes(assignment));
            self.replace(Kind::Flag, &context, bytes(&assignment.right), flipped);
        }
        visit::visit_expr_assign(self, assignment);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        let value = local.init.as_ref().map(|init| &init.expr);
        if let Some((value, flipped)) = value.and_then(|value| Some((value, flipped(value)?))) {
            self.replace(Kind::Flag, &Shown::all(bytes(local)), bytes(value), flipped);
        }
        visit::visit_local(self, local);
    }

    fn visit_pat_guard(&mut self, guarded: &'ast syn::PatGuard) {
        for text in ["true", "false"] {
            let context = Shown::all(bytes(guarded));
            self.replace(Kind::Flag, &context, bytes(&guarded.guard), text);
        }
        visit::visit_pat_guard(self, guarded);
    }

    fn visit_expr_while(&mut self, node: &'ast syn::ExprWhile) {
        let head = bytes(&node.while_token).start..bytes(&node.cond).end;
        self.believe_while(head, &node.body);
        visit::visit_expr_while(self, node);
    }

    fn visit_expr_for_loop(&mut self, node: &'ast syn::ExprForLoop) {
        let head = bytes(&node.for_token).start..bytes(&node.expr).end;
        self.believe_while(head, &node.body);
        visit::visit_expr_for_loop(self, node);
    }

    fn visit_expr_loop(&mut self, node: &'ast syn::ExprLoop) {
        self.believe_loop(bytes(&node.loop_token).start, &node.body);
        visit::visit_expr_loop(self, node);
    }
}

/// What people are shown of a mutant: a part of the source, with some of it left out.
struct Shown {
    range: Range<usize>,
    hidden: Vec<Range<usize>>,
}

impl Shown {
    fn all(range: Range<usize>) -> Self {
        let hidden = Vec::new();
        Self { range, hidden }
    }

    /// A call, without the closures that it is given, if they are long.
    fn call<'a>(
        call: &impl Spanned,
        arguments: impl Iterator<Item = &'a Expr>,
        source: &str,
    ) -> Self {
        let closures = arguments.filter(|argument| matches!(argument, Expr::Closure(_)));
        let hidden = closures.map(bytes);
        Self {
            range: bytes(call),
            hidden: hidden
                .filter(|range| squash(&source[range.clone()]).len() > 50)
                .collect(),
        }
    }

    fn render(&self, source: &str, replaced: Option<(&Range<usize>, &str)>) -> String {
        let mut parts: Vec<(&Range<usize>, &str)> =
            self.hidden.iter().map(|range| (range, "…")).collect();
        parts.extend(replaced);
        parts.sort_by_key(|(range, _)| range.start);
        let mut text = String::new();
        let mut at = self.range.start;
        for (range, new) in parts {
            text += &source[at..range.start];
            text += new;
            at = range.end;
        }
        text += &source[at..self.range.end];
        squash(&text)
    }
}

/// On one line, without comments.
fn squash(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let line = words.join(" ");
    let line = line.replace(" .", ".").replace("( ", "(");
    line.replace(", )", ")").replace(" )", ")")
}

fn bytes(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

fn is_zero(value: &Expr) -> bool {
    matches!(value, Expr::Lit(literal) if matches!(&literal.lit, Lit::Int(number)
        if number.base10_digits() == "0"))
}

fn flipped(value: &Expr) -> Option<&'static str> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Bool(value) if value.value => Some("false"),
            Lit::Bool(_) => Some("true"),
            _ => None,
        },
        _ => None,
    }
}

fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitXorAssign(_)
    )
}

fn path_of(callee: &Expr) -> Vec<String> {
    match callee {
        Expr::Path(path) => {
            let names = path.path.segments.iter();
            names.map(|segment| segment.ident.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

/// `epoch`, by whatever means it is had: a call, a field, a variable.
fn is_epoch(value: &Expr) -> bool {
    let name = match value {
        Expr::Call(call) => path_of(&call.func).pop(),
        Expr::MethodCall(call) => Some(call.method.to_string()),
        Expr::Path(_) => path_of(value).pop(),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => None,
        },
        _ => None,
    };
    name.is_some_and(|name| name.to_lowercase().contains("epoch"))
}

/// What an ordering is given to, which limits what it can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Load,
    Store,
    Both,
    Fence,
}

impl Access {
    /// The access that argument `at` of `callee` orders, as far as names tell.
    fn of(callee: &str, at: usize) -> Self {
        match (callee, at) {
            ("fence", _) => Self::Fence,
            ("store", _) => Self::Store,
            ("peek", _) | ("compare_exchange" | "compare_exchange_weak", 3) => Self::Load,
            (name, 1) if name.contains("update") => Self::Load,
            (name, _) if name.contains("load") => Self::Load,
            _ => Self::Both,
        }
    }
}

/// What an ordering is weakened to. loom takes a SeqCst access for AcqRel, so that is no step.
fn weaker(order: &str, access: Access) -> &'static [&'static str] {
    match (order, access) {
        ("SeqCst", Access::Load) => &["Acquire", "Relaxed"],
        ("SeqCst", Access::Store) => &["Release", "Relaxed"],
        ("SeqCst", Access::Both) => &["Acquire", "Release", "Relaxed"],
        ("SeqCst", Access::Fence) => &["AcqRel", "Acquire", "Release"],
        ("AcqRel", _) => &["Acquire", "Release"],
        ("Acquire" | "Release", Access::Load | Access::Store | Access::Both) => &["Relaxed"],
        _ => &[],
    }
}

/// An ordering that is written out, and where its name stands.
fn literal_order(value: &Expr) -> Option<(String, Range<usize>)> {
    let Expr::Path(path) = value else {
        return None;
    };
    let mut names = path.path.segments.iter().rev();
    let (name, of) = (&names.next()?.ident, &names.next()?.ident);
    let is_order =
        ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"].contains(&&*name.to_string());
    (of == "Ordering" && is_order).then(|| (name.to_string(), bytes(name)))
}

/// An ordering, written out or in a variable that is called so.
fn is_order(value: &Expr) -> bool {
    let is_variable = || {
        let name = path_of(value).pop();
        name.is_some_and(|name| name.contains("order"))
    };
    literal_order(value).is_some() || is_variable()
}

fn is_futex_call(call: &ExprCall, name: &str) -> bool {
    let path = path_of(&call.func);
    match path.as_slice() {
        [.., module, function] => {
            (module == "futex" || module == "imp") && function.starts_with(name)
        }
        _ => false,
    }
}

/// The statements of a file.
#[derive(Default)]
struct Statements {
    found: Vec<Statement>,
    constness: Option<Range<usize>>,
}

impl Statements {
    /// The innermost one that `range` is in.
    fn around(&self, range: &Range<usize>) -> Option<Statement> {
        let around = self.found.iter().filter(|statement| {
            statement.range.start <= range.start && range.end <= statement.range.end
        });
        around.min_by_key(|it| it.range.len()).cloned()
    }

    fn function(&mut self, signature: &syn::Signature, visit: impl FnOnce(&mut Self)) {
        let constness = signature.constness.as_ref().map(bytes);
        let outer = std::mem::replace(&mut self.constness, constness);
        visit(self);
        self.constness = outer;
    }
}

impl<'ast> Visit<'ast> for Statements {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !matches!(statement, Stmt::Item(_)) {
            self.found.push(Statement {
                range: bytes(statement),
                constness: self.constness.clone(),
            });
        }
        visit::visit_stmt(self, statement);
    }
}

/// Finds the end of the innermost statement that waits, and what has to come before another one.
struct LastWait(Option<(usize, &'static str)>);

impl<'ast> Visit<'ast> for LastWait {
    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        struct Waits(bool);
        impl<'ast> Visit<'ast> for Waits {
            fn visit_expr_call(&mut self, call: &'ast ExprCall) {
                self.0 |= is_futex_call(call, "wait");
                visit::visit_expr_call(self, call);
            }
        }
        let mut waits = Waits(false);
        waits.visit_stmt(statement);
        if waits.0 {
            self.0 = Some((bytes(statement).end, separator(Some(statement))));
        }
        visit::visit_stmt(self, statement);
    }
}

/// What has to stand between a statement and the next one.
fn separator(statement: Option<&Stmt>) -> &'static str {
    match statement {
        Some(Stmt::Expr(_, None)) => "; ",
        _ => "",
    }
}

/// Whether a model is compiled with what has these attributes, or may be.
fn is_compiled(attributes: &[Attribute]) -> bool {
    let mut conditions = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.all(|attribute| {
        let condition = attribute.parse_args::<Meta>();
        condition.map_or(true, |condition| holds(&condition) != Some(false))
    })
}

/// Whether a condition holds in a model, if that can be said.
fn holds(condition: &Meta) -> Option<bool> {
    match condition {
        Meta::Path(path) if path.is_ident("loom") => Some(true),
        Meta::Path(path) if path.is_ident("test") => Some(false),
        Meta::Path(_) => None,
        Meta::NameValue(pair) => {
            let is_loom = matches!(&pair.value, Expr::Lit(literal)
                if matches!(&literal.lit, Lit::Str(name) if name.value() == "loom"));
            (pair.path.is_ident("feature") && is_loom).then_some(true)
        }
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let parts: Vec<Option<bool>> = parts.ok()?.iter().map(holds).collect();
            let (decides, other) = match &*list.path.get_ident()?.to_string() {
                "all" => (false, true),
                "any" => (true, false),
                _ => return parts.first()?.map(|holds| !holds),
            };
            if parts.contains(&Some(decides)) {
                return Some(decides);
            }
            (!parts.contains(&None)).then_some(other)
        }
    }
}

/// A macro's body with `$name` as a plain name and `$(..)*` as its inside, each where it was.
fn without_metavariables(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut plain = TokenStream::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => match tokens.next() {
                Some(TokenTree::Ident(name)) => {
                    let span = dollar.span().join(name.span()).unwrap_or(name.span());
                    plain.extend([TokenTree::Ident(Ident::new(&name.to_string(), span))]);
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                    plain.extend(without_metavariables(group.stream()));
                    // The separator, if any, and the operator.
                    for token in tokens.by_ref() {
                        if matches!(&token, TokenTree::Punct(p) if "*+?".contains(p.as_char())) {
                            break;
                        }
                    }
                }
                other => plain.extend(other),
            },
            TokenTree::Group(group) => {
                let stream = without_metavariables(group.stream());
                let mut copy = Group::new(group.delimiter(), stream);
                copy.set_span(group.span());
                plain.extend([TokenTree::Group(copy)]);
            }
            other => plain.extend([other]),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
