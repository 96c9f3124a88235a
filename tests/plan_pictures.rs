//! The pictures of `coedit plan --svg`.
#![cfg(feature = "cli")]

#[path = "support/program.rs"]
mod program;

use std::path::PathBuf;

use program::{coedit, text};

const OFFICE: [&str; 6] = ["--users", "200", "--docs-per-user", "1.5", "--concurrent", "0.6"];
const RFCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rfcs.jsonl");

/// A picture file. It is removed when the value is dropped.
struct Picture(PathBuf);

impl Picture {
    /// Draws a plan and returns the text of the picture.
    fn draw(name: &str, arguments: &[&str]) -> String {
        let picture = Picture(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
        let svg = ["--svg", picture.0.to_str().unwrap()];
        let output = coedit(&[&["plan"], arguments, &svg].concat(), "");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        std::fs::read_to_string(&picture.0).unwrap()
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Checks that elements are closed in order, attributes are quoted, and text contains no `>`.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some((text, tag)) = rest.split_once('<') {
        assert!(!text.contains('>'), "{text}");
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        for attribute in tag.split('"').skip(1).step_by(2) {
            assert!(!attribute.contains("NaN") && !attribute.contains("inf"), "{tag}");
        }
        if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert_eq!((open, rest.trim()), (vec![], ""));
    assert!(svg.starts_with("<svg ") && !svg.contains("<script"));
}

/// Returns the numbers of an attribute in all elements.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let start = format!(" {attribute}=\"");
    svg.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_picture_of_a_day_is_well_formed_and_reproducible() {
    let first = Picture::draw("day.svg", &[&OFFICE[..], &["--limit", "190"]].concat());
    assert_well_formed(&first);
    for part in
        ["limit of 190", "Engset", "201: by Erlang B", "400: rule of thumb, all at work", "A simulated day"]
    {
        assert!(first.contains(part), "{part}");
    }
    assert!(numbers(&first, "x").iter().all(|x| (0.0..=960.0).contains(x)));
    assert!(numbers(&first, "y").iter().all(|y| (0.0..=768.0).contains(y)));
    assert!(first == Picture::draw("again.svg", &[&OFFICE[..], &["--limit", "190"]].concat()));
}

#[test]
fn the_picture_of_a_trace_is_well_formed() {
    let picture = Picture::draw("trace.svg", &["--trace", RFCS, "--limit", "20"]);
    assert_well_formed(&picture);
    for part in ["933 of them in view-only", "observed in the trace", "558: as observed", ">2015-"] {
        assert!(picture.contains(part), "{part}");
    }
}

#[test]
fn extreme_plans_have_well_formed_pictures() {
    assert_well_formed(&Picture::draw("small.svg", &["--users", "1", "--concurrent", "0.001"]));
    let few = ["--opens-per-hour", "1", "--stay", "0.001", "--limit", "0"];
    assert_well_formed(&Picture::draw("few.svg", &few));
    assert_well_formed(&Picture::draw(
        "long.svg",
        &["--users", "5", "--stay", "1e6", "--share", "0.9999999"],
    ));
}
