//! What the command line says.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use coedit::door::Acknowledge;
use coedit::{Config, NamedUsers, SeatCount};

use crate::plan;

/// A co-editing session engine behind a JSON door: one request a line in, one JSON object a line out.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 the input ended (or the reader of the output has read enough), \
1 reading or writing failed, 2 the command line is not correct.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers requests from standard input on standard output, in real time
    Serve(Settings),
    /// Runs the requests of a file, with the clock of their `at`s, and prints a summary on standard error
    Replay {
        #[command(flatten)]
        settings: Settings,
        /// The file, one JSON request a line; `-` reads standard input
        file: PathBuf,
    },
    /// Says how many connections a crowd needs, by formulas, by rule of thumb, or by a recorded trace
    Plan(plan::Settings),
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// How many connections may edit at one time [default: no limit]
    #[arg(long, value_name = "N")]
    edit_connections: Option<u32>,
    /// How many connections may have the live view at one time [default: no limit]
    #[arg(long, value_name = "N")]
    live_connections: Option<u32>,
    /// How many connections may edit one document at one time [default: no limit]
    #[arg(long, value_name = "N")]
    document_connections: Option<u32>,
    /// With how many connections one user may edit at one time, over all documents [default: no limit]
    #[arg(long, value_name = "N")]
    user_connections: Option<u32>,
    /// How many connections may be open at one time, viewers counted in; past it nobody is let in [default: no cap]
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,
    /// How many users may be given edit access within some days, whoever they are [default: no limit]
    #[arg(long, value_name = "N")]
    named_editors: Option<u32>,
    /// How many users may be given the live view within some days, whoever they are [default: no limit]
    #[arg(long, value_name = "N")]
    named_viewers: Option<u32>,
    /// How many days after the day of its first access a named user counts
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    named_days: u32,
    /// What takes a seat of a limit: every connection, or a user of a document with all that it has there
    #[arg(long, value_enum, default_value_t = Count::Connections)]
    count: Count,
    /// How full a limit of all is when a notice warns of it, in percent of the limit, 1 to 100
    #[arg(long, value_name = "PERCENT", default_value_t = 70)]
    warn_at: u32,
    /// How long after the last editor left a changed document its save is due, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    save_delay: u64,
    /// Who acknowledges callbacks: the door itself, or the other side by `{"c":"ack",...}`
    #[arg(long, value_enum, default_value_t = Ack::Auto)]
    ack: Ack,
    /// No lines, only the summary
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ack {
    Auto,
    Manual,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Count {
    Connections,
    Users,
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        let named =
            NamedUsers { edit: self.named_editors, live: self.named_viewers, expire_days: self.named_days };
        let seat_count = match self.count {
            Count::Connections => SeatCount::Connections,
            Count::Users => SeatCount::UsersOfDocuments,
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
            Ack::Auto => Acknowledge::Auto,
            Ack::Manual => Acknowledge::Manual,
        }
    }
}

/// A setting that the engine refused is a mistake on the command line.
pub(crate) fn refused(error: coedit::ConfigError) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, error)
}
