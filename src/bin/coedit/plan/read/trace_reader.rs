//! Feeds a file to the reader of its format.

use coedit::door::{LINE_MAX, Lines};

use super::csv::CsvReader;
use super::json::JsonReader;
use super::nginx::NginxReader;
use super::prometheus::PrometheusReader;
use super::{Format, ReadError, Recording, Report, Settings, detect};

/// Reads a file that arrives in pieces.
pub(crate) struct TraceReader {
    settings: Settings,
    report: Report,
    /// The start of the file, until it is long enough to tell the format.
    start: Vec<u8>,
    reader: Option<(Format, Reader)>,
    lines: Lines,
    /// The number of the latest line.
    number: u64,
}

enum Reader {
    Json(Box<JsonReader>),
    Csv(Box<CsvReader>),
    Nginx(Box<NginxReader>),
    Prometheus(PrometheusReader),
}

impl TraceReader {
    pub(crate) fn new(settings: Settings) -> Self {
        TraceReader {
            settings,
            report: Report::default(),
            start: Vec::new(),
            reader: None,
            lines: Lines::default(),
            number: 0,
        }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        if self.reader.is_some() {
            return self.read(bytes);
        }
        self.start.extend_from_slice(bytes);
        if detect::has_line(&self.start) || self.start.len() > LINE_MAX { self.begin() } else { Ok(()) }
    }

    /// Returns the format of the file, by what was read of it.
    pub(crate) fn format(&self) -> Format {
        match &self.reader {
            Some((format, _)) => *format,
            None => self.settings.format.unwrap_or_else(|| detect::format(&self.start, &self.settings)),
        }
    }

    /// Ends the file. Returns what is in it, and what there is to say about it.
    pub(crate) fn end(mut self) -> Result<(Recording, Report), ReadError> {
        if self.reader.is_none() {
            self.begin()?;
        }
        let mut lines = std::mem::take(&mut self.lines);
        self.split(|each| lines.end(each))?;
        let TraceReader { settings, mut report, reader, .. } = self;
        let recording = match reader {
            Some((format, reader)) => reader.end(&mut report).map_err(|error| error.in_format(format))?,
            None => None,
        };
        if report.share_unreadable() > settings.unreadable {
            return Err(ReadError::Unreadable(report));
        }
        match recording.filter(|recording| !recording.is_empty()) {
            Some(recording) => Ok((recording, report)),
            None => Err(ReadError::Empty(report)),
        }
    }

    /// Chooses the reader, and gives it the start of the file.
    fn begin(&mut self) -> Result<(), ReadError> {
        let start = std::mem::take(&mut self.start);
        let format = self.settings.format.unwrap_or_else(|| detect::format(&start, &self.settings));
        let reader = self.settings.check(format).and_then(|()| Reader::new(format, &self.settings));
        self.reader = Some((format, reader.map_err(|error| error.in_format(format))?));
        self.read(&start)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        if let Some((_, Reader::Prometheus(prometheus))) = &mut self.reader {
            return prometheus.feed(bytes);
        }
        let mut lines = std::mem::take(&mut self.lines);
        let result = self.split(|each| lines.feed(bytes, each));
        self.lines = lines;
        result
    }

    /// Gives each line of `split` to the reader, up to the first error.
    fn split(&mut self, split: impl FnOnce(&mut dyn FnMut(Option<&[u8]>))) -> Result<(), ReadError> {
        let mut result = Ok(());
        split(&mut |line| {
            self.number += 1;
            if result.is_ok() {
                result = self.line(line);
            }
        });
        result
    }

    /// Reads a line. `None` stands for one that is too long.
    fn line(&mut self, line: Option<&[u8]>) -> Result<(), ReadError> {
        let TraceReader { settings, report, reader: Some((format, reader)), number, .. } = self else {
            return Ok(());
        };
        let Some(line) = line else {
            report.lines += 1;
            report.add_unreadable(*number, format!("it is longer than {LINE_MAX} bytes"));
            return Ok(());
        };
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match reader {
            Reader::Json(json) => json.line((*number, line), report),
            Reader::Nginx(nginx) => nginx.line((*number, line), report),
            Reader::Csv(csv) => {
                let result = csv.line((*number, line), settings, report);
                return result.map_err(|error| error.in_format(*format));
            }
            Reader::Prometheus(_) => {}
        }
        Ok(())
    }
}

impl Reader {
    fn new(format: Format, settings: &Settings) -> Result<Self, ReadError> {
        Ok(match format {
            Format::Json => Reader::Json(Box::new(JsonReader::new()?)),
            Format::Csv => Reader::Csv(Box::new(CsvReader::new())),
            Format::Nginx => Reader::Nginx(Box::new(NginxReader::new(settings)?)),
            Format::Prometheus => Reader::Prometheus(PrometheusReader::default()),
        })
    }

    fn end(self, report: &mut Report) -> Result<Option<Recording>, ReadError> {
        match self {
            Reader::Json(json) => Ok(Some(json.end(report))),
            Reader::Csv(csv) => Ok(csv.end(report)),
            Reader::Nginx(nginx) => Ok(Some(nginx.end(report))),
            Reader::Prometheus(prometheus) => prometheus.end(report).map(Some),
        }
    }
}
