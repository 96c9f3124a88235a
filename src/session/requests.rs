//! Changes, and requests of the command service.

use std::sync::Arc;

use super::catch_up::catch_up;
use super::events::InfoAnswer;
use super::outbox::{ForceSaveRequest, InfoRequest};
use super::participants::ParticipantId;
use super::phase::{Phase, Step};
use super::unsaved::Unsaved;
use super::{Context, Session};
use crate::access::Access;
use crate::callback::ForceSaveType;
use crate::error::{ChangeError, ForceSaveError, RetryError};
use crate::ids::{ConnectionId, UserId};

/// Changes and requests.
impl Session {
    /// A connection changed the document. Costs O(1).
    pub(crate) fn change(
        &mut self,
        cx: &Context<'_>,
        participant: ParticipantId,
        id: ConnectionId,
    ) -> Result<(), ChangeError> {
        if self.access(participant, id) != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        let member = &mut self.participants[participant];
        member.touch(id, cx.now);
        if cx.rules.callbacks {
            let at = self.changed_at.max(cx.wall);
            self.changed_at = at;
            match &mut self.unsaved {
                Some(unsaved) => unsaved.changes.add(&member.user, at, cx.rules.bounds.turns),
                None => self.unsaved = Some(Box::new(Unsaved::first(self.saved_changes, &member.user, at))),
            }
            self.plan_force_save(cx);
        }
        Ok(())
    }

    /// Answers who edits, in order of joining, and queues the same for the storage, unless too many such answers wait.
    pub(crate) fn info(&mut self, cx: &Context<'_>, userdata: Option<Arc<str>>) -> Vec<UserId> {
        // Past the bound the storage is not told. The reply says it all the same.
        if cx.rules.callbacks && self.outbox.infos() < cx.rules.bounds.asked && !cx.too_many_wait {
            let answer = match self.phase() {
                Phase::Edited => InfoAnswer::Edited,
                Phase::Closing { .. } | Phase::Saving { .. } => InfoAnswer::Unsaved,
                Phase::Viewed | Phase::Forgotten => InfoAnswer::Closed,
            };
            self.catch_up();
            self.outbox.push_info(cx, InfoRequest { userdata, answer });
        }
        self.editors()
    }

    /// Queues a force save of what is unsaved now. `requested_by` is the participant who pressed the button or submitted
    /// a form.
    pub(crate) fn force_save(
        &mut self,
        cx: &Context<'_>,
        kind: ForceSaveType,
        requested_by: Option<ParticipantId>,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        let needs_save =
            |unsaved: &&mut Box<Unsaved>| unsaved.changes.need_save() && !unsaved.phase.is_save_under_way();
        let unsaved = self.unsaved.as_mut().filter(needs_save).ok_or(ForceSaveError::NotChanged)?;
        if self.outbox.force_saves() >= cx.rules.bounds.asked {
            return Err(ForceSaveError::TooManyAsked);
        }
        let reach = unsaved.changes.reach();
        unsaved.changes.force_save_requested(&reach);
        unsaved.force_save_at = None;
        let requested_by = requested_by.map(|id| self.participants[id].user.id().clone());
        self.catch_up();
        let reach = Some(reach);
        self.outbox.push_force_save(ForceSaveRequest { kind, userdata, requested_by, reach });
        Ok(())
    }

    /// Makes the save of a forgotten document due again.
    pub(crate) fn retry_forgotten(&mut self, cx: &Context<'_>) -> Result<(), RetryError> {
        match &mut self.unsaved {
            Some(unsaved) if unsaved.phase == Phase::Forgotten => {
                unsaved.step(Step::TriedAgain { now: cx.now });
                Ok(())
            }
            Some(unsaved) if unsaved.forgotten.is_some() => Err(RetryError::UnderWay),
            _ => Err(RetryError::NotForgotten),
        }
    }

    /// Queues the timed force save. It holds all changes up to when it is taken. Where there is no room, it is planned
    /// again when a force save is settled.
    pub(super) fn timed_force_save(&mut self, cx: &Context<'_>) {
        if self.outbox.force_saves() >= cx.rules.bounds.asked {
            return;
        }
        self.catch_up();
        let (kind, reach) = (ForceSaveType::Timer, None);
        self.outbox.push_force_save(ForceSaveRequest { kind, userdata: None, requested_by: None, reach });
    }

    /// Plans the timed force save of changes that need one.
    pub(super) fn plan_force_save(&mut self, cx: &Context<'_>) {
        if let Some(unsaved) = &mut self.unsaved
            && unsaved.force_save_at.is_none()
            && unsaved.changes.need_save()
            && !self.outbox.has_timed_force_save()
        {
            unsaved.force_save_at = cx.rules.force_save_interval.map(|interval| cx.now.after(interval));
        }
    }

    pub(super) fn catch_up(&mut self) {
        let withheld = self.withheld();
        catch_up(&mut self.outbox, &mut self.participants, withheld);
    }
}

/// Documents that came and went.
impl Session {
    /// Returns true if nobody edits, nothing is unsaved, and the storage has not heard all of it yet.
    pub(crate) fn came_and_went(&self) -> bool {
        self.participants.editing() == 0 && self.unsaved.is_none() && !self.outbox.is_empty()
    }

    /// Drops what the storage was to hear of a document that came and went unchanged, if it has heard nothing of it.
    pub(crate) fn forget_untold(&mut self, cx: &Context<'_>) {
        let untold = self.participants.iter().all(|(_, member)| member.handed_out == 0);
        if !untold || !self.came_and_went() || !self.outbox.holds_only_events() {
            return;
        }
        self.outbox.clear();
        for member in self.participants.iter_mut() {
            member.waiting = 0;
        }
        for participant in self.participants.in_order(|member| member.tabs.is_empty()) {
            self.participants.release(participant, cx.hasher);
        }
    }
}
