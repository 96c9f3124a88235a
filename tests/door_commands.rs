//! The commands of the command service: their replies, their effects and their errors.

mod support;
use support::lines::{at, by, handed_out, open, view};
use support::*;

use coedit::door::Acknowledge;
use coedit::{Access, Config, VERSION};
use serde_json::{Value, json};

/// A door with manual acknowledgement that gives up a callback at its first failure.
fn without_retries() -> Talk {
    Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual)
}

/// Settles the callbacks of `key`, one for each of `errors`.
fn acks(talk: &mut Talk, key: &str, errors: &[u8]) {
    for error in errors {
        assert_eq!(talk.error(json!({"c": "ack", "key": key, "error": error}).to_string()), 0);
    }
}

/// Makes `key` forgotten: its save is given up and the callback of status 3 is acknowledged.
fn make_forgotten(talk: &mut Talk, key: &str, url: Option<&str>) {
    talk.say(open(key, key, "ann"));
    talk.say(by("change", key));
    acks(talk, key, &[0]);
    talk.say(json!({"c": "drop", "key": key}).to_string());
    let mut given_up = json!({"c": "ack", "key": key, "error": 1});
    if let Some(url) = url {
        given_up["url"] = url.into();
    }
    assert_eq!(talk.error(given_up.to_string()), 0);
    acks(talk, key, &[0]);
    talk.say(by("close", key));
}

/// The lines of this kind, without the envelopes.
fn of_kind(kind: &str, said: &[Value]) -> Vec<Value> {
    said.iter().filter_map(|line| line.get(kind).cloned()).collect()
}

