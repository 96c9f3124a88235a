//! A host that is killed again and again while people work, and what has to hold each time.

mod client;
mod history;
mod kept;
mod storage;
mod story;
mod world;

use std::time::Duration;

use coedit::{Config, DocumentKey};

pub use story::Story;

const CLIENTS: usize = 24;
const DOCUMENTS: usize = 12;
/// Fewer than the clients, so that some are refused and wait.
const EDITORS: u32 = 10;
/// Longer than a client needs to come back, and so short that the seats of those who do not come back get free.
const GRACE: Duration = Duration::from_millis(900);
const SAVE_DELAY: Duration = Duration::from_millis(150);
/// A process writes a snapshot once in so many milliseconds.
const SNAPSHOTS: [&str; 3] = ["20", "150", "600"];
/// How long a condition may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the host is started with.
fn settings(storage: &str) -> Vec<String> {
    let millis = |time: Duration| time.as_millis().to_string();
    let settings = [
        ("--edit-connections", EDITORS.to_string()),
        ("--grace-ms", millis(GRACE)),
        ("--save-delay-ms", millis(SAVE_DELAY)),
        ("--snapshot-ms", SNAPSHOTS[0].to_owned()),
        ("--ack-timeout-ms", "3000".to_owned()),
        ("--retry-pauses-ms", "20,40".to_owned()),
        ("--storage", storage.to_owned()),
    ];
    settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// The same for an engine of the test.
fn config() -> Config {
    Config::new().edit_limit(Some(EDITORS)).reconnect_grace(Some(GRACE)).save_delay(SAVE_DELAY)
}

fn document_key(number: usize) -> DocumentKey {
    DocumentKey::new(&format!("document-{number}")).expect("a key")
}

/// The beginning of a text, which says whose it is.
fn head(text: &str) -> &str {
    text.split(':').next().unwrap_or_default()
}
