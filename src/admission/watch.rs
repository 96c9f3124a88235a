//! How full a limit is, told once at each change.

use std::sync::Arc;

use crate::limits::{LIMIT_MAX, Limit};
use crate::notice::{LimitLevel, Notice, Pool};
use crate::notices::NoticeBoard;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};

/// No number in use comes up to this.
const NEVER: u32 = LIMIT_MAX + 1;

/// Watches how full a limit is, and tells each change once: a warning when it comes near, reached when somebody is first
/// refused, and clear ten points below the warning. In between it tells nothing, so that a pool at its limit does not flap.
///
/// # Concurrency
///
/// Whoever changes the count does so first and asks [`is_due`](Self::is_due) second. Whoever changes the level (or the
/// marks) does so first and reads the count second. All four are sequentially consistent, so one of the two sees the other,
/// and the last notice tells the true level.
#[derive(Debug)]
pub(super) struct Watch {
    pool: Pool,
    percent: u32,
    /// In the upper half from how many on the limit is near, in the lower below how many it is clear.
    marks: AtomicU64,
    /// The last level that was told: [`CLEAR`], [`WARNING`] or [`REACHED`].
    level: AtomicUsize,
    /// Held while the level or the limit changes, so that notices are sent in the order of what they tell. A leaf, but for
    /// the notice board.
    changing: Mutex<()>,
    notices: Arc<NoticeBoard>,
}

const CLEAR: usize = 0;
const WARNING: usize = 1;
const REACHED: usize = 2;

/// Points of a hundred between the warning and clear.
const HYSTERESIS: u32 = 10;

impl Watch {
    /// Warns from `percent` of the limit on.
    pub(super) fn new(pool: Pool, limit: Option<u32>, percent: u32, notices: Arc<NoticeBoard>) -> Self {
        Watch {
            pool,
            percent,
            marks: AtomicU64::new(marks(limit, percent)),
            level: AtomicUsize::new(CLEAR),
            changing: Mutex::new(()),
            notices,
        }
    }

    pub(super) fn pool(&self) -> Pool {
        self.pool
    }

    /// Returns true if the level changes with so many in use. Costs two loads.
    pub(super) fn is_due(&self, in_use: u32) -> bool {
        self.due(in_use).is_some()
    }

    /// Tells every change of the level that is due. `read` returns the limit and how much of it is in use now.
    pub(super) fn update(&self, read: impl Fn() -> Limit) {
        let _changing = self.changing.lock();
        self.tell_changes(read);
    }

    /// Somebody was refused.
    pub(super) fn refused(&self, read: impl Fn() -> Limit) {
        if self.level.load(Ordering::SeqCst) == REACHED {
            return;
        }
        let _changing = self.changing.lock();
        if self.level.load(Ordering::SeqCst) != REACHED {
            self.tell(LimitLevel::Reached, read());
        }
        self.tell_changes(read);
    }

    /// Changes the limit. `set` stores it where `read` finds it.
    pub(super) fn set_limit(&self, limit: Option<u32>, set: impl FnOnce(), read: impl Fn() -> Limit) {
        let _changing = self.changing.lock();
        set();
        self.marks.store(marks(limit, self.percent), Ordering::SeqCst);
        self.tell_changes(read);
    }

    fn tell_changes(&self, read: impl Fn() -> Limit) {
        // Read again after each notice: whoever changed the count meanwhile may have found the level before it.
        loop {
            let limit = read();
            let Some(level) = self.due(limit.in_use) else { return };
            self.tell(level, limit);
        }
    }

    fn due(&self, in_use: u32) -> Option<LimitLevel> {
        let marks = self.marks.load(Ordering::SeqCst);
        let (near, clear) = (marks >> 32, marks & u64::from(u32::MAX));
        if self.level.load(Ordering::SeqCst) == CLEAR {
            (u64::from(in_use) >= near).then_some(LimitLevel::Warning)
        } else {
            (u64::from(in_use) < clear).then_some(LimitLevel::Clear)
        }
    }

