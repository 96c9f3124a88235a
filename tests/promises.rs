//! Tests of the promises P1 to P10 of the design, in order.
mod support;
use support::*;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use coedit::{
    Access, ActionKind, Bounds, Callback, ChangeError, Clock, Config, Connection, ConnectionError,
    ConnectionId, Delivery, DocumentError, DocumentKey, Engine, ErrorCode, ForceSaveError, ForgottenError,
    Grant, InfoError, Limits, ManualClock, MetaError, Reason, Status, Timestamp, TransportError,
    TryRecvError, UserId,
};

const NONE: Duration = Duration::ZERO;

fn limited(limit: Option<u32>) -> World {
    World::new(|config| config.edit_limit(limit))
}

fn refused(reason: Reason) -> Grant {
    Grant { access: Access::View, reason: Some(reason) }
}

/// A seeded random number generator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// The editors of one document, according to its callbacks.
#[derive(Default)]
struct EditorReplay {
    editors: Vec<(UserId, u32)>,
}

impl EditorReplay {
    fn users(&self) -> Vec<UserId> {
        self.editors.iter().map(|(user, _)| user.clone()).collect()
    }

    /// Applies one callback. Panics if it reports a leave without a join.
    fn apply(&mut self, callback: &Callback) {
        let Some(action) = &callback.action else { return };
        let at = self.editors.iter().position(|(user, _)| *user == action.user);
        match (action.kind, at) {
            (ActionKind::ForceSaveRequested, _) => {}
            (ActionKind::Joined, Some(at)) => self.editors[at].1 += 1,
            (ActionKind::Joined, None) => self.editors.push((action.user.clone(), 1)),
            (ActionKind::Left, None) => panic!("{} left without a join", action.user),
            (ActionKind::Left, Some(at)) => {
                self.editors[at].1 -= 1;
                self.editors.retain(|(_, tabs)| *tabs > 0);
            }
        }
    }

    /// Applies one callback. Checks that a callback of status 1 lists exactly the editors. Whoever edited before keeps the
    /// order. A user who came back before the leave was handed out has the former place.
    fn apply_and_check(&mut self, callback: &Callback) {
        self.apply(callback);
        let Some(listed) = callback.users.as_ref().filter(|_| callback.status == Status::Editing) else {
            return;
        };
        let joined = callback.action.as_ref().map(|action| &action.user);
        let others = |users: &[UserId]| -> Vec<UserId> {
            users.iter().filter(|user| Some(*user) != joined).cloned().collect()
        };
        assert_eq!(sorted(listed.clone()), sorted(self.users()), "{}", summary(callback));
        assert_eq!(others(listed), others(&self.users()), "{}", summary(callback));
        self.editors.sort_by_key(|(user, _)| listed.iter().position(|other| other == user));
    }
}

fn sorted(mut users: Vec<UserId>) -> Vec<UserId> {
    users.sort();
    users
}

/// Runs `act` on a thread of its own. A deadlock fails the test and does not hang it.
fn without_deadlock(act: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        act();
        let _ = done.send(());
    });
    let waited = finished.recv_timeout(seconds(60));
    assert_ne!(waited, Err(std::sync::mpsc::RecvTimeoutError::Timeout), "deadlock");
    thread.join().unwrap();
}

// P1

#[test]
fn p1_exactly_as_many_connections_as_the_limit_get_edit_access() {
    for (limit, granted) in [(Some(0), 0), (Some(1), 1), (Some(2), 2), (None, 5)] {
        let world = limited(limit);
        let open: Vec<Connection> =
            (0..5).map(|n| world.open(&format!("doc-{n}"), &format!("user-{n}"), Access::Edit)).collect();
        for (n, connection) in open.iter().enumerate() {
            let expected = Grant { access: Access::Edit, reason: None };
            let expected = if n < granted { expected } else { refused(Reason::ConnectionLimit) };
            assert_eq!(connection.granted(), expected, "limit {limit:?}, connection {n}");
        }
        let edit = world.engine.limits().edit;
        assert_eq!((edit.limit, edit.in_use as usize), (limit, granted));
        world.engine.validate().unwrap();
    }
}

