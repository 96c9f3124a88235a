//! What matters goes first: due saves and closings before all others, the receiver of saves alone, and the save patience.
mod support;
use support::story::*;
use support::*;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use coedit::{
    Access, Answered, Bounds, Callback, Callbacks, Connection, ForceSaveError, ForceSaveType, Status,
};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Takes and acknowledges every callback. Returns each with its document, such as `doc 1 +ann [ann]`.
fn told(callbacks: &Callbacks) -> Vec<String> {
    let line = |callback: Box<Callback>| format!("{} {}", callback.key, summary(&callback));
    callbacks.try_iter().map(Settle::acked).map(line).collect()
}

// What goes first

#[test]
fn p5_a_due_save_is_handed_out_before_all_that_waited_longer() {
    let world = World::plain();
    drop(world.changed());
    let _open: Vec<Connection> = (0..100).map(|n| world.edit(&format!("open-{n}"), "ben")).collect();
    world.engine.info(&key("open-0"), None).unwrap();
    world.pass(seconds(10));
    assert_eq!(summary(&world.ack()), "2 -ann [ann]");
    assert_eq!(told(&world.callbacks).len(), 101);
}

#[test]
fn what_happened_before_a_due_save_comes_before_the_callbacks_of_other_documents_too() {
    let world = World::new(|config| config.save_delay(Duration::ZERO));
    let _before = world.edit("before", "ben");
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    drop(world.edit("unchanged", "cat"));
    assert_eq!(
        told(&world.callbacks),
        [
            "doc 1 +ann [ann]",
            "doc 2 -ann [ann]",
            "unchanged 1 +cat [cat]",
            "unchanged 4 -cat",
            "before 1 +ben [ben]"
        ]
    );
}

#[test]
fn a_receiver_of_saves_gets_2_3_and_4_and_nothing_else() {
    let world = World::new(|config| config.retry_pauses([]));
    let saves = world.engine.save_callbacks();
    let next = || saves.try_recv().map(|delivery| delivery.callback().status);
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.engine.info(&key("doc"), None).unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    assert!(next().is_err());
    world.ack();
    world.ack();
    world.take().fail();
    assert!(next().is_err(), "a 7 is no save that is due");
    assert_eq!(world.ack().status, Status::ForceSaveFailed);
    drop(ann);
    world.pass(seconds(10));
    // It drops each of them, so each has failed.
    assert_eq!((next(), next()), (Ok(Status::Save), Ok(Status::SaveFailed)));
    drop(world.edit("other", "ben"));
    assert!(next().is_err(), "the join comes before the closing");
    world.ack();
    assert_eq!(next(), Ok(Status::Closed));
    assert!(next().is_err());
    world.engine.validate().unwrap();
}

#[test]
fn p5_a_receiver_of_saves_gets_the_save_while_the_other_workers_are_busy() {
    let world = World::plain();
    drop(world.changed());
    let _busy = ["a", "b"].map(|document| world.edit(document, "ben"));
    let busy = [world.take(), world.take()];
    let saves = world.engine.save_callbacks();
    let (sender, told) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            for delivery in saves.iter().take(1) {
                sender.send(summary(&delivery.acked())).unwrap();
            }
        });
        world.pass(seconds(10));
        assert_eq!(told.recv().unwrap(), "2 -ann [ann]");
    });
    assert_eq!(busy.map(coedit::Delivery::ack), [Answered::InTime, Answered::InTime]);
}

#[test]
fn p5_a_worker_that_is_busy_with_the_document_itself_holds_its_save_up_for_the_patience() {
    let world = World::plain();
    let saves = world.engine.save_callbacks();
    let ann = world.changed();
    world.engine.force_save(&key("doc"), Some("mine")).unwrap();
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(10));
    world.pass(millis(4_999));
    assert!(saves.try_recv().is_err());
    world.pass(millis(1));
    let save = saves.try_recv().unwrap();
    assert_eq!((summary(save.callback()), save.ack()), ("2 -ann [ann]".into(), Answered::InTime));
    assert_eq!(in_hand.ack(), Answered::Late);
    let superseded = asked_for("mine", storage(Status::ForceSave));
    assert_eq!(world.take_notices(), [superseded, saved(Status::Save)]);
    world.assert_over();
}

