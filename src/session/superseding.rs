//! A save, or a closing, that goes before everything of its document that waits.

use super::effects::Effects;
use super::events::Event;
use super::outbox::Superseded;
use super::outstanding::Kind;
use super::participants::ParticipantId;
use super::phase::{Phase, Step};
use super::{Context, Session};
use crate::callback::Status;
use crate::notice::Notice;
use crate::time::Moment;

impl Session {
    /// Until when a due save or closing waits for what is handed out before it. `None` if nothing is before it.
    pub(super) fn supersedes_at(&self, cx: &Context<'_>) -> Option<Moment> {
        let due = self.closing_due()?;
        let waits = match self.phase() {
            Phase::Viewed => !self.outbox.closing_is_next(),
            _ => self.outbox.holds_waiting(),
        };
        (waits || self.outbox.outstanding.is_some()).then(|| due.after(cx.patience))
    }

    /// The due save or closing is the next to be handed out. What waited before it is dropped: it tells all that matters,
    /// since after it nobody edits. It ends every coming that was told. Returns false if joins and leaves have cancelled
    /// out, so that there is nothing more to close.
    pub(super) fn supersede(&mut self, cx: &Context<'_>, effects: &mut Effects) -> bool {
        self.catch_up();
        if self.closing_due().is_none() {
            return false;
        }
        let closes = self.phase() == Phase::Viewed;
        let leaver = if closes { self.closer() } else { self.withheld() };
        if let Some(Kind::ForceSave(reach)) = self.outbox.outstanding_kind() {
            self.tell_given_up(Kind::ForceSave(reach), effects);
            self.give_up_force_save(reach);
        }
        self.settle_outstanding(cx, effects);
        let superseded = self.outbox.take_waiting();
        self.give_up_force_saves(&superseded, effects);
        effects.garbage.superseded = Some(Box::new(superseded));
        self.forget_what_was_told(cx, leaver);
        match leaver {
            Some(leaver) if closes => self.outbox.push(&mut self.participants, Event::Closed(leaver)),
            _ if closes => {}
            _ => {
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.step(Step::RestSuperseded);
                }
                // For an editor who comes back before the save is handed out.
                self.plan_force_save(cx);
            }
        }
        true
    }

    /// Whose leave closed the document.
    fn closer(&self) -> Option<ParticipantId> {
        let closed = self.outbox.events().filter_map(|event| match event {
            Event::Closed(id) => Some(*id),
            _ => None,
        });
        closed.last()
    }

    fn give_up_force_saves(&mut self, superseded: &Superseded, effects: &mut Effects) {
        for request in superseded.force_saves() {
            let (key, userdata) = (self.key.clone(), request.userdata.clone());
            effects.notices.push(Notice::Storage { key, status: Status::ForceSave, userdata });
            if let Some(reach) = &request.reach {
                self.give_up_force_save(reach.last);
            }
        }
    }

    /// The changes of a force save are unsaved again.
    pub(super) fn give_up_force_save(&mut self, reach: u64) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.changes.force_save_given_up(reach);
        }
    }

    /// From now on the storage counts nobody but `leaver`, whose leave is told next.
    fn forget_what_was_told(&mut self, cx: &Context<'_>, leaver: Option<ParticipantId>) {
        for member in self.participants.iter_mut() {
            (member.handed_out, member.waiting) = (0, 0);
        }
        if let Some(leaver) = leaver {
            self.participants[leaver].handed_out = 1;
        }
        for participant in self.participants.in_order(|member| member.tabs.is_empty()) {
            self.release(cx, participant);
        }
    }
}
