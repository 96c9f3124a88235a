//! The axis of time of the picture, in local time.

use coedit::Timestamp;

/// What the labels of the axis show.
#[derive(Clone, Copy)]
pub(super) enum TimeAxis {
    /// The time of day only.
    TimeOfDay,
    /// Dates and times of day. `utc_offset` is local time minus UTC, in minutes.
    Local { utc_offset: i32 },
}

impl TimeAxis {
    /// Returns the position of a time.
    #[expect(clippy::cast_precision_loss, reason = "exact for times up to the year 287396")]
    pub(super) fn number(self, at: Timestamp) -> f64 {
        self.local(at).as_millis() as f64
    }

    pub(super) fn title(self) -> String {
        match self {
            TimeAxis::TimeOfDay => "time of day".to_owned(),
            TimeAxis::Local { utc_offset: 0 } => "time, UTC".to_owned(),
            TimeAxis::Local { utc_offset } => {
                let (hours, minutes) = (utc_offset.unsigned_abs() / 60, utc_offset.unsigned_abs() % 60);
                let sign = if utc_offset < 0 { '-' } else { '+' };
                format!("time, UTC{sign}{hours}:{minutes:02}")
            }
        }
    }

    /// Returns at most nine round times in a span, with their labels.
    pub(super) fn labels(self, from: Timestamp, to: Timestamp) -> Vec<(f64, String)> {
        let (from, to) = (self.local(from).as_millis(), self.local(to).as_millis());
        let span = to.saturating_sub(from);
        let step = STEPS.iter().map(|minutes| minutes * 60_000).find(|step| span / step <= 8);
        let step = step.unwrap_or(span / 8 + 1);
        let times = (from.div_ceil(step)..).map(|count| Timestamp::from_millis(count.saturating_mul(step)));
        let within = times.take(9).filter(|at| (from..=to).contains(&at.as_millis()));
        #[expect(clippy::cast_precision_loss, reason = "as in `number`")]
        within.map(|at| (at.as_millis() as f64, self.label(at, step, span))).collect()
    }

    /// Formats a time in a sentence: `2024-01-31 10:15`, or `10:15`.
    pub(super) fn format(self, at: Timestamp) -> String {
        let text = self.local(at).to_string();
        let (day, hours) = split(&text);
        match self {
            TimeAxis::TimeOfDay => hours.to_owned(),
            TimeAxis::Local { .. } => format!("{day} {hours}"),
        }
    }

    /// Formats a local time as a date, a time of day, or both. `step` and `span` are in milliseconds.
    fn label(self, at: Timestamp, step: u64, span: u64) -> String {
        let text = at.to_string();
        let (day, hours) = split(&text);
        if let TimeAxis::TimeOfDay = self {
            hours.to_owned()
        } else if step.is_multiple_of(DAY) {
            day.to_owned()
        } else if span < DAY {
            hours.to_owned()
        } else {
            format!("{} {hours}", day.get(5..).unwrap_or_default())
        }
    }

    fn local(self, at: Timestamp) -> Timestamp {
        let offset = match self {
            TimeAxis::TimeOfDay => 0,
            TimeAxis::Local { utc_offset } => i64::from(utc_offset) * 60_000,
        };
        Timestamp::from_millis(at.as_millis().saturating_add_signed(offset))
    }
}

/// Returns the day and the time of day of an ISO 8601 time.
fn split(text: &str) -> (&str, &str) {
    (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default())
}

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// The possible steps between two labels, in minutes.
const STEPS: [u64; 22] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    180,
    360,
    720,
    1_440,
    2_880,
    10_080,
    43_200,
    131_040,
    262_080,
    525_600,
    1_051_200,
    2_628_000,
    5_256_000,
    525_600_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_round_in_local_time() {
        let axis = TimeAxis::Local { utc_offset: -210 };
        let at = |minute: u64| Timestamp::from_millis(DAY + minute * 60_000);
        let names: Vec<String> = axis.labels(at(600), at(660)).into_iter().map(|label| label.1).collect();
        assert_eq!(names, ["06:30", "06:40", "06:50", "07:00", "07:10", "07:20", "07:30"]);
        assert_eq!((axis.title(), axis.format(at(0))), ("time, UTC-3:30".into(), "1970-01-01 20:30".into()));
        assert_eq!(TimeAxis::Local { utc_offset: 120 }.title(), "time, UTC+2:00");
    }

    #[test]
    fn a_day_begins_at_local_midnight() {
        let axis = TimeAxis::Local { utc_offset: 120 };
        let labels = axis.labels(Timestamp::from_millis(DAY), Timestamp::from_millis(9 * DAY));
        assert_eq!(labels[0].1, "1970-01-03");
        assert!(labels.iter().all(|(position, _)| position % 86_400_000.0 == 0.0));
    }
}
