//! Saving: the save delay, retries, forgotten documents, force saves, and the contents of a save.
mod support;
use support::*;

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, ActionKind, Bounds, Callback, Clock, Connection, ErrorCode, ForceSaveError, ForceSaveType,
    ForgottenError, Notice, Reason, Status, Timestamp, VERSION,
};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Lets ann join `doc` and change it. Acknowledges her join. She stays.
fn join_and_change(world: &World) -> Connection {
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    ann
}

/// Lets ann join, change and leave `doc`, and makes its save due.
fn make_save_due(world: &World) {
    drop(join_and_change(world));
    world.pass(seconds(10));
}

/// Fails the next callback, which must have this status, until the engine gives it up.
fn give_up(world: &World, status: Status) -> Box<Callback> {
    for pause in [1, 2, 4] {
        let failed = world.take().failed();
        assert_eq!(failed.status, status);
        world.pass(seconds(pause));
    }
    let last = world.take().failed();
    assert_eq!(last.status, status);
    last
}

/// Makes the engine forget `doc`, and acknowledges the callback of status 3.
fn forget(world: &World) {
    make_save_due(world);
    give_up(world, Status::Save);
    assert_eq!(world.acknowledge_all(), ["3 -ann [ann]"]);
    assert_eq!(forgotten(world), ["doc"]);
}

fn forgotten(world: &World) -> Vec<String> {
    world.engine.forgotten().into_iter().map(|forgotten| forgotten.key.to_string()).collect()
}

/// The notice that the storage failed with a callback of `doc` that came from no request.
fn given_up_notice(status: Status) -> Notice {
    Notice::Storage { key: key("doc"), status, userdata: None }
}

/// The notice that the storage has a save of `doc` that came from no request.
fn saved_notice(status: Status) -> Notice {
    Notice::Saved { key: key("doc"), status, userdata: None }
}

/// The turns of the history of a save.
fn turns_of(callback: &Callback) -> Vec<(&str, Option<&str>, Timestamp)> {
    let turns = &callback.history.as_ref().expect("a save has a history").changes;
    turns.iter().map(|turn| (turn.author.id.as_str(), turn.author.name.as_deref(), turn.created)).collect()
}

fn save(world: &World) -> Box<Callback> {
    let save = world.ack();
    assert_eq!(save.status, Status::Save);
    save
}

#[test]
fn the_save_is_due_when_the_delay_is_over_and_not_before() {
    let world = World::plain();
    let ann = join_and_change(&world);
    world.pass(seconds(100));
    assert!(world.acknowledge_all().is_empty(), "ann still edits");
    drop(ann);
    assert_eq!(world.engine.next_deadline(), Some(at(110_000)));
    assert!(world.engine.is_open(&key("doc")));
    world.pass(millis(9_999));
    assert!(world.acknowledge_all().is_empty());
    assert_eq!(world.engine.tick(), Some(at(110_000)));
    world.clock.advance(millis(1));
    assert!(world.acknowledge_all().is_empty(), "only a tick makes the save due");
    assert_eq!(world.engine.tick(), None);
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(!world.engine.is_open(&key("doc")));
    assert_eq!((world.engine.documents(), forgotten(&world)), (0, vec![]));
}

#[test]
fn an_unchanged_document_closes_at_once_with_status_4() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"]);
    world.assert_nothing_falls_due();
    // The same holds for a document that was saved before, while a viewer keeps it open.
    let _viewer = world.open("doc", "ben", Access::View);
    make_save_due(&world);
    save(&world);
    drop(world.edit("doc", "cat"));
    assert_eq!(world.acknowledge_all(), ["1 +cat [cat]", "4 -cat"]);
}

#[test]
fn the_save_names_who_left_and_who_changed_last() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    ben.change().unwrap();
    world.clock.advance(seconds(3));
    ann.change().unwrap();
    drop(ann);
    drop(ben);
    world.pass(seconds(10));
    let callbacks: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    let summaries: Vec<String> = callbacks.iter().map(|callback| summary(callback)).collect();
    assert_eq!(summaries, ["1 +ann [ann]", "1 +ben [ann ben]", "1 -ann [ben]", "2 -ben [ann]"]);
    assert_eq!(callbacks[3].lastsave, Some(at(3_000)));
}

