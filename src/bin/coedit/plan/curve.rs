//! The lower panel: the share of opens that fall back, over the limit.

use std::collections::BTreeMap;

use super::day::Count;
use super::draw::{
    AMBER, BLUE, Drawing, GREEN, Held, Ink, Panel, Pen, RED, SOFT, TEXT, VIOLET, round_numbers, step, width,
};
use super::figures::{By, Limit, Plan};
use super::table::percent;

/// Smaller shares are below the picture.
const LEAST: f64 = 1e-5;

/// One line of the panel.
type Shares = fn(&Limit) -> Option<f64>;

/// What the engine did under one limit.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) limit: u32,
    pub(super) count: Count,
}

pub(super) fn draw(
    plan: &Plan,
    measured: Option<Measured>,
    drawing: &mut Drawing,
    (top, bottom): (f64, f64),
    (left, right): (f64, f64),
) {
    let most = plan.limits.last().map_or(1, |limit| limit.connections.max(1));
    let across = (0.0, f64::from(most));
    let panel = Panel { left, right, top, bottom, across, up: (LEAST.log10(), 0.0) };
    let heights: Vec<(f64, String)> =
        [1.0, 0.1, 0.01, 0.001, 1e-4, LEAST].map(|share: f64| (share.log10(), power(share))).into();
    panel.heights(drawing, &heights);
    panel.places(drawing, &round_numbers(f64::from(most), 9.0), "limit, connections");
    drawing.upward((left - 70.0, f64::midpoint(top, bottom)), "share of opens that fall back");

    let target = panel.y(plan.target.log10());
    drawing.line(RED, Pen::Dashed(1.2), &format!("M{left:.1} {target:.1}H{right:.1}"));
    let mut legend = vec![(RED, Pen::Dashed(1.2), format!("target: {}", percent(plan.target)))];
    let of_busiest = if plan.trace.is_some() { ", busiest hour" } else { "" };
    let lines: [(Ink, Shares, String); 3] = [
        (BLUE, |limit| Some(limit.erlang_b), format!("Erlang B{of_busiest}")),
        (GREEN, |limit| limit.engset, "Engset".to_owned()),
        (VIOLET, |limit| limit.observed, "observed in the trace".to_owned()),
    ];
    for (ink, shares, name) in lines {
        let path = curve(plan, &panel, shares);
        if !path.is_empty() {
            drawing.line(ink, Pen::Full(2.0), &path);
            legend.push((ink, Pen::Full(2.0), name));
        }
    }
    marks(plan, &panel, drawing);
    if let Some(Measured { limit, count }) = measured {
        let share = count.share();
        let at = (panel.x(f64::from(limit)), panel.y(share.max(LEAST).log10()));
        drawing.dot(VIOLET, at, 4.5);
        legend.push((VIOLET, Pen::Full(4.0), format!("engine, {} opens: {}", count.opens, percent(share))));
    }
    drawing.legend((left, top - 12.0), &legend);
}

/// A line through the shares, down to the first that is below the picture.
fn curve(plan: &Plan, panel: &Panel, shares: Shares) -> String {
    let mut path = String::new();
    for limit in &plan.limits {
        let Some(share) = shares(limit) else { break };
        let command = if path.is_empty() { 'M' } else { 'L' };
        step(&mut path, command, &[panel.x(f64::from(limit.connections)), panel.y(share.max(LEAST).log10())]);
        if share < LEAST {
            break;
        }
    }
    path
}

/// A line at each limit that something or somebody says, with its name; those far off are left to the table.
fn marks(plan: &Plan, panel: &Panel, drawing: &mut Drawing) {
    let mut said: BTreeMap<u32, Vec<By>> = BTreeMap::new();
    for answer in &plan.answers {
        said.entry(answer.limit.connections).or_default().push(answer.by);
    }
    said.retain(|connections, _| f64::from(*connections) <= panel.across.1);
    // From the left down, so that no line begins above a name to its left.
    for (position, (connections, by)) in (0_u8..).zip(said) {
        let ink = by.first().map_or(SOFT, |by| ink(*by));
        let names: Vec<&str> = by.into_iter().map(name).collect();
        let label = format!("{connections}: {}", names.join(", "));
        let (x, y) = (panel.x(f64::from(connections)), panel.top + 14.0 + 16.0 * f64::from(position));
        drawing.line(ink, Pen::Dashed(1.2), &format!("M{x:.1} {:.1}V{:.1}", y - 10.0, panel.bottom));
        if x + 12.0 + width(&label) < panel.right {
            drawing.text((x + 6.0, y), Held::Left, 12, TEXT, &label);
        } else {
            drawing.text((x - 6.0, y), Held::Right, 12, TEXT, &label);
        }
    }
}

fn ink(by: By) -> Ink {
    match by {
        By::ErlangB => BLUE,
        By::Engset => GREEN,
        By::Observed => VIOLET,
        By::Thumb | By::ThumbAllAtWork => SOFT,
        By::Limit => AMBER,
    }
}

fn name(by: By) -> &'static str {
    match by {
        By::ErlangB => "by Erlang B",
        By::Engset => "by Engset",
        By::Observed => "as observed",
        By::Thumb => "rule of thumb",
        By::ThumbAllAtWork => "rule of thumb, all at work",
        By::Limit => "the given limit",
    }
}

/// A power of ten in percent.
fn power(share: f64) -> String {
    format!("{} %", share * 100.0)
}
