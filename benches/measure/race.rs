//! Contenders side by side: rounds alternate, so that whatever else the machine does hits all of them alike.

use super::Scale;
use crate::contenders::{Ablation, Afternoon, Coedit, Contender, Floor, OneMutex, Owned};

/// One round of one contender: a number for each figure of its workload.
pub(crate) type Round = Box<dyn FnMut() -> Vec<f64>>;

/// What a workload measures, in nanoseconds a unit unless its name says otherwise.
pub(crate) type Figure = String;

pub(crate) trait Workload {
    fn title(&self) -> String;
    fn figures(&self) -> Vec<Figure>;
    fn prepare<C: Contender>(&self) -> Round;
    /// How many rounds of each contender.
    fn rounds(&self, scale: Scale) -> usize {
        scale.rounds()
    }
    /// Whether owning connections run too. They cost as much memory as all the engine once more.
    fn owned(&self) -> bool {
        false
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Against {
    Nothing,
    Floor,
    Coedit,
}

struct Entry {
    name: &'static str,
    against: Against,
    round: Round,
    /// What each round gave.
    results: Vec<Vec<f64>>,
}

/// Runs a workload and prints a table: medians; for the engine their ratio to the floor, for the others how many times
/// the engine's they are. Ratios are medians of the rounds' own ratios.
pub(crate) fn race<W: Workload>(workload: &W, scale: Scale) {
    let entry = |name, against, round| Entry { name, against, round, results: Vec::new() };
    let mut entries = vec![
        entry(Floor::NAME, Against::Nothing, workload.prepare::<Floor>()),
        entry(Coedit::NAME, Against::Floor, workload.prepare::<Coedit>()),
        entry(Afternoon::NAME, Against::Coedit, workload.prepare::<Afternoon>()),
        entry(Ablation::NAME, Against::Coedit, workload.prepare::<Ablation>()),
        entry(OneMutex::NAME, Against::Coedit, workload.prepare::<OneMutex>()),
    ];
    if workload.owned() {
        entries.push(entry(Owned::NAME, Against::Floor, workload.prepare::<Owned>()));
    }
    let rounds = workload.rounds(scale);
    for number in 0..rounds {
        // Each contender comes first, second, and so on equally often.
        for place in 0..entries.len() {
            let at = (place + number) % entries.len();
            let result = (entries[at].round)();
            entries[at].results.push(result);
        }
    }
    print(&workload.title(), &workload.figures(), rounds, &entries);
}

fn print(title: &str, figures: &[Figure], rounds: usize, entries: &[Entry]) {
    println!("\n{title} (medians of {rounds} alternating rounds)");
    print!("  {:34}", "ns");
    for Entry { name, against, .. } in entries {
        match against {
            Against::Nothing => print!("{name:>11}"),
            Against::Floor => print!("{name:>11} {:>7}", "/floor"),
            Against::Coedit => print!("{name:>11} {:>7}", "/coedit"),
        }
    }
    println!();
    for (figure, name) in figures.iter().enumerate() {
        print!("  {name:34}");
        for entry in entries {
            let mut own: Vec<f64> = entry.results.iter().map(|round| round[figure]).collect();
            let base = match entry.against {
                Against::Nothing => None,
                Against::Floor => Some(&entries[0]),
                Against::Coedit => Some(&entries[1]),
            };
            let ratios = base.map(|base| {
                let pairs = entry.results.iter().zip(&base.results);
                pairs.map(|(own, base)| own[figure] / base[figure]).collect::<Vec<_>>()
            });
            print!("{:>11}", short(median(&mut own)));
            if let Some(mut ratios) = ratios {
                print!(" {:>6.2}x", median(&mut ratios));
            }
        }
        println!();
    }
}

fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// One figure of one contender on a line of its own.
pub(crate) fn line(name: &str, value: f64, unit: &str) {
    println!("  {name:58}{:>11} {unit}", short(value));
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
