//! Writes replies, callbacks and notices as JSON lines.

use serde::Serialize;
use serde_json::value::RawValue;

use super::labels::Labels;
use crate::access::{Access, ConnectionInfo, ConnectionState, Fence, Grant, Holder};
use crate::delivery::Delivery;
use crate::error::ErrorCode;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::license::License;
use crate::limits::LimitUses;
use crate::notice::Notice;
use crate::report::Remaining;
use crate::stats::Stats;
use crate::time::Timestamp;
use crate::token::ResumeToken;
use crate::usage::Usage;

/// The result of a command.
pub(super) type Outcome = Result<ReplyBody, ErrorCode>;

/// The key and the id of a request, which its reply repeats.
pub(super) type Echo<'a> = (Option<&'a RawValue>, Option<&'a RawValue>);

/// The members of a reply besides `error`, `key` and `id`.
pub(super) enum ReplyBody {
    Empty,
    Member(&'static str, serde_json::Value),
    Opened { label: String, grant: Grant, position: Option<u32>, token: Option<ResumeToken> },
    Granted { grant: Grant, position: Option<u32> },
    License(Box<License>),
    Usage(Option<Box<Usage>>),
    Holders(Vec<Holder>),
    Stats(Box<Stats>),
    Limits(Box<LimitUses>),
    Remaining(Remaining),
    Connections(Vec<ConnectionInfo>),
    Fences(Vec<Fence>),
}

/// A connection in a list.
#[derive(Serialize)]
struct ConnectionLine<'a> {
    connection: LabelOrId<'a>,
    user: &'a UserId,
    access: Access,
    state: ConnectionState,
    idle_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
}

/// The label of a connection, or its id if it has none.
#[derive(Serialize)]
#[serde(untagged)]
enum LabelOrId<'a> {
    Label(&'a str),
    Id(ConnectionId),
}

impl<'a> LabelOrId<'a> {
    fn of(id: ConnectionId, labels: &'a Labels) -> Self {
        labels.label_of(id).map_or(LabelOrId::Id(id), LabelOrId::Label)
    }
}

impl<'a> ConnectionLine<'a> {
    fn of(info: &'a ConnectionInfo, labels: &'a Labels) -> Self {
        ConnectionLine {
            connection: LabelOrId::of(info.connection, labels),
            user: info.user.id(),
            access: info.access,
            state: info.state,
            idle_ms: u64::try_from(info.idle.as_millis()).unwrap_or(u64::MAX),
            position: info.position,
        }
    }
}

/// A fence in a list.
#[derive(Serialize)]
struct FenceLine<'a> {
    key: &'a DocumentKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserId>,
    /// In milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl<'a> FenceLine<'a> {
    fn of(fence: &'a Fence) -> Self {
        let Fence { key, user, until } = fence;
        FenceLine { key, user: user.as_ref(), until: until.map(Timestamp::as_millis) }
    }
}

/// Appends lines to a buffer.
pub(super) struct LineWriter<'a>(pub(super) &'a mut Vec<u8>);

