//! The `coedit` program: the JSON door on standard input and output, and a planner for the connection limit.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failure;
mod input;
mod options;
mod output;
mod plan;
mod replay;
mod serve;
mod snapshot;
mod summary;

use std::process::ExitCode;

use clap::Parser;

use options::{Command, Options};

fn main() -> ExitCode {
    failure::exit_code(match Options::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Replay { options, file } => replay::run(&options, &file).map(|()| ExitCode::SUCCESS),
        Command::Plan(options) => plan::run(&options).map(|()| ExitCode::SUCCESS),
    })
}
