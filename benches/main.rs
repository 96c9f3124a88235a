//! The benchmarks.
//!
//! - `cargo bench --bench coedit -- compare [topic]...` compares the engine with a lower bound and with what a team would
//!   write itself. Prints medians and ratios of alternating rounds.
//! - `cargo bench --bench coedit [-- filter]` runs single workloads of the engine with criterion.
//! - `cargo bench --bench coedit -- --test` runs everything at a small size, to show that it works.
//! - `cargo bench --bench memory` counts bytes and allocator calls, in a program of its own.
//!
//! "Draining" takes and acknowledges all callbacks that wait. A "pair" is one open and the close of that connection.

mod contenders;
mod measure;
mod workloads;

use criterion::Criterion;

use measure::Scale;
use workloads::{
    calls, documents, door, limits, memory_latency, one_document, single, staying, tails, threads, ticks,
    waiting,
};

type Topic = (&'static str, fn(Scale));

/// The figures that a host notices come first.
const TOPICS: [Topic; 12] = [
    ("open-close", documents::compare),
    ("one-document", one_document::compare),
    ("tails", tails::compare_load),
    ("growth", tails::compare_growth),
    ("threads", threads::compare),
    ("calls", calls::compare),
    ("staying", staying::compare),
    ("refused", limits::compare_refused),
    ("stalled", limits::compare_stalled),
    ("tick", ticks::compare),
    ("door", door::compare),
    ("memory-latency", memory_latency::compare),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    // Without `--bench`, cargo is testing. Criterion decides the same way.
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
        waiting::run(&mut criterion, scale);
        criterion.final_summary();
    }
}
