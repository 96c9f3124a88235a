//! The file of `--trace`: what is in it, and what there is to say about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use coedit::capacity::Observed;

use super::options::PlanOptions;
use super::read::{Format, ReadError, Recording, TraceReader};
use crate::failure::{bad_argument, in_file};
use crate::input::Input;

/// A trace after its analysis.
pub(crate) struct Trace {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) recording: Recording,
    pub(crate) observed: Observed,
    /// The file itself, if it has requests and they are wanted.
    pub(crate) requests: Option<Vec<u8>>,
    /// What is odd in the file, in whole sentences.
    pub(crate) notes: Vec<String>,
}

impl Trace {
    /// Reads a file. Returns an error if it cannot be read or has no edit connection.
    pub(crate) fn read(path: &Path, options: &PlanOptions) -> io::Result<Self> {
        let name = path.display().to_string();
        let in_context = |error: ReadError| in_file(&as_io(&error), &name);
        let mut input = Input::open(path)?;
        let mut reader = TraceReader::new(options.read.settings());
        let mut requests = options.asks_what_if().then(Vec::new);
        while let Some(bytes) = input.next()? {
            reader.feed(bytes).map_err(in_context)?;
            if let Some(requests) = &mut requests {
                requests.extend_from_slice(bytes);
            }
        }
        let requests = requests.filter(|_| reader.format() == Format::Json);
        let (recording, report) = reader.end().map_err(in_context)?;
        let observed = recording.observe(options.utc_offset);
        Ok(Trace { name, recording, observed, requests, notes: report.sentences() })
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
