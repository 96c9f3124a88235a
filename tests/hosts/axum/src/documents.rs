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
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use coedit::{
    Callback, Callbacks, ChangeError, Connection, ConnectionId, Delivery, DocumentKey, Engine, Status,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::Host;
use crate::tabs::ToTab;

/// A document that was opened since the host started. Its text stays in memory: this is a toy.
#[derive(Default)]
pub struct Document {
    text: String,
    /// How many changes were made, and how many of them a save holds that the storage acknowledged.
    changes: u64,
    saved: u64,
    tabs: HashMap<ConnectionId, mpsc::Sender<ToTab>>,
}

impl Document {
    /// Sends to all tabs, or to one. A tab that does not read what it is sent is removed, and so has lost the line.
    pub fn send(&mut self, to: Option<ConnectionId>, what: &ToTab) {
        self.tabs.retain(|id, queue| to.is_some_and(|to| to != *id) || queue.try_send(what.clone()).is_ok());
    }
}

/// The documents that the process before knew.
pub fn restored(engine: &Engine, texts: HashMap<DocumentKey, String>) -> HashMap<DocumentKey, Document> {
    let documents = texts.into_iter().map(|(key, text)| (key, Document { text, ..Document::default() }));
    let mut documents: HashMap<_, _> = documents.collect();
    for pending in engine.unsaved() {
        documents.entry(pending.key).or_default().changes = 1;
    }
    documents
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentKey, Document>> {
        self.documents.lock().expect("nobody panics under this lock")
    }

    /// Does something with a document that is in memory.
    pub fn with<T>(&self, key: &DocumentKey, act: impl FnOnce(&mut Document) -> T) -> Option<T> {
        self.lock().get_mut(key).map(act)
    }

    /// Removes all tabs, so that they come back and are told everything anew.
    pub fn remove_tabs(&self) {
        self.lock().values_mut().for_each(|document| document.tabs.clear());
    }

    pub fn texts(&self) -> HashMap<DocumentKey, String> {
        self.lock().iter().map(|(key, document)| (key.clone(), document.text.clone())).collect()
    }

    /// Lets a tab hear of the document from now on. Returns the text, and whether it is saved.
    pub fn enter(&self, key: &DocumentKey, id: ConnectionId, queue: mpsc::Sender<ToTab>) -> (String, bool) {
        let mut documents = self.lock();
        let document = documents.entry(key.clone()).or_insert_with(|| Document {
            text: fs::read_to_string(self.path(key)).unwrap_or_default(),
            ..Document::default()
        });
        document.tabs.insert(id, queue);
        (document.text.clone(), document.changes == document.saved)
    }

    pub fn leave(&self, key: &DocumentKey, id: ConnectionId) {
        self.with(key, |document| document.tabs.remove(&id));
    }

    /// Makes a change, if the engine accepts it. The engine is asked under the lock of the text, so that nothing of a tab
    /// comes into the text after a drop of it has returned.
    pub fn change(&self, key: &DocumentKey, tab: &Connection, text: String) {
        self.with(key, |document| match tab.change() {
            Ok(()) => {
                let [others, author] =
                    [json!({ "text": text }), json!({ "changed": true })].map(ToTab::message);
                let message = |id| if id == tab.id() { &author } else { &others };
                document.tabs.retain(|id, queue| queue.try_send(message(*id).clone()).is_ok());
                document.text = text;
                document.changes += 1;
                if document.changes == document.saved + 1 {
                    document.send(None, &ToTab::message(json!({ "saved": false })));
                }
            }
            Err(error @ ChangeError::ViewOnly) => {
                let refusal = json!({ "refused": error.to_string(), "text": document.text });
                document.send(Some(tab.id()), &ToTab::message(refusal));
            }
            Err(_) => {} // the connection has ended, which the tab is about to hear
        });
    }

    fn path(&self, key: &DocumentKey) -> PathBuf {
        self.folder.join(format!("{key}.txt")) // a key can be `..`, which is no name of a file
    }

    /// Tells the storage, and settles the delivery by its answer.
    async fn deliver(&self, mut delivery: Delivery) {
        let mut callback = delivery.callback().clone();
        let key = callback.key.clone();
        // What the storage fetches from now on holds these changes at least.
        let changes = self.with(&key, |document| document.changes).unwrap_or_default();
        if callback.lastsave.is_some() {
            let url = format!("{}/text/{key}", self.url);
            let _ = delivery.kept_at(&url); // in case the save is given up: the text is still here
            (callback.url, callback.filetype) = (Some(url), Some("txt".to_owned()));
        }
        let is_save = matches!(callback.status, Status::Save | Status::ForceSave);
        if !self.post(&callback).await.is_ok_and(|answer| answer["error"] == 0) {
            delivery.fail();
        } else {
            delivery.ack();
            if is_save {
                self.with(&key, |document| {
                    document.saved = document.saved.max(changes);
                    let saved = document.saved == document.changes;
                    document.send(None, &ToTab::message(json!({ "saved": saved })));
                });
            }
        }
    }

    async fn post(&self, callback: &Callback) -> reqwest::Result<Value> {
        self.client.post(&self.webhook).json(callback).send().await?.json().await
    }

    /// Saves a document, unless there is a later save of it.
    async fn save(&self, callback: &Callback) -> Result<(), Box<dyn Error>> {
        let url = callback.url.as_deref().ok_or("a save has a url")?;
        let time = callback.lastsave.ok_or("a save has a time")?.as_millis();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time);
        let text = self.client.get(url).send().await?.error_for_status()?.bytes().await?;
        let path = self.path(&callback.key);
        tokio::task::block_in_place(|| {
            let _one_at_a_time = self.saving.lock().expect("nobody panics under this lock");
            let is_later = |file: fs::Metadata| file.modified().is_ok_and(|modified| modified > time);
            if fs::metadata(&path).is_ok_and(is_later) {
                Ok(())
            } else {
                write_file(&path, &text, Some(time))
            }
        })?;
        Ok(())
    }
}

