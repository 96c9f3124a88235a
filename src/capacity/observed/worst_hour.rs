//! The hour in which most opens fall back, for every limit at once.

use std::collections::VecDeque;

use super::history_max::HistoryMax;
use super::worst_period::HOUR;
use super::worst_period::WorstPeriod;
use crate::time::Timestamp;

/// Finds the worst hour of each limit. Stores the opens of the latest hour.
///
/// One of the hours with most fallbacks begins with a fallback. So it is enough to look at the hours that begin with an open.
#[derive(Clone, Debug)]
pub(super) struct WorstHours {
    /// The times and the numbers of the opens within an hour of the first of them.
    opens: VecDeque<(Timestamp, u32)>,
    /// For each limit, the fallbacks among these opens. A sample is labelled with its beginning and its number of opens.
    fallbacks: HistoryMax<(Timestamp, u64)>,
}

impl WorstHours {
    pub(super) fn new() -> Self {
        WorstHours { opens: VecDeque::new(), fallbacks: HistoryMax::new() }
    }

    pub(super) fn record_open(&mut self, at: Timestamp, number: u32) {
        while let Some(&(from, first)) = self.opens.front() {
            if at.as_millis() - from.as_millis() < HOUR {
                break;
            }
            // The hour that began at `from` is over.
            self.fallbacks.sample((from, self.opens.len() as u64));
            self.fallbacks.add(first, -1);
            self.opens.pop_front();
        }
        self.opens.push_back((at, number));
        self.fallbacks.add(number, 1);
    }

    /// Returns the hour with most fallbacks. Of equally bad hours, the last.
    pub(super) fn worst(&self, limit: u32) -> Option<WorstPeriod> {
        let over = self.fallbacks.highest(limit).map(|(fallbacks, (from, opens))| WorstPeriod {
            from,
            opens,
            fallbacks: u64::from(fallbacks),
        });
        let worse = |latest: &WorstPeriod| over.is_none_or(|over| latest.fallbacks >= over.fallbacks);
        self.latest(limit).filter(worse).or(over)
    }

    /// Returns the hour that begins with the first fallback of the latest hour.
    fn latest(&self, limit: u32) -> Option<WorstPeriod> {
        let fell_back = |(_, number): &&(Timestamp, u32)| *number > limit;
        let (from, _) = *self.opens.iter().find(fell_back)?;
        let opens = self.opens.iter().filter(|(at, _)| *at >= from).count() as u64;
        let fallbacks = self.opens.iter().filter(fell_back).count() as u64;
        Some(WorstPeriod { from, opens, fallbacks })
    }
}
