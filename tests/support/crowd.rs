//! Counts the open connections from outside and checks that the engine applies its limits to them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

use std::collections::{BTreeMap, HashSet};

use coedit::{
    Access, Config, ConnectionId, Engine, Grant, LimitLevel, NamedUsers, Notice, OpenError, Pool, Reason,
    SeatCount, Timestamp,
};

use super::random::Random;

const DAY: u64 = 86_400_000;

/// An open connection. Documents and users are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Tab {
    pub id: ConnectionId,
    pub document: usize,
    pub user: usize,
    pub access: Access,
}

/// The limits of an engine.
#[derive(Clone, Debug)]
struct Limits {
    edit: Option<u32>,
    live: Option<u32>,
    document: Option<u32>,
    user: Option<u32>,
    all: Option<u32>,
    named: NamedUsers,
    by_users: bool,
}

fn wide(random: &mut Random) -> Option<u32> {
    *random.pick(&[Some(0), Some(1), Some(2), Some(20), Some(500), None])
}

fn narrow(random: &mut Random) -> Option<u32> {
    *random.pick(&[None, None, None, Some(0), Some(1), Some(2), Some(3), Some(8)])
}

fn cap(random: &mut Random) -> Option<u32> {
    *random.pick(&[None, None, Some(1), Some(10), Some(100), Some(500)])
}

fn named(random: &mut Random) -> NamedUsers {
    let limits = [None, None, None, Some(0), Some(1), Some(4), Some(20), Some(300)];
    let (edit, live) = (*random.pick(&limits), *random.pick(&limits));
    NamedUsers { edit, live, expire_days: *random.pick(&[0, 0, 1, 3]) }
}

fn is_full(limit: Option<u32>, in_use: usize) -> bool {
    limit.is_some_and(|limit| in_use >= limit as usize)
}

#[derive(Debug)]
pub struct Crowd {
    pub tabs: Vec<Tab>,
    limits: Limits,
    /// The named users: the access, the user, and the time until which the user counts.
    named: Vec<(Access, usize, u64)>,
    /// The level in the last notice about each limit.
    levels: BTreeMap<Pool, LimitLevel>,
}

impl Crowd {
    pub fn new(random: &mut Random) -> Self {
        let limits = Limits {
            edit: wide(random),
            live: wide(random),
            document: narrow(random),
            user: narrow(random),
            all: cap(random),
            named: named(random),
            by_users: random.one_in(2),
        };
        Crowd { tabs: Vec::new(), limits, named: Vec::new(), levels: BTreeMap::new() }
    }

    pub fn config(&self, config: Config) -> Config {
        let Limits { edit, live, document, user, all, named, by_users } = self.limits;
        let count = if by_users { SeatCount::UsersOfDocuments } else { SeatCount::Connections };
        let config = config.edit_limit(edit).live_limit(live).document_limit(document).user_limit(user);
        config.max_connections(all).named_users(named).seat_count(count)
    }

    /// Changes one limit at random.
    pub fn change_a_limit(&mut self, random: &mut Random, engine: &Engine) {
        let limits = &mut self.limits;
        let changed = match random.below(6) {
            0 => {
                limits.edit = wide(random);
                engine.set_edit_limit(limits.edit)
            }
            1 => {
                limits.live = wide(random);
                engine.set_live_limit(limits.live)
            }
            2 => {
                limits.document = narrow(random);
                engine.set_document_limit(limits.document)
            }
            3 => {
                limits.user = narrow(random);
                engine.set_user_limit(limits.user)
            }
            4 => {
                limits.all = cap(random);
                engine.set_max_connections(limits.all)
            }
            _ => {
                limits.named = named(random);
                engine.set_named_users(limits.named)
            }
        };
        changed.unwrap();
        let NamedUsers { edit, live, .. } = limits.named;
        let limit_of = |access| if access == Access::Edit { edit } else { live };
        self.named.retain(|(access, ..)| limit_of(*access).is_some());
    }

    /// Returns the access of a connection, or `None` if it is closed.
    pub fn access(&self, id: ConnectionId) -> Option<Access> {
        self.tabs.iter().find(|tab| tab.id == id).map(|tab| tab.access)
    }

    /// Records that these connections lost their access.
    pub fn dropped(&mut self, ids: &[ConnectionId]) {
        for tab in self.tabs.iter_mut().filter(|tab| ids.contains(&tab.id)) {
            assert!(tab.access > Access::View, "only connections with more than view access are dropped");
            tab.access = Access::View;
        }
    }

    /// Counts the seats of an access that some of the connections take.
    fn seats(&self, access: Access, which: impl Fn(&Tab) -> bool) -> usize {
        let taken = self.tabs.iter().filter(|tab| tab.access == access && which(tab));
        if self.limits.by_users {
            taken.map(|tab| (tab.document, tab.user)).collect::<HashSet<_>>().len()
        } else {
            taken.count()
        }
    }

