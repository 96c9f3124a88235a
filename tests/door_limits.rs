//! Limits through the JSON door: `usage`, `holders`, `would_admit`, `license` with named users, and notices of limits.

mod support;
use support::lines::{State, at, by, open, view};
use support::*;

use coedit::door::{Acknowledge, Door};
use coedit::{Config, Engine, NamedUsers, SeatCount, Timestamp};
use serde_json::{Value, json};

/// A line that asks which access an open would get.
fn would_admit(key: &str, user: &str, mode: &str, live: bool) -> String {
    json!({"c": "would_admit", "key": key, "user": {"id": user}, "mode": mode, "live": live}).to_string()
}

/// A door at [`START`] with the limits that `set` configures.
fn door_with(set: impl FnOnce(Config) -> Config) -> Talk {
    let mut talk = Talk::new(set(Config::new()), Acknowledge::Auto);
    talk.say(at(0, r#"{"c":"version"}"#));
    talk
}

fn holders(talk: &mut Talk, line: &str) -> Vec<Value> {
    talk.reply(line)["holders"].as_array().unwrap().clone()
}

#[test]
fn would_admit_replies_like_the_following_open_and_changes_nothing() {
    let quota = NamedUsers { edit: Some(3), live: None, expire_days: 30 };
    let mut talk = door_with(|config| {
        config
            .document_limit(Some(1))
            .user_limit(Some(1))
            .named_users(quota)
            .edit_limit(Some(2))
            .live_limit(Some(0))
    });
    let rows = [
        ("a", "ann", "edit", false, "edit", None),
        ("a", "ben", "edit", false, "view", Some("document-limit")),
        ("b", "ann", "edit", true, "view", Some("user-limit")),
        ("b", "ben", "edit", false, "edit", None),
        ("c", "cara", "edit", false, "view", Some("connection-limit")),
        ("c", "cara", "view", true, "view", Some("live-view-limit")),
        ("c", "cara", "view", false, "view", None),
    ];
    for (number, (key, user, mode, live, access, reason)) in rows.into_iter().enumerate() {
        let mut expected = json!({"error": 0, "key": key, "access": access});
        if let Some(reason) = reason {
            expected["reason"] = reason.into();
        }
        let before = State::of(&talk, &["a", "b", "c"]);
        let said = talk.say(would_admit(key, user, mode, live));
        let mut would = expected.clone();
        if mode == "edit" && reason.is_some() {
            would["position"] = 1.into();
        }
        assert_eq!(said, [json!({"reply": would})], "only a reply");
        assert_eq!(State::of(&talk, &["a", "b", "c"]), before);
        let label = number.to_string();
        let line = json!({"c": "open", "key": key, "connection": label, "user": {"id": user}, "mode": mode, "live": live});
        expected["connection"] = label.into();
        assert_eq!(talk.reply(line.to_string()), expected);
    }
    talk.door.engine().set_edit_limit(None).unwrap();
    talk.door.engine().set_named_users(NamedUsers { edit: Some(2), ..quota }).unwrap();
    assert_eq!(talk.reply(would_admit("c", "cara", "edit", false))["reason"], "user-quota");
    talk.door.engine().drain();
    assert_eq!(talk.reply(would_admit("c", "cara", "edit", false))["reason"], "draining");
}

#[test]
fn an_open_past_the_connection_cap_is_refused_and_its_label_stays_free() {
    let mut talk = door_with(|config| config.max_connections(Some(1)));
    talk.say(open("k", "a", "ann"));
    let refused = [json!({"reply": {"error": 3, "key": "k"}})];
    assert_eq!(talk.say(would_admit("k", "ben", "view", false)), refused);
    assert_eq!(talk.say(view("k", "b", "ben", false))[..1], refused);
    assert_eq!(talk.error(by("close", "b")), 1, "no such label is open");
    assert_eq!(talk.error(open("k", "a", "ann")), 0, "opening an open label again is not refused");
    talk.say(by("close", "a"));
    assert_eq!(talk.reply(view("k", "b", "ben", false))["access"], "view");
}

#[test]
fn p10_a_malformed_would_admit_gets_its_code_and_changes_nothing() {
    let mut talk = door_with(|config| config.edit_limit(Some(0)));
    talk.say(open("k", "a", "ann"));
    let before = State::of(&talk, &["k"]);
    let rows = [
        (json!({"user": {"id": "ann"}}), 1),
        (json!({"key": "", "user": {"id": "ann"}}), 1),
        (json!({"key": 7, "user": {"id": "ann"}}), 1),
        (json!({"key": "a/b", "user": 7, "mode": 7}), 1),
        (json!({"key": "k"}), 5),
        (json!({"key": "k", "user": "ann"}), 5),
        (json!({"key": "k", "user": {}}), 5),
        (json!({"key": "k", "user": {"id": ""}}), 5),
        (json!({"key": "k", "user": {"id": "u".repeat(241)}}), 5),
        (json!({"key": "k", "user": {"id": "ann", "name": 7}}), 5),
        (json!({"key": "k", "user": {"id": "ann"}, "mode": "write"}), 5),
        (json!({"key": "k", "user": {"id": "ann"}, "mode": true}), 5),
        (json!({"key": "k", "user": {"id": "ann"}, "live": "yes"}), 5),
        (json!({"key": "k", "user": {"id": "ann"}, "at": "now"}), 5),
    ];
    for (mut line, error) in rows {
        line["c"] = "would_admit".into();
        let said = talk.say(line.to_string());
        assert_eq!((said.len(), &said[0]["reply"]["error"]), (1, &json!(error)), "{line}");
        assert_eq!(State::of(&talk, &["k"]), before, "{line}");
    }
    let unknown = r#"{"c":"would_admit","key":"new","user":{"id":"ann"},"connection":7,"id":"q"}"#;
    let expected = json!({"error": 0, "key": "new", "id": "q", "access": "view", "reason": "connection-limit", "position": 1});
    assert_eq!(talk.reply(unknown), expected, "the document need not be open, and other members are ignored");
}

#[test]
fn holders_are_listed_with_the_longest_idle_first() {
    let mut talk = door_with(|config| config);
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(at(60_000, &view("k", "l", "liv", true)));
    talk.say(at(120_000, &open("other", "b", "ben")));
    talk.say(open("other", "b2", "ben"));
    talk.say(view("k", "v", "vic", false));
    let ann = json!({"key": "k", "user": "ann", "access": "edit", "connections": 1, "active": "2023-11-22T00:00:00.000Z"});
    let liv = json!({"key": "k", "user": "liv", "access": "liveview", "connections": 1, "active": "2023-11-22T00:01:00.000Z"});
    let ben = json!({"key": "other", "user": "ben", "access": "edit", "connections": 2, "active": "2023-11-22T00:02:00.000Z"});
    let all = [ann.clone(), liv, ben];
    let said = talk.say(r#"{"c":"holders","id":1}"#);
    assert_eq!(said, [json!({"reply": {"error": 0, "id": 1, "holders": all}})]);
    for most in 0..4 {
        let line = json!({"c": "holders", "most": most}).to_string();
        assert_eq!(holders(&mut talk, &line), all[..most.min(3)]);
    }
    assert_eq!(holders(&mut talk, r#"{"c":"holders","most":null}"#).len(), 3);
    talk.say(r#"{"c":"drop","key":"other"}"#);
    talk.say(by("close", "l"));
    assert_eq!(holders(&mut talk, r#"{"c":"holders"}"#), [ann]);
}

#[test]
fn holders_lists_at_most_100_unless_the_request_says_how_many() {
    let mut talk = door_with(|config| config);
    for n in 0..101 {
        talk.say(open("k", &n.to_string(), &format!("user-{n}")));
    }
    assert_eq!(holders(&mut talk, r#"{"c":"holders"}"#).len(), 100);
    assert_eq!(holders(&mut talk, r#"{"c":"holders","most":10000}"#).len(), 101);
    for most in ["10001", "-1", "1.0", "1e2", r#""5""#, "true", "[]", "{}", "99999999999999999999999"] {
        let line = format!(r#"{{"c":"holders","most":{most}}}"#);
        assert_eq!(talk.say(&line), [json!({"reply": {"error": 5}})], "{line}");
    }
    assert_eq!(talk.error(r#"{"c":"holders","key":"k"}"#), 0, "holders ignores the key");
}

#[test]
fn usage_replies_with_the_usage_of_the_engine() {
    let mut talk = door_with(|config| config.edit_limit(Some(1)));
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(at(15_000, &open("k", "b", "ben")));
    let mut out = Vec::new();
    talk.door.line(at(30_000, r#"{"c":"usage","id":"u"}"#).as_bytes(), &mut out);
    let usage = talk.door.engine().usage().unwrap();
    assert_eq!(usage.at, Timestamp::from_millis(START + 30_000));
    let json = serde_json::to_string(&usage).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{{\"reply\":{{\"error\":0,\"id\":\"u\",\"usage\":{json}}}}}\n")
    );
    let hour = concat!(
        r#""hour":{"from":"2023-11-21T23:00:00.000Z","to":"2023-11-22T00:00:30.000Z","#,
        r#""edit":{"min":0,"average":0.008264462809917356,"max":1,"max_at":"2023-11-22T00:00:00.000Z"},"#,
        r#""live":{"min":0,"average":0.0,"max":0,"max_at":"2023-11-21T23:00:00.000Z"},"#,
    );
    assert!(json.contains(hour), "the average is over an hour and 30 seconds: {json}");
    assert!(json.contains(r#""opens":2,"edits":1,"fallbacks":{"connection-limit":1},"users":2}"#), "{json}");
    let mut off = door_with(|config| config.usage(false));
    assert_eq!(off.say(r#"{"c":"usage"}"#), [json!({"reply": {"error": 0, "usage": null}})]);
}

#[test]
fn limit_notices_come_after_the_reply_and_before_the_callbacks() {
    let mut talk = door_with(|config| config.edit_limit(Some(1)));
    let notice = |level: &str, in_use: u32| json!({"notice": {"type": "limit", "pool": "edit", "level": level, "in_use": in_use, "limit": 1}});
    let said = talk.say(open("k", "a", "ann"));
    assert_eq!(
        (said.len(), &said[0]["reply"]["access"], &said[1]),
        (3, &json!("edit"), &notice("warning", 1))
    );
    assert_eq!(said[2]["callback"]["status"], 1);
    let reply =
        json!({"error": 0, "key": "k", "connection": "b", "access": "view", "reason": "connection-limit"});
    assert_eq!(talk.say(open("k", "b", "ben")), [json!({"reply": reply}), notice("reached", 1)]);
    assert_eq!(talk.say(open("k", "c", "cara")).len(), 1, "the notice is sent only once");
    let said = talk.say(by("close", "a"));
    assert_eq!((said.len(), &said[1]), (3, &notice("clear", 0)));
    let said = talk.say(open("k", "a", "ann"));
    assert_eq!(said[1], notice("warning", 1));
    let said = talk.say(r#"{"c":"drop","key":"k"}"#);
    let kinds: Vec<&Value> = said[1..3].iter().map(|line| &line["notice"]["type"]).collect();
    assert_eq!(
        (said[0]["reply"]["error"].clone(), kinds),
        (json!(0), vec![&json!("limit"), &json!("dropped")])
    );
}

#[test]
fn a_limit_notice_names_its_pool() {
    let one = |set: fn(Config) -> Config, line: String| {
        let said = door_with(set).say(line);
        said[1]["notice"]["pool"].clone()
    };
    let edit = || open("k", "a", "ann");
    let live = || view("k", "a", "ann", true);
    assert_eq!(one(|config| config.edit_limit(Some(1)), edit()), "edit");
    assert_eq!(one(|config| config.live_limit(Some(1)), live()), "live");
    let named =
        |config: Config| config.named_users(NamedUsers { edit: Some(1), live: Some(1), expire_days: 1 });
    assert_eq!(one(named, edit()), "users");
    assert_eq!(one(named, live()), "users_view");
}

#[test]
fn license_lists_the_named_users_that_count() {
    let quota = NamedUsers { edit: Some(5), live: Some(6), expire_days: 30 };
    let mut talk = door_with(|config| {
        config.named_users(quota).edit_limit(Some(20)).seat_count(SeatCount::UsersOfDocuments)
    });
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(view("k", "l", "liv", true));
    talk.say(at(86_400_000, &open("k", "b", "ben")));
    for command in ["license", "licence"] {
        let reply = talk.reply(json!({"c": command}).to_string());
        assert_eq!(
            reply["quota"],
            json!({
                "users": [
                    {"userid": "ann", "expire": "2023-12-23T00:00:00.000Z"},
                    {"userid": "ben", "expire": "2023-12-24T00:00:00.000Z"},
                ],
                "users_view": [{"userid": "liv", "expire": "2023-12-23T00:00:00.000Z"}],
            })
        );
        let terms = &reply["license"];
        let told = ["connections", "connections_view", "users_count", "users_view_count", "users_expire"]
            .map(|name| terms[name].as_u64().unwrap());
        assert_eq!(told, [20, 0, 5, 6, 30]);
    }
    let reply = talk.reply(at(31 * 86_400_000, r#"{"c":"license"}"#));
    assert_eq!(reply["quota"]["users"], json!([{"userid": "ben", "expire": "2023-12-24T00:00:00.000Z"}]));
    assert_eq!(reply["quota"]["users_view"], json!([]));
}

/// Even if seats are counted by users, the peak counts connections.
#[test]
fn the_tally_counts_edit_connections_even_if_seats_are_counted_by_users() {
    let config = Config::new().seat_count(SeatCount::UsersOfDocuments);
    let mut door = Door::new(Engine::new(config).unwrap(), Acknowledge::Auto);
    for label in ["a", "b", "c"] {
        door.line(open("k", label, "ann").as_bytes(), &mut Vec::new());
    }
    assert_eq!((door.engine().limits().edit.in_use, door.tally().peak), (1, 3));
}

/// Refusals by the cap of all connections are told and counted, as those by other limits are.
#[test]
fn p1_refusals_by_the_cap_have_a_notice_and_are_in_the_usage() {
    let mut talk = door_with(|config| config.max_connections(Some(1)));
    let limit = |level: &str| json!({"notice": {"type": "limit", "pool": "max", "level": level, "in_use": 1, "limit": 1}});
    assert_eq!(talk.say(at(0, &open("d", "a", "ann")))[1], limit("warning"));
    let refused = json!({"reply": {"error": 3, "key": "d"}});
    assert_eq!(talk.say(at(1_000, &open("d", "b", "ben"))), [refused.clone(), limit("reached")]);
    assert_eq!(talk.say(view("d", "c", "cleo", false)), [refused]);
    let hour = &talk.reply(at(2_000, r#"{"c":"usage"}"#))["usage"]["hour"];
    assert_eq!((&hour["opens"], &hour["fallbacks"]), (&json!(1), &json!({"connection-cap": 2})));
    let clear =
        json!({"notice": {"type": "limit", "pool": "max", "level": "clear", "in_use": 0, "limit": 1}});
    assert_eq!(talk.say(r#"{"c":"close","connection":"a"}"#)[1], clear);
}
