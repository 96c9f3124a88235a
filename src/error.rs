//! Errors: one type for each method that can fail, and their codes on the wire.

use std::fmt;

use crate::ids::Malformed;

/// Declares a fieldless enum that serializes as a number.
macro_rules! numbered {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        pub enum $name { $($(#[$doc])* $variant = $number,)+ }

        impl $name {
            /// Returns its number on the wire.
            pub const fn number(self) -> u8 {
                self as u8
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 {
                value.number()
            }
        }

        impl TryFrom<u8> for $name {
            type Error = $crate::error::UnknownNumber;

            fn try_from(number: u8) -> Result<Self, Self::Error> {
                match number {
                    $($number => Ok($name::$variant),)+
                    _ => Err($crate::error::UnknownNumber(number)),
                }
            }
        }
    };
}
pub(crate) use numbered;

/// A number on the wire that is no variant of the enum it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownNumber(pub u8);

impl fmt::Display for UnknownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stands for nothing here", self.0)
    }
}

impl std::error::Error for UnknownNumber {}

numbered! {
    /// The `error` field of a reply of the command service.
    #[non_exhaustive]
    pub enum ErrorCode {
        /// Success.
        None = 0,
        /// The key is missing or malformed, or there is no such document, connection or forgotten document.
        Key = 1,
        /// The callback URL is not correct. coedit never sends it.
        CallbackAddress = 2,
        /// An internal error, or the engine reached one of its bounds.
        Internal = 3,
        /// There are no changes since the last save.
        NotChanged = 4,
        /// The command is unknown, or a parameter is missing or malformed.
        Command = 5,
        /// The token is not valid. coedit never sends it.
        Token = 6,
    }
}

/// Declares the error of a method: each variant with its code on the wire and its message.
macro_rules! method_error {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $code:ident, $text:literal;)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Returns its code in a reply of the command service.
            pub const fn code(self) -> ErrorCode {
                match self { $($name::$variant => ErrorCode::$code,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text,)+ })
            }
        }

        impl std::error::Error for $name {}
    };
}

method_error! {
    /// Why [`Engine::open`](crate::Engine::open) failed. A limit is no error: past it a user gets view access.
    OpenError {
        /// The engine has as many connections or documents open as it can number (2³²).
        Full => Internal, "the engine has as many connections or documents open as it can number";
        /// The engine shuts down, or has ended.
        ShutDown => Internal, "the engine shuts down";
        /// As many connections are open, viewers included, as
        /// [`Config::max_connections`](crate::Config::max_connections) allows.
        TooMany => Internal, "as many connections are open as max_connections allows";
    }
}

method_error! {
    /// The connection is not open.
    ConnectionError {
        /// There is no open connection with this id.
        Unknown => Key, "no such connection is open";
    }
}

method_error! {
    /// Why the engine refused a change.
    ChangeError {
        /// There is no open connection with this id.
        Unknown => Key, "no such connection is open";
        /// The connection has no edit access: it got view access, or its edit access was dropped.
        ViewOnly => Command, "the connection has no edit access";
        /// The transport of the connection broke, and nobody resumed it yet.
        Lost => Command, "the connection is lost";
    }
}

method_error! {
    /// Why [`Engine::resume`](crate::Engine::resume) failed.
    ResumeError {
        /// There is no such connection any more: it was closed, its lease ended, or the token is another engine's.
        Unknown => Key, "no connection has this token";
        /// The connection was resumed with a higher number of attempt.
        Stale => Command, "the connection was resumed by a later attempt";
        /// The engine shuts down, or has ended.
        ShutDown => Internal, "the engine shuts down";
    }
}

/// Why [`Engine::restore`](crate::Engine::restore) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// A setting is out of bounds.
    Config(ConfigError),
    /// The snapshot has another form than this version of coedit reads.
    Version,
    /// The snapshot says what cannot be. It was not written by coedit, or was changed since.
    Damaged,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Config(error) => error.fmt(f),
            RestoreError::Version => f.write_str("the snapshot has another version"),
            RestoreError::Damaged => f.write_str("the snapshot is damaged"),
        }
    }
}

