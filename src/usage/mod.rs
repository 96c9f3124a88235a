//! How much an engine is used, over the last hour, day, week, month and year.
//!
//! # Accuracy
//!
//! Connections are counted, not sampled. An average weighs each count by the milliseconds for which it lasted. A minimum or
//! maximum includes counts that lasted for no time. Time is steady time, so a wall clock that is set back or ahead changes
//! no number. With several threads, an operation is recorded too early by at most the time for which its thread waited between the
//! clock read and the lock.
//!
//! Up to 128 distinct users are counted. Above that the number is an estimate with a standard error of 2.3 %. See
//! `sketch.rs`.
//!
//! # Cost
//!
//! An open or a close reads two words that are seldom written, and writes only to its own shard.
//!
//! - `meter.rs` adds up the connections of one shard.
//! - `gauge.rs` keeps the extremes of the whole engine.
//! - `denied.rs` follows the users whom a limit refused edit access, in each shard. Only their own opens, grants and leaves
//!   cost more: a lookup in a tree of those who are there.
//! - `recorder.rs` collects both once a minute, before the first operation of the next minute.
//! - `history.rs` keeps what was collected, in buckets, and `months.rs` the users of calendar months.
//! - `busiest.rs` slides an hour and a quarter of an hour over the last minutes, once a minute.
//!
//! Memory does not depend on the traffic: at most 2 MiB an engine (140 KiB at first) and 7.5 KiB a shard. Nearly all of it
//! is sketches of users. A sketch of no user allocates nothing. A user whom a limit refused takes some 50 bytes while it is there without
//! edit access. At most 256 users of a shard are remembered for 15 minutes after they left.

mod buckets;
mod busiest;
mod busy_load;
mod denied;
mod gauge;
mod history;
mod meter;
mod months;
mod recorder;
mod sketch;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Reason;
use crate::time::Timestamp;
pub(crate) use denied::DeniedCase;
pub(crate) use meter::{Collected, Meter, Period};
pub(crate) use recorder::{Recorder, UsageSnapshot};

/// How much an engine is used, as `Engine::usage` returns it.
///
/// Each window begins at the beginning of a bucket. So it is up to one bucket longer than its name says. No window begins
/// before the engine was created.
///
/// The windows are cut by steady time, see [`Clock`](crate::Clock). Every time in here is what the wall clock showed then, by
/// what it shows now: if it is corrected by an hour, all times move by an hour, and buckets begin an hour off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// The time of the call.
    pub at: Timestamp,
    /// The time at which the engine was created.
    pub since: Timestamp,
    /// The last hour, in buckets of a minute.
    pub hour: Window,
    /// The last 24 hours, in buckets of 15 minutes.
    pub day: Window,
    /// The last 7 days, in buckets of an hour.
    pub week: Window,
    /// The last 30 days, in buckets of 6 hours from midnight UTC.
    pub month: Window,
    /// The last 365 days, in buckets of a day UTC.
    pub year: Window,
    /// The named users of the last 12 calendar months and the present one, the oldest first, by the wall clock. Months
    /// before the engine was created are left out.
    pub months: Vec<Month>,
}

/// What happened between `from` and `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Window {
    /// The beginning of the window, rounded down to the beginning of a bucket, or the time at which the engine was created.
    pub from: Timestamp,
    /// The end of the window: [`Usage::at`].
    pub to: Timestamp,
    /// The connections with edit access.
    pub edit: Level,
    /// The connections with live-view access.
    pub live: Level,
    /// The connections with view access.
    pub view: Level,
    /// The connections that waited for edit access.
    #[serde(default)]
    pub waits: Waits,
    /// The users whom a limit refused edit access.
    #[serde(default)]
    pub denials: Denials,
    /// The busiest hour that began in the window. It begins with any minute. `None` if nobody edited or wanted to.
    #[serde(default)]
    pub busiest_hour: Option<BusyPeriod>,
    /// The busiest quarter of an hour that began in the window, likewise.
    #[serde(default)]
    pub busiest_quarter: Option<BusyPeriod>,
    /// The number of opens, including those that got less access than they asked for.
    pub opens: u64,
    /// The number of opens that got edit access.
    pub edits: u64,
    /// The number of opens that got less access than they asked for, by reason. Reasons without opens are left out.
    /// [`ConnectionCap`](Reason::ConnectionCap) counts those that got no connection, which are not in `opens`.
    pub fallbacks: BTreeMap<Reason, u64>,
    /// The number of distinct users who opened. Above 128 it is an estimate with a standard error of 2.3 %.
    pub users: u64,
}

