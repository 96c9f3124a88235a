//! A callback in the hands of a worker.

use std::sync::Arc;
use std::time::Duration;

use crate::callback::{Answered, Callback};
use crate::ids::{Malformed, URL_MAX, bounded};
use crate::registry::{HandedOut, Registry};
use crate::session::Outcome;
use crate::time::Timestamp;

/// A callback in the hands of a worker. Acknowledge it, or it has failed: one that is dropped in any way, also by a panic,
/// is handed out again after a pause, and so is one that nobody settles within the
/// [acknowledgement time-out](crate::Config::ack_timeout), whatever became of its worker.
///
/// While a worker has it, no other callback of its document is handed out. Once it has run out, or a save went before it,
/// an answer is late. Of late answers only the acknowledgement of a save counts, for what is still unsaved of it. So a
/// storage may see one save twice: it tells them apart by key, status and `lastsave`, and never replaces a file by one
/// with an earlier `lastsave`.
///
/// ```
/// use coedit::{Access, Answered, Config, DocumentKey, Engine, ManualClock, User};
/// use std::{sync::Arc, time::Duration};
///
/// let clock = Arc::new(ManualClock::default());
/// let engine = Engine::new(Config::new().clock(clock.clone()))?;
/// let (callbacks, key) = (engine.callbacks(), DocumentKey::new("report")?);
/// let ann = engine.open(&key, &User::new("ann")?, Access::Edit)?;
///
/// let hung = callbacks.try_recv()?;
/// clock.advance(Duration::from_secs(61)); // nobody answers: it has failed
/// engine.tick();
/// clock.advance(Duration::from_secs(1)); // the first pause
/// engine.tick();
/// let again = callbacks.try_recv()?;
/// assert_eq!((again.callback(), again.attempt()), (hung.callback(), 2));
/// assert_eq!((again.ack(), hung.ack()), (Answered::InTime, Answered::Late));
/// # drop(ann);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a delivery that is dropped has failed"]
pub struct Delivery {
    registry: Arc<Registry>,
    /// `None` once it is settled.
    handed_out: Option<HandedOut>,
    kept_at: Option<Arc<str>>,
}

impl Delivery {
    pub(crate) fn new(registry: Arc<Registry>, handed_out: HandedOut) -> Self {
        Delivery { registry, handed_out: Some(handed_out), kept_at: None }
    }

    fn handed_out(&self) -> &HandedOut {
        self.handed_out.as_ref().expect("only what consumes a delivery settles it")
    }

    /// What the storage is told. A host adds `url` and its like to a clone before it forwards it.
    pub fn callback(&self) -> &Callback {
        &self.handed_out().callback
    }

    /// Returns the number of the delivery: the engine counts what it hands out, from 1 on. Each attempt has its own.
    pub fn number(&self) -> u64 {
        self.handed_out().number
    }

    /// Counts the attempts of this callback, from 1 on. A save is counted anew when an editor came back in between, and
    /// everything is when the engine shuts down.
    pub fn attempt(&self) -> usize {
        self.handed_out().attempt
    }

    /// By when it is to be settled, or it has failed; [`Timestamp::MAX`] if it has any time. `None` if an answer is late
    /// already. Takes one shard lock.
    ///
    /// The deadline can come nearer: once a save of the document is due, whatever was handed out before it has at most the
    /// [save patience](crate::Config::save_patience) left.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.registry.deadline_of(self.handed_out())
    }

    /// Asks for so much time from now on, for a save that takes long. Time that it has already is not taken away, and the
    /// save patience is not exceeded. Returns false if it is late already. At most 30 days. Takes one shard lock.
    pub fn extend(&self, time: Duration) -> bool {
        self.registry.extend(self.handed_out(), time.min(EXTENSION_MAX))
    }

    /// Says where the host keeps the file of a save that it gives up, for
    /// [`Engine::forgotten`](crate::Engine::forgotten). At most 4,096 bytes. It counts for status 2 and 3, whether the
    /// delivery is acknowledged or not.
    pub fn kept_at(&mut self, url: &str) -> Result<(), Malformed> {
        self.kept_at = Some(bounded(url, URL_MAX, Malformed::Url)?.into());
        Ok(())
    }

    /// The storage has done what the callback says. Returns whether that counts.
    pub fn ack(self) -> Answered {
        self.settle(Outcome::Done)
    }

    /// The storage has done what the callback says, and has kept the file of a save that was given up: with status 3, the
    /// document is no longer forgotten, as far as it was not changed since. Otherwise the same as [`ack`](Self::ack).
    pub fn ack_kept(self) -> Answered {
        self.settle(Outcome::Kept)
    }

    /// The storage has failed. The callback is handed out again after a pause, or given up after the last one. The same as
    /// dropping the delivery, but returns whether that counts.
    pub fn fail(self) -> Answered {
        self.settle(Outcome::Failed)
    }

    fn settle(mut self, outcome: Outcome) -> Answered {
        match self.handed_out.take() {
            Some(handed_out) => self.registry.settle(handed_out, outcome, self.kept_at.take()),
            None => Answered::Late,
        }
    }
}

/// The longest extension.
const EXTENSION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(handed_out) = self.handed_out.take() {
            self.registry.settle(handed_out, Outcome::Failed, self.kept_at.take());
        }
    }
}
