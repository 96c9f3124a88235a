//! Single workloads of the engine under criterion, which compares a run with the one before.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};

use super::{door, staying};
use crate::contenders::{Coedit, Contender, Owned};
use crate::measure::{Crowd, Scale};

pub(crate) fn run(criterion: &mut Criterion, scale: Scale) {
    open_and_close(criterion, scale);
    calls(criterion, scale);
    staying::run(criterion, scale);
    lines(criterion, scale);
}

fn open_and_close(criterion: &mut Criterion, scale: Scale) {
    let mut group = criterion.benchmark_group("open_and_close");
    group.throughput(Throughput::Elements(1));
    for documents in [1000, 100_000] {
        let mut ids = Crowd::<Coedit>::new(scale.documents(documents), 2, None);
        group.bench_function(format!("ids/{documents}"), |bencher| bencher.iter(|| ids.visit_once(64)));
        let mut owned = Crowd::<Owned>::new(scale.documents(documents), 2, None);
        group.bench_function(format!("owned/{documents}"), |bencher| bencher.iter(|| owned.visit_once(64)));
    }
    for users in [10, 1000] {
        let mut crowd = Crowd::<Coedit>::new(1, scale.of(users, 10), None);
        group.bench_function(format!("users/{users}"), |bencher| bencher.iter(|| crowd.visit_once(64)));
    }
    group.finish();
}

fn calls(criterion: &mut Criterion, scale: Scale) {
    let mut group = criterion.benchmark_group("calls");
    let crowd = Crowd::<Coedit>::new(scale.documents(1000), 2, None);
    let coedit = &crowd.contender;
    let mut keys = crowd.keys.iter().cycle();
    let mut next = || keys.next().unwrap();
    group.bench_function("info", |bencher| {
        let key = || {
            coedit.drain();
            next()
        };
        bencher.iter_batched(key, |key| black_box(coedit.info(key)), BatchSize::PerIteration);
    });
    let mut held = crowd.held().iter().cycle();
    group.bench_function("change", |bencher| {
        bencher.iter(|| black_box(coedit.change(held.next().unwrap())));
    });
    group.bench_function("drop_and_close", |bencher| {
        let visit = || {
            let key = next();
            let (id, _) = coedit.open(key, &crowd.visitor);
            coedit.drain();
            (key, id)
        };
        let drop = |(key, id)| (coedit.drop_user(key, &crowd.visitor), coedit.close(id));
        bencher.iter_batched(visit, drop, BatchSize::PerIteration);
    });
    coedit.drain();
    group.bench_function("callback", |bencher| {
        let visit = || coedit.close(coedit.open(next(), &crowd.visitor).0);
        bencher.iter_batched(visit, |()| black_box(coedit.drain()), BatchSize::PerIteration);
    });
    group.bench_function("tick", |bencher| bencher.iter(|| coedit.tick()));
    group.finish();
}

fn lines(criterion: &mut Criterion, scale: Scale) {
    let mut group = criterion.benchmark_group("door");
    let (mut door, mut out) = (door::open_door(scale.of(1000, 10)), Vec::new());
    let change = door::change(7);
    group.bench_function("change", |bencher| {
        bencher.iter(|| {
            out.clear();
            door::feed(&mut door, &change, &mut out);
        });
    });
    group.sample_size(10);
    group.bench_function("rfcs", |bencher| bencher.iter(|| door::replay(door::TRACE)));
    group.finish();
}
