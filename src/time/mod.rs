//! Timestamps, and the clocks that the engine reads.
//!
//! Time is an input. The engine reads its [`Clock`] at the start of a call, before it takes a lock, and passes the time
//! down as a parameter, in both kinds ([`Now`]): steady time for delays and windows, and wall time for labels and calendar
//! days. Read `steady.rs` first, then `keeper.rs`.

mod clock;
mod follow;
mod forward;
mod keeper;
mod steady;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use clock::{Clock, ManualClock, SystemClock};
pub(crate) use keeper::Timekeeper;
pub(crate) use steady::{Moment, Now};

/// Milliseconds in a day.
const DAY: u64 = 86_400_000;

/// A point in time: whole milliseconds since the Unix epoch, UTC, up to the end of the year 9999.
///
/// ```
/// use coedit::Timestamp;
///
/// let time = Timestamp::from_millis(1_700_625_432_000);
/// assert_eq!(time.to_string(), "2023-11-22T03:57:12.000Z");
/// assert_eq!("2023-11-22T03:57:12.000Z".parse(), Ok(time));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest timestamp: 9999-12-31T23:59:59.999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// Returns the timestamp `millis` milliseconds after the Unix epoch, at most [`MAX`](Self::MAX).
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Timestamp(millis) }
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns this timestamp plus `duration`, at most [`MAX`](Self::MAX). Rounds up to whole milliseconds, so that no
    /// delay gets shorter.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Self::from_millis(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }

    /// Returns the time from `earlier` to this timestamp; zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Rounds down to whole seconds.
    pub(crate) fn whole_seconds(self) -> Self {
        Timestamp(self.0 - self.0 % 1000)
    }

    /// Returns the end of this day, UTC, plus `days` days.
    pub(crate) fn midnight_after(self, days: u32) -> Self {
        Self::from_millis((self.0 / DAY + 1 + u64::from(days)) * DAY)
    }

    /// Returns the start of this calendar month, UTC.
    pub(crate) fn month(self) -> Self {
        let days = self.0 / DAY;
        let [_, _, day] = civil_from_days(days);
        Timestamp((days + 1 - day) * DAY)
    }
}

impl From<SystemTime> for Timestamp {
    /// Rounds down to whole milliseconds. A time before 1970 becomes 1970, one after the year 9999 [`Timestamp::MAX`].
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        SystemTime::UNIX_EPOCH + Duration::from_millis(time.as_millis())
    }
}

impl fmt::Display for Timestamp {
    /// Writes the form `YYYY-MM-DDTHH:MM:SS.sssZ`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, [hour, minute, second, milli]) = split(*self);
        let [year, month, day] = date;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// A text is not a time of the form `YYYY-MM-DDTHH:MM:SS.sssZ`.
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

/// Serde form `YYYY-MM-DD HH:MM:SS`, used in [`History`](crate::History).
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de, parse, split};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let ([year, month, day], [hour, minute, second, _]) = split(*time);
        serializer
            .collect_str(&format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text, b"0000-00-00 00:00:00")
            .ok_or_else(|| de::Error::custom("not a time of the form YYYY-MM-DD HH:MM:SS"))
    }
}

/// Returns year, month, day; and hour, minute, second, millisecond.
fn split(time: Timestamp) -> ([u64; 3], [u64; 4]) {
    let millis = time.0 % DAY;
    let of_day = [millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000];
    (civil_from_days(time.0 / DAY), of_day)
}

/// Returns the Gregorian date of a day, counted from 1970-01-01. The algorithm is from Howard Hinnant's
/// `chrono`-Compatible Low-Level Date Algorithms. Its years begin in March, so that the leap day is the last of a year.
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

/// The inverse of [`civil_from_days`], for years from 1970 on.
fn days_from_civil([year, month, day]: [u64; 3]) -> Option<u64> {
    let year = year - u64::from(month <= 2);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = (year % 400) * 365 + year % 400 / 4 - year % 400 / 100 + day_of_year;
    ((year / 400) * 146_097 + day_of_era).checked_sub(719_468)
}

/// Parses `text` by a `pattern`: `0` matches any digit, every other byte matches itself.
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
    let time = Timestamp(days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + milli);
    // A day that the month does not have, such as February 30, converts back to another date.
    (civil_from_days(days) == date).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_and_read_back() {
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
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn every_day_survives_the_calendar() {
        let days = Timestamp::MAX.0 / DAY;
        assert!((0..=days).all(|day| days_from_civil(civil_from_days(day)) == Some(day)));
    }

    #[test]
    fn a_month_starts_with_its_first_day() {
        for (time, first) in [
            ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"),
            ("2024-02-29T23:59:59.999Z", "2024-02-01T00:00:00.000Z"),
            ("2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-01T00:00:00.000Z"),
        ] {
            assert_eq!(time.parse::<Timestamp>().unwrap().month().to_string(), first);
        }
    }

    #[test]
    fn malformed_times_are_refused() {
        for text in ["", "2023-02-29T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "2023-13-01T00:00:00.000Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError(())), "{text}");
        }
        assert!("2023-01-01T24:00:00.000Z".parse::<Timestamp>().is_err());
        assert!("2023-01-01 00:00:00.000Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn system_times_convert_both_ways() {
        let (epoch, time) = (SystemTime::UNIX_EPOCH, Timestamp(1_700_625_432_001));
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        assert_eq!(Timestamp::from(epoch + Duration::from_nanos(1_999_999)), Timestamp(1));
        assert_eq!(Timestamp::from(epoch - Duration::from_secs(1)), Timestamp(0));
        assert_eq!(Timestamp::from(epoch + Duration::from_secs(300_000_000_000)), Timestamp::MAX);
    }

    #[test]
    fn delays_are_rounded_up() {
        assert_eq!(Timestamp(5).after(Duration::from_micros(1)), Timestamp(6));
        assert_eq!(Timestamp(5).after(Duration::MAX), Timestamp::MAX);
    }
}
