//! Reads the time in a field.

use std::str::FromStr;

use coedit::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

use super::report::{Report, quoted};

/// How a field writes a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// A number since 1970, whose unit follows from its size, ISO 8601, or the local time of nginx.
    #[default]
    Auto,
    /// Seconds since 1970, with or without a fraction.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    Iso8601,
    /// A pattern as in `strftime`.
    Pattern(String),
}

impl FromStr for TimeFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(TimeFormat::Auto),
            "s" => Ok(TimeFormat::Seconds),
            "ms" => Ok(TimeFormat::Millis),
            "iso" => Ok(TimeFormat::Iso8601),
            pattern if pattern.contains('%') => Ok(TimeFormat::Pattern(pattern.to_owned())),
            _ => Err("auto, s, ms, iso, or a pattern such as %d.%m.%Y %H:%M:%S is needed"),
        }
    }
}

/// A unit of a number of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    /// The unit in which a number is a time of this century.
    fn of(number: f64) -> Self {
        match number {
            _ if number < 1e11 => Unit::Seconds,
            _ if number < 1e14 => Unit::Millis,
            _ if number < 1e17 => Unit::Micros,
            _ => Unit::Nanos,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Millis => "milliseconds",
            Unit::Micros => "microseconds",
            Unit::Nanos => "nanoseconds",
        }
    }

    /// The number of milliseconds in the unit.
    const fn millis(self) -> f64 {
        match self {
            Unit::Seconds => 1e3,
            Unit::Millis => 1.0,
            Unit::Micros => 1e-3,
            Unit::Nanos => 1e-6,
        }
    }
}

/// Reads times of one format, and remembers what is odd about them.
#[derive(Debug)]
pub(super) struct TimeReader {
    format: TimeFormat,
    /// True if the user cannot name another format.
    fixed: bool,
    /// The unit of the numbers, once there was one.
    unit: Option<Unit>,
    without_offset: u64,
    span: Option<(Timestamp, Timestamp)>,
}

impl TimeReader {
    pub(super) fn new(format: TimeFormat) -> Self {
        let unit = match format {
            TimeFormat::Seconds => Some(Unit::Seconds),
            TimeFormat::Millis => Some(Unit::Millis),
            _ => None,
        };
        TimeReader { format, fixed: false, unit, without_offset: 0, span: None }
    }

    /// Reads times whose format is not up to the user.
    pub(super) fn fixed(format: TimeFormat) -> Self {
        TimeReader { fixed: true, ..TimeReader::new(format) }
    }

    /// Reads a time. The error says why the text is none.
    pub(super) fn read(&mut self, text: &str) -> Result<Timestamp, String> {
        let text = text.trim();
        let at = match &self.format {
            TimeFormat::Auto => self.guess(text),
            TimeFormat::Seconds | TimeFormat::Millis => self.number(text),
            TimeFormat::Iso8601 => self.iso8601(text),
            TimeFormat::Pattern(pattern) => {
                let pattern = pattern.clone();
                self.pattern(&pattern, text)
            }
        }?;
        self.add(at);
        Ok(at)
    }

    /// Counts a time that was read elsewhere.
    pub(super) fn add(&mut self, at: Timestamp) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn guess(&mut self, text: &str) -> Result<Timestamp, String> {
        if text.parse::<f64>().is_ok() {
            self.number(text)
        } else if text.contains('/') {
            self.pattern(NGINX_LOCAL, text)
        } else {
            self.iso8601(text)
        }
    }

    fn number(&mut self, text: &str) -> Result<Timestamp, String> {
        let number: f64 = text.parse().map_err(|_| format!("{} is not a number of time", quoted(text)))?;
        if !number.is_finite() || number < 0.0 {
            return Err(format!("{} is not a number of time from 0 up", quoted(text)));
        }
        let unit = *self.unit.get_or_insert(Unit::of(number));
        let millis = (number * unit.millis()).round();
        if millis > LATEST {
            let name = unit.name();
            return Err(format!("{} {name} are after the year 9999: is the unit right?", quoted(text)));
        }
        Ok(Timestamp::from_millis(whole(millis)))
    }

    fn iso8601(&mut self, text: &str) -> Result<Timestamp, String> {
        let fails = || format!("{} is not a time in ISO 8601", quoted(text));
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return timestamp(at).ok_or_else(fails);
        }
        let date_time: DateTime = text.parse().map_err(|_| fails())?;
        self.in_utc(date_time).ok_or_else(fails)
    }

    fn pattern(&mut self, pattern: &str, text: &str) -> Result<Timestamp, String> {
        let fails = |error: String| format!("{} is not a time of the form {pattern}: {error}", quoted(text));
        let time = BrokenDownTime::parse(pattern, text).map_err(|error| fails(error.to_string()))?;
        if let Ok(at) = time.to_timestamp() {
            return timestamp(at).ok_or_else(|| fails("before 1970".to_owned()));
        }
        let date_time = time.to_datetime().map_err(|error| fails(error.to_string()))?;
        self.in_utc(date_time).ok_or_else(|| fails("before 1970".to_owned()))
    }

    /// A time without an offset counts as UTC.
    fn in_utc(&mut self, time: DateTime) -> Option<Timestamp> {
        self.without_offset += 1;
        timestamp(Offset::UTC.to_timestamp(time).ok()?)
    }

    /// Adds what is odd about the times.
    pub(super) fn note(&self, report: &mut Report) {
        report.note_count(
            self.without_offset,
            "time has no offset from UTC: it counts as UTC",
            "times have no offset from UTC: they count as UTC",
        );
        let Some((first, last)) = self.span else { return };
        if first.as_millis() < EARLY {
            let unit = self.unit.map_or(String::new(), |unit| format!(" They are taken as {}.", unit.name()));
            let remedy = if self.fixed { "" } else { " `--time-format` names the unit" };
            report.notes.push(format!(
                "the times begin at {first}: are seconds taken for milliseconds?{unit}{remedy}"
            ));
        } else if last.since(first).as_millis() > LONG.into() {
            report.notes.push(format!("the times are decades apart, from {first} to {last}"));
        }
    }
}

fn timestamp(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn whole(millis: f64) -> u64 {
    millis as u64
}

/// `$time_local` of nginx.
const NGINX_LOCAL: &str = "%d/%b/%Y:%H:%M:%S %z";
/// [`Timestamp::MAX`] in milliseconds.
const LATEST: f64 = 253_402_300_799_999.0;
/// Milliseconds of 1973: seconds of today, taken for milliseconds, are earlier.
const EARLY: u64 = 100_000_000_000;
/// Thirty years in milliseconds.
const LONG: u64 = 946_080_000_000;
