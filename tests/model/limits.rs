//! The limits: at each question everything is counted anew.

use coedit::{
    Access, ConnectionId, DocumentKey, Grant, Holder, Limit, LimitLevel, NamedUsers, Notice, OpenError, Pool,
    Reason, Timestamp, User, UserId,
};

use super::Model;
use super::document::Document;
use super::usage::{ACCESSES, Opened};

const DAY: u64 = 86_400_000;

/// A named user that counts.
pub struct Named {
    access: Access,
    user: UserId,
    until: u64,
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap()
}

fn is_full(limit: Option<u32>, in_use: u32) -> bool {
    limit.is_some_and(|limit| in_use >= limit)
}

/// The pool of seats of an access, and that of its named users.
fn pools(access: Access) -> (Pool, Pool) {
    if access == Access::Edit { (Pool::Edit, Pool::Users) } else { (Pool::Live, Pool::UsersView) }
}

/// Questions.
impl Model {
    /// The seats that are taken of an access, on some documents by some users.
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

    fn connections(&self, access: Option<Access>) -> u32 {
        let all = self.documents.iter().flat_map(|document| &document.connections);
        count(all.filter(|one| access.is_none_or(|access| one.access == access)))
    }

    fn pool(&self, pool: Pool) -> Limit {
        let settings = &self.settings;
        let named = |access| count(self.named.iter().filter(|one| one.access == access));
        let (limit, in_use) = match pool {
            Pool::Edit => (settings.edit_limit, self.seats(Access::Edit, |_, _| true)),
            Pool::Live => (settings.live_limit, self.seats(Access::LiveView, |_, _| true)),
            Pool::Users => (settings.named_users.edit, named(Access::Edit)),
            _ => (settings.named_users.live, named(Access::LiveView)),
        };
        Limit { limit, in_use }
    }

    /// Edit, live view, all connections.
    pub fn limits(&self) -> [Limit; 3] {
        let limit = self.settings.max_connections;
        let in_use = if limit.is_some() { self.connections(None) } else { 0 };
        [self.pool(Pool::Edit), self.pool(Pool::Live), Limit { limit, in_use }]
    }

