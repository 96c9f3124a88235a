//! A headless Chromium, driven through chromedriver.

use std::env;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::process::Stdio;

use futures_util::FutureExt;
use serde_json::json;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::host::Host;
use super::tab::Tab;

/// The sandbox does not work for root, and nothing but the host is to be connected to.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
const STARTED: &str = "started successfully on port ";

/// A browser with an empty profile of its own.
pub struct Browser {
    driver: WebDriver,
    process: Child,
    _profile: TempDir,
}

/// Runs a scenario in a browser of its own. Passes it over where there is no Chromium, unless `COEDIT_BROWSER=required`.
pub fn browse(scenario: impl AsyncFnOnce(&Browser)) {
    let Some((chromium, chromedriver)) = programs() else {
        let required = env::var("COEDIT_BROWSER").is_ok_and(|wish| wish == "required");
        assert!(!required, "COEDIT_BROWSER=required, but Chromium and chromedriver are not both here");
        println!("passed over: Chromium and chromedriver are not both here");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let browser = Browser::start(chromium, chromedriver).await;
        let played = async {
            scenario(&browser).await;
            browser.look_for_errors().await;
        };
        let played = AssertUnwindSafe(played).catch_unwind().await;
        // Also after a failure: else Chromium would go on running.
        browser.quit().await;
        played.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

impl Browser {
    async fn start(chromium: PathBuf, chromedriver: PathBuf) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let (process, port) = launch(chromedriver).await;
        let mut wishes = DesiredCapabilities::chrome();
        wishes.set_binary(&chromium.to_string_lossy()).expect("a path");
        let folder = format!("--user-data-dir={}", profile.path().display());
        for flag in FLAGS.into_iter().chain([folder.as_str(), "--window-size=1280,800"]) {
            wishes.add_arg(flag).expect("a flag");
        }
        let driver =
            WebDriver::new(format!("http://127.0.0.1:{port}"), wishes).await.expect("Chromium starts");
        Self { driver, process, _profile: profile }
    }

    /// Opens a document in a new window, as one user.
    pub async fn editor(&self, host: &Host, key: &str, user: &str) -> Tab {
        self.open(host, &format!("/?doc={key}&user={user}")).await
    }

    /// Opens a page of the host in a new window.
    pub async fn open(&self, host: &Host, path: &str) -> Tab {
        let window = self.driver.new_window().await.expect("a new window");
        self.driver.switch_to_window(window.clone()).await.expect("the window is there");
        let recorder = json!({ "source": include_str!("recorder.js") });
        let recorder = self.driver.cdp().send_raw("Page.addScriptToEvaluateOnNewDocument", recorder).await;
        recorder.expect("the recorder runs before the page");
        self.driver.goto(host.url(path)).await.expect("the page loads");
        Tab::new(self.driver.clone(), window)
    }

    /// Fails if the script of a page had an error.
    async fn look_for_errors(&self) {
        for window in self.driver.windows().await.expect("windows") {
            let errors = Tab::new(self.driver.clone(), window).run("return window.seen?.errors ?? []").await;
            assert_eq!(errors, json!([]), "the script of a page had errors");
        }
    }

    async fn quit(self) {
        let Self { driver, mut process, _profile } = self;
        driver.quit().await.expect("Chromium ends");
        process.kill().await.expect("chromedriver ends");
    }
}

/// Starts chromedriver on a free port.
async fn launch(chromedriver: PathBuf) -> (Child, u16) {
    let mut process = Command::new(chromedriver)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver starts");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let port = timeout(super::PATIENCE, async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, port)) = line.split_once(STARTED) {
                return port.trim_end_matches('.').parse().ok();
            }
        }
        None
    });
    let port = port.await.expect("chromedriver listens in time").expect("chromedriver says its port");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (process, port)
}

fn programs() -> Option<(PathBuf, PathBuf)> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(in_path)?;
    Some((chromium, in_path("chromedriver")?))
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
