//! The grammar of a request: from a line to a command whose every parameter is well-formed.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::members::{can_be_echoed, members, string};
use crate::access::Access;
use crate::callback::ForceSaveType;
use crate::error::ErrorCode;
use crate::ids::{DocumentKey, TITLE_MAX, URL_MAX, USER_ID_MAX, USERDATA_MAX, User, UserId};
use crate::time::Timestamp;

/// A line as far as it could be read.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// Echoed in the reply.
    pub(super) id: Option<&'a RawValue>,
    /// Echoed in the reply.
    pub(super) key: Option<&'a RawValue>,
    /// What is asked for, and when; or why that cannot be said.
    pub(super) command: Result<(Command<'a>, Option<Timestamp>), Refusal>,
}

/// The code of the reply to a request that is not well-formed.
pub(super) type Refusal = ErrorCode;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Command<'a> {
    Info { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    Drop { key: DocumentKey, users: Option<Vec<UserId>> },
    ForceSave { key: DocumentKey, userdata: Option<Cow<'a, str>> },
    ForceSaveBy { connection: Cow<'a, str>, kind: ForceSaveType },
    Meta { key: DocumentKey, title: Cow<'a, str> },
    Version,
    License,
    ForgottenList,
    Forgotten { key: DocumentKey },
    DeleteForgotten { key: DocumentKey },
    Open { key: DocumentKey, connection: Cow<'a, str>, user: User, access: Access },
    Change { connection: Cow<'a, str> },
    Close { connection: Cow<'a, str> },
    Lost { connection: Cow<'a, str> },
    WouldAdmit { key: DocumentKey, user: UserId, access: Access },
    Usage,
    Holders { most: usize },
    Ack { key: DocumentKey, done: bool, url: Option<Cow<'a, str>> },
}

/// Most bytes of a connection's label.
const LABEL_MAX: usize = 240;

impl Default for Request<'_> {
    fn default() -> Self {
        Request { id: None, key: None, command: Err(ErrorCode::Command) }
    }
}

impl<'a> Request<'a> {
    pub(super) fn read(line: &'a [u8]) -> Self {
        let Some(found) = std::str::from_utf8(line).ok().and_then(|text| members(text, &NAMES)) else {
            return Request::default();
        };
        let echo = |value: Option<&'a RawValue>| value.filter(|value| can_be_echoed(value));
        let (id, key) = (echo(found[ID]), echo(found[KEY]));
        // What could not be sent back in a form that others can read is malformed, whatever the command.
        if key.is_none() && found[KEY].is_some() {
            return Request { id, key, command: Err(ErrorCode::Key) };
        }
        if id.is_none() && found[ID].is_some() {
            return Request { id, key, command: Err(ErrorCode::Command) };
        }
        // A member that is null is as good as absent.
        let parameters = Parameters(found.map(|value| value.filter(|value| value.get() != "null")));
        Request { id, key, command: parameters.command() }
    }
}

/// Holders that are listed unless the request says how many.
const HOLDERS: usize = 100;
/// Most that it may say.
const HOLDERS_MAX: usize = 10_000;

const NAMES: [&str; 15] = [
    "c",
    "connection",
    "at",
    "key",
    "user",
    "mode",
    "id",
    "userdata",
    "users",
    "live",
    "type",
    "meta",
    "error",
    "url",
    "most",
];
const C: usize = 0;
const CONNECTION: usize = 1;
const AT: usize = 2;
const KEY: usize = 3;
const USER: usize = 4;
const MODE: usize = 5;
const ID: usize = 6;
const USERDATA: usize = 7;
const USERS: usize = 8;
const LIVE: usize = 9;
const TYPE: usize = 10;
const META: usize = 11;
const ERROR: usize = 12;
const URL: usize = 13;
const MOST: usize = 14;

/// The members of a request that are not null.
struct Parameters<'a>([Option<&'a RawValue>; 15]);

type Read<T> = Result<T, Refusal>;

impl<'a> Parameters<'a> {
    /// Every command reads its key first: a malformed one comes before all other errors.
    fn command(&self) -> Read<(Command<'a>, Option<Timestamp>)> {
        let name = self.0[C].and_then(string).unwrap_or_default();
        let command = match &*name {
            "change" => Command::Change { connection: self.connection()? },
            "open" => self.open()?,
            "close" => Command::Close { connection: self.connection()? },
            "lost" => Command::Lost { connection: self.connection()? },
            "info" => Command::Info { key: self.key()?, userdata: self.text(USERDATA, USERDATA_MAX)? },
            "drop" => Command::Drop { key: self.key()?, users: self.users()? },
            "forcesave" => self.force_save()?,
            "meta" => Command::Meta { key: self.key()?, title: self.title()? },
            "version" => Command::Version,
            "license" | "licence" => Command::License,
            "getForgottenList" => Command::ForgottenList,
            "getForgotten" => Command::Forgotten { key: self.key()? },
            "deleteForgotten" => Command::DeleteForgotten { key: self.key()? },
            "would_admit" => {
                let (key, user) = (self.key()?, self.user()?);
                Command::WouldAdmit { key, user: user.id().clone(), access: self.asked()? }
            }
            "usage" => Command::Usage,
            "holders" => Command::Holders { most: self.most()? },
            "ack" => Command::Ack { key: self.key()?, done: self.done()?, url: self.text(URL, URL_MAX)? },
            _ if self.0[KEY].is_some() && self.key().is_err() => return Err(ErrorCode::Key),
            _ => return Err(ErrorCode::Command),
        };
        Ok((command, self.at()?))
    }

    fn open(&self) -> Read<Command<'a>> {
        let key = self.key()?;
        let connection = self.connection()?;
        let user = self.user()?;
        Ok(Command::Open { key, connection, user, access: self.asked()? })
    }

    /// The access that is asked for.
    fn asked(&self) -> Read<Access> {
        let live = match self.0[LIVE].map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(ErrorCode::Command),
        };
        match (self.text(MODE, usize::MAX)?.as_deref(), live) {
            (None | Some("edit"), _) => Ok(Access::Edit),
            (Some("view"), true) => Ok(Access::LiveView),
            (Some("view"), false) => Ok(Access::View),
            (Some(_), _) => Err(ErrorCode::Command),
        }
    }

    /// How many are asked for.
    fn most(&self) -> Read<usize> {
        let Some(value) = self.0[MOST] else { return Ok(HOLDERS) };
        value.get().parse().ok().filter(|most| *most <= HOLDERS_MAX).ok_or(ErrorCode::Command)
    }

    fn force_save(&self) -> Read<Command<'a>> {
        if self.0[CONNECTION].is_none() {
            return Ok(Command::ForceSave { key: self.key()?, userdata: self.text(USERDATA, USERDATA_MAX)? });
        }
        let kind = match self.0[TYPE].map(RawValue::get) {
            None | Some("1") => ForceSaveType::Button,
            Some("3") => ForceSaveType::Form,
            Some(_) => return Err(ErrorCode::Command),
        };
        Ok(Command::ForceSaveBy { connection: self.connection()?, kind })
    }

    fn key(&self) -> Read<DocumentKey> {
        let key = self.0[KEY].and_then(string).ok_or(ErrorCode::Key)?;
        DocumentKey::new(&key).map_err(|_| ErrorCode::Key)
    }

    /// A string of at most `most` bytes, if the member is there.
    fn text(&self, member: usize, most: usize) -> Read<Option<Cow<'a, str>>> {
        let Some(value) = self.0[member] else {
            return Ok(None);
        };
        string(value).filter(|text| text.len() <= most).map(Some).ok_or(ErrorCode::Command)
    }

    fn connection(&self) -> Read<Cow<'a, str>> {
        self.text(CONNECTION, LABEL_MAX)?.filter(|label| !label.is_empty()).ok_or(ErrorCode::Command)
    }

    fn user(&self) -> Read<User> {
        let object = self.0[USER].ok_or(ErrorCode::Command)?.get();
        let [id, name] = members(object, &["id", "name"]).ok_or(ErrorCode::Command)?;
        let id = id.and_then(string).filter(|id| id.len() <= USER_ID_MAX).ok_or(ErrorCode::Command)?;
        let user = User::new(&id).map_err(|_| ErrorCode::Command)?;
        match name.filter(|name| name.get() != "null") {
            None => Ok(user),
            Some(name) => {
                let name = string(name).ok_or(ErrorCode::Command)?;
                user.named(&name).map_err(|_| ErrorCode::Command)
            }
        }
    }

    /// An array of user ids, or a string that holds one.
    fn users(&self) -> Read<Option<Vec<UserId>>> {
        let Some(value) = self.0[USERS] else {
            return Ok(None);
        };
        let ids = match string(value) {
            Some(text) => serde_json::from_str(&text),
            None => serde_json::from_str(value.get()),
        };
        ids.map(Some).map_err(|_| ErrorCode::Command)
    }

    fn title(&self) -> Read<Cow<'a, str>> {
        let object = self.0[META].ok_or(ErrorCode::Command)?.get();
        let [title] = members(object, &["title"]).ok_or(ErrorCode::Command)?;
        title.and_then(string).filter(|title| title.len() <= TITLE_MAX).ok_or(ErrorCode::Command)
    }

    fn done(&self) -> Read<bool> {
        match self.0[ERROR].map(RawValue::get) {
            Some("0") => Ok(true),
            Some("1") => Ok(false),
            _ => Err(ErrorCode::Command),
        }
    }

    /// An integer. One before the epoch is as early as can be.
    fn at(&self) -> Read<Option<Timestamp>> {
        let Some(value) = self.0[AT] else { return Ok(None) };
        let (early, digits) =
            value.get().strip_prefix('-').map_or((false, value.get()), |digits| (true, digits));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ErrorCode::Command);
        }
        let millis = if early { 0 } else { digits.parse().map_err(|_| ErrorCode::Command)? };
        if millis > Timestamp::MAX.as_millis() {
            return Err(ErrorCode::Command);
        }
        Ok(Some(Timestamp::from_millis(millis)))
    }
}
