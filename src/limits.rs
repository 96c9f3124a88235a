//! Limits: what they count, their bounds, and how much of each is in use.

use serde::{Deserialize, Serialize};

/// The largest limit that can be set. The value above it stands for "no limit" in a packed counter.
pub(crate) const LIMIT_MAX: u32 = u32::MAX - 1;
/// The largest [`NamedUsers::expire_days`].
pub(crate) const EXPIRE_DAYS_MAX: u32 = 36_500;

/// Returns true if `limit` can be set.
pub(crate) fn limit_fits(limit: Option<u32>) -> bool {
    limit.is_none_or(|limit| limit <= LIMIT_MAX)
}

/// A limit and how much of it is in use.
///
/// A limit of edit or live-view access counts connections, or users of documents with
/// [`SeatCount::UsersOfDocuments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The most that may be in use; `None` means no limit.
    pub limit: Option<u32>,
    /// How many are in use now. Above `limit` if the limit was lowered.
    pub in_use: u32,
}

/// The limits in force, as [`Engine::limits`](crate::Engine::limits) returns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Connections with edit access.
    pub edit: Limit,
    /// Connections with live-view access.
    pub live: Limit,
    /// Connections with edit access to one document; `None` means no limit.
    pub document: Option<u32>,
    /// Connections with edit access of one user, over all documents; `None` means no limit.
    pub user: Option<u32>,
    /// All connections, viewers included. Counted with and without a limit.
    pub connections: Limit,
    /// Named users.
    pub named_users: NamedUsers,
    /// How many wait at each limit.
    pub waiting: Waiting,
}

/// One limit, how much of it is in use, and who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitUse {
    /// The most that may be in use; `None` means no limit.
    pub limit: Option<u32>,
    /// How many are in use now: of the limits of a document and of a user, in the fullest one. Above `limit` if the limit
    /// was lowered.
    pub in_use: u32,
    /// How many viewers wait, over all documents or users. `None` for a limit at which nobody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
}

/// Every limit and its use, as [`Engine::limit_uses`](crate::Engine::limit_uses) returns them and the command `limits` writes
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitUses {
    /// Connections with edit access.
    pub edit: LimitUse,
    /// Connections with live-view access.
    pub live: LimitUse,
    /// Connections with edit access to one document.
    pub document: LimitUse,
    /// Connections with edit access of one user, over all documents.
    pub user: LimitUse,
    /// All connections, viewers included.
    pub max: LimitUse,
    /// Named users with edit access. Without a limit nobody is counted.
    pub users: LimitUse,
    /// Named users with live-view access. Without a limit nobody is counted.
    pub users_view: LimitUse,
}

impl Limit {
    pub(crate) fn with_waiting(self, waiting: Option<u32>) -> LimitUse {
        LimitUse { limit: self.limit, in_use: self.in_use, waiting }
    }
}

/// How many viewers wait for edit access, by the limit that stops them, see
/// [`Engine::request_edit`](crate::Engine::request_edit). Those who are lost are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// At the limit of the whole engine.
    pub edit: u32,
    /// At the limit of their document, over all documents.
    pub document: u32,
    /// At the limit of their user, over all users.
    pub user: u32,
    /// For the end of a save, over all documents.
    pub saving: u32,
}

/// What takes a seat of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SeatCount {
    /// Each connection takes one seat.
    #[default]
    Connections,
    /// Each user takes one seat on each document, for all connections with the same access together.
    UsersOfDocuments,
}

/// How many different users may be given access within a number of days.
///
/// A user becomes a named user when it is first given edit (or live-view) access. It counts until the end of that day,
/// UTC, plus [`expire_days`](Self::expire_days). A user that counts already is never refused for this limit.
///
/// Days are those of the wall clock. If it is ahead, users stop counting early; if it is back, they count longer.
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, NamedUsers, Reason, User};
///
/// let quota = NamedUsers { edit: Some(1), expire_days: 30, ..NamedUsers::default() };
/// let engine = Engine::new(Config::new().named_users(quota))?;
/// let key = DocumentKey::new("report")?;
/// drop(engine.open(&key, &User::new("ann")?, Access::Edit)?);
///
/// let ben = engine.open(&key, &User::new("ben")?, Access::Edit)?;
/// assert_eq!(ben.granted().reason, Some(Reason::UserQuota));
/// assert!(engine.open(&key, &User::new("ann")?, Access::Edit)?.may_edit());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUsers {
    /// The most named users with edit access, at most 4,294,967,294; `None`, the default, means no limit.
    pub edit: Option<u32>,
    /// The most named users with live-view access, at most 4,294,967,294; `None`, the default, means no limit.
    pub live: Option<u32>,
    /// For how many days a user counts after the day of its first access. Default 0; at most 36,500.
    pub expire_days: u32,
}

impl NamedUsers {
    /// Returns true if there is a limit of any access.
    pub(crate) fn is_limited(&self) -> bool {
        self.edit.is_some() || self.live.is_some()
    }
}
