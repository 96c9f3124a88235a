//! `coedit replay`: recorded requests, with the clock of their `at`s.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Instant;

use coedit::door::{Door, Lines};
use indicatif::{ProgressBar, ProgressStyle};

use crate::input::Input;
use crate::options::{Settings, refused};
use crate::summary::Summary;
use crate::{answer, flush};

pub(crate) fn run(settings: &Settings, path: &Path) -> io::Result<()> {
    let mut door = Door::replay(settings.config(), settings.acknowledge()).map_err(refused)?;
    let mut input = Input::open(path)?;
    let progress = progress(input.length, settings.quiet);
    let (mut lines, mut out, mut stdout) = (Lines::default(), Vec::new(), io::stdout().lock());
    let started = Instant::now();
    while let Some(bytes) = input.next()? {
        lines.feed(bytes, |line| answer(&mut door, line, &mut out));
        flush(&mut out, &mut stdout, settings.quiet)?;
        progress.inc(bytes.len() as u64);
    }
    lines.end(|line| answer(&mut door, line, &mut out));
    door.end(&mut out);
    flush(&mut out, &mut stdout, settings.quiet)?;
    progress.finish_and_clear();
    eprint!("{}", Summary { door: &door, wall: started.elapsed() });
    Ok(())
}

/// A bar on a terminal that the lines do not go to, for a file that takes a while.
fn progress(length: Option<u64>, quiet: bool) -> ProgressBar {
    let seen = io::stderr().is_terminal() && (quiet || !io::stdout().is_terminal());
    match length.filter(|length| seen && *length > LONG) {
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

/// A file of so many bytes takes a while.
const LONG: u64 = 8 << 20;
