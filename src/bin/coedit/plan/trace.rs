//! The file of `--trace`: what is in it, and what there is to say about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use coedit::capacity::Observed;

use super::read::{ReadError, Recording, Settings, TraceReader};
use crate::failure::{bad_argument, in_file};
use crate::input::Input;

/// A trace after its analysis.
pub(crate) struct Trace {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) recording: Recording,
    pub(crate) observed: Observed,
    /// What is odd in the file, in whole sentences.
    pub(crate) notes: Vec<String>,
}

impl Trace {
    /// Reads a file. Returns an error if it cannot be read or has no edit connection.
    ///
    /// `utc_offset` is local time minus UTC, in minutes.
    pub(crate) fn read(path: &Path, settings: Settings, utc_offset: i32) -> io::Result<Self> {
        let name = path.display().to_string();
        let in_context = |error: ReadError| in_file(&as_io(&error), &name);
        let mut input = Input::open(path)?;
        let mut reader = TraceReader::new(settings);
        while let Some(bytes) = input.next()? {
            reader.feed(bytes).map_err(in_context)?;
        }
        let (recording, report) = reader.end().map_err(in_context)?;
        let observed = recording.observe(utc_offset);
        Ok(Trace { name, recording, observed, notes: report.sentences() })
    }

    /// The number of different users with an edit connection, if every connection has a user.
    pub(crate) fn users(&self) -> Option<u32> {
        match &self.recording {
            Recording::Connections(connections) => connections.users,
            Recording::Levels(_) => None,
        }
    }

    /// The number of different documents with an edit connection, if every connection has a document.
    pub(crate) fn documents(&self) -> Option<u32> {
        match &self.recording {
            Recording::Connections(connections) => connections.documents,
            Recording::Levels(_) => None,
        }
    }
}

fn as_io(error: &ReadError) -> io::Error {
    match error {
        ReadError::Input(_) | ReadError::Unreadable(_) => bad_argument(error.to_string()),
        ReadError::Empty(_) => io::Error::new(ErrorKind::InvalidData, error.to_string()),
    }
}