#[test]
fn an_editor_may_join_again_during_the_delay() {
    let world = World::plain();
    drop(join_and_change(&world));
    world.pass(millis(9_999));
    let ann = world.edit("doc", "ann");
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ann [ann]"]);
    world.pass(seconds(60));
    assert!(world.acknowledge_all().is_empty(), "the old deadline does not apply any more");
    // The delay starts again, without a new change.
    drop(ann);
    assert_eq!(world.engine.next_deadline(), Some(at(9_999 + 70_000)));
    world.pass(millis(9_999));
    assert!(world.acknowledge_all().is_empty());
    world.pass(millis(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn an_editor_may_join_while_a_due_save_is_not_handed_out() {
    let world = World::plain();
    make_save_due(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ben [ann]"]);
}

#[test]
fn a_viewer_who_opens_during_the_delay_does_not_stop_the_save() {
    let world = World::plain();
    drop(join_and_change(&world));
    let _view = world.open("doc", "ben", Access::View);
    let _live = world.open("doc", "cat", Access::LiveView);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn while_the_save_is_outstanding_editors_get_view_access() {
    let world = World::plain();
    make_save_due(&world);
    let in_hand = world.take();
    assert!(world.engine.is_outstanding(&key("doc")));
    let ben = world.open("doc", "ben", Access::Edit);
    assert_eq!((ben.granted().access, ben.granted().reason), (Access::View, Some(Reason::Saving)));
    let live = world.open("doc", "ben", Access::LiveView);
    assert_eq!((live.granted().access, live.granted().reason), (Access::LiveView, None));
    let other = world.edit("other", "ben");
    in_hand.acked();
    assert!(!world.engine.is_outstanding(&key("doc")));
    assert_eq!(ben.access(), Some(Access::View), "the connection keeps its view access");
    let again = world.edit("doc", "ben");
    drop((again, other));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "4 -ben", "1 +ben [ben]", "4 -ben"]);
}

#[test]
fn editors_may_join_while_a_failed_save_waits() {
    let world = World::plain();
    make_save_due(&world);
    world.take().failed();
    let ben = world.edit("doc", "ben");
    world.pass(seconds(100));
    assert_eq!(
        world.acknowledge_all(),
        ["1 -ann []", "1 +ben [ben]"],
        "the save is due after the last editor leaves"
    );
    ben.change().unwrap();
    drop(ben);
    world.pass(millis(9_999));
    assert!(world.acknowledge_all().is_empty());
    world.pass(millis(1));
    assert_eq!(world.acknowledge_all(), ["2 -ben [ben]"]);
    assert!(forgotten(&world).is_empty());
}

#[test]
fn a_later_save_has_all_its_retries() {
    let world = World::with_three_retries();
    make_save_due(&world);
    for pause in [1, 2, 4] {
        world.take().failed();
        if pause < 4 {
            world.pass(seconds(pause));
        }
    }
    drop(world.edit("doc", "ben"));
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(world.acknowledge_all(), ["3 -ben [ann]"]);
}

#[test]
fn retries_come_after_growing_pauses() {
    let world = World::with_three_retries();
    make_save_due(&world);
    let mut now = 10_000;
    for pause in [1_000, 2_000, 4_000] {
        let failed = world.take();
        world.clock.advance(millis(500));
        failed.failed();
        now += 500 + pause;
        assert!(world.engine.is_open(&key("doc")) && forgotten(&world).is_empty());
        assert_eq!(world.engine.next_deadline(), Some(at(now)));
        world.pass(millis(pause - 1));
        assert!(world.callbacks.try_recv().is_err(), "the pause of {pause} ms is not over");
        world.pass(millis(1));
    }
    assert_eq!(save(&world).lastsave, Some(at(0)));
    assert_eq!(world.engine.documents(), 0);
    world.assert_nothing_falls_due();
}

#[test]
fn the_retry_pauses_and_their_number_are_a_setting() {
    let world = World::new(|config| config.retry_pauses([seconds(5), Duration::ZERO]));
    let ann = world.edit("doc", "ann");
    world.take().failed();
    world.assert_due_by(5_000);
    world.pass(millis(4_999));
    world.assert_nothing_to_take();
    world.pass(millis(1));
    world.take().failed();
    // A pause of zero needs no time to pass.
    assert_eq!(summary(world.take().failed().as_ref()), "1 +ann [ann]");
    assert_eq!(world.take_notices(), [given_up_notice(Status::Editing)]);
    drop(ann);
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
}

#[test]
fn after_the_last_retry_a_save_gets_status_3_and_the_document_is_forgotten() {
    let world = World::with_three_retries();
    make_save_due(&world);
    let given_up = give_up(&world, Status::Save);
    assert_eq!(forgotten(&world), ["doc"], "the document is listed as soon as its save is given up");
    assert!(world.engine.is_open(&key("doc")), "its changes are unsaved");
    assert_eq!(
        world.take_notices(),
        [given_up_notice(Status::Save)],
        "the notice comes before the callback of status 3 is taken"
    );
    // The callback of status 3 has the contents of the save and can be taken at once.
    let failed = world.take();
    let mut as_save = failed.callback().clone();
    assert_eq!(as_save.status, Status::SaveFailed);
    as_save.status = Status::Save;
    assert_eq!(as_save, *given_up);
    // It is retried in the same way, and given up with a notice.
    failed.failed();
    assert_eq!(world.engine.next_deadline(), Some(at(10_000 + 7_000 + 1_000)));
    world.pass(seconds(1));
    for pause in [2, 4] {
        assert_eq!(world.take().failed().status, Status::SaveFailed);
        assert_eq!(world.take_notices(), []);
        world.pass(seconds(pause));
    }
    world.take().failed();
    assert_eq!(world.take_notices(), [given_up_notice(Status::SaveFailed)]);
    world.assert_nothing_falls_due();
    assert_eq!(forgotten(&world), ["doc"]);
    assert_eq!(world.engine.documents(), 1, "its changes are unsaved");
}

#[test]
fn callbacks_of_status_1_4_and_7_are_given_up_with_a_notice_and_the_next_follows() {
    let world = World::with_three_retries();
    let ann = world.edit("doc", "ann");
    world.engine.info(&key("doc"), Some("x")).unwrap();
    give_up(&world, Status::Editing);
    assert_eq!(world.take_notices(), [given_up_notice(Status::Editing)]);
    // An answer to `info` is not tried again, and no notice tells of it.
    let answer = world.take().failed();
    assert_eq!((summary(&answer).as_str(), answer.userdata.as_deref()), ("1 [ann]", Some("x")));
    world.assert_nothing_falls_due();
    assert_eq!(world.take_notices(), []);
    ann.change().unwrap();
    world.engine.force_save(&key("doc"), Some("y")).unwrap();
    let with_userdata =
        |status| [Notice::Storage { key: key("doc"), status, userdata: Some("y".into()) }].to_vec();
    give_up(&world, Status::ForceSave);
    assert_eq!(world.take_notices(), with_userdata(Status::ForceSave), "before the callback of status 7");
    give_up(&world, Status::ForceSaveFailed);
    assert_eq!(world.take_notices(), with_userdata(Status::ForceSaveFailed));
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
    drop(ann);
    world.pass(seconds(10));
    save(&world);
    let saved = [saved_notice(Status::ForceSave), saved_notice(Status::Save)];
    assert_eq!(world.take_notices(), saved);
    drop(world.edit("doc", "ben"));
    world.ack();
    give_up(&world, Status::Closed);
    assert_eq!(world.take_notices(), [given_up_notice(Status::Closed)]);
    assert!(world.acknowledge_all().is_empty());
}

#[test]
fn without_retries_a_callback_is_given_up_at_its_first_failure() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.take().failed().status, Status::Editing);
    assert_eq!(world.take_notices(), [given_up_notice(Status::Editing)]);
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.take().failed().status, Status::ForceSave);
    assert_eq!(world.take().failed().status, Status::ForceSaveFailed);
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(world.take().failed().status, Status::Save);
    assert_eq!(forgotten(&world), ["doc"]);
    assert_eq!(world.take().failed().status, Status::SaveFailed);
    world.assert_nothing_falls_due();
}

