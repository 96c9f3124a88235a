//! The command line.

mod bounds;
mod limits;
mod output;
mod staying;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use coedit::Config;
use coedit::door::Acknowledge;

use crate::plan::options::PlanOptions;
use bounds::BoundOptions;
use limits::LimitOptions;
pub(crate) use output::OutputOptions;
use staying::StayOptions;
use storage::StorageOptions;

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
        // Before the options, whose last heading would hold for it too.
        /// The file, with one JSON request a line; `-` reads standard input
        file: PathBuf,
        #[command(flatten)]
        options: EngineOptions,
    },
    /// Computes how many connections a number of users needs, by formulas, by the rule of thumb, or from a recorded trace
    Plan(PlanOptions),
}

// A doc comment here would replace the help text of the commands.
#[derive(Debug, Args)]
pub(crate) struct EngineOptions {
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    staying: StayOptions,
    #[command(flatten)]
    bounds: BoundOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
    /// How long the saves have at the end, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000, help_heading = "Start and end")]
    shutdown: u64,
    /// Suspends at the end instead of saving, and writes everything to a file, which is secret
    #[arg(long, value_name = "FILE", help_heading = "Start and end")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Begins with what `--snapshot` has written
    #[arg(long, value_name = "FILE", help_heading = "Start and end")]
    pub(crate) restore: Option<PathBuf>,
}

impl EngineOptions {
    pub(crate) fn config(&self) -> Config {
        let config = self.limits.set(Config::new());
        let config = self.storage.set(config);
        self.bounds.set(self.staying.set(config))
    }

    pub(crate) fn acknowledge(&self) -> Acknowledge {
        self.storage.acknowledge()
    }
}

impl ServeOptions {
    /// The settings of an engine whose timer is the loop of `serve`.
    pub(crate) fn config(&self) -> Config {
        self.engine.config().drop_deadline(self.deadline()).timer(false)
    }

    /// How long the saves have at the end.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.shutdown)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coedit::{Bounds, NamedUsers};

    use super::*;

    fn serve(arguments: &[&str]) -> ServeOptions {
        match Options::parse_from([&["coedit", "serve"], arguments].concat()).command {
            Command::Serve(options) => options,
            other => panic!("{other:?}"),
        }
    }

    /// The settings by their names, as their debug form shows them.
    fn settings(config: &Config) -> BTreeMap<String, String> {
        let mut settings: Vec<(String, String)> = Vec::new();
        for line in format!("{config:#?}").lines().filter(|line| line.starts_with("    ")) {
            match line.trim().split_once(": ") {
                Some((name, value)) if !line.starts_with("     ") => {
                    settings.push((name.to_owned(), value.to_owned()));
                }
                _ => settings.last_mut().expect("a setting begins with its name").1.push_str(line.trim()),
            }
        }
        settings.into_iter().collect()
    }

    #[test]
    fn without_options_every_setting_has_its_default() {
        // The number of days has an effect only beside a limit of named users. The program's default is longer.
        let named_users = NamedUsers { expire_days: 30, ..NamedUsers::default() };
        let default = Config::new().timer(false).named_users(named_users);
        assert_eq!(settings(&serve(&[]).config()), settings(&default));
    }

    #[test]
    fn every_setting_has_an_option() {
        let arguments = "--edit-connections 1 --live-connections 2 --document-connections 3 --user-connections 4 \
            --max-connections 5 --named-editors 6 --count users --warn-at 50 --no-usage --save-delay 1 \
            --save-patience 2 --ack-timeout 3 --retry-pauses 4,5 --force-save-interval 6 --no-callbacks \
            --host-version 8.0.1 --reconnect-grace 1 --idle 2 --idle-then close --idle-when-wanted 3 --age 4 \
            --expiry-warning 5 --participants --turns 7 --shards 8 --shutdown 9";
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let (set, default) = (settings(&serve(&arguments).config()), settings(&Config::new()));
        assert_eq!(set.len(), 27, "every setting but the clock: {set:#?}");
        for (name, value) in &default {
            assert_ne!(&set[name], value, "{name}");
        }
    }

    #[test]
    fn every_part_of_a_setting_has_an_option() {
        let arguments = "--named-editors 1 --named-viewers 2 --named-days 3 --waiting-actions 4 --waiting-documents 5 \
            --asked 6 --turns 7 --notices 8 --ack-timeout 0 --retry-pauses none";
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let named_users = NamedUsers { edit: Some(1), live: Some(2), expire_days: 3 };
        let bounds = Bounds { waiting_actions: 4, waiting_documents: 5, asked: 6, turns: 7, notices: 8 };
        let expected =
            Config::new().named_users(named_users).bounds(bounds).ack_timeout(None).retry_pauses([]);
        assert_eq!(settings(&serve(&arguments).config()), settings(&expected.timer(false)));
    }
}
