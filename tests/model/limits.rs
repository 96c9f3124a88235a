//! The limits. The model counts everything again for each question.

use coedit::{
    Access, ConnectionId, DocumentKey, Grant, Holder, Limit, LimitLevel, NamedUsers, Notice, OpenError, Pool,
    Reason, ResumeToken, Timestamp, User, UserId,
};

use super::Model;
use super::denials::Present;
use super::document::{Connection, Document};
use super::usage::{ACCESSES, Opened};
use super::waiting::{NEWCOMER, Queue};

const DAY: u64 = 86_400_000;

/// A named user who counts.
pub struct Named {
    pub access: Access,
    user: UserId,
    pub until: u64,
}

/// Who asks for an access.
#[derive(Clone, Copy, PartialEq)]
pub enum Asking {
    /// Somebody who only wants to know.
    Would,
    Opens,
    /// A viewer who wants to edit, with its ticket.
    Viewer(u64),
}

impl Asking {
    fn ticket(self) -> u64 {
        if let Asking::Viewer(ticket) = self { ticket } else { NEWCOMER }
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap()
}

fn is_full(limit: Option<u32>, in_use: u32) -> bool {
    limit.is_some_and(|limit| in_use >= limit)
}

/// Returns the pool of the seats of an access and the pool of its named users.
fn pools(access: Access) -> (Pool, Pool) {
    if access == Access::Edit { (Pool::Edit, Pool::Users) } else { (Pool::Live, Pool::UsersView) }
}

/// Queries.
impl Model {
    /// Counts the seats of an access that some users take on some documents.
    fn seats(&self, access: Access, which: impl Fn(&DocumentKey, &UserId) -> bool) -> u32 {
        let mut seats = Vec::new();
        for document in &self.documents {
            for one in document.connections.iter().filter(|one| one.access == access) {
                let seat = (&document.key, one.user.id());
                if which(seat.0, seat.1) && !(self.settings.by_users && seats.contains(&seat)) {
                    seats.push(seat);
                }
            }
        }
        count(seats.iter())
    }

    pub(super) fn all_seats(&self, access: Access) -> u32 {
        self.seats(access, |_, _| true)
    }

    pub(super) fn has_free_seat(&self) -> bool {
        !is_full(self.settings.edit_limit, self.all_seats(Access::Edit))
    }

    pub(super) fn has_room_in_document(&self, key: &DocumentKey) -> bool {
        !is_full(self.settings.document_limit, self.seats(Access::Edit, |other, _| other == key))
    }

    pub(super) fn has_room_for_user(&self, user: &UserId) -> bool {
        !is_full(self.settings.user_limit, self.seats(Access::Edit, |_, other| other == user))
    }

    /// Returns true if a user counts among the named users, or may.
    pub(super) fn has_room_for_named(&self, user: &UserId) -> bool {
        let counting = || self.named.iter().filter(|one| one.access == Access::Edit && one.until > self.now);
        let counts = counting().any(|one| one.user == *user);
        counts || !is_full(self.settings.named_users.edit, count(counting()))
    }

    /// How many more seats are in use than may be, with those that are kept.
    pub(super) fn seats_over_limit(&self) -> u32 {
        let Limit { limit, in_use } = self.pool(Pool::Edit);
        limit.map_or(0, |limit| in_use.saturating_sub(limit))
    }

    fn connections(&self, access: Option<Access>) -> u32 {
        let all = self.documents.iter().flat_map(|document| &document.connections);
        count(all.filter(|one| access.is_none_or(|access| one.access == access)))
    }

    fn pool(&self, pool: Pool) -> Limit {
        let settings = &self.settings;
        let named = |access| count(self.named.iter().filter(|one| one.access == access));
        let (limit, in_use) = match pool {
            Pool::Edit => (settings.edit_limit, self.all_seats(Access::Edit) + self.kept_seats),
            Pool::Live => (settings.live_limit, self.all_seats(Access::LiveView)),
            Pool::Users => (settings.named_users.edit, named(Access::Edit)),
            Pool::Max => (settings.max_connections, self.connections(None)),
            _ => (settings.named_users.live, named(Access::LiveView)),
        };
        Limit { limit, in_use }
    }

