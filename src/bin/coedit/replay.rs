//! `coedit replay`: runs recorded requests. The clock follows the `at` members of the requests.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Instant;

use coedit::door::{Door, Lines};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::bad_argument;
use crate::input::Input;
use crate::options::EngineOptions;
use crate::output::{answer, flush};
use crate::summary::Summary;

pub(crate) fn run(options: &EngineOptions, path: &Path) -> io::Result<()> {
    let mut door = Door::replay(options.config(), options.acknowledge()).map_err(bad_argument)?;
    let mut input = Input::open(path)?;
    let progress = progress(input.length, options.output.quiet);
    let (mut lines, mut out, mut stdout) = (Lines::default(), Vec::new(), io::stdout().lock());
    let started = Instant::now();
    while let Some(bytes) = input.next()? {
        lines.feed(bytes, |line| answer(&mut door, line, &mut out));
        flush(&mut out, &mut stdout, options.output.quiet)?;
        progress.inc(bytes.len() as u64);
    }
    lines.end(|line| answer(&mut door, line, &mut out));
    door.end(&mut out);
    flush(&mut out, &mut stdout, options.output.quiet)?;
    progress.finish_and_clear();
    Summary { door: &door, wall: started.elapsed() }.print(&options.output, &mut stdout)
}

/// A progress bar on standard error. It is hidden for short files, if standard error is not a terminal, and if the
/// replies go to a terminal too.
fn progress(length: Option<u64>, quiet: bool) -> ProgressBar {
    let visible = io::stderr().is_terminal() && (quiet || !io::stdout().is_terminal());
    match length.filter(|length| visible && *length > LONG_FILE_BYTES) {
        None => ProgressBar::hidden(),
        Some(length) => {
            let bar = ProgressBar::new(length);
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
                bar.set_style(style);
            }
            bar
        }
    }
}

/// The length above which a file gets a progress bar.
const LONG_FILE_BYTES: u64 = 8 << 20;