    /// Returns the limits that leave this user no seat on this document, the narrowest first.
    fn full(&self, document: usize, user: usize, asked: Access, now: u64) -> Vec<Reason> {
        let Limits { edit, live, document: of_document, user: of_user, named, by_users, .. } = self.limits;
        let theirs = |tab: &Tab| tab.document == document && tab.user == user;
        if asked == Access::View || (by_users && self.seats(asked, theirs) > 0) {
            return Vec::new();
        }
        let edits = asked == Access::Edit;
        let names = || self.named.iter().filter(|(access, _, until)| *access == asked && *until > now);
        let quota_is_full = is_full(if edits { named.edit } else { named.live }, names().count());
        let pool = is_full(if edits { edit } else { live }, self.seats(asked, |_| true));
        let rules = [
            (
                Reason::DocumentLimit,
                edits && is_full(of_document, self.seats(asked, |tab| tab.document == document)),
            ),
            (Reason::UserLimit, edits && is_full(of_user, self.seats(asked, |tab| tab.user == user))),
            (Reason::UserQuota, quota_is_full && !names().any(|(_, other, _)| *other == user)),
            (if edits { Reason::ConnectionLimit } else { Reason::LiveViewLimit }, pool),
        ];
        rules.into_iter().filter(|(_, full)| *full).map(|(reason, _)| reason).collect()
    }

    /// Checks the answer to an open: it is never above a limit, and nobody is refused while every limit has a free seat.
    pub fn check_open(
        &self,
        (document, user, asked): (usize, usize, Access),
        now: Timestamp,
        answer: Result<Grant, OpenError>,
    ) {
        let capped = is_full(self.limits.all, self.tabs.len());
        let Ok(grant) = answer else {
            assert_eq!(answer, Err(OpenError::TooMany));
            assert!(capped, "P2: an open failed below the cap");
            return;
        };
        assert!(!capped, "P1: the cap was exceeded");
        let full = self.full(document, user, asked, now.as_millis());
        match grant.reason {
            None => {
                assert_eq!(grant.access, asked);
                assert!(full.is_empty(), "P1: exceeded {full:?}");
            }
            Some(reason) => {
                assert_eq!(grant.access, Access::View);
                // The reason is the narrowest limit that is full.
                let by_limit = !matches!(reason, Reason::Saving | Reason::Draining);
                assert!(
                    !by_limit || full.first() == Some(&reason),
                    "P1: the reason is {reason}, the full limits are {full:?}"
                );
            }
        }
    }

    /// Records a new connection.
    pub fn opened(&mut self, tab: Tab, now: Timestamp) {
        let Tab { document, user, access, .. } = tab;
        let NamedUsers { edit, live, expire_days } = self.limits.named;
        let theirs = |tab: &Tab| tab.document == document && tab.user == user;
        let has_seat = self.limits.by_users && self.seats(access, theirs) > 0;
        self.tabs.push(tab);
        let counted =
            (access == Access::Edit && edit.is_some()) || (access == Access::LiveView && live.is_some());
        self.named.retain(|(.., until)| *until > now.as_millis());
        let is_same_user =
            |(other_access, other, _): &(Access, usize, u64)| (*other_access, *other) == (access, user);
        if counted && !has_seat && !self.named.iter().any(is_same_user) {
            let until = (now.as_millis() / DAY + 1 + u64::from(expire_days)) * DAY;
            self.named.push((access, user, until));
        }
    }

    /// Checks that the engine counts the seats that the connections take.
    pub fn check(&self, engine: &Engine) {
        let limits = engine.limits();
        let in_use = [limits.edit.in_use, limits.live.in_use, limits.connections.in_use];
        let [edit, live] = [Access::Edit, Access::LiveView].map(|access| self.seats(access, |_| true));
        let all = self.tabs.len();
        assert_eq!(
            in_use.map(|count| count as usize),
            [edit, live, all],
            "P1: the seats in use differ from the seats of the open connections"
        );
    }

    /// Checks the holders of seats, by document and user.
    pub fn check_holders(&self, engine: &Engine) {
        let mut tabs = BTreeMap::new();
        for tab in self.tabs.iter().filter(|tab| tab.access > Access::View) {
            let holder = (format!("document-{}", tab.document), format!("user-{}", tab.user), tab.access);
            *tabs.entry(holder).or_insert(0) += 1;
        }
        let holders = engine.holders(usize::MAX);
        assert!(
            holders.is_sorted_by_key(|holder| holder.active),
            "holders are sorted by their last activity"
        );
        let held = holders.into_iter().map(|holder| {
            ((holder.key.to_string(), holder.user.to_string(), holder.access), holder.connections)
        });
        assert_eq!(held.collect::<BTreeMap<_, _>>(), tabs);
    }

    /// Checks that a limit sends one notice for each change of its level.
    pub fn check_notice(&mut self, notice: &Notice) {
        let Notice::Limit { pool, level, in_use, limit } = notice else { return };
        let before = self.levels.insert(*pool, *level).unwrap_or(LimitLevel::Clear);
        let is_change = match level {
            LimitLevel::Clear => before != LimitLevel::Clear,
            LimitLevel::Warning => before == LimitLevel::Clear,
            LimitLevel::Reached => before != LimitLevel::Reached,
        };
        assert!(is_change, "{notice:?} after {before:?}");
        assert!(*level != LimitLevel::Reached || in_use >= limit, "{notice:?}");
    }
}
