//! Reads recorded requests: replays them without a limit and records when edit connections open and close.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use coedit::door::{Acknowledge, Door};
use coedit::{Config, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ReadError;
use super::connections::{ConnectionsBuilder, Pair, RowKind};
use super::recording::{Identity, Recording};
use super::report::{Report, StepsBack};
use super::times::{TimeFormat, TimeReader};

/// Runs the requests through a door and reads the replies, so that the door alone decides what a request means.
pub(super) struct JsonReader {
    door: Door,
    connections: ConnectionsBuilder,
    /// The label of each open connection.
    open: HashMap<String, OpenConnection>,
    /// The number of connections that got edit access.
    edits: u32,
    /// The latest `at` of the requests that succeeded.
    now: Timestamp,
    steps_back: StepsBack,
    times: TimeReader,
    out: Vec<u8>,
}

struct OpenConnection {
    identity: Identity,
    /// `None` without edit access.
    edit: Option<Pair>,
}

/// A line that the door wrote. Callbacks are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DoorLine {
    Reply { error: u8, connection: Option<String>, access: Option<String> },
    Notice { r#type: String, connection: Option<String> },
}

impl JsonReader {
    pub(super) fn new() -> Result<Self, ReadError> {
        // The usage of years takes seconds to record, and nobody asks for it.
        let door = Door::replay(Config::new().usage(false), Acknowledge::Auto);
        Ok(JsonReader {
            door: door.map_err(|error| ReadError::Input(error.to_string()))?,
            connections: ConnectionsBuilder::default(),
            open: HashMap::new(),
            edits: 0,
            now: Timestamp::default(),
            steps_back: StepsBack::default(),
            times: TimeReader::fixed(TimeFormat::Millis),
            out: Vec::new(),
        })
    }

    /// Reads a line that is not blank. A request that the door refuses is readable, unless it would open or close.
    pub(super) fn line(&mut self, (number, line): (u64, &[u8]), report: &mut Report) {
        report.lines += 1;
        let Some(request) = TraceRequest::read(line) else {
            report.add_unreadable(number, "it is not a JSON object");
            return;
        };
        let mut out = std::mem::take(&mut self.out);
        self.door.line(line, &mut out);
        for written in out.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{\"callback")) {
            match serde_json::from_slice(written) {
                Ok(DoorLine::Reply { error: 0, connection, access }) => {
                    self.succeeded(&request, connection, access.as_deref());
                }
                Ok(DoorLine::Reply { error, .. }) => {
                    if let Some(reason) = why_unreadable(&request, error) {
                        report.add_unreadable(number, reason);
                    }
                }
                Ok(DoorLine::Notice { r#type, connection: Some(label) }) if r#type == "dropped" => {
                    self.end_edit(&label);
                }
                _ => {}
            }
        }
        out.clear();
        self.out = out;
    }

    /// Records a request that succeeded. `connection` and `access` are of the reply.
    fn succeeded(&mut self, request: &TraceRequest<'_>, connection: Option<String>, access: Option<&str>) {
        if let Some(at) = request.at() {
            self.steps_back.add(at.as_millis());
            self.times.add(at);
            self.now = self.now.max(at);
        }
        self.connections.extend(self.now);
        let label = request.text("connection");
        match (request.command().as_deref(), label, access) {
            (Some("open"), _, Some(access)) => self.opened(request, connection, access == "edit"),
            (Some("requestEdit"), Some(label), Some("edit")) => self.begin_edit(&label),
            (Some("releaseEdit"), Some(label), _) => self.end_edit(&label),
            (Some("close" | "lost"), Some(label), _) => {
                self.end_edit(&label);
                self.open.remove(&label);
            }
            (Some("change" | "touch"), Some(label), _) => self.record(&label, RowKind::Change),
            _ => {}
        }
    }

    fn opened(&mut self, request: &TraceRequest<'_>, label: Option<String>, edits: bool) {
        let Some(label) = label else { return };
        // An open with a label that is open already has the same reply as the first and changes nothing.
        let Entry::Vacant(entry) = self.open.entry(label.clone()) else { return };
        let (user, document) = (request.user(), request.text("key"));
        let identity = self.connections.identity(user.as_deref(), document.as_deref());
        entry.insert(OpenConnection { identity, edit: None });
        if edits {
            self.begin_edit(&label);
        }
    }

    fn begin_edit(&mut self, label: &str) {
        let Some(connection) = self.open.get_mut(label).filter(|connection| connection.edit.is_none()) else {
            return;
        };
        connection.edit = Some(Pair::Line(self.edits));
        self.edits = self.edits.saturating_add(1);
        self.record(label, RowKind::Open);
    }

    fn end_edit(&mut self, label: &str) {
        self.record(label, RowKind::Close);
        if let Some(connection) = self.open.get_mut(label) {
            connection.edit = None;
        }
    }

    /// Records an event of a connection, if it has edit access.
    fn record(&mut self, label: &str, kind: RowKind) {
        let connection = self.open.get(label);
        if let Some((identity, pair)) = connection.and_then(|open| Some((open.identity, open.edit?))) {
            self.connections.add_event(self.now, kind, pair, identity);
        }
    }

    pub(super) fn end(self, report: &mut Report) -> Recording {
        self.times.note(report);
        self.steps_back.note(report, "they count at the time of that line, as in `replay`");
        Recording::Connections(self.connections.build(report))
    }
}

/// Returns why a request that failed is not readable. Other requests that fail do not change a recording.
fn why_unreadable(request: &TraceRequest<'_>, error: u8) -> Option<String> {
    match (request.command().as_deref(), error) {
        (None, _) => Some("it has no command in `c`".to_owned()),
        (Some(command @ "open"), UNKNOWN | INCORRECT) | (Some(command @ ("close" | "lost")), INCORRECT) => {
            Some(format!("a replay refuses this `{command}`"))
        }
        _ => None,
    }
}

/// The errors of the door for a key or connection that is missing or not known, and for a request that is not correct.
const UNKNOWN: u8 = 1;
const INCORRECT: u8 = 5;

/// The members of a request.
struct TraceRequest<'a>(HashMap<String, &'a RawValue>);

impl<'a> TraceRequest<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(TraceRequest)
    }

    fn command(&self) -> Option<String> {
        self.text("c")
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    fn at(&self) -> Option<Timestamp> {
        self.0.get("at")?.get().parse().ok().map(Timestamp::from_millis)
    }

    fn user(&self) -> Option<String> {
        let user = TraceRequest::read(self.0.get("user")?.get().as_bytes())?;
        user.text("id")
    }
}
