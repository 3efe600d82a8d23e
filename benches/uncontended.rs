//! What each primitive costs when nobody else wants it, beside its peers.

use criterion::{Criterion, criterion_group, criterion_main};
use racefree::{BoundedSemaphore, Event, Lock, RLock, Semaphore};

/// Each function takes and gives back once.
fn uncontended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("uncontended");

    let lock = Lock::new();
    group.bench_function("Lock", |bencher| bencher.iter(|| lock.guard()));
    let peer = std::sync::Mutex::new(());
    group.bench_function("Lock/std", |bencher| {
        bencher.iter(|| peer.lock().is_ok());
    });
    let peer = parking_lot::Mutex::new(());
    group.bench_function("Lock/parking_lot", |bencher| {
        bencher.iter(|| drop(peer.lock()));
    });

    let lock = RLock::new();
    group.bench_function("RLock", |bencher| bencher.iter(|| lock.guard()));
    let peer = parking_lot::ReentrantMutex::new(());
    group.bench_function("RLock/parking_lot", |bencher| {
        bencher.iter(|| drop(peer.lock()));
    });

    let semaphore = Semaphore::new(2);
    group.bench_function("Semaphore", |bencher| bencher.iter(|| semaphore.guard()));
    let semaphore = BoundedSemaphore::new(2);
    group.bench_function("BoundedSemaphore", |bencher| {
        bencher.iter(|| semaphore.guard());
    });

    let event = Event::new();
    group.bench_function("Event set and clear", |bencher| {
        bencher.iter(|| {
            event.set();
            event.clear();
        });
    });
    event.set();
    group.bench_function("Event wait when set", |bencher| {
        bencher.iter(|| event.wait());
    });
    group.finish();
}

criterion_group!(benches, uncontended);
criterion_main!(benches);
