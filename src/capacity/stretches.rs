//! A course over time in bounded memory, for a picture.

use crate::time::Timestamp;

/// A stretch of time, and the most that was open in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins. It ends where the next one begins.
    pub from: Timestamp,
    /// Most connections open at one time in it, were none refused.
    pub most: u32,
    /// The highest number that a connection was given in it; 0 if none came.
    highest: u32,
}

impl Stretch {
    /// Whether under `limit` anybody who came in it would have fallen back.
    pub fn falls_back(&self, limit: u32) -> bool {
        self.highest > limit
    }
}

/// Stretches of one length, each twice as long as before whenever there would be too many.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    start: Timestamp,
    /// The length of one, in milliseconds.
    millis: u64,
    /// Of each stretch the most that were open, and the highest number that was given.
    highs: Vec<(u32, u32)>,
}

/// Most stretches. More than there are pixels across a picture.
const STRETCHES_MAX: usize = 2_000;

impl Stretches {
    pub(super) fn new(start: Timestamp) -> Self {
        Stretches { start, millis: 1, highs: Vec::new() }
    }

    /// From the last event to `at` there were `open` connections, and now there are `now`, the newest of which, if one
    /// came, has the number `number`. `at` is not earlier than the last one. Costs the stretches passed, at most all.
    pub(super) fn add(&mut self, at: Timestamp, open: u32, now: u32, number: u32) {
        let passed = at.as_millis().saturating_sub(self.start.as_millis());
        while self.position(passed) >= STRETCHES_MAX {
            self.widen();
        }
        let position = self.position(passed);
        if self.highs.len() <= position {
            self.highs.resize(position + 1, (open, 0));
        }
        if let Some((most, highest)) = self.highs.last_mut() {
            *most = now.max(*most);
            *highest = number.max(*highest);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.highs.iter().zip(0_u64..).map(|(&(most, highest), position)| Stretch {
            from: Timestamp::from_millis(self.start.as_millis() + position * self.millis),
            most,
            highest,
        })
    }

    fn position(&self, passed: u64) -> usize {
        usize::try_from(passed / self.millis).unwrap_or(usize::MAX)
    }

    fn widen(&mut self) {
        self.millis *= 2;
        let pairs = self.highs.chunks(2);
        self.highs = pairs
            .map(|pair| {
                pair.iter().fold((0, 0), |(most, highest), one| (one.0.max(most), one.1.max(highest)))
            })
            .collect();
    }
}
