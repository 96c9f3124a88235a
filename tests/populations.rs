//! Large populations that end at one moment. Whatever they are, at most 256 of anything are worked through under one hold
//! of a lock, but for one document's own list of users.
//!
//! `COEDIT_POPULATION=1000000 cargo test --release --features count-work --test populations -- --nocapture --test-threads 1`
//! prints the most items and the longest hold of each.
#[path = "populations/counted.rs"]
mod counted;
mod support;

use std::time::Duration;

use coedit::work::{self, Item};
use coedit::{
    Access, ConnectionId, Engine, IdleThen, NamedUsers, Notice, Reason, SeatCount, Snapshot, UserId,
};
use counted::*;
use support::*;

const DAY: u64 = 86_400;

/// What recounts everything divides nothing, and the count shows it. So what the other tests rely on is not 0 by mistake.
#[test]
fn a_walk_that_is_not_divided_is_counted() {
    let world = world(|config| config);
    world.crowd(2_000, 1, Access::Edit);
    work::start();
    world.engine.validate().unwrap();
    let report = work::report();
    for item in [Item::Slot, Item::Document, Item::Connection, Item::UserOfOthers] {
        let over = |most: &work::Most| most.item == item && most.lock == "Shard" && most.count > 900;
        assert!(report.most.iter().any(over), "{item:?}: {report:?}");
    }
}

fn named(edit: Option<u32>) -> NamedUsers {
    NamedUsers { edit, ..NamedUsers::default() }
}

#[test]
fn p7_named_users_whose_day_ends() {
    let count = population();
    let world = world(|config| config.callbacks(false).named_users(named(Some(u32::MAX / 4))));
    let fill = || world.close_all(&world.crowd(count, 1, Access::Edit));
    bounded("named users come and go", fill);
    let in_use = || world.engine.limit_uses().users.in_use as usize;
    assert_eq!(in_use(), count);
    assert_eq!(bounded("named users are listed", || world.engine.license().quota.users.len()), count);
    world.clock.advance(seconds(DAY));
    bounded("an open after the end of the day", || drop(world.edit("doc", "ann")));
    assert_eq!(in_use(), 1);
    bounded("the day of named users ends", || world.ticks());
    fill();
    bounded("the limit of named users is lifted", || world.engine.set_named_users(named(None)).unwrap());
    assert_eq!(in_use(), 0);
    world.engine.validate().unwrap();
}

/// Viewers who all wait.
fn waiting(set: impl FnOnce(coedit::Config) -> coedit::Config, users: usize) -> (World, Vec<ConnectionId>) {
    let world = world(|config| set(config.callbacks(false)));
    let all = world.crowd(bounded_population(), users, Access::Edit);
    bounded("viewers ask", || all.iter().for_each(|id| _ = world.engine.request_edit(*id).unwrap()));
    assert!(all.iter().all(|id| world.engine.access(*id) == Some(Access::View)));
    world.take_notices();
    (world, all)
}

/// Runs ticks until all edit, and checks that each was told.
fn all_are_granted(what: &str, world: &World, all: &[ConnectionId], open: impl FnOnce()) {
    let ticks = bounded(what, || {
        open();
        world.ticks()
    });
    assert!(ticks <= 2, "{what}: {ticks} ticks");
    assert!(all.iter().all(|id| world.engine.access(*id) == Some(Access::Edit)), "{what}");
    let told = world.take_notices().iter().filter(|one| matches!(one, Notice::Access { .. })).count();
    assert_eq!(told, all.len(), "{what}");
    world.engine.validate().unwrap();
}

#[test]
fn p7_waiters_of_the_engine_who_are_all_granted() {
    let (world, all) = waiting(|config| config.edit_limit(Some(0)), 1);
    let open = || world.engine.set_edit_limit(None).unwrap();
    all_are_granted("the limit of the engine is lifted", &world, &all, open);
}

#[test]
fn p7_waiters_of_documents_who_are_all_granted() {
    for users in [1, 100] {
        let (world, all) = waiting(|config| config.document_limit(Some(0)), users);
        let open = || world.engine.set_document_limit(None).unwrap();
        all_are_granted("the limit of documents is lifted", &world, &all, open);
    }
}