#[test]
fn without_a_save_delay_a_document_is_saved_at_once() {
    let world = World::new(|config| config.save_delay(Duration::ZERO));
    drop(join_and_change(&world));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    world.assert_nothing_falls_due();
}

#[test]
fn a_forgotten_document_opened_again_counts_as_changed() {
    let world = World::with_three_retries();
    forget(&world);
    // View access, or edit access without a change, leaves it listed.
    drop(world.open("doc", "ben", Access::View));
    let ben = world.edit("doc", "ben");
    assert_eq!(forgotten(&world), ["doc"]);
    drop(ben);
    assert_eq!(
        world.acknowledge_all(),
        ["1 +ben [ben]"],
        "no callback of status 4, because the document is saved"
    );
    assert_eq!(forgotten(&world), ["doc"]);
    world.pass(seconds(10));
    let save = save(&world);
    assert_eq!(summary(&save), "2 -ben [ann]");
    assert_eq!((save.lastsave, save.notmodified), (Some(at(0)), Some(false)));
    let authors: Vec<String> =
        save.history.as_ref().unwrap().changes.iter().map(|turn| turn.author.id.to_string()).collect();
    assert_eq!(authors, ["ann"]);
    assert!(forgotten(&world).is_empty(), "a later save is acknowledged");
    assert_eq!(world.engine.forgotten_at(&key("doc")), Err(ForgottenError::NotForgotten));
}

#[test]
fn an_acknowledged_force_save_ends_that_a_document_is_forgotten() {
    let world = World::with_three_retries();
    forget(&world);
    let ben = world.edit("doc", "ben");
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.ack().status, Status::Editing);
    let in_hand = world.take();
    assert_eq!((in_hand.callback().status, forgotten(&world).len()), (Status::ForceSave, 1));
    in_hand.acked();
    assert!(forgotten(&world).is_empty());
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(save(&world).notmodified, Some(true));
}

#[test]
fn a_forgotten_document_whose_next_save_fails_too_stays_listed_once() {
    let world = World::with_three_retries();
    forget(&world);
    drop(world.edit("doc", "ben"));
    world.ack();
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(world.acknowledge_all(), ["3 -ben [ann]"]);
    assert_eq!(forgotten(&world), ["doc"]);
    world.engine.delete_forgotten(&key("doc")).unwrap();
    assert!(forgotten(&world).is_empty());
    world.engine.validate().unwrap();
}

#[test]
fn delete_forgotten_removes_the_document_from_the_list() {
    let world = World::with_three_retries();
    forget(&world);
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Ok(()));
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Err(ForgottenError::NotForgotten));
    assert!(forgotten(&world).is_empty());
    // Its changes are gone. A new session starts unchanged.
    drop(world.edit("doc", "ben"));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "4 -ben"]);
}

#[test]
fn delete_forgotten_keeps_the_changes_while_the_document_is_edited_again() {
    let world = World::with_three_retries();
    forget(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Ok(()));
    assert!(forgotten(&world).is_empty());
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "2 -ben [ann]"]);
}

#[test]
fn delete_forgotten_works_while_the_callback_of_status_3_is_outstanding() {
    let world = World::with_three_retries();
    make_save_due(&world);
    give_up(&world, Status::Save);
    let in_hand = world.take();
    world.engine.delete_forgotten(&key("doc")).unwrap();
    world.engine.validate().unwrap();
    assert_eq!(in_hand.failed().status, Status::SaveFailed);
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["3 -ann [ann]"]);
    assert!(forgotten(&world).is_empty());
}

#[test]
fn forgotten_documents_are_listed_by_key_with_their_url() {
    let world = World::new(|config| config.retry_pauses([]).save_delay(Duration::ZERO));
    for document in ["b", "c", "a"] {
        world.edit(document, "ann").change().unwrap();
    }
    while let Ok(mut delivery) = world.callbacks.try_recv() {
        let document = delivery.callback().key.to_string();
        match (document.as_str(), delivery.callback().status) {
            (_, Status::Editing) => drop(delivery.acked()),
            // The worker gives the URL with status 2, with status 3 or never, and then fails or acknowledges.
            ("a", Status::Save) => {
                delivery.kept_at("old").unwrap();
                delivery.kept_at("url-a").unwrap();
                drop(delivery);
            }
            ("b", Status::SaveFailed) => {
                delivery.kept_at("url-b").unwrap();
                delivery.acked();
            }
            _ => drop(delivery.failed()),
        }
    }
    let expected = [("a", Some("url-a".into())), ("b", Some("url-b".into())), ("c", None)];
    let listed: Vec<_> =
        world.engine.forgotten().into_iter().map(|forgotten| (forgotten.key, forgotten.url)).collect();
    assert_eq!(listed, expected.map(|(document, url)| (key(document), url)));
    assert_eq!(world.engine.forgotten_at(&key("b")), Ok(Some("url-b".into())));
    assert_eq!(world.engine.forgotten_at(&key("c")), Ok(None));
}

#[test]
fn a_url_counts_only_for_the_save_that_is_given_up() {
    let world = World::with_three_retries();
    // The URL of a callback of another status is ignored.
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let mut join = world.take();
    join.kept_at("of a 1").unwrap();
    join.acked();
    drop(ann);
    world.pass(seconds(10));
    // So is the URL of a failed save that is replaced by a later save.
    let mut failed = world.take();
    failed.kept_at("of an earlier save").unwrap();
    failed.failed();
    drop(world.edit("doc", "ben"));
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(
        (forgotten(&world), world.engine.forgotten_at(&key("doc"))),
        (vec!["doc".to_owned()], Ok(None))
    );
}

