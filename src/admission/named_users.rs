//! Named users: how many different users may be given access within some days.

use std::sync::Arc;

use super::counted_users::{CountedUsers, UserSlice};
use super::watch::Watch;
use crate::access::Access;
use crate::ids::UserId;
use crate::limits::{Limit, NamedUsers};
use crate::notice::Pool;
use crate::notices::NoticeBoard;
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
    users: CountedUsers,
    watch: Watch,
}

/// Named users who no longer count.
#[derive(Debug)]
#[expect(dead_code, reason = "returned to be freed by the caller")]
pub(crate) struct Removed([CountedUsers; 2]);

impl NamedUserLists {
    /// The limits warn from `percent` of their users on.
    pub(super) fn new(quota: NamedUsers, percent: u32, notices: &Arc<NoticeBoard>) -> Self {
        let list = |pool, limit| {
            let watch = Watch::new(pool, limit, percent, notices.clone());
            NamedUserList { limit, users: CountedUsers::default(), watch }
        };
        NamedUserLists {
            days: quota.expire_days,
            edit: list(Pool::Users, quota.edit),
            live: list(Pool::UsersView, quota.live),
        }
    }

    pub(super) fn quota(&self) -> NamedUsers {
        NamedUsers { edit: self.edit.limit, live: self.live.limit, expire_days: self.days }
    }

    /// The limits, edit and live view, and how many count.
    pub(super) fn read(&self) -> [Limit; 2] {
        [self.edit.read(), self.live.read()]
    }

    /// Changes the limits. Whoever counts goes on counting until the moment that was fixed at the first access. Without a
    /// limit nobody counts.
    pub(super) fn set(&mut self, quota: NamedUsers) -> Removed {
        self.days = quota.expire_days;
        Removed([self.edit.set(quota.edit), self.live.set(quota.live)])
    }

    /// Returns true if the user counts or may be counted. Call [`expire`](Self::expire) first.
    pub(super) fn may(&self, access: Access, user: &UserId) -> bool {
        let list = self.list_of(access);
        list.limit.is_none_or(|limit| list.users.len() < limit) || list.users.counts(user)
    }

    /// Somebody was refused.
    pub(super) fn refused(&self, access: Access) {
        let list = self.list_of(access);
        list.watch.refused(|| list.read());
    }

    /// Counts a user until `end`, if there is a limit.
    pub(super) fn restore(&mut self, access: Access, user: &UserId, end: Timestamp) {
        let list = if access == Access::Edit { &mut self.edit } else { &mut self.live };
        if list.limit.is_some() && !list.users.counts(user) {
            list.users.insert(user, end);
            list.tell();
        }
    }

    /// The user is given the access. It counts from now to the end of the day, UTC, and some days more, unless it counts
    /// already.
    pub(super) fn count(&mut self, access: Access, user: &UserId, now: Timestamp) {
        let end = now.midnight_after(self.days);
        let list = if access == Access::Edit { &mut self.edit } else { &mut self.live };
        if list.limit.is_some() && !list.users.counts(user) {
            list.users.insert(user, end);
            list.tell();
        }
    }

    /// Ends the time of everybody whose days are over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for list in [&mut self.edit, &mut self.live] {
            list.users.expire(now);
            list.tell();
        }
    }

    /// Frees the memory of at most `most` users whose time is over. Returns false if there are no more.
    pub(super) fn clean(&mut self, most: usize) -> bool {
        let left = self.edit.users.clean(most);
        self.live.users.clean(left) == 0
    }

    /// Looks at `most` users after `last`, by id.
    pub(super) fn slice(&self, access: Access, last: Option<&UserId>, most: usize) -> UserSlice {
        self.list_of(access).users.slice(last, most)
    }

    fn list_of(&self, access: Access) -> &NamedUserList {
        if access == Access::Edit { &self.edit } else { &self.live }
    }
}

impl NamedUserList {
    fn read(&self) -> Limit {
        Limit { limit: self.limit, in_use: self.users.len() }
    }

    /// Tells what the limit has come to, if it has.
    fn tell(&self) {
        if self.watch.is_due(self.users.len()) {
            self.watch.update(|| self.read());
        }
    }

    fn set(&mut self, limit: Option<u32>) -> CountedUsers {
        self.limit = limit;
        let removed = if limit.is_none() { std::mem::take(&mut self.users) } else { CountedUsers::default() };
        self.watch.set_limit(limit, || {}, || self.read());
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{LimitLevel, Notice};

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_named_user_counts_to_the_end_of_its_days() {
        let [ann, ben] = ["ann", "ben"].map(|id| UserId::new(id).unwrap());
        let quota = NamedUsers { edit: Some(1), live: None, expire_days: 2 };
        let board = Arc::new(NoticeBoard::new(10));
        let notices = board.subscribe();
        let mut lists = NamedUserLists::new(quota, 70, &board);
        let level = || match notices.try_recv() {
            Ok(Notice::Limit { level, .. }) => Some(level),
            _ => None,
        };
        let edit = Access::Edit;
        let end = Timestamp::from_millis(13 * DAY);
        lists.count(edit, &ann, Timestamp::from_millis(10 * DAY + 5));
        assert_eq!(level(), Some(LimitLevel::Warning));
        lists.count(edit, &ann, Timestamp::MAX);
        assert_eq!(level(), None, "the first access fixes the end");
        assert!(lists.may(edit, &ann) && !lists.may(edit, &ben));
        lists.refused(edit);
        assert_eq!(level(), Some(LimitLevel::Reached));
        lists.expire(Timestamp::from_millis(13 * DAY - 1));
        assert_eq!(level(), None);
        assert_eq!(lists.slice(edit, None, 9).counted, [(end, ann)]);
        lists.expire(end);
        assert_eq!(level(), Some(LimitLevel::Clear));
        assert!(lists.may(edit, &ben));
    }
}
