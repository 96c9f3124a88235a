//! A file of requests, or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::GATHERED;

/// What is read piece by piece; errors say of which file they are.
pub(crate) struct Input {
    from: Box<dyn Read>,
    name: String,
    bytes: Vec<u8>,
    /// In bytes, if it is known.
    pub(crate) length: Option<u64>,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        let (from, length): (Box<dyn Read>, _) = if path == Path::new("-") {
            (Box::new(io::stdin().lock()), None)
        } else {
            let file = File::open(path).map_err(|error| in_context(&error, &name))?;
            let length = file.metadata().map_err(|error| in_context(&error, &name))?.len();
            (Box::new(file), Some(length))
        };
        Ok(Input { from, name, bytes: vec![0; GATHERED], length })
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.from.read(&mut self.bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(self.bytes.get(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(in_context(&error, &self.name)),
            }
        }
    }
}

fn in_context(error: &io::Error, name: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
