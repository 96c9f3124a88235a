//! Adds up the samples of series, and finds their gaps.

use std::collections::BTreeMap;
use std::time::Duration;

use coedit::Timestamp;
use coedit::capacity::CONNECTIONS_MAX;

use super::recording::Levels;
use super::report::{Report, in_words, quoted};

/// Collects the samples of one or more series.
#[derive(Debug, Default)]
pub(super) struct LevelsBuilder {
    /// The sum of all series at each time.
    sums: BTreeMap<Timestamp, f64>,
}

impl LevelsBuilder {
    /// Adds the samples of several series at one time, all or none. What is added for the same time is summed
    /// up. The error says why a text is no level.
    pub(super) fn add_all<'a>(
        &mut self,
        at: Timestamp,
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let levels: Vec<f64> = texts.map(level).collect::<Result<_, _>>()?;
        *self.sums.entry(at).or_default() += levels.iter().sum::<f64>();
        Ok(())
    }

    /// Ends the series. Adds its gaps to the report.
    pub(super) fn build(self, report: &mut Report) -> Levels {
        let times: Vec<Timestamp> = self.sums.keys().copied().collect();
        let step = usual_step(&times);
        let (mut gaps, mut longest) = (0, Duration::ZERO);
        let mut samples = Vec::with_capacity(times.len() + 1);
        for (position, (&at, &sum)) in self.sums.iter().enumerate() {
            samples.push((at, rounded(sum)));
            let next = times.get(position + 1);
            let pause = next.map_or(Duration::MAX, |next| next.since(at));
            if pause > step * 2 {
                samples.push((at.after(step), 0));
            }
            if next.is_some() && pause > step * 2 {
                gaps += 1;
                longest = longest.max(pause);
            }
        }
        let rest = format!("without samples, the longest of {}: it counts as empty", in_words(longest));
        report.note_count(gaps, &format!("gap is {rest}"), &format!("gaps are {rest}"));
        if !samples.is_empty() && samples.iter().all(|(_, level)| *level == 0) {
            report.notes.push("every level is 0".to_owned());
        }
        Levels { samples, step }
    }
}

/// The median of the times between two samples.
fn usual_step(times: &[Timestamp]) -> Duration {
    let mut steps: Vec<Duration> =
        times.iter().zip(times.iter().skip(1)).map(|(one, next)| next.since(*one)).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn rounded(sum: f64) -> u32 {
    sum.round().min(f64::from(CONNECTIONS_MAX)) as u32
}

/// Reads a number of connections. Averages have a fraction.
fn level(text: &str) -> Result<f64, String> {
    let level = text.trim().parse().ok().filter(|level| (0.0..=f64::from(CONNECTIONS_MAX)).contains(level));
    level.ok_or_else(|| format!("the level {} is not a number from 0 to {CONNECTIONS_MAX}", quoted(text)))
}
