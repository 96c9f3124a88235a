//! The commands that are about no labelled connection and no delivery: their shape, grammar and effect.

use std::borrow::Cow;
use std::time::Duration;

use super::request_members::{RequestMembers, text};
use super::write::{Outcome, ReplyBody};
use crate::access::Access;
use crate::engine::Engine;
use crate::error::{
    ConfigError, DocumentError, ErrorCode, FenceError, ForceSaveError, ForgottenError, InfoError, MetaError,
    OpenError, RetryError,
};
use crate::ids::{DocumentKey, USERDATA_MAX, UserId};
use crate::limits::NamedUsers;

/// A command with valid parameters.
#[derive(Debug)]
pub(super) enum EngineCommand<'a> {
    Info { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    Drop(FenceParameters),
    ForceSave { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    Meta { key: DocumentKey, title: Cow<'a, str> },
    Version,
    License,
    ForgottenList,
    Forgotten { key: DocumentKey },
    DeleteForgotten { key: DocumentKey },
    RetryForgotten { key: DocumentKey },
    WouldAdmit { key: DocumentKey, user: UserId, access: Access },
    Connections { key: DocumentKey },
    Holders { most: usize },
    Usage,
    Stats,
    Limits,
    SetLimit { limit: LimitName, value: Option<u32> },
    Fence(FenceParameters),
    Unfence { key: DocumentKey, users: Option<Vec<UserId>> },
    Fences,
    Drain,
    Undrain,
    Remaining,
}

/// The parameters of `fence`, and of a `drop` by document.
#[derive(Debug)]
pub(super) struct FenceParameters {
    key: DocumentKey,
    /// `None` for everybody.
    users: Option<Vec<UserId>>,
    /// For how long.
    time: Option<Duration>,
}

/// A limit that can be changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum LimitName {
    Edit,
    Live,
    Document,
    User,
    Max,
    Users,
    UsersView,
}

/// The grammar.
impl<'a> EngineCommand<'a> {
    pub(super) fn parse(name: &str, members: &RequestMembers<'a>) -> Result<Self, ErrorCode> {
        let userdata = || text(members.userdata, USERDATA_MAX);
        Ok(match name {
            "info" => EngineCommand::Info { key: members.key()?, userdata: userdata()? },
            "drop" => EngineCommand::Drop(FenceParameters::parse(members)?),
            "forcesave" => EngineCommand::ForceSave { key: members.key()?, userdata: userdata()? },
            "meta" => EngineCommand::Meta { key: members.key()?, title: members.title()? },
            "version" => EngineCommand::Version,
            "license" | "licence" => EngineCommand::License,
            "getForgottenList" => EngineCommand::ForgottenList,
            "getForgotten" => EngineCommand::Forgotten { key: members.key()? },
            "deleteForgotten" => EngineCommand::DeleteForgotten { key: members.key()? },
            "retryForgotten" => EngineCommand::RetryForgotten { key: members.key()? },
            "would_admit" => {
                let (key, user) = (members.key()?, members.user()?.id().clone());
                EngineCommand::WouldAdmit { key, user, access: members.access()? }
            }
            "connections" => EngineCommand::Connections { key: members.key()? },
            "holders" => EngineCommand::Holders { most: members.most()? },
            "usage" => EngineCommand::Usage,
            "stats" => EngineCommand::Stats,
            "limits" => EngineCommand::Limits,
            "setLimit" => {
                EngineCommand::SetLimit { limit: LimitName::parse(members)?, value: members.value()? }
            }
            "fence" => EngineCommand::Fence(FenceParameters::parse(members)?),
            "unfence" => EngineCommand::Unfence { key: members.key()?, users: members.users()? },
            "fences" => EngineCommand::Fences,
            "drain" => EngineCommand::Drain,
            "undrain" => EngineCommand::Undrain,
            "remaining" => EngineCommand::Remaining,
            _ if members.key.json().is_some() && members.key().is_err() => return Err(ErrorCode::Key),
            _ => return Err(ErrorCode::Command),
        })
    }
}

impl FenceParameters {
    fn parse(members: &RequestMembers<'_>) -> Result<Self, ErrorCode> {
        let (key, users) = (members.key()?, members.users()?);
        Ok(FenceParameters { key, users, time: members.time()? })
    }
}

impl LimitName {
    fn parse(members: &RequestMembers<'_>) -> Result<Self, ErrorCode> {
        Ok(match members.limit.string().as_deref() {
            Some("edit") => LimitName::Edit,
            Some("live") => LimitName::Live,
            Some("document") => LimitName::Document,
            Some("user") => LimitName::User,
            Some("max") => LimitName::Max,
            Some("users") => LimitName::Users,
            Some("users_view") => LimitName::UsersView,
            _ => return Err(ErrorCode::Command),
        })
    }
}

/// The effect.
impl EngineCommand<'_> {
    pub(super) fn run(self, engine: &Engine) -> Outcome {
        match self {
            EngineCommand::Info { key, userdata } => info(engine, &key, userdata.as_deref()),
            EngineCommand::Drop(parameters) => drop_access(engine, &parameters),
            EngineCommand::ForceSave { key, userdata } => {
                empty(engine.force_save(&key, userdata.as_deref()), ForceSaveError::code)
            }
            EngineCommand::Meta { key, title } => empty(engine.rename(&key, &title), MetaError::code),
            EngineCommand::Version => Ok(ReplyBody::Member("version", engine.version().into())),
            EngineCommand::License => Ok(ReplyBody::License(Box::new(engine.license()))),
            EngineCommand::ForgottenList => Ok(forgotten_list(engine)),
            EngineCommand::Forgotten { key } => forgotten_url(engine, &key),
            EngineCommand::DeleteForgotten { key } => {
                empty(engine.delete_forgotten(&key), ForgottenError::code)
            }
            EngineCommand::RetryForgotten { key } => empty(engine.retry_forgotten(&key), RetryError::code),
            EngineCommand::WouldAdmit { key, user, access } => would_admit(engine, &key, &user, access),
            EngineCommand::Connections { key } => Ok(ReplyBody::Connections(engine.connections(&key))),
            EngineCommand::Holders { most } => Ok(ReplyBody::Holders(engine.holders(most))),
            EngineCommand::Usage => Ok(ReplyBody::Usage(engine.usage().map(Box::new))),
            EngineCommand::Stats => Ok(ReplyBody::Stats(Box::new(engine.stats()))),
            EngineCommand::Limits => Ok(ReplyBody::Limits(Box::new(engine.limit_uses()))),
            EngineCommand::SetLimit { limit, value } => {
                empty(set_limit(engine, limit, value), |_: ConfigError| ErrorCode::Command)
            }
            EngineCommand::Fence(FenceParameters { key, users, time }) => {
                empty(engine.fence(&key, users.as_deref(), time), FenceError::code)
            }
            EngineCommand::Unfence { key, users } => {
                engine.unfence(&key, users.as_deref());
                Ok(ReplyBody::Empty)
            }
            EngineCommand::Fences => Ok(ReplyBody::Fences(engine.fences())),
            EngineCommand::Drain => {
                engine.drain();
                Ok(ReplyBody::Empty)
            }
            EngineCommand::Undrain => {
                engine.undrain();
                Ok(ReplyBody::Empty)
            }
            EngineCommand::Remaining => Ok(ReplyBody::Remaining(engine.remaining())),
        }
    }
}

