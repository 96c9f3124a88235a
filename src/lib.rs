//! A co-editing session engine.
mod access;
mod callback;
mod config;
mod connection;
mod delivery;
pub mod door;
mod engine;
mod error;
mod ids;
mod license;
mod notice;
mod registry;
mod seats;
mod session;
mod time;
mod timer;

pub use access::{Access, Dropped, Grant, Participant, Reason};
pub use callback::{Action, ActionKind, Author, Callback, ForceSaveType, History, Status, Turn};
pub use config::{Bounds, Config, Hook};
pub use connection::Connection;
pub use delivery::{Callbacks, Delivery, Notices, RecvError, RecvTimeoutError, TryRecvError};
pub use engine::Engine;
pub use error::{
    ChangeError, ConfigError, ConnectionError, DocumentError, ErrorCode, ForceSaveError, ForgottenError,
    InfoError, MetaError, OpenError, UnknownNumber,
};
pub use ids::{
    ConnectionId, DocumentKey, KEY_MAX, Malformed, TITLE_MAX, URL_MAX, USER_ID_MAX, USER_NAME_MAX,
    USERDATA_MAX, User, UserId,
};
pub use license::{License, LicenseServer, LicenseTerms, Limit, Limits, NamedUser, Quota, VERSION};
pub use notice::Notice;
pub use time::{Clock, ManualClock, SystemClock, Timestamp, TimestampError};
pub use timer::Timer;
