//! The counting itself, and the locks that count.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::Duration;

use parking_lot::WaitTimeoutResult;

use super::Item;

/// The most items of a kind that this thread worked through under one hold of a kind of lock.
#[derive(Clone, Debug)]
pub struct Most {
    /// The type that the lock protects.
    pub lock: &'static str,
    /// The kind of item.
    pub item: Item,
    /// How many.
    pub count: u64,
    /// Where the lock was taken.
    pub place: String,
}

/// The longest hold of a kind of lock, by this thread. Only while it holds no other, and in the time in which it runs: on a busy
/// machine others run meanwhile.
#[derive(Clone, Debug)]
pub struct Longest {
    /// The type that the lock protects.
    pub lock: &'static str,
    /// How long it was held.
    pub time: Duration,
    /// Where it was taken.
    pub place: String,
}

/// What this thread did under locks.
#[derive(Clone, Debug)]
pub struct Report {
    /// How often it took a shard lock.
    pub shard_holds: u64,
    /// By lock and item.
    pub most: Vec<Most>,
    /// By lock.
    pub longest: Vec<Longest>,
}

type Place = &'static Location<'static>;

#[derive(Default)]
struct Work {
    holds: Vec<Hold>,
    next: u64,
    shard_holds: u64,
    records: Vec<Record>,
}

/// What was counted under the locks of one type.
struct Record {
    lock: &'static str,
    most: BTreeMap<Item, (u64, Place)>,
    longest: (Duration, Place),
}

/// One hold of one lock.
struct Hold {
    number: u64,
    lock: &'static str,
    is_shard: bool,
    place: Place,
    /// `None` while an outer lock is held, whose time it would lengthen.
    begun: Option<Duration>,
    counts: BTreeMap<Item, u64>,
    /// What was visited last, by kind.
    last: BTreeMap<Item, u64>,
    users: Lists,
    news: Lists,
}

/// How many items were looked at of the lists of documents, by the address of the list.
#[derive(Default)]
struct Lists(Vec<(usize, u64)>);

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// Forgets what this thread counted.
pub fn start() {
    WORK.with_borrow_mut(|work| *work = Work::default());
}

/// What this thread counted since the [`start`].
pub fn report() -> Report {
    WORK.with_borrow(|work| {
        let most = |record: &Record| {
            let most = |(item, (count, place)): (&Item, &(u64, Place))| Most {
                lock: short(record.lock),
                item: *item,
                count: *count,
                place: place.to_string(),
            };
            record.most.iter().map(most).collect::<Vec<_>>()
        };
        let longest = |record: &Record| {
            let (time, place) = record.longest;
            Longest { lock: short(record.lock), time, place: place.to_string() }
        };
        Report {
            shard_holds: work.shard_holds,
            most: work.records.iter().flat_map(most).collect(),
            longest: work.records.iter().map(longest).collect(),
        }
    })
}