fn info(engine: &Engine, key: &DocumentKey, userdata: Option<&str>) -> Outcome {
    let users = engine.info(key, userdata).map_err(InfoError::code)?;
    Ok(ReplyBody::Member("users", strings(users.iter().map(UserId::as_str))))
}

fn drop_access(engine: &Engine, parameters: &FenceParameters) -> Outcome {
    let FenceParameters { key, users, time } = parameters;
    let users = users.as_deref();
    match (time, users) {
        (Some(_), _) if !engine.is_open(key) => Err(ErrorCode::Key),
        (Some(time), _) => empty(engine.drop_for(key, users, *time), FenceError::code),
        (None, Some(users)) => empty(engine.drop_users(key, users), DocumentError::code),
        (None, None) => empty(engine.drop_all(key), DocumentError::code),
    }
}

fn forgotten_list(engine: &Engine) -> ReplyBody {
    let forgotten = engine.forgotten();
    ReplyBody::Member("keys", strings(forgotten.iter().map(|document| document.key.as_str())))
}

fn forgotten_url(engine: &Engine, key: &DocumentKey) -> Outcome {
    let url = engine.forgotten_at(key).map_err(ForgottenError::code)?;
    Ok(ReplyBody::Member("url", url.as_deref().unwrap_or_default().into()))
}

fn would_admit(engine: &Engine, key: &DocumentKey, user: &UserId, asked: Access) -> Outcome {
    let grant = engine.would_admit(key, user, asked).map_err(OpenError::code)?;
    let position = grant.reason.and_then(|reason| engine.next_position(key, user, reason));
    Ok(ReplyBody::Granted { grant, position })
}

fn set_limit(engine: &Engine, name: LimitName, limit: Option<u32>) -> Result<(), ConfigError> {
    match name {
        LimitName::Edit => engine.set_edit_limit(limit),
        LimitName::Live => engine.set_live_limit(limit),
        LimitName::Document => engine.set_document_limit(limit),
        LimitName::User => engine.set_user_limit(limit),
        LimitName::Max => engine.set_max_connections(limit),
        LimitName::Users => engine.change_named_users(|quota| NamedUsers { edit: limit, ..quota }),
        LimitName::UsersView => engine.change_named_users(|quota| NamedUsers { live: limit, ..quota }),
    }
}

/// The outcome of an engine call whose value the reply does not contain.
pub(super) fn empty<T, E>(result: Result<T, E>, code: fn(E) -> ErrorCode) -> Outcome {
    result.map(|_| ReplyBody::Empty).map_err(code)
}

fn strings<'a>(strings: impl Iterator<Item = &'a str>) -> serde_json::Value {
    strings.map(serde_json::Value::from).collect()
}
