//! Every limit and its use.

use std::collections::HashMap;

use super::Registry;
use crate::access::Access;
use crate::ids::UserId;
use crate::limits::{Limit, LimitUse, LimitUses};
use crate::session::{Member, Session};

impl Registry {
    /// Every limit, how much of it is in use, and who waits for it. Reads every document, by slices.
    pub(crate) fn limit_uses(&self) -> LimitUses {
        let (limits, now) = (self.admission.limits(), self.now());
        let (document, user) = self.fullest();
        let [users, users_view] = self.admission.named_user_limits(now.wall);
        let (plain, waiting) = (|limit: Limit| limit.with_waiting(None), limits.waiting);
        let queued = |limit, in_use, waiting| LimitUse { limit, in_use, waiting: Some(waiting) };
        LimitUses {
            edit: limits.edit.with_waiting(Some(waiting.edit)),
            live: plain(limits.live),
            document: queued(limits.document, document, waiting.document),
            user: queued(limits.user, user, waiting.user),
            max: plain(limits.connections),
            users: plain(users),
            users_view: plain(users_view),
        }
    }

    /// The seats of the document, and of the user, that have the most.
    fn fullest(&self) -> (u32, u32) {
        let mut most = (0, HashMap::<UserId, u32>::new());
        self.walk(
            &mut most,
            |_, shard, documents| -> Vec<_> {
                documents.into_iter().map(|document| seats_of(shard.session(document))).collect()
            },
            |(fullest, by_user), documents| {
                for seats in documents {
                    *fullest = seats.iter().map(|(_, count)| count).sum::<u32>().max(*fullest);
                    for (user, count) in seats {
                        *by_user.entry(user).or_default() += count;
                    }
                }
            },
        );
        let (fullest, by_user) = most;
        (fullest, by_user.into_values().max().unwrap_or(0))
    }
}

fn seats_of(session: &Session) -> Vec<(UserId, u32)> {
    let seats = |member: &Member| {
        let count = member.tabs_with(Access::Edit).filter(|tab| tab.seats.access).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (count > 0).then(|| (member.user.id().clone(), count))
    };
    session.members().filter_map(|(_, member)| seats(member)).collect()
}
