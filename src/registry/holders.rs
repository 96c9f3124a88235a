//! Who holds seats, the longest idle first.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::Registry;
use super::ready::DocumentId;
use super::shard::Shard;
use crate::access::{ACCESSES, Access, Holder};
use crate::ids::{DocumentKey, UserId};
use crate::session::{Member, Session, Tab};
use crate::time::{Moment, Timestamp};

/// One user's seats on one document. Ordered by activity, then by document and user.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    active: Moment,
    key: DocumentKey,
    user: UserId,
    access: Access,
    connections: u32,
    name: Option<Arc<str>>,
}

/// The candidates that were idle for the longest time.
#[derive(Debug)]
struct LongestIdle {
    most: usize,
    /// The most recently active is on top, so that it is replaced first.
    found: BinaryHeap<Candidate>,
}

impl Registry {
    /// At most `most` holders of seats, the longest idle first.
    pub(crate) fn holders(&self, most: usize) -> Vec<Holder> {
        let mut idle = LongestIdle { most, found: BinaryHeap::new() };
        // Added with no lock held, since it frees whoever is no longer among them.
        self.walk(
            &mut idle,
            |idle, shard, documents| idle.candidates(shard, documents),
            |idle, found| found.into_iter().for_each(|candidate| idle.add(candidate)),
        );
        let now = self.now();
        let holder = |candidate: Candidate| {
            let active = now.wall_at(candidate.active);
            candidate.holder(active)
        };
        idle.found.into_sorted_vec().into_iter().map(holder).collect()
    }
}

impl LongestIdle {
    /// What some documents of a shard add.
    fn candidates(&self, shard: &Shard, documents: Vec<DocumentId>) -> Vec<Candidate> {
        let candidates = documents.into_iter().flat_map(|document| candidates_of(shard.session(document)));
        candidates.filter(|one| self.takes(one)).collect()
    }

    fn takes(&self, candidate: &Candidate) -> bool {
        self.found.len() < self.most || self.found.peek().is_some_and(|last| candidate.active <= last.active)
    }

    fn add(&mut self, candidate: Candidate) {
        self.found.push(candidate);
        if self.found.len() > self.most {
            self.found.pop();
        }
    }
}

fn candidates_of(session: &Session) -> impl Iterator<Item = Candidate> {
    let accesses = ACCESSES.into_iter().filter(|access| *access > Access::View);
    let of_member = move |member: &Member, access: Access| {
        let tabs = || member.tabs_with(access);
        Some(Candidate {
            active: tabs().map(Tab::active).max()?,
            key: session.key().clone(),
            user: member.user.id().clone(),
            access,
            connections: u32::try_from(tabs().count()).unwrap_or(u32::MAX),
            name: member.user.shared_name(),
        })
    };
    session
        .members()
        .flat_map(move |(_, member)| accesses.clone().filter_map(move |access| of_member(member, access)))
}

impl Candidate {
    fn holder(self, active: Timestamp) -> Holder {
        let Candidate { key, user, access, connections, name, .. } = self;
        Holder { key, user, name, access, connections, active }
    }
}
