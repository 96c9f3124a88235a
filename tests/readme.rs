//! Checks that every test that the README names exists, and that every promise names a test.

use std::fs;
use std::path::Path;

/// Appends all Rust sources of a folder to `text`.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_tests_that_the_readme_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("tests"), &mut all);
    sources(&root.join("src"), &mut all);
    let readme = include_str!("../README.md");
    let mut named = [0; 13];
    for row in readme.lines().filter(|line| line.starts_with("| P")) {
        let promise: usize = row[3..].split(' ').next().unwrap().parse().unwrap();
        for name in row.split('`').skip(1).step_by(2) {
            assert!(all.contains(&format!("fn {name}(")), "no test has the name {name}");
            assert!(
                name.starts_with(&format!("p{promise}_")) || name.contains("_to_p"),
                "{name} under P{promise}"
            );
            named[promise] += 1;
        }
    }
    assert!(named[1..].iter().all(|count| *count > 0), "promises P1 to P12 have tests: {named:?}");
}
