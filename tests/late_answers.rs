//! Answers that come after the delivery ran out or was superseded. Of these only the acknowledgement of a save counts, for
//! what is unsaved of it.
mod support;
use support::story::*;
use support::*;

use std::collections::BTreeMap;

use coedit::{Access, Answered, Connection, Delivery, ForceSaveError, Notice, Status, Timestamp};

/// The save of `doc`, which has run out and waits for its next attempt.
fn late_save(world: &World) -> Delivery {
    let save = world.take_save();
    world.pass(seconds(60));
    assert_eq!(save.deadline(), None);
    save
}

/// The force save of `doc` with the userdata `mine`, which has run out, and who edits.
fn late_force_save(world: &World) -> (Delivery, Connection) {
    let ann = world.changed();
    world.engine.force_save(&key("doc"), Some("mine")).unwrap();
    let force_save = world.take();
    assert_eq!(summary(force_save.callback()), "6 [ann]");
    world.pass(seconds(60));
    assert_eq!(force_save.deadline(), None);
    (force_save, ann)
}

fn without_retries() -> World {
    World::new(|config| config.retry_pauses([]))
}

/// Acknowledges a late save. Checks that it counts and that the transport hears of it.
#[track_caller]
fn counts(world: &World, late: Delivery, notice: Notice) {
    world.take_notices();
    assert_eq!((late.ack(), world.take_notices()), (Answered::LateSave, vec![notice]));
    world.engine.validate().unwrap();
}

/// Acknowledges a late delivery. Checks that it changes nothing.
#[track_caller]
fn changes_nothing(world: &World, late: Delivery) {
    world.take_notices();
    let state = || (world.engine.remaining(), world.engine.forgotten(), world.engine.next_deadline());
    let before = state();
    assert_eq!((late.ack(), world.take_notices()), (Answered::Late, vec![]));
    assert_eq!(state(), before);
    world.engine.validate().unwrap();
}

fn mine_is_saved() -> Notice {
    asked_for("mine", saved(Status::ForceSave))
}

