//! `Engine::command`: the command service over HTTP, for a host that has workers of its own.

mod support;

use coedit::door::{Acknowledge, Door, LINE_MAX};
use coedit::{Access, Config, Engine, Reason};
use serde_json::{Value, json};
use support::{World, key, seconds};

fn ask(engine: &Engine, request: &str) -> Value {
    let reply = engine.command(request.as_bytes());
    serde_json::from_slice(&reply).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&reply)))
}

/// Every command that is about no labelled connection, with what a request of it may look like.
const REQUESTS: [&str; 40] = [
    r#"{"c":"info","key":"x"}"#,
    r#"{"c":"info","key":"x","userdata":"u","token":"a.b.c","iat":1700000000.5,"meta":null}"#,
    r#"{"c":"info","key":"nobody"}"#,
    r#"{"c":"info","key":"no key"}"#,
    r#"{"c":"info"}"#,
    r#"{"c":"info","key":7,"id":[1]}"#,
    r#"{"c":"drop","key":"x","users":["ben"]}"#,
    r#"{"c":"drop","key":"x","users":"[\"ben\"]"}"#,
    r#"{"c":"drop","key":"nobody","for_ms":1}"#,
    r#"{"c":"drop","key":"x","users":["ben"],"for_ms":1000}"#,
    r#"{"c":"forcesave","key":"x","userdata":"u"}"#,
    r#"{"c":"forcesave","key":"x"}"#,
    r#"{"c":"meta","key":"x","meta":{"title":"T"}}"#,
    r#"{"c":"meta","key":"x"}"#,
    r#"{"c":"version","key":""}"#,
    r#"{"c":"license"}"#,
    r#"{"c":"licence","id":null}"#,
    r#"{"c":"getForgottenList","key":""}"#,
    r#"{"c":"getForgotten","key":"x"}"#,
    r#"{"c":"deleteForgotten","key":"x"}"#,
    r#"{"c":"retryForgotten","key":"x"}"#,
    r#"{"c":"would_admit","key":"x","user":{"id":"dan"}}"#,
    r#"{"c":"connections","key":"nobody"}"#,
    r#"{"c":"holders","most":2}"#,
    r#"{"c":"holders","most":10001}"#,
    r#"{"c":"usage"}"#,
    r#"{"c":"stats"}"#,
    r#"{"c":"limits"}"#,
    r#"{"c":"setLimit","limit":"edit","value":3}"#,
    r#"{"c":"setLimit","limit":"edit"}"#,
    r#"{"c":"setLimit","limit":"seats","value":3}"#,
    r#"{"c":"setLimit","limit":"user","value":null}"#,
    r#"{"c":"fence","key":"y","users":["mal"],"for_ms":5000}"#,
    r#"{"c":"fences"}"#,
    r#"{"c":"unfence","key":"y"}"#,
    r#"{"c":"drain"}"#,
    r#"{"c":"undrain"}"#,
    r#"{"c":"remaining"}"#,
    r#"{"c":"nothing","key":"x"}"#,
    r#"{"c":"nothing","key":"no key"}"#,
];