#[test]
fn a_drop_makes_the_save_due_at_once() {
    type Drop = fn(&World, &Connection);
    let ways: [Drop; 3] = [
        |world, _| drop(world.engine.drop_all(&key("doc")).unwrap()),
        |world, _| drop(world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap()),
        |world, ann| drop(world.engine.drop_connection(ann.id()).unwrap()),
    ];
    for drop_access in ways {
        let world = World::plain();
        let ann = join_and_change(&world);
        drop_access(&world, &ann);
        assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
        // An unchanged document closes.
        let ben = world.edit("doc", "ben");
        drop_access(&world, &ben);
        world.engine.drop_all(&key("doc")).unwrap();
        assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "4 -ben"]);
        world.assert_nothing_falls_due();
    }
}

#[test]
fn a_drop_makes_a_save_due_that_waits_for_its_delay() {
    type Drop = fn(&World, &Connection);
    let ways: [Drop; 4] = [
        |world, _| drop(world.engine.drop_all(&key("doc")).unwrap()),
        |world, _| drop(world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap()),
        |world, _| drop(world.engine.drop_users(&key("doc"), &[]).unwrap()),
        |world, viewer| drop(world.engine.drop_connection(viewer.id()).unwrap()),
    ];
    for drop_access in ways {
        let world = World::plain();
        let viewer = world.open("doc", "zoe", Access::View);
        drop(join_and_change(&world));
        world.pass(seconds(1));
        assert!(world.acknowledge_all().is_empty());
        drop_access(&world, &viewer);
        assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
        world.pass(seconds(60));
        assert!(world.acknowledge_all().is_empty(), "the save came once");
    }
}

#[test]
fn a_drop_of_one_editor_makes_no_save_due_while_another_edits() {
    let world = World::plain();
    let ann = join_and_change(&world);
    let ben = world.edit("doc", "ben");
    world.engine.drop_connection(ben.id()).unwrap();
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ann ben]", "1 -ben [ann]"]);
    assert!(ann.may_edit());
}

#[test]
fn a_drop_does_not_hurry_the_retry_of_a_save() {
    let world = World::plain();
    make_save_due(&world);
    world.take().failed();
    world.engine.drop_all(&key("doc")).unwrap();
    assert_eq!(world.engine.next_deadline(), Some(at(11_000)));
    assert!(world.callbacks.try_recv().is_err());
    world.pass(seconds(1));
    save(&world);
}

#[test]
fn drain_makes_saves_due_and_refuses_editors() {
    let world = World::plain();
    drop(join_and_change(&world));
    let ben = world.edit("other", "ben");
    ben.change().unwrap();
    assert!(!world.engine.is_draining());
    world.engine.drain();
    assert!(world.engine.is_draining());
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]", "1 +ben [ben]"], "the save goes first");
    let cat = world.open("doc", "cat", Access::Edit);
    assert_eq!((cat.granted().access, cat.granted().reason), (Access::View, Some(Reason::Draining)));
    assert_eq!(world.open("doc", "cat", Access::LiveView).granted().reason, None);
    // Editors keep their access. The save is due when the last one leaves.
    assert_eq!(ben.change(), Ok(()));
    drop(ben);
    assert_eq!(world.acknowledge_all(), ["2 -ben [ben]"]);
}

#[test]
fn a_force_save_names_its_cause() {
    let world = World::plain();
    let ann = join_and_change(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 +ben [ann ben]"]);
    world.clock.advance(seconds(2));
    let force = |number: usize| match number {
        0 => world.engine.force_save(&key("doc"), Some("mine")),
        1 => world.engine.press_save(ben.id()),
        _ => world.engine.submit_form(ben.id()),
    };
    let rows = [
        (ForceSaveType::Command, "6 [ann]", Some("mine"), false),
        (ForceSaveType::Button, "6 !ben [ann]", None, true),
        (ForceSaveType::Form, "6 !ben [ann]", None, true),
    ];
    for (number, (kind, expected, userdata, has_action)) in rows.into_iter().enumerate() {
        let changed_at = world.clock.now();
        ann.change().unwrap();
        world.clock.advance(seconds(1));
        force(number).unwrap();
        // The force save does not cover later changes.
        ann.change().unwrap();
        let callback = world.ack();
        assert_eq!(summary(&callback), expected);
        assert_eq!(callback.forcesavetype, Some(kind));
        assert_eq!(callback.lastsave, Some(changed_at), "{kind:?}");
        assert_eq!(callback.userdata.as_deref(), userdata, "{kind:?}");
        assert_eq!(callback.notmodified, None);
        let history = callback.history.as_ref().unwrap();
        assert_eq!(history.server_version, VERSION);
        let turns = [("ann", Some("ann"), at(0))];
        assert_eq!(turns_of(&callback), turns, "ann changed it all the time");
        let action = callback.action.as_ref().map(|action| action.kind);
        assert_eq!(action, has_action.then_some(ActionKind::ForceSaveRequested));
    }
}

#[test]
fn a_force_save_needs_a_change_since_the_last_one() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    let doc = key("doc");
    let assert_not_changed = || {
        assert_eq!(world.engine.force_save(&doc, None), Err(ForceSaveError::NotChanged));
        assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::NotChanged));
        assert_eq!(world.engine.submit_form(ann.id()), Err(ForceSaveError::NotChanged));
    };
    assert_eq!(ForceSaveError::NotChanged.code(), ErrorCode::NotChanged);
    assert_not_changed();
    ann.change().unwrap();
    world.engine.force_save(&doc, None).unwrap();
    // A force save counts while it waits, while it is outstanding and while it waits for its retry.
    assert_not_changed();
    assert_eq!(world.ack().status, Status::Editing);
    let in_hand = world.take();
    assert_not_changed();
    in_hand.failed();
    assert_not_changed();
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
    assert_not_changed();
    ann.change().unwrap();
    world.engine.press_save(ann.id()).unwrap();
    assert_not_changed();
    // A change during a force save allows another force save.
    ann.change().unwrap();
    world.engine.submit_form(ann.id()).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 !ann [ann]", "6 !ann [ann]"]);
}

