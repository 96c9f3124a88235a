//! What takes a seat: each connection, or each user of a document with all of the user's connections.

mod support;
use support::limits::{granted, open_and_close, open_checked, refused};
use support::*;

use coedit::Access::{Edit, LiveView, View};
use coedit::{Access, Config, Connection, Reason, SeatCount};

fn by_users(set: impl FnOnce(Config) -> Config) -> World {
    World::new(|config| set(config.seat_count(SeatCount::UsersOfDocuments)))
}

fn in_use(world: &World) -> [u32; 2] {
    let limits = world.engine.limits();
    [limits.edit.in_use, limits.live.in_use]
}

#[test]
fn p1_a_second_connection_takes_a_seat_of_every_limit_if_connections_are_counted() {
    type Set = fn(Config) -> Config;
    let limits: [(Set, Reason); 3] = [
        (|c| c.edit_limit(Some(1)), Reason::ConnectionLimit),
        (|c| c.document_limit(Some(1)), Reason::DocumentLimit),
        (|c| c.user_limit(Some(1)), Reason::UserLimit),
    ];
    for (set, reason) in limits {
        let world = World::new(set);
        let first = open_checked(&world, "a", "ann", Edit);
        assert_eq!(open_and_close(&world, "a", "ann", Edit), refused(reason));
        drop(first);
        assert_eq!(open_and_close(&world, "a", "ann", Edit), granted(Edit));
        let world = by_users(set);
        let tabs: Vec<Connection> = (0..3).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
        assert!(tabs.iter().all(Connection::may_edit), "{reason}");
        assert_eq!(in_use(&world), [1, 0]);
    }
}

#[test]
fn p1_a_user_of_a_document_takes_one_seat_for_all_connections() {
    let world = by_users(|config| config.edit_limit(Some(2)).live_limit(Some(1)));
    let mut tabs: Vec<Connection> = (0..3).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
    tabs.push(open_checked(&world, "a", "ann", LiveView));
    tabs.push(open_checked(&world, "a", "ann", LiveView));
    assert_eq!(in_use(&world), [1, 1], "one seat for each access");
    assert_eq!(open_and_close(&world, "a", "ben", LiveView), refused(Reason::LiveViewLimit));
    let other = open_checked(&world, "b", "ann", Edit);
    assert_eq!(
        (other.granted(), in_use(&world)),
        (granted(Edit), [2, 1]),
        "another document takes another seat"
    );
    assert_eq!(open_and_close(&world, "a", "ben", Edit), refused(Reason::ConnectionLimit));
    assert_eq!(open_and_close(&world, "c", "ann", Edit), refused(Reason::ConnectionLimit));
    // This takes no new seat, so it is granted even above a lowered limit.
    world.engine.set_edit_limit(Some(0)).unwrap();
    tabs.push(open_checked(&world, "a", "ann", Edit));
    assert_eq!((tabs[5].granted(), in_use(&world)), (granted(Edit), [2, 1]));
    let connections: u32 = world.engine.holders(10).iter().map(|holder| holder.connections).sum();
    assert_eq!(connections, 7);
}

/// The connections of one user end one by one, in every possible way. The last one releases the seat.
#[test]
fn p1_the_last_connection_of_a_user_releases_the_seat_once() {
    type Free = fn(&World, Connection) -> Option<Connection>;
    let ways: [(&str, Free); 4] = [
        ("drop", |_, tab| {
            drop(tab);
            None
        }),
        ("close", |world, tab| {
            world.engine.close(tab.into_id()).unwrap();
            None
        }),
        ("lost", |_, tab| {
            assert_eq!(tab.lost(), Ok(None));
            None
        }),
        ("drop_connection", |world, tab| {
            world.engine.drop_connection(tab.id()).unwrap();
            Some(tab)
        }),
    ];
    let one = |config: Config| config.edit_limit(Some(1)).user_limit(Some(1)).document_limit(Some(1));
    for (way, free) in ways {
        let world = by_users(one);
        let tabs: Vec<Connection> = (0..3).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
        let mut viewers = Vec::new();
        for (gone, tab) in tabs.into_iter().enumerate() {
            assert_eq!(in_use(&world), [1, 0], "{way}, {gone} gone");
            assert_eq!(open_and_close(&world, "a", "ben", Edit), refused(Reason::DocumentLimit), "{way}");
            assert_eq!(open_and_close(&world, "b", "ben", Edit), refused(Reason::ConnectionLimit), "{way}");
            assert_eq!(open_and_close(&world, "b", "ann", Edit), refused(Reason::UserLimit), "{way}");
            viewers.extend(free(&world, tab));
            world.engine.validate().unwrap();
        }
        assert_eq!(in_use(&world), [0, 0], "{way}");
        assert_eq!(open_and_close(&world, "a", "ben", Edit), granted(Edit), "{way}");
        drop(viewers);
        assert_eq!(open_and_close(&world, "b", "ann", Edit), granted(Edit), "{way}");
    }
}

