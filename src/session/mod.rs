//! The session: all that the engine knows of one document, as a pure state machine.
//!
//! Nothing here locks, reads a clock, sends, or knows another document. Every method takes `&mut self` and, where time
//! matters, the present moment; what follows for others is returned, or asked for by the shard right after.
//!
//! Words: a *stay* is one user's uninterrupted presence with one access ([`roster`]). The *outbox* holds what the
//! storage has not been told ([`outbox`]). The *phase* says whether somebody edits, and how far the save is
//! ([`phase`]). *Changes* are what is unsaved ([`changes`]).

mod changes;
mod ordered;
mod outbox;
mod phase;
mod roster;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use ordered::NONE;
pub(crate) use roster::{Stay, StayId};

use crate::access::{Access, Participant};
use crate::callback::{Action, ActionKind, Callback, ForceSaveType, History, Status};
use crate::config::{Bounds, Config};
use crate::error::{ForceSaveError, InfoError};
use crate::ids::{DocumentKey, User, UserId};
use crate::time::Timestamp;
use changes::Changes;
use outbox::{ForceSaveAsked, InfoAnswer, InfoAsked, Kind, Outbox};
use phase::{Phase, Step};
use roster::Roster;

/// The settings that every session of an engine goes by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) callbacks: bool,
    pub(crate) save_delay: Duration,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) force_save_interval: Option<Duration>,
    pub(crate) bounds: Bounds,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        Rules {
            callbacks: config.callbacks,
            save_delay: config.save_delay,
            retry_pauses: config.retry_pauses.clone(),
            force_save_interval: config.force_save_interval,
            bounds: config.bounds,
        }
    }
}

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

/// One document.
#[derive(Debug)]
pub(crate) struct Session {
    key: DocumentKey,
    phase: Phase,
    roster: Roster,
    changes: Option<Box<Changes>>,
    outbox: Outbox,
    /// When unsaved changes are to be force saved. Runs as long as there are any.
    force_save_at: Option<Timestamp>,
    /// Whether the document is listed as forgotten: from the moment its save is given up until a later one is
    /// acknowledged or the host deletes it.
    forgotten: bool,
    /// Where the host put a file that it could not save.
    kept_at: Option<Arc<str>>,
}

/// Questions.
impl Session {
    pub(crate) fn new(key: DocumentKey) -> Self {
        Session {
            key,
            phase: Phase::Viewed,
            roster: Roster::new(),
            changes: None,
            outbox: Outbox::new(),
            force_save_at: None,
            forgotten: false,
            kept_at: None,
        }
    }

    pub(crate) fn key(&self) -> &DocumentKey {
        &self.key
    }

    /// Whether anybody is in it, or a save of it is still to come.
    pub(crate) fn is_open(&self) -> bool {
        !self.roster.is_empty() || self.phase.withheld().is_some()
    }

    /// Whether nothing of it needs to be remembered.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Viewed && self.roster.is_empty() && self.outbox.is_empty() && !self.forgotten
    }

    /// Whether the storage knows, or was given up to know, all that happened.
    pub(crate) fn is_told(&self) -> bool {
        self.outbox.is_empty() && self.phase.withheld().is_none()
    }

    /// Whether nobody edits, nothing is unsaved, and the storage does not know all of it yet.
    pub(crate) fn came_and_went(&self) -> bool {
        self.phase == Phase::Viewed && !self.outbox.is_empty()
    }

    /// Whether a save is with the storage, so that nobody gets edit access.
    pub(crate) fn is_saving(&self) -> bool {
        matches!(self.phase, Phase::Saving { .. })
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(crate) fn kept_at(&self) -> Option<Arc<str>> {
        self.kept_at.clone()
    }

    /// Whether a callback is with a worker.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.outbox.outstanding().is_some()
    }

    pub(crate) fn connections_by_stay(&self) -> impl Iterator<Item = (StayId, u32)> {
        self.roster.stays.iter().map(|(id, stay)| (id, stay.connections))
    }

    pub(crate) fn connections(&self, access: Access) -> u32 {
        self.roster.with(access)
    }

    pub(crate) fn editors(&self) -> Vec<UserId> {
        self.roster.editors().cloned().collect()
    }

    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.roster.participants()
    }

    pub(crate) fn stay(&self, id: StayId) -> &Stay {
        self.roster.stay(id)
    }

    pub(crate) fn stay_mut(&mut self, id: StayId) -> &mut Stay {
        self.roster.stay_mut(id)
    }

    pub(crate) fn stays_of(&self, user: &UserId) -> [Option<StayId>; 3] {
        self.roster.stays_of(user)
    }

    /// The stays that lose their access when everybody is dropped, in order of joining.
    pub(crate) fn stays_above_view(&self) -> Vec<StayId> {
        let above_view = |stay: &Stay| stay.access > Access::View && stay.connections > 0;
        self.roster.stays.iter().filter(|(_, stay)| above_view(stay)).map(|(id, _)| id).collect()
    }
}

