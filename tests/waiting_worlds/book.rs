//! The book of a world of waiting: who is there, who waits by which ticket, and what each limit says. It is written from the
//! results of calls, from notices, and from what the engine lists. It knows nothing of how the engine keeps its lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use coedit::{Access, AccessCause, ConnectionId, ConnectionState, Engine, Notice, Reason, UserId};

use crate::support::key;

/// The ticket of whoever does not wait.
pub(crate) const NEWCOMER: u64 = u64::MAX;

/// A ticket, and the position of whoever has it.
type Standing = (u64, Option<u32>);

/// A connection, as the engine lists it.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    pub(crate) document: String,
    pub(crate) user: UserId,
    pub(crate) access: Access,
    pub(crate) lost: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) position: Option<u32>,
}

/// The limits that the host has set last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Set {
    pub(crate) edit: Option<u32>,
    pub(crate) document: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) named: Option<u32>,
    pub(crate) by_users: bool,
}

/// What is known of one call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The connection whose access the answer tells.
    pub(crate) answered: Option<ConnectionId>,
    /// The places that the call ends by a drop or a fence.
    pub(crate) dropped: Vec<ConnectionId>,
    /// Whether time passed, so that the call is several of them in one.
    pub(crate) ticked: bool,
    /// Whether something may be due that no tick has run yet.
    pub(crate) late: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) set: Set,
    pub(crate) tabs: BTreeMap<ConnectionId, Tab>,
    /// The tickets of those who wait.
    pub(crate) places: BTreeMap<ConnectionId, u64>,
    pub(crate) next_ticket: u64,
    pub(crate) begun: u32,
    pub(crate) granted: u32,
    /// The named users, and when each of them stops to count.
    pub(crate) named: HashMap<UserId, u64>,
    /// When somebody stops to count who is named now.
    pub(crate) named_until: u64,
    /// The documents that a save is made of, or that a drop asked one for.
    pub(crate) saving: BTreeSet<String>,
    pub(crate) draining: bool,
}

/// Lists every connection of these documents.
pub(crate) fn look(engine: &Engine, documents: &[String]) -> BTreeMap<ConnectionId, Tab> {
    let mut tabs = BTreeMap::new();
    for document in documents {
        for info in engine.connections(&key(document)) {
            let handle = engine.adopt(info.connection).unwrap();
            let reason = handle.granted().reason;
            let _ = handle.into_id();
            let tab = Tab {
                document: document.clone(),
                user: info.user.id().clone(),
                access: info.access,
                lost: info.state == ConnectionState::Lost,
                reason,
                position: info.position,
            };
            tabs.insert(info.connection, tab);
        }
    }
    tabs
}

/// Calls that begin, move and end a place.
impl Book {
    pub(crate) fn place_of_user(&self, tab: &Tab) -> Option<ConnectionId> {
        let is_of_user = |other: &&ConnectionId| {
            self.tabs.get(other).is_some_and(|one| (&one.document, &one.user) == (&tab.document, &tab.user))
        };
        self.places.keys().find(is_of_user).copied()
    }

    /// A connection asked and was let into the line, or goes on in the `place` of its user.
    pub(crate) fn stands(&mut self, asking: ConnectionId, place: Option<ConnectionId>) {
        if let Some(place) = place {
            self.moves(place, asking);
        } else {
            self.places.insert(asking, self.next_ticket);
            self.next_ticket += 1;
            self.begun += 1;
        }
    }

    /// A connection waits no longer.
    pub(crate) fn ends(&mut self, place: ConnectionId) {
        self.places.remove(&place);
    }

    /// A place goes on under another connection.
    pub(crate) fn moves(&mut self, old: ConnectionId, new: ConnectionId) {
        if let Some(ticket) = self.places.remove(&old) {
            self.places.insert(new, ticket);
        }
    }
}

/// Checks.
impl Book {
    /// Compares what the engine lists after a call with what the book says, and enters it.
    pub(crate) fn check(&mut self, call: &Call, now: BTreeMap<ConnectionId, Tab>, notices: &[Notice]) {
        let mut told: Vec<ConnectionId> = Vec::new();
        let mut wanted = 0;
        for notice in notices {
            match notice {
                Notice::Access { connection, cause: AccessCause::Granted, access, .. } => {
                    assert_eq!(*access, Access::Edit);
                    told.push(*connection);
                }
                Notice::Access { cause: AccessCause::Wanted, .. } => wanted += 1,
                Notice::Disconnected { connection, .. } => self.ends(*connection),
                _ => {}
            }
        }
        for ended in &call.dropped {
            let is_of_it = |notice: &&Notice| matches!(notice, Notice::Dropped { connection, .. } if connection == ended);
            assert_eq!(
                notices.iter().filter(is_of_it).count(),
                1,
                "{ended:?} hears that its place is dropped"
            );
        }
        let before = std::mem::replace(&mut self.tabs, now);
        self.check_grants(call, &before, &told, wanted);
        self.check_lines(call);
        let most = self.set.named.map_or(usize::MAX, |most| most as usize);
        assert!(self.named.len() <= most, "P1: {} named users", self.named.len());
    }