    pub fn holders(&self, most: usize) -> Vec<(DocumentKey, UserId, Access, u32, Timestamp)> {
        let mut holders = Vec::new();
        for document in &self.documents {
            for (user, access) in document.stays_above_view() {
                let of = |one: &&super::document::Connection| *one.user.id() == user && one.access == access;
                let connections = count(document.connections.iter().filter(of));
                let active = document.active(&user, access) / 4_000 * 4_000;
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
        holders.truncate(most);
        let holder = |(active, key, user, access, connections)| (key, user, access, connections, active);
        holders.into_iter().map(holder).collect()
    }

    /// As the model tells holders.
    pub fn holder(holder: Holder) -> (DocumentKey, UserId, Access, u32, Timestamp) {
        (holder.key, holder.user, holder.access, holder.connections, holder.active)
    }

    /// The named users that count, those who may edit first, each with the end of its days.
    pub fn quota(&mut self) -> [Vec<(UserId, String)>; 2] {
        self.expire();
        [Access::Edit, Access::LiveView].map(|access| {
            let mut list: Vec<_> = self.named.iter().filter(|one| one.access == access).collect();
            list.sort_by_key(|one| (one.until, one.user.clone()));
            list.iter().map(|one| (one.user.clone(), Timestamp::from_millis(one.until).to_string())).collect()
        })
    }
}

/// What the limits come to.
impl Model {
    fn says(&mut self, pool: Pool, level: LimitLevel) {
        let place = self.said.iter_mut().find(|(other, _)| *other == pool).unwrap();
        place.1 = level;
        let Limit { limit, in_use } = self.pool(pool);
        self.notices.push(Notice::Limit { pool, level, in_use, limit: limit.unwrap_or(0) });
    }

    fn said(&self, pool: Pool) -> LimitLevel {
        self.said.iter().find(|(other, _)| *other == pool).unwrap().1
    }

    /// More are in use of a pool.
    fn rose(&mut self, pool: Pool) {
        let Limit { limit, in_use } = self.pool(pool);
        let near =
            |limit: u32| u64::from(in_use) * 100 >= u64::from(limit) * u64::from(self.settings.warn_at);
        if self.said(pool) == LimitLevel::Clear && in_use > 0 && limit.is_some_and(near) {
            self.says(pool, LimitLevel::Warning);
        }
    }

    /// Fewer are in use of it.
    pub fn fell(&mut self, pool: Pool) {
        let Limit { limit, in_use } = self.pool(pool);
        let percent = u64::from(self.settings.warn_at.saturating_sub(10));
        let clear = |limit: u32| limit > 0 && u64::from(in_use) * 100 <= u64::from(limit) * percent;
        if self.said(pool) != LimitLevel::Clear && limit.is_none_or(clear) {
            self.says(pool, LimitLevel::Clear);
        }
    }

    /// Connections with this access are fewer.
    pub fn freed(&mut self, access: Access) {
        if access > Access::View {
            self.fell(pools(access).0);
        }
    }

    fn refused(&mut self, pool: Pool) {
        if self.said(pool) != LimitLevel::Reached {
            self.says(pool, LimitLevel::Reached);
        }
    }

    /// A limit was changed.
    fn turned(&mut self, pool: Pool) {
        self.fell(pool);
        self.rose(pool);
    }

    /// Lets the named users go whose days are over.
    fn expire(&mut self) {
        let now = self.now;
        self.named.retain(|one| one.until > now);
        self.fell(Pool::Users);
        self.fell(Pool::UsersView);
    }

    pub fn set_edit_limit(&mut self, limit: Option<u32>) {
        self.settings.edit_limit = limit;
        self.turned(Pool::Edit);
    }

    pub fn set_live_limit(&mut self, limit: Option<u32>) {
        self.settings.live_limit = limit;
        self.turned(Pool::Live);
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
        self.turned(Pool::Users);
        self.turned(Pool::UsersView);
    }
}

/// Opening.
impl Model {
    /// What an open is answered; `really`: it is one, and no question. Who is let in gets a name by
    /// [`opened`](Self::opened).
    pub fn grant(
        &mut self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
        really: bool,
    ) -> Result<Grant, OpenError> {
        if is_full(self.settings.max_connections, self.connections(None)) {
            return Err(OpenError::TooMany);
        }
        let reason = if asked == Access::View { None } else { self.refusal(key, user, asked, really) };
        Ok(Grant { access: if reason.is_some() { Access::View } else { asked }, reason })
    }

    fn refusal(&mut self, key: &DocumentKey, user: &UserId, asked: Access, really: bool) -> Option<Reason> {
        let edit = asked == Access::Edit;
        if edit && self.draining {
            return Some(Reason::Draining);
        }
        if edit && self.document(key).is_some_and(|document| document.saving) {
            return Some(Reason::Saving);
        }
        if self.has_seat(key, user, asked) {
            return None;
        }
        if edit && is_full(self.settings.document_limit, self.seats(asked, |other, _| other == key)) {
            return Some(Reason::DocumentLimit);
        }
        if edit && is_full(self.settings.user_limit, self.seats(asked, |_, other| other == user)) {
            return Some(Reason::UserLimit);
        }
        if self.settings.named_users.edit.or(self.settings.named_users.live).is_some() {
            self.expire();
        }
        let (seats, names) = pools(asked);
        let counts = self.named.iter().any(|one| one.access == asked && one.user == *user);
        let is_full = |pool| is_full(self.pool(pool).limit, self.pool(pool).in_use);
        let (full, reason) = if is_full(names) && !counts {
            (names, Reason::UserQuota)
        } else if is_full(seats) {
            (seats, if edit { Reason::ConnectionLimit } else { Reason::LiveViewLimit })
        } else {
            return None;
        };
        if really {
            self.refused(full);
        }
        Some(reason)
    }

    /// Whether a further connection of the user takes no seat of its own.
    fn has_seat(&self, key: &DocumentKey, user: &UserId, access: Access) -> bool {
        self.settings.by_users && self.seats(access, |document, other| document == key && other == user) > 0
    }

    pub fn opened(&mut self, id: ConnectionId, key: &DocumentKey, user: &User, grant: Grant) {
        let Grant { access, reason } = grant;
        let takes_seat = access > Access::View && !self.has_seat(key, user.id(), access);
        let (settings, now) = (self.settings.clone(), self.now);
        if self.document(key).is_none() {
            self.documents.push(Document::new(key.clone()));
        }
        if let Some(document) = self.document(key) {
            document.join(id, user, access, &settings, now);
        }
        if takes_seat {
            self.rose(pools(access).0);
            self.count_named(user.id(), access);
        }
        self.moved(Some(Opened { user: user.id().clone(), access, reason }));
        self.follow_up(key);
    }

    fn count_named(&mut self, user: &UserId, access: Access) {
        let names = pools(access).1;
        let counts = self.named.iter().any(|one| one.access == access && one.user == *user);
        if self.pool(names).limit.is_some() && !counts {
            // The end of this day, UTC, and some days more.
            let days = self.now / DAY + 1 + u64::from(self.settings.named_users.expire_days);
            self.named.push(Named { access, user: user.clone(), until: days * DAY });
            self.rose(names);
        }
    }

    /// Connections came, went, or got another access.
    pub fn moved(&mut self, opened: Option<Opened>) {
        let counts = ACCESSES.map(|access| self.connections(Some(access)));
        self.usage.add(self.now, counts, opened);
    }
}
