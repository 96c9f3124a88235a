//! The texts, and how they get into the storage.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{self, State};
use axum::http::StatusCode;
use coedit::{
    Callback, Callbacks, ChangeError, Connection, ConnectionId, Delivery, DocumentKey, Engine, Status,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::Host;
use crate::tabs::ToTab;

/// The documents that were opened since the host started. Their texts stay in memory: this is a toy.
#[derive(Clone)]
pub struct Documents {
    engine: Engine,
    storage: Storage,
    /// One lock for all. A bigger host has one for each document.
    open: Arc<Mutex<HashMap<DocumentKey, Document>>>,
}

#[derive(Default)]
struct Document {
    text: String,
    /// The engine holds the truth. This is what the tabs were told.
    unsaved: bool,
    tabs: HashMap<ConnectionId, mpsc::Sender<ToTab>>,
}

impl Document {
    /// Queues something for one tab. A tab that does not read is removed, which ends it.
    fn send(&mut self, id: ConnectionId, what: ToTab) {
        if self.tabs.get(&id).is_some_and(|queue| queue.try_send(what).is_err()) {
            self.tabs.remove(&id);
        }
    }

    fn send_to_all(&mut self, what: &ToTab) {
        self.tabs.retain(|_, queue| queue.try_send(what.clone()).is_ok());
    }

    fn set_unsaved(&mut self, unsaved: bool) {
        if std::mem::replace(&mut self.unsaved, unsaved) != unsaved {
            self.send_to_all(&ToTab::message(&json!({ "saved": !unsaved })));
        }
    }
}

impl Documents {
    /// `texts` are those of the process before.
    pub fn new(engine: Engine, storage: Storage, texts: HashMap<DocumentKey, String>) -> Self {
        let open =
            texts.into_iter().map(|(key, text)| (key, Document { text, ..Document::default() }));
        let mut open: HashMap<_, _> = open.collect();
        for pending in engine.unsaved() {
            open.entry(pending.key).or_default().unsaved = true;
        }
        Documents { engine, storage, open: Arc::new(Mutex::new(open)) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentKey, Document>> {
        self.open.lock().expect("nobody panics under this lock")
    }

    /// Lets a tab hear of the document from now on. Returns the text, and whether it is saved.
    pub fn enter(
        &self,
        key: &DocumentKey,
        id: ConnectionId,
        queue: mpsc::Sender<ToTab>,
    ) -> (String, bool) {
        let mut open = self.lock();
        let document = open.entry(key.clone()).or_insert_with(|| {
            let text = fs::read_to_string(self.storage.path(key)).unwrap_or_default();
            Document { text, ..Document::default() }
        });
        document.tabs.insert(id, queue);
        (document.text.clone(), !document.unsaved)
    }

    pub fn leave(&self, key: &DocumentKey, id: ConnectionId) {
        if let Some(document) = self.lock().get_mut(key) {
            document.tabs.remove(&id);
        }
    }

    /// Applies a change, if the engine accepts it, and tells the other tabs.
    ///
    /// The engine is asked under the lock of the text. So no change of a tab is applied after a drop of it has returned.
    pub fn change(&self, key: &DocumentKey, tab: &Connection, text: String) {
        let mut open = self.lock();
        let Some(document) = open.get_mut(key) else { return };
        match tab.change() {
            Ok(()) => {
                let others = ToTab::message(&json!({ "text": text }));
                let author = ToTab::message(&json!({ "changed": true }));
                document.text = text;
                document.tabs.retain(|id, queue| {
                    queue.try_send(if *id == tab.id() { author.clone() } else { others.clone() }).is_ok()
                });
                document.set_unsaved(true);
            }
            Err(error @ ChangeError::ViewOnly) => {
                let text = document.text.as_str();
                document
                    .send(tab.id(), ToTab::message(&json!({ "refused": error.to_string(), "text": text })));
            }
            // The connection has ended, and the tab hears of that.
            Err(_) => {}
        }
    }

    /// A save was acknowledged. Whether it held everything is the engine's to say.
    pub fn saved(&self, key: &DocumentKey) {
        if let Some(document) = self.lock().get_mut(key) {
            document.set_unsaved(self.engine.unsaved().iter().any(|pending| pending.key == *key));
        }
    }

    pub fn tell(&self, key: &DocumentKey, id: ConnectionId, what: ToTab) {
        if let Some(document) = self.lock().get_mut(key) {
            document.send(id, what);
        }
    }

    pub fn tell_all(&self, key: &DocumentKey, what: &Value) {
        if let Some(document) = self.lock().get_mut(key) {
            document.send_to_all(&ToTab::message(what));
        }
    }

    /// Tells the tabs of a document who is in it.
    pub fn tell_users(&self, key: &DocumentKey) {
        self.tell_all(key, &json!({ "users": self.users(key) }));
    }

    pub fn users(&self, key: &DocumentKey) -> Value {
        let users = self.engine.participants(key).into_iter();
        users.map(|user| json!({ "user": user.user.id(), "access": user.access })).collect()
    }

    /// Some notices were missed: tells every tab anew what a notice could have told.
    pub fn tell_everything(&self) {
        let keys: Vec<_> = self.lock().keys().cloned().collect();
        for key in keys {
            self.saved(&key);
            self.tell_users(&key);
            if let Some(document) = self.lock().get_mut(&key) {
                document.send_to_all(&ToTab::Access(None));
            }
        }
    }

    pub fn texts(&self) -> HashMap<DocumentKey, String> {
        self.lock().iter().map(|(key, document)| (key.clone(), document.text.clone())).collect()
    }
}

/// The document storage: where the webhook is, and what the host's own one needs.
#[derive(Clone)]
pub struct Storage {
    client: reqwest::Client,
    host_url: String,
    webhook: String,
    folder: PathBuf,
    mode: Arc<watch::Sender<String>>,
    writing: Arc<Mutex<()>>,
}

/// How many requests a [`forward`] sends at once.
const REQUESTS: usize = 64;

/// Hands callbacks to the webhook until the engine ends. A hung request holds up its own document only.
pub async fn forward(storage: Storage, callbacks: Callbacks) {
    let requests = Arc::new(Semaphore::new(REQUESTS));
    while let Ok(permit) = requests.clone().acquire_owned().await {
        let Some(delivery) = callbacks.next().await else { return };
        let storage = storage.clone();
        tokio::spawn(async move {
            storage.deliver(delivery).await;
            drop(permit);
        });
    }
}

impl Storage {
    pub fn new(
        folder: &Path,
        url: &str,
        webhook: Option<String>,
        ack_timeout: Duration,
    ) -> reqwest::Result<Self> {
        Ok(Storage {
            // The request ends before the engine takes the delivery for failed.
            client: reqwest::Client::builder().timeout(ack_timeout * 9 / 10).build()?,
            host_url: url.to_owned(),
            webhook: webhook.unwrap_or_else(|| format!("{url}/storage")),
            folder: folder.to_owned(),
            mode: Arc::new(watch::Sender::new("ok".to_owned())),
            writing: Arc::default(),
        })
    }

    fn path(&self, key: &DocumentKey) -> PathBuf {
        self.folder.join(format!("{key}.txt")) // a key may be `..`, so that it is no file name by itself
    }

    async fn deliver(&self, mut delivery: Delivery) {
        let mut callback = delivery.callback().clone();
        if callback.lastsave.is_some() {
            let url = format!("{}/text/{}", self.host_url, callback.key);
            let _ = delivery.kept_at(&url); // in case it is given up: the text is still here
            (callback.url, callback.filetype) = (Some(url), Some("txt".to_owned()));
        }
        match self.post(&callback).await {
            Ok(answer) if answer["error"] == 0 => delivery.ack(),
            _ => delivery.fail(),
        };
    }

    async fn post(&self, callback: &Callback) -> reqwest::Result<Value> {
        self.client.post(&self.webhook).json(callback).send().await?.json().await
    }

    /// Saves a document, unless a later save of it was made before.
    async fn save(&self, callback: &Callback) -> Result<(), Box<dyn Error>> {
        let url = callback.url.as_deref().ok_or("a save needs a url")?;
        let time = callback.lastsave.ok_or("a save needs its time")?;
        let time = UNIX_EPOCH + Duration::from_millis(time.as_millis());
        let text = self.client.get(url).send().await?.error_for_status()?.bytes().await?;
        let _one_at_a_time = self.writing.lock().expect("nobody panics under this lock");
        let path = self.path(&callback.key);
        if fs::metadata(&path).and_then(|there| there.modified()).is_ok_and(|there| there > time) {
            return Ok(());
        }
        Ok(write_file(&path, &text, Some(time))?)
    }
}

/// Writes a file beside its place and moves it there. It is modified at `time`, and only its owner reads it.
pub fn write_file(path: &Path, bytes: &[u8], time: Option<SystemTime>) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    time.map_or(Ok(()), |time| file.set_modified(time))?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// `POST /storage`: the webhook. Its answer counts: nothing is saved before it is given.
pub async fn webhook(State(host): State<Arc<Host>>, Json(callback): Json<Callback>) -> Json<Value> {
    let mut mode = host.storage.mode.subscribe();
    let works = mode.wait_for(|mode| mode != "hang").await.is_ok_and(|mode| *mode == "ok");
    let is_save = matches!(callback.status, Status::Save | Status::ForceSave);
    let done = works && (!is_save || host.storage.save(&callback).await.is_ok());
    Json(json!({ "error": u8::from(!done) }))
}

/// `GET /storage/mode`
pub async fn mode(State(host): State<Arc<Host>>) -> String {
    host.storage.mode.borrow().clone()
}

/// `POST /storage/mode`: makes the storage work, fail or hang, to try what happens.
pub async fn set_mode(State(host): State<Arc<Host>>, mode: String) -> StatusCode {
    if !["ok", "fail", "hang"].contains(&mode.trim()) {
        return StatusCode::BAD_REQUEST;
    }
    host.storage.mode.send_replace(mode.trim().to_owned());
    StatusCode::NO_CONTENT
}

/// `GET /text/KEY`: the text in memory, which the storage fetches.
pub async fn text(
    State(host): State<Arc<Host>>,
    key: extract::Path<DocumentKey>,
) -> Result<String, StatusCode> {
    let open = host.documents.lock();
    open.get(&*key).map(|document| document.text.clone()).ok_or(StatusCode::NOT_FOUND)
}

/// `GET /files/KEY`: the saved file.
pub async fn file(
    State(host): State<Arc<Host>>,
    key: extract::Path<DocumentKey>,
) -> Result<String, StatusCode> {
    fs::read_to_string(host.storage.path(&key)).map_err(|_| StatusCode::NOT_FOUND)
}
