//! Each kind of mutant, on a line or two of source: exactly these are found, and no others.

use super::{Found, Kind, find_in};

fn find(source: &str) -> Found {
    find_in("src/a.rs", source).expect("the snippet parses")
}

/// The mutants of the body of a function, as kind, old and new.
fn of(body: &str) -> Vec<(Kind, String, String)> {
    let constants = "const FREE: u32 = 0; const HELD: u32 = 1; const WAITERS: u32 = 2;";
    let found = find(&format!("{constants} fn f() -> bool {{ {body} }}"));
    let shown = found.mutants.into_iter();
    shown.map(|m| (m.kind, m.old, m.new)).collect()
}

/// The same, of one kind.
#[track_caller]
fn assert_found(kind: Kind, body: &str, expected: &[(&str, &str)]) {
    let found = of(body);
    let found: Vec<(&str, &str)> = found
        .iter()
        .filter(|found| found.0 == kind)
        .map(|(_, old, new)| (old.as_str(), new.as_str()))
        .collect();
    assert_eq!(found, expected);
}

/// The text that the first mutant of a kind leaves, of a function whose body is `body`.
fn broken(kind: Kind, output: &str, body: &str) -> String {
    let source = format!("fn f(){output} {{ {body} }}");
    let found = find(&source);
    let mutant = found.mutants.iter().find(|mutant| mutant.kind == kind);
    let text = mutant.expect("there is one").apply(&source);
    let inside = text.strip_prefix(&format!("fn f(){output} {{ "));
    let inside = inside.and_then(|text| text.strip_suffix(" }"));
    inside.expect("the rest is untouched").to_owned()
}

#[test]
fn orderings_are_weakened_as_far_as_the_access_allows() {
    let cases: [(&str, &[&str]); 9] = [
        ("a.load(Ordering::Relaxed)", &[]),
        ("a.load(Ordering::SeqCst)", &["Acquire", "Relaxed"]),
        ("a.store(x, Ordering::SeqCst)", &["Release", "Relaxed"]),
        ("a.swap(x, Ordering::AcqRel)", &["Acquire", "Release"]),
        ("self.take(Ordering::Release)", &["Relaxed"]),
        ("helper(x, Ordering::Acquire)", &["Relaxed"]),
        ("let order = atomic::Ordering::Acquire;", &["Relaxed"]),
        ("let order = cmp::Ordering::Less;", &[]),
        ("Self::store(Ordering::Release)", &["Relaxed"]),
    ];
    for (body, weaker) in cases {
        let found = of(body).into_iter();
        let orderings = found.filter(|found| found.0 == Kind::Ordering);
        let found: Vec<String> = orderings.map(|found| found.2).collect();
        assert_eq!(found.len(), weaker.len(), "{body}");
        for (found, weaker) in found.iter().zip(weaker) {
            assert!(found.contains(&format!("Ordering::{weaker}")), "{found}");
        }
    }
    assert_found(
        Kind::Ordering,
        "a.compare_exchange(1, x, Ordering::AcqRel, Ordering::Acquire)",
        &[
            (
                "a.compare_exchange(1, x, Ordering::AcqRel, Ordering::Acquire)",
                "a.compare_exchange(1, x, Ordering::Acquire, Ordering::Acquire)",
            ),
            (
                "a.compare_exchange(1, x, Ordering::AcqRel, Ordering::Acquire)",
                "a.compare_exchange(1, x, Ordering::Release, Ordering::Acquire)",
            ),
            (
                "a.compare_exchange(1, x, Ordering::AcqRel, Ordering::Acquire)",
                "a.compare_exchange(1, x, Ordering::AcqRel, Ordering::Relaxed)",
            ),
        ],
    );
}

#[test]
fn fences_are_removed_and_weakened() {
    assert_found(
        Kind::Ordering,
        "fence(Ordering::SeqCst);",
        &[
            ("fence(Ordering::SeqCst)", "()"),
            ("fence(Ordering::SeqCst)", "fence(Ordering::AcqRel)"),
            ("fence(Ordering::SeqCst)", "fence(Ordering::Acquire)"),
            ("fence(Ordering::SeqCst)", "fence(Ordering::Release)"),
        ],
    );
}

#[test]
fn wakes_are_removed_and_made_a_wake_of_one() {
    assert_found(
        Kind::Wake,
        "futex::wake::<Private>(word, 1); futex::wake::<S>(&w, futex::ALL);",
        &[
            ("futex::wake::<Private>(word, 1)", "()"),
            ("futex::wake::<S>(&w, futex::ALL)", "()"),
            (
                "futex::wake::<S>(&w, futex::ALL)",
                "futex::wake::<S>(&w, 1)",
            ),
        ],
    );
    assert_found(
        Kind::Wake,
        "waker.wake(n); wake_first(word); waker.waker(); woken.pass_on();",
        &[
            ("waker.wake(n)", "()"),
            ("waker.wake(n)", "waker.wake(1)"),
            ("wake_first(word)", "()"),
        ],
    );
}