impl std::error::Error for RestoreError {}

method_error! {
    /// Why [`Engine::lost`](crate::Engine::lost) or [`Engine::touch`](crate::Engine::touch) failed.
    TransportError {
        /// There is no open connection with this id.
        Unknown => Key, "no such connection is open";
        /// The connection is lost already.
        Lost => Command, "the connection is lost";
    }
}

method_error! {
    /// Why [`Engine::request_edit`](crate::Engine::request_edit) or [`Engine::release_edit`](crate::Engine::release_edit)
    /// failed.
    RequestError {
        /// There is no open connection with this id.
        Unknown => Key, "no such connection is open";
        /// The connection is lost.
        Lost => Command, "the connection is lost";
        /// As many connections wait as may: 65,536.
        TooMany => Internal, "65,536 connections wait";
        /// The engine shuts down, or has ended.
        ShutDown => Internal, "the engine shuts down";
    }
}

method_error! {
    /// Why [`Engine::fence`](crate::Engine::fence) failed.
    FenceError {
        /// There are as many fences as there may be: 65,536, each user one.
        TooMany => Internal, "there are 65,536 fences";
    }
}

method_error! {
    /// The document is not open.
    DocumentError {
        /// Nobody is in the document and no save of it is pending.
        NotOpen => Key, "the document is not open";
    }
}

method_error! {
    /// Why [`Engine::info`](crate::Engine::info) failed.
    InfoError {
        /// The `userdata` is longer than 4,096 bytes.
        Userdata => Command, "userdata is at most 4,096 bytes";
        /// Nobody is in the document and no save of it is pending.
        NotOpen => Key, "the document is not open";
    }
}

method_error! {
    /// Why the engine refused a force save.
    ForceSaveError {
        /// The `userdata` is longer than 4,096 bytes.
        Userdata => Command, "userdata is at most 4,096 bytes";
        /// Nobody is in the document and no save of it is pending.
        NotOpen => Key, "the document is not open";
        /// There is no open connection with this id.
        UnknownConnection => Key, "no such connection is open";
        /// The connection may not edit.
        ViewOnly => Command, "the connection may not edit";
        /// There are no changes since the last save or force save, including one that is under way.
        NotChanged => NotChanged, "there are no changes since the last save";
        /// The storage has too many requests of this document to take first. See
        /// [`Bounds::asked`](crate::Bounds::asked).
        TooManyAsked => Internal, "too many requests of this document wait for the storage";
    }
}

method_error! {
    /// Why [`Engine::rename`](crate::Engine::rename) failed.
    MetaError {
        /// The title is longer than 4,096 bytes.
        Title => Command, "a title is at most 4,096 bytes";
    }
}

method_error! {
    /// The document is not forgotten.
    ForgottenError {
        /// Its last save was not given up, or it was saved or deleted since.
        NotForgotten => Key, "the document is not forgotten";
    }
}

method_error! {
    /// Why [`Engine::retry_forgotten`](crate::Engine::retry_forgotten) failed.
    RetryError {
        /// Its last save was not given up, or it was saved or deleted since.
        NotForgotten => Key, "the document is not forgotten";
        /// Somebody edits it, or a save of it is under way.
        UnderWay => NotChanged, "somebody edits the document, or a save of it is under way";
    }
}

impl From<Malformed> for InfoError {
    fn from(_: Malformed) -> Self {
        InfoError::Userdata
    }
}

impl From<Malformed> for ForceSaveError {
    fn from(_: Malformed) -> Self {
        ForceSaveError::Userdata
    }
}

impl From<Malformed> for MetaError {
    fn from(_: Malformed) -> Self {
        MetaError::Title
    }
}

/// A setting of a [`Config`](crate::Config) is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of the setting.
    pub setting: &'static str,
    /// The bounds, as a phrase that follows "must be".
    pub rule: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.setting, self.rule)
    }
}

impl std::error::Error for ConfigError {}
