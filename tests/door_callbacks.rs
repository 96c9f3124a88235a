//! The callbacks that the JSON door writes: every member, their order, retries and acknowledgements.

mod support;
use support::lines::{at, by, handed_out};
use support::*;

use coedit::door::Acknowledge;
use coedit::{Bounds, Config, VERSION};
use serde_json::{Value, json};

/// A line that opens `label` on `k` with edit access.
fn open(label: &str, user: &str) -> String {
    json!({"c": "open", "key": "k", "connection": label, "user": {"id": user}}).to_string()
}

const NOTHING: &str = r#"{"c":"version"}"#;
const INFO: &str = r#"{"c":"info","key":"k"}"#;

/// Splits a comma-separated list.
fn list(text: &str) -> Vec<&str> {
    text.split(',').filter(|one| !one.is_empty()).collect()
}

/// The callback which says that `user` joined (1) or left (0) and that `users` edit after that.
fn action(kind: u8, user: &str, users: &str) -> Value {
    json!({"key": "k", "status": 1, "users": list(users), "actions": [{"type": kind, "userid": user}]})
}

/// The callback which says that `user` left last and nothing was changed.
fn closed(user: &str) -> Value {
    json!({"key": "k", "status": 4, "actions": [{"type": 0, "userid": user}]})
}

/// The history of a save. A turn is a second and a user, who has no name but the id.
fn history(turns: &[(u64, &str)]) -> Value {
    let turn = |(second, user): &(u64, &str)| {
        let created = format!("2023-11-22 00:00:{second:02}");
        json!({"created": created, "user": {"id": user, "name": user}})
    };
    json!({"changes": turns.iter().map(turn).collect::<Vec<_>>(), "serverVersion": VERSION})
}

/// The save callback after `leaver` left last. `author` made the last change, in second `changed`.
fn save(author: &str, leaver: &str, changed: u64, notmodified: bool, turns: &[(u64, &str)]) -> Value {
    json!({
        "key": "k", "status": 2, "users": [author], "actions": [{"type": 0, "userid": leaver}],
        "lastsave": format!("2023-11-22T00:00:{changed:02}.000Z"), "notmodified": notmodified,
        "history": history(turns),
    })
}

/// A notice about the storage: `storage` or `saved`.
fn notice(kind: &str, status: u8) -> Value {
    json!({"notice": {"type": kind, "key": "k", "status": status}})
}

/// What a door says to an `ack` that is taken, and what follows from it.
fn settled(more: &[Value]) -> Vec<Value> {
    [&[json!({"reply": {"error": 0, "key": "k"}})], more].concat()
}

const FAIL: &str = r#"{"c":"ack","key":"k","error":1}"#;

/// The same callback with another status.
fn with_status(mut callback: Value, status: u8) -> Value {
    callback["status"] = status.into();
    callback
}

/// Settles the outstanding callback and returns the callbacks that follow immediately.
fn ack(talk: &mut Talk, error: u8) -> Vec<Value> {
    let said = talk.say(json!({"c": "ack", "key": "k", "error": error}).to_string());
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
    said.into_iter().filter_map(|line| line.get("callback").cloned()).collect()
}

/// Says the lines and returns all their callbacks in order.
fn callbacks_of<L: AsRef<str>>(talk: &mut Talk, lines: impl IntoIterator<Item = L>) -> Vec<Value> {
    lines.into_iter().flat_map(|line| talk.callbacks(line.as_ref())).collect()
}

