//! What usage says of users whom a limit refused edit access, with exact numbers on a manual clock.

mod support;
use support::*;

use std::collections::BTreeMap;

use coedit::Access::{Edit, LiveView, View};
use coedit::{Denials, EditRequest, NamedUsers, Reason};

/// Who edited within a minute, within five, later and never, and who is there without edit access.
fn outcome(denials: &Denials) -> [u32; 5] {
    let Denials { within_minute, within_five_minutes, later, never, undecided, .. } = *denials;
    [within_minute, within_five_minutes, later, never, undecided]
}

fn denials(world: &World) -> Denials {
    world.engine.validate().unwrap();
    world.engine.usage().unwrap().year.denials
}

fn minutes(denials: &Denials) -> Vec<(Reason, f64)> {
    denials.minutes_lost.iter().map(|(reason, minutes)| (*reason, *minutes)).collect()
}

fn limited() -> World {
    World::new(|config| config.edit_limit(Some(1)))
}

#[test]
fn who_waits_and_gets_a_seat_is_counted_by_the_time_of_the_wait() {
    let world = limited();
    let mut holder = world.edit("a", "ann");
    for (name, wait, expected) in [
        ("ben", 60, [1, 0, 0, 0, 0]),
        ("cleo", 61, [1, 1, 0, 0, 0]),
        ("dan", 300, [1, 2, 0, 0, 0]),
        ("eve", 301, [1, 2, 1, 0, 0]),
    ] {
        let tab = world.open(name, name, Edit);
        assert!(matches!(tab.request_edit(), Ok(EditRequest::Waiting { .. })));
        world.pass(seconds(wait));
        assert_eq!(outcome(&denials(&world))[4], 1);
        drop(std::mem::replace(&mut holder, tab));
        assert!(holder.may_edit());
        assert_eq!(outcome(&denials(&world)), expected, "{name}");
    }
    let denials = denials(&world);
    assert_eq!(denials.refused, BTreeMap::from([(Reason::ConnectionLimit, 4)]));
    let [(Reason::ConnectionLimit, lost)] = minutes(&denials)[..] else { panic!("{denials:?}") };
    assert!((lost - 722.0 / 60.0).abs() < 1e-9, "{lost}");
    drop(holder);
}

#[test]
fn who_opens_again_is_the_same_case_for_a_quarter_of_an_hour() {
    let world = limited();
    let ann = world.edit("a", "ann");
    // Ben tries three times.
    for _ in 0..3 {
        let tab = world.open("b", "ben", Edit);
        world.pass(seconds(30));
        drop(tab);
        assert_eq!(outcome(&denials(&world)), [0, 0, 0, 1, 0]);
        world.pass(seconds(20));
    }
    drop(ann);
    let ben = world.edit("b", "ben");
    let seen = denials(&world);
    assert_eq!((outcome(&seen), &seen.refused[&Reason::ConnectionLimit]), ([0, 1, 0, 0, 0], &1));
    assert_eq!(minutes(&seen), [(Reason::ConnectionLimit, 1.5)], "the time in which he was there");
    // Cleo comes back too late.
    drop(world.open("c", "cleo", Edit));
    drop(ben);
    world.pass(seconds(15 * 60 + 1));
    drop(world.edit("c", "cleo"));
    let seen = denials(&world);
    assert_eq!((outcome(&seen), &seen.refused[&Reason::ConnectionLimit]), ([0, 1, 0, 1, 0], &2));
    assert_eq!(world.engine.usage().unwrap().year.fallbacks[&Reason::ConnectionLimit], 4, "each open");
}

#[test]
fn a_second_tab_ends_the_case_and_a_viewer_tab_does_not() {
    let world = limited();
    let ann = world.edit("a", "ann");
    let first = world.open("b", "ben", Edit);
    world.pass(seconds(10));
    let viewer = world.open("b", "ben", View);
    let elsewhere = world.open("c", "ben", View);
    drop(first);
    assert_eq!(outcome(&denials(&world)), [0, 0, 0, 0, 1], "he is still there");
    world.pass(seconds(10));
    drop(ann);
    assert_eq!(outcome(&denials(&world)), [0, 0, 0, 0, 1], "nobody waits, and the seat is free");
    let second = world.edit("b", "ben");
    assert_eq!(outcome(&denials(&world)), [1, 0, 0, 0, 0]);
    // A tab of somebody who edits already is no case.
    drop(world.open("b", "ben", Edit));
    assert_eq!(outcome(&denials(&world)), [1, 0, 0, 0, 0]);
    drop((viewer, elsewhere, second));
    assert_eq!(outcome(&denials(&world)), [1, 0, 0, 0, 0]);
}

#[test]
fn only_limits_of_edit_access_count_each_by_its_name() {
    let named = NamedUsers { edit: Some(2), live: Some(0), expire_days: 1 };
    let world = World::new(|config| {
        config
            .document_limit(Some(1))
            .user_limit(Some(1))
            .named_users(named)
            .edit_limit(Some(2))
            .live_limit(Some(0))
    });
    let _editors = [world.edit("a", "ann"), world.edit("b", "ben")];
    let refused = [("a", "zoe", Edit), ("c", "ann", Edit), ("c", "zoe", Edit), ("d", "zoe", LiveView)]
        .map(|(document, name, asked)| world.open(document, name, asked));
    world.pass(seconds(60));
    let seen = denials(&world);
    let counted = [Reason::DocumentLimit, Reason::UserLimit, Reason::UserQuota];
    assert_eq!(seen.refused, counted.map(|limit| (limit, 1)).into());
    assert_eq!(minutes(&seen), counted.map(|limit| (limit, 1.0)));
    assert_eq!(outcome(&seen), [0, 0, 0, 0, 3]);
    // Who is refused because the engine drains is no case.
    world.engine.drain();
    drop(world.open("e", "eve", Edit));
    assert_eq!(denials(&world).refused.len(), 3);
    drop(refused);
    assert_eq!(outcome(&denials(&world)), [0, 0, 0, 3, 0]);
}

#[test]
fn p6_the_users_who_left_are_remembered_within_a_bound() {
    let world = World::new(|config| config.edit_limit(Some(0)).shards(1));
    for number in 0..1_000 {
        drop(world.open("a", &format!("user-{number}"), Edit));
    }
    assert_eq!(outcome(&denials(&world)), [0, 0, 0, 1_000, 0]);
    world.engine.set_edit_limit(None).unwrap();
    for number in 0..1_000 {
        drop(world.edit("a", &format!("user-{number}")));
    }
    // The last 256 got their seats after all.
    assert_eq!(outcome(&denials(&world)), [256, 0, 0, 744, 0]);
}
