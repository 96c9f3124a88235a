//! Document keys, users and connection ids, and the bounds of the short texts that a host passes in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

/// The most bytes of a [`DocumentKey`].
pub const KEY_MAX: usize = 128;
/// The most bytes of a [`UserId`].
pub const USER_ID_MAX: usize = 240;
/// The most bytes of a user's name.
pub const USER_NAME_MAX: usize = 1024;
/// The most bytes of the `userdata` of a request, which its callback returns.
pub const USERDATA_MAX: usize = 4096;
/// The most bytes of a document's title.
pub const TITLE_MAX: usize = 4096;
/// The most bytes of the URL at which a host keeps a file that could not be saved.
pub const URL_MAX: usize = 4096;

/// A text is too long, or holds characters that are not allowed. The message names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A document key is not 1 to 128 characters out of `0-9 a-z A-Z - . _ =`.
    Key,
    /// A user id is not 1 to 240 bytes without control characters.
    UserId,
    /// A user name is longer than 1,024 bytes.
    UserName,
    /// The `userdata` of a request is longer than 4,096 bytes.
    Userdata,
    /// A title is longer than 4,096 bytes.
    Title,
    /// A URL is longer than 4,096 bytes.
    Url,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Key => "a document key is 1 to 128 characters out of 0-9 a-z A-Z - . _ =",
            Malformed::UserId => "a user id is 1 to 240 bytes of UTF-8 without control characters",
            Malformed::UserName => "a user name is at most 1,024 bytes",
            Malformed::Userdata => "userdata is at most 4,096 bytes",
            Malformed::Title => "a title is at most 4,096 bytes",
            Malformed::Url => "a url is at most 4,096 bytes",
        })
    }
}

impl std::error::Error for Malformed {}

/// Returns `text` if it has at most `most` bytes, else the error `otherwise`.
pub(crate) fn bounded(text: &str, most: usize, otherwise: Malformed) -> Result<&str, Malformed> {
    if text.len() <= most { Ok(text) } else { Err(otherwise) }
}

/// The key of a document: 1 to 128 characters out of `0-9 a-z A-Z - . _ =`, chosen by the host.
///
/// A clone never allocates. A key of up to 23 bytes is stored in place, a longer one is shared.
///
/// ```
/// use coedit::DocumentKey;
///
/// let key: DocumentKey = "report-7.docx".parse()?;
/// assert_eq!(key.as_str(), "report-7.docx");
/// assert!(DocumentKey::new("no/slashes").is_err());
/// # Ok::<(), coedit::Malformed>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey(SmolStr);

/// The id of a user: 1 to 240 bytes of UTF-8 without control characters, compared byte by byte.
///
/// A clone never allocates. An id of up to 23 bytes is stored in place, a longer one is shared. One user may have
/// several connections, to one document or to many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(SmolStr);

impl DocumentKey {
    fn check(text: &str) -> Result<(), Malformed> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'=');
        let well_formed = (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if well_formed { Ok(()) } else { Err(Malformed::Key) }
    }
}

impl UserId {
    fn check(text: &str) -> Result<(), Malformed> {
        let well_formed = (1..=USER_ID_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(()) } else { Err(Malformed::UserId) }
    }
}