/// Writes a file beside its place, for its owner alone, and moves it there.
pub fn write_file(path: &Path, bytes: &[u8], modified: Option<SystemTime>) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    modified.map_or(Ok(()), |time| file.set_modified(time))?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// Hands the callbacks to the storage, each in a task of its own, so that a hung request delays its own document alone.
pub async fn forward(host: Arc<Host>, callbacks: Callbacks) {
    let requests = Arc::new(Semaphore::new(64));
    while let Ok(request) = requests.clone().acquire_owned().await {
        let Some(delivery) = callbacks.next().await else { return };
        let host = host.clone();
        tokio::spawn(async move {
            host.deliver(delivery).await;
            drop(request);
        });
    }
}

/// The storage. It answers when the file is written, and not before.
pub async fn webhook(State(host): State<Arc<Host>>, Json(callback): Json<Callback>) -> Json<Value> {
    let mut mode = host.storage_mode.subscribe();
    let works = mode.wait_for(|mode| mode != "hang").await.is_ok_and(|mode| *mode == "ok");
    let is_save = matches!(callback.status, Status::Save | Status::ForceSave);
    let done = works && (!is_save || host.save(&callback).await.is_ok());
    Json(json!({ "error": u8::from(!done) }))
}

pub async fn mode(State(host): State<Arc<Host>>) -> String {
    host.storage_mode.borrow().clone()
}

pub async fn set_mode(State(host): State<Arc<Host>>, mode: String) -> StatusCode {
    if !["ok", "fail", "hang"].contains(&&*mode) {
        return StatusCode::BAD_REQUEST;
    }
    host.storage_mode.send_replace(mode);
    StatusCode::OK
}

/// The text in memory, which the storage fetches.
pub async fn text(State(host): State<Arc<Host>>, key: UrlPath<DocumentKey>) -> Result<String, StatusCode> {
    host.with(&key, |document| document.text.clone()).ok_or(StatusCode::NOT_FOUND)
}

/// The text as it was saved.
pub async fn file(State(host): State<Arc<Host>>, key: UrlPath<DocumentKey>) -> Result<String, StatusCode> {
    fs::read_to_string(host.path(&key)).map_err(|_| StatusCode::NOT_FOUND)
}
