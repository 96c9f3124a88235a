//! The storage's side of a session: what it is told next, and what follows from its answers.

use std::sync::Arc;

use super::changes::Changes;
use super::outbox::Kind;
use super::phase::{Phase, Step};
use super::roster::StayId;
use super::{Pace, Rules, Session};
use crate::callback::{Action, ActionKind, Callback, History, Status};
use crate::license::VERSION;
use crate::time::Timestamp;

/// What the storage said of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Failed,
}

/// What settling a callback leaves to do for others.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The callback was given up: the transport is to hear of it.
    pub(crate) given_up: Option<Status>,
    /// The document was forgotten (`Some(true)`), or is no longer (`Some(false)`).
    pub(crate) forgotten: Option<bool>,
    /// To be freed where no lock is held.
    pub(crate) garbage: (Option<Arc<Callback>>, Option<Box<Changes>>),
}

impl Session {
    /// Whether the storage is to hear of anything now.
    pub(crate) fn has_next(&self) -> bool {
        match self.phase {
            Phase::Closing { due, failures, .. } if !self.outbox.in_flight() => {
                due.is_none() || (failures == 0 && self.outbox.has_next())
            }
            _ => self.outbox.has_next(),
        }
    }

    /// The next callback, marked outstanding. What happened before a save fell due is told before it; what was asked
    /// for while a failed save waits is told after it.
    pub(crate) fn take(&mut self) -> Option<Arc<Callback>> {
        let failed_before = matches!(self.phase, Phase::Closing { failures: 1.., .. });
        if !failed_before {
            let callback =
                self.outbox.take(&self.key, &mut self.roster, self.phase.withheld(), self.changes.is_none());
            if callback.is_some() || self.outbox.in_flight() {
                return callback;
            }
        }
        let Phase::Closing { leaver, due: None, .. } = self.phase else {
            return None;
        };
        let callback = self.save_callback(leaver);
        self.phase = self.phase.after(Step::SaveHandedOut);
        Some(self.outbox.hand_out(Kind::Save, callback))
    }

    fn save_callback(&self, leaver: StayId) -> Callback {
        let left = Action { kind: ActionKind::Left, user: self.roster.stay(leaver).user.id().clone() };
        let mut callback = Callback::new(self.key.clone(), Status::Save);
        callback.action = Some(left);
        if let Some(changes) = &self.changes {
            let reach = changes.reach();
            callback.users = Some(vec![reach.last_author]);
            callback.lastsave = Some(reach.last_at);
            callback.notmodified = Some(changes.all_forced());
            callback.history = Some(History { changes: changes.turns(), server_version: VERSION.to_owned() });
        }
        callback
    }

    /// Settles the outstanding callback. `kept_at`: where the host put the file that it could not save. `pace`: of
    /// retries.
    pub(crate) fn settle(
        &mut self,
        rules: &Rules,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        now: Timestamp,
        pace: Pace,
    ) -> Settled {
        let Some((kind, failures)) = self.outbox.outstanding() else {
            return Settled::default();
        };
        match kind {
            Kind::Save if kept_at.is_some() => self.would_keep_at = kept_at,
            Kind::SaveFailed if kept_at.is_some() && self.forgotten => self.kept_at = kept_at,
            _ => {}
        }
        match verdict {
            Verdict::Done => self.done(kind),
            Verdict::Failed => self.failed(rules, kind, failures, now, pace),
        }
    }

    fn done(&mut self, kind: Kind) -> Settled {
        let mut settled = self.put_away();
        match kind {
            Kind::Save => {
                self.tell_withheld();
                self.phase = self.phase.after(Step::SaveAcknowledged);
                self.would_keep_at = None;
                settled.garbage.1 = self.settle_changes();
                settled.forgotten = self.unlist();
            }
            Kind::ForceSave { reach } => {
                let holds_some = |changes: &mut Box<Changes>| changes.force_save_acknowledged(reach);
                if self.changes.as_mut().is_some_and(holds_some) {
                    settled.forgotten = self.unlist();
                    // Nobody edits a forgotten document, so this save holds all of it.
                    if self.phase == Phase::Forgotten {
                        self.phase = self.phase.after(Step::Remembered);
                        settled.garbage.1 = self.settle_changes();
                    }
                }
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {}
        }
        settled
    }

    fn failed(&mut self, rules: &Rules, kind: Kind, failures: usize, now: Timestamp, pace: Pace) -> Settled {
        // A failed save is no longer in flight: an editor may come back before it is tried again. The phase counts.
        let failures = match self.phase {
            Phase::Saving { failures, .. } => failures,
            _ => failures,
        };
        if let Some(pause) = rules.retry_pauses.get(failures) {
            let again = pace.due(now, *pause);
            if kind != Kind::Save {
                self.outbox.fail(again);
                return Settled::default();
            }
            self.phase = self.phase.after(Step::SaveFailed { again });
            return self.put_away();
        }
        match kind {
            Kind::Save => {
                self.tell_withheld();
                self.phase = self.phase.after(Step::SaveGivenUp);
                self.kept_at = self.would_keep_at.take();
                self.plan_force_save(rules, now);
                self.outbox.save_failed(Kind::SaveFailed, Status::SaveFailed);
                let newly = !std::mem::replace(&mut self.forgotten, true);
                Settled { forgotten: newly.then_some(true), ..Settled::default() }
            }
            Kind::ForceSave { reach } => {
                if let Some(changes) = &mut self.changes {
                    changes.force_save_given_up(reach);
                }
                self.plan_force_save(rules, now);
                self.outbox.save_failed(Kind::ForceSaveFailed, Status::ForceSaveFailed);
                Settled::default()
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {
                let mut settled = self.put_away();
                settled.given_up = settled.garbage.0.as_ref().map(|callback| callback.status);
                settled
            }
        }
    }

    fn put_away(&mut self) -> Settled {
        Settled { garbage: (self.outbox.settle(), None), ..Settled::default() }
    }

    /// The storage knows now that the last editor left.
    fn tell_withheld(&mut self) {
        if let Some(leaver) = self.phase.withheld() {
            let stay = self.roster.stay_mut(leaver);
            stay.told -= 1;
            stay.queued -= 1;
            self.roster.release(leaver);
        }
    }

    /// Nothing is unsaved any more. Returns what is to be freed.
    pub(super) fn settle_changes(&mut self) -> Option<Box<Changes>> {
        self.force_save_at = None;
        let changes = self.changes.take();
        self.settled_changes = changes.as_ref().map_or(self.settled_changes, |changes| changes.last());
        changes
    }

    fn unlist(&mut self) -> Option<bool> {
        self.kept_at = None;
        std::mem::take(&mut self.forgotten).then_some(false)
    }
}
