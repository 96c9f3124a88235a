//! The texts, and their way into the storage.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use coedit::{Callback, Callbacks, ChangeError, Connection, ConnectionId, Delivery, DocumentKey, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::Host;
use crate::tabs::{ToTab, say};

/// A document that was opened since the host started. It stays in memory: this is a toy.
#[derive(Default, Serialize, Deserialize)]
pub struct Document {
    pub text: String,
    /// How many changes were made, and how many of them are in a save that the storage acknowledged.
    changes: u64,
    saved: u64,
    #[serde(skip)]
    pub tabs: HashMap<ConnectionId, mpsc::Sender<ToTab>>,
}

impl Document {
    /// Sends something to one tab, or to all. A tab whose queue is full is removed: it has lost the line.
    pub fn send(&mut self, to: Option<ConnectionId>, what: &ToTab) {
        self.tabs.retain(|id, queue| to.is_some_and(|to| to != *id) || queue.try_send(what.clone()).is_ok());
    }
}

impl Host {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<DocumentKey, Document>> {
        self.documents.lock().expect("nobody panics under this lock")
    }

    /// Does something with a document that is in memory.
    pub fn with<T>(&self, key: &DocumentKey, act: impl FnOnce(&mut Document) -> T) -> Option<T> {
        self.lock().get_mut(key).map(act)
    }

    /// Lets a tab hear of the document from now on. Returns the text, and whether it is saved.
    pub fn enter(&self, key: &DocumentKey, id: ConnectionId, queue: mpsc::Sender<ToTab>) -> (String, bool) {
        let mut documents = self.lock();
        let document = documents.entry(key.clone()).or_default();
        if document.changes == 0 {
            document.text = fs::read_to_string(self.path(key)).unwrap_or_default();
        }
        document.tabs.insert(id, queue);
        (document.text.clone(), document.saved == document.changes)
    }

    /// Makes a change if the engine accepts it. The engine is asked under the lock of the text: once a drop of a tab has
    /// returned, nothing of that tab comes into the text.
    pub fn change(&self, key: &DocumentKey, tab: &Connection, text: String) {
        self.with(key, |document| match tab.change() {
            Ok(()) => {
                let (author, others) = (say(&json!({ "changed": true })), say(&json!({ "text": text })));
                let message = |id| if id == tab.id() { author.clone() } else { others.clone() };
                document.tabs.retain(|id, queue| queue.try_send(message(*id)).is_ok());
                document.text = text;
                document.changes += 1;
                if document.changes == document.saved + 1 {
                    document.send(None, &say(&json!({ "saved": false })));
                }
            }
            Err(error @ ChangeError::ViewOnly) => {
                let refusal = json!({ "refused": error.to_string(), "text": document.text });
                document.send(Some(tab.id()), &say(&refusal));
            }
            Err(_) => {} // the connection has ended, of which the tab hears
        });
    }

    pub fn path(&self, key: &DocumentKey) -> PathBuf {
        self.folder.join(format!("{key}.txt")) // a key alone can be `..`
    }

    /// Tells the storage. A delivery that is dropped has failed.
    async fn deliver(&self, mut delivery: Delivery) -> reqwest::Result<()> {
        let mut callback = delivery.callback().clone();
        let key = callback.key.clone();
        if callback.lastsave.is_some() {
            let url = format!("{}/text/{key}", self.url);
            let _ = delivery.kept_at(&url); // if the save is given up, the text is still there
            (callback.url, callback.filetype) = (Some(url), Some("txt".to_owned()));
        }
        // What the storage fetches from now on holds these changes. The engine counts a force save as no save of a
        // document that is open, so the host counts for itself.
        let changes = self.with(&key, |document| document.changes).unwrap_or_default();
        let answer: Value = self.client.post(&self.webhook).json(&callback).send().await?.json().await?;
        if answer["error"] == 0 {
            delivery.ack();
            if is_save(&callback) {
                self.with(&key, |document| {
                    document.saved = document.saved.max(changes);
                    let saved = document.saved == document.changes;
                    document.send(None, &say(&json!({ "saved": saved })));
                });
            }
        }
        Ok(())
    }

    /// Saves a document.
    async fn save(&self, callback: &Callback) -> Result<(), Box<dyn Error>> {
        let url = callback.url.as_deref().ok_or("a save has a url")?;
        let time = Duration::from_millis(callback.lastsave.ok_or("a save has a time")?.as_millis());
        let text = self.client.get(url).send().await?.error_for_status()?.bytes().await?;
        let write = || self.write(&self.path(&callback.key), &text, SystemTime::UNIX_EPOCH + time);
        Ok(tokio::task::block_in_place(write)?)
    }

    /// Writes a file beside its place, for its owner alone, and moves it there. Never replaces a later one.
    pub fn write(&self, path: &Path, bytes: &[u8], time: SystemTime) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().expect("nobody panics under this lock");
        if fs::metadata(path).and_then(|file| file.modified()).is_ok_and(|there| there > time) {
            return Ok(());
        }
        let beside = self.folder.join("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.set_modified(time)?;
        file.sync_all()?;
        fs::rename(beside, path)
    }
}

fn is_save(callback: &Callback) -> bool {
    matches!(callback.status, Status::Save | Status::ForceSave)
}

/// Hands callbacks to the storage, each in a task of its own: a request that hangs delays its own document alone.
pub async fn forward(host: Arc<Host>, callbacks: Callbacks) {
    let requests = Arc::new(Semaphore::new(64));
    while let Ok(request) = requests.clone().acquire_owned().await {
        let Some(delivery) = callbacks.next().await else { return };
        let host = host.clone();
        tokio::spawn(async move {
            let _ = host.deliver(delivery).await;
            drop(request);
        });
    }
}

/// This host's own storage. It answers when the file is written, and not before.
pub async fn webhook(State(host): State<Arc<Host>>, Json(callback): Json<Callback>) -> Json<Value> {
    let mut mode = host.storage_mode.subscribe();
    let works = mode.wait_for(|mode| mode != "hang").await.is_ok_and(|mode| *mode == "ok");
    let done = works && (!is_save(&callback) || host.save(&callback).await.is_ok());
    Json(json!({ "error": u8::from(!done) }))
}
