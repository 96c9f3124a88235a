//! A small host of coedit: people edit plain texts together, and a webhook saves them.
//!
//! `tabs.rs` has the life of a tab, `documents.rs` the texts and the storage, and this file the start and the stop.

mod documents;
mod tabs;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use clap::Parser;
use coedit::{Config, DocumentKey, Engine, Snapshot};
use serde::Deserialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use documents::Document;

#[derive(Parser)]
struct Settings {
    /// Port 0 takes a free one
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
    /// The webhook that gets the callbacks [default: /storage of this host]
    #[arg(long)]
    storage: Option<String>,
}

fn millis(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_millis)
}

/// What all routes and tasks share.
struct Host {
    engine: Engine,
    /// One lock for all. A bigger host has one for each document.
    documents: Mutex<HashMap<DocumentKey, Document>>,
    client: reqwest::Client,
    url: String,
    webhook: String,
    folder: PathBuf,
    /// Held while a file is written.
    saving: Mutex<()>,
    /// How this host's own storage works: `ok`, `fail` or `hang`.
    storage_mode: watch::Sender<String>,
    /// Changes when the host stops. Each tab has a receiver.
    stopping: watch::Sender<bool>,
}

/// What is kept over a restart. It is secret: it holds the tokens of the tabs.
#[derive(Deserialize)]
struct Kept {
    engine: Snapshot,
    texts: HashMap<DocumentKey, Document>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::parse();
    let kept_file = settings.data.join("state.json");
    let listener = tokio::net::TcpListener::bind(settings.listen).await?;
    let host = start(settings, format!("http://{}", listener.local_addr()?))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("listening on {}", host.url);
    // It serves until the end: its own storage has to answer while the engine stops.
    tokio::spawn(axum::serve(listener, routes(host.clone())).into_future());
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }

    let engine = host.engine.clone();
    let snapshot = tokio::task::spawn_blocking(move || engine.suspend(Duration::from_secs(5))).await?;
    // From here on the engine accepts no change, so the texts are final. The tabs come back to the next process.
    let kept = json!({ "engine": snapshot, "texts": *host.lock() });
    documents::write_file(&kept_file, kept.to_string().as_bytes(), SystemTime::now())?;
    host.stopping.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(2), host.stopping.closed()).await;
    Ok(())
}

/// Starts the engine, with what the process before left, and those who listen to it.
fn start(settings: Settings, url: String) -> Result<Arc<Host>, Box<dyn Error>> {
    std::fs::create_dir_all(&settings.data)?;
    let config = Config::new()
        .edit_limit(Some(settings.edit_connections))
        .reconnect_grace(Some(settings.grace_ms))
        .idle(settings.idle_ms)
        .idle_when_wanted(settings.idle_when_wanted_ms)
        .expiry_warning(settings.expiry_warning_ms)
        .save_delay(settings.save_delay_ms)
        .ack_timeout(Some(settings.ack_timeout_ms))
        .retry_pauses(settings.retry_pauses_ms)
        .presence(true);
    let kept_file = settings.data.join("state.json");
    let (engine, texts) = if kept_file.exists() {
        let kept: Kept = serde_json::from_slice(&std::fs::read(&kept_file)?)?;
        let engine = Engine::restore(config, kept.engine)?;
        std::fs::remove_file(kept_file)?; // restored twice, it would undo what happened since
        (engine, kept.texts)
    } else {
        (Engine::new(config)?, HashMap::new())
    };
    let host = Arc::new(Host {
        engine,
        documents: Mutex::new(texts),
        // A request ends before the engine takes its delivery for failed.
        client: reqwest::Client::builder().timeout(settings.ack_timeout_ms * 9 / 10).build()?,
        webhook: settings.storage.unwrap_or_else(|| format!("{url}/storage")),
        url,
        folder: settings.data,
        saving: Mutex::default(),
        storage_mode: watch::Sender::new("ok".to_owned()),
        stopping: watch::Sender::new(false),
    });
    let (notices, to) = (host.engine.notices(), host.clone());
    std::thread::spawn(move || notices.iter().for_each(|notice| tabs::route(&to, notice)));
    tokio::spawn(documents::forward(host.clone(), host.engine.callbacks()));
    // Where the storage hangs, callbacks of all kinds pile up. This one is kept free for saves.
    tokio::spawn(documents::forward(host.clone(), host.engine.save_callbacks()));
    Ok(host)
}

fn routes(host: Arc<Host>) -> Router {
    let page = get(async || Html(include_str!("page.html")));
    Router::new()
        .route("/", page.clone())
        .route("/admin", page)
        .route("/ws", get(tabs::upgrade))
        .route("/storage", post(documents::webhook))
        .route("/storage/mode", get(storage_mode).post(set_storage_mode))
        .route("/text/{key}", get(text))
        .route("/files/{key}", get(saved_file))
        .with_state(host)
}

async fn storage_mode(State(host): State<Arc<Host>>) -> String {
    host.storage_mode.borrow().clone()
}

async fn set_storage_mode(State(host): State<Arc<Host>>, mode: String) -> StatusCode {
    if !["ok", "fail", "hang"].contains(&&*mode) {
        return StatusCode::BAD_REQUEST;
    }
    host.storage_mode.send_replace(mode);
    StatusCode::OK
}

async fn text(State(host): State<Arc<Host>>, Path(key): Path<DocumentKey>) -> Result<String, StatusCode> {
    host.with(&key, |document| document.text.clone()).ok_or(StatusCode::NOT_FOUND)
}

async fn saved_file(
    State(host): State<Arc<Host>>,
    Path(key): Path<DocumentKey>,
) -> Result<String, StatusCode> {
    std::fs::read_to_string(host.path(&key)).map_err(|_| StatusCode::NOT_FOUND)
}
