//! The pictures of `coedit plan --svg`.
#![cfg(feature = "cli")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

#[path = "support/program.rs"]
mod program;

use std::path::PathBuf;

use program::{coedit, text};

const OFFICE: [&str; 6] = ["--users", "200", "--docs-per-user", "1.5", "--concurrent", "0.6"];
const RFCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rfcs.jsonl");
const CLASS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clownschool.jsonl");

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
/// And that all is inside the picture.
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
    assert_inside(svg);
}

/// Returns the numbers of an attribute in all elements.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let start = format!(" {attribute}=\"");
    svg.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
}

/// Returns the width and the height of the picture.
fn size(svg: &str) -> (f64, f64) {
    let size = svg.split_once("viewBox=\"0 0 ").unwrap().1.split('"').next().unwrap();
    let (width, height) = size.split_once(' ').unwrap();
    (width.parse().unwrap(), height.parse().unwrap())
}

/// Returns the corners of a path.
fn corners(path: &str) -> Vec<(f64, f64)> {
    let commands = path.match_indices(|character: char| character.is_ascii_alphabetic()).map(|(at, _)| at);
    let starts: Vec<usize> = commands.chain([path.len()]).collect();
    let (mut x, mut y, mut corners) = (0.0, 0.0, Vec::new());
    for pair in starts.windows(2) {
        let (command, numbers) = path[pair[0]..pair[1]].split_at(1);
        let numbers: Vec<f64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
        match (command, &numbers[..]) {
            ("M" | "L", [to_x, to_y]) => (x, y) = (*to_x, *to_y),
            ("H", [to]) => x = *to,
            ("V", [to]) => y = *to,
            ("h", [by]) => x += by,
            ("v", [by]) => y += by,
            ("Z", []) => continue,
            _ => panic!("{command} {numbers:?}"),
        }
        corners.push((x, y));
    }
    corners
}

/// Returns an attribute of all elements that contain `part`.
fn attributes<'a>(svg: &'a str, part: &str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    let elements = svg.split('<').filter(|element| element.contains(part));
    elements.filter_map(|element| element.split_once(&start)?.1.split('"').next()).collect()
}

/// Checks that no shape and no text is outside the picture, as far as the width of a text is known.
fn assert_inside(svg: &str) {
    let (width, height) = size(svg);
    let mut points: Vec<(f64, f64)> = attributes(svg, "path ", "d").into_iter().flat_map(corners).collect();
    points.extend(numbers(svg, "cx").into_iter().zip(numbers(svg, "cy")));
    for element in svg.split("<text ").skip(1).filter(|element| !element.contains("rotate")) {
        let (tag, text) = element.split_once('>').unwrap();
        let number = |attribute| numbers(&format!(" {tag}"), attribute)[0];
        let text = text.split("</text>").next().unwrap();
        // A narrower font than the picture reckons with, so that this is not the same estimate.
        let length = text.chars().count() as f64 * 6.0 * number("font-size") / 12.0;
        let part = if tag.contains("\"start\"") { 0.0 } else { 1.0 }
            / if tag.contains("\"middle\"") { 2.0 } else { 1.0 };
        let left = number("x") - part * length;
        points.extend([(left, number("y")), (left + length, number("y"))]);
    }
    for (x, y) in points {
        assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y), "{x} {y}");
    }
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

#[test]
fn long_names_wrap_within_the_picture() {
    let name = format!("{}.jsonl", "long-name-".repeat(20));
    let trace = Picture(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
    std::fs::copy(CLASS, &trace.0).unwrap();
    assert_well_formed(&Picture::draw("wide.svg", &["--trace", trace.0.to_str().unwrap()]));
}

/// Two numbers of a scale and their positions.
type Scale = [(f64, f64); 2];

fn scaled(scale: Scale, position: f64) -> f64 {
    let [(from, low), (to, high)] = scale;
    from + (position - low) / (high - low) * (to - from)
}

/// Returns how many connections are view-only at a time of the trace of a class, under a limit of 1, in milliseconds. Nobody
/// has more than one connection, and a refused one stays view-only until it closes.
fn view_only_at(lines: &[(u64, String, String)], at: u64) -> usize {
    let (mut editors, mut viewers) = (Vec::new(), Vec::new());
    for (_, command, connection) in lines.iter().filter(|line| line.0 <= at) {
        match command.as_str() {
            "open" if editors.is_empty() => editors.push(connection),
            "open" => viewers.push(connection),
            "close" => {
                editors.retain(|open| *open != connection);
                viewers.retain(|open| *open != connection);
            }
            _ => {}
        }
    }
    viewers.len()
}

#[test]
fn the_view_only_area_equals_the_recording() {
    let lines: Vec<(u64, String, String)> = std::fs::read_to_string(CLASS)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|line: serde_json::Value| {
            let text = |name| line[name].as_str().unwrap_or_default().to_owned();
            (line["at"].as_u64().unwrap(), text("c"), text("connection"))
        })
        .collect();
    let svg = Picture::draw("class.svg", &["--trace", CLASS, "--limit", "1"]);
    let (from, to) = (lines[0].0, lines[lines.len() - 1].0);
    let time: Scale = [(from as f64, 92.0), (to as f64, 936.0)];
    // The axis has the labels 0, 1 and 2, and grid lines at their heights.
    let grid: Vec<f64> =
        attributes(&svg, "\"grid line\"", "d").iter().map(|path| corners(path)[0].1).collect();
    let unit = grid[0] - grid[1];
    let outline = attributes(&svg, "fill-opacity=\"0.45\"", "d")[0];
    let areas: Vec<Vec<(f64, f64)>> = outline.split_inclusive('Z').map(corners).collect();
    let mut compared = 0;
    for x in (93..936).map(f64::from) {
        let now = |x| view_only_at(&lines, scaled(time, x) as u64);
        // A step of the picture can begin up to two pixels earlier than the event.
        let expected = now(x);
        if [-2.5, 2.5].iter().any(|pixels| now(x + pixels) != expected) {
            continue;
        }
        let height: f64 = areas.iter().map(|area| height_at(area, x)).sum();
        assert!((height / unit - expected as f64).abs() < 0.01, "{x}: {} for {expected}", height / unit);
        compared += 1;
    }
    assert!(compared > 700, "{compared}");
}

/// Returns the height of an area with horizontal and vertical sides at `x`.
fn height_at(corners: &[(f64, f64)], x: f64) -> f64 {
    let sides = corners.iter().zip(corners.iter().cycle().skip(1));
    // Sides to the right are the upper ones.
    sides
        .map(|(from, to)| {
            if (from.0 < x) == (to.0 < x) {
                0.0
            } else if from.0 < to.0 {
                -from.1
            } else {
                from.1
            }
        })
        .sum()
}
