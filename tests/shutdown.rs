//! The end that a host asks for: `shutdown`, its deadline and its report.
mod support;
use support::story::*;
use support::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, Config, Connection, Delivery, DisconnectCause, DocumentState, Engine,
    ErrorCode, ForceSaveError, ManualClock, Notice, OpenError, Report, Status, Timestamp, TryRecvError,
};
use serde_json::json;

fn has_ended(callbacks: &Callbacks) -> bool {
    callbacks.try_recv().is_err_and(|error| error == TryRecvError::Disconnected)
}

/// The keys of the unsaved documents of a report.
fn unsaved(report: &Report) -> Vec<&str> {
    report.unsaved.iter().map(|one| one.key.as_str()).collect()
}

#[test]
fn p5_a_shutdown_hands_every_save_out_and_reports_that_all_is_saved() {
    let world = World::plain();
    let closing = world.edit("closing", "ann");
    let edited = world.edit("edited", "ben");
    closing.change().unwrap();
    edited.change().unwrap();
    let _unchanged = world.edit("unchanged", "cat");
    let _viewed = world.open("viewed", "dan", Access::View);
    world.acknowledge_all();
    drop(closing);
    world.take_notices();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let mut told: Vec<String> =
        world.callbacks.try_iter().map(|delivery| summary(&delivery.acked())).collect();
    told.sort();
    assert_eq!(told, ["2 -ann [ann]", "2 -ben [ben]", "4 -cat"]);
    let report = shutdown.report().expect("all is settled");
    assert_eq!((report.saved, report.is_complete()), (2, true));
    assert_eq!((unsaved(&report), report.forgotten.len()), (vec![], 0));
    assert!(has_ended(&world.callbacks));
    assert_eq!(world.engine.next_deadline(), None);
    world.engine.validate().unwrap();
}

#[test]
fn p9_a_shutdown_tries_what_waits_for_its_next_attempt_again_by_key() {
    let world = World::with_three_retries();
    let keys: Vec<String> = (10..40).map(|number| format!("doc-{number}")).collect();
    let tabs: Vec<Connection> = keys.iter().rev().map(|key| world.edit(key, "ann")).collect();
    for tab in &tabs {
        tab.change().unwrap();
    }
    world.acknowledge_all();
    tabs.into_iter().for_each(drop);
    world.pass(seconds(10));
    assert_eq!(world.callbacks.try_iter().map(Delivery::fail).count(), keys.len());
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let tried: Vec<String> =
        world.callbacks.try_iter().map(|delivery| delivery.acked().key.to_string()).collect();
    assert_eq!(tried, keys);
    assert!(shutdown.report().is_some_and(|report| report.is_complete()));
}

#[test]
fn a_second_shutdown_gets_the_same_report() {
    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    let first = world.engine.begin_shutdown(seconds(30));
    let second = world.engine.begin_shutdown(seconds(1));
    world.pass(seconds(1));
    assert_eq!((first.report(), second.report()), (None, None), "the first call set the deadline");
    world.acknowledge_all();
    let reports = [first.wait(), second.wait(), world.engine.shutdown(Duration::ZERO)];
    assert!(reports.iter().all(|report| Arc::ptr_eq(report, &reports[0])));
    assert_eq!(world.callbacks.report(), Some(reports[0].clone()));
    assert_eq!(world.engine.save_callbacks().report(), Some(reports[0].clone()));
    // Nor does the last handle begin another end.
    let World { engine, callbacks, .. } = world;
    drop(engine);
    assert!(callbacks.report().is_some_and(|report| Arc::ptr_eq(&report, &reports[0])));
}

#[test]
fn an_engine_that_has_nothing_to_tell_ends_at_once() {
    let world = World::plain();
    let _viewer = world.open("doc", "zoe", Access::View);
    let report = world.engine.shutdown(seconds(30));
    assert_eq!((report.saved, report.is_complete()), (0, true));
    assert!(has_ended(&world.callbacks) && world.notices.iter().count() == 1);
}

#[test]
fn nobody_gets_in_any_more() {
    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let refused = || {
        for asked in [Access::Edit, Access::LiveView, Access::View] {
            for document in ["doc", "other"] {
                let opened = world.engine.open(&key(document), &user("ben"), asked);
                assert_eq!(opened.unwrap_err(), OpenError::ShutDown);
                assert!(world.engine.would_admit(&key(document), &id("ben"), asked).is_err());
            }
        }
        world.engine.undrain();
        world.engine.validate().unwrap();
    };
    refused();
    assert_eq!(OpenError::ShutDown.code(), ErrorCode::Internal);
    world.acknowledge_all();
    assert!(shutdown.report().is_some());
    refused();
    assert_eq!(world.engine.documents(), 0);
}

