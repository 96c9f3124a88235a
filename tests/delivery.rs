//! How callbacks and notices reach the host: receivers, settling, the timer, and the end of the engine.
mod support;
use support::*;

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use coedit::{
    Access, Callback, Callbacks, Clock, Config, Connection, Delivery, DropCause, Engine, Notice, RecvError,
    RecvTimeoutError, Status, Timestamp, TryRecvError,
};

const EMPTY: TryRecvError = TryRecvError::Empty;
const ENDED: TryRecvError = TryRecvError::Disconnected;

/// Returns the error of a `try_recv` that gets no callback.
fn try_recv_error(callbacks: &Callbacks) -> TryRecvError {
    callbacks.try_recv().unwrap_err()
}

/// Returns a callback in a short form with its document, such as `doc 1 +ann [ann]`.
fn full_summary(callback: &Callback) -> String {
    format!("{} {}", callback.key, summary(callback))
}

// Receiving

#[test]
fn try_recv_returns_a_callback_or_that_there_is_none() {
    let world = World::plain();
    assert_eq!(try_recv_error(&world.callbacks), EMPTY);
    let _ann = world.edit("doc", "ann");
    let delivery = world.callbacks.try_recv().unwrap();
    assert_eq!(full_summary(delivery.callback()), "doc 1 +ann [ann]");
    assert_eq!(full_summary(&delivery.acked()), "doc 1 +ann [ann]", "settling returns the callback");
    assert_eq!(try_recv_error(&world.callbacks), EMPTY);
}

#[test]
fn recv_timeout_returns_a_callback_times_out_or_ends() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let timeout_error = |timeout| callbacks.recv_timeout(timeout).unwrap_err();
    assert_eq!(timeout_error(Duration::ZERO), RecvTimeoutError::Timeout);
    assert_eq!(notices.recv_timeout(Duration::ZERO), Err(crossbeam_channel::RecvTimeoutError::Timeout));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    // A time-out that no clock can represent waits for ever.
    callbacks.recv_timeout(Duration::MAX).unwrap().acked();
    engine.rename(&key("doc"), "title").unwrap();
    assert!(notices.recv_timeout(Duration::MAX).is_ok());
    assert_eq!(timeout_error(Duration::ZERO), RecvTimeoutError::Timeout);
    drop((engine, ann));
    callbacks.recv_timeout(Duration::ZERO).unwrap().acked();
    assert_eq!(timeout_error(Duration::MAX), RecvTimeoutError::Disconnected);
    assert_eq!(notices.recv_timeout(Duration::MAX), Err(crossbeam_channel::RecvTimeoutError::Disconnected));
}

#[test]
fn recv_waits_for_a_callback_that_another_thread_causes() {
    let world = World::plain();
    thread::scope(|scope| {
        let worker = scope.spawn(|| full_summary(&world.callbacks.recv().unwrap().acked()));
        let listener = scope.spawn(|| world.notices.recv().unwrap());
        let ann = world.edit("doc", "ann");
        world.engine.drop_all(&key("doc")).unwrap();
        assert_eq!(worker.join().unwrap(), "doc 1 +ann [ann]");
        assert_eq!(
            listener.join().unwrap(),
            Notice::Dropped {
                connection: ann.id(),
                key: key("doc"),
                user: id("ann"),
                cause: DropCause::Drop
            }
        );
    });
}

