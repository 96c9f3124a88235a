//! The benchmarks.
//!
//! - `cargo bench --bench coedit -- compare [topic]...`: the engine beside the least work there is and beside what a team
//!   would write in its place, in alternating rounds of one run: medians and ratios.
//! - `cargo bench --bench coedit [-- filter]`: single workloads of the engine, with criterion.
//! - `cargo bench --bench coedit -- --test`: all of it small, for nothing but to see that it runs.
//! - `cargo bench --bench memory`: bytes and allocator calls, in a program of its own.

mod contenders;
mod measure;
mod workloads;

use criterion::Criterion;

use measure::Scale;
use workloads::{calls, documents, door, limits, one_document, single, tails, threads, ticks, yardstick};

type Topic = (&'static str, fn(Scale));

const TOPICS: [Topic; 10] = [
    ("yardstick", yardstick::compare),
    ("open-close", documents::compare),
    ("one-document", one_document::compare),
    ("calls", calls::compare),
    ("refused", limits::compare_refused),
    ("stalled", limits::compare_stalled),
    ("threads", threads::compare),
    ("tails", tails::compare),
    ("tick", ticks::compare),
    ("door", door::compare),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // Without `--bench` cargo is testing: criterion sees it the same way.
    let scale = Scale { smoke: given("--test") || !given("--bench") };
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-') && *argument != "compare").collect();
    if given("compare") || scale.smoke {
        for (name, compare) in TOPICS {
            if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
                compare(scale);
            }
        }
    }
    if !given("compare") {
        let mut criterion = Criterion::default().configure_from_args();
        single::run(&mut criterion, scale);
        criterion.final_summary();
    }
}
