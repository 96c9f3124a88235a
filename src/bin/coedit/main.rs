//! The `coedit` program: the JSON door on standard input and output.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod options;
mod replay;
mod serve;
mod summary;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser;
use options::{Command, Options};

fn main() -> ExitCode {
    let run = match Options::parse().command {
        Command::Serve(settings) => serve::run(&settings),
        Command::Replay { settings, file } => replay::run(&settings, &file),
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