#[test]
fn after_a_force_save_during_the_delay_the_save_is_not_modified() {
    let world = World::plain();
    drop(join_and_change(&world));
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
    world.pass(seconds(10));
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    let in_hand = world.take();
    assert_eq!(
        (summary(in_hand.callback()), in_hand.callback().notmodified),
        ("2 -ann [ann]".to_owned(), Some(true))
    );
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    in_hand.acked();
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotOpen));
}

#[test]
fn a_due_save_leaves_nothing_for_a_force_save() {
    let world = World::plain();
    make_save_due(&world);
    let not_changed =
        || assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    not_changed();
    let in_hand = world.take();
    not_changed();
    in_hand.failed();
    not_changed();
    world.pass(seconds(1));
    save(&world);
    assert!(world.acknowledge_all().is_empty());
}

#[test]
fn the_save_waits_for_the_force_save_before_it() {
    let world = World::plain();
    let ann = join_and_change(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(10));
    assert!(world.callbacks.try_recv().is_err());
    in_hand.acked();
    assert_eq!(save(&world).notmodified, Some(true));
}

#[test]
fn after_the_last_retry_a_force_save_gets_status_7_and_its_changes_are_unsaved_again() {
    let world = World::with_three_retries();
    let ann = join_and_change(&world);
    world.clock.advance(seconds(1));
    world.engine.press_save(ann.id()).unwrap();
    let given_up = give_up(&world, Status::ForceSave);
    // The changes are unsaved again as soon as the force save is given up.
    world.engine.force_save(&key("doc"), Some("again")).unwrap();
    let mut failed = (*world.ack()).clone();
    assert_eq!(failed.status, Status::ForceSaveFailed);
    failed.status = Status::ForceSave;
    assert_eq!(failed, *given_up, "the callback of status 7 has the contents of the force save");
    let again = world.ack();
    assert_eq!((again.status, again.userdata.as_deref()), (Status::ForceSave, Some("again")));
    assert!(forgotten(&world).is_empty());
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(save(&world).notmodified, Some(true));
    // Without another force save, the save holds the changes.
    let ben = join_and_change(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    give_up(&world, Status::ForceSave);
    drop(ben);
    world.ack();
    world.pass(seconds(10));
    assert_eq!(save(&world).notmodified, Some(false));
}

#[test]
fn a_timed_force_save_is_due_one_interval_after_the_first_unsaved_change() {
    let world = timed(seconds(60));
    let ann = world.edit("doc", "ann");
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    assert_eq!(world.engine.next_deadline(), None);
    world.pass(seconds(5));
    ann.change().unwrap();
    assert_eq!(world.engine.next_deadline(), Some(at(65_000)));
    world.pass(seconds(30));
    ann.change().unwrap();
    world.pass(millis(29_999));
    assert!(world.acknowledge_all().is_empty());
    world.pass(millis(1));
    let callback = world.ack();
    assert_eq!(
        (summary(&callback), callback.forcesavetype),
        ("6 [ann]".to_owned(), Some(ForceSaveType::Timer))
    );
    assert_eq!(callback.lastsave, Some(at(35_000)));
    // Without another change, no force save follows.
    world.pass(seconds(600));
    assert!(world.acknowledge_all().is_empty());
    assert_eq!(world.engine.next_deadline(), None);
    // A requested force save replaces the timed one.
    ann.change().unwrap();
    world.pass(seconds(30));
    world.engine.press_save(ann.id()).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 !ann [ann]"]);
    world.pass(seconds(600));
    assert!(world.acknowledge_all().is_empty());
    // A change after it starts a new interval.
    ann.change().unwrap();
    world.pass(millis(59_999));
    assert!(world.acknowledge_all().is_empty());
    world.pass(millis(1));
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
}

#[test]
fn after_a_requested_force_save_the_next_change_starts_a_new_interval() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(60))));
    let ann = join_and_change(&world);
    world.pass(seconds(30));
    world.engine.press_save(ann.id()).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 !ann [ann]"]);
    world.pass(seconds(10));
    ann.change().unwrap();
    world.pass(millis(59_999));
    assert!(world.acknowledge_all().is_empty(), "the first unsaved change was at 40 s");
    world.pass(millis(1));
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
}

/// A world with timed force saves, in which a worker may hold a delivery for any time.
fn timed(interval: Duration) -> World {
    World::new(|config| config.force_save_interval(Some(interval)).ack_timeout(None))
}

#[test]
fn timed_force_saves_that_nobody_took_yet_are_one_that_holds_all_changes() {
    let world = timed(seconds(60));
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let held = world.take();
    for _ in 0..70 {
        ann.change().unwrap();
        world.pass(seconds(60));
    }
    ben.change().unwrap();
    assert_eq!(world.engine.next_deadline(), None, "the one that waits will hold this change too");
    held.acked();
    assert_eq!(summary(&world.ack()), "1 +ben [ann ben]");
    let in_hand = world.take();
    let callback = in_hand.callback();
    assert_eq!((summary(callback), callback.forcesavetype), ("6 [ben]".into(), Some(ForceSaveType::Timer)));
    assert_eq!(callback.lastsave, Some(at(70 * 60_000)));
    assert_eq!(turns_of(callback), [("ann", Some("ann"), at(0)), ("ben", Some("ben"), at(70 * 60_000))]);
    // A change after it was taken needs another.
    ann.change().unwrap();
    assert_eq!(world.engine.next_deadline(), Some(at(71 * 60_000)));
    in_hand.acked();
    assert!(world.acknowledge_all().is_empty());
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
}

