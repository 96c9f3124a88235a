//! What was wrong once and is to stay mended.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coedit::door::Acknowledge;
use coedit::{
    Access, Bounds, Config, Engine, ForceSaveError, InfoError, LimitLevel, ManualClock, NamedUsers, Notice,
    Pool, Reason, Status, Timestamp,
};
use support::*;

/// A force save that was asked for before a deletion said it held what was changed after it.
#[test]
fn p5_a_force_save_holds_nothing_that_came_after_a_deletion() {
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
    assert_eq!(world.told(), ["1 +ben [ben]"]);
    drop(ben);
    world.pass(seconds(10));
    let save = world.ack();
    assert_eq!((save.status, save.notmodified), (Status::Save, Some(false)));
}

#[test]
fn p10_a_deletion_that_is_refused_keeps_where_the_file_would_be() {
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

/// Timed force saves kept coming due while a save waited for its acknowledgement.
#[test]
fn a_replay_whose_save_is_never_acknowledged_ends() {
    let config = Config::new().force_save_interval(Some(seconds(1)));
    let mut talk = Talk::new(config, Acknowledge::Manual);
    talk.say(r#"{"c":"open","key":"k","connection":"a","user":{"id":"ann"}}"#);
    talk.say(r#"{"c":"ack","key":"k","error":0}"#);
    talk.say(r#"{"c":"change","connection":"a"}"#);
    talk.say(r#"{"c":"close","connection":"a"}"#);
    let told = talk.end();
    assert_eq!(told.last().unwrap()["callback"]["status"], 2);
}

#[test]
fn a_tick_at_the_end_of_time_ends() {
    let clock = ManualClock::new(Timestamp::MAX);
    let bounds = Bounds { asked: 1, ..Bounds::default() };
    let engine =
        Engine::new(Config::new().clock(clock).bounds(bounds).force_save_interval(Some(seconds(1)))).unwrap();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    engine.info(&key("doc"), None).unwrap();
    ann.change().unwrap();
    engine.tick();
    assert_eq!(engine.force_save(&key("doc"), None), Err(ForceSaveError::TooManyAsked));
}

#[test]
fn p5_a_hook_that_panics_loses_no_save() {
    let panics = Arc::new(AtomicBool::new(false));
    let hook = panics.clone();
    let world = World::new(|config| {
        config.on_callbacks(move || assert!(!hook.swap(false, Ordering::SeqCst), "a hook that panics"))
    });
    for number in 0..5 {
        world.edit(&format!("document-{number}"), "ann").change().unwrap();
    }
    assert_eq!(world.told().len(), 5, "and nothing is left, which arms the hook");
    panics.store(true, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| world.pass(seconds(10)))).is_err());
    assert_eq!(world.statuses(), [Status::Save; 5]);
    assert_eq!((world.engine.documents(), world.engine.next_deadline()), (0, None));
    world.engine.validate().unwrap();
}

/// While one thread ticked, another was told that nothing had a deadline.
#[test]
fn a_deadline_is_seen_while_another_thread_ticks() {
    let world = World::new(|config| {
        config.save_delay(Duration::from_millis(10)).force_save_interval(Some(seconds(3_600)))
    });
    // One deadline is far off all the while; others come and fall due.
    let far = world.edit("far", "ann");
    far.change().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                assert!(world.engine.next_deadline().is_some(), "there is one");
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

/// Documents that were asked about were not dropped whole, so a stalled host's memory grew with every new one.
#[test]
fn p6_a_stalled_host_that_asks_about_ever_new_documents_is_refused() {
    let bounds = Bounds { waiting_documents: 10, ..Bounds::default() };
    let world = World::new(|config| config.bounds(bounds));
    let refused = (0..1_000).filter(|number| {
        let document = format!("document-{number}");
        let _ann = world.edit(&document, "ann");
        world.engine.info(&key(&document), None) == Err(InfoError::TooManyAsked)
    });
    assert_eq!(refused.count(), 990);
    assert_eq!(world.told().len(), 30, "a coming, an answer and a closing each");
}

#[test]
fn what_was_forgotten_is_force_saved_in_time_when_it_is_edited_again() {
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
    assert_eq!(world.told(), ["1 +ben [ben]", "6 [ann]"]);
    assert!(world.engine.forgotten().is_empty());
}

#[test]
fn a_name_that_is_given_later_is_shown() {
    let world = World::plain();
    let _tab = world.open("doc", "ann", Access::View);
    let named = user("ann").named("Ann").unwrap();
    let _other = world.engine.open(&key("doc"), &named, Access::Edit).unwrap();
    assert_eq!(world.engine.participants(&key("doc"))[0].user.name(), Some("Ann"));
}

fn limit(pool: Pool, level: LimitLevel, in_use: u32, limit: u32) -> Notice {
    Notice::Limit { pool, level, in_use, limit }
}

/// Who only asked made the watch believe that it had said so.
#[test]
fn a_question_takes_no_notice_from_the_fallback_after_it() {
    let quota = NamedUsers { edit: Some(2), ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota).warn_at(100));
    let _tabs = [world.edit("doc", "ann"), world.edit("doc", "ben")];
    let grant = world.engine.would_admit(&key("doc"), &id("cleo"), Access::Edit).unwrap();
    assert_eq!(grant.reason, Some(Reason::UserQuota));
    assert_eq!(world.noticed(), [limit(Pool::Users, LimitLevel::Warning, 2, 2)]);
    assert_eq!(world.open("doc", "cleo", Access::Edit).granted(), grant);
    assert_eq!(world.noticed(), [limit(Pool::Users, LimitLevel::Reached, 2, 2)]);
}

/// A limit of named users that was lifted stayed reached for ever.
#[test]
fn a_limit_of_named_users_that_moves_says_what_it_has_come_to() {
    let quota = |edit| NamedUsers { edit, ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota(Some(10))));
    let set = |edit| {
        world.engine.set_named_users(quota(edit)).unwrap();
        world.noticed()
    };
    let _tabs = [world.edit("doc", "ann"), world.edit("doc", "ben")];
    assert_eq!(set(Some(2)), [limit(Pool::Users, LimitLevel::Warning, 2, 2)]);
    assert_eq!(world.open("doc", "cleo", Access::Edit).granted().access, Access::View);
    assert_eq!(world.noticed(), [limit(Pool::Users, LimitLevel::Reached, 2, 2)]);
    assert_eq!(set(None), [limit(Pool::Users, LimitLevel::Clear, 0, 0)]);
}

/// Each question of a limit of no named users at all cleared it, and each fallback reached it anew.
#[test]
fn a_limit_of_nobody_is_reached_once() {
    let quota = NamedUsers { edit: Some(0), ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota));
    for _ in 0..3 {
        assert_eq!(world.open("doc", "ann", Access::Edit).granted().reason, Some(Reason::UserQuota));
        world.engine.license();
    }
    assert_eq!(world.noticed(), [limit(Pool::Users, LimitLevel::Reached, 0, 0)]);
}

/// The days were told where nobody counts.
#[test]
fn a_license_without_named_users_says_no_days() {
    for (edit, days) in [(None, 0), (Some(3), 30)] {
        let quota = NamedUsers { edit, expire_days: 30, ..NamedUsers::default() };
        let terms = World::new(|config| config.named_users(quota)).engine.license().license;
        assert_eq!((terms.users_count, terms.users_expire), (edit.unwrap_or(0), days));
    }
}
