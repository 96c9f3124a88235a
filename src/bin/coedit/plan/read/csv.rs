//! Reads CSV: events, connections from open to close, or a series. The first line has the names of the columns.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::recording::Recording;
use super::report::Report;
use super::roles::{Columns, Layout, listed};
use super::rows::{Fields, RowReader, Shape};
use super::{ReadError, Settings};

/// Reads the lines of a CSV file. A field in quotes may contain the delimiter, but no line end.
#[derive(Debug)]
pub(super) struct CsvReader {
    splitter: Splitter,
    body: Option<Body>,
}

/// What follows from the first line.
#[derive(Debug)]
struct Body {
    columns: usize,
    layout: Layout,
    rows: RowReader,
}

impl CsvReader {
    pub(super) fn new() -> Self {
        CsvReader { splitter: Splitter::new(b','), body: None }
    }

    /// Reads a line that is not blank. An error of the first line ends the reading.
    pub(super) fn line(
        &mut self,
        (number, line): (u64, &[u8]),
        settings: &Settings,
        report: &mut Report,
    ) -> Result<(), ReadError> {
        let Some(body) = &mut self.body else {
            self.splitter = Splitter::new(delimiter(line));
            let heading = self.splitter.split(line).map_err(ReadError::Input)?;
            self.body = Some(Body::new(&heading, settings)?);
            return Ok(());
        };
        report.lines += 1;
        let read = self.splitter.split(line).and_then(|values| body.read(&values));
        if let Err(reason) = read {
            report.add_unreadable(number, reason);
        }
        Ok(())
    }

    pub(super) fn end(self, report: &mut Report) -> Option<Recording> {
        Some(self.body?.rows.end(report))
    }
}

impl Body {
    fn new(heading: &[&str], settings: &Settings) -> Result<Self, ReadError> {
        let layout = Layout::of_heading(heading, &settings.columns).map_err(ReadError::Input)?;
        let Some(shape) = Shape::of(&layout) else { return Err(no_shape(heading, &settings.columns)) };
        let rows = RowReader::new(shape, settings.time_format.clone(), settings.events.clone());
        Ok(Body { columns: heading.len(), layout, rows })
    }

    fn read(&mut self, values: &[&str]) -> Result<(), String> {
        if values.len() != self.columns {
            return Err(format!("{} fields in place of {}", values.len(), self.columns));
        }
        self.rows.read(Fields { layout: &self.layout, values })
    }
}

fn no_shape(heading: &[&str], columns: &Columns) -> ReadError {
    let also = if columns.0.is_empty() { "" } else { " also" };
    ReadError::Input(format!(
        "the columns must have a time and an event, an open and a close, or a time and a level; there are: {}. \
         `--columns`{also} names them, as in `--columns open=started,close=ended`",
        listed(heading)
    ))
}

/// Returns the delimiter that occurs most in the first line.
fn delimiter(line: &[u8]) -> u8 {
    let count = |delimiter| line.split(|byte| *byte == delimiter).count();
    // `max_by_key` returns the last of equal ones.
    b"\t;,".iter().copied().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// Splits a line into its fields.
#[derive(Debug)]
struct Splitter {
    reader: Reader,
    delimiter: u8,
    /// The line with a line end.
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Splitter { reader, delimiter, line: Vec::new(), text: Vec::new(), ends: Vec::new() }
    }

    /// The error says why the line has no fields.
    fn split(&mut self, line: &[u8]) -> Result<Vec<&str>, String> {
        self.line.clear();
        self.line.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        self.line.push(b'\n');
        // Delimiters in quotes are counted too, and no field is longer than what is written of it.
        let most = self.line.split(|byte| *byte == self.delimiter).count();
        self.text.resize(self.line.len(), 0);
        self.ends.resize(most, 0);
        self.reader.reset();
        let (result, read, _, fields) = self.reader.read_record(&self.line, &mut self.text, &mut self.ends);
        if result != ReadRecordResult::Record {
            return Err("a quote is not closed".to_owned());
        }
        if read < self.line.len() {
            return Err("a line end is in the middle of the line".to_owned());
        }
        let ends = self.ends.get(..fields).unwrap_or_default();
        let text = self.text.get(..ends.last().copied().unwrap_or_default()).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let split = starts.zip(ends).map(|(start, end)| text.get(start..*end));
        split.collect::<Option<_>>().ok_or_else(|| "it is not UTF-8".to_owned())
    }
}
