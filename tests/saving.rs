//! Saving: the delay, retries, what is forgotten, force saves, and what a save says.
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

/// Ann came, changed `doc`, and is still there; the storage knows that she came.
fn changed(world: &World) -> Connection {
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.told(), ["1 +ann [ann]"]);
    ann
}

/// The save of `doc`, changed by ann, is due.
fn due(world: &World) {
    drop(changed(world));
    world.pass(seconds(10));
}

/// Fails the next callback, which must have this status, as often as it takes to give it up.
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

/// `doc` is forgotten, and its 3 is acknowledged.
fn forget(world: &World) {
    due(world);
    give_up(world, Status::Save);
    assert_eq!(world.told(), ["3 -ann [ann]"]);
    assert_eq!(forgotten(world), ["doc"]);
}

fn forgotten(world: &World) -> Vec<String> {
    world.engine.forgotten().into_iter().map(|forgotten| forgotten.key.to_string()).collect()
}

fn save(world: &World) -> Box<Callback> {
    let save = world.ack();
    assert_eq!(save.status, Status::Save);
    save
}

#[test]
fn the_save_comes_when_the_delay_is_over_and_not_before() {
    let world = World::plain();
    let ann = changed(&world);
    world.pass(seconds(100));
    assert!(world.told().is_empty(), "she still edits");
    drop(ann);
    assert_eq!(world.engine.next_deadline(), Some(at(110_000)));
    assert!(world.engine.is_open(&key("doc")));
    world.pass(millis(9_999));
    assert!(world.told().is_empty());
    assert_eq!(world.engine.tick(), Some(at(110_000)));
    world.clock.advance(millis(1));
    assert!(world.told().is_empty(), "nothing falls due by itself");
    assert_eq!(world.engine.tick(), None);
    assert_eq!(world.told(), ["2 -ann [ann]"]);
    assert!(!world.engine.is_open(&key("doc")));
    assert_eq!((world.engine.documents(), forgotten(&world)), (0, vec![]));
}

#[test]
fn an_unchanged_document_closes_with_a_4_at_once() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    assert_eq!(world.told(), ["1 +ann [ann]", "4 -ann"]);
    assert_eq!(world.engine.next_deadline(), None);
    // Also one whose earlier session was saved, while a viewer keeps it open.
    let _viewer = world.open("doc", "ben", Access::View);
    due(&world);
    save(&world);
    drop(world.edit("doc", "cat"));
    assert_eq!(world.told(), ["1 +cat [cat]", "4 -cat"]);
}

#[test]
fn the_last_leave_tells_who_left_and_who_changed_last() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    ben.change().unwrap();
    world.clock.advance(seconds(3));
    ann.change().unwrap();
    drop(ann);
    drop(ben);
    world.pass(seconds(10));
    let told: Vec<_> = world.callbacks.try_iter().map(coedit::Delivery::ack).collect();
    let short: Vec<String> = told.iter().map(|callback| brief(callback)).collect();
    assert_eq!(short, ["1 +ann [ann]", "1 +ben [ann ben]", "1 -ann [ben]", "2 -ben [ann]"]);
    assert_eq!(told[3].lastsave, Some(at(3_000)));
}

#[test]
fn an_editor_who_comes_back_during_the_delay_goes_on() {
    let world = World::plain();
    drop(changed(&world));
    world.pass(millis(9_999));
    let ann = world.edit("doc", "ann");
    assert_eq!(world.told(), ["1 -ann []", "1 +ann [ann]"]);
    world.pass(seconds(60));
    assert!(world.told().is_empty(), "the old deadline is off");
    // The delay begins anew, and nothing else needs to be changed.
    drop(ann);
    assert_eq!(world.engine.next_deadline(), Some(at(9_999 + 70_000)));
    world.pass(millis(9_999));
    assert!(world.told().is_empty());
    world.pass(millis(1));
    assert_eq!(world.told(), ["2 -ann [ann]"]);
}

#[test]
fn an_editor_may_come_back_when_the_save_is_due_and_not_handed_out() {
    let world = World::plain();
    due(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.told(), ["1 -ann []", "1 +ben [ben]"]);
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.told(), ["2 -ben [ann]"]);
}

