//! How full a limit is, told once at each change.

use crate::limits::LIMIT_MAX;
use crate::notice::LimitLevel;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// No number in use comes up to this.
const NEVER: u32 = LIMIT_MAX + 1;

/// Watches how full a limit is, and says each change once: a warning when it comes near, reached when somebody is first
/// refused, and clear ten points below the warning. In between it says nothing, so that a pool at its limit does not flap.
#[derive(Debug)]
pub(super) struct Watch {
    percent: u32,
    /// In the upper half from how many on the limit is near, in the lower below how many it is clear.
    marks: AtomicU64,
    /// The last level that was told: [`CLEAR`], [`WARNING`] or [`REACHED`].
    level: AtomicUsize,
}

const CLEAR: usize = 0;
const WARNING: usize = 1;
const REACHED: usize = 2;

/// Points of a hundred between the warning and clear.
const HYSTERESIS: u32 = 10;

impl Watch {
    pub(super) fn new(limit: Option<u32>, percent: u32) -> Self {
        let watch = Watch { percent, marks: AtomicU64::new(0), level: AtomicUsize::new(CLEAR) };
        watch.set(limit);
        watch
    }

    pub(super) fn set(&self, limit: Option<u32>) {
        let part = |percent: u32, limit: u32| u64::from(limit) * u64::from(percent);
        let near = |limit| part(self.percent, limit).div_ceil(100);
        // A limit of 0 is never clear.
        let clear = |limit| u64::from(limit > 0) + part(self.percent.saturating_sub(HYSTERESIS), limit) / 100;
        let marks = limit.map_or(u64::from(NEVER) << 32 | u64::from(NEVER), |limit| {
            near(limit).max(1) << 32 | clear(limit)
        });
        self.marks.store(marks, Ordering::Release);
    }

    /// Returns true if the limit is near with so many in use.
    pub(super) fn is_near(&self, in_use: u32) -> bool {
        u64::from(in_use) >= self.marks.load(Ordering::Acquire) >> 32
    }

    /// A seat was taken, and so many are in use.
    pub(super) fn rose(&self, in_use: u32) -> Option<LimitLevel> {
        (self.is_near(in_use) && self.moves(CLEAR, WARNING)).then_some(LimitLevel::Warning)
    }

    /// Somebody was refused.
    pub(super) fn refused(&self) -> Option<LimitLevel> {
        (self.moves(CLEAR, REACHED) || self.moves(WARNING, REACHED)).then_some(LimitLevel::Reached)
    }

    /// Returns true if the limit is clear with so many in use, and that was not told yet.
    pub(super) fn is_clear(&self, in_use: u32) -> bool {
        self.level.load(Ordering::Acquire) != CLEAR
            && u64::from(in_use) < self.marks.load(Ordering::Acquire) & u64::from(u32::MAX)
    }

    /// A seat was freed, and so many are in use.
    pub(super) fn fell(&self, in_use: u32) -> Option<LimitLevel> {
        let moves = || self.moves(WARNING, CLEAR) || self.moves(REACHED, CLEAR);
        (self.is_clear(in_use) && moves()).then_some(LimitLevel::Clear)
    }

    /// The limit was changed, and so many are in use.
    pub(super) fn changed(&self, in_use: u32) -> Option<LimitLevel> {
        self.fell(in_use).or_else(|| self.rose(in_use))
    }

    /// Moves from one level to another. Of several threads that try, one succeeds.
    fn moves(&self, from: usize, to: usize) -> bool {
        self.level.load(Ordering::Acquire) == from
            && self.level.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_tells_each_change_once() {
        let watch = Watch::new(Some(10), 70);
        let rose: Vec<_> =
            (1..=10).filter_map(|count| watch.rose(count).map(|level| (count, level))).collect();
        assert_eq!(rose, [(7, LimitLevel::Warning)]);
        assert_eq!((watch.refused(), watch.refused()), (Some(LimitLevel::Reached), None));
        // Up and down between clear and full: nothing.
        assert_eq!((watch.fell(9), watch.rose(10), watch.refused(), watch.fell(7)), (None, None, None, None));
        assert_eq!((watch.fell(6), watch.fell(5)), (Some(LimitLevel::Clear), None));
        assert_eq!((watch.rose(6), watch.rose(7)), (None, Some(LimitLevel::Warning)));
        watch.set(None);
        assert_eq!((watch.fell(7), watch.rose(1 << 30)), (Some(LimitLevel::Clear), None));
        watch.set(Some(0));
        assert_eq!((watch.rose(0), watch.refused()), (None, Some(LimitLevel::Reached)));
        assert_eq!((watch.fell(0), watch.refused()), (None, None), "with no seat at all it is never clear");
    }
}
