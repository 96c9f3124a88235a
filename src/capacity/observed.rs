//! What would have been under every limit, out of what was.

use std::collections::BTreeSet;
use std::time::Duration;

use super::hours::Hours;
use super::stretches::{Stretch, Stretches};
use super::{OutOfBounds, check_share};
use crate::time::Timestamp;

/// Comings and goings of connections that were seen, analysed for all limits in one pass.
///
/// Feed it every connection that was given, or asked for, edit access, in order of time, whatever the limit was, and it says
/// for each limit how many of these opens would have fallen back.
///
/// # Why one pass is enough
///
/// Everybody who comes takes the lowest number that is free, from 1 up, and frees it by going. *Under a limit of n, those
/// who hold a connection are at every moment those with numbers up to n.* That is true of an empty engine. When somebody
/// comes and gets a number up to n, that number was free, so fewer than n connections were held and the limit lets in; with
/// a higher number all from 1 to n were taken, so all n connections were held and the limit refuses. When somebody goes, a
/// number up to n is freed exactly if a connection is. So a limit of n refuses exactly those with numbers above n. The
/// highest number is given when all lower ones are taken, so it is the peak, and a limit is first reached when its number is
/// first given.
///
/// It takes the comings as they were: that one who is refused may try again, or come back less often, it cannot know. Feed
/// it a record from a time without a limit, or with one that was seldom reached.
///
/// Memory: some 24 bytes for each connection of the peak, and at most 2,000 [stretches](Self::stretches). An event costs
/// the logarithm of the peak.
///
/// ```
/// use coedit::Timestamp;
/// use coedit::capacity::Observed;
///
/// let minute = |count: u64| Timestamp::from_millis(count * 60_000);
/// let mut observed = Observed::new();
/// let ann = observed.came(minute(0));
/// let ben = observed.came(minute(10));
/// observed.gone(ann, minute(20));
/// let cleo = observed.came(minute(30));
/// observed.gone(ben, minute(40));
/// observed.gone(cleo, minute(60));
///
/// assert_eq!((observed.opens(), observed.peak()), (3, Some((2, minute(10)))));
/// assert_eq!((observed.fallbacks(2), observed.fallbacks(1), observed.fallbacks(0)), (0, 1, 3));
/// assert_eq!(observed.load(), 80.0 / 60.0); // 80 minutes held in 60
/// ```
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How often each number was given, from 1 up, and when first.
    numbers: Vec<Given>,
    /// The numbers that were given and are free.
    free: BTreeSet<u32>,
    opens: u64,
    /// The first event, and the latest.
    span: Option<(Timestamp, Timestamp)>,
    /// Milliseconds that connections were held, all together, up to the latest event.
    held: u128,
    hours: Hours,
    course: Option<Stretches>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    times: u64,
    first: Timestamp,
}

/// A connection that came; [`Observed::gone`] takes it back.
#[derive(Debug)]
pub struct Seat(u32);

impl Seat {
    /// Its number, from 1 up: the smallest limit that would have let it in.
    pub fn number(&self) -> u32 {
        self.0
    }
}

/// What is seen.
impl Observed {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Observed::default()
    }

    /// A connection asked for edit access. A moment earlier than the latest event counts as that one's.
    pub fn came(&mut self, at: Timestamp) -> Seat {
        let (at, before) = (self.pass(at), self.open());
        let number = self.free.pop_first().unwrap_or(self.highest().saturating_add(1));
        self.opens += 1;
        match self.numbers.get_mut(number as usize - 1) {
            Some(given) => given.times += 1,
            None => self.numbers.push(Given { times: 1, first: at }),
        }
        self.mark(at, before, number);
        Seat(number)
    }

    /// It went, or lost its access. One that came to another `Observed` is passed over if its number is free in this one.
    #[expect(clippy::needless_pass_by_value, reason = "who is gone is gone once")]
    pub fn gone(&mut self, seat: Seat, at: Timestamp) {
        let (at, before) = (self.pass(at), self.open());
        if seat.0 <= self.highest() {
            self.free.insert(seat.0);
        }
        self.mark(at, before, 0);
    }

    /// The record goes on to `at` without an event.
    pub fn until(&mut self, at: Timestamp) {
        let (at, open) = (self.pass(at), self.open());
        self.mark(at, open, 0);
    }
}

