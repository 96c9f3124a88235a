//! The options that say how to read the file of `--trace`.

use clap::{Args, ValueEnum};

use super::read::{Columns, EventNames, Format, LogFormat, LogPath, Settings, TimeFormat};

#[derive(Debug, Args)]
pub(crate) struct ReadOptions {
    /// The format of the trace [default: its first line decides]
    #[arg(long, value_name = "FORMAT", value_enum, requires = "trace")]
    trace_format: Option<FormatOption>,
    /// The columns of a CSV file or the variables of a log format, as in `open=started,user=email`: time, event, open, close,
    /// duration (in seconds), user, document, connection, access (edit or view), level
    #[arg(long, value_name = "ROLE=NAME,…", requires = "trace")]
    columns: Option<Columns>,
    /// The names of the events in a CSV file, as in `open=joined,close=left,close=expired`; others do not count
    #[arg(long, value_name = "EVENT=NAME,…", requires = "trace")]
    events: Option<EventNames>,
    /// How times are written: auto, s or ms since 1970, iso (ISO 8601), or a pattern such as `%d.%m.%Y %H:%M:%S`
    #[arg(long, value_name = "FORMAT", requires = "trace")]
    time_format: Option<TimeFormat>,
    /// The `log_format` of nginx, with `$request_time` [default: `combined`, followed by `$request_time`]
    #[arg(long, value_name = "FORMAT", requires = "trace")]
    log_format: Option<LogFormat>,
    /// The path of an editor's WebSocket in an nginx log, as in `/doc/{document}/c` [default: every WebSocket counts]
    #[arg(long, value_name = "PATH", requires = "trace")]
    log_path: Option<LogPath>,
    /// The highest share of the lines of the trace that may be unreadable, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share_of_lines)]
    unreadable: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatOption {
    /// One request a line, as for `replay`
    Json,
    /// Events, connections from open to close, or a series, with a heading
    Csv,
    /// The answer to a range query for the number of connections
    Prometheus,
    /// An access log with a line for each connection that ended
    Nginx,
}

impl ReadOptions {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            format: self.trace_format.map(FormatOption::format),
            columns: self.columns.clone().unwrap_or_default(),
            events: self.events.clone().unwrap_or_default(),
            time_format: self.time_format.clone().unwrap_or_default(),
            log_format: self.log_format.clone(),
            log_path: self.log_path.clone(),
            unreadable: self.unreadable,
        }
    }
}

impl FormatOption {
    const fn format(self) -> Format {
        match self {
            FormatOption::Json => Format::Json,
            FormatOption::Csv => Format::Csv,
            FormatOption::Prometheus => Format::Prometheus,
            FormatOption::Nginx => Format::Nginx,
        }
    }
}

fn share_of_lines(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("a number from 0 to 1 is needed")
}
