//! Names: of documents, of users, and of connections; and the short texts that users give.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::{Inline, Text, Thin};

/// Most bytes of a [`DocumentKey`].
pub const KEY_MAX: usize = 128;
/// Most bytes of a [`UserId`].
pub const USER_ID_MAX: usize = 240;
/// Most bytes of a user's name.
pub const USER_NAME_MAX: usize = 1024;
/// Most bytes of the `userdata` that comes with a request and goes back with its callback.
pub const USERDATA_MAX: usize = 4096;
/// Most bytes of a document's title.
pub const TITLE_MAX: usize = 4096;
/// Most bytes of the address at which a host keeps a file that could not be saved.
pub const URL_MAX: usize = 4096;

/// A text breaks the rule for what it is to be; the message names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Not 1 to 128 characters out of `0-9 a-z A-Z - . _ =`.
    Key,
    /// Not 1 to 240 bytes without control characters.
    UserId,
    /// More than 1,024 bytes.
    UserName,
    /// More than 4,096 bytes.
    Userdata,
    /// More than 4,096 bytes.
    Title,
    /// More than 4,096 bytes.
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

/// `text` if it is at most `most` bytes long.
pub(crate) fn bounded(text: &str, most: usize, otherwise: Malformed) -> Result<&str, Malformed> {
    if text.len() <= most { Ok(text) } else { Err(otherwise) }
}

/// The name of a document: 1 to 128 characters out of `0-9 a-z A-Z - . _ =`, chosen by the host.
///
/// Cheap to clone; up to 23 bytes are kept without an allocation.
///
/// ```
/// use coedit::DocumentKey;
///
/// let key: DocumentKey = "report-7.docx".parse()?;
/// assert_eq!(key.as_str(), "report-7.docx");
/// assert!(DocumentKey::new("no/slashes").is_err());
/// # Ok::<(), coedit::Malformed>(())
/// ```
#[derive(Clone)]
pub struct DocumentKey(Text<Arc<str>, 23>);

/// What a user is known by: 1 to 240 bytes of UTF-8 without control characters, compared byte for byte.
///
/// Cheap to clone; up to 15 bytes are kept without an allocation. A user is not a connection: one user may hold
/// several, on one document or on many.
#[derive(Clone)]
pub struct UserId(Text<Thin, 15>);

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

impl UserId {
    /// A byte that tells most ids apart without looking at them: of the bytes at both ends and the length, mixed by a
    /// multiplication. Never zero. Whoever chooses ids with equal tags wins nothing but a comparison.
    pub(crate) fn tag(&self) -> u8 {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let (first, last, len) = match &self.0 {
            Text::Inline(Inline { len, bytes }) => (bytes.first_chunk(), bytes.last_chunk(), *len as u64),
            Text::Shared(text) => {
                let bytes = text.as_ref().as_bytes();
                (bytes.first_chunk(), bytes.last_chunk(), bytes.len() as u64)
            }
        };
        let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mixed = (word(first) ^ word(last).rotate_left(21) ^ len).wrapping_mul(ODD);
        mixed.to_be_bytes()[0] | 1
    }
}

macro_rules! text_name {
    ($name:ident) => {
        impl $name {
            /// Checks `text` against the rule above.
            pub fn new(text: &str) -> Result<Self, Malformed> {
                Self::check(text)?;
                Ok($name(Text::new(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The name as bytes.
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

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl Eq for $name {}

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_bytes().cmp(other.as_bytes())
            }
        }

        impl Hash for $name {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
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

/// A user as the host knows it: an id, and a name if there is one to show.
///
/// ```
/// use coedit::User;
///
/// let ann = User::new("u-17")?.named("Ann")?;
/// assert_eq!((ann.id().as_str(), ann.name()), ("u-17", Some("Ann")));
/// # Ok::<(), coedit::Malformed>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct User(Person);

/// As small as the id alone.
#[derive(PartialEq, Eq)]
enum Person {
    Bare(UserId),
    Named(Arc<(UserId, Arc<str>)>),
}

impl Clone for Person {
    /// Not inlined, for the reason that a text's is not.
    #[inline(never)]
    fn clone(&self) -> Self {
        match self {
            Person::Bare(UserId(Text::Inline(text))) => Person::Bare(UserId(Text::Inline(*text))),
            Person::Bare(id) => Person::Bare(id.clone()),
            Person::Named(person) => Person::Named(person.clone()),
        }
    }
}

impl User {
    /// A user without a name.
    pub fn new(id: &str) -> Result<Self, Malformed> {
        Ok(UserId::new(id)?.into())
    }

    /// The same user with a name of 0 to 1,024 bytes.
    pub fn named(self, name: &str) -> Result<Self, Malformed> {
        let name = bounded(name, USER_NAME_MAX, Malformed::UserName)?.into();
        Ok(User(Person::Named(Arc::new((self.id().clone(), name)))))
    }

    /// What the user is known by.
    pub fn id(&self) -> &UserId {
        match &self.0 {
            Person::Bare(id) => id,
            Person::Named(person) => &person.0,
        }
    }

    /// The name, if the host gave one.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Person::Bare(_) => None,
            Person::Named(person) => Some(&person.1),
        }
    }

    /// Takes over a name that was given later.
    pub(crate) fn learn_name(&mut self, from: &User) {
        if from.name().is_some() && self.name() != from.name() {
            self.clone_from(from);
        }
    }

    pub(crate) fn shared_name(&self) -> Option<Arc<str>> {
        match &self.0 {
            Person::Bare(_) => None,
            Person::Named(person) => Some(person.1.clone()),
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", self.id()).field("name", &self.name()).finish()
    }
}

impl From<UserId> for User {
    fn from(id: UserId) -> Self {
        User(Person::Bare(id))
    }
}

/// The bare name of a connection: 64 bits that a host may keep in its own books.
///
/// It names a place in the engine and how often that place was used before, so it goes straight to its connection, and
/// one whose connection is gone is recognised and never means another. It means nothing to another engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Slot times shards plus shard.
    place: u32,
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

    /// The id as a number, for a host's own tables.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    /// The id that [`to_bits`](Self::to_bits) gave. Any number is safe: one that was never given out names nothing.
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

impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_come_back_whole() {
        for len in 1..=KEY_MAX {
            let text = "k".repeat(len);
            let key = DocumentKey::new(&text).unwrap();
            assert_eq!(key.as_str(), text);
            assert_eq!(key.clone(), key);
        }
    }

    #[test]
    fn names_take_two_words_or_three() {
        assert_eq!(size_of::<DocumentKey>(), 24);
        assert_eq!(size_of::<Option<UserId>>(), 16);
        assert_eq!(size_of::<Option<User>>(), 16);
        assert_eq!(size_of::<ConnectionId>(), 8);
    }

    #[test]
    fn short_and_long_users_compare_by_their_bytes() {
        let texts: Vec<String> = (1..=USER_ID_MAX).map(|len| "u".repeat(len)).collect();
        for (one, other) in texts.iter().zip(texts.iter().skip(1)) {
            let user = UserId::new(one).unwrap();
            assert_eq!((user.as_str(), &user), (one.as_str(), &UserId::new(one).unwrap()));
            assert_ne!(user, UserId::new(other).unwrap());
        }
        assert_eq!(User::new("u").unwrap().named("U").unwrap().named("V").unwrap().name(), Some("V"));
    }

    #[test]
    fn connection_ids_survive_their_bits() {
        let id = ConnectionId::new(0xdead_beef, 7);
        assert_eq!(ConnectionId::from_bits(id.to_bits()), id);
    }
}