#[test]
fn iter_waits_and_ends_with_the_engine() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let worker = thread::spawn(move || -> Vec<String> {
        callbacks.iter().map(Settle::acked).map(|callback| full_summary(&callback)).collect()
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
fn a_document_has_one_outstanding_callback_at_a_time() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let other = world.callbacks.clone();
    let in_hand = world.take();
    assert!(world.engine.is_outstanding(&key("doc")));
    let _cat = world.edit("other", "cat");
    assert_eq!(full_summary(&other.try_recv().unwrap().acked()), "other 1 +cat [cat]");
    drop((ann, ben));
    assert_eq!((try_recv_error(&other), try_recv_error(&world.callbacks)), (EMPTY, EMPTY));
    in_hand.acked();
    assert!(!world.engine.is_outstanding(&key("doc")));
    // Two workers still get them one at a time, in order.
    for expected in ["1 +ben [ann ben]", "1 -ann [ben]", "4 -ben"] {
        let delivery = other.try_recv().unwrap();
        assert_eq!(summary(delivery.callback()), expected);
        assert_eq!(try_recv_error(&world.callbacks), EMPTY);
        delivery.acked();
    }
    assert_eq!(try_recv_error(&other), EMPTY);
}

/// The order holds for few and for many waiting documents of a shard.
#[test]
fn documents_are_handed_out_in_the_order_in_which_they_became_ready() {
    for waiting in [1, 15, 16, 17, 40, 3000] {
        for shards in [1, 4] {
            let world = World::new(|config| config.shards(shards));
            let documents: Vec<String> = (0..waiting + 100).map(|number| format!("doc-{number}")).collect();
            let (before, after) = documents.split_at(waiting);
            let open = |document: &String| world.edit(document, "ann");
            let mut open_now: Vec<Connection> = before.iter().map(open).collect();
            let first = world.take().acked();
            open_now.extend(after.iter().map(open));
            let rest = world.callbacks.try_iter().map(Settle::acked);
            let keys: Vec<String> = [first].into_iter().chain(rest).map(|one| one.key.to_string()).collect();
            assert!(keys == documents, "{waiting} in {shards} shards");
        }
    }
}

#[test]
fn after_a_fail_a_drop_or_a_panic_the_same_callback_is_handed_out_again() {
    type Fail = fn(Delivery);
    let ways: [Fail; 3] = [
        |delivery| assert_eq!(full_summary(&delivery.failed()), "doc 1 +ann [ann]"),
        |delivery| drop(delivery),
        |delivery| {
            let worker = thread::spawn(move || {
                let _in_hand = delivery;
                std::panic::resume_unwind(Box::new("the worker panics"));
            });
            assert!(worker.join().is_err());
        },
    ];
    for fail in ways {
        let world = World::plain();
        let (_ann, _ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
        for pause in [1, 2, 4] {
            let delivery = world.take();
            assert_eq!(full_summary(delivery.callback()), "doc 1 +ann [ann]");
            fail(delivery);
            assert!(!world.engine.is_outstanding(&key("doc")));
            assert_eq!(
                try_recv_error(&world.callbacks),
                EMPTY,
                "the callback waits for its retry, and the next one behind it"
            );
            world.pass(seconds(pause));
        }
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 +ben [ann ben]"]);
        assert_eq!(world.take_notices(), []);
    }
}

#[test]
fn a_failure_of_one_document_does_not_hold_up_others() {
    let world = World::plain();
    let _open = ["a", "b"].map(|document| world.edit(document, "ann"));
    world.take().failed();
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    world.pass(seconds(1));
    assert_eq!(world.ack().key, "a");
}

// Notices

#[test]
fn every_dropped_connection_causes_a_notice() {
    let world = World::plain();
    let open =
        [("ann", Access::Edit), ("ben", Access::LiveView), ("ann", Access::Edit), ("cat", Access::View)]
            .map(|(name, asked)| (name, world.open("doc", name, asked)));
    let dropped = world.engine.drop_all(&key("doc")).unwrap().connections;
    let notices = world.take_notices();
    let of = |n: usize| {
        let (name, connection) = &open[n];
        Notice::Dropped {
            connection: connection.id(),
            key: key("doc"),
            user: id(name),
            cause: DropCause::Drop,
        }
    };
    assert_eq!(notices.len(), 3);
    assert!([0, 1, 2].iter().all(|n| notices.contains(&of(*n))), "{notices:?}");
    // The notices have the order of the answer.
    let order = notices.iter().map(|notice| match notice {
        Notice::Dropped { connection, .. } => *connection,
        other => panic!("{other:?}"),
    });
    assert_eq!(order.collect::<Vec<_>>(), dropped);
    world.engine.drop_all(&key("doc")).unwrap();
    assert_eq!(world.take_notices(), [], "a viewer has no access to drop");
}

#[test]
fn a_new_title_causes_one_notice_for_the_document() {
    let world = World::plain();
    let _open = ["ann", "ben"].map(|name| world.edit("doc", name));
    world.engine.rename(&key("doc"), "Größe").unwrap();
    assert_eq!(world.take_notices(), [Notice::Meta { key: key("doc"), title: "Größe".to_owned() }]);
}

#[test]
fn a_subscription_gets_the_notices_from_then_on_and_its_clones_share_them() {
    let engine = Engine::new(Config::new().shards(1)).unwrap();
    let _ann = engine.open(&key("doc"), &user("ann"), Access::View).unwrap();
    let rename = |title: &str| engine.rename(&key("doc"), title).unwrap();
    let titled = |title: &str| Notice::Meta { key: key("doc"), title: title.to_owned() };
    rename("before");
    let first = engine.notices();
    assert!(first.is_empty());
    let second = first.clone();
    drop(first);
    rename("one");
    let third = second.clone();
    assert_eq!((second.recv(), third.len()), (Ok(titled("one")), 0));
    drop((second, third));
    rename("between");
    let fourth = engine.notices();
    rename("two");
    assert_eq!(fourth.try_iter().collect::<Vec<_>>(), [titled("two")]);
}

// The end

#[test]
fn after_the_last_handle_the_remaining_callbacks_are_handed_out_and_the_receiver_ends() {
    let World { engine, callbacks, .. } = World::plain();
    let open = |document: &str, name: &str| engine.open(&key(document), &user(name), Access::Edit).unwrap();
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
    let first = callbacks.try_iter().map(Settle::acked).count();
    assert_eq!((first, try_recv_error(&callbacks)), (3, EMPTY), "another handle is left");
    drop(another);
    let mut rest: Vec<String> =
        callbacks.try_iter().map(|delivery| full_summary(&delivery.acked())).collect();
    rest.sort();
    assert_eq!(rest, ["changed 2 -ben [ben]", "unchanged 4 -ann", "waiting 2 -cat [cat]"]);
    assert_eq!((try_recv_error(&callbacks), try_recv_error(&callbacks.clone())), (ENDED, ENDED));
    assert_eq!(callbacks.recv().unwrap_err(), RecvError);
}

#[test]
fn an_unused_engine_ends_at_once() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let late = engine.callbacks();
    drop(engine);
    for callbacks in [callbacks, late] {
        assert_eq!(callbacks.recv().unwrap_err(), RecvError);
        assert_eq!(callbacks.iter().count() + callbacks.try_iter().count(), 0);
    }
    assert!(notices.recv().is_err());
}

#[test]
fn p5_saves_that_fail_at_the_end_are_retried_after_their_pauses_and_end_too() {
    let World { engine, callbacks, clock, .. } = World::with_three_retries();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    engine.force_save(&key("doc"), None).unwrap();
    drop((ann, engine));
    let mut statuses = Vec::new();
    for _second in 0..=14 {
        statuses.push(callbacks.try_iter().map(|delivery| delivery.failed().status.number()).collect());
        clock.advance(seconds(1));
    }
    // The save is due, so it goes before the force save when the join fails. It is tried at once, and after 1, 3 and 7
    // seconds. Then it becomes a 3, which is tried in the same way.
    let none: &[u8] = &[];
    let expected: [&[u8]; 15] =
        [&[1, 2], &[2], none, &[2], none, none, none, &[2, 3], &[3], none, &[3], none, none, none, &[3]];
    let statuses: Vec<Vec<u8>> = statuses;
    assert_eq!(statuses, expected);
    assert_eq!(try_recv_error(&callbacks), ENDED);
    let forgotten = &callbacks.report().unwrap().forgotten;
    assert_eq!(forgotten.iter().map(|document| document.key.as_str()).collect::<Vec<_>>(), ["doc"]);
}

#[test]
fn a_callback_that_waits_for_its_retry_is_handed_out_at_the_end() {
    let World { engine, callbacks, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    callbacks.try_recv().unwrap().failed();
    assert_eq!(try_recv_error(&callbacks), EMPTY);
    drop((ann, engine));
    let rest: Vec<String> = callbacks.try_iter().map(|delivery| summary(&delivery.acked())).collect();
    assert_eq!(rest, ["1 +ann [ann]", "4 -ann"]);
    assert_eq!(try_recv_error(&callbacks), ENDED);
}

#[test]
fn a_save_that_waits_for_its_retry_is_handed_out_at_the_end() {
    let World { engine, callbacks, clock, .. } = World::plain();
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    callbacks.try_recv().unwrap().acked();
    clock.advance(seconds(10));
    engine.tick();
    assert_eq!(summary(&callbacks.try_recv().unwrap().failed()), "2 -ann [ann]");
    assert_eq!(try_recv_error(&callbacks), EMPTY);
    drop(engine);
    assert_eq!(summary(&callbacks.try_recv().unwrap().acked()), "2 -ann [ann]");
    assert_eq!(try_recv_error(&callbacks), ENDED);
}

#[test]
fn every_blocked_receiver_ends_with_the_engine() {
    // Without retries, since the clock stands still.
    let World { engine, callbacks, notices, .. } = World::new(|config| config.retry_pauses([]));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let callbacks = callbacks.clone();
            thread::spawn(move || match n % 2 {
                0 => callbacks.iter().map(Settle::acked).count(),
                _ => callbacks.iter().map(Settle::failed).count(),
            })
        })
        .collect();
    let listeners: Vec<_> = (0..3)
        .map(|_| notices.clone())
        .map(|notices| thread::spawn(move || notices.iter().count()))
        .collect();
    drop((ann, engine));
    assert!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>() >= 2);
    // One notice says that the save was acknowledged, or given up; others that the join, and the message that the save failed,
    // were given up.
    assert!((1..=3).contains(&listeners.into_iter().map(|listener| listener.join().unwrap()).sum::<usize>()));
}

