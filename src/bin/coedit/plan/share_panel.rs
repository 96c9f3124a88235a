//! The lower panel of the picture: the share of opens that fall back, for each limit.

use std::collections::BTreeMap;

use coedit::capacity::{STAYING_USERS_MAX, engset_staying};

use super::drawing::{
    AMBER, BLUE, Drawing, GREEN, Ink, LegendLine, RED, SOFT, Stroke, TextAnchor, VIOLET, legend_rows,
    push_command, width,
};
use super::figures::{Crowd, LimitFigures, Method, Plan};
use super::panel::{Area, Axis, Panel, round_numbers};
use super::percent::percent;
use super::simulation::OpenCount;

/// The share at the bottom of the panel.
const LEAST: f64 = 1e-5;
/// The line of the target.
const TARGET: Stroke = Stroke::Dashed(1.2);
/// Of more limits, every fifth gets a point on the curve of those who stay.
const FEW_LIMITS: usize = 50;
/// The largest load times the number of points for which the curve of those who stay is drawn. It then costs at most 0.3
/// seconds in a release build.
const STAYING_COST_MAX: f64 = 100_000.0;

/// Returns the share of one curve under a limit.
type ShareOf = fn(&LimitFigures) -> Option<f64>;

/// The result of a simulation under one limit.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) limit: u32,
    pub(super) count: OpenCount,
}

pub(super) struct SharePanel<'a> {
    plan: &'a Plan,
    curves: Vec<Curve>,
    measured: Option<Measured>,
}

/// The shares under some limits, with an entry of the legend.
struct Curve {
    ink: Ink,
    name: String,
    points: Vec<(u32, f64)>,
}

impl<'a> SharePanel<'a> {
    pub(super) fn new(plan: &'a Plan, measured: Option<Measured>) -> Self {
        let group = match plan.crowd {
            Some(Crowd::Users { group, .. }) => Some(group),
            _ => None,
        };
        let largest = largest(plan);
        // Under a limit above the size of the group, nobody can fall back. So there is nothing to draw.
        let measured = measured.filter(|measured| measured.count.opens > 0 && measured.limit <= largest);
        let measured = measured.filter(|measured| group.is_none_or(|group| measured.limit <= group));
        SharePanel { plan, curves: curves(plan, group), measured }
    }

    /// The share of opens that may fall back.
    pub(super) fn target(&self) -> f64 {
        self.plan.target
    }

    pub(super) fn draw(&self, drawing: &mut Drawing, area: Area) {
        let largest = f64::from(largest(self.plan));
        let panel = Panel { area, horizontal: (0.0, largest), vertical: (LEAST.log10(), 0.0) };
        let limits = Axis { labels: round_numbers(largest, 9.0), title: "limit, connections".to_owned() };
        let powers = [1.0, 0.1, 0.01, 0.001, 1e-4, LEAST].map(|share: f64| (share.log10(), power(share)));
        let shares = Axis { labels: powers.into(), title: "share of opens that fall back".to_owned() };
        panel.axes(drawing, &limits, &shares);

        let Area { left, right, .. } = area;
        let y = panel.y(self.plan.target.log10());
        drawing.line(RED, TARGET, &format!("M{left:.1} {y:.1}H{right:.1}"));
        for curve in &self.curves {
            drawing.line(curve.ink, Stroke::Solid(2.0), &path(&panel, &curve.points));
        }
        self.answers(&panel, drawing);
        if let Some(Measured { limit, count }) = self.measured {
            let at = (panel.x(f64::from(limit)), panel.y(count.share().max(LEAST).log10()));
            drawing.dot(VIOLET, at, 4.5);
        }
        drawing.legend(area.legend(), &self.legend(area.width()));
    }

    /// Returns the rows of the legend.
    pub(super) fn legend(&self, width: f64) -> Vec<Vec<LegendLine>> {
        let target = format!("target: {}", percent(self.plan.target));
        let mut lines = vec![LegendLine(RED, TARGET, target)];
        let line = |curve: &Curve| LegendLine(curve.ink, Stroke::Solid(2.0), curve.name.clone());
        lines.extend(self.curves.iter().map(line));
        if let Some(Measured { count, .. }) = self.measured {
            let name = format!("dot: the engine, {} opens: {}", count.opens, percent(count.share()));
            lines.push(LegendLine(VIOLET, Stroke::Solid(4.0), name));
        }
        legend_rows(lines, width)
    }

