//! The busiest hour, as telephone engineers take it: of whole clock hours, the one with the highest load.

use crate::time::Timestamp;

/// Milliseconds that connections were held, hour by hour; only two hours are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours {
    /// The hour that is not over.
    present: Option<Hour>,
    /// The first of the busiest among those that are.
    busiest: Option<Hour>,
}

#[derive(Clone, Copy, Debug)]
struct Hour {
    /// Counted from the Unix epoch.
    number: u64,
    held: u128,
}

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

impl Hours {
    /// So many connections were open between the two moments, the first of which is where the last call ended. Costs
    /// nothing that grows, however long that was.
    pub(super) fn pass(&mut self, from: Timestamp, to: Timestamp, open: u32) {
        let (mut from, to) = (from.as_millis(), to.as_millis());
        let (first, last) = (from / HOUR, to / HOUR);
        // The hours in between are all like the one after the first.
        for number in [first, last.min(first + 1), last] {
            let end = to.min((number + 1) * HOUR);
            let held = u128::from(open) * u128::from(end.saturating_sub(from.max(number * HOUR)));
            from = end;
            match &mut self.present {
                Some(hour) if hour.number == number => hour.held += held,
                _ => {
                    self.busiest = self.busiest();
                    self.present = Some(Hour { number, held });
                }
            }
        }
    }

    /// Where the busiest hour began, and its load in erlangs.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds held in an hour are exact up to two billion open"
    )]
    pub(super) fn busiest_load(&self) -> Option<(Timestamp, f64)> {
        let hour = self.busiest()?;
        Some((Timestamp::from_millis(hour.number * HOUR), hour.held as f64 / HOUR as f64))
    }

    fn busiest(&self) -> Option<Hour> {
        let busier = |hour: &Hour| self.busiest.is_none_or(|busiest| hour.held > busiest.held);
        self.present.filter(busier).or(self.busiest)
    }
}
