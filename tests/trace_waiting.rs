//! Replays recorded sessions under a limit, and counts how long it takes until a visit that begins view-only can edit: where
//! viewers wait, where those who wait get the seats of idle editors too, and where viewers reload instead.

mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, AccessCause, Callbacks, Clock, Config, Connection, ConnectionId, EditRequest, Engine,
    ManualClock, Notice, Timestamp,
};
use crossbeam_channel::Receiver;
use serde::Deserialize;
use support::{key, user};

const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// What a visit does that begins view-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    StayViewer,
    /// It closes and opens again, every two minutes.
    Reload,
    /// It waits for a seat.
    Wait,
    /// It waits, and editors who are idle for ten minutes lose their seats to those who wait.
    WaitForIdle,
}

/// What becomes of the visits that begin view-only, and at what cost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fallbacks {
    all: usize,
    /// Those that can edit within a minute.
    one_minute: usize,
    /// Those that can edit within five minutes, the former included.
    five_minutes: usize,
    /// Those that cannot edit before they end. Some get a seat at the moment at which they end.
    never: usize,
    /// Editors who lose their seats because they are idle.
    lost: usize,
    /// All visits, those that begin with edit access included, in which something is changed.
    changed: usize,
}

impl Fallbacks {
    /// Nobody loses a seat.
    fn new(all: usize, [one_minute, five_minutes]: [usize; 2], never: usize, changed: usize) -> Self {
        Fallbacks { all, one_minute, five_minutes, never, lost: 0, changed }
    }
}

fn rfcs(limit: u32, then: Then) -> Fallbacks {
    Run::new(&Trace::parse(include_str!("data/rfcs.jsonl")), limit, then)
}

#[test]
fn clownschool_has_one_editor_who_stays_to_the_end() {
    let trace = Trace::parse(include_str!("data/clownschool.jsonl"));
    for then in [Then::StayViewer, Then::Reload, Then::Wait, Then::WaitForIdle] {
        // The editor is never idle for ten minutes, and is the last to leave.
        assert_eq!(Run::new(&trace, 1, then), Fallbacks::new(2, [0, 0], 2, 1));
        assert_eq!(Run::new(&trace, 2, then), Fallbacks::new(0, [0, 0], 0, 3));
    }
}

#[test]
fn p12_rfcs_under_the_limit_that_one_open_in_a_hundred_passes() {
    // All 58 come in the same second as those who have the seats, and leave in the same second half an hour later.
    for then in [Then::StayViewer, Then::Reload, Then::Wait] {
        assert_eq!(rfcs(558, then), Fallbacks::new(58, [0, 0], 58, 5_756));
    }
    // Nobody changes anything in the first 20 minutes, so an editor who loses a seat needs it later.
    let idle = rfcs(558, Then::WaitForIdle);
    assert_eq!(idle, Fallbacks { lost: 48, ..Fallbacks::new(58, [0, 0], 26, 5_756) });
}

#[test]
fn p12_rfcs_under_a_limit_of_twenty() {
    assert_eq!(rfcs(20, Then::StayViewer), Fallbacks::new(933, [0, 0], 933, 4_881));
    assert_eq!(rfcs(20, Then::Reload), Fallbacks::new(933, [0, 0], 900, 4_883));
    assert_eq!(rfcs(20, Then::Wait), Fallbacks::new(933, [0, 0], 796, 4_886));
    let idle = rfcs(20, Then::WaitForIdle);
    assert_eq!(idle, Fallbacks { lost: 287, ..Fallbacks::new(933, [0, 0], 649, 4_886) });
}

#[test]
fn p12_rfcs_under_a_limit_of_three() {
    assert_eq!(rfcs(3, Then::StayViewer), Fallbacks::new(1_218, [0, 0], 1_218, 4_596));
    assert_eq!(rfcs(3, Then::Reload), Fallbacks::new(1_222, [0, 7], 1_149, 4_633));
    assert_eq!(rfcs(3, Then::Wait), Fallbacks::new(1_224, [3, 7], 1_089, 4_633));
    let idle = rfcs(3, Then::WaitForIdle);
    assert_eq!(idle, Fallbacks { lost: 325, ..Fallbacks::new(1_223, [25, 44], 971, 4_581) });
}

/// Visits, numbered from 0, and what happens in them, in order. A visit is one user at one document, from an open to a
/// close.
#[derive(Default)]
struct Trace {
    visitors: Vec<Visitor>,
    /// By visit: when it ends.
    ends: Vec<Timestamp>,
    steps: Vec<Step>,
}

struct Visitor {
    document: String,
    user: String,
}

#[derive(Clone, Copy)]
struct Step {
    at: Timestamp,
    action: Action,
    visit: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
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
    fn parse(text: &str) -> Self {
        let mut trace = Trace::default();
        let mut visits = HashMap::new();
        for line in text.lines() {
            let Line { at, c: action, connection, key, user } = serde_json::from_str(line).unwrap();
            if action == Action::Open {
                visits.insert(connection.clone(), trace.visitors.len());
                trace.visitors.push(Visitor { document: key.unwrap(), user: user.unwrap().id });
            }
            let (at, visit) = (Timestamp::from_millis(at), visits[&connection]);
            trace.ends.resize(trace.visitors.len(), Timestamp::MAX);
            if action == Action::Close {
                trace.ends[visit] = at;
            }
            trace.steps.push(Step { at, action, visit });
        }
        trace
    }
}

