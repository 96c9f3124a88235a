//! A document storage that a test rules: it remembers what it heard, leaves chosen documents without an answer, and
//! passes the rest on to the host's own storage.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::host::Host;

/// A storage on a free port. It serves until the test ends.
pub struct Storage {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    heard: Mutex<Vec<Value>>,
    hanging: watch::Sender<HashSet<String>>,
    /// The host's own storage, once the host runs.
    behind: watch::Sender<Option<String>>,
    http: Client,
}

impl Storage {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/storage", listener.local_addr().expect("an address"));
        let http = Client::builder().no_proxy().build().expect("an HTTP client");
        let (hanging, behind) = (watch::Sender::default(), watch::Sender::default());
        let inner = Arc::new(Inner { heard: Mutex::default(), hanging, behind, http });
        let router = Router::new().route("/storage", post(take)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Passes callbacks on to the storage of `host` from now on.
    pub fn forward_to(&self, host: &Host) {
        self.inner.behind.send_replace(Some(host.url("/storage")));
    }

    /// Leaves the callbacks of this document without an answer.
    pub fn hang(&self, key: &str) {
        self.inner.hanging.send_modify(|hanging| _ = hanging.insert(key.to_owned()));
    }

    /// Answers everything again, also what hangs.
    pub fn answer(&self) {
        self.inner.hanging.send_modify(HashSet::clear);
    }

    /// The callbacks of a document so far, in order.
    pub fn heard(&self, key: &str) -> Vec<Value> {
        let heard = self.inner.heard.lock().expect("no panic under the lock");
        heard.iter().filter(|callback| callback["key"] == key).cloned().collect()
    }
}

/// Takes one callback: remembers it, hangs if its document does, and passes it on.
async fn take(State(inner): State<Arc<Inner>>, body: String) -> Result<String, StatusCode> {
    let callback: Value = serde_json::from_str(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let key = callback["key"].as_str().unwrap_or_default().to_owned();
    inner.heard.lock().expect("no panic under the lock").push(callback);
    let gone = |_| StatusCode::SERVICE_UNAVAILABLE;
    inner.hanging.subscribe().wait_for(|hanging| !hanging.contains(&key)).await.map_err(gone)?;
    let behind = inner.behind.subscribe().wait_for(Option::is_some).await.map_err(gone)?.clone();
    let request = inner.http.post(behind.unwrap_or_default()).header("content-type", "application/json");
    let reply = request.body(body).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    reply.text().await.map_err(|_| StatusCode::BAD_GATEWAY)
}
