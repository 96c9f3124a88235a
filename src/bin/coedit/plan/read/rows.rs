//! What the fields of a line mean, for every format whose lines have named fields.

use coedit::Timestamp;

use super::connections::{ConnectionsBuilder, RowKind};
use super::event_names::EventNames;
use super::levels::LevelsBuilder;
use super::recording::Recording;
use super::report::{Report, StepsBack, quoted};
use super::roles::{Layout, Role};
use super::times::{TimeFormat, TimeReader};

/// The fields of one line.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) layout: &'a Layout,
    pub(super) values: &'a [&'a str],
}

impl<'a> Fields<'a> {
    /// Returns the first field of a role that is not empty.
    fn get(self, role: Role) -> Option<&'a str> {
        self.all(role).find(|value| !value.is_empty())
    }

    fn all(self, role: Role) -> impl Iterator<Item = &'a str> {
        let fields = self.layout.positions(role).filter_map(move |position| self.values.get(position));
        fields.map(|value| value.trim())
    }

    fn needed(self, role: Role) -> Result<&'a str, String> {
        self.get(role).ok_or_else(|| format!("the {} is missing", role.name()))
    }
}

/// What one line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An open or a close.
    Events,
    /// A connection from its open to its close.
    Intervals,
    /// The number of connections at a time.
    Levels,
}

impl Shape {
    /// Returns the shape that the known fields allow.
    pub(super) fn of(layout: &Layout) -> Option<Self> {
        let has = |role| layout.positions(role).next().is_some();
        if has(Role::Time) && has(Role::Event) {
            Some(Shape::Events)
        } else if has(Role::Open) && (has(Role::Close) || has(Role::Duration))
            || has(Role::Close) && has(Role::Duration)
        {
            Some(Shape::Intervals)
        } else {
            (has(Role::Time) && has(Role::Level)).then_some(Shape::Levels)
        }
    }
}

/// Reads lines of one shape.
#[derive(Debug)]
pub(super) struct RowReader {
    shape: Shape,
    times: TimeReader,
    names: EventNames,
    connections: ConnectionsBuilder,
    levels: LevelsBuilder,
    steps_back: StepsBack,
    other_events: u64,
}

impl RowReader {
    pub(super) fn new(shape: Shape, format: TimeFormat, names: EventNames) -> Self {
        RowReader {
            shape,
            times: TimeReader::new(format),
            names,
            connections: ConnectionsBuilder::default(),
            levels: LevelsBuilder::default(),
            steps_back: StepsBack::default(),
            other_events: 0,
        }
    }

    /// Reads one line. The error says why it is not readable.
    pub(super) fn read(&mut self, fields: Fields<'_>) -> Result<(), String> {
        match self.shape {
            Shape::Events => self.event(fields),
            Shape::Intervals => self.interval(fields),
            Shape::Levels => self.level(fields),
        }
    }

    fn event(&mut self, fields: Fields<'_>) -> Result<(), String> {
        let at = self.times.read(fields.needed(Role::Time)?)?;
        let (name, edits) = (fields.needed(Role::Event)?, edits(fields)?);
        let kind = match self.names.find(name)? {
            None => {
                self.other_events += 1;
                self.connections.extend(at);
                return Ok(());
            }
            Some(RowKind::Open) if !edits => RowKind::OpenView,
            Some(kind) => kind,
        };
        let identity = self.connections.identity(fields.get(Role::User), fields.get(Role::Document));
        let pair = self.connections.pair(fields.get(Role::Connection), identity);
        self.steps_back.add(at.as_millis());
        self.connections.add_event(at, kind, pair, identity);
        Ok(())
    }

    fn interval(&mut self, fields: Fields<'_>) -> Result<(), String> {
        let edits = edits(fields)?;
        let length = fields.get(Role::Duration).map(duration).transpose()?;
        let mut time = |role| fields.get(role).map(|text| self.times.read(text)).transpose();
        let (open, close) = (time(Role::Open)?, time(Role::Close)?);
        let (open, close) = match (open, close, length) {
            (Some(open), Some(close), _) if close < open => {
                return Err("it closes before it opens".to_owned());
            }
            (Some(open), Some(close), _) => (open, Some(close)),
            (Some(open), None, length) => (open, length.map(|length| shifted(open, length)).transpose()?),
            (None, Some(close), Some(length)) => (shifted(close, -length)?, Some(close)),
            (None, ..) => return Err("it has no time at which it opens".to_owned()),
        };
        if edits {
            let identity = self.connections.identity(fields.get(Role::User), fields.get(Role::Document));
            self.connections.add_interval(open, close, identity);
        } else {
            self.connections.skip_viewer(close.unwrap_or(open));
        }
        Ok(())
    }

    fn level(&mut self, fields: Fields<'_>) -> Result<(), String> {
        let at = self.times.read(fields.needed(Role::Time)?)?;
        fields.needed(Role::Level)?;
        self.steps_back.add(at.as_millis());
        self.levels.add_all(at, fields.all(Role::Level).filter(|level| !level.is_empty()))
    }

    /// Ends the file. Adds to the report what is odd in it.
    pub(super) fn end(self, report: &mut Report) -> Recording {
        self.times.note(report);
        self.steps_back.note(report, "they were put in order");
        report.note_count(
            self.other_events,
            "event has a name that `--events` does not have: it does not count",
            "events have names that `--events` does not have: they do not count",
        );
        match self.shape {
            Shape::Levels => Recording::Levels(self.levels.build(report)),
            Shape::Events | Shape::Intervals => Recording::Connections(self.connections.build(report)),
        }
    }
}

/// Returns true if the line is about a connection with edit access. Without a field for it, every line is.
fn edits(fields: Fields<'_>) -> Result<bool, String> {
    match fields.get(Role::Access) {
        None => Ok(true),
        Some(access) if access.eq_ignore_ascii_case("edit") => Ok(true),
        Some(access) if VIEWS.iter().any(|view| access.eq_ignore_ascii_case(view)) => Ok(false),
        Some(access) => Err(format!("the access {} is neither edit nor view", quoted(access))),
    }
}

/// The names of access without editing.
const VIEWS: [&str; 3] = ["view", "liveview", "live"];

/// Reads a duration in seconds. Returns it in milliseconds.
fn duration(text: &str) -> Result<i64, String> {
    let seconds: Option<f64> = text.parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    let seconds =
        seconds.ok_or_else(|| format!("the duration {} is not a number of seconds", quoted(text)))?;
    Ok(rounded(seconds * 1000.0))
}

/// The longest duration in seconds: about 317 years.
const SECONDS_MAX: f64 = 1e10;

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn rounded(millis: f64) -> i64 {
    millis.round() as i64
}

fn shifted(at: Timestamp, millis: i64) -> Result<Timestamp, String> {
    let shifted = at.as_millis().checked_add_signed(millis).filter(|at| *at <= Timestamp::MAX.as_millis());
    shifted.map(Timestamp::from_millis).ok_or_else(|| "the duration reaches out of 1970 to 9999".to_owned())
}