    /// Returns the limits of edit access, of live view and of all connections.
    pub fn limits(&self) -> [Limit; 3] {
        [Pool::Edit, Pool::Live, Pool::Max].map(|pool| self.pool(pool))
    }

    pub fn holders(&self, max: usize) -> Vec<(DocumentKey, UserId, Access, u32, Timestamp)> {
        let mut holders = Vec::new();
        for document in &self.documents {
            for (user, access) in document.accesses_above_view() {
                let of = |one: &&Connection| *one.user.id() == user && one.access == access;
                let connections = count(document.connections.iter().filter(of));
                let active = document.last_activity(&user, access) / 1_000 * 1_000;
                holders.push((
                    Timestamp::from_millis(active),
                    document.key.clone(),
                    user,
                    access,
                    connections,
                ));
            }
        }
        holders.sort();
        holders.truncate(max);
        let holder = |(active, key, user, access, connections)| (key, user, access, connections, active);
        holders.into_iter().map(holder).collect()
    }

    /// Returns a holder of the engine in the form of the model.
    pub fn holder(holder: Holder) -> (DocumentKey, UserId, Access, u32, Timestamp) {
        (holder.key, holder.user, holder.access, holder.connections, holder.active)
    }

    /// Returns the named users for edit access and for live view, each with the time of its expiry.
    pub fn quota(&mut self) -> [Vec<(UserId, String)>; 2] {
        self.expire();
        [Access::Edit, Access::LiveView].map(|access| {
            let mut list: Vec<_> = self.named.iter().filter(|one| one.access == access).collect();
            list.sort_by_key(|one| (one.until, one.user.clone()));
            list.iter().map(|one| (one.user.clone(), Timestamp::from_millis(one.until).to_string())).collect()
        })
    }
}

/// Notices about the limits.
impl Model {
    /// Sends a notice about a limit and remembers its level.
    fn send_notice(&mut self, pool: Pool, level: LimitLevel) {
        let entry = self.levels.iter_mut().find(|(other, _)| *other == pool).unwrap();
        entry.1 = level;
        let Limit { limit, in_use } = self.pool(pool);
        self.notices.push(Notice::Limit { pool, level, in_use, limit: limit.unwrap_or(0) });
    }

    fn level(&self, pool: Pool) -> LimitLevel {
        self.levels.iter().find(|(other, _)| *other == pool).unwrap().1
    }

    /// Checks a pool after its use increased.
    pub(super) fn check_increase(&mut self, pool: Pool) {
        let Limit { limit, in_use } = self.pool(pool);
        let near =
            |limit: u32| u64::from(in_use) * 100 >= u64::from(limit) * u64::from(self.settings.warn_at);
        if self.level(pool) == LimitLevel::Clear && in_use > 0 && limit.is_some_and(near) {
            self.send_notice(pool, LimitLevel::Warning);
        }
    }

    /// Checks a pool after its use decreased.
    pub fn check_decrease(&mut self, pool: Pool) {
        let Limit { limit, in_use } = self.pool(pool);
        let percent = u64::from(self.settings.warn_at.saturating_sub(10));
        let clear = |limit: u32| limit > 0 && u64::from(in_use) * 100 <= u64::from(limit) * percent;
        if self.level(pool) != LimitLevel::Clear && limit.is_none_or(clear) {
            self.send_notice(pool, LimitLevel::Clear);
        }
    }

    /// Checks the pool of an access after a connection lost that access.
    pub fn check_decrease_of(&mut self, access: Access) {
        if access > Access::View {
            self.check_decrease(pools(access).0);
        }
    }

    /// Sends a notice if this is the first refusal of a full pool.
    pub(super) fn check_refusal(&mut self, pool: Pool) {
        if self.level(pool) != LimitLevel::Reached {
            self.send_notice(pool, LimitLevel::Reached);
        }
    }

    /// Checks a pool after its limit changed.
    fn check_limit_change(&mut self, pool: Pool) {
        self.check_decrease(pool);
        self.check_increase(pool);
    }

    /// Removes the named users who have expired.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        self.named.retain(|one| one.until > now);
        self.check_decrease(Pool::Users);
        self.check_decrease(Pool::UsersView);
    }

