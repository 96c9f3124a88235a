//! `Engine::usage` and `Engine::holders`, with exact numbers on a manual clock.

mod support;
use support::limits::{open_checked, refused};
use support::*;

use std::collections::BTreeMap;
use std::time::Duration;

use coedit::Access::{Edit, LiveView, View};
use coedit::{Access, Holder, Level, NamedUsers, Reason, SeatCount, Timestamp, Usage, Window};

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(START + secs * 1_000)
}

/// The lowest, average and highest count, and when the highest was reached.
fn level(level: Level) -> (u32, f64, u32, Timestamp) {
    (level.min, level.average, level.max, level.max_at)
}

fn usage(world: &World) -> Usage {
    world.engine.usage().unwrap()
}

fn windows(usage: &Usage) -> [&Window; 5] {
    [&usage.hour, &usage.day, &usage.week, &usage.month, &usage.year]
}

#[test]
fn p9_usage_is_exact_over_opens_closes_drops_and_fallbacks() {
    let world = World::new(|config| config.edit_limit(Some(2)).document_limit(Some(3)));
    let ann = open_checked(&world, "a", "ann", Edit);
    world.pass(seconds(10));
    let ben = open_checked(&world, "a", "ben", Edit);
    let liv = open_checked(&world, "a", "liv", LiveView);
    world.pass(seconds(10));
    let cara = open_checked(&world, "b", "cara", Edit);
    assert_eq!(cara.granted(), refused(Reason::ConnectionLimit));
    world.pass(seconds(10));
    world.engine.drop_connection(ben.id()).unwrap();
    world.pass(seconds(20));
    world.engine.set_document_limit(Some(1)).unwrap();
    drop(open_checked(&world, "a", "ben", Edit));
    world.pass(seconds(10));
    drop((ann, liv));
    world.pass(seconds(40));
    let seen = usage(&world);
    assert_eq!((seen.at, seen.since), (at(100), at(0)));
    for window in windows(&seen) {
        assert_eq!((window.from, window.to), (at(0), at(100)), "no window begins before the engine");
        // Ann edits for 60 s, Ben for 20 s.
        assert_eq!(level(window.edit), (0, 0.8, 2, at(10)));
        assert_eq!(level(window.live), (0, 0.5, 1, at(10)));
        // Cara views for 80 s and Ben for 70 s after the drop. Another open at 50 s ends at once.
        assert_eq!(level(window.view), (0, 1.5, 3, at(50)));
        assert_eq!((window.opens, window.users), (5, 4));
        assert_eq!(
            window.fallbacks,
            BTreeMap::from([(Reason::ConnectionLimit, 1), (Reason::DocumentLimit, 1)])
        );
    }
    let [month] = seen.months[..] else { panic!("{:?}", seen.months) };
    assert_eq!((month.edit, month.live), (2, 1), "distinct users who got the access");
    // Two hours later, nothing else has happened: the last hour has no opens, and two viewers.
    world.pass(seconds(7_100));
    let seen = usage(&world);
    assert_eq!((seen.hour.from, seen.hour.to), (at(3_600), at(7_200)));
    assert_eq!(level(seen.hour.edit), (0, 0.0, 0, at(3_600)));
    assert_eq!(level(seen.hour.view), (2, 2.0, 2, at(3_600)));
    assert_eq!((seen.hour.opens, seen.hour.users, seen.hour.fallbacks.len()), (0, 0, 0));
    assert_eq!((seen.day.opens, level(seen.day.edit)), (5, (0, 80.0 / 7_200.0, 2, at(10))));
    drop((ben, cara));
}

#[test]
fn fallbacks_are_counted_by_reason() {
    let named = NamedUsers { edit: Some(2), live: None, expire_days: 1 };
    let world = World::new(|config| {
        config
            .document_limit(Some(1))
            .user_limit(Some(1))
            .named_users(named)
            .live_limit(Some(0))
            .edit_limit(Some(2))
    });
    let _ann = open_checked(&world, "a", "ann", Edit);
    let _ben = open_checked(&world, "b", "ben", Edit);
    let opens: [(&str, &str, Access, u64); 5] = [
        ("a", "zoe", Edit, 3),
        ("c", "ann", Edit, 2),
        ("c", "zoe", Edit, 4),
        ("c", "zoe", LiveView, 1),
        ("c", "zoe", View, 2),
    ];
    for (document, user, asked, times) in opens {
        for _ in 0..times {
            drop(open_checked(&world, document, user, asked));
        }
    }
    world.engine.set_user_limit(None).unwrap();
    drop(open_checked(&world, "c", "ann", Edit));
    world.engine.drain();
    drop(open_checked(&world, "c", "ann", Edit));
    let hour = usage(&world).hour;
    let expected = [
        (Reason::ConnectionLimit, 1),
        (Reason::LiveViewLimit, 1),
        (Reason::DocumentLimit, 3),
        (Reason::UserLimit, 2),
        (Reason::UserQuota, 4),
        (Reason::Draining, 1),
    ];
    assert_eq!((hour.fallbacks, hour.opens, hour.users), (expected.into(), 16, 3));
}

