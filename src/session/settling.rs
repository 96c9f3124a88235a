//! What follows from the answers of the storage, and from their absence.

use std::sync::Arc;

use super::callbacks::{self, Blanks};
use super::effects::Effects;
use super::outstanding::{Kind, Outcome, Outstanding, Verdict};
use super::phase::{Phase, Step};
use super::{Context, Session};
use crate::callback::{Answered, Status};
use crate::notice::Notice;
use crate::time::Moment;

impl Session {
    /// Settles a delivery.
    pub(crate) fn settle(&mut self, cx: &Context<'_>, verdict: Verdict) -> (Answered, Effects) {
        let mut effects = Effects::default();
        let in_hand = |one: &&Outstanding| one.is_with_worker() && one.number == verdict.number;
        let Some(kind) = self.outbox.outstanding.as_deref().filter(in_hand).map(|one| one.kind) else {
            let answered = self.answer_late(cx, &verdict, &mut effects);
            return (answered, effects);
        };
        self.keep_url(kind, verdict.kept_at);
        match verdict.outcome {
            Outcome::Failed => self.failed(cx, kind, &mut effects),
            Outcome::Done => self.acknowledged(cx, kind, verdict.userdata, &mut effects),
            Outcome::Kept => {
                self.acknowledged(cx, kind, verdict.userdata, &mut effects);
                if let Kind::SaveFailed(reach) = kind {
                    self.holds_up_to(reach, &mut effects);
                }
            }
        }
        (Answered::InTime, effects)
    }

    fn keep_url(&mut self, kind: Kind, kept_at: Option<Arc<str>>) {
        if let Some(unsaved) = &mut self.unsaved
            && kept_at.is_some()
        {
            match kind {
                Kind::Save(_) => unsaved.would_keep_at = kept_at,
                Kind::SaveFailed(_) if unsaved.forgotten.is_some() => unsaved.kept_at = kept_at,
                _ => {}
            }
        }
    }

    fn acknowledged(
        &mut self,
        cx: &Context<'_>,
        kind: Kind,
        userdata: Option<Arc<str>>,
        effects: &mut Effects,
    ) {
        self.settle_outstanding(cx, effects);
        match kind {
            Kind::Save(_) => {
                self.tell_saved(Status::Save, None, effects);
                self.all_saved(cx, effects);
            }
            Kind::ForceSave(reach) => {
                self.tell_saved(Status::ForceSave, userdata, effects);
                self.holds_up_to(reach, effects);
            }
            _ => {}
        }
        if kind.is_force_save() {
            self.plan_force_save(cx);
        }
    }

    /// A late acknowledgement of a save counts for what it holds, if that is unsaved.
    fn answer_late(&mut self, cx: &Context<'_>, verdict: &Verdict, effects: &mut Effects) -> Answered {
        let closes = self.unsaved.as_ref().is_some_and(|unsaved| unsaved.would_close(verdict));
        let lacks = closes || self.unsaved.as_ref().is_some_and(|unsaved| unsaved.lacks(verdict));
        if verdict.outcome == Outcome::Failed || !lacks {
            return Answered::Late;
        }
        self.tell_saved(verdict.status, verdict.userdata.clone(), effects);
        self.end_attempts_of(cx, verdict, effects);
        if closes {
            self.all_saved(cx, effects);
        } else {
            self.holds_up_to(verdict.reach, effects);
        }
        self.plan_force_save(cx);
        Answered::LateSave
    }

    /// A save was acknowledged late. Its other attempt counts no longer, nor does the message that it was given up unless a
    /// worker has that. A save of the other kind goes on: it may hold the same changes, but has its own answer.
    fn end_attempts_of(&mut self, cx: &Context<'_>, verdict: &Verdict, effects: &mut Effects) {
        let (status, reach) = (verdict.status, verdict.reach);
        let is_over = self.outbox.outstanding.as_ref().is_some_and(|outstanding| match outstanding.kind {
            Kind::Save(other) => status == Status::Save && other <= reach,
            Kind::ForceSave(other) => status == Status::ForceSave && other <= reach,
            Kind::SaveFailed(other) | Kind::ForceSaveFailed(other) => {
                other <= reach && !outstanding.is_with_worker()
            }
            _ => false,
        });
        if is_over {
            self.settle_outstanding(cx, effects);
        }
    }

    fn tell_saved(&self, status: Status, userdata: Option<Arc<str>>, effects: &mut Effects) {
        effects.notices.push(Notice::Saved { key: self.key.clone(), status, userdata });
    }

    /// The storage holds the changes up to number `reach`, by a save that does not close the document.
    fn holds_up_to(&mut self, reach: u64, effects: &mut Effects) {
        let Some(unsaved) = &mut self.unsaved else { return };
        unsaved.changes.force_save_acknowledged(reach);
        if unsaved.forgotten.is_some_and(|forgotten| forgotten <= reach) {
            self.no_longer_forgotten(effects);
        }
    }

    /// A save holds every change, and the storage knows by it that the last editor left.
    fn all_saved(&mut self, cx: &Context<'_>, effects: &mut Effects) {
        self.step_past_leave(cx, Step::SaveAcknowledged);
        self.forget_changes(effects);
    }

