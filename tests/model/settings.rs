//! The settings that the model supports.

use std::time::Duration;

use coedit::{Bounds, Config, IdleThen, NamedUsers, SeatCount, VERSION};

/// Settings are made of so many bytes.
pub const SETTINGS_LEN: usize = 12;

/// Times in milliseconds.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent settings")]
pub struct Settings {
    pub edit_limit: Option<u32>,
    pub live_limit: Option<u32>,
    pub document_limit: Option<u32>,
    pub user_limit: Option<u32>,
    pub named_users: NamedUsers,
    pub max_connections: Option<u32>,
    /// True if all connections of a user to a document share one seat.
    pub by_users: bool,
    pub warn_at: u32,
    pub usage: bool,
    pub callbacks: bool,
    pub save_delay: u64,
    pub save_patience: u64,
    pub ack_timeout: Option<u64>,
    pub drop_deadline: u64,
    pub retry_pauses: Vec<u64>,
    pub force_save_interval: Option<u64>,
    pub asked: usize,
    pub turns: usize,
    pub version: &'static str,
    /// How long a lost connection keeps its seat.
    pub grace: Option<u64>,
    pub idle: Option<u64>,
    pub idle_then: IdleThen,
    pub age: Option<u64>,
    /// Shorter than `idle` and `age`, so that nobody is to be warned at the moment of the open.
    pub expiry_warning: u64,
    pub presence: bool,
    /// How many documents a history is about.
    pub documents: usize,
    pub end: End,
}

/// How a history ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// All connections are closed.
    Close,
    ShutDown,
    /// The last handle of the engine is dropped.
    DropHandle,
}

/// Limits of the whole engine: no limit, limits that a history reaches, and high ones.
pub const LIMITS: [Option<u32>; 6] = [None, Some(40), Some(2), Some(5), Some(1), Some(0)];
/// Limits of a document, a user, or named users.
pub const SMALL: [Option<u32>; 8] = [None, None, None, Some(3), None, Some(1), Some(2), Some(0)];
/// Limits of the number of all connections.
pub const CAPS: [Option<u32>; 8] = [None, None, None, Some(30), None, Some(8), Some(2), Some(0)];
/// Times for which a lost connection keeps its seat.
pub const GRACES: [Option<u64>; 4] = [None, Some(30_000), Some(2_000), Some(5_000)];
/// The number of days for which a named user counts after the first day.
pub const DAYS: [u32; 4] = [0, 1, 3, 30];

/// Picks one of `choices` and removes that choice from `number`.
fn pick<T: Clone>(number: &mut u8, choices: &[T]) -> T {
    let count = u8::try_from(choices.len()).unwrap();
    let chosen = choices[usize::from(*number % count)].clone();
    *number /= count;
    chosen
}

impl Settings {
    /// Turns any bytes into settings. Zeros give the simplest settings.
    pub fn from_bytes(
        [
            mut wide,
            mut small,
            mut named,
            mut cap,
            mut modes,
            mut times,
            mut bounds,
            mut waits,
            mut stays,
            mut ages,
            mut presence,
            _,
        ]: [u8; SETTINGS_LEN],
    ) -> Self {
        Settings {
            edit_limit: pick(&mut wide, &LIMITS),
            live_limit: pick(&mut wide, &LIMITS),
            document_limit: pick(&mut small, &SMALL),
            user_limit: pick(&mut small, &SMALL),
            named_users: NamedUsers {
                edit: pick(&mut named, &SMALL),
                live: pick(&mut named, &SMALL),
                expire_days: pick(&mut named, &DAYS),
            },
            max_connections: pick(&mut cap, &CAPS),
            by_users: pick(&mut modes, &[false, true]),
            warn_at: pick(&mut modes, &[70, 100, 50, 1]),
            usage: pick(&mut modes, &[true, true, true, false]),
            callbacks: pick(&mut modes, &[true, true, true, true, true, true, true, false]),
            save_delay: pick(&mut times, &[10_000, 0, 1_000]),
            retry_pauses: pick(
                &mut times,
                &[
                    vec![],
                    vec![1_000],
                    vec![1_000, 2_000, 4_000],
                    vec![0, 500],
                    // The defaults.
                    [1, 2, 4, 8, 16, 32].into_iter().chain([60; 9]).map(|second| second * 1_000).collect(),
                ],
            ),
            force_save_interval: pick(&mut times, &[None, None, Some(5_000), Some(50)]),
            asked: pick(&mut bounds, &[64, 1, 2]),
            turns: pick(&mut bounds, &[100, 1, 2, 3]),
            version: pick(&mut bounds, &[VERSION, "8.2.1"]),
            documents: pick(&mut bounds, &[4, 1, 2]),
            save_patience: pick(&mut waits, &[5_000, 1_000, 0, 60_000]),
            ack_timeout: pick(&mut waits, &[Some(60_000), Some(2_000), None, Some(300)]),
            drop_deadline: pick(&mut waits, &[30_000, 2_000, 0]),
            grace: pick(&mut stays, &GRACES),
            expiry_warning: pick(&mut stays, &[1_000, 0, 2_500]),
            idle: pick(&mut ages, &[None, None, Some(20_000), Some(3_000)]),
            idle_then: pick(&mut ages, &[IdleThen::View, IdleThen::Close]),
            age: pick(&mut ages, &[None, None, None, Some(60_000), None, Some(7_000)]),
            presence: pick(&mut presence, &[false, true]),
            end: pick(&mut waits, &[End::Close, End::ShutDown, End::DropHandle]),
        }
    }

    /// Returns the same settings for the engine.
    pub fn config(&self) -> Config {
        let millis = |millis: &u64| Duration::from_millis(*millis);
        let count = if self.by_users { SeatCount::UsersOfDocuments } else { SeatCount::Connections };
        Config::new()
            .edit_limit(self.edit_limit)
            .live_limit(self.live_limit)
            .document_limit(self.document_limit)
            .user_limit(self.user_limit)
            .named_users(self.named_users)
            .max_connections(self.max_connections)
            .seat_count(count)
            .warn_at(self.warn_at)
            .usage(self.usage)
            .callbacks(self.callbacks)
            .save_delay(millis(&self.save_delay))
            .save_patience(millis(&self.save_patience))
            .ack_timeout(self.ack_timeout.as_ref().map(millis))
            .drop_deadline(millis(&self.drop_deadline))
            .version(self.version)
            .retry_pauses(self.retry_pauses.iter().map(millis).collect::<Vec<_>>())
            .force_save_interval(self.force_save_interval.as_ref().map(millis))
            .reconnect_grace(self.grace.as_ref().map(millis))
            .idle(self.idle.as_ref().map(millis))
            .idle_then(self.idle_then)
            .age(self.age.as_ref().map(millis))
            .expiry_warning(millis(&self.expiry_warning))
            .presence(self.presence)
            .bounds(Bounds { asked: self.asked, turns: self.turns, ..Bounds::default() })
    }
}
