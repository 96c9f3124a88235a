//! The time that a worker has for a callback: the acknowledgement time-out, `extend`, attempts, and the pauses.
mod support;
use support::story::*;
use support::*;

use std::mem::forget;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use coedit::{Access, Answered, Reason, Status, Timestamp};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn p5_a_leaked_delivery_has_failed_when_its_time_is_over() {
    let world = World::plain();
    forget(world.take_save());
    world.assert_due_by(70_000);
    world.pass(millis(59_999));
    assert!(world.engine.is_outstanding(&key("doc")));
    world.pass(millis(1));
    assert!(!world.engine.is_outstanding(&key("doc")), "60 s after it was taken it has failed");
    world.pass(millis(999));
    world.assert_nothing_to_take();
    world.pass(millis(1));
    let again = world.take();
    assert_eq!((summary(again.callback()), again.attempt()), ("2 -ann [ann]".to_owned(), 2));
    assert_eq!((again.ack(), world.take_notices()), (Answered::InTime, vec![saved(Status::Save)]));
    world.assert_over();
}

#[test]
fn p5_a_worker_that_hangs_stalls_its_document_no_longer_than_the_time_out() {
    let world = World::plain();
    let (taken, is_taken) = channel();
    let (go_on, may_go_on) = channel::<()>();
    thread::scope(|scope| {
        let callbacks = world.callbacks.clone();
        let hangs = scope.spawn(move || {
            let delivery = callbacks.recv().unwrap();
            taken.send(()).unwrap();
            may_go_on.recv().unwrap();
            delivery.ack()
        });
        let _ann = world.edit("doc", "ann");
        is_taken.recv().unwrap();
        let _ben = world.edit("doc", "ben");
        world.assert_nothing_to_take();
        world.pass(seconds(60));
        world.pass(seconds(1));
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 +ben [ann ben]"]);
        go_on.send(()).unwrap();
        assert_eq!(hangs.join().unwrap(), Answered::Late);
        world.assert_nothing_falls_due();
    });
}

#[test]
fn every_callback_runs_out_in_the_same_way() {
    let world = World::new(|config| config.retry_pauses([seconds(1)]).ack_timeout(Some(seconds(20))));
    let ann = world.edit("doc", "ann");
    let runs_out_twice = |expected: &str| {
        for attempt in [1, 2] {
            let delivery = world.take();
            assert_eq!((summary(delivery.callback()).as_str(), delivery.attempt()), (expected, attempt));
            world.pass(seconds(20));
            world.pass(seconds(1));
            assert_eq!(delivery.ack(), Answered::Late);
        }
    };
    runs_out_twice("1 +ann [ann]");
    assert_eq!(world.take_notices(), [storage(Status::Editing)]);
    // An answer to a question is handed out once.
    world.engine.info(&key("doc"), None).unwrap();
    let answer = world.take();
    world.pass(seconds(21));
    assert_eq!((answer.ack(), world.take_notices()), (Answered::Late, vec![]));
    world.assert_nothing_to_take();
    drop(ann);
    runs_out_twice("4 -ann");
    assert_eq!(world.take_notices(), [storage(Status::Closed)]);
    world.assert_over();
}

#[test]
fn p5_a_save_that_nobody_ever_answers_is_given_up_and_the_document_listed() {
    let world = World::new(|config| config.retry_pauses([seconds(1)]));
    let ann = world.changed();
    world.engine.force_save(&key("doc"), None).unwrap();
    let mut told = Vec::new();
    let run_out = |told: &mut Vec<String>| {
        while let Ok(delivery) = world.callbacks.try_recv() {
            told.push(summary(delivery.callback()));
            forget(delivery);
            world.pass(seconds(60));
            world.pass(seconds(1));
        }
    };
    run_out(&mut told);
    assert_eq!(told, ["6 [ann]", "6 [ann]", "7 [ann]", "7 [ann]"]);
    drop(ann);
    world.pass(seconds(10));
    told.clear();
    run_out(&mut told);
    assert_eq!(told, ["2 -ann [ann]", "2 -ann [ann]", "3 -ann [ann]", "3 -ann [ann]"]);
    let given_up = [Status::ForceSave, Status::ForceSaveFailed, Status::Save, Status::SaveFailed];
    assert_eq!(
        (world.take_notices(), world.forgotten()),
        (given_up.map(storage).to_vec(), vec!["doc".into()])
    );
    world.assert_nothing_falls_due();
}

#[test]
fn without_a_time_out_a_worker_has_any_time() {
    let world = World::new(|config| config.ack_timeout(None));
    let in_hand = world.take_save();
    assert_eq!(in_hand.deadline(), Some(Timestamp::MAX));
    assert!(in_hand.extend(seconds(1)));
    assert_eq!(in_hand.deadline(), Some(Timestamp::MAX), "time that it has is not taken away");
    world.assert_nothing_falls_due();
    world.pass(seconds(100 * 24 * 3_600));
    assert!(world.engine.is_outstanding(&key("doc")));
    assert_eq!(in_hand.ack(), Answered::InTime);
    world.assert_over();
}

