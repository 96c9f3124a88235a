//! Named users: how many different users may be given access within some days.

use std::collections::{BTreeSet, HashMap};

use super::watch::Watch;
use crate::access::Access;
use crate::ids::UserId;
use crate::limits::NamedUsers;
use crate::notice::LimitLevel;
use crate::time::Timestamp;

/// The named users that count, by access.
#[derive(Debug)]
pub(super) struct NamedUserLists {
    days: u32,
    edit: NamedUserList,
    live: NamedUserList,
}

/// Those of one access. Never more than the limit was when they came.
#[derive(Debug)]
struct NamedUserList {
    limit: Option<u32>,
    until: HashMap<UserId, Timestamp>,
    by_end: BTreeSet<(Timestamp, UserId)>,
    watch: Watch,
}

/// A named user, and the moment until which it counts.
pub(crate) type CountedUser = (Timestamp, UserId);

/// Named users who no longer count.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "returned to be freed by the caller")]
pub(crate) struct Expired(Vec<(HashMap<UserId, Timestamp>, BTreeSet<CountedUser>)>);

/// What a limit has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LevelChange {
    pub(super) level: LimitLevel,
    pub(super) in_use: u32,
    pub(super) limit: u32,
}

impl NamedUserLists {
    /// The limits warn from `percent` of their users on.
    pub(super) fn new(quota: NamedUsers, percent: u32) -> Self {
        let list = |limit| NamedUserList {
            limit,
            until: HashMap::new(),
            by_end: BTreeSet::new(),
            watch: Watch::new(limit, percent),
        };
        NamedUserLists { days: quota.expire_days, edit: list(quota.edit), live: list(quota.live) }
    }

    pub(super) fn quota(&self) -> NamedUsers {
        NamedUsers { edit: self.edit.limit, live: self.live.limit, expire_days: self.days }
    }

    /// Changes the limits. Whoever counts goes on counting until the moment that was fixed at the first access. Without a
    /// limit nobody counts.
    pub(super) fn set(&mut self, quota: NamedUsers) -> Expired {
        self.days = quota.expire_days;
        Expired(vec![self.edit.set(quota.edit), self.live.set(quota.live)])
    }

    /// Returns true if the user counts or may be counted. Call [`expire`](Self::expire) first.
    pub(super) fn may(&self, access: Access, user: &UserId) -> bool {
        let list = self.list_of(access);
        list.limit.is_none_or(|limit| list.in_use() < limit) || list.until.contains_key(user)
    }

    /// Somebody was refused.
    pub(super) fn refused(&mut self, access: Access) -> Option<LevelChange> {
        let list = self.list_mut(access);
        list.changed_to(list.watch.refused())
    }

    /// The user is given the access. It counts from now to the end of the day, UTC, and some days more, unless it counts
    /// already.
    pub(super) fn count(&mut self, access: Access, user: &UserId, now: Timestamp) -> Option<LevelChange> {
        let end = now.midnight_after(self.days);
        let list = self.list_mut(access);
        if list.limit.is_none() || list.until.contains_key(user) {
            return None;
        }
        list.until.insert(user.clone(), end);
        list.by_end.insert((end, user.clone()));
        list.changed_to(list.watch.rose(list.in_use()))
    }

    /// Removes those whose days are over.
    pub(super) fn expire(&mut self, access: Access, now: Timestamp) -> Option<LevelChange> {
        let list = self.list_mut(access);
        while list.by_end.first().is_some_and(|(end, _)| *end <= now)
            && let Some((_, user)) = list.by_end.pop_first()
        {
            list.until.remove(&user);
        }
        list.changed_to(list.watch.fell(list.in_use()))
    }

    /// What the limit has come to after it was changed.
    pub(super) fn changed(&mut self, access: Access) -> Option<LevelChange> {
        let list = self.list_mut(access);
        list.changed_to(list.watch.changed(list.in_use()))
    }

    /// Those who count, by end and id.
    pub(super) fn list(&self, access: Access) -> Vec<CountedUser> {
        self.list_of(access).by_end.iter().cloned().collect()
    }

    fn list_of(&self, access: Access) -> &NamedUserList {
        if access == Access::Edit { &self.edit } else { &self.live }
    }

    fn list_mut(&mut self, access: Access) -> &mut NamedUserList {
        if access == Access::Edit { &mut self.edit } else { &mut self.live }
    }
}

impl NamedUserList {
    fn in_use(&self) -> u32 {
        u32::try_from(self.until.len()).unwrap_or(u32::MAX)
    }

    fn changed_to(&self, level: Option<LimitLevel>) -> Option<LevelChange> {
        level.map(|level| LevelChange { level, in_use: self.in_use(), limit: self.limit.unwrap_or(0) })
    }

    fn set(&mut self, limit: Option<u32>) -> (HashMap<UserId, Timestamp>, BTreeSet<CountedUser>) {
        self.limit = limit;
        self.watch.set(limit);
        if limit.is_some() {
            return (HashMap::new(), BTreeSet::new());
        }
        (std::mem::take(&mut self.until), std::mem::take(&mut self.by_end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_named_user_counts_to_the_end_of_its_days() {
        let [ann, ben] = ["ann", "ben"].map(|id| UserId::new(id).unwrap());
        let quota = NamedUsers { edit: Some(1), live: None, expire_days: 2 };
        let mut lists = NamedUserLists::new(quota, 70);
        let level = |change: Option<LevelChange>| change.map(|change| change.level);
        let edit = Access::Edit;
        let end = Timestamp::from_millis(13 * DAY);
        assert_eq!(
            level(lists.count(edit, &ann, Timestamp::from_millis(10 * DAY + 5))),
            Some(LimitLevel::Warning)
        );
        assert_eq!(lists.count(edit, &ann, Timestamp::MAX), None, "the first access fixes the end");
        assert!(lists.may(edit, &ann) && !lists.may(edit, &ben));
        assert_eq!(level(lists.refused(edit)), Some(LimitLevel::Reached));
        assert_eq!(lists.expire(edit, Timestamp::from_millis(13 * DAY - 1)), None);
        assert_eq!(lists.list(edit), [(end, ann)]);
        assert_eq!(level(lists.expire(edit, end)), Some(LimitLevel::Clear));
        assert!(lists.may(edit, &ben));
    }
}
