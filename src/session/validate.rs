//! Recounting a session.

use std::collections::BTreeMap;

use super::outstanding::Kind;
use super::participants::ParticipantId;
use super::phase::Phase;
use super::{Context, Session};

impl Session {
    /// Recounts every total from scratch, and checks what must always hold.
    pub(crate) fn validate(&self, cx: &Context<'_>) -> Result<(), String> {
        let in_context = |error| format!("document {}: {error}", self.key);
        self.participants.validate(cx.hasher).map_err(in_context)?;
        if cx.rules.callbacks {
            self.validate_outbox().map_err(in_context)?;
        }
        let edited = self.participants.editing() > 0;
        let holds = match self.phase() {
            Phase::Viewed => !edited && self.unsaved.is_none(),
            Phase::Edited => edited,
            Phase::Closing { .. } => !edited,
            Phase::Saving { .. } => !edited && matches!(self.outbox.outstanding_kind(), Some(Kind::Save(_))),
            Phase::Forgotten => !edited && self.is_forgotten(),
        };
        if holds { Ok(()) } else { Err(in_context(format!("{:?} does not hold", self.phase()))) }
    }

    /// Checks that what was handed out and what waits give the present editors.
    fn validate_outbox(&self) -> Result<(), String> {
        let mut announced = self.outbox.announced(&self.participants);
        let mut waiting = BTreeMap::<ParticipantId, u32>::new();
        let mut requests = 0;
        for event in self.outbox.events() {
            match event.participant() {
                Some(id) => *waiting.entry(id).or_default() += 1,
                None => requests += 1,
            }
        }
        let total = self.outbox.infos() + self.outbox.force_saves();
        let outstanding = self.outbox.outstanding.as_ref().and_then(|one| one.kind.participant());
        if requests > total {
            return Err(format!("{total} requests, counted {requests}"));
        }
        for (id, member) in self.participants.iter() {
            let edits = i64::from(member.edits()) + i64::from(self.withheld() == Some(id));
            let counted = (announced.remove(&id).unwrap_or(0), waiting.remove(&id).unwrap_or(0));
            let kept = !member.tabs.is_empty()
                || !member.is_unknown_to_storage()
                || self.withheld() == Some(id)
                || outstanding == Some(id);
            if counted.1 != member.waiting || !(self.outbox.is_behind() || counted.0 == edits) || !kept {
                return Err(format!("participant {id} edits {edits}, counted {counted:?}: {member:?}"));
            }
        }
        if announced.is_empty() { Ok(()) } else { Err(format!("{announced:?} are gone and were named")) }
    }
}
