//! Tail latency of an open: under the load of a worker, and while another thread opens a million documents.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, clock_cost, grouped, per, race, timed};

pub(crate) fn compare_load(scale: Scale) {
    race(&Load { scale }, scale);
}

pub(crate) fn compare_growth(scale: Scale) {
    race(&Growth { scale }, scale);
}

/// One thread opens and closes, a worker takes callbacks and ticks. Further cores open, change and close.
struct Load {
    scale: Scale,
}

const DOCUMENTS: usize = 100_000;
/// The measured thread changes a document of its own after this many opens, so that saves fall due.
const OPENS_PER_CHANGE: usize = 16;
/// A quantile, in ten thousandths.
const QUANTILES: [(&str, usize); 5] = [
    ("open, p50", 5000),
    ("open, p99", 9900),
    ("open, p99.9", 9990),
    ("open, p99.99", 9999),
    ("open, worst of the round", 10_000),
];

impl Workload for Load {
    fn title(&self) -> String {
        format!("open under load: a worker takes callbacks and ticks, {} documents", grouped(DOCUMENTS))
    }

    fn figures(&self) -> Vec<Figure> {
        QUANTILES.map(|(name, _)| name.to_owned()).to_vec()
    }

    fn rounds(&self, scale: Scale) -> usize {
        scale.of(7, 2)
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(DOCUMENTS), 2, None);
        let opens = self.scale.of(200_000, 200);
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let own = own_keys::<C>();
        Box::new(move || {
            crowd.warm_up();
            let (crowd, own, stop) = (&crowd, &own, &AtomicBool::new(false));
            let mut spans = thread::scope(|scope| {
                scope.spawn(|| work(&crowd.contender, stop));
                // The worker and the measured thread have a core each.
                for number in 2..cores {
                    scope.spawn(move || load(&crowd.contender, own, &C::user(100 + number), stop));
                }
                let spans = open_under_load(crowd, own, opens);
                stop.store(true, Ordering::Relaxed);
                spans
            });
            spans.sort_by(f64::total_cmp);
            QUANTILES.map(|(_, quantile)| spans[(spans.len() - 1) * quantile / 10_000]).to_vec()
        })
    }
}

/// Keys of a thousand documents that no user of a [`Crowd`] is in. Such a document is saved when its editor leaves.
fn own_keys<C: Contender>() -> Vec<C::Key> {
    (500_000_000..500_001_000).map(C::key).collect()
}

/// A worker of the host: takes and acknowledges callbacks, and ticks every millisecond.
fn work<C: Contender>(contender: &C, stop: &AtomicBool) {
    let mut ticked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if contender.drain() == 0 {
            thread::sleep(Duration::from_micros(50));
        }
        if ticked.elapsed() >= Duration::from_millis(1) {
            contender.tick();
            ticked = Instant::now();
        }
    }
}

/// Opens, changes and closes documents until `stop`.
fn load<C: Contender>(contender: &C, keys: &[C::Key], user: &C::User, stop: &AtomicBool) {
    for key in keys.iter().cycle() {
        visit_with_change(contender, key, user);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
}

fn visit_with_change<C: Contender>(contender: &C, key: &C::Key, user: &C::User) {
    let (handle, _) = contender.open(key, user);
    contender.change(&handle);
    contender.close(handle);
}

/// Returns the nanoseconds of each of `opens`.
fn open_under_load<C: Contender>(crowd: &Crowd<C>, own: &[C::Key], opens: usize) -> Vec<f64> {
    let mut own = own.iter().cycle();
    let mut spans = Vec::with_capacity(opens);
    for (number, key) in crowd.keys.iter().cycle().take(opens).enumerate() {
        let open = || crowd.contender.open(key, &crowd.visitor);
        let (span, (handle, _)) = timed(crowd.clock_cost(), open);
        crowd.contender.close(handle);
        spans.push(span);
        if number.is_multiple_of(OPENS_PER_CHANGE) {
            visit_with_change(&crowd.contender, own.next().unwrap(), &crowd.visitor);
        }
    }
    spans
}

/// One thread opens documents on a new engine and leaves them open. Another opens and closes documents of its own.
struct Growth {
    scale: Scale,
}

const OPENED: usize = 1_000_000;
/// Opens of one thread between two drains by it.
const EVERY: usize = 64;
/// Opens that take longer than this are counted, in nanoseconds.
const SLOW: f64 = 1e6;

impl Workload for Growth {
    fn title(&self) -> String {
        format!("open by one thread while another opens {} documents on a new engine", grouped(OPENED))
    }

    fn figures(&self) -> Vec<Figure> {
        let figures = [
            "worst open of others",
            "opens of others above 1 ms (per million)",
            "opens of others, mean",
            "one of the opened documents, drained",
        ];
        figures.map(str::to_owned).to_vec()
    }

    fn rounds(&self, scale: Scale) -> usize {
        scale.of(5, 2)
    }

    fn prepare<C: Contender>(&self) -> Round {
        let documents = self.scale.of(OPENED, 1000);
        let (own, users) = (own_keys::<C>(), [0, 1].map(C::user));
        Box::new(move || {
            let contender = C::new(u32::MAX - 1);
            let keys: Vec<C::Key> = (0..documents).map(C::key).collect();
            let (started, stop) = (AtomicBool::new(false), AtomicBool::new(false));
            let (span, others) = thread::scope(|scope| {
                let others = scope.spawn(|| open_others(&contender, &own, &users[1], [&started, &stop]));
                while !started.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                let (span, handles) = timed(0.0, || open_all(&contender, &keys, &users[0]));
                stop.store(true, Ordering::SeqCst);
                let others = others.join().unwrap();
                drop(handles);
                (span, others)
            });
            let slow = per(1e6 * others.slow, others.opens);
            vec![others.worst, slow, per(others.total, others.opens), per(span, documents)]
        })
    }
}

/// Opens all documents and drains every [`EVERY`]. Returns the connections, which stay open.
fn open_all<C: Contender>(contender: &C, keys: &[C::Key], user: &C::User) -> Vec<C::Handle> {
    let mut handles = Vec::with_capacity(keys.len());
    for keys in keys.chunks(EVERY) {
        handles.extend(keys.iter().map(|key| contender.open(key, user).0));
        contender.drain();
    }
    handles
}

/// What the opens of the other thread took, in nanoseconds.
#[derive(Default)]
struct Others {
    worst: f64,
    total: f64,
    opens: usize,
    /// How many took longer than [`SLOW`].
    slow: f64,
}

/// Opens and closes documents and drains every [`EVERY`], until `stop`.
fn open_others<C: Contender>(
    contender: &C,
    keys: &[C::Key],
    user: &C::User,
    [started, stop]: [&AtomicBool; 2],
) -> Others {
    let (cost, mut others) = (clock_cost(), Others::default());
    started.store(true, Ordering::SeqCst);
    for key in keys.iter().cycle() {
        let (span, (handle, _)) = timed(cost, || contender.open(key, user));
        contender.close(handle);
        others.worst = others.worst.max(span);
        others.total += span;
        others.opens += 1;
        others.slow += f64::from(u8::from(span > SLOW));
        if others.opens.is_multiple_of(EVERY) {
            contender.drain();
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    others
}