/// Commands.
impl Session {
    /// Adds a connection of `user` with an access that was decided on. Edit only where no save is with the storage.
    pub(crate) fn join(&mut self, rules: &Rules, user: &User, access: Access) -> StayId {
        let stay = self.roster.join(user, access);
        if access == Access::Edit {
            let withheld = self.phase.withheld();
            if self.roster.editing() == 1 {
                self.phase = self.phase.after(Step::FirstEditorCame);
            }
            if rules.callbacks {
                let most = rules.bounds.waiting_actions;
                if let Some(leaver) = withheld {
                    self.outbox.left(&mut self.roster, leaver, most);
                }
                self.outbox.came(&mut self.roster, stay, most);
            }
        }
        stay
    }

    /// Takes one connection away. The save of the last editor's leave is due after the save delay, or at once.
    pub(crate) fn leave(&mut self, rules: &Rules, stay: StayId, now: Timestamp, at_once: bool) {
        let access = self.roster.stay(stay).access;
        self.roster.leave(stay);
        if access != Access::Edit {
            self.roster.release(stay);
            return;
        }
        let most = rules.bounds.waiting_actions;
        let last = self.roster.editing() == 0;
        if last && self.changes.is_some() {
            let due = (!at_once).then(|| now.after(rules.save_delay)).filter(|due| *due > now);
            self.phase = self.phase.after(Step::LastEditorLeftChanged { leaver: stay, due });
            return;
        }
        if last {
            self.phase = self.phase.after(Step::LastEditorLeftUnchanged);
        }
        match (rules.callbacks, last) {
            (true, true) => self.outbox.closed(&mut self.roster, stay, most),
            (true, false) => self.outbox.left(&mut self.roster, stay, most),
            (false, _) => self.roster.release(stay),
        }
    }

    /// Turns `count` connections of a stay into view-only ones and returns the stay they are in now. A save that follows
    /// is due at once.
    pub(crate) fn demote(&mut self, rules: &Rules, stay: StayId, count: u32, now: Timestamp) -> StayId {
        let user = self.roster.stay(stay).user.clone();
        let mut viewing = stay;
        // First in, then out: the user stays a participant throughout.
        for _ in 0..count {
            viewing = self.roster.join(&user, Access::View);
        }
        for _ in 0..count {
            self.leave(rules, stay, now, true);
        }
        viewing
    }

    /// An editor of this stay made a change. O(1).
    pub(crate) fn change(&mut self, rules: &Rules, stay: StayId, now: Timestamp) {
        if !rules.callbacks {
            return;
        }
        let user = &self.roster.stay(stay).user;
        match &mut self.changes {
            Some(changes) => changes.add(user, now, rules.bounds.turns),
            None => self.changes = Some(Box::new(Changes::first(user, now))),
        }
        if self.force_save_at.is_none() {
            self.force_save_at = rules.force_save_interval.map(|interval| now.after(interval));
        }
    }

