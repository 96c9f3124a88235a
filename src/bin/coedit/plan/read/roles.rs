//! Which column of a file, or which variable of a log format, has which part in a line.

use std::str::FromStr;

use super::report::quoted;

/// The part of a field in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The time of an event or of a sample.
    Time,
    Event,
    /// The time at which a connection opens.
    Open,
    /// The time at which a connection closes.
    Close,
    /// How long a connection is open, in seconds.
    Duration,
    User,
    Document,
    /// The name of a connection, to pair its close with its open.
    Connection,
    /// `edit` or `view`.
    Access,
    /// A number of connections.
    Level,
}

/// Each role with its name, and the columns that have it if the command line does not name one.
const ROLES: [(Role, &str, &[&str]); 10] = [
    (Role::Time, "time", &["time", "timestamp", "at", "datetime", "date"]),
    (Role::Event, "event", &["event", "action", "c"]),
    (Role::Open, "open", &["open", "opened", "start", "started", "begin"]),
    (Role::Close, "close", &["close", "closed", "end", "ended"]),
    (Role::Duration, "duration", &["duration", "seconds"]),
    (Role::User, "user", &["user", "user_id", "userid", "username"]),
    (Role::Document, "document", &["document", "document_id", "doc", "key", "file"]),
    (Role::Connection, "connection", &["connection", "connection_id", "session", "session_id"]),
    (Role::Access, "access", &["access", "mode"]),
    (Role::Level, "level", &["level", "value", "connections"]),
];

impl Role {
    pub(super) fn name(self) -> &'static str {
        ROLES.iter().find(|(role, ..)| *role == self).map_or("field", |(_, name, _)| name)
    }
}

/// The columns that the command line names, each with its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns(pub(super) Vec<(Role, String)>);

impl FromStr for Columns {
    type Err = String;

    /// Reads `user=email,open=started`.
    fn from_str(text: &str) -> Result<Self, String> {
        let pairs = text.split(',').map(|pair| {
            let (name, column) =
                pair.split_once('=').ok_or_else(|| format!("{} has no `=`", quoted(pair)))?;
            let role = ROLES.iter().find(|(_, role, _)| *role == name.trim()).map(|(role, ..)| *role);
            let known = ROLES.map(|(_, name, _)| name).join(", ");
            let role = role.ok_or_else(|| format!("{} is none of {known}", quoted(name)))?;
            Ok((role, column.trim().to_owned()))
        });
        pairs.collect::<Result<_, _>>().map(Columns)
    }
}

/// The positions of the fields that count, each with its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout(Vec<(Role, usize)>);

impl Layout {
    /// Finds the columns in a heading. The error names a column of the command line that is not there.
    pub(super) fn of_heading(heading: &[&str], columns: &Columns) -> Result<Self, String> {
        let mut layout = Layout::of_named(heading, columns)?;
        for (role, _, usual) in ROLES {
            let named = columns.0.iter().any(|(named, _)| *named == role);
            let position = usual.iter().find_map(|usual| find(heading, usual));
            if let Some(position) = position.filter(|position| !named && !layout.uses(*position)) {
                layout.0.push((role, position));
            }
        }
        Ok(layout)
    }

    /// Finds only the columns that the command line names.
    pub(super) fn of_named(heading: &[&str], columns: &Columns) -> Result<Self, String> {
        let positions = columns.0.iter().map(|(role, column)| {
            let missing = || format!("no column {}; there are: {}", quoted(column), listed(heading));
            Ok((*role, find(heading, column).ok_or_else(missing)?))
        });
        positions.collect::<Result<_, String>>().map(Layout)
    }

    /// Gives a role to the first of some fields that is there, unless it has a field.
    pub(super) fn add_default(&mut self, role: Role, heading: &[&str], fields: &[&str]) {
        if self.positions(role).next().is_none() {
            let position = fields.iter().find_map(|field| find(heading, field));
            self.0.extend(position.map(|position| (role, position)));
        }
    }

    pub(super) fn positions(&self, role: Role) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().filter(move |(found, _)| *found == role).map(|(_, position)| *position)
    }

    fn uses(&self, position: usize) -> bool {
        self.0.iter().any(|(_, used)| *used == position)
    }
}

fn find(heading: &[&str], column: &str) -> Option<usize> {
    heading.iter().position(|name| name.trim().eq_ignore_ascii_case(column))
}

/// Lists the columns of a heading.
pub(super) fn listed(heading: &[&str]) -> String {
    let columns: Vec<String> = heading.iter().take(LISTED).map(|column| quoted(column.trim())).collect();
    let more = if heading.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", columns.join(", "))
}

/// The highest number of columns that are listed.
const LISTED: usize = 20;
