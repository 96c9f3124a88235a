//! A callback in the hands of a worker.

use std::sync::Arc;

use crate::callback::Callback;
use crate::ids::{Malformed, URL_MAX, bounded};
use crate::registry::{Location, Registry};

/// A callback in the hands of a worker. Acknowledge it, or it has failed: one that is dropped in any way, also by a panic,
/// is handed out again after a pause.
///
/// While a worker has it, no other callback of its document is handed out. [`std::mem::forget`] would keep it for ever.
#[derive(Debug)]
#[must_use = "a delivery that is dropped has failed"]
pub struct Delivery {
    registry: Arc<Registry>,
    location: Location,
    /// `None` once it is settled.
    callback: Option<Box<Callback>>,
    kept_at: Option<Arc<str>>,
}

impl Delivery {
    pub(crate) fn new(registry: Arc<Registry>, location: Location, callback: Box<Callback>) -> Self {
        Delivery { registry, location, callback: Some(callback), kept_at: None }
    }

    /// What the storage is told. A host adds `url` and its like to a clone before it forwards it.
    #[expect(clippy::missing_panics_doc, reason = "only what consumes a delivery settles it")]
    pub fn callback(&self) -> &Callback {
        self.callback.as_deref().expect("only what consumes a delivery settles it")
    }

    /// Says where the host keeps the file of a save that it gives up, for
    /// [`Engine::forgotten`](crate::Engine::forgotten). At most 4,096 bytes. It counts for status 2 and 3, whether the
    /// delivery is acknowledged or not.
    pub fn kept_at(&mut self, url: &str) -> Result<(), Malformed> {
        self.kept_at = Some(bounded(url, URL_MAX, Malformed::Url)?.into());
        Ok(())
    }

    /// The storage has done what the callback says.
    pub fn ack(mut self) {
        if let Some(callback) = self.callback.take() {
            self.registry.acknowledge(self.location, callback, self.kept_at.take());
        }
    }

    /// The storage has failed. The callback is handed out again after a pause, or given up after the last one. The same as
    /// dropping the delivery.
    pub fn fail(self) {}
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            self.registry.fail(self.location, callback, self.kept_at.take());
        }
    }
}
