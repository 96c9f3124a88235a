//! What people at browser tabs see of the engine's promises: each test has a host process and a headless Chromium of its
//! own.

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::{env, fs, path::Path};

use serde_json::{Value, json};
use support::browser::browse;
use support::host::Host;
use support::storage::Storage;
use support::tab::Tab;
use support::{same, until};

#[test]
fn a_third_tab_past_a_limit_of_two_may_only_view() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "2"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;
        let cleo = browser.editor(&host, "report", "cleo").await;
        cleo.status("view-only: connection-limit").await;

        ann.types("hello").await;
        ben.text("hello").await;
        cleo.text("hello").await;
        cleo.types("!").await;
        cleo.text("hello").await;
        ann.people(&[("ann", "edit"), ("ben", "edit"), ("cleo", "view")]).await;
    });
}

#[test]
fn a_waiter_is_let_in_when_an_editor_gives_access_back_or_closes_the_tab() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "1"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("view-only: connection-limit").await;
        ben.clicks("#ask").await;
        ben.status("waiting (1)").await;
        let cleo = browser.editor(&host, "report", "cleo").await;
        cleo.status("view-only: connection-limit").await;
        cleo.clicks("#ask").await;
        cleo.status("waiting (2)").await;

        ann.clicks("#release").await;
        ann.status("view-only").await;
        ben.status("editing").await;
        cleo.status("waiting (1)").await;
        ben.types("ben").await;
        ann.text("ben").await;

        ben.closes().await;
        cleo.status("editing").await;
        cleo.types(", cleo").await;
        ann.text("ben, cleo").await;
    });
}

#[test]
fn a_dropped_tab_may_view_at_once_and_what_it_types_is_refused() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "2"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;
        ben.types("before").await;
        ann.text("before").await;

        host.command(json!({"c": "drop", "key": "report", "users": ["ben"]})).await;
        ben.status("view-only: dropped").await;
        ben.types(" after").await;
        ben.text("before").await;
        // Whatever a page lets its user do, the host asks the engine.
        ben.types_despite_the_page("after").await;
        ben.shows_that("#message", "a refusal", |message| !message.is_empty()).await;
        assert_eq!(host.text("report").await, "before");
        ann.types(", ann").await;
        ben.text("before, ann").await;
    });
}

#[test]
fn a_fenced_user_may_only_view_also_after_a_reload_until_the_fence_is_lifted() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "2"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;

        host.command(json!({"c": "fence", "key": "report", "users": ["ben"]})).await;
        ben.status("view-only: fenced").await;
        ben.reloads().await;
        ben.status("view-only: fenced").await;
        ann.status("editing").await;

        host.command(json!({"c": "unfence", "key": "report", "users": ["ben"]})).await;
        ben.reloads().await;
        ben.status("editing").await;
    });
}

#[test]
fn a_cut_line_keeps_the_seat_and_the_storage_hears_of_no_leave() {
    browse(async |browser| {
        let storage = Storage::start().await;
        let host = Host::start(&["--edit-connections", "2", "--storage", storage.url()]).await;
        storage.forward_to(&host);
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;
        ann.types("ann").await;
        ben.text("ann").await;

        ann.loses_the_line().await;
        ann.status("reconnecting").await;
        let cleo = browser.editor(&host, "report", "cleo").await;
        cleo.status("view-only: connection-limit").await;
        ben.people(&[("ann", "edit"), ("ben", "edit"), ("cleo", "view")]).await;
        ben.types(", ben").await;
        ben.text("ann, ben").await;
        cleo.text("ann, ben").await;

        ann.finds_the_line().await;
        ann.status("editing").await;
        ann.text("ann, ben").await;
        ann.types(", ann again").await;
        ben.text("ann, ben, ann again").await;

        ann.clicks("#save").await;
        host.saves("report", "ann, ben, ann again").await;
        heard_of_no_leave(&storage.heard("report"));
    });
}

#[test]
fn a_tab_whose_token_was_used_elsewhere_does_not_fight_for_its_seat() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "2"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let token = ann.run("return window.seen.token").await;
        assert!(token.is_string(), "the welcome had no token");

        let twin = browser.open(&host, "/").await;
        twin.resumes_with(&token).await;
        ann.status("closed: 4010").await;
        ann.run("window.seen.hurry()").await;
        assert_eq!(ann.run("return window.seen.sockets").await, json!(1), "the tab connected again");
        assert_eq!(ann.content("#status").await, "closed: 4010");

        let change = json!({"change": {"text": "from the twin"}}).to_string();
        twin.run_with("window.twin.send(arguments[0])", &[json!(change)]).await;
        until("the twin edits", async || same(&host.text("report").await, "from the twin")).await;
    });
}

