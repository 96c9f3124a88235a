//! A trace, replayed without a limit, and who came and went in it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::Path;

use coedit::capacity::{Observed, Seat};
use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Config, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;
use crate::input::Input;
use crate::options::refused;

/// What was seen in a trace.
pub(crate) struct Trace {
    /// The file.
    pub(crate) name: String,
    pub(crate) observed: Observed,
    /// Different users among those who opened anything for editing.
    pub(crate) users: u32,
}

impl Trace {
    /// Replays a file of requests. Errors if it cannot be read, or nobody edits in it.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut input = Input::open(path)?;
        let mut lines = Lines::default();
        let mut replay = Replay::new()?;
        while let Some(bytes) = input.next()? {
            lines.feed(bytes, |line| replay.line(line));
        }
        lines.end(|line| replay.line(line));
        let name = path.display().to_string();
        if replay.observed.opens() == 0 {
            let what = format!("{name}: nobody opens a document for editing");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        // The record goes on to its last line, whatever that was.
        replay.observed.until(replay.now);
        let users = u32::try_from(replay.users.len()).unwrap_or(u32::MAX);
        Ok(Trace { name, observed: replay.observed, users })
    }
}

/// The door decides what each line means; this follows its answers.
struct Replay {
    door: Door,
    observed: Observed,
    /// The open labels, with what they hold while they may edit.
    open: HashMap<String, Option<Seat>>,
    users: HashSet<String>,
    /// The latest `at` of the lines that were answered without an error.
    now: Timestamp,
    out: Vec<u8>,
}

/// A line of the door, of which callbacks are not read.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Reply { error: u8, connection: Option<String>, access: Option<String> },
    Notice { r#type: String, connection: Option<String> },
}

impl Replay {
    fn new() -> io::Result<Self> {
        Ok(Replay {
            door: Door::replay(Config::new(), Acknowledge::Auto).map_err(refused)?,
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
        for said in out.split(|byte| *byte == b'\n').filter(|said| !said.starts_with(b"{\"callback")) {
            match serde_json::from_slice(said) {
                Ok(Said::Reply { error: 0, connection, access }) => {
                    let request = line.and_then(Request::read).unwrap_or_default();
                    self.done(&request, connection.zip(access));
                }
                Ok(Said::Notice { r#type, connection: Some(label) }) if r#type == "dropped" => {
                    let seat = self.open.get_mut(&label).and_then(Option::take);
                    self.gone(seat);
                }
                _ => {}
            }
        }
        out.clear();
        self.out = out;
    }

    /// A request was carried out; `opened` has the label and the access if it was one to open.
    fn done(&mut self, request: &Request<'_>, opened: Option<(String, String)>) {
        self.now = self.now.max(request.at());
        if let Some((label, access)) = opened {
            // Opened once more it is answered as the first time, and nothing happened.
            if let Entry::Vacant(place) = self.open.entry(label) {
                let edits = access == "edit";
                place.insert(edits.then(|| self.observed.came(self.now)));
                self.users.extend(request.user().filter(|_| edits));
            }
        } else if matches!(request.text("c").as_deref(), Some("close" | "lost")) {
            let seat = request.text("connection").and_then(|label| self.open.remove(&label)).flatten();
            self.gone(seat);
        }
    }

    fn gone(&mut self, seat: Option<Seat>) {
        if let Some(seat) = seat {
            self.observed.gone(seat, self.now);
        }
    }
}

/// The members of a request that was carried out, so that each is well-formed where its command needs it.
#[derive(Default)]
struct Request<'a>(HashMap<String, &'a RawValue>);

impl<'a> Request<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Request)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// The epoch, which moves nothing, where there is none or an earlier one.
    fn at(&self) -> Timestamp {
        let millis = self.0.get("at").and_then(|at| at.get().parse().ok());
        Timestamp::from_millis(millis.unwrap_or_default())
    }

    fn user(&self) -> Option<String> {
        let user = Request::read(self.0.get("user")?.get().as_bytes())?;
        user.text("id")
    }
}
