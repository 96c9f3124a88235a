//! What falls due in a session.

use super::effects::Effects;
use super::phase::{Phase, Step, Turn};
use super::{Context, Session};
use crate::time::Moment;

impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called next: the earliest of
    ///
    /// - the end of the time that a worker has for the outstanding callback, or of the pause before its next attempt,
    /// - the end of the save delay, or of the pause before the next attempt to save,
    /// - the end of the patience of a save or closing that is due,
    /// - the timed force save.
    pub(crate) fn next_deadline(&self, cx: &Context<'_>) -> Option<Moment> {
        let outbox = self.outbox_deadline(cx);
        let Some(unsaved) = &self.unsaved else { return outbox };
        let own = match unsaved.phase {
            Phase::Closing { due, turn: Turn::Later, .. } => Some(due),
            Phase::Edited => unsaved.force_save_at,
            _ => None,
        };
        [outbox, own].into_iter().flatten().min()
    }

    fn outbox_deadline(&self, cx: &Context<'_>) -> Option<Moment> {
        // Most documents have nothing for the storage.
        if self.outbox.is_empty() {
            return None;
        }
        let outstanding = self.outbox.outstanding.as_ref().and_then(|outstanding| {
            let deadline = Some(outstanding.deadline).filter(|deadline| *deadline < Moment::NEVER);
            if outstanding.is_with_worker() { deadline } else { outstanding.retry_at() }
        });
        [outstanding, self.supersedes_at(cx)].into_iter().flatten().min()
    }

    /// Runs what is due by now.
    pub(crate) fn handle_timeout(&mut self, cx: &Context<'_>) -> Effects {
        let mut effects = Effects::default();
        self.run_outbox_deadline(cx, &mut effects);
        match self.phase() {
            Phase::Closing { due, turn: Turn::Later, .. } if due <= cx.now => self.make_save_due(cx),
            Phase::Edited => self.run_force_save_timer(cx),
            _ => {}
        }
        if self.supersedes_at(cx).is_some_and(|at| at <= cx.now) {
            self.note_time_out(&mut effects);
            self.supersede(cx, &mut effects);
        }
        effects
    }

    fn run_outbox_deadline(&mut self, cx: &Context<'_>, effects: &mut Effects) {
        let Some(outstanding) = &mut self.outbox.outstanding else { return };
        if outstanding.retry_at().is_some_and(|at| at <= cx.now) {
            outstanding.end_pause();
        } else if outstanding.is_with_worker() && outstanding.deadline <= cx.now {
            let kind = outstanding.kind;
            self.note_time_out(effects);
            self.failed(cx, kind, effects);
        }
    }

    /// The time of whoever has the outstanding callback is over.
    fn note_time_out(&self, effects: &mut Effects) {
        let outstanding = self.outbox.outstanding.as_ref().filter(|one| one.is_with_worker());
        effects.timed_out = outstanding.map(|one| one.kind.status()).or(effects.timed_out);
    }

    fn run_force_save_timer(&mut self, cx: &Context<'_>) {
        if let Some(unsaved) = &mut self.unsaved
            && unsaved.force_save_at.is_some_and(|at| at <= cx.now)
        {
            unsaved.force_save_at = None;
            if unsaved.changes.need_save() {
                self.timed_force_save(cx);
            }
        }
    }

    /// Until when a worker has the delivery with this number. `None` if it is not with a worker any more.
    pub(crate) fn delivery_deadline(&self, cx: &Context<'_>, number: u64) -> Option<Moment> {
        let outstanding = self.outbox.outstanding.as_ref()?;
        let in_hand = outstanding.is_with_worker() && outstanding.number == number;
        in_hand.then(|| self.supersedes_at(cx).unwrap_or(Moment::NEVER).min(outstanding.deadline))
    }

    /// Gives a worker time until `deadline`, if it has less. Returns false if the delivery is not with it any more.
    pub(crate) fn extend_delivery(&mut self, number: u64, deadline: Moment) -> bool {
        let outstanding = self.outbox.outstanding.as_mut();
        let in_hand = outstanding.filter(|one| one.is_with_worker() && one.number == number);
        in_hand.map(|one| one.deadline = one.deadline.max(deadline)).is_some()
    }

    /// Makes a save due that waits for its delay, but not one that waits for its next attempt.
    pub(crate) fn skip_save_delay(&mut self, cx: &Context<'_>) {
        if let Phase::Closing { tried: false, .. } = self.phase() {
            self.make_save_due(cx);
        }
    }

    /// Makes a save due.
    pub(super) fn make_save_due(&mut self, cx: &Context<'_>) {
        if let Some(unsaved) = &mut self.unsaved
            && let Phase::Closing { turn: Turn::Later, .. } = unsaved.phase
        {
            unsaved.step(Step::SaveFellDue { now: cx.now });
        }
    }

    /// The engine shuts down: what waits for its next attempt is tried at once, and the pauses begin again.
    pub(crate) fn hurry(&mut self, cx: &Context<'_>) {
        self.make_save_due(cx);
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.step(Step::PausesBeginAgain);
        }
        if let Some(outstanding) = &mut self.outbox.outstanding {
            outstanding.end_pause();
            outstanding.failures = 0;
        }
    }
}
