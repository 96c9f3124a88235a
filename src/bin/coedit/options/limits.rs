//! The options of the limits.

use clap::{Args, ValueEnum};
use coedit::{Config, NamedUsers, SeatCount};

/// How many may have which access.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
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
    /// Records no usage: the command `usage` answers null
    #[arg(long)]
    no_usage: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CountOption {
    Connections,
    Users,
}

impl LimitOptions {
    pub(super) fn set(&self, config: Config) -> Config {
        let named =
            NamedUsers { edit: self.named_editors, live: self.named_viewers, expire_days: self.named_days };
        let seat_count = match self.count {
            CountOption::Connections => SeatCount::Connections,
            CountOption::Users => SeatCount::UsersOfDocuments,
        };
        config
            .edit_limit(self.edit_connections)
            .live_limit(self.live_connections)
            .document_limit(self.document_connections)
            .user_limit(self.user_connections)
            .max_connections(self.max_connections)
            .named_users(named)
            .seat_count(seat_count)
            .warn_at(self.warn_at)
            .usage(!self.no_usage)
    }
}