#[test]
fn every_connection_ends_and_the_transport_hears_of_it() {
    let world = World::plain();
    let open = [("ann", Access::Edit), ("ben", Access::LiveView), ("ann", Access::View)]
        .map(|(name, asked)| (name, world.open("doc", name, asked)));
    let bare = world.edit("other", "cat").into_id();
    world.acknowledge_all();
    let _shutdown = world.engine.begin_shutdown(seconds(30));
    let mut expected: Vec<Notice> = open
        .iter()
        .map(|(name, connection)| (key("doc"), *name, connection.id()))
        .chain([(key("other"), "cat", bare)])
        .map(|(key, name, connection)| Notice::Disconnected {
            connection,
            key,
            user: id(name),
            cause: DisconnectCause::ShutDown,
            code: Some(4001),
        })
        .collect();
    let mut notices = world.take_notices();
    for list in [&mut expected, &mut notices] {
        list.sort_by_key(|notice| format!("{notice:?}"));
    }
    assert_eq!(notices, expected);
    assert!(open.iter().all(|(_, connection)| connection.access().is_none()));
    let limits = world.engine.limits();
    assert_eq!((limits.edit.in_use, limits.live.in_use, world.engine.remaining().connections), (0, 0, 0));
    assert_eq!(
        serde_json::to_value(&notices[0]).unwrap(),
        json!({
            "type": "disconnected", "cause": "shutdown", "code": 4001, "key": "doc",
            "user": "ann", "connection": serde_json::to_value(open[0].1.id()).unwrap(),
        })
    );
    drop(open);
    world.engine.validate().unwrap();
}

#[test]
fn questions_are_answered_throughout() {
    let world = World::new(|config| config.retry_pauses([]));
    world.forget();
    let ann = world.edit("other", "ann");
    ann.change().unwrap();
    let ask = |is_over: bool| {
        let other = key("other");
        assert_eq!(world.engine.info(&other, None).is_ok(), !is_over);
        assert_eq!(world.engine.is_open(&other), !is_over);
        assert_eq!(
            world.engine.force_save(&other, None),
            Err(if is_over { ForceSaveError::NotOpen } else { ForceSaveError::NotChanged })
        );
        assert_eq!(world.engine.participants(&other), []);
        assert_eq!(world.forgotten(), ["doc"]);
        assert_eq!(world.engine.forgotten_at(&key("doc")), Ok(None));
        assert_eq!(world.engine.limits().edit.in_use, 0);
        assert_eq!(ann.change().unwrap_err().code(), ErrorCode::Key);
        assert!(world.engine.usage().is_some() && world.engine.is_draining());
        assert_eq!(world.engine.unsaved().len(), if is_over { 1 } else { 2 });
        world.engine.rename(&other, "title").unwrap();
        world.engine.tick();
        world.engine.validate().unwrap();
    };
    let shutdown = world.engine.begin_shutdown(seconds(30));
    ask(false);
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 []", "2 -ann [ann]"]);
    assert_eq!(shutdown.wait().forgotten.len(), 1);
    ask(true);
}

#[test]
fn p5_what_waits_for_its_delay_or_a_pause_is_tried_at_once_and_its_pauses_begin_again() {
    let world = World::plain();
    world.take_save().fail();
    for pause in [1, 2, 4, 8] {
        world.pass(seconds(pause));
        world.take().fail();
    }
    world.assert_nothing_to_take();
    let shutdown = world.engine.begin_shutdown(seconds(100));
    for (attempt, pause) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        let save = world.take();
        assert_eq!((summary(save.callback()), save.attempt()), ("2 -ann [ann]".into(), attempt));
        save.fail();
        world.pass(Duration::from_millis(pause - 1));
        world.assert_nothing_to_take();
        world.pass(Duration::from_millis(1));
    }
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert_eq!(shutdown.wait().saved, 1);
}

#[test]
fn a_callback_that_a_worker_has_while_the_shutdown_begins_has_its_first_pause_next() {
    let world = World::plain();
    world.take_save().fail();
    world.pass(seconds(1));
    let in_hand = world.take();
    assert_eq!(in_hand.attempt(), 2);
    let shutdown = world.engine.begin_shutdown(seconds(100));
    in_hand.fail();
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(shutdown.wait().is_complete());
}