#[test]
fn a_viewer_who_comes_during_the_delay_stops_nothing() {
    let world = World::plain();
    drop(changed(&world));
    let _view = world.open("doc", "ben", Access::View);
    let _live = world.open("doc", "cat", Access::LiveView);
    world.pass(seconds(10));
    assert_eq!(world.told(), ["2 -ann [ann]"]);
}

#[test]
fn while_the_save_is_outstanding_editors_get_a_view() {
    let world = World::plain();
    due(&world);
    let in_hand = world.take();
    assert!(world.engine.is_outstanding(&key("doc")));
    let ben = world.open("doc", "ben", Access::Edit);
    assert_eq!((ben.granted().access, ben.granted().reason), (Access::View, Some(Reason::Saving)));
    let live = world.open("doc", "ben", Access::LiveView);
    assert_eq!((live.granted().access, live.granted().reason), (Access::LiveView, None));
    let other = world.edit("other", "ben");
    in_hand.acked();
    assert!(!world.engine.is_outstanding(&key("doc")));
    assert_eq!(ben.access(), Some(Access::View), "what it got it keeps");
    let again = world.edit("doc", "ben");
    drop((again, other));
    assert_eq!(world.told(), ["1 +ben [ben]", "1 +ben [ben]", "4 -ben", "4 -ben"]);
}

#[test]
fn while_a_failed_save_waits_editors_come_back() {
    let world = World::plain();
    due(&world);
    world.take().failed();
    let ben = world.edit("doc", "ben");
    world.pass(seconds(100));
    assert_eq!(world.told(), ["1 -ann []", "1 +ben [ben]"], "the save comes when the last one leaves");
    ben.change().unwrap();
    drop(ben);
    world.pass(millis(9_999));
    assert!(world.told().is_empty());
    world.pass(millis(1));
    assert_eq!(world.told(), ["2 -ben [ben]"]);
    assert!(forgotten(&world).is_empty());
}

#[test]
fn a_save_that_comes_later_has_all_its_retries() {
    let world = World::plain();
    due(&world);
    for pause in [1, 2, 4] {
        world.take().failed();
        if pause < 4 {
            world.pass(seconds(pause));
        }
    }
    drop(world.edit("doc", "ben"));
    assert_eq!(world.told(), ["1 -ann []", "1 +ben [ben]"]);
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(world.told(), ["3 -ben [ann]"]);
}

#[test]
fn retries_come_after_growing_pauses() {
    let world = World::plain();
    due(&world);
    let mut now = 10_000;
    for pause in [1_000, 2_000, 4_000] {
        let failed = world.take();
        world.clock.advance(millis(500));
        failed.failed();
        now += 500 + pause;
        assert!(world.engine.is_open(&key("doc")) && forgotten(&world).is_empty());
        assert_eq!(world.engine.next_deadline(), Some(at(now)));
        world.pass(millis(pause - 1));
        assert!(world.callbacks.try_recv().is_err(), "{pause} ms are not over");
        world.pass(millis(1));
    }
    assert_eq!(save(&world).lastsave, Some(at(0)));
    assert_eq!((world.engine.tick(), world.engine.documents()), (None, 0));
}

#[test]
fn pauses_and_their_number_are_a_setting() {
    let world = World::new(|config| config.retry_pauses([seconds(5), Duration::ZERO]));
    drop(world.edit("doc", "ann"));
    world.take().failed();
    assert_eq!(world.engine.next_deadline(), Some(at(5_000)));
    world.pass(seconds(5));
    world.take().failed();
    // A pause of nothing needs no time to pass.
    assert_eq!(brief(world.take().failed().as_ref()), "1 +ann [ann]");
    assert_eq!(world.noticed(), [Notice::Storage { key: key("doc"), status: Status::Editing }]);
    assert_eq!(world.told(), ["4 -ann"]);
}

