//! What a replay comes to.

use std::fmt;
use std::time::Duration;

use coedit::door::Door;
use coedit::{Level, Usage, Window};

/// What went through a door in a time.
pub(crate) struct Summary<'a> {
    pub(crate) door: &'a Door,
    pub(crate) wall: Duration,
}

impl fmt::Display for Summary<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.door.tally();
        let rate = tally.operations as f64 / self.wall.as_secs_f64().max(1e-9);
        let errors = tally.errors.iter().map(|(code, count)| format!("{count} x error {}", code.number()));
        let opens = tally.opens.iter().rev().map(|(access, count)| format!("{count} {access}"));
        let reasons = tally.fallbacks.iter().map(|(reason, count)| format!("{count} {reason}"));
        let callbacks =
            tally.callbacks.iter().map(|(status, count)| format!("{count} x status {}", status.number()));
        let peak_at = tally.peak_at.map(|at| format!(" at {at}")).unwrap_or_default();
        row(f, "operations", &tally.operations.to_string())?;
        row(f, "replies", &listed(errors, "no errors"))?;
        row(f, "opens", &listed(opens, "none"))?;
        row(f, "fallbacks", &listed(reasons, "none"))?;
        row(f, "peak of editing", &format!("{} connections{peak_at}", tally.peak))?;
        row(f, "documents", &tally.documents().to_string())?;
        row(f, "callbacks", &listed(callbacks, "none"))?;
        row(f, "saves acknowledged", &tally.saves.to_string())?;
        row(f, "forgotten", &self.door.engine().forgotten().len().to_string())?;
        row(
            f,
            "wall time",
            &format!("{:.1} ms, {rate:.0} operations a second", self.wall.as_secs_f64() * 1e3),
        )?;
        self.door.engine().usage().map_or(Ok(()), |used| usage(f, &used))
    }
}

/// The windows up to now, each but the first only if more was opened in it than in those before.
fn usage(f: &mut fmt::Formatter<'_>, usage: &Usage) -> fmt::Result {
    let windows = [
        ("last hour", &usage.hour),
        ("last 24 hours", &usage.day),
        ("last 7 days", &usage.week),
        ("last 30 days", &usage.month),
        ("last 365 days", &usage.year),
    ];
    let mut opens = None;
    for (name, window) in windows {
        if opens < Some(window.opens) {
            opens = Some(window.opens);
            row(f, name, &of_window(window))?;
            for (access, of_access) in [("live view", window.live), ("view", window.view)] {
                if of_access.max > 0 {
                    row(f, "", &level(access, of_access))?;
                }
            }
        }
    }
    Ok(())
}

fn of_window(window: &Window) -> String {
    let Window { edit, opens, users, .. } = window;
    let fallbacks: u64 = window.fallbacks.values().sum();
    format!("{}; {opens} opens, {fallbacks} fallbacks, {users} users", level("edit", *edit))
}

fn level(name: &str, level: Level) -> String {
    let Level { min, average, max, max_at, .. } = level;
    let at = if max > 0 { format!(", most at {max_at}") } else { String::new() };
    format!("{name} {min} to {max}, average {average:.2}{at}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "{name:<20}{value}")
}

fn listed(parts: impl Iterator<Item = String>, otherwise: &str) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { otherwise.to_owned() } else { parts.join(", ") }
}