#[test]
fn p5_the_deadline_ends_it_and_the_report_names_what_is_not_saved() {
    let world = World::plain();
    let first = world.edit("given-up", "ann");
    first.change().unwrap();
    world.ack();
    for document in ["in-hand", "unchanged", "waits"] {
        let connection = world.edit(document, "ann");
        if document != "unchanged" {
            connection.change().unwrap();
        }
        world.ack();
        let _ = connection.into_id();
    }
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let in_hand: Vec<Delivery> =
        world.callbacks.try_iter().filter(|delivery| delivery.callback().key.as_str() != "waits").collect();
    assert_eq!(in_hand.len(), 3);
    assert!(in_hand[0].extend(seconds(1_000)), "that is past the deadline of the end");
    world.take_notices();
    world.pass(Duration::from_millis(29_999));
    assert_eq!(shutdown.report(), None);
    assert_eq!(world.engine.next_deadline(), Some(at(30_000)));
    world.pass(Duration::from_millis(1));
    let report = shutdown.report().expect("the deadline has come");
    assert_eq!((report.saved, unsaved(&report)), (0, vec!["given-up", "in-hand", "waits"]));
    assert!(!report.is_complete() && report.forgotten.is_empty());
    let states: Vec<DocumentState> = report.unsaved.iter().map(|one| one.state).collect();
    assert_eq!(states, [DocumentState::Saving, DocumentState::Saving, DocumentState::Retrying]);
    assert!(has_ended(&world.callbacks) && world.notices.iter().count() == 0);
    // Nothing counts any more.
    for delivery in in_hand {
        assert_eq!((delivery.deadline(), delivery.extend(seconds(1))), (None, false));
        assert_eq!(delivery.ack(), Answered::Late);
    }
    assert_eq!(world.callbacks.report(), Some(report));
    // Nor does anything change any more.
    let unsaved = world.engine.unsaved();
    world.pass(seconds(3_600));
    assert_eq!((world.engine.tick(), world.engine.unsaved(), world.forgotten()), (None, unsaved, vec![]));
    world.engine.validate().unwrap();
}

#[test]
fn a_shutdown_without_time_reports_everything_as_unsaved() {
    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    let report = world.engine.shutdown(Duration::ZERO);
    assert_eq!((report.saved, unsaved(&report)), (0, vec!["doc"]));
    assert!(has_ended(&world.callbacks));
}

#[test]
fn p5_a_document_whose_save_is_given_up_meanwhile_is_reported_as_forgotten() {
    let world = World::new(|config| config.retry_pauses([]));
    world.edit("doc", "ann").change().unwrap();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let mut told = Vec::new();
    while let Ok(mut delivery) = world.callbacks.try_recv() {
        delivery.kept_at("file:///kept").unwrap();
        told.push(delivery.failed().status.number());
    }
    assert_eq!(told, [1, 2, 3]);
    let report = shutdown.wait();
    assert_eq!((report.saved, unsaved(&report), report.is_complete()), (0, vec![], false));
    let forgotten = &report.forgotten[0];
    assert_eq!((forgotten.key.as_str(), forgotten.url.as_deref()), ("doc", Some("file:///kept")));
}

#[test]
fn what_is_forgotten_already_is_reported_and_not_tried_again() {
    let world = World::new(|config| config.retry_pauses([]));
    world.forget();
    let report = world.engine.shutdown(seconds(30));
    assert_eq!((report.saved, report.unsaved.len(), report.forgotten.len()), (0, 0, 1));
}

#[test]
fn a_forgotten_document_that_the_host_tries_again_meanwhile_is_saved() {
    let world = World::new(|config| config.retry_pauses([]));
    world.forget();
    let busy = world.edit("busy", "ben");
    let in_hand = world.take();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    world.engine.retry_forgotten(&key("doc")).unwrap();
    assert_eq!(world.acknowledge_all(), ["2 [ann]"]);
    in_hand.ack();
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
    let report = shutdown.wait();
    assert_eq!((report.saved, report.is_complete()), (1, true));
    drop(busy);
}

#[test]
fn the_patience_of_a_shutdown_is_at_most_a_quarter_of_its_time() {
    for (time, patience) in [(8, 2), (20, 5), (100, 5)] {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        let in_hand = world.take();
        let shutdown = world.engine.begin_shutdown(seconds(time));
        assert_eq!(in_hand.deadline(), Some(at(patience * 1_000)), "{time}");
        world.pass(Duration::from_millis(patience * 1_000 - 1));
        world.assert_nothing_to_take();
        world.pass(Duration::from_millis(1));
        assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
        assert!(shutdown.wait().is_complete());
        assert_eq!(in_hand.ack(), Answered::Late);
    }
}

#[test]
fn p5_a_late_save_counts_until_the_report() {
    let world = World::plain();
    let late = world.take_save();
    world.pass(seconds(60));
    let shutdown = world.engine.begin_shutdown(seconds(30));
    let other = world.take();
    assert_eq!(late.ack(), Answered::LateSave);
    let report = shutdown.report().expect("all is saved");
    assert_eq!((report.saved, report.is_complete()), (1, true));
    assert_eq!(other.ack(), Answered::Late);
}

