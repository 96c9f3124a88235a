//! Puts opens and closes in order of time, and pairs them.

use std::collections::{HashMap, VecDeque};

use coedit::Timestamp;

use super::recording::{Connections, Event, EventKind, Identity};
use super::report::Report;

/// Collects the rows of a file and pairs opens with closes.
#[derive(Debug, Default)]
pub(super) struct ConnectionsBuilder {
    rows: Vec<Row>,
    users: Numbers,
    documents: Numbers,
    labels: Numbers,
    viewers: u64,
    end: Timestamp,
}

/// One open, change or close.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: Timestamp,
    order: Order,
    kind: RowKind,
    pair: Pair,
    identity: Identity,
}

/// The order of rows of the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// The end of an interval comes before what begins then.
    IntervalEnds,
    /// Events keep the order of their lines.
    AsWritten,
    EmptyIntervalEnds,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RowKind {
    Open,
    /// An open for view access. Its close has to be known for what it is.
    OpenView,
    Change,
    Close,
}

/// What an open and its close have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pair {
    /// The name of the connection.
    Label(u32),
    /// Without such a name, the first open of a user and document is closed first.
    Identity(Identity),
    /// Both are on one line.
    Line(u32),
}

/// Numbers for texts, in order of appearance.
#[derive(Debug, Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn of(&mut self, text: &str) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(text.to_owned(), number);
        number
    }
}

impl ConnectionsBuilder {
    pub(super) fn identity(&mut self, user: Option<&str>, document: Option<&str>) -> Identity {
        Identity {
            user: user.map(|user| self.users.of(user)),
            document: document.map(|document| self.documents.of(document)),
        }
    }

    /// Returns the pair of an event. `label` is the name of the connection, if there are names.
    pub(super) fn pair(&mut self, label: Option<&str>, identity: Identity) -> Pair {
        label.map_or(Pair::Identity(identity), |label| Pair::Label(self.labels.of(label)))
    }

    pub(super) fn add_event(&mut self, at: Timestamp, kind: RowKind, pair: Pair, identity: Identity) {
        self.push(Row { at, order: Order::AsWritten, kind, pair, identity });
    }

    /// Adds a connection with edit access. It stays open if it has no `close`.
    pub(super) fn add_interval(&mut self, open: Timestamp, close: Option<Timestamp>, identity: Identity) {
        let pair = Pair::Line(u32::try_from(self.rows.len()).unwrap_or(u32::MAX));
        self.push(Row { at: open, order: Order::AsWritten, kind: RowKind::Open, pair, identity });
        if let Some(at) = close {
            let order = if at > open { Order::IntervalEnds } else { Order::EmptyIntervalEnds };
            self.push(Row { at, order, kind: RowKind::Close, pair, identity });
        }
    }

    /// Counts a connection that has view access from its open on, up to `end`.
    pub(super) fn skip_viewer(&mut self, end: Timestamp) {
        self.viewers += 1;
        self.extend(end);
    }

    /// Takes note of a time at which nothing opens or closes.
    pub(super) fn extend(&mut self, at: Timestamp) {
        self.end = self.end.max(at);
    }

    fn push(&mut self, row: Row) {
        self.extend(row.at);
        self.rows.push(row);
    }

    /// Puts everything in order of time and pairs it. Adds to the report what does not fit.
    pub(super) fn build(mut self, report: &mut Report) -> Connections {
        self.rows.sort_by_key(|row| (row.at, row.order));
        let mut pairing = Pairing { viewers: self.viewers, ..Pairing::default() };
        for row in &self.rows {
            pairing.add(row);
        }
        pairing.note(report);
        let Pairing { events, identities, .. } = pairing;
        let users = count_all(identities.iter().map(|identity| identity.user));
        let documents = count_all(identities.iter().map(|identity| identity.document));
        Connections { events, identities, users, documents, end: self.end }
    }
}

/// Returns the number of different values, or `None` if one is not known.
fn count_all(values: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    let mut seen: Vec<u32> = values.collect::<Option<_>>()?;
    seen.sort_unstable();
    seen.dedup();
    u32::try_from(seen.len()).ok()
}

#[derive(Default)]
struct Pairing {
    events: Vec<Event>,
    identities: Vec<Identity>,
    /// What is open, in order of opening. `None` is a connection without edit access.
    open: HashMap<Pair, VecDeque<Option<u32>>>,
    viewers: u64,
    repeated: u64,
    never_opened: u64,
}

impl Pairing {
    fn add(&mut self, row: &Row) {
        let open = self.open.entry(row.pair).or_default();
        match row.kind {
            // As at the door, an open with the label of an open connection changes nothing.
            RowKind::Open | RowKind::OpenView if matches!(row.pair, Pair::Label(_)) && !open.is_empty() => {
                self.repeated += 1;
            }
            RowKind::Open => {
                let connection = u32::try_from(self.identities.len()).unwrap_or(u32::MAX);
                open.push_back(Some(connection));
                self.identities.push(row.identity);
                self.events.push(Event { at: row.at, connection, kind: EventKind::Open });
            }
            RowKind::OpenView => {
                open.push_back(None);
                self.viewers += 1;
            }
            RowKind::Change => {
                let connection = open.front().copied().flatten();
                let event = |connection| Event { at: row.at, connection, kind: EventKind::Change };
                self.events.extend(connection.map(event));
            }
            RowKind::Close => match open.pop_front() {
                Some(connection) => {
                    let event = |connection| Event { at: row.at, connection, kind: EventKind::Close };
                    self.events.extend(connection.map(event));
                }
                None => self.never_opened += 1,
            },
        }
    }

    fn note(&self, report: &mut Report) {
        report.note_count(
            self.viewers,
            "open is view-only and does not count",
            "opens are view-only and do not count",
        );
        report.note_count(
            self.repeated,
            "open names a connection that is open already: it changes nothing",
            "opens name a connection that is open already: they change nothing",
        );
        report.note_count(
            self.never_opened,
            "close has no open before it: it does not count",
            "closes have no open before them: they do not count",
        );
        let open = self.open.values().flatten().flatten().count();
        report.note_count(
            open as u64,
            "connection never closes: it is open up to the end",
            "connections never close: they are open up to the end",
        );
    }
}
