//! What can go wrong, one type a method, and the code by which the wire knows it.

use std::fmt;

use crate::ids::Malformed;

/// Declares a fieldless enum that serde knows by its numbers.
macro_rules! numbered {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        pub enum $name { $($(#[$doc])* $variant = $number,)+ }

        impl $name {
            /// The number that stands for it on the wire.
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

/// A number that stands for nothing in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownNumber(pub u8);

impl fmt::Display for UnknownNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stands for nothing here", self.0)
    }
}

impl std::error::Error for UnknownNumber {}

numbered! {
    /// The `error` member of a reply.
    #[non_exhaustive]
    pub enum ErrorCode {
        /// Done.
        None = 0,
        /// The key is missing or malformed, or there is no such document, connection or forgotten file.
        Key = 1,
        /// The callback address is not correct. Never sent by coedit.
        CallbackAddress = 2,
        /// Internal error, or a bound of the engine was reached.
        Internal = 3,
        /// Nothing was changed since the last save.
        NotChanged = 4,
        /// The command is not correct: unknown, or a parameter is missing or ill-formed.
        Command = 5,
        /// Invalid token. Never sent by coedit.
        Token = 6,
    }
}

/// Declares the error of a method: each variant with its wire code and its sentence.
macro_rules! method_error {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $code:ident, $text:literal;)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The code that stands for it in a reply.
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
    /// Why [`Engine::open`](crate::Engine::open) let nobody in. Being past a limit is no error: it is an answer.
    OpenError {
        /// The engine holds as many connections or documents as it can name.
        Full => Internal, "the engine holds as many connections or documents as it can name";
        /// As many connections are open, viewers counted in, as
        /// [`Config::max_connections`](crate::Config::max_connections) allows.
        TooMany => Internal, "as many connections are open as the engine's cap allows";
    }
}

method_error! {
    /// The connection is closed, or never was.
    ConnectionError {
        /// No such connection is open.
        Unknown => Key, "no such connection is open";
    }
}

method_error! {
    /// Why a change was not accepted.
    ChangeError {
        /// No such connection is open.
        Unknown => Key, "no such connection is open";
        /// The connection may not edit: it came in view-only, or its access was dropped.
        ViewOnly => Command, "the connection may not edit";
    }
}

method_error! {
    /// The document is not open.
    DocumentError {
        /// Nobody is in the document and nothing of it is unsaved.
        NotOpen => Key, "the document is not open";
    }
}

method_error! {
    /// Why [`Engine::info`](crate::Engine::info) gave no answer.
    InfoError {
        /// The userdata is too long.
        Userdata => Command, "userdata is at most 4,096 bytes";
        /// Nobody is in the document and nothing of it is unsaved.
        NotOpen => Key, "the document is not open";
        /// As many requests of this document, or as many documents, as the bounds allow wait for the storage.
        TooManyAsked => Internal, "too many requests of this document, or too many documents, wait for the storage";
    }
}

method_error! {
    /// Why a force save was not taken up.
    ForceSaveError {
        /// The userdata is too long.
        Userdata => Command, "userdata is at most 4,096 bytes";
        /// Nobody is in the document and nothing of it is unsaved.
        NotOpen => Key, "the document is not open";
        /// No such connection is open.
        UnknownConnection => Key, "no such connection is open";
        /// Nothing was changed since the last save; a save under way counts as one.
        NotChanged => NotChanged, "nothing was changed since the last save";
        /// As many requests of this document as the bound allows wait for the storage.
        TooManyAsked => Internal, "too many requests of this document wait for the storage";
    }
}

method_error! {
    /// Why a title was not passed on.
    MetaError {
        /// The title is too long.
        Title => Command, "a title is at most 4,096 bytes";
        /// Nobody is in the document and nothing of it is unsaved.
        NotOpen => Key, "the document is not open";
    }
}

method_error! {
    /// The document is not among the forgotten ones.
    ForgottenError {
        /// Its last save did not fail for good, or it was deleted or saved since.
        NotForgotten => Key, "the document is not among the forgotten ones";
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

/// A setting of a [`Config`](crate::Config) is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting.
    pub setting: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.setting, self.rule)
    }
}

impl std::error::Error for ConfigError {}
