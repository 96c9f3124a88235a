//! Reads the answer of Prometheus to a range query: the number of connections over time.

use coedit::Timestamp;
use serde_json::Value;

use super::ReadError;
use super::levels::LevelsBuilder;
use super::recording::Recording;
use super::report::Report;
use super::times::{TimeFormat, TimeReader};

/// The longest answer, in bytes: 64 MiB. Prometheus gives at most 11,000 samples of a series, about 25 bytes each.
const BYTES_MAX: usize = 1 << 26;

/// Collects the text of an answer.
#[derive(Debug, Default)]
pub(super) struct PrometheusReader(Vec<u8>);

impl PrometheusReader {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        if self.0.len() + bytes.len() > BYTES_MAX {
            return Err(ReadError::Input(format!("the answer is longer than {BYTES_MAX} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads the answer, or only its `data`, or only the list of its series.
    pub(super) fn end(self, report: &mut Report) -> Result<Recording, ReadError> {
        let answer: Value = serde_json::from_slice(&self.0)
            .map_err(|error| ReadError::Input(format!("this is no answer of Prometheus: {error}")))?;
        let series = series(&answer).map_err(ReadError::Input)?;
        let mut reader =
            SeriesReader { times: TimeReader::fixed(TimeFormat::Seconds), levels: LevelsBuilder::default() };
        for one in series {
            reader.read(one, report);
        }
        reader.times.note(report);
        match series.len() {
            0 => report.notes.push("the query found no series".to_owned()),
            1 => {}
            many => report.notes.push(format!("the levels of {many} series are added up")),
        }
        Ok(Recording::Levels(reader.levels.build(report)))
    }
}

/// Finds the list of series in an answer. The error says what the answer is instead.
fn series(answer: &Value) -> Result<&Vec<Value>, String> {
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        return Err(format!("Prometheus answered with an error: {error}"));
    }
    let data = answer.get("data").unwrap_or(answer);
    match data.get("resultType").and_then(Value::as_str) {
        None | Some("matrix") => {}
        Some(other) => {
            return Err(format!("the answer is a {other}: ask for a range, at /api/v1/query_range"));
        }
    }
    let series = data.get("result").unwrap_or(data).as_array();
    series.ok_or_else(|| "this is no answer of Prometheus: it has no list of series".to_owned())
}

struct SeriesReader {
    times: TimeReader,
    levels: LevelsBuilder,
}

impl SeriesReader {
    fn read(&mut self, series: &Value, report: &mut Report) {
        let name = series.pointer("/metric/__name__").and_then(Value::as_str).unwrap_or_default();
        if COUNTERS.iter().any(|end| name.ends_with(end)) {
            report.notes.push(format!("{name} counts up: a plan needs how many are open at a time"));
        }
        let Some(samples) = series.get("values").and_then(Value::as_array) else {
            report.lines += 1;
            report.add_unreadable(report.lines, "a series without values");
            return;
        };
        for sample in samples {
            report.lines += 1;
            if let Err(reason) = self.sample(sample) {
                report.add_unreadable(report.lines, reason);
            }
        }
    }

    /// Reads a pair of a time in seconds, and a number as a text.
    fn sample(&mut self, sample: &Value) -> Result<(), String> {
        let [at, level] = sample.as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err("a sample is not a pair of a time and a text".to_owned());
        };
        let level = level.as_str().ok_or_else(|| format!("the level {level} is not a text"))?;
        let at: Timestamp = self.times.read(&at.to_string())?;
        self.levels.add_all(at, std::iter::once(level))
    }
}

/// The ends of the names of counters.
const COUNTERS: [&str; 3] = ["_total", "_count", "_sum"];
