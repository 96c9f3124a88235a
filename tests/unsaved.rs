//! What is not settled: `unsaved`, `remaining`, forgotten documents that are tried again, draining that is called off, and the
//! version that saves name.
mod support;
use support::story::*;
use support::*;

use std::time::Duration;

use coedit::{
    Access, Answered, DocumentState, ErrorCode, ForgottenError, Reason, RetryError, Status, VERSION,
};
use serde_json::json;

fn without_retries() -> World {
    World::new(|config| config.retry_pauses([]))
}

/// What `remaining` and `unsaved` say of `doc`: its state, since how many milliseconds, and how often its save failed.
#[track_caller]
fn state(world: &World) -> Option<(DocumentState, u64, usize)> {
    let documents = world.engine.remaining().documents;
    let unsaved = world.engine.unsaved();
    let told = documents.iter().filter(|one| one.state != DocumentState::Telling);
    assert_eq!(told.cloned().collect::<Vec<_>>(), unsaved, "only with `Telling` nothing is unsaved");
    documents.first().map(|one| {
        assert_eq!((one.key.as_str(), documents.len()), ("doc", 1));
        (one.state, one.since.as_millis() - START, one.failures)
    })
}

#[test]
fn a_document_is_listed_with_its_state_until_it_is_settled() {
    use DocumentState::*;
    let world = World::new(|config| config.retry_pauses([seconds(1)]));
    assert_eq!((state(&world), world.engine.remaining().connections), (None, 0));
    let viewer = world.open("doc", "zoe", Access::View);
    assert_eq!((state(&world), world.engine.remaining().connections), (None, 1), "a viewer leaves nothing");
    world.pass(seconds(2));
    let ann = world.edit("doc", "ann");
    assert_eq!(state(&world), Some((Telling, 2_000, 0)));
    world.pass(seconds(1));
    let join = world.take();
    assert_eq!(state(&world), Some((Telling, 3_000, 0)), "since a worker has it");
    join.ack();
    assert_eq!(state(&world), None, "an editor leaves nothing either");
    world.pass(Duration::from_millis(1_700));
    ann.change().unwrap();
    assert_eq!(state(&world), Some((Edited, 4_000, 0)));
    world.pass(seconds(10));
    ann.change().unwrap();
    drop(ann);
    assert_eq!(state(&world), Some((Closing, 4_000, 0)), "since the oldest change");
    world.pass(seconds(10));
    assert_eq!(state(&world), Some((Closing, 4_000, 0)), "it is due, and waits for a worker");
    let save = world.take();
    assert_eq!(state(&world), Some((Saving, 4_000, 0)));
    save.fail();
    assert_eq!(state(&world), Some((Retrying, 4_000, 1)));
    world.pass(seconds(1));
    world.take().fail();
    assert_eq!(state(&world), Some((Forgotten, 4_000, 2)));
    world.ack();
    assert_eq!(state(&world), Some((Forgotten, 4_000, 2)));
    world.engine.retry_forgotten(&key("doc")).unwrap();
    assert_eq!(state(&world), Some((Closing, 4_000, 2)));
    world.ack();
    assert_eq!((state(&world), world.engine.remaining().connections), (None, 1));
    drop(viewer);
    drop(world.edit("doc", "ben"));
    assert_eq!(summary(&world.ack()), "1 +ben [ben]");
    assert!(matches!(state(&world), Some((Telling, _, 0))), "the closing is not told");
    world.ack();
    assert_eq!((state(&world), world.engine.remaining().connections), (None, 0));
}

#[test]
fn documents_are_listed_by_key_however_many_there_are() {
    let world = World::new(|config| config.shards(1));
    let mut names: Vec<String> = (0..700).map(|n| format!("document-{n}")).collect();
    for name in &names {
        world.edit(name, "ann").change().unwrap();
    }
    names.sort();
    let listed: Vec<String> = world.engine.unsaved().into_iter().map(|one| one.key.to_string()).collect();
    assert_eq!(listed, names);
    assert_eq!(world.engine.remaining().documents.len(), 700);
}

#[test]
fn the_lists_have_the_field_names_of_the_door() {
    let world = World::plain();
    let _ann = world.changed();
    assert_eq!(
        serde_json::to_value(world.engine.remaining()).unwrap(),
        json!({"connections": 1, "documents": [{
            "key": "doc", "state": "edited", "since": "2023-11-22T00:00:00.000Z", "failures": 0,
        }]})
    );
    let mut talk = Talk::auto();
    talk.say(lines::at(0, &lines::open("doc", "a", "ann")));
    talk.say(lines::by("change", "a"));
    assert_eq!(
        talk.reply(r#"{"c":"remaining"}"#),
        json!({"error": 0, "connections": 1, "documents": [{
            "key": "doc", "state": "edited", "since": "2023-11-22T00:00:00.000Z", "failures": 0,
        }]})
    );
}

#[test]
fn a_document_whose_closing_is_not_settled_is_open() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    for expected in ["1 +ann [ann]", "4 -ann"] {
        assert!(world.engine.is_open(&key("doc")) && world.engine.documents() == 1);
        assert_eq!(world.engine.info(&key("doc"), None), Ok(vec![]));
        world.engine.drop_all(&key("doc")).unwrap();
        assert_eq!(summary(&world.ack()), expected);
    }
    // The answers to the questions keep nothing open.
    assert!(!world.engine.is_open(&key("doc")) && world.engine.documents() == 0);
    assert_eq!(world.acknowledge_all(), ["4", "4"]);
    world.assert_over();
}

