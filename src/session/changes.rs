//! The unsaved changes of a document: how many, by whom and when.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::callback::{Author, Turn};
use crate::ids::{User, UserId};
use crate::time::Timestamp;
use crate::work;

/// Changes are numbered up to here.
pub(super) const NUMBER_MAX: u64 = u64::MAX / 2;

/// The changes of a document since its last save of status 2 was acknowledged. A document without unsaved changes has
/// no value of this type.
///
/// Changes are numbered from the beginning of the session, so that an earlier force save never claims to hold later
/// changes.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The number of the last change.
    last: u64,
    /// The number of the last change in the latest force save that is under way.
    requested: u64,
    /// The number of the last change in the latest acknowledged force save.
    force_saved: u64,
    last_author: UserId,
    last_at: Timestamp,
    /// When the oldest change was made that no acknowledged save holds, force saves included. Not later than that; too early
    /// where several force saves overlap.
    exposed_since: Option<Timestamp>,
    /// When the first change after the latest requested force save was made.
    after_requested: Option<Timestamp>,
    /// The oldest turn. Stored in place, since most documents are saved before they have another.
    first_turn: Turn,
    further_turns: VecDeque<Turn>,
}

#[cfg(feature = "count-work")]
impl Drop for Changes {
    fn drop(&mut self) {
        work::item(work::Item::Freed, self.turn_count());
    }
}

/// What a save of some moment holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// The number of the last change in it.
    pub(crate) last: u64,
    pub(crate) last_author: UserId,
    pub(crate) last_at: Timestamp,
    pub(crate) turns: Vec<Turn>,
}

impl Changes {
    /// The first change after number `saved`.
    pub(crate) fn first(saved: u64, user: &User, now: Timestamp) -> Self {
        Changes {
            last: saved + 1,
            requested: saved,
            force_saved: saved,
            last_author: user.id().clone(),
            last_at: now,
            exposed_since: Some(now),
            after_requested: None,
            first_turn: turn(user, now),
            further_turns: VecDeque::new(),
        }
    }

    /// The number of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The number of the last change in the latest acknowledged force save.
    pub(crate) fn force_saved(&self) -> u64 {
        self.force_saved
    }

    /// When the oldest unsaved change was made, in whole seconds.
    pub(crate) fn began(&self) -> Timestamp {
        self.first_turn.created
    }

    /// Adds a change. Costs O(1).
    pub(crate) fn add(&mut self, user: &User, now: Timestamp, most_turns: usize) {
        self.last += 1;
        self.last_at = self.last_at.max(now);
        self.exposed_since.get_or_insert(now);
        self.after_requested.get_or_insert(now);
        if self.last_author == *user.id() {
            return;
        }
        self.last_author = user.id().clone();
        self.further_turns.push_back(turn(user, self.last_at));
        while self.further_turns.len() >= most_turns.max(1) {
            self.merge_oldest();
        }
    }

    /// Returns true if there are changes that neither an acknowledged force save nor one under way holds.
    pub(crate) fn need_save(&self) -> bool {
        self.last > self.force_saved.max(self.requested)
    }

    /// When the oldest change was made that no acknowledged save holds. `None` if a force save holds every change.
    pub(crate) fn exposed_since(&self) -> Option<Timestamp> {
        self.exposed_since
    }

    /// Returns true if an acknowledged force save holds every change.
    pub(crate) fn are_force_saved(&self) -> bool {
        self.force_saved == self.last
    }

    /// What a save of this moment holds.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            last: self.last,
            last_author: self.last_author.clone(),
            last_at: self.last_at,
            turns: self.turns(),
        }
    }

    pub(crate) fn force_save_requested(&mut self, reach: &Reach) {
        self.requested = reach.last;
        self.after_requested = None;
    }

    /// Records that a force save up to change `reach` was acknowledged.
    pub(crate) fn force_save_acknowledged(&mut self, reach: u64) {
        self.force_saved = self.force_saved.max(reach);
        if self.are_force_saved() {
            self.exposed_since = None;
        } else if self.force_saved == self.requested {
            self.exposed_since = self.after_requested.or(self.exposed_since);
        }
    }

    /// Records that a force save was given up. Its changes need a save again, unless a later one under way holds them.
    pub(crate) fn force_save_given_up(&mut self, reach: u64) {
        if self.requested == reach {
            self.requested = self.force_saved;
        }
    }

    pub(crate) fn turn_count(&self) -> usize {
        1 + self.further_turns.len()
    }

    pub(crate) fn turns(&self) -> Vec<Turn> {
        work::news(self, self.turn_count());
        std::iter::once(&self.first_turn).chain(&self.further_turns).cloned().collect()
    }

    /// Makes one turn of the two oldest. It keeps the beginning and the author of the older one.
    fn merge_oldest(&mut self) {
        self.further_turns.pop_front();
        // Two neighbouring turns of one author are one turn.
        if self.further_turns.front().is_some_and(|next| next.author.id == self.first_turn.author.id) {
            self.further_turns.pop_front();
        }
    }
}

