//! Late answers through the JSON door: deliveries by number, and what a late `ack` is told.
mod support;
use support::lines::{at, by, open};
use support::*;

use coedit::Config;
use coedit::door::Acknowledge;
use serde_json::{Value, json};

const NOTHING: &str = r#"{"c":"version"}"#;

/// An `ack` of the delivery with this number, or of the current one.
fn ack(number: Option<u64>, error: u8) -> String {
    let mut line = json!({"c": "ack", "key": "k", "error": error});
    if let Some(number) = number {
        line["delivery"] = number.into();
    }
    line.to_string()
}

fn refused(error: u8) -> Vec<Value> {
    vec![json!({"reply": {"error": error, "key": "k"}})]
}

fn saved(status: u8) -> Value {
    json!({"notice": {"type": "saved", "key": "k", "status": status}})
}

/// The status and the number of each callback.
fn numbers(said: &[Value]) -> Vec<(u64, u64)> {
    let callbacks = said.iter().filter(|line| line.get("callback").is_some());
    callbacks
        .map(|line| (line["callback"]["status"].as_u64().unwrap(), line["delivery"].as_u64().unwrap()))
        .collect()
}

/// A door with manual acknowledgement. The save of `k` is handed out as delivery 2, ten seconds after [`START`].
fn saving(config: Config) -> Talk {
    let mut talk = Talk::new(config, Acknowledge::Manual);
    talk.say(at(0, &open("k", "a", "ann")));
    assert_eq!(talk.error(ack(None, 0)), 0);
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    assert_eq!(numbers(&talk.say(at(10_000, NOTHING))), [(2, 2)]);
    talk
}

