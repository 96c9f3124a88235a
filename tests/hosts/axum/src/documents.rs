//! The texts, and their way into the storage.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};
use std::{collections::HashMap, error::Error, fs};

use axum::extract::{Json, State, ws::Message};
use coedit::{
    Callback, Callbacks, ChangeError, Connection, ConnectionId, Delivery, DocumentKey, Snapshot, Status,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::{Host, Shared, tabs::say};

/// By so much the time of a change may be wrong. A host that numbers its changes compares numbers instead.
const CLOCK_ERROR: Duration = Duration::from_millis(3);

/// A document that was opened since the host started. It stays in memory: this is a toy.
#[derive(Default, Serialize, Deserialize)]
pub struct Document {
    pub text: String,
    /// The queue of each tab, and the access that it was told.
    #[serde(skip)]
    pub tabs: HashMap<ConnectionId, (mpsc::Sender<Message>, Value)>,
}

impl Document {
    /// Sends something to one tab, or to all. A tab whose queue is full is removed: it has lost the line.
    pub fn send(&mut self, to: Option<ConnectionId>, message: &Message) {
        let is_other = |id| to.is_some_and(|to| to != id);
        self.tabs.retain(|id, (queue, _)| is_other(*id) || queue.try_send(message.clone()).is_ok());
    }
}

/// What the engine is asked under this lock is queued in the order in which it was true.
impl Host {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<DocumentKey, Document>> {
        self.documents.lock().expect("nobody panics under this lock")
    }

    /// Does something with a document that is in memory.
    pub fn with<T>(&self, key: &DocumentKey, act: impl FnOnce(&mut Document) -> T) -> Option<T> {
        self.lock().get_mut(key).map(act)
    }

    pub fn users(&self, key: &DocumentKey) -> Value {
        let users = self.engine.participants(key).into_iter();
        users.map(|one| json!({ "user": one.user.id(), "access": one.access })).collect()
    }

    /// Asks the engine what a connection may do. `None` if it has ended, of which the tab hears.
    fn may_do(&self, id: ConnectionId) -> Option<Value> {
        let mut access = json!(self.engine.grant(id)?);
        access["position"] = json!(self.engine.position(id));
        Some(access)
    }

    /// Welcomes a tab. It hears of everything from then on.
    pub fn enter(&self, key: &DocumentKey, connection: &Connection) -> mpsc::Receiver<Message> {
        let mut documents = self.lock();
        let saved = || Document {
            text: fs::read_to_string(self.path(key)).unwrap_or_default(),
            ..Document::default()
        };
        let document = documents.entry(key.clone()).or_insert_with(saved);
        let access = self.may_do(connection.id()).unwrap_or_default();
        let mut welcome = access.clone();
        welcome["connection"] = json!(connection.id().to_bits());
        welcome["token"] = json!(connection.token());
        welcome["users"] = self.users(key);
        welcome["text"] = json!(document.text);
        welcome["saved"] = json!(!self.engine.is_unsaved(key));
        let (queue, receiver) = mpsc::channel(256);
        document.tabs.insert(connection.id(), (queue, access));
        document.send(Some(connection.id()), &say(&json!({ "welcome": welcome })));
        receiver
    }

    /// Tells a tab what it may do now, if that changed or has a cause.
    pub fn tell_access(&self, key: &DocumentKey, id: ConnectionId, cause: Value) {
        self.with(key, |document| {
            let Some((_, told)) = document.tabs.get_mut(&id) else { return };
            let Some(mut access) = self.may_do(id) else { return };
            if *told != access || !cause.is_null() {
                told.clone_from(&access);
                access["cause"] = cause;
                document.send(Some(id), &say(&json!({ "access": access })));
            }
        });
    }

    /// Makes a change if the engine accepts it. The engine is asked under the lock of the text: once a drop of a tab has
    /// returned, nothing of that tab comes into the text.
    pub fn change(&self, key: &DocumentKey, tab: &Connection, text: String) {
        self.with(key, |document| match tab.change() {
            Ok(()) => {
                let others = say(&json!({ "text": text, "saved": false }));
                let author = say(&json!({ "changed": true, "saved": false }));
                let message = |id| if id == tab.id() { author.clone() } else { others.clone() };
                document.tabs.retain(|id, (queue, _)| queue.try_send(message(*id)).is_ok());
                document.text = text;
            }
            Err(error @ ChangeError::ViewOnly) => {
                let refusal = json!({ "refused": error.to_string(), "text": document.text });
                document.send(Some(tab.id()), &say(&refusal));
            }
            Err(_) => {} // the connection has ended, of which the tab hears
        });
    }

    /// A save was made. There may be changes after it.
    pub fn tell_saved(&self, key: &DocumentKey) {
        self.with(key, |document| {
            document.send(None, &say(&json!({ "saved": !self.engine.is_unsaved(key) })));
        });
    }

    pub fn path(&self, key: &DocumentKey) -> PathBuf {
        self.folder.join(format!("{key}.txt")) // a key alone can be `..`
    }

    /// Tells the storage. A delivery that is dropped has failed.
    async fn deliver(&self, mut delivery: Delivery) -> reqwest::Result<()> {
        let mut callback = delivery.callback().clone();
        if callback.lastsave.is_some() {
            let url = format!("{}/text/{}", self.url, callback.key);
            let _ = delivery.kept_at(&url); // if the save is given up, the text is still there
            (callback.url, callback.filetype) = (Some(url), Some("txt".to_owned()));
        }
        let answer: Value = self.client.post(&self.webhook).json(&callback).send().await?.json().await?;
        if answer["error"] == 0 {
            delivery.ack();
        }
        Ok(())
    }

    /// Saves a document.
    async fn save(&self, callback: &Callback) -> Result<(), Box<dyn Error>> {
        let url = callback.url.as_deref().ok_or("a save has a url")?;
        let time = Duration::from_millis(callback.lastsave.ok_or("a save has a time")?.as_millis());
        let text = self.client.get(url).send().await?.error_for_status()?.bytes().await?;
        let write = || self.write(&self.path(&callback.key), &text, SystemTime::UNIX_EPOCH + time);
        Ok(block_in_place(write)?)
    }

    /// Keeps what the next process begins with: the engine, suspended or as it is now, and the texts.
    pub fn keep(&self, suspended: Option<Snapshot>) -> io::Result<()> {
        let now = || SystemTime::from(self.engine.now());
        let (snapshot, texts, time) = {
            let documents = self.lock(); // no change comes between the snapshot and the texts
            let time = now() + CLOCK_ERROR;
            let snapshot = suspended.unwrap_or_else(|| self.engine.snapshot());
            while now() <= time + CLOCK_ERROR {
                std::thread::sleep(Duration::from_millis(1)); // all changes after this are later than `time`
            }
            (snapshot, json!(*documents), Timestamp::from(time))
        };
        let state = json!({ "engine": snapshot, "texts": texts, "time": time });
        let _one_at_a_time = self.writing.lock().expect("nobody panics under this lock");
        self.replace(&self.folder.join("state.json"), state.to_string().as_bytes(), SystemTime::now())
    }

    /// Takes the texts that the storage got after the process before had kept its own, at `time`, and crashed.
    pub fn catch_up(&self, time: SystemTime) -> io::Result<()> {
        for (key, document) in self.lock().iter_mut() {
            if is_later(&self.path(key), time) {
                document.text = fs::read_to_string(self.path(key))?;
            }
        }
        Ok(())
    }

    /// Writes the file of a save. Never replaces a later one.
    fn write(&self, path: &Path, bytes: &[u8], time: SystemTime) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().expect("nobody panics under this lock");
        if is_later(path, time) { Ok(()) } else { self.replace(path, bytes, time) }
    }

    /// Writes a file beside its place, for its owner alone, and moves it there: whatever happens, one of both is whole.
    fn replace(&self, path: &Path, bytes: &[u8], time: SystemTime) -> io::Result<()> {
        let beside = self.folder.join("new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.set_modified(time)?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        fs::File::open(&self.folder)?.sync_all() // else a power cut could undo the move
    }
}

/// Keeps snapshots for the case that this process crashes.
pub async fn keep_again_and_again(host: &Host, every: Duration) {
    loop {
        if let Err(error) = block_in_place(|| host.keep(None)) {
            eprintln!("the last snapshot stays: {error}");
        }
        sleep(every).await;
    }
}

/// Returns true if there is a file that was modified after `time`.
fn is_later(path: &Path, time: SystemTime) -> bool {
    fs::metadata(path).and_then(|file| file.modified()).is_ok_and(|there| there > time)
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
pub async fn webhook(State(host): Shared, Json(callback): Json<Callback>) -> Json<Value> {
    let mut mode = host.storage_mode.subscribe();
    let hang = format!("hang {}", callback.key);
    let works = mode.wait_for(|mode| mode != "hang" && *mode != hang).await.is_ok_and(|mode| *mode != "fail");
    let saved = match callback.status {
        Status::Save | Status::ForceSave if works => host.save(&callback).await.is_ok(),
        _ => works,
    };
    Json(json!({ "error": u8::from(!saved) }))
}