#[test]
fn p3_a_drop_of_a_user_frees_one_seat_and_ends_the_access_of_all_connections() {
    for everybody in [false, true] {
        let world = by_users(|config| config.edit_limit(Some(2)).user_limit(Some(1)));
        let tabs: Vec<Connection> = (0..3).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
        let ben = open_checked(&world, "a", "ben", Edit);
        let dropped = if everybody {
            world.engine.drop_all(&key("a"))
        } else {
            world.engine.drop_users(&key("a"), &[id("ann")])
        };
        world.engine.validate().unwrap();
        assert_eq!(dropped.unwrap().connections.len(), if everybody { 4 } else { 3 });
        assert!(tabs.iter().all(|tab| tab.change().is_err()));
        assert_eq!((ben.may_edit(), in_use(&world)), (!everybody, [u32::from(!everybody), 0]));
        // After the drop ann only views, so a new edit connection needs a seat again.
        let again = open_checked(&world, "a", "ann", Edit);
        assert_eq!((again.granted(), in_use(&world)[0]), (granted(Edit), 1 + u32::from(!everybody)));
        drop((tabs, again));
        assert_eq!(in_use(&world)[0], u32::from(!everybody));
    }
}

#[test]
fn a_limit_of_a_user_counts_documents_if_users_are_counted() {
    let world = by_users(|config| config);
    let tabs: Vec<Connection> =
        ["a", "a", "b", "b"].map(|document| open_checked(&world, document, "ann", Edit)).into();
    world.engine.set_user_limit(Some(2)).unwrap();
    assert_eq!(open_and_close(&world, "c", "ann", Edit), refused(Reason::UserLimit));
    assert_eq!(
        open_and_close(&world, "a", "ann", Edit),
        granted(Edit),
        "ann already has a seat on this document"
    );
    world.engine.set_user_limit(Some(3)).unwrap();
    assert_eq!(open_and_close(&world, "c", "ann", Edit), granted(Edit));
    world.engine.set_user_limit(None).unwrap();
    drop(tabs);
    world.engine.set_user_limit(Some(1)).unwrap();
    assert_eq!(open_and_close(&world, "c", "ann", Edit), granted(Edit));
}

#[test]
fn a_limit_of_a_document_counts_users_if_users_are_counted() {
    let world = by_users(|config| config.document_limit(Some(2)));
    let _tabs = ["ann", "ann", "ben"].map(|name| open_checked(&world, "a", name, Edit));
    assert_eq!(open_and_close(&world, "a", "cara", Edit), refused(Reason::DocumentLimit));
    assert_eq!(open_and_close(&world, "a", "ben", Edit), granted(Edit));
    let _viewer = open_checked(&world, "a", "cara", View);
    assert_eq!(
        open_and_close(&world, "a", "cara", Edit),
        refused(Reason::DocumentLimit),
        "a viewer has no seat"
    );
}

#[test]
fn the_maximum_of_connections_counts_connections_under_any_seat_count() {
    let world = by_users(|config| config.max_connections(Some(2)));
    let _tabs = [Edit, Edit].map(|asked: Access| open_checked(&world, "a", "ann", asked));
    let limits = world.engine.limits();
    assert_eq!((limits.edit.in_use, limits.connections.in_use), (1, 2));
    assert!(world.engine.open(&key("a"), &user("ann"), Edit).is_err());
}

#[test]
fn a_user_with_a_seat_gets_no_second_connection_while_draining() {
    let world = by_users(|config| config);
    let ann = open_checked(&world, "a", "ann", Edit);
    world.engine.drain();
    assert_eq!(open_and_close(&world, "a", "ann", Edit), refused(Reason::Draining));
    assert!(ann.may_edit());
}
