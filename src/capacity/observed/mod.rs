//! The results of every limit, computed from one recording.

mod busiest_period;
mod days;
mod history_max;
mod limit_range;
mod timeline;
mod under_limit;
mod view_only;
mod worst_hour;
mod worst_period;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

pub use limit_range::LimitRange;
pub use timeline::Interval;
pub use under_limit::UnderLimit;
pub use worst_period::WorstPeriod;

use busiest_period::BusiestPeriod;
use days::Days;
use timeline::Timeline;
use view_only::ViewOnly;
use worst_hour::WorstHours;
use worst_period::{HOUR, ratio};

use super::{OutOfBounds, check_share};
use crate::time::Timestamp;

/// A recording of connections, analysed for all limits in one pass.
///
/// Record every connection that asked for edit access, in order of time, whether or not it was refused. `Observed` then
/// tells for each limit how many of these opens would have fallen back.
///
/// # Why one pass is enough
///
/// Every new connection takes the lowest free number, from 1 up, and frees it when it closes. *Under a limit of n, the
/// connections that hold a seat are at any time those with numbers up to n.* This is true of an empty engine, and every event
/// preserves it:
///
/// - A new connection with a number up to n: that number was free, so fewer than n seats were held. The limit admits it.
/// - A new connection with a higher number: all numbers from 1 to n were taken, so all n seats were held. The limit refuses
///   it.
/// - A closed connection frees a number up to n exactly if it frees a seat.
///
/// So a limit of n refuses exactly the connections with numbers above n. The highest number is given when all lower ones are
/// taken, so it is the peak. A limit is first reached when its number is first given.
///
/// The analysis takes the opens as they were. It cannot know that a refused user would have tried again, or would have come
/// back less often. Use a recording from a time without a limit, or with a limit that was seldom reached.
///
/// Memory: 200 to 400 bytes for each connection of the peak, 16 bytes for each user, 40 bytes for each event of the latest hour,
/// and 4 bytes for each connection of the peak of each of the latest 371 days. And at most 2,000 [intervals](Self::intervals).
/// Recording an event costs the logarithm of the peak.
///
/// ```
/// use coedit::Timestamp;
/// use coedit::capacity::Observed;
///
/// let minute = |count: u64| Timestamp::from_millis(count * 60_000);
/// let mut observed = Observed::new();
/// let ann = observed.record_open(minute(0));
/// let ben = observed.record_open(minute(10));
/// observed.record_close(ann, minute(20));
/// let cleo = observed.record_open(minute(30));
/// observed.record_close(ben, minute(40));
/// observed.record_close(cleo, minute(60));
///
/// assert_eq!((observed.opens(), observed.peak()), (3, Some((2, minute(10)))));
/// assert_eq!((observed.fallbacks(2), observed.fallbacks(1), observed.fallbacks(0)), (0, 1, 3));
/// assert_eq!(observed.load(), 80.0 / 60.0); // 80 minutes of connections in 60 minutes
/// ```
#[derive(Clone, Debug)]
pub struct Observed {
    /// The uses of each number, from 1 up.
    numbers: Vec<NumberUses>,
    /// The numbers that were given before and are free now.
    free: BTreeSet<u32>,
    opens: u64,
    /// The times of the first event and of the latest event.
    span: Option<(Timestamp, Timestamp)>,
    /// Connections times milliseconds, up to the latest event.
    held: u128,
    busiest_hour: BusiestPeriod,
    busiest_quarter_hour: BusiestPeriod,
    worst_hours: WorstHours,
    days: Days,
    /// The highest number that each user ever got.
    users: HashMap<u64, u32>,
    view_only: ViewOnly,
    timeline: Option<Timeline>,
}

impl Default for Observed {
    fn default() -> Self {
        Observed::with_utc_offset(0)
    }
}

#[derive(Clone, Copy, Debug)]
struct NumberUses {
    count: u64,
    first: Timestamp,
}

/// An open connection of a recording. [`Observed::record_close`] closes it.
#[derive(Debug)]
pub struct ObservedConnection(u32);