/// A run of a trace by an engine whose callbacks are acknowledged at once.
struct Run<'a> {
    trace: &'a Trace,
    then: Then,
    engine: Engine,
    clock: Arc<ManualClock>,
    callbacks: Callbacks,
    notices: Receiver<Notice>,
    /// By visit, while it is open.
    connections: HashMap<usize, Connection>,
    visits: HashMap<ConnectionId, usize>,
    /// Since when a visit that began view-only is so.
    view_only: HashMap<usize, Timestamp>,
    /// When which visits reload.
    reloads: BTreeSet<(Timestamp, usize)>,
    /// Editors who lost their seats and have not wanted to change anything since.
    idle: BTreeSet<usize>,
    /// The visits in which something was changed.
    changed: BTreeSet<usize>,
    fallbacks: Fallbacks,
}

impl<'a> Run<'a> {
    #[expect(clippy::new_ret_no_self, reason = "a run is over when it is made")]
    fn new(trace: &'a Trace, limit: u32, then: Then) -> Fallbacks {
        let clock = Arc::new(ManualClock::new(trace.steps[0].at));
        let idle = (then == Then::WaitForIdle).then_some(Duration::from_secs(600));
        let config = Config::new().shards(4).edit_limit(Some(limit)).idle_when_wanted(idle);
        let engine = Engine::new(config.clock(clock.clone())).unwrap();
        let mut run = Run {
            trace,
            then,
            clock,
            callbacks: engine.callbacks(),
            notices: engine.notices(),
            engine,
            connections: HashMap::new(),
            visits: HashMap::new(),
            view_only: HashMap::new(),
            reloads: BTreeSet::new(),
            idle: BTreeSet::new(),
            changed: BTreeSet::new(),
            fallbacks: Fallbacks::default(),
        };
        for step in &trace.steps {
            run.run_due(step.at);
            run.clock.move_to(step.at);
            match step.action {
                Action::Open => run.begin(step.visit),
                Action::Change => run.change(step.visit),
                Action::Close => run.end(step.visit),
            }
            run.settle();
        }
        run.run_due(Timestamp::MAX);
        run.engine.validate().unwrap();
        assert_eq!((run.engine.documents(), run.engine.limits().edit.in_use), (0, 0));
        assert!(run.connections.is_empty() && run.view_only.is_empty() && run.reloads.is_empty());
        Fallbacks { changed: run.changed.len(), ..run.fallbacks }
    }

    fn begin(&mut self, visit: usize) {
        if self.open(visit) {
            return;
        }
        self.fallbacks.all += 1;
        self.view_only.insert(visit, self.clock.now());
        match self.then {
            Then::StayViewer => {}
            Then::Reload => self.reload_later(visit),
            Then::Wait | Then::WaitForIdle => self.request_edit(visit),
        }
    }

    /// Returns true if the visit can edit.
    fn open(&mut self, visit: usize) -> bool {
        let Visitor { document, user: name } = &self.trace.visitors[visit];
        let connection = self.engine.open(&key(document), &user(name), Access::Edit).unwrap();
        let may_edit = connection.may_edit();
        self.visits.insert(connection.id(), visit);
        self.connections.insert(visit, connection);
        may_edit
    }

    fn request_edit(&mut self, visit: usize) {
        match self.connections[&visit].request_edit().unwrap() {
            EditRequest::Granted => self.granted(visit),
            answer => assert!(matches!(answer, EditRequest::Waiting { .. }), "{answer:?}"),
        }
    }

    fn reload_later(&mut self, visit: usize) {
        self.reloads.insert((Timestamp::from_millis(self.clock.now().as_millis() + 120_000), visit));
    }

    fn reload(&mut self, visit: usize) {
        drop(self.connections.remove(&visit));
        if self.open(visit) {
            self.granted(visit);
        } else {
            self.reload_later(visit);
        }
    }

    /// An editor who lost its seat asks for one at its next change.
    fn change(&mut self, visit: usize) {
        if self.idle.remove(&visit) {
            self.request_edit(visit);
        }
        if self.connections[&visit].may_edit() {
            self.connections[&visit].change().unwrap();
            self.changed.insert(visit);
        }
    }

    fn end(&mut self, visit: usize) {
        drop(self.connections.remove(&visit));
        self.idle.remove(&visit);
        self.reloads.retain(|(_, other)| *other != visit);
        self.fallbacks.never += usize::from(self.view_only.remove(&visit).is_some());
    }

    /// A visit can edit from now on.
    fn granted(&mut self, visit: usize) {
        let now = self.clock.now();
        if now >= self.trace.ends[visit] {
            return;
        }
        if let Some(since) = self.view_only.remove(&visit) {
            let time = Duration::from_millis(now.as_millis() - since.as_millis());
            self.fallbacks.one_minute += usize::from(time <= MINUTE);
            self.fallbacks.five_minutes += usize::from(time <= FIVE_MINUTES);
        }
    }

    /// Stops the clock at everything that is due up to `until`.
    fn run_due(&mut self, until: Timestamp) {
        loop {
            let reload = self.reloads.first().copied();
            let due = self.engine.next_deadline().into_iter().chain(reload.map(|(at, _)| at)).min();
            let Some(due) = due.filter(|due| *due <= until) else { return };
            self.clock.move_to(due);
            self.engine.tick();
            if let Some((at, visit)) = reload
                && at == due
            {
                self.reloads.remove(&(at, visit));
                self.reload(visit);
            }
            self.settle();
        }
    }

    /// Acknowledges callbacks, and takes notices.
    fn settle(&mut self) {
        for delivery in self.callbacks.try_iter() {
            delivery.ack();
        }
        let notices: Vec<Notice> = self.notices.try_iter().collect();
        for notice in notices {
            if let Notice::Access { connection, cause, .. } = notice {
                let visit = self.visits[&connection];
                if cause == AccessCause::Granted {
                    self.granted(visit);
                } else {
                    assert_eq!(cause, AccessCause::Wanted);
                    self.fallbacks.lost += 1;
                    self.idle.insert(visit);
                }
            }
        }
    }
}
