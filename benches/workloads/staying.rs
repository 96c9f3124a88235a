//! Opens, closes and resumes with everything on that keeps people in: a reconnect grace, idle time, age and presence.

use std::time::Duration;

use coedit::{Access, Config, Connection, ResumeToken};
use criterion::{BatchSize, Criterion, Throughput};

use crate::contenders::{Coedit, Contender};
use crate::measure::{Crowd, Scale, clock_cost, line, median, per, timed};

const DOCUMENTS: usize = 1000;
/// Pairs between two drains, and resumes in a block.
const EVERY: usize = 64;

pub(crate) fn compare(scale: Scale) {
    println!("\nstaying in, {DOCUMENTS} documents with two users, draining included");
    let (mut off, mut on) = (crowd(scale, Config::new()), crowd(scale, everything_on()));
    let (pairs, mut rounds) = (scale.pairs(), [vec![], vec![], vec![]]);
    let visit = |crowd: &mut Crowd<Coedit>| {
        crowd.warm_up();
        per(crowd.visit(pairs, Some(EVERY)).total(), pairs)
    };
    for _ in 0..scale.rounds() {
        let [off, on] = [visit(&mut off), visit(&mut on)];
        for (values, value) in rounds.iter_mut().zip([off, on, on / off]) {
            values.push(value);
        }
    }
    let [off, on, ratio] = rounds.each_mut().map(|values| median(values));
    line("open + close, everything off", off, "ns");
    line("open + close, everything on", on, "ns");
    line("  on / off", ratio, "x");

    let mut resumes = Resumes::new(scale);
    let cost = clock_cost();
    let mut resume = || {
        let tokens = resumes.lose();
        per(timed(cost, || resumes.resume(tokens)).0, EVERY)
    };
    let mut spans: Vec<f64> = (0..pairs / EVERY).map(|_| resume()).collect();
    line("resume of a lost connection", median(&mut spans), "ns");
}

pub(crate) fn run(criterion: &mut Criterion, scale: Scale) {
    let mut group = criterion.benchmark_group("staying");
    group.throughput(Throughput::Elements(1));
    for (name, config) in [("off", Config::new()), ("on", everything_on())] {
        let mut crowd = crowd(scale, config);
        group.bench_function(format!("open_and_close/{name}"), |bencher| {
            bencher.iter(|| crowd.visit_once(EVERY));
        });
    }
    let mut resumes = Resumes::new(scale);
    let pool = std::cell::RefCell::new(&mut resumes);
    group.throughput(Throughput::Elements(u64::try_from(EVERY).unwrap()));
    group.bench_function(format!("resume/{EVERY}"), |bencher| {
        let lose = || pool.borrow_mut().lose();
        bencher.iter_batched(lose, |tokens| pool.borrow_mut().resume(tokens), BatchSize::PerIteration);
    });
    group.finish();
}

fn crowd(scale: Scale, config: Config) -> Crowd<Coedit> {
    Crowd::of(Coedit::with(config), scale.documents(DOCUMENTS), 2)
}

fn everything_on() -> Config {
    let minutes = |count: u64| Some(Duration::from_secs(60 * count));
    Config::new().reconnect_grace(minutes(5)).idle(minutes(30)).age(minutes(24 * 60)).presence(true)
}

/// One editor in each document, who loses the line and comes back.
struct Resumes {
    /// Declared before the engine, so dropped before it.
    connections: Vec<Option<Connection>>,
    coedit: Coedit,
    /// The first connection of the next block.
    next: usize,
}

impl Resumes {
    fn new(scale: Scale) -> Self {
        let coedit = Coedit::with(everything_on());
        let user = Coedit::user(0);
        let open = |document| Some(coedit.engine.open(&Coedit::key(document), &user, Access::Edit).unwrap());
        let connections = (0..scale.of(DOCUMENTS, EVERY)).map(open).collect();
        coedit.drain();
        Resumes { connections, coedit, next: 0 }
    }

    /// The next connections lose the line. Returns the token of each.
    fn lose(&mut self) -> Vec<ResumeToken> {
        if self.next + EVERY > self.connections.len() {
            self.next = 0;
        }
        let block = &mut self.connections[self.next..self.next + EVERY];
        let lose = |connection: &mut Option<Connection>| {
            let connection = connection.take().expect("it was resumed");
            let token = connection.token().expect("there is a grace");
            connection.lost().unwrap();
            token
        };
        block.iter_mut().map(lose).collect()
    }

    /// Resumes the connections that lost the line last.
    fn resume(&mut self, tokens: Vec<ResumeToken>) {
        for token in tokens {
            self.connections[self.next] = Some(self.coedit.engine.resume(&token, 0).unwrap());
            self.next += 1;
        }
    }
}
