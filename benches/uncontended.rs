//! What each primitive costs when nobody else wants it, and what a round trip between two threads
//! costs, beside its peers and the floor of the machine.
//!
//! One after the other: `cargo bench --bench contention -- --cases uncontended,ping-pong` runs
//! the same in turns, which is where ratios should be taken from.

#[path = "contention/os.rs"]
#[expect(dead_code, reason = "the laboratory uses what is left of it")]
mod os;
#[path = "contention/timed.rs"]
#[expect(dead_code, reason = "the laboratory uses what is left of it")]
mod timed;
#[path = "contention/variants.rs"]
mod variants;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use timed::{Course, Run};

fn uncontended(criterion: &mut Criterion) {
    let round_trips = timed::PING_PONGS.iter().chain(timed::BARRIERS);
    for variant in timed::UNCONTENDED.iter().chain(round_trips) {
        criterion.bench_function(&format!("{}/{}", variant.case, variant.name), |bencher| {
            bencher.iter_custom(|repetitions| match variant.run {
                Run::Alone(run) => run(repetitions),
                Run::Group(run) => {
                    let course = Course {
                        threads: 2,
                        repetitions,
                        time: Duration::MAX,
                        bound: true,
                    };
                    run(&course).elapsed
                }
            });
        });
    }
}

criterion_group!(benches, uncontended);
criterion_main!(benches);
