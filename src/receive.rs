//! How workers of the document storage get callbacks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::delivery::Delivery;
use crate::registry::{Nothing, Registry, Wait};
use crate::report::Report;
use crate::session::Which;

/// The engine has ended: all is settled, or the deadline of its shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// Why a wait with a time-out gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// The engine has ended: all is settled, or the deadline of its shutdown has come.
    Disconnected,
}

/// Why there was nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is there now.
    Empty,
    /// The engine has ended: all is settled, or the deadline of its shutdown has come.
    Disconnected,
}

const ENDED: &str = "the engine has ended";

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ENDED)
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == RecvTimeoutError::Timeout { "nothing came in time" } else { ENDED })
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == TryRecvError::Empty { "nothing is there now" } else { ENDED })
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for RecvTimeoutError {}
impl std::error::Error for TryRecvError {}

/// The callbacks of an engine, for a worker of the document storage.
///
/// All clones take from one channel: a callback goes to one worker. The callbacks of one document are handed out one at a
/// time and in order, however many workers there are. Those of other documents go on meanwhile.
///
/// What matters goes first: documents whose save or closing is due are handed out before all others.
///
/// When the engine [shuts down](crate::Engine::shutdown), or its last handle is dropped, workers get what is left, every save
/// included, until all is settled or the deadline has come, and then an error. With a manual clock, and no handle left, a
/// receiver runs what is due by that clock when it is asked for a callback.
///
/// # Threads
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
/// let mut rest = Vec::new();
/// for delivery in worker.iter() {
///     rest.push(delivery.callback().status);
///     delivery.ack();
/// }
/// assert_eq!(rest, [Status::Closed]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # `select!`
///
/// [`ready`](Self::ready) is a doorbell for `crossbeam_channel::select!`. It rings while something can be taken, and
/// [`try_recv`](Self::try_recv) takes it.
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, User};
/// use crossbeam_channel::{never, select};
///
/// let engine = Engine::new(Config::new())?;
/// let (callbacks, notices) = (engine.callbacks(), engine.notices());
/// let (ready, stop) = (callbacks.ready(), never::<()>());
/// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
/// select! {
///     recv(ready) -> _ => { callbacks.try_recv()?.ack(); }
///     recv(notices) -> notice => println!("{:?}", notice?),
///     recv(stop) -> _ => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Callbacks {
    registry: Arc<Registry>,
    which: Which,
}

impl Callbacks {
    pub(crate) fn new(registry: Arc<Registry>, which: Which) -> Self {
        Callbacks { registry, which }
    }

    fn take(&self, wait: Wait) -> Result<Delivery, Nothing> {
        let handed_out = self.registry.next_callback(self.which, wait)?;
        Ok(Delivery::new(self.registry.clone(), handed_out))
    }

    /// Waits for the next callback.
    pub fn recv(&self) -> Result<Delivery, RecvError> {
        self.take(Wait::Forever).map_err(|_| RecvError)
    }

    /// Waits for the next callback, at most for `timeout`. A time-out that the clock cannot express is none.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Delivery, RecvTimeoutError> {
        let wait = Instant::now().checked_add(timeout).map_or(Wait::Forever, Wait::Until);
        self.take(wait).map_err(|nothing| match nothing {
            Nothing::Yet => RecvTimeoutError::Timeout,
            Nothing::AnyMore => RecvTimeoutError::Disconnected,
        })
    }

    /// Takes the next callback if there is one now.
    pub fn try_recv(&self) -> Result<Delivery, TryRecvError> {
        self.take(Wait::No).map_err(|nothing| match nothing {
            Nothing::Yet => TryRecvError::Empty,
            Nothing::AnyMore => TryRecvError::Disconnected,
        })
    }

    /// Waits for the next callback without blocking the thread, on any async runtime. `None` once the engine has
    /// ended.
    ///
    /// Any number of tasks may wait. It is cancel-safe: a future that is dropped before it is ready has taken nothing,
    /// and another task is woken in its place.
    #[cfg(feature = "async")]
    #[cfg_attr(docsrs, doc(cfg(feature = "async")))]
    pub async fn next(&self) -> Option<Delivery> {
        loop {
            let listener = self.registry.listen(self.which);
            // After the listener exists, so that nothing is missed that becomes ready in between.
            match self.try_recv() {
                Ok(delivery) => return Some(delivery),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => listener.await,
            }
        }
    }

    /// A doorbell for `crossbeam_channel::select!`: a channel of capacity one that holds a ring while something can be
    /// taken. Take with [`try_recv`](Self::try_recv), which rings again while more is there. All clones share it.
    ///
    /// A ring may come although another worker has taken everything: then `try_recv` returns
    /// [`Empty`](TryRecvError::Empty). A ring that nobody answers is repeated by [`Engine::tick`](crate::Engine::tick)
    /// within a second.
    pub fn ready(&self) -> Receiver<()> {
        self.registry.doorbell(self.which)
    }

    /// How the engine ended. `None` before that. So a worker that outlives every handle of the engine can read what is not
    /// saved.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.registry.report()
    }

    /// Every callback from now on. Waits in between, and ends with the engine.
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// Every callback that is there now.
    pub fn try_iter(&self) -> impl Iterator<Item = Delivery> {
        std::iter::from_fn(|| self.try_recv().ok())
    }
}