/// [`Changes`] as plain values that outlast the process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChangesSnapshot {
    last: u64,
    requested: u64,
    force_saved: u64,
    last_author: UserId,
    last_at: Timestamp,
    /// The oldest first.
    turns: Vec<Turn>,
}

impl Changes {
    pub(crate) fn snapshot(&self) -> ChangesSnapshot {
        let Changes { last, requested, force_saved, last_at, .. } = *self;
        let (last_author, turns) = (self.last_author.clone(), self.turns());
        ChangesSnapshot { last, requested, force_saved, last_author, last_at, turns }
    }
}

impl ChangesSnapshot {
    /// The number of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Checks what [`restore`](Self::restore) relies on. `saved` is how many changes were saved since the session began.
    pub(crate) fn check(&self, saved: u64) -> Result<(), &'static str> {
        let numbers = [self.requested, self.force_saved];
        let holds = saved < self.last
            && self.last < NUMBER_MAX
            && numbers.iter().all(|number| (saved..=self.last).contains(number));
        match self.turns.first() {
            None => Err("changes have no turn"),
            Some(_) if holds => Ok(()),
            Some(_) => Err("the numbers of changes do not hold"),
        }
    }

    pub(crate) fn restore(self) -> Changes {
        let ChangesSnapshot { last, requested, force_saved, last_author, last_at, turns } = self;
        let mut turns = VecDeque::from(turns);
        let first_turn = turns.pop_front().unwrap_or_else(|| turn(&last_author.clone().into(), last_at));
        let (further_turns, after_requested) = (turns, None);
        let exposed_since = (force_saved < last).then_some(first_turn.created);
        Changes {
            last,
            requested,
            force_saved,
            last_author,
            last_at,
            exposed_since,
            after_requested,
            first_turn,
            further_turns,
        }
    }
}

fn turn(user: &User, now: Timestamp) -> Turn {
    // A known handler shows somebody else's name where there is none.
    let name: Arc<str> = user.shared_name().unwrap_or_else(|| user.id().as_str().into());
    Turn { created: now.whole_seconds(), author: Author { id: user.id().clone(), name: Some(name) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> User {
        User::new(id).unwrap()
    }

    fn authors(changes: &Changes) -> String {
        changes.turns().iter().map(|turn| turn.author.id.to_string()).collect()
    }

    #[test]
    fn consecutive_changes_are_one_turn() {
        let mut changes = Changes::first(0, &user("a"), Timestamp::from_millis(1_500));
        changes.add(&user("a"), Timestamp::from_millis(2_500), 9);
        changes.add(&user("b"), Timestamp::from_millis(3_500), 9);
        changes.add(&user("a"), Timestamp::from_millis(4_500), 9);
        assert_eq!(authors(&changes), "aba");
        assert_eq!(changes.turns()[1].created, Timestamp::from_millis(3_000));
    }

    #[test]
    fn past_the_bound_the_oldest_turns_merge() {
        let mut changes = Changes::first(0, &user("a"), Timestamp::from_millis(1_000));
        for (second, id) in ["b", "c", "d", "e"].into_iter().enumerate() {
            changes.add(&user(id), Timestamp::from_millis(2_000 + 1_000 * second as u64), 3);
        }
        assert_eq!(authors(&changes), "ade");
        assert_eq!(changes.turns()[0].created, Timestamp::from_millis(1_000));
        changes.add(&user("a"), Timestamp::from_millis(9_000), 3);
        assert_eq!(authors(&changes), "aea");
        changes.add(&user("b"), Timestamp::from_millis(9_000), 3);
        assert_eq!(authors(&changes), "ab", "the two turns of a became neighbours, and one");
        assert_eq!(changes.reach().last_author, "b");
    }

    #[test]
    fn p5_a_given_up_force_save_leaves_its_changes_unsaved() {
        let mut changes = Changes::first(0, &user("a"), Timestamp::default());
        let first = changes.reach();
        changes.force_save_requested(&first);
        assert!(!changes.need_save());
        changes.add(&user("a"), Timestamp::default(), 9);
        let second = changes.reach();
        changes.force_save_requested(&second);
        changes.force_save_given_up(first.last);
        assert!(!changes.need_save(), "the later one holds them");
        changes.force_save_given_up(second.last);
        assert!(changes.need_save());
        changes.force_save_acknowledged(second.last);
        assert!(changes.are_force_saved());
    }

    #[test]
    fn time_does_not_go_backward() {
        let mut changes = Changes::first(0, &user("a"), Timestamp::from_millis(5_000));
        changes.add(&user("b"), Timestamp::from_millis(1_000), 9);
        assert_eq!(changes.reach().last_at, Timestamp::from_millis(5_000));
        assert_eq!(changes.turns()[1].created, Timestamp::from_millis(5_000));
    }
}