#[test]
fn a_save_given_up_becomes_a_3_and_the_document_is_forgotten() {
    let world = World::plain();
    due(&world);
    let given_up = give_up(&world, Status::Save);
    assert_eq!(forgotten(&world), ["doc"], "listed from the moment it is given up");
    assert!(!world.engine.is_open(&key("doc")));
    assert_eq!(world.noticed(), [], "the 3 tells it");
    // The 3 says what the 2 said, and comes at once.
    let failed = world.take();
    let mut as_save = failed.callback().clone();
    assert_eq!(as_save.status, Status::SaveFailed);
    as_save.status = Status::Save;
    assert_eq!(as_save, *given_up);
    // It is tried the same way, and given up with a notice.
    failed.failed();
    assert_eq!(world.engine.next_deadline(), Some(at(10_000 + 7_000 + 1_000)));
    world.pass(seconds(1));
    for pause in [2, 4] {
        assert_eq!(world.take().failed().status, Status::SaveFailed);
        assert_eq!(world.noticed(), []);
        world.pass(seconds(pause));
    }
    world.take().failed();
    assert_eq!(world.noticed(), [Notice::Storage { key: key("doc"), status: Status::SaveFailed }]);
    assert!(world.told().is_empty());
    assert_eq!(forgotten(&world), ["doc"]);
    assert_eq!(world.engine.next_deadline(), None);
    assert_eq!(world.engine.documents(), 0);
}

#[test]
fn a_1_4_and_7_are_given_up_with_a_notice_and_the_next_comes() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    world.engine.info(&key("doc"), Some("x")).unwrap();
    let notice = |status| [Notice::Storage { key: key("doc"), status }];
    give_up(&world, Status::Editing);
    assert_eq!(world.noticed(), notice(Status::Editing));
    let answer = give_up(&world, Status::Editing);
    assert_eq!((answer.userdata.as_deref(), world.noticed()), (Some("x"), notice(Status::Editing).to_vec()));
    ann.change().unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    give_up(&world, Status::ForceSave);
    assert_eq!(world.noticed(), []);
    give_up(&world, Status::ForceSaveFailed);
    assert_eq!(world.noticed(), notice(Status::ForceSaveFailed));
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.told(), ["6 [ann]"]);
    drop(ann);
    world.pass(seconds(10));
    save(&world);
    drop(world.edit("doc", "ben"));
    world.ack();
    give_up(&world, Status::Closed);
    assert_eq!(world.noticed(), notice(Status::Closed));
    assert!(world.told().is_empty());
}

#[test]
fn no_retries_give_up_at_the_first_failure() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.take().failed().status, Status::Editing);
    assert_eq!(world.noticed(), [Notice::Storage { key: key("doc"), status: Status::Editing }]);
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.take().failed().status, Status::ForceSave);
    assert_eq!(world.take().failed().status, Status::ForceSaveFailed);
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(world.take().failed().status, Status::Save);
    assert_eq!(forgotten(&world), ["doc"]);
    assert_eq!(world.take().failed().status, Status::SaveFailed);
    assert_eq!(world.engine.tick(), None);
    assert!(world.told().is_empty());
}

#[test]
fn no_save_delay_saves_at_once() {
    let world = World::new(|config| config.save_delay(Duration::ZERO));
    drop(changed(&world));
    assert_eq!(world.engine.next_deadline(), None);
    assert_eq!(world.told(), ["2 -ann [ann]"]);
}

#[test]
fn a_forgotten_document_opened_again_counts_as_changed() {
    let world = World::plain();
    forget(&world);
    // Looking at it, or editing it without a change, leaves it listed.
    drop(world.open("doc", "ben", Access::View));
    let ben = world.edit("doc", "ben");
    assert_eq!(forgotten(&world), ["doc"]);
    drop(ben);
    assert_eq!(world.told(), ["1 +ben [ben]"], "no 4: it is saved");
    assert_eq!(forgotten(&world), ["doc"]);
    world.pass(seconds(10));
    let save = save(&world);
    assert_eq!(brief(&save), "2 -ben [ann]");
    assert_eq!((save.lastsave, save.notmodified), (Some(at(0)), Some(false)));
    let authors: Vec<String> =
        save.history.as_ref().unwrap().changes.iter().map(|turn| turn.author.id.to_string()).collect();
    assert_eq!(authors, ["ann"]);
    assert!(forgotten(&world).is_empty(), "a later save of it is acknowledged");
    assert_eq!(world.engine.forgotten_at(&key("doc")), Err(ForgottenError::NotForgotten));
}

#[test]
fn a_forgotten_document_is_remembered_by_a_force_save() {
    let world = World::plain();
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
    let world = World::plain();
    forget(&world);
    drop(world.edit("doc", "ben"));
    world.ack();
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(world.told(), ["3 -ben [ann]"]);
    assert_eq!(forgotten(&world), ["doc"]);
    world.engine.delete_forgotten(&key("doc")).unwrap();
    assert!(forgotten(&world).is_empty());
    world.engine.validate().unwrap();
}

