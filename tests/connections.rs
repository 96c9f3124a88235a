//! Connections: their owners, their closing, their access, and the participants of a document.
mod support;
use support::*;

use coedit::{
    Access, ChangeError, Connection, ConnectionError, ConnectionId, ErrorCode, Grant, Reason, TransportError,
    UserId,
};

const EDIT: Grant = Grant { access: Access::Edit, reason: None };

/// Returns each participant in a short form, such as `ann edit 2`.
fn participants(world: &World, document: &str) -> Vec<String> {
    let participants = world.engine.participants(&key(document));
    participants.iter().map(|one| format!("{} {} {}", one.user.id(), one.access, one.connections)).collect()
}

fn editors(world: &World, document: &str) -> Vec<String> {
    world.engine.editors(&key(document)).iter().map(UserId::to_string).collect()
}

#[test]
fn a_connection_closes_on_drop_close_and_lost() {
    type Close = fn(Connection);
    let ways: [Close; 3] = [
        |connection| drop(connection),
        Connection::close,
        |connection| assert_eq!(connection.lost(), Ok(None)),
    ];
    for close in ways {
        let world = World::plain();
        let ann = world.edit("doc", "ann");
        let bare = ann.id();
        assert_eq!((world.engine.access(bare), world.engine.may_edit(bare)), (Some(Access::Edit), true));
        close(ann);
        assert_eq!((world.engine.access(bare), world.engine.may_edit(bare)), (None, false));
        assert!(participants(&world, "doc").is_empty());
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"]);
        assert!(!world.engine.is_open(&key("doc")));
    }
}

#[test]
fn a_bare_id_stays_open_until_it_is_closed() {
    type Close = fn(&coedit::Engine, ConnectionId) -> Result<(), ErrorCode>;
    let world = World::plain();
    let ways: [Close; 2] = [
        |engine, id| engine.close(id).map_err(ConnectionError::code),
        |engine, id| engine.lost(id).map(|lease| assert_eq!(lease, None)).map_err(TransportError::code),
    ];
    for close in ways {
        let bare = world.edit("doc", "ann").into_id();
        assert_eq!(world.engine.access(bare), Some(Access::Edit));
        assert_eq!(world.engine.change(bare), Ok(()));
        assert_eq!(close(&world.engine, bare), Ok(()));
        assert_eq!(close(&world.engine, bare), Err(ErrorCode::Key), "a connection closes only once");
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
    assert_eq!(owned.into_id(), bare, "`into_id` does not close the connection");
    assert!(world.engine.may_edit(bare));
    drop(world.engine.adopt(bare).unwrap());
    assert_eq!((world.engine.grant(bare), world.engine.owner(bare)), (None, None));
    assert_eq!(world.engine.adopt(bare).unwrap_err(), ConnectionError::Unknown);

    // An adopted connection reports its current access as granted, and why that is less than it asked for.
    let ann = world.edit("doc", "ann");
    let viewer = world.open("doc", "ben", Access::Edit);
    assert_eq!(viewer.granted(), Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) });
    let adopted = world.engine.adopt(viewer.into_id()).unwrap();
    assert_eq!(adopted.granted(), Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) });
    world.engine.drop_all(&key("doc")).unwrap();
    let adopted = world.engine.adopt(ann.into_id()).unwrap();
    assert_eq!(adopted.granted(), Grant { access: Access::View, reason: Some(Reason::Dropped) });
}

#[test]
fn a_second_owner_closes_the_connection_only_once() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let second = world.engine.adopt(first.id()).unwrap();
    drop(second);
    assert_eq!((first.access(), first.may_edit()), (None, false));
    assert_eq!(first.change(), Err(ChangeError::Unknown));
    // A new connection uses the same slot now. The first owner does not close it.
    let ben = world.edit("doc", "ben");
    drop(first);
    assert_eq!(ben.access(), Some(Access::Edit));
    assert_eq!(world.engine.limits().edit.in_use, 1);
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann", "1 +ben [ben]"]);
}

