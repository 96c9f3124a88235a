//! Runs the program `coedit`.
#![allow(dead_code, reason = "each test file uses only a part")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs the program with some arguments and standard input, and returns its output.
pub(crate) fn coedit(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The write fails if the program ends without reading. That is not an error.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A line that opens `label` on `key` with edit access.
pub(crate) fn open(key: &str, label: &str, user: &str) -> String {
    format!(r#"{{"c":"open","key":"{key}","connection":"{label}","user":{{"id":"{user}"}}}}"#) + "\n"
}
