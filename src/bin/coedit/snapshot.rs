//! The file of a snapshot. It is secret: it holds the tokens of connections.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use coedit::{RestoreError, Snapshot};

use crate::failure::{bad_argument, in_file};

/// Reads a snapshot. Its errors name the file.
pub(crate) fn read(path: &Path) -> io::Result<Snapshot> {
    let named = |error: io::Error| in_file(&error, &path.display().to_string());
    let file = File::open(path).map_err(named)?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| named(io::Error::from(error)))
}

/// Writes a snapshot for its owner alone. An earlier file is replaced only by a whole one.
pub(crate) fn write(path: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let named = |error: io::Error| in_file(&error, &path.display().to_string());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = BufWriter::new(options.open(&beside).map_err(named)?);
    serde_json::to_writer(&mut out, snapshot).map_err(|error| named(io::Error::from(error)))?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(named)?;
    rename(&beside, path).map_err(named)
}

/// A snapshot, or a setting, that an engine refused.
pub(crate) fn refused(path: &Path, error: RestoreError) -> io::Error {
    match error {
        RestoreError::Config(error) => bad_argument(error),
        error => io::Error::other(format!("{}: {error}", path.display())),
    }
}
