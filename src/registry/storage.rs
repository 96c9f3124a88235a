//! The storage's and the transport's side: what is handed out, how it is settled, and the end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Registry;
use super::queue::{Look, Nothing, SPARE_ROOM, Wait};
use super::ready::Location;
use super::ready::{Entry, Staged};
use crate::callback::Callback;
use crate::ids::DocumentKey;
use crate::notice::Notice;
use crate::session::{Session, Verdict};
use crate::sync::Ordering;
use crate::time::Timestamp;

/// So many staged documents are moved in the time in which their list would be made anew.
const SHORT: usize = 16;

impl Registry {
    /// The next callback that is to be handed out; waits for one if asked to, until the deadline if there is one.
    pub(crate) fn next_callback(&self, wait: Wait) -> Result<(Location, Box<Callback>), Nothing> {
        loop {
            let (_, location) =
                self.common.ready.queue.take(wait, |values, look| self.sweep(values, look))?;
            let callback =
                self.locked(location.shard as usize, Timestamp::default(), |shard, context, after| {
                    shard.take(location.place, context, after)
                });
            if let Some(callback) = callback {
                return Ok((location, callback));
            }
        }
    }

    /// Puts what the shards have staged into the queue, in order. Under the queue's lock, but short under a shard's: a list that
    /// is not short itself is exchanged for an empty one.
    pub(super) fn sweep(&self, values: &mut VecDeque<Entry>, look: Look) {
        let from = values.len();
        let mut list = Staged::new();
        for (index, place) in self.shards.iter().enumerate() {
            if look == Look::Quick && !self.common.ready.has_staged(index) {
                continue;
            }
            let number = u32::try_from(index).unwrap_or(0);
            let entry = |(stamp, place)| (stamp, Location { shard: number, place });
            // Not under the shard's lock: all that is in the queue may have to move.
            values.reserve(SHORT);
            let mut shard = place.shard.lock();
            self.common.ready.swept(index, &shard.staged);
            if shard.staged.len() <= SHORT {
                values.extend(shard.staged.drain(..).map(entry));
                continue;
            }
            std::mem::swap(&mut shard.staged, &mut list);
            drop(shard);
            values.extend(list.drain(..).map(entry));
            list.shrink_to(SPARE_ROOM);
        }
        // No two of a shard have the same.
        values.make_contiguous()[from..].sort_unstable_by_key(|(stamp, _)| *stamp);
    }

    pub(crate) fn settle(&self, location: Location, verdict: Verdict, kept_at: Option<Arc<str>>) {
        // Only a failure starts a pause.
        let now = match verdict {
            Verdict::Failed(_) => self.now(),
            Verdict::Done => Timestamp::default(),
        };
        self.locked(location.shard as usize, now, |shard, context, after| {
            shard.settle(location.place, verdict, kept_at, context, after);
        });
    }

    /// Whether a callback of this document is with a worker.
    pub(crate) fn is_outstanding(&self, key: &DocumentKey) -> bool {
        let (hash, index) = self.locate(key);
        self.read(index, |shard| shard.session_of(key, hash).is_some_and(Session::is_outstanding))
    }

    pub(crate) fn listen(&self) {
        self.modes.listener_came();
    }

    pub(crate) fn stop_listening(&self) {
        if self.modes.listener_went() {
            // Nobody is there to hear them, and the next one is to hear what happens then.
            while self.next_notice(Wait::Not).is_ok() {}
        }
    }

    pub(crate) fn next_notice(&self, wait: Wait) -> Result<Notice, Nothing> {
        self.notices.take(wait, |_, _| {})
    }

    pub(crate) fn notices_missed(&self) -> u64 {
        self.notices_missed.load(Ordering::Relaxed)
    }

    /// No handle is left: closes all connections, lets every save be due at once, and ends every receiver when it has
    /// taken what there is.
    pub(crate) fn shut_down(&self) {
        let _ends = Ends(self);
        self.modes.shut_down();
        self.sleeper.wake();
        self.on_every_shard(self.moving(), |gather| {
            gather(&mut |shard, context, after, ready| {
                // Counted before any of them can be done: the lock is released only after.
                let awaited = shard.shut_down(context, after, ready);
                self.unfinished.fetch_add(awaited, Ordering::SeqCst);
                false
            });
        });
    }

    pub(super) fn finished(&self, count: usize) {
        if self.unfinished.fetch_sub(count, Ordering::SeqCst) == count {
            self.common.ready.queue.end();
        }
    }
}

/// Ends the notices, and the callbacks as soon as all is told, whatever a hook did meanwhile.
struct Ends<'a>(&'a Registry);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.notices.end();
        self.0.finished(1);
    }
}