#[test]
fn p7_waiters_of_users_who_are_all_granted() {
    let (world, all) = waiting(|config| config.user_limit(Some(0)), 1);
    let open = || world.engine.set_user_limit(Some(2)).unwrap();
    all_are_granted("the limit of users is raised", &world, &all, open);
}

#[test]
fn p7_waiters_who_are_all_granted_when_the_engine_drains_no_more() {
    let (world, all) = waiting(|config| config.edit_limit(Some(0)), 1);
    bounded("drain", || world.engine.drain());
    world.engine.set_edit_limit(None).unwrap();
    all_are_granted("undrain", &world, &all, || world.engine.undrain());
}

#[test]
fn p7_waiters_whose_leases_end() {
    let grace = Some(seconds(60));
    let (world, all) = waiting(|config| config.edit_limit(Some(0)).reconnect_grace(grace), 1);
    bounded("waiters are lost", || world.lose_all(&all));
    world.clock.advance(seconds(60));
    bounded("the leases of waiters end", || world.ticks());
    assert_eq!((world.engine.remaining().connections, world.engine.stats().waiting.edit), (0, 0));
    world.engine.validate().unwrap();
}

#[test]
fn p7_waiters_who_leave() {
    let (world, all) = waiting(|config| config.document_limit(Some(0)), 1);
    bounded("waiters leave", || world.close_all(&all));
    assert_eq!(world.engine.stats().waiting.document, 0);
    world.engine.validate().unwrap();
}

/// While somebody waits, each seat that is given back is kept. Those that nobody takes become free together.
#[test]
fn p7_kept_seats_that_become_free() {
    for lowers in [false, true] {
        let count = population();
        let limit = u32::try_from(count).unwrap();
        let set = |config: coedit::Config| config.edit_limit(Some(limit)).reconnect_grace(Some(seconds(60)));
        let world = world(|config| set(config.callbacks(false)));
        let all = world.crowd(count, 1, Access::Edit);
        let viewer = world.open("doc", "ann", Access::Edit);
        viewer.request_edit().unwrap();
        world.lose_all(&all);
        world.clock.advance(seconds(60));
        if lowers {
            world.engine.set_edit_limit(Some(0)).unwrap();
        }
        bounded("the leases of editors end, and one waits", || world.ticks());
        assert_eq!(viewer.may_edit(), !lowers);
        assert_eq!(world.engine.limits().edit.in_use, u32::from(!lowers));
        world.engine.validate().unwrap();
    }
}

#[test]
fn p7_fences_that_expire() {
    let count = bounded_population();
    let world = world(|config| config);
    let fence = |number: usize, users: usize| {
        let key = key(&format!("doc-{}", number / users));
        world.engine.fence(&key, Some(&[id(&format!("user-{number}"))]), Some(seconds(60))).unwrap();
    };
    for users in [1, 100, count] {
        bounded("users are fenced", || (0..count).for_each(|number| fence(number, users)));
        assert_eq!(bounded("fences are listed", || world.engine.fences().len()), count);
        world.clock.advance(seconds(60));
        bounded("fences expire", || world.ticks());
        assert_eq!(world.engine.fences().len(), 0);
    }
    (0..count).for_each(|number| fence(number, count));
    bounded("all fences of a document are lifted", || world.engine.unfence(&key("doc-0"), None));
    assert_eq!(world.engine.fences().len(), 0);
    let users: Vec<UserId> = (0..count).map(|number| id(&format!("user-{number}"))).collect();
    let many = Some(users.as_slice());
    bounded("many users are fenced by one call", || world.engine.fence(&key("doc"), many, None).unwrap());
    assert_eq!(world.engine.fences().len(), count);
    bounded("many fences are lifted by one call", || world.engine.unfence(&key("doc"), many));
    assert_eq!(world.engine.fences().len(), 0);
    world.edit("doc", "user-7").into_id();
    let dropped =
        bounded("many users are dropped by one call", || world.engine.drop_users(&key("doc"), &users));
    assert_eq!(dropped.unwrap().unmatched.len(), count - 1);
}