    /// Everybody who edits now and did not before was granted that, hears of it once, and passed over nobody.
    fn check_grants(
        &mut self,
        call: &Call,
        before: &BTreeMap<ConnectionId, Tab>,
        told: &[ConnectionId],
        wanted: usize,
    ) {
        let mut expected = Vec::new();
        let mut grants: Vec<(ConnectionId, u64)> = Vec::new();
        for (connection, tab) in &self.tabs {
            let edited = before.get(connection).is_some_and(|tab| tab.access == Access::Edit);
            let ticket = self.places.get(connection).copied();
            // An idle editor that asks late may lose its seat, and get another one.
            if tab.access != Access::Edit || (edited && ticket.is_none()) {
                continue;
            }
            if call.answered != Some(*connection) {
                assert!(ticket.is_some(), "{connection:?} edits, and neither asked nor waited");
                expected.push(*connection);
            }
            if before.contains_key(connection) || ticket.is_some() || !self.moved_seat(before, tab) {
                grants.push((*connection, ticket.unwrap_or(NEWCOMER)));
            }
        }
        let mut told_once = told.to_vec();
        told_once.sort_unstable();
        if call.late && call.answered.is_some_and(|answered| told_once.contains(&answered)) {
            // It was granted that by what was due before it asked.
            expected.extend(call.answered);
            expected.sort_unstable();
        }
        assert_eq!(told_once, expected, "each of them is told once, and nobody who is answered");
        let tickets: Vec<u64> = told.iter().map(|one| self.places[one]).collect();
        // Seats that are taken over become free one after the other.
        let at_once = !call.ticked && !call.late && wanted == 0;
        assert!(!at_once || tickets.is_sorted(), "P12: one call grants by ticket: {tickets:?}");
        assert!(wanted <= grants.len(), "an idle editor lost its seat, and nobody got it");
        for (connection, ticket) in &grants {
            self.granted += u32::from(self.places.remove(connection).is_some());
            let tab = &self.tabs[connection];
            assert!(!self.draining, "{connection:?} was granted access while the engine drains");
            if !self.shares_seat(call, before, tab) {
                self.assert_nobody_passed_over(call, before, (tab, *ticket));
            }
        }
        for (connection, _) in &grants {
            let tab = self.tabs[connection].clone();
            if self.shares_seat(call, before, &tab) {
                continue;
            }
            if self.set.named.is_some() {
                self.named.entry(tab.user.clone()).or_insert(self.named_until);
            }
            for reason in [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit] {
                let [in_use, limit] = self.use_of(reason, &tab);
                assert!(
                    in_use <= limit,
                    "P1: {connection:?} was granted past the {reason}: {in_use} of {limit}"
                );
            }
        }
    }

    /// Returns true if a new connection has the seat of one that is gone: it resumed it, or took it over.
    fn moved_seat(&self, before: &BTreeMap<ConnectionId, Tab>, tab: &Tab) -> bool {
        before.iter().any(|(old, one)| {
            one.access == Access::Edit
                && (&one.document, &one.user) == (&tab.document, &tab.user)
                && !self.tabs.contains_key(old)
        })
    }

    /// Returns true if a connection needs no seat: its user has one on the document. A call with something due is several in
    /// one, so that the user may have got it in the call.
    fn shares_seat(&self, call: &Call, before: &BTreeMap<ConnectionId, Tab>, tab: &Tab) -> bool {
        let edits = |one: &&Tab| {
            one.access == Access::Edit && (&one.document, &one.user) == (&tab.document, &tab.user)
        };
        let got_one = call.late && self.tabs.values().filter(edits).count() > 1;
        self.set.by_users && (got_one || before.values().any(|one| edits(&one)))
    }

    /// Nobody with an earlier ticket stood in a line that the one who was granted had to pass, and is still there. A newcomer
    /// has to pass nobody at all.
    fn assert_nobody_passed_over(
        &self,
        call: &Call,
        before: &BTreeMap<ConnectionId, Tab>,
        (tab, ticket): (&Tab, u64),
    ) {
        // In a tick a seat that stopped somebody may be taken over after the grant.
        let was_stopped = |was: &Tab| {
            (call.ticked || call.late)
                && [Reason::DocumentLimit, Reason::UserLimit].into_iter().any(|reason| {
                    let [in_use, limit] = self.use_in(before, reason, was);
                    Some(reason) != was.reason && in_use >= limit
                })
        };
        for (other, was) in before {
            let stood = !was.lost && was.position.is_some() && was.access != Access::Edit;
            let same_line = match was.reason {
                Some(Reason::ConnectionLimit) => true,
                Some(Reason::DocumentLimit | Reason::Saving) => was.document == tab.document,
                Some(Reason::UserLimit) => was.user == tab.user,
                _ => false,
            };
            if !stood || !same_line {
                continue;
            }
            assert!(ticket < NEWCOMER || call.late, "P12: a newcomer ({tab:?}) came before {was:?}");
            let (Some(is), Some(others_ticket)) = (self.tabs.get(other), self.places.get(other)) else {
                continue;
            };
            let still_stands = !is.lost && is.access != Access::Edit && was.reason == is.reason;
            assert!(
                !still_stands
                    || *others_ticket > ticket
                    || self.is_stopped_elsewhere(is, tab)
                    || was_stopped(was),
                "P12: ticket {others_ticket} ({is:?}) was passed over by {ticket} ({tab:?})"
            );
        }
    }

