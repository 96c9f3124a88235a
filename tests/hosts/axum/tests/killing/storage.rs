//! A document storage that outlives the host: slow at times, sick at times, and it knows what it has acknowledged.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use coedit::{Callback, DocumentKey, Status, Timestamp};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::random::Random;

/// A file of the storage.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub text: String,
    /// The time of the last change in it.
    pub lastsave: Timestamp,
}

/// A save that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub key: DocumentKey,
    pub at: Timestamp,
    /// How many processes had been killed by then.
    pub kills: u32,
}

/// A storage on a free port. It serves until the test ends.
#[derive(Debug)]
pub struct Storage {
    pub url: String,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    books: Mutex<Books>,
    open: watch::Sender<bool>,
    http: Client,
}

#[derive(Debug)]
struct Books {
    folder: PathBuf,
    files: HashMap<DocumentKey, File>,
    acknowledged: Vec<Acknowledged>,
    kills: u32,
    sick: HashSet<DocumentKey>,
    healthy: bool,
    random: Random,
}

/// What becomes of a request.
struct Manner {
    pause: Duration,
    saves: bool,
    acknowledges: bool,
    kills: u32,
}

impl Storage {
    pub async fn start(random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/storage", listener.local_addr().expect("an address"));
        let books = Books {
            folder: PathBuf::new(),
            files: HashMap::new(),
            acknowledged: Vec::new(),
            kills: 0,
            sick: HashSet::new(),
            healthy: false,
            random,
        };
        let http = Client::builder().no_proxy().timeout(super::PATIENCE).build().expect("an HTTP client");
        let inner = Arc::new(Inner { books: Mutex::new(books), open: watch::Sender::new(true), http });
        let router = Router::new().route("/storage", post(take)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.inner.books()
    }

    /// Keeps its files in this folder, where the host looks for them.
    pub fn keep_in(&self, folder: PathBuf) {
        self.books().folder = folder;
    }

    /// The host was killed: nothing that it began is written any more.
    pub fn host_is_dead(&self) {
        self.books().kills += 1;
    }

    /// Answers nothing until it is opened again.
    pub fn open(&self, open: bool) {
        self.inner.open.send_replace(open);
    }

    /// Saves everything from now on.
    pub fn get_well(&self) {
        self.books().healthy = true;
    }

    pub fn file(&self, key: &DocumentKey) -> Option<File> {
        self.books().files.get(key).cloned()
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.books().acknowledged.clone()
    }
}

impl Inner {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("nobody panics under this lock")
    }

    async fn text(&self, callback: &Callback) -> Option<String> {
        let url = callback.url.as_deref()?;
        self.http.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    }
}

impl Books {
    /// Each document gets sick and well again by turns.
    fn manner(&mut self, key: &DocumentKey) -> Manner {
        let (random, kills) = (&mut self.random, self.kills);
        if self.healthy {
            return Manner { pause: Duration::ZERO, saves: true, acknowledges: true, kills };
        }
        let pause = if random.one_in(8) { random.below(120) } else { random.below(4) };
        if self.sick.contains(key) {
            if random.one_in(6) {
                self.sick.remove(key);
            }
        } else if random.one_in(25) {
            self.sick.insert(key.clone());
        }
        let sick = self.sick.contains(key);
        let saves = !sick || random.one_in(4);
        let acknowledges = !sick && saves && !random.one_in(12);
        Manner { pause: Duration::from_millis(pause as u64), saves, acknowledges, kills }
    }

    /// Never replaces a text by one with earlier changes.
    fn save(&mut self, key: &DocumentKey, file: File) -> io::Result<()> {
        if self.files.get(key).is_some_and(|there| there.lastsave > file.lastsave) {
            return Ok(());
        }
        write(&self.folder.join(format!("{key}.txt")), &file)?;
        self.files.insert(key.clone(), file);
        Ok(())
    }
}

fn write(path: &Path, file: &File) -> io::Result<()> {
    let beside = path.with_extension("part");
    fs::write(&beside, &file.text)?;
    fs::File::options().write(true).open(&beside)?.set_modified(file.lastsave.into())?;
    fs::rename(beside, path)
}

/// Takes one callback.
async fn take(
    State(inner): State<Arc<Inner>>,
    Json(callback): Json<Callback>,
) -> Result<Json<Value>, StatusCode> {
    let gone = StatusCode::SERVICE_UNAVAILABLE;
    inner.open.subscribe().wait_for(|open| *open).await.map_err(|_| gone)?;
    let Manner { pause, saves, acknowledges, kills } = inner.books().manner(&callback.key);
    tokio::time::sleep(pause).await;
    let is_save = matches!(callback.status, Status::Save | Status::ForceSave);
    if is_save && saves {
        let text = inner.text(&callback).await.ok_or(gone)?;
        let mut books = inner.books();
        if books.kills > kills {
            return Err(gone);
        }
        let file = File { text, lastsave: callback.lastsave.ok_or(StatusCode::BAD_REQUEST)? };
        books.save(&callback.key, file).map_err(|_| gone)?;
        if acknowledges {
            let at = SystemTime::now().into();
            books.acknowledged.push(Acknowledged { key: callback.key, at, kills });
        }
    }
    Ok(Json(json!({ "error": u8::from(!acknowledges) })))
}