fn not_changed(world: &World) {
    assert_eq!(world.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
}

// A late 2

#[test]
fn p5_a_late_save_ends_its_pause() {
    let world = World::plain();
    let late = late_save(&world);
    counts(&world, late, saved(Status::Save));
    world.assert_over();
}

#[test]
fn p5_a_late_save_ends_its_other_attempt() {
    let world = World::plain();
    let late = late_save(&world);
    world.pass(seconds(1));
    let other = world.take();
    assert_eq!((other.callback(), other.attempt()), (late.callback(), 2));
    counts(&world, late, saved(Status::Save));
    assert!(!world.engine.is_outstanding(&key("doc")));
    assert_eq!((other.deadline(), other.extend(seconds(1))), (None, false));
    changes_nothing(&world, other);
    world.assert_over();
}

#[test]
fn p5_a_late_save_ends_an_attempt_that_waits_for_a_worker() {
    let world = World::plain();
    let late = late_save(&world);
    world.pass(seconds(1));
    counts(&world, late, saved(Status::Save));
    world.assert_over();
}

#[test]
fn p5_a_late_save_ends_the_message_that_it_was_given_up() {
    // The message waits for a worker, or for its next attempt.
    for tried in [false, true] {
        let world = World::new(|config| config.retry_pauses([seconds(1)]));
        let late = late_save(&world);
        world.pass(seconds(1));
        world.take().fail();
        assert_eq!(world.forgotten(), ["doc"]);
        if tried {
            assert_eq!(world.take().failed().status, Status::SaveFailed);
        }
        counts(&world, late, saved(Status::Save));
        world.assert_over();
    }
}

#[test]
fn p5_a_late_save_leaves_the_message_that_it_was_given_up_with_its_worker() {
    let world = without_retries();
    let late = late_save(&world);
    let message = world.take();
    assert_eq!(message.callback().status, Status::SaveFailed);
    counts(&world, late, saved(Status::Save));
    assert!(world.forgotten().is_empty() && world.engine.unsaved().is_empty());
    assert!(world.engine.is_outstanding(&key("doc")));
    assert_eq!(message.ack_kept(), Answered::InTime);
    world.assert_over();
}

#[test]
fn p5_a_late_save_takes_the_document_off_the_list_of_forgotten_ones() {
    let world = without_retries();
    let late = late_save(&world);
    assert_eq!(world.ack().status, Status::SaveFailed);
    assert_eq!(world.forgotten(), ["doc"]);
    counts(&world, late, saved(Status::Save));
    world.assert_over();
}

#[test]
fn p5_a_late_save_counts_as_a_force_save_if_somebody_edits_again() {
    for changed in [false, true] {
        let world = World::plain();
        let late = late_save(&world);
        let ben = world.edit("doc", "ben");
        if changed {
            ben.change().unwrap();
        }
        counts(&world, late, saved(Status::Save));
        assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
        assert_eq!(world.engine.force_save(&key("doc"), None).is_ok(), changed);
        world.callbacks.try_iter().for_each(drop);
        assert!(ben.may_edit() && world.engine.unsaved().len() == 1);
        drop(ben);
        world.pass(seconds(10));
        world.pass(seconds(5));
        let save = world.ack();
        assert_eq!((save.status, save.notmodified), (Status::Save, Some(!changed)));
        world.assert_over();
    }
}

#[test]
fn a_late_save_counts_as_a_force_save_while_the_next_save_waits_for_its_delay() {
    let world = World::plain();
    let late = late_save(&world);
    drop(world.edit("doc", "ben"));
    counts(&world, late, saved(Status::Save));
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    not_changed(&world);
    world.pass(seconds(10));
    let save = world.ack();
    assert_eq!(
        (summary(&save), save.notmodified),
        ("2 -ben [ann]".into(), Some(true)),
        "it tells who left last"
    );
    world.assert_over();
}

#[test]
fn a_late_save_of_a_forgotten_document_that_is_edited_again_takes_it_off_the_list() {
    let world = without_retries();
    let late = late_save(&world);
    assert_eq!(world.ack().status, Status::SaveFailed);
    let ben = world.edit("doc", "ben");
    ben.change().unwrap();
    counts(&world, late, saved(Status::Save));
    assert!(world.forgotten().is_empty());
    assert_eq!(world.engine.unsaved().len(), 1, "ben's change is unsaved");
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "2 -ben [ben]"]);
    world.assert_over();
}

#[test]
fn a_late_save_changes_nothing_once_everything_is_saved() {
    let world = World::plain();
    let late = late_save(&world);
    world.pass(seconds(1));
    assert_eq!(world.ack().status, Status::Save);
    assert_eq!(world.take_notices(), [saved(Status::Save)]);
    // Whether or not the document has gone on since.
    let other = World::plain();
    let later = late_save(&other);
    other.pass(seconds(1));
    assert_eq!(other.ack().status, Status::Save);
    let ann = other.changed();
    changes_nothing(&world, late);
    changes_nothing(&other, later);
    assert_eq!(other.engine.unsaved().len(), 1);
    assert_eq!(other.engine.force_save(&key("doc"), None), Ok(()));
    drop(ann);
}

#[test]
fn p5_a_late_save_says_nothing_of_changes_after_a_deletion() {
    let world = without_retries();
    let late = late_save(&world);
    world.ack();
    world.engine.delete_forgotten(&key("doc")).unwrap();
    let _viewer = world.open("doc", "zoe", Access::View);
    let ben = world.edit("doc", "ben");
    ben.change().unwrap();
    changes_nothing(&world, late);
    drop(ben);
    world.pass(seconds(10));
    let all: Vec<_> = world.callbacks.try_iter().map(Settle::acked).collect();
    assert_eq!(all.last().map(|save| (save.status, save.notmodified)), Some((Status::Save, Some(false))));
}

