//! How callbacks and notices reach the host, and how it answers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::callback::Callback;
use crate::ids::{Malformed, URL_MAX, bounded};
use crate::notice::Notice;
use crate::registry::{Location, Nothing, Registry, Wait};
use crate::session::Verdict;

/// The engine is gone and everything was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why a wait with a time-out gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// The engine is gone and everything was taken.
    Disconnected,
}

/// Why there was nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is there now.
    Empty,
    /// The engine is gone and everything was taken.
    Disconnected,
}

const GONE: &str = "the engine is gone and everything was taken";

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(GONE)
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == RecvTimeoutError::Timeout { "nothing came in time" } else { GONE })
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == TryRecvError::Empty { "nothing is there now" } else { GONE })
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for RecvTimeoutError {}
impl std::error::Error for TryRecvError {}

impl From<Nothing> for TryRecvError {
    fn from(nothing: Nothing) -> Self {
        match nothing {
            Nothing::Empty => TryRecvError::Empty,
            Nothing::Ended => TryRecvError::Disconnected,
        }
    }
}

impl From<Nothing> for RecvTimeoutError {
    fn from(nothing: Nothing) -> Self {
        match nothing {
            Nothing::Empty => RecvTimeoutError::Timeout,
            Nothing::Ended => RecvTimeoutError::Disconnected,
        }
    }
}

/// A time-out that the clock cannot express is as good as none.
fn until(timeout: Duration) -> Wait {
    Instant::now().checked_add(timeout).map_or(Wait::Forever, Wait::Until)
}

/// The callbacks of an engine, for a worker of the document storage.
///
/// Every clone takes from the same queue: one callback goes to one worker. Callbacks of one document are handed out
/// one at a time and in order, however many workers there are; those of other documents go on meanwhile.
///
/// When the last [`Engine`](crate::Engine) handle is gone, workers get what is left, every save included, and then
/// [`RecvError`].
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, Status, User};
///
/// let engine = Engine::new(Config::new())?;
/// let worker = engine.callbacks();
/// let ann = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
///
/// let delivery = worker.recv()?;
/// assert_eq!(delivery.callback().status, Status::Editing);
/// delivery.ack();
///
/// drop((ann, engine));
/// let statuses: Vec<Status> = worker.iter().map(|delivery| delivery.ack().status).collect();
/// assert_eq!(statuses, [Status::Closed]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Callbacks {
    registry: Arc<Registry>,
}

impl Callbacks {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Callbacks { registry }
    }

    /// In line, so that the delivery is put together where it is used: copied, its reader would wait for the pieces.
    #[inline]
    fn next(&self, wait: Wait) -> Result<Delivery, Nothing> {
        let (location, callback) = self.registry.next_callback(wait)?;
        Ok(Delivery { registry: self.registry.clone(), location, callback: Some(callback), kept_at: None })
    }

    /// Waits for the next callback.
    #[inline]
    pub fn recv(&self) -> Result<Delivery, RecvError> {
        self.next(Wait::Forever).map_err(|_| RecvError)
    }

    /// Waits for the next callback, at most as long as `timeout` of the machine's time.
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery, RecvTimeoutError> {
        Ok(self.next(until(timeout))?)
    }

    /// The next callback if there is one now. Finding none arms the hook of
    /// [`Config::on_callbacks`](crate::Config::on_callbacks).
    #[inline]
    pub fn try_recv(&self) -> Result<Delivery, TryRecvError> {
        Ok(self.next(Wait::Not)?)
    }

    /// Every callback from now on; waits in between, ends when the engine is gone and everything was taken.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Every callback that there is now.
    #[inline]
    pub fn try_iter(&self) -> impl Iterator<Item = Delivery> {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}

/// A callback in the hands of a worker. Acknowledge it, or it has failed: dropped in any way, a panic included, it is
/// handed out again after a pause.
///
/// While it is here no other callback of its document is handed out. [`std::mem::forget`] would keep it here for ever.
#[derive(Debug)]
#[must_use = "a delivery that is dropped has failed"]
pub struct Delivery {
    registry: Arc<Registry>,
    location: Location,
    /// None once it is settled.
    callback: Option<Box<Callback>>,
    kept_at: Option<Arc<str>>,
}

impl Delivery {
    /// What the storage is told. The host adds `url` and its like to a clone, or to what [`ack`](Self::ack) returns, before
    /// it forwards it.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "only what consumes it settles it")]
    pub fn callback(&self) -> &Callback {
        self.callback.as_deref().expect("it is not settled")
    }

    /// Says where the host put the file of a save that it gives up, for [`Engine::forgotten`](crate::Engine::forgotten).
    /// At most 4,096 bytes. It counts for a status 2 or 3, whether this settles with [`ack`](Self::ack) or not.
    pub fn kept_at(&mut self, url: &str) -> Result<(), Malformed> {
        self.kept_at = Some(bounded(url, URL_MAX, Malformed::Url)?.into());
        Ok(())
    }

    /// The storage has done it. Returns the callback.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "only what consumes it settles it")]
    #[inline]
    pub fn ack(mut self) -> Box<Callback> {
        let callback = self.callback.take().expect("it is not settled");
        self.registry.settle(self.location, Verdict::Done, self.kept_at.take());
        callback
    }

    /// The storage has not done it: it is handed out again after a pause, or given up after the last one. Returns a copy
    /// of the callback.
    pub fn fail(self) -> Box<Callback> {
        Box::new(self.callback().clone())
    }
}

impl Drop for Delivery {
    #[inline]
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            self.registry.settle(self.location, Verdict::Failed(callback), self.kept_at.take());
        }
    }
}

/// The notices of an engine, for the host's transport.
///
/// Only while there is one are notices kept, up to [`Bounds::notices`](crate::Bounds::notices) of them; further ones
/// are counted in [`missed`](Self::missed). What a connection may do is always to be asked of the engine; a notice only
/// says that it changed. Every clone takes from the same queue. Ends with the last
/// [`Engine`](crate::Engine) handle, whoever takes what is left of the callbacks then.
#[derive(Debug)]
pub struct Notices {
    registry: Arc<Registry>,
}

impl Notices {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        registry.listen();
        Notices { registry }
    }

    /// Waits for the next notice.
    pub fn recv(&self) -> Result<Notice, RecvError> {
        self.registry.next_notice(Wait::Forever).map_err(|_| RecvError)
    }

    /// Waits for the next notice, at most as long as `timeout` of the machine's time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Notice, RecvTimeoutError> {
        Ok(self.registry.next_notice(until(timeout))?)
    }

    /// The next notice if there is one now. Finding none arms the hook of
    /// [`Config::on_notices`](crate::Config::on_notices).
    pub fn try_recv(&self) -> Result<Notice, TryRecvError> {
        Ok(self.registry.next_notice(Wait::Not)?)
    }

    /// Every notice from now on; waits in between, ends when the engine is gone and everything was taken.
    pub fn iter(&self) -> impl Iterator<Item = Notice> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Every notice that there is now.
    pub fn try_iter(&self) -> impl Iterator<Item = Notice> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// How many notices of this engine were not kept because too many waited.
    pub fn missed(&self) -> u64 {
        self.registry.notices_missed()
    }
}

impl Clone for Notices {
    fn clone(&self) -> Self {
        Notices::new(self.registry.clone())
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.registry.stop_listening();
    }
}
