//! Tests every bound at its limit and one past it.
mod support;
use support::*;

use std::time::Duration;

use coedit::{
    Access, Bounds, Config, Connection, DocumentKey, Engine, ErrorCode, ForceSaveError, InfoError, KEY_MAX,
    Malformed, MetaError, Notice, Status, TITLE_MAX, Timestamp, URL_MAX, USER_ID_MAX, USER_NAME_MAX,
    USERDATA_MAX, User, UserId,
};

const DAYS_30: Duration = Duration::from_secs(30 * 24 * 3600);
const NANO: Duration = Duration::from_nanos(1);

fn bounded(bounds: Bounds) -> World {
    World::new(|config| config.bounds(bounds))
}

/// Returns the setting that the engine refuses, if any.
fn refused(config: Config) -> Option<&'static str> {
    Engine::new(config.callbacks(false)).err().map(|error| {
        assert_eq!(error.to_string(), format!("{} must be {}", error.setting, error.rule));
        error.setting
    })
}

#[test]
fn settings_are_accepted_at_their_bound_and_refused_past_it() {
    type Set<T> = fn(Config, T) -> Config;
    fn check<T: Copy + std::fmt::Debug>(name: &str, set: Set<T>, accepted: &[T], refused_values: &[T]) {
        for value in accepted {
            assert_eq!(refused(set(Config::new().shards(1), *value)), None, "{name} {value:?}");
        }
        for value in refused_values {
            assert_eq!(refused(set(Config::new().shards(1), *value)), Some(name), "{name} {value:?}");
        }
    }
    const MAX: u32 = u32::MAX;
    check("edit_limit", Config::edit_limit, &[None, Some(0), Some(MAX - 1)], &[Some(MAX)]);
    check("live_limit", Config::live_limit, &[None, Some(0), Some(MAX - 1)], &[Some(MAX)]);
    check("save_delay", Config::save_delay, &[Duration::ZERO, DAYS_30], &[DAYS_30 + NANO, Duration::MAX]);
    let pauses: Set<(usize, Duration)> = |config, (count, pause)| config.retry_pauses(vec![pause; count]);
    check(
        "retry_pauses",
        pauses,
        &[(0, NANO), (64, Duration::ZERO), (64, DAYS_30)],
        &[(65, NANO), (1, DAYS_30 + NANO), (64, Duration::MAX)],
    );
    let millisecond = Duration::from_millis(1);
    check(
        "force_save_interval",
        Config::force_save_interval,
        &[None, Some(millisecond), Some(DAYS_30)],
        &[Some(Duration::ZERO), Some(millisecond.checked_sub(NANO).unwrap()), Some(DAYS_30 + NANO)],
    );
    check("shards", Config::shards, &[1, 2, 64, 1024], &[0, 3, 1023, 2048, usize::MAX]);
    check(
        "bounds.waiting_actions",
        |config, waiting_actions| config.bounds(Bounds { waiting_actions, ..Bounds::default() }),
        &[1, 1 << 20],
        &[0, (1 << 20) + 1],
    );
    check(
        "bounds.waiting_documents",
        |config, waiting_documents| config.bounds(Bounds { waiting_documents, ..Bounds::default() }),
        &[1, usize::MAX],
        &[0],
    );
    check(
        "bounds.asked",
        |config, asked| config.bounds(Bounds { asked, ..Bounds::default() }),
        &[1, 65_536],
        &[0, 65_537],
    );
    check(
        "bounds.turns",
        |config, turns| config.bounds(Bounds { turns, ..Bounds::default() }),
        &[1, 65_536],
        &[0, 65_537],
    );
    check(
        "bounds.notices",
        |config, notices| config.bounds(Bounds { notices, ..Bounds::default() }),
        &[1, usize::MAX],
        &[0],
    );
    let Bounds { waiting_actions, waiting_documents, asked, turns, notices } = Bounds::default();
    assert_eq!((waiting_actions, waiting_documents, asked, turns, notices), (1_024, 65_536, 64, 100, 65_536));
}

