//! The grammar of a request: parses one line to a command whose parameters are all valid.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use super::engine_command::EngineCommand;
use super::members::read_members;
use super::request_members::{RequestMembers, flag, text};
use crate::access::Access;
use crate::callback::ForceSaveType;
use crate::error::ErrorCode;
use crate::ids::{DocumentKey, URL_MAX, User};
use crate::time::Timestamp;

/// A parsed request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The value of `id`, which the reply repeats.
    pub(super) id: Option<&'a RawValue>,
    /// The value of `key`, which the reply repeats.
    pub(super) key: Option<&'a RawValue>,
    /// The command and the time in `at`, or the error code of the reply.
    pub(super) command: Result<(DoorCommand<'a>, Option<Timestamp>), ErrorCode>,
}

/// A command with valid parameters.
#[derive(Debug)]
pub(super) enum DoorCommand<'a> {
    /// One that is about no labelled connection and no delivery.
    Engine(EngineCommand<'a>),
    Open(OpenParameters<'a>),
    Change {
        label: Cow<'a, str>,
    },
    Close {
        label: Cow<'a, str>,
    },
    Lost {
        label: Cow<'a, str>,
    },
    Resume(ResumeParameters<'a>),
    Touch {
        label: Cow<'a, str>,
    },
    RequestEdit {
        label: Cow<'a, str>,
    },
    ReleaseEdit {
        label: Cow<'a, str>,
    },
    DropConnection {
        label: Cow<'a, str>,
        time: Option<Duration>,
    },
    ForceSaveBy {
        label: Cow<'a, str>,
        kind: ForceSaveType,
    },
    Ack(AckParameters<'a>),
}

/// The parameters of `open`.
#[derive(Debug)]
pub(super) struct OpenParameters<'a> {
    pub(super) key: DocumentKey,
    pub(super) label: Cow<'a, str>,
    pub(super) user: User,
    /// The requested access.
    pub(super) access: Access,
}

/// The parameters of `resume`.
#[derive(Debug)]
pub(super) struct ResumeParameters<'a> {
    pub(super) token: Cow<'a, str>,
    /// The label of the new connection.
    pub(super) label: Cow<'a, str>,
    pub(super) attempt: u64,
}

/// The parameters of `ack`.
#[derive(Debug)]
pub(super) struct AckParameters<'a> {
    pub(super) key: DocumentKey,
    /// Whether the storage did what the callback asked for.
    pub(super) done: bool,
    /// Whether the storage kept the file of a save that was given up.
    pub(super) saved: bool,
    /// The number of the delivery.
    pub(super) delivery: Option<u64>,
    /// Where the host keeps the file.
    pub(super) url: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// Parses one request. Never fails: the error is the `command` of the result.
    pub(super) fn parse(request: &'a [u8]) -> Self {
        let text = std::str::from_utf8(request).ok();
        let Some(members) = text.and_then(read_members::<RequestMembers<'_>>) else {
            return Request { id: None, key: None, command: Err(ErrorCode::Command) };
        };
        // A key or id that the reply cannot repeat is malformed, whatever the command.
        let command = if members.key.is_unprintable() {
            Err(ErrorCode::Key)
        } else if members.id.is_unprintable() {
            Err(ErrorCode::Command)
        } else {
            command(&members).and_then(|command| Ok((command, members.at()?)))
        };
        Request { id: members.id.echo(), key: members.key.echo(), command }
    }
}

/// Every command checks its key first, because a malformed key comes before all other errors.
fn command<'a>(members: &RequestMembers<'a>) -> Result<DoorCommand<'a>, ErrorCode> {
    let name = members.command.string().unwrap_or_default();
    let has_label = members.connection.json().is_some();
    Ok(match &*name {
        "open" => DoorCommand::Open(open(members)?),
        "change" => DoorCommand::Change { label: members.label()? },
        "close" => DoorCommand::Close { label: members.label()? },
        "lost" => DoorCommand::Lost { label: members.label()? },
        "resume" => DoorCommand::Resume(resume(members)?),
        "touch" => DoorCommand::Touch { label: members.label()? },
        "requestEdit" => DoorCommand::RequestEdit { label: members.label()? },
        "releaseEdit" => DoorCommand::ReleaseEdit { label: members.label()? },
        "drop" if has_label => DoorCommand::DropConnection { label: members.label()?, time: members.time()? },
        "forcesave" if has_label => force_save_by(members)?,
        "ack" => DoorCommand::Ack(ack(members)?),
        name => DoorCommand::Engine(EngineCommand::parse(name, members)?),
    })
}

fn open<'a>(members: &RequestMembers<'a>) -> Result<OpenParameters<'a>, ErrorCode> {
    let (key, label) = (members.key()?, members.label()?);
    let (user, access) = (members.user()?, members.access()?);
    Ok(OpenParameters { key, label, user, access })
}

fn resume<'a>(members: &RequestMembers<'a>) -> Result<ResumeParameters<'a>, ErrorCode> {
    let label = members.label()?;
    let token = text(members.token, usize::MAX)?.ok_or(ErrorCode::Command)?;
    let attempt = members.attempt.json().map_or(Ok(0), str::parse).map_err(|_| ErrorCode::Command)?;
    Ok(ResumeParameters { token, label, attempt })
}

/// The save button, or a form.
fn force_save_by<'a>(members: &RequestMembers<'a>) -> Result<DoorCommand<'a>, ErrorCode> {
    let kind = match members.kind.json() {
        None | Some("1") => ForceSaveType::Button,
        Some("3") => ForceSaveType::Form,
        Some(_) => return Err(ErrorCode::Command),
    };
    Ok(DoorCommand::ForceSaveBy { label: members.label()?, kind })
}

fn ack<'a>(members: &RequestMembers<'a>) -> Result<AckParameters<'a>, ErrorCode> {
    let (key, done, url) = (members.key()?, members.done()?, text(members.url, URL_MAX)?);
    let delivery = match members.delivery.json() {
        None => None,
        Some(json) => Some(json.parse().map_err(|_| ErrorCode::Command)?),
    };
    Ok(AckParameters { key, done, saved: flag(members.saved)?, delivery, url })
}