#[test]
fn the_doorbell_of_a_receiver_of_saves_rings_for_saves_alone() {
    let world = World::plain();
    let (saves, all) = (world.engine.save_callbacks(), world.callbacks.ready());
    let doorbell = saves.ready();
    let rings = || (all.try_recv().is_ok(), doorbell.try_recv().is_ok());
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(rings(), (true, false));
    world.ack();
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(rings(), (true, true));
    assert_eq!(rings(), (false, false), "the rings were answered");
    // Nobody came to take it.
    world.pass(seconds(1));
    assert_eq!(rings(), (true, true), "they are repeated");
    assert_eq!(saves.try_recv().unwrap().acked().status, Status::Save);
    world.pass(seconds(1));
    assert_eq!(rings(), (false, false));
}

#[cfg(feature = "async")]
#[test]
fn a_task_that_waits_for_saves_is_not_woken_for_the_rest() {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    let world = World::plain();
    let saves = world.engine.save_callbacks();
    let count = Arc::new(Wakes::default());
    let waker = Waker::from(count.clone());
    let mut next = pin!(saves.next());
    let mut poll = || next.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    drop(world.changed());
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    world.pass(seconds(10));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Some(save)) = poll() else { panic!("the save is due") };
    assert_eq!(save.callback().status, Status::Save);
}

// The patience of a save

#[test]
fn p5_a_save_waits_for_what_is_handed_out_before_it_no_longer_than_the_patience() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let in_hand = world.take();
    assert_eq!(in_hand.deadline(), Some(at(60_000)));
    world.engine.info(&key("doc"), Some("a question")).unwrap();
    world.engine.force_save(&key("doc"), Some("first")).unwrap();
    ann.change().unwrap();
    world.engine.press_save(ann.id()).unwrap();
    let _ben = world.edit("doc", "ben");
    world.engine.drop_all(&key("doc")).unwrap();
    world.take_notices();
    assert_eq!(in_hand.deadline(), Some(at(5_000)), "the save is due");
    world.pass(millis(4_999));
    world.assert_nothing_to_take();
    assert_eq!(world.take_notices(), []);
    world.pass(millis(1));
    // Of the force saves the transport hears, of the rest nobody.
    let superseded = storage(Status::ForceSave);
    assert_eq!(world.take_notices(), [asked_for("first", superseded.clone()), superseded]);
    assert_eq!(in_hand.deadline(), None);
    let save = world.take();
    assert_eq!((summary(save.callback()), save.callback().notmodified), ("2 -ben [ann]".into(), Some(false)));
    assert_eq!(save.deadline(), Some(at(65_000)), "the save itself has all its time");
    assert_eq!((in_hand.ack(), save.ack()), (Answered::Late, Answered::InTime));
    assert_eq!(world.take_notices(), [saved(Status::Save)]);
    assert!(world.acknowledge_all().is_empty());
}

