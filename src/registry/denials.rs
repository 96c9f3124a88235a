//! The users whom a limit refused edit access: what usage hears of them.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::ready::DocumentId;
use super::shard::{Place, Shard};
use super::{Held, Registry};
use crate::access::Access;
use crate::ids::{ConnectionId, UserId};
use crate::seats::Admitted;
use crate::session::ParticipantId;
use crate::usage::DeniedCase;
use crate::work::AT_ONCE;

/// Those of a restored engine who are not back yet, by the hash of the document and the user.
pub(super) type Denied = HashMap<u64, DeniedCase>;

impl Registry {
    /// An open was refused edit access, or got what it asked for while somebody else is refused.
    #[cold]
    pub(super) fn record_answer(
        &self,
        held: &mut Held<'_>,
        (document, user, asked): (DocumentId, &UserId, Access),
        admitted: Admitted,
    ) {
        match admitted.reason {
            _ if self.recorder.is_none() || asked < Access::Edit => {}
            None => self.record_access(held, document, user),
            Some(reason) => {
                let session = held.shard.session(document);
                if session.editing_by(user, &held.cx).next().is_none() {
                    let hash = self.user_hasher.hash_one((session.key(), user));
                    held.shard.meter.record_denial(held.cx.now, reason, hash);
                }
            }
        }
    }

    /// A user has edit access to a document.
    fn record_access(&self, held: &mut Held<'_>, document: DocumentId, user: &UserId) {
        let hash = self.user_hasher.hash_one((held.shard.session(document).key(), user));
        held.shard.meter.record_access(held.cx.now, hash);
    }

    /// The same for a participant. Costs one comparison while nobody is refused.
    pub(super) fn record_promotion(
        &self,
        held: &mut Held<'_>,
        (document, participant): (DocumentId, ParticipantId),
    ) {
        if held.shard.meter.has_denied() {
            let user = held.shard.session(document).user_of(participant).id().clone();
            self.record_access(held, document, &user);
        }
    }

    /// A connection is about to end.
    #[cold]
    pub(super) fn record_leave(&self, held: &mut Held<'_>, place: Place, id: ConnectionId) {
        let Place { document, participant } = place;
        let session = held.shard.session(document);
        let others = session.connections_of(participant).any(|other| other != id);
        if session.access(participant, id) < Access::Edit && !others {
            let hash = self.user_hasher.hash_one((session.key(), session.user_of(participant).id()));
            held.shard.meter.record_leave(held.cx.now, hash);
        }
    }

    /// Everybody who is here and whom a limit refused, by slices.
    pub(super) fn list_denied(&self) -> Vec<(u64, DeniedCase)> {
        let list = |shard: &Shard, last: Option<&(u64, DeniedCase)>| {
            shard.meter.list_denied(last.map(|(hash, _)| *hash), AT_ONCE)
        };
        let mut all = self.list(list);
        all.retain(|(_, case)| case.is_here());
        all
    }

    /// A connection of a restored engine has this access.
    pub(super) fn resume_denied(
        &self,
        held: &mut Held<'_>,
        (document, user): (DocumentId, &UserId),
        access: Access,
        denied: &mut Denied,
    ) {
        let hash = self.user_hasher.hash_one((held.shard.session(document).key(), user));
        if let Some(case) = denied.remove(&hash) {
            held.shard.meter.resume_denied(held.cx.now, hash, case);
        }
        if access == Access::Edit {
            self.record_access(held, document, user);
        }
    }

    /// These did not come back.
    pub(super) fn count_left(&self, denied: &Denied) {
        if !denied.is_empty() {
            let users = u32::try_from(denied.len()).unwrap_or(u32::MAX);
            self.hold(0, self.clock.coarse()).shard.meter.count_left(users);
        }
    }
}