#[test]
fn info_replies_with_the_editors_and_sends_a_callback() {
    let mut talk = Talk::auto();
    for line in
        [open("k", "b1", "ben"), open("k", "a1", "ann"), open("k", "b2", "ben"), view("k", "v", "cara", true)]
    {
        talk.say(line);
    }
    assert_eq!(
        talk.say(r#"{"c":"info","key":"k","userdata":"job 7"}"#),
        [
            json!({"reply": {"error": 0, "key": "k", "users": ["ben", "ann"]}}),
            handed_out(4, json!({"key": "k", "status": 1, "users": ["ben", "ann"], "userdata": "job 7"})),
        ]
    );
    assert_eq!(
        talk.callbacks(r#"{"c":"info","key":"k"}"#),
        [json!({"key": "k", "status": 1, "users": ["ben", "ann"]})],
        "without userdata in the request there is none in the callback"
    );
    talk.say(by("close", "b1"));
    assert_eq!(
        talk.reply(r#"{"c":"info","key":"k"}"#)["users"],
        json!(["ben", "ann"]),
        "ben still has a second tab"
    );
    talk.say(by("close", "b2"));
    assert_eq!(talk.reply(r#"{"c":"info","key":"k"}"#)["users"], json!(["ann"]));
}

#[test]
fn info_without_editors_says_whether_a_save_is_still_to_come() {
    let mut talk = Talk::auto();
    talk.say(at(0, &view("k", "v", "vic", false)));
    let info = |talk: &mut Talk| {
        let said = talk.say(r#"{"c":"info","key":"k","userdata":"u"}"#);
        assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k", "users": []}}));
        of_kind("callback", &said)
    };
    let closed = [json!({"key": "k", "status": 4, "userdata": "u"})];
    assert_eq!(info(&mut talk), closed, "nobody ever edited");
    talk.say(open("k", "a", "ann"));
    talk.say(by("close", "a"));
    assert_eq!(info(&mut talk), closed, "nothing was changed");
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    assert_eq!(info(&mut talk), [json!({"key": "k", "status": 1, "users": [], "userdata": "u"})]);
    assert_eq!(talk.callbacks(at(10_000, r#"{"c":"version"}"#))[0]["status"], 2);
    assert_eq!(info(&mut talk), closed, "everything is saved");
}

#[test]
fn drop_makes_the_named_users_view_only_at_once() {
    let mut talk = Talk::auto();
    for line in
        [open("k", "a1", "ann"), open("k", "a2", "ann"), open("k", "b", "ben"), open("other", "x", "ann")]
    {
        talk.say(line);
    }
    talk.say(view("k", "a3", "ann", true));
    talk.say(view("k", "l", "liv", true));
    let said = talk.say(r#"{"c":"drop","key":"k","users":["ann","nobody"]}"#);
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
    let mut notices = of_kind("notice", &said);
    notices.sort_by_key(ToString::to_string);
    assert_eq!(
        notices,
        ["a1", "a2", "a3"]
            .map(|label| json!({"type": "dropped", "connection": label, "key": "k", "user": "ann", "cause": "drop"}))
    );
    let left = json!([{"type": 0, "userid": "ann"}]);
    let gone = |users: &[&str]| json!({"key": "k", "status": 1, "users": users, "actions": left});
    assert_eq!(of_kind("callback", &said), [gone(&["ann", "ben"]), gone(&["ben"])]);
    for (label, error) in [("a1", 5), ("a2", 5), ("b", 0), ("x", 0)] {
        assert_eq!(talk.error(by("change", label)), error, "{label}");
    }
    assert_eq!(talk.door.engine().limits().live.in_use, 1, "liv keeps live-view access");
    assert_eq!(
        talk.say(r#"{"c":"drop","key":"k","users":["ann"]}"#),
        [json!({"reply": {"error": 0, "key": "k"}})],
        "ann has no access to lose"
    );
}

#[test]
fn drop_without_users_makes_everybody_view_only_and_saves_at_once() {
    let mut talk = Talk::auto();
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(view("k", "l", "liv", true));
    talk.say(view("k", "v", "vic", false));
    talk.say(by("change", "a"));
    let said = talk.say(r#"{"c":"drop","key":"k"}"#);
    let mut notices = of_kind("notice", &said);
    assert_eq!(notices.pop(), Some(json!({"type": "saved", "key": "k", "status": 2})));
    notices.sort_by_key(ToString::to_string);
    assert_eq!(
        notices,
        [("a", "ann"), ("l", "liv")]
            .map(|(label, user)| json!({"type": "dropped", "connection": label, "key": "k", "user": user, "cause": "drop"}))
    );
    let callbacks = of_kind("callback", &said);
    assert_eq!(callbacks.len(), 1);
    assert_eq!(
        (&callbacks[0]["status"], &callbacks[0]["actions"]),
        (&json!(2), &json!([{"type": 0, "userid": "ann"}]))
    );
    let (limits, present) = (talk.door.engine().limits(), talk.door.engine().participants(&key("k")));
    assert_eq!((limits.edit.in_use, limits.live.in_use), (0, 0));
    assert!(present.len() == 3 && present.iter().all(|one| one.access == Access::View), "{present:?}");
    assert_eq!(talk.error(by("change", "a")), 5);
}

#[test]
fn drop_accepts_an_array_or_a_string_that_contains_an_array() {
    for (users, dropped) in [
        (r#"["ann","ben"]"#, "ab"),
        (r#""[\"ann\",\"ben\"]""#, "ab"),
        (r#""[\"ben\"]""#, "b"),
        (r#"["ben","ben"]"#, "b"),
        ("[]", ""),
        (r#""[]""#, ""),
        (r#"["Ann","be"]"#, ""),
    ] {
        let mut talk = Talk::auto();
        talk.say(open("k", "a", "ann"));
        talk.say(open("k", "b", "ben"));
        assert_eq!(
            talk.reply(format!(r#"{{"c":"drop","key":"k","users":{users}}}"#)),
            json!({"error": 0, "key": "k"})
        );
        for label in ["a", "b"] {
            let error = if dropped.contains(label) { 5 } else { 0 };
            assert_eq!(talk.error(by("change", label)), error, "{users} {label}");
        }
    }
}

#[test]
fn forcesave_saves_the_unsaved_changes_once() {
    let mut talk = Talk::auto();
    let ask = r#"{"c":"forcesave","key":"k","userdata":"u"}"#;
    talk.say(at(0, &open("k", "a", "ann")));
    assert_eq!(talk.say(ask), [json!({"reply": {"error": 4, "key": "k"}})], "nothing was changed");
    talk.say(at(1500, &by("change", "a")));
    let saved = |number: u64, user: &str, time: &str, turns: &[Value]| {
        let saved = json!({
            "key": "k", "status": 6, "users": [user], "forcesavetype": 0,
            "lastsave": format!("2023-11-22T00:00:{time}Z"), "userdata": "u",
            "history": {"changes": turns, "serverVersion": VERSION},
        });
        let notice = json!({"type": "saved", "key": "k", "status": 6, "userdata": "u"});
        [json!({"reply": {"error": 0, "key": "k"}}), handed_out(number, saved), json!({"notice": notice})]
    };
    let turn = |second: u8, user: &str| {
        let created = format!("2023-11-22 00:00:0{second}");
        json!({"created": created, "user": {"id": user, "name": user}})
    };
    assert_eq!(talk.say(ask), saved(2, "ann", "01.500", &[turn(1, "ann")]));
    assert_eq!(
        talk.say(ask),
        [json!({"reply": {"error": 4, "key": "k"}})],
        "nothing was changed since the force save"
    );
    talk.say(open("k", "b", "ben"));
    talk.say(at(2250, &by("change", "b")));
    assert_eq!(talk.say(at(3000, ask)), saved(4, "ben", "02.250", &[turn(1, "ann"), turn(2, "ben")]));
    talk.say(by("change", "b"));
    let plain = talk.callbacks(r#"{"c":"forcesave","key":"k"}"#);
    assert_eq!(plain.len(), 1);
    assert_eq!(plain[0].get("userdata"), None);
}

#[test]
fn a_pending_force_save_counts_as_a_save_until_it_is_given_up() {
    let mut talk = without_retries();
    let ask = r#"{"c":"forcesave","key":"k"}"#;
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    assert_eq!(
        talk.say(ask),
        [json!({"reply": {"error": 0, "key": "k"}})],
        "the callback of the join is outstanding"
    );
    assert_eq!(talk.error(ask), 4, "a force save waits");
    acks(&mut talk, "k", &[0]);
    assert_eq!(talk.error(ask), 4, "a force save is outstanding");
    acks(&mut talk, "k", &[1]);
    assert_eq!(talk.error(ask), 0, "the force save was given up");
    acks(&mut talk, "k", &[0, 0]);
    assert_eq!(talk.error(ask), 4, "the force save was acknowledged");
}

#[test]
fn the_65th_unanswered_force_save_of_a_document_is_error_3() {
    let mut talk = Talk::manual();
    for (document, label) in [("k", "a"), ("other", "o")] {
        talk.say(open(document, label, "ann"));
        talk.say(by("change", label));
    }
    let ask = r#"{"c":"forcesave","key":"k"}"#;
    for number in 0..64 {
        // Those of a button and of a form count with those of the command.
        let line = [
            ask.to_owned(),
            by("forcesave", "a"),
            r#"{"c":"forcesave","connection":"a","type":3}"#.to_owned(),
        ];
        assert_eq!(talk.error(&line[number % 3]), 0);
        talk.say(by("change", "a"));
    }
    let refused = |talk: &mut Talk| {
        assert_eq!(talk.say(ask), [json!({"reply": {"error": 3, "key": "k"}})]);
        assert_eq!(talk.say(by("forcesave", "a")), [json!({"reply": {"error": 3}})]);
    };
    refused(&mut talk);
    assert_eq!(talk.error(r#"{"c":"info","key":"k"}"#), 0, "questions have a room of their own");
    assert_eq!(talk.error(r#"{"c":"forcesave","key":"other"}"#), 0, "each document has its own bound");
    acks(&mut talk, "k", &[0]);
    refused(&mut talk);
    acks(&mut talk, "k", &[0]);
    assert_eq!(talk.error(ask), 0, "one of the 64 is answered, and not only the join before them");
    talk.say(by("change", "a"));
    refused(&mut talk);
}

#[test]
fn info_is_never_refused_and_the_65th_unanswered_answer_is_left_out() {
    let mut talk = Talk::manual();
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    let info = r#"{"c":"info","key":"k"}"#;
    let answer = json!({"reply": {"error": 0, "key": "k", "users": ["ann"]}});
    for _ in 0..100 {
        assert_eq!(talk.say(info), std::slice::from_ref(&answer));
    }
    // The save button finds room.
    assert_eq!(talk.error(by("forcesave", "a")), 0);
    let mut told = Vec::new();
    loop {
        let said = talk.say(r#"{"c":"ack","key":"k","error":0}"#);
        let next = of_kind("callback", &said);
        if next.is_empty() {
            assert_eq!(said[0]["reply"]["error"], 0);
            break;
        }
        told.extend(next);
    }
    let (save, answers) = told.split_last().unwrap();
    assert_eq!((&save["status"], &save["forcesavetype"]), (&json!(6), &json!(1)));
    assert_eq!(answers, vec![json!({"key": "k", "status": 1, "users": ["ann"]}); 64]);
    assert_eq!(talk.say(info)[0], answer, "as many are settled, so the next one is told again");
    assert!(talk.door.engine().is_outstanding(&key("k")));
}

#[test]
fn an_answer_to_info_that_fails_is_not_tried_again_and_no_notice_tells_of_it() {
    let mut talk = Talk::manual();
    talk.say(at(0, &view("k", "v", "vic", false)));
    let asked = talk.say(r#"{"c":"info","key":"k","userdata":"u"}"#);
    assert_eq!(asked[1], handed_out(1, json!({"key": "k", "status": 4, "userdata": "u"})));
    assert_eq!(talk.say(r#"{"c":"ack","key":"k","error":1}"#), [json!({"reply": {"error": 0, "key": "k"}})]);
    assert_eq!(talk.callbacks(at(600_000, r#"{"c":"version"}"#)), [] as [Value; 0]);
    assert_eq!(talk.error(r#"{"c":"ack","key":"k","error":0}"#), 5, "nothing is outstanding");
    assert_eq!(talk.door.engine().next_deadline(), None);
}

#[test]
fn info_on_a_forgotten_document_says_that_no_save_is_to_come() {
    let mut talk = without_retries();
    make_forgotten(&mut talk, "k", None);
    let info = r#"{"c":"info","key":"k"}"#;
    let expected = |number| {
        let reply = json!({"reply": {"error": 0, "key": "k", "users": []}});
        [reply, handed_out(number, json!({"key": "k", "status": 4}))]
    };
    assert_eq!(talk.say(info), expected(4), "nobody is there, but its changes are unsaved, so it is open");
    acks(&mut talk, "k", &[0]);
    talk.say(view("k", "v", "ben", false));
    assert_eq!(talk.say(info), expected(5), "a viewer changes nothing about that");
    acks(&mut talk, "k", &[0]);
    assert_eq!(talk.door.engine().documents(), 1);
    talk.say(by("close", "v"));
    assert_eq!(talk.error(r#"{"c":"deleteForgotten","key":"k"}"#), 0);
    assert_eq!(talk.say(info), [json!({"reply": {"error": 1, "key": "k"}})]);
    assert_eq!(talk.door.engine().documents(), 0);
}

#[test]
fn forcesave_on_a_forgotten_document_tries_to_save_it_after_all() {
    let mut talk = without_retries();
    make_forgotten(&mut talk, "k", None);
    let said = talk.say(r#"{"c":"forcesave","key":"k","userdata":"again"}"#);
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
    assert_eq!((&said[1]["callback"]["status"], &said[1]["callback"]["users"]), (&json!(6), &json!(["ann"])));
    assert_eq!(
        talk.say(r#"{"c":"ack","key":"k","error":0}"#),
        [
            json!({"reply": {"error": 0, "key": "k"}}),
            json!({"notice": {"type": "saved", "key": "k", "status": 6, "userdata": "again"}}),
        ]
    );
    assert_eq!(talk.reply(r#"{"c":"getForgottenList"}"#)["keys"], json!([]));
    assert_eq!(talk.error(r#"{"c":"info","key":"k"}"#), 1, "everything is saved and nobody is there");
}

#[test]
fn a_document_is_open_until_its_closing_is_acknowledged() {
    let mut talk = Talk::manual();
    talk.say(open("k", "a", "ann"));
    talk.say(by("close", "a"));
    let force = r#"{"c":"forcesave","key":"k"}"#;
    for status in [1, 4] {
        assert!(talk.door.engine().is_outstanding(&key("k")), "the callback of status {status}");
        assert_eq!(talk.say(force), [json!({"reply": {"error": 4, "key": "k"}})], "nothing was changed");
        assert_eq!(talk.error(r#"{"c":"drop","key":"k"}"#), 0);
        acks(&mut talk, "k", &[0]);
    }
    for line in [force, r#"{"c":"info","key":"k"}"#, r#"{"c":"drop","key":"k"}"#] {
        assert_eq!(talk.say(line), [json!({"reply": {"error": 1, "key": "k"}})], "{line}");
    }
}

#[test]
fn drop_makes_a_save_due_that_waits_for_its_delay() {
    for users in ["", r#","users":["ann"]"#, r#","users":["nobody"]"#, r#","users":[]"#] {
        let mut talk = Talk::auto();
        talk.say(at(0, &open("k", "a", "ann")));
        talk.say(by("change", "a"));
        talk.say(at(1_000, &by("close", "a")));
        let said = talk.say(at(2_000, &format!(r#"{{"c":"drop","key":"k"{users}}}"#)));
        assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
        assert_eq!(said[1]["callback"]["status"], 2, "{users}");
        assert_eq!(said[2], json!({"notice": {"type": "saved", "key": "k", "status": 2}}));
        assert_eq!((said.len(), talk.say(at(20_000, r#"{"c":"version"}"#)).len()), (3, 1));
    }
}

#[test]
fn drop_does_not_hurry_the_retry_of_a_save() {
    let mut talk = Talk::manual();
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(by("change", "a"));
    acks(&mut talk, "k", &[0]);
    assert_eq!(talk.callbacks(r#"{"c":"drop","key":"k"}"#)[0]["status"], 2);
    acks(&mut talk, "k", &[1]);
    assert_eq!(talk.say(r#"{"c":"drop","key":"k"}"#), [json!({"reply": {"error": 0, "key": "k"}})]);
    assert_eq!(talk.callbacks(at(999, r#"{"c":"version"}"#)), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(1_000, r#"{"c":"version"}"#))[0]["status"], 2);
}

#[test]
fn meta_sends_a_notice_with_the_new_title() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    talk.say(view("k", "v", "vic", false));
    for title in ["Plan \"B\"\n\u{1F600}", ""] {
        assert_eq!(
            talk.say(json!({"c": "meta", "key": "k", "meta": {"title": title, "more": [1]}}).to_string()),
            [
                json!({"reply": {"error": 0, "key": "k"}}),
                json!({"notice": {"type": "meta", "key": "k", "title": title}}),
            ]
        );
    }
}

#[test]
fn version_is_a_string() {
    let mut talk = Talk::auto();
    assert_eq!(talk.say(r#"{"c":"version"}"#), [json!({"reply": {"error": 0, "version": VERSION}})]);
    assert!(!VERSION.is_empty());
}

#[test]
fn license_replies_with_the_limits_in_force() {
    for command in ["license", "licence"] {
        for (edit, live) in [(Some(20), Some(7)), (None, None)] {
            let mut talk = Talk::new(Config::new().edit_limit(edit).live_limit(live), Acknowledge::Auto);
            let said = talk.say(json!({"c": command}).to_string());
            assert_eq!(said.len(), 1);
            let reply = &said[0]["reply"];
            let (license, server) = (&reply["license"], &reply["server"]);
            assert!(license["end_date"].is_string() && license["users_expire"].is_u64(), "{license}");
            for member in ["buildDate", "buildVersion", "buildNumber"] {
                assert!(!server[member].is_null(), "{member}");
            }
            let expected = json!({
                "error": 0,
                "license": {
                    "connections": edit.unwrap_or(0), "connections_view": live.unwrap_or(0),
                    "users_count": 0, "users_view_count": 0, "users_expire": license["users_expire"],
                    "end_date": license["end_date"], "trial": false, "customization": false,
                },
                "server": {
                    "resultType": 3, "packageType": 0, "buildDate": server["buildDate"],
                    "buildVersion": server["buildVersion"], "buildNumber": server["buildNumber"],
                },
                "quota": {"users": [], "users_view": []},
            });
            assert_eq!(*reply, expected);
        }
    }
}

#[test]
fn license_reflects_a_changed_limit() {
    let mut talk = Talk::auto();
    talk.door.engine().set_edit_limit(Some(3)).unwrap();
    talk.door.engine().set_live_limit(Some(4)).unwrap();
    let license = &talk.reply(r#"{"c":"license"}"#)["license"];
    assert_eq!((&license["connections"], &license["connections_view"]), (&json!(3), &json!(4)));
}

#[test]
fn forgotten_documents_are_listed_found_and_deleted() {
    let mut talk = without_retries();
    for (line, key) in [
        (r#"{"c":"getForgottenList"}"#, None),
        (r#"{"c":"getForgottenList","key":""}"#, Some("")),
        (r#"{"c":"getForgottenList","key":null}"#, None),
    ] {
        let reply = talk.reply(line);
        assert_eq!((&reply["error"], &reply["keys"]), (&json!(0), &json!([])));
        assert_eq!(reply["key"].as_str(), key);
    }
    make_forgotten(&mut talk, "lost", Some("https://store/lost.docx"));
    make_forgotten(&mut talk, "gone", None);
    let mut keys = talk.reply(r#"{"c":"getForgottenList"}"#)["keys"].as_array().unwrap().clone();
    keys.sort_by_key(ToString::to_string);
    assert_eq!(keys, ["gone", "lost"]);
    for (key, url) in [("lost", "https://store/lost.docx"), ("gone", "")] {
        assert_eq!(
            talk.say(json!({"c": "getForgotten", "key": key}).to_string()),
            [json!({"reply": {"error": 0, "key": key, "url": url}})]
        );
    }
    let delete = r#"{"c":"deleteForgotten","key":"lost"}"#;
    assert_eq!(talk.say(delete), [json!({"reply": {"error": 0, "key": "lost"}})]);
    assert_eq!(talk.say(delete), [json!({"reply": {"error": 1, "key": "lost"}})]);
    assert_eq!(talk.error(r#"{"c":"getForgotten","key":"lost"}"#), 1);
    assert_eq!(talk.reply(r#"{"c":"getForgottenList"}"#)["keys"], json!(["gone"]));
}

#[test]
fn an_open_document_is_not_forgotten() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    for command in ["getForgotten", "deleteForgotten"] {
        assert_eq!(talk.error(json!({"c": command, "key": "k"}).to_string()), 1, "{command}");
    }
}

/// Every command that names a document, with valid parameters.
fn commands_on(key: &Value) -> Vec<Value> {
    vec![
        json!({"c": "info", "key": key, "userdata": "u"}),
        json!({"c": "drop", "key": key, "users": ["ann"]}),
        json!({"c": "drop", "key": key}),
        json!({"c": "forcesave", "key": key, "userdata": "u"}),
        json!({"c": "meta", "key": key, "meta": {"title": "T"}}),
        json!({"c": "getForgotten", "key": key}),
        json!({"c": "deleteForgotten", "key": key}),
    ]
}

#[test]
fn a_document_that_is_not_open_is_error_1() {
    let mut talk = Talk::auto();
    talk.say(at(0, &open("closed", "a", "ann")));
    talk.say(by("close", "a"));
    talk.say(open("saved", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    assert_eq!(talk.callbacks(at(10_000, r#"{"c":"version"}"#))[0]["status"], 2);
    for key in ["never", "closed", "saved"] {
        for line in commands_on(&json!(key)).into_iter().filter(|line| line["c"] != "meta") {
            assert_eq!(talk.say(line.to_string()), [json!({"reply": {"error": 1, "key": key}})], "{line}");
        }
        let renamed = talk.say(json!({"c": "meta", "key": key, "meta": {"title": "T"}}).to_string());
        assert_eq!((renamed.len(), &renamed[0]["reply"]["error"]), (2, &json!(0)), "{key}");
        assert_eq!(renamed[1]["notice"]["type"], "meta", "a host can rename a document that nobody has open");
    }
}

#[test]
fn a_malformed_or_missing_key_is_error_1_and_is_echoed_verbatim() {
    let mut talk = Talk::auto();
    for key in [json!("a b"), json!(""), json!(7), json!(true), json!(null), json!(["k"]), json!({"k": 1})] {
        for line in commands_on(&key) {
            assert_eq!(talk.say(line.to_string()), [json!({"reply": {"error": 1, "key": key}})], "{line}");
        }
    }
    for mut line in commands_on(&json!("k")) {
        line.as_object_mut().unwrap().remove("key");
        assert_eq!(talk.say(line.to_string()), [json!({"reply": {"error": 1}})], "{line}");
    }
}

#[test]
fn an_ill_formed_parameter_is_error_5() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    for line in [
        r#"{"c":"info","key":"k","userdata":7}"#,
        r#"{"c":"drop","key":"k","users":7}"#,
        r#"{"c":"drop","key":"k","users":"ann"}"#,
        r#"{"c":"forcesave","key":"k","userdata":{}}"#,
        r#"{"c":"meta","key":"k"}"#,
        r#"{"c":"meta","key":"k","meta":null}"#,
        r#"{"c":"meta","key":"k","meta":{}}"#,
        r#"{"c":"meta","key":"k","meta":"T"}"#,
        r#"{"c":"unheardOf","key":"k"}"#,
        r#"{"c":"INFO","key":"k"}"#,
        r#"{"key":"k"}"#,
    ] {
        assert_eq!(talk.say(line), [json!({"reply": {"error": 5, "key": "k"}})], "{line}");
    }
    assert_eq!(talk.say("{}"), [json!({"reply": {"error": 5}})]);
    assert_eq!(talk.error(by("change", "a")), 0, "ann was not dropped");
}

#[test]
fn unknown_members_are_ignored() {
    let ignored = r#","token":"e30.e30.x","iat":1700000000,"exp":1,"meta":null,"nonsense":[{"c":"drop"}]}"#;
    for line in [
        r#"{"c":"info","key":"k","userdata":"u"}"#,
        r#"{"c":"drop","key":"k","users":["ann"]}"#,
        r#"{"c":"forcesave","key":"k"}"#,
        r#"{"c":"version"}"#,
        r#"{"c":"license"}"#,
        r#"{"c":"getForgottenList"}"#,
        r#"{"c":"getForgotten","key":"k"}"#,
    ] {
        let [plain, more] = [line.to_owned(), line.replacen('}', ignored, 1)].map(|line| {
            let mut talk = Talk::auto();
            talk.say(open("k", "a", "ann"));
            talk.say(by("change", "a"));
            talk.say(line)
        });
        assert_eq!(plain, more, "{line}");
    }
}

#[test]
fn id_and_key_are_echoed_verbatim_whatever_their_type() {
    let values = [
        "7",
        "-1.50",
        "1.0",
        "1E2",
        "123456789012345678901234567890",
        r#""x\u00e9\n\"""#,
        r#""""#,
        "true",
        "null",
        "{}",
        r#"[1,{"a":[null]},""]"#,
    ];
    for value in values {
        for (line, error) in [
            (format!(r#"{{"c":"version","key":{value},"id":{value}}}"#), 0),
            (format!(r#"{{"id":{value},"c":"info","key":{value}}}"#), 1),
            (format!(r#"{{"c":"getForgotten","key":{value},"id":{value},"more":[]}}"#), 1),
        ] {
            let mut talk = Talk::auto();
            let mut out = Vec::new();
            talk.door.line(line.as_bytes(), &mut out);
            let text = String::from_utf8(out).unwrap();
            for member in ["id", "key"] {
                assert!(text.contains(&format!(r#""{member}":{value}"#)), "{line} {text}");
            }
            let echoed: Value = serde_json::from_str(value).unwrap();
            let mut expected = json!({"error": error, "id": echoed, "key": echoed});
            if error == 0 {
                expected["version"] = VERSION.into();
            }
            assert_eq!(talk.reply(line), expected);
        }
    }
}

#[test]
fn an_absent_id_or_key_is_not_echoed() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    let echoed = |reply: Value| (reply.get("id").is_some(), reply.get("key").is_some());
    assert_eq!(echoed(talk.reply(by("change", "a"))), (false, false));
    assert_eq!(echoed(talk.reply(r#"{"c":"info","key":"k"}"#)), (false, true));
    assert_eq!(echoed(talk.reply(r#"{"c":"licence","id":0}"#)), (true, false));
}

#[test]
fn no_reply_waits_for_an_acknowledgement() {
    let mut talk = Talk::manual();
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(by("change", "a"));
    for mut line in commands_on(&json!("k")) {
        line["id"] = json!("now");
        let reply = talk.reply(line.to_string());
        assert_eq!(reply["id"], "now", "the first callback is still outstanding");
    }
    assert!(talk.door.engine().is_outstanding(&key("k")));
}
