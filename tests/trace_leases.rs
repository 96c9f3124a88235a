//! Replays recorded sessions twice. Without leases a visit ends with a close, and the next begins with an open. With a
//! reconnect grace, a short gap between two visits of one user to one document is a lost line. Counts what the leases save,
//! and what it costs that they hold seats meanwhile.

mod support;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use coedit::*;
use serde::Deserialize;
use support::*;

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Two replays of a trace, side by side: without leases and with them.
#[derive(Debug, PartialEq, Eq)]
struct Comparison {
    /// The gaps that are taken as lost lines.
    lost: usize,
    callbacks: [usize; 2],
    /// Visits that begin view-only, for want of a seat.
    fallbacks: [usize; 2],
    /// Those fallbacks that follow a lost line of somebody who could edit until then.
    lost_seats: [usize; 2],
    /// Visits that fall back in one run only.
    fall_back_alone: [usize; 2],
}

impl Comparison {
    /// Two replays that differ only in their callbacks.
    fn of_callbacks(lost: usize, callbacks: [usize; 2], fallbacks: usize) -> Self {
        Comparison { lost, callbacks, fallbacks: [fallbacks; 2], lost_seats: [0, 0], fall_back_alone: [0, 0] }
    }
}

#[test]
fn five_minutes_bridge_no_gap_between_recorded_visits() {
    // A user of clownschool has one visit. Between two visits in rfcs are 30 minutes at least.
    let clownschool = Trace::clownschool();
    for gap in [FIVE_MINUTES, HOUR, DAY] {
        assert_eq!(clownschool.compare(1, gap), Comparison::of_callbacks(0, [2, 2], 2));
        assert_eq!(clownschool.compare(2, gap), Comparison::of_callbacks(0, [6, 6], 0));
    }
    let rfcs = Trace::rfcs();
    assert_eq!(rfcs.compare(20, FIVE_MINUTES), Comparison::of_callbacks(0, [9_762, 9_762], 933));
    assert_eq!(rfcs.compare(558, FIVE_MINUTES), Comparison::of_callbacks(0, [11_512, 11_512], 58));
}

#[test]
fn longer_gaps_of_rfcs_save_callbacks_and_no_fallbacks() {
    let rfcs = Trace::rfcs();
    assert_eq!(rfcs.compare(20, HOUR), Comparison::of_callbacks(121, [9_762, 9_520], 933));
    assert_eq!(rfcs.compare(558, HOUR), Comparison::of_callbacks(121, [11_512, 11_270], 58));
    // One visit finds no seat because of the seats that are kept for a day.
    let one_more = Comparison {
        lost: 925,
        callbacks: [9_762, 7_910],
        fallbacks: [933, 934],
        lost_seats: [0, 0],
        fall_back_alone: [0, 1],
    };
    assert_eq!(rfcs.compare(20, DAY), one_more);
    assert_eq!(rfcs.compare(558, DAY), Comparison::of_callbacks(925, [11_512, 9_662], 58));
}

#[test]
fn p11_lines_lost_in_pauses_cost_no_callbacks_and_no_seats() {
    // The lines are lost at the last change before a pause, and are back at the first change after it.
    let pause = MINUTE..FIVE_MINUTES;
    let clownschool = Trace::clownschool().with_lost_lines(&pause);
    // Without leases, an editor finds the only seat taken after a pause. With them, the others find it taken.
    let one_seat = Comparison {
        lost: 5,
        callbacks: [8, 2],
        fallbacks: [4, 4],
        lost_seats: [1, 0],
        fall_back_alone: [3, 3],
    };
    assert_eq!(clownschool.compare(1, FIVE_MINUTES), one_seat);
    assert_eq!(clownschool.compare(2, FIVE_MINUTES), Comparison::of_callbacks(5, [16, 6], 0));
    let rfcs = Trace::rfcs().with_lost_lines(&pause);
    assert_eq!(rfcs.compare(20, FIVE_MINUTES), Comparison::of_callbacks(769, [11_300, 9_762], 933));
    assert_eq!(rfcs.compare(558, FIVE_MINUTES), Comparison::of_callbacks(769, [13_050, 11_512], 58));
}

