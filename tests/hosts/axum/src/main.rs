//! A small host of coedit: plain texts that people edit together over WebSockets, saved through a webhook.
//!
//! `tabs.rs` has the life of a tab, `documents.rs` the texts and the storage, and this file the start and the stop.

mod documents;
mod tabs;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use clap::Parser;
use coedit::{Config, DocumentKey, Engine, Snapshot};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use documents::{Documents, Storage};

#[derive(Parser)]
struct Settings {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder of the saved documents, and of what is kept over a restart
    #[arg(long, default_value = "target/example-data")]
    data: PathBuf,
    #[arg(long, default_value_t = 2)]
    edit_connections: u32,
    #[arg(long, default_value = "60000", value_parser = millis)]
    grace_ms: Duration,
    #[arg(long, value_parser = millis)]
    idle_ms: Option<Duration>,
    #[arg(long, value_parser = millis)]
    idle_when_wanted_ms: Option<Duration>,
    #[arg(long, default_value = "10000", value_parser = millis)]
    expiry_warning_ms: Duration,
    #[arg(long, default_value = "2000", value_parser = millis)]
    save_delay_ms: Duration,
    #[arg(long, default_value = "10000", value_parser = millis)]
    ack_timeout_ms: Duration,
    #[arg(long, default_value = "1000,2000,4000", value_delimiter = ',', value_parser = millis)]
    retry_pauses_ms: Vec<Duration>,
    /// The webhook that gets the callbacks [default: this host's own /storage]
    #[arg(long)]
    storage: Option<String>,
}

fn millis(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

impl Settings {
    fn config(&self) -> Config {
        Config::new()
            .edit_limit(Some(self.edit_connections))
            .reconnect_grace(Some(self.grace_ms))
            .idle(self.idle_ms)
            .idle_when_wanted(self.idle_when_wanted_ms)
            .expiry_warning(self.expiry_warning_ms)
            .save_delay(self.save_delay_ms)
            .ack_timeout(Some(self.ack_timeout_ms))
            .retry_pauses(self.retry_pauses_ms.clone())
            .presence(true)
    }

    fn state_file(&self) -> PathBuf {
        self.data.join("state.json")
    }
}

/// What all routes and tasks share.
pub struct Host {
    pub engine: Engine,
    pub documents: Documents,
    pub storage: Storage,
    /// Changes when the host stops. Each tab holds a receiver.
    pub stopping: watch::Sender<bool>,
}

/// What is kept over a restart.
#[derive(Deserialize)]
struct SavedState {
    engine: Snapshot,
    texts: HashMap<DocumentKey, String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::parse();
    fs::create_dir_all(&settings.data)?;
    let listener = TcpListener::bind(settings.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let host = Arc::new(start(&settings, &url)?);
    let mut stop = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    println!("listening on {url}");
    let server = tokio::spawn(axum::serve(listener, routes(host.clone())).into_future());
    let [terminate, interrupt] = &mut stop;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    suspend(&host, &settings.state_file()).await?;
    server.abort();
    Ok(())
}

/// Makes the engine, of the state of the process before if there is one, and starts what serves it.
fn start(settings: &Settings, url: &str) -> Result<Host, Box<dyn Error>> {
    let mut texts = HashMap::new();
    let engine = match fs::read(settings.state_file()) {
        Ok(state) => {
            let state: SavedState = serde_json::from_slice(&state)?;
            texts = state.texts;
            let engine = Engine::restore(settings.config(), state.engine)?;
            fs::remove_file(settings.state_file())?; // a token must not come back to life twice
            engine
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Engine::new(settings.config())?,
        Err(error) => return Err(error.into()),
    };
    let storage = Storage::new(&settings.data, url, settings.storage.clone(), settings.ack_timeout_ms)?;
    let documents = Documents::new(engine.clone(), storage.clone(), texts);
    tokio::spawn(documents::forward(storage.clone(), engine.callbacks()));
    // Where the storage hangs, callbacks of all kinds pile up. These workers stay free for saves.
    tokio::spawn(documents::forward(storage.clone(), engine.save_callbacks()));
    let (notices, to) = (engine.notices(), documents.clone());
    std::thread::spawn(move || notices.iter().for_each(|notice| tabs::route(&to, &notice)));
    Ok(Host { engine, documents, storage, stopping: watch::Sender::new(false) })
}

fn routes(host: Arc<Host>) -> Router {
    let page = || async { Html(include_str!("page.html")) };
    Router::new()
        .route("/", get(page))
        .route("/admin", get(page))
        .route("/ws", get(tabs::upgrade))
        .route("/storage", post(documents::webhook))
        .route("/storage/mode", get(documents::mode).post(documents::set_mode))
        .route("/text/{key}", get(documents::text))
        .route("/files/{key}", get(documents::file))
        .with_state(host)
}

/// Stops the engine while people type, writes down what the next process needs, and asks the tabs to come back.
///
/// The host listens until then, because its own storage may have to answer. The engine lets nobody in any more.
async fn suspend(host: &Arc<Host>, state_file: &Path) -> Result<(), Box<dyn Error>> {
    let engine = host.engine.clone();
    let snapshot = tokio::task::spawn_blocking(move || engine.suspend(Duration::from_secs(5))).await?;
    // After the engine has stopped it accepts no change, so that these texts are the last ones.
    let state = json!({ "engine": snapshot, "texts": host.documents.texts() });
    documents::write_file(state_file, state.to_string().as_bytes(), None)?;
    host.stopping.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(2), host.stopping.closed()).await;
    Ok(())
}
