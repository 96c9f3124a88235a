//! What the browser tests share: a host process, a headless Chromium with a tab for each user, and a storage that a test
//! rules.

pub mod browser;
pub mod host;
pub mod storage;
pub mod tab;

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. Chromium on a busy machine takes seconds to start.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(25);

/// Waits until `look` returns `Ok`. Panics with `what` and the last `Err` after the patience.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    within_patience(look).await.unwrap_or_else(|seen| panic!("not in time: {what}, but {seen}"))
}

/// Calls `look` until it returns `Ok`. Returns its last `Err` after the patience.
pub async fn within_patience<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match look().await {
            Err(_) if start.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// `Ok` if both are equal, or the text of what was seen instead.
pub fn same<T: PartialEq<U> + Debug, U: ?Sized>(seen: &T, expected: &U) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
}
