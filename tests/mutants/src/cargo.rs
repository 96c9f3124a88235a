//! Calls of cargo.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where the compiler found an error.
#[derive(Debug)]
pub struct CompileError {
    /// Files and offsets. Where it shows comes first, what it has to do with after that.
    pub places: Vec<(String, usize)>,
    pub message: String,
}

/// One build of the tests.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    pub name: &'static str,
    flags: &'static str,
    /// The test files whose names begin so belong to it ...
    only: &'static [&'static str],
    /// ... but for these.
    but: &'static [&'static str],
    has_unit_tests: bool,
}

/// The tests with real threads. The program and the models of capacity do not judge the engine.
pub const USUAL: Suite = Suite {
    name: "usual",
    flags: "",
    only: &[""],
    but: &[
        "capacity",
        "interleavings",
        "limit_range",
        "observed",
        "orderings",
        "plan",
        "populations",
        "program",
        "readers",
        "readme",
    ],
    has_unit_tests: true,
};

/// The tests under the model checker.
pub const INTERLEAVINGS: Suite = Suite {
    name: "interleavings",
    flags: "--cfg shuttle",
    only: &["interleavings", "linearizability"],
    but: &[],
    has_unit_tests: false,
};

fn cargo(root: &Path, out: &Path, suite: &Suite) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .env("CARGO_TARGET_DIR", out.join(suite.name))
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTFLAGS", format!("--cap-lints=allow {}", suite.flags))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// The errors of the library.
pub fn check(root: &Path, out: &Path) -> Result<Vec<CompileError>, Box<dyn Error>> {
    let checked =
        cargo(root, out, &USUAL).args(["check", "--quiet", "--lib", "--message-format=json"]).output()?;
    let mut errors = Vec::new();
    for message in messages(&checked.stdout) {
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let mut spans: Vec<&Value> = message["spans"].as_array().into_iter().flatten().collect();
        spans.sort_by_key(|span| span["is_primary"] != true);
        let place = |span: &&Value| {
            let offset = span["byte_start"].as_u64().and_then(|at| usize::try_from(at).ok())?;
            Some((span["file_name"].as_str()?.to_owned(), offset))
        };
        let places: Vec<_> = spans.iter().filter_map(place).collect();
        if !places.is_empty() {
            let message = message["message"].as_str().unwrap_or_default().to_owned();
            errors.push(CompileError { places, message });
        }
    }
    if errors.is_empty() && !checked.status.success() {
        return Err("cargo check failed".into());
    }
    Ok(errors)
}

/// Builds the tests of a suite, and returns their programs.
pub fn build_tests(root: &Path, out: &Path, suite: &Suite) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut command = cargo(root, out, suite);
    command.args(["test", "--quiet", "--no-run", "--message-format=json"]);
    if suite.has_unit_tests {
        command.arg("--lib");
    }
    for name in test_files(root, suite)? {
        command.args(["--test", &name]);
    }
    let built = command.output()?;
    if !built.status.success() {
        return Err(format!("the tests of {} do not build", suite.name).into());
    }
    let is_test = |message: &Value| message["profile"]["test"] == true;
    let program = |message: Value| message["executable"].as_str().map(PathBuf::from);
    Ok(messages(&built.stdout).filter(is_test).filter_map(program).collect())
}

fn test_files(root: &Path, suite: &Suite) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(root.join("tests"))? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".rs") else { continue };
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if begins(suite.only) && !begins(suite.but) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn messages(lines: &[u8]) -> impl Iterator<Item = Value> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
