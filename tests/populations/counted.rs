//! Large populations, and what is counted under the locks while something happens to them.

use std::time::{Duration, Instant};

use coedit::work::{self, Item, Report};
use coedit::{Access, Bounds, Config, ConnectionId, User};

use crate::support::{World, key};

/// How many there are of what a test is about. `COEDIT_POPULATION` changes it.
pub(crate) fn population() -> usize {
    std::env::var("COEDIT_POPULATION").map_or(5_000, |count| count.parse().unwrap())
}

/// How many users one document has.
pub(crate) fn users_of_one_document() -> usize {
    if std::env::var("COEDIT_POPULATION").is_ok() { 10_000 } else { 2_000 }
}

/// So many wait, or are fenced, at most: the bounds of the engine.
pub(crate) fn bounded_population() -> usize {
    population().min(65_536)
}

/// An engine with few shards, so that each has many of everything, and with room for all notices.
pub(crate) fn world(set: impl FnOnce(Config) -> Config) -> World {
    let bounds = Bounds { notices: usize::MAX, ..Bounds::default() };
    World::new(|config| set(config.shards(2).bounds(bounds).usage(false)))
}

impl World {
    /// Opens `count` connections, with so many users on each document. Returns them in order.
    pub(crate) fn crowd(&self, count: usize, users: usize, asked: Access) -> Vec<ConnectionId> {
        let open = |number: usize| {
            let user = User::new(&format!("user-{number}")).unwrap();
            self.engine.admit(&key(&format!("doc-{}", number / users)), &user, asked).unwrap().0
        };
        (0..count).map(open).collect()
    }

    pub(crate) fn change_all(&self, all: &[ConnectionId]) {
        for id in all {
            self.engine.change(*id).unwrap();
        }
    }

    pub(crate) fn close_all(&self, all: &[ConnectionId]) {
        for id in all {
            self.engine.close(*id).unwrap();
        }
    }

    pub(crate) fn lose_all(&self, all: &[ConnectionId]) {
        for id in all {
            self.engine.lost(*id).unwrap();
        }
    }

    /// Acknowledges all that the storage is to hear. Returns how much that was.
    pub(crate) fn settle(&self) -> usize {
        let mut count = 0;
        for delivery in self.callbacks.try_iter() {
            delivery.ack();
            count += 1;
        }
        count
    }

    /// Runs ticks until nothing is due at this moment. Returns how many.
    pub(crate) fn ticks(&self) -> usize {
        let now = self.engine.now();
        (1..1_000).find(|_| self.engine.tick().is_none_or(|due| due > now)).expect("ticks end")
    }
}

/// What promise P7 excepts.
const EXCEPTED: [Item; 3] = [Item::IndexEntry, Item::UserOfOneDocument, Item::NewsOfOneDocument];

/// Does something to a population, and checks what it worked through under each hold of a lock.
#[track_caller]
pub(crate) fn bounded<R>(what: &str, act: impl FnOnce() -> R) -> R {
    let (result, report) = counted(what, act);
    // A slice ends with the document whose list goes past it.
    let of_one = report.most.iter().filter(|most| most.item == Item::UserOfOneDocument);
    let allowed = work::AT_ONCE as u64 + of_one.map(|most| most.count).max().unwrap_or(0);
    let over = |most: &&work::Most| most.count > allowed && !EXCEPTED.contains(&most.item);
    let over: Vec<_> = report.most.iter().filter(over).collect();
    assert!(over.is_empty(), "{what}: {over:#?}");
    assert!(
        allowed <= 4 * work::AT_ONCE as u64,
        "{what}: {allowed}, and no document has more than 100 users"
    );
    result
}

/// Does something to one document of so many users, and checks that each hold of a lock works through a few times as many.
#[track_caller]
pub(crate) fn of_one_document<R>(what: &str, users: usize, act: impl FnOnce() -> R) -> R {
    let (result, report) = counted(what, act);
    let over: Vec<_> = report.most.iter().filter(|most| most.count > 6 * users as u64).collect();
    assert!(over.is_empty(), "{what}: {over:#?}");
    assert!(report.most.iter().all(|most| most.item != Item::UserOfOthers), "{what}");
    result
}

#[track_caller]
fn counted<R>(what: &str, act: impl FnOnce() -> R) -> (R, Report) {
    work::start();
    let begun = Instant::now();
    let result = act();
    let (time, report) = (begun.elapsed(), work::report());
    print(what, time, &report);
    (result, report)
}

/// Prints the most items and the longest hold. They are seen with `--nocapture`.
fn print(what: &str, time: Duration, report: &Report) {
    println!("{what}: {:.1} ms, {} shard holds", time.as_secs_f64() * 1e3, report.shard_holds);
    let mut most: Vec<_> = report.most.iter().filter(|most| most.count > 16).collect();
    most.sort_by_key(|most| std::cmp::Reverse(most.count));
    for most in most.iter().take(5) {
        println!("    {:>8} {:?} under {} at {}", most.count, most.item, most.lock, most.place);
    }
    for longest in report.longest.iter().filter(|one| matches!(one.lock, "Shard" | "Waiters")) {
        let micros = longest.time.as_secs_f64() * 1e6;
        println!("    {micros:>8.0} us, the longest hold of {} at {}", longest.lock, longest.place);
    }
}
