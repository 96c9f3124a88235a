//! Handing callbacks out to workers, and settling them.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::Registry;
use super::ready::{Location, Nothing, Wait};
use crate::callback::Callback;
use crate::session::{Verdict, clear};
use crate::time::Timestamp;

impl Registry {
    /// The next callback. Waits for one as `wait` says.
    pub(crate) fn next_callback(&self, wait: Wait) -> Result<(Location, Box<Callback>), Nothing> {
        loop {
            let location = self.ready.take(wait)?;
            if let Some(callback) = self.take_callback(location) {
                return Ok((location, callback));
            }
        }
    }

    fn take_callback(&self, location: Location) -> Option<Box<Callback>> {
        let Location { shard, document } = location;
        let mut held = self.hold(shard as usize, Timestamp::default());
        if !held.shard.dequeue(document, &self.ready) {
            return None;
        }
        let cx = held.cx;
        let (session, blanks) = held.shard.session_and_blanks(document);
        let callback = session.take(&cx, blanks);
        // A callback that is handed out changes nothing in the books.
        if callback.is_none() {
            self.finish(held, document);
        }
        callback
    }

    /// The storage has done what the callback says.
    pub(crate) fn acknowledge(
        &self,
        location: Location,
        mut callback: Box<Callback>,
        kept_at: Option<Arc<str>>,
    ) {
        let userdata = callback.userdata.take();
        clear(&mut callback);
        let Location { shard, document } = location;
        let mut held = self.hold(shard as usize, self.clock.coarse());
        let cx = held.cx;
        let effects = held.shard.session_mut(document).settle(&cx, Verdict::Done { userdata }, kept_at);
        held.shard.blanks.give_back(callback);
        self.apply(held, document, effects);
    }

    /// The storage has failed. The callback is handed out again after a pause, or given up.
    pub(crate) fn fail(&self, location: Location, callback: Box<Callback>, kept_at: Option<Arc<str>>) {
        let Location { shard, document } = location;
        let mut held = self.hold(shard as usize, self.now());
        let cx = held.cx;
        let effects = held.shard.session_mut(document).settle(&cx, Verdict::Failed(callback), kept_at);
        self.apply(held, document, effects);
    }

    pub(crate) fn doorbell(&self) -> Receiver<()> {
        let doorbell = self.ready.doorbell();
        if self.ready.ring() && !self.is_ending() {
            self.schedule_ring(self.now());
        }
        doorbell
    }

    #[cfg(feature = "async")]
    pub(crate) fn listen(&self) -> event_listener::EventListener {
        self.ready.listen()
    }
}