impl ObservedConnection {
    /// The number of the connection, from 1 up: the lowest limit that would have admitted it.
    pub fn number(&self) -> u32 {
        self.0
    }
}

/// Recording events.
impl Observed {
    /// Creates an empty recording with days in UTC.
    pub fn new() -> Self {
        Observed::default()
    }

    /// Creates an empty recording with days in local time. `utc_offset` is local time minus UTC, in minutes: 120 for Berlin in
    /// summer.
    pub fn with_utc_offset(utc_offset: i32) -> Self {
        Observed {
            numbers: Vec::new(),
            free: BTreeSet::new(),
            opens: 0,
            span: None,
            held: 0,
            busiest_hour: BusiestPeriod::new(HOUR),
            busiest_quarter_hour: BusiestPeriod::new(HOUR / 4),
            worst_hours: WorstHours::new(),
            days: Days::new(utc_offset),
            users: HashMap::new(),
            view_only: ViewOnly::new(),
            timeline: None,
        }
    }

    /// Records a connection that asked for edit access. If `at` is earlier than the latest event, the time of that event is
    /// used.
    pub fn record_open(&mut self, at: Timestamp) -> ObservedConnection {
        let (at, before) = (self.advance_to(at), self.open_connections());
        let number = self.free.pop_first().unwrap_or(self.highest_number().saturating_add(1));
        self.opens += 1;
        match self.numbers.get_mut(number as usize - 1) {
            Some(uses) => uses.count += 1,
            None => self.numbers.push(NumberUses { count: 1, first: at }),
        }
        self.worst_hours.record_open(at, number);
        self.days.record_open(at, number);
        self.view_only.record_open(number);
        self.extend_timeline(at, before, number);
        ObservedConnection(number)
    }

    /// Records an open as [`record_open`](Self::record_open), by a user. `user` is any number that no other user has. It is
    /// needed to count the users who would have fallen back.
    pub fn record_open_by(&mut self, user: u64, at: Timestamp) -> ObservedConnection {
        let connection = self.record_open(at);
        let highest = self.users.entry(user).or_default();
        *highest = connection.0.max(*highest);
        connection
    }

    /// Records that a connection closed or lost its access. A connection of another recording is ignored if its number is
    /// free in this one.
    #[expect(clippy::needless_pass_by_value, reason = "a connection closes once")]
    pub fn record_close(&mut self, connection: ObservedConnection, at: Timestamp) {
        let (at, before) = (self.advance_to(at), self.open_connections());
        if connection.0 <= self.highest_number() {
            self.free.insert(connection.0);
            self.view_only.record_close(connection.0);
        }
        self.extend_timeline(at, before, 0);
    }

    /// Extends the recording to `at` without an event.
    pub fn extend(&mut self, at: Timestamp) {
        let (at, open) = (self.advance_to(at), self.open_connections());
        self.extend_timeline(at, open, 0);
    }
}

/// Results.
impl Observed {
    /// The number of opens.
    pub fn opens(&self) -> u64 {
        self.opens
    }

    /// The number of users that were given to [`record_open_by`](Self::record_open_by).
    pub fn users(&self) -> u32 {
        u32::try_from(self.users.len()).unwrap_or(u32::MAX)
    }

    /// The number of open connections, if none were refused.
    pub fn open_connections(&self) -> u32 {
        // Every free number was given before, so there are at least as many numbers as free ones.
        self.highest_number() - u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }

    /// The number of opens that would have fallen back under `limit`. The cost is proportional to the peak.
    pub fn fallbacks(&self, limit: u32) -> u64 {
        self.numbers.iter().skip(limit as usize).map(|uses| uses.count).sum()
    }

    /// The share of the opens that would have fallen back under `limit`. Zero without opens. The cost is proportional to the
    /// peak.
    pub fn share(&self, limit: u32) -> f64 {
        ratio(self.fallbacks(limit), self.opens)
    }