#[test]
fn a_command_gets_the_reply_that_the_door_writes() {
    // Two doors to engines in the same state. Both write what their engines have for the storage.
    let door = || Door::replay(Config::new().shards(4).edit_limit(Some(1)), Acknowledge::Manual).unwrap();
    let (mut by_line, mut by_command) = (door(), door());
    for line in [
        r#"{"at":1700611200000,"c":"open","key":"x","connection":"ann","user":{"id":"ann"}}"#,
        r#"{"c":"open","key":"x","connection":"ben","user":{"id":"ben"},"mode":"view"}"#,
        r#"{"c":"change","connection":"ann"}"#,
    ] {
        by_line.line(line.as_bytes(), &mut Vec::new());
        by_command.line(line.as_bytes(), &mut Vec::new());
    }
    for request in REQUESTS {
        let mut out = Vec::new();
        by_line.line(request.as_bytes(), &mut out);
        let out = String::from_utf8(out).unwrap();
        let reply = out.lines().find(|line| line.starts_with(r#"{"reply":"#)).unwrap();
        let own = String::from_utf8(by_command.engine().command(request.as_bytes())).unwrap();
        by_command.tick(&mut Vec::new());
        assert_eq!(format!(r#"{{"reply":{own}}}"#), reply, "{request}");
    }
}

#[test]
fn commands_that_need_a_label_or_a_delivery_get_error_5_and_change_nothing() {
    let world = World::plain();
    let _tab = world.edit("x", "ann");
    for command in [
        "open",
        "change",
        "close",
        "lost",
        "resume",
        "touch",
        "requestEdit",
        "releaseEdit",
        "ack",
        "drop",
        "forcesave",
    ] {
        let request = json!({"c": command, "key": "x", "connection": "tab", "user": {"id": "ben"}, "error": 0, "token": "t"});
        assert_eq!(ask(&world.engine, &request.to_string()), json!({"error": 5, "key": "x"}), "{command}");
    }
    assert_eq!(world.engine.connections(&key("x")).len(), 1);
    assert_eq!(world.acknowledge_all().len(), 1);
}

#[test]
fn p10_whatever_the_bytes_are_there_is_one_json_object() {
    let engine = Engine::new(Config::new()).unwrap();
    let long = format!(r#"{{"c":"version","pad":"{}"}}"#, "x".repeat(LINE_MAX));
    for request in ["", "null", "[]", "{", "{}", "\u{0}", "{\"c\":1}", "\"version\"", &long] {
        assert_eq!(ask(&engine, request), json!({"error": 5}), "{request:.20}");
    }
    assert_eq!(engine.command(b"\xff\xfe"), br#"{"error":5}"#);
    let pretty = "\u{feff}{\n  \"c\": \"version\",\n  \"key\": \"\"\n}\n";
    assert_eq!(ask(&engine, pretty)["error"], 0);
}

#[test]
fn p7_a_storage_sends_commands_from_its_callback_handler() {
    let world = World::plain();
    let tab = world.edit("x", "ann");
    tab.change().unwrap();
    let delivery = world.take();
    let reply = ask(&world.engine, r#"{"c":"forcesave","key":"x","userdata":"from the handler"}"#);
    assert_eq!(reply, json!({"error": 0, "key": "x"}));
    assert_eq!(ask(&world.engine, r#"{"c":"info","key":"x"}"#)["users"], json!(["ann"]));
    delivery.ack();
    assert_eq!(world.acknowledge_all(), ["6 [ann]", "1 [ann]"]);
}

#[test]
fn limits_have_what_is_in_use_and_who_waits() {
    let world = World::new(|config| config.edit_limit(Some(3)).document_limit(Some(2)));
    let _tabs = [world.edit("x", "ann"), world.edit("x", "ben"), world.edit("y", "ann")];
    let waiters = [world.open("x", "cleo", Access::Edit), world.open("z", "dan", Access::Edit)];
    assert_eq!(waiters[0].granted().reason, Some(Reason::DocumentLimit));
    for waiter in &waiters {
        waiter.request_edit().unwrap();
    }
    let reply = ask(&world.engine, r#"{"c":"limits"}"#);
    let expected = json!({
        "error": 0,
        "edit": {"limit": 3, "in_use": 3, "waiting": 1},
        "live": {"limit": null, "in_use": 0},
        "document": {"limit": 2, "in_use": 2, "waiting": 1},
        "user": {"limit": null, "in_use": 2, "waiting": 0},
        "max": {"limit": null, "in_use": 5},
        "users": {"limit": null, "in_use": 0},
        "users_view": {"limit": null, "in_use": 0},
    });
    assert_eq!(reply, expected);
    let mut members = serde_json::to_value(world.engine.limit_uses()).unwrap();
    members["error"] = 0.into();
    assert_eq!(members, expected, "the type has the members of the reply");
}

#[test]
fn the_in_use_of_document_and_user_counts_seats_where_seats_count_users() {
    let world = World::new(|config| config.seat_count(coedit::SeatCount::UsersOfDocuments));
    let _tabs =
        [("x", "ann"), ("x", "ann"), ("x", "ben"), ("y", "ann")].map(|(key, name)| world.edit(key, name));
    let uses = world.engine.limit_uses();
    assert_eq!((uses.edit.in_use, uses.document.in_use, uses.user.in_use, uses.max.in_use), (3, 2, 2, 4));
}

#[test]
fn every_limit_can_be_changed_while_the_engine_runs() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let ben = {
        let _ann = world.edit("x", "ann");
        let ben = world.open("x", "ben", Access::Edit);
        ben.request_edit().unwrap();
        assert_eq!(ask(&world.engine, r#"{"c":"setLimit","limit":"edit","value":2}"#), json!({"error": 0}));
        assert!(ben.may_edit(), "a raised limit lets in who waits");
        ben
    };
    for (name, value) in [
        ("live", 7),
        ("document", 8),
        ("user", 9),
        ("max", 10),
        ("users", 11),
        ("users_view", 12),
        ("edit", 0),
    ] {
        let request = json!({"c": "setLimit", "limit": name, "value": value}).to_string();
        assert_eq!(ask(&world.engine, &request), json!({"error": 0}), "{name}");
        assert_eq!(ask(&world.engine, r#"{"c":"limits"}"#)[name]["limit"], value);
    }
    assert!(ben.may_edit(), "a lower limit takes no access away");
    let _named = world.open("y", "ben", Access::LiveView);
    let before = world.engine.limit_uses();
    assert_eq!(before.users_view.in_use, 1);
    for bad in ["-1", "1.5", "4294967295", "true", "\"3\"", "[]"] {
        let request = format!(r#"{{"c":"setLimit","limit":"live","value":{bad}}}"#);
        assert_eq!(ask(&world.engine, &request), json!({"error": 5}), "{bad}");
    }
    assert_eq!(world.engine.limit_uses(), before, "P10");
    for name in ["live", "document", "user", "max", "users", "users_view", "edit"] {
        let request = json!({"c": "setLimit", "limit": name, "value": null}).to_string();
        assert_eq!(ask(&world.engine, &request), json!({"error": 0}));
        assert_eq!(ask(&world.engine, r#"{"c":"limits"}"#)[name]["limit"], Value::Null);
    }
    world.pass(seconds(60));
    world.engine.validate().unwrap();
}
