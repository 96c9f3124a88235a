//! The errors of the program, and the exit codes they end with.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// An error of the command line. The program ends with exit code 2.
pub(crate) fn bad_argument(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, error)
}

/// Puts the name of a file in front of an error.
pub(crate) fn in_file(error: &io::Error, name: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// The exit code of `serve` if something is not settled.
pub(crate) const NOT_SAVED: u8 = 3;

/// Prints the error of a command, if it has one, and returns the exit code of the program.
pub(crate) fn exit_code(result: io::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // The reader of the output closed it. That is not a failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coedit: {error}");
            ExitCode::from(if error.kind() == ErrorKind::InvalidInput { 2 } else { 1 })
        }
    }
}
