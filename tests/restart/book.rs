//! The tests' own book: who has which seat, and what is unsaved.

use std::time::Duration;

use coedit::{Access, ConnectionId, Reason, ResumeToken, Timestamp};

use super::told::Told;

pub const USERS: usize = 4;

/// The limits of one engine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub edit: Option<u32>,
    pub document: Option<u32>,
    pub user: Option<u32>,
    pub cap: Option<u32>,
    /// Users of documents take seats, and connections do not.
    pub by_users: bool,
    pub grace: Option<Duration>,
}

/// An open connection.
#[derive(Clone, Debug)]
pub struct Tab {
    pub id: ConnectionId,
    pub document: usize,
    pub user: usize,
    pub access: Access,
    pub token: Option<ResumeToken>,
    pub attempt: u64,
    pub opened: Timestamp,
    /// When its lease ends. `None` if it is alive.
    pub lost_until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Document {
    /// The time of the last change. Each has a time of its own.
    pub changed: Timestamp,
    /// The time of the last change that any acknowledged save holds.
    pub held: Timestamp,
    /// The time of the last change in an acknowledged save of status 2 after whose hand-out nobody edited.
    pub closed: Timestamp,
    /// The step in which somebody was granted edit access last.
    pub granted: usize,
    /// How often each user joined and left.
    pub joins: [u32; USERS],
    pub leaves: [u32; USERS],
    pub told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced {
    pub document: usize,
    /// `None` for everybody.
    pub user: Option<usize>,
    pub until: Option<Timestamp>,
}

/// Everything that a snapshot keeps.
#[derive(Clone, Debug)]
pub struct Book {
    pub tabs: Vec<Tab>,
    pub documents: Vec<Document>,
    pub fences: Vec<Fenced>,
}

impl Book {
    pub fn new(documents: usize) -> Self {
        let document = || Document {
            changed: Timestamp::default(),
            held: Timestamp::default(),
            closed: Timestamp::default(),
            granted: 0,
            joins: [0; USERS],
            leaves: [0; USERS],
            told: Told::default(),
        };
        Book { tabs: Vec::new(), documents: (0..documents).map(|_| document()).collect(), fences: Vec::new() }
    }

    pub fn edits(&self, document: usize, user: usize) -> u32 {
        let is_one = |tab: &&Tab| (tab.document, tab.user, tab.access) == (document, user, Access::Edit);
        u32::try_from(self.tabs.iter().filter(is_one).count()).unwrap()
    }

    pub fn is_edited(&self, document: usize) -> bool {
        (0..USERS).any(|user| self.edits(document, user) > 0)
    }

    fn seats(&self, document: usize, user: usize, by_users: bool) -> u32 {
        let edits = self.edits(document, user);
        if by_users { edits.min(1) } else { edits }
    }

    fn seats_of_document(&self, document: usize, by_users: bool) -> u32 {
        (0..USERS).map(|user| self.seats(document, user, by_users)).sum()
    }

    fn seats_of_user(&self, user: usize, by_users: bool) -> u32 {
        (0..self.documents.len()).map(|document| self.seats(document, user, by_users)).sum()
    }

    pub fn seats_in_use(&self, by_users: bool) -> u32 {
        (0..self.documents.len()).map(|document| self.seats_of_document(document, by_users)).sum()
    }

    pub fn connections(&self) -> u32 {
        u32::try_from(self.tabs.len()).unwrap()
    }

    /// Panics if more seats are in use than a limit allows.
    pub fn assert_within(&self, limits: &Limits) {
        let by_users = limits.by_users;
        let fits = |limit: Option<u32>, in_use| limit.is_none_or(|limit| in_use <= limit);
        let holds = fits(limits.edit, self.seats_in_use(by_users))
            && fits(limits.cap, self.connections())
            && (0..USERS).all(|user| fits(limits.user, self.seats_of_user(user, by_users)))
            && (0..self.documents.len())
                .all(|document| fits(limits.document, self.seats_of_document(document, by_users)));
        assert!(holds, "P1: {limits:?} {:?}", self.tabs);
    }

    /// The limit that refuses one more editing connection.
    pub fn limit_reached(&self, (document, user): (usize, usize), limits: &Limits) -> Option<Reason> {
        let by_users = limits.by_users;
        if by_users && self.edits(document, user) > 0 {
            return None;
        }
        let full = |limit: Option<u32>, in_use| limit.is_some_and(|limit| in_use >= limit);
        if full(limits.document, self.seats_of_document(document, by_users)) {
            Some(Reason::DocumentLimit)
        } else if full(limits.user, self.seats_of_user(user, by_users)) {
            Some(Reason::UserLimit)
        } else {
            full(limits.edit, self.seats_in_use(by_users)).then_some(Reason::ConnectionLimit)
        }
    }

    pub fn is_full(&self, limits: &Limits) -> bool {
        limits.cap.is_some_and(|cap| self.connections() >= cap)
    }

    pub fn is_fenced(&self, document: usize, user: usize) -> bool {
        let hits = |fence: &Fenced| fence.document == document && fence.user.is_none_or(|one| one == user);
        self.fences.iter().any(hits)
    }

    pub fn lost_editing(&self, document: usize, user: usize) -> bool {
        let is_one = |tab: &Tab| {
            (tab.document, tab.user, tab.access) == (document, user, Access::Edit) && tab.lost_until.is_some()
        };
        self.tabs.iter().any(is_one)
    }

    pub fn with_token(&self, token: &ResumeToken) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.token.is_some_and(|own| own == *token))
    }

