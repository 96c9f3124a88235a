//! Connections: who owns them, when they close, what they may do, and who the participants are.
mod support;
use support::*;

use coedit::{Access, ChangeError, Connection, ConnectionError, ConnectionId, Grant, Reason, UserId};

const EDIT: Grant = Grant { access: Access::Edit, reason: None };

/// The participants in short: `ann edit 2`.
fn participants(world: &World, document: &str) -> Vec<String> {
    let there = world.engine.participants(&key(document));
    there.iter().map(|one| format!("{} {} {}", one.user.id(), one.access, one.connections)).collect()
}

fn editors(world: &World, document: &str) -> Vec<String> {
    world.engine.editors(&key(document)).iter().map(UserId::to_string).collect()
}

#[test]
fn a_connection_closes_on_drop_close_and_lost() {
    type Close = fn(Connection);
    let ways: [Close; 3] = [|connection| drop(connection), Connection::close, Connection::lost];
    for close in ways {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        let bare = ann.id();
        assert_eq!((world.engine.access(bare), world.engine.may_edit(bare)), (Some(Access::Edit), true));
        close(ann);
        assert_eq!((world.engine.access(bare), world.engine.may_edit(bare)), (None, false));
        assert!(participants(&world, "doc").is_empty() && !world.engine.is_open(&key("doc")));
        assert_eq!(world.told(), ["1 +ann [ann]", "4 -ann"]);
    }
}

#[test]
fn a_bare_id_stays_open_until_it_is_closed() {
    let world = World::plain();
    for close in [coedit::Engine::close, coedit::Engine::lost] {
        let bare = world.edit("doc", "ann").into_id();
        assert_eq!(world.engine.access(bare), Some(Access::Edit));
        assert_eq!(world.engine.change(bare), Ok(()));
        assert_eq!(close(&world.engine, bare), Ok(()));
        assert_eq!(close(&world.engine, bare), Err(ConnectionError::Unknown), "closed once only");
        assert_eq!(world.engine.change(bare), Err(ChangeError::Unknown));
        world.engine.validate().unwrap();
    }
}

#[test]
fn an_adopted_id_is_owned_again() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let bare = world.edit("doc", "ann").into_id();
    let owned = world.engine.adopt(bare).unwrap();
    assert_eq!((owned.id(), owned.granted(), owned.access()), (bare, EDIT, Some(Access::Edit)));
    assert_eq!(owned.into_id(), bare, "letting go of it again does not close it");
    assert!(world.engine.may_edit(bare));
    drop(world.engine.adopt(bare).unwrap());
    assert_eq!(world.engine.adopt(bare).unwrap_err(), ConnectionError::Unknown);

    // What it got is what it has when it is adopted, whatever it once asked for.
    let ann = world.edit("doc", "ann");
    let viewer = world.open("doc", "ben", Access::Edit);
    assert_eq!(viewer.granted(), Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) });
    let adopted = world.engine.adopt(viewer.into_id()).unwrap();
    assert_eq!(adopted.granted(), Grant { access: Access::View, reason: None });
    world.engine.drop_all(&key("doc")).unwrap();
    let adopted = world.engine.adopt(ann.into_id()).unwrap();
    assert_eq!(adopted.granted(), Grant { access: Access::View, reason: None });
}

#[test]
fn the_close_of_a_second_owner_does_nothing() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let second = world.engine.adopt(first.id()).unwrap();
    drop(second);
    assert_eq!((first.access(), first.may_edit()), (None, false));
    assert_eq!(first.change(), Err(ChangeError::Unknown));
    // The place is taken by another by now, and the first owner does not close that.
    let ben = world.edit("doc", "ben");
    drop(first);
    assert_eq!(ben.access(), Some(Access::Edit));
    assert_eq!(world.engine.limits().edit.in_use, 1);
    assert_eq!(world.told(), ["1 +ann [ann]", "4 -ann", "1 +ben [ben]"]);
}

