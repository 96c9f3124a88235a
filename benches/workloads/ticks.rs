//! Ticks while a million saves wait for their delay, on a manual clock. Only the engine has deadlines, so it has no
//! contenders here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use coedit::{Config, ManualClock, Timestamp};

use crate::contenders::{Coedit, Contender};
use crate::measure::{Scale, clock_cost, grouped, line, median, per, timed};

/// The number of saves that fall due in one millisecond.
const AT_ONCE: usize = 1000;

pub(crate) fn compare(scale: Scale) {
    let documents = scale.of(1_000_000, 5000);
    println!("\ntick with {} pending deadlines", grouped(documents));
    let cost = clock_cost();
    let (coedit, clock) = pending(documents);
    let ticks = scale.of(100_000, 100);
    let idle = || (0..ticks).for_each(|_| coedit.tick());
    line("nothing due: one tick", per(timed(cost, idle).0, ticks), "ns");

    let few = |_| {
        clock.move_to(coedit.engine.next_deadline().unwrap());
        let (span, ()) = timed(cost, || coedit.tick());
        per(span, coedit.drain())
    };
    let mut rounds: Vec<f64> = (0..scale.of(51, 2)).map(few).collect();
    line(&format!("{} due: one deadline", grouped(AT_ONCE)), median(&mut rounds), "ns");

    clock.move_to(Timestamp::MAX);
    let (span, ()) = timed(cost, || coedit.tick());
    let due = coedit.drain();
    line(&format!("all others due ({}): one deadline", grouped(due)), per(span, due), "ns");
    line("  the whole tick", span / 1e6, "ms");
    drop(coedit);

    let (coedit, clock) = pending(documents);
    let quiet = opens_during(&coedit, || thread::sleep(Duration::from_millis(scale.of(200, 5) as u64)));
    clock.move_to(Timestamp::MAX);
    let ticking = opens_during(&coedit, || coedit.tick());
    for (name, [p999, worst]) in [("nothing ticks", quiet), ("one tick runs all deadlines", ticking)] {
        line(&format!("open by another thread while {name}, p99.9"), p999, "ns");
        line("  worst", worst, "ns");
    }
}

/// Returns an engine with `documents` that were changed and closed, [`AT_ONCE`] in each millisecond, and its clock.
fn pending(documents: usize) -> (Coedit, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let coedit = Coedit::with(Config::new().clock(clock.clone()).save_delay(Duration::from_secs(3600)));
    let user = Coedit::user(0);
    for number in 0..documents {
        let (id, _) = coedit.open(&Coedit::key(number), &user);
        coedit.change(&id);
        coedit.close(id);
        if number % AT_ONCE == AT_ONCE - 1 {
            coedit.drain();
            clock.advance(Duration::from_millis(1));
        }
    }
    coedit.drain();
    (coedit, clock)
}

/// Times the opens of another thread while `act` runs. Returns their p99.9 and the worst, in nanoseconds.
fn opens_during(coedit: &Coedit, act: impl FnOnce()) -> [f64; 2] {
    let stop = AtomicBool::new(false);
    let cost = clock_cost();
    let mut spans = thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let user = Coedit::user(1);
            let mut spans = Vec::with_capacity(1 << 22);
            for key in (500_000_000..500_001_000).map(Coedit::key).collect::<Vec<_>>().iter().cycle() {
                let (span, (id, _)) = timed(cost, || coedit.open(key, &user));
                coedit.close(id);
                spans.push(span);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            spans
        });
        act();
        stop.store(true, Ordering::Relaxed);
        opener.join().unwrap()
    });
    spans.sort_by(f64::total_cmp);
    [spans[(spans.len() - 1) * 999 / 1000], spans[spans.len() - 1]]
}
