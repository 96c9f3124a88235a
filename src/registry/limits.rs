//! The limits as a whole: changing them, who holds their seats, what would be given, and how much was used.

use super::Registry;
use super::shard::{Idlest, Taken as Counted};
use crate::access::{Access, Grant, Holder};
use crate::error::OpenError;
use crate::ids::{DocumentKey, UserId};
use crate::license::{Limit, Limits, NamedUser, Quota};
use crate::notice::Notice;
use crate::quota::NamedUsers;
use crate::time::Timestamp;
use crate::usage::{Cut, Taken, Usage};

impl Registry {
    pub(crate) fn would_admit(
        &self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
    ) -> Result<Grant, OpenError> {
        let (hash, index) = self.locate(key);
        self.locked(index, self.moving(), |shard, context, after| {
            shard.would_admit(shard.find(key, hash), user, asked, context, after)
        })
    }

    pub(crate) fn limits(&self) -> Limits {
        let pools = [&self.common.seats.edit, &self.common.seats.live, &self.common.seats.all];
        let [edit, live, connections] =
            pools.map(|pool| Limit { limit: pool.limit(), in_use: pool.in_use() });
        Limits {
            edit,
            live,
            document: self.common.seats.document_limit(),
            user: self.common.seats.user_limit(),
            connections,
            named_users: self.common.seats.quota(),
        }
    }

    pub(crate) fn set_limit(&self, access: Access, limit: Option<u32>) {
        if let Some(notice) = self.common.seats.set_limit(access, limit) {
            self.tell(vec![notice]);
        }
    }

    /// The named users who count now.
    pub(crate) fn named_users(&self) -> Quota {
        let mut notices = Vec::new();
        let named = self.common.seats.named(self.clock.coarse(), &mut |notice| notices.push(notice));
        let found = [named.edit.list(), named.live.list()];
        drop(named);
        self.tell(notices);
        let named = |(end, userid): (Timestamp, UserId)| NamedUser { userid, expire: end.to_string() };
        let [users, users_view] = found.map(|users| users.into_iter().map(named).collect());
        Quota { users, users_view }
    }

    /// Notices that no shard has a hand in.
    fn tell(&self, notices: Vec<Notice>) {
        self.notices.announce_many(self.notify(notices));
    }

    /// Changes the limit of a user's seats. When there was none, each shard counts what its documents have taken: users
    /// are not counted before.
    pub(crate) fn set_user_limit(&self, limit: Option<u32>) {
        let _changing = self.common.seats.changing.lock();
        if limit.is_some() {
            self.each_shard(|shard, seats| shard.count_users(true, seats));
        }
        self.common.seats.set_user_limit(limit);
        if limit.is_none() {
            self.each_shard(|shard, seats| shard.count_users(false, seats));
            self.common.seats.users.clear();
        }
    }

    /// Changes the cap of all connections, in the same way: it holds once all that are open are counted.
    pub(crate) fn set_max_connections(&self, cap: Option<u32>) {
        let _changing = self.common.seats.changing.lock();
        if cap.is_some() {
            self.each_shard(|shard, seats| shard.cap(true, seats));
        }
        self.common.seats.all.set_limit(cap);
        if cap.is_none() {
            self.each_shard(|shard, seats| shard.cap(false, seats));
        }
    }

    fn each_shard(&self, act: impl Fn(&mut super::shard::Shard, &crate::seats::Seats)) {
        for place in &self.shards {
            act(&mut place.shard.lock(), &self.common.seats);
        }
    }

    /// The holders of seats that were idle for the longest time, longest first.
    pub(crate) fn holders(&self, most: usize) -> Vec<Holder> {
        let mut idlest = Idlest::new(most);
        for index in 0..self.shards.len() {
            let mut next = Some(0);
            while let Some(from) = next {
                let found;
                (found, next) = self.read(index, |shard| shard.idle(from, &idlest));
                idlest.add(found);
            }
        }
        idlest.holders()
    }

    /// None if it is not recorded.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let recorder = self.common.recorder.as_ref()?;
        let present = |access| self.common.seats.connections(access);
        Some(recorder.usage(self.clock.coarse(), present, |cut| self.take_usage(cut)))
    }

    pub(super) fn take_usage(&self, cut: Cut) -> Taken {
        let mut all = Taken::default();
        for place in &self.shards {
            let taken = place.shard.lock().meter.take(cut);
            all.add(&taken);
        }
        all
    }

    /// Whether what the shards counted is what is taken of the limits.
    pub(super) fn agrees(&self, counted: &Counted) -> Result<(), String> {
        let seats = &self.common.seats;
        let present = [Access::View, Access::LiveView, Access::Edit].map(|access| seats.connections(access));
        let in_use = [seats.live.in_use(), seats.edit.in_use()];
        if counted.seats[1..] != in_use || counted.connections != present || counted.all != seats.all.in_use()
        {
            let all = seats.all.in_use();
            return Err(format!("{in_use:?} seats, {present:?} and {all} in use, counted {counted:?}"));
        }
        let users = seats.users.counts();
        if users == counted.users {
            Ok(())
        } else {
            Err(format!("{users:?} in use, counted {:?}", counted.users))
        }
    }

    pub(crate) fn set_named_users(&self, quota: NamedUsers) {
        let mut notices = Vec::new();
        let forgotten =
            self.common.seats.set_named(quota, self.clock.coarse(), &mut |notice| notices.push(notice));
        drop(forgotten);
        self.tell(notices);
    }
}
