//! What the engine says of itself and of the limits in force.

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::quota::NamedUsers;

/// The version of coedit, as in [`Engine::version`](crate::Engine::version) and every history.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const BUILD_DATE: &str = "2026-11-23";
const BUILD_NUMBER: u32 = 1;
/// coedit does not expire, and the clients that read this want a date.
const NO_END: &str = "9999-12-31T23:59:59.999Z";

/// A limit and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// How many connections may have the access; `None` without a limit.
    pub limit: Option<u32>,
    /// How many have it. May be above a limit that was lowered.
    pub in_use: u32,
}

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Connections with edit access.
    pub edit: Limit,
    /// Connections with live-view access.
    pub live: Limit,
    /// Connections with edit access to one document.
    pub document: Option<u32>,
    /// Connections with edit access of one user, over all documents.
    pub user: Option<u32>,
    /// All connections, viewers counted in; they are counted only under a cap.
    pub connections: Limit,
    /// Named users.
    pub named_users: NamedUsers,
}

/// The answer to `license`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct License {
    /// The limits in force.
    pub license: LicenseTerms,
    /// The server that enforces them.
    pub server: LicenseServer,
    /// The named users that count against them.
    pub quota: Quota,
}

/// The limits in force, as the command service names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LicenseTerms {
    /// When they end.
    pub end_date: String,
    /// Always false.
    pub trial: bool,
    /// Always false.
    pub customization: bool,
    /// Edit connections; 0 without a limit.
    pub connections: u32,
    /// Live-view connections; 0 without a limit.
    pub connections_view: u32,
    /// Named users who may edit; 0 without a limit.
    pub users_count: u32,
    /// Named users who may have the live view; 0 without a limit.
    pub users_view_count: u32,
    /// Days after which a named user no longer counts; 0 without a limit by users.
    pub users_expire: u32,
}

/// The server, as the command service names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LicenseServer {
    /// 3: the terms are valid.
    pub result_type: u32,
    /// 0.
    pub package_type: u32,
    /// When this version was made.
    pub build_date: String,
    /// Its version.
    pub build_version: String,
    /// Its number among the builds of that version.
    pub build_number: u32,
}

/// The named users that count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quota {
    /// Those who may edit.
    pub users: Vec<NamedUser>,
    /// Those who may have the live view.
    pub users_view: Vec<NamedUser>,
}

/// A named user that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedUser {
    /// Who.
    pub userid: UserId,
    /// Until when: the end of a day, UTC.
    pub expire: String,
}

impl License {
    pub(crate) fn of(limits: Limits, quota: Quota) -> Self {
        let NamedUsers { edit, live, expire_days } = limits.named_users;
        License {
            license: LicenseTerms {
                end_date: NO_END.to_owned(),
                trial: false,
                customization: false,
                connections: limits.edit.limit.unwrap_or(0),
                connections_view: limits.live.limit.unwrap_or(0),
                users_count: edit.unwrap_or(0),
                users_view_count: live.unwrap_or(0),
                users_expire: if edit.is_none() && live.is_none() { 0 } else { expire_days },
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
