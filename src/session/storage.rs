//! The storage's side of a session: what it is told next, and what follows from its answers.

use std::sync::Arc;

use super::changes::Changes;
use super::outbox::Kind;
use super::pending::{Pending, Unsaved};
use super::phase::{Phase, Step};
use super::{Pace, Rules, Session};
use crate::callback::{Action, ActionKind, Callback, History, Status};
use crate::ids::DocumentKey;
use crate::license::VERSION;
use crate::time::Timestamp;

/// What the storage said of a callback.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done,
    /// It comes back, to be handed out again.
    Failed(Box<Callback>),
}

/// What settling a callback leaves to do for others, if anything: in a box, since mostly it does not.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The callback that was given up: the transport is to hear of it.
    pub(crate) given_up: Option<Box<Callback>>,
    /// The document was forgotten (`Some(true)`), or is no longer (`Some(false)`).
    pub(crate) forgotten: Option<bool>,
    /// To be freed where no lock is held, as is the next.
    #[expect(dead_code, reason = "only to be freed")]
    unsaved: Option<Box<Unsaved>>,
    /// A save that is to be built anew for its next try.
    #[expect(dead_code, reason = "only to be freed")]
    outdated: Option<Box<Callback>>,
}

impl Session {
    /// The next callback, marked outstanding. What happened before a save fell due is told before it; what was asked
    /// for while a failed save waits is told after it.
    pub(crate) fn take(&mut self) -> Option<Box<Callback>> {
        let Pending { outbox, unsaved, .. } = self.pending.as_deref_mut()?;
        let phase = unsaved.as_ref().map(|unsaved| unsaved.phase);
        let failed_before = matches!(phase, Some(Phase::Closing { failures: 1.., .. }));
        if !failed_before {
            let withheld = phase.and_then(Phase::withheld);
            let callback = outbox.take(&self.key, &mut self.roster, withheld, unsaved.is_none());
            if callback.is_some() || outbox.in_flight() {
                return callback;
            }
        }
        let unsaved = unsaved.as_mut()?;
        let Phase::Closing { leaver, due: None, .. } = unsaved.phase else {
            return None;
        };
        let left = Action { kind: ActionKind::Left, user: self.roster.stay(leaver).user.id().clone() };
        let callback = save_callback(&self.key, left, &unsaved.changes);
        unsaved.step(Step::SaveHandedOut);
        Some(outbox.hand_out(Kind::Save, Box::new(callback)))
    }

