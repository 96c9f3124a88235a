//! What a trace would have met with other settings. The trace is replayed through the engine, as by `coedit replay`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Access, Config, Reason};
use serde::Serialize;

use super::options::PlanOptions;
use super::read::Recording;
use super::read::recording::{Connections, Event, EventKind};
use super::trace::Trace;
use crate::failure::bad_argument;
use crate::output::answer;

/// The fallbacks of a trace with other settings.
#[derive(Clone, Serialize)]
pub(crate) struct WhatIf {
    /// After how many minutes an idle connection loses its access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle: Option<f64>,
    /// The limit of connections to one document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document_connections: Option<u32>,
    /// Without a limit, under the first answer, and under each limit of the command line.
    pub(crate) cases: Vec<Replayed>,
}

/// A replay under one limit.
#[derive(Clone, Serialize)]
pub(crate) struct Replayed {
    /// `None` without a limit.
    pub(crate) connections: Option<u32>,
    /// The opens that asked for edit access.
    pub(crate) opens: u64,
    pub(crate) fallbacks: BTreeMap<Reason, u64>,
    /// The share of the opens that fell back.
    pub(crate) share: f64,
    /// The highest number of edit connections.
    pub(crate) peak: u32,
}

impl WhatIf {
    /// Replays a trace without a limit, and under `limits`. `None` if no setting is asked for.
    pub(super) fn new(options: &PlanOptions, trace: &Trace, limits: &[u32]) -> io::Result<Option<Self>> {
        let PlanOptions { idle, document_connections, .. } = *options;
        if !options.asks_what_if() {
            return Ok(None);
        }
        let written;
        let requests = match (&trace.requests, &trace.recording) {
            (Some(requests), _) => requests,
            (None, Recording::Connections(connections)) => {
                written = as_requests(connections);
                &written
            }
            (None, Recording::Levels(_)) => {
                return Err(bad_argument("a series has no connections: it cannot be replayed"));
            }
        };
        let replayed = |limit| {
            let idle = idle.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
            let config = Config::new().edit_limit(limit).document_limit(document_connections).idle(idle);
            replay(requests, config, limit)
        };
        let limits = limits.iter().map(|limit| Some(*limit));
        let cases = [None].into_iter().chain(limits).map(replayed).collect::<io::Result<_>>()?;
        Ok(Some(WhatIf { idle, document_connections, cases }))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn replay(requests: &[u8], config: Config, limit: Option<u32>) -> io::Result<Replayed> {
    // The usage of years takes seconds to record, and nobody asks for it.
    let mut door = Door::replay(config.usage(false), Acknowledge::Auto).map_err(bad_argument)?;
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.feed(requests, |line| {
        answer(&mut door, line, &mut out);
        out.clear();
    });
    lines.end(|line| answer(&mut door, line, &mut out));
    door.end(&mut out);
    let tally = door.tally();
    let fallbacks: u64 = tally.fallbacks.values().sum();
    let opens = tally.opens.get(&Access::Edit).copied().unwrap_or_default() + fallbacks;
    Ok(Replayed {
        connections: limit,
        opens,
        fallbacks: tally.fallbacks.clone(),
        share: fallbacks as f64 / opens.max(1) as f64,
        peak: tally.peak,
    })
}

fn as_requests(connections: &Connections) -> Vec<u8> {
    connections.events.iter().map(|event| request(connections, *event)).collect::<String>().into_bytes()
}

/// Writes an event as a request. A connection without a user or document has one of its own.
fn request(connections: &Connections, Event { at, connection, kind }: Event) -> String {
    let at = at.as_millis();
    let identity = connections.identities.get(connection as usize).copied().unwrap_or_default();
    let name = |kind, number: Option<u32>| match number {
        Some(number) => format!("{kind}{number}"),
        None => format!("{kind}-of-{connection}"),
    };
    let command = match kind {
        EventKind::Open => {
            let (user, document) = (name("user", identity.user), name("document", identity.document));
            return format!(
                r#"{{"at":{at},"c":"open","key":"{document}","connection":"{connection}","user":{{"id":"{user}"}}}}"#
            ) + "\n";
        }
        EventKind::Change => "change",
        EventKind::Close => "close",
    };
    format!(r#"{{"at":{at},"c":"{command}","connection":"{connection}"}}"#) + "\n"
}