#[test]
fn a_stale_id_never_names_another_connection() {
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

/// Many slots are free and come again, several times.
#[test]
fn p3_a_stale_id_never_names_another_connection_when_many_slots_come_again() {
    for shards in [1, 4] {
        let world = World::new(|config| config.shards(shards));
        let mut stale: Vec<ConnectionId> = Vec::new();
        for round in 0..4 {
            let open: Vec<Connection> = (0..1_000)
                .map(|n| world.edit(&format!("doc-{}", n % 40), &format!("user-{round}")))
                .collect();
            for old in &stale {
                assert_eq!(world.engine.access(*old), None);
                assert_eq!(world.engine.change(*old), Err(ChangeError::Unknown));
                assert_eq!(world.engine.close(*old), Err(ConnectionError::Unknown));
                assert_eq!(world.engine.drop_connection(*old), Err(ConnectionError::Unknown));
            }
            assert!(open.iter().all(Connection::may_edit), "round {round}");
            stale.extend(open.iter().map(Connection::id));
            drop(open);
            let _ = world.acknowledge_statuses();
        }
        assert_eq!((world.engine.documents(), world.engine.limits().edit.in_use), (0, 0));
        world.engine.validate().unwrap();
    }
}

#[test]
fn ids_survive_a_round_trip_through_bits_and_other_numbers_are_unknown() {
    let world = World::plain();
    let open: Vec<Connection> = (0..20).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    let given: Vec<u64> = open.iter().map(|connection| connection.id().to_bits()).collect();
    for (connection, bits) in open.iter().zip(&given) {
        let again = ConnectionId::from_bits(*bits);
        assert_eq!((again, world.engine.access(again)), (connection.id(), Some(Access::Edit)));
        // Every number that differs in one bit, and some other numbers.
        let others = (0..64).map(|bit| bits ^ (1 << bit)).chain([0, 1, u64::MAX, u64::MAX - 1, 1 << 63]);
        for other in others.filter(|other| !given.contains(other)) {
            let unknown = ConnectionId::from_bits(other);
            assert_eq!(unknown.to_bits(), other);
            assert_eq!(world.engine.access(unknown), None, "{other:x}");
            assert_eq!(world.engine.close(unknown), Err(ConnectionError::Unknown), "{other:x}");
            assert_eq!(world.engine.adopt(unknown).unwrap_err(), ConnectionError::Unknown, "{other:x}");
        }
    }
    assert_eq!(world.engine.documents(), 20);
    world.engine.validate().unwrap();
}

#[test]
fn the_granted_access_is_fixed_and_the_current_access_changes() {
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
fn participants_are_in_order_of_arrival_with_their_highest_access_and_their_connections() {
    let world = World::plain();
    assert!(participants(&world, "doc").is_empty());
    let ann_view = world.open("doc", "ann", Access::View);
    let ben = world.edit("doc", "ben");
    let ann_live = world.open("doc", "ann", Access::LiveView);
    let cat = world.open("doc", "cat", Access::LiveView);
    assert_eq!(participants(&world, "doc"), ["ann liveview 2", "ben edit 1", "cat liveview 1"]);
    let ann_edit = world.edit("doc", "ann");
    assert_eq!(participants(&world, "doc"), ["ann edit 3", "ben edit 1", "cat liveview 1"]);
    // Ben was the first to edit.
    assert_eq!(editors(&world, "doc"), ["ben", "ann"]);
    // A user who keeps a connection keeps the position.
    drop(ann_view);
    drop(ann_live);
    assert_eq!(participants(&world, "doc"), ["ann edit 1", "ben edit 1", "cat liveview 1"]);
    world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap();
    assert_eq!(participants(&world, "doc"), ["ann view 1", "ben edit 1", "cat liveview 1"]);
    // A user who closes every connection returns at the end of the list.
    drop(ann_edit);
    let _ann = world.open("doc", "ann", Access::View);
    assert_eq!(participants(&world, "doc"), ["ben edit 1", "cat liveview 1", "ann view 1"]);
    drop((ben, cat));
    assert_eq!(participants(&world, "doc"), ["ann view 1"]);
}

#[test]
fn a_participant_has_the_last_name_that_was_given() {
    let world = World::plain();
    let name = || world.engine.participants(&key("doc"))[0].user.name().map(str::to_owned);
    let open = |user: coedit::User| world.engine.open(&key("doc"), &user, Access::Edit).unwrap();
    let _first = open(user("u"));
    assert_eq!(name(), None);
    let _second = open(user("u").named("Ann").unwrap());
    assert_eq!(name().as_deref(), Some("Ann"));
    let _third = open(user("u"));
    assert_eq!(name().as_deref(), Some("Ann"), "a connection without a name keeps the earlier name");
}

#[test]
fn editors_are_distinct_and_in_order_of_joining() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let ben = world.edit("doc", "ben");
    let second = world.edit("doc", "ann");
    let _view = world.open("doc", "cat", Access::View);
    let _live = world.open("doc", "dan", Access::LiveView);
    assert_eq!(editors(&world, "doc"), ["ann", "ben"]);
    drop(first);
    assert_eq!(editors(&world, "doc"), ["ann", "ben"], "the second connection is still open");
    drop(second);
    assert_eq!(editors(&world, "doc"), ["ben"]);
    let again = world.edit("doc", "ann");
    assert_eq!(editors(&world, "doc"), ["ann", "ben"], "the leave was not handed out yet");
    drop(again);
    world.acknowledge_all();
    let _again = world.edit("doc", "ann");
    assert_eq!(editors(&world, "doc"), ["ben", "ann"]);
    drop(ben);
    assert_eq!(editors(&world, "doc"), ["ann"]);
    assert!(editors(&world, "nowhere").is_empty());
}

#[test]
fn many_users_with_several_connections_keep_their_order() {
    let world = World::plain();
    let names: Vec<String> = (0..60).map(|n| format!("user-{n}")).collect();
    let mut tabs: Vec<Connection> = (0..3).flat_map(|_| &names).map(|name| world.edit("doc", name)).collect();
    assert_eq!(editors(&world, "doc"), names);
    // Closes the first two connections of every user, and then all connections of every third user.
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
fn a_document_is_open_while_it_has_connections_unsaved_changes_or_unsettled_callbacks() {
    let world = World::plain();
    let state = || (world.engine.documents(), world.engine.is_open(&key("doc")));
    assert_eq!(state(), (0, false));
    let viewer = world.open("doc", "ann", Access::View);
    assert_eq!(state(), (1, true));
    let other = world.open("other", "ann", Access::View);
    assert_eq!(state(), (2, true));
    drop(viewer);
    assert_eq!(state(), (1, false));
    drop(other);
    let ann = world.edit("doc", "ann");
    drop(ann);
    assert_eq!(state(), (1, true), "callbacks wait");
    assert_eq!(summary(&world.ack()), "1 +ann [ann]");
    let closing = world.take();
    assert_eq!(state(), (1, true), "a callback is outstanding");
    closing.failed();
    assert_eq!(state(), (1, true), "a callback waits for its retry");
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert_eq!(state(), (0, false));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    assert_eq!(state(), (1, true), "a save is pending");
    world.pass(seconds(10));
    assert_eq!(state(), (1, true), "the save is due");
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "2 -ann [ann]"]);
    assert_eq!(state(), (0, false));
}