/// The name of a type without its path and parameters.
fn short(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

/// Counts so many items.
pub(crate) fn item(item: Item, count: usize) {
    on_holds(|hold| hold.add(item, count as u64));
}

/// Counts an item, unless it is the one that was visited last.
pub(crate) fn visit(item: Item, number: impl Into<u64>) {
    visit_some(item, number.into(), 1);
}

/// Counts so many items, unless this is the search that was made last.
pub(crate) fn visit_some(item: Item, number: u64, count: usize) {
    on_holds(|hold| {
        if hold.last.insert(item, number) != Some(number) {
            hold.add(item, count as u64);
        }
    });
}

/// Counts each item that is iterated over.
pub(crate) fn each<I: Iterator>(kind: Item, items: I) -> impl Iterator<Item = I::Item> {
    items.inspect(move |_| item(kind, 1))
}

/// Counts each user of a document's own list that is iterated over.
pub(crate) fn each_user<L, I: Iterator>(list: *const L, items: I) -> impl Iterator<Item = I::Item> {
    let list = list.addr();
    items.inspect(move |_| on_holds(|hold| hold.users.add(list, 1)))
}

/// Counts so many users of a document's own list.
pub(crate) fn users<L>(list: *const L, count: usize) {
    on_holds(|hold| hold.users.add(list.addr(), count as u64));
}

/// Counts so many turns or events of a document's own list.
pub(crate) fn news<L>(list: *const L, count: usize) {
    on_holds(|hold| hold.news.add(list.addr(), count as u64));
}

/// Calls `count` for every lock that the thread holds, from the shard lock on.
fn on_holds(count: impl Fn(&mut Hold)) {
    // Values of the thread may be freed after this one at its end.
    let _ = WORK.try_with(|work| {
        let holds = &mut work.borrow_mut().holds;
        let first = holds.iter().rposition(|hold| hold.is_shard).unwrap_or(0);
        holds[first..].iter_mut().for_each(count);
    });
}

impl Hold {
    fn add(&mut self, item: Item, count: u64) {
        if count > 0 {
            *self.counts.entry(item).or_default() += count;
        }
    }
}

impl Lists {
    fn add(&mut self, list: usize, count: u64) {
        match self.0.last_mut() {
            Some((same, counted)) if *same == list => *counted += count,
            _ => self.0.push((list, count)),
        }
    }

    /// The count of the list that has the most, and of all others.
    fn totals(&mut self) -> [u64; 2] {
        // A list that was looked at again after another one is there twice.
        self.0.sort_unstable();
        let of_list = |lists: &[(usize, u64)]| lists.iter().map(|(_, count)| count).sum();
        let most: u64 = self.0.chunk_by(|one, other| one.0 == other.0).map(of_list).max().unwrap_or(0);
        [most, of_list(&self.0) - most]
    }
}

/// Ends the hold of a lock when it is dropped.
struct Held(u64);

impl Held {
    fn begin<T>(place: Place) -> Self {
        let lock = std::any::type_name::<T>();
        let is_shard = lock.ends_with("::Shard");
        WORK.with_borrow_mut(|work| {
            work.next += 1;
            if is_shard {
                assert!(
                    !work.holds.iter().any(|hold| hold.is_shard),
                    "at most one shard lock is held at any time"
                );
                work.shard_holds += 1;
            }
            work.holds.push(Hold {
                number: work.next,
                lock,
                is_shard,
                place,
                begun: work.holds.is_empty().then(own_time),
                counts: BTreeMap::new(),
                last: BTreeMap::new(),
                users: Lists::default(),
                news: Lists::default(),
            });
            Held(work.next)
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = WORK.try_with(|work| work.borrow_mut().end(self.0));
    }
}

impl Work {
    fn end(&mut self, number: u64) {
        let Some(at) = self.holds.iter().rposition(|hold| hold.number == number) else { return };
        let mut hold = self.holds.remove(at);
        let time = hold.begun.map_or(Duration::ZERO, |begun| own_time().saturating_sub(begun));
        let ([user, users], [news, other_news]) = (hold.users.totals(), hold.news.totals());
        hold.add(Item::UserOfOneDocument, user);
        hold.add(Item::UserOfOthers, users);
        hold.add(Item::NewsOfOneDocument, news);
        hold.add(Item::NewsOfOthers, other_news);
        let at = self.records.iter().position(|record| std::ptr::eq(record.lock, hold.lock));
        let at = at.unwrap_or_else(|| {
            let longest = (Duration::ZERO, hold.place);
            self.records.push(Record { lock: hold.lock, most: BTreeMap::new(), longest });
            self.records.len() - 1
        });
        let record = &mut self.records[at];
        if record.longest.0 < time {
            record.longest = (time, hold.place);
        }
        for (item, count) in hold.counts {
            let most = record.most.entry(item).or_insert((0, hold.place));
            if most.0 < count {
                *most = (count, hold.place);
            }
        }
    }
}

/// For how long this thread has run.
#[cfg(unix)]
fn own_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// How much time has passed.
#[cfg(not(unix))]
fn own_time() -> Duration {
    use std::sync::LazyLock;
    static BEGINNING: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    BEGINNING.elapsed()
}

/// A lock that counts.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    /// `None` only while its condition variable waits. Before the guard, so that it ends while the lock is held.
    held: Option<Held>,
    guard: parking_lot::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock();
        MutexGuard { held: Some(Held::begin::<T>(Location::caller())), guard }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[derive(Debug)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        guard.held = None;
        self.0.wait(&mut guard.guard);
        guard.held = Some(Held::begin::<T>(Location::caller()));
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, pause: Duration) -> WaitTimeoutResult {
        guard.held = None;
        let waited = self.0.wait_for(&mut guard.guard, pause);
        guard.held = Some(Held::begin::<T>(Location::caller()));
        waited
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