#[test]
fn a_deleted_document_is_forgotten_no_more() {
    let world = World::plain();
    forget(&world);
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Ok(()));
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Err(ForgottenError::NotForgotten));
    assert!(forgotten(&world).is_empty());
    // Its changes are gone: a new session begins unchanged.
    drop(world.edit("doc", "ben"));
    assert_eq!(world.told(), ["1 +ben [ben]", "4 -ben"]);
}

#[test]
fn a_document_deleted_while_it_is_edited_again_keeps_its_changes() {
    let world = World::plain();
    forget(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.engine.delete_forgotten(&key("doc")), Ok(()));
    assert!(forgotten(&world).is_empty());
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.told(), ["1 +ben [ben]", "2 -ben [ann]"]);
}

#[test]
fn a_document_may_be_deleted_while_its_3_is_outstanding() {
    let world = World::plain();
    due(&world);
    give_up(&world, Status::Save);
    let in_hand = world.take();
    world.engine.delete_forgotten(&key("doc")).unwrap();
    world.engine.validate().unwrap();
    assert_eq!(in_hand.failed().status, Status::SaveFailed);
    world.pass(seconds(1));
    assert_eq!(world.told(), ["3 -ann [ann]"]);
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
            // Said with the 2, with the 3, or not at all; by failing or by acknowledging.
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
    let world = World::plain();
    // Of a callback of another status it says nothing.
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let mut came = world.take();
    came.kept_at("of a 1").unwrap();
    came.acked();
    drop(ann);
    world.pass(seconds(10));
    // Of a try that was not the last one of a save that never was given up neither.
    let mut failed = world.take();
    failed.kept_at("of an earlier save").unwrap();
    failed.failed();
    drop(world.edit("doc", "ben"));
    assert_eq!(world.told(), ["1 -ann []", "1 +ben [ben]"]);
    world.pass(seconds(10));
    give_up(&world, Status::Save);
    assert_eq!(
        (forgotten(&world), world.engine.forgotten_at(&key("doc"))),
        (vec!["doc".to_owned()], Ok(None))
    );
}

#[test]
fn a_drop_lets_the_save_be_due_at_once() {
    type Cut = fn(&World, &Connection);
    let ways: [Cut; 3] = [
        |world, _| drop(world.engine.drop_all(&key("doc")).unwrap()),
        |world, _| drop(world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap()),
        |world, ann| drop(world.engine.drop_connection(ann.id()).unwrap()),
    ];
    for cut in ways {
        let world = World::plain();
        let ann = changed(&world);
        cut(&world, &ann);
        assert_eq!(world.engine.next_deadline(), None);
        assert_eq!(world.told(), ["2 -ann [ann]"]);
        // Unchanged, it closes.
        let ben = world.edit("doc", "ben");
        cut(&world, &ben);
        world.engine.drop_all(&key("doc")).unwrap();
        assert_eq!(world.told(), ["1 +ben [ben]", "4 -ben"]);
    }
}

#[test]
fn draining_lets_saves_be_due_and_refuses_editors() {
    let world = World::plain();
    drop(changed(&world));
    let ben = world.edit("other", "ben");
    ben.change().unwrap();
    assert!(!world.engine.is_draining());
    world.engine.drain();
    assert!(world.engine.is_draining());
    assert_eq!(world.told(), ["1 +ben [ben]", "2 -ann [ann]"]);
    let cat = world.open("doc", "cat", Access::Edit);
    assert_eq!((cat.granted().access, cat.granted().reason), (Access::View, Some(Reason::Draining)));
    assert_eq!(world.open("doc", "cat", Access::LiveView).granted().reason, None);
    // Who edits goes on, and the save comes when the last one leaves.
    assert_eq!(ben.change(), Ok(()));
    drop(ben);
    assert_eq!(world.told(), ["2 -ben [ben]"]);
}

