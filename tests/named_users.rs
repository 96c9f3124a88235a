//! Named users: which users count, for how long, and the effect of a changed quota.

mod support;
use support::limits::{granted, open_and_close, open_checked, refused};
use support::*;

use std::time::Duration;

use coedit::Access::{Edit, LiveView, View};
use coedit::{NamedUser, NamedUsers, Reason};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

fn quota(edit: Option<u32>, live: Option<u32>, expire_days: u32) -> NamedUsers {
    NamedUsers { edit, live, expire_days }
}

/// Creates an engine and moves its clock to noon.
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
fn p2_a_named_user_is_never_refused_before_expiry() {
    for (days, end) in [(0, "2023-11-23"), (1, "2023-11-24"), (30, "2023-12-23"), (366, "2024-11-23")] {
        let world = noon(quota(Some(1), None, days));
        drop(open_checked(&world, "a", "ann", Edit));
        let expected = [user_until("ann", end)];
        let named_users = || world.engine.license().quota.users;
        assert_eq!(named_users(), expected);
        let rest = 12 * HOUR + DAY * days;
        let nearly = rest.checked_sub(MILLISECOND).unwrap();
        for (passed, now) in [(Duration::ZERO, "at once"), (nearly, "in the last millisecond")] {
            world.pass(passed);
            assert_eq!(
                open_and_close(&world, "b", "ben", Edit),
                refused(Reason::UserQuota),
                "{days} days, {now}"
            );
            assert_eq!(open_and_close(&world, "b", "ann", Edit), granted(Edit), "{days} days, {now}");
            assert_eq!(named_users(), expected, "the first access sets the expiry");
        }
        world.pass(MILLISECOND);
        assert_eq!(named_users(), []);
        assert_eq!(open_and_close(&world, "b", "ben", Edit), granted(Edit));
        assert_eq!(
            open_and_close(&world, "b", "ann", Edit),
            refused(Reason::UserQuota),
            "ben has taken the place of ann"
        );
    }
}

#[test]
fn an_expired_user_keeps_the_open_connection_and_counts_again_at_the_next_open() {
    let world = noon(quota(Some(1), None, 0));
    let ann = open_checked(&world, "a", "ann", Edit);
    world.pass(12 * HOUR);
    assert!(ann.change().is_ok() && world.engine.license().quota.users.is_empty());
    let again = open_checked(&world, "a", "ann", Edit);
    assert_eq!(again.granted(), granted(Edit));
    assert_eq!(world.engine.license().quota.users, [user_until("ann", "2023-11-24")]);
    assert_eq!(open_and_close(&world, "a", "ben", Edit), refused(Reason::UserQuota));
}

#[test]
fn editors_and_live_viewers_count_separately_and_viewers_do_not_count() {
    let world = noon(quota(Some(1), Some(2), 7));
    for (name, asked) in [("ann", Edit), ("ben", LiveView), ("ann", LiveView), ("vic", View)] {
        assert_eq!(open_and_close(&world, "a", name, asked), granted(asked));
    }
    let found = world.engine.license();
    assert_eq!(found.quota.users, [user_until("ann", "2023-11-30")]);
    assert_eq!(found.quota.users_view, ["ann", "ben"].map(|name| user_until(name, "2023-11-30")));
    let terms = found.license;
    assert_eq!((terms.users_count, terms.users_view_count, terms.users_expire), (1, 2, 7));
    assert_eq!(open_and_close(&world, "a", "cara", LiveView), refused(Reason::UserQuota));
    assert_eq!(open_and_close(&world, "a", "ben", Edit), refused(Reason::UserQuota));
    let unlimited = noon(quota(None, None, 7));
    drop(open_checked(&unlimited, "a", "ann", Edit));
    let found = unlimited.engine.license();
    assert_eq!((found.license.users_count, found.license.users_expire, found.quota.users), (0, 0, vec![]));
}

#[test]
fn a_refused_user_does_not_count() {
    let world = World::new(|config| {
        config.named_users(quota(Some(1), Some(1), 1)).edit_limit(Some(0)).live_limit(Some(0))
    });
    for asked in [Edit, LiveView] {
        drop(open_checked(&world, "a", "ann", asked));
    }
    let found = world.engine.license().quota;
    assert_eq!((found.users, found.users_view), (vec![], vec![]));
    world.engine.set_edit_limit(None).unwrap();
    assert_eq!(open_and_close(&world, "a", "ben", Edit), granted(Edit));
}

#[test]
fn expired_users_make_room_for_as_many_new_users() {
    let world = noon(quota(Some(2), None, 1));
    drop(open_checked(&world, "a", "ann", Edit));
    world.pass(DAY);
    drop(open_checked(&world, "a", "ben", Edit));
    assert_eq!(open_and_close(&world, "a", "cara", Edit), refused(Reason::UserQuota));
    world.pass(12 * HOUR);
    assert_eq!(world.engine.license().quota.users, [user_until("ben", "2023-11-25")], "ann has expired");
    assert_eq!(open_and_close(&world, "a", "cara", Edit), granted(Edit));
    assert_eq!(open_and_close(&world, "a", "ann", Edit), refused(Reason::UserQuota));
}

#[test]
fn a_changed_quota_holds_for_later_opens() {
    let world = noon(quota(Some(3), None, 1));
    let set = |named| {
        world.engine.set_named_users(named).unwrap();
        assert_eq!(world.engine.limits().named_users, named);
        world.engine.license().quota.users
    };
    for name in ["ann", "ben"] {
        drop(open_checked(&world, "a", name, Edit));
    }
    let both = ["ann", "ben"].map(|name| user_until(name, "2023-11-24"));
    // If the quota is lower than the use, named users count until the expiry that was set.
    assert_eq!(set(quota(Some(1), None, 5)), both);
    assert_eq!(
        (open_and_close(&world, "a", "ben", Edit), open_and_close(&world, "a", "cara", Edit)),
        (granted(Edit), refused(Reason::UserQuota))
    );
    assert_eq!(set(quota(Some(3), None, 5)), both);
    drop(open_checked(&world, "a", "cara", Edit));
    assert_eq!(
        world.engine.license().quota.users[2],
        user_until("cara", "2023-11-28"),
        "the new number of days applies"
    );
    // A removed quota forgets all named users. A new one starts with none.
    let _ann = open_checked(&world, "a", "ann", Edit);
    assert_eq!(set(quota(None, None, 5)), []);
    assert_eq!(open_and_close(&world, "a", "dan", Edit), granted(Edit));
    assert_eq!(set(quota(Some(1), None, 0)), []);
    assert_eq!(open_and_close(&world, "a", "dan", Edit), granted(Edit));
    assert_eq!(open_and_close(&world, "a", "ann", Edit), refused(Reason::UserQuota));
}