/// A door with manual acknowledgement. `ann` changed `k` at [`START`] and left, and nobody else is in `k`.
fn closing(config: Config) -> Talk {
    let mut talk = Talk::new(config, Acknowledge::Manual);
    assert_eq!(talk.callbacks(at(0, &open("a", "ann"))), [action(1, "ann", "ann")]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(callbacks_of(&mut talk, [by("change", "a"), by("close", "a")]), [] as [Value; 0]);
    talk
}

/// The save callback that follows [`closing`].
fn first_save() -> Value {
    save("ann", "ann", 0, false, &[(0, "ann")])
}

#[test]
fn p4_every_join_and_leave_is_a_callback_of_its_own_in_order() {
    let mut talk = Talk::auto();
    let lines = [open("a", "ann"), open("b", "ben"), open("c", "cara"), by("close", "a"), open("a", "ann")];
    assert_eq!(
        callbacks_of(&mut talk, lines),
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
        callbacks_of(&mut talk, lines),
        [action(0, "cara", "ben,ann"), action(0, "ben", "ann"), closed("ann")]
    );
}

#[test]
fn each_tab_of_a_user_joins_and_leaves_as_a_separate_action() {
    let mut talk = Talk::auto();
    let lines = [open("a1", "ann"), open("a2", "ann"), open("b", "ben")];
    assert_eq!(
        callbacks_of(&mut talk, lines),
        [action(1, "ann", "ann"), action(1, "ann", "ann"), action(1, "ben", "ann,ben")]
    );
    let lines = ["a1", "a2", "b"].map(|label| by("close", label));
    assert_eq!(
        callbacks_of(&mut talk, lines),
        [action(0, "ann", "ann,ben"), action(0, "ann", "ben"), closed("ben")]
    );
}

#[test]
fn p4_a_late_callback_lists_the_users_right_after_its_action() {
    let mut talk = Talk::manual();
    let mut heard =
        callbacks_of(&mut talk, [open("a", "ann"), open("b", "ben"), by("close", "a"), open("c", "cara")]);
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
fn p6_past_the_bound_a_join_and_its_leave_are_dropped_but_info_answers_are_kept() {
    let mut talk = Talk::manual();
    let mut heard = callbacks_of(&mut talk, [open("a", "ann")]);
    for round in 0..600 {
        callbacks_of(&mut talk, [open("b", "ben"), by("close", "b")]);
        if round == 599 {
            callbacks_of(&mut talk, [INFO.to_owned(), open("c", "cara")]);
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
    assert_eq!(callbacks_of(&mut talk, lines), [] as [Value; 0]);
    assert_eq!(talk.callbacks(r#"{"c":"drop","key":"k"}"#), [] as [Value; 0]);
    let lines = [open("a", "ann"), enter("v", false), by("close", "l"), by("close", "a"), by("close", "v")];
    assert_eq!(callbacks_of(&mut talk, lines), [action(1, "ann", "ann"), closed("ann")]);
}

#[test]
fn a_changed_document_is_saved_with_its_history_after_the_save_delay() {
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
    assert_eq!(
        talk.callbacks(at(30_000, &by("close", "b"))),
        [] as [Value; 0],
        "the last leave is sent with the save"
    );
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
                    {"created": "2023-11-22 00:00:03", "user": {"id": "ben", "name": "ben"}},
                    {"created": "2023-11-22 00:00:07", "user": ann},
                ],
                "serverVersion": VERSION,
            },
        })]
    );
    assert!(!talk.door.engine().is_open(&key("k")));
}

