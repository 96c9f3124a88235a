//! How callbacks and notices reach the host: receiving, settling, hooks, the timer, and the end of the engine.
mod support;
use support::*;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::Duration;

use coedit::{
    Access, Callback, Callbacks, Clock, Config, Connection, Delivery, Engine, Notice, RecvError,
    RecvTimeoutError, Status, Timer, Timestamp, TryRecvError,
};

const NOTHING: TryRecvError = TryRecvError::Empty;
const ENDED: TryRecvError = TryRecvError::Disconnected;

/// Why there is nothing.
fn none(callbacks: &Callbacks) -> TryRecvError {
    callbacks.try_recv().unwrap_err()
}

/// What the callbacks are about, each with its document: `doc 1 +ann [ann]`.
fn named(callback: &Callback) -> String {
    format!("{} {}", callback.key, brief(callback))
}

/// An engine that counts the calls of its hooks.
struct Hooked {
    engine: Engine,
    calls: Arc<[AtomicUsize; 2]>,
}

impl Hooked {
    fn new() -> Self {
        let calls = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let count = |hook: usize| {
            let calls = calls.clone();
            move || {
                calls[hook].fetch_add(1, Ordering::SeqCst);
            }
        };
        let config = Config::new().shards(4).on_callbacks(count(0)).on_notices(count(1));
        Hooked { engine: Engine::new(config).unwrap(), calls }
    }

    fn edit(&self, document: &str) -> Connection {
        self.engine.open(&key(document), &user("ann"), Access::Edit).unwrap()
    }

    fn called(&self, hook: usize) -> usize {
        self.calls[hook].load(Ordering::SeqCst)
    }
}

// Receiving

#[test]
fn try_recv_gives_what_is_there_and_says_when_nothing_is() {
    let world = World::plain();
    assert_eq!(none(&world.callbacks), NOTHING);
    let _ann = world.edit("doc", "ann");
    let delivery = world.callbacks.try_recv().unwrap();
    assert_eq!(named(delivery.callback()), "doc 1 +ann [ann]");
    assert_eq!(named(&delivery.acked()), "doc 1 +ann [ann]", "settling gives it back");
    assert_eq!(none(&world.callbacks), NOTHING);
}

