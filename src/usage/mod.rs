//! How much an engine is used, over the last hour, day, week, month and year.
//!
//! # How exact it is
//!
//! Counts of connections are not sampled: an average weighs each count by the milliseconds for which it stood, and a
//! minimum or maximum sees counts that stood for no time too. A time at which the clock went backward counts as one at
//! which it stood still. With many threads an operation is put at most as far off as its thread was held up between
//! reading the clock and getting its lock.
//!
//! Distinct users are exact up to 128; past that they are estimated with a standard error of 2.3 %.
//!
//! # What it costs
//!
//! An open or a close reads two words that are seldom written and writes only to its own shard: `meter.rs` adds up what
//! the shard's connections do, `gauge.rs` sees the extremes of the whole engine, which do not follow from the shards'.
//! Once a minute, before the first operation of the next, `recorder.rs` collects it all into the buckets of `history.rs`.
//! Memory is fixed whatever the traffic: at most 2 MiB an engine and 6.5 KiB a shard, nearly all of it sketches of users
//! (`sketch.rs`). A sketch of nobody takes nothing, one of up to eight users 128 bytes.

mod gauge;
mod history;
mod meter;
mod recorder;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Reason;
use crate::time::Timestamp;
pub(crate) use meter::{Cut, Meter, Taken};
pub(crate) use recorder::Recorder;

/// How much an engine is used, as `Engine::usage` tells it.
///
/// Each window begins at a boundary of buckets, so it is up to one bucket longer than its name says, and never begins
/// before the engine did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// When it was asked; if the clock has gone backward, the latest moment before it did.
    pub at: Timestamp,
    /// When the engine began.
    pub since: Timestamp,
    /// The last hour, in buckets of a minute.
    pub hour: Window,
    /// The last 24 hours, in buckets of 15 minutes.
    pub day: Window,
    /// The last 7 days, in buckets of an hour.
    pub week: Window,
    /// The last 30 days, in buckets of 6 hours from midnight UTC.
    pub month: Window,
    /// The last 365 days, in days UTC.
    pub year: Window,
    /// The named users of the last 12 calendar months and the present one, the oldest first, none from before the engine.
    pub months: Vec<Month>,
}

/// What happened from `from` to `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Window {
    /// The bucket boundary at or before the moment that is the whole window before `to`; or when the engine began.
    pub from: Timestamp,
    /// When it was asked, as `at`.
    pub to: Timestamp,
    /// Connections with edit access.
    pub edit: Level,
    /// Connections with live-view access.
    pub live: Level,
    /// Connections with view access.
    pub view: Level,
    /// How many connections were opened, those that got less than they asked for counted in.
    pub opens: u64,
    /// How many of them got edit access.
    pub edits: u64,
    /// How many of them got less than they asked for, by why. Reasons that there were none of are left out.
    pub fallbacks: BTreeMap<Reason, u64>,
    /// How many distinct users opened: exact up to 128, past that estimated with a standard error of 2.3 %.
    pub users: u64,
}

impl Window {
    /// The mean number of edit connections that would have been open had the engine's limit refused none of them, in
    /// erlangs: the load for the formulas of [`capacity`](crate::capacity). `None` where it refused all of them.
    ///
    /// It counts connections: where seats are [counted](crate::Config::seat_count) by users, it says more than users need.
    /// Whoever was refused is taken to have wanted to stay as long as the others: what is known of `edits` opens stands
    /// for the refused ones too.
    ///
    /// ```
    /// use coedit::capacity::connections_for;
    /// use coedit::{Access, Config, DocumentKey, Engine, ManualClock, User};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let engine = Engine::new(Config::new().edit_limit(Some(2)).clock(clock.clone()))?;
    /// let key = DocumentKey::new("report")?;
    /// let ask = |user| engine.open(&key, &User::new(user)?, Access::Edit).map_err(Box::<dyn std::error::Error>::from);
    /// let tabs = [ask("ann")?, ask("ben")?, ask("cleo")?]; // the third is past the limit
    /// clock.advance(Duration::from_secs(60));
    ///
    /// let load = engine.usage().unwrap().hour.offered_load().unwrap();
    /// assert_eq!(load, 3.0);
    /// assert_eq!(connections_for(load, 0.01)?, 8);
    /// # drop(tabs);
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

/// How many connections there were at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Level {
    /// The fewest.
    pub min: u32,
    /// The average over the time, exact but for the rounding of the number. Zero if no time has passed.
    pub average: f64,
    /// The most.
    pub max: u32,
    /// When there were so many for the first time: at the beginning, if there were then.
    pub max_at: Timestamp,
}

/// The named users of one calendar month, UTC: distinct users who opened a connection in it and got the access. Exact up
/// to 128, past that estimated with a standard error of 2.3 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Month {
    /// The first moment of the month.
    pub from: Timestamp,
    /// Those given edit access.
    pub edit: u64,
    /// Those given live-view access.
    pub live: u64,
}
