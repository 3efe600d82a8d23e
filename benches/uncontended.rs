//! What each primitive costs when nobody else wants it, and what a round trip between two threads
//! costs, beside its peers and the floor of the machine.
//!
//! One after the other: `cargo bench --bench contention -- --cases uncontended,round-trips` runs
//! the same in turns, which is where ratios should be taken from.

#[path = "contention/os.rs"]
#[allow(dead_code, reason = "shared with the laboratory, which uses all of it")]
mod os;
#[path = "contention/timed.rs"]
#[allow(dead_code, reason = "shared with the laboratory, which uses all of it")]
mod timed;
#[path = "contention/variants.rs"]
#[allow(dead_code, reason = "shared with the laboratory, which uses all of it")]
mod variants;

use criterion::{Criterion, criterion_group, criterion_main};

fn uncontended(criterion: &mut Criterion) {
    let cases = timed::UNCONTENDED.iter().chain(timed::ROUND_TRIPS);
    for variant in cases.filter(|variant| variant.possible()) {
        criterion.bench_function(&format!("{}/{}", variant.case, variant.name), |bencher| {
            bencher.iter_custom(variant.run);
        });
    }
}

criterion_group!(benches, uncontended);
criterion_main!(benches);
