//! Reads the usage that an engine recorded, from the reply of its door.

use std::io::{self, ErrorKind};
use std::path::Path;

use coedit::{Reason, Usage, Window};
use serde_json::Value;

use super::figures::RecordedWindow;
use crate::input::Input;

/// Returns the window with the highest load, and that load in erlangs. The file contains the reply to the command `usage`,
/// either the whole line or only the usage object.
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

fn busiest(usage: &Usage) -> Option<(RecordedWindow, f64)> {
    let Usage { hour, day, week, month, year, .. } = usage;
    let windows = [("hour", hour), ("day", day), ("week", week), ("month", month), ("year", year)];
    let loads = windows.into_iter().filter_map(|(name, window)| Some((name, window, window.offered_load()?)));
    let (name, window, load) = loads.max_by(|(.., one), (.., other)| one.total_cmp(other))?;
    Some((recorded(name, window), load))
}

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
    }
}
