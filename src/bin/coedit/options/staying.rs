//! The options of leases, idle connections and waiting.

use std::time::Duration;

use clap::{Args, ValueEnum};
use coedit::{Config, IdleThen};

/// How long connections stay.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Staying and waiting")]
pub(super) struct StayOptions {
    /// How long a lost connection keeps its seat, in milliseconds [default: it is closed]
    #[arg(long, value_name = "MS")]
    reconnect_grace: Option<u64>,
    /// After how long an idle connection loses its access, in milliseconds [default: never]
    #[arg(long, value_name = "MS")]
    idle: Option<u64>,
    /// What becomes of an idle connection
    #[arg(long, value_enum, default_value_t = IdleOption::View)]
    idle_then: IdleOption,
    /// After how long an idle editor loses its seat to one who waits, in milliseconds [default: never]
    #[arg(long, value_name = "MS")]
    idle_when_wanted: Option<u64>,
    /// After how long a connection is closed, in milliseconds [default: never]
    #[arg(long, value_name = "MS")]
    age: Option<u64>,
    /// How long before its time ends a connection is warned, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    expiry_warning: u64,
    /// Writes a notice when a participant joins, leaves or changes its access
    #[arg(long)]
    participants: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IdleOption {
    View,
    Close,
}

impl StayOptions {
    pub(super) fn set(&self, config: Config) -> Config {
        let then = match self.idle_then {
            IdleOption::View => IdleThen::View,
            IdleOption::Close => IdleThen::Close,
        };
        config
            .reconnect_grace(self.reconnect_grace.map(Duration::from_millis))
            .idle(self.idle.map(Duration::from_millis))
            .idle_then(then)
            .idle_when_wanted(self.idle_when_wanted.map(Duration::from_millis))
            .age(self.age.map(Duration::from_millis))
            .expiry_warning(Duration::from_millis(self.expiry_warning))
            .presence(self.participants)
    }
}