#[test]
fn no_extension_outlasts_the_patience() {
    let world = World::plain();
    let ann = world.changed();
    world.engine.force_save(&key("doc"), None).unwrap();
    let in_hand = world.take();
    assert!(in_hand.extend(seconds(1_000)));
    assert_eq!(in_hand.deadline(), Some(at(1_000_000)));
    drop(ann);
    assert_eq!(in_hand.deadline(), Some(at(1_000_000)), "the save is not due yet");
    world.pass(seconds(10));
    assert_eq!(in_hand.deadline(), Some(at(15_000)));
    world.pass(seconds(2));
    assert!(in_hand.extend(seconds(1_000)), "it is not late");
    assert_eq!(in_hand.deadline(), Some(at(15_000)));
    world.pass(seconds(3));
    assert_eq!((in_hand.deadline(), in_hand.extend(seconds(1))), (None, false));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn what_is_handed_out_while_a_save_is_due_has_the_rest_of_its_patience() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.engine.info(&key("doc"), None).unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    world.engine.drop_all(&key("doc")).unwrap();
    for (expected, pause) in [("1 +ann [ann]", 2), ("1 [ann]", 2)] {
        let in_hand = world.take();
        assert_eq!((summary(in_hand.callback()).as_str(), in_hand.deadline()), (expected, Some(at(5_000))));
        world.pass(seconds(pause));
        assert_eq!(in_hand.ack(), Answered::InTime);
    }
    let last = world.take();
    assert_eq!((last.callback().status, last.deadline()), (Status::ForceSave, Some(at(5_000))));
    world.pass(seconds(1));
    assert_eq!(world.ack().status, Status::Save);
    assert_eq!(last.ack(), Answered::Late);
    world.assert_nothing_to_take();
}

#[test]
fn p5_when_what_is_before_it_fails_the_save_does_not_wait_for_another_attempt() {
    type Settled = fn(&World, coedit::Delivery);
    let ways: [Settled; 3] = [
        |_, delivery| assert_eq!(delivery.fail(), Answered::InTime),
        |_, delivery| drop(delivery),
        |world, delivery| {
            // It runs out before the patience is over.
            world.pass(seconds(3));
            assert_eq!(delivery.ack(), Answered::Late);
        },
    ];
    for settle in ways {
        let world = World::new(|config| config.ack_timeout(Some(seconds(3))));
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        let in_hand = world.take();
        world.engine.force_save(&key("doc"), None).unwrap();
        world.engine.drop_all(&key("doc")).unwrap();
        settle(&world, in_hand);
        assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
        world.assert_nothing_falls_due();
    }
}

#[test]
fn a_save_ends_the_pause_of_what_failed_before_it_when_its_patience_is_over() {
    let world = World::new(|config| config.retry_pauses([seconds(60); 3]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.take().fail();
    drop(ann);
    world.pass(seconds(10));
    world.pass(millis(4_999));
    world.assert_nothing_to_take();
    world.pass(millis(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn with_no_patience_a_due_save_goes_at_once() {
    let world = World::new(|config| config.save_patience(Duration::ZERO));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert_eq!(in_hand.ack(), Answered::Late);
}

#[test]
fn p4_a_storage_that_acknowledges_in_time_hears_everything_in_order_before_the_save() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    ann.change().unwrap();
    world.engine.info(&key("doc"), None).unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    drop((ann, ben));
    world.engine.drain();
    let mut heard = Vec::new();
    while let Ok(delivery) = world.callbacks.try_recv() {
        world.pass(millis(900));
        heard.push(summary(&delivery.acked()));
    }
    assert_eq!(
        heard,
        ["1 +ann [ann]", "1 +ben [ann ben]", "1 [ann ben]", "6 [ann]", "1 -ann [ben]", "2 -ben [ann]"]
    );
    assert!(world.take_notices().iter().all(|notice| *notice != storage(Status::ForceSave)));
}

#[test]
fn an_editor_who_comes_back_in_time_calls_a_due_save_off_and_nothing_is_dropped() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let in_hand = world.take();
    world.engine.info(&key("doc"), None).unwrap();
    drop(ann);
    world.pass(seconds(14));
    assert_eq!(in_hand.deadline(), Some(at(15_000)));
    let ben = world.edit("doc", "ben");
    assert_eq!(in_hand.deadline(), Some(at(60_000)), "no save is due any more");
    world.pass(seconds(10));
    assert_eq!(in_hand.ack(), Answered::InTime);
    assert_eq!(world.acknowledge_all(), ["1 [ann]", "1 -ann []", "1 +ben [ben]"]);
    drop(ben);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ben [ann]"]);
}

#[test]
fn what_is_asked_after_the_save_was_handed_out_waits_for_it() {
    let world = World::with_three_retries();
    let in_hand = world.take_save();
    world.engine.info(&key("doc"), Some("while it is in hand")).unwrap();
    world.pass(seconds(30));
    assert_eq!(in_hand.ack(), Answered::InTime);
    assert_eq!(world.ack().userdata.as_deref(), Some("while it is in hand"));
    world.assert_over();

    let again = World::with_three_retries();
    again.take_save().fail();
    again.engine.info(&key("doc"), Some("while it waits")).unwrap();
    assert_eq!(again.engine.force_save(&key("doc"), None), Err(ForceSaveError::NotChanged));
    for pause in [1, 2, 4] {
        again.assert_nothing_to_take();
        again.pass(seconds(pause));
        assert_eq!(again.take().failed().status, Status::Save);
    }
    assert_eq!(again.ack().status, Status::SaveFailed);
    assert_eq!(again.ack().userdata.as_deref(), Some("while it waits"), "nothing of it was dropped");
}

#[test]
fn a_timed_force_save_that_waits_is_superseded_like_any_other() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(20))));
    let ann = world.edit("doc", "ann");
    let in_hand = world.take();
    ann.change().unwrap();
    world.pass(seconds(20));
    drop(ann);
    world.pass(seconds(10));
    world.pass(seconds(5));
    assert_eq!(world.take_notices(), [storage(Status::ForceSave)]);
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert_eq!(in_hand.ack(), Answered::Late);
    world.assert_over();
}