#[test]
fn a_delivery_may_outlive_the_engine() {
    type Settle = fn(Delivery);
    let ways: [Settle; 3] =
        [|delivery| drop(delivery.acked()), |delivery| drop(delivery.failed()), |delivery| drop(delivery)];
    for settle in ways {
        let World { engine, callbacks, .. } = World::plain();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        let in_hand = callbacks.try_recv().unwrap();
        drop((ann, engine));
        assert_eq!(
            try_recv_error(&callbacks),
            EMPTY,
            "the receiver does not end while a delivery is outstanding"
        );
        settle(in_hand);
        let rest: Vec<String> = callbacks.try_iter().map(|delivery| summary(&delivery.acked())).collect();
        assert_eq!(
            rest,
            ["2 -ann [ann]"],
            "the save is due, so it does not wait for another attempt of the join"
        );
        assert_eq!(try_recv_error(&callbacks), ENDED);
    }
}

#[test]
fn a_delivery_may_outlive_the_receivers_and_the_engine() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    let in_hand = callbacks.try_recv().unwrap();
    drop((ann, engine, callbacks, notices));
    assert_eq!(full_summary(&in_hand.failed()), "doc 1 +ann [ann]");
}

#[test]
fn notices_end_when_all_is_settled_and_stay_ended() {
    let World { engine, callbacks, notices, .. } = World::new(|config| config.retry_pauses([]));
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    engine.rename(&key("doc"), "title").unwrap();
    drop((ann, engine));
    assert_eq!(notices.try_iter().count(), 1, "earlier notices can still be taken");
    assert_eq!(notices.try_recv(), Err(crossbeam_channel::TryRecvError::Empty), "the 4 is not settled");
    let given_up: Vec<Status> = callbacks.try_iter().map(|delivery| delivery.failed().status).collect();
    assert_eq!(given_up, [Status::Editing, Status::Closed]);
    let last = Notice::Storage { key: key("doc"), status: Status::Closed, userdata: None };
    assert_eq!(notices.iter().collect::<Vec<_>>(), [last]);
    assert_eq!(notices.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
}

// The timer

/// A clock that jumps an hour at every read. It reports the end of each other thread that read it.
struct JumpingClock {
    time: AtomicU64,
    test_thread: ThreadId,
    ended: Mutex<Sender<()>>,
}

/// Sends a message when its thread ends.
struct ThreadEnd(Sender<()>);

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static THREAD_END: RefCell<Option<ThreadEnd>> = const { RefCell::new(None) };
}