#[test]
fn a_limit_is_accepted_at_its_bound_and_refused_past_it() {
    let world = World::new(|config| config.edit_limit(Some(7)).live_limit(Some(8)));
    let limits = || (world.engine.limits().edit.limit, world.engine.limits().live.limit);
    for set in [Engine::set_edit_limit, Engine::set_live_limit] {
        assert_eq!(set(&world.engine, Some(u32::MAX)).unwrap_err().rule, "at most 4,294,967,294");
    }
    assert_eq!(limits(), (Some(7), Some(8)));
    world.engine.set_edit_limit(Some(u32::MAX - 1)).unwrap();
    world.engine.set_live_limit(Some(0)).unwrap();
    assert_eq!(limits(), (Some(u32::MAX - 1), Some(0)));
    drop(world.edit("doc", "ann"));
}

#[test]
fn delays_are_whole_milliseconds_rounded_up() {
    for (delay, millis) in [
        (NANO, 1),
        (Duration::from_micros(1_001), 2),
        (Duration::from_millis(3), 3),
        (DAYS_30, 2_592_000_000),
    ] {
        let world = World::new(|config| config.save_delay(delay));
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        drop(ann);
        assert_eq!(world.engine.next_deadline(), Some(Timestamp::from_millis(START + millis)), "{delay:?}");
    }
}

#[test]
fn names_and_texts_are_accepted_at_their_bound_and_refused_past_it() {
    assert_eq!((KEY_MAX, USER_ID_MAX, USER_NAME_MAX), (128, 240, 1_024));
    assert_eq!((USERDATA_MAX, TITLE_MAX, URL_MAX), (4_096, 4_096, 4_096));
    let every = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._=";
    for text in [every, "k", &"k".repeat(128)] {
        assert_eq!(DocumentKey::new(text).unwrap().as_str(), text);
    }
    for text in ["", &"k".repeat(129), "a b", "a/b", "ä", "a\n", "a,b", "a+b", "a:b", "\0"] {
        assert_eq!(DocumentKey::new(text), Err(Malformed::Key), "{text:?}");
    }
    // The bound counts bytes, not characters. "ä" has two bytes.
    for text in ["u", " ", "a b/ä", &"u".repeat(240), &"ä".repeat(120)] {
        assert_eq!(UserId::new(text).unwrap().as_str(), text);
    }
    for text in ["", &"u".repeat(241), &("ä".repeat(120) + "u"), "a\nb", "a\0", "\u{7f}", "\u{85}"] {
        assert_eq!(UserId::new(text), Err(Malformed::UserId), "{text:?}");
        assert_eq!(User::new(text), Err(Malformed::UserId), "{text:?}");
    }
    for name in ["", &"n".repeat(1_024), &"ä".repeat(512), "a\nb"] {
        assert_eq!(user("u").named(name).unwrap().name(), Some(name));
    }
    for name in [&"n".repeat(1_025), &("ä".repeat(512) + "n")] {
        assert_eq!(user("u").named(name), Err(Malformed::UserName));
    }
}

#[test]
fn user_ids_are_compared_byte_for_byte() {
    let world = World::plain();
    let open: Vec<Connection> =
        ["ann", "Ann", "ann ", "\u{e4}", "a\u{308}"].map(|name| world.edit("doc", name)).into();
    assert_eq!(world.engine.editors(&key("doc")).len(), open.len());
}

#[test]
fn userdata_is_returned_whole_at_its_bound_and_refused_past_it() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    for data in [String::new(), "d".repeat(4_096), "ä".repeat(2_048)] {
        world.engine.info(&key("doc"), Some(&data)).unwrap();
        assert_eq!(world.ack().userdata.as_deref(), Some(data.as_str()));
        world.engine.force_save(&key("doc"), Some(&data)).unwrap();
        assert_eq!(world.ack().userdata.as_deref(), Some(data.as_str()));
        ann.change().unwrap();
    }
    for data in ["d".repeat(4_097), "ä".repeat(2_048) + "d"] {
        assert_eq!(world.engine.info(&key("doc"), Some(&data)), Err(InfoError::Userdata));
        assert_eq!(world.engine.force_save(&key("doc"), Some(&data)), Err(ForceSaveError::Userdata));
    }
    world.engine.info(&key("doc"), None).unwrap();
    assert_eq!(world.ack().userdata, None);
    assert!(world.acknowledge_all().is_empty());
}

