//! The answer to the `license` command: the version and the limits in force.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::limits::Limits;

/// The version of coedit. [`Engine::version`](crate::Engine::version) and every [`History`](crate::History) hold it too.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const BUILD_DATE: &str = "2026-11-23";
const BUILD_NUMBER: u32 = 1;
/// coedit does not expire, but clients require a date.
const NO_END: &str = "9999-12-31T23:59:59.999Z";

/// The answer to `license`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct License {
    /// The limits in force.
    pub license: LicenseTerms,
    /// The server.
    pub server: LicenseServer,
    /// The named users.
    pub quota: Quota,
}

/// The limits in force, with the field names of the command service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LicenseTerms {
    /// When the license ends: always the end of the year 9999.
    pub end_date: String,
    /// Always false.
    pub trial: bool,
    /// Always false.
    pub customization: bool,
    /// The most connections with edit access; 0 means no limit.
    pub connections: u32,
    /// The most connections with live-view access; 0 means no limit.
    pub connections_view: u32,
    /// The most named users with edit access; 0 means no limit.
    pub users_count: u32,
    /// The most named users with live-view access; 0 means no limit.
    pub users_view_count: u32,
    /// [`NamedUsers::expire_days`](crate::NamedUsers::expire_days); 0 if there is no limit of named users.
    pub users_expire: u32,
}

/// The server, with the field names of the command service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LicenseServer {
    /// Always 3: the license is valid.
    pub result_type: u32,
    /// Always 0.
    pub package_type: u32,
    /// The date of the build, as `YYYY-MM-DD`.
    pub build_date: String,
    /// The version.
    pub build_version: String,
    /// The number of the build of this version.
    pub build_number: u32,
}

/// The named users that count now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quota {
    /// Those with edit access.
    pub users: Vec<NamedUser>,
    /// Those with live-view access.
    pub users_view: Vec<NamedUser>,
}

/// One named user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedUser {
    /// The user.
    pub userid: UserId,
    /// Until when the user counts: the end of a day, UTC.
    pub expire: String,
}

impl License {
    pub(crate) fn of(limits: Limits, quota: Quota) -> Self {
        let named = limits.named_users;
        let by_users = named.edit.is_some() || named.live.is_some();
        License {
            license: LicenseTerms {
                end_date: NO_END.to_owned(),
                trial: false,
                customization: false,
                connections: limits.edit.limit.unwrap_or(0),
                connections_view: limits.live.limit.unwrap_or(0),
                users_count: named.edit.unwrap_or(0),
                users_view_count: named.live.unwrap_or(0),
                users_expire: if by_users { named.expire_days } else { 0 },
            },
            server: LicenseServer {
                result_type: 3,
                package_type: 0,
                build_date: BUILD_DATE.to_owned(),
                build_version: VERSION.to_owned(),
                build_number: BUILD_NUMBER,
            },
            quota,
        }
    }
}