    pub fn set_edit_limit(&mut self, limit: Option<u32>) {
        self.settings.edit_limit = limit;
        self.check_limit_change(Pool::Edit);
        self.serve();
    }

    pub fn set_document_limit(&mut self, limit: Option<u32>) {
        self.settings.document_limit = limit;
        self.serve();
    }

    pub fn set_user_limit(&mut self, limit: Option<u32>) {
        self.settings.user_limit = limit;
        self.serve();
    }

    pub fn set_live_limit(&mut self, limit: Option<u32>) {
        self.settings.live_limit = limit;
        self.check_limit_change(Pool::Live);
    }

    pub fn set_max_connections(&mut self, cap: Option<u32>) {
        self.settings.max_connections = cap;
        self.check_limit_change(Pool::Max);
    }

    pub fn set_named_users(&mut self, quota: NamedUsers) {
        self.expire();
        self.settings.named_users = quota;
        if quota.edit.is_none() {
            self.named.retain(|one| one.access != Access::Edit);
        }
        if quota.live.is_none() {
            self.named.retain(|one| one.access != Access::LiveView);
        }
        self.check_limit_change(Pool::Users);
        self.check_limit_change(Pool::UsersView);
        self.serve_with_named_users();
    }
}

/// Opens.
impl Model {
    /// Returns the answer to an open. `opens` is false if the caller only asks. [`opened`](Self::opened) records the
    /// connection and counts the named user.
    pub fn grant(
        &mut self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
        opens: bool,
    ) -> Result<Grant, OpenError> {
        match self.seat_to_take_over(key, user, asked) {
            Some(_) => Ok(Grant { access: asked, reason: None }),
            None => self.ask(key, user, asked, opens),
        }
    }

    /// The same, but without the seat of a lost connection.
    pub(super) fn ask(
        &mut self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
        opens: bool,
    ) -> Result<Grant, OpenError> {
        if self.shutdown.is_some() {
            return Err(OpenError::ShutDown);
        }
        if self.is_cap_reached() {
            if opens {
                self.check_refusal(Pool::Max);
                self.usage.add_cap_refusal(self.now);
            }
            return Err(OpenError::TooMany);
        }
        let asking = if opens { Asking::Opens } else { Asking::Would };
        let reason = if asked == Access::View { None } else { self.refusal((key, user), asked, asking) };
        Ok(Grant { access: if reason.is_some() { Access::View } else { asked }, reason })
    }

    pub(super) fn is_cap_reached(&self) -> bool {
        is_full(self.settings.max_connections, self.connections(None))
    }

    /// Returns the first reason for which somebody does not get an access. Nobody who needs a seat gets it before those who
    /// wait for it with a lower ticket.
    pub(super) fn refusal(
        &mut self,
        (key, user): (&DocumentKey, &UserId),
        asked: Access,
        asking: Asking,
    ) -> Option<Reason> {
        let (edit, ticket) = (asked == Access::Edit, asking.ticket());
        if edit && self.draining {
            return Some(Reason::Draining);
        }
        if self.is_fenced(key, user) {
            return Some(Reason::Fenced);
        }
        // Whoever waits lets a save be made first that a drop asked for.
        let is_viewer = matches!(asking, Asking::Viewer(_));
        let lets_save = |document: &mut Document| document.saving || is_viewer && document.awaits_save();
        if edit && self.document(key).is_some_and(lets_save) {
            return Some(Reason::Saving);
        }
        if self.has_seat(key, user, asked) {
            return None;
        }
        if edit && self.is_behind(ticket, &Queue::Saving(key.clone())) {
            return Some(Reason::Saving);
        }
        let is_behind = self.is_behind(ticket, &Queue::Document(key.clone()));
        if edit && (is_behind || !self.has_room_in_document(key)) {
            return Some(Reason::DocumentLimit);
        }
        let is_behind = self.is_behind(ticket, &Queue::User(user.clone()));
        if edit && (is_behind || !self.has_room_for_user(user)) {
            return Some(Reason::UserLimit);
        }
        self.refusal_of_engine(user, asked, asking)
    }