impl JumpingClock {
    fn new() -> (Self, Receiver<()>) {
        let (sender, ended) = channel();
        (
            JumpingClock {
                time: AtomicU64::new(START),
                test_thread: thread::current().id(),
                ended: Mutex::new(sender),
            },
            ended,
        )
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        if thread::current().id() != self.test_thread {
            let thread_end = || ThreadEnd(self.ended.lock().unwrap().clone());
            THREAD_END.with_borrow_mut(|slot| {
                slot.get_or_insert_with(thread_end);
            });
        }
        Timestamp::from_millis(self.time.fetch_add(3_600_000, Ordering::SeqCst))
    }
}

/// The settings of an engine whose clock jumps.
fn jumping(clock: JumpingClock) -> Config {
    Config::new().shards(4).clock(clock).ack_timeout(None)
}

#[test]
fn the_timer_makes_saves_due_and_stops_with_the_engine() {
    let (clock, ended) = JumpingClock::new();
    let engine = Engine::new(jumping(clock)).unwrap();
    let callbacks = engine.callbacks();
    for document in ["a", "b", "c"] {
        let ann = engine.open(&key(document), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        let next = || full_summary(&callbacks.recv().unwrap().acked());
        assert_eq!(next(), format!("{document} 1 +ann [ann]"));
        drop(ann);
        assert_eq!(next(), format!("{document} 2 -ann [ann]"));
    }
    drop(engine);
    assert_eq!(ended.recv(), Ok(()), "the thread ends with the engine");
    assert_eq!(try_recv_error(&callbacks), ENDED);
}

#[test]
fn without_a_timer_only_a_tick_makes_a_save_due() {
    let (clock, _ended) = JumpingClock::new();
    let engine = Engine::new(jumping(clock).timer(false)).unwrap();
    let callbacks = engine.callbacks();
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    assert_eq!(callbacks.try_iter().map(Settle::acked).count(), 1);
    engine.tick();
    assert_eq!(callbacks.try_recv().unwrap().acked().status, Status::Save);
}

#[test]
fn the_timer_retries_failed_callbacks() {
    let (clock, _ended) = JumpingClock::new();
    let engine = Engine::new(jumping(clock).retry_pauses([Duration::from_secs(1); 3])).unwrap();
    let callbacks = engine.callbacks();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    let mut statuses: Vec<u8> = (0..4).map(|_| callbacks.recv().unwrap().failed().status.number()).collect();
    drop(ann);
    statuses.extend((0..8).map(|_| callbacks.recv().unwrap().failed().status.number()));
    assert_eq!(statuses, [1, 2, 3].map(|status| [status; 4]).concat());
    assert_eq!((engine.forgotten().len(), engine.forgotten_at(&key("doc"))), (1, Ok(None)));
}

#[test]
fn the_errors_have_the_same_message_for_the_same_cause() {
    assert_eq!(RecvError.to_string(), RecvTimeoutError::Disconnected.to_string());
    assert_eq!(RecvError.to_string(), TryRecvError::Disconnected.to_string());
    assert_ne!(RecvTimeoutError::Timeout.to_string(), TryRecvError::Empty.to_string());
}

/// Uses the system clock. The timer sleeps until the save is due, and then the worker gets it.
#[test]
fn the_timer_makes_a_save_due_in_real_time() {
    let engine = Engine::new(Config::new().save_delay(Duration::from_millis(20))).unwrap();
    let callbacks = engine.callbacks();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    drop(ann);
    let statuses: Vec<Status> = callbacks.iter().take(2).map(|delivery| delivery.acked().status).collect();
    assert_eq!(statuses, [Status::Editing, Status::Save]);
}
