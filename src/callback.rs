//! What goes out to the document storage.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::numbered;
use crate::ids::{DocumentKey, UserId};
use crate::time::{Timestamp, seconds};

numbered! {
    /// What a callback is about.
    pub enum Status {
        /// Somebody edits: a connection with edit access came or went. Also answers `info`.
        Editing = 1,
        /// The last editor went and something was changed: save it.
        Save = 2,
        /// The save of status 2 was given up.
        SaveFailed = 3,
        /// The last editor went and nothing was changed.
        Closed = 4,
        /// Save, and go on editing.
        ForceSave = 6,
        /// The save of status 6 was given up.
        ForceSaveFailed = 7,
    }
}

numbered! {
    /// What a user did.
    pub enum ActionKind {
        /// Left, or lost edit access.
        Left = 0,
        /// Came with edit access.
        Came = 1,
        /// Asked for a force save.
        AskedForSave = 2,
    }
}

numbered! {
    /// What a force save came from.
    pub enum ForceSaveType {
        /// The command of the command service.
        Command = 0,
        /// The save button of an editor.
        Button = 1,
        /// The engine's timer, see [`Config::force_save_interval`](crate::Config::force_save_interval).
        Timer = 2,
        /// A form that was submitted.
        Form = 3,
    }
}

/// One thing that one user did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What it was.
    #[serde(rename = "type")]
    pub kind: ActionKind,
    /// Who did it.
    #[serde(rename = "userid")]
    pub user: UserId,
}

/// Who made a turn of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The user's id.
    pub id: UserId,
    /// The user's name, if the host gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
}

/// Consecutive changes of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When the turn began, in whole seconds.
    #[serde(with = "seconds")]
    pub created: Timestamp,
    /// Whose it is.
    #[serde(rename = "user")]
    pub author: Author,
}

/// Who changed the document, turn by turn, since its last save of status 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The turns, oldest first. Past [`Bounds::turns`](crate::Bounds::turns) the two oldest become one.
    pub changes: Vec<Turn>,
    /// The version of coedit.
    pub server_version: String,
}

/// One message to the document storage.
///
/// Serialized it is the JSON object that callback handlers know. A member that does not apply is absent, never `null`;
/// `actions` on the wire is an array that holds exactly [`action`](Self::action).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Callback {
    /// The document.
    pub key: DocumentKey,
    /// What it is about.
    pub status: Status,
    /// Status 1: who edits right after the action, in order of joining. Status 2, 3, 6, 7: who changed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserId>>,
    /// What happened, if somebody did something.
    #[serde(rename = "actions", default, skip_serializing_if = "Option::is_none", with = "one_action")]
    pub action: Option<Action>,
    /// What came with the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Arc<str>>,
    /// Status 6 and 7: what the force save came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forcesavetype: Option<ForceSaveType>,
    /// Status 2, 3, 6, 7: the time of the last change that the save holds, by the clock's
    /// [coarse](crate::Clock::coarse) time where no timer saves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lastsave: Option<Timestamp>,
    /// Status 2 and 3: whether a force save already holds everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notmodified: Option<bool>,
    /// Status 2 and 3: who changed what when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Where the file is, in the host's storage. The host adds it before it forwards the callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file's type, without a dot. The host adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filetype: Option<String>,
    /// Where the changes are. The host adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changesurl: Option<String>,
    /// Where a submitted form's data is. The host adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formsdataurl: Option<String>,
}

impl Callback {
    /// A callback of `status` on `key`, with every other member absent.
    #[inline]
    pub fn new(key: DocumentKey, status: Status) -> Self {
        Callback {
            key,
            status,
            users: None,
            action: None,
            userdata: None,
            forcesavetype: None,
            lastsave: None,
            notmodified: None,
            history: None,
            url: None,
            filetype: None,
            changesurl: None,
            formsdataurl: None,
        }
    }
}

/// The wire's array of exactly one action.
mod one_action {
    use super::{Action, Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        action: &Option<Action>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        action.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Action>, D::Error> {
        let [action] = <[Action; 1]>::deserialize(deserializer)
            .map_err(|error| de::Error::custom(format_args!("actions must hold exactly one: {error}")))?;
        Ok(Some(action))
    }
}
