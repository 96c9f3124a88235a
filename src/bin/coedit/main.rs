//! The `coedit` program: the JSON door on standard input and output, and the planning of its limit.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod input;
mod options;
mod plan;
mod replay;
mod serve;
mod summary;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser;
use coedit::door::Door;
use options::{Command, Options};

fn main() -> ExitCode {
    let run = match Options::parse().command {
        Command::Serve(settings) => serve::run(&settings),
        Command::Replay { settings, file } => replay::run(&settings, &file),
        Command::Plan(settings) => plan::run(&settings),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coedit: {error}");
            ExitCode::from(if error.kind() == ErrorKind::InvalidInput { 2 } else { 1 })
        }
    }
}

/// Answers a line, `None` being one that is too long.
fn answer(door: &mut Door, line: Option<&[u8]>, out: &mut Vec<u8>) {
    match line {
        Some(line) => door.line(line, out),
        None => door.too_long(out),
    }
}

/// Writes all of `lines` and empties it.
fn flush(lines: &mut Vec<u8>, out: &mut impl io::Write, quiet: bool) -> io::Result<()> {
    if !quiet {
        out.write_all(lines)?;
        out.flush()?;
    }
    lines.clear();
    Ok(())
}

/// Lines gathered before they are written, in bytes.
const GATHERED: usize = 1 << 16;
