//! What a session is told of the engine around it.

use std::hash::BuildHasher;
use std::time::Duration;

use crate::config::{Bounds, Config};
use crate::hash::Hasher;
use crate::ids::DocumentKey;
use crate::limits::SeatCount;
use crate::time::{Moment, Timestamp};

/// What a call on a session is told of the engine around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) hasher: &'a Hasher,
    pub(crate) now: Moment,
    /// What the wall clock shows, for what is told.
    pub(crate) wall: Timestamp,
    /// Saves are due without the save delay.
    pub(crate) draining: bool,
    pub(crate) stage: Stage,
    /// For so long a due save or closing waits for what is handed out before it.
    pub(crate) patience: Duration,
    /// More documents wait for the storage than the bound allows.
    pub(crate) too_many_wait: bool,
}

/// How far the end of the engine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// No call finds anything any more, and nothing is handed out.
    Suspending,
    /// Nobody gets in any more.
    ShuttingDown,
    /// Nothing counts any more.
    Ended,
}

/// The settings that all sessions of an engine go by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) callbacks: bool,
    /// The transport hears of participants.
    pub(crate) presence: bool,
    pub(crate) save_delay: Duration,
    pub(crate) save_patience: Duration,
    pub(crate) drop_deadline: Duration,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) retry_pauses: Vec<Duration>,
    /// Pauses are up to a fifth longer or shorter, at random.
    pub(crate) jitter: bool,
    pub(crate) version: String,
    pub(crate) force_save_interval: Option<Duration>,
    pub(crate) seat_count: SeatCount,
    pub(crate) bounds: Bounds,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        Rules {
            callbacks: config.callbacks,
            presence: config.presence,
            save_delay: config.save_delay,
            save_patience: config.save_patience,
            drop_deadline: config.drop_deadline,
            ack_timeout: config.ack_timeout,
            retry_pauses: config.retry_pauses.clone(),
            jitter: !config.clock.is_manual(),
            version: config.version.clone(),
            force_save_interval: config.force_save_interval,
            seat_count: config.seat_count,
            bounds: config.bounds,
        }
    }
}

impl Context<'_> {
    /// What the wall clock showed at a moment.
    pub(super) fn wall_at(&self, moment: Moment) -> Timestamp {
        let passed = u64::try_from(self.now.since(moment).as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(self.wall.as_millis().saturating_sub(passed))
    }

    /// A pause, up to a fifth longer or shorter, so that what failed at one moment is not tried again at one moment.
    pub(super) fn jitter(&self, pause: Duration, key: &DocumentKey) -> Duration {
        if !self.rules.jitter {
            return pause;
        }
        // The hasher is keyed at random.
        let percent = 80 + self.hasher.hash_one((key, self.now)) % 41;
        pause * u32::try_from(percent).unwrap_or(100) / 100
    }
}
