//! The lines that go out.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::access::{Grant, Holder};
use crate::callback::Callback;
use crate::error::ErrorCode;
use crate::ids::ConnectionId;
use crate::license::License;
use crate::notice::Notice;
use crate::usage::Usage;

/// The outcome of a command: the code, or what the reply adds.
pub(super) type Outcome = Result<Answer, ErrorCode>;

/// What a reply adds to `error`, `key` and `id`.
pub(super) enum Answer {
    Nothing,
    Member(&'static str, serde_json::Value),
    Opened { label: String, grant: Grant },
    WouldAdmit(Grant),
    License(Box<License>),
    Usage(Option<Box<Usage>>),
    Holders(Vec<Holder>),
}

/// Appends lines.
pub(super) struct Out<'a>(pub(super) &'a mut Vec<u8>);

impl Out<'_> {
    /// The reply to a request whose key and id, if it had them, are sent back as they came.
    pub(super) fn reply(&mut self, key: Option<&RawValue>, id: Option<&RawValue>, outcome: &Outcome) {
        let error = outcome.as_ref().err().copied().unwrap_or(ErrorCode::None);
        self.raw(r#"{"reply":{"error":"#);
        self.json(&error);
        for (name, value) in [("key", key), ("id", id)] {
            if let Some(value) = value {
                self.name(name);
                self.raw(value.get());
            }
        }
        match outcome {
            Err(_) | Ok(Answer::Nothing) => {}
            Ok(Answer::Member(name, value)) => self.member(name, value),
            Ok(Answer::Opened { label, grant }) => {
                self.member("connection", label);
                self.grant(*grant);
            }
            Ok(Answer::WouldAdmit(grant)) => self.grant(*grant),
            Ok(Answer::Usage(usage)) => self.member("usage", usage),
            Ok(Answer::Holders(holders)) => self.member("holders", holders),
            Ok(Answer::License(license)) => {
                self.member("license", &license.license);
                self.member("server", &license.server);
                self.member("quota", &license.quota);
            }
        }
        self.raw("}}\n");
    }

    pub(super) fn callback(&mut self, callback: &Callback) {
        self.raw(r#"{"callback":"#);
        self.json(callback);
        self.raw("}\n");
    }

    /// A notice, in which a connection goes by its label, or by its id if it was not opened here.
    pub(super) fn notice<'l>(&mut self, notice: &Notice, label_of: impl Fn(ConnectionId) -> Option<&'l str>) {
        self.raw(r#"{"notice":"#);
        match notice {
            Notice::Dropped { connection, key, user } => {
                self.raw(r#"{"type":"dropped""#);
                match label_of(*connection) {
                    Some(label) => self.member("connection", label),
                    None => self.member("connection", connection),
                }
                self.member("key", key);
                self.member("user", user);
                self.raw("}");
            }
            Notice::Meta { .. } | Notice::Storage { .. } | Notice::Limit { .. } => self.json(notice),
        }
        self.raw("}\n");
    }

    fn grant(&mut self, grant: Grant) {
        self.member("access", &grant.access);
        if let Some(reason) = grant.reason {
            self.member("reason", &reason);
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
        // Neither a vector nor the types that go out can fail to be written.
        let written = serde_json::to_writer(&mut *self.0, value);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}