#[test]
fn an_answer_to_info_keeps_no_document_open() {
    let world = World::plain();
    let state = || (world.engine.documents(), world.engine.is_open(&key("doc")));
    let viewer = world.open("doc", "ann", Access::View);
    world.engine.info(&key("doc"), None).unwrap();
    drop(viewer);
    assert_eq!(state(), (0, false), "an answer waits");
    let answer = world.take();
    assert_eq!((summary(answer.callback()), state()), ("4".to_owned(), (0, false)));
    assert!(world.engine.info(&key("doc"), None).is_err(), "nor does a poll that repeats itself");
    answer.acked();
    assert!(world.acknowledge_all().is_empty());
    // Behind a closing that is not settled, the document is open and answers are told.
    drop(world.edit("doc", "ben"));
    assert_eq!(world.engine.info(&key("doc"), None), Ok(vec![]));
    assert_eq!(world.engine.drop_all(&key("doc")).map(|dropped| dropped.connections), Ok(vec![]));
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "4 -ben", "4"]);
    assert_eq!(state(), (0, false));
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
    // Closing a connection and dropping its access both release the seat.
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
fn viewers_and_live_viewers_cause_no_callbacks() {
    let world = World::plain();
    let live = world.open("doc", "ann", Access::LiveView);
    let view = world.open("doc", "ben", Access::View);
    world.engine.drop_all(&key("doc")).unwrap();
    drop((live, view));
    assert!(world.acknowledge_all().is_empty());
    let refused = World::new(|config| config.edit_limit(Some(0)));
    drop(refused.open("doc", "ann", Access::Edit));
    assert!(refused.acknowledge_all().is_empty());
}

