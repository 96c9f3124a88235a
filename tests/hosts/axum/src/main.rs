//! A small host of coedit: people edit plain texts together, and a webhook saves them.
//!
//! `tabs.rs` has the life of a tab, `documents.rs` the texts and the storage, and this file the start and the stop.

mod documents;
mod tabs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{collections::HashMap, error::Error, num::ParseIntError};

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Router, body::Bytes, http::StatusCode, response::Html};
use coedit::{Config, DocumentKey, Engine, Timestamp};
use serde_json::{Value, from_value};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::block_in_place;

use documents::Document;

type Shared = State<Arc<Host>>;

/// What all routes and tasks share.
struct Host {
    engine: Engine,
    documents: Mutex<HashMap<DocumentKey, Document>>, // one lock for all: a bigger host has one for each
    client: reqwest::Client,
    url: String,
    webhook: String,
    folder: PathBuf,
    writing: Mutex<()>,                  // held while a file is written
    storage_mode: watch::Sender<String>, // how this host's own storage works: `ok`, `fail`, `hang` or `hang KEY`
    stopping: watch::Sender<bool>,       // turns true when the host stops
}

/// Returns what stands after `name` on the command line, or else the default.
fn setting(name: &str, default: &str) -> String {
    std::env::args().skip_while(|argument| argument != name).nth(1).unwrap_or_else(|| default.to_owned())
}

/// Returns a setting that is a list of times in milliseconds.
fn millis(name: &str, default: &str) -> Result<Vec<Duration>, ParseIntError> {
    setting(name, default).split_terminator(',').map(|time| time.parse().map(Duration::from_millis)).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind(setting("--listen", "127.0.0.1:8080")).await?;
    let host = start(format!("http://{}", listener.local_addr()?))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("listening on {}", host.url);
    // It serves until the end, because its own storage has to answer while the engine stops.
    tokio::spawn(axum::serve(listener, routes(host.clone())).into_future());
    let every = millis("--snapshot-ms", "2000")?.pop().ok_or("there is a time between snapshots")?;
    let snapshots = documents::keep_again_and_again(&host, every);
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, () = snapshots => {} }

    // The engine accepts no change any more, so the texts are final. The tabs come back to the next process.
    let snapshot = block_in_place(|| host.engine.suspend(Duration::from_secs(5)));
    block_in_place(|| host.keep(Some(snapshot)))?;
    host.stopping.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(2), host.stopping.closed()).await;
    Ok(())
}

fn config(ack_timeout: Duration) -> Result<Config, Box<dyn Error>> {
    Ok(Config::new()
        .edit_limit(Some(setting("--edit-connections", "2").parse()?))
        .reconnect_grace(millis("--grace-ms", "60000")?.pop())
        .idle(millis("--idle-ms", "")?.pop())
        .idle_when_wanted(millis("--idle-when-wanted-ms", "")?.pop())
        .expiry_warning(millis("--expiry-warning-ms", "10000")?.pop().unwrap_or_default())
        .save_delay(millis("--save-delay-ms", "2000")?.pop().unwrap_or_default())
        .ack_timeout(Some(ack_timeout))
        .retry_pauses(millis("--retry-pauses-ms", "1000,2000,4000")?)
        .presence(true))
}

/// Starts the engine, with what the process before left, and those who listen to it.
fn start(url: String) -> Result<Arc<Host>, Box<dyn Error>> {
    let ack_timeout = millis("--ack-timeout-ms", "10000")?.pop().ok_or("there is an ack time-out")?;
    let config = config(ack_timeout)?;
    let folder = PathBuf::from(setting("--data", "target/example-data"));
    std::fs::create_dir_all(&folder)?;
    let state_file = folder.join("state.json");
    let (engine, documents, time) = if state_file.exists() {
        let mut state: Value = serde_json::from_slice(&std::fs::read(state_file)?)?;
        let engine = Engine::restore(config, from_value(state["engine"].take())?)?;
        let time: Timestamp = from_value(state["time"].take())?;
        (engine, from_value(state["texts"].take())?, time.into())
    } else {
        (Engine::new(config)?, Mutex::default(), SystemTime::UNIX_EPOCH)
    };
    let timeout = ack_timeout * 9 / 10; // a request ends before the engine takes its delivery for failed
    let host = Arc::new(Host {
        engine,
        documents,
        client: reqwest::Client::builder().no_proxy().timeout(timeout).build()?,
        webhook: setting("--storage", &format!("{url}/storage")),
        url,
        folder,
        writing: Mutex::default(),
        storage_mode: watch::Sender::new("ok".to_owned()),
        stopping: watch::Sender::new(false),
    });
    host.catch_up(time)?;
    let (notices, to) = (host.engine.notices(), host.clone());
    std::thread::spawn(move || notices.iter().for_each(|notice| tabs::route(&to, &notice)));
    tokio::spawn(documents::forward(host.clone(), host.engine.callbacks()));
    // Where the storage hangs, callbacks of all kinds pile up. This one is kept free for saves.
    tokio::spawn(documents::forward(host.clone(), host.engine.save_callbacks()));
    Ok(host)
}

fn routes(host: Arc<Host>) -> Router {
    let page = get(async || Html(include_str!("page.html")));
    let command = async |State(host): Shared, request: Bytes| host.engine.command(&request);
    let text_type = [("content-type", "text/plain; version=0.0.4")];
    let metrics = async move |State(host): Shared| (text_type, host.engine.stats().to_prometheus());
    let mode = async |State(host): Shared| host.storage_mode.borrow().clone();
    let set_mode = async |State(host): Shared, mode: String| drop(host.storage_mode.send_replace(mode));
    let text = async |State(host): Shared, Path(key): Path<DocumentKey>| {
        host.with(&key, |document| document.text.clone()).ok_or(StatusCode::NOT_FOUND)
    };
    let file = async |State(host): Shared, Path(key): Path<DocumentKey>| {
        std::fs::read_to_string(host.path(&key)).map_err(|_| StatusCode::NOT_FOUND)
    };
    Router::new()
        .route("/", page.clone())
        .route("/admin", page)
        .route("/ws", get(tabs::upgrade))
        .route("/command", post(command))
        .route("/metrics", get(metrics))
        .route("/storage", post(documents::webhook))
        .route("/storage/mode", get(mode).post(set_mode))
        .route("/text/{key}", get(text))
        .route("/files/{key}", get(file))
        .with_state(host)
}
