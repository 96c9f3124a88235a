//! How the load of a working day changes from minute to minute.

/// The load of a minute, as a share of the load of the busiest hour.
#[derive(Clone, Copy)]
pub(super) struct Minute {
    /// The expected number of open connections at the end of the minute.
    pub(super) level: f64,
    /// The opens, where 1 keeps the level of the busiest hour.
    pub(super) rate: f64,
}

impl Minute {
    /// A minute of the busiest hour.
    pub(super) const BUSIEST: Minute = Minute { level: 1.0, rate: 1.0 };
}

/// The minutes of a day.
pub(super) const MINUTES: u16 = 1_440;

/// The middle of the busiest time, in minutes after midnight.
pub(super) const BUSIEST_AT: f64 = 645.0;

/// The levels of a working day at some times, which are in hours: a night with few people, the rise of the morning, the
/// busiest time from 10:00 to 11:30, the dip at lunch, the afternoon, and the evening. Straight lines join them. The shape is
/// an assumption, not a measurement. Each level is a share of the load of the busiest hour.
const LEVELS: [(f64, f64); 16] = [
    (0.0, 0.02),
    (5.0, 0.02),
    (7.0, 0.12),
    (8.5, 0.75),
    (9.5, 0.97),
    (10.0, 1.0),
    (11.5, 1.0),
    (12.25, 0.62),
    (13.0, 0.66),
    (14.0, 0.93),
    (15.5, 0.95),
    (17.0, 0.7),
    (18.0, 0.36),
    (20.0, 0.12),
    (22.0, 0.05),
    (24.0, 0.02),
];

/// Returns the opens of each minute that make the day follow the levels. `stay` is the mean stay in minutes.
///
/// People leave at the rate of their stays. If the stays are too long for a fall, nobody opens until the level is reached. So
/// the level is never above that of the busiest hour.
pub(super) fn minutes(stay: f64) -> Vec<Minute> {
    // The share of the connections that stay for a minute.
    let (stayed, left) = ((-1.0 / stay).exp(), -(-1.0 / stay).exp_m1());
    let mut level = level_at(0.0);
    let minute = |number: u16| {
        let rest = level * stayed;
        let rate = ((level_at(f64::from(number) + 1.0) - rest) / left).max(0.0);
        level = rest + rate * left;
        Minute { level, rate }
    };
    (0..MINUTES).map(minute).collect()
}

/// Returns the level at a time in minutes after midnight.
pub(super) fn level_at(minute: f64) -> f64 {
    let hour = minute / 60.0;
    let mut before = LEVELS[0];
    for next in LEVELS {
        if hour <= next.0 {
            let part = (hour - before.0) / (next.0 - before.0).max(f64::MIN_POSITIVE);
            return before.1 + part * (next.1 - before.1);
        }
        before = next;
    }
    before.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(minutes: &[Minute]) -> f64 {
        minutes.iter().map(|minute| minute.level).sum::<f64>() / 60.0
    }

    #[test]
    fn the_busiest_hour_has_the_load() {
        for stay in [0.001, 5.0, 30.0, 90.0, 480.0, 1e6] {
            let busiest = minutes(stay).windows(60).map(average).fold(0.0, f64::max);
            assert!((busiest - 1.0).abs() < 1e-6, "{stay}: {busiest}");
        }
    }

    #[test]
    fn a_day_of_usual_stays_follows_the_levels() {
        for (minute, end) in minutes(30.0).iter().zip(1_u16..) {
            assert!((minute.level - level_at(f64::from(end))).abs() < 1e-9, "{end}");
        }
    }
}