    pub fn join(&mut self, tab: Tab, step: usize) {
        if tab.access == Access::Edit {
            let document = &mut self.documents[tab.document];
            document.joins[tab.user] += 1;
            document.granted = step;
        }
        self.tabs.push(tab);
    }

    pub fn leave(&mut self, place: usize) -> Tab {
        let tab = self.tabs.remove(place);
        if tab.access == Access::Edit {
            self.documents[tab.document].leaves[tab.user] += 1;
        }
        tab
    }

    pub fn demote(&mut self, place: usize) {
        let tab = &mut self.tabs[place];
        tab.access = Access::View;
        self.documents[tab.document].leaves[tab.user] += 1;
    }

    /// Ends the leases and the fences whose time is over. Returns the connections that left.
    pub fn expire(&mut self, now: Timestamp) -> Vec<ConnectionId> {
        self.fences.retain(|fence| fence.until.is_none_or(|until| until > now));
        let mut left = Vec::new();
        while let Some(place) =
            self.tabs.iter().position(|tab| tab.lost_until.is_some_and(|until| until <= now))
        {
            left.push(self.leave(place).id);
        }
        left
    }

    /// An engine with these limits was made of a snapshot that was taken at `taken`: whoever can come back is lost, and seats
    /// go by the order of joining. Returns how many lost edit access.
    pub fn restore(&mut self, limits: &Limits, taken: Timestamp, now: Timestamp) -> usize {
        let mut lost = 0;
        let mut returning = std::mem::take(&mut self.tabs);
        returning.sort_by_key(|tab| tab.opened);
        let until = now.after(limits.grace.unwrap_or(Duration::from_secs(60)));
        for mut tab in returning {
            let edited = tab.access == Access::Edit;
            tab.lost_until = Some(until);
            if edited && self.limit_reached((tab.document, tab.user), limits).is_some() {
                tab.access = Access::View;
            }
            let stays = tab.token.is_some() && !self.is_full(limits);
            if edited && !(stays && tab.access == Access::Edit) {
                self.documents[tab.document].leaves[tab.user] += 1;
                lost += 1;
            }
            if stays {
                self.tabs.push(tab);
            }
        }
        for fence in &mut self.fences {
            fence.until = fence.until.map(|until| now.after(until.since(taken)));
        }
        lost
    }
}
