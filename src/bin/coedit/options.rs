//! What the command line says.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use coedit::Config;
use coedit::door::Acknowledge;

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

impl Settings {
    pub(crate) fn config(&self) -> Config {
        Config::new()
            .edit_limit(self.edit_connections)
            .live_limit(self.live_connections)
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
