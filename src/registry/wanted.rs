//! Idle editors whose seats are wanted: one is warned, and then its seat goes to the first waiter whom it lets in.

use super::Registry;
use super::shard::Place;
use super::stay::Wanted;
use crate::access::{Access, Dropped};
use crate::admission::{Queue, Waiter};
use crate::ids::{ConnectionId, DocumentKey};
use crate::notice::DisconnectCause;
use crate::session::{DropTarget, Stage, WhyLess};
use crate::time::{Moment, Now};
use crate::work::AT_ONCE;

/// So many editors are warned, or lose their seat, at one time for one line.
const SEATS: usize = 16;

impl Registry {
    /// Returns true if idle editors lose their seats to whoever waits.
    fn takes_over_idle(&self) -> bool {
        self.takes_over_idle && self.admission.has_waiters() && !self.admission.is_draining()
    }

    /// Warns those who are idle longest, and gives the seats of those whose time is over to the first waiters: at the limit of
    /// the engine, and at those of these documents. Whoever is `asking` hears of it by the answer.
    pub(super) fn take_over_idle(&self, now: Now, documents: &[DocumentKey], asking: Option<ConnectionId>) {
        if !self.takes_over_idle() || self.lifecycle.stage() != Stage::Running {
            return;
        }
        let queues = documents.iter().cloned().map(Queue::Document).chain([Queue::Engine]);
        for queue in queues {
            self.take_over_at(now, &queue, asking);
        }
    }

    /// The same when it is only known who is to wait no longer.
    pub(super) fn take_over_for(&self, now: Now, id: ConnectionId) {
        if self.takes_over_idle()
            && let Some(Waiter { queue, .. }) = self.admission.waiter(id)
        {
            let documents = if let Queue::Document(key) = queue { vec![key] } else { Vec::new() };
            self.take_over_idle(now, &documents, Some(id));
        }
    }

    fn take_over_at(&self, now: Now, queue: &Queue, asking: Option<ConnectionId>) {
        let waiting = self.admission.live_in(queue).min(SEATS);
        if waiting == 0 {
            return;
        }
        let candidates = match queue {
            Queue::Document(key) => self.idle_editors_of(key, waiting),
            _ => self.idle_editors(waiting),
        };
        for (active, id) in candidates {
            let mut held = self.hold(self.shard_of(id), now);
            let (wanted, warning) = held.shard.want(id, held.cx.now);
            if let Some(left) = warning.filter(|left| !left.is_zero()) {
                self.warn(&held, id, (DisconnectCause::Idle, left));
                let earlier = held.shard.look_at_stay(id);
                self.deadline_moved(held, earlier);
                continue;
            }
            drop(held);
            if wanted == Wanted::Over && self.lets_first_in(now, queue) {
                self.take_seat(now, id, active, asking);
            }
        }
    }

    /// The editors of the engine who are idle longest.
    fn idle_editors(&self, most: usize) -> Vec<(Moment, ConnectionId)> {
        let mut all = Vec::new();
        for index in 0..self.shards.len() {
            self.add_idle_editors(index, most, &mut all);
        }
        all.sort_unstable();
        all.truncate(most);
        all
    }

    /// Adds at most `most` of those of a shard. Looks at some of them under one hold of its lock: there may be many who free
    /// no seat.
    fn add_idle_editors(&self, index: usize, most: usize, all: &mut Vec<(Moment, ConnectionId)>) {
        let (enough, mut last) = (all.len() + most, None);
        while all.len() < enough {
            let some = self.read(index, |shard| shard.idle_editors(last, AT_ONCE));
            let Some((editor, _)) = some.last() else { return };
            last = Some(*editor);
            let free = some.into_iter().filter_map(|((active, _), id)| Some((active, id?)));
            all.extend(free.take(enough - all.len()));
        }
    }

    /// The editors of a document who are idle longest.
    fn idle_editors_of(&self, key: &DocumentKey, most: usize) -> Vec<(Moment, ConnectionId)> {
        let (hash, index) = self.locate(key);
        self.read(index, |shard| {
            let Some(document) = shard.find(key, hash) else { return Vec::new() };
            let session = shard.session(document);
            let mut all: Vec<(Moment, ConnectionId)> = session
                .editing()
                .filter(|(participant, id)| session.frees_seat(*participant, *id) && !shard.is_lost(*id))
                .filter_map(|(_, id)| Some((shard.idle_since(id)?, id)))
                .collect();
            all.sort_unstable();
            all.truncate(most);
            all
        })
    }

    /// Returns true if the first waiter in a line gets in once one seat of its limit becomes free.
    fn lets_first_in(&self, now: Now, queue: &Queue) -> bool {
        let Some((id, waiter)) = self.admission.first_in(queue) else { return false };
        let held = self.hold(self.shard_of(id), now);
        let Some(mut claim) = self.claim_of_viewer(&held, id, waiter.ticket) else { return false };
        if matches!(queue, Queue::Document(_)) {
            claim.document.editing = claim.document.editing.saturating_sub(1);
        }
        self.admission.would_enter(&claim, held.cx.wall)
    }

    /// An idle editor loses its seat to whoever waits, unless it was active meanwhile.
    fn take_seat(&self, now: Now, id: ConnectionId, active: Moment, asking: Option<ConnectionId>) {
        let mut held = self.hold(self.shard_of(id), now);
        if held.shard.idle_since(id) != Some(active) || held.shard.access(id) != Some(Access::Edit) {
            return;
        }
        let Some(Place { document, participant }) = held.shard.place(id) else { return };
        let (cx, mut dropped) = (held.cx, Dropped::default());
        let target = DropTarget::Connection(participant, id);
        let effects =
            held.shard.session_mut(document).drop_access(&cx, target, WhyLess::Wanted, &mut dropped);
        held.shard.forget_idle_editors(&dropped.connections);
        let garbage = self.apply_effects(&mut held, document, effects);
        let deferred = self.update_books(&mut held, document);
        drop(held);
        let granted = self.serve_some_waiters(now, asking);
        self.carry_out(deferred);
        self.carry_out_all(granted);
        drop(garbage);
    }
}
