//! The command line.

use std::num::ParseIntError;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use coedit::door::Acknowledge;
use coedit::{Bounds, Config, IdleThen, NamedUsers, SeatCount};

use crate::plan::options::PlanOptions;

/// Tells who may edit a document: reads one JSON request a line and writes one JSON object a line.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 the input ended, or the reader of the output closed it; \
1 reading or writing failed; 2 the command line is not correct; 3 `serve` ended with documents that are not saved, \
whose keys it prints on standard error.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers requests from standard input on standard output, in real time. At the end of the input, on SIGTERM and on
    /// SIGINT it hands out every save, and ends when all is settled
    Serve(ServeOptions),
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
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    staying: StayOptions,
    #[command(flatten)]
    bounds: BoundOptions,
    /// Records no usage: the command `usage` answers null
    #[arg(long)]
    no_usage: bool,
    /// The version that the host answers, and that the history of a save names [default: that of coedit]
    #[arg(long, value_name = "TEXT")]
    host_version: Option<String>,
    /// Over how many locks documents are spread, a power of two [default: by the cores]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Who acknowledges callbacks: `auto` the door itself, `manual` the client, with `{"c":"ack",...}`
    #[arg(long, value_enum, default_value_t = AckOption::Auto)]
    ack: AckOption,
    /// Prints only the summary, no replies and no callbacks
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What the document storage is told, and how long it has.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
struct StorageOptions {
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
}

#[derive(Clone, Debug)]
struct Pauses(Vec<Duration>);

fn parse_pauses(text: &str) -> Result<Pauses, ParseIntError> {
    let pauses = text.split(',').filter(|pause| *pause != "none");
    pauses.map(|pause| pause.parse().map(Duration::from_millis)).collect::<Result<_, _>>().map(Pauses)
}

/// The bounds of what waits.
#[derive(Debug, Args)]
struct BoundOptions {
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
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
    /// How long the saves have at the end, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) shutdown: u64,
    /// Suspends at the end instead of saving, and writes everything to a file, which is secret
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Begins with what `--snapshot` has written
    #[arg(long, value_name = "FILE")]
    pub(crate) restore: Option<PathBuf>,
}

/// How long connections stay.
#[derive(Debug, Args)]
struct StayOptions {
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
    fn set(&self, config: Config) -> Config {
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

impl StorageOptions {
    fn set(&self, config: Config) -> Config {
        let config = config
            .callbacks(!self.no_callbacks)
            .save_delay(Duration::from_millis(self.save_delay))
            .save_patience(Duration::from_millis(self.save_patience))
            .ack_timeout((self.ack_timeout > 0).then(|| Duration::from_millis(self.ack_timeout)))
            .force_save_interval(self.force_save_interval.map(Duration::from_millis));
        match &self.retry_pauses {
            None => config,
            Some(Pauses(pauses)) => config.retry_pauses(pauses.clone()),
        }
    }
}

impl BoundOptions {
    fn bounds(&self) -> Bounds {
        let BoundOptions { waiting_actions, waiting_documents, asked, turns, notices } = *self;
        Bounds { waiting_actions, waiting_documents, asked, turns, notices }
    }
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
        let config = Config::new()
            .edit_limit(self.edit_connections)
            .live_limit(self.live_connections)
            .document_limit(self.document_connections)
            .user_limit(self.user_connections)
            .max_connections(self.max_connections)
            .named_users(named)
            .seat_count(seat_count)
            .warn_at(self.warn_at)
            .usage(!self.no_usage)
            .bounds(self.bounds.bounds());
        let config = self.host_version.iter().fold(config, Config::version);
        let config = self.staying.set(config);
        self.storage.set(self.shards.into_iter().fold(config, Config::shards))
    }

    pub(crate) fn acknowledge(&self) -> Acknowledge {
        match self.ack {
            AckOption::Auto => Acknowledge::Auto,
            AckOption::Manual => Acknowledge::Manual,
        }
    }
}