// Forgotten documents

#[test]
fn an_acknowledged_message_that_a_save_was_given_up_leaves_the_document_listed() {
    let world = without_retries();
    world.forget();
    assert_eq!(world.engine.unsaved().len(), 1);
    world.assert_nothing_falls_due();
    assert_eq!(world.forgotten(), ["doc"]);
}

#[test]
fn p5_a_storage_that_kept_the_file_ends_that_a_document_is_forgotten() {
    let world = without_retries();
    world.take_save().fail();
    let message = world.take();
    assert_eq!(message.ack_kept(), Answered::InTime);
    world.assert_over();
    // What was changed since is not in that file.
    world.take_save().fail();
    let message = world.take();
    let ben = world.edit("doc", "ben");
    ben.change().unwrap();
    assert_eq!(message.ack_kept(), Answered::InTime);
    assert_eq!((world.forgotten(), world.engine.unsaved().len()), (vec![], 1));
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "2 -ben [ben]"]);
    world.assert_over();
}

#[test]
fn for_other_callbacks_ack_kept_is_the_same_as_ack() {
    let world = without_retries();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.take().ack_kept(), Answered::InTime);
    world.engine.force_save(&key("doc"), None).unwrap();
    world.take().fail();
    assert_eq!(world.take().ack_kept(), Answered::InTime);
    assert_eq!(world.engine.force_save(&key("doc"), None), Ok(()), "a 7 keeps nothing");
    assert_eq!(world.take().ack_kept(), Answered::InTime);
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(world.take().ack_kept(), Answered::InTime);
    world.assert_over();
}

#[test]
fn p5_the_save_of_a_forgotten_document_can_be_tried_again() {
    let world = without_retries();
    world.forget();
    assert_eq!(world.engine.retry_forgotten(&key("doc")), Ok(()));
    assert_eq!(world.engine.retry_forgotten(&key("doc")), Err(RetryError::UnderWay));
    assert_eq!(world.forgotten(), ["doc"], "until it is saved");
    // It names who changed it, and no action: nobody has left.
    let save = world.take();
    assert_eq!((summary(save.callback()), save.callback().notmodified), ("2 [ann]".into(), Some(false)));
    assert!(!serde_json::to_string(save.callback()).unwrap().contains("actions"));
    // Given up again, it stays listed, and can be tried again.
    save.fail();
    assert_eq!(world.take_notices(), [storage(Status::Save)]);
    assert_eq!(summary(&world.ack()), "3 [ann]");
    assert_eq!(world.forgotten(), ["doc"]);
    world.engine.retry_forgotten(&key("doc")).unwrap();
    assert_eq!(world.acknowledge_all(), ["2 [ann]"]);
    assert_eq!(world.take_notices(), [saved(Status::Save)]);
    world.assert_over();
}

#[test]
fn a_document_that_is_not_forgotten_or_is_edited_cannot_be_tried_again() {
    let world = without_retries();
    let retry = || world.engine.retry_forgotten(&key("doc"));
    assert_eq!(retry(), Err(RetryError::NotForgotten));
    let ann = world.changed();
    assert_eq!(retry(), Err(RetryError::NotForgotten));
    drop(ann);
    world.pass(seconds(10));
    world.take().fail();
    world.ack();
    let ben = world.edit("doc", "ben");
    assert_eq!(retry(), Err(RetryError::UnderWay), "its save comes when ben leaves");
    drop(ben);
    assert_eq!(retry(), Err(RetryError::UnderWay));
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "2 -ben [ann]"]);
    assert_eq!(retry(), Err(RetryError::NotForgotten));
    assert_eq!(
        [RetryError::NotForgotten, RetryError::UnderWay].map(RetryError::code),
        [ErrorCode::Key, ErrorCode::NotChanged]
    );
}

#[test]
fn while_a_forgotten_document_is_tried_again_an_editor_may_come_back() {
    let world = without_retries();
    world.forget();
    world.engine.retry_forgotten(&key("doc")).unwrap();
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]"], "nobody's leave was withheld");
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ben [ann]"]);
    world.assert_over();
    // While the save is in hand, nobody may edit.
    world.forget();
    world.engine.retry_forgotten(&key("doc")).unwrap();
    let save = world.take();
    assert_eq!(world.open("doc", "cat", Access::Edit).granted().reason, Some(Reason::Saving));
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Ok(()));
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Err(ForgottenError::NotForgotten));
    world.engine.validate().unwrap();
    save.ack();
    world.assert_over();
}

#[test]
fn a_retry_goes_before_the_message_that_the_save_was_given_up_when_its_patience_is_over() {
    let world = without_retries();
    world.take_save().fail();
    let message = world.take();
    world.engine.retry_forgotten(&key("doc")).unwrap();
    world.pass(seconds(5));
    assert_eq!(world.acknowledge_all(), ["2 [ann]"]);
    assert_eq!(message.ack(), Answered::Late);
    world.assert_over();
}