/// Visits, numbered from 0, and what happens in them, in order. A visit is one user at one document, from an open to a
/// close.
#[derive(Default)]
struct Trace {
    visitors: Vec<Visitor>,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Visitor {
    document: String,
    user: String,
}

#[derive(Clone, Copy)]
struct Step {
    at: u64,
    action: Action,
    visit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Open,
    Change,
    Close,
}

#[derive(Deserialize)]
struct Line {
    at: u64,
    c: Action,
    connection: String,
    key: Option<String>,
    user: Option<NamedUser>,
}

#[derive(Deserialize)]
struct NamedUser {
    id: String,
}

impl Trace {
    fn clownschool() -> Self {
        Trace::parse(include_str!("data/clownschool.jsonl"))
    }

    fn rfcs() -> Self {
        Trace::parse(include_str!("data/rfcs.jsonl"))
    }

    fn parse(text: &str) -> Self {
        let mut trace = Trace::default();
        let mut visits = HashMap::new();
        for line in text.lines() {
            let Line { at, c: action, connection, key, user } = serde_json::from_str(line).unwrap();
            if action == Action::Open {
                visits.insert(connection.clone(), trace.visitors.len());
                trace.visitors.push(Visitor { document: key.unwrap(), user: user.unwrap().id });
            }
            trace.steps.push(Step { at, action, visit: visits[&connection] });
        }
        assert!(trace.steps.is_sorted_by_key(|step| step.at));
        trace
    }

    /// Closes a visit at a change and opens a new one at the next change, wherever a pause in that range is between them.
    fn with_lost_lines(&self, pause: &Range<Duration>) -> Self {
        let next_changes = self.next_changes();
        let mut trace = Trace { visitors: self.visitors.clone(), steps: Vec::new() };
        // By the visit in this trace: the visit that goes on in its place, and whether that is closed.
        let mut goes_on: Vec<(usize, bool)> = (0..self.visitors.len()).map(|visit| (visit, false)).collect();
        for (step, next_change) in self.steps.iter().zip(next_changes) {
            let (visit, closed) = &mut goes_on[step.visit];
            if std::mem::take(closed) {
                *visit = trace.visitors.len();
                trace.visitors.push(self.visitors[step.visit].clone());
                trace.steps.push(Step { at: step.at, action: Action::Open, visit: *visit });
            }
            trace.steps.push(Step { visit: *visit, ..*step });
            if next_change.is_some_and(|next| pause.contains(&Duration::from_millis(next - step.at))) {
                *closed = true;
                trace.steps.push(Step { at: step.at, action: Action::Close, visit: *visit });
            }
        }
        trace
    }

    /// By step: where it is a change, the time of the next change of the same visit.
    fn next_changes(&self) -> Vec<Option<u64>> {
        let mut later = HashMap::new();
        let mut next_change = |step: &Step| match step.action {
            Action::Change => later.insert(step.visit, step.at),
            Action::Open | Action::Close => None,
        };
        let mut times: Vec<_> = self.steps.iter().rev().map(&mut next_change).collect();
        times.reverse();
        times
    }

    /// By visit: the visit of the same user to the same document that ended less than `gap` before.
    fn lost_lines(&self, gap: Duration) -> HashMap<usize, usize> {
        let (mut closed, mut lost) = (HashMap::new(), HashMap::new());
        for Step { at, action, visit } in &self.steps {
            let visitor = &self.visitors[*visit];
            match action {
                Action::Open => {
                    if let Some((end, before)) = closed.remove(visitor)
                        && Duration::from_millis(at - end) < gap
                    {
                        lost.insert(*visit, before);
                    }
                }
                Action::Change => {}
                Action::Close => {
                    closed.insert(visitor, (*at, *visit));
                }
            }
        }
        lost
    }

