//! Prints the summary of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use coedit::door::Door;
use coedit::{Access, BusyPeriod, Denials, ErrorCode, Level, Reason, Status, Timestamp, Usage, Window};
use serde::Serialize;

use crate::options::OutputOptions;

/// The tally and the usage of a door, and the time of the run.
pub(crate) struct Summary<'a> {
    pub(crate) door: &'a Door,
    pub(crate) wall: Duration,
}

impl Summary<'_> {
    /// Prints the summary on standard error. JSON goes to standard output if nothing else does.
    pub(crate) fn print(&self, options: &OutputOptions, stdout: &mut impl Write) -> io::Result<()> {
        match (options.json, options.quiet) {
            (false, _) => eprint!("{self}"),
            (true, false) => eprintln!("{}", serde_json::to_string(&self.figures())?),
            (true, true) => {
                let figures = serde_json::to_string(&self.figures())?;
                match writeln!(stdout, "{figures}").and_then(|()| stdout.flush()) {
                    // The exit code of `serve` says more.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    printed => return printed,
                }
            }
        }
        Ok(())
    }

    fn figures(&self) -> Figures<'_> {
        let (tally, engine) = (self.door.tally(), self.door.engine());
        Figures {
            operations: tally.operations,
            errors: &tally.errors,
            opens: &tally.opens,
            fallbacks: &tally.fallbacks,
            peak: tally.peak,
            peak_at: tally.peak_at,
            documents: tally.documents(),
            callbacks: &tally.callbacks,
            saves: tally.saves,
            forgotten: engine.forgotten().len(),
            wall_ms: self.wall.as_secs_f64() * 1e3,
            usage: engine.usage(),
        }
    }
}

/// The summary as a JSON object. Every member is always there, and `null` where there is no value.
#[derive(Serialize)]
struct Figures<'a> {
    operations: u64,
    errors: &'a BTreeMap<ErrorCode, u64>,
    opens: &'a BTreeMap<Access, u64>,
    fallbacks: &'a BTreeMap<Reason, u64>,
    peak: u32,
    peak_at: Option<Timestamp>,
    documents: usize,
    callbacks: &'a BTreeMap<Status, u64>,
    saves: u64,
    forgotten: usize,
    wall_ms: f64,
    usage: Option<Usage>,
}

impl fmt::Display for Summary<'_> {
    #[expect(clippy::cast_precision_loss, reason = "the rate is printed without decimals")]
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
        row(f, "replies", &joined(errors, "no errors"))?;
        row(f, "opens", &joined(opens, "none"))?;
        row(f, "fallbacks", &joined(reasons, "none"))?;
        row(f, "peak of editing", &format!("{} connections{peak_at}", tally.peak))?;
        row(f, "documents", &tally.documents().to_string())?;
        row(f, "callbacks", &joined(callbacks, "none"))?;
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

/// Prints who was refused, the busiest hour, and the windows that end now. A window is left out if it has no more opens than the one before.
fn usage(f: &mut fmt::Formatter<'_>, usage: &Usage) -> fmt::Result {
    let windows = [
        ("last hour", &usage.hour),
        ("last 24 hours", &usage.day),
        ("last 7 days", &usage.week),
        ("last 30 days", &usage.month),
        ("last 365 days", &usage.year),
    ];
    refused(f, &usage.year.denials)?;
    if let Some(BusyPeriod { from, average, offered, max, .. }) = usage.year.busiest_hour {
        let wanted = if offered > average { format!(", {offered:.2} wanted") } else { String::new() };
        row(f, "busiest hour", &format!("edit {average:.2}{wanted}, at most {max}, from {from}"))?;
    }
    let mut opens = None;
    for (name, window) in windows {
        if opens < Some(window.opens) {
            opens = Some(window.opens);
            row(f, name, &window_text(window))?;
            for (access, of_access) in [("live view", window.live), ("view", window.view)] {
                if of_access.max > 0 {
                    row(f, "", &level_text(access, of_access))?;
                }
            }
        }
    }
    Ok(())
}

/// Prints what became of the users whom a limit refused edit access, if there are any.
fn refused(f: &mut fmt::Formatter<'_>, denials: &Denials) -> fmt::Result {
    let Denials {
        refused, within_minute, within_five_minutes, later, never, undecided, minutes_lost, ..
    } = denials;
    if refused.is_empty() {
        return Ok(());
    }
    let users = refused.values().sum::<u64>();
    let users = format!("{users} {}", if users == 1 { "user" } else { "users" });
    row(
        f,
        "refused",
        &format!(
            "{users}: {within_minute} edited within a minute, {within_five_minutes} within five, {later} later, \
             {never} never, {undecided} not yet"
        ),
    )?;
    let lost = minutes_lost.iter().map(|(reason, minutes)| format!("{minutes:.1} {reason}"));
    row(f, "minutes lost", &joined(lost, "none"))
}

fn window_text(window: &Window) -> String {
    let Window { edit, opens, users, .. } = window;
    let fallbacks: u64 = window.fallbacks.values().sum();
    format!("{}; {opens} opens, {fallbacks} fallbacks, {users} users", level_text("edit", *edit))
}

fn level_text(name: &str, level: Level) -> String {
    let Level { min, average, max, max_at, .. } = level;
    let at = if max > 0 { format!(", most at {max_at}") } else { String::new() };
    format!("{name} {min} to {max}, average {average:.2}{at}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "{name:<20}{value}")
}

fn joined(parts: impl Iterator<Item = String>, if_empty: &str) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { if_empty.to_owned() } else { parts.join(", ") }
}
