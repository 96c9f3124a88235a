//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use coedit::door::Acknowledge;
use coedit::{Config, NamedUsers, SeatCount};

use crate::plan::options::PlanOptions;

/// Tells who may edit a document: reads one JSON request a line and writes one JSON object a line.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 the input ended, or the reader of the output closed it; \
1 reading or writing failed; 2 the command line is not correct.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers requests from standard input on standard output, in real time
    Serve(EngineOptions),
    /// Runs the requests of a file and prints a summary on standard error. The clock follows the `at` of each request
    Replay {
        #[command(flatten)]
        options: EngineOptions,
        /// The file, with one JSON request a line; `-` reads standard input
        file: PathBuf,
    },
    /// Computes how many connections a number of users needs, by formulas, by the rule of thumb, or from a recorded trace
    Plan(PlanOptions),
}

// A doc comment here would replace the help text of the commands.
#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    /// The highest number of edit connections [default: no limit]
    #[arg(long, value_name = "N")]
    edit_connections: Option<u32>,
    /// The highest number of live-view connections [default: no limit]
    #[arg(long, value_name = "N")]
    live_connections: Option<u32>,
    /// The highest number of edit connections to one document [default: no limit]
    #[arg(long, value_name = "N")]
    document_connections: Option<u32>,
    /// The highest number of edit connections of one user, over all documents [default: no limit]
    #[arg(long, value_name = "N")]
    user_connections: Option<u32>,
    /// The highest number of connections of any access; past it an open fails [default: no limit]
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// The highest number of different users with edit access within the named days [default: no limit]
    #[arg(long, value_name = "N")]
    named_editors: Option<u32>,
    /// The highest number of different users with the live view within the named days [default: no limit]
    #[arg(long, value_name = "N")]
    named_viewers: Option<u32>,
    /// For how many days after the day of its first access a named user counts
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    named_days: u32,
    /// What takes a seat: each connection, or each user of a document with all its connections to it
    #[arg(long, value_enum, default_value_t = CountOption::Connections)]
    count: CountOption,
    /// How full a limit must be for a warning notice, in percent, 1 to 100
    #[arg(long, value_name = "PERCENT", default_value_t = 70)]
    warn_at: u32,
    /// How long after the last editor left a changed document its save is due, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    save_delay: u64,
    /// Who acknowledges callbacks: `auto` the door itself, `manual` the client, with `{"c":"ack",...}`
    #[arg(long, value_enum, default_value_t = AckOption::Auto)]
    ack: AckOption,
    /// Prints only the summary, no replies and no callbacks
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AckOption {
    Auto,
    Manual,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CountOption {
    Connections,
    Users,
}

impl EngineOptions {
    pub(crate) fn config(&self) -> Config {
        let named =
            NamedUsers { edit: self.named_editors, live: self.named_viewers, expire_days: self.named_days };
        let seat_count = match self.count {
            CountOption::Connections => SeatCount::Connections,
            CountOption::Users => SeatCount::UsersOfDocuments,
        };
        Config::new()
            .edit_limit(self.edit_connections)
            .live_limit(self.live_connections)
            .document_limit(self.document_connections)
            .user_limit(self.user_connections)
            .max_connections(self.max_connections)
            .named_users(named)
            .seat_count(seat_count)
            .warn_at(self.warn_at)
            .save_delay(Duration::from_millis(self.save_delay))
    }

    pub(crate) fn acknowledge(&self) -> Acknowledge {
        match self.ack {
            AckOption::Auto => Acknowledge::Auto,
            AckOption::Manual => Acknowledge::Manual,
        }
    }
}
