//! The replies of the door and how they are written.

use std::io;

use coedit::door::Door;

/// Answers one line of requests. `None` stands for a line that is too long.
pub(crate) fn answer(door: &mut Door, line: Option<&[u8]>, out: &mut Vec<u8>) {
    match line {
        Some(line) => door.line(line, out),
        None => door.too_long(out),
    }
}

/// Writes all of `lines` unless `quiet` is set, and empties `lines`.
pub(crate) fn flush(lines: &mut Vec<u8>, out: &mut impl io::Write, quiet: bool) -> io::Result<()> {
    if !quiet {
        out.write_all(lines)?;
        out.flush()?;
    }
    lines.clear();
    Ok(())
}
