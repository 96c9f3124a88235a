//! Time as an input: a moment, and the clocks that tell it.
//!
//! Below [`Engine`](crate::Engine) no code reads a clock. The engine reads its [`Clock`] once at the top of a call,
//! before any lock is taken, and passes the moment down.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: whole milliseconds since the Unix epoch, UTC, up to the end of the year 9999.
///
/// ```
/// use coedit::Timestamp;
///
/// let moment = Timestamp::from_millis(1_700_625_432_000);
/// assert_eq!(moment.to_string(), "2023-11-22T03:57:12.000Z");
/// assert_eq!("2023-11-22T03:57:12.000Z".parse(), Ok(moment));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment there is: 9999-12-31T23:59:59.999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// The moment `millis` milliseconds after the Unix epoch; later than [`MAX`](Self::MAX) counts as that.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Timestamp(millis) }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment plus `duration`, rounded up to whole milliseconds so that no delay comes out shorter than asked.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Self::from_millis(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if it is not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment without its fraction of a second.
    pub(crate) fn whole_seconds(self) -> Self {
        Timestamp(self.0 - self.0 % 1000)
    }

    /// The end of its day, UTC, and so many days more.
    pub(crate) fn midnight_after(self, days: u32) -> Self {
        Self::from_millis((self.0 / DAY + 1 + u64::from(days)) * DAY)
    }

    /// The first moment of its calendar month, UTC.
    pub(crate) fn month(self) -> Self {
        let days = self.0 / DAY;
        let [_, _, day] = civil_from_days(days);
        Timestamp((days + 1 - day) * DAY)
    }
}

