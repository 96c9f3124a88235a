//! What the callback handlers and command senders of known hosts rely on.
//!
//! The handlers under `clients/` are models of how such hosts read a callback. The senders are the bodies that such hosts
//! post to the command service, each as it stands on the wire.

#[path = "clients/handlers.rs"]
mod handlers;
#[path = "clients/storage.rs"]
mod storage;
mod support;

use coedit::{Access, Callback, Config, Status};
use handlers::{AlwaysAnAction, EditorList, FirstAction, Handler, Version, VersionStore};
use serde_json::{Value, json};
use storage::{AnswersInfo, DoorStorage, EVERY_WAY, Worker};
use support::lines::{at, by, open};
use support::{Talk, World, key, seconds, summary, user};

const CLOWNSCHOOL: &str = include_str!("data/clownschool.jsonl");

/// The version of the server that a host names, since known handlers refuse one below 6.0.
fn as_version_8(config: Config) -> Config {
    config.version("8.0.1")
}

/// The number of callbacks of each status.
fn count(told: &[Value], status: u64) -> usize {
    told.iter().filter(|body| body["status"] == status).count()
}

/// Who edits `document` by the engine, sorted.
fn editors(world: &Talk, document: &str) -> Vec<String> {
    let participants = world.door.engine().participants(&key(document));
    let editing = participants.iter().filter(|participant| participant.access == Access::Edit);
    let mut ids: Vec<String> = editing.map(|participant| participant.user.id().to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn the_models_fail_where_known_handlers_do() {
    for actions in [json!([]), json!(null), json!([{"type": 1, "userid": "a"}, {"type": 0, "userid": "a"}])] {
        let body = json!({"key": "doc", "status": 1, "users": ["a"], "actions": actions});
        assert!(FirstAction::default().read(&body).is_err(), "{body}");
    }
    let body = json!({"key": "doc", "status": 1, "users": ["a"]});
    assert!(AlwaysAnAction.read(&body).is_err() && FirstAction::default().read(&body).is_ok());
    assert!(EditorList::default().read(&json!({"key": "doc", "status": 1})).is_err());
    let history = |version: &str, changes: &Value| {
        let history = json!({"serverVersion": version, "changes": changes});
        json!({"key": "doc", "status": 2, "users": ["a"], "history": history})
    };
    let turn = |created: &str| json!([{"created": created, "user": {"id": "a", "name": "a"}}]);
    let mut store = VersionStore::default();
    store.read(&history("6.0", &json!([]))).unwrap();
    store.read(&history("8.0.1", &turn("2023-11-22 00:00:00"))).unwrap();
    for (version, changes) in [
        ("0.1.0", json!([])),
        ("8.0.1", json!(null)),
        ("8.0.1", json!([{"created": "2023-11-22 00:00:00", "user": {"id": "a"}}])),
        ("8.0.1", turn("2023-11-22T00:00:00Z")),
    ] {
        assert!(store.read(&history(version, &changes)).is_err(), "{version} {changes}");
    }
    assert_eq!(store.versions.len(), 2);
}

#[test]
fn handlers_read_a_recorded_session() {
    let (mut first, mut list, mut store) =
        (FirstAction::default(), EditorList::default(), VersionStore::default());
    let mut storage = DoorStorage::new(as_version_8(Config::new()), AnswersInfo::Acknowledge);
    for line in CLOWNSCHOOL.lines() {
        storage.say(line, &mut [&mut first, &mut list, &mut store]);
        let editors = editors(&storage.talk, "clownschool");
        let mut listed = list.of("clownschool").to_vec();
        listed.sort();
        // The last leave is told with the save.
        assert!(listed == editors || editors.is_empty() && listed.len() == 1, "{listed:?} {editors:?}");
    }
    storage.end(&mut [&mut first, &mut list, &mut store]);
    assert_eq!((count(&storage.told, 1), count(&storage.told, 2), storage.told.len()), (5, 1, 6));
    assert_eq!(list.most, 2);
    assert!(list.editors.is_empty(), "{list:?}");
    for list in [&mut first.joined, &mut first.left] {
        list.sort();
        assert_eq!(*list, ["agent-0", "agent-1", "agent-2"]);
    }
    let [version] = &store.versions[..] else { panic!("{store:?}") };
    assert_eq!(
        (version.status, version.turns.len()),
        (2, 99),
        "at the bound the two oldest turns became one"
    );
    assert!(version.turns.iter().all(|[_, id, name]| id == name), "nobody has a name but the id");
    assert!(version.turns.is_sorted_by_key(|[created, ..]| created));
    assert!(version.turns.windows(2).all(|pair| pair[0][1] != pair[1][1]));
    assert_eq!(Some(&version.author), version.turns.last().map(|[_, id, _]| id));
}

#[test]
fn p4_a_storage_that_does_not_acknowledge_the_answers_to_info_hears_all_else_in_order() {
    let told = EVERY_WAY.map(|way| {
        let (mut strict, mut list) = (AlwaysAnAction, EditorList::default());
        let mut handlers: Vec<&mut dyn Handler> = vec![&mut list];
        if way == AnswersInfo::Fail {
            handlers.push(&mut strict);
        }
        let mut storage = DoorStorage::new(as_version_8(Config::new()), way);
        for (number, line) in CLOWNSCHOOL.lines().enumerate() {
            storage.say(line, &mut handlers);
            if number % 500 == 1 {
                let reply = storage.say(r#"{"c":"info","key":"clownschool"}"#, &mut handlers);
                assert_eq!(
                    reply["users"].as_array().map(Vec::len),
                    Some(editors(&storage.talk, "clownschool").len())
                );
            }
        }
        storage.end(&mut handlers);
        let engine = storage.talk.door.engine();
        assert_eq!((engine.documents(), engine.forgotten().len(), storage.infos), (0, 0, 8), "{way:?}");
        assert_eq!(storage.talk.door.tally().saves, 1);
        storage.told
    });
    assert_eq!((count(&told[0], 1), count(&told[0], 2)), (5, 1));
    assert!(told[0] == told[1] && told[0] == told[2], "{told:#?}");
}

/// Ann and ben edit `doc`, and `info` is asked while both are in. Then both leave, ann first.
#[test]
fn a_save_waits_for_no_answer_to_info_longer_than_the_save_patience() {
    for (way, saved_by) in EVERY_WAY.into_iter().zip([14_000, 14_000, 19_000]) {
        let mut storage = DoorStorage::new(as_version_8(Config::new()), way);
        let (mut list, mut strict) = (EditorList::default(), AlwaysAnAction);
        let mut handlers: Vec<&mut dyn Handler> = vec![&mut list];
        if way == AnswersInfo::Fail {
            handlers.push(&mut strict);
        }
        for (millis, line) in [
            (0, open("doc", "a", "ann")),
            (0, open("doc", "b", "ben")),
            (1_000, by("change", "a")),
            (2_000, r#"{"c":"info","key":"doc","userdata":"poll"}"#.to_owned()),
            (3_000, by("close", "a")),
            (3_000, open("other", "c", "cleo")),
            (4_000, by("close", "b")),
        ] {
            assert_eq!(storage.say(&at(millis, &line), &mut handlers)["error"], 0, "{way:?} {line}");
        }
        let others = storage.told.iter().filter(|body| body["key"] == "other").count();
        assert_eq!((others, storage.infos), (1, 1), "other documents go on at once: {way:?}");
        storage.say(&at(saved_by - 1, r#"{"c":"version"}"#), &mut handlers);
        assert_eq!(count(&storage.told, 2), 0, "{way:?}");
        storage.say(&at(saved_by, r#"{"c":"version"}"#), &mut handlers);
        assert_eq!(count(&storage.told, 2), 1, "{way:?}");
        drop(handlers);
        assert!(list.of("doc").is_empty() && list.of("other") == ["cleo"], "{list:?}");
    }
}

#[test]
fn p4_a_worker_that_fails_or_holds_the_answers_to_info_gets_all_else_in_order() {
    let told = EVERY_WAY.map(|way| {
        let (world, mut worker) = (World::new(as_version_8), Worker::new(way));
        let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
        worker.take(&world.engine);
        for _ in 0..3 {
            assert_eq!(world.engine.info(&key("doc"), Some("poll")).unwrap().len(), 2);
        }
        ann.change().unwrap();
        drop(world.edit("doc", "cleo"));
        world.engine.press_save(ann.id()).unwrap();
        drop(ben);
        for _ in 0..4 {
            worker.take(&world.engine);
            world.pass(seconds(60));
        }
        drop(ann);
        world.pass(seconds(10));
        worker.take(&world.engine);
        assert_eq!(worker.held.len(), if way == AnswersInfo::Never { 3 } else { 0 });
        assert_eq!((world.engine.documents(), world.engine.unsaved().len()), (0, 0), "{way:?}");
        world.engine.validate().unwrap();
        worker.told
    });
    let statuses: Vec<u64> = told[0].iter().filter_map(|body| body["status"].as_u64()).collect();
    assert_eq!(statuses, [1, 1, 1, 1, 6, 1, 2]);
    assert!(told[0] == told[1] && told[0] == told[2], "{told:#?}");
}

/// Such a handler asks for a force save when a user leaves others behind, before it answers the callback.
#[test]
fn a_handler_may_force_a_save_whenever_a_user_leaves() {
    let (mut first, mut store) = (FirstAction::default(), VersionStore::default());
    let mut storage = DoorStorage::new(as_version_8(Config::new()), AnswersInfo::Acknowledge);
    let mut replies = Vec::new();
    for line in [
        open("doc", "a", "ann"),
        open("doc", "a2", "ann"),
        open("doc", "b", "ben"),
        open("doc", "c", "cleo"),
        by("change", "a"),
        by("close", "a"),
        by("close", "a2"),
        by("close", "b"),
        by("close", "c"),
    ] {
        storage.say(&line, &mut [&mut first, &mut store]);
        for document in std::mem::take(&mut first.to_save) {
            let ask = json!({"c": "forcesave", "key": document, "userdata": "left"}).to_string();
            replies.push(storage.say(&ask, &mut [&mut first, &mut store])["error"].clone());
        }
    }
    storage.end(&mut [&mut first, &mut store]);
    assert_eq!(replies, [0, 4], "the last of ann's tabs, then ben, who leaves nothing to save");
    let versions: Vec<(u64, &str)> =
        store.versions.iter().map(|version| (version.status, &*version.author)).collect();
    assert_eq!(versions, [(6, "ann"), (2, "ann")]);
    assert_eq!(first.joined.len(), first.left.len());
}

#[test]
fn every_save_has_a_history_that_known_handlers_can_store() {
    let world = World::new(|config| as_version_8(config).retry_pauses([]));
    let mut store = VersionStore::default();
    let mut read = |world: &World| {
        for delivery in world.callbacks.try_iter() {
            store.read(&json!(delivery.callback())).unwrap();
            if [Status::Save, Status::ForceSave].contains(&delivery.callback().status) {
                delivery.fail();
            } else {
                delivery.ack();
            }
        }
    };
    let ann = world.engine.open(&key("doc"), &user("ann").named("Ann").unwrap(), Access::Edit).unwrap();
    let ben = world.edit("doc", "ben");
    ann.change().unwrap();
    world.pass(seconds(61));
    ben.change().unwrap();
    world.engine.force_save(&key("doc"), None).unwrap();
    read(&world);
    drop((ann, ben));
    world.pass(seconds(10));
    read(&world);
    world.engine.retry_forgotten(&key("doc")).unwrap();
    read(&world);
    let turns = || {
        vec![
            ["2023-11-22 00:00:00", "ann", "Ann"].map(str::to_owned),
            ["2023-11-22 00:01:01", "ben", "ben"].map(str::to_owned),
        ]
    };
    let version = |status| Version { status, author: "ben".to_owned(), turns: turns() };
    assert_eq!(store.versions, [6, 7, 2, 3, 2, 3].map(version));
}

/// One callback of each status that carries a file.
fn callbacks_with_a_file() -> Vec<Callback> {
    let world = World::new(|config| as_version_8(config).retry_pauses([]));
    let ann = world.changed();
    world.engine.submit_form(ann.id()).unwrap();
    let mut all = vec![*support::Settle::failed(world.take()), *world.ack()];
    drop(ann);
    world.pass(seconds(10));
    all.extend([*support::Settle::failed(world.take()), *world.ack()]);
    all
}

#[test]
fn a_host_adds_its_members_and_nothing_else_changes() {
    let added = json!({
        "url": "https://docs.example/cache/doc/output.docx?md5=x&expires=1",
        "changesurl": "https://docs.example/cache/doc/changes.zip",
        "filetype": "docx",
        "formsdataurl": "https://docs.example/cache/doc/form.json",
    });
    let all = callbacks_with_a_file();
    assert_eq!(
        all.iter().map(summary).collect::<Vec<_>>(),
        ["6 !ann [ann]", "7 !ann [ann]", "2 -ann [ann]", "3 -ann [ann]"]
    );
    for callback in all {
        let mut completed = callback.clone();
        let member = |name: &str| added[name].as_str().map(str::to_owned);
        completed.url = member("url");
        completed.changesurl = member("changesurl");
        completed.filetype = member("filetype");
        completed.formsdataurl = member("formsdataurl");
        let mut expected = json!(callback);
        for (name, value) in added.as_object().unwrap() {
            assert!(expected.get(name).is_none(), "the engine leaves {name} to the host");
            expected[name] = value.clone();
        }
        assert_eq!(json!(completed), expected);
    }
}

/// Ann and ben edit `doc`. Ann, who has two tabs, has changed it, and the storage has acknowledged everything.
fn edited() -> Talk {
    let mut talk = Talk::new(as_version_8(Config::new()), coedit::door::Acknowledge::Auto);
    for line in
        [open("doc", "a", "ann"), open("doc", "b", "ben"), open("doc", "a2", "ann"), by("change", "a")]
    {
        assert_eq!(talk.error(at(0, &line)), 0);
    }
    talk
}

/// Sends a body to a door and, as a host does that serves the command service over HTTP, to `Engine::command`. Both answer
/// the same.
fn answer(body: &str) -> Value {
    let mut out = Vec::new();
    edited().door.line(body.as_bytes(), &mut out);
    let reply = edited().door.engine().command(body.as_bytes());
    let line = [br#"{"reply":"#, &*reply, b"}\n"].concat();
    assert!(out.starts_with(&line), "{body}: {}", String::from_utf8_lossy(&out));
    serde_json::from_slice(&reply).unwrap()
}

#[test]
fn senders_get_the_answers_that_they_expect() {
    let done = json!({"error": 0, "key": "doc"});
    let version = json!({"error": 0, "version": "8.0.1"});
    for (body, reply) in [
        // A signed body: the same members again in `token`, and when it was signed.
        (
            r#"{"c":"info","key":"doc","token":"eyJhbGciOiJIUzI1NiJ9.eyJjIjoiaW5mbyJ9.c2ln","iat":1700000000.123}"#,
            json!({"error": 0, "key": "doc", "users": ["ann", "ben"]}),
        ),
        (r#"{"c":"version","token":"e30.e30.x","iat":1700000000,"exp":1700000300}"#, version.clone()),
        // A serializer that writes every member that it knows.
        (
            r#"{"c":"version","key":null,"users":null,"userdata":null,"meta":null,"token":null,"url":null}"#,
            json!({"error": 0, "key": null, "version": "8.0.1"}),
        ),
        (r#"{"c":"drop","key":"doc","users":["ben"],"userdata":null,"meta":null}"#, done.clone()),
        (r#"{"c":"version","key":""}"#, json!({"error": 0, "key": "", "version": "8.0.1"})),
        (r#"{"c":"getForgottenList","key":""}"#, json!({"error": 0, "key": "", "keys": []})),
        (r#"{"c":"getForgottenList"}"#, json!({"error": 0, "keys": []})),
        // Another order of the members, spaces and line ends, escaped slashes and letters.
        (
            "{\r\n  \"key\": \"doc\",\r\n  \"c\": \"info\"\r\n}\r\n",
            json!({"error": 0, "key": "doc", "users": ["ann", "ben"]}),
        ),
        (r#"{"c":"forcesave","key":"doc","userdata":"https:\/\/host\/\u00e9?a=1"}"#, done.clone()),
        (r#"{ "c" : "drop" , "key" : "doc" , "users" : "[\"ben\"]" }"#, done.clone()),
        (r#"{"c":"drop","key":"doc","users":[]}"#, done.clone()),
        (r#"{"c":"meta","key":"doc","meta":{"title":"Plan.docx"}}"#, done.clone()),
        (r#"{"c":"forcesave","key":"doc","userdata":"","nonce":{"a":[1]},"timestamp":"now"}"#, done),
        // What is not correct.
        (r#"{"c":"info","key":1700611200}"#, json!({"error": 1, "key": 1_700_611_200})),
        (r#"{"c":"info","key":"no_such_document"}"#, json!({"error": 1, "key": "no_such_document"})),
        (r#"{"c":"info"}"#, json!({"error": 1})),
        (r#"{"key":"doc"}"#, json!({"error": 5, "key": "doc"})),
        (r#"{"c":"convert","key":"doc"}"#, json!({"error": 5, "key": "doc"})),
        (r#"[{"c":"version"}]"#, json!({"error": 5})),
        ("c=version", json!({"error": 5})),
        ("", json!({"error": 5})),
    ] {
        assert_eq!(answer(body), reply, "{body}");
    }
}

#[test]
fn both_spellings_of_license_get_the_license() {
    let replies =
        [r#"{"c":"license","key":""}"#, r#"{"c":"licence","key":"","token":"e30.e30.x"}"#].map(answer);
    assert_eq!(replies[0], replies[1]);
    for member in ["license", "server", "quota"] {
        assert!(replies[0][member].is_object(), "{member}");
    }
}
