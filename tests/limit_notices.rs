//! Notices about limits: warning, reached and clear. Each is sent once, and none in between.

mod support;
use support::limits::{open_checked, refused};
use support::*;

use coedit::Access::{Edit, LiveView};
use coedit::{Access, Connection, NamedUsers, Notice, OpenError, Pool, Reason, SeatCount};

/// Takes the notices about limits. Returns each in a short form, such as `edit warning 7/10`.
fn limit_notices(world: &World) -> Vec<String> {
    let short = |notice: Notice| {
        let Notice::Limit { pool, level, in_use, limit } = notice else { return None };
        let pool = serde_json::to_value(pool).unwrap();
        let level = serde_json::to_value(level).unwrap();
        Some(format!("{} {} {in_use}/{limit}", pool.as_str().unwrap(), level.as_str().unwrap()))
    };
    world.take_notices().into_iter().filter_map(short).collect()
}

fn users(edit: Option<u32>, live: Option<u32>) -> NamedUsers {
    NamedUsers { edit, live, expire_days: 0 }
}

/// Opens connections of new users one by one. Returns them, and the notices after each open.
fn fill(world: &World, asked: Access, count: usize) -> (Vec<Connection>, Vec<Vec<String>>) {
    let open = |n| {
        (open_checked(world, &format!("doc-{}", n % 3), &format!("user-{n}"), asked), limit_notices(world))
    };
    (0..count).map(open).unzip()
}

/// The notices after several opens that send none.
fn no_notices(times: usize) -> Vec<Vec<String>> {
    vec![vec![]; times]
}

#[test]
fn a_limit_sends_one_warning_one_reached_and_one_clear() {
    for (asked, pool) in [(Edit, "edit"), (LiveView, "live")] {
        let world = World::new(|config| config.edit_limit(Some(10)).live_limit(Some(10)));
        let (mut tabs, notices) = fill(&world, asked, 12);
        assert_eq!(notices[..6], no_notices(6));
        assert_eq!(notices[6], [format!("{pool} warning 7/10")]);
        assert_eq!(notices[7..10], no_notices(3), "the limit is full, and nobody was refused");
        assert_eq!(notices[10], [format!("{pool} reached 10/10")]);
        assert_eq!(notices[11], [""; 0], "only one notice");
        tabs.truncate(10);
        for _ in 0..3 {
            tabs.truncate(7);
            tabs.extend(fill(&world, asked, 4).0);
            tabs.truncate(10);
        }
        assert_eq!(limit_notices(&world), [""; 0], "no notice between clear and full");
        while tabs.len() > 7 {
            drop(tabs.pop());
        }
        assert_eq!(limit_notices(&world), [""; 0]);
        drop(tabs.pop());
        assert_eq!(limit_notices(&world), [format!("{pool} clear 6/10")]);
        tabs.clear();
        assert_eq!(limit_notices(&world), [""; 0]);
        let (_tabs, notices) = fill(&world, asked, 7);
        assert_eq!(notices[6], [format!("{pool} warning 7/10")], "the notices start again");
    }
}

#[test]
fn a_drop_clears_a_limit_as_a_close_does() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let _ann = open_checked(&world, "a", "ann", Edit);
    assert_eq!(limit_notices(&world), ["edit warning 1/1"]);
    world.engine.drop_users(&key("a"), &[id("ann")]).unwrap();
    assert_eq!(limit_notices(&world), ["edit clear 0/1"]);
    let ann = open_checked(&world, "a", "ann", Edit);
    world.engine.drop_connection(ann.id()).unwrap();
    assert_eq!(limit_notices(&world), ["edit warning 1/1", "edit clear 0/1"]);
}

#[test]
fn warn_at_sets_the_level_of_the_warning() {
    for (percent, limit, warning, clear) in
        [(50, 10, 5, 4), (100, 10, 10, 9), (1, 10, 1, 0), (70, 3, 3, 1), (75, 4, 3, 2)]
    {
        let world = World::new(|config| config.edit_limit(Some(limit)).warn_at(percent));
        let (mut tabs, notices) = fill(&world, Edit, limit as usize);
        let at = notices.iter().position(|notices| !notices.is_empty()).map(|n| n + 1);
        assert_eq!(
            (at, notices.concat()),
            (Some(warning), vec![format!("edit warning {warning}/{limit}")]),
            "{percent} %"
        );
        let clears: Vec<usize> = (0..limit as usize)
            .rev()
            .filter(|_| {
                drop(tabs.pop());
                !limit_notices(&world).is_empty()
            })
            .collect();
        assert_eq!(clears, [clear], "{percent} % of {limit}");
    }
}

