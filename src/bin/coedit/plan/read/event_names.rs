//! The names of opens, changes and closes in a file of events.

use std::str::FromStr;

use super::connections::RowKind;
use super::report::quoted;

/// The names that the command line gives, or the usual ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventNames {
    /// Empty if the usual names count.
    named: Vec<(RowKind, String)>,
}

/// Each kind of event with its usual names.
const USUAL: [(&str, RowKind, &[&str]); 3] = [
    ("open", RowKind::Open, &["open", "opened", "join", "joined", "connect", "connected", "start"]),
    ("change", RowKind::Change, &["change", "changed"]),
    (
        "close",
        RowKind::Close,
        &["close", "closed", "leave", "left", "disconnect", "disconnected", "lost", "end"],
    ),
];

impl EventNames {
    /// Returns the kind of an event. `None` is an event that does not count, because the command line does not name it.
    pub(super) fn find(&self, name: &str) -> Result<Option<RowKind>, String> {
        if !self.named.is_empty() {
            let found = self.named.iter().find(|(_, named)| named.eq_ignore_ascii_case(name));
            return Ok(found.map(|(kind, _)| *kind));
        }
        let is_usual = |usual: &&str| usual.eq_ignore_ascii_case(name);
        let found = USUAL.iter().find(|(.., usual)| usual.iter().any(is_usual));
        let unknown = || format!("the event {} is not known: name the events with `--events`", quoted(name));
        found.map(|(_, kind, _)| Some(*kind)).ok_or_else(unknown)
    }

    pub(super) fn is_default(&self) -> bool {
        self.named.is_empty()
    }
}

impl FromStr for EventNames {
    type Err = String;

    /// Reads `open=joined,close=left,close=expired`.
    fn from_str(text: &str) -> Result<Self, String> {
        let pairs = text.split(',').map(|pair| {
            let (kind, name) = pair.split_once('=').ok_or_else(|| format!("{} has no `=`", quoted(pair)))?;
            let found = USUAL.iter().find(|(name, ..)| *name == kind.trim());
            let (_, kind, _) =
                found.ok_or_else(|| format!("{} is none of open, change, close", quoted(kind)))?;
            Ok((*kind, name.trim().to_owned()))
        });
        let named = pairs.collect::<Result<_, String>>()?;
        Ok(EventNames { named })
    }
}
