//! Every memory ordering below `SeqCst` says in a comment what it pairs with, or why it needs no pair.

use std::fs;
use std::path::Path;

const WEAK: [&str; 4] = ["Relaxed", "Acquire", "Release", "AcqRel"];
const FORMS: [&str; 2] = ["// Pairs with ", "// No pair: "];

/// The comment on a line, or in the lines straight above it, says it.
fn is_explained(above: &[&str], line: &str) -> bool {
    let says = |line: &str| FORMS.iter().any(|form| line.contains(form));
    let comments = above.iter().rev().take_while(|line| line.trim_start().starts_with("//"));
    says(line) || comments.into_iter().any(|line| says(line))
}

/// The numbers of the lines with a weak ordering that is not explained, and how many are.
fn check(text: &str) -> (Vec<usize>, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let is_weak = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.split(|char: char| !char.is_alphanumeric()).any(|word| WEAK.contains(&word))
    };
    let weak = (0..lines.len()).filter(|at| is_weak(lines[*at]));
    let (explained, rest): (Vec<_>, Vec<_>) = weak.partition(|at| is_explained(&lines[..*at], lines[*at]));
    (rest.into_iter().map(|at| at + 1).collect(), explained.len())
}

/// Checks all sources of a folder. Returns how many weak orderings are explained.
fn check_folder(folder: &Path) -> usize {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { check_folder(&path) } else { check_file(&path) }).sum()
}

fn check_file(path: &Path) -> usize {
    let (unexplained, explained) = check(&fs::read_to_string(path).unwrap());
    assert!(unexplained.is_empty(), "{}: lines {unexplained:?} need one of {FORMS:?}", path.display());
    explained
}

#[test]
fn every_weak_ordering_in_the_sources_is_explained() {
    assert!(check_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) > 0);
}

#[test]
fn a_weak_ordering_without_its_comment_is_found() {
    let text = "a.load(Relaxed);\n// Pairs with b.\n// More.\na.load(Acquire);\na.load(Acquire);\n";
    assert_eq!(check(text), (vec![1, 5], 1));
    let text = "a.load(Relaxed); // No pair: a count.\na.load(SeqCst);\n// a.load(Relaxed)\n";
    assert_eq!(check(text), (vec![], 1));
}
