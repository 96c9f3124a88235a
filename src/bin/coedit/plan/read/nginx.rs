//! Reads access logs of nginx. nginx writes one line for each WebSocket, when it closes: its time is the close, and
//! `$request_time` says how long it was open.

use std::str::FromStr;

use super::log_format::LogFormat;
use super::recording::Recording;
use super::report::Report;
use super::roles::{Layout, Role};
use super::rows::{Fields, RowReader, Shape};
use super::{ReadError, Settings};

/// Reads the lines of a log.
#[derive(Debug)]
pub(super) struct NginxReader {
    format: LogFormat,
    path: Option<LogPath>,
    layout: Layout,
    /// The positions of `$status` and of the request in a line.
    status: Option<usize>,
    request: Option<usize>,
    rows: RowReader,
    other_requests: u64,
}

impl NginxReader {
    pub(super) fn new(settings: &Settings) -> Result<Self, ReadError> {
        let format = settings.log_format.clone().unwrap_or_default();
        let mut names = format.names();
        let mut layout = Layout::of_named(&names, &settings.columns).map_err(ReadError::Input)?;
        layout.add_default(Role::Close, &names, &["msec", "time_iso8601", "time_local"]);
        layout.add_default(Role::Duration, &names, &["request_time"]);
        layout.add_default(Role::User, &names, &["remote_user"]);
        // The document of a line follows the values of its variables.
        names.push(DOCUMENT);
        layout.add_default(Role::Document, &names, &[DOCUMENT]);
        let find =
            |wanted: &[&str]| wanted.iter().find_map(|name| names.iter().position(|found| found == name));
        let request = find(&["request", "request_uri", "uri"]);
        if Shape::of(&layout) != Some(Shape::Intervals) {
            return Err(ReadError::Input(
                "the log format needs a time ($msec, $time_iso8601 or $time_local) and $request_time: without it, \
                 nobody knows how long a connection was open"
                    .to_owned(),
            ));
        }
        if settings.log_path.is_some() && request.is_none() {
            return Err(ReadError::Input("`--log-path` needs $request in the log format".to_owned()));
        }
        let rows = RowReader::new(Shape::Intervals, settings.time_format.clone(), settings.events.clone());
        let (status, path) = (find(&["status"]), settings.log_path.clone());
        Ok(NginxReader { format, path, layout, status, request, rows, other_requests: 0 })
    }

    /// Reads a line that is not blank.
    pub(super) fn line(&mut self, (number, line): (u64, &[u8]), report: &mut Report) {
        report.lines += 1;
        if let Err(reason) = self.read(line) {
            report.add_unreadable(number, reason);
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut values = self.format.split(line.trim_end())?;
        let value = |position: Option<usize>| position.and_then(|position| values.get(position)).copied();
        let is_socket = value(self.status).is_none_or(|status| status == SWITCHING_PROTOCOLS);
        let document = value(self.request).map(path_of).map_or(Some(""), |path| match &self.path {
            None => Some(path.split_once('?').map_or(path, |(path, _)| path)),
            Some(pattern) => pattern.document(path),
        });
        let Some(document) = document.filter(|_| is_socket) else {
            self.other_requests += 1;
            return Ok(());
        };
        // nginx writes `-` for an empty value.
        values.iter_mut().filter(|value| **value == "-").for_each(|value| *value = "");
        values.push(document);
        self.rows.read(Fields { layout: &self.layout, values: &values })
    }

    pub(super) fn end(self, report: &mut Report) -> Recording {
        report.note_count(
            self.other_requests,
            "line is not of an editor's WebSocket: it does not count",
            "lines are not of an editor's WebSocket: they do not count",
        );
        self.rows.end(report)
    }
}

/// The name of the document in the path, beside the variables. No variable has this name.
const DOCUMENT: &str = "the document in the path";

/// The status of a request that became a WebSocket.
const SWITCHING_PROTOCOLS: &str = "101";

/// Returns the path in `GET /path HTTP/1.1`, or in a path alone.
fn path_of(request: &str) -> &str {
    let mut words = request.split(' ');
    let first = words.next().unwrap_or_default();
    words.next().unwrap_or(first)
}

/// Which paths are those of editors, and where the document is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogPath {
    before: String,
    /// `None` if the whole path names the document.
    after: Option<String>,
}

impl LogPath {
    /// Returns the document that a path names, or `None` if the path does not match.
    fn document<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (_, rest) = path.split_once(self.before.as_str())?;
        let Some(after) = &self.after else {
            return Some(path.split_once('?').map_or(path, |(path, _)| path));
        };
        let end = rest.find(['/', '?', '&']).unwrap_or(rest.len());
        let (document, rest) = rest.split_at(end);
        (!document.is_empty() && rest.starts_with(after.as_str())).then_some(document)
    }
}

impl FromStr for LogPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (before, after) = match text.split_once("{document}") {
            Some((before, after)) => (before, Some(after.to_owned())),
            None => (text, None),
        };
        if before.is_empty() {
            Err("a part of a path is needed, as in /doc/{document}/c")
        } else {
            Ok(LogPath { before: before.to_owned(), after })
        }
    }
}