#[test]
fn a_requested_force_save_leaves_the_timed_one_that_waits_nothing_but_later_changes() {
    for changed_later in [false, true] {
        let world = timed(seconds(60));
        let ann = world.edit("doc", "ann");
        let held = world.take();
        ann.change().unwrap();
        world.pass(seconds(60));
        // The button is pressed while the timed one waits. Only a taken one holds anything.
        assert_eq!(world.engine.press_save(ann.id()), Ok(()));
        assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::NotChanged));
        if changed_later {
            world.clock.advance(seconds(1));
            ann.change().unwrap();
        }
        held.acked();
        let saves: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
        let told: Vec<_> = saves.iter().map(|save| (save.forcesavetype.unwrap(), save.lastsave)).collect();
        let button = (ForceSaveType::Button, Some(at(0)));
        let timer = (ForceSaveType::Timer, Some(at(61_000)));
        assert_eq!(told, if changed_later { vec![timer, button] } else { vec![button] });
        assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
        drop(ann);
        world.pass(seconds(10));
        assert_eq!(save(&world).notmodified, Some(true));
    }
}

#[test]
fn a_timed_force_save_that_finds_no_room_is_planned_again() {
    let bounds = Bounds { asked: 2, ..Bounds::default() };
    let world =
        World::new(|config| config.bounds(bounds).force_save_interval(Some(seconds(60))).ack_timeout(None));
    let ann = world.edit("doc", "ann");
    let held = world.take();
    for _ in 0..2 {
        ann.change().unwrap();
        world.engine.force_save(&key("doc"), None).unwrap();
    }
    ann.change().unwrap();
    world.pass(seconds(60));
    held.acked();
    assert_eq!(world.acknowledge_all(), ["6 [ann]", "6 [ann]"]);
    assert_eq!(
        world.engine.next_deadline(),
        Some(at(120_000)),
        "one interval after a force save was settled"
    );
    world.pass(seconds(60));
    let timed = world.ack();
    assert_eq!((timed.forcesavetype, timed.lastsave), (Some(ForceSaveType::Timer), Some(at(0))));
    assert!(world.acknowledge_all().is_empty());
}

#[test]
fn a_timed_force_save_takes_the_place_of_one_request_and_questions_take_none() {
    let world = timed(seconds(60));
    let ann = world.edit("doc", "ann");
    let held = world.take();
    (0..100).for_each(|_| assert_eq!(world.engine.info(&key("doc"), None), Ok(vec![id("ann")])));
    ann.change().unwrap();
    world.pass(seconds(60));
    for _ in 0..63 {
        assert_eq!(world.engine.press_save(ann.id()), Ok(()));
        ann.change().unwrap();
    }
    assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::TooManyAsked));
    held.acked();
    let told = world.acknowledge_all();
    let count = |what: &str| told.iter().filter(|one| *one == what).count();
    assert_eq!((count("1 [ann]"), count("6 [ann]"), count("6 !ann [ann]")), (64, 1, 63));
}

#[test]
fn without_an_interval_there_is_no_timed_force_save() {
    let world = World::plain();
    let _ann = join_and_change(&world);
    world.assert_nothing_falls_due();
}

#[test]
fn press_save_and_submit_form_need_an_open_connection() {
    let world = World::plain();
    let ann = join_and_change(&world);
    let gone = ann.id();
    drop(ann);
    assert_eq!(world.engine.press_save(gone), Err(ForceSaveError::UnknownConnection));
    assert_eq!(world.engine.submit_form(gone), Err(ForceSaveError::UnknownConnection));
    assert_eq!(world.engine.force_save(&key("nowhere"), None), Err(ForceSaveError::NotOpen));
    assert_eq!(world.engine.force_save(&key("doc"), None), Ok(()), "the document is open until its save");
}

#[test]
fn press_save_and_submit_form_need_edit_access() {
    let world = World::plain();
    let ann = join_and_change(&world);
    let viewers = [Access::View, Access::LiveView].map(|access| world.open("doc", "ben", access));
    let dropped = world.edit("doc", "mal");
    world.engine.drop_users(&key("doc"), &[id("mal")]).unwrap();
    for id in [viewers[0].id(), viewers[1].id(), dropped.id()] {
        assert_eq!(world.engine.press_save(id), Err(ForceSaveError::ViewOnly));
        assert_eq!(world.engine.submit_form(id), Err(ForceSaveError::ViewOnly));
    }
    assert_eq!(ForceSaveError::ViewOnly.code(), ErrorCode::Command);
    assert_eq!(world.acknowledge_all(), ["1 +mal [ann mal]", "1 -mal [ann]"]);
    assert_eq!(world.engine.press_save(ann.id()), Ok(()));
    // Without a change there would be nothing to save. That the access is missing is said first.
    assert_eq!(world.engine.press_save(dropped.id()), Err(ForceSaveError::ViewOnly));
    assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::NotChanged));
    assert_eq!(world.acknowledge_all(), ["6 !ann [ann]"]);
}

