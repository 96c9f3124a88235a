//! A plan as a picture: two panels, one file, no scripts, for light and dark backgrounds.

use coedit::capacity::Stretch;

use super::course::Course;
use super::curve::{self, Measured};
use super::day::Day;
use super::draw::{DARK, Drawing, Held, SOFT, TEXT};
use super::figures::Plan;
use super::table::{described, percent};
use super::trace::Trace;

/// The trace against the limit, and what is observed in it under others.
pub(super) fn of_trace(plan: &Plan, trace: &Trace) -> String {
    let (from, to) = trace.observed.span().unwrap_or_default();
    let stretches = trace.observed.stretches().collect();
    let (fallbacks, opens) = (trace.observed.fallbacks(plan.limit), trace.observed.opens());
    let captions = [
        format!("{}: {opens} opens by {} users, {from} to {to}.", trace.name, trace.users),
        format!(
            "A limit of {} lets {fallbacks} of them in view-only, {}.",
            plan.limit,
            percent(trace.observed.share(plan.limit))
        ),
    ];
    picture(plan, &captions, &Course { from, to, time: "time, UTC", stretches, limit: plan.limit }, None)
}

/// A simulated day of the load, with a mean stay in minutes.
pub(super) fn of_day(plan: &Plan, day: &Day, stay: f64) -> String {
    // The stretch that the day begins in is drawn from there on.
    let begun = day.observed.stretches().take_while(|stretch| stretch.from <= day.start).count();
    let stretches: Vec<Stretch> = day.observed.stretches().skip(begun.saturating_sub(1)).collect();
    let who = plan.crowd.as_ref().map(described).unwrap_or_default();
    let captions = [
        format!("{who}: a load of {:.1}.", plan.load),
        format!(
            "A simulated day, run through the engine from a fixed seed: {} of {} opens, {stay} minutes each on the \
             average, fell back, {}.",
            day.within.fallbacks,
            day.within.opens,
            percent(day.within.share())
        ),
    ];
    let course = Course { from: day.start, to: day.end, time: "time of day", stretches, limit: plan.limit };
    picture(plan, &captions, &course, Some(Measured { limit: plan.limit, count: day.long_run }))
}

fn picture(plan: &Plan, captions: &[String], course: &Course, measured: Option<Measured>) -> String {
    let mut drawing = Drawing::default();
    let title = format!(
        "How many connections? A limit of {} against a target of {}",
        plan.limit,
        percent(plan.target)
    );
    drawing.text((LEFT, 34.0), Held::Left, 19, TEXT, &title);
    for (line, caption) in (0_u8..).zip(captions) {
        drawing.text((LEFT, 56.0 + 17.0 * f64::from(line)), Held::Left, 12, SOFT, caption);
    }
    course.draw(&mut drawing, (122.0, 362.0), (LEFT, RIGHT));
    curve::draw(plan, measured, &mut drawing, (452.0, 712.0), (LEFT, RIGHT));
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

/// The size of the picture, and where its panels begin and end across, in pixels.
const WIDTH: u32 = 960;
const HEIGHT: u32 = 768;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 936.0;