    /// Draws a vertical line at each answer, with the names of its methods. Answers outside the panel are left out.
    fn answers(&self, panel: &Panel, drawing: &mut Drawing) {
        let mut answers: BTreeMap<u32, Vec<Method>> = BTreeMap::new();
        for answer in &self.plan.answers {
            answers.entry(answer.limit.connections).or_default().push(answer.method);
        }
        answers.retain(|connections, _| f64::from(*connections) <= panel.horizontal.1);
        // Each label is lower than the one to its left, so that few lines cross a label.
        let mut y = panel.area.top + 14.0;
        for (connections, methods) in answers {
            let ink = methods.first().map_or(SOFT, |method| ink(*method));
            let x = panel.x(f64::from(connections));
            let path = format!("M{x:.1} {:.1}V{:.1}", y - 10.0, panel.area.bottom);
            drawing.line(ink, Stroke::Dashed(1.2), &path);
            let names: Vec<&str> = methods.into_iter().map(name).collect();
            let label = format!("{connections}: {}", names.join(", "));
            if x + 12.0 + width(&label) < panel.area.right {
                drawing.label((x + 6.0, y), TextAnchor::Left, &label);
            } else {
                drawing.label((x - 6.0, y), TextAnchor::Right, &label);
            }
            // With very many answers, the last labels share a line.
            y = (y + 16.0).min(panel.area.bottom - 6.0);
        }
    }
}

/// The largest limit of the panel.
fn largest(plan: &Plan) -> u32 {
    plan.limits.last().map_or(1, |limit| limit.connections.max(1))
}

fn curves(plan: &Plan, group: Option<u32>) -> Vec<Curve> {
    let hour = if plan.trace.is_some() { ", busiest hour" } else { "" };
    let leave = if group.is_some() { ", if refused users leave" } else { "" };
    let columns: [(Ink, ShareOf, String); 3] = [
        (BLUE, |limit| Some(limit.erlang_b), format!("Erlang B{hour}")),
        (GREEN, |limit| limit.engset, format!("Engset{leave}")),
        (VIOLET, |limit| limit.observed, "observed in the trace".to_owned()),
    ];
    let drawn = || plan.limits.iter().filter(|limit| group.is_none_or(|group| limit.connections <= group));
    let curve = |(ink, share_of, name): (Ink, ShareOf, String)| {
        let points = drawn().filter_map(|limit| Some((limit.connections, share_of(limit)?)));
        Curve { ink, name, points: points.collect() }
    };
    let mut curves: Vec<Curve> = columns.into_iter().map(curve).collect();
    if let Some(group) = group {
        let limits: Vec<u32> = drawn().map(|limit| limit.connections).collect();
        let points = staying(plan.load, group, &limits);
        curves.push(Curve { ink: VIOLET, name: "if they stay as viewers".to_owned(), points });
    }
    curves.retain(|curve| !curve.points.is_empty());
    curves
}

/// Returns the shares of a group whose refused users stay as viewers, or nothing if that takes too long.
fn staying(load: f64, group: u32, limits: &[u32]) -> Vec<(u32, f64)> {
    let step = if limits.len() > FEW_LIMITS { 5 } else { 1 };
    let count = u32::try_from(limits.len().div_ceil(step)).unwrap_or(u32::MAX);
    if group > STAYING_USERS_MAX || load * f64::from(count) > STAYING_COST_MAX {
        return Vec::new();
    }
    let mut points = Vec::new();
    for &limit in limits.iter().step_by(step) {
        let Ok(share) = engset_staying(group, (load / f64::from(group)).min(1.0), limit) else { break };
        points.push((limit, share));
        if share < LEAST {
            break;
        }
    }
    points
}

/// Returns a path through the points. It ends at the first share below the panel.
fn path(panel: &Panel, points: &[(u32, f64)]) -> String {
    let mut path = String::new();
    for &(limit, share) in points {
        let command = if path.is_empty() { 'M' } else { 'L' };
        push_command(&mut path, command, &[panel.x(f64::from(limit)), panel.y(share.max(LEAST).log10())]);
        if share < LEAST {
            break;
        }
    }
    path
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