#[test]
fn a_notice_tells_of_every_save_that_is_acknowledged() {
    let world = World::with_three_retries();
    let ann = join_and_change(&world);
    assert_eq!(world.take_notices(), [], "a join saves nothing");
    for userdata in [None, Some("mine")] {
        world.engine.force_save(&key("doc"), userdata).unwrap();
        ann.change().unwrap();
        let in_hand = world.take();
        assert_eq!(world.take_notices(), []);
        in_hand.acked();
        let userdata = userdata.map(Into::into);
        let saved = Notice::Saved { key: key("doc"), status: Status::ForceSave, userdata };
        assert_eq!(world.take_notices(), [saved]);
    }
    drop(ann);
    world.pass(seconds(10));
    world.take().failed();
    assert_eq!(world.take_notices(), [], "a retry is still to come");
    world.pass(seconds(1));
    save(&world);
    assert_eq!(world.take_notices(), [saved_notice(Status::Save)]);
    // What is not a save has no such notice: 3, 4, 7 and answers.
    forget(&world);
    assert_eq!(world.take_notices(), [given_up_notice(Status::Save)]);
    world.engine.info(&key("doc"), None).unwrap();
    assert_eq!(world.acknowledge_all(), ["4"]);
    world.engine.delete_forgotten(&key("doc")).unwrap();
    let ben = join_and_change(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    give_up(&world, Status::ForceSave);
    assert_eq!(world.take_notices(), [given_up_notice(Status::ForceSave)]);
    assert_eq!(world.ack().status, Status::ForceSaveFailed);
    assert_eq!(world.take_notices(), []);
    world.engine.drop_connection(ben.id()).unwrap();
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(world.take_notices().ends_with(&[saved_notice(Status::Save)]));
    drop(world.edit("other", "ann"));
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"]);
    assert_eq!(world.take_notices(), []);
}

#[test]
fn a_force_save_and_its_failure_have_the_history_up_to_the_request() {
    let world = World::with_three_retries();
    let ann = join_and_change(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 +ben [ann ben]"]);
    world.engine.force_save(&key("doc"), None).unwrap();
    world.clock.advance(seconds(2));
    ben.change().unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    let first = ("ann", Some("ann"), at(0));
    let both = [first, ("ben", Some("ben"), at(2_000))];
    assert_eq!(turns_of(&give_up(&world, Status::ForceSave)), [first]);
    assert_eq!(turns_of(&give_up(&world, Status::ForceSaveFailed)), [first]);
    assert_eq!(turns_of(&world.ack()), both);
    // The history goes back to the last acknowledged save of status 2, not to the last force save.
    drop((ann, ben));
    world.pass(seconds(10));
    let last = world.callbacks.try_iter().map(Settle::acked).last().unwrap();
    assert_eq!((last.status, turns_of(&last)), (Status::Save, both.to_vec()));
}

#[test]
fn notmodified_and_lastsave_describe_the_contents_of_the_save() {
    // The steps after the first change at 0 s, one second apart: `f` is a force save, `c` a change.
    let rows: [(&str, bool, u64); 5] =
        [("", false, 0), ("f", true, 0), ("fc", false, 2), ("cf", true, 1), ("fcf", true, 2)];
    for (steps, notmodified, last_change) in rows {
        let world = World::plain();
        let ann = join_and_change(&world);
        for step in steps.chars() {
            world.clock.advance(seconds(1));
            match step {
                'f' => {
                    world.engine.force_save(&key("doc"), None).unwrap();
                    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
                }
                _ => ann.change().unwrap(),
            }
        }
        world.clock.advance(seconds(5));
        drop(ann);
        world.pass(seconds(10));
        let save = save(&world);
        assert_eq!(
            (save.notmodified, save.lastsave),
            (Some(notmodified), Some(at(last_change * 1_000))),
            "{steps:?}"
        );
    }
}

#[test]
fn the_history_has_one_entry_for_each_turn() {
    let world = World::new(|config| config.bounds(Bounds { turns: 3, ..Bounds::default() }));
    let open = |name: &str| {
        let user = user(&name.to_lowercase()).named(name).unwrap();
        world.engine.open(&key("doc"), &user, Access::Edit).unwrap()
    };
    let (ann, ben, cat) = (open("Ann"), open("Ben"), world.edit("doc", "cat"));
    let turns = |order: &[&Connection]| {
        for connection in order {
            connection.change().unwrap();
            world.clock.advance(millis(1_500));
        }
        world.engine.force_save(&key("doc"), None).unwrap();
    };
    turns(&[&ann, &ann, &ben, &ann, &cat]);
    world.acknowledge_all();
    drop((ann, ben, cat));
    world.pass(seconds(10));
    let all: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    let save = all.last().unwrap();
    let history = save.history.as_ref().unwrap();
    assert_eq!(history.server_version, VERSION);
    let turns = turns_of(save);
    // Four turns exceed the bound of three. The first turns of ann and ben merge, and then also with ann's second turn.
    assert!(turns.len() <= 3, "{turns:?}");
    assert_eq!(turns[0], ("ann", Some("Ann"), at(0)));
    assert_eq!(*turns.last().unwrap(), ("cat", Some("cat"), at(6_000)), "times are whole seconds");
    // An acknowledged save starts a new history.
    let viewer = world.open("doc", "zoe", Access::View);
    world.edit("doc", "ben").change().unwrap();
    world.pass(seconds(10));
    let all: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    let history = all.last().unwrap().history.clone().unwrap();
    assert_eq!(history.changes.len(), 1);
    assert_eq!(history.changes[0].author.id, "ben");
    drop(viewer);
}

#[test]
fn turns_start_in_whole_seconds_and_a_user_may_have_several_turns() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    for (connection, pause) in [(&ann, 900), (&ann, 900), (&ben, 1_999), (&ann, 1)] {
        connection.change().unwrap();
        world.clock.advance(millis(pause));
    }
    world.engine.drop_all(&key("doc")).unwrap();
    let all: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    let changes = &all.last().unwrap().history.as_ref().unwrap().changes;
    let turns: Vec<_> = changes.iter().map(|turn| (turn.author.id.as_str(), turn.created)).collect();
    assert_eq!(turns, [("ann", at(0)), ("ben", at(1_000)), ("ann", at(3_000))]);
    assert_eq!(all.last().unwrap().lastsave, Some(at(3_799)));
}

#[test]
fn a_clock_that_goes_back_does_not_move_the_time_of_a_document_back() {
    struct BackwardClock(std::sync::atomic::AtomicU64);
    impl Clock for BackwardClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(std::sync::atomic::Ordering::SeqCst))
        }
    }
    let clock = Arc::new(BackwardClock((START + 5_000).into()));
    let engine =
        coedit::Engine::new(coedit::Config::new().clock(clock.clone()).shards(1).save_delay(Duration::ZERO))
            .unwrap();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    clock.0.store(START, std::sync::atomic::Ordering::SeqCst);
    ann.change().unwrap();
    drop(ann);
    let save = engine.callbacks().try_iter().map(Settle::acked).last().unwrap();
    assert_eq!((save.status, save.lastsave), (Status::Save, Some(at(5_000))));
}