    /// The lowest limit under which at most `share` of the opens would have fallen back. `share` is more than 0 and less than
    /// 1. The cost is proportional to the peak.
    pub fn limit_for(&self, share: f64) -> Result<u32, OutOfBounds> {
        check_share(share)?;
        let mut fallbacks = self.opens;
        let too_low = |uses: &&NumberUses| {
            let above = ratio(fallbacks, self.opens) > share;
            fallbacks -= uses.count;
            above
        };
        Ok(u32::try_from(self.numbers.iter().take_while(too_low).count()).unwrap_or(u32::MAX))
    }

    /// The highest number of connections that were open at the same time, if none were refused, and when it was first
    /// reached.
    pub fn peak(&self) -> Option<(u32, Timestamp)> {
        self.peak_under(u32::MAX)
    }

    /// The peak under `limit`, and when it was first reached. `None` if no connection was admitted.
    pub fn peak_under(&self, limit: u32) -> Option<(u32, Timestamp)> {
        let peak = self.highest_number().min(limit);
        let uses = self.numbers.get((peak as usize).checked_sub(1)?)?;
        Some((peak, uses.first))
    }

    /// The times of the first event and of the latest event.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The load between the first event and the latest event, in erlangs: the average number of open connections, if none
    /// were refused.
    #[expect(clippy::cast_precision_loss, reason = "the milliseconds of 285,000 years are exact")]
    pub fn load(&self) -> f64 {
        let millis = self.span.map_or(0, |(first, latest)| latest.since(first).as_millis());
        if millis == 0 { 0.0 } else { self.held as f64 / millis as f64 }
    }

    /// The beginning of the hour with the highest load, and that load in erlangs. The hour begins at any time, not only at a
    /// full hour of the clock. The parts of it before and after the recording count as empty.
    ///
    /// Use this load for a formula, not the average of nights and days: [`erlang_b`](super::erlang_b) of it is the share that
    /// would fall back if every hour were as busy.
    pub fn busiest_hour(&self) -> Option<(Timestamp, f64)> {
        self.busiest_hour.load()
    }

    /// The beginning of the 15 minutes with the highest load, and that load in erlangs, as [`busiest_hour`](Self::busiest_hour).
    ///
    /// If people come together and stay for less than an hour, the load of the hour is too low for a formula, because it
    /// counts the time in which they are gone. A class of 400 that stays for 45 minutes has a load of 300 in the busiest hour,
    /// and of 400 in these 15 minutes. Then Engset's formula is the right one ([`connections_for_group`](
    /// super::connections_for_group)), with the users of the recording as the group. Erlang's formula would expect still more
    /// users to come.
    pub fn busiest_quarter_hour(&self) -> Option<(Timestamp, f64)> {
        self.busiest_quarter_hour.load()
    }

    /// The mean duration of a connection. Of an open connection, only the time up to the latest event counts.
    pub fn mean_duration(&self) -> Duration {
        let millis = self.held.checked_div(u128::from(self.opens)).unwrap_or(0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The recording in at most 2,000 intervals of equal length, for a chart. It contains every peak, however short.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> + '_ {
        self.timeline.iter().flat_map(Timeline::iter)
    }

    /// The highest number that was given.
    fn highest_number(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    /// Adds the time up to `at` with the present connections. Returns `at`, or the latest event if that is later.
    fn advance_to(&mut self, at: Timestamp) -> Timestamp {
        let (first, latest) = self.span.unwrap_or((at, at));
        let (at, open) = (at.max(latest), self.open_connections());
        self.span = Some((first, at));
        self.held += u128::from(open) * at.since(latest).as_millis();
        self.view_only.advance_to(at);
        self.busiest_hour.add(latest, at, open);
        self.busiest_quarter_hour.add(latest, at, open);
        at
    }

    /// Adds an event at `at` to the timeline. `before` connections were open up to it. `number` is the number of the new
    /// connection, or zero.
    fn extend_timeline(&mut self, at: Timestamp, before: u32, number: u32) {
        let open = self.open_connections();
        self.timeline.get_or_insert_with(|| Timeline::new(at)).add(at, before, open, number);
    }
}