#[test]
fn a_stale_id_is_never_anothers() {
    let world = World::new(|config| config.shards(1));
    let mut stale: Vec<ConnectionId> = Vec::new();
    for round in 0..50 {
        let connection = world.edit("doc", &format!("user-{round}"));
        for old in &stale {
            assert_ne!(*old, connection.id());
            assert_eq!(world.engine.access(*old), None);
            assert_eq!(world.engine.close(*old), Err(ConnectionError::Unknown));
            assert_eq!(world.engine.change(*old), Err(ChangeError::Unknown));
            assert_eq!(world.engine.drop_connection(*old), Err(ConnectionError::Unknown));
        }
        assert_eq!(connection.access(), Some(Access::Edit));
        stale.push(connection.id());
    }
}

#[test]
fn ids_come_back_from_their_bits_and_other_numbers_name_nothing() {
    let world = World::plain();
    let open: Vec<Connection> = (0..20).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    let given: Vec<u64> = open.iter().map(|connection| connection.id().to_bits()).collect();
    for (connection, bits) in open.iter().zip(&given) {
        let again = ConnectionId::from_bits(*bits);
        assert_eq!((again, world.engine.access(again)), (connection.id(), Some(Access::Edit)));
        // Every number that differs in one bit, and some that are far off.
        let others = (0..64).map(|bit| bits ^ (1 << bit)).chain([0, 1, u64::MAX, u64::MAX - 1, 1 << 63]);
        for other in others.filter(|other| !given.contains(other)) {
            let nobody = ConnectionId::from_bits(other);
            assert_eq!(nobody.to_bits(), other);
            assert_eq!(world.engine.access(nobody), None, "{other:x}");
            assert_eq!(world.engine.close(nobody), Err(ConnectionError::Unknown), "{other:x}");
            assert_eq!(world.engine.adopt(nobody).unwrap_err(), ConnectionError::Unknown, "{other:x}");
        }
    }
    assert_eq!(world.engine.documents(), 20);
    world.engine.validate().unwrap();
}

#[test]
fn what_it_was_granted_stays_and_what_it_has_moves() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    world.engine.drop_connection(ann.id()).unwrap();
    assert_eq!((ann.granted(), ann.access(), ann.may_edit()), (EDIT, Some(Access::View), false));
    world.engine.close(ann.id()).unwrap();
    assert_eq!((ann.granted(), ann.access(), ann.may_edit()), (EDIT, None, false));
}

#[test]
fn only_an_edit_connection_may_change() {
    let world = World::plain();
    for (asked, result) in [
        (Access::Edit, Ok(())),
        (Access::LiveView, Err(ChangeError::ViewOnly)),
        (Access::View, Err(ChangeError::ViewOnly)),
    ] {
        let connection = world.open("doc", "ann", asked);
        assert_eq!(connection.granted(), Grant { access: asked, reason: None });
        assert_eq!(connection.change(), result, "{asked}");
        assert_eq!(world.engine.change(connection.id()), result, "{asked}");
    }
}

#[test]
fn participants_come_in_the_order_of_joining_with_their_best_access_and_their_tabs() {
    let world = World::plain();
    assert!(participants(&world, "doc").is_empty());
    let ann_view = world.open("doc", "ann", Access::View);
    let ben = world.edit("doc", "ben");
    let ann_live = world.open("doc", "ann", Access::LiveView);
    let cat = world.open("doc", "cat", Access::LiveView);
    assert_eq!(participants(&world, "doc"), ["ann liveview 2", "ben edit 1", "cat liveview 1"]);
    let ann_edit = world.edit("doc", "ann");
    assert_eq!(participants(&world, "doc"), ["ann edit 3", "ben edit 1", "cat liveview 1"]);
    // As editors ben was first.
    assert_eq!(editors(&world, "doc"), ["ben", "ann"]);
    // Whoever keeps a tab keeps the place.
    drop(ann_view);
    drop(ann_live);
    assert_eq!(participants(&world, "doc"), ["ann edit 1", "ben edit 1", "cat liveview 1"]);
    world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap();
    assert_eq!(participants(&world, "doc"), ["ann view 1", "ben edit 1", "cat liveview 1"]);
    // Whoever goes altogether comes back as the last.
    drop(ann_edit);
    let _ann = world.open("doc", "ann", Access::View);
    assert_eq!(participants(&world, "doc"), ["ben edit 1", "cat liveview 1", "ann view 1"]);
    drop((ben, cat));
    assert_eq!(participants(&world, "doc"), ["ann view 1"]);
}