#[test]
fn info_reports_the_state_of_the_document_to_the_storage() {
    let world = World::plain();
    let doc = key("doc");
    let request_info = |userdata: &str| {
        let editors = world.engine.info(&doc, Some(userdata)).unwrap();
        editors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let viewer = world.open("doc", "zoe", Access::View);
    assert!(request_info("nobody").is_empty());
    let answer = world.ack();
    assert_eq!((summary(&answer), answer.userdata.as_deref()), ("4".to_owned(), Some("nobody")));
    let ann = join_and_change(&world);
    assert_eq!(request_info("edited"), ["ann"]);
    let answer = world.ack();
    assert_eq!((summary(&answer), answer.userdata.as_deref()), ("1 [ann]".to_owned(), Some("edited")));
    drop(ann);
    assert!(request_info("to be saved").is_empty());
    let answer = world.ack();
    assert_eq!((summary(&answer), answer.userdata.as_deref()), ("1 []".to_owned(), Some("to be saved")));
    world.pass(seconds(10));
    let in_hand = world.take();
    assert!(request_info("with the storage").is_empty());
    in_hand.failed();
    assert!(
        world.callbacks.try_recv().is_err(),
        "no other callback can be taken while the save waits for its retry"
    );
    world.pass(seconds(1));
    // The document is saved by now, so the answer has status 4.
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]", "4"]);
    drop(viewer);
    assert!(world.engine.info(&doc, None).is_err());
}

#[test]
fn info_says_of_a_forgotten_document_that_no_save_is_to_come() {
    let world = World::with_three_retries();
    forget(&world);
    let doc = key("doc");
    assert!(world.engine.is_open(&doc) && world.engine.documents() == 1);
    let asked = |expected: &str| {
        assert_eq!(world.engine.info(&doc, None), Ok(vec![]));
        assert_eq!(world.acknowledge_all(), [expected]);
    };
    asked("4");
    let viewer = world.open("doc", "ben", Access::View);
    asked("4");
    // Edited again, it is to be saved when the editor leaves.
    drop(world.edit("doc", "ben"));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]"]);
    asked("1 []");
    world.pass(seconds(10));
    // What was asked while a save was to come says what is so when it is handed out.
    let in_hand = world.take();
    assert_eq!(world.engine.info(&doc, None), Ok(vec![]));
    in_hand.failed();
    for pause in [1, 2, 4] {
        world.pass(seconds(pause));
        world.take().failed();
    }
    assert_eq!(world.acknowledge_all(), ["3 -ben [ann]", "4"]);
    asked("4");
    drop(viewer);
    world.engine.delete_forgotten(&doc).unwrap();
    assert!(world.engine.info(&doc, None).is_err() && world.engine.documents() == 0);
}

#[test]
fn a_forgotten_document_can_be_force_saved() {
    let world = World::with_three_retries();
    forget(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    give_up(&world, Status::ForceSave);
    assert_eq!(world.acknowledge_all(), ["7 [ann]"]);
    assert_eq!(forgotten(&world), ["doc"]);
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
    assert!(forgotten(&world).is_empty() && !world.engine.is_open(&key("doc")));
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotOpen));
}

#[test]
fn after_everybody_left_unchanged_a_force_save_finds_nothing_until_the_closing_is_acknowledged() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    let force_save = || world.engine.force_save(&key("doc"), None);
    assert_eq!(force_save(), Err(ForceSaveError::NotChanged));
    assert_eq!(summary(&world.ack()), "1 +ann [ann]");
    let closing = world.take();
    assert_eq!(
        (summary(closing.callback()), force_save()),
        ("4 -ann".into(), Err(ForceSaveError::NotChanged))
    );
    closing.failed();
    assert_eq!(force_save(), Err(ForceSaveError::NotChanged));
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert_eq!(force_save(), Err(ForceSaveError::NotOpen));
}

#[test]
fn questions_about_too_many_waiting_documents_are_answered_and_not_told() {
    let world = World::new(|config| config.bounds(Bounds { waiting_documents: 2, ..Bounds::default() }));
    let editors: Vec<Connection> = ["a", "b", "c", "d"].map(|document| world.edit(document, "ann")).into();
    for document in ["a", "d"] {
        assert_eq!(world.engine.info(&key(document), Some("x")), Ok(vec![id("ann")]), "{document}");
    }
    let told: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    assert_eq!((told.len(), told.iter().filter(|one| one.userdata.is_some()).count()), (4, 0));
    // There is room again.
    assert_eq!(world.engine.info(&key("d"), Some("x")), Ok(vec![id("ann")]));
    assert_eq!(world.ack().userdata.as_deref(), Some("x"));
    drop(editors);
}

/// One lock of a shard covers fewer saves than these.
#[test]
fn hundreds_of_saves_fall_due_in_one_tick() {
    let world = World::new(|config| config.shards(1));
    let documents: Vec<String> = (0..300).map(|n| format!("document-{n:03}")).collect();
    for document in &documents {
        world.edit(document, "ann").change().unwrap();
    }
    assert_eq!(world.acknowledge_all().len(), 300);
    world.pass(seconds(10));
    let saved: Vec<String> =
        world.callbacks.try_iter().map(|delivery| delivery.acked().key.to_string()).collect();
    assert_eq!(saved, documents, "by deadline, then by key");
    assert_eq!(world.engine.documents(), 0);
    world.assert_nothing_falls_due();
}

/// More wait than are kept one by one: what is left of them comes before a force save that is asked for later.
#[test]
fn p4_a_force_save_comes_after_every_join_before_it_also_of_a_crowd() {
    for timed in [false, true] {
        let world = World::new(|config| config.force_save_interval(timed.then(|| seconds(60))));
        let tabs: Vec<_> = (0..1_500).map(|number| world.edit("doc", &format!("u{number}"))).collect();
        tabs[0].change().unwrap();
        if timed {
            world.pass(seconds(60));
        } else {
            world.engine.force_save(&key("doc"), None).unwrap();
        }
        let _last = world.edit("doc", "zoe");
        let told = world.acknowledge_all();
        let place = told.iter().position(|callback| callback.starts_with('6')).unwrap();
        assert_eq!((place, told.len()), (1_500, 1_502), "{:?}", told.last());
    }
}
