//! Reads the usage that an engine recorded, from the reply of its door, and finds its busiest hour.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use coedit::{BusyPeriod, Reason, Timestamp, Usage, Window};
use serde::Serialize;
use serde_json::Value;

use super::percent::percent;
use crate::input::Input;

/// What an engine recorded, and the load that is planned for.
#[derive(Clone, Serialize)]
pub(crate) struct RecordedWindow {
    /// The name of the window that the load is from.
    pub(crate) window: &'static str,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The average number of edit connections.
    pub(crate) average: f64,
    /// The highest number of edit connections.
    pub(crate) peak: u32,
    pub(crate) peak_at: Timestamp,
    pub(crate) opens: u64,
    /// The opens that fell back because the edit limit was reached.
    pub(crate) refused: u64,
    /// `None` if the engine did not record any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busiest_hour: Option<BusyPeriod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busiest_quarter: Option<BusyPeriod>,
    /// The busiest hour of the last 30 days, if the load of that is much lower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lately: Option<BusyPeriod>,
}

/// Returns the window with the busiest hour, and the load of that hour in erlangs. The file contains the reply to the command
/// `usage`, either the whole line or only the usage object.
pub(crate) fn read(path: &Path) -> io::Result<(RecordedWindow, f64)> {
    let mut input = Input::open(path)?;
    let mut bytes = Vec::new();
    while let Some(more) = input.next()? {
        bytes.extend_from_slice(more);
    }
    let in_context = |error| io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", path.display()));
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| in_context(error.to_string()))?;
    let inner = value.pointer("/reply/usage").or_else(|| value.get("usage")).unwrap_or(&value).clone();
    let usage: Usage = serde_json::from_value(inner).map_err(|error| in_context(error.to_string()))?;
    busiest(&usage)
        .ok_or_else(|| in_context("everybody was refused: nothing is known of the load".to_owned()))
}

/// The load is that of the busiest hour of all that is kept. An older version kept no busiest hours, and in less than an hour
/// there is none. Then it is the highest average of a window.
fn busiest(usage: &Usage) -> Option<(RecordedWindow, f64)> {
    let Usage { hour, day, week, month, year, .. } = usage;
    if let Some(busiest) = year.busiest_hour.filter(|_| usage.at.since(usage.since) >= HOUR) {
        let lately = month.busiest_hour.filter(|hour| hour.offered < busiest.offered * LATELY);
        let busiest_hour = Some(busiest);
        return Some((RecordedWindow { busiest_hour, lately, ..recorded("year", year) }, busiest.offered));
    }
    let windows = [("hour", hour), ("day", day), ("week", week), ("month", month), ("year", year)];
    let loads = windows.into_iter().filter_map(|(name, window)| Some((name, window, window.offered_load()?)));
    let (name, window, load) = loads.max_by(|(.., one), (.., other)| one.total_cmp(other))?;
    Some((recorded(name, window), load))
}

/// A busiest hour of the last 30 days below this share of the busiest of all is worth a warning.
const LATELY: f64 = 0.8;

fn recorded(name: &'static str, window: &Window) -> RecordedWindow {
    RecordedWindow {
        window: name,
        from: window.from,
        to: window.to,
        average: window.edit.average,
        peak: window.edit.max,
        peak_at: window.edit.max_at,
        opens: window.opens,
        refused: window.fallbacks.get(&Reason::ConnectionLimit).copied().unwrap_or(0),
        busiest_hour: None,
        busiest_quarter: window.busiest_quarter,
        lately: None,
    }
}

impl RecordedWindow {
    /// Why the answer of so many connections may be wrong. `needed` returns how many a load needs.
    pub(super) fn warnings(&self, answer: u32, needed: impl Fn(f64) -> Option<u32>) -> Vec<String> {
        let mut warnings = Vec::new();
        let time = self.to.since(self.from);
        if time < WEEK {
            warnings.push(format!(
                "only {:.1} hours were recorded: the busiest hour of a whole week may be busier",
                time.as_secs_f64() / 3_600.0
            ));
        }
        warnings.extend(self.burst(answer));
        let Some(hour) = self.busiest_hour else {
            let window = self.window;
            warnings.push(format!("without a busiest hour, the load is the average of the whole {window}"));
            return warnings;
        };
        let wanted = hour.edits.saturating_add(hour.refused);
        if hour.refused > wanted / 10 {
            warnings.push(format!(
                "{} of those who wanted to edit in the busiest hour were refused: their load is an estimate",
                percent(f64::from(hour.refused) / f64::from(wanted))
            ));
        }
        if let Some(BusyPeriod { from, offered, .. }) = self.lately
            && let Some(connections) = needed(offered)
        {
            warnings.push(format!(
                "in the last 30 days the busiest hour, from {from}, had a load of {offered:.2} only, for which \
                 {connections} connections are enough"
            ));
        }
        warnings
    }

    /// Many open at one time, so that an hour says too little.
    fn burst(&self, answer: u32) -> Option<String> {
        let quarter = self.busiest_quarter.filter(|quarter| quarter.offered > f64::from(answer));
        if let Some(BusyPeriod { from, offered, .. }) = quarter {
            return Some(format!(
                "many open at one time: in the busiest 15 minutes, from {from}, {offered:.0} connections were wanted, \
                 more than {answer}"
            ));
        }
        (u64::from(self.peak) > 2 * u64::from(answer)).then(|| {
            format!(
                "many open at one time: {} connections were open at {}, more than twice {answer}",
                self.peak, self.peak_at
            )
        })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
