//! What falls due.

use coedit::Notice;

use super::{Closing, Document, Event, SaveTurn, State};
use crate::model::settings::Settings;

impl Document {
    pub fn next_deadline(&self, patience: u64) -> Option<u64> {
        let outstanding = self.outstanding.as_ref().and_then(|outstanding| match outstanding.state {
            State::WaitsUntil(until) => Some(until),
            State::HandedOut => outstanding.deadline,
            State::Ready => None,
        });
        let is_later = |closing: &&Closing| closing.turn == SaveTurn::Later && !self.saving;
        let save = self.closing.as_ref().filter(is_later).map(|closing| closing.due);
        let force = self.force_at.filter(|_| self.has_editors());
        [outstanding, save, force, self.supersedes_at(patience)].into_iter().flatten().min()
    }

    /// Runs what is due at `now`: first what the storage owes, then the save, then the patience of the save.
    pub fn run_due(&mut self, settings: &Settings, now: u64, patience: u64) -> Vec<Notice> {
        let mut notices = Vec::new();
        let had_editors = self.has_editors();
        match &mut self.outstanding {
            Some(one) if matches!(one.state, State::WaitsUntil(until) if until <= now) => {
                one.state = State::Ready;
            }
            Some(one)
                if matches!(one.state, State::HandedOut) && one.deadline.is_some_and(|due| due <= now) =>
            {
                self.fail(settings, now, &mut notices);
            }
            _ => {}
        }
        if self.closing.as_ref().is_some_and(|closing| closing.due <= now) {
            self.make_save_due(now);
        }
        if had_editors && self.force_at.is_some_and(|at| at <= now) {
            self.force_at = None;
            if self.has_unsaved() && self.force_saves() < settings.asked {
                self.waiting.push(Event::TimedForceSave);
            }
        }
        if self.supersedes_at(patience).is_some_and(|at| at <= now) {
            self.supersede(settings, now, &mut notices);
        }
        self.prune_order();
        notices
    }

    pub(super) fn make_save_due(&mut self, now: u64) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.turn == SaveTurn::Later)
            && !self.saving
        {
            closing.turn = if closing.tried { SaveTurn::First } else { SaveTurn::InOrder };
            closing.due = closing.due.min(now);
        }
    }

    /// Makes a save due that waits for the save delay, but not one that waits for its retry.
    pub fn skip_save_delay(&mut self, now: u64) {
        if self.closing.as_ref().is_some_and(|closing| !closing.tried) {
            self.make_save_due(now);
        }
    }

    /// A drop asks for the save that is to come: whoever waits lets it be made first.
    pub fn await_save(&mut self) {
        self.awaited = self.closing.is_some();
    }

    /// Returns true if whoever waits lets a save be made first.
    pub fn awaits_save(&self) -> bool {
        self.saving || self.awaited && self.closing.is_some()
    }

    /// The engine shuts down: every save is due, every retry is due, and the pauses begin again.
    pub fn hurry(&mut self, now: u64) {
        self.make_save_due(now);
        if let Some(closing) = &mut self.closing {
            closing.failures = 0;
        }
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.failures = 0;
            if matches!(outstanding.state, State::WaitsUntil(_)) {
                outstanding.state = State::Ready;
            }
        }
    }
}
