//! What was changed since the last save, by whom and when.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::callback::{Author, Turn};
use crate::ids::{User, UserId};
use crate::time::Timestamp;

/// The changes of a document since its last save of status 2 was acknowledged. There is one as soon as anything was
/// changed; a saved document has none.
///
/// They are numbered from the beginning of the session, so that a force save which was asked for earlier never claims
/// to hold later ones.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The number of the last change before these.
    before: u64,
    /// The number of the last one.
    made: u64,
    /// Up to which the latest force save under way reaches.
    asked: u64,
    /// Up to which the latest acknowledged force save reaches.
    forced: u64,
    last_author: UserId,
    last_at: Timestamp,
    /// The oldest: most documents are saved before there is another.
    first_turn: Turn,
    further_turns: VecDeque<Turn>,
}

/// How far a save reaches.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) changes: u64,
    pub(crate) last_author: UserId,
    pub(crate) last_at: Timestamp,
}

impl Changes {
    /// The first change after the one with the number `before`.
    pub(crate) fn first(before: u64, user: &User, now: Timestamp) -> Self {
        Changes {
            before,
            made: before + 1,
            asked: before,
            forced: before,
            last_author: user.id().clone(),
            last_at: now,
            first_turn: turn(user, now),
            further_turns: VecDeque::new(),
        }
    }

    /// The number of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.made
    }

    /// A further change. O(1).
    pub(crate) fn add(&mut self, user: &User, now: Timestamp, most_turns: usize) {
        self.made += 1;
        self.last_at = self.last_at.max(now);
        if self.last_author == *user.id() {
            return;
        }
        self.last_author = user.id().clone();
        self.further_turns.push_back(turn(user, self.last_at));
        while self.further_turns.len() >= most_turns.max(1) {
            self.merge_oldest();
        }
    }

    /// Whether anything was changed since the last save, one under way included.
    pub(crate) fn unsaved(&self) -> bool {
        self.made > self.forced.max(self.asked)
    }

    /// Whether a force save holds everything.
    pub(crate) fn all_forced(&self) -> bool {
        self.forced == self.made
    }

    /// How far a save of this moment reaches.
    pub(crate) fn reach(&self) -> Reach {
        Reach { changes: self.made, last_author: self.last_author.clone(), last_at: self.last_at }
    }

    pub(crate) fn force_save_asked(&mut self, reach: &Reach) {
        self.asked = reach.changes;
    }

    /// Whether it holds any of these changes.
    pub(crate) fn force_save_acknowledged(&mut self, reach: u64) -> bool {
        self.forced = self.forced.max(reach);
        reach > self.before
    }

    /// What it was to hold is unsaved again, unless a later one under way holds it too.
    pub(crate) fn force_save_given_up(&mut self, reach: u64) {
        if self.asked == reach {
            self.asked = self.forced;
        }
    }

    pub(crate) fn turns(&self) -> Vec<Turn> {
        std::iter::once(&self.first_turn).chain(&self.further_turns).cloned().collect()
    }

    /// Makes one turn of the two oldest: it keeps the beginning and the author of the older one.
    fn merge_oldest(&mut self) {
        self.further_turns.pop_front();
        // Between two turns of one author now nothing is left: they are one.
        if self.further_turns.front().is_some_and(|next| next.author.id == self.first_turn.author.id) {
            self.further_turns.pop_front();
        }
    }
}

fn turn(user: &User, now: Timestamp) -> Turn {
    let name: Option<Arc<str>> = user.shared_name();
    Turn { created: now.whole_seconds(), author: Author { id: user.id().clone(), name } }
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
        changes.force_save_asked(&first);
        assert!(!changes.unsaved());
        changes.add(&user("a"), Timestamp::default(), 9);
        let second = changes.reach();
        changes.force_save_asked(&second);
        changes.force_save_given_up(first.changes);
        assert!(!changes.unsaved(), "the later one holds them");
        changes.force_save_given_up(second.changes);
        assert!(changes.unsaved());
        changes.force_save_acknowledged(second.changes);
        assert!(changes.all_forced());
    }

    #[test]
    fn time_does_not_go_backward() {
        let mut changes = Changes::first(0, &user("a"), Timestamp::from_millis(5_000));
        changes.add(&user("b"), Timestamp::from_millis(1_000), 9);
        assert_eq!(changes.reach().last_at, Timestamp::from_millis(5_000));
        assert_eq!(changes.turns()[1].created, Timestamp::from_millis(5_000));
    }
}
