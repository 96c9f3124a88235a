//! Wing and Gong's search for an order of the calls that the model allows, with the states that were tried kept.
//!
//! A call may happen in several steps. They all lie between its start and its end, so a call that ended before another one
//! began comes first with all of its steps. Turns may come between any two steps. Where no call is under way, no turn is left to take.
//!
//! The crates for this expect that a call has one step and one answer, so the search is written out here.

use std::collections::HashSet;

use super::call::Event;
use super::model::State;
use super::steps::{Point, steps};

/// How far each call has come, and the state then.
type Node = (Vec<Point>, State);

/// Returns true if the history agrees with some order of the calls. The events are sorted by their starts.
pub fn is_linearizable(start: &State, events: &[Event]) -> bool {
    let is_quiet = quiet_starts(events);
    let mut seen: HashSet<Node> = HashSet::new();
    let mut open: Vec<Node> = vec![(vec![Point::Outside; events.len()], start.clone())];
    while let Some((points, state)) = open.pop() {
        if points.iter().all(|point| *point == Point::Done) && state.is_settled() {
            return true;
        }
        if seen.contains(&(points.clone(), state.clone())) {
            continue;
        }
        open.extend(state.turns().into_iter().map(|next| (points.clone(), next)));
        for call in calls_in_reach(events, &points, &is_quiet, &state) {
            let Event { call: asked, answer, .. } = &events[call];
            for (next, point) in steps(&state, (asked, answer), points[call]) {
                let mut after = points.clone();
                after[call] = point;
                open.push((after, next));
            }
        }
        seen.insert((points, state));
    }
    false
}

/// Returns, for each call, whether all calls that began before it have ended when it begins.
fn quiet_starts(events: &[Event]) -> Vec<bool> {
    let mut last_end = 0;
    let mut quiet = Vec::new();
    for event in events {
        quiet.push(last_end < event.start);
        last_end = last_end.max(event.end);
    }
    quiet
}

/// The calls that may take the next step, the last ones first.
fn calls_in_reach(events: &[Event], points: &[Point], is_quiet: &[bool], state: &State) -> Vec<usize> {
    let pending = || (0..events.len()).filter(|call| points[*call] != Point::Done);
    let first_end = pending().map(|call| events[call].end).min().unwrap_or(0);
    let first = pending().next().unwrap_or(events.len());
    let nothing_begun = pending().all(|call| points[call] == Point::Outside);
    let done = points.iter().filter(|point| **point == Point::Done).count();
    if nothing_begun && done == first && is_quiet.get(first) == Some(&true) && !state.is_settled() {
        return Vec::new();
    }
    let mut calls: Vec<usize> = pending().filter(|call| events[*call].start <= first_end).collect();
    calls.reverse();
    calls
}
