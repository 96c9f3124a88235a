//! Draws a plan as an SVG picture with two panels, for light and dark backgrounds. The picture is one file without scripts.

use std::io;
use std::time::Duration;

use super::connections_panel::ConnectionsPanel;
use super::course::Course;
use super::drawing::{
    DARK, Drawing, LEGEND_ROW, LegendLine, SOFT, TEXT, TextAnchor, TextStyle, WIDTH, wrapped,
};
use super::figures::{Crowd, Plan};
use super::panel::Area;
use super::percent::percent;
use super::read::Recording;
use super::share_panel::{Measured, SharePanel};
use super::simulation::{Group, SimulatedDay, Visitors};
use super::table::described;
use super::time_axis::TimeAxis;
use super::trace::Trace;

/// Draws the connections of a trace, and its share of fallbacks for each limit. `utc_offset` is local time minus UTC, in
/// minutes.
pub(super) fn of_trace(plan: &Plan, trace: &Trace, utc_offset: i32) -> String {
    let axis = TimeAxis::Local { utc_offset };
    let mut course = Course::of_recording(&trace.recording, plan.limit, utc_offset);
    let (from, to) = course.all.span().unwrap_or_default();
    let captions = if let Some(crowd) = &plan.crowd {
        vec![trace.name.clone(), described(crowd)]
    } else {
        let users = trace.users().map(|users| format!(" by {users} users")).unwrap_or_default();
        let span = format!("{} to {}", axis.format(from), axis.format(to));
        vec![format!("{}: {} opens{users}, {span}.", trace.name, course.all.opens())]
    };
    let is_series = matches!(trace.recording, Recording::Levels(_));
    let captions = [captions, affected(&course, axis, is_series)].concat();
    let connections = ConnectionsPanel { from, to, axis, steps: course.steps(), limit: plan.limit };
    picture(&captions, &connections, &SharePanel::new(plan, None))
}

/// Simulates a day and draws it. `stay` is the mean stay in minutes. Returns an error if the load is too high.
pub(super) fn of_day(plan: &Plan, stay: f64) -> io::Result<String> {
    let group = match plan.crowd {
        Some(Crowd::Users { users, group, .. }) => Some(Group { users, documents: group }),
        _ => None,
    };
    let mut day = SimulatedDay::simulate(Visitors { load: plan.load, stay, group }, plan.limit)?;
    let crowd = plan.crowd.as_ref().map(described).unwrap_or_default();
    let captions = vec![
        format!("{crowd}: a load of {:.1}.", plan.load),
        format!(
            "A simulated day, run through the engine from a fixed seed: {} opens, {stay} minutes each on the average. \
             Its busiest hour has this load.",
            day.course.all.opens()
        ),
    ];
    let axis = TimeAxis::TimeOfDay;
    let captions = [captions, affected(&day.course, axis, false)].concat();
    let (from, to, limit) = (day.start, day.end, plan.limit);
    let connections = ConnectionsPanel { from, to, axis, steps: day.course.steps(), limit };
    let measured = Measured { limit, count: day.busiest_run };
    Ok(picture(&captions, &connections, &SharePanel::new(plan, Some(measured))))
}

/// Returns what the limit does to people. The opens of a series are not known.
fn affected(course: &Course, axis: TimeAxis, is_series: bool) -> Vec<String> {
    let under = course.all.under(course.limit);
    let Some((peak, peak_at)) = under.view_only_peak.filter(|(peak, _)| *peak > 0) else {
        return vec![format!("Under a limit of {}, nobody is view-only.", course.limit)];
    };
    let view_only = format!(
        "The most view-only at one time: {peak}, at {}. The time in which somebody is view-only: {}.",
        axis.format(peak_at),
        duration(under.view_only_time)
    );
    if is_series {
        return vec![view_only];
    }
    let share = percent(under.share);
    let users = match course.all.users() {
        0 => String::new(),
        users => format!(", and hits {} of {users} users", under.users_hit),
    };
    let worst = under.worst_hour.map(|worst| {
        let (from, share) = (axis.format(worst.from), percent(worst.share()));
        format!(" The worst hour, from {from}: {} of {} opens, {share}.", worst.fallbacks, worst.opens)
    });
    let (limit, fallbacks, worst) = (under.limit, under.fallbacks, worst.unwrap_or_default());
    vec![
        format!("A limit of {limit} lets {fallbacks} of them in view-only, {share}{users}.{worst}"),
        view_only,
    ]
}

/// Formats a duration, as in `2 h 5 min`.
fn duration(time: Duration) -> String {
    match (time.as_secs() / 3_600, time.as_secs() / 60 % 60) {
        (0, 0) => format!("{} s", time.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn picture(captions: &[String], connections: &ConnectionsPanel, shares: &SharePanel<'_>) -> String {
    let mut drawing = Drawing::default();
    let (limit, target) = (connections.limit, percent(shares.target()));
    let title = format!("How many connections? A limit of {limit} against a target of {target}");
    drawing.text((CAPTIONS_LEFT, 34.0), TextStyle { anchor: TextAnchor::Left, size: 19, ink: TEXT }, &title);
    let mut y = 56.0;
    for caption in captions.iter().flat_map(|caption| wrapped(caption, RIGHT - CAPTIONS_LEFT)) {
        drawing.text((CAPTIONS_LEFT, y), TextAnchor::Left.small(SOFT), &caption);
        y += 17.0;
    }
    let upper = panel_area(y, &connections.legend(RIGHT - LEFT));
    connections.draw(&mut drawing, upper);
    let lower = panel_area(upper.bottom + UNDER_PANEL, &shares.legend(RIGHT - LEFT));
    shares.draw(&mut drawing, lower);
    document(&drawing, lower.bottom + UNDER_PANEL)
}

/// Returns the area of a panel whose legend begins at a height.
fn panel_area(top: f64, legend: &[Vec<LegendLine>]) -> Area {
    let rows: f64 = legend.iter().map(|_| LEGEND_ROW).sum();
    let top = top + 8.0 + rows;
    Area { left: LEFT, right: RIGHT, top, bottom: top + PANEL_HEIGHT }
}

/// Returns the text of the SVG file.
fn document(drawing: &Drawing, height: f64) -> String {
    let dark: String = DARK
        .iter()
        .flat_map(|(class, colour)| {
            [".", class, "{fill:", colour, "}.", class, ".line{fill:none;stroke:", colour, "}"]
        })
        .collect();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" role="img">
<title>Connections over time against a limit, and the share of opens that fall back over the limit</title>
<style>@media (prefers-color-scheme:dark){{.paper{{fill:{PAPER_DARK}}}{dark}.label{{stroke:{PAPER_DARK}}}}}</style>
<rect class="paper" width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>
{}</svg>
"##,
        drawing.shapes
    )
}

const PAPER_DARK: &str = "#161a20";
/// The left end of the title and the captions, and the left and right ends of the panels, in pixels.
const CAPTIONS_LEFT: f64 = 24.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 936.0;
const PANEL_HEIGHT: f64 = 250.0;
/// The height of what is below a panel: the labels and the title of its axis.
const UNDER_PANEL: f64 = 52.0;
