//! Classes and meetings: users who open together and stay for a known time.
//!
//! No formula is needed for them, because nothing is random. A class of 400 needs 400 connections, whenever it begins. Formulas
//! for random opens either expect too few (over an hour in which the class is gone for 15 minutes) or too many.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Observed, ObservedConnection, OutOfBounds, check};
use crate::time::Timestamp;

/// Users who open at the same time of day and stay equally long.
///
/// It is written as `400@09:00/45m`: the users, the time of day, and the stay in hours, minutes and seconds (`1h30m`, `90s`).
///
/// ```
/// use coedit::capacity::Burst;
/// use std::time::Duration;
///
/// let class: Burst = "400@09:00/45m".parse()?;
/// assert_eq!((class.users, class.begins), (400, Duration::from_secs(9 * 3_600)));
/// assert_eq!(class.stay, Duration::from_secs(45 * 60));
/// assert_eq!(class.to_string(), "400@09:00/45m");
/// assert!("400@9/45".parse::<Burst>().is_err());
/// # Ok::<(), coedit::capacity::BurstError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// The number of users.
    pub users: u32,
    /// The time of day at which they open, from midnight on.
    pub begins: Duration,
    /// How long they stay.
    pub stay: Duration,
}

/// The error of a text that is no [`Burst`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstError(());

/// The largest number of users of a timetable.
pub const TIMETABLE_USERS_MAX: u32 = 100_000;

/// A day with `bursts` as a recording. The day begins at `midnight`.
///
/// A user of one burst is no user of another. Who leaves makes room for those who come at the same time. Whoever stays beyond
/// midnight leaves on the next day. The users are [`TIMETABLE_USERS_MAX`] at most, and the cost is proportional to them.
///
/// ```
/// use coedit::Timestamp;
/// use coedit::capacity::timetable;
///
/// let bursts = ["400@09:00/45m".parse()?, "150@09:45/45m".parse()?, "100@10:00/1h".parse()?];
/// let day = timetable(&bursts, Timestamp::from_millis(0))?;
/// assert_eq!(day.peak().map(|(peak, _)| peak), Some(400)); // enough for all
/// assert_eq!(day.under(380).users_hit, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn timetable(bursts: &[Burst], midnight: Timestamp) -> Result<Observed, OutOfBounds> {
    let users: u64 = bursts.iter().map(|burst| u64::from(burst.users)).sum();
    check(users <= u64::from(TIMETABLE_USERS_MAX), "the number of users of a timetable", "at most 100,000")?;
    let mut events: Vec<(Timestamp, Edge, usize)> = Vec::with_capacity(2 * bursts.len());
    for (index, burst) in bursts.iter().enumerate() {
        let begins = midnight.after(burst.begins);
        events.push((begins, Edge::Begins, index));
        // A stay of no time would end before it begins.
        events.push((begins.after(burst.stay.max(Duration::from_millis(1))), Edge::Ends, index));
    }
    events.sort_unstable();
    let (mut observed, mut user) = (Observed::new(), 0);
    let mut present: Vec<Vec<ObservedConnection>> = bursts.iter().map(|_| Vec::new()).collect();
    for (at, edge, index) in events {
        if edge == Edge::Begins {
            for _ in 0..bursts[index].users {
                present[index].push(observed.record_open_by(user, at));
                user += 1;
            }
        } else {
            present[index].drain(..).for_each(|connection| observed.record_close(connection, at));
        }
    }
    Ok(observed)
}

/// Of events at the same time, ends come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Ends,
    Begins,
}

impl FromStr for Burst {
    type Err = BurstError;

    fn from_str(text: &str) -> Result<Self, BurstError> {
        let (users, rest) = text.split_once('@').ok_or(BurstError(()))?;
        let (begins, stay) = rest.split_once('/').ok_or(BurstError(()))?;
        let (hours, minutes) = begins.split_once(':').ok_or(BurstError(()))?;
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        if minutes >= 60 || hours >= 24 {
            return Err(BurstError(()));
        }
        let begins = Duration::from_secs((hours * 60 + minutes) * 60);
        let users = u32::try_from(number(users)?).map_err(|_| BurstError(()))?;
        Ok(Burst { users, begins, stay: stay_of(stay)? })
    }
}

/// Reads a number without a sign, below a billion.
fn number(text: &str) -> Result<u64, BurstError> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().map_err(|_| BurstError(())) } else { Err(BurstError(())) }
}

/// Reads hours, minutes and seconds, each at most once, in this order.
fn stay_of(text: &str) -> Result<Duration, BurstError> {
    let (mut rest, mut seconds) = (text, 0);
    for (unit, length) in [('h', 3_600), ('m', 60), ('s', 1)] {
        if let Some((count, after)) = rest.split_once(unit) {
            seconds += number(count)? * length;
            rest = after;
        }
    }
    if rest.is_empty() && seconds > 0 { Ok(Duration::from_secs(seconds)) } else { Err(BurstError(())) }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minutes, stay) = (self.begins.as_secs() / 60, self.stay.as_secs());
        write!(f, "{}@{:02}:{:02}/", self.users, minutes / 60, minutes % 60)?;
        for (count, unit) in [(stay / 3_600, 'h'), (stay / 60 % 60, 'm'), (stay % 60, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for BurstError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a burst must be like 400@09:00/45m: users, time of day, stay")
    }
}

impl std::error::Error for BurstError {}