impl LineWriter<'_> {
    /// Writes the line of a reply, see [`reply_object`](Self::reply_object).
    pub(super) fn reply(&mut self, echo: Echo<'_>, outcome: &Outcome, labels: &Labels) {
        self.raw(r#"{"reply":"#);
        self.reply_object(echo, outcome, labels);
        self.raw("}\n");
    }

    /// Writes a reply. It repeats the key and the id of the request, if the request has them.
    pub(super) fn reply_object(&mut self, (key, id): Echo<'_>, outcome: &Outcome, labels: &Labels) {
        let error = outcome.as_ref().err().copied().unwrap_or(ErrorCode::None);
        self.raw(r#"{"error":"#);
        self.json(&error);
        for (name, value) in [("key", key), ("id", id)] {
            if let Some(value) = value {
                self.name(name);
                self.raw(value.get());
            }
        }
        match outcome {
            Err(_) | Ok(ReplyBody::Empty) => {}
            Ok(ReplyBody::Member(name, value)) => self.member(name, value),
            Ok(ReplyBody::Opened { label, grant, position, token }) => {
                self.member("connection", label);
                self.grant(*grant, *position);
                if let Some(token) = token {
                    self.member("token", &token.to_string());
                }
            }
            Ok(ReplyBody::Connections(connections)) => {
                let line = |info| ConnectionLine::of(info, labels);
                self.member("connections", &connections.iter().map(line).collect::<Vec<_>>());
            }
            Ok(ReplyBody::Stats(stats)) => self.member("stats", stats),
            Ok(ReplyBody::Limits(limits)) => self.limits(limits),
            Ok(ReplyBody::Fences(fences)) => {
                self.member("fences", &fences.iter().map(FenceLine::of).collect::<Vec<_>>());
            }
            Ok(ReplyBody::Granted { grant, position }) => self.grant(*grant, *position),
            Ok(ReplyBody::Usage(usage)) => self.member("usage", usage),
            Ok(ReplyBody::Holders(holders)) => self.member("holders", holders),
            Ok(ReplyBody::Remaining(remaining)) => {
                self.member("connections", &remaining.connections);
                self.member("documents", &remaining.documents);
            }
            Ok(ReplyBody::License(license)) => {
                self.member("license", &license.license);
                self.member("server", &license.server);
                self.member("quota", &license.quota);
            }
        }
        self.raw("}");
    }

    fn limits(&mut self, limits: &LimitUses) {
        let LimitUses { edit, live, document, user, max, users, users_view } = limits;
        for (name, limit) in [
            ("edit", edit),
            ("live", live),
            ("document", document),
            ("user", user),
            ("max", max),
            ("users", users),
            ("users_view", users_view),
        ] {
            self.member(name, limit);
        }
    }

    /// Writes a callback, and the number of its delivery.
    pub(super) fn callback(&mut self, delivery: &Delivery) {
        self.raw(r#"{"callback":"#);
        self.json(delivery.callback());
        self.member("delivery", &delivery.number());
        self.raw("}\n");
    }

    /// Writes a notice. It names a connection by its label, or by its id if the connection has no label.
    pub(super) fn notice(&mut self, notice: &Notice, labels: &Labels) {
        self.raw(r#"{"notice":"#);
        match notice {
            Notice::Dropped { connection, key, user, cause } => {
                self.raw(r#"{"type":"dropped""#);
                self.connection(*connection, labels);
                self.member("key", key);
                self.member("user", user);
                self.member("cause", cause);
                self.raw("}");
            }
            Notice::Disconnected { connection, key, user, cause, code } => {
                self.raw(r#"{"type":"disconnected""#);
                self.connection(*connection, labels);
                self.member("key", key);
                self.member("user", user);
                self.member("cause", cause);
                if let Some(code) = code {
                    self.member("code", code);
                }
                self.raw("}");
            }
            Notice::Access { connection, key, user, access, cause } => {
                self.raw(r#"{"type":"access""#);
                self.connection(*connection, labels);
                self.member("key", key);
                self.member("user", user);
                self.member("access", access);
                self.member("cause", cause);
                self.raw("}");
            }
            Notice::Expiring { connection, key, user, code, in_ms } => {
                self.raw(r#"{"type":"expiring""#);
                self.connection(*connection, labels);
                self.member("key", key);
                self.member("user", user);
                self.member("code", code);
                self.member("in_ms", in_ms);
                self.raw("}");
            }
            Notice::Meta { .. }
            | Notice::Joined(_)
            | Notice::Left(_)
            | Notice::Changed(_)
            | Notice::Storage { .. }
            | Notice::Saved { .. }
            | Notice::Limit { .. }
            | Notice::Missed { .. } => {
                self.json(notice);
            }
        }
        self.raw("}\n");
    }

    fn connection(&mut self, connection: ConnectionId, labels: &Labels) {
        self.member("connection", &LabelOrId::of(connection, labels));
    }

    fn grant(&mut self, grant: Grant, position: Option<u32>) {
        self.member("access", &grant.access);
        if let Some(reason) = grant.reason {
            self.member("reason", &reason);
        }
        if let Some(position) = position {
            self.member("position", &position);
        }
    }

    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        self.json(value);
    }

    fn name(&mut self, name: &str) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":");
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // This cannot fail: a `Vec` accepts every write, and the types written here serialize without errors.
        let written = serde_json::to_writer(&mut *self.0, value);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}
