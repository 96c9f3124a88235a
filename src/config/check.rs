//! The bounds of every setting, and the default number of shards.

use std::time::Duration;

use super::{Bounds, Config};
use crate::error::ConfigError;
use crate::limits::{EXPIRE_DAYS_MAX, NamedUsers, limit_fits};

const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const INTERVAL_MIN: Duration = Duration::from_millis(1);
const RETRIES_MAX: usize = 64;
const VERSION_MAX: usize = 64;
/// At least 128, so that a shard whose index grows keeps nobody waiting for long.
const DEFAULT_SHARDS_MIN: usize = 128;
const SHARDS_MAX: usize = 1024;

/// Whether a setting is within its bounds, its name, and the bounds as a phrase that follows "must be".
type Rule = (bool, &'static str, &'static str);

/// Returns the first rule that does not hold as an error.
fn check(rules: impl IntoIterator<Item = Rule>) -> Result<(), ConfigError> {
    match rules.into_iter().find(|(holds, ..)| !holds) {
        Some((_, setting, rule)) => Err(ConfigError { setting, rule }),
        None => Ok(()),
    }
}

fn limit_rule(limit: Option<u32>, setting: &'static str) -> Rule {
    (limit_fits(limit), setting, "at most 4,294,967,294")
}

fn named_users_rules(quota: NamedUsers) -> [Rule; 3] {
    [
        limit_rule(quota.edit, "named_users.edit"),
        limit_rule(quota.live, "named_users.live"),
        (quota.expire_days <= EXPIRE_DAYS_MAX, "named_users.expire_days", "at most 36,500"),
    ]
}

/// Returns an error if the limit is out of bounds.
pub(crate) fn check_limit(limit: Option<u32>, setting: &'static str) -> Result<(), ConfigError> {
    check([limit_rule(limit, setting)])
}

/// Returns an error if a limit of named users, or their number of days, is out of bounds.
pub(crate) fn check_named_users(quota: NamedUsers) -> Result<(), ConfigError> {
    check(named_users_rules(quota))
}

impl Config {
    /// Returns the first setting that is out of bounds as an error.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let limits = self.limit_rules().into_iter().chain(named_users_rules(self.named_users));
        check(limits.chain(self.time_rules()).chain(self.size_rules()))
    }

    fn limit_rules(&self) -> [Rule; 6] {
        [
            limit_rule(self.edit_limit, "edit_limit"),
            limit_rule(self.live_limit, "live_limit"),
            limit_rule(self.document_limit, "document_limit"),
            limit_rule(self.user_limit, "user_limit"),
            limit_rule(self.max_connections, "max_connections"),
            ((1..=100).contains(&self.warn_at), "warn_at", "1 to 100"),
        ]
    }

    fn time_rules(&self) -> [Rule; 13] {
        let pauses_fit = self.retry_pauses.iter().all(|pause| *pause <= DELAY_MAX);
        let fits = |interval: Option<Duration>| {
            interval.is_none_or(|interval| (INTERVAL_MIN..=DELAY_MAX).contains(&interval))
        };
        [
            (self.save_delay <= DELAY_MAX, "save_delay", "at most 30 days"),
            (self.retry_pauses.len() <= RETRIES_MAX, "retry_pauses", "at most 64"),
            (pauses_fit, "retry_pauses", "at most 30 days each"),
            (fits(self.force_save_interval), "force_save_interval", "1 ms to 30 days"),
            (fits(self.ack_timeout), "ack_timeout", "1 ms to 30 days"),
            (fits(self.reconnect_grace), "reconnect_grace", "1 ms to 30 days"),
            (fits(self.idle), "idle", "1 ms to 30 days"),
            (fits(self.idle_when_wanted), "idle_when_wanted", "1 ms to 30 days"),
            (fits(self.age), "age", "1 ms to 30 days"),
            (self.expiry_warning <= DELAY_MAX, "expiry_warning", "at most 30 days"),
            (self.save_patience <= DELAY_MAX, "save_patience", "at most 30 days"),
            (self.drop_deadline <= DELAY_MAX, "drop_deadline", "at most 30 days"),
            ((1..=VERSION_MAX).contains(&self.version.len()), "version", "1 to 64 bytes"),
        ]
    }

    fn size_rules(&self) -> [Rule; 6] {
        let Bounds { waiting_actions, waiting_documents, asked, turns, notices } = self.bounds;
        let shards_fit = self.shards.is_none_or(|shards| shards.is_power_of_two() && shards <= SHARDS_MAX);
        [
            ((1..=1 << 20).contains(&waiting_actions), "bounds.waiting_actions", "1 to 1,048,576"),
            (waiting_documents >= 1, "bounds.waiting_documents", "1 or more"),
            ((1..=1 << 16).contains(&asked), "bounds.asked", "1 to 65,536"),
            ((1..=1 << 16).contains(&turns), "bounds.turns", "1 to 65,536"),
            (notices >= 1, "bounds.notices", "1 or more"),
            (shards_fit, "shards", "a power of two from 1 to 1,024"),
        ]
    }

    /// Returns the number of shards to use.
    pub(crate) fn shard_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.shards.unwrap_or_else(|| (cores() * 8).next_power_of_two().clamp(DEFAULT_SHARDS_MIN, SHARDS_MAX))
    }
}
