//! Fences: who gets no edit and no live-view access to a document, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::access::Fence;
use crate::ids::{DocumentKey, UserId};
use crate::sync::{AtomicUsize, Ordering};
use crate::time::Moment;
use crate::work::{self, Item};

/// The fences of a shard's documents.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Until when, by document and user. `None` in the place of a user fences everybody.
    by_key: BTreeMap<DocumentKey, BTreeMap<Option<UserId>, Moment>>,
    /// Those that end.
    ends: BTreeSet<(Moment, DocumentKey, Option<UserId>)>,
}

/// How many fences there are in all shards.
#[derive(Debug, Default)]
pub(super) struct FenceCount(AtomicUsize);

/// There may be so many, each user one.
const FENCES_MAX: usize = 65_536;

impl FenceCount {
    /// Makes room for so many more. Returns false if there is none.
    pub(super) fn take(&self, count: usize) -> bool {
        let more = |have: usize| have.checked_add(count).filter(|sum| *sum <= FENCES_MAX);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    fn give_back(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::SeqCst);
    }

    /// Room was made for so many, and so many are there.
    pub(super) fn correct(&self, taken: usize, used: usize) {
        self.0.fetch_add(used, Ordering::SeqCst);
        self.0.fetch_sub(taken, Ordering::SeqCst);
    }
}

impl Fences {
    /// Returns true if the user is fenced from the document now.
    pub(super) fn applies(&self, key: &DocumentKey, user: &UserId, now: Moment) -> bool {
        if self.by_key.is_empty() {
            return false;
        }
        let Some(fences) = self.by_key.get(key) else { return false };
        let holds = |until: &Moment| *until > now;
        fences.get(&None).is_some_and(holds) || fences.get(&Some(user.clone())).is_some_and(holds)
    }

    /// Fences these users from a document, or everybody, until a moment. A later fence of the same replaces the earlier.
    /// Returns false, and changes nothing, if there would be too many.
    pub(super) fn set(
        &mut self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        until: Moment,
        count: &FenceCount,
    ) -> bool {
        let new = self.count_new(key, users);
        let has_room = count.take(new);
        if has_room {
            self.put(key, users, until);
        }
        has_room
    }

    /// How many of these users have no fence yet.
    pub(super) fn count_new(&self, key: &DocumentKey, users: Option<&[UserId]>) -> usize {
        let known = self.by_key.get(key);
        let is_new = |one: &Option<UserId>| known.is_none_or(|known| !known.contains_key(one));
        work::each(Item::Fence, whom(users).iter()).filter(|one| is_new(one)).count()
    }

    /// Does what [`set`](Self::set) does, where room was made. Returns how many had no fence.
    pub(super) fn put(&mut self, key: &DocumentKey, users: Option<&[UserId]>, until: Moment) -> usize {
        let mut new = 0;
        for one in work::each(Item::Fence, whom(users).into_iter()) {
            match self.by_key.entry(key.clone()).or_default().insert(one.clone(), until) {
                Some(before) => drop(self.ends.remove(&(before, key.clone(), one.clone()))),
                None => new += 1,
            }
            if until < Moment::NEVER {
                self.ends.insert((until, key.clone(), one));
            }
        }
        new
    }

    /// Lifts the fences of these users from a document.
    pub(super) fn lift(&mut self, key: &DocumentKey, users: &[UserId], count: &FenceCount) {
        for user in users {
            self.remove(key, Some(user.clone()), count);
        }
    }

    /// Lifts at most `most` of the fences of a document, in order, `from` one on. Returns where to go on. `None` if there was
    /// none.
    pub(super) fn lift_some(
        &mut self,
        key: &DocumentKey,
        from: &Bound<Option<UserId>>,
        most: usize,
        count: &FenceCount,
    ) -> Option<Bound<Option<UserId>>> {
        let fences = self.by_key.get(key)?.range((from.as_ref(), Bound::Unbounded));
        let some: Vec<Option<UserId>> = fences.take(most).map(|(one, _)| one.clone()).collect();
        let last = some.last().cloned()?;
        for one in some {
            self.remove(key, one, count);
        }
        Some(Bound::Excluded(last))
    }

    fn remove(&mut self, key: &DocumentKey, whom: Option<UserId>, count: &FenceCount) {
        work::item(Item::Fence, 1);
        let Some(fences) = self.by_key.get_mut(key) else { return };
        if let Some(until) = fences.remove(&whom) {
            self.ends.remove(&(until, key.clone(), whom));
            count.give_back(1);
        }
        if fences.is_empty() {
            self.by_key.remove(key);
        }
    }

    /// Takes away at most `most` of those that have ended by `now`. Returns how many.
    pub(super) fn end_due(&mut self, now: Moment, most: usize, count: &FenceCount) -> usize {
        let ended: Vec<_> =
            self.ends.iter().take_while(|(until, ..)| *until <= now).take(most).cloned().collect();
        let count_ended = ended.len();
        for (_, key, whom) in ended {
            self.remove(&key, whom, count);
        }
        count_ended
    }

    /// When the next one ends. `NEVER` if none does.
    pub(super) fn earliest(&self) -> Moment {
        self.ends.first().map_or(Moment::NEVER, |(until, ..)| *until)
    }

    /// At most `most` of them, those that have ended included, by document and user: the first ones, or those `after` one.
    pub(super) fn list(&self, after: Option<&Fence>, most: usize) -> Vec<(Fence, Moment)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included(&after.key));
        let documents = self.by_key.range::<DocumentKey, _>((from, Bound::Unbounded));
        let fences = documents.flat_map(|(key, fences)| {
            let last = after.filter(|after| after.key == *key).map(|after| &after.user);
            let users = fences.range((last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
            users.map(move |(user, until)| {
                (Fence { key: key.clone(), user: user.clone(), until: None }, *until)
            })
        });
        work::each(Item::Fence, fences.take(most)).collect()
    }
}

/// Whom a fence is about. `None` is everybody.
fn whom(users: Option<&[UserId]>) -> BTreeSet<Option<UserId>> {
    match users {
        None => BTreeSet::from([None]),
        Some(users) => users.iter().cloned().map(Some).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_the_fences_that_are_over() {
        let (mut fences, count) = (Fences::default(), FenceCount::default());
        let [ann, ben] = ["ann", "ben"].map(|id| UserId::new(id).unwrap());
        let ends = Moment::from_millis(10);
        for key in ["a", "b"].map(|key| DocumentKey::new(key).unwrap()) {
            assert!(fences.set(&key, Some(&[ann.clone(), ben.clone()]), ends, &count));
            // The later fence replaces the earlier one.
            assert!(fences.set(&key, Some(std::slice::from_ref(&ann)), Moment::NEVER, &count));
            assert!(fences.set(&key, None, Moment::NEVER, &count));
            assert_eq!(fences.end_due(ends, 9, &count), 1);
            fences.lift(&key, std::slice::from_ref(&ann), &count);
            assert_eq!(fences.lift_some(&key, &Bound::Unbounded, 9, &count), Some(Bound::Excluded(None)));
        }
        assert!(fences.by_key.is_empty() && fences.ends.is_empty());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    }
}
