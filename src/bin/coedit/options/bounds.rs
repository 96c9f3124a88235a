//! The options of the engine's bounds.

use clap::Args;
use coedit::{Bounds, Config};

/// The bounds of what waits, and the number of locks.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
pub(super) struct BoundOptions {
    /// So many joins and leaves of a document wait for the storage before pairs that cancel out are dropped
    #[arg(long, value_name = "N", default_value_t = 1024)]
    waiting_actions: usize,
    /// So many documents wait for the storage before those that came and went unchanged are dropped
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    waiting_documents: usize,
    /// So many unanswered questions, and so many force saves, a document may have
    #[arg(long, value_name = "N", default_value_t = 64)]
    asked: usize,
    /// So many turns the history of a save has at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    turns: usize,
    /// So many notices wait at most
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    notices: usize,
    /// Over how many locks documents are spread, a power of two [default: by the cores]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
}

impl BoundOptions {
    pub(super) fn set(&self, config: Config) -> Config {
        let BoundOptions { waiting_actions, waiting_documents, asked, turns, notices, shards } = *self;
        let config = config.bounds(Bounds { waiting_actions, waiting_documents, asked, turns, notices });
        shards.into_iter().fold(config, Config::shards)
    }
}