#[test]
fn a_read_modify_write_becomes_a_load_and_a_store() {
    let cases = [
        (
            "self.a.swap(X, Ordering::AcqRel)",
            "({ let mutant_old = self.a.load(Ordering::Acquire); \
             self.a.store(X, Ordering::Release); mutant_old })",
        ),
        (
            "a.fetch_or(1, Ordering::Release)",
            "({ let mutant_old = a.load(Ordering::Relaxed); \
             a.store(mutant_old | (1), Ordering::Release); mutant_old })",
        ),
        (
            "a.fetch_add(n, Ordering::SeqCst)",
            "({ let mutant_old = a.load(Ordering::SeqCst); \
             a.store(mutant_old.wrapping_add(n), Ordering::SeqCst); mutant_old })",
        ),
        (
            "a.compare_exchange(0, 1, Ordering::Release, Ordering::Acquire)",
            "({ let mutant_old = a.load(Ordering::Acquire); if mutant_old == (0) \
             { a.store(1, Ordering::Release); Ok(mutant_old) } else { Err(mutant_old) } })",
        ),
        (
            "a.fetch_update(order, Ordering::Relaxed, next)",
            "({ let mutant_old = a.load(match order { Ordering::SeqCst => Ordering::SeqCst, \
             Ordering::Acquire | Ordering::AcqRel => Ordering::Acquire, \
             _ => Ordering::Relaxed }); match Some(mutant_old).and_then(next) \
             { Some(mutant_new) => { a.store(mutant_new, \
             match order { Ordering::SeqCst => Ordering::SeqCst, \
             Ordering::Release | Ordering::AcqRel => Ordering::Release, \
             _ => Ordering::Relaxed }); Ok(mutant_old) } None => Err(mutant_old) } })",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(broken(Kind::Atomicity, "", body), expected);
    }
    assert_found(Kind::Atomicity, "slice.swap(0, 1); mem::swap(a, b);", &[]);
}

#[test]
fn a_next_state_becomes_each_other_one() {
    assert_found(
        Kind::State,
        "a.compare_exchange(FREE, HELD, Ordering::Relaxed, Ordering::Relaxed)",
        &[
            (
                "a.compare_exchange(FREE, HELD, Ordering::Relaxed, Ordering::Relaxed)",
                "a.compare_exchange(FREE, FREE, Ordering::Relaxed, Ordering::Relaxed)",
            ),
            (
                "a.compare_exchange(FREE, HELD, Ordering::Relaxed, Ordering::Relaxed)",
                "a.compare_exchange(FREE, WAITERS, Ordering::Relaxed, Ordering::Relaxed)",
            ),
        ],
    );
    assert_found(
        Kind::State,
        "self.update(Ordering::Relaxed, |s| match s { 7 => None, 8 => Some(HELD), _ => Some(s) })",
        &[
            ("8 => Some(HELD)", "8 => Some(FREE)"),
            ("8 => Some(HELD)", "8 => Some(WAITERS)"),
        ],
    );
    assert_found(
        Kind::State,
        "a.store(FREE, Ordering::Relaxed);",
        &[
            ("a.store(FREE, Ordering::Relaxed)", "()"),
            (
                "a.store(FREE, Ordering::Relaxed)",
                "a.store(HELD, Ordering::Relaxed)",
            ),
            (
                "a.store(FREE, Ordering::Relaxed)",
                "a.store(WAITERS, Ordering::Relaxed)",
            ),
        ],
    );
}

#[test]
fn zero_is_a_state_also_without_a_name() {
    let source = "const A: u32 = 1; const B: u64 = 2; fn f() { a.swap(A, Ordering::Relaxed); }";
    let states = find(source).mutants.into_iter();
    let states = states.filter(|mutant| mutant.kind == Kind::State);
    let new: Vec<String> = states.map(|mutant| mutant.new).collect();
    assert_eq!(new, ["a.swap(0, Ordering::Relaxed)"]);
}

#[test]
fn bits_are_dropped() {
    assert_found(
        Kind::State,
        "x(s | WAITERS, s & !(HELD | WAITERS), s | t)",
        &[
            ("s | WAITERS", "s"),
            ("s & !(HELD | WAITERS)", "s"),
            ("HELD | WAITERS", "HELD"),
            ("HELD | WAITERS", "WAITERS"),
        ],
    );
}

#[test]
fn a_loop_around_a_wait_runs_once() {
    assert_found(
        Kind::Recheck,
        "while a.b() != HELD { if futex::wait::<P>(w) == X { return false; } } \
         while other { continue; }",
        &[("while a.b() != HELD { … }", "if a.b() != HELD { … }")],
    );
    assert_eq!(
        broken(Kind::Recheck, "", "while x { y = futex::wait(w); z() }"),
        "while x { y = futex::wait(w); z() ; break; }"
    );
    assert_eq!(
        broken(
            Kind::Recheck,
            " -> bool",
            "loop { if futex::wait(w) == X { return false; } slept = true; }"
        ),
        "loop { if futex::wait(w) == X { return false; };  return true; slept = true; }"
    );
    assert_eq!(
        broken(Kind::Recheck, "", "loop { a(); futex::wait(w); }"),
        "loop { a(); futex::wait(w); return; }"
    );
}

#[test]
fn steps_are_removed() {
    assert_found(
        Kind::Step,
        "x(epoch(s).wrapping_add(WAITERS), s.checked_sub(1), s.checked_sub(n), s - 1); d -= 1;",
        &[
            ("epoch(s).wrapping_add(WAITERS)", "epoch(s)"),
            ("s.checked_sub(1)", "Some(s)"),
            ("s - 1", "s"),
            ("d -= 1", "()"),
        ],
    );
    assert_found(
        Kind::Step,
        "x(epoch(a) != epoch(b), self.epoch == a)",
        &[
            ("epoch(a) != epoch(b)", "false"),
            ("self.epoch == a", "true"),
        ],
    );
}

#[test]
fn flags_are_flipped_and_conditions_dropped() {
    assert_found(
        Kind::Flag,
        "let mut slept = false; slept = true; if slept && a || b {} \
         match s { 1 if slept => 0, _ => 1 }",
        &[
            ("let mut slept = false;", "let mut slept = true;"),
            ("slept = true", "slept = false"),
            ("slept && a", "slept"),
            ("slept && a", "a"),
            ("slept && a || b", "slept && a"),
            ("slept && a || b", "b"),
            ("1 if slept", "1 if true"),
            ("1 if slept", "1 if false"),
        ],
    );
}

#[test]
fn comparisons_are_negated_or_off_by_one() {
    assert_found(
        Kind::Comparison,
        "a.load(Ordering::Relaxed) == 1; x(a < b, a >= b, a != b)",
        &[
            (
                "a.load(Ordering::Relaxed) == 1",
                "a.load(Ordering::Relaxed) != 1",
            ),
            ("a < b", "a <= b"),
            ("a >= b", "a > b"),
            ("a != b", "a == b"),
        ],
    );
}

#[test]
fn macros_are_read() {
    let found = find(
        "impl A { const_fn! { /// Doc.\n pub fn new(&self) -> bool { a || b } } }
         macro_rules! family {
             ($A:ident, $($b:ident),*) => {
                 impl $A { $( fn $b(&self) { $A && (c) } )* }
             };
             (odd $x:tt) => { a b c };
         }",
    );
    let shown: Vec<String> = found.mutants.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "src/a.rs:2 A::new [flag 1] `a || b` -> `a`",
            "src/a.rs:2 A::new [flag 1] `a || b` -> `b`",
            "src/a.rs:5 $A::b [flag 1] `$A && (c)` -> `$A`",
            "src/a.rs:5 $A::b [flag 1] `$A && (c)` -> `(c)`",
        ]
    );
    assert_eq!(found.unread, ["src/a.rs:3: family!"]);
}