#[test]
fn a_title_is_sent_whole_at_its_bound_and_refused_past_it() {
    let world = World::plain();
    let _ann = world.open("doc", "ann", Access::View);
    for title in [String::new(), "t".repeat(4_096), "ä".repeat(2_048)] {
        world.engine.rename(&key("doc"), &title).unwrap();
        assert_eq!(world.take_notices(), [Notice::Meta { key: key("doc"), title }]);
    }
    for title in ["t".repeat(4_097), "ä".repeat(2_048) + "t"] {
        assert_eq!(world.engine.rename(&key("doc"), &title), Err(MetaError::Title));
    }
    assert_eq!(world.take_notices(), []);
}

#[test]
fn a_url_is_kept_whole_at_its_bound_and_refused_past_it() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.engine.drop_all(&key("doc")).unwrap();
    assert_eq!(world.ack().status, Status::Editing);
    let mut save = world.take();
    assert_eq!(save.kept_at(&"u".repeat(4_097)), Err(Malformed::Url));
    assert_eq!(save.kept_at(&("ä".repeat(2_048) + "u")), Err(Malformed::Url));
    let url = "ä".repeat(2_048);
    assert_eq!(save.kept_at(&url), Ok(()));
    save.failed();
    assert_eq!(world.engine.forgotten_at(&key("doc")).unwrap().as_deref(), Some(url.as_str()));
}

#[test]
fn the_bound_limits_unanswered_force_saves_and_answers_apart() {
    for (bound, world) in [(64, World::plain()), (1, bounded(Bounds { asked: 1, ..Bounds::default() }))] {
        let doc = key("doc");
        let ann = world.edit("doc", "ann");
        let _other = world.edit("other", "ann");
        ann.change().unwrap();
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 +ann [ann]"]);
        let force_save = || {
            world.engine.force_save(&doc, None).unwrap();
            ann.change().unwrap();
        };
        (0..bound).for_each(|_| force_save());
        let too_many = || {
            assert_eq!(world.engine.force_save(&doc, None), Err(ForceSaveError::TooManyAsked));
            assert_eq!(world.engine.press_save(ann.id()), Err(ForceSaveError::TooManyAsked));
            assert_eq!(world.engine.submit_form(ann.id()), Err(ForceSaveError::TooManyAsked));
        };
        too_many();
        assert_eq!(ForceSaveError::TooManyAsked.code(), ErrorCode::Internal);
        // Questions have a room of their own, and are never refused.
        (0..bound + 10).for_each(|_| assert_eq!(world.engine.info(&doc, None), Ok(vec![id("ann")])));
        too_many();
        world.edit("other", "ann").change().unwrap();
        world.engine.force_save(&key("other"), None).unwrap();
        // A force save that a worker holds is still unanswered. After its acknowledgement one more is accepted.
        let in_hand = world.take();
        assert_eq!((in_hand.callback().key.as_str(), in_hand.callback().status), ("doc", Status::ForceSave));
        too_many();
        in_hand.acked();
        force_save();
        too_many();
        let doc_callbacks = world.callbacks.try_iter().map(Settle::acked).filter(|one| one.key == doc);
        let told: Vec<String> = doc_callbacks.map(|callback| summary(&callback)).collect();
        let count = |what: &str| told.iter().filter(|one| *one == what).count();
        assert_eq!((count("6 [ann]"), count("1 [ann]"), told.len()), (bound, bound, 2 * bound));
        // An answer that a worker holds takes a place too, until it is settled, whatever the storage said.
        let ask = || world.engine.info(&doc, None).unwrap().len();
        (0..bound).for_each(|_| assert_eq!(ask(), 1));
        let in_hand = world.take();
        assert_eq!(ask(), 1);
        in_hand.failed();
        assert_eq!((ask(), ask()), (1, 1));
        assert_eq!(world.acknowledge_all(), vec!["1 [ann]"; bound]);
    }
}

#[test]
fn past_the_bound_of_requests_editing_and_saving_continue() {
    let world = bounded(Bounds { asked: 1, ..Bounds::default() });
    let ann = world.edit("doc", "ann");
    world.engine.info(&key("doc"), None).unwrap();
    ann.change().unwrap();
    drop(world.edit("doc", "ben"));
    drop(ann);
    world.pass(seconds(10));
    assert_eq!(
        world.acknowledge_all(),
        ["1 +ann [ann]", "1 [ann]", "1 +ben [ann ben]", "1 -ben [ann]", "2 -ann [ann]"]
    );
}

