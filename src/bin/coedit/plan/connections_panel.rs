//! The upper panel of the picture: the connections over time, the limit, and how many are view-only.

use coedit::Timestamp;

use super::course::Step;
use super::drawing::{
    AMBER, BLUE, Drawing, LegendLine, RED, Stroke, TEXT, TextAnchor, legend_rows, push_command,
};
use super::panel::{Area, Axis, Panel, round_numbers};
use super::time_axis::TimeAxis;

/// The connections in a span of time.
pub(super) struct ConnectionsPanel {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) axis: TimeAxis,
    pub(super) steps: Vec<Step>,
    pub(super) limit: u32,
}

impl ConnectionsPanel {
    pub(super) fn draw(&self, drawing: &mut Drawing, area: Area) {
        let limit_fits = self.limit_fits();
        let height =
            f64::from(if limit_fits { self.peak().max(self.limit) } else { self.peak() }.max(1)) * 1.1;
        let horizontal = (self.axis.number(self.from), self.axis.number(self.to));
        let panel = Panel { area, horizontal, vertical: (0.0, height) };
        let time = Axis { labels: self.axis.labels(self.from, self.to), title: self.axis.title() };
        let connections = Axis { labels: round_numbers(height, 5.0), title: "connections".to_owned() };
        panel.axes(drawing, &time, &connections);

        let Area { left, right, bottom, .. } = area;
        let editing = self.line(&panel, Step::editing);
        if !editing.is_empty() {
            drawing.area(BLUE, 0.15, &format!("{editing}V{bottom:.1}H{left:.1}Z"));
        }
        drawing.line(BLUE, Stroke::Solid(1.2), &self.line(&panel, |step| step.open));
        let view_only = self.view_only(&panel);
        if !view_only.is_empty() {
            drawing.area(RED, 0.45, &view_only);
            // The outline shows what is too short or too low to have an area.
            drawing.line(RED, Stroke::Solid(1.4), &view_only);
        }
        if limit_fits {
            let y = panel.y(f64::from(self.limit));
            drawing.line(AMBER, Stroke::Dashed(1.8), &format!("M{left:.1} {y:.1}H{right:.1}"));
        }
        drawing.legend(area.legend(), &self.legend(area.width()));
        if self.steps.is_empty() {
            drawing.text(area.middle(), TextAnchor::Middle.small(TEXT), "nobody came");
        }
    }

    /// Returns the rows of the legend.
    pub(super) fn legend(&self, width: f64) -> Vec<Vec<LegendLine>> {
        let outside = if self.limit_fits() { "" } else { " (above the picture)" };
        let lines = [
            LegendLine(BLUE, Stroke::Solid(3.0), "open, were none refused".to_owned()),
            LegendLine(AMBER, Stroke::Dashed(1.8), format!("limit of {}{outside}", self.limit)),
            LegendLine(RED, Stroke::Solid(8.0), "view-only under this limit".to_owned()),
        ];
        legend_rows(lines.into(), width)
    }

    fn peak(&self) -> u32 {
        self.steps.iter().map(|step| step.open).max().unwrap_or_default()
    }

    /// Returns false for a limit far above the peak. It is not drawn, because it would flatten the line.
    fn limit_fits(&self) -> bool {
        self.limit <= self.peak().saturating_mul(3).max(5)
    }

    /// Returns a path through a number of each step.
    fn line(&self, panel: &Panel, number: fn(&Step) -> u32) -> String {
        let (mut path, mut latest) = (String::new(), None);
        for step in &self.steps {
            let (x, number) = (panel.x(self.axis.number(step.from)), number(step));
            let y = panel.y(f64::from(number));
            if latest.is_none() {
                push_command(&mut path, 'M', &[panel.area.left, y]);
            } else if latest != Some(number) {
                push_command(&mut path, 'H', &[x]);
                push_command(&mut path, 'V', &[y]);
            }
            latest = Some(number);
        }
        if latest.is_some() {
            push_command(&mut path, 'H', &[panel.area.right]);
        }
        path
    }

    /// Returns a path around the area between those who edit and those who are open, where some are view-only.
    fn view_only(&self, panel: &Panel) -> String {
        let mut path = String::new();
        let mut start = 0;
        for steps in self.steps.chunk_by(|step, next| (step.view_only > 0) == (next.view_only > 0)) {
            let end = start + steps.len();
            if steps.iter().any(|step| step.view_only > 0) {
                let to = self.steps.get(end).map_or(self.to, |step| step.from);
                self.outline(panel, steps, to, &mut path);
            }
            start = end;
        }
        path
    }

    /// Appends a closed path: along the upper side to the right, and along the lower side back.
    fn outline(&self, panel: &Panel, steps: &[Step], to: Timestamp, path: &mut String) {
        let x = |at| panel.x(self.axis.number(at));
        let upper = |step: &Step| panel.y(f64::from(step.open));
        let lower = |step: &Step| panel.y(f64::from(step.editing()));
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return };
        push_command(path, 'M', &[x(first.from), upper(first)]);
        for pair in steps.windows(2) {
            let [before, next] = pair else { continue };
            if before.open != next.open {
                push_command(path, 'H', &[x(next.from)]);
                push_command(path, 'V', &[upper(next)]);
            }
        }
        push_command(path, 'H', &[x(to)]);
        push_command(path, 'V', &[lower(last)]);
        for pair in steps.windows(2).rev() {
            let [before, next] = pair else { continue };
            if before.editing() != next.editing() {
                push_command(path, 'H', &[x(next.from)]);
                push_command(path, 'V', &[lower(before)]);
            }
        }
        push_command(path, 'H', &[x(first.from)]);
        path.push('Z');
    }
}