impl fmt::Display for Timestamp {
    /// `YYYY-MM-DDTHH:MM:SS.sssZ`, the form of `lastsave`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, [hour, minute, second, milli]) = split(*self);
        let [year, month, day] = date;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The text is not a moment in the form `YYYY-MM-DDTHH:MM:SS.sssZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError(());

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time of the form YYYY-MM-DDTHH:MM:SS.sssZ")
    }
}

impl std::error::Error for TimestampError {}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text, b"0000-00-00T00:00:00.000Z").ok_or(TimestampError(()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Serde form `YYYY-MM-DD HH:MM:SS`, which `history` uses.
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de, parse, split};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    pub(crate) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let ([year, month, day], [hour, minute, second, _]) = split(*moment);
        serializer
            .collect_str(&format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text, b"0000-00-00 00:00:00")
            .ok_or_else(|| de::Error::custom("not a time of the form YYYY-MM-DD HH:MM:SS"))
    }
}

const DAY: u64 = 86_400_000;

/// Year, month, day; and hour, minute, second, millisecond.
fn split(moment: Timestamp) -> ([u64; 3], [u64; 4]) {
    let millis = moment.0 % DAY;
    let time = [millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000];
    (civil_from_days(moment.0 / DAY), time)
}

/// The Gregorian date of a day counted from 1970-01-01, after Howard Hinnant's `chrono`-Compatible Low-Level Date
/// Algorithms: years are counted from March, so that the leap day is a year's last.
fn civil_from_days(days: u64) -> [u64; 3] {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [era * 400 + year_of_era + u64::from(month <= 2), month, day]
}

/// The inverse of [`civil_from_days`], for years from 1970.
fn days_from_civil([year, month, day]: [u64; 3]) -> Option<u64> {
    let year = year - u64::from(month <= 2);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = (year % 400) * 365 + year % 400 / 4 - year % 400 / 100 + day_of_year;
    ((year / 400) * 146_097 + day_of_era).checked_sub(719_468)
}

/// Reads `text` by a `pattern` in which `0` stands for a digit and anything else for itself.
fn parse(text: &str, pattern: &[u8]) -> Option<Timestamp> {
    let fits = |(byte, want): (u8, &u8)| {
        if *want == b'0' { byte.is_ascii_digit() } else { byte == *want }
    };
    if text.len() != pattern.len() || !text.bytes().zip(pattern).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
    let date = [number(0, 4)?, number(5, 7)?, number(8, 10)?];
    let [hour, minute, second] = [number(11, 13)?, number(14, 16)?, number(17, 19)?];
    let milli = if pattern.len() > 19 { number(20, 23)? } else { 0 };
    if date[0] < 1970 || !(1..=12).contains(&date[1]) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(date)?;
    let moment = Timestamp(days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + milli);
    // A day that its month does not have comes back as another date.
    (civil_from_days(days) == date).then_some(moment)
}

/// Tells the engine what time it is.
///
/// [`now`](Clock::now) is called without any lock of the engine held, from whatever thread makes a call, and should
/// cost tens of nanoseconds.
pub trait Clock: Send + Sync + 'static {
    /// The present moment. It may go backward between calls: the engine lets no document's time do so.
    fn now(&self) -> Timestamp;

    /// The present moment, or one some milliseconds off, for what is noted at every open, close and change: how much the
    /// engine is used, since when nobody did anything, and when something was changed last. No delay is counted from it. A
    /// clock that has a cheaper way for that gives it here.
    fn coarse(&self) -> Timestamp {
        self.now()
    }

    /// Whether whoever holds the clock decides what time it is, so that runs are to be reproducible. The engine then
    /// hashes document keys in the same way in every run, which is not safe where strangers choose the keys.
    fn is_manual(&self) -> bool {
        false
    }
}

/// The machine's clock: the wall time when it was made, and monotonic from there.
///
/// A wall clock that is set back while the engine runs therefore delays no save. The price: a correction made after
/// the start is not followed, so the times in callbacks keep the error that the wall clock had at the start.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
    started_coarse: coarsetime::Instant,
    wall_at_start: Timestamp,
}

impl SystemClock {
    /// A clock that starts at the present wall time.
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_at_start = Timestamp::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        let started_coarse = coarsetime::Instant::now_without_cache_update();
        SystemClock { started: Instant::now(), started_coarse, wall_at_start }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(self.wall_at_start.0.saturating_add(millis))
    }

    /// As of the operating system's last tick, 1 to 10 ms off: a quarter of the cost.
    fn coarse(&self) -> Timestamp {
        let passed = coarsetime::Instant::now_without_cache_update().duration_since(self.started_coarse);
        Timestamp::from_millis(self.wall_at_start.0.saturating_add(passed.as_millis()))
    }
}

/// A clock that stands still until it is told otherwise: for tests, simulations and replays.
///
/// ```
/// use coedit::{Clock, ManualClock, Timestamp};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), Timestamp::from_millis(3_000));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock(AtomicU64::new(start.0))
    }

    /// Moves on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let later = |now| Some(Timestamp(now).after(duration).0);
        // The closure never gives up, so there is no failure to look at.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// Moves on to `moment`; an earlier one than the present leaves the clock as it is.
    pub fn move_to(&self, moment: Timestamp) {
        self.0.fetch_max(moment.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn is_manual(&self) -> bool {
        true
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn coarse(&self) -> Timestamp {
        (**self).coarse()
    }

    fn is_manual(&self) -> bool {
        (**self).is_manual()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_and_read_back() {
        let known = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (Timestamp::MAX.as_millis(), "9999-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in known {
            assert_eq!(Timestamp(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(millis)));
        }
    }

    #[test]
    fn every_day_survives_the_calendar() {
        let days = Timestamp::MAX.0 / DAY;
        assert!((0..=days).all(|day| days_from_civil(civil_from_days(day)) == Some(day)));
    }

    #[test]
    fn a_month_begins_with_its_first() {
        for (moment, first) in [
            ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"),
            ("2024-02-29T23:59:59.999Z", "2024-02-01T00:00:00.000Z"),
            ("2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-01T00:00:00.000Z"),
        ] {
            assert_eq!(moment.parse::<Timestamp>().unwrap().month().to_string(), first);
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "2023-02-29T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "2023-13-01T00:00:00.000Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError(())), "{text}");
        }
        assert!("2023-01-01T24:00:00.000Z".parse::<Timestamp>().is_err());
        assert!("2023-01-01 00:00:00.000Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn delays_are_rounded_up() {
        assert_eq!(Timestamp(5).after(Duration::from_micros(1)), Timestamp(6));
        assert_eq!(Timestamp(5).after(Duration::MAX), Timestamp::MAX);
    }
}