    /// Settles the outstanding callback. `kept_at`: where the host put the file that it could not save. `pace`: of
    /// retries.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        rules: &Rules,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        now: Timestamp,
        pace: Pace,
    ) -> Option<Box<Settled>> {
        let pending = self.pending.as_deref_mut()?;
        let (kind, failures) = pending.outbox.outstanding()?;
        if let Some(unsaved) = &mut pending.unsaved {
            match kind {
                Kind::Save if kept_at.is_some() => unsaved.would_keep_at = kept_at,
                Kind::SaveFailed if kept_at.is_some() && unsaved.forgotten => unsaved.kept_at = kept_at,
                _ => {}
            }
        }
        match verdict {
            Verdict::Done => self.done(kind),
            Verdict::Failed(callback) => self.failed(rules, kind, callback, failures, now, pace),
        }
    }

    #[inline]
    fn done(&mut self, kind: Kind) -> Option<Box<Settled>> {
        self.put_away();
        match kind {
            Kind::Save => {
                self.tell_withheld();
                self.step(Step::SaveAcknowledged);
                let forgotten = self.unlist();
                Some(Box::new(Settled { forgotten, unsaved: self.settle_changes(), ..Settled::default() }))
            }
            Kind::ForceSave { reach } => {
                let holds_some = |unsaved: &mut Unsaved| unsaved.changes.force_save_acknowledged(reach);
                if !self.unsaved_mut().is_some_and(holds_some) {
                    return None;
                }
                // Nobody edits a document in the phase of forgotten ones, so this save holds all of it.
                Some(Box::new(self.remember()))
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => None,
        }
    }

    /// Takes the document off the list of forgotten ones; changes nothing if it is not on it.
    pub(crate) fn delete_forgotten(&mut self) -> Option<Box<Settled>> {
        self.is_forgotten().then(|| Box::new(self.remember()))
    }

    /// What was forgotten is saved after all, or was deleted. Where somebody edits it again it is still unsaved.
    fn remember(&mut self) -> Settled {
        let forgotten = self.unlist();
        let unsaved = (self.phase() == Phase::Forgotten).then(|| {
            self.step(Step::Remembered);
            self.settle_changes()
        });
        Settled { forgotten, unsaved: unsaved.flatten(), ..Settled::default() }
    }

    fn failed(
        &mut self,
        rules: &Rules,
        kind: Kind,
        callback: Box<Callback>,
        failures: usize,
        now: Timestamp,
        pace: Pace,
    ) -> Option<Box<Settled>> {
        // A failed save is no longer in flight: an editor may come back before it is tried again. The phase counts.
        let failures = match self.phase() {
            Phase::Saving { failures, .. } => failures,
            _ => failures,
        };
        if let Some(pause) = rules.retry_pauses.get(failures) {
            let again = pace.due(now, *pause);
            if kind != Kind::Save {
                if let Some(pending) = &mut self.pending {
                    pending.outbox.fail(callback, again);
                }
                return None;
            }
            self.step(Step::SaveFailed { again });
            self.put_away();
            return Some(Box::new(Settled { outdated: Some(callback), ..Settled::default() }));
        }
        match kind {
            Kind::Save => {
                self.tell_withheld();
                let newly = self.unsaved_mut().is_some_and(|unsaved| {
                    unsaved.step(Step::SaveGivenUp);
                    unsaved.kept_at = unsaved.would_keep_at.take();
                    !std::mem::replace(&mut unsaved.forgotten, true)
                });
                self.given_up(rules, Kind::SaveFailed, callback, Status::SaveFailed, now);
                newly.then(|| Box::new(Settled { forgotten: Some(true), ..Settled::default() }))
            }
            Kind::ForceSave { reach } => {
                if let Some(unsaved) = self.unsaved_mut() {
                    unsaved.changes.force_save_given_up(reach);
                }
                self.given_up(rules, Kind::ForceSaveFailed, callback, Status::ForceSaveFailed, now);
                None
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {
                self.put_away();
                Some(Box::new(Settled { given_up: Some(callback), ..Settled::default() }))
            }
        }
    }

    /// A save was given up: the storage is told so, and what it was to hold is to be saved by another.
    fn given_up(
        &mut self,
        rules: &Rules,
        kind: Kind,
        mut callback: Box<Callback>,
        status: Status,
        now: Timestamp,
    ) {
        self.plan_force_save(rules, now);
        callback.status = status;
        if let Some(pending) = &mut self.pending {
            pending.outbox.save_failed(kind, callback);
        }
    }

    fn put_away(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.outbox.settle();
        }
    }

    /// The storage knows now that the last editor left.
    fn tell_withheld(&mut self) {
        if let Some(leaver) = self.withheld() {
            let stay = self.roster.stay_mut(leaver);
            stay.told -= 1;
            self.roster.release(leaver);
        }
    }

    /// Nothing is unsaved any more. Returns what is to be freed.
    fn settle_changes(&mut self) -> Option<Box<Unsaved>> {
        self.pending.as_mut()?.settle_changes()
    }

    fn unlist(&mut self) -> Option<bool> {
        self.unsaved_mut().is_some_and(Unsaved::unlist).then_some(false)
    }
}

fn save_callback(key: &DocumentKey, left: Action, changes: &Changes) -> Callback {
    let reach = changes.reach();
    Callback {
        users: Some(vec![reach.last_author]),
        action: Some(left),
        lastsave: Some(reach.last_at),
        notmodified: Some(changes.all_forced()),
        history: Some(History { changes: changes.turns(), server_version: VERSION.to_owned() }),
        ..Callback::new(key.clone(), Status::Save)
    }
}