// The door

fn manual(config: coedit::Config) -> Talk {
    Talk::new(config, coedit::door::Acknowledge::Manual)
}

#[test]
fn the_door_says_that_the_file_was_kept_and_tries_forgotten_documents_again() {
    for kept in [true, false] {
        let mut talk = manual(coedit::Config::new().retry_pauses([]).save_delay(Duration::ZERO));
        talk.say(lines::open("k", "a", "ann"));
        talk.say(lines::by("change", "a"));
        talk.say(r#"{"c":"ack","key":"k","error":0}"#);
        talk.say(lines::by("close", "a"));
        assert_eq!(talk.error(r#"{"c":"retryForgotten","key":"k"}"#), 1);
        assert_eq!(talk.callbacks(r#"{"c":"ack","key":"k","error":1}"#)[0]["status"], 3);
        talk.say(json!({"c": "ack", "key": "k", "error": 0, "saved": kept}).to_string());
        assert_eq!(talk.reply(r#"{"c":"getForgottenList"}"#)["keys"] == json!([]), kept);
        let said = talk.say(r#"{"c":"retryForgotten","key":"k"}"#);
        if kept {
            assert_eq!(said, [json!({"reply": {"error": 1, "key": "k"}})]);
        } else {
            assert_eq!((&said[0]["reply"]["error"], &said[1]["callback"]["status"]), (&json!(0), &json!(2)));
            assert_eq!(said[1]["callback"].get("actions"), None);
            assert_eq!(talk.error(r#"{"c":"retryForgotten","key":"k"}"#), 4);
            assert_eq!(talk.error(r#"{"c":"ack","key":"k","error":0}"#), 0);
            assert_eq!(talk.door.engine().documents(), 0);
        }
    }
}

// Draining

#[test]
fn a_drain_can_be_called_off() {
    let world = World::plain();
    let ann = world.changed();
    world.engine.drain();
    assert!(world.engine.is_draining());
    assert_eq!(world.open("doc", "ben", Access::Edit).granted().reason, Some(Reason::Draining));
    drop(ann);
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"], "a save is due as soon as nobody edits");
    world.engine.undrain();
    assert!(!world.engine.is_draining());
    let ann = world.changed();
    drop(ann);
    assert!(world.acknowledge_all().is_empty(), "the save waits for its delay again");
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn a_save_that_a_drain_made_due_stays_due_when_it_is_called_off() {
    let world = World::plain();
    drop(world.changed());
    world.engine.drain();
    world.engine.undrain();
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn a_drain_skips_no_pause_between_attempts() {
    let world = World::plain();
    world.take_save().fail();
    world.engine.drain();
    world.assert_nothing_to_take();
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn the_door_drains_and_calls_it_off() {
    let mut talk = Talk::auto();
    assert_eq!(talk.reply(r#"{"c":"drain"}"#), json!({"error": 0}));
    assert_eq!(talk.reply(lines::open("k", "a", "ann"))["reason"], "draining");
    assert_eq!(talk.reply(r#"{"c":"undrain"}"#), json!({"error": 0}));
    assert_eq!(talk.reply(lines::open("k", "b", "ann"))["access"], "edit");
}

/// More documents than a drain works through under one hold of a lock. Each has a timed force save to come.
#[test]
fn p7_a_drain_ends_with_many_documents_and_timed_force_saves() {
    for documents in [127, 128, 129, 300] {
        let world = World::new(|config| config.shards(1).force_save_interval(Some(seconds(60))));
        let open: Vec<_> = (0..documents).map(|n| world.edit(&format!("document-{n}"), "ann")).collect();
        for connection in &open {
            connection.change().unwrap();
        }
        world.acknowledge_all();
        world.engine.drain();
        world.assert_nothing_to_take();
        world.pass(seconds(60));
        assert_eq!(world.acknowledge_statuses(), vec![Status::ForceSave; documents]);
        drop(open);
        assert_eq!(world.acknowledge_statuses(), vec![Status::Save; documents]);
        assert_eq!(world.engine.documents(), 0);
    }
}

// The version

#[test]
fn the_version_of_the_host_is_answered_and_named_by_every_save() {
    assert_eq!(World::plain().engine.version(), VERSION);
    let world = World::new(|config| config.version("9.1").retry_pauses([]));
    assert_eq!(world.engine.version(), "9.1");
    let ann = world.changed();
    world.engine.force_save(&key("doc"), None).unwrap();
    let mut saves = vec![world.take().failed(), world.ack()];
    drop(ann);
    world.pass(seconds(10));
    saves.extend([world.take().failed(), world.ack()]);
    for save in saves {
        assert_eq!(save.history.as_ref().unwrap().server_version, "9.1", "{:?}", save.status);
    }
    let mut talk = Talk::new(coedit::Config::new().version("9.1"), coedit::door::Acknowledge::Auto);
    assert_eq!(talk.reply(r#"{"c":"version"}"#), json!({"error": 0, "version": "9.1"}));
}
