//! Limits that are changed while the engine runs, and usage.

use super::Registry;
use super::denials::Denied;
use crate::access::{Access, Reason};
use crate::error::{ConfigError, RestoreError};
use crate::license::{NamedUser, Quota};
use crate::limits::NamedUsers;
use crate::seats::Seats;
use crate::session::{Session, Tab};
use crate::usage::{Collected, Period, Usage, UsageSnapshot};

impl Registry {
    /// Changes the limit of edit or live-view connections.
    pub(crate) fn set_limit(&self, access: Access, limit: Option<u32>) {
        self.admission.set_limit(access, limit);
        self.serve_all_at(Reason::ConnectionLimit);
    }

    pub(crate) fn set_document_limit(&self, limit: Option<u32>) {
        self.admission.set_document_limit(limit);
        self.serve_all_at(Reason::DocumentLimit);
    }

    /// There may be room for more at the limits of this kind.
    fn serve_all_at(&self, kind: Reason) {
        if self.admission.has_waiters() {
            self.admission.mark_all_due(Some(kind));
            self.serve_waiters(self.coarse_now());
        }
    }

    /// Changes the limit of a user's edit connections. Users are counted only while there is such a limit. Where one is
    /// set first, each shard counts who holds a seat; where it is lifted, each shard takes its counts back.
    pub(crate) fn set_user_limit(&self, limit: Option<u32>) {
        let changing = self.changing_limit.lock();
        if limit.is_some() {
            self.count_users(true);
        }
        self.admission.set_user_limit(limit);
        if limit.is_none() {
            self.count_users(false);
        }
        drop(changing);
        self.serve_all_at(Reason::UserLimit);
    }

    /// Switches each shard's mark first, so that whoever comes between two slices is counted already. Each connection
    /// stores whether it is counted.
    fn count_users(&self, on: bool) {
        for lock in &self.shards {
            if std::mem::replace(&mut lock.shard.lock().counts_users, on) == on {
                continue;
            }
            let mut next = Some(0);
            while let Some(from) = next {
                let mut shard = lock.shard.lock();
                let documents;
                (documents, next) = shard.slice(from);
                for document in documents {
                    self.count_users_of(shard.session_mut(document), on);
                }
            }
        }
    }

    fn count_users_of(&self, session: &mut Session, on: bool) {
        for member in session.members_mut() {
            let user = member.user.id();
            let holds = |tab: &Tab| tab.access == Access::Edit && tab.seats.access && tab.seats.user != on;
            for tab in member.tabs.iter_mut().filter(|tab| holds(tab)) {
                tab.seats = Seats { user: on, ..tab.seats };
                let mut seats = self.admission.user_seats.lock(user);
                if on { seats.add(user, 1) } else { seats.subtract(user, 1) }
            }
        }
    }

    /// The named users who count now.
    pub(crate) fn named_users(&self) -> Quota {
        let lists = self.admission.list_named_users(self.clock.coarse().wall);
        let [users, users_view] = lists.map(|list| {
            list.into_iter().map(|(end, userid)| NamedUser { userid, expire: end.to_string() }).collect()
        });
        Quota { users, users_view }
    }

    pub(crate) fn change_named_users(
        &self,
        change: impl FnOnce(NamedUsers) -> Result<NamedUsers, ConfigError>,
    ) -> Result<(), ConfigError> {
        drop(self.admission.change_named_users(change, self.clock.coarse().wall)?);
        self.serve_all_at(Reason::UserQuota);
        Ok(())
    }

    /// How much the engine was used. `None` if that is not recorded.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let recorder = self.recorder.as_ref()?;
        let connections = |access| self.admission.connections(access);
        Some(recorder.usage(self.clock.coarse(), connections, |period| self.collect_usage(period)))
    }

    /// The usage so far, for a snapshot.
    pub(super) fn usage_snapshot(&self) -> Option<UsageSnapshot> {
        let recorder = self.recorder.as_ref()?;
        let connections = |access| self.admission.connections(access);
        let collect = |period| self.collect_usage(period);
        Some(recorder.snapshot(self.clock.coarse(), connections, collect, || self.list_denied()))
    }

    /// Goes on with the usage of another process, if both record it.
    /// Returns the users whom a limit refused there.
    pub(super) fn restore_usage(&self, usage: Option<UsageSnapshot>) -> Result<Denied, RestoreError> {
        let denied = match (&self.recorder, usage) {
            (Some(recorder), Some(usage)) => {
                recorder.restore(usage, self.clock.coarse()).map_err(|()| RestoreError::Damaged)?
            }
            _ => Vec::new(),
        };
        Ok(denied.into_iter().collect())
    }

    /// Hashes users as another process did.
    pub(super) fn set_usage_seed(&mut self, seed: u64) {
        (self.user_hasher, self.usage_seed) = (foldhash::quality::FixedState::with_seed(seed), seed);
    }

    /// Adds up what the shards' connections did in a period.
    pub(super) fn collect_usage(&self, period: Period) -> Collected {
        let mut all = Collected::default();
        for lock in &self.shards {
            let collected = lock.shard.lock().meter.collect(period);
            all.add(&collected);
        }
        all
    }
}