    fn refusal_of_engine(&mut self, user: &UserId, asked: Access, asking: Asking) -> Option<Reason> {
        let (edit, ticket) = (asked == Access::Edit, asking.ticket());
        if self.settings.named_users.edit.or(self.settings.named_users.live).is_some() {
            self.expire();
        }
        let (seats, names) = pools(asked);
        let counts = self.named.iter().any(|one| one.access == asked && one.user == *user);
        let is_full = |pool| is_full(self.pool(pool).limit, self.pool(pool).in_use);
        let has_no_seat = if edit {
            !self.has_free_seat() || self.is_behind(ticket, &Queue::Engine)
        } else {
            is_full(seats)
        };
        let (full, reason) = if is_full(names) && !counts {
            (names, Reason::UserQuota)
        } else if has_no_seat {
            (seats, if edit { Reason::ConnectionLimit } else { Reason::LiveViewLimit })
        } else {
            return None;
        };
        if matches!(asking, Asking::Opens | Asking::Viewer(NEWCOMER)) {
            self.check_refusal(full);
        }
        Some(reason)
    }

    /// Returns true if a further connection of the user shares a seat that the user has.
    pub(super) fn has_seat(&self, key: &DocumentKey, user: &UserId, access: Access) -> bool {
        self.settings.by_users && self.seats(access, |document, other| document == key && other == user) > 0
    }

    pub fn opened(
        &mut self,
        id: ConnectionId,
        token: Option<ResumeToken>,
        (key, user, asked): (&DocumentKey, &User, Access),
        grant: Grant,
    ) {
        let Grant { access, reason } = grant;
        let before = self.presence(key, user.id());
        let takes_seat = self.takes_seat(key, user.id(), access);
        let (settings, now) = (self.settings.clone(), self.now);
        if self.document(key).is_none() {
            self.documents.push(Document::new(key.clone()));
        }
        if let Some(document) = self.document(key) {
            document.join(Connection::new(id, user, grant, token, now), &settings);
        }
        self.check_seats(takes_seat, user.id(), access);
        self.tell_presence(key, user.id(), before);
        self.record_usage(Some(Opened { user: user.id().clone(), access, reason }));
        if let Some(reason) = reason.filter(|_| asked == Access::Edit) {
            let present = self.present();
            self.usage.refuse(now, (key.clone(), user.id().clone()), reason, &present);
        }
        self.follow_up(key);
    }

    pub(super) fn takes_seat(&self, key: &DocumentKey, user: &UserId, access: Access) -> bool {
        access > Access::View && !self.has_seat(key, user, access)
    }

    /// Counts the named user of a new connection, and checks the limits.
    pub(super) fn check_seats(&mut self, takes_seat: bool, user: &UserId, access: Access) {
        if takes_seat {
            self.check_increase(pools(access).0);
            self.count_named(user, access);
        }
        self.check_increase(Pool::Max);
    }

    pub(super) fn count_named(&mut self, user: &UserId, access: Access) {
        let names = pools(access).1;
        let counts = self.named.iter().any(|one| one.access == access && one.user == *user);
        if self.pool(names).limit.is_some() && !counts {
            // The end of this day in UTC, and `expire_days` more days.
            let days = self.now / DAY + 1 + u64::from(self.settings.named_users.expire_days);
            self.named.push(Named { access, user: user.clone(), until: days * DAY });
            self.check_increase(names);
        }
    }

    /// Records that a connection opened, closed or got another access.
    pub fn record_usage(&mut self, opened: Option<Opened>) {
        self.record_counts(opened);
        let present = self.present();
        self.usage.follow(self.now, &present);
    }

    /// Does the same, but says nothing of refused users.
    pub fn record_counts(&mut self, opened: Option<Opened>) {
        let counts = ACCESSES.map(|access| self.connections(Some(access)));
        self.usage.add(self.now, counts, opened);
    }

    /// Every user of every document, and whether it edits there.
    pub fn present(&self) -> Present {
        let mut present = Present::new();
        for document in &self.documents {
            for one in &document.connections {
                let user = (document.key.clone(), one.user.id().clone());
                *present.entry(user).or_default() |= one.access == Access::Edit;
            }
        }
        present
    }
}