#[test]
fn force_saves_say_where_they_came_from() {
    let world = World::plain();
    let ann = changed(&world);
    let ben = world.edit("doc", "ben");
    assert_eq!(world.told(), ["1 +ben [ann ben]"]);
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
    for (number, (kind, short, userdata, has_action)) in rows.into_iter().enumerate() {
        let changed_at = world.clock.now();
        ann.change().unwrap();
        world.clock.advance(seconds(1));
        force(number).unwrap();
        // Later changes are not in it.
        ann.change().unwrap();
        let callback = world.ack();
        assert_eq!(brief(&callback), short);
        assert_eq!(callback.forcesavetype, Some(kind));
        assert_eq!(callback.lastsave, Some(changed_at), "{kind:?}");
        assert_eq!(callback.userdata.as_deref(), userdata, "{kind:?}");
        assert_eq!((callback.notmodified, callback.history.clone()), (None, None));
        let action = callback.action.as_ref().map(|action| action.kind);
        assert_eq!(action, has_action.then_some(ActionKind::AskedForSave));
    }
}

#[test]
fn a_force_save_needs_a_change_since_the_last_one() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    let doc = key("doc");
    let none = || {
        assert_eq!(world.engine.force_save(&doc, None), Err(ForceSaveError::NotChanged));
        assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::NotChanged));
        assert_eq!(world.engine.submit_form(ann.id()), Err(ForceSaveError::NotChanged));
    };
    assert_eq!(ForceSaveError::NotChanged.code(), ErrorCode::NotChanged);
    none();
    ann.change().unwrap();
    world.engine.force_save(&doc, None).unwrap();
    // One that waits counts, one that is outstanding counts, one that waits for its retry counts.
    none();
    assert_eq!(world.ack().status, Status::Editing);
    let in_hand = world.take();
    none();
    in_hand.failed();
    none();
    world.pass(seconds(1));
    assert_eq!(world.told(), ["6 [ann]"]);
    none();
    ann.change().unwrap();
    world.engine.press_save(ann.id()).unwrap();
    none();
    // A change while one is under way may be saved by another.
    ann.change().unwrap();
    world.engine.submit_form(ann.id()).unwrap();
    assert_eq!(world.told(), ["6 !ann [ann]", "6 !ann [ann]"]);
}

#[test]
fn a_force_save_during_the_delay_leaves_nothing_to_modify() {
    let world = World::plain();
    drop(changed(&world));
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.told(), ["6 [ann]"]);
    world.pass(seconds(10));
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    let in_hand = world.take();
    assert_eq!(
        (brief(in_hand.callback()), in_hand.callback().notmodified),
        ("2 -ann [ann]".to_owned(), Some(true))
    );
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    in_hand.acked();
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotOpen));
}

#[test]
fn a_save_counts_as_one_under_way_once_it_is_due() {
    let world = World::plain();
    due(&world);
    let not_changed =
        || assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    not_changed();
    let in_hand = world.take();
    not_changed();
    in_hand.failed();
    not_changed();
    world.pass(seconds(1));
    save(&world);
    assert!(world.told().is_empty());
}

#[test]
fn the_save_waits_for_the_force_save_before_it() {
    let world = World::plain();
    let ann = changed(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(10));
    assert!(world.callbacks.try_recv().is_err());
    in_hand.acked();
    assert_eq!(save(&world).notmodified, Some(true));
}

#[test]
fn a_force_save_given_up_becomes_a_7_and_its_changes_are_unsaved_again() {
    let world = World::plain();
    let ann = changed(&world);
    world.clock.advance(seconds(1));
    world.engine.press_save(ann.id()).unwrap();
    let given_up = give_up(&world, Status::ForceSave);
    // Unsaved again from the moment it was given up.
    world.engine.force_save(&key("doc"), Some("again")).unwrap();
    let mut failed = (*world.ack()).clone();
    assert_eq!(failed.status, Status::ForceSaveFailed);
    failed.status = Status::ForceSave;
    assert_eq!(failed, *given_up, "a 7 says what the 6 said");
    let again = world.ack();
    assert_eq!((again.status, again.userdata.as_deref()), (Status::ForceSave, Some("again")));
    assert!(forgotten(&world).is_empty());
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(save(&world).notmodified, Some(true));
    // Nobody asks again: the save holds it.
    let ben = changed(&world);
    world.engine.force_save(&key("doc"), None).unwrap();
    give_up(&world, Status::ForceSave);
    drop(ben);
    world.ack();
    world.pass(seconds(10));
    assert_eq!(save(&world).notmodified, Some(false));
}