#[test]
fn an_idle_tab_is_warned_keeps_its_access_by_a_click_and_else_loses_it() {
    browse(async |browser| {
        let host = Host::start(&["--idle-ms", "6000", "--expiry-warning-ms", "4000"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        ann.shows_that("#warning", "seconds", |warning| warning.contains(|c: char| c.is_ascii_digit())).await;
        ann.clicks("#title").await;
        ann.shows("#warning", "").await;
        assert_eq!(ann.content("#status").await, "editing");

        ann.shows_that("#warning", "seconds", |warning| warning.contains(|c: char| c.is_ascii_digit())).await;
        ann.status("view-only: idle").await;
        ann.shows("#warning", "").await;
    });
}

#[test]
fn tabs_edit_on_after_a_restart_of_the_host_while_somebody_types() {
    browse(async |browser| {
        let storage = Storage::start().await;
        let mut host = Host::start(&["--edit-connections", "2", "--storage", storage.url()]).await;
        storage.forward_to(&host);
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;
        ann.types("before").await;
        ben.text("before").await;

        ann.types_on_and_on().await;
        ben.text_begins("before.").await;
        let accepted = ben.typed().await;
        let ended = host.stop().await;
        assert!(ended.success(), "{ended}");
        ann.status("reconnecting").await;
        ben.status("reconnecting").await;
        host.start_again().await;
        ann.status("editing").await;
        ben.status("editing").await;
        ann.stops_typing().await;
        let cleo = browser.editor(&host, "report", "cleo").await;
        cleo.status("view-only: connection-limit").await;

        ben.types(" after").await;
        let text = both_end_with(&ann, &ben, " after").await;
        assert!(text.starts_with(&accepted), "{accepted:?} became {text:?}");
        ann.shows("#saved", "unsaved").await;
        ann.clicks("#save").await;
        ann.shows("#saved", "saved").await;
        host.saves("report", &text).await;
        heard_of_no_leave(&storage.heard("report"));
    });
}

#[test]
fn a_failing_storage_is_told_to_the_tab_and_a_later_save_holds_the_text() {
    browse(async |browser| {
        let host = Host::start(&["--retry-pauses-ms", "50,50"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        host.storage_mode("fail").await;
        ann.types("kept").await;
        ann.shows("#saved", "unsaved").await;
        ann.clicks("#save").await;
        ann.shows_that("#message", "that the save failed", |message| !message.is_empty()).await;
        ann.shows("#saved", "unsaved").await;
        assert_eq!(host.file("report").await, None);

        host.storage_mode("ok").await;
        ann.clicks("#save").await;
        ann.shows("#saved", "saved").await;
        host.saves("report", "kept").await;
    });
}

#[test]
fn a_storage_that_hangs_on_one_document_still_saves_the_others() {
    browse(async |browser| {
        let storage = Storage::start().await;
        let host = Host::start(&["--storage", storage.url()]).await;
        storage.forward_to(&host);
        storage.hang("report");
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        ann.types("slow").await;
        ann.clicks("#save").await;
        until("the storage has a callback in hand", async || {
            if storage.heard("report").is_empty() { Err("it has none".to_owned()) } else { Ok(()) }
        })
        .await;

        let ben = browser.editor(&host, "notes", "ben").await;
        ben.status("editing").await;
        ben.types("fast").await;
        ben.clicks("#save").await;
        ben.shows("#saved", "saved").await;
        host.saves("notes", "fast").await;
        ann.shows("#saved", "unsaved").await;
        assert_eq!(host.file("report").await, None);

        storage.answer();
        ann.shows("#saved", "saved").await;
        host.saves("report", "slow").await;
    });
}

#[test]
fn a_storage_that_hung_saves_when_it_answers_again() {
    browse(async |browser| {
        let storage = Storage::start().await;
        let host = Host::start(&["--ack-timeout-ms", "2000", "--storage", storage.url()]).await;
        storage.forward_to(&host);
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        ann.types("first").await;
        ann.clicks("#save").await;
        host.saves("report", "first").await;
        ann.shows("#saved", "saved").await;

        host.storage_mode("hang").await;
        ann.types(", second").await;
        ann.clicks("#save").await;
        // The second attempt shows that the first ran into its time-out.
        until("the storage hears the save twice", async || {
            let saves = storage.heard("report").iter().filter(|callback| callback["status"] == 6).count();
            if saves >= 3 { Ok(()) } else { Err(format!("{saves} saves")) }
        })
        .await;
        ann.shows("#saved", "unsaved").await;
        host.storage_mode("ok").await;
        ann.shows("#saved", "saved").await;
        host.saves("report", "first, second").await;
    });
}

#[test]
fn the_admin_page_lets_a_waiter_in_drops_fences_and_breaks_the_storage() {
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "1", "--retry-pauses-ms", "50,50"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("view-only: connection-limit").await;
        ben.clicks("#ask").await;
        ben.status("waiting (1)").await;

        let admin = browser.open(&host, "/admin").await;
        admin.shows_that("#waiters", "ben", |waiters| waiters.contains("ben")).await;
        admin.fills("#limit-edit input", "2").await;
        admin.clicks("#limit-edit button").await;
        ben.status("editing").await;

        admin.clicks_in_row("holders", "ann", "Drop").await;
        ann.status("view-only: dropped").await;
        admin.clicks_in_row("holders", "ben", "Fence").await;
        ben.status("view-only: fenced").await;
        admin.clicks_in_row("fences", "ben", "Lift").await;
        admin.shows("#fences", "none").await;
        ben.clicks("#ask").await;
        ben.status("editing").await;

        admin.clicks("#storage-mode option[value=fail]").await;
        admin.shows_that("#counters", "counters", |counters| counters.contains("opens")).await;
        until("the storage fails", async || same(&host.mode().await, "fail")).await;
        ben.types("unsaved").await;
        ben.clicks("#save").await;
        ben.shows_that("#message", "that the save failed", |message| !message.is_empty()).await;
    });
}

/// Two editors and a waiter, and the admin page beside them, as pictures for the README.
#[test]
#[ignore = "writes pictures to the folder that COEDIT_PICTURES names"]
fn pictures() {
    let folder = env::var("COEDIT_PICTURES").expect("COEDIT_PICTURES names a folder");
    browse(async |browser| {
        let host = Host::start(&["--edit-connections", "2"]).await;
        let ann = browser.editor(&host, "report", "ann").await;
        ann.status("editing").await;
        let ben = browser.editor(&host, "report", "ben").await;
        ben.status("editing").await;
        let cleo = browser.editor(&host, "report", "cleo").await;
        cleo.status("view-only: connection-limit").await;
        cleo.clicks("#ask").await;
        cleo.status("waiting (1)").await;
        ann.types("Quarterly report\n\nSales went up in the north.").await;
        ben.types("\nIn the south they stayed as they were.").await;
        let admin = browser.open(&host, "/admin").await;
        admin.shows_that("#holders", "ben", |holders| holders.contains("ben")).await;
        draw(&cleo, (1000, 640), &folder, "host-editor.png").await;
        draw(&admin, (1240, 790), &folder, "host-admin.png").await;
    });
}

async fn draw(tab: &Tab, size: (u32, u32), folder: &str, name: &str) {
    let picture = tab.picture(size).await;
    assert!(picture.len() < 120 * 1024, "{name} has {} bytes", picture.len());
    fs::write(Path::new(folder).join(name), picture).expect("the folder can be written");
}

/// Waits until both tabs hold the same text, with this end.
async fn both_end_with(one: &Tab, other: &Tab, end: &str) -> String {
    until(&format!("both texts end with {end:?}"), async || {
        let (seen, typed) = (one.typed().await, other.typed().await);
        if seen == typed && typed.ends_with(end) { Ok(typed) } else { Err(format!("{seen:?}, {typed:?}")) }
    })
    .await
}

/// The storage heard that ann and ben came, and of nobody who left. It hears of one document in order, so with a save it has
/// heard of everything before.
fn heard_of_no_leave(heard: &[Value]) {
    assert!(heard.last().is_some_and(|callback| callback["status"] == 6), "{heard:?}");
    assert_eq!(actions(heard, 1), ["ann", "ben"], "{heard:?}");
    assert_eq!(actions(heard, 0), [""; 0], "{heard:?}");
}

/// The users of the actions of one type, in the order in which the storage heard of them.
fn actions(heard: &[Value], kind: u64) -> Vec<&str> {
    let actions = heard.iter().filter_map(|callback| callback["actions"].as_array()).flatten();
    actions.filter(|action| action["type"] == kind).filter_map(|action| action["userid"].as_str()).collect()
}
