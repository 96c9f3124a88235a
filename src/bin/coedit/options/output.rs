//! The options of what is printed.

use clap::Args;

/// What the program prints, and where.
// A doc comment of a field is its help text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Prints only the summary, no replies, callbacks or notices
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Prints the summary as one JSON object: on standard error, or with `--quiet` on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