#[test]
fn who_holds_a_delivery_waits_until_that_runs_out() {
    let world = World::plain();
    let in_hand = world.take_save();
    let shutdown = world.engine.begin_shutdown(seconds(300));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let report = shutdown.wait();
            over.store(true, Ordering::SeqCst);
            (report, in_hand.ack())
        });
        let mut second = 0;
        while !over.load(Ordering::SeqCst) {
            if world.callbacks.try_recv().map(Delivery::ack).is_err() && second < 61 {
                world.pass(seconds(1));
                second += 1;
            }
            thread::yield_now();
        }
        let (report, answered) = waits.join().unwrap();
        assert_eq!((report.saved, second, answered), (1, 61, Answered::Late));
    });
}

#[test]
fn what_happens_after_a_drain_ends_like_any_other_end() {
    let world = World::plain();
    let ann = world.changed();
    world.engine.drain();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(shutdown.wait().is_complete());
    drop(ann);
}

#[test]
fn many_documents_and_connections_end_in_one_call() {
    let world = World::new(|config| config.shards(1));
    let open: Vec<Connection> =
        (0..1_000).map(|n| world.edit(&format!("doc-{}", n % 500), &format!("user-{n}"))).collect();
    let crowd: Vec<Connection> = (0..600).map(|n| world.edit("crowd", &format!("user-{n}"))).collect();
    for connection in open.iter().chain(&crowd) {
        connection.change().unwrap();
    }
    world.acknowledge_all();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    assert_eq!(world.engine.remaining().connections, 0);
    let told = world.acknowledge_statuses();
    assert_eq!(told.iter().filter(|status| **status == Status::Save).count(), 501);
    assert_eq!(told.len(), 500 * 2 + 600, "every leave is told");
    assert_eq!(shutdown.wait().saved, 501);
    assert_eq!(world.take_notices().len(), 1_600 + 501);
}

#[cfg(feature = "async")]
#[test]
fn a_task_waits_for_the_report() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    let shutdown = world.engine.begin_shutdown(seconds(30));
    // A task that gave up waiting changes nothing.
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(shutdown.done()).poll(&mut context).is_pending());
    let mut done = pin!(shutdown.done());
    assert!(done.as_mut().poll(&mut context).is_pending());
    world.acknowledge_all();
    let Poll::Ready(report) = done.as_mut().poll(&mut context) else { panic!("all is settled") };
    assert_eq!(Some(report), shutdown.report());
}

#[test]
fn two_threads_that_shut_down_get_one_report() {
    let world = World::plain();
    let open: Vec<Connection> = (0..50).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    for connection in &open {
        connection.change().unwrap();
    }
    thread::scope(|scope| {
        let shutdowns = [(); 3].map(|()| scope.spawn(|| world.engine.shutdown(seconds(30))));
        let worker = scope.spawn(|| world.callbacks.iter().map(Delivery::ack).count());
        let reports = shutdowns.map(|shutdown| shutdown.join().unwrap());
        assert!(reports.iter().all(|report| Arc::ptr_eq(report, &reports[0])));
        assert_eq!((reports[0].saved, worker.join().unwrap()), (50, 100));
    });
}

/// Uses the system clock. A shutdown needs no tick of the host, also without a timer.
#[test]
fn in_real_time_a_shutdown_has_a_thread_that_runs_what_is_due() {
    for timer in [true, false] {
        let pauses = [Duration::from_millis(5); 3];
        let engine = Engine::new(Config::new().timer(timer).retry_pauses(pauses)).unwrap();
        let callbacks = engine.callbacks();
        engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
        let shutdown = engine.begin_shutdown(seconds(600));
        let worker = thread::spawn(move || {
            let mut statuses = Vec::new();
            for delivery in callbacks.iter() {
                statuses.push(delivery.callback().status.number());
                if statuses.len() < 4 {
                    delivery.fail()
                } else {
                    delivery.ack()
                };
            }
            statuses
        });
        let report = shutdown.wait();
        assert_eq!((report.saved, worker.join().unwrap()), (1, vec![1, 2, 2, 2]), "timer {timer}");
    }
}

#[test]
fn a_shutdown_far_in_the_future_does_not_overflow() {
    let clock = ManualClock::new(Timestamp::MAX);
    let engine = Engine::new(Config::new().clock(clock)).unwrap();
    let callbacks = engine.callbacks();
    engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
    let shutdown = engine.begin_shutdown(Duration::MAX);
    let told: Vec<u8> = callbacks.try_iter().map(|delivery| delivery.acked().status.number()).collect();
    assert_eq!(told, [1, 2]);
    assert!(shutdown.wait().is_complete());
}
