//! What a reader has to say about its input.

use std::fmt;
use std::time::Duration;

/// The lines that a reader took and could not take, and what it noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// The number of lines, or of samples. Blank lines and the heading do not count.
    pub(crate) lines: u64,
    /// How many of them are not readable.
    pub(crate) unreadable: u64,
    /// The first unreadable lines.
    pub(crate) examples: Vec<Unreadable>,
    /// Whole sentences about what is odd in the input.
    pub(crate) notes: Vec<String>,
}

/// A line that is not readable.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// The highest number of unreadable lines that are shown.
const EXAMPLES: usize = 5;

/// The longest text that is shown of a line, in characters.
const SHOWN: usize = 60;

impl Report {
    /// Counts a line that is not readable.
    pub(super) fn add_unreadable(&mut self, line: u64, reason: impl Into<String>) {
        self.unreadable += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(Unreadable { line, reason: reason.into() });
        }
    }

    /// Adds a note that begins with a count, if the count is not zero.
    pub(super) fn note_count(&mut self, count: u64, one: &str, many: &str) {
        match count {
            0 => {}
            1 => self.notes.push(format!("1 {one}")),
            _ => self.notes.push(format!("{count} {many}")),
        }
    }

    /// The share of the lines that is not readable.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub(crate) fn share_unreadable(&self) -> f64 {
        self.unreadable as f64 / self.lines.max(1) as f64
    }

    /// Returns all that there is to say, each as one line.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let unreadable = (self.unreadable > 0).then(|| self.unreadable_lines());
        unreadable.into_iter().chain(self.notes.iter().cloned()).collect()
    }

    fn unreadable_lines(&self) -> String {
        let examples: Vec<String> = self.examples.iter().map(Unreadable::to_string).collect();
        let more = if self.unreadable > examples.len() as u64 { "; …" } else { "" };
        let verb = if self.unreadable == 1 { "is" } else { "are" };
        let (unreadable, lines) = (self.unreadable, self.lines);
        let noun = if lines == 1 { "line" } else { "lines" };
        format!("{unreadable} of {lines} {noun} {verb} not readable: {}{more}", examples.join("; "))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Puts a text of the input in quotes. Shortens long texts and replaces control characters.
pub(super) fn quoted(text: &str) -> String {
    let visible = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let start: String = text.chars().take(SHOWN).map(visible).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("`{start}{more}`")
}

/// The lines whose time is earlier than that of a line before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepsBack {
    latest: u64,
    count: u64,
    longest: u64,
}

impl StepsBack {
    /// Adds the time of the next line, in milliseconds.
    pub(super) fn add(&mut self, millis: u64) {
        if millis < self.latest {
            self.count += 1;
            self.longest = self.longest.max(self.latest - millis);
        }
        self.latest = self.latest.max(millis);
    }

    /// Adds a note if there are such lines. `treatment` says what becomes of them.
    pub(super) fn note(self, report: &mut Report, treatment: &str) {
        let longest = in_words(Duration::from_millis(self.longest));
        let rest = format!("earlier than a line before, by up to {longest}: {treatment}");
        report.note_count(self.count, &format!("line is {rest}"), &format!("lines are {rest}"));
    }
}

/// Writes a duration in its largest unit.
pub(super) fn in_words(duration: Duration) -> String {
    if duration == Duration::from_secs(1) {
        return "1 second".to_owned();
    }
    let seconds = duration.as_secs_f64();
    let units = [("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)];
    match units.into_iter().find(|(_, length)| seconds >= 2.0 * length) {
        Some((unit, length)) => format!("{:.1} {unit}", seconds / length),
        None => format!("{seconds} seconds"),
    }
}