#[test]
fn p5_after_a_superseding_save_that_is_given_up_the_changes_can_be_force_saved() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.changed();
    world.engine.force_save(&key("doc"), None).unwrap();
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(10));
    world.pass(seconds(5));
    assert_eq!(world.take().failed().status, Status::Save);
    assert_eq!(world.ack().status, Status::SaveFailed);
    assert_eq!(in_hand.fail(), Answered::Late);
    assert_eq!(world.engine.force_save(&key("doc"), None), Ok(()));
    let forced = world.ack();
    assert_eq!(forced.forcesavetype, Some(ForceSaveType::Command));
    world.assert_over();
}

// The patience of a closing

#[test]
fn p5_a_closing_waits_no_longer_than_the_patience_and_ends_every_coming() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let in_hand = world.take();
    world.engine.info(&key("doc"), Some("x")).unwrap();
    drop(ann);
    let viewer = world.open("doc", "zoe", Access::View);
    world.pass(seconds(30));
    drop(ben);
    assert_eq!(in_hand.deadline(), Some(at(35_000)));
    world.pass(millis(4_999));
    world.assert_nothing_to_take();
    world.pass(millis(1));
    // The storage never heard that ben came.
    let closing = world.take();
    assert_eq!((summary(closing.callback()), closing.deadline()), ("4 -ben".into(), Some(at(95_000))));
    assert_eq!((in_hand.ack(), closing.ack()), (Answered::Late, Answered::InTime));
    assert_eq!(world.take_notices(), [], "nothing but a force save is told of");
    // It counts nobody now.
    let _ann = world.edit("doc", "ann");
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    drop(viewer);
}

#[test]
fn when_what_is_before_a_closing_fails_the_closing_is_next() {
    let world = World::plain();
    drop((world.edit("doc", "ann"), world.edit("doc", "ben")));
    assert_eq!(summary(&world.take().failed()), "1 +ann [ann]");
    // Ben was the first to leave, since a tuple drops its parts in order: ann, then ben.
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
    world.assert_over();
}

#[test]
fn a_closing_that_fails_is_retried_and_what_happens_meanwhile_waits() {
    let world = World::with_three_retries();
    drop(world.edit("doc", "ann"));
    world.ack();
    for pause in [1, 2, 4] {
        assert_eq!(summary(&world.take().failed()), "4 -ann");
        assert!(world.engine.is_open(&key("doc")) && world.engine.documents() == 1);
        world.pass(millis(pause * 1_000 - 1));
        world.assert_nothing_to_take();
        world.pass(millis(1));
    }
    let ben = world.edit("doc", "ben");
    assert_eq!(world.take().failed().status, Status::Closed);
    assert_eq!(world.take_notices(), [storage(Status::Closed)]);
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]"]);
    drop(ben);
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
    world.assert_over();
}