    /// Replays the trace without leases, and with leases over every gap shorter than `gap`.
    fn compare(&self, limit: u32, gap: Duration) -> Comparison {
        let lost = self.lost_lines(gap);
        let without = Run::new(self, limit, None, &HashMap::new());
        let with = Run::new(self, limit, Some(gap), &lost);
        let both = [&without, &with];
        let count = |visits: &[bool]| visits.iter().filter(|view_only| **view_only).count();
        let alone = |one: &Run, other: &Run| {
            one.view_only.iter().zip(&other.view_only).filter(|(one, other)| **one && !**other).count()
        };
        Comparison {
            lost: lost.len(),
            callbacks: both.map(|run| run.callbacks),
            fallbacks: both.map(|run| count(&run.view_only)),
            lost_seats: both.map(|run| {
                let demoted =
                    |(after, before): &(&usize, &usize)| run.view_only[**after] && !run.view_only[**before];
                lost.iter().filter(demoted).count()
            }),
            fall_back_alone: [alone(&without, &with), alone(&with, &without)],
        }
    }
}

/// A run of a trace by an engine whose callbacks are acknowledged at once.
struct Run {
    engine: Engine,
    clock: Arc<ManualClock>,
    receiver: Callbacks,
    /// The callbacks that were handed out.
    callbacks: usize,
    /// By visit: whether it began view-only.
    view_only: Vec<bool>,
}

impl Run {
    /// `lost` has the visits that begin with a resume, each with the visit that ends with a lost line.
    fn new(trace: &Trace, limit: u32, grace: Option<Duration>, lost: &HashMap<usize, usize>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(trace.steps[0].at)));
        let config =
            Config::new().shards(4).edit_limit(Some(limit)).reconnect_grace(grace).clock(clock.clone());
        let engine = Engine::new(config).unwrap();
        let view_only = vec![false; trace.visitors.len()];
        let mut run = Run { receiver: engine.callbacks(), engine, clock, callbacks: 0, view_only };
        let mut breaks = vec![false; trace.visitors.len()];
        for before in lost.values() {
            breaks[*before] = true;
        }
        let (mut connections, mut tokens) = (HashMap::new(), HashMap::new());
        for Step { at, action, visit } in &trace.steps {
            run.run_deadlines(Timestamp::from_millis(*at));
            run.clock.move_to(Timestamp::from_millis(*at));
            match action {
                Action::Open => {
                    let Visitor { document, user: name } = &trace.visitors[*visit];
                    let connection = match lost.get(visit) {
                        Some(before) => run.engine.resume(&tokens.remove(before).unwrap(), 0).unwrap(),
                        None => run.engine.open(&key(document), &user(name), Access::Edit).unwrap(),
                    };
                    run.view_only[*visit] = !connection.may_edit();
                    connections.insert(*visit, connection);
                }
                Action::Change => {
                    assert_eq!(connections[visit].change().is_err(), run.view_only[*visit]);
                }
                Action::Close => {
                    let connection: Connection = connections.remove(visit).unwrap();
                    if breaks[*visit] {
                        tokens.insert(*visit, connection.token().unwrap());
                        assert_eq!(connection.lost().unwrap(), grace);
                    } else {
                        connection.close();
                    }
                }
            }
            run.acknowledge();
        }
        run.run_deadlines(Timestamp::MAX);
        run.engine.validate().unwrap();
        assert_eq!((run.engine.documents(), run.engine.limits().edit.in_use), (0, 0));
        run
    }

    /// Stops the clock at every deadline up to `until`.
    fn run_deadlines(&mut self, until: Timestamp) {
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= until) {
            self.clock.move_to(due);
            self.engine.tick();
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        self.callbacks += self.receiver.try_iter().map(Delivery::acked).count();
    }
}