    /// The storage knows now that the last editor left.
    fn step_past_leave(&mut self, cx: &Context<'_>, step: Step) {
        let leaver = self.withheld();
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.step(step);
        }
        if let Some(leaver) = leaver {
            self.participants[leaver].handed_out -= 1;
            self.release(cx, leaver);
        }
    }

    /// Nothing is unsaved any more.
    fn forget_changes(&mut self, effects: &mut Effects) {
        if let Some(unsaved) = self.unsaved.take() {
            self.saved_changes = unsaved.changes.last();
            effects.garbage.unsaved = Some(unsaved);
        }
    }

    /// A forgotten document was saved after all, or deleted from the list. If somebody edits it again, its changes are
    /// still unsaved.
    fn no_longer_forgotten(&mut self, effects: &mut Effects) {
        let Some(unsaved) = &mut self.unsaved else { return };
        unsaved.unlist();
        if unsaved.phase == Phase::Forgotten {
            unsaved.step(Step::NoLongerForgotten);
            self.forget_changes(effects);
        }
    }

    /// Deletes the document from the list of forgotten ones. `None` if it is not listed.
    pub(crate) fn delete_forgotten(&mut self) -> Option<Effects> {
        let mut effects = Effects::default();
        self.is_forgotten().then(|| self.no_longer_forgotten(&mut effects))?;
        Some(effects)
    }

    /// Settles the outstanding callback.
    pub(super) fn settle_outstanding(&mut self, cx: &Context<'_>, effects: &mut Effects) {
        let participant = self.outbox.outstanding.as_ref().and_then(|one| one.kind.participant());
        effects.garbage.outstanding = self.outbox.settle();
        if let Some(participant) = participant {
            self.release(cx, participant);
        }
    }
}

/// Failing.
impl Session {
    /// The outstanding callback failed, or ran out.
    pub(super) fn failed(&mut self, cx: &Context<'_>, kind: Kind, effects: &mut Effects) {
        if self.closing_due().is_some() && self.supersede(cx, effects) {
            return;
        }
        let failures = match kind {
            Kind::Save(_) => self.phase().failures(),
            _ => self.outbox.failures(),
        };
        // The reply to an `info` has said it already, so its callback is not tried again.
        let pause = cx.rules.retry_pauses.get(failures).filter(|_| kind != Kind::Info);
        let Some(pause) = pause else {
            return self.give_up(cx, kind, effects);
        };
        let again = cx.now.after(cx.jitter(*pause, &self.key));
        match kind {
            Kind::Save(_) => self.save_waits(cx, again, effects),
            _ => {
                if let Some(outstanding) = &mut self.outbox.outstanding {
                    outstanding.fail(again, cx.now);
                }
            }
        }
    }

    /// A failed save is formed anew for its next attempt. Until then an editor may join.
    fn save_waits(&mut self, cx: &Context<'_>, again: Moment, effects: &mut Effects) {
        self.settle_outstanding(cx, effects);
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.failures += 1;
            unsaved.step(Step::SaveFailed { again });
            if again <= cx.now {
                unsaved.step(Step::SaveFellDue { now: cx.now });
            }
        }
    }

    fn give_up(&mut self, cx: &Context<'_>, kind: Kind, effects: &mut Effects) {
        self.tell_given_up(kind, effects);
        match kind {
            Kind::Save(reach) => {
                self.settle_outstanding(cx, effects);
                self.forget_document(cx, reach);
            }
            Kind::ForceSave(reach) => {
                self.give_up_force_save(reach);
                let (kind, copy) =
                    (Kind::ForceSaveFailed(reach), self.outbox.settle().and_then(|one| one.copy));
                let status = Status::ForceSaveFailed;
                let told = |copy| Box::new(Outstanding::given_up(kind, status, copy, cx.now));
                self.outbox.outstanding = copy.map(told);
            }
            _ => self.settle_outstanding(cx, effects),
        }
        if matches!(kind, Kind::Save(_)) || kind.is_force_save() {
            self.plan_force_save(cx);
        }
    }

    /// The save of the changes up to number `reach` is given up. The storage is told so next.
    fn forget_document(&mut self, cx: &Context<'_>, reach: u64) {
        let leaver = self.withheld().map(|leaver| self.participants[leaver].user.id().clone());
        self.step_past_leave(cx, Step::SaveGivenUp);
        let Some(unsaved) = &mut self.unsaved else { return };
        unsaved.failures += 1;
        unsaved.is_awaited = false;
        unsaved.kept_at = unsaved.would_keep_at.take();
        unsaved.forgotten = Some(reach);
        let callback =
            callbacks::save(&mut Blanks::default(), (cx.rules, &self.key), leaver, &unsaved.changes);
        let told = Outstanding::given_up(Kind::SaveFailed(reach), Status::SaveFailed, callback, cx.now);
        self.outbox.outstanding = Some(Box::new(told));
    }

    pub(super) fn tell_given_up(&self, kind: Kind, effects: &mut Effects) {
        if kind == Kind::Info {
            return;
        }
        let status = kind.status();
        let copy = self.outbox.outstanding.as_ref().and_then(|one| one.copy.as_ref());
        let userdata = copy.and_then(|copy| copy.userdata.clone());
        effects.notices.push(Notice::Storage { key: self.key.clone(), status, userdata });
    }
}
