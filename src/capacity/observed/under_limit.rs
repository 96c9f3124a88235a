//! What users would have met under one limit.

use std::time::Duration;

use super::Observed;
use super::worst_period::WorstPeriod;
use crate::time::Timestamp;

/// What the users of a recording would have met under one limit. [`Observed::under`] returns it.
///
/// A share over a whole recording hides its worst hours: a week that loses 1 in 100 opens can lose 1 in 10 on Monday at nine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnderLimit {
    /// The limit.
    pub limit: u32,
    /// The number of opens that would have fallen back to view-only.
    pub fallbacks: u64,
    /// The share of the opens that would have fallen back.
    pub share: f64,
    /// The hour with most fallbacks. It begins at any time, with a fallback. Of equally bad hours, the last.
    pub worst_hour: Option<WorstPeriod>,
    /// The day with most fallbacks, of the latest 371 days with opens. Of equally bad days, the last.
    pub worst_day: Option<WorstPeriod>,
    /// The users who would have fallen back at least once, of those that were given to [`Observed::record_open_by`].
    pub users_hit: u64,
    /// The most connections that would have been view-only at one time, and when there were first so many.
    pub view_only_peak: Option<(u32, Timestamp)>,
    /// The time in which at least one connection would have been view-only.
    pub view_only_time: Duration,
    /// The time in which connections would have been view-only, added up: two for an hour are two hours.
    pub view_only_sum: Duration,
}

impl Observed {
    /// What the users would have met under `limit`. A refused user stays as a viewer until the connection closes, also if a
    /// connection gets free meanwhile. The cost is proportional to the peak, the users, the days and the opens of an hour.
    ///
    /// ```
    /// use coedit::Timestamp;
    /// use coedit::capacity::Observed;
    /// use std::time::Duration;
    ///
    /// let minute = |count: u64| Timestamp::from_millis(count * 60_000);
    /// let mut observed = Observed::new();
    /// let ann = observed.record_open_by(1, minute(0));
    /// let ben = observed.record_open_by(2, minute(10));
    /// observed.record_close(ann, minute(20));
    /// observed.record_close(ben, minute(40));
    ///
    /// let under = observed.under(1);
    /// assert_eq!((under.fallbacks, under.users_hit), (1, 1));
    /// assert_eq!(under.view_only_peak, Some((1, minute(10))));
    /// assert_eq!(under.view_only_time, Duration::from_secs(30 * 60));
    /// assert_eq!(under.worst_hour.unwrap().from, minute(10));
    /// ```
    pub fn under(&self, limit: u32) -> UnderLimit {
        UnderLimit {
            limit,
            fallbacks: self.fallbacks(limit),
            share: self.share(limit),
            worst_hour: self.worst_hours.worst(limit),
            worst_day: self.days.worst(limit),
            users_hit: self.users.values().filter(|number| **number > limit).count() as u64,
            view_only_peak: self.view_only.peak(limit),
            view_only_time: self.view_only.time(limit),
            view_only_sum: self.view_only.sum(limit),
        }
    }
}
