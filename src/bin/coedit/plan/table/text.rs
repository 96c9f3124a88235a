//! The words of the table.

use std::fmt;

use coedit::Timestamp;

use crate::plan::figures::{Crowd, Formula, Method, SeriesFigures};
use crate::plan::percent::percent;
use crate::plan::recorded::RecordedWindow;

/// The width of the table, in characters.
pub(super) const WIDTH: usize = 110;
/// The width of the names at the start of a line.
pub(super) const NAMES: usize = 20;

/// Writes a name and a text. Long texts continue on lines of their own.
pub(crate) fn paragraph(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    write!(f, "{name:<NAMES$}")?;
    let mut column = NAMES;
    for (position, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if position > 0 && column + 1 + width > WIDTH {
            write!(f, "\n{:NAMES$}{word}", "")?;
            column = NAMES + width;
        } else {
            let space = if position > 0 { " " } else { "" };
            write!(f, "{space}{word}")?;
            column += space.len() + width;
        }
    }
    writeln!(f)
}

/// A time in local time. In UTC it ends with `Z`.
pub(super) struct Local(pub(super) Timestamp, pub(super) i32);

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Local(at, offset) = *self;
        if offset == 0 {
            return at.fmt(f);
        }
        let local = at.as_millis().saturating_add_signed(i64::from(offset) * 60_000);
        let text = Timestamp::from_millis(local).to_string();
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        write!(f, "{}{sign}{:02}:{:02}", text.trim_end_matches('Z'), minutes / 60, minutes % 60)
    }
}

pub(super) fn load_text(crowd: &Crowd, load: f64) -> String {
    match crowd {
        Crowd::Usage(RecordedWindow { busiest_hour: Some(hour), .. }) => {
            let open = format!("{:.2} connections open on the average", hour.average);
            let refused = match hour.refused {
                0 => String::new(),
                refused => format!(", {load:.2} if the {refused} refused users are counted"),
            };
            format!("{open}{refused}, in the busiest hour, from {}", hour.from)
        }
        _ => format!("{load:.2} connections open on the average, were none refused"),
    }
}

/// So many documents, in words.
#[expect(clippy::float_cmp, reason = "1 is exact")]
pub(crate) fn documents(count: f64) -> String {
    if count == 1.0 { "a document".to_owned() } else { format!("{count} documents") }
}

pub(crate) fn described(crowd: &Crowd) -> String {
    match crowd {
        Crowd::Users { users, docs_per_user, concurrent, group } => format!(
            "{users} users with {} each (a group of {group}), {} of them at work at one time",
            documents(*docs_per_user),
            percent(*concurrent)
        ),
        Crowd::Opens { opens_per_hour, stay } => {
            format!("{opens_per_hour} opens an hour, each for {stay} minutes on the average")
        }
        Crowd::Usage(RecordedWindow { window, from, to, average, peak, peak_at, opens, refused, .. }) => {
            format!(
                "{opens} opens in the {window} from {from} to {to}, {refused} refused for the limit; {average:.2} connections \
             edited on the average, {peak} at {peak_at}"
            )
        }
        Crowd::Series(SeriesFigures { from, to, average, peak, peak_at, busiest_hour }) => format!(
            "a series from {from} to {to}: {average:.2} connections on the average, {peak} at {peak_at}; the load is of \
             the busiest hour, from {busiest_hour}"
        ),
    }
}

pub(super) fn phrase(method: Method) -> &'static str {
    match method {
        Method::ErlangB => "enough by Erlang B",
        Method::Engset => "enough by Engset",
        Method::Observed => "enough in the trace",
        Method::RuleOfThumb => "thumb: one a user",
        Method::RuleOfThumbAllAtWork => "thumb, all at work: two a user",
        Method::Given => "the given limit",
    }
}

/// The name of an answer in a sentence.
pub(super) fn method_name(method: Method) -> &'static str {
    match method {
        Method::ErlangB => "Erlang B",
        Method::Engset => "Engset",
        Method::Observed => "in the trace",
        Method::RuleOfThumb => "thumb",
        Method::RuleOfThumbAllAtWork => "thumb, all at work",
        Method::Given => "the given limit",
    }
}

/// Says where a number of connections is from.
pub(super) fn by(formula: Formula) -> &'static str {
    match formula {
        Formula::Observed => "in the trace",
        Formula::ErlangB => "by Erlang B",
        Formula::Engset => "by Engset",
        Formula::EngsetStaying => "if viewers stay",
    }
}

/// Formats a share in percent and as "1 in N".
pub(super) fn percent_and_odds(share: f64) -> String {
    if share == 0.0 {
        "never".to_owned()
    } else if share < 1e-6 {
        "under 1 in a million".to_owned()
    } else {
        let places = usize::from(share > 0.1);
        format!("{:>9} 1 in {:.places$}", percent(share), 1.0 / share)
    }
}
