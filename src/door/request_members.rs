//! The members of a request, and the readers of those that several commands have.

use std::borrow::Cow;
use std::time::Duration;

use super::members::{MemberText, Members, read_members};
use crate::access::Access;
use crate::error::ErrorCode;
use crate::ids::{DocumentKey, TITLE_MAX, USER_ID_MAX, User, UserId};
use crate::time::Timestamp;

/// The members of a request. Each command uses some of them.
#[derive(Debug, Default)]
pub(super) struct RequestMembers<'a> {
    pub(super) id: MemberText<'a>,
    pub(super) at: MemberText<'a>,
    /// The name of the command, `c`.
    pub(super) command: MemberText<'a>,
    pub(super) key: MemberText<'a>,
    pub(super) connection: MemberText<'a>,
    pub(super) user: MemberText<'a>,
    pub(super) mode: MemberText<'a>,
    pub(super) live: MemberText<'a>,
    pub(super) userdata: MemberText<'a>,
    pub(super) users: MemberText<'a>,
    /// The type of a force save, `type`.
    pub(super) kind: MemberText<'a>,
    pub(super) meta: MemberText<'a>,
    pub(super) error: MemberText<'a>,
    pub(super) url: MemberText<'a>,
    pub(super) most: MemberText<'a>,
    pub(super) saved: MemberText<'a>,
    pub(super) delivery: MemberText<'a>,
    pub(super) token: MemberText<'a>,
    pub(super) attempt: MemberText<'a>,
    pub(super) for_ms: MemberText<'a>,
    pub(super) limit: MemberText<'a>,
    pub(super) value: MemberText<'a>,
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
            "limit" => &mut self.limit,
            "value" => &mut self.value,
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
    pub(super) fn key(&self) -> Result<DocumentKey, ErrorCode> {
        let key = self.key.string().ok_or(ErrorCode::Key)?;
        DocumentKey::new(&key).map_err(|_| ErrorCode::Key)
    }

    pub(super) fn label(&self) -> Result<Cow<'a, str>, ErrorCode> {
        let label = text(self.connection, LABEL_MAX)?;
        label.filter(|label| !label.is_empty()).ok_or(ErrorCode::Command)
    }

    pub(super) fn user(&self) -> Result<User, ErrorCode> {
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
    pub(super) fn access(&self) -> Result<Access, ErrorCode> {
        match (text(self.mode, usize::MAX)?.as_deref(), flag(self.live)?) {
            (None | Some("edit"), _) => Ok(Access::Edit),
            (Some("view"), true) => Ok(Access::LiveView),
            (Some("view"), false) => Ok(Access::View),
            (Some(_), _) => Err(ErrorCode::Command),
        }
    }

    /// An array of user ids, or a string that contains such an array.
    pub(super) fn users(&self) -> Result<Option<Vec<UserId>>, ErrorCode> {
        let Some(json) = self.users.json() else { return Ok(None) };
        let ids = match self.users.string() {
            Some(text) => serde_json::from_str(&text),
            None => serde_json::from_str(json),
        };
        ids.map(Some).map_err(|_| ErrorCode::Command)
    }

    pub(super) fn title(&self) -> Result<Cow<'a, str>, ErrorCode> {
        let object = self.meta.json().ok_or(ErrorCode::Command)?;
        let members: MetaMembers<'_> = read_members(object).ok_or(ErrorCode::Command)?;
        text(members.title, TITLE_MAX)?.ok_or(ErrorCode::Command)
    }

    /// For how long, in milliseconds.
    pub(super) fn time(&self) -> Result<Option<Duration>, ErrorCode> {
        let Some(json) = self.for_ms.json() else { return Ok(None) };
        json.parse().map(|millis| Some(Duration::from_millis(millis))).map_err(|_| ErrorCode::Command)
    }

    /// The answer of the storage, `error`: 0 means that it did what the callback asked for, 1 that it failed.
    pub(super) fn done(&self) -> Result<bool, ErrorCode> {
        match self.error.json() {
            Some("0") => Ok(true),
            Some("1") => Ok(false),
            _ => Err(ErrorCode::Command),
        }
    }

    /// The number of holders to list.
    pub(super) fn most(&self) -> Result<usize, ErrorCode> {
        let Some(json) = self.most.json() else { return Ok(HOLDERS_DEFAULT) };
        json.parse().ok().filter(|most| *most <= HOLDERS_MAX).ok_or(ErrorCode::Command)
    }

    /// An integer in milliseconds since the Unix epoch. A negative one counts as 0.
    pub(super) fn at(&self) -> Result<Option<Timestamp>, ErrorCode> {
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

    /// A limit: a number, or `null` for none. It must be there.
    pub(super) fn value(&self) -> Result<Option<u32>, ErrorCode> {
        if !self.value.is_present() {
            return Err(ErrorCode::Command);
        }
        self.value.json().map(str::parse).transpose().map_err(|_| ErrorCode::Command)
    }
}

/// Returns the member's string of at most `max` bytes, or `None` if the member is absent or `null`.
pub(super) fn text(member: MemberText<'_>, max: usize) -> Result<Option<Cow<'_, str>>, ErrorCode> {
    if member.json().is_none() {
        return Ok(None);
    }
    member.string().filter(|text| text.len() <= max).map(Some).ok_or(ErrorCode::Command)
}

/// Returns the member's `true` or `false`, by default false.
pub(super) fn flag(member: MemberText<'_>) -> Result<bool, ErrorCode> {
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
