//! The types of the wire format: a round trip gives the same value, and malformed input is refused.

mod support;

use std::fmt::Debug;

use coedit::{
    Access, ActionKind, Bounds, Callback, Clock, Config, ConnectionId, DocumentKey, DropCause, EditRequest,
    ErrorCode, IdleThen, License, Malformed, Notice, Reason, ResumeToken, SeatCount, Status, SystemClock,
    Timestamp, UnknownNumber, User, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use support::*;

fn every_callback() -> Vec<Callback> {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("report", "ann");
    world.engine.info(&key("report"), Some("data")).unwrap();
    ann.change().unwrap();
    world.engine.press_save(ann.id()).unwrap();
    let mut all = Vec::new();
    let mut take_all = || {
        for delivery in world.callbacks.try_iter() {
            let saves = matches!(delivery.callback().status, Status::Save | Status::ForceSave);
            all.push((*if saves { delivery.failed() } else { delivery.acked() }).clone());
        }
    };
    take_all();
    drop(ann);
    world.pass(seconds(10));
    take_all();
    drop(world.edit("other", "ben"));
    all.extend(world.callbacks.try_iter().map(|delivery| (*delivery.acked()).clone()));
    all
}

#[test]
fn every_callback_survives_a_round_trip() {
    let all = every_callback();
    let statuses: Vec<u8> = all.iter().map(|callback| callback.status.number()).collect();
    assert_eq!(statuses, [1, 1, 6, 7, 2, 3, 1, 4]);
    for mut callback in all {
        callback.url = Some("http://storage/file".to_owned());
        callback.filetype = Some("docx".to_owned());
        let text = serde_json::to_string(&callback).unwrap();
        assert_eq!(serde_json::from_str::<Callback>(&text).unwrap(), callback);
        assert!(!text.contains("null"), "a member that does not apply is absent: {text}");
    }
}

#[test]
fn a_malformed_callback_is_refused() {
    let good =
        json!({"key": "a", "status": 1, "users": [], "actions": [{"type": 1, "userid": "u"}], "more": 1});
    let with = |member: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[member] = value;
        serde_json::from_value::<Callback>(changed)
    };
    assert!(serde_json::from_value::<Callback>(good.clone()).is_ok(), "unknown members are ignored");
    assert!(with("actions", json!([])).is_err(), "known handlers crash on an empty list");
    assert!(with("actions", json!([{"type": 1, "userid": "u"}, {"type": 0, "userid": "u"}])).is_err());
    assert!(with("actions", json!([{"type": 9, "userid": "u"}])).is_err());
    assert!(with("status", json!(5)).is_err());
    assert!(with("key", json!("a b")).is_err());
    assert!(with("users", json!([""])).is_err());
    assert!(with("lastsave", json!("2023-11-22")).is_err());
    let history =
        |created: &str| json!({"changes": [{"created": created, "user": {"id": "u"}}], "serverVersion": "1"});
    assert!(with("history", history("2023-11-22 00:00:00")).is_ok());
    assert!(with("history", history("2023-11-22T00:00:00")).is_err());
}

#[test]
fn a_license_survives_a_round_trip() {
    let world = World::new(|config| config.edit_limit(Some(7)));
    let license = world.engine.license();
    let text = serde_json::to_string(&license).unwrap();
    assert_eq!(serde_json::from_str::<License>(&text).unwrap(), license);
    assert_eq!((license.license.connections, license.license.connections_view), (7, 0));
}

#[test]
fn unknown_numbers_are_refused() {
    assert_eq!(Status::try_from(5), Err(UnknownNumber(5)));
    assert_eq!(UnknownNumber(5).to_string(), "5 stands for nothing here");
    for code in 0..=6 {
        assert_eq!(ErrorCode::try_from(code).map(ErrorCode::number), Ok(code));
    }
    assert_eq!(u8::from(ActionKind::ForceSaveRequested), 2);
}

#[test]
fn the_names_on_the_wire_equal_the_displayed_names() {
    let reasons = [Reason::ConnectionLimit, Reason::LiveViewLimit, Reason::Saving, Reason::Draining];
    for reason in reasons {
        assert_eq!(json!(reason), json!(reason.to_string()));
    }
    for access in [Access::View, Access::LiveView, Access::Edit] {
        assert_eq!(json!(access), json!(access.to_string()));
    }
}