#[test]
fn a_closing_is_superseded_by_a_later_one_when_its_patience_is_over() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    world.ack();
    let hung = world.take();
    assert_eq!(hung.deadline(), Some(at(60_000)));
    drop(world.edit("doc", "ben"));
    assert_eq!(hung.deadline(), Some(at(5_000)));
    world.pass(seconds(5));
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
    assert_eq!(hung.ack(), Answered::Late);
    world.assert_over();
}

#[test]
fn an_editor_who_comes_before_the_closing_went_first_keeps_everything_in_order() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    let in_hand = world.take();
    drop(ann);
    world.pass(seconds(4));
    let _ben = world.edit("doc", "ben");
    world.pass(seconds(30));
    assert_eq!(in_hand.ack(), Answered::InTime, "nobody is in a hurry any more");
    assert_eq!(world.acknowledge_all(), ["4 -ann", "1 +ben [ben]"]);
}

// Comings and goings

/// Who edits according to the storage: a coming adds one, a leave takes one, and a closing ends all.
#[derive(Default)]
struct Heard {
    users: Vec<String>,
}

impl Heard {
    fn hear(&mut self, callback: &Callback) {
        let ends = matches!(callback.status, Status::Save | Status::Closed)
            || callback.users.as_ref().is_some_and(Vec::is_empty);
        let Some(action) = callback.action.as_ref() else { return };
        match action.kind.number() {
            1 => self.users.push(action.user.to_string()),
            _ if ends => self.users.clear(),
            0 => {
                let at = self.users.iter().position(|user| *user == action.user.as_str());
                self.users.remove(at.expect("who leaves has come"));
            }
            _ => {}
        }
    }
}

/// P4: a storage that is slow now and then hears, replayed, who edits.
#[test]
fn p4_comings_and_goings_balance_between_two_closings() {
    for seed in 1..40 {
        let bounds = Bounds { waiting_actions: 8, ..Bounds::default() };
        let world = World::new(|config| config.bounds(bounds));
        let mut random = random::Random::new(seed);
        let (mut open, mut heard): (Vec<(String, Connection)>, _) = (Vec::new(), Heard::default());
        for _ in 0..400 {
            match random.below(7) {
                0 | 1 => {
                    let name = format!("user-{}", random.below(4));
                    let connection = world.open("doc", &name, Access::Edit);
                    open.push((name, connection));
                }
                2 if !open.is_empty() => drop(open.swap_remove(random.below(open.len()))),
                3 if random.one_in(4) => open.clear(),
                4 => drop(open.first().map(|(_, connection)| connection.change())),
                5 => world.pass(millis(*random.pick(&[1, 1_000, 5_000, 10_000]))),
                _ => {
                    let Ok(delivery) = world.callbacks.try_recv() else { continue };
                    let callback = delivery.callback().clone();
                    match random.below(4) {
                        0 => drop(delivery),
                        1 => {
                            world.pass(seconds(6));
                            if delivery.ack() == Answered::InTime {
                                heard.hear(&callback);
                            }
                        }
                        _ => {
                            delivery.ack();
                            heard.hear(&callback);
                        }
                    }
                }
            }
            world.engine.validate().unwrap();
        }
        world.callbacks.try_iter().for_each(|delivery| heard.hear(&delivery.acked()));
        while let Some(due) = world.engine.next_deadline() {
            world.clock.move_to(due);
            world.engine.tick();
            world.callbacks.try_iter().for_each(|delivery| heard.hear(&delivery.acked()));
        }
        let editing = open.iter().filter(|(_, connection)| connection.may_edit());
        let mut editing: Vec<String> = editing.map(|(name, _)| name.clone()).collect();
        editing.sort();
        heard.users.sort();
        assert_eq!(heard.users, editing, "seed {seed}");
    }
}