    fn tell(&self, level: LimitLevel, Limit { limit, in_use }: Limit) {
        let number = match level {
            LimitLevel::Clear => CLEAR,
            LimitLevel::Warning => WARNING,
            LimitLevel::Reached => REACHED,
        };
        self.level.store(number, Ordering::SeqCst);
        let limit = limit.unwrap_or(0);
        self.notices.send(&Notice::Limit { pool: self.pool, level, in_use, limit });
    }
}

fn marks(limit: Option<u32>, percent: u32) -> u64 {
    let Some(limit) = limit else { return u64::from(NEVER) << 32 | u64::from(NEVER) };
    let part = |percent: u32| u64::from(limit) * u64::from(percent);
    let near = part(percent).div_ceil(100).max(1);
    // A limit of 0 is never clear.
    let clear = u64::from(limit > 0) + part(percent.saturating_sub(HYSTERESIS)) / 100;
    near << 32 | clear
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn watch(limit: Option<u32>) -> (Watch, crossbeam_channel::Receiver<Notice>) {
        let board = Arc::new(NoticeBoard::new(100));
        let notices = board.subscribe();
        (Watch::new(Pool::Edit, limit, 70, board), notices)
    }

    fn at(limit: u32, in_use: u32) -> impl Fn() -> Limit {
        move || Limit { limit: Some(limit), in_use }
    }

    fn levels(notices: &crossbeam_channel::Receiver<Notice>) -> Vec<(LimitLevel, u32)> {
        let level = |notice| match notice {
            Notice::Limit { level, in_use, .. } => (level, in_use),
            other => panic!("{other:?}"),
        };
        notices.try_iter().map(level).collect()
    }

    #[test]
    fn a_watch_tells_each_change_once() {
        use LimitLevel::{Clear, Reached, Warning};
        let (watch, notices) = watch(Some(10));
        let update = |in_use| {
            let due = watch.is_due(in_use);
            watch.update(at(10, in_use));
            let told = levels(&notices);
            assert_eq!(due, !told.is_empty(), "the fast path agrees at {in_use}");
            told
        };
        let rose: Vec<_> = (1..=10).flat_map(update).collect();
        assert_eq!(rose, [(Warning, 7)]);
        watch.refused(at(10, 10));
        watch.refused(at(10, 10));
        assert_eq!(levels(&notices), [(Reached, 10)]);
        // Up and down between clear and full: nothing.
        assert!([9, 10, 7].into_iter().flat_map(update).next().is_none());
        assert_eq!(
            (update(6), update(5), update(6), update(7)),
            (vec![(Clear, 6)], vec![], vec![], vec![(Warning, 7)])
        );
        watch.set_limit(None, || {}, at(0, 7));
        assert_eq!((levels(&notices), update(1 << 30)), (vec![(Clear, 7)], vec![]));
        watch.set_limit(Some(0), || {}, at(0, 0));
        watch.refused(at(0, 0));
        watch.refused(at(0, 0));
        assert_eq!(
            (levels(&notices), update(0)),
            (vec![(Reached, 0)], vec![]),
            "with no seat at all it is never clear"
        );
    }

    /// Another thread changes the count between the read and the store of the level, and finds nothing to tell.
    #[test]
    fn p1_a_count_that_changes_while_a_level_is_told_is_read_again() {
        use LimitLevel::{Clear, Reached, Warning};
        let counts = |counts: &'static [u32]| {
            let reads = Cell::new(0);
            move || {
                let in_use = counts[reads.get().min(counts.len() - 1)];
                reads.set(reads.get() + 1);
                Limit { limit: Some(10), in_use }
            }
        };
        let (watch, notices) = watch(Some(10));
        watch.update(counts(&[7, 6]));
        assert_eq!(levels(&notices), [(Warning, 7), (Clear, 6)], "after a rise");
        watch.refused(counts(&[10, 6]));
        assert_eq!(levels(&notices), [(Reached, 10), (Clear, 6)], "after a refusal");
        watch.update(counts(&[7]));
        watch.update(counts(&[6, 7]));
        assert_eq!(levels(&notices), [(Warning, 7), (Clear, 6), (Warning, 7)], "after a fall");
        watch.set_limit(Some(10), || {}, counts(&[6, 7, 6]));
        assert_eq!(levels(&notices), [(Clear, 6), (Warning, 7), (Clear, 6)], "after a change of the limit");
    }
}