macro_rules! text_name {
    ($name:ident) => {
        impl $name {
            /// Checks `text` and copies it. It allocates if `text` is longer than 23 bytes.
            ///
            /// # Errors
            ///
            #[doc = concat!("[`Malformed`] if `text` breaks the rule of [`", stringify!($name), "`].")]
            pub fn new(text: &str) -> Result<Self, Malformed> {
                Self::check(text)?;
                Ok($name(SmolStr::new(text)))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Returns the text as bytes.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::new(text)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

text_name!(DocumentKey);
text_name!(UserId);

/// A user as the host knows it: an id, and optionally a name to show. A clone never allocates.
///
/// ```
/// use coedit::User;
///
/// let ann = User::new("u-17")?.named("Ann")?;
/// assert_eq!((ann.id().as_str(), ann.name()), ("u-17", Some("Ann")));
/// # Ok::<(), coedit::Malformed>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "checked_name")]
    name: Option<Arc<str>>,
}

/// Reads a name that is not too long.
fn checked_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let checked = name.map(|name| Ok(bounded(&name, USER_NAME_MAX, Malformed::UserName)?.into()));
    checked.transpose().map_err(|error: Malformed| de::Error::custom(error))
}

impl User {
    /// Makes a user without a name.
    ///
    /// # Errors
    ///
    /// [`Malformed::UserId`] if `id` breaks the rule of [`UserId`].
    pub fn new(id: &str) -> Result<Self, Malformed> {
        Ok(UserId::new(id)?.into())
    }

    /// Returns the same user with a name of 0 to 1,024 bytes. It replaces any earlier name.
    ///
    /// # Errors
    ///
    /// [`Malformed::UserName`] if `name` is longer.
    pub fn named(self, name: &str) -> Result<Self, Malformed> {
        let name = bounded(name, USER_NAME_MAX, Malformed::UserName)?;
        Ok(User { name: Some(name.into()), ..self })
    }

    /// Returns the user's id.
    pub fn id(&self) -> &UserId {
        &self.id
    }

    /// Returns the user's name; `None` if the host gave none.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Takes over the name of `from`, if it has one.
    pub(crate) fn learn_name(&mut self, from: &User) {
        if from.name.is_some() && self.name != from.name {
            self.name.clone_from(&from.name);
        }
    }

    pub(crate) fn shared_name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

impl From<UserId> for User {
    fn from(id: UserId) -> Self {
        User { id, name: None }
    }
}

/// The id of a connection: 64 bits, for a host's own tables.
///
/// An engine never uses an id for two connections: a call with the id of a closed connection fails. An id has a meaning
/// only for the engine that returned it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The slot times the number of shards, plus the shard.
    place: u32,
    /// How many connections used the slot before.
    generation: u32,
}

impl ConnectionId {
    pub(crate) fn new(place: u32, generation: u32) -> Self {
        ConnectionId { place, generation }
    }

    pub(crate) fn place(self) -> u32 {
        self.place
    }

    pub(crate) fn generation(self) -> u32 {
        self.generation
    }

    /// Returns the id as a number. [`from_bits`](Self::from_bits) turns it back into the id.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    /// Returns the id whose [`to_bits`](Self::to_bits) is `bits`. Every number is accepted; calls with an id that the
    /// engine never returned fail like calls with the id of a closed connection.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub fn from_bits(bits: u64) -> Self {
        ConnectionId { place: bits as u32, generation: (bits >> 32) as u32 }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bits())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// As its number in a string: a number in JSON is exact only up to 2⁵³.
impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = String::deserialize(deserializer)?.parse().map_err(de::Error::custom)?;
        Ok(ConnectionId::from_bits(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_kept_whole() {
        for len in 1..=KEY_MAX {
            let text = "k".repeat(len);
            let key = DocumentKey::new(&text).unwrap();
            assert_eq!(key.as_str(), text);
            assert_eq!(key.clone(), key);
        }
    }

    #[test]
    fn names_are_small() {
        assert_eq!(size_of::<DocumentKey>(), 24);
        assert_eq!(size_of::<UserId>(), 24);
        assert_eq!(size_of::<Option<UserId>>(), 24);
        assert_eq!(size_of::<User>(), 40);
        assert_eq!(size_of::<ConnectionId>(), 8);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn user_ids_are_compared_by_their_bytes() {
        let texts: Vec<String> = (1..=USER_ID_MAX).map(|len| "u".repeat(len)).collect();
        for (one, other) in texts.iter().zip(texts.iter().skip(1)) {
            let user = UserId::new(one).unwrap();
            assert_eq!((user.as_str(), &user), (one.as_str(), &UserId::new(one).unwrap()));
            assert!(user < UserId::new(other).unwrap());
        }
    }

    #[test]
    fn a_later_name_replaces_the_earlier() {
        let mut user = User::new("u").unwrap().named("U").unwrap().named("V").unwrap();
        assert_eq!(user.name(), Some("V"));
        user.learn_name(&User::new("u").unwrap());
        assert_eq!(user.name(), Some("V"), "no name is no news");
        user.learn_name(&User::new("u").unwrap().named("W").unwrap());
        assert_eq!(user.name(), Some("W"));
    }

    #[test]
    fn connection_ids_survive_their_bits() {
        let id = ConnectionId::new(0xdead_beef, 7);
        assert_eq!(ConnectionId::from_bits(id.to_bits()), id);
    }
}
