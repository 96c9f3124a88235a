//! What a shard knows of its connections beyond their places: how long they stay, and who is fenced.

use std::time::Duration;

use super::fences::FenceCount;
use super::ready::DocumentId;
use super::shard::{Place, Shard};
use super::stay::{RestoredStay, Stay, StayDue, Wanted};
use super::stays::IdleEditor;
use crate::access::Access;
use crate::hash::Hasher;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{Context, Session};
use crate::time::Moment;
use crate::token::ResumeToken;

impl Shard {
    /// A connection was opened. Returns its token, if connections can be resumed, and its deadline if that is the earliest of
    /// all.
    pub(super) fn begin_stay(
        &mut self,
        id: ConnectionId,
        hasher: &Hasher,
        now: Moment,
    ) -> (Option<ResumeToken>, Option<Moment>) {
        if !self.stays.is_on() {
            return (None, None);
        }
        let token = self.stays.open((self.numbering.slot(id), id), hasher, now);
        (token, self.look_at_stay(id))
    }

    /// A connection of another process is lost from now on.
    pub(super) fn restore_stay(&mut self, id: ConnectionId, stay: &RestoredStay, now: Moment) {
        self.stays.restore((self.numbering.slot(id), id), stay, now);
    }

    /// How the connections of a session can be resumed.
    pub(super) fn kept_stays<'a>(
        &'a self,
        session: &'a Session,
        now: Moment,
    ) -> impl Iterator<Item = (ConnectionId, RestoredStay)> + 'a {
        session.connections().filter_map(move |id| {
            let stay = self.stays.get(self.numbering.slot(id), id)?;
            Some((id, stay.kept(now)?))
        })
    }

    pub(super) fn is_lost(&self, id: ConnectionId) -> bool {
        self.stays.is_on() && self.stays.get(self.numbering.slot(id), id).is_some_and(Stay::is_lost)
    }

    /// The token of a connection. `None` if it is not open, or cannot be resumed.
    pub(super) fn token(&self, id: ConnectionId) -> Option<ResumeToken> {
        self.place(id)?;
        self.stays.get(self.numbering.slot(id), id)?.token()
    }

    /// When a connection was active last, if its stay is kept.
    pub(super) fn active(&self, id: ConnectionId) -> Option<Moment> {
        self.stays.get(self.numbering.slot(id), id).map(Stay::active)
    }

    /// The transport of a connection broke. Returns for how long it keeps its seat.
    pub(super) fn lose(&mut self, id: ConnectionId, now: Moment) -> Option<Duration> {
        self.stays.lose(self.numbering.slot(id), id, now)
    }

    /// A connection is active.
    pub(super) fn touch_stay(&mut self, id: ConnectionId, now: Moment) {
        if self.stays.is_on() {
            self.stays.touch(self.numbering.slot(id), id, now);
        }
    }

    /// Sees to it that somebody looks at a connection in time. Returns the time if it is the earliest of all.
    pub(super) fn look_at_stay(&mut self, id: ConnectionId) -> Option<Moment> {
        let access = self.access(id)?;
        self.stays.look_at(self.numbering.slot(id), id, access)
    }

    /// The connection that a token names, the highest attempt to resume it, and until when it keeps its seat.
    pub(super) fn find_token(&self, token: &ResumeToken) -> Option<(ConnectionId, u64, Moment)> {
        let (stay, attempt) = self.stays.find(token, |id| self.numbering.slot(id))?;
        self.place(stay.id)?;
        Some((stay.id, attempt, stay.lost_until()))
    }

    /// Gives a connection another id. Its session is not told yet.
    pub(super) fn rename(&mut self, old: ConnectionId, attempt: u64) -> ConnectionId {
        let new = self.number_anew(old);
        let [old_slot, slot] = [old, new].map(|id| self.numbering.slot(id));
        self.stays.resume((old_slot, old), (slot, new), attempt);
        new
    }

    /// The same, and its token is another one too.
    pub(super) fn replace(
        &mut self,
        old: ConnectionId,
        hasher: &Hasher,
        now: Moment,
    ) -> (ConnectionId, Option<ResumeToken>) {
        let new = self.number_anew(old);
        let [old_slot, slot] = [old, new].map(|id| self.numbering.slot(id));
        self.stays.close(old_slot, old);
        (new, self.stays.open((slot, new), hasher, now))
    }

    fn number_anew(&mut self, old: ConnectionId) -> ConnectionId {
        let key = self.numbering.key(old).expect("the connection is open");
        let place = self.connections.remove(key).expect("the connection is open");
        let key = self.connections.insert(place);
        self.numbering.id(key)
    }

    /// A lost connection by which a user edits the document.
    pub(super) fn lost_editing(
        &self,
        document: DocumentId,
        user: &UserId,
        cx: &Context<'_>,
    ) -> Option<ConnectionId> {
        self.session(document).editing_by(user, cx).find(|id| self.is_lost(*id))
    }

    /// Takes at most `most` of the connections that somebody is to look at by `now`: first the lost ones, then those that are
    /// idle for too long.
    pub(super) fn take_due_stays(&mut self, now: Moment, most: usize) -> Vec<ConnectionId> {
        let slots = self.stays.looks.take_due(now, most);
        let stays = slots.into_iter().filter_map(|slot| self.stays.at(slot));
        let ranked = |stay: &Stay| Some((self.stays.rank(stay, self.access(stay.id)?, now), stay.id));
        let mut due: Vec<(u8, ConnectionId)> = stays.filter_map(ranked).collect();
        due.sort_by_key(|(rank, _)| *rank);
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// What is due by now for a connection with this access.
    pub(super) fn due_of_stay(&mut self, id: ConnectionId, access: Access, now: Moment) -> Option<StayDue> {
        self.stays.due((self.numbering.slot(id), id), access, now)
    }

    /// At most `most` of the editors who are idle for so long that somebody who waits can have their seat, the longest idle
    /// first: the first ones, or those `after` one. Each with its connection, if a seat becomes free by it.
    pub(super) fn idle_editors(
        &self,
        after: Option<IdleEditor>,
        most: usize,
    ) -> Vec<(IdleEditor, Option<ConnectionId>)> {
        let frees = |id: &ConnectionId| {
            let place = self.place(*id).filter(|_| !self.is_lost(*id));
            place.is_some_and(|Place { document, participant }| {
                self.session(document).frees_seat(participant, *id)
            })
        };
        let connection = |editor: IdleEditor| self.stays.at(editor.1).map(|stay| stay.id).filter(frees);
        self.stays.idle_editors(after, most).map(|editor| (editor, connection(editor))).collect()
    }

    /// Since when a connection is idle, if it is one of them.
    pub(super) fn idle_since(&self, id: ConnectionId) -> Option<Moment> {
        self.stays.get(self.numbering.slot(id), id).filter(|stay| stay.wanted != Wanted::No).map(Stay::active)
    }

    /// These connections edit no longer.
    pub(super) fn forget_idle_editors(&mut self, ids: &[ConnectionId]) {
        if !self.stays.idle_editors.is_empty() {
            for id in ids {
                self.stays.forget_idle_editor(self.numbering.slot(*id), *id);
            }
        }
    }

    /// How far it is that somebody who waits has the seat of a connection. Returns in how long that is if it is to be warned
    /// of it now.
    pub(super) fn want(&mut self, id: ConnectionId, now: Moment) -> (Wanted, Option<Duration>) {
        self.stays.want(self.numbering.slot(id), id, now)
    }

    /// Nobody has the seat of a connection, although its time is over.
    pub(super) fn end_want(&mut self, id: ConnectionId) {
        self.stays.end_want(self.numbering.slot(id), id);
    }

    pub(super) fn end_due_fences(&mut self, now: Moment, most: usize, count: &FenceCount) -> usize {
        self.fences.end_due(now, most, count)
    }

    /// When something of the shard is due next. `NEVER` if nothing is.
    pub(super) fn earliest(&self) -> Moment {
        self.books.looks.earliest().min(self.stays.looks.earliest()).min(self.fences.earliest())
    }

    pub(super) fn user_of(&self, id: ConnectionId) -> Option<UserId> {
        let Place { document, participant } = self.place(id)?;
        Some(self.session(document).user_of(participant).id().clone())
    }

    pub(super) fn key_of(&self, id: ConnectionId) -> Option<DocumentKey> {
        Some(self.session(self.place(id)?.document).key().clone())
    }
}
