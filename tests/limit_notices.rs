//! Notices of limits: a warning, reached, clear again, each once, and nothing in between.

mod support;
use support::limits::{come, refused};
use support::*;

use coedit::Access::{Edit, LiveView};
use coedit::{Access, Connection, NamedUsers, Notice, Pool, Reason, SeatCount};

/// What was noticed of limits, in short: `edit warning 7/10`.
fn told(world: &World) -> Vec<String> {
    let brief = |notice: Notice| {
        let Notice::Limit { pool, level, in_use, limit } = notice else { return None };
        let pool = serde_json::to_value(pool).unwrap();
        let level = serde_json::to_value(level).unwrap();
        Some(format!("{} {} {in_use}/{limit}", pool.as_str().unwrap(), level.as_str().unwrap()))
    };
    world.noticed().into_iter().filter_map(brief).collect()
}

fn users(edit: Option<u32>, live: Option<u32>) -> NamedUsers {
    NamedUsers { edit, live, expire_days: 0 }
}

/// One open of somebody new at a time, with what it made known.
fn fill(world: &World, asked: Access, count: usize) -> (Vec<Connection>, Vec<Vec<String>>) {
    let open = |n| (come(world, &format!("doc-{}", n % 3), &format!("user-{n}"), asked), told(world));
    (0..count).map(open).unzip()
}

fn silence(times: usize) -> Vec<Vec<String>> {
    vec![vec![]; times]
}

#[test]
fn a_limit_speaks_once_when_it_is_near_once_when_it_refuses_and_once_when_it_is_clear() {
    for (asked, pool) in [(Edit, "edit"), (LiveView, "live")] {
        let world = World::new(|config| config.edit_limit(Some(10)).live_limit(Some(10)));
        let (mut tabs, said) = fill(&world, asked, 12);
        assert_eq!(said[..6], silence(6));
        assert_eq!(said[6], [format!("{pool} warning 7/10")]);
        assert_eq!(said[7..10], silence(3), "full, and nobody refused");
        assert_eq!(said[10], [format!("{pool} reached 10/10")]);
        assert_eq!(said[11], [""; 0], "once");
        tabs.truncate(10);
        for _ in 0..3 {
            tabs.truncate(7);
            tabs.extend(fill(&world, asked, 4).0);
            tabs.truncate(10);
        }
        assert_eq!(told(&world), [""; 0], "between clear and full it does not flap");
        while tabs.len() > 7 {
            drop(tabs.pop());
        }
        assert_eq!(told(&world), [""; 0]);
        drop(tabs.pop());
        assert_eq!(told(&world), [format!("{pool} clear 6/10")]);
        tabs.clear();
        assert_eq!(told(&world), [""; 0]);
        let (_tabs, said) = fill(&world, asked, 7);
        assert_eq!(said[6], [format!("{pool} warning 7/10")], "and all over again");
    }
}

#[test]
fn a_drop_clears_a_limit_as_a_close_does() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let _ann = come(&world, "a", "ann", Edit);
    assert_eq!(told(&world), ["edit warning 1/1"]);
    world.engine.drop_users(&key("a"), &[id("ann")]).unwrap();
    assert_eq!(told(&world), ["edit clear 0/1"]);
    let ann = come(&world, "a", "ann", Edit);
    world.engine.drop_connection(ann.id()).unwrap();
    assert_eq!(told(&world), ["edit warning 1/1", "edit clear 0/1"]);
}

#[test]
fn the_host_says_how_near_is_near() {
    for (percent, limit, near, clear) in
        [(50, 10, 5, 4), (100, 10, 10, 9), (1, 10, 1, 0), (70, 3, 3, 1), (75, 4, 3, 2)]
    {
        let world = World::new(|config| config.edit_limit(Some(limit)).warn_at(percent));
        let (mut tabs, said) = fill(&world, Edit, limit as usize);
        let at = said.iter().position(|said| !said.is_empty()).map(|n| n + 1);
        assert_eq!(
            (at, said.concat()),
            (Some(near), vec![format!("edit warning {near}/{limit}")]),
            "{percent} %"
        );
        let said: Vec<usize> = (0..limit as usize)
            .rev()
            .filter(|_| {
                drop(tabs.pop());
                !told(&world).is_empty()
            })
            .collect();
        assert_eq!(said, [clear], "{percent} % of {limit}");
    }
}

#[test]
fn a_changed_limit_says_what_it_has_come_to() {
    let world = World::new(|config| config.edit_limit(Some(10)));
    let (mut tabs, said) = fill(&world, Edit, 5);
    assert_eq!(said, silence(5));
    let set = |limit| {
        world.engine.set_edit_limit(limit).unwrap();
        told(&world)
    };
    assert_eq!(set(Some(7)), ["edit warning 5/7"]);
    assert_eq!((set(Some(5)), set(Some(3))), (vec![], vec![]), "it was said");
    tabs.push(come(&world, "a", "zoe", Edit));
    assert_eq!(told(&world), ["edit reached 5/3"]);
    assert_eq!((set(Some(8)), set(Some(9))), (vec![], vec!["edit clear 5/9".to_owned()]));
    assert_eq!(
        (set(Some(6)), set(None)),
        (vec!["edit warning 5/6".to_owned()], vec!["edit clear 5/0".to_owned()])
    );
    world.engine.set_live_limit(Some(0)).unwrap();
    assert_eq!(told(&world), [""; 0]);
}

