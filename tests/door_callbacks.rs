//! The callbacks as the JSON door writes them, member by member: WIRE.md sections 4 and 5.

mod support;
use support::lines::{at, by};
use support::*;

use coedit::door::Acknowledge;
use coedit::{Bounds, Config, VERSION};
use serde_json::{Value, json};

/// A line that opens `label` on `k` for editing.
fn open(label: &str, user: &str) -> String {
    json!({"c": "open", "key": "k", "connection": label, "user": {"id": user}}).to_string()
}

const NOTHING: &str = r#"{"c":"version"}"#;
const INFO: &str = r#"{"c":"info","key":"k"}"#;

/// A comma-separated list.
fn list(text: &str) -> Vec<&str> {
    text.split(',').filter(|one| !one.is_empty()).collect()
}

/// The callback that `user` came (1) or left (0), after which `users` edit.
fn action(kind: u8, user: &str, users: &str) -> Value {
    json!({"key": "k", "status": 1, "users": list(users), "actions": [{"type": kind, "userid": user}]})
}

fn closed(user: &str) -> Value {
    json!({"key": "k", "status": 4, "actions": [{"type": 0, "userid": user}]})
}

/// A save of what `author` changed last, in the second `changed`, after `leaver` left; a turn is a second and a user.
fn save(author: &str, leaver: &str, changed: u64, notmodified: bool, turns: &[(u64, &str)]) -> Value {
    let turn = |(second, user): &(u64, &str)| {
        let created = format!("2023-11-22 00:00:{second:02}");
        json!({"created": created, "user": {"id": user}})
    };
    json!({
        "key": "k", "status": 2, "users": [author], "actions": [{"type": 0, "userid": leaver}],
        "lastsave": format!("2023-11-22T00:00:{changed:02}.000Z"), "notmodified": notmodified,
        "history": {"changes": turns.iter().map(turn).collect::<Vec<_>>(), "serverVersion": VERSION},
    })
}

/// The same callback as another status.
fn with_status(mut callback: Value, status: u8) -> Value {
    callback["status"] = status.into();
    callback
}

/// Settles the outstanding callback and returns the callbacks that follow at once.
fn ack(talk: &mut Talk, error: u8) -> Vec<Value> {
    let said = talk.say(json!({"c": "ack", "key": "k", "error": error}).to_string());
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
    said.into_iter().filter_map(|line| line.get("callback").cloned()).collect()
}

/// The callbacks of some lines, one after the other.
fn told<L: AsRef<str>>(talk: &mut Talk, lines: impl IntoIterator<Item = L>) -> Vec<Value> {
    lines.into_iter().flat_map(|line| talk.callbacks(line.as_ref())).collect()
}