#[test]
fn a_timed_force_save_comes_after_the_interval_since_the_first_unsaved_change() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(60))));
    let ann = world.edit("doc", "ann");
    assert_eq!(world.told(), ["1 +ann [ann]"]);
    assert_eq!(world.engine.next_deadline(), None);
    world.pass(seconds(5));
    ann.change().unwrap();
    assert_eq!(world.engine.next_deadline(), Some(at(65_000)));
    world.pass(seconds(30));
    ann.change().unwrap();
    world.pass(millis(29_999));
    assert!(world.told().is_empty());
    world.pass(millis(1));
    let callback = world.ack();
    assert_eq!(
        (brief(&callback), callback.forcesavetype),
        ("6 [ann]".to_owned(), Some(ForceSaveType::Timer))
    );
    assert_eq!(callback.lastsave, Some(at(35_000)));
    // Without a further change none follows.
    world.pass(seconds(600));
    assert!(world.told().is_empty());
    assert_eq!(world.engine.next_deadline(), None);
    // One asked for in between is as good.
    ann.change().unwrap();
    world.pass(seconds(30));
    world.engine.press_save(ann.id()).unwrap();
    assert_eq!(world.told(), ["6 !ann [ann]"]);
    world.pass(seconds(600));
    assert!(world.told().is_empty());
    // A change after it starts the interval anew.
    ann.change().unwrap();
    world.pass(millis(59_999));
    assert!(world.told().is_empty());
    world.pass(millis(1));
    assert_eq!(world.told(), ["6 [ann]"]);
}

#[test]
fn a_force_save_in_between_starts_the_interval_anew_with_the_next_change() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(60))));
    let ann = changed(&world);
    world.pass(seconds(30));
    world.engine.press_save(ann.id()).unwrap();
    assert_eq!(world.told(), ["6 !ann [ann]"]);
    world.pass(seconds(10));
    ann.change().unwrap();
    world.pass(millis(59_999));
    assert!(world.told().is_empty(), "its first unsaved change was at 40 s");
    world.pass(millis(1));
    assert_eq!(world.told(), ["6 [ann]"]);
}

#[test]
fn without_an_interval_there_is_no_timed_force_save() {
    let world = World::plain();
    let _ann = changed(&world);
    assert_eq!((world.engine.tick(), world.engine.next_deadline()), (None, None));
}

#[test]
fn a_force_save_that_needs_one_who_is_there_knows_who_is_not() {
    let world = World::plain();
    let ann = changed(&world);
    let gone = ann.id();
    drop(ann);
    assert_eq!(world.engine.press_save(gone), Err(ForceSaveError::UnknownConnection));
    assert_eq!(world.engine.submit_form(gone), Err(ForceSaveError::UnknownConnection));
    assert_eq!(world.engine.force_save(&key("nowhere"), None), Err(ForceSaveError::NotOpen));
    assert_eq!(world.engine.force_save(&key("doc"), None), Ok(()), "open while its save is to come");
}