#[test]
fn extend_gives_a_worker_more_time() {
    let world = World::plain();
    let in_hand = world.take_save();
    assert_eq!(in_hand.deadline(), Some(at(70_000)));
    world.pass(seconds(50));
    assert!(in_hand.extend(seconds(3)));
    assert_eq!(in_hand.deadline(), Some(at(70_000)), "time that it has is not taken away");
    assert!(in_hand.extend(seconds(100)));
    assert_eq!(in_hand.deadline(), Some(at(160_000)));
    for seconds_later in [99, 1] {
        assert!(world.engine.is_outstanding(&key("doc")));
        world.pass(seconds(seconds_later));
    }
    assert_eq!(in_hand.deadline(), None);
    assert!(!in_hand.extend(seconds(100)), "it is late");
    assert!(!world.engine.is_outstanding(&key("doc")));
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert_eq!(in_hand.ack(), Answered::Late);
}

#[test]
fn an_extension_is_at_most_30_days() {
    let world = World::plain();
    let in_hand = world.take_save();
    assert!(in_hand.extend(Duration::MAX));
    assert_eq!(in_hand.deadline(), Some(at(10_000).after(seconds(30 * 24 * 3_600))));
    assert_eq!(in_hand.ack(), Answered::InTime);
    world.assert_over();
}

#[test]
fn every_delivery_has_a_number_of_its_own_and_counts_its_attempts() {
    let world = World::with_three_retries();
    let mut latest = 0;
    let mut take = |status: Status, attempt: usize| {
        let delivery = world.take();
        assert!(delivery.number() > latest);
        latest = delivery.number();
        assert_eq!((delivery.callback().status, delivery.attempt()), (status, attempt));
        delivery
    };
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(take(Status::Editing, 1).number(), 1, "this one is dropped and has failed");
    world.pass(seconds(1));
    take(Status::Editing, 2).ack();
    drop(ann);
    world.pass(seconds(10));
    for (attempt, pause) in [(1, 1), (2, 2)] {
        take(Status::Save, attempt).fail();
        world.pass(seconds(pause));
    }
    take(Status::Save, 3).fail();
    // An editor who comes back ends the count.
    let ben = world.edit("doc", "ben");
    take(Status::Editing, 1).ack();
    take(Status::Editing, 1).ack();
    drop(ben);
    world.pass(seconds(10));
    for (attempt, pause) in [(1, 1), (2, 2), (3, 4)] {
        take(Status::Save, attempt).fail();
        world.pass(seconds(pause));
    }
    take(Status::Save, 4).fail();
    assert_eq!(take(Status::SaveFailed, 1).ack(), Answered::InTime);
}

#[test]
fn an_editor_who_comes_back_gets_in_once_a_hung_save_has_run_out() {
    let world = World::plain();
    let hung = world.take_save();
    let refused = world.open("doc", "ben", Access::Edit);
    assert_eq!(refused.granted().reason, Some(Reason::Saving));
    world.pass(seconds(60));
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    assert_eq!(hung.fail(), Answered::Late, "the failure is known already");
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ben [ann]"]);
}

/// The pauses by default: 1, 2, 4, 8, 16, 32, and nine times 60 seconds. The time of the attempts comes on top.
#[test]
fn by_default_a_save_is_tried_sixteen_times_in_about_ten_minutes() {
    let world = World::plain();
    let mut in_hand = world.take_save();
    for (number, pause) in [1, 2, 4, 8, 16, 32].into_iter().chain([60; 9]).enumerate() {
        assert_eq!(in_hand.attempt(), number + 1);
        world.pass(seconds(3));
        in_hand.fail();
        world.pass(millis(pause * 1_000 - 1));
        world.assert_nothing_to_take();
        world.pass(millis(1));
        in_hand = world.take();
        assert_eq!(in_hand.callback().status, Status::Save);
    }
    assert_eq!((in_hand.attempt(), world.take_notices()), (16, vec![]));
    in_hand.fail();
    assert_eq!((world.take_notices(), world.forgotten()), (vec![storage(Status::Save)], vec!["doc".into()]));
    assert_eq!(world.take().callback().status, Status::SaveFailed);
}

/// A deadline that moves on leaves no further entry behind.
#[test]
fn p6_a_document_has_one_deadline_however_often_it_moves() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(60))));
    let ann = world.edit("doc", "ann");
    for _ in 0..1_000 {
        world.clock.advance(millis(1));
        ann.change().unwrap();
        world.engine.force_save(&key("doc"), None).unwrap();
        for delivery in world.callbacks.try_iter() {
            delivery.extend(seconds(90));
            delivery.ack();
        }
    }
    let mut looks = 0;
    while let Some(due) = world.engine.next_deadline() {
        world.clock.move_to(due);
        world.engine.tick();
        looks += 1;
    }
    assert_eq!(looks, 1);
    world.engine.validate().unwrap();
}