#[test]
fn what_no_model_runs_is_left_alone() {
    let found = find(
        "#[cfg(test)] mod tests { fn f() { a && b; } }
         #[cfg(not(all(loom, feature = \"loom\")))] fn f() { a && b; }
         impl fmt::Debug for A { fn fmt(&self) { a && b; } }
         impl A { fn f(&self) { spin::poll(|| a && b); assert!(a && b); } }
         const A: u32 = B | C;",
    );
    assert!(found.mutants.is_empty());
    let found = find("#[cfg(all(loom, feature = \"loom\", unix))] fn f() { a && b; }");
    assert_eq!(found.mutants.len(), 2);
}

#[test]
fn mutants_that_read_alike_are_numbered() {
    let found = find("impl A { fn f() { a && b; a && b; } fn g() { a && b; } }");
    let nth: Vec<usize> = found.mutants.iter().map(|mutant| mutant.nth).collect();
    assert_eq!(nth, [1, 1, 2, 2, 1, 1]);
}

#[test]
fn a_long_closure_is_left_out_of_what_is_shown() {
    let body = "a.b(Ordering::Release, |state| {\n // Why.\n call_of_a_long_name(state, state) \
                + another_call_of_a_long_name(state) })";
    let expected = ("a.b(Ordering::Release, …)", "a.b(Ordering::Relaxed, …)");
    assert_found(Kind::Ordering, body, &[expected]);
}

#[test]
fn the_mark_stands_before_the_innermost_statement() {
    let source = "const fn f() { g(); if c { a.b |= HELD; } }";
    let found = find(source);
    let mutant = found.mutants.iter().find(|it| it.kind == Kind::Step);
    let marked = mutant.expect("there is one").apply_marked(source, "m(); ");
    assert_eq!(
        marked.as_deref(),
        Some(" fn f() { g(); if c { m(); (); } }")
    );
}