#[test]
fn a_participant_carries_the_name_that_was_given_last() {
    let world = World::plain();
    let name = || world.engine.participants(&key("doc"))[0].user.name().map(str::to_owned);
    let open = |user: coedit::User| world.engine.open(&key("doc"), &user, Access::Edit).unwrap();
    let _first = open(user("u"));
    assert_eq!(name(), None);
    let _second = open(user("u").named("Ann").unwrap());
    assert_eq!(name().as_deref(), Some("Ann"));
    let _third = open(user("u"));
    assert_eq!(name().as_deref(), Some("Ann"), "none given is none taken away");
}

#[test]
fn editors_are_distinct_and_in_the_order_of_joining() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let ben = world.edit("doc", "ben");
    let second = world.edit("doc", "ann");
    let _view = world.open("doc", "cat", Access::View);
    let _live = world.open("doc", "dan", Access::LiveView);
    assert_eq!(editors(&world, "doc"), ["ann", "ben"]);
    drop(first);
    assert_eq!(editors(&world, "doc"), ["ann", "ben"], "the second tab is still there");
    drop(second);
    assert_eq!(editors(&world, "doc"), ["ben"]);
    let _again = world.edit("doc", "ann");
    assert_eq!(editors(&world, "doc"), ["ben", "ann"]);
    drop(ben);
    assert_eq!(editors(&world, "doc"), ["ann"]);
    assert!(editors(&world, "nowhere").is_empty());
}

#[test]
fn many_users_with_several_tabs_keep_their_order() {
    let world = World::plain();
    let names: Vec<String> = (0..60).map(|n| format!("user-{n}")).collect();
    let mut tabs: Vec<Connection> = (0..3).flat_map(|_| &names).map(|name| world.edit("doc", name)).collect();
    assert_eq!(editors(&world, "doc"), names);
    // The first and the second tab of all, and all tabs of every third user.
    let rest = tabs.split_off(120);
    drop(tabs);
    assert_eq!(editors(&world, "doc"), names);
    let kept: Vec<Connection> =
        rest.into_iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, connection)| connection).collect();
    let left: Vec<&String> =
        names.iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, name)| name).collect();
    assert_eq!(editors(&world, "doc").iter().collect::<Vec<_>>(), left);
    assert_eq!(kept.len(), 40);
    world.engine.validate().unwrap();
}

#[test]
fn documents_and_is_open_count_who_is_in_and_saves_to_come() {
    let world = World::plain();
    let seen = || (world.engine.documents(), world.engine.is_open(&key("doc")));
    assert_eq!(seen(), (0, false));
    let viewer = world.open("doc", "ann", Access::View);
    assert_eq!(seen(), (1, true));
    let other = world.open("other", "ann", Access::View);
    assert_eq!(seen(), (2, true));
    drop(viewer);
    assert_eq!(seen(), (1, false));
    drop(other);
    let ann = world.edit("doc", "ann");
    drop(ann);
    assert_eq!(seen(), (0, false), "what the storage has not heard keeps nothing open");
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    assert_eq!(seen(), (1, true), "a save is to come");
    world.pass(seconds(10));
    assert_eq!(seen(), (1, true), "it is due");
    assert_eq!(world.told(), ["1 +ann [ann]", "4 -ann", "1 +ann [ann]", "2 -ann [ann]"]);
    assert_eq!(seen(), (0, false));
}

#[test]
fn live_view_has_a_limit_of_its_own() {
    let world = World::new(|config| config.edit_limit(Some(1)).live_limit(Some(2)));
    let first = world.open("a", "ann", Access::LiveView);
    let second = world.open("b", "ann", Access::LiveView);
    let refused = Grant { access: Access::View, reason: Some(Reason::LiveViewLimit) };
    assert_eq!(world.open("a", "ben", Access::LiveView).granted(), refused);
    let editor = world.edit("a", "ben");
    assert_eq!(world.open("a", "cat", Access::View).granted(), Grant { access: Access::View, reason: None });
    let limits = world.engine.limits();
    assert_eq!((limits.live.limit, limits.live.in_use), (Some(2), 2));
    assert_eq!((limits.edit.limit, limits.edit.in_use), (Some(1), 1));
    // A seat comes back by closing and by dropping.
    drop(first);
    let third = world.open("a", "cat", Access::LiveView);
    assert_eq!(third.access(), Some(Access::LiveView));
    let dropped = world.engine.drop_users(&key("b"), &[id("ann")]).unwrap();
    assert_eq!((dropped.connections, second.access()), (vec![second.id()], Some(Access::View)));
    assert_eq!(world.engine.limits().live.in_use, 1);
    world.engine.set_live_limit(Some(1)).unwrap();
    assert_eq!(world.open("a", "dan", Access::LiveView).granted(), refused);
    world.engine.set_live_limit(None).unwrap();
    assert_eq!(world.open("a", "dan", Access::LiveView).granted().access, Access::LiveView);
    drop(editor);
    world.engine.validate().unwrap();
}

