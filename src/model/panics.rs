//! The panics of a check: kept out of the way, and told to the trace. Uses `observe`.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What an engine does about panics.
pub(crate) struct Hook {
    /// Whether they are kept out of the way.
    pub(crate) quiet: bool,
    /// Installs the engine's own hook, if it has one: ours comes before it, and calls it never.
    pub(crate) install: fn(),
    /// Whether a panic in this file is the checker's, and none of the threads'.
    pub(crate) is_checker: fn(&str) -> bool,
}

/// Runs `check`; if it panics, that is not printed but returned.
pub(crate) fn caught<R>(hook: &'static Hook, check: impl FnOnce() -> R) -> std::thread::Result<R> {
    install(hook);
    let before = QUIET.replace(hook.quiet);
    let result = panic::catch_unwind(panic::AssertUnwindSafe(check));
    QUIET.set(before);
    result
}

/// What a panic says.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Puts a hook before all others, once. The engine's own, which prints of each panic how to repeat
/// it in ways that are not ours, is left out.
///
/// While this thread panics no hook can be put, and the next check does it.
fn install(hook: &'static Hook) {
    static ONCE: Once = Once::new();
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let original = panic::take_hook();
        (hook.install)();
        drop(panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            note(hook, info);
            if !QUIET.get() {
                original(info);
            }
        }));
    });
}

fn note(hook: &Hook, info: &PanicHookInfo<'_>) {
    let text = message(info.payload());
    let checker = info
        .location()
        .is_some_and(|location| (hook.is_checker)(location.file()));
    #[cfg(any(
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle"),
        feature = "trace"
    ))]
    crate::observe::trace::panics(&text, place(info), checker);
    #[cfg(not(any(
        all(loom, feature = "loom"),
        all(shuttle, feature = "shuttle"),
        feature = "trace"
    )))]
    let _ = (checker, text);
}

/// Its line, with a name of the file that stays.
#[cfg(any(
    all(loom, feature = "loom"),
    all(shuttle, feature = "shuttle"),
    feature = "trace"
))]
fn place(info: &PanicHookInfo<'_>) -> Option<crate::observe::steps::Place> {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};
    static FILES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

    let location = info.location()?;
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match files.get(location.file()) {
        Some(file) => file,
        None => {
            // As many as there are files with panics in them.
            let file: &'static str = location.file().to_owned().leak();
            files.insert(file);
            file
        }
    };
    Some(crate::observe::steps::Place {
        file,
        line: location.line(),
    })
}