#[test]
fn p7_leases_that_run_out() {
    for users in [1, 100] {
        let count = population();
        let world = world(|config| config.reconnect_grace(Some(seconds(60))).presence(true));
        let all = bounded("a crowd comes", || world.crowd(count, users, Access::Edit));
        world.change_all(&all);
        bounded("the storage hears of them", || world.settle());
        world.take_notices();
        bounded("all are lost", || world.lose_all(&all));
        world.clock.advance(seconds(60));
        bounded("leases run out", || world.ticks());
        assert_eq!(world.engine.remaining().connections, 0);
        let left =
            world.take_notices().iter().filter(|one| matches!(one, Notice::Disconnected { .. })).count();
        assert_eq!(left, count);
        world.clock.advance(seconds(10));
        bounded("their saves fall due", || world.ticks());
        bounded("the storage saves them", || world.settle());
        assert_eq!((world.engine.documents(), world.engine.unsaved().len()), (0, 0));
        world.engine.validate().unwrap();
    }
}

#[test]
fn p7_idle_and_old_connections() {
    for then in [IdleThen::View, IdleThen::Close] {
        let count = population();
        let set = |config: coedit::Config| config.idle(Some(seconds(60))).idle_then(then);
        let world = world(|config| set(config).age(Some(seconds(300))).expiry_warning(seconds(10)));
        let all = world.crowd(count, 2, Access::Edit);
        world.settle();
        world.clock.advance(seconds(50));
        bounded("idle connections are warned", || world.ticks());
        assert_eq!(world.take_notices().len(), count);
        world.clock.advance(seconds(10));
        bounded("idle connections end", || world.ticks());
        let editing = all.iter().filter(|id| world.engine.may_edit(**id)).count();
        assert_eq!((editing, world.take_notices().len()), (0, count));
        world.clock.advance(seconds(240));
        bounded("old connections end", || world.ticks());
        assert_eq!(world.engine.remaining().connections, 0);
        bounded("the storage hears of it", || world.settle());
        world.engine.validate().unwrap();
    }
}

/// With seats by users, an idle editor frees no seat while the user has another tab.
#[test]
fn p7_idle_editors_whose_seats_are_wanted() {
    let count = population();
    let limit = u32::try_from(count).unwrap();
    let set = |config: coedit::Config| config.seat_count(SeatCount::UsersOfDocuments).edit_limit(Some(limit));
    let world = world(|config| set(config.callbacks(false)).idle_when_wanted(Some(seconds(60))));
    world.crowd(count, 1, Access::Edit);
    let second = world.crowd(count, 1, Access::Edit);
    world.clock.advance(seconds(60));
    bounded("editors are idle", || world.ticks());
    let viewer = world.open("doc", "ann", Access::Edit);
    bounded("a viewer asks", || viewer.request_edit().unwrap());
    world.clock.advance(seconds(60));
    bounded("idle editors lose no seat", || world.ticks());
    assert!(!viewer.may_edit());
    world.engine.close(second[0]).unwrap();
    viewer.request_edit().unwrap();
    world.clock.advance(seconds(60));
    bounded("an idle editor loses its seat", || world.ticks());
    assert!(viewer.may_edit());
    world.engine.validate().unwrap();
}

/// Documents with unsaved changes, whose editors are gone.
fn unsaved(users: usize) -> World {
    let world = world(|config| config.retry_pauses([]).ack_timeout(Some(seconds(30))));
    let all = world.crowd(population(), users, Access::Edit);
    world.change_all(&all);
    world.settle();
    world.close_all(&all);
    world
}