#[test]
fn past_the_bound_of_turns_the_oldest_turns_merge() {
    for (bound, made) in [(100, 99), (100, 100), (100, 101), (100, 150), (1, 1), (1, 2), (3, 4)] {
        let world =
            if bound == 100 { World::plain() } else { bounded(Bounds { turns: bound, ..Bounds::default() }) };
        let open: Vec<Connection> = (0..made).map(|n| world.edit("doc", &format!("user-{n}"))).collect();
        for connection in &open {
            connection.change().unwrap();
            // A second change of the same user belongs to the same turn.
            connection.change().unwrap();
            world.clock.advance(seconds(1));
        }
        world.engine.drop_all(&key("doc")).unwrap();
        let save = world.callbacks.try_iter().map(Settle::acked).last().unwrap();
        assert_eq!(save.status, Status::Save);
        let turns = &save.history.as_ref().unwrap().changes;
        assert_eq!(turns.len(), made.min(bound), "{made} turns under a bound of {bound}");
        // The merged turn starts when the oldest turn started. The latest turns are unchanged.
        assert_eq!(turns[0].created, Timestamp::from_millis(START));
        let latest: Vec<_> =
            turns[1..].iter().map(|turn| (turn.created, turn.author.id.to_string())).collect();
        let expected: Vec<_> = (made - latest.len()..made)
            .map(|n| (Timestamp::from_millis(START + 1_000 * n as u64), format!("user-{n}")))
            .collect();
        assert_eq!(latest, expected, "{made} turns under a bound of {bound}");
        assert_eq!(save.users, Some(vec![id(&format!("user-{}", made - 1))]));
    }
}

/// Lets ann join, then lets ben join and leave `pairs` times. Returns the number of callbacks.
fn callbacks_for_pairs(bound: usize, pairs: usize) -> usize {
    let world = bounded(Bounds { waiting_actions: bound, ..Bounds::default() });
    let _ann = world.edit("doc", "ann");
    (0..pairs).for_each(|_| drop(world.edit("doc", "ben")));
    world.acknowledge_all().len()
}

#[test]
fn each_action_waits_up_to_the_bound() {
    // Ann's join is the first action.
    for (bound, pairs, callbacks) in
        [(1, 1, 1), (2, 1, 2 + 1), (3, 1, 3), (3, 2, 3), (4, 2, 4 + 1), (5, 2, 5), (5, 3, 5)]
    {
        assert_eq!(callbacks_for_pairs(bound, pairs), callbacks, "{pairs} pairs, bound {bound}");
    }
}

#[test]
fn an_action_in_the_hands_of_a_worker_does_not_count_as_waiting() {
    let world = bounded(Bounds { waiting_actions: 2, ..Bounds::default() });
    let _ann = world.edit("doc", "ann");
    let in_hand = world.take();
    drop(world.edit("doc", "ben"));
    drop(world.edit("doc", "cat"));
    in_hand.acked();
    assert_eq!(world.acknowledge_all(), ["1 +ben [ann ben]", "1 -ben [ann]"]);
    // New actions can wait again.
    drop(world.edit("doc", "dan"));
    assert_eq!(world.acknowledge_all(), ["1 +dan [ann dan]", "1 -dan [ann]"]);
}

#[test]
fn waiting_requests_do_not_count_as_waiting_actions() {
    let world = bounded(Bounds { waiting_actions: 3, ..Bounds::default() });
    let _ann = world.edit("doc", "ann");
    (0..5).for_each(|_| drop(world.engine.info(&key("doc"), None).unwrap()));
    drop(world.edit("doc", "ben"));
    let callbacks = world.acknowledge_all();
    // Three actions wait, as many as the bound. Each gets a callback.
    assert_eq!(callbacks[6..], ["1 +ben [ann ben]", "1 -ben [ann]"], "{callbacks:?}");
}