#[test]
fn a_late_save_finds_another_document_of_the_same_key() {
    let world = without_retries();
    let late = late_save(&world);
    world.ack();
    world.engine.delete_forgotten(&key("doc")).unwrap();
    world.assert_over();
    // The document begins anew, and others take the place of the old one.
    let open: Vec<Connection> = ["other", "doc", "more"].map(|document| world.edit(document, "ben")).into();
    for connection in &open {
        connection.change().unwrap();
    }
    changes_nothing(&world, late);
    assert_eq!(world.engine.unsaved().len(), 3);
}

// A late 6

#[test]
fn p5_a_late_force_save_ends_its_pause() {
    let world = World::plain();
    let (late, ann) = late_force_save(&world);
    counts(&world, late, mine_is_saved());
    not_changed(&world);
    world.assert_nothing_falls_due();
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(world.ack().notmodified, Some(true));
    world.assert_over();
}

#[test]
fn p5_a_late_force_save_ends_its_other_attempt() {
    let world = World::plain();
    let (late, _ann) = late_force_save(&world);
    world.pass(seconds(1));
    let other = world.take();
    assert_eq!((other.callback(), other.attempt()), (late.callback(), 2));
    counts(&world, late, mine_is_saved());
    assert!(!world.engine.is_outstanding(&key("doc")));
    changes_nothing(&world, other);
    not_changed(&world);
    world.assert_nothing_falls_due();
}

#[test]
fn p5_a_late_force_save_ends_the_message_that_it_was_given_up() {
    let world = without_retries();
    let (late, _ann) = late_force_save(&world);
    counts(&world, late, mine_is_saved());
    not_changed(&world);
    world.assert_nothing_falls_due();
}

#[test]
fn p5_a_late_force_save_leaves_the_message_that_it_was_given_up_with_its_worker() {
    let world = without_retries();
    let (late, _ann) = late_force_save(&world);
    let message = world.take();
    assert_eq!(message.callback().status, Status::ForceSaveFailed);
    counts(&world, late, mine_is_saved());
    assert_eq!(message.fail(), Answered::InTime);
    not_changed(&world);
    world.assert_nothing_falls_due();
}

#[test]
fn a_late_force_save_holds_no_later_change() {
    let world = World::plain();
    let (late, ann) = late_force_save(&world);
    ann.change().unwrap();
    counts(&world, late, mine_is_saved());
    assert_eq!(world.engine.force_save(&key("doc"), Some("later")), Ok(()));
    let later = world.take();
    assert_eq!(later.callback().userdata.as_deref(), Some("later"));
    assert_eq!(later.ack(), Answered::InTime);
    assert_eq!(world.take_notices(), [asked_for("later", saved(Status::ForceSave))]);
}

#[test]
fn a_late_force_save_leaves_a_later_one_that_holds_more_with_its_worker() {
    let world = without_retries();
    let (late, ann) = late_force_save(&world);
    assert_eq!(world.ack().status, Status::ForceSaveFailed);
    ann.change().unwrap();
    world.engine.force_save(&key("doc"), Some("more")).unwrap();
    let later = world.take();
    counts(&world, late, mine_is_saved());
    assert!(world.engine.is_outstanding(&key("doc")));
    assert_eq!(later.ack(), Answered::InTime);
    assert_eq!(world.take_notices(), [asked_for("more", saved(Status::ForceSave))]);
    not_changed(&world);
}

