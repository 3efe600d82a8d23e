//! A sleep that is longer than the system can be told. Uses the futex's terms.

use std::time::{Duration, Instant};

use super::terms::Outcome;

/// Sleeps by `sleep`, which is told how long at most: until `until`, or `longest`, the most that the
/// system can be told, and then as if woken for nothing. Not at all if the time is up: the
/// system would take a while to say so.
#[allow(dead_code, reason = "parking_lot_core takes an instant")]
pub(super) fn in_pieces(
    until: Option<Instant>,
    longest: Duration,
    sleep: impl FnOnce(Option<Duration>) -> Outcome,
) -> Outcome {
    let Some(until) = until else {
        return sleep(None);
    };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Outcome::TimedOut;
    }
    match sleep(Some(left.min(longest))) {
        // It was cut short, or the system's clock is a little ahead of this one.
        Outcome::TimedOut if Instant::now() < until => Outcome::Woken,
        ended => ended,
    }
}
