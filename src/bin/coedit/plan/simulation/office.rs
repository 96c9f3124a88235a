//! An engine with documents and with users who open them at random times.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use coedit::{Access, Config, ConnectionId, DocumentKey, Engine, ManualClock, Timestamp, User};

use super::profile::Minute;
use super::random::Random;
use super::visitors::{OpenCount, Visitors, after};
use crate::failure::bad_argument;
use crate::plan::course::{Course, CourseConnection};

/// Times are in minutes after the start.
pub(super) struct Office {
    visitors: Visitors,
    start: Timestamp,
    now: f64,
    engine: Engine,
    clock: Arc<ManualClock>,
    random: Random,
    /// The documents of a group that are not open, as numbers. Empty without a group.
    closed: Vec<u32>,
    /// The open connections in the order in which they close. The key is the time, and a number that no other has.
    open: BTreeMap<(u64, u32), OpenDocument>,
    pub(super) count: OpenCount,
}

struct OpenDocument {
    connection: ConnectionId,
    number: u32,
    recorded: Option<CourseConnection>,
}

/// A fixed seed, so that the same plan always gives the same picture.
const SEED: u64 = 1909;

/// The number of documents, and of users if their number is not known.
const DOCUMENTS: u32 = 1_000;
const USERS: u32 = 100;

impl Office {
    pub(super) fn new(visitors: Visitors, limit: u32, start: Timestamp) -> io::Result<Self> {
        let clock = Arc::new(ManualClock::new(start));
        let config = Config::new().edit_limit(Some(limit)).callbacks(false).clock(clock.clone());
        Ok(Office {
            visitors,
            start,
            now: 0.0,
            engine: Engine::new(config).map_err(bad_argument)?,
            clock,
            random: Random(SEED),
            closed: (0..visitors.group.map_or(0, |group| group.documents)).collect(),
            open: BTreeMap::new(),
            count: OpenCount::default(),
        })
    }

    /// Opens as many connections as a level expects, a share of the load.
    pub(super) fn fill(&mut self, level: f64, course: &mut Course) -> io::Result<()> {
        let mut missing = (level * self.visitors.load).round();
        while missing >= 1.0 {
            self.open(Some(course))?;
            missing -= 1.0;
        }
        Ok(())
    }

    /// Runs up to a time, or up to a number of opens if that comes first. All of that time is like `minute`.
    ///
    /// An exponentially distributed time has no memory. So the time of the next open is drawn anew after each event.
    pub(super) fn run(
        &mut self,
        (until, opens_max): (f64, u32),
        minute: Minute,
        mut course: Option<&mut Course>,
    ) -> io::Result<()> {
        while self.now < until && self.count.opens < opens_max {
            let opens_at = self.now + self.random.exponential() / self.opens_in_a_minute(minute);
            let closes_at =
                self.open.first_key_value().map_or(f64::INFINITY, |(key, _)| f64::from_bits(key.0));
            let next = opens_at.min(closes_at).min(until);
            if !next.is_finite() {
                break; // nobody comes
            }
            // A close can be due in the past only by a rounding error.
            self.now = next.max(self.now);
            self.clock.move_to(after(self.start, self.now));
            if closes_at <= next {
                self.close_first(course.as_deref_mut())?;
            } else if opens_at <= next {
                self.open(course.as_deref_mut())?;
            }
        }
        Ok(())
    }

    /// The expected number of opens in a minute. In a group, only those open who have closed.
    fn opens_in_a_minute(&self, minute: Minute) -> f64 {
        let Visitors { load, stay, group } = self.visitors;
        let opens = load * minute.rate / stay;
        let Some(group) = group else { return opens };
        let documents = f64::from(group.documents);
        // If all are always at work, each comes back after a thousandth of a stay.
        let expected = (documents - load * minute.level).max(documents / 1_000.0);
        opens * f64::from(u32::try_from(self.closed.len()).unwrap_or(u32::MAX)) / expected
    }

    /// Opens a document that is not open.
    fn open(&mut self, course: Option<&mut Course>) -> io::Result<()> {
        let (number, user) = match self.visitors.group {
            Some(_) if self.closed.is_empty() => return Ok(()),
            Some(group) => {
                let number = self.closed.swap_remove(self.random.position(self.closed.len()));
                (number, Some(number % group.users.max(1)))
            }
            None => (self.random.draw(USERS), None),
        };
        let key = DocumentKey::new(&format!("document-{}", self.random.draw(DOCUMENTS)));
        let name = User::new(&format!("user-{}", user.unwrap_or(number)));
        let (key, name) = (key.map_err(io::Error::other)?, name.map_err(io::Error::other)?);
        let connection = self.engine.open(&key, &name, Access::Edit).map_err(io::Error::other)?;
        self.count.opens += 1;
        self.count.fallbacks += u32::from(connection.granted().reason.is_some());
        let at = after(self.start, self.now);
        let recorded = course.map(|course| course.open(at, user));
        let closes = self.now + self.random.exponential() * self.visitors.stay;
        let document = OpenDocument { connection: connection.into_id(), number, recorded };
        // Numbers of positive sign have the order of their bits.
        self.open.insert((closes.to_bits(), self.count.opens), document);
        Ok(())
    }

    fn close_first(&mut self, course: Option<&mut Course>) -> io::Result<()> {
        let Some((_, document)) = self.open.pop_first() else { return Ok(()) };
        self.engine.close(document.connection).map_err(io::Error::other)?;
        if self.visitors.group.is_some() {
            self.closed.push(document.number);
        }
        if let (Some(course), Some(recorded)) = (course, document.recorded) {
            course.close(recorded, after(self.start, self.now));
        }
        Ok(())
    }
}