/// The save in hand was ended with the force save, and nobody could end it any more.
#[test]
fn p5_a_superseded_force_save_that_is_acknowledged_late_leaves_the_save_in_hand() {
    let world = World::plain();
    let ann = world.changed();
    world.engine.force_save(&key("doc"), Some("mine")).unwrap();
    let force_save = world.take();
    drop(ann);
    world.pass(seconds(10));
    world.pass(seconds(5));
    assert_eq!(world.take_notices(), [asked_for("mine", storage(Status::ForceSave))]);
    let save = world.take();
    counts(&world, force_save, mine_is_saved());
    assert!(world.engine.is_outstanding(&key("doc")), "the document is not closed by it");
    assert_eq!(save.ack(), Answered::InTime);
    assert_eq!(world.take_notices(), [saved(Status::Save)]);
    world.assert_over();
}

#[test]
fn p5_a_superseded_force_save_changes_nothing_after_the_save() {
    let world = World::plain();
    let ann = world.changed();
    world.engine.force_save(&key("doc"), None).unwrap();
    let force_save = world.take();
    drop(ann);
    world.pass(seconds(10));
    world.pass(seconds(5));
    assert_eq!(world.ack().status, Status::Save);
    changes_nothing(&world, force_save);
    world.assert_over();
}

#[test]
fn p5_a_late_force_save_of_a_forgotten_document_takes_it_off_the_list() {
    let world = without_retries();
    world.forget();
    world.engine.force_save(&key("doc"), Some("mine")).unwrap();
    let late = world.take();
    world.pass(seconds(60));
    assert_eq!(world.ack().status, Status::ForceSaveFailed);
    assert_eq!(world.forgotten(), ["doc"]);
    counts(&world, late, mine_is_saved());
    world.assert_over();
}

#[test]
fn a_late_force_save_changes_nothing_once_another_holds_as_much() {
    let world = without_retries();
    let (late, _ann) = late_force_save(&world);
    world.ack();
    world.engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.ack().status, Status::ForceSave);
    changes_nothing(&world, late);
    not_changed(&world);
}

// Other late answers

#[test]
fn no_other_late_answer_counts() {
    type Answer = fn(Delivery) -> Answered;
    let answers: [Answer; 3] = [Delivery::ack, Delivery::ack_kept, Delivery::fail];
    for answer in answers {
        let world = without_retries();
        let ann = world.edit("doc", "ann");
        world.engine.info(&key("doc"), None).unwrap();
        let mut late = vec![world.take()];
        world.pass(seconds(60));
        late.push(world.take());
        world.pass(seconds(60));
        drop(ann);
        late.push(world.take());
        world.pass(seconds(60));
        let statuses: Vec<u8> = late.iter().map(|one| one.callback().status.number()).collect();
        assert_eq!(statuses, [1, 1, 4]);
        world.take_notices();
        for delivery in late {
            assert_eq!(answer(delivery), Answered::Late);
        }
        assert_eq!(world.take_notices(), []);
        world.assert_over();
    }
}

#[test]
fn p5_a_late_failure_of_a_save_changes_nothing() {
    for dropped in [false, true] {
        let world = World::plain();
        let mut late = late_save(&world);
        world.pass(seconds(1));
        let other = world.take();
        late.kept_at("somewhere").unwrap();
        if dropped {
            drop(late);
        } else {
            assert_eq!(late.fail(), Answered::Late);
        }
        assert!(world.engine.is_outstanding(&key("doc")), "the other attempt goes on");
        assert_eq!(other.ack(), Answered::InTime);
        world.assert_over();
    }
}

#[test]
fn late_messages_that_a_save_was_given_up_say_nothing() {
    for kept in [false, true] {
        let world = without_retries();
        world.take_save().fail();
        let late = world.take();
        assert_eq!(late.callback().status, Status::SaveFailed);
        world.pass(seconds(60));
        let answered = if kept { late.ack_kept() } else { late.ack() };
        assert_eq!((answered, world.forgotten()), (Answered::Late, vec!["doc".to_owned()]));
        world.engine.validate().unwrap();
    }
}

