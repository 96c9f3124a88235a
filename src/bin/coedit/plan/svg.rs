//! Draws a plan as an SVG picture with two panels, for light and dark backgrounds. The picture is one file without scripts.

use coedit::capacity::Interval;

use super::connections_panel::ConnectionsPanel;
use super::drawing::{DARK, Drawing, SOFT, TEXT, TextAnchor, TextStyle};
use super::figures::Plan;
use super::panel::Area;
use super::share_panel::{Measured, SharePanel};
use super::simulation::SimulatedDay;
use super::table::{described, percent};
use super::trace::Trace;

/// Draws the connections of a trace, and its share of fallbacks for each limit.
pub(super) fn of_trace(plan: &Plan, trace: &Trace) -> String {
    let (from, to) = trace.observed.span().unwrap_or_default();
    let intervals = trace.observed.intervals().collect();
    let (fallbacks, opens) = (trace.observed.fallbacks(plan.limit), trace.observed.opens());
    let users = trace.users().map(|users| format!(" by {users} users")).unwrap_or_default();
    let captions = if let Some(crowd) = &plan.crowd {
        [trace.name.clone(), described(crowd)]
    } else {
        [
            format!("{}: {opens} opens{users}, {from} to {to}.", trace.name),
            format!(
                "A limit of {} lets {fallbacks} of them in view-only, {}.",
                plan.limit,
                percent(trace.observed.share(plan.limit))
            ),
        ]
    };
    let connections = ConnectionsPanel { from, to, title: "time, UTC", intervals, limit: plan.limit };
    picture(&captions, &connections, &SharePanel { plan, measured: None })
}

/// Draws a simulated day. `stay` is the mean stay in minutes.
pub(super) fn of_day(plan: &Plan, day: &SimulatedDay, stay: f64) -> String {
    // The panel begins within the last interval that starts before the day.
    let before = day.observed.intervals().take_while(|interval| interval.from <= day.start).count();
    let intervals: Vec<Interval> = day.observed.intervals().skip(before.saturating_sub(1)).collect();
    let crowd = plan.crowd.as_ref().map(described).unwrap_or_default();
    let captions = [
        format!("{crowd}: a load of {:.1}.", plan.load),
        format!(
            "A simulated day, run through the engine from a fixed seed: {} of {} opens, {stay} minutes each on the \
             average, fell back, {}.",
            day.within.fallbacks,
            day.within.opens,
            percent(day.within.share())
        ),
    ];
    let (from, to, limit) = (day.start, day.end, plan.limit);
    let connections = ConnectionsPanel { from, to, title: "time of day", intervals, limit };
    let measured = Some(Measured { limit, count: day.long_run });
    picture(&captions, &connections, &SharePanel { plan, measured })
}

fn picture(captions: &[String], connections: &ConnectionsPanel, shares: &SharePanel<'_>) -> String {
    let mut drawing = Drawing::default();
    let title = format!(
        "How many connections? A limit of {} against a target of {}",
        shares.plan.limit,
        percent(shares.plan.target)
    );
    drawing.text((LEFT, 34.0), TextStyle { anchor: TextAnchor::Left, size: 19, ink: TEXT }, &title);
    for (line, caption) in (0_u8..).zip(captions) {
        drawing.text((LEFT, 56.0 + 17.0 * f64::from(line)), TextAnchor::Left.small(SOFT), caption);
    }
    connections.draw(&mut drawing, Area { left: LEFT, right: RIGHT, top: 122.0, bottom: 362.0 });
    shares.draw(&mut drawing, Area { left: LEFT, right: RIGHT, top: 452.0, bottom: 712.0 });
    document(&drawing)
}

/// Returns the text of the SVG file.
fn document(drawing: &Drawing) -> String {
    let dark: String = DARK
        .iter()
        .flat_map(|(class, colour)| {
            [".", class, "{fill:", colour, "}.", class, ".line{fill:none;stroke:", colour, "}"]
        })
        .collect();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" role="img">
<title>Connections over time against a limit, and the share of opens that fall back over the limit</title>
<style>@media (prefers-color-scheme:dark){{.paper{{fill:#161a20}}{dark}}}</style>
<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>
{}</svg>
"##,
        drawing.shapes
    )
}

/// The size of the picture, and the left and right ends of its panels, in pixels.
const WIDTH: u32 = 960;
const HEIGHT: u32 = 768;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 936.0;