#[test]
fn deliveries_are_numbered_over_all_documents() {
    let mut talk = Talk::manual();
    assert_eq!(numbers(&talk.say(open("k", "a", "ann"))), [(1, 1)]);
    assert_eq!(numbers(&talk.say(open("other", "o", "ann"))), [(1, 2)]);
    talk.say(open("k", "b", "ben"));
    assert_eq!(numbers(&talk.say(ack(Some(1), 0))), [(1, 3)]);
    assert_eq!(talk.say(ack(Some(1), 0)), refused(4), "it was settled");
    assert_eq!(talk.say(ack(Some(2), 0)), refused(4), "it is of another document");
    assert_eq!(talk.say(ack(Some(4), 0)), refused(5), "there was none with this number yet");
    assert_eq!(talk.say(ack(Some(0), 0)), refused(5));
    assert_eq!(talk.error(ack(Some(3), 0)), 0);
    assert_eq!(talk.error(r#"{"c":"ack","key":"other","delivery":2,"error":0}"#), 0);
}

#[test]
fn a_number_that_is_none_is_refused() {
    let mut talk = saving(Config::new());
    for number in ["-1", "1.5", "\"2\"", "[]", "18446744073709551616"] {
        let line = format!(r#"{{"c":"ack","key":"k","error":0,"delivery":{number}}}"#);
        assert_eq!(talk.error(&line), 5, "{number}");
    }
    for saved in ["1", "\"true\""] {
        assert_eq!(talk.error(format!(r#"{{"c":"ack","key":"k","error":0,"saved":{saved}}}"#)), 5, "{saved}");
    }
    assert_eq!(talk.error(ack(Some(2), 0)), 0, "it is still outstanding");
}

#[test]
fn p5_a_late_save_is_told_that_it_is_late_and_counts() {
    let mut talk = saving(Config::new());
    assert_eq!(
        numbers(&talk.say(at(71_000, NOTHING))),
        [(2, 3)],
        "the first one ran out, and is tried again"
    );
    assert_eq!(talk.say(ack(None, 0)), refused(5), "which one?");
    assert_eq!(
        talk.say(ack(Some(2), 0)),
        [json!({"reply": {"error": 0, "key": "k", "late": true}}), saved(2)]
    );
    assert_eq!(talk.say(ack(Some(3), 0)), refused(4), "the other attempt is over");
    assert_eq!(talk.say(ack(Some(2), 0)), refused(4));
    assert_eq!(talk.door.engine().documents(), 0);
    // Everything of it is settled, so a number is not needed any more.
    talk.say(open("k", "b", "ben"));
    assert_eq!(talk.error(ack(None, 0)), 0);
}

#[test]
fn p5_other_late_answers_are_told_so() {
    let mut talk = saving(Config::new());
    assert_eq!(numbers(&talk.say(at(71_000, NOTHING))), [(2, 3)]);
    assert_eq!(talk.say(ack(Some(2), 1)), refused(4), "a failure that was known");
    assert_eq!(talk.say(ack(Some(2), 0)), refused(4), "it was said to have failed");
    assert_eq!(talk.error(ack(Some(3), 0)), 0);
    assert_eq!(talk.door.engine().documents(), 0);

    let mut talk = Talk::manual();
    talk.say(at(0, &open("k", "a", "ann")));
    assert_eq!(numbers(&talk.say(at(61_000, NOTHING))), [(1, 2)]);
    assert_eq!(talk.say(ack(Some(1), 0)), refused(4), "a late answer to a 1");
    assert_eq!(talk.error(ack(Some(2), 0)), 0);
}

/// The second attempt failed, so nothing is outstanding; but the first one may have worked.
#[test]
fn p5_a_late_save_counts_also_after_its_next_attempt_failed() {
    let mut talk = saving(Config::new());
    assert_eq!(numbers(&talk.say(at(71_000, NOTHING))), [(2, 3)]);
    assert_eq!(talk.error(ack(Some(3), 1)), 0);
    assert_eq!(talk.say(ack(Some(2), 0))[0]["reply"]["late"], true);
    assert_eq!(talk.door.engine().documents(), 0);
}

#[test]
fn a_save_that_ran_out_needs_its_number_also_before_its_next_attempt() {
    let mut talk = saving(Config::new());
    talk.say(at(70_000, NOTHING));
    assert_eq!(talk.say(ack(None, 0)), refused(5));
    assert_eq!(talk.say(ack(Some(2), 0))[0]["reply"]["late"], true);
    assert_eq!(talk.door.engine().documents(), 0);
}

#[test]
fn a_superseded_force_save_is_told_of_and_counts_when_it_is_acknowledged_late() {
    let mut talk = Talk::manual();
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(ack(None, 0));
    talk.say(by("change", "a"));
    assert_eq!(numbers(&talk.say(by("forcesave", "a"))), [(6, 2)]);
    talk.say(by("close", "a"));
    assert_eq!(numbers(&talk.say(at(10_000, NOTHING))), []);
    let said = talk.say(at(15_000, NOTHING));
    assert_eq!(said[0], json!({"notice": {"type": "storage", "key": "k", "status": 6}}));
    assert_eq!(numbers(&said), [(2, 3)]);
    assert_eq!(talk.say(ack(None, 0)), refused(5));
    assert_eq!(
        talk.say(ack(Some(2), 0))[..],
        [json!({"reply": {"error": 0, "key": "k", "late": true}}), saved(6)]
    );
    assert_eq!(talk.say(ack(Some(3), 0)), [json!({"reply": {"error": 0, "key": "k"}}), saved(2)]);
    assert_eq!(talk.door.engine().documents(), 0);
}

#[test]
fn p6_a_door_keeps_a_bounded_number_of_late_saves() {
    let pauses = [seconds(0); 64];
    let mut talk = Talk::new(Config::new().retry_pauses(pauses), Acknowledge::Manual);
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(ack(None, 0));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    let mut saves = Vec::new();
    for attempt in 0..65 {
        saves.extend(
            numbers(&talk.say(at(10_000 + attempt * 60_000, NOTHING))).into_iter().filter(|one| one.0 == 2),
        );
    }
    assert_eq!(saves.len(), 65);
    // The save was given up after 65 attempts, and the latest 64 are kept.
    talk.say(at(10_000 + 65 * 60_000, NOTHING));
    assert_eq!(talk.say(ack(Some(saves[0].1), 0)), refused(4));
    assert_eq!(talk.say(ack(Some(saves[1].1), 0))[0]["reply"]["late"], true);
    assert_eq!(talk.reply(r#"{"c":"getForgottenList"}"#)["keys"], json!([]));
}

#[test]
fn a_door_whose_engine_has_ended_answers_that_an_ack_is_late() {
    let mut talk = saving(Config::new());
    let shutdown = talk.door.engine().begin_shutdown(seconds(5));
    talk.say(at(15_000, NOTHING));
    assert_eq!(shutdown.report().unwrap().unsaved.len(), 1);
    assert_eq!(talk.say(ack(Some(2), 0)), refused(4));
    assert_eq!(talk.error(open("k", "b", "ben")), 3);
}

#[test]
fn notices_of_a_shutdown_name_the_labels() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    let shutdown = talk.door.engine().begin_shutdown(seconds(5));
    let said = talk.say(NOTHING);
    assert_eq!(
        said[1],
        json!({"notice": {
            "type": "disconnected", "connection": "a", "key": "k", "user": "ann", "cause": "shutdown", "code": 4001,
        }})
    );
    assert_eq!(numbers(&said), [(4, 2)]);
    assert!(shutdown.wait().is_complete());
}
