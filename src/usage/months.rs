//! The users of calendar months, by the wall clock.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Month;
use super::sketch::Sketch;
use crate::time::Timestamp;

/// The number of months in a report: the last twelve and the present one.
const REPORTED: usize = 13;

/// So many months are kept. One is spare, for a wall clock that shows some other time for a while.
const KEPT: usize = REPORTED + 1;

/// The months in which a user got access.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Months {
    /// The oldest first.
    kept: VecDeque<MonthlyUsers>,
}

/// The users who got access in one calendar month.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct MonthlyUsers {
    month: Timestamp,
    edit: Sketch,
    live: Sketch,
}

impl Months {
    pub(super) fn new() -> Self {
        Months { kept: VecDeque::with_capacity(KEPT) }
    }

    /// Checks that no more are kept than may be, in order.
    pub(super) fn is_in_order(&self) -> bool {
        let months = || self.kept.iter().map(|users| users.month);
        self.kept.len() <= KEPT && months().zip(months().skip(1)).all(|(one, next)| one < next)
    }

    /// Adds users who opened at a time, by the access that they got.
    pub(super) fn add(&mut self, at: Timestamp, users: &[Sketch; 3]) {
        let [_, live, edit] = users;
        if !live.is_empty() || !edit.is_empty() {
            let month = self.users_of(at.month());
            month.edit.merge(edit);
            month.live.merge(live);
        }
    }

    /// The users of a month. If too many are kept, one goes that a clock which was ahead left behind, or else the oldest.
    fn users_of(&mut self, month: Timestamp) -> &mut MonthlyUsers {
        let kept = &mut self.kept;
        let at = kept.partition_point(|users| users.month < month);
        if kept.get(at).is_some_and(|users| users.month == month) {
            return &mut kept[at];
        }
        if kept.len() == KEPT {
            let ahead = 0 < at && at < KEPT;
            drop(if ahead { kept.pop_back() } else { kept.pop_front() });
        }
        let at = kept.partition_point(|users| users.month < month);
        kept.insert(at, MonthlyUsers { month, ..MonthlyUsers::default() });
        &mut kept[at]
    }

    /// Returns the months from that of `since` to that of `at`, the oldest first. Months without users are included.
    pub(super) fn report(&self, since: Timestamp, at: Timestamp) -> Vec<Month> {
        let since = since.month();
        let mut month = at.month();
        let mut months = Vec::with_capacity(REPORTED);
        loop {
            let users = self.kept.iter().find(|users| users.month == month);
            let count =
                |sketch: fn(&MonthlyUsers) -> &Sketch| users.map_or(0, |users| sketch(users).estimate());
            months.push(Month {
                from: month,
                edit: count(|users| &users.edit),
                live: count(|users| &users.live),
            });
            if months.len() == REPORTED || month <= since {
                break;
            }
            month = Timestamp::from_millis(month.as_millis() - 1).month();
        }
        months.reverse();
        months
    }

    /// The allocated bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let sketches = self.kept.iter().map(|users| users.edit.bytes() + users.live.bytes()).sum::<usize>();
        self.kept.capacity() * size_of::<MonthlyUsers>() + sketches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of a month, counted from January 1970.
    fn day_of(month: u64) -> Timestamp {
        Timestamp::from_millis((month * 30_437 / 1_000 + 15) * 86_400_000)
    }

    fn edits(months: &Months, at: u64) -> Vec<u64> {
        months.report(day_of(0), day_of(at)).iter().map(|month| month.edit).collect()
    }

    #[test]
    fn p6_fourteen_months_are_kept_in_any_order() {
        let mut months = Months::new();
        let mut add = |month: u64| {
            let mut users = <[Sketch; 3]>::default();
            users[2].add(month);
            months.add(day_of(month), &users);
            assert!(months.kept.len() <= KEPT && months.kept.iter().is_sorted_by_key(|users| users.month));
            months.clone()
        };
        for month in [600, 500, 100, 90_000, 601, 602] {
            add(month);
        }
        // Months of clocks that were wrong go first where they are ahead.
        let kept = (603..620).map(&mut add).last().unwrap();
        assert_eq!(edits(&kept, 619), [1; 13]);
        let [.., kept] = [50, 620, 40, 621].map(add);
        assert_eq!(edits(&kept, 621), [1; 13], "a clock that is far back does no harm either");
        assert_eq!(edits(&kept, 90_000), [0; 13]);
        assert_eq!(kept.kept.capacity(), KEPT);
    }
}
