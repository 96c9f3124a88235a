//! Reads what a server recorded: requests, CSV, access logs of nginx, or series of Prometheus.
//!
//! Every format becomes a [`Recording`], and a [`Report`] about what was not readable or odd. The module stands alone, so
//! that the fuzz target `traces` can include it.

mod connections;
mod csv;
mod detect;
mod event_names;
mod json;
mod levels;
mod log_format;
mod nginx;
mod prometheus;
pub(crate) mod recording;
mod report;
mod roles;
mod rows;
mod times;
mod trace_reader;

use std::fmt;

pub(crate) use event_names::EventNames;
pub(crate) use log_format::LogFormat;
pub(crate) use nginx::LogPath;
pub(crate) use recording::Recording;
pub(crate) use report::Report;
pub(crate) use roles::Columns;
pub(crate) use times::TimeFormat;
pub(crate) use trace_reader::TraceReader;

/// How to read a file.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `None`: the start of the file decides.
    pub(crate) format: Option<Format>,
    pub(crate) columns: Columns,
    pub(crate) events: EventNames,
    pub(crate) time_format: TimeFormat,
    /// `None`: the format `combined`, followed by `$request_time`.
    pub(crate) log_format: Option<LogFormat>,
    /// `None`: every WebSocket is an editor's, and its path names the document.
    pub(crate) log_path: Option<LogPath>,
    /// The highest share of lines that may be unreadable.
    pub(crate) unreadable: f64,
}

impl Settings {
    /// Returns an error if a setting is not for the format.
    fn check(&self, format: Format) -> Result<(), ReadError> {
        let lines = matches!(format, Format::Csv | Format::Nginx);
        let settings = [
            ("--columns", !self.columns.0.is_empty(), lines),
            ("--time-format", self.time_format != TimeFormat::Auto, lines),
            ("--events", !self.events.is_default(), format == Format::Csv),
            ("--log-format", self.log_format.is_some(), format == Format::Nginx),
            ("--log-path", self.log_path.is_some(), format == Format::Nginx),
        ];
        match settings.into_iter().find(|(_, given, fits)| *given && !fits) {
            Some((option, ..)) => Err(ReadError::Input(format!("`{option}` is not for this format"))),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One request a line, as for `replay`.
    Json,
    Csv,
    Prometheus,
    Nginx,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Format::Json => "JSON lines",
            Format::Csv => "CSV",
            Format::Prometheus => "Prometheus",
            Format::Nginx => "nginx",
        }
    }
}

/// Why a file gives no recording.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file and the options do not fit together.
    Input(String),
    /// Too many lines are not readable.
    Unreadable(Report),
    /// There is no connection in the file.
    Empty(Report),
}

impl ReadError {
    /// Says in which format the file was read.
    fn in_format(self, format: Format) -> Self {
        match self {
            ReadError::Input(message) => ReadError::Input(format!("read as {}: {message}", format.name())),
            other => other,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = match self {
            ReadError::Input(message) => return f.write_str(message),
            ReadError::Unreadable(report) | ReadError::Empty(report) => report,
        };
        if matches!(self, ReadError::Empty(_)) {
            let empty = if report.lines == 0 {
                "there is nothing in it"
            } else {
                "nobody opens a document for editing"
            };
            f.write_str(empty)?;
        }
        for (position, sentence) in report.sentences().iter().enumerate() {
            let begins = position == 0 && matches!(self, ReadError::Unreadable(_));
            write!(f, "{}{sentence}", if begins { "" } else { "; " })?;
        }
        match self {
            ReadError::Unreadable(_) => f.write_str("; `--unreadable` allows more"),
            _ => Ok(()),
        }
    }
}
