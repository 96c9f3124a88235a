//! Waiting for edit access in a line of some length, under criterion.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use coedit::{Access, Config, ConnectionId};
use criterion::{Bencher, Criterion, Throughput};

use crate::contenders::{Coedit, Contender};
use crate::measure::{Random, Scale};

pub(crate) fn run(criterion: &mut Criterion, scale: Scale) {
    let mut group = criterion.benchmark_group("waiting");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(2));
    // As many as may wait.
    for waiters in [0, 1000, 65_536] {
        let mut line = Line::new(scale.of(waiters, 50));
        group.bench_function(format!("close/{waiters}"), |bencher| line.close(bencher));
        group.bench_function(format!("ask_and_give_back/{waiters}"), |bencher| {
            line.ask_and_give_back(bencher);
        });
        if waiters > 0 {
            group.bench_function(format!("go_to_the_end/{waiters}"), |bencher| line.go_to_the_end(bencher));
        }
    }
    group.finish();
}

/// An engine with one seat, one editor, and viewers who wait for the seat, each on a document of its own.
struct Line {
    coedit: Coedit,
    editor: ConnectionId,
    /// In order.
    waiting: VecDeque<ConnectionId>,
    /// So many waited at the beginning.
    waiters: usize,
    /// So many connections were opened.
    opened: usize,
}

impl Line {
    fn new(waiters: usize) -> Self {
        let coedit = Coedit::with(Config::new().edit_limit(Some(1)));
        let (editor, _) = coedit.open(&Coedit::key(0), &Coedit::user(0));
        let mut line = Line { coedit, editor, waiting: VecDeque::new(), waiters, opened: 1 };
        line.fill(waiters);
        line
    }

    /// Opens a connection on a document of its own.
    fn open(&mut self) -> ConnectionId {
        let number = self.opened;
        self.opened += 1;
        self.coedit.open(&Coedit::key(number), &Coedit::user(number)).0
    }

    fn fill(&mut self, waiters: usize) {
        while self.waiting.len() < waiters {
            let id = self.open();
            self.coedit.engine.request_edit(id).unwrap();
            self.waiting.push_back(id);
            self.coedit.drain();
        }
    }

    /// The editor closes, and its seat passes to the first waiter.
    fn close(&mut self, bencher: &mut Bencher<'_>) {
        self.time(bencher, |line| {
            line.fill(line.waiters);
            let editor = line.editor;
            let time = timed(|| line.coedit.close(editor));
            line.editor = line.waiting.pop_front().unwrap_or_else(|| line.open());
            line.coedit.drain();
            assert_eq!(line.coedit.engine.access(line.editor), Some(Access::Edit));
            time
        });
    }

    /// A viewer asks for edit access, and gives back what it got: its place at the end, or the seat if nobody else is there.
    fn ask_and_give_back(&mut self, bencher: &mut Bencher<'_>) {
        self.fill(self.waiters.saturating_sub(1));
        if self.waiters == 0 {
            self.coedit.close(self.editor);
        }
        let viewer = self.coedit.engine.admit(&Coedit::key(0), &Coedit::user(0), Access::View).unwrap().0;
        self.time(bencher, |line| {
            line.coedit.drain();
            timed(|| {
                black_box(line.coedit.engine.request_edit(viewer).unwrap());
                line.coedit.engine.release_edit(viewer).unwrap();
            })
        });
        self.coedit.close(viewer);
        if self.waiters == 0 {
            self.editor = self.open();
        }
    }

    /// Anybody in the line gives its place back and asks again. Runs last: nobody knows the order afterwards.
    fn go_to_the_end(&mut self, bencher: &mut Bencher<'_>) {
        self.fill(self.waiters);
        let mut random = Random::new();
        self.time(bencher, |line| {
            let any = line.waiting[random.below(line.waiters)];
            timed(|| {
                line.coedit.engine.release_edit(any).unwrap();
                black_box(line.coedit.engine.request_edit(any).unwrap());
            })
        });
    }

    fn time(&mut self, bencher: &mut Bencher<'_>, mut once: impl FnMut(&mut Self) -> Duration) {
        bencher.iter_custom(|times| (0..times).map(|_| once(self)).sum());
    }
}

fn timed<R>(act: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    black_box(act());
    start.elapsed()
}
