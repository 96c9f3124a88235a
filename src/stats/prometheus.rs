//! The text format of Prometheus, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write as _};

use super::{CallbackCounts, CloseCounts, DocumentCounts, Stats};
use crate::access::{ACCESSES, REASONS, Reason};
use crate::callback::STATUSES;
use crate::limits::Waiting;

impl Stats {
    /// Writes everything in the text format of Prometheus, version 0.0.4, whose content type is
    /// `text/plain; version=0.0.4`.
    ///
    /// Names begin with `coedit_`; counters end in `_total`; times are in seconds. What never happened is there with 0, so
    /// that a rate has a beginning. The age of an oldest thing is 0 if there is none.
    ///
    /// ```
    /// use coedit::{Config, Engine};
    ///
    /// let text = Engine::new(Config::new())?.stats().to_prometheus();
    /// assert!(text.starts_with("# HELP coedit_opens_total Opened connections, by the access that they got.\n"));
    /// assert!(text.contains("\ncoedit_documents{state=\"edited\"} 0\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_prometheus(&self) -> String {
        let mut text = MetricsText(String::with_capacity(8192));
        self.write_opens(&mut text);
        self.write_connections(&mut text);
        self.write_callbacks(&mut text);
        self.write_documents(&mut text);
        text.0
    }

    fn write_opens(&self, text: &mut MetricsText) {
        let got = ["opens_total", "counter", "Opened connections, by the access that they got."];
        let asked =
            ["opens_asked_total", "counter", "Opened connections, by the access that they asked for."];
        for (head, counts) in [(got, &self.opens.got), (asked, &self.opens.asked)] {
            let samples = ACCESSES.map(|access| (access, counts.get(&access).copied().unwrap_or(0)));
            text.family(head, "access", samples);
        }
        let refusals = ["refusals_total", "counter", "Opens that got less than they asked for, by reason."];
        // These two come later than an open.
        let reasons = REASONS.into_iter().filter(|reason| !matches!(reason, Reason::Dropped | Reason::Idle));
        let count = |reason| (reason, self.refusals.get(&reason).copied().unwrap_or(0));
        text.family(refusals, "reason", reasons.map(count));
    }

    fn write_connections(&self, text: &mut MetricsText) {
        let CloseCounts { closed, lease, idle, age, superseded, shutdown } = self.closes;
        let closes = [
            ("closed", closed),
            ("lease", lease),
            ("idle", idle),
            ("age", age),
            ("superseded", superseded),
            ("shutdown", shutdown),
        ];
        text.family(["closes_total", "counter", "Connections that ended, by cause."], "cause", closes);
        for (name, help, count) in [
            ("resumes_total", "Connections that were resumed.", self.resumes),
            ("leases_expired_total", "Leases that ended before a resume.", self.leases_expired),
            ("promotions_total", "Viewers who got edit access later.", self.promotions),
            ("changes_total", "Accepted changes.", self.changes),
        ] {
            text.single([name, "counter", help], count);
        }
        text.head(["connections", "gauge", "Open connections, by access and state of the transport."]);
        for access in ACCESSES {
            let counts = self.connections.get(&access).copied().unwrap_or_default();
            for (state, count) in [("live", counts.live), ("lost", counts.lost)] {
                text.sample("connections", format_args!("{{access=\"{access}\",state=\"{state}\"}}"), count);
            }
        }
        let Waiting { edit, document, user, saving } = self.waiting;
        let waiters = [("edit", edit), ("document", document), ("user", user), ("saving", saving)];
        let help = "Viewers who wait for edit access, by what they wait for.";
        text.family(["waiters", "gauge", help], "limit", waiters);
    }

    fn write_callbacks(&self, text: &mut MetricsText) {
        type Field = fn(&CallbackCounts) -> u64;
        let fields: [(&str, &str, Field); 5] = [
            ("callbacks_handed_out_total", "Callbacks that workers took, each attempt.", |one| {
                one.handed_out
            }),
            ("callbacks_acknowledged_total", "Callbacks that were acknowledged.", |one| one.acknowledged),
            ("callbacks_failed_total", "Callbacks whose worker failed.", |one| one.failed),
            ("callbacks_timed_out_total", "Callbacks that nobody settled in time.", |one| one.timed_out),
            ("callbacks_given_up_total", "Callbacks that were given up.", |one| one.given_up),
        ];
        for (name, help, field) in fields {
            let samples =
                STATUSES.map(|status| (status.number(), self.callbacks.get(&status).map_or(0, field)));
            text.family([name, "counter", help], "status", samples);
        }
        text.single(["ready_documents", "gauge", "Documents that wait for a worker."], self.ready);
        for (name, help, millis) in [
            (
                "oldest_callback_seconds",
                "Age of the oldest unacknowledged callback.",
                self.oldest_callback_ms,
            ),
            ("oldest_unsaved_change_seconds", "Age of the oldest unsaved change.", self.oldest_unsaved_ms),
        ] {
            let millis = millis.unwrap_or(0);
            text.single([name, "gauge", help], format_args!("{}.{:03}", millis / 1000, millis % 1000));
        }
    }

    fn write_documents(&self, text: &mut MetricsText) {
        let DocumentCounts { settled, edited, closing, saving, retrying, forgotten, telling } =
            self.documents;
        let documents = [
            ("settled", settled),
            ("edited", edited),
            ("closing", closing),
            ("saving", saving),
            ("retrying", retrying),
            ("forgotten", forgotten),
            ("telling", telling),
        ];
        text.family(["documents", "gauge", "Documents, by where they stand."], "state", documents);
        text.single(["forgotten_documents", "gauge", "Documents whose save was given up."], self.forgotten);
    }
}

/// Text in the format. A head is the name of a metric, its type and its help.
struct MetricsText(String);

impl MetricsText {
    /// A metric with one label.
    fn family(
        &mut self,
        head: [&str; 3],
        label: &str,
        samples: impl IntoIterator<Item = (impl Display, impl Display)>,
    ) {
        self.head(head);
        for (value, count) in samples {
            self.sample(head[0], format_args!("{{{label}=\"{value}\"}}"), count);
        }
    }

    /// A metric without labels.
    fn single(&mut self, head: [&str; 3], value: impl Display) {
        self.head(head);
        self.sample(head[0], "", value);
    }

    fn head(&mut self, [name, kind, help]: [&str; 3]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP coedit_{name} {help}\n# TYPE coedit_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: impl Display, value: impl Display) {
        let _ = writeln!(self.0, "coedit_{name}{labels} {value}");
    }
}
