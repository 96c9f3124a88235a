//! The command line of `coedit plan`.

mod help;
mod values;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use coedit::capacity::{Burst, CONNECTIONS_MAX};

use super::read_options::ReadOptions;
pub(crate) use values::Concurrent;
use values::{growth, positive, share_of_opens, utc_offset};

// A doc comment here would replace the help text of the command.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(SOURCES)), after_help = help::AFTER_HELP)]
pub(crate) struct PlanOptions {
    /// The number of users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX / 2)))]
    pub(super) users: Option<u32>,
    /// How many documents a user at work has open at the same time, one connection each [default: 1]
    #[arg(long, value_name = "X", conflicts_with_all = NO_PEOPLE, value_parser = positive)]
    pub(super) docs_per_user: Option<f64>,
    /// The share of the users who work at the same time in the busiest hour, or a range of it: 33%, 1/3, 0.3..0.36
    /// [default: 1]
    #[arg(long, value_name = "SHARE", conflicts_with_all = NO_PEOPLE)]
    pub(super) concurrent: Option<Concurrent>,
    /// Instead of users: a number of connections; says for how many users it is enough
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "svg", "servers", "stay"],
        value_parser = clap::value_parser!(u32).range(..=i64::from(CONNECTIONS_MAX)))]
    pub(super) connections: Option<u32>,
    /// Instead of users: a class or meeting, whose users open together, as in 400@09:00/45m: 400 users at nine for 45 minutes;
    /// can be given several times
    #[arg(long, value_name = "N@TIME/STAY", value_delimiter = ',',
        conflicts_with_all = ["share", "stay", "svg", "servers"])]
    pub(super) burst: Vec<Burst>,
    /// Instead of users: the number of documents opened in an hour
    #[arg(long, value_name = "X", requires = "stay", value_parser = positive)]
    pub(super) opens_per_hour: Option<f64>,
    /// How long a document stays open on average, in minutes [default: 30]
    #[arg(long, value_name = "MINUTES", conflicts_with = "trace", value_parser = positive)]
    pub(super) stay: Option<f64>,
    /// Instead of users: a file of what was recorded: requests as for `replay`, CSV, an access log of nginx, or an answer of
    /// Prometheus; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    #[command(flatten)]
    pub(super) read: ReadOptions,
    /// Instead of users: a file with the reply to the command `usage`, or with the summary of `replay --json`; the
    /// busiest hour counts; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) usage: Option<PathBuf>,
    /// The highest share of opens that may fall back to view-only, between 0 and 1; the table is for the first of several
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_value = "0.01", value_parser = share_of_opens)]
    pub(super) share: Vec<f64>,
    /// Adds the figures of this limit, and draws the first of several
    #[arg(long, value_name = "N", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(..=i64::from(CONNECTIONS_MAX)))]
    pub(super) limit: Vec<u32>,
    /// Adds how many connections each of so many servers needs, if the users are spread evenly
    #[arg(long, value_name = "N", conflicts_with = "trace", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) servers: Option<u32>,
    /// Adds the month in which each limit is too low, if the users grow by this part in a month: 4%
    #[arg(long, value_name = "SHARE", value_parser = growth, conflicts_with_all = ["connections", "burst"])]
    pub(super) growth: Option<f64>,
    /// How many months `--growth` looks ahead
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1_200))]
    pub(super) months: u32,
    /// Adds what the connections of each answer cost
    #[arg(long, value_name = "PRICE", value_parser = positive, conflicts_with_all = ["connections", "burst"])]
    pub(super) price_connection: Option<f64>,
    /// Adds what named users cost, and from how many users on connections cost less
    #[arg(long, value_name = "PRICE", value_parser = positive, requires = "price_connection",
        conflicts_with_all = NO_PEOPLE)]
    pub(super) price_user: Option<f64>,
    /// Replays the trace through the engine, where an idle connection loses its access after so many minutes
    #[arg(long, value_name = "MINUTES", conflicts_with_all = NO_TRACES, value_parser = positive)]
    pub(super) idle: Option<f64>,
    /// Replays the trace through the engine, with a limit of edit connections to one document
    #[arg(long, value_name = "N", conflicts_with_all = NO_TRACES)]
    pub(super) document_connections: Option<u32>,
    /// Local time minus UTC, as in +02:00, for days and for the times of the table; JSON has UTC [default: UTC]
    #[arg(long, value_name = "OFFSET", default_value = "Z", hide_default_value = true, allow_hyphen_values = true,
        value_parser = utc_offset)]
    pub(super) utc_offset: i32,
    /// Prints the figures as one JSON object instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Draws a picture: the connections over time with the limit, and the share of fallbacks for each limit
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
}

/// The options that say where the load comes from.
const SOURCES: [&str; 6] = ["users", "connections", "burst", "opens_per_hour", "trace", "usage"];
// An option that requires one of them would be taken and ignored beside another, so it excludes the others.
/// Those of them that are not about users.
const NO_PEOPLE: [&str; 4] = ["burst", "opens_per_hour", "trace", "usage"];
/// Those of them that are no recording of connections.
const NO_TRACES: [&str; 5] = ["users", "connections", "burst", "opens_per_hour", "usage"];

impl PlanOptions {
    /// Returns true if the trace is to be replayed with other settings.
    pub(super) fn asks_what_if(&self) -> bool {
        self.idle.is_some() || self.document_connections.is_some()
    }
}