#[test]
fn p7_unsaved_documents_whose_saves_fail() {
    let (count, world) = (population(), unsaved(1));
    assert_eq!(bounded("unsaved documents are listed", || world.engine.unsaved().len()), count);
    world.clock.advance(seconds(10));
    bounded("saves fall due", || world.ticks());
    let deliveries: Vec<_> = bounded("all are handed out", || world.callbacks.try_iter().collect());
    assert_eq!(deliveries.len(), count);
    let half = deliveries.len() / 2;
    world.take_notices();
    bounded("half fail", || deliveries.into_iter().take(half).for_each(|one| _ = one.fail()));
    world.clock.advance(seconds(30));
    bounded("half run out", || world.ticks());
    assert_eq!(world.take_notices().len(), count);
    assert_eq!(bounded("forgotten documents are listed", || world.engine.forgotten().len()), count);
    assert_eq!(bounded("the stats", || world.engine.stats().forgotten), count);
    bounded("the storage hears of it", || world.settle());
    assert_eq!(bounded("what remains", || world.engine.remaining().documents.len()), count);
    let forgotten = world.engine.forgotten();
    let retry = || forgotten.iter().for_each(|one| world.engine.retry_forgotten(&one.key).unwrap());
    bounded("forgotten documents are due again", retry);
    bounded("they are due", || world.ticks());
    bounded("they are saved", || world.settle());
    assert_eq!((world.engine.documents(), world.engine.forgotten().len()), (0, 0));
    world.engine.validate().unwrap();
}

#[test]
fn p7_a_shutdown_with_unsaved_and_with_forgotten_documents() {
    for forgotten in [false, true] {
        let (count, world) = (population(), unsaved(1));
        if forgotten {
            world.clock.advance(seconds(10));
            world.ticks();
            world.callbacks.try_iter().for_each(|one| _ = one.fail());
        }
        world.crowd(count, 1, Access::Edit);
        let shutdown = bounded("a shutdown begins", || world.engine.begin_shutdown(seconds(20)));
        assert_eq!(world.engine.remaining().connections, 0);
        world.clock.advance(seconds(20));
        bounded("its time is over", || world.ticks());
        let report = shutdown.report().unwrap();
        assert_eq!([report.unsaved.len(), report.forgotten.len()][usize::from(forgotten)], count);
    }
}

/// The patience of many saves runs out at one moment, each of which goes before what its document has waiting.
#[test]
fn p7_saves_that_go_before_the_rest() {
    let world = unsaved(100);
    let info = |number: usize| world.engine.info(&key(&format!("doc-{number}")), None).unwrap();
    (0..population() / 100).for_each(|number| drop(info(number)));
    world.clock.advance(seconds(10));
    bounded("saves fall due", || world.ticks());
    world.clock.advance(seconds(5));
    bounded("their patience is over", || world.ticks());
    bounded("they are saved", || world.settle());
    assert_eq!(world.engine.documents(), 0);
    world.engine.validate().unwrap();
}

#[test]
fn p7_drain_with_documents_whose_saves_wait() {
    let (count, world) = (population(), unsaved(1));
    bounded("drain", || world.engine.drain());
    assert_eq!(bounded("they are saved", || world.settle()), count);
    bounded("undrain", || world.engine.undrain());
    assert_eq!(world.engine.documents(), 0);
}

#[test]
fn p7_limits_that_change_over_a_population() {
    for users in [1, 100] {
        let world = world(|config| config.callbacks(false));
        let all = world.crowd(population(), users, Access::Edit);
        let engine = &world.engine;
        bounded("a limit of users is set", || engine.set_user_limit(Some(1)).unwrap());
        engine.validate().unwrap();
        bounded("it changes", || engine.set_user_limit(Some(2)).unwrap());
        bounded("the limits and their use", || engine.limit_uses());
        bounded("it is lifted", || engine.set_user_limit(None).unwrap());
        engine.validate().unwrap();
        for limit in [Some(1), None] {
            bounded("the limit of documents", || engine.set_document_limit(limit).unwrap());
            bounded("the limit of the engine", || engine.set_edit_limit(limit).unwrap());
            bounded("the limit of live views", || engine.set_live_limit(limit).unwrap());
            bounded("the cap", || engine.set_max_connections(limit).unwrap());
            bounded("the limit of named users", || engine.set_named_users(named(limit)).unwrap());
        }
        assert!(all.iter().all(|id| engine.may_edit(*id)));
    }
}

