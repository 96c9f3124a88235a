//! The lower panel of the picture: the share of opens that fall back, for each limit.

use std::collections::BTreeMap;

use super::drawing::{
    AMBER, BLUE, Drawing, GREEN, Ink, RED, SOFT, Stroke, TEXT, TextAnchor, VIOLET, push_command, width,
};
use super::figures::{LimitFigures, Method, Plan};
use super::panel::{Area, Axis, Panel, round_numbers};
use super::simulation::OpenCount;
use super::table::percent;

/// The share at the bottom of the panel.
const LEAST: f64 = 1e-5;

/// Returns the share of one curve under a limit.
type ShareOf = fn(&LimitFigures) -> Option<f64>;

/// An entry of the legend.
type LegendLine = (Ink, Stroke, String);

/// The result of a simulation under one limit.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) limit: u32,
    pub(super) count: OpenCount,
}

pub(super) struct SharePanel<'a> {
    pub(super) plan: &'a Plan,
    pub(super) measured: Option<Measured>,
}

impl SharePanel<'_> {
    pub(super) fn draw(&self, drawing: &mut Drawing, area: Area) {
        let largest = self.plan.limits.last().map_or(1, |limit| limit.connections.max(1));
        let horizontal = (0.0, f64::from(largest));
        let panel = Panel { area, horizontal, vertical: (LEAST.log10(), 0.0) };
        let limits = Axis { labels: round_numbers(f64::from(largest), 9.0), title: "limit, connections" };
        let powers = [1.0, 0.1, 0.01, 0.001, 1e-4, LEAST].map(|share: f64| (share.log10(), power(share)));
        let shares = Axis { labels: powers.into(), title: "share of opens that fall back" };
        panel.axes(drawing, &limits, &shares);

        let mut legend = vec![self.target(&panel, drawing)];
        self.curves(&panel, drawing, &mut legend);
        self.answers(&panel, drawing);
        legend.extend(self.dot(&panel, drawing));
        drawing.legend(area.legend(), &legend);
    }

    fn target(&self, panel: &Panel, drawing: &mut Drawing) -> LegendLine {
        let Area { left, right, .. } = panel.area;
        let (y, stroke) = (panel.y(self.plan.target.log10()), Stroke::Dashed(1.2));
        drawing.line(RED, stroke, &format!("M{left:.1} {y:.1}H{right:.1}"));
        (RED, stroke, format!("target: {}", percent(self.plan.target)))
    }

    fn curves(&self, panel: &Panel, drawing: &mut Drawing, legend: &mut Vec<LegendLine>) {
        let hour = if self.plan.trace.is_some() { ", busiest hour" } else { "" };
        let curves: [(Ink, ShareOf, String); 3] = [
            (BLUE, |limit| Some(limit.erlang_b), format!("Erlang B{hour}")),
            (GREEN, |limit| limit.engset, "Engset".to_owned()),
            (VIOLET, |limit| limit.observed, "observed in the trace".to_owned()),
        ];
        for (ink, share_of, name) in curves {
            let path = self.curve(panel, share_of);
            if !path.is_empty() {
                drawing.line(ink, Stroke::Solid(2.0), &path);
                legend.push((ink, Stroke::Solid(2.0), name));
            }
        }
    }

    /// Returns a path through the shares. It ends at the first share below the panel.
    fn curve(&self, panel: &Panel, share_of: ShareOf) -> String {
        let mut path = String::new();
        for limit in &self.plan.limits {
            let Some(share) = share_of(limit) else { break };
            let command = if path.is_empty() { 'M' } else { 'L' };
            let point = [panel.x(f64::from(limit.connections)), panel.y(share.max(LEAST).log10())];
            push_command(&mut path, command, &point);
            if share < LEAST {
                break;
            }
        }
        path
    }

    /// Draws a vertical line at each answer, with the names of its methods. Answers outside the panel are left out.
    fn answers(&self, panel: &Panel, drawing: &mut Drawing) {
        let mut answers: BTreeMap<u32, Vec<Method>> = BTreeMap::new();
        for answer in &self.plan.answers {
            answers.entry(answer.limit.connections).or_default().push(answer.method);
        }
        answers.retain(|connections, _| f64::from(*connections) <= panel.horizontal.1);
        // Each label is lower than the one to its left, so that no line crosses a label.
        for (position, (connections, methods)) in (0_u8..).zip(answers) {
            let ink = methods.first().map_or(SOFT, |method| ink(*method));
            let names: Vec<&str> = methods.into_iter().map(name).collect();
            let label = format!("{connections}: {}", names.join(", "));
            let x = panel.x(f64::from(connections));
            let y = panel.area.top + 14.0 + 16.0 * f64::from(position);
            let path = format!("M{x:.1} {:.1}V{:.1}", y - 10.0, panel.area.bottom);
            drawing.line(ink, Stroke::Dashed(1.2), &path);
            if x + 12.0 + width(&label) < panel.area.right {
                drawing.text((x + 6.0, y), TextAnchor::Left.small(TEXT), &label);
            } else {
                drawing.text((x - 6.0, y), TextAnchor::Right.small(TEXT), &label);
            }
        }
    }

    /// Draws the result of the simulation.
    fn dot(&self, panel: &Panel, drawing: &mut Drawing) -> Option<LegendLine> {
        let Measured { limit, count } = self.measured?;
        let share = count.share();
        let at = (panel.x(f64::from(limit)), panel.y(share.max(LEAST).log10()));
        drawing.dot(VIOLET, at, 4.5);
        let name = format!("engine, {} opens: {}", count.opens, percent(share));
        Some((VIOLET, Stroke::Solid(4.0), name))
    }
}

fn ink(method: Method) -> Ink {
    match method {
        Method::ErlangB => BLUE,
        Method::Engset => GREEN,
        Method::Observed => VIOLET,
        Method::RuleOfThumb | Method::RuleOfThumbAllAtWork => SOFT,
        Method::Given => AMBER,
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::ErlangB => "by Erlang B",
        Method::Engset => "by Engset",
        Method::Observed => "as observed",
        Method::RuleOfThumb => "rule of thumb",
        Method::RuleOfThumbAllAtWork => "rule of thumb, all at work",
        Method::Given => "the given limit",
    }
}

/// Formats a power of ten in percent.
fn power(share: f64) -> String {
    format!("{} %", share * 100.0)
}