/// What follows.
impl Observed {
    /// Connections that came.
    pub fn opens(&self) -> u64 {
        self.opens
    }

    /// Connections that are open, were none refused.
    pub fn open(&self) -> u32 {
        // As many numbers as are free were given.
        self.highest() - u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }

    /// How many of the opens would have fallen back under `limit`. Costs the peak.
    pub fn fallbacks(&self, limit: u32) -> u64 {
        self.numbers.iter().skip(limit as usize).map(|given| given.times).sum()
    }

    /// The share of the opens that would have fallen back under `limit`; 0 if nobody came. Costs the peak.
    pub fn share(&self, limit: u32) -> f64 {
        part(self.fallbacks(limit), self.opens)
    }

    /// The lowest limit under which at most `share` of the opens, more than 0 and less than 1, would have fallen back.
    /// Costs the peak.
    pub fn limit_for(&self, share: f64) -> Result<u32, OutOfBounds> {
        check_share(share)?;
        let mut fallbacks = self.opens;
        let too_few = |given: &&Given| {
            let over = part(fallbacks, self.opens) > share;
            fallbacks -= given.times;
            over
        };
        Ok(u32::try_from(self.numbers.iter().take_while(too_few).count()).unwrap_or(u32::MAX))
    }

    /// Most connections open at one time, were none refused, and when it were so many for the first time.
    pub fn peak(&self) -> Option<(u32, Timestamp)> {
        self.peak_under(u32::MAX)
    }

    /// The same under `limit`. `None` if nobody came, or nobody was let in.
    pub fn peak_under(&self, limit: u32) -> Option<(u32, Timestamp)> {
        let peak = self.highest().min(limit);
        let given = self.numbers.get((peak as usize).checked_sub(1)?)?;
        Some((peak, given.first))
    }

    /// The first event and the latest.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The load from the first event to the latest, in erlangs: connections open on the average, were none refused.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds in 285,000 years are exact")]
    pub fn load(&self) -> f64 {
        let millis = self.span.map_or(0, |(first, latest)| latest.since(first).as_millis());
        if millis == 0 { 0.0 } else { self.held as f64 / millis as f64 }
    }

    /// The clock hour, UTC, with the highest load, and that load in erlangs. What was not seen of it counts as empty.
    ///
    /// This, not the mean of nights and days, is the load for a formula: [`erlang_b`](super::erlang_b) of it says what
    /// would fall back if every hour were as busy.
    pub fn busiest_hour(&self) -> Option<(Timestamp, f64)> {
        self.hours.busiest_load()
    }

    /// How long a connection stayed, on the average; what those that are still open will stay is not counted.
    pub fn mean_stay(&self) -> Duration {
        let millis = self.held.checked_div(u128::from(self.opens)).unwrap_or(0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The course over time, in at most 2,000 stretches of equal length. However short a peak was, it is in there.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.course.iter().flat_map(Stretches::iter)
    }

    /// The highest number that was given.
    fn highest(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    /// Lets the time up to `at` pass with what is open. Returns the moment, which is never earlier than the latest.
    fn pass(&mut self, at: Timestamp) -> Timestamp {
        let (first, latest) = self.span.unwrap_or((at, at));
        let (at, open) = (at.max(latest), self.open());
        self.span = Some((first, at));
        self.held += u128::from(open) * at.since(latest).as_millis();
        self.hours.pass(latest, at, open);
        at
    }

    /// Draws the course on to `at`: `before` were open up to it, and the one who came, if any, got `number`.
    fn mark(&mut self, at: Timestamp, before: u32, number: u32) {
        let open = self.open();
        self.course.get_or_insert_with(|| Stretches::new(at)).add(at, before, open, number);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share is no more exact")]
fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}