#[test]
fn names_are_parsed_compared_and_refused_with_a_rule() {
    let parsed: DocumentKey = "report".parse().unwrap();
    assert!(parsed == *"report" && parsed == "report" && parsed < key("reports"));
    assert_eq!("".parse::<UserId>(), Err(Malformed::UserId));
    let messages = [
        (Malformed::Key, "1 to 128 characters"),
        (Malformed::UserId, "1 to 240 bytes"),
        (Malformed::UserName, "1,024 bytes"),
        (Malformed::Userdata, "userdata is at most 4,096"),
        (Malformed::Title, "title is at most 4,096"),
        (Malformed::Url, "url is at most 4,096"),
    ];
    for (error, part) in messages {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_notice_about_a_connection_without_a_label_has_its_number() {
    let world = World::plain();
    let ann = world.edit("report", "ann");
    world.engine.drop_all(&key("report")).unwrap();
    let notices = world.take_notices();
    let expected =
        Notice::Dropped { connection: ann.id(), key: key("report"), user: id("ann"), cause: DropCause::Drop };
    assert_eq!(notices, [expected]);
    let number = ann.id().to_bits().to_string();
    assert_eq!(json!(notices[0])["connection"], json!(number));
    assert_eq!(format!("{:?}", ann.id()), format!("ConnectionId({number})"));

    // The host opens a connection without its door.
    let mut door = coedit::door::Door::new(world.engine.clone(), coedit::door::Acknowledge::Auto);
    let _ben = world.edit("report", "ben");
    let mut out = Vec::new();
    door.line(br#"{"c":"drop","key":"report"}"#, &mut out);
    let notices: Vec<_> = parsed(&out).into_iter().filter_map(|line| line.get("notice").cloned()).collect();
    assert!(notices[0]["connection"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()), "{notices:?}");
}

#[test]
fn timestamps_are_subtracted_and_settings_have_a_debug_form() {
    let [early, late] = [1_000, 3_500].map(Timestamp::from_millis);
    assert_eq!((late.since(early).as_millis(), early.since(late).as_millis()), (2_500, 0));
    assert!("then".parse::<Timestamp>().unwrap_err().to_string().contains("YYYY"));
    let clock = SystemClock::default();
    assert!(clock.now() <= clock.now() && !clock.is_manual());
    let shown = format!("{:?}", Config::default().edit_limit(Some(3)));
    assert!(shown.contains("edit_limit: Some(3)"), "{shown}");
}

#[test]
fn everything_that_a_host_shows_survives_a_round_trip() {
    fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &serde_json::Value) {
        assert_eq!(&serde_json::to_value(value).unwrap(), json);
        assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
    }
    let world =
        World::new(|config| config.edit_limit(Some(1)).presence(true).reconnect_grace(Some(seconds(60))));
    let ann = User::new("u1").unwrap().named("Ann").unwrap();
    let tab = world.engine.open(&key("x"), &ann, Access::Edit).unwrap();
    let ben = world.open("x", "u2", Access::Edit);
    let granted = json!({"access": "view", "reason": "connection-limit"});
    survives(&ben.granted(), &granted);
    survives(&tab.granted(), &json!({"access": "edit"}));
    let waiting = json!({"waiting": {"reason": "connection-limit", "position": 1}});
    survives(&ben.request_edit().unwrap(), &waiting);
    survives(&tab.request_edit().unwrap(), &json!("granted"));
    survives(&EditRequest::Refused(Reason::Draining), &json!({"refused": "draining"}));
    world.pass(seconds(2));
    let user = json!({"id": "u1", "name": "Ann"});
    let participant = json!({"user": user, "access": "edit", "connections": 1});
    survives(&world.engine.participants(&key("x"))[0], &participant);
    let [first, second] = [tab.id(), ben.id()].map(|id| id.to_string());
    let live = json!({"connection": first, "user": user, "access": "edit", "state": "live", "idle_ms": 2000});
    survives(&world.engine.connections(&key("x"))[0], &live);
    let waits = json!({
        "connection": second, "user": {"id": "u2"}, "access": "view", "state": "live", "idle_ms": 2000, "position": 1
    });
    survives(&world.engine.connections(&key("x"))[1], &waits);
    let holder = json!({
        "key": "x", "user": "u1", "name": "Ann", "access": "edit", "connections": 1,
        "active": "2023-11-22T00:00:00.000Z"
    });
    survives(&world.engine.holders(1)[0], &holder);
    survives(&tab.token().unwrap(), &json!(tab.token().unwrap().to_string()));
    survives(&world.engine.limit_uses(), &serde_json::to_value(world.engine.limit_uses()).unwrap());
    let dropped = world.engine.drop_users(&key("x"), &[id("u1"), id("nobody")]).unwrap();
    survives(&dropped, &json!({"connections": [first], "unmatched": ["nobody"]}));
    survives(&Bounds::default(), &serde_json::to_value(Bounds::default()).unwrap());
    survives(&IdleThen::Close, &json!("close"));
    survives(&SeatCount::UsersOfDocuments, &json!("users_of_documents"));
    let notices = world.take_notices();
    assert!(notices.len() > 4, "{notices:?}");
    for notice in notices {
        let json = serde_json::to_value(&notice).unwrap();
        assert_eq!(notice.key().map(DocumentKey::as_str), json["key"].as_str());
        assert_eq!(notice.connection().map(|id| id.to_string()).as_deref(), json["connection"].as_str());
        survives(&notice, &serde_json::to_value(&notice).unwrap());
    }
}

#[test]
fn what_breaks_a_rule_is_not_read() {
    let long = json!({"id": "u1", "name": "n".repeat(1_025)});
    assert!(serde_json::from_value::<User>(long).is_err());
    assert!(serde_json::from_value::<User>(json!({"id": ""})).is_err());
    assert!(serde_json::from_value::<ConnectionId>(json!("-1")).is_err());
    assert!(serde_json::from_value::<ResumeToken>(json!("00")).is_err());
    let bounds: Bounds = serde_json::from_value(json!({"asked": 7})).unwrap();
    assert_eq!((bounds.asked, bounds.turns), (7, Bounds::default().turns));
}