#[test]
fn a_changed_limit_sends_its_new_level() {
    let world = World::new(|config| config.edit_limit(Some(10)));
    let (mut tabs, notices) = fill(&world, Edit, 5);
    assert_eq!(notices, no_notices(5));
    let set = |limit| {
        world.engine.set_edit_limit(limit).unwrap();
        limit_notices(&world)
    };
    assert_eq!(set(Some(7)), ["edit warning 5/7"]);
    assert_eq!((set(Some(5)), set(Some(3))), (vec![], vec![]), "the warning was sent already");
    tabs.push(open_checked(&world, "a", "zoe", Edit));
    assert_eq!(limit_notices(&world), ["edit reached 5/3"]);
    assert_eq!((set(Some(8)), set(Some(9))), (vec![], vec!["edit clear 5/9".to_owned()]));
    assert_eq!(
        (set(Some(6)), set(None)),
        (vec!["edit warning 5/6".to_owned()], vec!["edit clear 5/0".to_owned()])
    );
    world.engine.set_live_limit(Some(0)).unwrap();
    assert_eq!(limit_notices(&world), [""; 0]);
}

#[test]
fn a_limit_of_zero_is_reached_once_and_never_clear() {
    let world = World::new(|config| config.edit_limit(Some(1)).named_users(users(None, Some(0))));
    let ann = open_checked(&world, "a", "ann", Edit);
    world.engine.set_edit_limit(Some(0)).unwrap();
    drop(ann);
    assert_eq!(limit_notices(&world), ["edit warning 1/1"]);
    let (_tabs, notices) = fill(&world, Edit, 3);
    assert_eq!(notices.concat(), ["edit reached 0/0"]);
    let (_tabs, notices) = fill(&world, LiveView, 3);
    assert_eq!(
        notices.concat(),
        ["users_view reached 0/0"],
        "also if every open checks for expired named users"
    );
    world.engine.set_edit_limit(Some(1)).unwrap();
    world.engine.set_named_users(users(None, Some(1))).unwrap();
    assert_eq!(limit_notices(&world), ["edit clear 0/1", "users_view clear 0/1"]);
}

/// `would_admit` changes no level. The next refused open is the first refusal.
#[test]
fn would_admit_sends_no_notice_and_suppresses_none() {
    for (asked, pool) in [(Edit, "edit"), (LiveView, "users_view")] {
        let world = World::new(|config| config.edit_limit(Some(1)).named_users(users(None, Some(1))));
        let ask = |name| world.engine.would_admit(&key("a"), &id(name), asked).unwrap();
        assert_eq!((ask("ann").reason, limit_notices(&world)), (None, vec![]));
        let _ann = open_checked(&world, "a", "ann", asked);
        assert_eq!(limit_notices(&world), [format!("{pool} warning 1/1")]);
        let reason = if asked == Edit { Reason::ConnectionLimit } else { Reason::UserQuota };
        for _ in 0..3 {
            assert_eq!((ask("ben"), limit_notices(&world)), (refused(reason), vec![]));
        }
        let _ben = open_checked(&world, "a", "ben", asked);
        assert_eq!(limit_notices(&world), [format!("{pool} reached 1/1")]);
    }
}

