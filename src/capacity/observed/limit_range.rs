//! How much the limit that is enough differs from week to week.
//!
//! This is a bootstrap (B. Efron, 1979): weeks are put together from the recorded days, and each of them has a limit that is
//! enough. A day is drawn from those of the same weekday, because Monday is not Sunday.

use super::Observed;
use super::days::{Day, WEEK};
use super::worst_period::ratio;
use crate::capacity::OutOfBounds;
use crate::capacity::random::Random;

/// The limits that are enough in most weeks. [`Observed::limit_range`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRange {
    /// In 1 week of 40, a lower limit is enough.
    pub low: u32,
    /// In 1 week of 40, a higher limit is needed.
    pub high: u32,
    /// The number of days from the first day with opens to the latest. With fewer than 12, a day is drawn from all of them.
    pub days: u32,
}

/// The number of weeks that are drawn.
const DRAWN: usize = 1_000;

/// From the first Monday to the second Friday, in days.
const TWO_WORKING_WEEKS: i128 = 12;

/// A fixed seed, so that the same recording has the same range.
const SEED: u64 = 1979;

impl Observed {
    /// The range of limits under which at most `share` of the opens of a week would have fallen back, from week to week. It
    /// contains 95 % of the weeks that can be drawn from the recorded days, 95 % of the recorded weeks, and the limit for the
    /// whole recording ([`limit_for`](Self::limit_for)).
    ///
    /// `share` is more than 0 and less than 1. `None` if there are opens on fewer than two days. Only the latest 371 days with
    /// opens count. The range knows no week that differs more than the recorded ones. The same recording always has the same
    /// range. It costs some milliseconds.
    ///
    /// ```
    /// use coedit::Timestamp;
    /// use coedit::capacity::Observed;
    ///
    /// let mut observed = Observed::new();
    /// for day in 0..14 {
    ///     let noon = Timestamp::from_millis((day * 24 + 12) * 3_600_000);
    ///     let class: Vec<_> = (0..10 + day % 3).map(|_| observed.record_open(noon)).collect();
    ///     class.into_iter().for_each(|connection| observed.record_close(connection, noon));
    /// }
    /// let range = observed.limit_range(0.01)?.unwrap();
    /// assert_eq!((range.low, range.high, range.days), (11, 12, 14));
    /// # Ok::<(), coedit::capacity::OutOfBounds>(())
    /// ```
    pub fn limit_range(&self, share: f64) -> Result<Option<LimitRange>, OutOfBounds> {
        let of_all = self.limit_for(share)?;
        let days = self.days.all();
        let (Some(first), Some(latest)) = (days.first(), days.last()) else { return Ok(None) };
        if first.date == latest.date {
            return Ok(None);
        }
        let (mut low, mut high) = (of_all, of_all);
        for mut limits in [drawn_weeks(&days, share), recorded_weeks(&days, share)] {
            limits.sort_unstable();
            let rare = limits.len() / 40;
            low = limits.iter().copied().nth(rare).map_or(low, |limit| low.min(limit));
            high = limits.iter().copied().rev().nth(rare).map_or(high, |limit| high.max(limit));
        }
        let days = u32::try_from(latest.date - first.date + 1).unwrap_or(u32::MAX);
        Ok(Some(LimitRange { low, high, days }))
    }
}

/// Draws weeks from `days`, which are in order of their dates. Returns the limit of each week with opens.
fn drawn_weeks(days: &[Day], share: f64) -> Vec<u32> {
    let (Some(first), Some(latest)) = (days.first(), days.last()) else { return Vec::new() };
    let pools: Vec<Pool> = if latest.date - first.date + 1 < TWO_WORKING_WEEKS {
        (0..WEEK).map(|_| Pool::new(days, first.date, latest.date, 1)).collect()
    } else {
        (0..WEEK).map(|day| Pool::new(days, first.date + day, latest.date, WEEK)).collect()
    };
    let mut random = Random(SEED);
    let draw = |_| {
        let week: Vec<&Day> = pools.iter().filter_map(|pool| pool.draw(&mut random)).collect();
        limit_for(&week, share)
    };
    (0..DRAWN).filter_map(draw).collect()
}

/// Returns the limit of each recorded week, from Monday to Sunday, without a first or latest week that is not whole.
fn recorded_weeks(days: &[Day], share: f64) -> Vec<u32> {
    // The epoch was a Thursday.
    let week = |date: i128| (date + 3).div_euclid(WEEK);
    let first = days.first().map_or(0, |day| week(day.date - 1) + 1);
    let end = days.last().map_or(0, |day| week(day.date + 1));
    let weeks = days.chunk_by(|day, next| week(day.date) == week(next.date));
    let whole = weeks.filter(|days| days.first().is_some_and(|day| (first..end).contains(&week(day.date))));
    whole.filter_map(|days| limit_for(&days.iter().collect::<Vec<_>>(), share)).collect()
}

/// Days from which one is drawn.
struct Pool<'a> {
    /// The days with opens.
    days: Vec<&'a Day>,
    /// The number of all days, also those without opens.
    all: u64,
}

impl<'a> Pool<'a> {
    /// Collects each `step`th day from the date `first` up to the date `latest`.
    fn new(days: &'a [Day], first: i128, latest: i128, step: i128) -> Self {
        let belongs = |day: &&Day| (day.date - first).rem_euclid(step) == 0;
        let all = u64::try_from((latest - first) / step + 1).unwrap_or(1);
        Pool { days: days.iter().filter(belongs).collect(), all }
    }

    /// Draws a day. Returns `None` if it has no opens.
    fn draw(&self, random: &mut Random) -> Option<&'a Day> {
        let position = usize::try_from(random.below(self.all)).ok()?;
        self.days.get(position).copied()
    }
}

/// Returns the lowest limit under which at most `share` of the opens of these days fall back. `None` without opens.
fn limit_for(days: &[&Day], share: f64) -> Option<u32> {
    let fallbacks = |limit: u32| days.iter().map(|day| day.fallbacks(limit)).sum::<u64>();
    let opens = fallbacks(0);
    let (mut least, mut enough) = (0, days.iter().map(|day| day.highest_number()).max()?);
    while least < enough {
        let middle = least.midpoint(enough);
        if ratio(fallbacks(middle), opens) > share {
            least = middle + 1;
        } else {
            enough = middle;
        }
    }
    Some(enough)
}
