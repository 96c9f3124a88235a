//! Named users: who counts, from when to when, and what a change of the quota does.

mod support;
use support::limits::{come, granted, refused, tries};
use support::*;

use std::time::Duration;

use coedit::Access::{Edit, LiveView, View};
use coedit::{NamedUser, NamedUsers, Reason};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MOMENT: Duration = Duration::from_millis(1);

fn quota(edit: Option<u32>, live: Option<u32>, expire_days: u32) -> NamedUsers {
    NamedUsers { edit, live, expire_days }
}

/// A day at noon.
fn noon(named: NamedUsers) -> World {
    let world = World::new(|config| config.named_users(named));
    world.pass(12 * HOUR);
    world
}

fn user_until(id_of: &str, day: &str) -> NamedUser {
    serde_json::from_value(serde_json::json!({"userid": id_of, "expire": format!("{day}T00:00:00.000Z")}))
        .unwrap()
}

#[test]
fn p2_who_counts_is_never_refused_until_its_days_are_over() {
    for (days, end) in [(0, "2023-11-23"), (1, "2023-11-24"), (30, "2023-12-23"), (366, "2024-11-23")] {
        let world = noon(quota(Some(1), None, days));
        drop(come(&world, "a", "ann", Edit));
        let expected = [user_until("ann", end)];
        let count = || world.engine.license().quota.users;
        assert_eq!(count(), expected);
        let rest = 12 * HOUR + DAY * days;
        let nearly = rest.checked_sub(MOMENT).unwrap();
        for (passed, now) in [(Duration::ZERO, "at once"), (nearly, "in the last moment")] {
            world.pass(passed);
            assert_eq!(tries(&world, "b", "ben", Edit), refused(Reason::UserQuota), "{days} days, {now}");
            assert_eq!(tries(&world, "b", "ann", Edit), granted(Edit), "{days} days, {now}");
            assert_eq!(count(), expected, "the first access fixes the end");
        }
        world.pass(MOMENT);
        assert_eq!(count(), []);
        assert_eq!(tries(&world, "b", "ben", Edit), granted(Edit));
        assert_eq!(tries(&world, "b", "ann", Edit), refused(Reason::UserQuota), "she comes after ben now");
    }
}

#[test]
fn who_is_in_past_its_days_stays_in_and_counts_again_when_it_comes_again() {
    let world = noon(quota(Some(1), None, 0));
    let ann = come(&world, "a", "ann", Edit);
    world.pass(12 * HOUR);
    assert!(ann.change().is_ok() && world.engine.license().quota.users.is_empty());
    let again = come(&world, "a", "ann", Edit);
    assert_eq!(again.granted(), granted(Edit));
    assert_eq!(world.engine.license().quota.users, [user_until("ann", "2023-11-24")]);
    assert_eq!(tries(&world, "a", "ben", Edit), refused(Reason::UserQuota));
}

#[test]
fn editors_and_live_viewers_count_apart_and_viewers_not_at_all() {
    let world = noon(quota(Some(1), Some(2), 7));
    for (who, asked) in [("ann", Edit), ("ben", LiveView), ("ann", LiveView), ("vic", View)] {
        assert_eq!(tries(&world, "a", who, asked), granted(asked));
    }
    let found = world.engine.license();
    assert_eq!(found.quota.users, [user_until("ann", "2023-11-30")]);
    assert_eq!(found.quota.users_view, ["ann", "ben"].map(|who| user_until(who, "2023-11-30")));
    let terms = found.license;
    assert_eq!((terms.users_count, terms.users_view_count, terms.users_expire), (1, 2, 7));
    assert_eq!(tries(&world, "a", "cara", LiveView), refused(Reason::UserQuota));
    assert_eq!(tries(&world, "a", "ben", Edit), refused(Reason::UserQuota));
    let unlimited = noon(quota(None, None, 7));
    drop(come(&unlimited, "a", "ann", Edit));
    let found = unlimited.engine.license();
    assert_eq!((found.license.users_count, found.license.users_expire, found.quota.users), (0, 0, vec![]));
}

#[test]
fn who_got_no_access_does_not_count() {
    let world = World::new(|config| {
        config.named_users(quota(Some(1), Some(1), 1)).edit_limit(Some(0)).live_limit(Some(0))
    });
    for asked in [Edit, LiveView] {
        drop(come(&world, "a", "ann", asked));
    }
    let found = world.engine.license().quota;
    assert_eq!((found.users, found.users_view), (vec![], vec![]));
    world.engine.set_edit_limit(None).unwrap();
    assert_eq!(tries(&world, "a", "ben", Edit), granted(Edit));
}

#[test]
fn those_whose_days_are_over_make_room_for_as_many() {
    let world = noon(quota(Some(2), None, 1));
    drop(come(&world, "a", "ann", Edit));
    world.pass(DAY);
    drop(come(&world, "a", "ben", Edit));
    assert_eq!(tries(&world, "a", "cara", Edit), refused(Reason::UserQuota));
    world.pass(12 * HOUR);
    assert_eq!(world.engine.license().quota.users, [user_until("ben", "2023-11-25")], "ann's days are over");
    assert_eq!(tries(&world, "a", "cara", Edit), granted(Edit));
    assert_eq!(tries(&world, "a", "ann", Edit), refused(Reason::UserQuota));
}

#[test]
fn a_quota_moved_while_running_holds_for_those_who_come() {
    let world = noon(quota(Some(3), None, 1));
    let set = |named| {
        world.engine.set_named_users(named).unwrap();
        assert_eq!(world.engine.limits().named_users, named);
        world.engine.license().quota.users
    };
    for who in ["ann", "ben"] {
        drop(come(&world, "a", who, Edit));
    }
    let both = ["ann", "ben"].map(|who| user_until(who, "2023-11-24"));
    // Lower than there are: who counts goes on counting, to the end that was fixed.
    assert_eq!(set(quota(Some(1), None, 5)), both);
    assert_eq!(
        (tries(&world, "a", "ben", Edit), tries(&world, "a", "cara", Edit)),
        (granted(Edit), refused(Reason::UserQuota))
    );
    assert_eq!(set(quota(Some(3), None, 5)), both);
    drop(come(&world, "a", "cara", Edit));
    assert_eq!(world.engine.license().quota.users[2], user_until("cara", "2023-11-28"), "the new days");
    // Lifted it forgets everybody, and a new one counts nobody yet.
    let _ann = come(&world, "a", "ann", Edit);
    assert_eq!(set(quota(None, None, 5)), []);
    assert_eq!(tries(&world, "a", "dan", Edit), granted(Edit));
    assert_eq!(set(quota(Some(1), None, 0)), []);
    assert_eq!(tries(&world, "a", "dan", Edit), granted(Edit));
    assert_eq!(tries(&world, "a", "ann", Edit), refused(Reason::UserQuota));
}