#[test]
fn with_no_seat_at_all_a_limit_is_reached_once_and_never_clear() {
    let world = World::new(|config| config.edit_limit(Some(1)).named_users(users(None, Some(0))));
    let ann = come(&world, "a", "ann", Edit);
    world.engine.set_edit_limit(Some(0)).unwrap();
    drop(ann);
    assert_eq!(told(&world), ["edit warning 1/1"]);
    let (_tabs, said) = fill(&world, Edit, 3);
    assert_eq!(said.concat(), ["edit reached 0/0"]);
    let (_tabs, said) = fill(&world, LiveView, 3);
    assert_eq!(
        said.concat(),
        ["users_view reached 0/0"],
        "also where every open lets go whose days are over"
    );
    world.engine.set_edit_limit(Some(1)).unwrap();
    world.engine.set_named_users(users(None, Some(1))).unwrap();
    assert_eq!(told(&world), ["edit clear 0/1", "users_view clear 0/1"]);
}

/// Asking turns nothing: who is refused next is the first.
#[test]
fn would_admit_says_nothing_and_takes_no_notice_from_anybody() {
    for (asked, pool) in [(Edit, "edit"), (LiveView, "users_view")] {
        let world = World::new(|config| config.edit_limit(Some(1)).named_users(users(None, Some(1))));
        let ask = |who| world.engine.would_admit(&key("a"), &id(who), asked).unwrap();
        assert_eq!((ask("ann").reason, told(&world)), (None, vec![]));
        let _ann = come(&world, "a", "ann", asked);
        assert_eq!(told(&world), [format!("{pool} warning 1/1")]);
        let reason = if asked == Edit { Reason::ConnectionLimit } else { Reason::UserQuota };
        for _ in 0..3 {
            assert_eq!((ask("ben"), told(&world)), (refused(reason), vec![]));
        }
        let _ben = come(&world, "a", "ben", asked);
        assert_eq!(told(&world), [format!("{pool} reached 1/1")]);
    }
}

#[test]
fn named_users_speak_when_they_count_and_when_their_days_are_over() {
    type Act = fn(&World);
    let acts: [(&str, Act); 3] = [
        ("an open", |world| drop(come(world, "a", "view", LiveView))),
        ("license", |world| drop(world.engine.license())),
        ("would_admit", |world| assert!(world.engine.would_admit(&key("a"), &id("zoe"), Edit).is_ok())),
    ];
    for (act_name, act) in acts {
        let world = World::new(|config| config.named_users(users(Some(3), None)));
        let (tabs, said) = fill(&world, Edit, 5);
        let expected: [&[&str]; 5] = [&[], &[], &["users warning 3/3"], &["users reached 3/3"], &[]];
        assert_eq!(said, expected);
        drop(tabs);
        assert_eq!(told(&world), [""; 0], "a name counts on");
        world.pass(seconds(24 * 3600));
        assert_eq!(told(&world), [""; 0], "nobody has looked");
        act(&world);
        act(&world);
        assert_eq!(told(&world), ["users clear 0/3"], "{act_name}");
    }
}

#[test]
fn a_changed_quota_says_what_it_has_come_to() {
    let world = World::new(|config| config.named_users(users(Some(10), Some(10))));
    assert_eq!(fill(&world, Edit, 4).1, silence(4));
    let set = |edit| {
        world.engine.set_named_users(users(edit, Some(10))).unwrap();
        told(&world)
    };
    assert_eq!((set(Some(5)), set(Some(2))), (vec!["users warning 4/5".to_owned()], vec![]));
    assert_eq!((set(Some(6)), set(Some(7))), (vec![], vec!["users clear 4/7".to_owned()]));
    assert_eq!(
        (set(Some(4)), set(None)),
        (vec!["users warning 4/4".to_owned()], vec!["users clear 0/0".to_owned()])
    );
}

#[test]
fn limits_speak_of_seats_whatever_takes_one() {
    let world = World::new(|config| config.edit_limit(Some(2)).seat_count(SeatCount::UsersOfDocuments));
    let tabs: Vec<Connection> = (0..5).map(|_| come(&world, "a", "ann", Edit)).collect();
    assert_eq!(told(&world), [""; 0]);
    let _other = come(&world, "b", "ann", Edit);
    drop(tabs);
    assert_eq!(told(&world), ["edit warning 2/2", "edit clear 1/2"]);
}

/// Limits of one document or one user are no news for the whole engine.
#[test]
fn narrow_limits_and_the_cap_say_nothing() {
    let world =
        World::new(|config| config.document_limit(Some(1)).user_limit(Some(1)).max_connections(Some(3)));
    let _tabs =
        [("a", "ann"), ("a", "ben"), ("b", "ann")].map(|(document, who)| come(&world, document, who, Edit));
    assert!(world.engine.open(&key("a"), &user("cara"), Edit).is_err());
    assert_eq!(told(&world), [""; 0]);
    assert_eq!(serde_json::to_value(Pool::UsersView).unwrap(), "users_view");
}
