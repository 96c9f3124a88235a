//! The grammar of a request: parses one line to a command whose parameters are all valid.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use super::members::{MemberText, Members, read_members};
use crate::access::Access;
use crate::callback::ForceSaveType;
use crate::error::ErrorCode;
use crate::ids::{DocumentKey, TITLE_MAX, URL_MAX, USER_ID_MAX, USERDATA_MAX, User, UserId};
use crate::time::Timestamp;

/// A parsed request.
#[derive(Debug)]
pub(super) struct DoorRequest<'a> {
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
    Info { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    Drop(FenceParameters),
    DropConnection { label: Cow<'a, str>, time: Option<Duration> },
    ForceSave { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    ForceSaveBy { label: Cow<'a, str>, kind: ForceSaveType },
    Meta { key: DocumentKey, title: Cow<'a, str> },
    Version,
    License,
    ForgottenList,
    Forgotten { key: DocumentKey },
    DeleteForgotten { key: DocumentKey },
    Open(OpenParameters<'a>),
    Change { label: Cow<'a, str> },
    Close { label: Cow<'a, str> },
    Lost { label: Cow<'a, str> },
    Resume(ResumeParameters<'a>),
    Touch { label: Cow<'a, str> },
    RequestEdit { label: Cow<'a, str> },
    ReleaseEdit { label: Cow<'a, str> },
    Connections { key: DocumentKey },
    Fence(FenceParameters),
    Unfence { key: DocumentKey, users: Option<Vec<UserId>> },
    Fences,
    WouldAdmit { key: DocumentKey, user: UserId, access: Access },
    Usage,
    Holders { most: usize },
    RetryForgotten { key: DocumentKey },
    Drain,
    Undrain,
    Remaining,
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

/// The parameters of `fence`, and of a `drop` by document.
#[derive(Debug)]
pub(super) struct FenceParameters {
    pub(super) key: DocumentKey,
    /// `None` for everybody.
    pub(super) users: Option<Vec<UserId>>,
    /// For how long.
    pub(super) time: Option<Duration>,
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

impl<'a> DoorRequest<'a> {
    /// Parses one line. Never fails: the error is the `command` of the result.
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let text = std::str::from_utf8(line).ok();
        let Some(members) = text.and_then(read_members::<RequestMembers<'_>>) else {
            return DoorRequest { id: None, key: None, command: Err(ErrorCode::Command) };
        };
        // A key or id that the reply cannot repeat is malformed, whatever the command.
        let command = if members.key.is_unprintable() {
            Err(ErrorCode::Key)
        } else if members.id.is_unprintable() {
            Err(ErrorCode::Command)
        } else {
            members.command().and_then(|command| Ok((command, members.at()?)))
        };
        DoorRequest { id: members.id.echo(), key: members.key.echo(), command }
    }
}

/// The members of a request. Each command uses some of them.
#[derive(Debug, Default)]
struct RequestMembers<'a> {
    id: MemberText<'a>,
    at: MemberText<'a>,
    /// The name of the command, `c`.
    command: MemberText<'a>,
    key: MemberText<'a>,
    connection: MemberText<'a>,
    user: MemberText<'a>,
    mode: MemberText<'a>,
    live: MemberText<'a>,
    userdata: MemberText<'a>,
    users: MemberText<'a>,
    /// The type of a force save, `type`.
    kind: MemberText<'a>,
    meta: MemberText<'a>,
    error: MemberText<'a>,
    url: MemberText<'a>,
    most: MemberText<'a>,
    saved: MemberText<'a>,
    delivery: MemberText<'a>,
    token: MemberText<'a>,
    attempt: MemberText<'a>,
    for_ms: MemberText<'a>,
}

impl<'a> Members<'a> for RequestMembers<'a> {
    fn field(&mut self, name: &str) -> Option<&mut MemberText<'a>> {
        Some(match name {
            "id" => &mut self.id,
            "at" => &mut self.at,
            "c" => &mut self.command,
            "key" => &mut self.key,
            "connection" => &mut self.connection,
            "user" => &mut self.user,
            "mode" => &mut self.mode,
            "live" => &mut self.live,
            "userdata" => &mut self.userdata,
            "users" => &mut self.users,
            "type" => &mut self.kind,
            "meta" => &mut self.meta,
            "error" => &mut self.error,
            "url" => &mut self.url,
            "most" => &mut self.most,
            "saved" => &mut self.saved,
            "delivery" => &mut self.delivery,
            "token" => &mut self.token,
            "attempt" => &mut self.attempt,
            "for_ms" => &mut self.for_ms,
            _ => return None,
        })
    }
}

/// The members of `user`.
#[derive(Debug, Default)]
struct UserMembers<'a> {
    id: MemberText<'a>,
    name: MemberText<'a>,
}

impl<'a> Members<'a> for UserMembers<'a> {
    fn field(&mut self, name: &str) -> Option<&mut MemberText<'a>> {
        match name {
            "id" => Some(&mut self.id),
            "name" => Some(&mut self.name),
            _ => None,
        }
    }
}

/// The members of `meta`.
#[derive(Debug, Default)]
struct MetaMembers<'a> {
    title: MemberText<'a>,
}

impl<'a> Members<'a> for MetaMembers<'a> {
    fn field(&mut self, name: &str) -> Option<&mut MemberText<'a>> {
        (name == "title").then_some(&mut self.title)
    }
}

impl<'a> RequestMembers<'a> {
    /// Every command checks its key first, because a malformed key comes before all other errors.
    fn command(&self) -> Result<DoorCommand<'a>, ErrorCode> {
        let name = self.command.string().unwrap_or_default();
        Ok(match &*name {
            "open" => DoorCommand::Open(self.open()?),
            "change" => DoorCommand::Change { label: self.label()? },
            "close" => DoorCommand::Close { label: self.label()? },
            "lost" => DoorCommand::Lost { label: self.label()? },
            "info" => DoorCommand::Info { key: self.key()?, userdata: text(self.userdata, USERDATA_MAX)? },
            "resume" => DoorCommand::Resume(self.resume()?),
            "touch" => DoorCommand::Touch { label: self.label()? },
            "requestEdit" => DoorCommand::RequestEdit { label: self.label()? },
            "releaseEdit" => DoorCommand::ReleaseEdit { label: self.label()? },
            "connections" => DoorCommand::Connections { key: self.key()? },
            "fence" => DoorCommand::Fence(self.fence()?),
            "unfence" => DoorCommand::Unfence { key: self.key()?, users: self.users()? },
            "fences" => DoorCommand::Fences,
            "drop" if self.connection.json().is_some() => {
                DoorCommand::DropConnection { label: self.label()?, time: self.time()? }
            }
            "drop" => DoorCommand::Drop(self.fence()?),
            "forcesave" => self.force_save()?,
            "meta" => DoorCommand::Meta { key: self.key()?, title: self.title()? },
            "version" => DoorCommand::Version,
            "license" | "licence" => DoorCommand::License,
            "getForgottenList" => DoorCommand::ForgottenList,
            "getForgotten" => DoorCommand::Forgotten { key: self.key()? },
            "deleteForgotten" => DoorCommand::DeleteForgotten { key: self.key()? },
            "would_admit" => self.would_admit()?,
            "usage" => DoorCommand::Usage,
            "holders" => DoorCommand::Holders { most: self.most()? },
            "retryForgotten" => DoorCommand::RetryForgotten { key: self.key()? },
            "drain" => DoorCommand::Drain,
            "undrain" => DoorCommand::Undrain,
            "remaining" => DoorCommand::Remaining,
            "ack" => DoorCommand::Ack(self.ack()?),
            _ if self.key.json().is_some() && self.key().is_err() => return Err(ErrorCode::Key),
            _ => return Err(ErrorCode::Command),
        })
    }

    fn open(&self) -> Result<OpenParameters<'a>, ErrorCode> {
        let (key, label) = (self.key()?, self.label()?);
        let (user, access) = (self.user()?, self.access()?);
        Ok(OpenParameters { key, label, user, access })
    }

    fn resume(&self) -> Result<ResumeParameters<'a>, ErrorCode> {
        let label = self.label()?;
        let token = text(self.token, usize::MAX)?.ok_or(ErrorCode::Command)?;
        let attempt = self.attempt.json().map_or(Ok(0), str::parse).map_err(|_| ErrorCode::Command)?;
        Ok(ResumeParameters { token, label, attempt })
    }

    fn fence(&self) -> Result<FenceParameters, ErrorCode> {
        let (key, users) = (self.key()?, self.users()?);
        Ok(FenceParameters { key, users, time: self.time()? })
    }

    /// For how long, in milliseconds.
    fn time(&self) -> Result<Option<Duration>, ErrorCode> {
        let Some(json) = self.for_ms.json() else { return Ok(None) };
        json.parse().map(|millis| Some(Duration::from_millis(millis))).map_err(|_| ErrorCode::Command)
    }

    fn ack(&self) -> Result<AckParameters<'a>, ErrorCode> {
        let (key, done, url) = (self.key()?, self.done()?, text(self.url, URL_MAX)?);
        let delivery = match self.delivery.json() {
            None => None,
            Some(json) => Some(json.parse().map_err(|_| ErrorCode::Command)?),
        };
        Ok(AckParameters { key, done, saved: flag(self.saved)?, delivery, url })
    }

    fn would_admit(&self) -> Result<DoorCommand<'a>, ErrorCode> {
        let (key, user) = (self.key()?, self.user()?);
        Ok(DoorCommand::WouldAdmit { key, user: user.id().clone(), access: self.access()? })
    }

    /// With `connection` it is the save button or a form, without it the command of the command service.
    fn force_save(&self) -> Result<DoorCommand<'a>, ErrorCode> {
        if self.connection.json().is_none() {
            let key = self.key()?;
            return Ok(DoorCommand::ForceSave { key, userdata: text(self.userdata, USERDATA_MAX)? });
        }
        let kind = match self.kind.json() {
            None | Some("1") => ForceSaveType::Button,
            Some("3") => ForceSaveType::Form,
            Some(_) => return Err(ErrorCode::Command),
        };
        Ok(DoorCommand::ForceSaveBy { label: self.label()?, kind })
    }

    fn key(&self) -> Result<DocumentKey, ErrorCode> {
        let key = self.key.string().ok_or(ErrorCode::Key)?;
        DocumentKey::new(&key).map_err(|_| ErrorCode::Key)
    }

    fn label(&self) -> Result<Cow<'a, str>, ErrorCode> {
        let label = text(self.connection, LABEL_MAX)?;
        label.filter(|label| !label.is_empty()).ok_or(ErrorCode::Command)
    }

    fn user(&self) -> Result<User, ErrorCode> {
        let object = self.user.json().ok_or(ErrorCode::Command)?;
        let members: UserMembers<'_> = read_members(object).ok_or(ErrorCode::Command)?;
        let id = text(members.id, USER_ID_MAX)?.ok_or(ErrorCode::Command)?;
        let user = User::new(&id).map_err(|_| ErrorCode::Command)?;
        match text(members.name, usize::MAX)? {
            None => Ok(user),
            Some(name) => user.named(&name).map_err(|_| ErrorCode::Command),
        }
    }

    /// The requested access, from `mode` and `live`.
    fn access(&self) -> Result<Access, ErrorCode> {
        match (text(self.mode, usize::MAX)?.as_deref(), flag(self.live)?) {
            (None | Some("edit"), _) => Ok(Access::Edit),
            (Some("view"), true) => Ok(Access::LiveView),
            (Some("view"), false) => Ok(Access::View),
            (Some(_), _) => Err(ErrorCode::Command),
        }
    }

    /// An array of user ids, or a string that contains such an array.
    fn users(&self) -> Result<Option<Vec<UserId>>, ErrorCode> {
        let Some(json) = self.users.json() else { return Ok(None) };
        let ids = match self.users.string() {
            Some(text) => serde_json::from_str(&text),
            None => serde_json::from_str(json),
        };
        ids.map(Some).map_err(|_| ErrorCode::Command)
    }

    fn title(&self) -> Result<Cow<'a, str>, ErrorCode> {
        let object = self.meta.json().ok_or(ErrorCode::Command)?;
        let members: MetaMembers<'_> = read_members(object).ok_or(ErrorCode::Command)?;
        text(members.title, TITLE_MAX)?.ok_or(ErrorCode::Command)
    }

    /// The answer of the storage, `error`: 0 means that it did what the callback asked for, 1 that it failed.
    fn done(&self) -> Result<bool, ErrorCode> {
        match self.error.json() {
            Some("0") => Ok(true),
            Some("1") => Ok(false),
            _ => Err(ErrorCode::Command),
        }
    }

    /// The number of holders to list.
    fn most(&self) -> Result<usize, ErrorCode> {
        let Some(json) = self.most.json() else { return Ok(HOLDERS_DEFAULT) };
        json.parse().ok().filter(|most| *most <= HOLDERS_MAX).ok_or(ErrorCode::Command)
    }

    /// An integer in milliseconds since the Unix epoch. A negative one counts as 0.
    fn at(&self) -> Result<Option<Timestamp>, ErrorCode> {
        let Some(json) = self.at.json() else { return Ok(None) };
        let (negative, digits) = json.strip_prefix('-').map_or((false, json), |digits| (true, digits));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ErrorCode::Command);
        }
        let millis = if negative { 0 } else { digits.parse().map_err(|_| ErrorCode::Command)? };
        if millis > Timestamp::MAX.as_millis() {
            return Err(ErrorCode::Command);
        }
        Ok(Some(Timestamp::from_millis(millis)))
    }
}

/// Returns the member's string of at most `max` bytes, or `None` if the member is absent or `null`.
fn text(member: MemberText<'_>, max: usize) -> Result<Option<Cow<'_, str>>, ErrorCode> {
    if member.json().is_none() {
        return Ok(None);
    }
    member.string().filter(|text| text.len() <= max).map(Some).ok_or(ErrorCode::Command)
}

/// Returns the member's `true` or `false`, by default false.
fn flag(member: MemberText<'_>) -> Result<bool, ErrorCode> {
    match member.json() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ErrorCode::Command),
    }
}

/// The longest label of a connection, in bytes.
const LABEL_MAX: usize = 240;
/// The number of holders that `holders` lists unless the request says how many.
const HOLDERS_DEFAULT: usize = 100;
/// The largest `most` that a request may say.
const HOLDERS_MAX: usize = 10_000;