#[test]
fn a_delivery_that_outlives_its_document_is_late() {
    let world = without_retries();
    let _others: Vec<Connection> = (0..3).map(|n| world.edit(&format!("other-{n}"), "ben")).collect();
    let _ = world.acknowledge_all();
    let ann = world.edit("doc", "ann");
    let hung = world.take();
    drop(ann);
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert!(!world.engine.is_open(&key("doc")));
    assert_eq!((hung.deadline(), hung.extend(seconds(1)), hung.ack()), (None, false, Answered::Late));
    world.engine.validate().unwrap();
}

// All at once

/// The last change of each document, and the last change that the storage has.
#[derive(Default)]
struct SaveLog {
    changed: BTreeMap<String, Timestamp>,
    saved: BTreeMap<String, Timestamp>,
}

impl SaveLog {
    /// Acknowledges a delivery. If the engine says that it counts, the storage has what the save holds.
    fn acknowledge(&mut self, delivery: Delivery) {
        let callback = delivery.callback().clone();
        let saves = matches!(callback.status, Status::Save | Status::ForceSave);
        if delivery.ack() != Answered::Late && saves {
            let last = self.saved.entry(callback.key.to_string()).or_default();
            *last = callback.lastsave.unwrap().max(*last);
        }
    }

    /// The documents with a change that is in no save of which the engine said that it counts.
    fn unsaved(&self) -> Vec<String> {
        let unsaved = self.changed.iter().filter(|(document, at)| self.saved.get(*document) < Some(at));
        unsaved.map(|(document, _)| document.clone()).collect()
    }
}

/// P5: whatever is late, every change is in an acknowledged save, or its document is listed.
#[test]
fn p5_every_change_is_saved_or_its_document_listed_however_late_the_answers_are() {
    for seed in 1..60 {
        let world = World::new(|config| config.retry_pauses([1, 60].map(seconds)));
        let mut random = random::Random::new(seed);
        let mut log = SaveLog::default();
        let (mut open, mut in_hand): (Vec<(String, Connection)>, Vec<Delivery>) = Default::default();
        let mut end = false;
        for step in 0..700 {
            end |= step == 600;
            if end {
                open.clear();
            }
            match random.below(10) {
                0 | 1 if !end => {
                    let document = format!("doc-{}", random.below(3));
                    let connection =
                        world.open(&document, &format!("user-{}", random.below(3)), Access::Edit);
                    open.push((document, connection));
                }
                2 | 3 if !open.is_empty() => {
                    let (document, connection) = random.pick(&open);
                    world.clock.advance(std::time::Duration::from_millis(1));
                    if connection.change().is_ok() {
                        log.changed.insert(document.clone(), coedit::Clock::now(&*world.clock));
                    }
                }
                4 if !open.is_empty() => drop(open.swap_remove(random.below(open.len()))),
                5 => drop(world.engine.force_save(&key(&format!("doc-{}", random.below(3))), None)),
                6 => world.pass(seconds(*random.pick(&[1, 5, 10, 30, 60]))),
                7 | 8 => in_hand.extend(world.callbacks.try_recv()),
                _ if in_hand.is_empty() => {}
                _ => {
                    let delivery = in_hand.swap_remove(random.below(in_hand.len()));
                    match random.below(5) {
                        0 => drop(delivery.fail()),
                        1 => std::mem::forget(delivery),
                        _ => log.acknowledge(delivery),
                    }
                }
            }
            world.engine.validate().unwrap();
            let listed: Vec<String> =
                world.engine.unsaved().into_iter().map(|one| one.key.to_string()).collect();
            assert!(log.unsaved().iter().all(|one| listed.contains(one)), "{seed}/{step}: {listed:?}");
        }
        // Nobody answers any more.
        let _in_hand = in_hand;
        loop {
            world.engine.tick();
            world.callbacks.try_iter().for_each(std::mem::forget);
            let Some(due) = world.engine.next_deadline() else { break };
            world.clock.move_to(due);
        }
        assert!(log.unsaved().iter().all(|one| world.forgotten().contains(one)), "{seed}");
    }
}
