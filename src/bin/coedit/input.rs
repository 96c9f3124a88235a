//! Reads a file or standard input in chunks.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::in_file;

/// A file or standard input. Its errors name the file.
pub(crate) struct Input {
    source: Box<dyn Read>,
    name: String,
    chunk: Vec<u8>,
    /// The length in bytes. `None` for standard input.
    pub(crate) length: Option<u64>,
}

impl Input {
    /// Opens a file. The path `-` stands for standard input.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        let (source, length): (Box<dyn Read>, _) = if path == Path::new("-") {
            (Box::new(io::stdin().lock()), None)
        } else {
            let file = File::open(path).map_err(|error| in_file(&error, &name))?;
            let length = file.metadata().map_err(|error| in_file(&error, &name))?.len();
            (Box::new(file), Some(length))
        };
        Ok(Input { source, name, chunk: vec![0; CHUNK_BYTES], length })
    }

    /// Returns the next chunk, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.source.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(self.chunk.get(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(in_file(&error, &self.name)),
            }
        }
    }
}

/// The size of a chunk of input, in bytes. `serve` also writes its replies when they reach this size.
pub(crate) const CHUNK_BYTES: usize = 1 << 16;
