//! The command line of `coedit plan`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use coedit::capacity::CONNECTIONS_MAX;

use super::read_options::ReadOptions;

// A doc comment here would replace the help text of the command.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["users", "opens_per_hour", "trace", "usage"])), after_help = JSON)]
pub(crate) struct PlanOptions {
    /// The number of users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX / 2)))]
    pub(super) users: Option<u32>,
    /// How many documents a user at work has open at the same time, one connection each [default: 1]
    #[arg(long, value_name = "X", requires = "users", value_parser = positive)]
    pub(super) docs_per_user: Option<f64>,
    /// The share of the users who work at the same time, above 0 and at most 1 [default: 1]
    #[arg(long, value_name = "SHARE", requires = "users", value_parser = share_of_users)]
    pub(super) concurrent: Option<f64>,
    /// Instead of users: the number of documents opened in an hour
    #[arg(long, value_name = "X", requires = "stay", value_parser = positive)]
    pub(super) opens_per_hour: Option<f64>,
    /// How long a document stays open on average, in minutes [default, for the picture: 30]
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
    /// The highest share of opens that may fall back to view-only, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share_of_opens)]
    pub(super) share: f64,
    /// Adds the figures of this limit, and draws this limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(CONNECTIONS_MAX)))]
    pub(super) limit: Option<u32>,
    /// Prints the figures as one JSON object instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Draws a picture: the connections over time with the limit, and the share of fallbacks for each limit
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
}

const JSON: &str = "The JSON object has these members. `target`: the share of opens that may fall back. `load`: the average \
number of connections that would be open if none were refused; for a trace and for usage, in the busiest hour. `crowd` or `trace`: where \
the load comes from, with times in ISO 8601 and stays in minutes. `warnings`: why the answers may be wrong, absent if there \
is nothing to warn of. `notes`: what is odd in a trace, in the same way. `answers`: the limit that each method gives (`by`: erlang-b, \
engset, observed, thumb, thumb-all-at-work, limit; thumb is the rule of thumb). `limits`: limits from 0 up. Each answer and \
each limit has `connections` and the share of opens that fall back: `erlang_b`, `engset` if the number of users is known, and \
for a trace `observed`, with the number of fallbacks in `fallbacks`.";

fn positive(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number > 0.0 && number.is_finite(), "a number above 0 is needed")
}

fn share_of_users(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number > 0.0 && number <= 1.0, "a number above 0 and not above 1 is needed")
}

fn share_of_opens(text: &str) -> Result<f64, &'static str> {
    number(text, |number| number > 0.0 && number < 1.0, "a number between 0 and 1 is needed")
}

fn number(text: &str, fits: fn(f64) -> bool, rule: &'static str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|number| fits(*number)).ok_or(rule)
}