#[test]
fn a_drop_removes_edit_and_live_view_from_all_connections_of_the_user() {
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
    // A second drop finds nothing to remove, and ann is still a participant.
    let again = world.engine.drop_users(&key("doc"), &[id("ann")]).unwrap();
    assert_eq!((again.connections, again.unmatched), (vec![], vec![]));
    // A user who is named twice is dropped once.
    let twice = world.engine.drop_users(&key("doc"), &[id("ben"), id("ben")]).unwrap();
    assert_eq!((twice.connections, twice.unmatched), (vec![ben.id()], vec![]));
    assert_eq!(world.engine.drop_users(&key("doc"), &[]).unwrap(), coedit::Dropped::default());
    world.engine.validate().unwrap();
}

#[test]
fn a_dropped_connection_causes_a_leave_and_its_close_causes_nothing() {
    let world = World::plain();
    let first = world.edit("doc", "ann");
    let second = world.edit("doc", "ann");
    let ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 +ann [ann]", "1 +ben [ann ben]"]);
    assert_eq!(world.engine.drop_connection(first.id()).unwrap().connections, [first.id()]);
    assert_eq!(world.acknowledge_all(), ["1 -ann [ann ben]"], "the second connection is still open");
    world.engine.drop_connection(second.id()).unwrap();
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]"]);
    drop((first, second));
    assert!(world.acknowledge_all().is_empty());
    drop(ben);
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
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

#[test]
fn a_host_asks_what_a_connection_may_do_now_and_whose_it_is() {
    let world = World::new(|config| config.edit_limit(Some(1)).reconnect_grace(Some(seconds(60))));
    let (ann, ben) = (world.edit("doc", "ann"), world.open("doc", "ben", Access::Edit));
    let refused = Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) };
    assert_eq!((ann.grant(), ben.grant()), (Some(EDIT), Some(refused)));
    drop(ann);
    ben.request_edit().unwrap();
    assert_eq!((ben.granted(), ben.grant()), (refused, Some(EDIT)), "what it got first, and what it has now");
    let (token, old) = (ben.token().unwrap(), ben.id());
    ben.lost().unwrap();
    assert_eq!(world.engine.owner(old), Some((key("doc"), id("ben"))));
    let back = world.engine.resume(&token, 1).unwrap();
    assert_eq!(back.owner(), Some((key("doc"), id("ben"))));
    assert_eq!((world.engine.owner(old), world.engine.grant(old)), (None, None), "superseded");
}
