//! Compares the contenders. Their rounds alternate, so that other load on the machine affects all of them alike.

use super::Scale;
use crate::contenders::{Ablation, Afternoon, Coedit, Contender, Floor, OneMutex, Owned};

/// Runs one round of one contender and returns a value for each figure of the workload.
pub(crate) type Round = Box<dyn FnMut() -> Vec<f64>>;

/// The name of a measured value. Its unit is nanoseconds unless the name says otherwise.
pub(crate) type Figure = String;

pub(crate) trait Workload {
    fn title(&self) -> String;
    fn figures(&self) -> Vec<Figure>;
    fn prepare<C: Contender>(&self) -> Round;
    /// The number of rounds of each contender.
    fn rounds(&self, scale: Scale) -> usize {
        scale.rounds()
    }
    /// Returns true if owning connections are measured too. They need the memory of one more engine.
    fn owned(&self) -> bool {
        false
    }
}

/// The contender that a ratio is taken to.
#[derive(Clone, Copy)]
enum Baseline {
    None,
    Floor,
    Coedit,
}

struct Entry {
    name: &'static str,
    baseline: Baseline,
    round: Round,
    /// The values of each round so far.
    results: Vec<Vec<f64>>,
}

/// Runs a workload and prints a table of medians.
///
/// The engine's ratio is its time divided by the floor's. The ratio of every other contender is its time divided by
/// the engine's. A ratio is the median of the ratios of the single rounds.
pub(crate) fn race<W: Workload>(workload: &W, scale: Scale) {
    let mut entries = vec![
        entry::<Floor>(workload, Baseline::None),
        entry::<Coedit>(workload, Baseline::Floor),
        entry::<Afternoon>(workload, Baseline::Coedit),
        entry::<Ablation>(workload, Baseline::Coedit),
        entry::<OneMutex>(workload, Baseline::Coedit),
    ];
    if workload.owned() {
        entries.push(entry::<Owned>(workload, Baseline::Floor));
    }
    let rounds = workload.rounds(scale);
    for number in 0..rounds {
        // Each contender runs first, second, and so on equally often.
        for place in 0..entries.len() {
            let at = (place + number) % entries.len();
            let result = (entries[at].round)();
            entries[at].results.push(result);
        }
    }
    println!("\n{} (medians of {rounds} alternating rounds)", workload.title());
    print_header(&entries);
    for (figure, name) in workload.figures().iter().enumerate() {
        print_row(name, figure, &entries);
    }
}

fn entry<C: Contender>(workload: &impl Workload, baseline: Baseline) -> Entry {
    Entry { name: C::NAME, baseline, round: workload.prepare::<C>(), results: Vec::new() }
}

fn print_header(entries: &[Entry]) {
    print!("  {:38}", "ns");
    for Entry { name, baseline, .. } in entries {
        match baseline {
            Baseline::None => print!("{name:>11}"),
            Baseline::Floor => print!("{name:>11} {:>7}", "/floor"),
            Baseline::Coedit => print!("{name:>11} {:>7}", "/coedit"),
        }
    }
    println!();
}

fn print_row(name: &str, figure: usize, entries: &[Entry]) {
    print!("  {name:38}");
    for entry in entries {
        let mut values: Vec<f64> = entry.results.iter().map(|round| round[figure]).collect();
        print!("{:>11}", short(median(&mut values)));
        let baseline = match entry.baseline {
            Baseline::None => continue,
            Baseline::Floor => &entries[0],
            Baseline::Coedit => &entries[1],
        };
        let pairs = entry.results.iter().zip(&baseline.results);
        let mut ratios: Vec<f64> = pairs.map(|(own, base)| own[figure] / base[figure]).collect();
        match median(&mut ratios) {
            ratio if ratio.is_finite() => print!(" {ratio:>6.2}x"),
            // The baseline's value is zero.
            _ => print!(" {:>7}", "-"),
        }
    }
    println!();
}

fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// Prints one figure of the engine alone.
pub(crate) fn line(name: &str, value: f64, unit: &str) {
    println!("  {name:58}{:>11} {unit}", short(value));
}

/// Sorts `values` and returns the one in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