#[test]
fn p1_the_limit_counts_connections_not_users_or_documents() {
    let world = limited(Some(2));
    let _first = world.edit("a", "ann");
    let _second = world.edit("a", "ann");
    assert_eq!(world.open("a", "ann", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    assert_eq!(world.open("b", "ann", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    // Viewers and live viewers take no edit seat.
    let _view = world.open("a", "ben", Access::View);
    let _live = world.open("a", "ben", Access::LiveView);
    assert_eq!(world.engine.limits().edit.in_use, 2);
}

#[test]
fn p1_a_released_seat_is_free_at_once() {
    type Free = fn(&World, Connection);
    let world = limited(Some(1));
    let ways: [(&str, Free); 7] = [
        ("drop", |_, connection| drop(connection)),
        ("close", |_, connection| connection.close()),
        ("lost", |_, connection| assert_eq!(connection.lost(), Ok(None))),
        ("close by id", |world, connection| world.engine.close(connection.into_id()).unwrap()),
        ("drop_connection", |world, connection| {
            world.engine.drop_connection(connection.into_id()).unwrap();
        }),
        ("drop_users", |world, connection| {
            world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap();
            drop(connection);
        }),
        ("drop_all", |world, connection| {
            world.engine.drop_all(&key("doc")).unwrap();
            drop(connection);
        }),
    ];
    for (way, free) in ways {
        let ann = world.edit("doc", "ann");
        assert_eq!(
            world.open("doc", "ben", Access::Edit).granted(),
            refused(Reason::ConnectionLimit),
            "{way}"
        );
        free(&world, ann);
        assert_eq!(world.engine.limits().edit.in_use, 0, "{way}");
        drop(world.edit("other", "ben"));
    }
}

#[test]
fn p1_a_dropped_connection_releases_its_seat_only_once() {
    let world = limited(Some(2));
    let ann = world.edit("doc", "ann");
    let ben = world.edit("doc", "ben");
    world.engine.drop_connection(ann.id()).unwrap();
    assert_eq!(world.engine.limits().edit.in_use, 1);
    world.engine.drop_connection(ann.id()).unwrap();
    world.engine.drop_all(&key("doc")).unwrap();
    drop((ann, ben));
    assert_eq!(world.engine.limits().edit.in_use, 0);
    world.engine.validate().unwrap();
}

#[test]
fn p1_a_changed_limit_holds_from_then_on() {
    let world = limited(Some(1));
    let first = world.edit("doc", "ann");
    world.engine.set_edit_limit(Some(3)).unwrap();
    let second = world.edit("doc", "ben");
    let third = world.edit("doc", "cat");
    assert_eq!(world.open("doc", "dan", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    // Under a lowered limit the connections keep their seats, and no new one gets a seat until enough have left.
    world.engine.set_edit_limit(Some(1)).unwrap();
    assert!(first.may_edit() && second.may_edit() && third.may_edit());
    assert_eq!(world.engine.limits().edit.in_use, 3);
    drop(first);
    drop(second);
    assert_eq!(world.open("doc", "dan", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    drop(third);
    let fourth = world.edit("doc", "dan");
    world.engine.set_edit_limit(Some(0)).unwrap();
    assert!(fourth.may_edit());
    assert_eq!(world.open("doc", "eve", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    world.engine.set_edit_limit(None).unwrap();
    drop(world.edit("doc", "eve"));
    world.engine.validate().unwrap();
}

#[test]
fn p1_threads_never_hold_more_than_the_limit() {
    const LIMIT: u32 = 3;
    let world = limited(Some(LIMIT));
    // Counts each seat from after its grant until before its release, so never more seats than are held.
    let held = AtomicU32::new(0);
    thread::scope(|scope| {
        for worker in 0..8 {
            let (world, held) = (&world, &held);
            scope.spawn(move || {
                let mut dice = Dice(worker);
                for _ in 0..3_000 {
                    let document = format!("doc-{}", dice.roll(5));
                    let connection = world.open(&document, &format!("user-{worker}"), Access::Edit);
                    if connection.granted().access != Access::Edit {
                        assert_eq!(connection.granted(), refused(Reason::ConnectionLimit));
                        continue;
                    }
                    assert!(held.fetch_add(1, Ordering::SeqCst) < LIMIT);
                    if dice.roll(3) == 0 {
                        thread::yield_now();
                    }
                    held.fetch_sub(1, Ordering::SeqCst);
                    if dice.roll(4) == 0 {
                        world.engine.drop_connection(connection.id()).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(world.engine.limits().edit.in_use, 0);
    world.engine.validate().unwrap();
}

#[test]
fn p1_threads_are_never_refused_while_a_seat_is_free() {
    // There are as many threads as seats and each has one connection at a time, so a seat is always free.
    let world = limited(Some(4));
    thread::scope(|scope| {
        for worker in 0..4 {
            let world = &world;
            scope.spawn(move || {
                for round in 0..3_000 {
                    let connection = world.edit(&format!("doc-{}", round % 3), &format!("user-{worker}"));
                    match round % 3 {
                        0 => drop(connection),
                        1 => world.engine.close(connection.into_id()).unwrap(),
                        _ => {
                            world.engine.drop_connection(connection.id()).unwrap();
                        }
                    }
                }
            });
        }
    });
    world.engine.validate().unwrap();
}

#[test]
fn p1_the_limit_holds_while_another_thread_changes_it() {
    const MOST: u32 = 4;
    let world = limited(Some(MOST));
    let (held, done) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let mover = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for limit in (0..=MOST).rev() {
                    world.engine.set_edit_limit(Some(limit)).unwrap();
                }
            }
        });
        let workers: Vec<_> = (0..6)
            .map(|worker| {
                let (world, held) = (&world, &held);
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        let connection = world.open("doc", &format!("user-{worker}"), Access::Edit);
                        if connection.may_edit() {
                            assert!(held.fetch_add(1, Ordering::SeqCst) < MOST);
                            held.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        mover.join().unwrap();
    });
    assert_eq!(world.engine.limits().edit.in_use, 0);
    world.engine.validate().unwrap();
}

// P2

#[test]
fn p2_a_refused_user_becomes_a_viewer_and_gets_the_reason() {
    type Prepare = fn(&World) -> Vec<Connection>;
    let rows: [(Access, Reason, Prepare); 4] = [
        (Access::Edit, Reason::ConnectionLimit, |world| {
            world.engine.set_edit_limit(Some(0)).unwrap();
            vec![]
        }),
        (Access::LiveView, Reason::LiveViewLimit, |world| {
            world.engine.set_live_limit(Some(0)).unwrap();
            vec![]
        }),
        (Access::Edit, Reason::Draining, |world| {
            world.engine.drain();
            vec![]
        }),
        (Access::Edit, Reason::Saving, |world| {
            let ann = world.edit("doc", "ann");
            ann.change().unwrap();
            drop(ann);
            world.ack();
            world.pass(seconds(10));
            // The callback is handed out and never settled.
            std::mem::forget(world.take());
            vec![]
        }),
    ];
    for (asked, reason, prepare) in rows {
        let world = World::plain();
        let _others = prepare(&world);
        let seats = |limits: Limits| [limits.edit, limits.live];
        let in_use = seats(world.engine.limits());
        let ben = world.open("doc", "ben", asked);
        assert_eq!(ben.granted(), refused(reason));
        assert_eq!((ben.access(), ben.may_edit()), (Some(Access::View), false), "{reason}");
        let participants = world.engine.participants(&key("doc"));
        assert_eq!(participants.len(), 1, "{reason}");
        assert_eq!(
            (participants[0].user.id(), participants[0].access),
            (&id("ben"), Access::View),
            "{reason}"
        );
        assert!(world.engine.is_open(&key("doc")));
        assert_eq!(ben.change(), Err(ChangeError::ViewOnly), "{reason}");
        assert_eq!(seats(world.engine.limits()), in_use, "{reason} takes no seat");
        world.engine.validate().unwrap();
    }
}

// P3

#[test]
fn p3_after_a_drop_no_change_is_accepted() {
    type DropAccess = fn(&World, ConnectionId);
    let ways: [DropAccess; 3] = [
        |world, _| drop(world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap()),
        |world, _| drop(world.engine.drop_all(&key("doc")).unwrap()),
        |world, ann| drop(world.engine.drop_connection(ann).unwrap()),
    ];
    for drop_access in ways {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        let first = world.clock.now();
        ann.change().unwrap();
        world.clock.advance(seconds(1));
        drop_access(&world, ann.id());
        assert_eq!(ann.access(), Some(Access::View));
        assert_eq!(ann.change(), Err(ChangeError::ViewOnly));
        assert_eq!(world.engine.change(ann.id()), Err(ChangeError::ViewOnly));
        world.ack();
        let save = world.ack();
        assert_eq!((save.status, save.lastsave), (Status::Save, Some(first)));
        assert_eq!(ann.change(), Err(ChangeError::ViewOnly));
        assert!(world.acknowledge_all().is_empty());
    }
}

#[test]
fn p3_no_change_is_accepted_after_a_concurrent_drop_returned() {
    for round in 0..300 {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        let ben = world.edit("doc", "ben");
        let (dropped, start) = (AtomicBool::new(false), Barrier::new(3));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        let late = dropped.load(Ordering::SeqCst);
                        let accepted = ann.change().is_ok();
                        assert!(!(late && accepted), "a change was accepted after drop returned");
                        if late {
                            break;
                        }
                    }
                });
            }
            start.wait();
            match round % 3 {
                0 => drop(world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap()),
                1 => drop(world.engine.drop_all(&key("doc")).unwrap()),
                _ => drop(world.engine.drop_connection(ann.id()).unwrap()),
            }
            dropped.store(true, Ordering::SeqCst);
        });
        assert_eq!(ben.change().is_ok(), round % 3 != 1, "only the named users are dropped");
        world.engine.validate().unwrap();
    }
}

// P4

#[test]
fn p4_a_slow_worker_holds_up_only_its_own_document() {
    let world = World::plain();
    let _open: Vec<Connection> = [("a", "ann"), ("a", "ben"), ("b", "cat"), ("b", "dan")]
        .map(|(doc, name)| world.edit(doc, name))
        .into();
    let other = world.callbacks.clone();
    let slow = world.take();
    assert_eq!((slow.callback().key.as_str(), summary(slow.callback())), ("a", "1 +ann [ann]".to_owned()));
    let meanwhile: Vec<String> = other
        .try_iter()
        .map(Settle::acked)
        .map(|callback| format!("{} {}", callback.key, summary(&callback)))
        .collect();
    assert_eq!(meanwhile, ["b 1 +cat [cat]", "b 1 +dan [cat dan]"]);
    slow.acked();
    assert_eq!(summary(&other.try_recv().unwrap().acked()), "1 +ben [ann ben]");
}

#[test]
fn p4_replaying_the_callbacks_gives_the_editors_under_any_threads() {
    const DOCUMENTS: usize = 6;
    let world = World::new(|config| config.save_delay(NONE));
    let handed_out: Mutex<HashMap<DocumentKey, Vec<Arc<Callback>>>> = Mutex::default();
    let in_hand: Mutex<HashMap<DocumentKey, bool>> = Mutex::default();
    let done = AtomicBool::new(false);
    let work = |pace: usize| {
        loop {
            let stop = done.load(Ordering::SeqCst);
            let Ok(delivery) = world.callbacks.try_recv() else {
                if stop {
                    break;
                }
                thread::yield_now();
                continue;
            };
            let callback = Arc::new(delivery.callback().clone());
            let document = callback.key.clone();
            assert_ne!(
                in_hand.lock().unwrap().insert(document.clone(), true),
                Some(true),
                "two callbacks of one document are outstanding"
            );
            (0..pace).for_each(|_| thread::yield_now());
            handed_out.lock().unwrap().entry(document.clone()).or_default().push(callback);
            in_hand.lock().unwrap().insert(document, false);
            delivery.acked();
        }
    };
    let mut open = Vec::new();
    thread::scope(|scope| {
        let workers = [0, 0, 50].map(|pace| scope.spawn(move || work(pace)));
        let editors: Vec<_> = (0..3)
            .map(|seed| {
                let world = &world;
                scope.spawn(move || {
                    let mut dice = Dice(seed);
                    let mut open: Vec<Connection> = Vec::new();
                    for _ in 0..600 {
                        let document = format!("doc-{}", dice.roll(DOCUMENTS));
                        let name = format!("user-{}", dice.roll(4));
                        match dice.roll(4) {
                            0 | 1 if open.len() < 6 => open.push(world.open(&document, &name, Access::Edit)),
                            2 => {
                                for connection in &open {
                                    let _ = connection.change();
                                }
                            }
                            _ if open.is_empty() => {}
                            _ => drop(open.swap_remove(dice.roll(open.len()))),
                        }
                    }
                    open
                })
            })
            .collect();
        for editor in editors {
            open.extend(editor.join().unwrap());
        }
        done.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let handed_out = handed_out.into_inner().unwrap();
    assert_eq!(handed_out.len(), DOCUMENTS);
    let mut tabs = 0;
    for (document, callbacks) in handed_out {
        let mut replay = EditorReplay::default();
        for callback in &callbacks {
            replay.apply_and_check(callback);
        }
        assert_eq!(replay.users(), world.engine.editors(&document), "{document}");
        tabs += replay.editors.iter().map(|(_, tabs)| tabs).sum::<u32>();
    }
    assert_eq!(tabs as usize, open.iter().filter(|connection| connection.may_edit()).count());
    world.engine.validate().unwrap();
}

// P5

/// Records the last change and the last saved change of each document. Every change has a millisecond of its own, so
/// `lastsave` identifies the changes in a save.
#[derive(Default)]
struct SaveLog {
    changed: BTreeMap<DocumentKey, Timestamp>,
    saved: BTreeMap<DocumentKey, Timestamp>,
}

impl SaveLog {
    fn change(&mut self, world: &World, document: &str, connection: &Connection) {
        world.clock.advance(Duration::from_millis(1));
        if connection.change().is_ok() {
            self.changed.insert(key(document), world.clock.now());
        }
    }

    fn acknowledge(&mut self, delivery: Delivery) {
        let callback = delivery.acked();
        if matches!(callback.status, Status::Save | Status::ForceSave) {
            let saved = self.saved.entry(callback.key.clone()).or_default();
            *saved = callback.lastsave.unwrap().max(*saved);
        }
    }

    /// Returns the documents with a change that is in no acknowledged save.
    fn unsaved(&self) -> Vec<DocumentKey> {
        let unsaved = |(document, changed): &(&DocumentKey, &Timestamp)| {
            self.saved.get(*document).is_none_or(|saved| saved < *changed)
        };
        self.changed.iter().filter(unsaved).map(|(document, _)| document.clone()).collect()
    }
}

fn forgotten(world: &World) -> Vec<DocumentKey> {
    world.engine.forgotten().into_iter().map(|forgotten| forgotten.key).collect()
}

/// Lets the storage settle every callback, and moves the clock until nothing is due any more.
fn settle_until_idle(world: &World, mut settle: impl FnMut(Delivery)) {
    loop {
        world.engine.tick();
        let mut settled = 0;
        for delivery in world.callbacks.try_iter() {
            settle(delivery);
            settled += 1;
        }
        world.engine.validate().unwrap();
        match world.engine.next_deadline() {
            Some(due) => world.clock.move_to(due),
            None if settled == 0 => break,
            None => {}
        }
    }
}

fn panic_with(delivery: Delivery) {
    let worker = thread::spawn(move || {
        let _in_hand = delivery;
        std::panic::resume_unwind(Box::new("the worker panics"));
    });
    assert!(worker.join().is_err());
}

#[test]
fn p5_if_the_storage_fails_every_save_the_document_is_listed() {
    type Fail = fn(Delivery);
    let ways: [Fail; 3] = [|delivery| drop(delivery.failed()), |delivery| drop(delivery), panic_with];
    for fail in ways {
        let world = World::with_three_retries();
        for document in ["a", "b", "c"] {
            let ann = world.edit(document, "ann");
            // Document c has no unsaved change.
            if document != "c" {
                ann.change().unwrap();
            }
        }
        let mut attempts = BTreeMap::<(String, u8), u32>::new();
        settle_until_idle(&world, |delivery| {
            let callback = delivery.callback();
            *attempts.entry((callback.key.to_string(), callback.status.number())).or_default() += 1;
            fail(delivery);
        });
        assert_eq!(forgotten(&world), [key("a"), key("b")]);
        let attempts: Vec<_> =
            attempts.into_iter().map(|((key, status), times)| (key, status, times)).collect();
        let of_changed = |key| [1, 2, 3].map(|status| (key, status, 4));
        // The closing of c is due, so it supersedes the join when that fails.
        let expected = [&of_changed("a")[..], &of_changed("b"), &[("c", 1, 1), ("c", 4, 4)]].concat();
        let expected: Vec<_> =
            expected.into_iter().map(|(key, status, times)| (key.to_owned(), status, times)).collect();
        assert_eq!(attempts, expected);
    }
}

#[test]
fn p5_a_storage_that_recovers_gets_the_save() {
    for failures in 0..=3 {
        let world = World::plain();
        let mut log = SaveLog::default();
        let ann = world.edit("doc", "ann");
        log.change(&world, "doc", &ann);
        drop(ann);
        let mut failed = 0;
        settle_until_idle(&world, |delivery| {
            if delivery.callback().status == Status::Save && failed < failures {
                failed += 1;
                panic_with(delivery);
            } else {
                log.acknowledge(delivery);
            }
        });
        assert_eq!((failed, log.unsaved(), forgotten(&world)), (failures, vec![], vec![]));
        assert!(!world.engine.is_open(&key("doc")));
    }
}

#[test]
fn p5_every_change_is_saved_or_its_document_listed_whatever_fails() {
    for seed in 0..60 {
        let world = World::plain();
        let mut dice = Dice(seed);
        let mut log = SaveLog::default();
        let mut open: Vec<(String, Connection)> = Vec::new();
        // Without force saves, a document is listed exactly if it has an unsaved change.
        let force_saves = seed % 2 == 1;
        for _ in 0..300 {
            let document = format!("doc-{}", dice.roll(3));
            match dice.roll(9) {
                0 | 1 => {
                    let name = format!("user-{}", dice.roll(3));
                    let connection = world.open(&document, &name, Access::Edit);
                    open.push((document, connection));
                }
                2 | 3 if !open.is_empty() => {
                    let (document, connection) = &open[dice.roll(open.len())];
                    log.change(&world, document, connection);
                }
                4 if !open.is_empty() => drop(open.swap_remove(dice.roll(open.len()))),
                5 if force_saves => drop(world.engine.force_save(&key(&document), None)),
                6 => world.pass(Duration::from_millis([500, 1_000, 4_000, 10_000][dice.roll(4)])),
                7 | 8 => {
                    let Ok(delivery) = world.callbacks.try_recv() else { continue };
                    match dice.roll(6) {
                        0 | 1 => drop(delivery.failed()),
                        2 => drop(delivery),
                        _ => log.acknowledge(delivery),
                    }
                }
                _ if dice.roll(10) == 0 => drop(world.engine.drop_all(&key(&document))),
                _ => {}
            }
            world.engine.validate().unwrap();
        }
        open.clear();
        settle_until_idle(&world, |delivery| match dice.roll(5) {
            0 | 1 => log.acknowledge(delivery),
            2 => panic_with(delivery),
            _ => drop(delivery.failed()),
        });
        let (unsaved, listed) = (log.unsaved(), forgotten(&world));
        assert!(unsaved.iter().all(|document| listed.contains(document)), "{seed}: {unsaved:?}, {listed:?}");
        if !force_saves {
            assert_eq!(unsaved, listed, "{seed}");
        }
        assert_eq!(
            world.engine.documents(),
            listed.len(),
            "{seed}: what is listed is open, and nothing else"
        );
    }
}

#[test]
fn p5_a_failure_during_the_end_of_the_engine_is_retried() {
    for round in 0..1_500 {
        let world = World::new(|config| config.shards(1));
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        let in_hand = world.take();
        // More callbacks in the same shard make the threads compete for its lock.
        let others: Vec<Connection> = (0..20).map(|n| world.edit(&format!("other-{n}"), "ben")).collect();
        let World { engine, callbacks, .. } = world;
        let start = Barrier::new(3);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                in_hand.failed();
            });
            scope.spawn(|| {
                start.wait();
                callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
            });
            start.wait();
            drop((ann, others, engine));
        });
        callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
        assert_eq!(
            callbacks.try_recv().unwrap_err(),
            TryRecvError::Disconnected,
            "round {round}: a callback is left that is never handed out"
        );
    }
}

// P6

#[test]
fn p6_past_the_bound_waiting_joins_and_leaves_cancel_out() {
    // How often ben joins and leaves beside ann, whether he joins once more, and the number of his actions.
    for (pairs, once_more, expected_actions) in
        [(511, false, 1_022), (512, false, 1_024), (513, false, 1_024), (512, true, 1_025)]
    {
        let world = World::plain();
        let _ann = world.edit("doc", "ann");
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
        for _ in 0..pairs {
            drop(world.edit("doc", "ben"));
        }
        let ben = once_more.then(|| world.edit("doc", "ben"));
        let actions = world.acknowledge_all();
        assert_eq!(actions.len(), expected_actions, "{pairs} pairs");
        for (number, action) in actions.iter().enumerate() {
            let expected = if number % 2 == 0 { "1 +ben [ann ben]" } else { "1 -ben [ann]" };
            assert_eq!(action, expected, "{pairs} pairs, action {number}");
        }
        drop(ben);
        world.engine.validate().unwrap();
    }
}

#[test]
fn p6_past_the_bound_a_leave_and_a_new_join_cancel_out() {
    let bounds = Bounds { waiting_actions: 2, ..Bounds::default() };
    for others in [0, 1] {
        let world = World::new(|config| config.bounds(bounds));
        let ann = world.edit("doc", "ann");
        let _others: Vec<Connection> = (0..others).map(|_| world.edit("doc", "cat")).collect();
        assert_eq!(world.acknowledge_all().len(), 1 + others);
        drop(world.edit("doc", "ben"));
        drop(ann);
        let ann = world.edit("doc", "ann");
        let callbacks = world.acknowledge_all();
        assert_eq!(callbacks.len(), 2, "{callbacks:?}");
        assert!(callbacks[0].starts_with("1 +ben") && callbacks[1].starts_with("1 -ben"), "{callbacks:?}");
        // The last leave closes an unchanged document, also past the bound.
        drop(world.edit("doc", "ben"));
        drop(ann);
        let callbacks = world.acknowledge_all();
        assert_eq!(callbacks[2..], [if others == 0 { "4 -ann" } else { "1 -ann [cat]" }], "{callbacks:?}");
    }
}

#[test]
fn p6_a_host_that_was_stalled_gets_few_and_correct_callbacks() {
    let world = World::plain();
    let mut dice = Dice(6);
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..20_000 {
        if open.len() < 8 && dice.roll(2) == 0 {
            open.push(world.edit("doc", &format!("user-{}", dice.roll(5))));
        } else if !open.is_empty() {
            drop(open.swap_remove(dice.roll(open.len())));
        }
    }
    if open.is_empty() {
        open.push(world.edit("doc", "user-0"));
    }
    world.engine.validate().unwrap();
    let truth = world.engine.editors(&key("doc"));
    let mut replay = EditorReplay::default();
    let mut count = 0;
    for delivery in world.callbacks.try_iter() {
        let callback = delivery.acked();
        replay.apply(&callback);
        count += 1;
        if callback.status == Status::Editing {
            assert_eq!(sorted(callback.users.clone().unwrap()), sorted(replay.users()));
        }
    }
    // Beyond the bound wait at most one leave for each earlier connection and one join for each open one.
    assert!((1_024..=1_024 + 8 + 8).contains(&count), "{count}");
    assert_eq!(sorted(replay.users()), sorted(truth));
    assert_eq!(replay.editors.iter().map(|(_, tabs)| *tabs as usize).sum::<usize>(), open.len());
    open.clear();
    world.callbacks.try_iter().for_each(|delivery| replay.apply(&delivery.acked()));
    assert!(replay.editors.is_empty(), "every join has a leave");
}

#[test]
fn p6_a_slow_storage_still_gets_every_save_and_every_answer() {
    let bounds = Bounds { waiting_actions: 4, ..Bounds::default() };
    let world = World::new(|config| config.bounds(bounds));
    let ann = world.edit("doc", "ann");
    let join_and_leave = || (0..10).for_each(|_| drop(world.edit("doc", "ben")));
    join_and_leave();
    let asked = world.engine.info(&key("doc"), Some("one")).unwrap();
    join_and_leave();
    ann.change().unwrap();
    world.engine.force_save(&key("doc"), Some("two")).unwrap();
    join_and_leave();
    ann.change().unwrap();
    drop(ann);
    join_and_leave();
    world.pass(seconds(10));
    let mut replay = EditorReplay::default();
    let mut answers = Vec::new();
    for delivery in world.callbacks.try_iter() {
        let callback = delivery.acked();
        replay.apply(&callback);
        if callback.action.is_none() || callback.status == Status::Save {
            answers.push((callback.status.number(), callback.userdata.clone(), callback.users.clone()));
        }
    }
    assert_eq!(
        answers,
        [
            (1, Some("one".into()), Some(asked)),
            (6, Some("two".into()), Some(vec![id("ann")])),
            (2, None, Some(vec![id("ann")])),
        ]
    );
    assert!(replay.editors.is_empty());
    world.engine.validate().unwrap();
}

#[test]
fn p6_past_the_bound_of_waiting_documents_an_unchanged_closed_document_gets_no_callback() {
    let three = Bounds { waiting_documents: 3, ..Bounds::default() };
    let world = || World::new(|config| config.bounds(three).save_delay(NONE));
    let open_and_close = |world: &World, documents: &[&str]| {
        for document in documents {
            drop(world.edit(document, "ann"));
        }
    };
    let statuses = |world: &World| -> Vec<String> {
        let callbacks = world.callbacks.try_iter().map(Settle::acked);
        callbacks.map(|callback| format!("{} {}", callback.key, callback.status.number())).collect()
    };

    // With as many documents as the bound, each gets its callbacks.
    let exact = world();
    open_and_close(&exact, &["a", "b", "c"]);
    assert_eq!(statuses(&exact), ["a 1", "a 4", "b 1", "b 4", "c 1", "c 4"]);

    // Two more documents get none.
    let past = world();
    open_and_close(&past, &["a", "b", "c", "d", "e"]);
    past.engine.validate().unwrap();
    assert_eq!(statuses(&past), ["a 1", "a 4", "b 1", "b 4", "c 1", "c 4"]);

    // Past the bound, a document still gets its callbacks if it had one before, has a request or was changed.
    let kept = world();
    let known = kept.edit("known", "ann");
    assert_eq!(kept.acknowledge_all(), ["1 +ann [ann]"]);
    let asked = kept.edit("asked", "ann");
    kept.engine.info(&key("asked"), None).unwrap();
    open_and_close(&kept, &["a", "b", "c"]);
    drop((known, asked));
    let changed = kept.edit("changed", "ann");
    changed.change().unwrap();
    drop(changed);
    let all = statuses(&kept);
    for (document, expected) in [("known", "4"), ("asked", "114"), ("changed", "12"), ("a", "14"), ("c", "")]
    {
        let of: String = all.iter().filter_map(|line| line.strip_prefix(&format!("{document} "))).collect();
        assert_eq!(of, expected, "{document}");
    }

    // An open document gets its callbacks. Only a closed one can lose them.
    let open = world();
    open_and_close(&open, &["a", "b", "c"]);
    let _still = open.edit("d", "ann");
    assert_eq!(statuses(&open), ["a 1", "a 4", "b 1", "b 4", "c 1", "c 4", "d 1"]);
}

#[test]
fn p6_with_callbacks_off_the_engine_keeps_nothing_for_them() {
    let world = World::new(|config| {
        config.callbacks(false).edit_limit(Some(2)).force_save_interval(Some(seconds(1)))
    });
    for round in 0..2_000 {
        let ann = world.edit(&format!("doc-{round}"), "ann");
        ann.change().unwrap();
        assert_eq!(world.engine.info(&key(&format!("doc-{round}")), Some("x")), Ok(vec![id("ann")]));
        assert_eq!(ann.may_edit(), world.engine.press_save(ann.id()) == Err(ForceSaveError::NotChanged));
    }
    // Far more requests and far more joins and leaves than the bounds. The limits still hold.
    let ann = world.edit("doc", "ann");
    for _ in 0..200 {
        assert_eq!(world.engine.info(&key("doc"), None), Ok(vec![id("ann")]));
        drop(world.edit("doc", "ben"));
    }
    let ben = world.edit("doc", "ben");
    assert_eq!(world.open("doc", "cat", Access::Edit).granted(), refused(Reason::ConnectionLimit));
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    ben.change().unwrap();
    drop((ann, ben));
    assert_eq!((world.engine.documents(), world.engine.next_deadline()), (0, None));
    assert!(!world.engine.is_open(&key("doc")) && world.engine.forgotten().is_empty());
    assert_eq!(world.callbacks.try_recv().unwrap_err(), TryRecvError::Empty);
    world.engine.validate().unwrap();
    let World { engine, callbacks, .. } = world;
    drop(engine);
    assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

// P7

/// Calls every method of the engine.
fn call_everything(engine: &Engine, document: &str) {
    let document = key(document);
    let tab = engine.open(&document, &user("guest"), Access::Edit).unwrap();
    let _ = tab.change();
    let _ = (engine.info(&document, None), engine.force_save(&document, None), engine.press_save(tab.id()));
    let _ = (engine.submit_form(tab.id()), engine.rename(&document, "title"), engine.license());
    let _ = (engine.participants(&document), engine.editors(&document), engine.documents());
    let _ = (engine.drop_users(&document, &[id("guest")]), engine.drop_connection(tab.id()));
    let _ = (engine.forgotten(), engine.forgotten_at(&document), engine.delete_forgotten(&document));
    let _ = (engine.set_edit_limit(None), engine.limits(), engine.next_deadline(), engine.tick());
    let _ = (engine.is_open(&document), engine.is_outstanding(&document), engine.validate());
    drop(engine.adopt(tab.into_id()));
}

#[test]
fn p7_a_storage_may_call_the_engine_from_its_callback_handler() {
    without_deadlock(|| {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        let in_hand = world.take();
        call_everything(&world.engine, "doc");
        assert_eq!(world.engine.info(&key("doc"), None), Ok(vec![id("ann")]));
        assert_eq!(world.engine.drop_all(&key("doc")).unwrap().connections, [ann.id()]);
        assert_eq!(world.callbacks.try_recv().unwrap_err(), TryRecvError::Empty);
        in_hand.acked();
        world.engine.validate().unwrap();
    });
}

/// A clock that calls the engine whenever it is read.
struct CallingClock {
    engine: OnceLock<Engine>,
    busy: AtomicBool,
    calls: AtomicU32,
    time: ManualClock,
}

impl Clock for CallingClock {
    fn now(&self) -> Timestamp {
        if let Some(engine) = self.engine.get()
            && !self.busy.swap(true, Ordering::SeqCst)
        {
            self.calls.fetch_add(1, Ordering::SeqCst);
            call_everything(engine, "doc");
            self.busy.store(false, Ordering::SeqCst);
        }
        self.time.now()
    }
}

#[test]
fn p7_a_clock_may_call_the_engine() {
    without_deadlock(|| {
        let clock = Arc::new(CallingClock {
            engine: OnceLock::new(),
            busy: AtomicBool::new(false),
            calls: AtomicU32::new(0),
            time: ManualClock::new(Timestamp::from_millis(START)),
        });
        let engine = Engine::new(Config::new().shards(1).clock(clock.clone())).unwrap();
        assert!(clock.engine.set(engine.clone()).is_ok());
        let callbacks = engine.callbacks();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        engine.drop_all(&key("doc")).unwrap();
        drop(ann);
        let ben = engine.open(&key("other"), &user("ben"), Access::Edit).unwrap();
        ben.change().unwrap();
        drop(ben);
        callbacks.try_iter().take(20).for_each(|delivery| drop(delivery.failed()));
        clock.time.advance(seconds(10));
        engine.tick();
        assert!(clock.calls.load(Ordering::SeqCst) >= 4);
        engine.validate().unwrap();
    });
}

// P8: the benchmarks show the cost of a call. This test shows which documents a call affects.

#[test]
fn p8_a_command_on_one_document_does_not_affect_others() {
    let world = World::plain();
    // The same users are in every document.
    let open: Vec<Connection> = (0..500)
        .flat_map(|n| ["ann", "ben"].map(|name| (format!("doc-{n}"), name)))
        .map(|(document, name)| world.edit(&document, name))
        .collect();
    let _cat = world.edit("doc-250", "cat");
    world.callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
    let doc = key("doc-250");
    assert_eq!(world.engine.info(&doc, None), Ok(vec![id("ann"), id("ben"), id("cat")]));
    assert_eq!(world.acknowledge_all(), ["1 [ann ben cat]"]);
    let dropped = world.engine.drop_users(&doc, &[id("ann"), id("dan")]).unwrap();
    assert_eq!((dropped.connections, dropped.unmatched), (vec![open[500].id()], vec![id("dan")]));
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben cat]"]);
    assert_eq!(world.engine.limits().edit.in_use, 1_000);
    assert_eq!(open.iter().filter(|connection| !connection.may_edit()).count(), 1);
    assert_eq!(world.engine.documents(), 500);
}

// P9

/// Acknowledges every callback. Returns each as JSON.
fn acknowledge_as_json(callbacks: &coedit::Callbacks) -> Vec<String> {
    callbacks.try_iter().map(|delivery| serde_json::to_string(&*delivery.acked()).unwrap()).collect()
}

/// Runs a history several times. Checks that the callbacks and their order are the same each time.
#[track_caller]
fn assert_reproducible(history: impl Fn() -> Vec<String>) {
    let first = history();
    assert!(!first.is_empty());
    for run in 1..12 {
        assert_eq!(history(), first, "run {run} differs from the first");
    }
}

#[test]
fn p9_the_same_random_history_gives_the_same_callbacks_in_the_same_order() {
    assert_reproducible(|| {
        let world =
            World::new(|config| config.shards(16).force_save_interval(Some(seconds(7))).edit_limit(Some(20)));
        let mut dice = Dice(9);
        let (mut open, mut all): (Vec<Connection>, _) = (Vec::new(), Vec::new());
        for _ in 0..2_000 {
            let document = format!("doc-{}", dice.roll(12));
            match dice.roll(8) {
                0 | 1 => open.push(world.open(&document, &format!("user-{}", dice.roll(6)), Access::Edit)),
                2 | 3 => drop(open.get(dice.roll(open.len() + 1)).map(Connection::change)),
                4 if !open.is_empty() => drop(open.remove(dice.roll(open.len()))),
                5 => drop(world.engine.info(&key(&document), Some("asked"))),
                6 => world.pass(Duration::from_millis([1, 500, 3_000][dice.roll(3)])),
                _ => {
                    let Ok(delivery) = world.callbacks.try_recv() else { continue };
                    all.push(serde_json::to_string(delivery.callback()).unwrap());
                    if dice.roll(3) == 0 {
                        delivery.failed()
                    } else {
                        delivery.acked()
                    };
                }
            }
        }
        open.clear();
        settle_until_idle(&world, |delivery| all.push(serde_json::to_string(&*delivery.acked()).unwrap()));
        all
    });
}

/// Creates an engine in which documents `doc-0` to `doc-9` wait for their save delay.
fn ten_waiting_saves() -> World {
    let world = World::new(|config| config.shards(16));
    let open: Vec<Connection> = (0..10).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    for connection in &open {
        connection.change().unwrap();
    }
    drop(open);
    assert_eq!(acknowledge_as_json(&world.callbacks).len(), 10);
    world
}

#[test]
fn p9_deadlines_that_fall_due_together_run_in_the_same_order() {
    assert_reproducible(|| {
        let world = ten_waiting_saves();
        world.pass(seconds(10));
        // All saves fail together and are retried together.
        world
            .callbacks
            .try_iter()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|delivery| drop(delivery.failed()));
        world.pass(seconds(1));
        let all = acknowledge_as_json(&world.callbacks);
        assert_eq!(all.len(), 10);
        all
    });
}

#[test]
fn p9_a_late_tick_runs_deadlines_in_order() {
    let world = World::new(|config| config.shards(16));
    for n in (0..10).rev() {
        let ann = world.edit(&format!("doc-{n}"), "ann");
        ann.change().unwrap();
        drop(ann);
        world.clock.advance(Duration::from_millis(1));
    }
    acknowledge_as_json(&world.callbacks);
    world.pass(seconds(60));
    let saved: Vec<String> =
        world.callbacks.try_iter().map(|delivery| delivery.acked().key.to_string()).collect();
    assert_eq!(saved, (0..10).rev().map(|n| format!("doc-{n}")).collect::<Vec<_>>());
}

#[test]
fn p9_drain_hands_out_the_waiting_saves_in_the_same_order() {
    assert_reproducible(|| {
        let world = ten_waiting_saves();
        world.engine.drain();
        let all = acknowledge_as_json(&world.callbacks);
        assert_eq!(all.len(), 10);
        all
    });
}

#[test]
fn p9_the_end_of_the_engine_gives_the_same_callbacks_in_the_same_order() {
    assert_reproducible(|| {
        let world = ten_waiting_saves();
        let open: Vec<_> =
            (0..10).map(|n| world.edit(&format!("late-{n}"), &format!("user-{n}")).into_id()).collect();
        assert_eq!(open.len(), 10);
        let World { engine, callbacks, .. } = world;
        drop(engine);
        acknowledge_as_json(&callbacks)
    });
}

#[test]
fn p9_at_the_end_of_the_engine_the_last_user_to_leave_is_the_same() {
    assert_reproducible(|| {
        let world = World::new(|config| config.shards(16));
        // Frees slots of connections before the connections under test open.
        let before: Vec<Connection> = (0..40).map(|n| world.edit(&format!("gone-{n}"), "zoe")).collect();
        drop(before);
        let open: Vec<_> = (0..20)
            .map(|n| world.edit(["a", "b", "c", "d"][n % 4], &format!("user-{n}")))
            .map(|connection| {
                connection.change().unwrap();
                connection.into_id()
            })
            .collect();
        assert_eq!(open.len(), 20);
        acknowledge_as_json(&world.callbacks);
        let World { engine, callbacks, .. } = world;
        drop(engine);
        let mut by_document: Vec<String> =
            callbacks.try_iter().map(Settle::acked).map(|c| format!("{} {}", c.key, summary(&c))).collect();
        // Sorts by document and keeps the order within each document.
        by_document.sort_by_key(|line| line.split(' ').next().map(str::to_owned));
        by_document
    });
}

#[test]
fn p9_documents_without_callbacks_do_not_change_the_order_of_others() {
    assert_reproducible(|| {
        let bounds = Bounds { waiting_documents: 1, ..Bounds::default() };
        let world = World::new(|config| config.shards(4).bounds(bounds));
        let _first = world.edit("first", "ann");
        (0..10).for_each(|n| drop(world.edit(&format!("gone-{n}"), "ann")));
        let _open: Vec<Connection> = (0..10).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
        let all = acknowledge_as_json(&world.callbacks);
        assert_eq!(all.len(), 11);
        all
    });
}

// P10

/// Returns everything that a host can observe of an engine.
fn observe(engine: &Engine, documents: &[&str], connections: &[ConnectionId]) -> Vec<String> {
    let mut seen = vec![format!(
        "{:?} {} {:?} {:?} {}",
        engine.limits(),
        engine.documents(),
        engine.forgotten(),
        engine.next_deadline(),
        engine.is_draining()
    )];
    for document in documents {
        let document = key(document);
        let (participants, editors) = (engine.participants(&document), engine.editors(&document));
        let (open, outstanding) = (engine.is_open(&document), engine.is_outstanding(&document));
        let forgotten = engine.forgotten_at(&document);
        seen.push(format!("{document} {participants:?} {editors:?} {forgotten:?} {open} {outstanding}"));
    }
    seen.extend(connections.iter().map(|id| format!("{id} {:?}", engine.access(*id))));
    seen
}

/// Makes `call`, which checks its own error. Checks that it changed nothing.
#[track_caller]
fn assert_changes_nothing(world: &World, what: &str, ids: &[ConnectionId], call: impl FnOnce(&Engine)) {
    let documents = ["doc", "full", "quiet", "gone", "forgotten", "nowhere"];
    let before = observe(&world.engine, &documents, ids);
    call(&world.engine);
    assert_eq!(observe(&world.engine, &documents, ids), before, "{what} changed something");
    world.engine.validate().unwrap();
    assert!(world.callbacks.try_recv().is_err(), "{what} caused a callback");
    assert_eq!(world.take_notices(), [], "{what} caused a notice");
}

#[test]
fn p10_no_error_of_any_method_changes_anything() {
    let world = World::plain();
    let long = "x".repeat(4_097);
    let doc = world.edit("doc", "ann");
    let viewer = world.open("doc", "ben", Access::View);
    let live = world.open("doc", "cat", Access::LiveView);
    let dropped = world.edit("doc", "dan");
    world.engine.drop_connection(dropped.id()).unwrap();
    let closed = world.edit("gone", "eve").into_id();
    world.engine.close(closed).unwrap();
    let invalid = ConnectionId::from_bits(u64::MAX);
    // The document `forgotten` is forgotten, because its save was given up.
    world.edit("forgotten", "fay").change().unwrap();
    world.pass(seconds(10));
    settle_until_idle(&world, |delivery| {
        let given_up = delivery.callback().status == Status::Save;
        if given_up {
            delivery.failed()
        } else {
            delivery.acked()
        };
    });
    // The document `full` has as many unanswered force saves as allowed. A worker holds the first.
    let full = world.edit("full", "gus");
    full.change().unwrap();
    assert_eq!(world.ack().status, Status::Editing);
    for _ in 0..64 {
        world.engine.force_save(&key("full"), None).unwrap();
        full.change().unwrap();
    }
    let in_hand = world.take();
    world.take_notices();
    let ids = [doc.id(), viewer.id(), live.id(), dropped.id(), closed, invalid, full.id()];
    let check = |what: &str, call: &dyn Fn(&Engine)| assert_changes_nothing(&world, what, &ids, call);

    for unknown in [closed, invalid, ConnectionId::from_bits(0)] {
        check("close", &|engine| assert_eq!(engine.close(unknown), Err(ConnectionError::Unknown)));
        check("lost", &|engine| assert_eq!(engine.lost(unknown), Err(TransportError::Unknown)));
        check("adopt", &|engine| assert_eq!(engine.adopt(unknown).unwrap_err(), ConnectionError::Unknown));
        check("change", &|engine| assert_eq!(engine.change(unknown), Err(ChangeError::Unknown)));
        check("drop_connection", &|engine| {
            assert_eq!(engine.drop_connection(unknown), Err(ConnectionError::Unknown));
        });
        check("press_save", &|engine| {
            assert_eq!(engine.press_save(unknown), Err(ForceSaveError::UnknownConnection));
        });
        check("submit_form", &|engine| {
            assert_eq!(engine.submit_form(unknown), Err(ForceSaveError::UnknownConnection));
        });
    }
    for view_only in [&viewer, &live, &dropped] {
        check("change", &|engine| assert_eq!(engine.change(view_only.id()), Err(ChangeError::ViewOnly)));
        check("press_save", &|engine| {
            assert_eq!(engine.press_save(view_only.id()), Err(ForceSaveError::ViewOnly));
        });
        check("submit_form", &|engine| {
            assert_eq!(engine.submit_form(view_only.id()), Err(ForceSaveError::ViewOnly));
        });
    }
    for (document, error) in [
        ("nowhere", ForceSaveError::NotOpen),
        ("gone", ForceSaveError::NotOpen),
        ("doc", ForceSaveError::NotChanged),
        ("full", ForceSaveError::TooManyAsked),
    ] {
        check(document, &|engine| assert_eq!(engine.force_save(&key(document), None), Err(error)));
    }
    for (connection, error) in [(&doc, ForceSaveError::NotChanged), (&full, ForceSaveError::TooManyAsked)] {
        check("press_save", &|engine| assert_eq!(engine.press_save(connection.id()), Err(error)));
        check("submit_form", &|engine| assert_eq!(engine.submit_form(connection.id()), Err(error)));
    }
    for document in ["nowhere", "gone"] {
        let document = key(document);
        check("info", &|engine| assert_eq!(engine.info(&document, None), Err(InfoError::NotOpen)));
        check("drop_all", &|engine| assert_eq!(engine.drop_all(&document), Err(DocumentError::NotOpen)));
        check("drop_users", &|engine| {
            assert_eq!(engine.drop_users(&document, &[id("ann")]), Err(DocumentError::NotOpen));
        });
    }
    // The engine checks the form of a parameter before it looks up the document.
    for document in ["doc", "nowhere", "full"] {
        let document = key(document);
        check("info", &|engine| assert_eq!(engine.info(&document, Some(&long)), Err(InfoError::Userdata)));
        check("force_save", &|engine| {
            assert_eq!(engine.force_save(&document, Some(&long)), Err(ForceSaveError::Userdata));
        });
        check("rename", &|engine| assert_eq!(engine.rename(&document, &long), Err(MetaError::Title)));
    }
    for document in ["nowhere", "gone", "doc"] {
        let document = key(document);
        check("forgotten_at", &|engine| {
            assert_eq!(engine.forgotten_at(&document), Err(ForgottenError::NotForgotten));
        });
        check("delete_forgotten", &|engine| {
            assert_eq!(engine.delete_forgotten(&document), Err(ForgottenError::NotForgotten));
        });
    }
    check("limits", &|engine| {
        let edit = engine.set_edit_limit(Some(u32::MAX)).unwrap_err();
        let live = engine.set_live_limit(Some(u32::MAX)).unwrap_err();
        assert_eq!((edit.setting, live.setting), ("edit_limit", "live_limit"));
    });
    drop(in_hand);
}

#[test]
fn p10_a_refused_url_changes_neither_the_delivery_nor_its_url() {
    let world = World::new(|config| config.retry_pauses([]));
    world.edit("doc", "ann").change().unwrap();
    world.pass(seconds(10));
    assert_eq!(world.ack().status, Status::Editing);
    let mut save = world.take();
    save.kept_at("first").unwrap();
    assert!(save.kept_at(&"x".repeat(4_097)).is_err());
    assert!(world.engine.is_outstanding(&key("doc")));
    assert_eq!(save.callback().status, Status::Save);
    save.failed();
    assert_eq!(world.engine.forgotten_at(&key("doc")), Ok(Some("first".into())));
}

#[test]
fn p10_every_error_has_a_code_and_a_message() {
    use ErrorCode::*;
    let rows: [(ErrorCode, ErrorCode, String); 15] = [
        (coedit::OpenError::Full.code(), Internal, coedit::OpenError::Full.to_string()),
        (ConnectionError::Unknown.code(), Key, ConnectionError::Unknown.to_string()),
        (ChangeError::Unknown.code(), Key, ChangeError::Unknown.to_string()),
        (ChangeError::ViewOnly.code(), Command, ChangeError::ViewOnly.to_string()),
        (DocumentError::NotOpen.code(), Key, DocumentError::NotOpen.to_string()),
        (InfoError::Userdata.code(), Command, InfoError::Userdata.to_string()),
        (InfoError::NotOpen.code(), Key, InfoError::NotOpen.to_string()),
        (ForceSaveError::Userdata.code(), Command, ForceSaveError::Userdata.to_string()),
        (ForceSaveError::NotOpen.code(), Key, ForceSaveError::NotOpen.to_string()),
        (ForceSaveError::UnknownConnection.code(), Key, ForceSaveError::UnknownConnection.to_string()),
        (ForceSaveError::ViewOnly.code(), Command, ForceSaveError::ViewOnly.to_string()),
        (ForceSaveError::NotChanged.code(), NotChanged, ForceSaveError::NotChanged.to_string()),
        (ForceSaveError::TooManyAsked.code(), Internal, ForceSaveError::TooManyAsked.to_string()),
        (MetaError::Title.code(), Command, MetaError::Title.to_string()),
        (ForgottenError::NotForgotten.code(), Key, ForgottenError::NotForgotten.to_string()),
    ];
    for (code, expected, message) in rows {
        assert_eq!(code, expected, "{message}");
        assert!(message.contains(' '), "{message}");
    }
    let numbers = [None, Key, CallbackAddress, Internal, NotChanged, Command, Token].map(ErrorCode::number);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
}