    /// Who edits. The storage is told too.
    pub(crate) fn info(
        &mut self,
        rules: &Rules,
        userdata: Option<Arc<str>>,
    ) -> Result<Vec<UserId>, InfoError> {
        if !self.is_open() {
            return Err(InfoError::NotOpen);
        }
        let editors = self.editors();
        if rules.callbacks {
            if self.outbox.asked() >= rules.bounds.asked {
                return Err(InfoError::TooManyAsked);
            }
            let answer = match (self.phase, &self.changes) {
                (Phase::Edited, _) => InfoAnswer::Editing,
                (_, Some(_)) => InfoAnswer::Unsaved,
                (_, None) => InfoAnswer::Closed,
            };
            let asked = InfoAsked { userdata, answer };
            self.outbox.ask_info(&mut self.roster, self.phase.withheld(), asked);
        }
        Ok(editors)
    }

    /// Asks the storage to save what there is.
    pub(crate) fn force_save(
        &mut self,
        rules: &Rules,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        if !self.is_open() {
            return Err(ForceSaveError::NotOpen);
        }
        let under_way = self.phase.save_under_way();
        let Some(changes) = self.changes.as_mut().filter(|changes| changes.unsaved() && !under_way) else {
            return Err(ForceSaveError::NotChanged);
        };
        if self.outbox.asked() >= rules.bounds.asked {
            return Err(ForceSaveError::TooManyAsked);
        }
        let reach = changes.reach();
        changes.force_save_asked(&reach);
        self.force_save_at = None;
        let asked = ForceSaveAsked { kind, userdata, asked_by, reach };
        self.outbox.ask_force_save(&mut self.roster, self.phase.withheld(), asked);
        Ok(())
    }

    /// Takes the document off the list of forgotten ones. False if it is not on it.
    pub(crate) fn delete_forgotten(&mut self) -> bool {
        if self.forgotten && self.phase == Phase::Forgotten {
            self.phase = self.phase.after(Step::Remembered);
            self.changes = None;
        }
        self.kept_at = None;
        std::mem::take(&mut self.forgotten)
    }

    /// The save that waits for its delay is due now.
    pub(crate) fn hurry(&mut self) {
        if let Phase::Closing { due: Some(_), .. } = self.phase {
            self.phase = self.phase.after(Step::SaveFellDue);
        }
        if self.outbox.retry_at().is_some() {
            self.outbox.retry();
        }
    }

    /// Drops what waits to be told, unless anything of this document was told or asked before.
    pub(crate) fn forget_untold(&mut self) {
        if self.came_and_went() && self.outbox.untold(&self.roster) {
            self.outbox.forget_untold(&mut self.roster);
        }
    }
}

/// Time.
impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let save = match self.phase {
            Phase::Closing { due, .. } => due,
            _ => None,
        };
        [save, self.outbox.retry_at(), self.force_save_at].into_iter().flatten().min()
    }

    /// Lets all that is due by `now` fall due.
    pub(crate) fn handle_timeout(&mut self, rules: &Rules, now: Timestamp) {
        if let Phase::Closing { due: Some(due), .. } = self.phase
            && due <= now
        {
            self.phase = self.phase.after(Step::SaveFellDue);
        }
        if self.outbox.retry_at().is_some_and(|at| at <= now) {
            self.outbox.retry();
        }
        if self.force_save_at.is_some_and(|at| at <= now) {
            self.force_save_at = None;
            let saved = self.phase == Phase::Edited
                && !matches!(
                    self.force_save(rules, ForceSaveType::Timer, None, None),
                    Err(ForceSaveError::TooManyAsked)
                );
            let unsaved = self.changes.as_ref().is_some_and(|changes| changes.unsaved());
            if !saved && unsaved {
                self.force_save_at = rules.force_save_interval.map(|interval| now.after(interval));
            }
        }
    }
}