#[test]
fn named_users_send_notices_when_they_count_and_when_they_expire() {
    type Act = fn(&World);
    let acts: [(&str, Act); 3] = [
        ("an open", |world| drop(open_checked(world, "a", "view", LiveView))),
        ("license", |world| drop(world.engine.license())),
        ("would_admit", |world| assert!(world.engine.would_admit(&key("a"), &id("zoe"), Edit).is_ok())),
    ];
    for (act_name, act) in acts {
        let world = World::new(|config| config.named_users(users(Some(3), None)));
        let (tabs, notices) = fill(&world, Edit, 5);
        let expected: [&[&str]; 5] = [&[], &[], &["users warning 3/3"], &["users reached 3/3"], &[]];
        assert_eq!(notices, expected);
        drop(tabs);
        assert_eq!(limit_notices(&world), [""; 0], "a named user still counts");
        world.pass(seconds(24 * 3600));
        assert_eq!(limit_notices(&world), [""; 0], "nothing checked for expiry yet");
        act(&world);
        act(&world);
        assert_eq!(limit_notices(&world), ["users clear 0/3"], "{act_name}");
    }
}

#[test]
fn a_changed_quota_sends_its_new_level() {
    let world = World::new(|config| config.named_users(users(Some(10), Some(10))));
    assert_eq!(fill(&world, Edit, 4).1, no_notices(4));
    let set = |edit| {
        world.engine.set_named_users(users(edit, Some(10))).unwrap();
        limit_notices(&world)
    };
    assert_eq!((set(Some(5)), set(Some(2))), (vec!["users warning 4/5".to_owned()], vec![]));
    assert_eq!((set(Some(6)), set(Some(7))), (vec![], vec!["users clear 4/7".to_owned()]));
    assert_eq!(
        (set(Some(4)), set(None)),
        (vec!["users warning 4/4".to_owned()], vec!["users clear 0/0".to_owned()])
    );
}

#[test]
fn notices_count_seats_under_any_seat_count() {
    let world = World::new(|config| config.edit_limit(Some(2)).seat_count(SeatCount::UsersOfDocuments));
    let tabs: Vec<Connection> = (0..5).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
    assert_eq!(limit_notices(&world), [""; 0]);
    let _other = open_checked(&world, "b", "ann", Edit);
    drop(tabs);
    assert_eq!(limit_notices(&world), ["edit warning 2/2", "edit clear 1/2"]);
}

/// A limit of one document or one user does not concern the whole engine.
#[test]
fn narrow_limits_send_no_notice() {
    let world = World::new(|config| config.document_limit(Some(1)).user_limit(Some(1)));
    let _tabs = [("a", "ann"), ("a", "ben"), ("b", "ann")]
        .map(|(document, name)| open_checked(&world, document, name, Edit));
    assert_eq!(limit_notices(&world), [""; 0]);
    assert_eq!(serde_json::to_value(Pool::UsersView).unwrap(), "users_view");
}

#[test]
fn p1_the_maximum_of_connections_sends_notices_as_other_limits_do() {
    let world = World::new(|config| config.max_connections(Some(10)));
    let accesses = [Access::View, LiveView, Edit];
    let open = |n: usize| {
        let asked = accesses[n % 3];
        let opened = world.engine.open(&key("a"), &user(&format!("user-{n}")), asked);
        (opened, limit_notices(&world))
    };
    let mut tabs = Vec::new();
    for n in 0..10 {
        let (opened, notices) = open(n);
        tabs.push(opened.unwrap());
        let expected: &[&str] = if n == 6 { &["max warning 7/10"] } else { &[] };
        assert_eq!(notices, expected, "connection {n}");
    }
    assert!(world.engine.would_admit(&key("a"), &id("zoe"), Edit).is_err());
    assert_eq!(limit_notices(&world), [""; 0], "nobody was refused");
    for expected in [&["max reached 10/10"][..], &[], &[]] {
        let (opened, notices) = open(10);
        assert_eq!(
            (opened.unwrap_err(), notices),
            (OpenError::TooMany, expected.iter().map(ToString::to_string).collect())
        );
    }
    world.engine.drop_all(&key("a")).unwrap();
    assert_eq!(limit_notices(&world), [""; 0], "a viewer counts too");
    tabs.truncate(7);
    assert_eq!(limit_notices(&world), [""; 0]);
    tabs.truncate(6);
    assert_eq!(limit_notices(&world), ["max clear 6/10"]);
    for (cap, expected) in [(Some(8), &["max warning 6/8"][..]), (None, &["max clear 6/0"])] {
        world.engine.set_max_connections(cap).unwrap();
        assert_eq!(limit_notices(&world), expected);
    }
}
