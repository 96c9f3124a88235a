//! Classes and meetings: users who open together. Nothing is random, so no formula is needed.

use std::fmt;
use std::io;
use std::time::Duration;

use coedit::Timestamp;
use coedit::capacity::{Burst, Observed, timetable};
use serde::Serialize;

use super::options::PlanOptions;
use super::percent::percent;
use super::table::paragraph;
use crate::failure::bad_argument;

/// How many connections a timetable needs.
#[derive(Serialize)]
pub(super) struct Timetable {
    bursts: Vec<String>,
    /// The number of all users.
    users: u64,
    /// Enough for all.
    connections: u32,
    /// The time of day at which so many are first needed.
    at: String,
    /// The course under the limits of the command line.
    under: Vec<RefusedUsers>,
}

/// The users of a timetable who are refused under a limit.
#[derive(Serialize)]
struct RefusedUsers {
    connections: u32,
    refused: u64,
    share: f64,
    /// For how long somebody is view-only, in minutes.
    view_only_minutes: f64,
}

impl Timetable {
    pub(super) fn new(options: &PlanOptions) -> io::Result<Self> {
        let midnight = Timestamp::default();
        let day = timetable(&options.burst, midnight).map_err(bad_argument)?;
        let Some((connections, at)) = day.peak() else {
            return Err(bad_argument("there is no user in the timetable"));
        };
        Ok(Timetable {
            bursts: options.burst.iter().map(Burst::to_string).collect(),
            users: day.opens(),
            connections,
            at: time_of_day(at.since(midnight)),
            under: options.limit.iter().map(|limit| RefusedUsers::new(&day, *limit)).collect(),
        })
    }
}

impl RefusedUsers {
    fn new(day: &Observed, connections: u32) -> Self {
        let under = day.under(connections);
        RefusedUsers {
            connections,
            refused: under.fallbacks,
            share: under.share,
            view_only_minutes: under.view_only_time.as_secs_f64() / 60.0,
        }
    }
}

fn time_of_day(since_midnight: Duration) -> String {
    let minutes = since_midnight.as_secs() / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timetable { bursts, users, connections, at, under } = self;
        paragraph(f, "who comes", &format!("{}: {users} users in all", bursts.join(", ")))?;
        paragraph(f, "needed", &format!("{connections} connections are enough for all, from {at} on"))?;
        for RefusedUsers { connections, refused, share, view_only_minutes } in under {
            let share = percent(*share);
            let text = format!(
                "{refused} of {users} users are refused, {share}, for {view_only_minutes:.0} minutes"
            );
            paragraph(f, &format!("under {connections}"), &text)?;
        }
        Ok(())
    }
}
