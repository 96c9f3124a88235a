//! What takes a seat: every connection, or a user on a document with all its tabs.

mod support;
use support::limits::{come, granted, refused, tries};
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
fn p1_a_second_tab_takes_a_seat_of_every_limit_where_connections_are_counted() {
    type Set = fn(Config) -> Config;
    let limits: [(Set, Reason); 3] = [
        (|c| c.edit_limit(Some(1)), Reason::ConnectionLimit),
        (|c| c.document_limit(Some(1)), Reason::DocumentLimit),
        (|c| c.user_limit(Some(1)), Reason::UserLimit),
    ];
    for (set, reason) in limits {
        let world = World::new(set);
        let first = come(&world, "a", "ann", Edit);
        assert_eq!(tries(&world, "a", "ann", Edit), refused(reason));
        drop(first);
        assert_eq!(tries(&world, "a", "ann", Edit), granted(Edit));
        let world = by_users(set);
        let tabs: Vec<Connection> = (0..3).map(|_| come(&world, "a", "ann", Edit)).collect();
        assert!(tabs.iter().all(Connection::may_edit), "{reason}");
        assert_eq!(in_use(&world), [1, 0]);
    }
}

#[test]
fn p1_a_user_of_a_document_takes_one_seat_whatever_its_tabs() {
    let world = by_users(|config| config.edit_limit(Some(2)).live_limit(Some(1)));
    let mut tabs: Vec<Connection> = (0..3).map(|_| come(&world, "a", "ann", Edit)).collect();
    tabs.push(come(&world, "a", "ann", LiveView));
    tabs.push(come(&world, "a", "ann", LiveView));
    assert_eq!(in_use(&world), [1, 1], "a seat of each access");
    assert_eq!(tries(&world, "a", "ben", LiveView), refused(Reason::LiveViewLimit));
    let other = come(&world, "b", "ann", Edit);
    assert_eq!((other.granted(), in_use(&world)), (granted(Edit), [2, 1]), "another document, another seat");
    assert_eq!(tries(&world, "a", "ben", Edit), refused(Reason::ConnectionLimit));
    assert_eq!(tries(&world, "c", "ann", Edit), refused(Reason::ConnectionLimit));
    // Past a limit that was lowered too: this takes no seat.
    world.engine.set_edit_limit(Some(0)).unwrap();
    tabs.push(come(&world, "a", "ann", Edit));
    assert_eq!((tabs[5].granted(), in_use(&world)), (granted(Edit), [2, 1]));
    let connections: u32 = world.engine.holders(10).iter().map(|holder| holder.connections).sum();
    assert_eq!(connections, 7);
}

/// Of several tabs of one user some go, in every way there is: the seat goes with the last.
#[test]
fn p1_the_seat_of_a_user_is_freed_by_its_last_tab_and_once() {
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
            tab.lost();
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
        let tabs: Vec<Connection> = (0..3).map(|_| come(&world, "a", "ann", Edit)).collect();
        let mut viewers = Vec::new();
        for (gone, tab) in tabs.into_iter().enumerate() {
            assert_eq!(in_use(&world), [1, 0], "{way}, {gone} gone");
            assert_eq!(tries(&world, "a", "ben", Edit), refused(Reason::DocumentLimit), "{way}");
            assert_eq!(tries(&world, "b", "ben", Edit), refused(Reason::ConnectionLimit), "{way}");
            assert_eq!(tries(&world, "b", "ann", Edit), refused(Reason::UserLimit), "{way}");
            viewers.extend(free(&world, tab));
            world.engine.validate().unwrap();
        }
        assert_eq!(in_use(&world), [0, 0], "{way}");
        assert_eq!(tries(&world, "a", "ben", Edit), granted(Edit), "{way}");
        drop(viewers);
        assert_eq!(tries(&world, "b", "ann", Edit), granted(Edit), "{way}");
    }
}

#[test]
fn p3_a_drop_of_a_user_frees_one_seat_and_takes_the_access_of_all_its_tabs() {
    for everybody in [false, true] {
        let world = by_users(|config| config.edit_limit(Some(2)).user_limit(Some(1)));
        let tabs: Vec<Connection> = (0..3).map(|_| come(&world, "a", "ann", Edit)).collect();
        let ben = come(&world, "a", "ben", Edit);
        let dropped = if everybody {
            world.engine.drop_all(&key("a"))
        } else {
            world.engine.drop_users(&key("a"), &[id("ann")])
        };
        world.engine.validate().unwrap();
        assert_eq!(dropped.unwrap().connections.len(), if everybody { 4 } else { 3 });
        assert!(tabs.iter().all(|tab| tab.change().is_err()));
        assert_eq!((ben.may_edit(), in_use(&world)), (!everybody, [u32::from(!everybody), 0]));
        // Viewers are not of the access that has the seat: she needs one again.
        let again = come(&world, "a", "ann", Edit);
        assert_eq!((again.granted(), in_use(&world)[0]), (granted(Edit), 1 + u32::from(!everybody)));
        drop((tabs, again));
        assert_eq!(in_use(&world)[0], u32::from(!everybody));
    }
}

#[test]
fn a_limit_of_a_user_counts_its_documents_where_users_are_counted() {
    let world = by_users(|config| config);
    let tabs: Vec<Connection> =
        ["a", "a", "b", "b"].map(|document| come(&world, document, "ann", Edit)).into();
    world.engine.set_user_limit(Some(2)).unwrap();
    assert_eq!(tries(&world, "c", "ann", Edit), refused(Reason::UserLimit));
    assert_eq!(tries(&world, "a", "ann", Edit), granted(Edit), "where she is already");
    world.engine.set_user_limit(Some(3)).unwrap();
    assert_eq!(tries(&world, "c", "ann", Edit), granted(Edit));
    world.engine.set_user_limit(None).unwrap();
    drop(tabs);
    world.engine.set_user_limit(Some(1)).unwrap();
    assert_eq!(tries(&world, "c", "ann", Edit), granted(Edit));
}

#[test]
fn a_limit_of_a_document_counts_its_users_where_users_are_counted() {
    let world = by_users(|config| config.document_limit(Some(2)));
    let _tabs = ["ann", "ann", "ben"].map(|who| come(&world, "a", who, Edit));
    assert_eq!(tries(&world, "a", "cara", Edit), refused(Reason::DocumentLimit));
    assert_eq!(tries(&world, "a", "ben", Edit), granted(Edit));
    let _viewer = come(&world, "a", "cara", View);
    assert_eq!(tries(&world, "a", "cara", Edit), refused(Reason::DocumentLimit), "a viewer has no seat");
}

#[test]
fn the_cap_counts_connections_whatever_takes_a_seat() {
    let world = by_users(|config| config.max_connections(Some(2)));
    let _tabs = [Edit, Edit].map(|asked: Access| come(&world, "a", "ann", asked));
    let limits = world.engine.limits();
    assert_eq!((limits.edit.in_use, limits.connections.in_use), (1, 2));
    assert!(world.engine.open(&key("a"), &user("ann"), Edit).is_err());
}

#[test]
fn who_has_a_seat_gets_no_second_tab_while_draining_or_saving() {
    let world = by_users(|config| config);
    let ann = come(&world, "a", "ann", Edit);
    world.engine.drain();
    assert_eq!(tries(&world, "a", "ann", Edit), refused(Reason::Draining));
    assert!(ann.may_edit());
}
