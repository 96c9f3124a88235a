//! Changes the library in many small ways, and lists the changes that no test notices.
//!
//! One build has all changes, each behind a switch that an environment variable turns on. Each test runs once to learn which
//! changes it reaches. Then each change is turned on alone, and the tests that reach it run, the fastest first, until one fails.
//! A test that takes ten times its time has failed too: on a busy machine that may be wrong.

mod cargo;
mod edits;
mod find;
mod report;
mod suite;
mod tree;
mod values;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

use cargo::Suite;
use find::Mutant;
use report::{Outcome, Report};
use suite::Tests;
use tree::Tree;

/// So many of the mutants that are not equivalent are to be caught.
const GOAL: f64 = 0.97;

/// Changes the library in many small ways, and lists the changes that no test notices.
#[derive(Debug, Parser)]
struct Options {
    /// Where the copy, the builds and the outcomes go.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Tries only mutants whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Forgets the outcomes of earlier runs. Otherwise only those that survived are tried again.
    #[arg(long)]
    fresh: bool,
    /// Passes over the mutants that `survivors.txt` names.
    #[arg(long)]
    unlisted: bool,
    /// Tries no mutant, and prints what is known.
    #[arg(long)]
    report: bool,
    /// So many tests run at one time.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    threads: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let out = options.out.clone().unwrap_or_else(|| repository.join("target/mutants"));
    fs::create_dir_all(&out)?;
    let outcomes = out.join("outcomes.jsonl");
    if options.fresh {
        let _ = fs::remove_file(&outcomes);
    }
    let tree = tree::make(&repository, &out)?;
    eprintln!("{} mutants; {} more do not compile", tree.mutants.len(), tree.unbuildable);
    let known = report::read_known(include_str!("../survivors.txt"));
    if !options.report {
        let is_asked_for = |mutant: &Mutant| {
            let key = mutant.key();
            key.contains(&options.only) && !(options.unlisted && known.contains_key(&key))
        };
        for suite in [cargo::USUAL, cargo::INTERLEAVINGS] {
            try_all(options.threads, &tree, &out, &suite, &outcomes, is_asked_for)?;
        }
    }
    let outcomes = report::read_outcomes(&outcomes);
    let report = Report { mutants: &tree.mutants, outcomes: &outcomes, known: &known };
    print!("{report}");
    let is_good = report.share() >= GOAL && report.unknown() == 0;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tries each mutant that is asked for and has not been caught yet.
fn try_all(
    threads: usize,
    tree: &Tree,
    out: &Path,
    suite: &Suite,
    outcomes: &Path,
    is_asked_for: impl Fn(&Mutant) -> bool,
) -> Result<(), Box<dyn Error>> {
    let before = report::read_outcomes(outcomes);
    let is_alive =
        |mutant: &Mutant| before.get(&mutant.key()).is_none_or(|outcome| outcome.caught_by.is_none());
    let alive: Vec<&Mutant> =
        tree.mutants.iter().filter(|mutant| is_asked_for(mutant) && is_alive(mutant)).collect();
    if alive.is_empty() {
        return Ok(());
    }
    let tests = Tests::prepare(&tree.root, out, suite, threads)?;
    eprintln!(
        "{}: {} tests take {:.0} s; {} mutants",
        suite.name,
        tests.len(),
        tests.time().as_secs_f64(),
        alive.len()
    );
    let file = Mutex::new(fs::OpenOptions::new().create(true).append(true).open(outcomes)?);
    let results = suite::in_parallel(&alive, threads, |_, mutant| -> Result<(), String> {
        let caught_by = tests.noticed_by(mutant.number).map_err(|error| error.to_string())?;
        let key = mutant.key();
        let reached = tests.reach(mutant.number) || before.get(&key).is_some_and(|outcome| outcome.reached);
        let outcome = Outcome { key, caught_by, reached };
        let mut file = file.lock().map_err(|error| error.to_string())?;
        report::write_outcome(&mut file, &outcome).map_err(|error| error.to_string())
    });
    results.into_iter().collect::<Result<Vec<()>, String>>()?;
    Ok(())
}