/// The storage's side.
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
            let callback = self.outbox.take(&self.key, &mut self.roster, self.phase.withheld());
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
            callback.history =
                Some(History { changes: changes.turns(), server_version: crate::VERSION.to_owned() });
        }
        callback
    }

    /// Settles the outstanding callback. `kept_at`: where the host put the file that it could not save. `at_once`:
    /// without pauses before retries.
    pub(crate) fn settle(
        &mut self,
        rules: &Rules,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        now: Timestamp,
        at_once: bool,
    ) -> Settled {
        let Some((kind, failures)) = self.outbox.outstanding() else {
            return Settled::default();
        };
        if kept_at.is_some() && matches!(kind, Kind::Save | Kind::SaveFailed) {
            self.kept_at = kept_at;
        }
        match verdict {
            Verdict::Done => self.done(kind),
            Verdict::Failed => self.failed(rules, kind, failures, now, at_once),
        }
    }

    fn done(&mut self, kind: Kind) -> Settled {
        let mut settled = self.put_away();
        match kind {
            Kind::Save => {
                self.tell_withheld();
                self.phase = self.phase.after(Step::SaveAcknowledged);
                settled.garbage.1 = self.saved();
                settled.forgotten = self.unlist();
            }
            Kind::ForceSave { reach } => {
                if let Some(changes) = &mut self.changes {
                    changes.force_save_acknowledged(reach);
                }
                settled.forgotten = self.unlist();
                // Nobody edits a forgotten document, so this save holds all of it.
                if self.phase == Phase::Forgotten {
                    self.phase = self.phase.after(Step::Remembered);
                    settled.garbage.1 = self.saved();
                }
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {}
        }
        settled
    }

    fn failed(
        &mut self,
        rules: &Rules,
        kind: Kind,
        failures: usize,
        now: Timestamp,
        at_once: bool,
    ) -> Settled {
        // A failed save is no longer in flight: an editor may come back before it is tried again. The phase counts.
        let failures = match self.phase {
            Phase::Saving { failures, .. } => failures,
            _ => failures,
        };
        if let Some(pause) = rules.retry_pauses.get(failures) {
            let again = (!at_once).then(|| now.after(*pause)).filter(|at| *at > now);
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
                self.force_save_at = None;
                self.outbox.save_failed(Kind::SaveFailed, Status::SaveFailed);
                let newly = !std::mem::replace(&mut self.forgotten, true);
                Settled { forgotten: newly.then_some(true), ..Settled::default() }
            }
            Kind::ForceSave { reach } => {
                if let Some(changes) = &mut self.changes {
                    changes.force_save_given_up(reach);
                    if changes.unsaved() && self.force_save_at.is_none() && self.phase == Phase::Edited {
                        self.force_save_at = rules.force_save_interval.map(|interval| now.after(interval));
                    }
                }
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
    fn saved(&mut self) -> Option<Box<Changes>> {
        self.force_save_at = None;
        self.changes.take()
    }

    fn unlist(&mut self) -> Option<bool> {
        self.kept_at = None;
        std::mem::take(&mut self.forgotten).then_some(false)
    }

    /// Recounts everything and checks what must always hold.
    pub(crate) fn validate(&self, rules: &Rules) -> Result<(), String> {
        let in_context = |error| format!("document {}: {error}", self.key);
        self.roster.validate().map_err(in_context)?;
        if rules.callbacks {
            self.outbox.validate(&self.roster, self.phase.withheld()).map_err(in_context)?;
        }
        let holds = match self.phase {
            Phase::Viewed => self.roster.editing() == 0 && self.changes.is_none(),
            Phase::Edited => self.roster.editing() > 0,
            Phase::Closing { .. } | Phase::Saving { .. } => {
                self.roster.editing() == 0 && self.changes.is_some()
            }
            Phase::Forgotten => self.roster.editing() == 0 && self.changes.is_some() && self.forgotten,
        };
        if holds { Ok(()) } else { Err(in_context(format!("{:?} does not hold", self.phase))) }
    }
}
