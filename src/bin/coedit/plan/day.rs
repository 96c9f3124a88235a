//! A day that never was, for the picture: opens at random, run through the engine itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use coedit::capacity::{Observed, Seat};
use coedit::{Access, Config, ConnectionId, DocumentKey, Engine, ManualClock, Timestamp, User};

use crate::options::refused;

/// Ten hours of a house in its steady state, the load being what it is all the time, and what many more such hours come to.
pub(crate) struct Day {
    /// Where the day begins, after the house has filled.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// All connections up to the end of the day, filling the house counted in.
    pub(crate) observed: Observed,
    /// What the engine did in the day.
    pub(crate) within: Count,
    /// What it did in the day and for long after.
    pub(crate) long_run: Count,
}

/// Opens, and how many of them the engine let in view-only.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) opens: u32,
    pub(crate) fallbacks: u32,
}

impl Count {
    pub(crate) fn share(self) -> f64 {
        f64::from(self.fallbacks) / f64::from(self.opens.max(1))
    }
}

/// A load of so many erlangs is simulated at most.
const LOAD_MAX: f64 = 20_000.0;
/// About so many opens are simulated.
const OPENS: f64 = 200_000.0;
/// The house fills for so many mean stays, after which an empty start is forgotten but for 1 in 20,000.
const FILLING: f64 = 10.0;
/// The length of the day, in minutes. It is shorter where more than [`OPENS`] come in it.
const DAY: f64 = 600.0;
/// 2024-01-01T08:00:00Z, so that the picture shows the hours of an office.
const START: u64 = 1_704_096_000_000;

impl Day {
    /// The stay is in minutes. Errors for a load that would take too long.
    pub(crate) fn simulate(load: f64, stay: f64, limit: u32) -> io::Result<Self> {
        if load > LOAD_MAX {
            let what = format!("--svg draws a day with a load of at most {LOAD_MAX}");
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        let mut house = House::new(limit)?;
        let at = |stays: f64| {
            let millis = in_millis((stays - FILLING) * stay);
            Timestamp::from_millis(START.saturating_add_signed(millis))
        };
        let run = OPENS / load - FILLING;
        let (start, end) = (FILLING, FILLING + run.min(DAY / stay));
        let (mut now, mut long_run) = (0.0, Count::default());
        let mut day = None;
        let over = FILLING + run.min(100.0 * DAY / stay); // where few come, a hundred days
        loop {
            now += house.random.exponential() / load;
            if day.is_none() && now >= end {
                house.close_until(at(end))?;
                house.observed.until(at(end));
                day = Some((house.observed.clone(), long_run));
            }
            if now >= over {
                break;
            }
            let gone = now + house.random.exponential();
            let fell_back = house.open(at(now), at(gone))?;
            if now >= start {
                long_run.opens += 1;
                long_run.fallbacks += u32::from(fell_back);
            }
        }
        let (observed, within) = day.unwrap_or_default();
        Ok(Day { start: at(start), end: at(end), observed, within, long_run })
    }
}

/// An engine full of documents.
struct House {
    engine: Engine,
    clock: Arc<ManualClock>,
    random: Random,
    documents: Vec<DocumentKey>,
    users: Vec<User>,
    observed: Observed,
    /// When the next ones close, by their place among all who came.
    leaving: BinaryHeap<Reverse<(Timestamp, usize)>>,
    came: Vec<Option<(ConnectionId, Seat)>>,
}

impl House {
    fn new(limit: u32) -> io::Result<Self> {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let config = Config::new().edit_limit(Some(limit)).callbacks(false).clock(clock.clone());
        let document = |number: u32| DocumentKey::new(&format!("document-{number}")).ok();
        let user = |number: u32| User::new(&format!("user-{number}")).ok();
        Ok(House {
            engine: Engine::new(config).map_err(refused)?,
            clock,
            random: Random(SEED),
            documents: (0..1_000).filter_map(document).collect(),
            users: (0..100).filter_map(user).collect(),
            observed: Observed::new(),
            leaving: BinaryHeap::new(),
            came: Vec::new(),
        })
    }

    /// Somebody opens a document, until `gone`. Returns whether it was let in view-only.
    fn open(&mut self, at: Timestamp, gone: Timestamp) -> io::Result<bool> {
        self.close_until(at)?;
        self.clock.move_to(at);
        let picked = (self.random.pick(&self.documents), self.random.pick(&self.users));
        let (Some(document), Some(user)) = picked else { return Ok(false) };
        let connection = self.engine.open(document, user, Access::Edit).map_err(io::Error::other)?;
        let fell_back = connection.granted().reason.is_some();
        self.leaving.push(Reverse((gone, self.came.len())));
        self.came.push(Some((connection.into_id(), self.observed.came(at))));
        Ok(fell_back)
    }

    fn close_until(&mut self, at: Timestamp) -> io::Result<()> {
        while let Some(Reverse((due, place))) = self.leaving.pop() {
            if due > at {
                self.leaving.push(Reverse((due, place)));
                break;
            }
            if let Some((id, seat)) = self.came.get_mut(place).and_then(Option::take) {
                self.clock.move_to(due);
                self.engine.close(id).map_err(io::Error::other)?;
                self.observed.gone(seat, due);
            }
        }
        Ok(())
    }
}

/// Any number will do: it makes every picture of one load the same.
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

    /// A time with a mean of 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn exponential(&mut self) -> f64 {
        // Never 0, of which there is no logarithm.
        let unit = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -unit.ln()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.next().checked_rem(from.len() as u64)?;
        from.get(usize::try_from(place).ok()?)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast stops at the ends")]
fn in_millis(minutes: f64) -> i64 {
    (minutes * 60_000.0) as i64
}
