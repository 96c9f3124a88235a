//! Replays a trace without a limit and records when its edit connections open and close.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::Path;

use coedit::capacity::{Observed, ObservedConnection};
use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Config, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::bad_argument;
use crate::input::Input;
use crate::output::answer;

/// A trace after its replay.
pub(crate) struct Trace {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) observed: Observed,
    /// The number of different users with an edit connection.
    pub(crate) users: u32,
}

impl Trace {
    /// Replays a file of requests. Returns an error if the file cannot be read or has no edit connection.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut input = Input::open(path)?;
        let mut lines = Lines::default();
        let mut replay = TraceReplay::new()?;
        while let Some(bytes) = input.next()? {
            lines.feed(bytes, |line| replay.line(line));
        }
        lines.end(|line| replay.line(line));
        let name = path.display().to_string();
        if replay.observed.opens() == 0 {
            let message = format!("{name}: nobody opens a document for editing");
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        // The record ends at the last line, also if that line opens and closes nothing.
        replay.observed.extend(replay.now);
        let users = u32::try_from(replay.users.len()).unwrap_or(u32::MAX);
        Ok(Trace { name, observed: replay.observed, users })
    }
}

/// Runs the requests through a door and reads the replies, so that the door alone decides what a request means.
struct TraceReplay {
    door: Door,
    observed: Observed,
    /// The label of each open connection, and its record while it has edit access.
    open: HashMap<String, Option<ObservedConnection>>,
    users: HashSet<String>,
    /// The latest `at` of the requests that succeeded.
    now: Timestamp,
    out: Vec<u8>,
}

/// A line that the door wrote. Callbacks are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DoorLine {
    Reply { error: u8, connection: Option<String>, access: Option<String> },
    Notice { r#type: String, connection: Option<String> },
}

impl TraceReplay {
    fn new() -> io::Result<Self> {
        Ok(TraceReplay {
            door: Door::replay(Config::new(), Acknowledge::Auto).map_err(bad_argument)?,
            observed: Observed::new(),
            open: HashMap::new(),
            users: HashSet::new(),
            now: Timestamp::default(),
            out: Vec::new(),
        })
    }

    fn line(&mut self, line: Option<&[u8]>) {
        let mut out = std::mem::take(&mut self.out);
        answer(&mut self.door, line, &mut out);
        for written in out.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{\"callback")) {
            match serde_json::from_slice(written) {
                Ok(DoorLine::Reply { error: 0, connection, access }) => {
                    let request = line.and_then(TraceRequest::read).unwrap_or_default();
                    self.succeeded(&request, connection.zip(access));
                }
                Ok(DoorLine::Notice { r#type, connection: Some(label) }) if r#type == "dropped" => {
                    let connection = self.open.get_mut(&label).and_then(Option::take);
                    self.record_close(connection);
                }
                _ => {}
            }
        }
        out.clear();
        self.out = out;
    }

    /// Records a request that succeeded. `opened` is the label and the access if the request was an open.
    fn succeeded(&mut self, request: &TraceRequest<'_>, opened: Option<(String, String)>) {
        self.now = self.now.max(request.at());
        if let Some((label, access)) = opened {
            // An open with a label that is open already has the same reply as the first and changes nothing.
            if let Entry::Vacant(entry) = self.open.entry(label) {
                let edits = access == "edit";
                entry.insert(edits.then(|| self.observed.record_open(self.now)));
                self.users.extend(request.user().filter(|_| edits));
            }
        } else if matches!(request.text("c").as_deref(), Some("close" | "lost")) {
            let label = request.text("connection");
            let connection = label.and_then(|label| self.open.remove(&label)).flatten();
            self.record_close(connection);
        }
    }

    fn record_close(&mut self, connection: Option<ObservedConnection>) {
        if let Some(connection) = connection {
            self.observed.record_close(connection, self.now);
        }
    }
}

/// The members of a request that succeeded. The door has checked those that the command needs.
#[derive(Default)]
struct TraceRequest<'a>(HashMap<String, &'a RawValue>);

impl<'a> TraceRequest<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(TraceRequest)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// Returns the time of the request, or the epoch if the request has no valid time. The epoch moves no clock.
    fn at(&self) -> Timestamp {
        let millis = self.0.get("at").and_then(|at| at.get().parse().ok());
        Timestamp::from_millis(millis.unwrap_or_default())
    }

    fn user(&self) -> Option<String> {
        let user = TraceRequest::read(self.0.get("user")?.get().as_bytes())?;
        user.text("id")
    }
}