#[test]
fn usage_counts_connections_even_if_seats_are_counted_by_user() {
    let world = World::new(|config| config.seat_count(SeatCount::UsersOfDocuments).max_connections(Some(3)));
    let tabs = [Edit, Edit, LiveView].map(|asked| open_checked(&world, "a", "ann", asked));
    assert!(world.engine.open(&key("a"), &user("ben"), View).is_err());
    world.pass(seconds(50));
    let [first, ..] = &tabs;
    world.engine.drop_connection(first.id()).unwrap();
    world.pass(seconds(50));
    let hour = usage(&world).hour;
    assert_eq!((level(hour.edit), level(hour.live)), ((0, 1.5, 2, at(0)), (0, 1.0, 1, at(0))));
    assert_eq!(
        (level(hour.view), hour.opens, hour.users),
        ((0, 0.5, 1, at(50)), 3, 1),
        "a refused open does not count"
    );
    drop(tabs);
}

#[test]
fn usage_can_be_switched_off() {
    let world = World::new(|config| config.usage(false));
    let _ann = open_checked(&world, "a", "ann", Edit);
    world.pass(seconds(7_200));
    assert_eq!(world.engine.usage(), None);
}

/// Writes a holder as `ann a edit 2 @5`, with the second of the last activity.
fn brief(holders: &[Holder]) -> Vec<String> {
    let active = |holder: &Holder| holder.active.since(at(0)).as_secs();
    let brief = |holder: &Holder| {
        let Holder { key, user, access, connections, .. } = holder;
        format!("{user} {key} {access} {connections} @{}", active(holder))
    };
    holders.iter().map(brief).collect()
}

#[test]
fn holders_are_listed_by_idle_time() {
    let world = World::plain();
    let open = |document, user, asked| {
        let connection = open_checked(&world, document, user, asked);
        world.pass(seconds(60));
        connection
    };
    let ann = open("a", "ann", Edit);
    let liv = open("b", "liv", LiveView);
    let ben = open("a", "ben", Edit);
    let _vic = open("a", "vic", View);
    let second = open("b", "ann", Edit);
    let holders = |count| brief(&world.engine.holders(count));
    let all = ["ann a edit 1 @0", "liv b liveview 1 @60", "ben a edit 1 @120", "ann b edit 1 @240"];
    assert_eq!(holders(10), all, "viewers are no holders");
    for count in 0..4 {
        assert_eq!(holders(count), all[..count], "the longest idle holders");
    }
    ann.change().unwrap();
    assert_eq!(
        holders(10),
        ["liv b liveview 1 @60", "ben a edit 1 @120", "ann b edit 1 @240", "ann a edit 1 @300"]
    );
    world.pass(seconds(60));
    let tab = open_checked(&world, "a", "ben", Edit);
    assert_eq!(holders(10)[3], "ben a edit 2 @360", "a second tab belongs to the same holder");
    world.engine.drop_connection(ben.id()).unwrap();
    assert_eq!(holders(10)[3], "ben a edit 1 @360");
    world.engine.drop_users(&key("b"), &[id("liv"), id("ann")]).unwrap();
    assert_eq!(holders(10), ["ann a edit 1 @300", "ben a edit 1 @360"], "dropped users are no holders");
    drop((ann, tab));
    assert_eq!(holders(10), [""; 0]);
    drop((liv, ben, second));
}

#[test]
fn equally_idle_holders_are_sorted_by_document_and_user() {
    let world = World::plain();
    let _tabs = [("b", "ann"), ("a", "zoe"), ("a", "ben"), ("c", "ann")]
        .map(|(document, user)| open_checked(&world, document, user, Edit));
    let _live = open_checked(&world, "a", "ben", LiveView);
    let all =
        ["ben a liveview 1 @0", "ben a edit 1 @0", "zoe a edit 1 @0", "ann b edit 1 @0", "ann c edit 1 @0"];
    assert_eq!(brief(&world.engine.holders(10)), all);
    assert_eq!(brief(&world.engine.holders(3)), all[..3]);
}

/// There are more documents than the engine visits under one lock.
#[test]
fn holders_are_found_among_very_many_documents() {
    let world = World::plain();
    let tabs: Vec<_> = (0..3_000)
        .map(|n| {
            world.clock.advance(Duration::from_secs(4));
            world.edit(&format!("doc-{}", n * 7 % 3_000), &format!("user-{n}"))
        })
        .collect();
    let found = world.engine.holders(2_000);
    let users: Vec<String> = found.iter().map(|holder| holder.user.to_string()).collect();
    assert_eq!(users, (0..2_000).map(|n| format!("user-{n}")).collect::<Vec<_>>());
    assert_eq!(world.engine.holders(usize::MAX).len(), tabs.len());
}
