//! `coedit replay`: recorded requests, with the clock of their `at`s.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::Instant;

use coedit::door::{Door, Lines};
use indicatif::{ProgressBar, ProgressStyle};

use crate::options::{Settings, refused};
use crate::summary::Summary;
use crate::{GATHERED, answer, flush};

pub(crate) fn run(settings: &Settings, path: &Path) -> io::Result<()> {
    let mut door = Door::replay(settings.config(), settings.acknowledge()).map_err(refused)?;
    let (mut input, length): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let in_context =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(in_context)?;
        let length = file.metadata().map_err(in_context)?.len();
        (Box::new(file), Some(length))
    };
    let progress = progress(length, settings.quiet);
    let (mut lines, mut out, mut stdout) = (Lines::default(), Vec::new(), io::stdout().lock());
    let mut bytes = vec![0; GATHERED];
    let started = Instant::now();
    loop {
        let count = match input.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
        };
        lines.feed(&bytes[..count], |line| answer(&mut door, line, &mut out));
        flush(&mut out, &mut stdout, settings.quiet)?;
        progress.inc(count as u64);
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