    /// Returns true if another limit than that of its line stops a waiter, also without the one who was `granted`: it was
    /// skipped.
    fn is_stopped_elsewhere(&self, waiter: &Tab, granted: &Tab) -> bool {
        let is_full = |reason: &Reason| {
            let shared = match reason {
                Reason::DocumentLimit => waiter.document == granted.document,
                Reason::UserLimit => waiter.user == granted.user,
                _ => true,
            };
            let [in_use, limit] = self.use_of(*reason, waiter);
            Some(*reason) != waiter.reason && in_use - usize::from(shared) >= limit
        };
        let has_no_name = self.set.named.is_some_and(|most| self.named.len() >= most as usize)
            && !self.named.contains_key(&waiter.user);
        has_no_name
            || self.saving.contains(&waiter.document)
            || [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit].iter().any(is_full)
    }

    /// Everybody who waits stands in the line of a limit that stops it, by ticket.
    fn check_lines(&self, call: &Call) {
        let mut lines: BTreeMap<(Reason, String), Vec<Standing>> = BTreeMap::new();
        for (connection, tab) in &self.tabs {
            let Some(ticket) = self.places.get(connection) else {
                assert_eq!(tab.position, None, "{connection:?} does not wait");
                continue;
            };
            assert_ne!(tab.access, Access::Edit, "{connection:?} waits and edits");
            let reason = tab.reason.expect("a waiter has a reason");
            let line = match reason {
                Reason::ConnectionLimit => String::new(),
                Reason::DocumentLimit | Reason::Saving => tab.document.clone(),
                Reason::UserLimit => tab.user.to_string(),
                Reason::UserQuota => {
                    assert_eq!(tab.position, None, "there is no line for a quota");
                    self.check_stopped(call, tab, reason);
                    continue;
                }
                other => panic!("there is no line for {other}: {tab:?}"),
            };
            lines.entry((reason, line)).or_default().push((*ticket, tab.position));
            self.check_stopped(call, tab, reason);
        }
        for (line, mut waiters) in lines {
            waiters.sort_unstable();
            let positions: Vec<Option<u32>> = waiters.iter().map(|(_, position)| *position).collect();
            let expected: Vec<Option<u32>> = (1..).map(Some).take(waiters.len()).collect();
            assert_eq!(positions, expected, "{line:?}: {waiters:?}");
        }
        let gone = self.places.keys().find(|place| !self.tabs.contains_key(place));
        assert_eq!(gone, None, "it waits and is not open");
    }

    /// Nobody waits for what is free.
    fn check_stopped(&self, call: &Call, tab: &Tab, reason: Reason) {
        if tab.lost || self.draining || call.late {
            return;
        }
        let stopped = match reason {
            Reason::Saving => self.saving.contains(&tab.document),
            // The days of named users are over at a tick.
            Reason::UserQuota => {
                !call.ticked
                    || (!self.named.contains_key(&tab.user)
                        && self.set.named.is_some_and(|most| self.named.len() >= most as usize))
            }
            _ => {
                let [in_use, limit] = self.use_of(reason, tab);
                in_use >= limit
            }
        };
        assert!(stopped, "P12: it waits for a free seat: {tab:?}, {:?}", self.set);
    }

    /// How many seats of a limit are taken, and the limit.
    pub(crate) fn use_of(&self, reason: Reason, tab: &Tab) -> [usize; 2] {
        self.use_in(&self.tabs, reason, tab)
    }

    fn use_in(&self, tabs: &BTreeMap<ConnectionId, Tab>, reason: Reason, tab: &Tab) -> [usize; 2] {
        let counts = |one: &Tab| match reason {
            Reason::DocumentLimit => one.document == tab.document,
            Reason::UserLimit => one.user == tab.user,
            _ => true,
        };
        let editing = tabs.values().filter(|one| one.access == Access::Edit && counts(one));
        let in_use = if self.set.by_users {
            editing.map(|one| (&one.document, &one.user)).collect::<BTreeSet<_>>().len()
        } else {
            editing.count()
        };
        let limit = match reason {
            Reason::DocumentLimit => self.set.document,
            Reason::UserLimit => self.set.user,
            _ => self.set.edit,
        };
        [in_use, limit.map_or(usize::MAX, |limit| limit as usize)]
    }

    /// How many wait at each limit.
    pub(crate) fn waiting(&self) -> [u32; 4] {
        [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit, Reason::Saving].map(|reason| {
            let at_it = self.places.keys().filter(|place| self.tabs[place].reason == Some(reason));
            u32::try_from(at_it.count()).unwrap()
        })
    }
}
