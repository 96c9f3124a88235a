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
mod storage;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use ordered::NONE;
pub(crate) use outbox::Outbox;
pub(crate) use roster::{Stay, StayId};
pub(crate) use storage::{Settled, Verdict};

use crate::access::{Access, Participant};
use crate::callback::ForceSaveType;
use crate::config::{Bounds, Config};
use crate::error::{ForceSaveError, InfoError};
use crate::ids::{DocumentKey, User, UserId};
use crate::time::Timestamp;
use changes::Changes;
use outbox::{ForceSaveAsked, InfoAnswer, InfoAsked};
use phase::{Phase, Step};
use roster::Roster;

/// Whether a save or a retry waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It does.
    Usual,
    /// It is due at once: after a drop, while draining, at the end.
    AtOnce,
}

impl Pace {
    pub(crate) fn at_once_if(hurried: bool) -> Self {
        if hurried { Pace::AtOnce } else { Pace::Usual }
    }

    /// When something falls due after `delay`; `None` if that is now.
    fn due(self, now: Timestamp, delay: Duration) -> Option<Timestamp> {
        Some(now.after(delay)).filter(|due| self == Pace::Usual && *due > now)
    }
}

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

/// One document.
#[derive(Debug)]
pub(crate) struct Session {
    key: DocumentKey,
    phase: Phase,
    roster: Roster,
    changes: Option<Box<Changes>>,
    /// The number of the last change that is saved or deleted.
    settled_changes: u64,
    outbox: Outbox,
    /// When unsaved changes are to be force saved. It counts while somebody edits; one that passed while nobody did is
    /// overdue as soon as somebody comes.
    force_save_at: Option<Timestamp>,
    /// Whether the document is listed as forgotten: from the moment its save is given up until a later one is
    /// acknowledged or the host deletes it.
    forgotten: bool,
    /// Where the host put the file of the save that was given up.
    kept_at: Option<Arc<str>>,
    /// Where it would put that of the save under way.
    would_keep_at: Option<Arc<str>>,
}

/// Questions.
impl Session {
    pub(crate) fn new(key: DocumentKey) -> Self {
        Session {
            key,
            phase: Phase::Viewed,
            roster: Roster::new(),
            changes: None,
            settled_changes: 0,
            outbox: Outbox::new(),
            force_save_at: None,
            forgotten: false,
            kept_at: None,
            would_keep_at: None,
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

    /// Every stay, in order of joining.
    pub(crate) fn stays(&self) -> impl Iterator<Item = (StayId, &Stay)> {
        self.roster.stays.iter()
    }

    pub(crate) fn connections(&self, access: Access) -> u32 {
        self.roster.with(access)
    }

    pub(crate) fn editors(&self) -> Vec<UserId> {
        self.roster.editors()
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

    /// Takes one connection away. If it was the last editor's, the save is due after the save delay, or at once.
    pub(crate) fn leave(&mut self, rules: &Rules, stay: StayId, now: Timestamp, pace: Pace) {
        let access = self.roster.stay(stay).access;
        self.roster.leave(stay);
        if access != Access::Edit {
            self.roster.release(stay);
            return;
        }
        let most = rules.bounds.waiting_actions;
        let last = self.roster.editing() == 0;
        if last && self.changes.is_some() {
            let due = pace.due(now, rules.save_delay);
            self.would_keep_at = None;
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
            self.leave(rules, stay, now, Pace::AtOnce);
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
            None => self.changes = Some(Box::new(Changes::first(self.settled_changes, user, now))),
        }
        self.plan_force_save(rules, now);
    }

    /// Sees to it that unsaved changes are force saved in time.
    fn plan_force_save(&mut self, rules: &Rules, now: Timestamp) {
        if self.force_save_at.is_none() && self.changes.as_ref().is_some_and(|changes| changes.unsaved()) {
            self.force_save_at = rules.force_save_interval.map(|interval| now.after(interval));
        }
    }

    /// Who edits. The storage is told too. Only while the document is open.
    pub(crate) fn info(
        &mut self,
        rules: &Rules,
        userdata: Option<Arc<str>>,
    ) -> Result<Vec<UserId>, InfoError> {
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

    /// Asks the storage to save what there is. Only while the document is open.
    pub(crate) fn force_save(
        &mut self,
        rules: &Rules,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
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

    /// Takes the document off the list of forgotten ones; changes nothing if it is not on it.
    pub(crate) fn delete_forgotten(&mut self) -> Settled {
        let mut settled = Settled::default();
        if std::mem::take(&mut self.forgotten) {
            self.kept_at = None;
            settled.forgotten = Some(false);
            if self.phase == Phase::Forgotten {
                self.phase = self.phase.after(Step::Remembered);
                settled.garbage.1 = self.settle_changes();
            }
        }
        settled
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

    /// Drops what waits to be told of a document that [came and went](Self::came_and_went), unless anything of it was
    /// told or asked before. Returns what is to be freed.
    pub(crate) fn forget_untold(&mut self) -> Option<Outbox> {
        self.outbox.untold(&self.roster).then(|| self.outbox.forget_untold(&mut self.roster))
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
        let force_save = self.force_save_at.filter(|_| self.phase == Phase::Edited);
        [save, self.outbox.retry_at(), force_save].into_iter().flatten().min()
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
        if self.phase == Phase::Edited && self.force_save_at.is_some_and(|at| at <= now) {
            self.force_save_at = None;
            // Refused where too many requests wait: the next change starts the interval anew.
            let _ = self.force_save(rules, ForceSaveType::Timer, None, None);
        }
    }
}

impl Session {
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
