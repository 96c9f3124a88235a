//! The callback: one message to the document storage.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::numbered;
use crate::ids::{DocumentKey, UserId};
use crate::time::{Timestamp, seconds};

numbered! {
    /// What a callback reports or asks for.
    pub enum Status {
        /// A connection with edit access joined or left, and the document is still open. Also the answer to `info`.
        Editing = 1,
        /// Save the document: the last editor left and it was changed since the last save of status 2.
        Save = 2,
        /// A save of status 2 was given up.
        SaveFailed = 3,
        /// The last editor left and the document was not changed since the last save of status 2. Also the answer to
        /// `info` for such a document.
        Closed = 4,
        /// Save the document while it is edited.
        ForceSave = 6,
        /// A force save of status 6 was given up.
        ForceSaveFailed = 7,
    }
}

numbered! {
    /// What a user did.
    pub enum ActionKind {
        /// A connection of the user left, or lost edit access.
        Left = 0,
        /// A connection of the user joined, with edit access.
        Joined = 1,
        /// The user asked for a force save.
        ForceSaveRequested = 2,
    }
}

numbered! {
    /// What asked for a force save.
    pub enum ForceSaveType {
        /// The `forcesave` command of the command service.
        Command = 0,
        /// A user who pressed the save button.
        Button = 1,
        /// The engine, by [`Config::force_save_interval`](crate::Config::force_save_interval).
        Timer = 2,
        /// A user who submitted a form.
        Form = 3,
    }
}

/// All statuses, in the order of their declaration.
pub(crate) const STATUSES: [Status; 6] = [
    Status::Editing,
    Status::Save,
    Status::SaveFailed,
    Status::Closed,
    Status::ForceSave,
    Status::ForceSaveFailed,
];

impl Status {
    /// Returns its index in [`STATUSES`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Status::Editing => 0,
            Status::Save => 1,
            Status::SaveFailed => 2,
            Status::Closed => 3,
            Status::ForceSave => 4,
            Status::ForceSaveFailed => 5,
        }
    }
}

/// One action of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What the user did.
    #[serde(rename = "type")]
    pub kind: ActionKind,
    /// The user.
    #[serde(rename = "userid")]
    pub user: UserId,
}

/// The user who made the changes of a [`Turn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The user's id.
    pub id: UserId,
    /// The user's name; `None` if the host gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
}

/// A run of consecutive changes by one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When the turn began, rounded down to whole seconds.
    #[serde(with = "seconds")]
    pub created: Timestamp,
    /// The user who made the changes.
    #[serde(rename = "user")]
    pub author: Author,
}

/// Who changed the document since its last save of status 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The turns, oldest first, at most [`Bounds::turns`](crate::Bounds::turns). Beyond that the two oldest are merged.
    pub changes: Vec<Turn>,
    /// The version of coedit.
    pub server_version: String,
}

/// One message to the document storage.
///
/// It serializes to the JSON object that callback handlers expect. A field that does not apply is absent, never `null`.
/// [`action`](Self::action) becomes an array `actions` with exactly one element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Callback {
    /// The document.
    pub key: DocumentKey,
    /// What the callback reports or asks for.
    pub status: Status,
    /// With status 1, the users with edit access right after the action, in order of joining. With status 2, 3, 6 and
    /// 7, the user who made the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserId>>,
    /// What a user did to cause this callback; `None` if no user caused it.
    #[serde(rename = "actions", default, skip_serializing_if = "Option::is_none", with = "one_action")]
    pub action: Option<Action>,
    /// The `userdata` of the request that this callback answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Arc<str>>,
    /// With status 6 and 7, what asked for the force save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forcesavetype: Option<ForceSaveType>,
    /// With status 2, 3, 6 and 7, the time of the last change that the save contains. It is read from
    /// [`Clock::coarse`](crate::Clock::coarse) unless there are timed force saves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lastsave: Option<Timestamp>,
    /// With status 2 and 3, true if an acknowledged force save already contains every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notmodified: Option<bool>,
    /// With status 2 and 3, who changed the document and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// The URL of the file in the host's storage. The engine leaves it empty; a host may set it before it forwards the
    /// callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file's extension, without a dot. Set by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filetype: Option<String>,
    /// The URL of the changes. Set by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changesurl: Option<String>,
    /// The URL of the data of a submitted form. Set by the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formsdataurl: Option<String>,
}

impl Callback {
    /// Makes a callback of `status` about the document `key`. Every other field is `None`.
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

/// How an answer to a [`Delivery`](crate::Delivery) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answered {
    /// The delivery was outstanding, and is settled.
    InTime,
    /// The delivery had run out, or a save had gone before it. It was a save itself, and holds changes that were still
    /// unsaved: they are saved now.
    LateSave,
    /// The delivery had run out, a save had gone before it, or the engine had ended. The answer changed nothing.
    Late,
}

/// Serde form of [`Callback::action`]: an array with exactly one element.
mod one_action {
    use super::{Action, Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde requires this signature")]
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
