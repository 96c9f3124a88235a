//! Simulates a day for the picture: opens at random times run through a real engine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use coedit::capacity::{Observed, ObservedConnection};
use coedit::{Access, Config, ConnectionId, DocumentKey, Engine, ManualClock, Timestamp, User};

use crate::failure::bad_argument;

/// A simulated day under a constant load, after a warm-up that brings the engine to its steady state.
pub(crate) struct SimulatedDay {
    /// The end of the warm-up.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// The connections of the warm-up and of the day.
    pub(crate) observed: Observed,
    /// The opens of the day.
    pub(crate) within: OpenCount,
    /// The opens of the day and of the longer run that follows it.
    pub(crate) long_run: OpenCount,
}

/// The number of opens, and how many of them fell back to view-only.
#[derive(Clone, Copy, Default)]
pub(crate) struct OpenCount {
    pub(crate) opens: u32,
    pub(crate) fallbacks: u32,
}

impl OpenCount {
    /// Returns the share of the opens that fell back.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.fallbacks) / f64::from(self.opens.max(1))
    }
}

/// The highest load that is simulated, in erlangs.
const LOAD_MAX: f64 = 20_000.0;
/// About the highest number of opens that are simulated.
const OPENS: f64 = 200_000.0;
/// The length of the warm-up, in mean stays. After it, the empty start affects 1 connection in 20,000.
const WARM_UP: f64 = 10.0;
/// The length of the day, in minutes. A day with more than [`OPENS`] opens is shorter.
const DAY: f64 = 600.0;
/// 2024-01-01T08:00:00Z. The picture shows office hours.
const START: u64 = 1_704_096_000_000;

impl SimulatedDay {
    /// Runs the simulation. `stay` is the mean stay in minutes. Returns an error if the load is too high.
    pub(crate) fn simulate(load: f64, stay: f64, limit: u32) -> io::Result<Self> {
        if load > LOAD_MAX {
            return Err(bad_argument(format!("--svg draws a day with a load of at most {LOAD_MAX}")));
        }
        let mut office = Office::new(limit)?;
        // All times are in mean stays from the start of the warm-up.
        let at = |stays: f64| {
            let millis = in_millis((stays - WARM_UP) * stay);
            Timestamp::from_millis(START.saturating_add_signed(millis))
        };
        let longest = OPENS / load - WARM_UP;
        let (start, end) = (WARM_UP, WARM_UP + longest.min(DAY / stay));
        // With few opens a day, the long run takes a hundred days.
        let long_end = WARM_UP + longest.min(100.0 * DAY / stay);
        let (mut now, mut long_run, mut day) = (0.0, OpenCount::default(), None);
        loop {
            now += office.random.exponential() / load;
            if day.is_none() && now >= end {
                day = Some((office.observe_until(at(end))?, long_run));
            }
            if now >= long_end {
                break;
            }
            let closes = now + office.random.exponential();
            let fell_back = office.open(at(now), at(closes))?;
            if now >= start {
                long_run.opens += 1;
                long_run.fallbacks += u32::from(fell_back);
            }
        }
        let (observed, within) = day.unwrap_or_default();
        Ok(SimulatedDay { start: at(start), end: at(end), observed, within, long_run })
    }
}

/// An engine with documents and with users who open them.
struct Office {
    engine: Engine,
    clock: Arc<ManualClock>,
    random: Random,
    documents: Vec<DocumentKey>,
    users: Vec<User>,
    observed: Observed,
    /// The times at which connections close, earliest first, with their positions in `opened`.
    closing: BinaryHeap<Reverse<(Timestamp, usize)>>,
    opened: Vec<Option<(ConnectionId, ObservedConnection)>>,
}

impl Office {
    fn new(limit: u32) -> io::Result<Self> {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let config = Config::new().edit_limit(Some(limit)).callbacks(false).clock(clock.clone());
        let document = |number: u32| DocumentKey::new(&format!("document-{number}")).ok();
        let user = |number: u32| User::new(&format!("user-{number}")).ok();
        Ok(Office {
            engine: Engine::new(config).map_err(bad_argument)?,
            clock,
            random: Random(SEED),
            documents: (0..1_000).filter_map(document).collect(),
            users: (0..100).filter_map(user).collect(),
            observed: Observed::new(),
            closing: BinaryHeap::new(),
            opened: Vec::new(),
        })
    }

    /// Opens a random document for a random user, until `closes`. Returns true if the open fell back to view-only.
    fn open(&mut self, at: Timestamp, closes: Timestamp) -> io::Result<bool> {
        self.close_until(at)?;
        self.clock.move_to(at);
        let picked = (self.random.pick(&self.documents), self.random.pick(&self.users));
        let (Some(document), Some(user)) = picked else { return Ok(false) };
        let connection = self.engine.open(document, user, Access::Edit).map_err(io::Error::other)?;
        let fell_back = connection.granted().reason.is_some();
        self.closing.push(Reverse((closes, self.opened.len())));
        self.opened.push(Some((connection.into_id(), self.observed.record_open(at))));
        Ok(fell_back)
    }

    fn close_until(&mut self, at: Timestamp) -> io::Result<()> {
        while let Some(Reverse((due, position))) = self.closing.pop() {
            if due > at {
                self.closing.push(Reverse((due, position)));
                break;
            }
            if let Some((id, observed)) = self.opened.get_mut(position).and_then(Option::take) {
                self.clock.move_to(due);
                self.engine.close(id).map_err(io::Error::other)?;
                self.observed.record_close(observed, due);
            }
        }
        Ok(())
    }

    /// Returns all connections up to a time.
    fn observe_until(&mut self, at: Timestamp) -> io::Result<Observed> {
        self.close_until(at)?;
        self.observed.extend(at);
        Ok(self.observed.clone())
    }
}

/// A fixed seed, so that the same load always gives the same picture.
const SEED: u64 = 1909;

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns an exponentially distributed time with a mean of 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn exponential(&mut self) -> f64 {
        // Never 0, because 0 has no logarithm.
        let unit = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -unit.ln()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let position = self.next().checked_rem(from.len() as u64)?;
        from.get(usize::try_from(position).ok()?)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn in_millis(minutes: f64) -> i64 {
    (minutes * 60_000.0) as i64
}
