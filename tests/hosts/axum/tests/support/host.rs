//! A host process with a data folder of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{same, until};

const GREETING: &str = "listening on http://127.0.0.1:";
const LOG: &str = "host.log";

/// A running host. It is killed when the test ends; a test that fails prints what the host wrote.
pub struct Host {
    home: TempDir,
    settings: Vec<String>,
    process: Child,
    port: u16,
    http: Client,
}

impl Host {
    /// Starts a host on a free port.
    pub async fn start(settings: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (process, port) = launch(home.path(), &settings, 0).await;
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
        Self { home, settings, process, port, http: http.expect("an HTTP client") }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks the host to stop, and waits until its process has ended.
    pub async fn stop(&mut self) -> ExitStatus {
        kill_process(self.id(), Signal::TERM).expect("the host takes a signal");
        timeout(super::PATIENCE, self.process.wait())
            .await
            .expect("the host stops in time")
            .expect("its status")
    }

    /// Starts the stopped host again, on the same port and data folder.
    pub async fn start_again(&mut self) {
        (self.process, self.port) = launch(self.home.path(), &self.settings, self.port).await;
    }

    /// Starts the dead host again, on a free port and the same data folder.
    pub async fn start_elsewhere(&mut self) {
        (self.process, self.port) = launch(self.home.path(), &self.settings, 0).await;
    }

    /// Starts the dead host again, and kills it when it has had so much time.
    pub async fn start_and_kill(&mut self, after: Duration) {
        self.process = spawn(self.home.path(), &self.settings, 0);
        tokio::time::sleep(after).await;
        self.process.kill().await.expect("the host is killed");
    }

    /// Changes a setting of the next process.
    pub fn set(&mut self, name: &str, value: &str) {
        let at = self.settings.iter().position(|setting| setting == name).expect("it has this setting");
        value.clone_into(&mut self.settings[at + 1]);
    }

    pub fn id(&self) -> Pid {
        let id = self.process.id().expect("the host runs");
        Pid::from_raw(id.try_into().expect("a process id")).expect("not zero")
    }

    /// Waits until the process has ended, which was killed.
    pub async fn killed(&mut self) {
        let ended = timeout(super::PATIENCE, self.process.wait()).await.expect("the host ends in time");
        assert_eq!(ended.expect("its status").signal(), Some(Signal::KILL.as_raw()));
    }

    /// Returns true if the process has not ended.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().expect("its status").is_none()
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Sends a command of the command service, which has to succeed. Returns the reply.
    pub async fn command(&self, command: Value) -> Value {
        let reply = self.http.post(self.url("/command")).body(command.to_string()).send().await;
        let reply = reply.expect("a reply").bytes().await.expect("its body");
        let reply: Value = serde_json::from_slice(&reply).expect("a reply in JSON");
        assert_eq!(reply["error"], json!(0), "{command} was answered {reply}");
        reply
    }

    /// Makes the host's own storage work (`ok`), answer with an error (`fail`), or not answer (`hang`).
    pub async fn storage_mode(&self, mode: &'static str) {
        let reply = self.http.post(self.url("/storage/mode")).body(mode).send().await.expect("a reply");
        assert!(reply.status().is_success(), "{mode}: {}", reply.status());
    }

    /// How the host's own storage works now.
    pub async fn mode(&self) -> String {
        self.get("/storage/mode").await.expect("the host tells it")
    }

    /// The text of a document in the host's memory.
    pub async fn text(&self, key: &str) -> String {
        self.get(&format!("/text/{key}")).await.expect("the host has a text of every open document")
    }

    /// Waits until the saved file of a document has this text.
    pub async fn saves(&self, key: &str, expected: &str) {
        let what = format!("the file of {key} is {expected:?}");
        until(&what, async || same(&self.file(key).await.as_deref(), &Some(expected))).await;
    }

    /// The saved file of a document.
    pub async fn file(&self, key: &str) -> Option<String> {
        self.get(&format!("/files/{key}")).await
    }

    async fn get(&self, path: &str) -> Option<String> {
        let reply = self.http.get(self.url(path)).send().await.expect("a reply");
        if reply.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(reply.status().is_success(), "{path}: {}", reply.status());
        Some(reply.text().await.expect("a text"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join(LOG)).unwrap_or_default();
            println!("--- the host's errors ---\n{log}");
        }
    }
}

fn spawn(home: &Path, settings: &[String], port: u16) -> Child {
    let log = File::options().create(true).append(true).open(home.join(LOG)).expect("a log file");
    Command::new(env!("CARGO_BIN_EXE_coedit-example-host"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(home.join("data"))
        .args(settings)
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the host starts")
}

/// Starts the process. Returns it when it listens, with its port.
async fn launch(home: &Path, settings: &[String], port: u16) -> (Child, u16) {
    let mut process = spawn(home, settings, port);
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let first = timeout(super::PATIENCE, lines.next_line()).await.expect("a line in time").expect("a line");
    // Goes on reading: a host must not fail because nobody reads what it prints.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let first = first.unwrap_or_default();
    let port = first.strip_prefix(GREETING).and_then(|port| port.parse().ok());
    (process, port.unwrap_or_else(|| panic!("the host began with {first:?}")))
}