#[test]
fn past_the_bound_of_turns_the_oldest_turns_of_the_history_are_merged() {
    let bounds = Bounds { turns: 3, ..Bounds::default() };
    let mut talk = Talk::new(Config::new().bounds(bounds), Acknowledge::Auto);
    for (second, user) in (0..).zip(["ann", "ben", "cara", "dan", "eve"]) {
        talk.say(at(second * 1_000, &open(user, user)));
        talk.say(by("change", user));
    }
    let saved = talk.callbacks(r#"{"c":"drop","key":"k"}"#).pop().unwrap();
    let changes = saved["history"]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(
        changes[0]["created"], "2023-11-22 00:00:00",
        "the merged turn starts when the oldest one started"
    );
    let latest = history(&[(3, "dan"), (4, "eve")]);
    assert_eq!(changes[1..], latest["changes"].as_array().unwrap()[..], "the latest turns stay separate");
}

#[test]
fn a_save_is_due_at_once_without_a_save_delay_and_after_a_drop() {
    let mut talk = Talk::new(Config::new().save_delay(seconds(0)), Acknowledge::Auto);
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    assert_eq!(callbacks_of(&mut talk, [by("close", "a")]), [first_save()]);

    let mut talk = Talk::auto();
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    assert_eq!(callbacks_of(&mut talk, [r#"{"c":"drop","key":"k","users":["ann"]}"#]), [first_save()]);
    assert_eq!(callbacks_of(&mut talk, [by("close", "a"), at(60_000, NOTHING)]), [] as [Value; 0]);
}

#[test]
fn a_save_starts_a_new_history_and_an_unchanged_document_closes_with_status_4() {
    let mut talk = Talk::auto();
    let view = r#"{"c":"open","key":"k","connection":"v","user":{"id":"vic"},"mode":"view"}"#;
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a"), by("close", "a"), view.to_owned()]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    callbacks_of(&mut talk, [open("b", "ben")]);
    assert_eq!(talk.callbacks(by("close", "b")), [closed("ben")], "nothing was changed since the save");
    callbacks_of(&mut talk, [at(12_000, &open("b", "ben")), by("change", "b"), by("close", "b")]);
    assert_eq!(talk.callbacks(at(22_000, NOTHING)), [save("ben", "ben", 12, false, &[(12, "ben")])]);
}

#[test]
fn a_force_save_says_who_asked_for_it_and_how() {
    let mut talk = Talk::new(Config::new().force_save_interval(Some(seconds(30))), Acknowledge::Auto);
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), open("b", "ben")]);
    let saved = |kind: u8, changed: u64, more: &[(&str, Value)]| {
        let mut saved = json!({
            "key": "k", "status": 6, "users": ["ann"], "forcesavetype": kind,
            "lastsave": format!("2023-11-22T00:00:{changed:02}.000Z"), "history": history(&[(1, "ann")]),
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
        callbacks_of(&mut talk, [at(second * 1_000, &by("change", "a"))]);
        assert_eq!(talk.callbacks(at(second * 1_000 + 500, line)), [callback], "{line}");
    }
    callbacks_of(&mut talk, [at(10_000, &by("change", "a")), at(20_000, &by("change", "a"))]);
    assert_eq!(
        talk.callbacks(at(59_000, NOTHING)),
        [saved(2, 20, &[])],
        "the timer saves both changes at once"
    );
}

#[test]
fn notmodified_is_true_if_a_force_save_contains_all_changes() {
    let force = r#"{"c":"forcesave","key":"k"}"#;
    for (later, notmodified, turns) in
        [(false, true, &[(1, "ann")][..]), (true, false, &[(1, "ann"), (3, "ben")][..])]
    {
        let mut talk = Talk::auto();
        callbacks_of(
            &mut talk,
            [at(0, &open("a", "ann")), open("b", "ben"), at(1_000, &by("change", "a")), at(2_000, force)],
        );
        if later {
            callbacks_of(&mut talk, [at(3_000, &by("change", "b"))]);
        }
        callbacks_of(&mut talk, [by("close", "a"), at(4_000, &by("close", "b"))]);
        let (author, changed) = if later { ("ben", 3) } else { ("ann", 1) };
        assert_eq!(
            talk.callbacks(at(20_000, NOTHING)),
            [save(author, "ben", changed, notmodified, turns)],
            "after a force save the document still closes with a 2"
        );
    }
}

#[test]
fn notmodified_is_false_if_the_force_save_was_given_up() {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    ack(&mut talk, 0);
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#)[0]["status"], 6);
    assert_eq!(ack(&mut talk, 1)[0]["status"], 7);
    ack(&mut talk, 0);
    callbacks_of(&mut talk, [by("close", "a")]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
}

#[test]
fn the_withheld_leave_is_sent_before_the_join_of_an_editor_who_returns_in_time() {
    let mut talk = Talk::auto();
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a"), by("close", "a")]);
    assert_eq!(talk.callbacks(at(9_999, &open("b", "ben"))), [action(0, "ann", ""), action(1, "ben", "ben")]);
    assert_eq!(
        talk.callbacks(at(60_000, NOTHING)),
        [] as [Value; 0],
        "nothing is saved while somebody edits"
    );
    assert_eq!(talk.callbacks(by("close", "b")), [] as [Value; 0]);
    assert_eq!(
        talk.callbacks(at(69_999, &open("a", "ann"))),
        [action(0, "ben", ""), action(1, "ann", "ann")]
    );
    assert_eq!(talk.callbacks(by("close", "a")), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(80_000, NOTHING)), [first_save()], "one save contains all changes");
}

#[test]
fn info_during_the_save_delay_does_not_send_the_withheld_leave() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(INFO), [json!({"key": "k", "status": 1, "users": []})]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
}

#[test]
fn a_force_save_during_the_save_delay_is_sent_before_the_save() {
    let mut talk = closing(Config::new());
    let forced = json!({
        "key": "k", "status": 6, "users": ["ann"], "forcesavetype": 0, "lastsave": "2023-11-22T00:00:00.000Z",
        "history": history(&[(0, "ann")]),
    });
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#), [forced]);
    assert_eq!(
        talk.callbacks(at(10_000, NOTHING)),
        [] as [Value; 0],
        "only one callback is outstanding at a time"
    );
    assert_eq!(ack(&mut talk, 0), [save("ann", "ann", 0, true, &[(0, "ann")])]);
}

#[test]
fn while_a_save_is_outstanding_an_open_gets_view_access_and_causes_no_callback() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    assert_eq!(
        talk.say(open("b", "ben")),
        [json!({"reply": {"error": 0, "key": "k", "connection": "b", "access": "view", "reason": "saving"}})]
    );
    assert_eq!(talk.callbacks(INFO), [] as [Value; 0], "the answer waits for the save");
    assert_eq!(ack(&mut talk, 0).len(), 1);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(talk.callbacks(open("c", "cara")), [action(1, "cara", "cara")]);
}

#[test]
fn an_editor_who_returns_before_a_retry_of_the_save_cancels_it() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
    let back = talk.say(at(10_999, &open("b", "ben")));
    assert_eq!(back[0]["reply"], json!({"error": 0, "key": "k", "connection": "b", "access": "edit"}));
    assert_eq!(back[1..], [handed_out(3, action(0, "ann", ""))]);
    assert_eq!(ack(&mut talk, 0), [action(1, "ben", "ben")]);
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert_eq!(
        talk.callbacks(at(60_000, NOTHING)),
        [] as [Value; 0],
        "the save is not retried while ben edits"
    );
    assert_eq!(talk.callbacks(by("close", "b")), [] as [Value; 0]);
    assert_eq!(talk.callbacks(at(70_000, NOTHING)), [save("ann", "ben", 0, false, &[(0, "ann")])]);
}