#[test]
fn p7_questions_about_a_population() {
    for users in [1, 100] {
        let count = population();
        let world = World::new(|config| config.shards(2).edit_limit(Some(u32::try_from(count / 2).unwrap())));
        bounded("a crowd comes", || world.crowd(count, users, Access::Edit));
        let engine = &world.engine;
        assert_eq!(bounded("holders", || engine.holders(usize::MAX).len()), count / 2);
        bounded("stats", || engine.stats());
        bounded("limit uses", || engine.limit_uses());
        bounded("remaining", || engine.remaining());
        bounded("unsaved", || engine.unsaved());
        bounded("documents", || engine.documents());
        bounded("license", || engine.license());
        world.clock.advance(seconds(60));
        bounded("usage", || engine.usage());
    }
}

#[test]
fn p7_a_snapshot_and_a_restore() {
    for users in [1, 100] {
        let set = |config: coedit::Config| config.shards(2).reconnect_grace(Some(seconds(60)));
        let world = World::new(set);
        let all = world.crowd(population(), users, Access::Edit);
        world.change_all(&all);
        let snapshot: Snapshot = bounded("a snapshot", || world.engine.snapshot());
        assert_eq!(snapshot.documents(), population().div_ceil(users));
        let restore = || Engine::restore(set(coedit::Config::new()).clock(world.clock.clone()), snapshot);
        let restored = bounded("a restore", restore).unwrap();
        assert_eq!(restored.remaining().connections as usize, population());
        world.clock.advance(seconds(60));
        let connections = || {
            restored.tick();
            restored.remaining().connections
        };
        assert_eq!(bounded("nobody comes back", connections), 0);
        bounded("suspend", || world.engine.suspend(Duration::ZERO));
    }
}

/// The slots of documents that are over stay in the tables.
#[test]
fn p7_a_population_that_is_gone() {
    let world = world(|config| config.callbacks(false));
    let mut all = world.crowd(population(), 1, Access::Edit);
    let last = all.pop().unwrap();
    bounded("a crowd leaves", || world.close_all(&all));
    assert_eq!(bounded("a snapshot of what is left", || world.engine.snapshot().documents()), 1);
    bounded("holders", || world.engine.holders(9));
    bounded("stats", || world.engine.stats());
    bounded("drain", || world.engine.drain());
    world.engine.close(last).unwrap();
    bounded("a shutdown", || drop(world.engine.begin_shutdown(seconds(1))));
}

/// One document of many users. Its own list is not divided.
#[test]
fn p7_one_document_of_many_users() {
    let users = users_of_one_document();
    let one = |end: &dyn Fn(&World, &[ConnectionId])| {
        let world = world(|config| config.reconnect_grace(Some(seconds(60))));
        let all = world.crowd(users, users, Access::Edit);
        world.change_all(&all);
        end(&world, &all);
        assert_eq!(world.engine.editors(&key("doc-0")).len(), 0);
        world.engine.validate().unwrap();
        world.clock.advance(seconds(20));
        of_one_document("its save", users, || world.settle() + world.ticks() + world.settle());
        let shutdown = of_one_document("a shutdown", users, || world.engine.begin_shutdown(seconds(1)));
        of_one_document("its end", users, || world.settle());
        assert!(shutdown.report().unwrap().is_complete());
    };
    one(&|world, _| {
        let dropped = of_one_document("all are dropped", users, || world.engine.drop_all(&key("doc-0")));
        assert_eq!(dropped.unwrap().connections.len(), users);
    });
    one(&|world, _| {
        let fence = || world.engine.fence(&key("doc-0"), None, Some(seconds(9)));
        assert_eq!(of_one_document("all are fenced", users, fence).unwrap().connections.len(), users);
        assert_eq!(world.open("doc-0", "ann", Access::Edit).granted().reason, Some(Reason::Fenced));
    });
    one(&|world, all| {
        let leave = || world.close_all(all);
        of_one_document("all leave", users, leave);
    });
    one(&|world, all| {
        world.lose_all(all);
        world.clock.advance(seconds(60));
        of_one_document("the grace of all ends", users, || world.ticks());
    });
}
