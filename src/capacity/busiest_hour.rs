//! The busiest hour as telephone engineers define it: the clock hour with the highest load.

use crate::time::Timestamp;

/// Finds the busiest hour of a recording. Stores two hours only.
#[derive(Clone, Debug, Default)]
pub(super) struct BusiestHour {
    /// The present hour, which is not over.
    present: Option<HourLoad>,
    /// The busiest of the hours that are over. Of equally busy hours, the first.
    busiest: Option<HourLoad>,
}

#[derive(Clone, Copy, Debug)]
struct HourLoad {
    /// The number of the hour since the Unix epoch.
    number: u64,
    /// Connections times milliseconds.
    held: u128,
}

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

impl BusiestHour {
    /// Adds the time between `from` and `to`, in which `open` connections were open. `from` must be the `to` of the call
    /// before. The cost does not depend on the length of that time.
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp, open: u32) {
        let (mut from, to) = (from.as_millis(), to.as_millis());
        let (first, last) = (from / HOUR, to / HOUR);
        // All hours between the first and the last have the same load as the second.
        for number in [first, last.min(first + 1), last] {
            let end = to.min((number + 1) * HOUR);
            let held = u128::from(open) * u128::from(end.saturating_sub(from.max(number * HOUR)));
            from = end;
            match &mut self.present {
                Some(hour) if hour.number == number => hour.held += held,
                _ => {
                    self.busiest = self.busiest();
                    self.present = Some(HourLoad { number, held });
                }
            }
        }
    }

    /// Returns the beginning of the busiest hour and its load in erlangs.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the milliseconds of an hour are exact for up to two billion connections"
    )]
    pub(super) fn load(&self) -> Option<(Timestamp, f64)> {
        let hour = self.busiest()?;
        Some((Timestamp::from_millis(hour.number * HOUR), hour.held as f64 / HOUR as f64))
    }

    fn busiest(&self) -> Option<HourLoad> {
        let busier = |hour: &HourLoad| self.busiest.is_none_or(|busiest| hour.held > busiest.held);
        self.present.filter(busier).or(self.busiest)
    }
}