#[test]
fn an_info_answer_waits_for_the_retry_of_a_failed_save() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    ack(&mut talk, 1);
    let info = r#"{"c":"info","key":"k","userdata":"u"}"#;
    assert_eq!(talk.say(info), [json!({"reply": {"error": 0, "key": "k", "users": []}})]);
    assert_eq!(talk.callbacks(at(11_000, NOTHING)), [first_save()]);
    let answers = ack(&mut talk, 0);
    assert_eq!(answers.len(), 1);
    // The status may describe the time of the question (1) or of the callback (4). So the test does not check it.
    assert_eq!((&answers[0]["userdata"], answers[0].get("actions")), (&json!("u"), None));
}

#[test]
fn p5_a_save_that_is_given_up_is_followed_by_status_3_and_the_document_is_forgotten() {
    let mut talk = closing(with_three_retries(Config::new()));
    let forgotten = |talk: &mut Talk| talk.reply(r#"{"c":"getForgottenList"}"#)["keys"].clone();
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
    assert_eq!(talk.say(FAIL), settled(&[notice("storage", 2), handed_out(6, failed[0].clone())]));
    assert_eq!(forgotten(&mut talk), json!(["k"]));
    for pause in [1_000, 2_000, 4_000] {
        assert_eq!(ack(&mut talk, 1), [] as [Value; 0]);
        due += pause;
        assert_eq!(talk.callbacks(at(due - 1, NOTHING)), [] as [Value; 0]);
        assert_eq!(talk.callbacks(at(due, NOTHING)), failed, "status 3 is retried with the same pauses");
    }
    assert_eq!(talk.say(FAIL), settled(&[notice("storage", 3)]));
    assert_eq!(forgotten(&mut talk), json!(["k"]), "status 3 was given up, and the document is still listed");
    assert_eq!(talk.end(), [] as [Value; 0]);
}

#[test]
fn p5_a_forgotten_document_is_unsaved_until_a_later_save_is_acknowledged() {
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
    assert!(listed(&mut talk), "it is listed until the save is acknowledged");
    assert_eq!(ack(&mut talk, 0), [] as [Value; 0]);
    assert!(!listed(&mut talk));
}

#[test]
fn a_force_save_that_is_given_up_is_followed_by_a_notice_and_status_7() {
    let pressed = ("actions", json!([{"type": 2, "userid": "ann"}]));
    for (ask, kind, (member, value)) in [
        (r#"{"c":"forcesave","key":"k","userdata":"u"}"#, 0, ("userdata", json!("u"))),
        (r#"{"c":"forcesave","connection":"a"}"#, 1, pressed.clone()),
        (r#"{"c":"forcesave","connection":"a","type":3}"#, 3, pressed),
    ] {
        let mut talk = Talk::new(Config::new().retry_pauses(vec![seconds(1)]), Acknowledge::Manual);
        callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
        ack(&mut talk, 0);
        let saved = [json!({
            "key": "k", "status": 6, "users": ["ann"], "forcesavetype": kind,
            "lastsave": "2023-11-22T00:00:00.000Z", "history": history(&[(0, "ann")]), member: value,
        })];
        let failed = [with_status(saved[0].clone(), 7)];
        // A notice carries the userdata of the request.
        let given_up = |status| {
            let mut notice = notice("storage", status);
            if let Some(userdata) = saved[0].get("userdata") {
                notice["notice"]["userdata"] = userdata.clone();
            }
            notice
        };
        assert_eq!(talk.callbacks(ask), saved);
        assert_eq!(talk.say(FAIL), settled(&[]));
        assert_eq!(talk.callbacks(at(1_000, NOTHING)), saved);
        assert_eq!(talk.say(FAIL), settled(&[given_up(6), handed_out(4, failed[0].clone())]));
        assert_eq!(talk.say(FAIL), settled(&[]));
        assert_eq!(talk.callbacks(at(2_000, NOTHING)), failed);
        assert_eq!(talk.say(FAIL), settled(&[given_up(7)]));
        assert_eq!(
            talk.reply(r#"{"c":"getForgottenList"}"#)["keys"],
            json!([]),
            "only a failed status 2 makes a document forgotten"
        );
    }
}

#[test]
fn giving_up_a_status_1_or_4_sends_a_notice_and_hands_out_the_next_callback() {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    callbacks_of(&mut talk, [open("a", "ann"), by("close", "a"), open("b", "ben")]);
    for (status, next) in [
        (1, Some(handed_out(2, closed("ann")))),
        (4, Some(handed_out(3, action(1, "ben", "ben")))),
        (1, None),
    ] {
        let mut more = vec![notice("storage", status)];
        more.extend(next);
        assert_eq!(talk.say(FAIL), settled(&more), "{status}");
    }
}

#[test]
fn a_callback_does_not_wait_for_callbacks_of_other_documents() {
    let mut talk = closing(Config::new());
    assert_eq!(talk.callbacks(at(10_000, NOTHING)), [first_save()]);
    let other = r#"{"c":"open","key":"other","connection":"o","user":{"id":"ann"}}"#;
    assert_eq!(talk.callbacks(other).len(), 1, "a callback of k is outstanding");
    ack(&mut talk, 1);
    assert_eq!(talk.error(r#"{"c":"ack","key":"other","error":0}"#), 0);
    assert_eq!(talk.callbacks(by("close", "o")).len(), 1, "a callback of k waits for its retry");
}

#[test]
fn p5_a_change_during_an_outstanding_force_save_is_saved_later() {
    let mut talk = Talk::manual();
    callbacks_of(&mut talk, [at(0, &open("a", "ann")), by("change", "a")]);
    ack(&mut talk, 0);
    assert_eq!(talk.callbacks(r#"{"c":"forcesave","key":"k"}"#)[0]["lastsave"], "2023-11-22T00:00:00.000Z");
    callbacks_of(&mut talk, [at(1_000, &by("change", "a")), by("close", "a")]);
    assert_eq!(talk.callbacks(at(11_000, NOTHING)), [] as [Value; 0]);
    assert_eq!(ack(&mut talk, 0), [save("ann", "ann", 1, false, &[(0, "ann")])]);
}