/// A manual door with `k` changed at [`START`] and its only editor ann gone since.
fn closing(config: Config) -> Talk {
    let mut talk = Talk::new(config, Acknowledge::Manual);
    assert_eq!(talk.callbacks(at(0, &open("a", "ann"))), [action(1, "ann", "ann")]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(told(&mut talk, [by("change", "a"), by("close", "a")]), [] as [Value; 0]);
    talk
}

/// The save that follows [`closing`].
fn first_save() -> Value {
    save("ann", "ann", 0, false, &[(0, "ann")])
}

#[test]
fn p4_every_coming_and_going_is_told_alone_and_in_order() {
    let mut talk = Talk::auto();
    let lines = [open("a", "ann"), open("b", "ben"), open("c", "cara"), by("close", "a"), open("a", "ann")];
    assert_eq!(
        told(&mut talk, lines),
        [
            action(1, "ann", "ann"),
            action(1, "ben", "ann,ben"),
            action(1, "cara", "ann,ben,cara"),
            action(0, "ann", "ben,cara"),
            action(1, "ann", "ben,cara,ann"),
        ]
    );
    let lines = ["c", "b", "a"].map(|label| by("close", label));
    assert_eq!(
        told(&mut talk, lines),
        [action(0, "cara", "ben,ann"), action(0, "ben", "ann"), closed("ann")]
    );
}

#[test]
fn two_tabs_of_one_user_come_and_go_as_two_actions() {
    let mut talk = Talk::auto();
    let lines = [open("a1", "ann"), open("a2", "ann"), open("b", "ben")];
    assert_eq!(
        told(&mut talk, lines),
        [action(1, "ann", "ann"), action(1, "ann", "ann"), action(1, "ben", "ann,ben")]
    );
    let lines = ["a1", "a2", "b"].map(|label| by("close", label));
    assert_eq!(told(&mut talk, lines), [action(0, "ann", "ann,ben"), action(0, "ann", "ben"), closed("ben")]);
}

#[test]
fn p4_a_storage_that_falls_behind_hears_the_users_as_they_were_after_each_action() {
    let mut talk = Talk::manual();
    let mut heard =
        told(&mut talk, [open("a", "ann"), open("b", "ben"), by("close", "a"), open("c", "cara")]);
    talk.say(json!({"c": "info", "key": "k", "userdata": "now"}).to_string());
    talk.say(by("close", "b"));
    talk.say(by("close", "c"));
    for _ in 0..7 {
        heard.extend(ack(&mut talk, 0));
    }
    assert_eq!(
        heard,
        [
            action(1, "ann", "ann"),
            action(1, "ben", "ann,ben"),
            action(0, "ann", "ben"),
            action(1, "cara", "ben,cara"),
            json!({"key": "k", "status": 1, "users": ["ben", "cara"], "userdata": "now"}),
            action(0, "ben", "cara"),
            closed("cara"),
        ]
    );
}

#[test]
fn p6_far_behind_pairs_that_cancel_out_are_dropped_and_answers_are_not() {
    let mut talk = Talk::manual();
    let mut heard = told(&mut talk, [open("a", "ann")]);
    for round in 0..600 {
        told(&mut talk, [open("b", "ben"), by("close", "b")]);
        if round == 599 {
            told(&mut talk, [INFO.to_owned(), open("c", "cara")]);
        }
    }
    loop {
        let next = ack(&mut talk, 0);
        if next.is_empty() {
            break;
        }
        heard.extend(next);
    }
    let (tail, actions) = (heard.split_off(heard.len() - 2), heard);
    assert_eq!(tail, [json!({"key": "k", "status": 1, "users": ["ann"]}), action(1, "cara", "ann,cara")]);
    assert_eq!(actions[0], action(1, "ann", "ann"));
    assert!((1_024..1_030).contains(&actions.len()), "{}", actions.len());
    for pair in actions[1..].chunks(2) {
        assert_eq!(pair, [action(1, "ben", "ann,ben"), action(0, "ben", "ann")]);
    }
}

#[test]
fn viewers_cause_no_callbacks() {
    let mut talk = Talk::auto();
    let enter = |label: &str, live: bool| {
        json!({
            "c": "open", "key": "k", "connection": label, "user": {"id": label}, "mode": "view", "live": live,
        })
        .to_string()
    };
    let lines = [enter("l", true), enter("v", false), by("close", "l"), by("close", "v"), enter("l", true)];
    assert_eq!(told(&mut talk, lines), [] as [Value; 0]);
    assert_eq!(talk.callbacks(r#"{"c":"drop","key":"k"}"#), [] as [Value; 0]);
    let lines = [open("a", "ann"), enter("v", false), by("close", "l"), by("close", "a"), by("close", "v")];
    assert_eq!(told(&mut talk, lines), [action(1, "ann", "ann"), closed("ann")]);
}

#[test]
fn a_changed_document_is_saved_after_the_delay_with_its_history() {
    let mut talk = Talk::auto();
    let named = |label: &str, user: &str, name: &str| {
        json!({"c": "open", "key": "k", "connection": label, "user": {"id": user, "name": name}}).to_string()
    };
    talk.say(at(0, &named("a", "ann", "Ann \"A\"")));
    talk.say(open("b", "ben"));
    for (millis, label) in [(1_250, "a"), (2_000, "a"), (3_999, "b"), (5_000, "b"), (7_001, "a")] {
        talk.say(at(millis, &by("change", label)));
    }
    assert_eq!(talk.callbacks(at(20_000, &by("close", "a"))), [action(0, "ann", "ben")]);
    assert_eq!(talk.callbacks(at(30_000, &by("close", "b"))), [] as [Value; 0], "the last leave is withheld");
    assert_eq!(talk.callbacks(at(39_999, NOTHING)), [] as [Value; 0]);
    let ann = json!({"id": "ann", "name": "Ann \"A\""});
    assert_eq!(
        talk.callbacks(at(40_000, NOTHING)),
        [json!({
            "key": "k", "status": 2, "users": ["ann"], "actions": [{"type": 0, "userid": "ben"}],
            "lastsave": "2023-11-22T00:00:07.001Z", "notmodified": false,
            "history": {
                "changes": [
                    {"created": "2023-11-22 00:00:01", "user": ann},
                    {"created": "2023-11-22 00:00:03", "user": {"id": "ben"}},
                    {"created": "2023-11-22 00:00:07", "user": ann},
                ],
                "serverVersion": VERSION,
            },
        })]
    );
    assert!(!talk.door.engine().is_open(&key("k")));
}

#[test]
fn past_the_bound_the_oldest_turns_of_the_history_merge() {
    let bounds = Bounds { turns: 3, ..Bounds::default() };
    let mut talk = Talk::new(Config::new().bounds(bounds), Acknowledge::Auto);
    for (second, user) in (0..).zip(["ann", "ben", "cara", "dan", "eve"]) {
        talk.say(at(second * 1_000, &open(user, user)));
        talk.say(by("change", user));
    }
    let saved = talk.callbacks(r#"{"c":"drop","key":"k"}"#).pop().unwrap();
    let changes = saved["history"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(changes[0]["created"], "2023-11-22 00:00:00", "the start of the oldest is kept");
    let turn = |second, user| json!({"created": format!("2023-11-22 00:00:0{second}"), "user": {"id": user}});
    assert_eq!(changes[1..], [turn(3, "dan"), turn(4, "eve")], "the latest are whole");
}

#[test]
fn without_a_save_delay_and_after_a_drop_the_save_is_due_at_once() {
    let mut talk = Talk::new(Config::new().save_delay(seconds(0)), Acknowledge::Auto);
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    assert_eq!(told(&mut talk, [by("close", "a")]), [first_save()]);

    let mut talk = Talk::auto();
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    assert_eq!(told(&mut talk, [r#"{"c":"drop","key":"k","users":["ann"]}"#]), [first_save()]);
    assert_eq!(told(&mut talk, [by("close", "a"), at(60_000, NOTHING)]), [] as [Value; 0]);
}

#[test]
fn a_save_begins_a_new_history_and_an_unchanged_document_closes_with_4() {
    let mut talk = Talk::auto();
    let view = r#"{"c":"open","key":"k","connection":"v","user":{"id":"vic"},"mode":"view"}"#;
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a"), by("close", "a"), view.to_owned()]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    told(&mut talk, [open("b", "ben")]);
    assert_eq!(talk.callbacks(by("close", "b")), [closed("ben")], "nothing since the save");
    told(&mut talk, [at(12_000, &open("b", "ben")), by("change", "b"), by("close", "b")]);
    assert_eq!(talk.callbacks(at(22_000, NOTHING)), [save("ben", "ben", 12, false, &[(12, "ben")])]);
}

#[test]
fn a_force_save_tells_who_asked_and_how() {
    let mut talk = Talk::new(Config::new().force_save_interval(Some(seconds(30))), Acknowledge::Auto);
    told(&mut talk, [at(0, &open("a", "ann")), open("b", "ben")]);
    let saved = |kind: u8, changed: u64, more: &[(&str, Value)]| {
        let mut saved = json!({
            "key": "k", "status": 6, "users": ["ann"], "forcesavetype": kind,
            "lastsave": format!("2023-11-22T00:00:{changed:02}.000Z"),
        });
        for (member, value) in more {
            saved[*member] = value.clone();
        }
        saved
    };
    let asked = [("actions", json!([{"type": 2, "userid": "ben"}]))];
    for (second, line, callback) in [
        (1, r#"{"c":"forcesave","key":"k"}"#, saved(0, 1, &[])),
        (2, r#"{"c":"forcesave","key":"k","userdata":""}"#, saved(0, 2, &[("userdata", json!(""))])),
        (3, r#"{"c":"forcesave","connection":"b"}"#, saved(1, 3, &asked)),
        (4, r#"{"c":"forcesave","connection":"b","type":1}"#, saved(1, 4, &asked)),
        (5, r#"{"c":"forcesave","connection":"b","type":3}"#, saved(3, 5, &asked)),
    ] {
        told(&mut talk, [at(second * 1_000, &by("change", "a"))]);
        assert_eq!(talk.callbacks(at(second * 1_000 + 500, line)), [callback], "{line}");
    }
    told(&mut talk, [at(10_000, &by("change", "a")), at(20_000, &by("change", "a"))]);
    assert_eq!(talk.callbacks(at(59_000, NOTHING)), [saved(2, 20, &[])], "the timer saves once");
}

#[test]
fn notmodified_says_whether_a_force_save_holds_everything() {
    let force = r#"{"c":"forcesave","key":"k"}"#;
    for (later, notmodified, turns) in
        [(false, true, &[(1, "ann")][..]), (true, false, &[(1, "ann"), (3, "ben")][..])]
    {
        let mut talk = Talk::auto();
        told(
            &mut talk,
            [at(0, &open("a", "ann")), open("b", "ben"), at(1_000, &by("change", "a")), at(2_000, force)],
        );
        if later {
            told(&mut talk, [at(3_000, &by("change", "b"))]);
        }
        told(&mut talk, [by("close", "a"), at(4_000, &by("close", "b"))]);
        let (author, changed) = if later { ("ben", 3) } else { ("ann", 1) };
        assert_eq!(
            talk.callbacks(at(20_000, NOTHING)),
            [save(author, "ben", changed, notmodified, turns)],
            "a force save does not make it a 4"
        );
    }
}

#[test]
fn notmodified_is_false_if_the_force_save_was_given_up() {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    ack(&mut talk, 0);
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#)[0]["status"], 6);
    assert_eq!(ack(&mut talk, 1)[0]["status"], 7);
    ack(&mut talk, 0);
    told(&mut talk, [by("close", "a")]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
}

#[test]
fn an_editor_who_comes_back_in_time_is_told_after_the_withheld_leave() {
    let mut talk = Talk::auto();
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a"), by("close", "a")]);
    assert_eq!(talk.callbacks(at(9_999, &open("b", "ben"))), [action(0, "ann", ""), action(1, "ben", "ben")]);
    assert_eq!(talk.callbacks(at(60_000, NOTHING)), [] as [Value; 0], "no save while somebody edits");
    assert_eq!(talk.callbacks(by("close", "b")), [] as [Value; 0]);
    assert_eq!(
        talk.callbacks(at(69_999, &open("a", "ann"))),
        [action(0, "ben", ""), action(1, "ann", "ann")]
    );
    assert_eq!(talk.callbacks(by("close", "a")), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(80_000, NOTHING)), [first_save()], "once, for all");
}

#[test]
fn info_during_the_save_delay_leaves_the_last_leave_withheld() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(INFO), [json!({"key": "k", "status": 1, "users": []})]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
}

#[test]
fn a_force_save_during_the_save_delay_is_told_before_the_save() {
    let mut talk = closing(Config::new());
    let forced = json!({
        "key": "k", "status": 6, "users": ["ann"], "forcesavetype": 0, "lastsave": "2023-11-22T00:00:00.000Z",
    });
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#), [forced]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [] as [Value; 0], "one at a time");
    assert_eq!(ack(&mut talk, 0), [save("ann", "ann", 0, true, &[(0, "ann")])]);
}

#[test]
fn while_a_save_is_outstanding_an_editor_gets_no_edit_access_and_no_callback() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    assert_eq!(
        talk.say(open("b", "ben")),
        [json!({"reply": {"error": 0, "key": "k", "connection": "b", "access": "view", "reason": "saving"}})]
    );
    assert_eq!(talk.callbacks(INFO), [] as [Value; 0], "it waits for the save");
    assert_eq!(ack(&mut talk, 0).len(), 1);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(talk.callbacks(open("c", "cara")), [action(1, "cara", "cara")]);
}

#[test]
fn an_editor_who_comes_back_while_a_failed_save_waits_takes_it_back() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
    let back = talk.say(at(10_999, &open("b", "ben")));
    assert_eq!(back[0]["reply"], json!({"error": 0, "key": "k", "connection": "b", "access": "edit"}));
    assert_eq!(back[1..], [json!({"callback": action(0, "ann", "")})]);
    assert_eq!(ack(&mut talk, 0), [action(1, "ben", "ben")]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(
        talk.callbacks(at(60_000, NOTHING)),
        [] as [Value; 0],
        "the save is not tried while ben edits"
    );
    assert_eq!(talk.callbacks(by("close", "b")), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(70_000, NOTHING)), [save("ann", "ben", 0, false, &[(0, "ann")])]);
}

#[test]
fn what_is_asked_while_a_failed_save_waits_is_told_after_it() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    ack(&mut talk, 1);
    let info = r#"{"c":"info","key":"k","userdata":"u"}"#;
    assert_eq!(talk.say(info), [json!({"reply": {"error": 0, "key": "k", "users": []}})]);
    assert_eq!(talk.callbacks(at(11_000, NOTHING)), [first_save()]);
    let answers = ack(&mut talk, 0);
    assert_eq!(answers.len(), 1);
    // Whether it says how things were when it was asked (1) or are when it is told (4), WIRE.md leaves open.
    assert_eq!((&answers[0]["userdata"], answers[0].get("actions")), (&json!("u"), None));
}

#[test]
fn p5_a_save_that_is_given_up_becomes_3_and_the_document_is_forgotten() {
    let mut talk = closing(Config::new());
    let forgotten = |talk: &mut Talk| talk.reply(r#"{"c":"getForgottenList"}"#)["keys"].clone();
    let storage = json!({"notice": {"type": "storage", "key": "k", "status": 3}});
    let failed = [with_status(first_save(), 3)];
    let mut due = 10_000;
    for pause in [1_000, 2_000, 4_000] {
        assert_eq!(talk.callbacks(at(due, NOTHING)), [first_save()]);
        assert_eq!(forgotten(&mut talk), json!([]));
        assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
        due += pause;
        assert_eq!(talk.callbacks(at(due - 1, NOTHING)), [] as [Value; 0]);
    }
    assert_eq!(talk.callbacks(at(due, NOTHING)), [first_save()]);
    assert_eq!(ack(&mut talk, 1), failed);
    assert_eq!(forgotten(&mut talk), json!(["k"]));
    for pause in [1_000, 2_000, 4_000] {
        assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
        due += pause;
        assert_eq!(talk.callbacks(at(due - 1, NOTHING)), [] as [Value; 0]);
        assert_eq!(talk.callbacks(at(due, NOTHING)), failed, "the 3 is tried the same way");
    }
    assert_eq!(
        talk.say(r#"{"c":"ack","key":"k","error":1}"#),
        [json!({"reply": {"error": 0, "key": "k"}}), storage]
    );
    assert_eq!(forgotten(&mut talk), json!(["k"]), "nobody heard of it, and it is still listed");
    assert_eq!(talk.end(), [] as [Value; 0]);
}

#[test]
fn p5_a_forgotten_document_counts_as_changed_until_a_later_save() {
    let mut talk = closing(Config::new().retry_pauses(Vec::new()));
    talk.say(at(10_000, NOTHING));
    ack(&mut talk, 1);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    let listed = |talk: &mut Talk| talk.reply(r#"{"c":"getForgottenList"}"#)["keys"] == json!(["k"]);
    assert_eq!(talk.callbacks(at(11_000, &open("b", "ben"))), [action(1, "ben", "ben")]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(talk.callbacks(by("close", "b")), [] as [Value; 0]);
    assert!(listed(&mut talk));
    let again = save("ann", "ben", 0, false, &[(0, "ann")]);
    assert_eq!(talk.callbacks(at(21_000, NOTHING)), [again]);
    assert!(listed(&mut talk), "not before it is acknowledged");
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert!(!listed(&mut talk));
}

#[test]
fn a_force_save_that_is_given_up_becomes_7_and_then_a_notice() {
    let pressed = ("actions", json!([{"type": 2, "userid": "ann"}]));
    for (ask, kind, (member, value)) in [
        (r#"{"c":"forcesave","key":"k","userdata":"u"}"#, 0, ("userdata", json!("u"))),
        (r#"{"c":"forcesave","connection":"a"}"#, 1, pressed.clone()),
        (r#"{"c":"forcesave","connection":"a","type":3}"#, 3, pressed),
    ] {
        let mut talk = Talk::new(Config::new().retry_pauses(vec![seconds(1)]), Acknowledge::Manual);
        told(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
        ack(&mut talk, 0);
        let saved = [json!({
            "key": "k", "status": 6, "users": ["ann"], "forcesavetype": kind,
            "lastsave": "2023-11-22T00:00:00.000Z", member: value,
        })];
        let failed = [with_status(saved[0].clone(), 7)];
        assert_eq!(talk.callbacks(ask), saved);
        assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
        assert_eq!(talk.callbacks(at(1_000, NOTHING)), saved);
        assert_eq!(ack(&mut talk, 1), failed);
        assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
        assert_eq!(talk.callbacks(at(2_000, NOTHING)), failed);
        assert_eq!(
            talk.say(r#"{"c":"ack","key":"k","error":1}"#),
            [
                json!({"reply": {"error": 0, "key": "k"}}),
                json!({"notice": {"type": "storage", "key": "k", "status": 7}}),
            ]
        );
        assert_eq!(
            talk.reply(r#"{"c":"getForgottenList"}"#)["keys"],
            json!([]),
            "only a 2 makes it forgotten"
        );
    }
}

#[test]
fn a_1_or_4_that_is_given_up_is_a_notice_and_the_next_is_handed_out() {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    told(&mut talk, [open("a", "ann"), by("close", "a"), open("b", "ben")]);
    for (status, next) in [(1, Some(closed("ann"))), (4, Some(action(1, "ben", "ben"))), (1, None)] {
        let mut expected = vec![
            json!({"reply": {"error": 0, "key": "k"}}),
            json!({"notice": {"type": "storage", "key": "k", "status": status}}),
        ];
        expected.extend(next.map(|next| json!({"callback": next})));
        assert_eq!(talk.say(r#"{"c":"ack","key":"k","error":1}"#), expected, "{status}");
    }
}

#[test]
fn callbacks_of_other_documents_do_not_wait() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    let other = r#"{"c":"open","key":"other","connection":"o","user":{"id":"ann"}}"#;
    assert_eq!(talk.callbacks(other).len(), 1, "while one is outstanding");
    ack(&mut talk, 1);
    assert_eq!(talk.error(r#"{"c":"ack","key":"other","error":0}"#), 0);
    assert_eq!(talk.callbacks(by("close", "o")).len(), 1, "while one waits to be tried again");
}

#[test]
fn p5_a_change_while_a_force_save_is_outstanding_is_saved_later() {
    let mut talk = Talk::manual();
    told(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    ack(&mut talk, 0);
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#)[0]["lastsave"], "2023-11-22T00:00:00.000Z");
    told(&mut talk, [at(1_000, &by("change", "a")), by("close", "a")]);
    assert_eq!(talk.callbacks(at(11_000, NOTHING)), [] as [Value; 0]);
    assert_eq!(ack(&mut talk, 0), [save("ann", "ann", 1, false, &[(0, "ann")])]);
}
