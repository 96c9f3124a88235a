//! `coedit plan`: computes how many connections a number of users needs.

mod bursts;
mod connections_panel;
mod course;
mod drawing;
mod figures;
pub(crate) mod options;
mod panel;
mod percent;
mod read;
mod read_options;
mod recorded;
mod reverse;
mod share_panel;
mod simulation;
mod svg;
mod table;
mod time_axis;
mod trace;
mod what_if;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::failure::{bad_argument, in_file};

use bursts::Timetable;
use figures::{Goal, Growth, People, Plan, Prices};
use options::PlanOptions;
use reverse::Reverse;
use trace::Trace;
use what_if::WhatIf;

/// The default of `--stay`, in minutes.
const STAY: f64 = 30.0;

pub(crate) fn run(options: &PlanOptions) -> io::Result<()> {
    if let Some(connections) = options.connections {
        let reverse = Reverse::new(options, connections)?;
        return print(options, &reverse, &reverse);
    }
    if !options.burst.is_empty() {
        let timetable = Timetable::new(options)?;
        return print(options, &timetable, &timetable);
    }
    let read = |path| Trace::read(path, options);
    let trace = options.trace.as_deref().map(read).transpose()?;
    let mut plan = plan(options, trace.as_ref())?;
    if let Some(trace) = &trace {
        let limits: Vec<u32> = plan.under.iter().map(|under| under.connections).collect();
        plan.what_if = WhatIf::new(options, trace, &limits)?;
        plan.notes.clone_from(&trace.notes);
        for note in &trace.notes {
            eprintln!("coedit: {}: {note}", trace.name);
        }
    }
    if let Some(path) = &options.svg {
        write(path, &picture(options, &plan, trace.as_ref())?)?;
    }
    print(options, &plan, &table::Table(&plan))
}

/// Prints one JSON object or a table.
fn print(options: &PlanOptions, json: &impl Serialize, table: &impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if options.json {
        serde_json::to_writer(&mut stdout, json)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{table}")?;
    }
    stdout.flush()
}

fn plan(options: &PlanOptions, trace: Option<&Trace>) -> io::Result<Plan> {
    let recorded = options.usage.as_deref().map(recorded::read).transpose()?;
    let goal = Goal {
        shares: &options.share,
        limits: &options.limit,
        stay: options.stay.unwrap_or(STAY),
        servers: options.servers,
        growth: options.growth.map(|rate| Growth { rate, months: options.months }),
        prices: options.price_connection.map(|connection| Prices { connection, user: options.price_user }),
    };
    let plan = match (trace, recorded, options.users, options.opens_per_hour) {
        (Some(trace), ..) => Plan::of_trace(trace, goal),
        (None, Some((recorded, load)), ..) => Plan::of_usage(recorded, load, goal),
        (None, None, Some(users), _) => {
            let docs_per_user = options.docs_per_user.unwrap_or(1.0);
            let concurrent = options.concurrent.unwrap_or_default();
            Plan::of_users(People { users, docs_per_user, concurrent }, goal)
        }
        (None, None, None, opens) => Plan::of_opens(opens.unwrap_or_default(), goal),
    };
    let plan = plan.map_err(bad_argument)?;
    Ok(Plan { utc_offset: options.utc_offset, ..plan })
}

/// Draws the trace, or a simulated day if there is none.
fn picture(options: &PlanOptions, plan: &Plan, trace: Option<&Trace>) -> io::Result<String> {
    if let Some(trace) = trace {
        return Ok(svg::of_trace(plan, trace, options.utc_offset));
    }
    svg::of_day(plan, options.stay.unwrap_or(STAY))
}

fn write(path: &Path, picture: &str) -> io::Result<()> {
    std::fs::write(path, picture).map_err(|error| in_file(&error, &path.display().to_string()))
}
