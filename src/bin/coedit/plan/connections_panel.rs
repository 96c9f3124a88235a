//! The upper panel of the picture: the connections over time, the limit, and the fallbacks.

use coedit::Timestamp;
use coedit::capacity::Interval;

use super::drawing::{AMBER, BLUE, Drawing, Ink, RED, Stroke, TEXT, TextAnchor, push_command};
use super::panel::{Area, Axis, Panel, round_numbers};

/// The connections in a span of time.
pub(super) struct ConnectionsPanel {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The title of the time axis.
    pub(super) title: &'static str,
    pub(super) intervals: Vec<Interval>,
    pub(super) limit: u32,
}

impl ConnectionsPanel {
    pub(super) fn draw(&self, drawing: &mut Drawing, area: Area) {
        let peak = self.intervals.iter().map(|interval| interval.peak).max().unwrap_or_default();
        // A limit far above the peak is not drawn, because it would flatten the line.
        let limit_fits = self.limit <= peak.saturating_mul(3).max(5);
        let height = f64::from(if limit_fits { peak.max(self.limit) } else { peak }.max(1)) * 1.1;
        let panel = Panel { area, horizontal: (number(self.from), number(self.to)), vertical: (0.0, height) };
        let time = Axis { labels: time_labels(self.from, self.to), title: self.title };
        let connections = Axis { labels: round_numbers(height, 5.0), title: "connections" };
        panel.axes(drawing, &time, &connections);

        let Area { left, right, bottom, .. } = area;
        let line = self.line(&panel);
        drawing.area(BLUE, &format!("{line}V{bottom:.1}H{left:.1}Z"));
        drawing.line(BLUE, Stroke::Solid(1.2), &line);
        drawing.line(RED, Stroke::Solid(1.6), &self.fallbacks(&panel));
        if limit_fits {
            let y = panel.y(f64::from(self.limit));
            drawing.line(AMBER, Stroke::Dashed(1.8), &format!("M{left:.1} {y:.1}H{right:.1}"));
        }
        drawing.legend(area.legend(), &self.legend(limit_fits));
        if self.intervals.is_empty() {
            drawing.text(area.middle(), TextAnchor::Middle.small(TEXT), "nobody came");
        }
    }

    fn legend(&self, limit_fits: bool) -> [(Ink, Stroke, String); 3] {
        let outside = if limit_fits { "" } else { " (above the picture)" };
        [
            (BLUE, Stroke::Solid(3.0), "open, were none refused".to_owned()),
            (AMBER, Stroke::Dashed(1.8), format!("limit of {}{outside}", self.limit)),
            (RED, Stroke::Solid(3.0), "somebody fell back to view-only".to_owned()),
        ]
    }

    /// Returns a path that shows each interval at its peak.
    fn line(&self, panel: &Panel) -> String {
        let mut path = String::new();
        for (position, interval) in self.intervals.iter().enumerate() {
            let (x, y) = (panel.x(number(interval.from)), panel.y(f64::from(interval.peak)));
            if position == 0 {
                push_command(&mut path, 'M', &[panel.area.left, y]);
            } else {
                push_command(&mut path, 'H', &[x]);
                push_command(&mut path, 'V', &[y]);
            }
        }
        if !path.is_empty() {
            push_command(&mut path, 'H', &[panel.area.right]);
        }
        path
    }

    /// Returns a path with a vertical line at each interval with fallbacks, from the limit to above the peak.
    fn fallbacks(&self, panel: &Panel) -> String {
        let mut path = String::new();
        for interval in self.intervals.iter().filter(|interval| interval.has_fallbacks(self.limit)) {
            let limit = panel.y(f64::from(self.limit));
            push_command(&mut path, 'M', &[panel.x(number(interval.from)), limit]);
            push_command(&mut path, 'V', &[panel.y(f64::from(interval.peak)) - 8.0]);
        }
        path
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for times up to the year 287396")]
fn number(at: Timestamp) -> f64 {
    at.as_millis() as f64
}

/// Returns at most nine round times in a span, with their labels.
fn time_labels(from: Timestamp, to: Timestamp) -> Vec<(f64, String)> {
    let span = to.as_millis().saturating_sub(from.as_millis());
    let step = STEPS.iter().map(|minutes| minutes * 60_000).find(|step| span / step <= 8);
    let step = step.unwrap_or(span / 8 + 1);
    let first = from.as_millis().div_ceil(step);
    let times = (first..).map(|count| Timestamp::from_millis(count * step));
    let within = times.take(9).filter(|at| (from..=to).contains(at));
    within.map(|at| (number(at), time_label(at, step, span))).collect()
}

/// Formats a time as a date, a time of day, or both. `step` and `span` are in milliseconds.
fn time_label(at: Timestamp, step: u64, span: u64) -> String {
    let text = at.to_string();
    let (day, hours) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    if step.is_multiple_of(DAY) {
        day.to_owned()
    } else if span < DAY {
        hours.to_owned()
    } else {
        format!("{} {hours}", day.get(5..).unwrap_or_default())
    }
}

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// The possible steps between two labels, in minutes.
const STEPS: [u64; 22] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    180,
    360,
    720,
    1_440,
    2_880,
    10_080,
    43_200,
    131_040,
    262_080,
    525_600,
    1_051_200,
    2_628_000,
    5_256_000,
    525_600_000,
];
