//! The options of callbacks and saves.

use std::num::ParseIntError;
use std::time::Duration;

use clap::{Args, ValueEnum};
use coedit::Config;
use coedit::door::Acknowledge;

/// What the document storage is told, and how long it has.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(super) struct StorageOptions {
    /// Who acknowledges callbacks: `auto` the door itself, `manual` the client, with `{"c":"ack",...}`
    #[arg(long, value_enum, default_value_t = AckOption::Auto)]
    ack: AckOption,
    /// Makes no callbacks at all
    #[arg(long)]
    no_callbacks: bool,
    /// How long after the last editor left a changed document its save is due, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    save_delay: u64,
    /// How long a save that is due waits for what is handed out before it, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    save_patience: u64,
    /// How long a callback may be outstanding before it has failed, in milliseconds; 0 for ever
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    ack_timeout: u64,
    /// The pauses before a failed callback is tried again, in milliseconds, or `none` [default: 1 s to 32 s, doubling,
    /// then nine times 60 s]
    #[arg(long, value_name = "MS,MS,...", value_parser = parse_pauses)]
    retry_pauses: Option<Pauses>,
    /// How long after the first unsaved change a document is force saved while it is edited, in milliseconds [default:
    /// never]
    #[arg(long, value_name = "MS")]
    force_save_interval: Option<u64>,
    /// The version that the host answers, and that the history of a save names; known handlers refuse one below 6.0
    /// [default: that of coedit]
    #[arg(long, value_name = "TEXT")]
    host_version: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AckOption {
    Auto,
    Manual,
}

#[derive(Clone, Debug)]
struct Pauses(Vec<Duration>);

fn parse_pauses(text: &str) -> Result<Pauses, ParseIntError> {
    let pauses = text.split(',').filter(|pause| *pause != "none");
    pauses.map(|pause| pause.parse().map(Duration::from_millis)).collect::<Result<_, _>>().map(Pauses)
}

impl StorageOptions {
    pub(super) fn set(&self, config: Config) -> Config {
        let config = config
            .callbacks(!self.no_callbacks)
            .save_delay(Duration::from_millis(self.save_delay))
            .save_patience(Duration::from_millis(self.save_patience))
            .ack_timeout((self.ack_timeout > 0).then(|| Duration::from_millis(self.ack_timeout)))
            .force_save_interval(self.force_save_interval.map(Duration::from_millis));
        let config = self.host_version.iter().fold(config, Config::version);
        match &self.retry_pauses {
            None => config,
            Some(Pauses(pauses)) => config.retry_pauses(pauses.clone()),
        }
    }

    pub(super) fn acknowledge(&self) -> Acknowledge {
        match self.ack {
            AckOption::Auto => Acknowledge::Auto,
            AckOption::Manual => Acknowledge::Manual,
        }
    }
}