#[test]
fn viewers_live_or_plain_cause_no_callbacks() {
    let world = World::plain();
    let live = world.open("doc", "ann", Access::LiveView);
    let view = world.open("doc", "ben", Access::View);
    world.engine.drop_all(&key("doc")).unwrap();
    drop((live, view));
    assert!(world.told().is_empty());
    let refused = World::new(|config| config.edit_limit(Some(0)));
    drop(refused.open("doc", "ann", Access::Edit));
    assert!(refused.told().is_empty());
}

#[test]
fn a_drop_takes_edit_and_live_view_of_all_tabs_and_nothing_else() {
    let world = World::plain();
    let tabs: Vec<Connection> = [Access::Edit, Access::View, Access::LiveView, Access::Edit]
        .map(|asked| world.open("doc", "ann", asked))
        .into();
    let ben = world.edit("doc", "ben");
    let elsewhere = world.edit("other", "ann");
    let dropped = world.engine.drop_users(&key("doc"), &[id("zoe"), id("ann"), id("yan")]).unwrap();
    assert_eq!(dropped.unmatched, [id("zoe"), id("yan")]);
    let mut lost = dropped.connections.clone();
    lost.sort();
    let mut expected = [tabs[0].id(), tabs[2].id(), tabs[3].id()];
    expected.sort();
    assert_eq!(lost, expected);
    assert!(tabs.iter().all(|tab| tab.access() == Some(Access::View)));
    assert!(ben.may_edit() && elsewhere.may_edit());
    assert_eq!(participants(&world, "doc"), ["ann view 4", "ben edit 1"]);
    // Once more there is nothing to take, and ann is no stranger.
    let again = world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap();
    assert_eq!((again.connections, again.unmatched), (vec![], vec![]));
    // One user named twice is dropped once.
    let twice = world.engine.drop_users(&key("doc"), &[id("ben"), id("ben")]).unwrap();
    assert_eq!((twice.connections, twice.unmatched), (vec![ben.id()], vec![]));
    assert_eq!(world.engine.drop_users(&key("doc"), &[]).unwrap(), coedit::Dropped::default());
    world.engine.validate().unwrap();
}

#[test]
fn a_dropped_connection_is_told_as_a_leave_and_its_close_as_nothing() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let second = world.edit("doc", "ann");
    let ben = world.edit("doc", "ben");
    assert_eq!(world.told(), ["1 +ann [ann]", "1 +ann [ann]", "1 +ben [ann ben]"]);
    assert_eq!(world.engine.drop_connection(first.id()).unwrap().connections, [first.id()]);
    assert_eq!(world.told(), ["1 -ann [ann ben]"], "the second tab is still there");
    world.engine.drop_connection(second.id()).unwrap();
    assert_eq!(world.told(), ["1 -ann [ben]"]);
    drop((first, second));
    assert!(world.told().is_empty());
    drop(ben);
    assert_eq!(world.told(), ["4 -ben"]);
}

#[test]
fn a_connection_keeps_its_engine_alive() {
    let World { engine, callbacks, .. } = World::plain();
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    let clone = engine.clone();
    drop((engine, clone));
    assert_eq!(ann.change(), Ok(()));
    assert!(ann.may_edit());
    assert_eq!(callbacks.try_recv().unwrap().acked().status.number(), 1);
    assert_eq!(callbacks.try_recv().unwrap_err(), coedit::TryRecvError::Empty);
    drop(ann);
    assert_eq!(callbacks.try_recv().unwrap().acked().status.number(), 2);
    assert_eq!(callbacks.try_recv().unwrap_err(), coedit::TryRecvError::Disconnected);
}
