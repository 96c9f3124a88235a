//! Saves that are acknowledged late, and what a due save or closing goes before.

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, Config, Connection, Delivery, DocumentKey, DocumentState, Engine,
    ForceSaveError, ManualClock, Notice, Status, Timestamp, User,
};
use crossbeam_channel::Receiver;

const START: u64 = 1_700_000_000_000;

struct Fixture {
    engine: Engine,
    clock: Arc<ManualClock>,
    callbacks: Callbacks,
    notices: Receiver<Notice>,
}

impl Fixture {
    fn new(config: Config) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let engine = Engine::new(config.clock(clock.clone())).unwrap();
        Fixture { callbacks: engine.callbacks(), notices: engine.notices(), engine, clock }
    }

    fn key() -> DocumentKey {
        DocumentKey::new("report").unwrap()
    }

    fn edit(&self, user: &str) -> Connection {
        self.engine.open(&Self::key(), &User::new(user).unwrap(), Access::Edit).unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.engine.tick();
    }

    fn take(&self, status: Status) -> Delivery {
        let delivery = self.callbacks.try_recv().unwrap();
        assert_eq!(delivery.callback().status, status);
        delivery
    }

    fn saved(&self) -> Vec<Status> {
        let saved = |notice| if let Notice::Saved { status, .. } = notice { Some(status) } else { None };
        self.notices.try_iter().filter_map(saved).collect()
    }
}

#[test]
fn p5_a_late_force_save_leaves_the_save_of_the_same_changes_outstanding() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    all.engine.force_save(&Fixture::key(), None).unwrap();
    let force_save = all.take(Status::ForceSave);
    ann.close();
    all.pass(5);
    let save = all.take(Status::Save);
    assert_eq!(force_save.ack(), Answered::LateSave);
    assert_eq!(save.fail(), Answered::InTime);
    all.pass(1);
    let again = all.take(Status::Save);
    assert_eq!(again.callback().notmodified, Some(true));
    assert_eq!(again.ack(), Answered::InTime);
    assert_eq!(all.saved(), [Status::ForceSave, Status::Save]);
    assert_eq!(all.engine.documents(), 0);
}

#[test]
fn a_late_save_leaves_a_force_save_of_the_same_changes_outstanding() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    ann.close();
    let save = all.take(Status::Save);
    all.pass(60);
    let _ben = all.edit("ben");
    all.engine.force_save(&Fixture::key(), Some("mine")).unwrap();
    all.take(Status::Editing).ack();
    all.take(Status::Editing).ack();
    let force_save = all.take(Status::ForceSave);
    assert_eq!(save.ack(), Answered::LateSave);
    assert_eq!(force_save.ack(), Answered::InTime, "who asked for it with userdata hears of it");
    assert_eq!(all.saved(), [Status::Save, Status::ForceSave]);
}

#[test]
fn a_save_that_is_acknowledged_late_twice_counts_once() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    ann.close();
    let first = all.take(Status::Save);
    all.pass(60);
    all.pass(1);
    let second = all.take(Status::Save);
    all.pass(60);
    let _ben = all.edit("ben");
    assert_eq!((first.ack(), second.ack()), (Answered::LateSave, Answered::Late));
    assert_eq!(all.saved(), [Status::Save]);
}

#[test]
fn a_closing_goes_before_an_earlier_closing_of_its_document() {
    let all = Fixture::new(Config::new());
    all.edit("ann").close();
    all.take(Status::Editing).ack();
    all.edit("ben").close();
    all.pass(5);
    let closing = all.take(Status::Closed);
    assert_eq!(closing.callback().action.as_ref().unwrap().user, "ben");
    assert_eq!(closing.ack(), Answered::InTime);
    assert_eq!(all.engine.documents(), 0);
}

#[test]
fn a_timed_force_save_under_way_holds_what_was_changed() {
    let all = Fixture::new(Config::new().force_save_interval(Some(Duration::from_secs(60))));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    all.pass(60);
    let force_save = all.take(Status::ForceSave);
    assert_eq!(all.engine.press_save(ann.id()), Err(ForceSaveError::NotChanged));
    force_save.ack();
}