#[test]
fn notmodified_and_lastsave_say_what_the_save_holds() {
    // What is done after the first change, at 0 s: forced saves and changes, a second apart.
    let rows: [(&str, bool, u64); 5] =
        [("", false, 0), ("f", true, 0), ("fc", false, 2), ("cf", true, 1), ("fcf", true, 2)];
    for (then, notmodified, last_change) in rows {
        let world = World::plain();
        let ann = changed(&world);
        for step in then.chars() {
            world.clock.advance(seconds(1));
            match step {
                'f' => {
                    world.engine.force_save(&key("doc"), None).unwrap();
                    assert_eq!(world.told(), ["6 [ann]"]);
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
            "{then:?}"
        );
    }
}

#[test]
fn the_history_has_one_entry_a_turn() {
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
    world.told();
    drop((ann, ben, cat));
    world.pass(seconds(10));
    let all: Vec<_> = world.callbacks.try_iter().map(coedit::Delivery::ack).collect();
    let save = all.last().unwrap();
    let history = save.history.as_ref().unwrap();
    assert_eq!(history.server_version, VERSION);
    let turns: Vec<_> = history
        .changes
        .iter()
        .map(|turn| (turn.author.id.as_str(), turn.author.name.as_deref(), turn.created))
        .collect();
    // Four turns under a bound of three: ann's and ben's first ones merge, and with ann's second they are one.
    assert!(turns.len() <= 3, "{turns:?}");
    assert_eq!(turns[0], ("ann", Some("Ann"), at(0)));
    assert_eq!(*turns.last().unwrap(), ("cat", None, at(6_000)), "in whole seconds");
    // A save that is acknowledged begins a new history.
    let viewer = world.open("doc", "zoe", Access::View);
    world.edit("doc", "ben").change().unwrap();
    world.pass(seconds(10));
    let all: Vec<_> = world.callbacks.try_iter().map(coedit::Delivery::ack).collect();
    let history = all.last().unwrap().history.clone().unwrap();
    assert_eq!(history.changes.len(), 1);
    assert_eq!(history.changes[0].author.id, "ben");
    drop(viewer);
}

#[test]
fn turns_begin_in_whole_seconds_and_a_user_who_comes_back_begins_another() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    for (connection, pause) in [(&ann, 900), (&ann, 900), (&ben, 1_999), (&ann, 1)] {
        connection.change().unwrap();
        world.clock.advance(millis(pause));
    }
    world.engine.drop_all(&key("doc")).unwrap();
    let all: Vec<_> = world.callbacks.try_iter().map(coedit::Delivery::ack).collect();
    let changes = &all.last().unwrap().history.as_ref().unwrap().changes;
    let turns: Vec<_> = changes.iter().map(|turn| (turn.author.id.as_str(), turn.created)).collect();
    assert_eq!(turns, [("ann", at(0)), ("ben", at(1_000)), ("ann", at(3_000))]);
    assert_eq!(all.last().unwrap().lastsave, Some(at(3_799)));
}

#[test]
fn a_clock_that_is_moved_back_moves_no_document_back() {
    struct Back(std::sync::atomic::AtomicU64);
    impl Clock for Back {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(std::sync::atomic::Ordering::SeqCst))
        }
    }
    let clock = Arc::new(Back((START + 5_000).into()));
    let engine =
        coedit::Engine::new(coedit::Config::new().clock(clock.clone()).shards(1).save_delay(Duration::ZERO))
            .unwrap();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    ann.change().unwrap();
    clock.0.store(START, std::sync::atomic::Ordering::SeqCst);
    ann.change().unwrap();
    drop(ann);
    let save = engine.callbacks().try_iter().map(coedit::Delivery::ack).last().unwrap();
    assert_eq!((save.status, save.lastsave), (Status::Save, Some(at(5_000))));
}

#[test]
fn info_tells_the_storage_how_the_document_stands() {
    let world = World::plain();
    let doc = key("doc");
    let asked = |userdata: &str| {
        let editors = world.engine.info(&doc, Some(userdata)).unwrap();
        editors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let viewer = world.open("doc", "zoe", Access::View);
    assert!(asked("nobody").is_empty());
    let answer = world.ack();
    assert_eq!((brief(&answer), answer.userdata.as_deref()), ("4".to_owned(), Some("nobody")));
    let ann = changed(&world);
    assert_eq!(asked("edited"), ["ann"]);
    let answer = world.ack();
    assert_eq!((brief(&answer), answer.userdata.as_deref()), ("1 [ann]".to_owned(), Some("edited")));
    drop(ann);
    assert!(asked("to be saved").is_empty());
    let answer = world.ack();
    assert_eq!((brief(&answer), answer.userdata.as_deref()), ("1 []".to_owned(), Some("to be saved")));
    world.pass(seconds(10));
    let in_hand = world.take();
    assert!(asked("with the storage").is_empty());
    in_hand.failed();
    assert!(world.callbacks.try_recv().is_err(), "nothing else while it waits to be tried again");
    world.pass(seconds(1));
    // By now it is saved; what is told stays true.
    assert_eq!(world.told(), ["2 -ann [ann]", "4"]);
    drop(viewer);
    assert!(world.engine.info(&doc, None).is_err());
}

/// More saves than one hold of a lock lets fall due.
#[test]
fn hundreds_of_saves_fall_due_in_one_tick() {
    let world = World::new(|config| config.shards(1));
    let documents: Vec<String> = (0..300).map(|n| format!("document-{n:03}")).collect();
    for document in &documents {
        world.edit(document, "ann").change().unwrap();
    }
    assert_eq!(world.told().len(), 300);
    world.pass(seconds(10));
    let saved: Vec<String> =
        world.callbacks.try_iter().map(|delivery| delivery.acked().key.to_string()).collect();
    assert_eq!(saved, documents, "by deadline, then by key");
    assert_eq!((world.engine.documents(), world.engine.next_deadline()), (0, None));
}