/// The connections that waited for edit access, see [`Engine::request_edit`](crate::Engine::request_edit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waits {
    /// How many began to wait.
    pub begun: u32,
    /// How many were granted edit access, whenever they began to wait.
    pub granted: u32,
    /// How long those waited on the average, in seconds. Each wait is rounded to a second. Zero if there were none.
    pub average_s: f64,
    /// How long the longest of those waits was, in seconds.
    pub longest_s: u32,
}

/// The users whom a limit of edit access refused, and what became of them. The limits are those of the engine, of
/// documents, of users and of named users.
///
/// A user on a document is counted once, from the first open that a limit refused until the user gets edit access to the
/// document: by waiting, or by another open. Opens that are tried again meanwhile count in [`Window::fallbacks`] only. A user
/// who edits the document already is not counted. A user who closes all connections to the document has left. If it opens
/// the document again within 15 minutes, it is the same case. At most 256 users of a shard are remembered for this.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Denials {
    /// How many users were refused, by limit. Limits that refused nobody are left out.
    pub refused: BTreeMap<Reason, u64>,
    /// How many got edit access within a minute, whenever they were refused.
    pub within_minute: u32,
    /// How many got it later than that, but within five minutes.
    pub within_five_minutes: u32,
    /// How many got it later than that.
    pub later: u32,
    /// How many left without it and did not come back.
    pub never: u32,
    /// How many are there without it at the end of the window.
    pub undecided: u32,
    /// How many minutes they were there without it, in all, by limit.
    pub minutes_lost: BTreeMap<Reason, f64>,
}

/// The busiest hour, or quarter of an hour: that in which most edit connections were open, or would have been if the
/// engine's limit had refused none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BusyPeriod {
    /// When it began. Time before the engine was created counts as idle.
    pub from: Timestamp,
    /// The average number of edit connections.
    pub average: f64,
    /// The offered load in erlangs: the average number of edit connections if none had been refused. A refused user counts
    /// for as long as it was there without edit access, or for as long as an edit connection lasts on the average if that
    /// gives more.
    pub offered: f64,
    /// The highest number of edit connections.
    pub max: u32,
    /// The number of opens that got edit access.
    pub edits: u32,
    /// The number of users whom the engine's limit refused edit access, as in [`Denials::refused`].
    pub refused: u32,
}

impl Window {
    /// The average number of edit connections, in erlangs, if the engine's limit had refused none of them. This is the load
    /// for the formulas of [`capacity`](crate::capacity). Returns `None` if the limit refused all of them.
    ///
    /// It counts connections. If the engine [counts](crate::Config::seat_count) users, the number is higher than needed.
    /// It assumes that the refused connections would have lasted as long as the others.
    ///
    /// ```
    /// use coedit::capacity::connections_for;
    /// use coedit::{Access, Config, DocumentKey, Engine, ManualClock, User};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let engine = Engine::new(Config::new().edit_limit(Some(2)).clock(clock.clone()))?;
    /// let key = DocumentKey::new("report")?;
    /// let open = |user| engine.open(&key, &User::new(user)?, Access::Edit).map_err(Box::<dyn std::error::Error>::from);
    /// let connections = [open("ann")?, open("ben")?, open("cleo")?]; // the third is past the limit
    /// clock.advance(Duration::from_secs(60));
    ///
    /// let load = engine.usage().unwrap().hour.offered_load().unwrap();
    /// assert_eq!(load, 3.0);
    /// assert_eq!(connections_for(load, 0.01)?, 8);
    /// # drop(connections);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "counts of opens, far below 2^53")]
    pub fn offered_load(&self) -> Option<f64> {
        let refused = self.fallbacks.get(&Reason::ConnectionLimit).copied().unwrap_or(0);
        match (self.edits, refused) {
            (_, 0) => Some(self.edit.average),
            (0, _) => None,
            (edits, refused) => Some(self.edit.average * (edits + refused) as f64 / edits as f64),
        }
    }
}

/// The number of connections over a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Level {
    /// The lowest number.
    pub min: u32,
    /// The average over time, exact up to rounding. Zero if no time has passed.
    pub average: f64,
    /// The highest number.
    pub max: u32,
    /// The time at which the highest number was first reached. If it was reached before the window, its beginning.
    pub max_at: Timestamp,
}

/// The named users of one calendar month, UTC: the distinct users who opened a connection in that month and got the access.
/// Above 128 a number is an estimate with a standard error of 2.3 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Month {
    /// The beginning of the month.
    pub from: Timestamp,
    /// The users who got edit access.
    pub edit: u64,
    /// The users who got live-view access.
    pub live: u64,
}
