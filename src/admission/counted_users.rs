//! The users who count under a limit of named users, each until the end of a day.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use crate::ids::UserId;
use crate::time::Timestamp;
use crate::work::{self, Item};

/// The users who count. They are grouped by the midnight that ends their time.
///
/// A group whose time is over stops counting at once, whole. Its users are removed later, some at a time. Trees, since these
/// give memory back as they empty, and no change moves more than a few nodes.
#[derive(Debug, Default)]
pub(super) struct CountedUsers {
    /// The group of each user. The user counts if it is still in that group.
    ends: BTreeMap<UserId, Timestamp>,
    groups: BTreeMap<Timestamp, BTreeSet<UserId>>,
    /// How many users are in `groups`.
    len: u32,
    /// Groups whose time is over. Their users may still be in `ends`.
    over: Vec<BTreeSet<UserId>>,
}

/// A named user, and the moment until which it counts.
pub(crate) type CountedUser = (Timestamp, UserId);

/// Some of the users who count.
#[derive(Debug, Default)]
pub(super) struct UserSlice {
    pub(super) counted: Vec<CountedUser>,
    /// After whom the list goes on. `None` at its end.
    pub(super) last: Option<UserId>,
}

impl CountedUsers {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn counts(&self, user: &UserId) -> bool {
        self.ends.get(user).is_some_and(|end| self.is_in_group(*end, user))
    }

    fn is_in_group(&self, end: Timestamp, user: &UserId) -> bool {
        self.groups.get(&end).is_some_and(|group| group.contains(user))
    }

    /// Counts a user who does not count yet.
    pub(super) fn insert(&mut self, user: &UserId, end: Timestamp) {
        self.ends.insert(user.clone(), end);
        self.groups.entry(end).or_default().insert(user.clone());
        self.len += 1;
    }

    /// Ends the time of everybody whose day is over by `now`. Costs one step for each day, not for each user.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some(first) = self.groups.first_entry()
            && *first.key() <= now
        {
            let group = first.remove();
            self.len -= u32::try_from(group.len()).unwrap_or(u32::MAX);
            self.over.push(group);
        }
    }

    /// Removes at most `most` users whose time is over. Returns how many it was not allowed to remove any more.
    pub(super) fn clean(&mut self, most: usize) -> usize {
        for left in work::each(Item::NamedUser, (0..most).rev()) {
            let Some(group) = self.over.last_mut() else { return left + 1 };
            let user = group.pop_first().expect("a group that is over is not empty");
            if group.is_empty() {
                self.over.pop();
            }
            if !self.counts(&user) {
                self.ends.remove(&user);
            }
        }
        0
    }

    /// Looks at `most` users after `last`, or from the first one on, by id.
    pub(super) fn slice(&self, last: Option<&UserId>, most: usize) -> UserSlice {
        let from = last.map_or(Unbounded, Excluded);
        let users = self.ends.range::<UserId, _>((from, Unbounded)).take(most);
        let mut slice = UserSlice::default();
        for (user, end) in work::each(Item::NamedUser, users) {
            if self.is_in_group(*end, user) {
                slice.counted.push((*end, user.clone()));
            }
            slice.last = Some(user.clone());
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn user(number: usize) -> UserId {
        UserId::new(&format!("user-{number:04}")).unwrap()
    }

    fn all(users: &CountedUsers) -> Vec<CountedUser> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let slice = users.slice(last.as_ref(), 7);
            all.extend(slice.counted);
            match slice.last {
                Some(user) => last = Some(user),
                None => return all,
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn p7_a_day_ends_in_one_step_and_its_users_are_removed_by_slices() {
        let mut users = CountedUsers::default();
        (0..1_000).for_each(|number| users.insert(&user(number), at(10)));
        (1_000..1_010).for_each(|number| users.insert(&user(number), at(20)));
        assert_eq!((users.len(), all(&users).len()), (1_010, 1_010));
        users.expire(at(10));
        assert_eq!(
            (users.len(), users.ends.len(), users.over.len()),
            (10, 1_010, 1),
            "nobody is removed yet"
        );
        assert!(!users.counts(&user(0)) && users.counts(&user(1_000)));
        // Those who come back meanwhile count again, and stay.
        (0..5).for_each(|number| users.insert(&user(number), at(30)));
        assert_eq!((users.clean(100), users.ends.len()), (0, 1_010 - 95));
        assert_eq!((users.clean(2_000), users.ends.len(), users.over.len()), (1_100, 15, 0));
        let expected = (0..5).map(|number| (at(30), user(number)));
        let expected = expected.chain((1_000..1_010).map(|number| (at(20), user(number))));
        assert_eq!(all(&users), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_goes_back_brings_nobody_back_and_counts_whoever_comes() {
        let mut users = CountedUsers::default();
        users.insert(&user(0), at(10));
        users.expire(at(25));
        assert!(!users.counts(&user(0)));
        users.insert(&user(1), at(10));
        assert!(!users.counts(&user(0)) && users.counts(&user(1)));
        users.insert(&user(0), at(10));
        users.clean(9);
        assert_eq!(all(&users), [(at(10), user(0)), (at(10), user(1))]);
    }
}