#[test]
fn past_the_bound_of_waiting_documents_a_closed_document_gets_no_callback() {
    for (bound, callbacks) in [(1, 2), (2, 4), (4, 8), (5, 10), (9, 10)] {
        let world = bounded(Bounds { waiting_documents: bound, ..Bounds::default() });
        (0..5).for_each(|n| drop(world.edit(&format!("doc-{n}"), "ann")));
        assert_eq!(world.acknowledge_all().len(), callbacks, "5 documents, bound {bound}");
        // After these callbacks another document can wait.
        drop(world.edit("late", "ann"));
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"]);
    }
}

/// A closing that is due goes before what waits, and its document is over when it is settled. Where the document waited
/// before counts for nothing from then on.
#[test]
fn p6_places_that_outlive_their_documents_do_not_count_as_waiting() {
    let world = World::new(|config| {
        config
            .bounds(Bounds { waiting_documents: 3, ..Bounds::default() })
            .shards(1)
            .save_patience(Duration::ZERO)
    });
    let saves = world.engine.save_callbacks();
    for round in 0..5 {
        for n in 0..3 {
            drop(world.edit(&format!("gone-{round}-{n}"), "ann"));
        }
        world.engine.tick();
        let told: Vec<String> = saves.try_iter().map(|delivery| summary(&delivery.acked())).collect();
        assert_eq!(told, ["4 -ann"; 3], "round {round}");
        assert_eq!(world.engine.documents(), 0);
        world.engine.validate().unwrap();
    }
    // There is room for as many documents as before, and not for more.
    (0..5).for_each(|n| drop(world.edit(&format!("doc-{n}"), "ann")));
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"].repeat(3));
    world.engine.validate().unwrap();
    let _open: Vec<Connection> = (0..5).map(|n| world.edit(&format!("doc-{n}"), "ann")).collect();
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"; 5]);
}

#[test]
fn the_default_bound_of_waiting_documents_is_65_536() {
    let world = World::plain();
    for n in 0..65_540 {
        drop(world.edit(&format!("doc-{n}"), "ann"));
    }
    assert_eq!(world.callbacks.try_iter().map(Settle::acked).count(), 2 * 65_536);
}

#[test]
fn notices_wait_up_to_the_bound_and_missed_ones_are_counted() {
    for bound in [1, 3] {
        let world = bounded(Bounds { notices: bound, ..Bounds::default() });
        let _ann = world.open("doc", "ann", Access::View);
        let rename = |title: &str| world.engine.rename(&key("doc"), title).unwrap();
        (0..bound).for_each(|_| rename("kept"));
        rename("missed");
        rename("missed");
        let title = |title: &str| Notice::Meta { key: key("doc"), title: title.to_owned() };
        assert_eq!(world.take_notices(), vec![title("kept"); bound]);
        rename("later");
        assert_eq!(world.take_notices(), [Notice::Missed { count: 2 }, title("later")]);
    }
}

/// Nobody takes notices while a crowd is dropped. The transport gets as many as are kept, and the number of the others.
#[test]
fn p6_a_drop_of_more_tabs_than_notices_are_kept_tells_every_one_or_how_many_it_missed() {
    const TABS: usize = 65_536 + 5_000;
    let world = World::new(|config| config.shards(1).usage(false).callbacks(false));
    let until_the_end = world.engine.notices();
    let open: Vec<Connection> = (0..TABS).map(|n| world.edit("doc", &format!("user-{}", n / 100))).collect();
    let dropped = world.engine.drop_all(&key("doc")).unwrap();
    assert_eq!(dropped.connections.len(), TABS);
    let take = |notices: &crossbeam_channel::Receiver<Notice>| {
        let all: Vec<Notice> = notices.try_iter().collect();
        let kept = all.iter().take_while(|notice| matches!(notice, Notice::Dropped { .. })).count();
        (kept, all[kept..].to_vec())
    };
    let most = Bounds::default().notices;
    assert_eq!(take(&world.notices), (most, vec![]));
    world.engine.rename(&key("doc"), "title").unwrap();
    let count = (TABS - most) as u64;
    let title = Notice::Meta { key: key("doc"), title: "title".to_owned() };
    assert_eq!(
        take(&world.notices),
        (0, vec![Notice::Missed { count }, title]),
        "before the next that is kept"
    );
    assert!(open.iter().all(|tab| tab.access() == Some(Access::View)));
    drop((open, world));
    // The title was missed too.
    assert_eq!(take(&until_the_end), (most, vec![Notice::Missed { count: count + 1 }]), "or last");
}