#[test]
fn a_superseded_timed_force_save_is_planned_again() {
    let minute = Duration::from_secs(60);
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO).force_save_interval(Some(minute)));
    let ann = all.edit("ann");
    ann.change().unwrap();
    let held = all.take(Status::Editing);
    all.pass(59);
    held.ack();
    all.pass(1);
    let force_save = all.take(Status::ForceSave);
    ann.close();
    force_save.fail();
    all.take(Status::Save).fail();
    let _ben = all.edit("ben");
    all.take(Status::Editing).ack();
    all.take(Status::Editing).ack();
    all.pass(60);
    all.take(Status::ForceSave).ack();
}

#[test]
fn a_shutdown_tries_a_forgotten_document_that_is_due_again() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO).retry_pauses([]));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    ann.close();
    all.take(Status::Save).fail();
    all.take(Status::SaveFailed).ack();
    all.engine.retry_forgotten(&Fixture::key()).unwrap();
    let shutdown = all.engine.begin_shutdown(Duration::from_secs(20));
    all.take(Status::Save).ack();
    let report = shutdown.report().unwrap();
    assert_eq!((report.saved, report.is_complete()), (1, true));
}

#[test]
fn a_second_shutdown_takes_no_patience_away() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO));
    let ann = all.edit("ann");
    ann.change().unwrap();
    let joined = all.take(Status::Editing);
    ann.close();
    let _ = all.engine.begin_shutdown(Duration::from_secs(20));
    let deadline = Timestamp::from_millis(START + 5_000);
    assert_eq!(joined.deadline(), Some(deadline));
    let _ = all.engine.begin_shutdown(Duration::ZERO);
    assert_eq!(joined.deadline(), Some(deadline));
    all.engine.validate().unwrap();
    assert_eq!(joined.ack(), Answered::InTime);
    all.take(Status::Save).ack();
}

#[test]
fn the_message_that_a_save_was_given_up_says_since_when_it_waits() {
    let all = Fixture::new(Config::new().save_delay(Duration::ZERO).retry_pauses([]));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    ann.close();
    all.pass(7);
    all.take(Status::Save).fail();
    all.engine.delete_forgotten(&Fixture::key()).unwrap();
    let remaining = all.engine.remaining().documents;
    assert_eq!(
        (remaining[0].state, remaining[0].since),
        (DocumentState::Telling, Timestamp::from_millis(START + 7_000))
    );
}

#[test]
fn the_message_that_answers_a_question_waits_since_it_was_asked() {
    let all = Fixture::new(Config::new());
    let _ann = all.edit("ann");
    all.take(Status::Editing).ack();
    all.pass(7);
    all.engine.info(&Fixture::key(), None).unwrap();
    all.pass(2);
    let remaining = all.engine.remaining().documents;
    assert_eq!(
        (remaining[0].state, remaining[0].since),
        (DocumentState::Telling, Timestamp::from_millis(START + 7_000))
    );
}

/// A force save holds everything, but the document is listed as forgotten until its save is there.
#[test]
fn p5_a_save_that_comes_after_it_was_given_up_counts_although_a_force_save_holds_its_changes() {
    let config = Config::new().save_delay(Duration::ZERO).retry_pauses([]);
    let all = Fixture::new(config.ack_timeout(Some(Duration::from_secs(5))));
    let ann = all.edit("ann");
    all.take(Status::Editing).ack();
    ann.change().unwrap();
    all.engine.press_save(ann.id()).unwrap();
    all.take(Status::ForceSave).ack();
    ann.close();
    let late = all.take(Status::Save);
    all.pass(5);
    all.take(Status::SaveFailed).ack();
    assert_eq!(all.engine.forgotten().len(), 1);
    assert_eq!(late.ack(), Answered::LateSave);
    assert_eq!(all.engine.forgotten().len(), 0);
}