#[test]
fn recv_timeout_gives_what_is_there_times_out_and_ends() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let nothing = |timeout| callbacks.recv_timeout(timeout).unwrap_err();
    assert_eq!(nothing(Duration::ZERO), RecvTimeoutError::Timeout);
    assert_eq!(notices.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    // Longer than any clock can tell is as good as for ever.
    callbacks.recv_timeout(Duration::MAX).unwrap().acked();
    engine.rename(&key("doc"), "title").unwrap();
    assert!(notices.recv_timeout(Duration::MAX).is_ok());
    assert_eq!(nothing(Duration::ZERO), RecvTimeoutError::Timeout);
    drop((engine, ann));
    callbacks.recv_timeout(Duration::ZERO).unwrap().acked();
    assert_eq!(nothing(Duration::MAX), RecvTimeoutError::Disconnected);
    assert_eq!(notices.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn recv_waits_for_what_another_thread_causes() {
    let world = World::plain();
    thread::scope(|scope| {
        let worker = scope.spawn(|| named(&world.callbacks.recv().unwrap().acked()));
        let listener = scope.spawn(|| world.notices.recv().unwrap());
        let ann = world.edit("doc", "ann");
        world.engine.drop_all(&key("doc")).unwrap();
        assert_eq!(worker.join().unwrap(), "doc 1 +ann [ann]");
        assert_eq!(
            listener.join().unwrap(),
            Notice::Dropped { connection: ann.id(), key: key("doc"), user: id("ann") }
        );
    });
}

#[test]
fn iter_waits_and_ends_with_the_engine() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let worker = thread::spawn(move || -> Vec<String> {
        callbacks.iter().map(Delivery::ack).map(|callback| named(&callback)).collect()
    });
    let listener = thread::spawn(move || notices.iter().count());
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    engine.rename(&key("doc"), "title").unwrap();
    drop((ann, engine));
    assert_eq!(worker.join().unwrap(), ["doc 1 +ann [ann]", "doc 4 -ann"]);
    assert_eq!(listener.join().unwrap(), 1);
}

#[test]
fn each_callback_goes_to_one_worker() {
    let world = World::plain();
    let _open: Vec<Connection> = (0..100).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    let mut taken: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| world.callbacks.clone())
            .map(|callbacks| {
                scope.spawn(move || -> Vec<String> {
                    callbacks.try_iter().map(|delivery| delivery.acked().key.to_string()).collect()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    taken.sort();
    let mut expected: Vec<String> = (0..100).map(|n| format!("doc-{n}")).collect();
    expected.sort();
    assert_eq!(taken, expected);
}

// Settling

#[test]
fn while_one_is_outstanding_no_other_of_its_document_is_handed_out() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let other = world.callbacks.clone();
    let in_hand = world.take();
    assert!(world.engine.is_outstanding(&key("doc")));
    let _cat = world.edit("other", "cat");
    assert_eq!(named(&other.try_recv().unwrap().acked()), "other 1 +cat [cat]");
    drop((ann, ben));
    assert_eq!((none(&other), none(&world.callbacks)), (NOTHING, NOTHING));
    in_hand.acked();
    assert!(!world.engine.is_outstanding(&key("doc")));
    // Two workers still get them one at a time, in order.
    for expected in ["1 +ben [ann ben]", "1 -ann [ben]", "4 -ben"] {
        let delivery = other.try_recv().unwrap();
        assert_eq!(brief(delivery.callback()), expected);
        assert_eq!(none(&world.callbacks), NOTHING);
        delivery.acked();
    }
    assert_eq!(none(&other), NOTHING);
}

/// Whether few or many of a shard wait, and whether they were taken up in one go or in several.
#[test]
fn documents_are_told_of_in_the_order_in_which_they_came_to_have_something_to_tell() {
    for waiting in [1, 15, 16, 17, 40, 3000] {
        for shards in [1, 4] {
            let world = World::new(|config| config.shards(shards));
            let documents: Vec<String> = (0..waiting + 100).map(|number| format!("doc-{number}")).collect();
            let (before, after) = documents.split_at(waiting);
            let open = |document: &String| world.edit(document, "ann");
            let mut open_now: Vec<Connection> = before.iter().map(open).collect();
            let first = world.take().acked();
            open_now.extend(after.iter().map(open));
            let told = world.callbacks.try_iter().map(Delivery::ack);
            let told: Vec<String> = [first].into_iter().chain(told).map(|one| one.key.to_string()).collect();
            assert!(told == documents, "{waiting} in {shards} shards");
        }
    }
}

#[test]
fn fail_drop_and_panic_all_hand_the_same_callback_out_again() {
    type Fail = fn(Delivery);
    let ways: [Fail; 3] = [
        |delivery| assert_eq!(named(&delivery.failed()), "doc 1 +ann [ann]"),
        |delivery| drop(delivery),
        |delivery| {
            let worker = thread::spawn(move || {
                let _in_hand = delivery;
                std::panic::resume_unwind(Box::new("the worker dies"));
            });
            assert!(worker.join().is_err());
        },
    ];
    for fail in ways {
        let world = World::plain();
        let (_ann, _ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
        for pause in [1, 2, 4] {
            let delivery = world.take();
            assert_eq!(named(delivery.callback()), "doc 1 +ann [ann]");
            fail(delivery);
            assert!(!world.engine.is_outstanding(&key("doc")));
            assert_eq!(none(&world.callbacks), NOTHING, "it waits to be tried again, and ben behind it");
            world.pass(seconds(pause));
        }
        assert_eq!(world.told(), ["1 +ann [ann]", "1 +ben [ann ben]"]);
        assert_eq!(world.noticed(), []);
    }
}

#[test]
fn a_failure_of_one_document_does_not_hold_up_others() {
    let world = World::plain();
    let _open = ["a", "b"].map(|document| world.edit(document, "ann"));
    world.take().failed();
    assert_eq!(world.told(), ["1 +ann [ann]"]);
    world.pass(seconds(1));
    assert_eq!(world.ack().key, "a");
}

// Hooks

#[test]
fn the_hook_is_called_when_the_queue_stops_being_empty() {
    let hooked = Hooked::new();
    let callbacks = hooked.engine.callbacks();
    assert_eq!(hooked.called(0), 0);
    let _a = hooked.edit("a");
    assert_eq!(hooked.called(0), 1, "nobody had looked yet");
    let _b = hooked.edit("b");
    assert_eq!(hooked.called(0), 1, "it was not empty");
    callbacks.try_recv().unwrap().acked();
    callbacks.try_recv().unwrap().acked();
    let _c = hooked.edit("c");
    assert_eq!(hooked.called(0), 1, "nobody has seen it empty");
    callbacks.try_recv().unwrap().acked();
    assert_eq!(none(&callbacks), NOTHING);
    let d = hooked.edit("d");
    assert_eq!(hooked.called(0), 2, "seen empty, so it is armed again");
    // What a settled callback lets go on counts as well.
    let in_hand = callbacks.try_recv().unwrap();
    drop(d);
    assert_eq!(none(&callbacks), NOTHING);
    assert_eq!(hooked.called(0), 2);
    in_hand.acked();
    assert_eq!(hooked.called(0), 3);
    assert_eq!(named(&callbacks.try_recv().unwrap().acked()), "d 4 -ann");
}

#[test]
fn the_hook_of_notices_is_called_when_their_queue_stops_being_empty() {
    let hooked = Hooked::new();
    let _ann = hooked.edit("doc");
    let rename = || hooked.engine.rename(&key("doc"), "title").unwrap();
    rename();
    assert_eq!(hooked.called(1), 0, "nobody listens");
    let notices = hooked.engine.notices();
    rename();
    rename();
    assert_eq!(hooked.called(1), 1);
    assert_eq!(notices.try_iter().count(), 2);
    rename();
    assert_eq!((hooked.called(1), hooked.called(0)), (2, 1));
}

#[test]
fn a_notice_that_nobody_listens_to_does_not_use_up_the_hook() {
    let hooked = Hooked::new();
    let _ann = hooked.edit("doc");
    let rename = || hooked.engine.rename(&key("doc"), "title").unwrap();
    rename();
    let before = hooked.called(1);
    let _notices = hooked.engine.notices();
    rename();
    assert_eq!(hooked.called(1), before + 1, "the queue stopped being empty, and nobody was told");
}

#[test]
fn the_hook_is_called_by_a_tick_and_by_the_end() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let count = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    let world = World::new(|config| config.on_callbacks(count));
    world.edit("doc", "ann").change().unwrap();
    assert_eq!(world.told(), ["1 +ann [ann]"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    world.pass(seconds(10));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(world.told(), ["2 -ann [ann]"]);
    world.edit("doc", "ann").change().unwrap();
    assert_eq!(world.told(), ["1 +ann [ann]"]);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let World { engine, callbacks, .. } = world;
    drop(engine);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    assert_eq!(named(&callbacks.try_recv().unwrap().acked()), "doc 2 -ann [ann]");
    assert_eq!(none(&callbacks), ENDED);
}

// Notices

#[test]
fn every_dropped_connection_is_a_notice() {
    let world = World::plain();
    let open =
        [("ann", Access::Edit), ("ben", Access::LiveView), ("ann", Access::Edit), ("cat", Access::View)]
            .map(|(who, asked)| (who, world.open("doc", who, asked)));
    let dropped = world.engine.drop_all(&key("doc")).unwrap().connections;
    let notices = world.noticed();
    let of = |n: usize| {
        let (who, connection) = &open[n];
        Notice::Dropped { connection: connection.id(), key: key("doc"), user: id(who) }
    };
    assert_eq!(notices.len(), 3);
    assert!([0, 1, 2].iter().all(|n| notices.contains(&of(*n))), "{notices:?}");
    // In the order of the answer.
    let order = notices.iter().map(|notice| match notice {
        Notice::Dropped { connection, .. } => *connection,
        other => panic!("{other:?}"),
    });
    assert_eq!(order.collect::<Vec<_>>(), dropped);
    world.engine.drop_all(&key("doc")).unwrap();
    assert_eq!(world.noticed(), [], "who is a viewer by now is dropped of nothing");
}

#[test]
fn a_title_is_one_notice_for_all_of_the_document() {
    let world = World::plain();
    let _open = ["ann", "ben"].map(|who| world.edit("doc", who));
    world.engine.rename(&key("doc"), "Größe").unwrap();
    assert_eq!(world.noticed(), [Notice::Meta { key: key("doc"), title: "Größe".to_owned() }]);
}

#[test]
fn without_a_listener_no_notice_is_kept() {
    let engine = Engine::new(Config::new().shards(1)).unwrap();
    let _ann = engine.open(&key("doc"), &user("ann"), Access::View).unwrap();
    let rename = |title: &str| engine.rename(&key("doc"), title).unwrap();
    rename("before");
    let first = engine.notices();
    assert_eq!(first.try_recv(), Err(NOTHING));
    // A clone listens as well, and takes from the same queue.
    let second = first.clone();
    drop(first);
    rename("one");
    assert_eq!(second.try_iter().count(), 1);
    drop(second);
    rename("between");
    let third = engine.notices();
    assert_eq!((third.try_recv(), third.missed()), (Err(NOTHING), 0));
    rename("two");
    assert_eq!(third.try_recv(), Ok(Notice::Meta { key: key("doc"), title: "two".to_owned() }));
}

#[test]
fn what_listeners_miss_is_counted_for_all_of_them() {
    let bounds = coedit::Bounds { notices: 1, ..coedit::Bounds::default() };
    let world = World::new(|config| config.bounds(bounds));
    let _ann = world.edit("doc", "ann");
    let other = world.engine.notices();
    (0..3).for_each(|_| world.engine.rename(&key("doc"), "title").unwrap());
    assert_eq!((world.notices.missed(), other.missed()), (2, 2));
    assert_eq!((other.try_iter().count(), world.noticed().len()), (1, 0));
}

// The end

#[test]
fn the_last_handle_hands_out_what_is_left_saves_included_and_ends() {
    let World { engine, callbacks, .. } = World::plain();
    let open = |document: &str, who: &str| engine.open(&key(document), &user(who), Access::Edit).unwrap();
    let _ = open("unchanged", "ann").into_id();
    let changed = open("changed", "ben");
    changed.change().unwrap();
    let _ = changed.into_id();
    let waiting = open("waiting", "cat");
    waiting.change().unwrap();
    drop(waiting);
    let _ = engine.open(&key("viewed"), &user("dan"), Access::View).unwrap().into_id();
    let another = engine.clone();
    drop(engine);
    let first = callbacks.try_iter().map(Delivery::ack).count();
    assert_eq!((first, none(&callbacks)), (3, NOTHING), "another handle is left");
    drop(another);
    let mut rest: Vec<String> = callbacks.try_iter().map(|delivery| named(&delivery.acked())).collect();
    rest.sort();
    assert_eq!(rest, ["changed 2 -ben [ben]", "unchanged 4 -ann", "waiting 2 -cat [cat]"]);
    assert_eq!((none(&callbacks), none(&callbacks.clone())), (ENDED, ENDED));
    assert_eq!(callbacks.recv().unwrap_err(), RecvError);
}

#[test]
fn an_engine_that_nothing_happened_in_ends_at_once() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let late = engine.callbacks();
    drop(engine);
    for callbacks in [callbacks, late] {
        assert_eq!(callbacks.recv().unwrap_err(), RecvError);
        assert_eq!(callbacks.iter().count() + callbacks.try_iter().count(), 0);
    }
    assert_eq!(notices.recv(), Err(RecvError));
}

#[test]
fn saves_that_fail_at_the_end_are_retried_without_a_pause_and_end_too() {
    let World { engine, callbacks, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    engine.force_save(&key("doc"), None).unwrap();
    drop((ann, engine));
    let statuses: Vec<u8> = callbacks.try_iter().map(|delivery| delivery.failed().status.number()).collect();
    // Three retries each; the 6 and the 2 become a 7 and a 3.
    assert_eq!(statuses, [1, 6, 7, 2, 3].map(|status| [status; 4]).concat());
    assert_eq!(none(&callbacks), ENDED);
}

#[test]
fn a_callback_that_waits_for_its_retry_is_due_at_the_end() {
    let World { engine, callbacks, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    callbacks.try_recv().unwrap().failed();
    assert_eq!(none(&callbacks), NOTHING);
    drop((ann, engine));
    let told: Vec<String> = callbacks.try_iter().map(|delivery| brief(&delivery.acked())).collect();
    assert_eq!(told, ["1 +ann [ann]", "4 -ann"]);
    assert_eq!(none(&callbacks), ENDED);
}

#[test]
fn a_save_that_waits_for_its_retry_is_due_at_the_end() {
    let World { engine, callbacks, clock, .. } = World::plain();
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    callbacks.try_recv().unwrap().acked();
    clock.advance(seconds(10));
    engine.tick();
    assert_eq!(brief(&callbacks.try_recv().unwrap().failed()), "2 -ann [ann]");
    assert_eq!(none(&callbacks), NOTHING);
    drop(engine);
    assert_eq!(brief(&callbacks.try_recv().unwrap().acked()), "2 -ann [ann]");
    assert_eq!(none(&callbacks), ENDED);
}

#[test]
fn every_blocked_receiver_ends_with_the_engine() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let callbacks = callbacks.clone();
            thread::spawn(move || match n % 2 {
                0 => callbacks.iter().map(Delivery::ack).count(),
                _ => callbacks.iter().map(Delivery::fail).count(),
            })
        })
        .collect();
    let listeners: Vec<_> = (0..3)
        .map(|_| notices.clone())
        .map(|notices| thread::spawn(move || notices.recv_timeout(Duration::MAX)))
        .collect();
    drop((ann, engine));
    assert!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>() >= 2);
    for listener in listeners {
        // A callback may have been given up, if only failing workers got it.
        let got = listener.join().unwrap();
        assert!(matches!(got, Err(RecvTimeoutError::Disconnected) | Ok(Notice::Storage { .. })), "{got:?}");
    }
}

#[test]
fn a_delivery_may_outlive_the_engine() {
    type Settle = fn(Delivery);
    let ways: [(Settle, &[&str]); 3] = [
        (|delivery| drop(delivery.acked()), &["2 -ann [ann]"]),
        (|delivery| drop(delivery.failed()), &["1 +ann [ann]", "2 -ann [ann]"]),
        (|delivery| drop(delivery), &["1 +ann [ann]", "2 -ann [ann]"]),
    ];
    for (settle, rest) in ways {
        let World { engine, callbacks, .. } = World::plain();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        let in_hand = callbacks.try_recv().unwrap();
        drop((ann, engine));
        assert_eq!(none(&callbacks), NOTHING, "not the end: it waits for the one in hand");
        settle(in_hand);
        let told: Vec<String> = callbacks.try_iter().map(|delivery| brief(&delivery.acked())).collect();
        assert_eq!(told, rest);
        assert_eq!(none(&callbacks), ENDED);
    }
}

#[test]
fn deliveries_may_outlive_receivers_and_engine_alike() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    let in_hand = callbacks.try_recv().unwrap();
    drop((ann, engine, callbacks, notices));
    assert_eq!(named(&in_hand.failed()), "doc 1 +ann [ann]");
}

#[test]
fn a_receiver_of_notices_that_has_ended_stays_ended() {
    let World { engine, callbacks, notices, .. } = World::new(|config| config.retry_pauses([]));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    engine.rename(&key("doc"), "title").unwrap();
    drop((ann, engine));
    assert_eq!(notices.try_iter().count(), 1, "what was told before is still taken");
    let mut ended = false;
    let mut look = || {
        let seen = notices.try_recv();
        assert!(!ended || seen == Err(ENDED), "it had ended, and now gives {seen:?}");
        ended = seen == Err(ENDED);
        ended
    };
    look();
    // The storage gives up the two callbacks that are left, which is told by two notices at most.
    for _ in 0..2 {
        callbacks.try_recv().unwrap().failed();
        look();
    }
    assert_eq!(none(&callbacks), ENDED);
    let looks = [look(), look(), look(), look()];
    assert!(looks[2] && looks[3], "at the end it has ended: {looks:?}");
}

/// Notices end with the last handle, so that a transport that waits for them ends whether or not anybody takes callbacks.
#[test]
fn a_callback_given_up_after_the_end_of_notices_is_counted_as_missed() {
    let World { engine, callbacks, notices, .. } = World::new(|config| config.retry_pauses([]));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    drop((ann, engine));
    assert_eq!(notices.iter().count(), 0);
    let given_up: Vec<Status> = callbacks.try_iter().map(|delivery| delivery.failed().status).collect();
    assert_eq!(given_up, [Status::Editing, Status::Closed]);
    assert_eq!((notices.missed(), notices.iter().count()), (2, 0));
}

// The timer

/// A clock that jumps an hour at every look, and says when a thread that looked at it has ended.
struct Jumping {
    time: AtomicU64,
    home: ThreadId,
    gone: Mutex<Sender<()>>,
}

/// Tells when its thread ends.
struct Leaves(Sender<()>);

impl Drop for Leaves {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static LEAVES: RefCell<Option<Leaves>> = const { RefCell::new(None) };
}

impl Jumping {
    fn new() -> (Self, Receiver<()>) {
        let (gone, ended) = channel();
        (Jumping { time: AtomicU64::new(START), home: thread::current().id(), gone: Mutex::new(gone) }, ended)
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        if thread::current().id() != self.home {
            let leaves = || Leaves(self.gone.lock().unwrap().clone());
            LEAVES.with_borrow_mut(|there| {
                there.get_or_insert_with(leaves);
            });
        }
        Timestamp::from_millis(self.time.fetch_add(3_600_000, Ordering::SeqCst))
    }
}

#[test]
fn the_timer_lets_saves_fall_due_and_stops_with_the_engine() {
    let (clock, ended) = Jumping::new();
    let engine = Engine::new(Config::new().shards(4).clock(clock)).unwrap();
    let callbacks = engine.callbacks();
    let timer = engine.spawn_timer().unwrap();
    for document in ["a", "b", "c"] {
        engine.open(&key(document), &user("ann"), Access::Edit).unwrap().change().unwrap();
        let told: Vec<String> = (0..2).map(|_| named(&callbacks.recv().unwrap().acked())).collect();
        assert_eq!(told, [format!("{document} 1 +ann [ann]"), format!("{document} 2 -ann [ann]")]);
    }
    drop(engine);
    assert_eq!(ended.recv(), Ok(()), "the thread ends though the timer is still there");
    assert_eq!(none(&callbacks), ENDED);
    drop(timer);
}

#[test]
fn a_dropped_timer_has_stopped_and_another_may_follow() {
    let (clock, ended) = Jumping::new();
    let engine = Engine::new(Config::new().shards(4).clock(clock)).unwrap();
    let callbacks = engine.callbacks();
    for _ in 0..3 {
        let timer = engine.spawn_timer().unwrap();
        assert_eq!(engine.spawn_timer().unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
        let told: Vec<u8> = (0..2).map(|_| callbacks.recv().unwrap().acked().status.number()).collect();
        assert_eq!(told, [1, 2]);
        drop(timer);
        assert_eq!(ended.recv(), Ok(()));
    }
    // Without one nothing falls due by itself, only by a tick.
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    assert_eq!(callbacks.try_iter().map(Delivery::ack).count(), 1);
    engine.tick();
    assert_eq!(callbacks.try_recv().unwrap().acked().status, Status::Save);
}

#[test]
fn the_timer_retries_what_failed() {
    let (clock, _ended) = Jumping::new();
    let engine = Engine::new(Config::new().shards(4).clock(clock)).unwrap();
    let callbacks = engine.callbacks();
    let _timer = engine.spawn_timer().unwrap();
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    let statuses: Vec<u8> = (0..12).map(|_| callbacks.recv().unwrap().failed().status.number()).collect();
    assert_eq!(statuses, [1, 2, 3].map(|status| [status; 4]).concat());
    assert_eq!((engine.forgotten().len(), engine.forgotten_at(&key("doc"))), (1, Ok(None)));
}

#[test]
fn a_hook_may_drop_the_timer_on_the_timers_own_thread() {
    let (clock, ended) = Jumping::new();
    let timer: Arc<Mutex<Option<Timer>>> = Arc::default();
    let (dropped, home) = (Arc::new(OnceLock::new()), thread::current().id());
    let hook = {
        let (timer, dropped) = (timer.clone(), dropped.clone());
        move || {
            if thread::current().id() != home {
                let taken = timer.lock().unwrap().take();
                let _ = dropped.set(taken.is_some());
            }
        }
    };
    let engine = Engine::new(Config::new().shards(4).clock(clock).on_callbacks(hook)).unwrap();
    let callbacks = engine.callbacks();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    callbacks.try_recv().unwrap().acked();
    assert_eq!(none(&callbacks), NOTHING, "the hook is armed");
    *timer.lock().unwrap() = Some(engine.spawn_timer().unwrap());
    drop(ann);
    assert_eq!(callbacks.recv().unwrap().acked().status, Status::Save);
    assert_eq!(ended.recv(), Ok(()));
    assert_eq!(dropped.get(), Some(&true));
    drop(engine.spawn_timer().unwrap());
}

#[test]
fn the_errors_say_what_they_mean() {
    assert_eq!(RecvError.to_string(), RecvTimeoutError::Disconnected.to_string());
    assert_eq!(RecvError.to_string(), TryRecvError::Disconnected.to_string());
    assert_ne!(RecvTimeoutError::Timeout.to_string(), TryRecvError::Empty.to_string());
}

/// On the machine's clock: the timer sleeps until the save is due, and the worker gets it, whenever that is.
#[test]
fn the_timer_lets_a_save_fall_due_in_real_time() {
    let engine = Engine::new(Config::new().save_delay(Duration::from_millis(20))).unwrap();
    let _timer = engine.spawn_timer().unwrap();
    let callbacks = engine.callbacks();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    drop(ann);
    let statuses: Vec<Status> = callbacks.iter().take(2).map(|delivery| delivery.acked().status).collect();
    assert_eq!(statuses, [Status::Editing, Status::Save]);
}

#[test]
fn p5_a_hook_that_panics_at_the_end_of_the_engine_loses_no_save() {
    const DOCUMENTS: usize = 20;
    let limit = u32::try_from(DOCUMENTS).unwrap();
    let dies = Arc::new(AtomicBool::new(false));
    let hook = dies.clone();
    let panics = move || assert!(!hook.load(Ordering::SeqCst), "a hook of the host's panics");
    let config = Config::new().edit_limit(Some(limit)).on_notices(panics);
    let engine = Engine::new(config).unwrap();
    let (callbacks, notices) = (engine.callbacks(), engine.notices());
    for number in 0..DOCUMENTS {
        let (id, _) = engine.admit(&key(&format!("document-{number}")), &user("ann"), Access::Edit).unwrap();
        engine.change(id).unwrap();
    }
    assert_eq!(notices.try_iter().count(), 1, "the limit comes near, and the hook is armed again");
    dies.store(true, Ordering::SeqCst);
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(engine)));
    assert!(end.is_err(), "the end of the limit's being near is told");
    let told: Vec<Status> = callbacks.iter().map(|delivery| delivery.acked().status).collect();
    assert_eq!(told.iter().filter(|status| **status == Status::Save).count(), DOCUMENTS);
}
