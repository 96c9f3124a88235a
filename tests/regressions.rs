//! Regression tests for bugs that were fixed.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coedit::door::Acknowledge;
use coedit::{
    Access, Bounds, Config, Engine, ForceSaveError, LimitLevel, ManualClock, NamedUsers, Notice, Pool,
    Reason, Status, Timestamp,
};
use support::*;

/// A force save requested before a deletion claimed to cover changes made after it.
#[test]
fn p5_a_force_save_does_not_cover_changes_after_a_deletion() {
    let world = World::new(|config| config.retry_pauses([]));
    let _viewer = world.open("doc", "vera", Access::View);
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    world.ack();
    world.pass(seconds(10));
    assert_eq!(world.take().failed().status, Status::Save);
    assert_eq!(world.ack().status, Status::SaveFailed);
    world.engine.force_save(&key("doc"), None).unwrap();
    let force_save = world.take();
    world.engine.delete_forgotten(&key("doc")).unwrap();
    let ben = world.edit("doc", "ben");
    ben.change().unwrap();
    force_save.acked();
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]"]);
    drop(ben);
    world.pass(seconds(10));
    let save = world.ack();
    assert_eq!((save.status, save.notmodified), (Status::Save, Some(false)));
}

#[test]
fn p10_a_refused_deletion_keeps_the_url_of_the_file() {
    let world = World::new(|config| config.retry_pauses([seconds(1)]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    world.ack();
    world.pass(seconds(10));
    let mut save = world.take();
    save.kept_at("file:///kept").unwrap();
    save.failed();
    assert!(world.engine.delete_forgotten(&key("doc")).is_err());
    world.pass(seconds(1));
    world.take().failed();
    assert_eq!(world.engine.forgotten_at(&key("doc")).unwrap().as_deref(), Some("file:///kept"));
}

/// The status of each callback of an output.
fn statuses(said: &[serde_json::Value]) -> Vec<u64> {
    said.iter().filter_map(|line| line.get("callback")?["status"].as_u64()).collect()
}

/// Timed force saves fell due again and again while a save waited for its acknowledgement.
#[test]
fn a_replay_whose_save_is_never_acknowledged_ends() {
    let config = Config::new().force_save_interval(Some(seconds(1))).retry_pauses([]);
    let mut talk = Talk::new(config, Acknowledge::Manual);
    talk.say(r#"{"c":"open","key":"k","connection":"a","user":{"id":"ann"}}"#);
    talk.say(r#"{"c":"ack","key":"k","error":0}"#);
    talk.say(r#"{"c":"change","connection":"a"}"#);
    talk.say(r#"{"c":"close","connection":"a"}"#);
    assert_eq!(statuses(&talk.end()), [2, 3], "each runs out");
    assert_eq!(talk.door.engine().forgotten().len(), 1);
}

#[test]
fn a_tick_at_the_latest_time_returns() {
    let clock = ManualClock::new(Timestamp::MAX);
    let bounds = Bounds { asked: 1, ..Bounds::default() };
    let engine =
        Engine::new(Config::new().clock(clock).bounds(bounds).force_save_interval(Some(seconds(1)))).unwrap();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    // The timed force save finds no room.
    ann.change().unwrap();
    engine.force_save(&key("doc"), None).unwrap();
    ann.change().unwrap();
    engine.tick();
    assert_eq!(engine.force_save(&key("doc"), None), Err(ForceSaveError::TooManyAsked));
}

#[test]
fn the_end_of_a_replay_does_not_wait_for_room_for_a_timed_force_save() {
    let bounds = Bounds { asked: 1, ..Bounds::default() };
    let config = Config::new().bounds(bounds).force_save_interval(Some(seconds(1))).retry_pauses([]);
    let mut talk = Talk::new(config, Acknowledge::Manual);
    talk.say(r#"{"c":"open","key":"k","connection":"a","user":{"id":"ann"}}"#);
    talk.say(r#"{"c":"ack","key":"k","error":0}"#);
    for _ in 0..2 {
        talk.say(r#"{"c":"change","connection":"a"}"#);
        talk.say(r#"{"c":"forcesave","key":"k"}"#);
    }
    // The force save in hand runs out, and so does the message of that. Then there is room for the timed one.
    assert_eq!(statuses(&talk.end()), [7, 6]);
    assert!(talk.door.engine().is_outstanding(&key("k")));
}

/// When one subscription was dropped, another one got no notice any more.
#[test]
fn a_dropped_subscription_takes_nothing_from_another() {
    let world = World::plain();
    let _ann = world.edit("doc", "ann");
    let other = world.engine.notices();
    world.engine.rename(&key("doc"), "one").unwrap();
    drop(other.clone());
    drop(other);
    drop(world.engine.notices());
    world.engine.rename(&key("doc"), "two").unwrap();
    let titles = ["one", "two"].map(|title| Notice::Meta { key: key("doc"), title: title.to_owned() });
    assert_eq!(world.take_notices(), titles);
}

/// While one thread ran a tick, `next_deadline` on another thread returned `None`.
#[test]
fn a_deadline_is_seen_while_another_thread_ticks() {
    let world = World::new(|config| {
        config.save_delay(Duration::from_millis(10)).force_save_interval(Some(seconds(3_600)))
    });
    // One deadline is far in the future all the time. Others are set and fall due.
    let far = world.edit("far", "ann");
    far.change().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                assert!(world.engine.next_deadline().is_some(), "there is a deadline");
            }
        });
        for round in 0..2_000 {
            world.edit(&format!("document-{round}"), "ann").change().unwrap();
            world.clock.advance(Duration::from_millis(4));
            world.engine.tick();
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// The engine kept every closed document with a request, so the memory of a stalled host grew with every new document. It
/// answers all of them, and past the bound the storage is not told.
#[test]
fn p6_questions_on_ever_new_documents_are_not_kept_while_the_host_is_stalled() {
    let bounds = Bounds { waiting_documents: 10, ..Bounds::default() };
    let world = World::new(|config| config.bounds(bounds));
    for number in 0..1_000 {
        let document = format!("document-{number}");
        let _ann = world.edit(&document, "ann");
        assert_eq!(world.engine.info(&key(&document), None), Ok(vec![id("ann")]));
    }
    assert_eq!(world.engine.documents(), 10);
    assert_eq!(world.acknowledge_all().len(), 30, "a join, an answer and a closing for each document");
}

#[test]
fn a_forgotten_document_gets_a_timed_force_save_when_it_is_edited_again() {
    let world = World::new(|config| config.retry_pauses([]).force_save_interval(Some(seconds(60))));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    world.ack();
    world.pass(seconds(10));
    world.take().failed();
    assert_eq!(world.ack().status, Status::SaveFailed);
    let _ben = world.edit("doc", "ben");
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "6 [ann]"]);
    assert!(world.engine.forgotten().is_empty());
}

#[test]
fn a_name_given_by_a_later_connection_is_shown() {
    let world = World::plain();
    let _tab = world.open("doc", "ann", Access::View);
    let named = user("ann").named("Ann").unwrap();
    let _other = world.engine.open(&key("doc"), &named, Access::Edit).unwrap();
    assert_eq!(world.engine.participants(&key("doc"))[0].user.name(), Some("Ann"));
}

fn limit(pool: Pool, level: LimitLevel, in_use: u32, limit: u32) -> Notice {
    Notice::Limit { pool, level, in_use, limit }
}

/// A refused `would_admit` marked the limit as reached, so the next refused open sent no notice.
#[test]
fn would_admit_does_not_suppress_the_notice_of_a_later_refusal() {
    let quota = NamedUsers { edit: Some(2), ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota).warn_at(100));
    let _tabs = [world.edit("doc", "ann"), world.edit("doc", "ben")];
    let grant = world.engine.would_admit(&key("doc"), &id("cleo"), Access::Edit).unwrap();
    assert_eq!(grant.reason, Some(Reason::UserQuota));
    assert_eq!(world.take_notices(), [limit(Pool::Users, LimitLevel::Warning, 2, 2)]);
    assert_eq!(world.open("doc", "cleo", Access::Edit).granted(), grant);
    assert_eq!(world.take_notices(), [limit(Pool::Users, LimitLevel::Reached, 2, 2)]);
}

/// The level of a removed limit of named users stayed `reached` for ever.
#[test]
fn a_changed_limit_of_named_users_sends_its_new_level() {
    let quota = |edit| NamedUsers { edit, ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota(Some(10))));
    let set = |edit| {
        world.engine.set_named_users(quota(edit)).unwrap();
        world.take_notices()
    };
    let _tabs = [world.edit("doc", "ann"), world.edit("doc", "ben")];
    assert_eq!(set(Some(2)), [limit(Pool::Users, LimitLevel::Warning, 2, 2)]);
    assert_eq!(world.open("doc", "cleo", Access::Edit).granted().access, Access::View);
    assert_eq!(world.take_notices(), [limit(Pool::Users, LimitLevel::Reached, 2, 2)]);
    assert_eq!(set(None), [limit(Pool::Users, LimitLevel::Clear, 0, 0)]);
}

/// Each query of a limit of zero named users cleared its level, and each refusal reached it again.
#[test]
fn a_limit_of_zero_named_users_is_reached_once() {
    let quota = NamedUsers { edit: Some(0), ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota));
    for _ in 0..3 {
        assert_eq!(world.open("doc", "ann", Access::Edit).granted().reason, Some(Reason::UserQuota));
        world.engine.license();
    }
    assert_eq!(world.take_notices(), [limit(Pool::Users, LimitLevel::Reached, 0, 0)]);
}

/// The license listed the days of named users although there was no limit of them.
#[test]
fn a_license_without_named_users_has_no_days() {
    for (edit, days) in [(None, 0), (Some(3), 30)] {
        let quota = NamedUsers { edit, expire_days: 30, ..NamedUsers::default() };
        let terms = World::new(|config| config.named_users(quota)).engine.license().license;
        assert_eq!((terms.users_count, terms.users_expire), (edit.unwrap_or(0), days));
    }
}

/// A snapshot of a running engine had users who were refused after its usage ended, and no engine could be made of it.
#[test]
fn a_snapshot_taken_while_opens_are_refused_can_be_restored() {
    let clock = Arc::new(ManualClock::default());
    let config = Config::new().edit_limit(Some(0)).clock(clock.clone());
    let (engine, is_over) = (Engine::new(config.clone()).unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                clock.advance(Duration::from_millis(1));
                let refused = engine.open(&key("doc"), &user(&number.to_string()), Access::Edit);
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                drop(refused);
            }
        });
        let restored =
            (0..100).try_for_each(|_| Engine::restore(config.clone(), engine.snapshot()).map(drop));
        is_over.store(true, Ordering::SeqCst);
        restored.unwrap();
    });
}
