//! `coedit plan`: how many connections a crowd needs.

mod course;
mod curve;
mod day;
mod draw;
mod figures;
mod recorded;
mod svg;
mod table;
mod trace;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use coedit::capacity::CONNECTIONS_MAX;

use day::Day;
use figures::Plan;
use trace::Trace;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("from").required(true).args(["users", "opens_per_hour", "trace", "usage"])), after_help = JSON)]
pub(crate) struct Settings {
    /// How many users there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX / 2)))]
    users: Option<u32>,
    /// Documents that a user at work has open at one time, each in a connection of its own [default: 1]
    #[arg(long, value_name = "X", requires = "users", value_parser = positive)]
    docs_per_user: Option<f64>,
    /// The share of the users who are at work at one time, more than 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE", requires = "users", value_parser = share_of_users)]
    concurrent: Option<f64>,
    /// Instead of users: how many times an hour somebody opens a document
    #[arg(long, value_name = "X", requires = "stay", value_parser = positive)]
    opens_per_hour: Option<f64>,
    /// How long a document stays open, on the average, in minutes [default, for the picture: 30]
    #[arg(long, value_name = "MINUTES", conflicts_with = "trace", value_parser = positive)]
    stay: Option<f64>,
    /// Instead of users: recorded requests, one JSON object a line as for `replay`; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Instead of users: what an engine recorded, as the door's command `usage` answers it; the window with the largest
    /// load counts; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    usage: Option<PathBuf>,
    /// The share of opens that may fall back to view-only, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share_of_opens)]
    share: f64,
    /// A limit to look at as well, and to draw
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(CONNECTIONS_MAX)))]
    limit: Option<u32>,
    /// The figures as one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Draws a picture: connections over time against the limit, and the share that falls back over the limit
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

const JSON: &str = "The JSON object: `target` the share that may fall back; `load` connections open on the average, were none \
refused, in a trace in its busiest hour; `crowd` or `trace` what that is from, times in ISO 8601, stays in minutes; `answers` \
the limits that something or somebody says (`by`: erlang-b, engset, observed, thumb, thumb-all-at-work, limit); `limits` \
limits from 0 up. Each answer and limit has `connections`, the shares of opens that fall back by `erlang_b`, by `engset` where \
the group is known, as `observed` in a trace, and there `fallbacks`, the number of them.";

/// What `--stay` is where it is not said, in minutes.
const STAY: f64 = 30.0;

pub(crate) fn run(settings: &Settings) -> io::Result<()> {
    let trace = settings.trace.as_deref().map(Trace::read).transpose()?;
    let recorded = settings.usage.as_deref().map(recorded::read).transpose()?;
    let plan = match (&trace, recorded, settings.users, settings.opens_per_hour) {
        (Some(trace), ..) => Plan::of_trace(trace, settings.share, settings.limit),
        (None, Some((recorded, load)), ..) => Plan::of_usage(recorded, load, settings.share, settings.limit),
        (None, None, Some(users), _) => {
            let (documents, concurrent) =
                (settings.docs_per_user.unwrap_or(1.0), settings.concurrent.unwrap_or(1.0));
            Plan::of_users(users, documents, concurrent, settings.share, settings.limit)
        }
        (None, None, None, opens) => {
            let (opens, stay) = (opens.unwrap_or_default(), settings.stay.unwrap_or(STAY));
            Plan::of_opens(opens, stay, settings.share, settings.limit)
        }
    }
    .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    if let Some(path) = &settings.svg {
        let picture = match &trace {
            Some(trace) => svg::of_trace(&plan, trace),
            None => {
                let stay = settings.stay.unwrap_or(STAY);
                svg::of_day(&plan, &Day::simulate(plan.load, stay, plan.limit)?, stay)
            }
        };
        write(path, &picture)?;
    }
    let mut stdout = io::stdout().lock();
    if settings.json {
        serde_json::to_writer(&mut stdout, &plan)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", table::Table(&plan))?;
    }
    stdout.flush()
}

fn write(path: &Path, picture: &str) -> io::Result<()> {
    std::fs::write(path, picture)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

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
