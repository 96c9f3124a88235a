//! What became of each mutant, and the list of those that may survive.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::find::Mutant;

/// What became of a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub key: String,
    /// The test that noticed it.
    pub caught_by: Option<String>,
    /// Whether any test passes the place.
    pub reached: bool,
}

/// The outcomes of earlier runs, by key; the last of a key holds.
pub fn read_outcomes(path: &Path) -> HashMap<String, Outcome> {
    let lines = fs::read_to_string(path).unwrap_or_default();
    let outcomes = lines.lines().filter_map(|line| serde_json::from_str::<Outcome>(line).ok());
    outcomes.map(|outcome| (outcome.key.clone(), outcome)).collect()
}

pub fn write_outcome(file: &mut fs::File, outcome: &Outcome) -> Result<(), Box<dyn std::error::Error>> {
    let line = serde_json::to_string(outcome)? + "\n";
    Ok(file.write_all(line.as_bytes())?)
}

/// Why a mutant may survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The engine does the same with it.
    Equivalent,
    /// It costs something that is not worth a test.
    Accepted,
}

/// Reads the list. A line that begins with `equivalent:` or `accepted:` names a mutant; what follows, indented, says why.
pub fn read_known(text: &str) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    for line in text.lines() {
        if let Some(key) = line.strip_prefix("equivalent: ") {
            known.insert(key.to_owned(), Known::Equivalent);
        } else if let Some(key) = line.strip_prefix("accepted: ") {
            known.insert(key.to_owned(), Known::Accepted);
        }
    }
    known
}

/// The result of a whole run.
#[derive(Debug)]
pub struct Report<'a> {
    pub mutants: &'a [Mutant],
    pub outcomes: &'a HashMap<String, Outcome>,
    pub known: &'a BTreeMap<String, Known>,
}

impl Report<'_> {
    fn is_caught(&self, mutant: &Mutant) -> bool {
        self.outcomes.get(&mutant.key()).is_some_and(|outcome| outcome.caught_by.is_some())
    }

    fn survivors(&self) -> impl Iterator<Item = &Mutant> {
        self.mutants.iter().filter(|mutant| !self.is_caught(mutant))
    }

    fn known(&self, mutant: &Mutant) -> Option<&Known> {
        self.known.get(&mutant.key())
    }

    /// Those that survive and are on no list.
    pub fn unknown(&self) -> usize {
        self.survivors().filter(|mutant| self.known(mutant).is_none()).count()
    }

    /// The share of those caught among those that are not equivalent.
    pub fn share(&self) -> f64 {
        let equivalent =
            self.survivors().filter(|mutant| self.known(mutant) == Some(&Known::Equivalent)).count();
        let caught = self.mutants.len() - self.survivors().count();
        #[allow(clippy::cast_precision_loss)]
        let share = caught as f64 / (self.mutants.len() - equivalent) as f64;
        share
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mutant in self.survivors() {
            let word = match self.known(mutant) {
                Some(Known::Equivalent) => "equivalent",
                Some(Known::Accepted) => "accepted",
                None => "SURVIVED",
            };
            let reached = self.outcomes.get(&mutant.key()).is_some_and(|outcome| outcome.reached);
            let reached = if reached { "" } else { " (no test comes here)" };
            writeln!(f, "{word}: {}  [line {}{reached}]", mutant.key(), mutant.line)?;
        }
        for key in self.known.keys() {
            let is_there = |mutant: &&Mutant| mutant.key() == *key;
            match self.mutants.iter().find(is_there) {
                Some(mutant) if self.is_caught(mutant) => writeln!(f, "on the list, and caught: {key}")?,
                Some(_) => {}
                None => writeln!(f, "on the list, and not there: {key}")?,
            }
        }
        let (all, alive) = (self.mutants.len(), self.survivors().count());
        let of = |known| self.survivors().filter(|mutant| self.known(mutant) == Some(&known)).count();
        writeln!(
            f,
            "{all} mutants, {} caught, {} equivalent, {} accepted, {} unknown: {:.1} % of those that are not equivalent",
            all - alive,
            of(Known::Equivalent),
            of(Known::Accepted),
            self.unknown(),
            self.share() * 100.0
        )
    }
}
