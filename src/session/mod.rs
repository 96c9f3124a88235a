//! The session: all that the engine knows of one document, as a pure state machine.
//!
//! Nothing here locks, reads a clock, sends, or knows another document. Every method takes `&mut self` and, where time
//! matters, the present moment; what follows for others is returned, or asked for by the shard right after.
//!
//! Words: a *stay* is one user's uninterrupted presence with one access ([`roster`]). The *outbox* holds what the
//! storage has not been told ([`outbox`]). The *phase* says whether somebody edits, and how far the save is
//! ([`phase`]). *Changes* are what is unsaved ([`changes`]). What is open with the storage stands together in one box
//! ([`pending`]), so that a document with nothing open is small.

mod changes;
mod ordered;
mod outbox;
mod pending;
mod phase;
mod queue;
mod roster;
mod spares;
mod standing;
mod storage;
mod telling;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use ordered::NONE;
pub(crate) use roster::{Stay, StayId};
pub(crate) use spares::{Spares, TooMany};
pub(crate) use standing::{Before, Standing};
pub(crate) use storage::{Settled, Verdict};

use crate::access::{Access, Participant};
use crate::callback::ForceSaveType;
use crate::config::{Bounds, Config};
use crate::error::{ForceSaveError, InfoError};
use crate::ids::{DocumentKey, User, UserId};
use crate::time::Timestamp;
use outbox::{ForceSaveAsked, InfoAnswer, InfoAsked, Outbox};
use pending::{Pending, Unsaved};
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
///
/// Where the fields stand is said here and in the [`roster`]: all that most calls look at is one cache line, and the first
/// two stays are the next. At a million documents a line that comes from memory costs more than all else in a call.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Session {
    key: DocumentKey,
    pending: Option<Box<Pending>>,
    roster: Roster,
}

/// Questions.
impl Session {
    pub(crate) fn new(key: DocumentKey) -> Self {
        Session { key, roster: Roster::new(), pending: None }
    }

    pub(crate) fn key(&self) -> &DocumentKey {
        &self.key
    }

    fn unsaved(&self) -> Option<&Unsaved> {
        self.pending.as_ref()?.unsaved.as_deref()
    }

    /// As far as nothing is unsaved, it follows from who is here.
    fn phase(&self) -> Phase {
        match self.unsaved() {
            Some(unsaved) => unsaved.phase,
            None if self.roster.editing() > 0 => Phase::Edited,
            None => Phase::Viewed,
        }
    }

    fn withheld(&self) -> Option<StayId> {
        self.pending.as_deref()?.withheld()
    }

    /// Whether a save is with the storage, so that nobody gets edit access.
    pub(crate) fn is_saving(&self) -> bool {
        matches!(self.phase(), Phase::Saving { .. })
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.unsaved().is_some_and(|unsaved| unsaved.forgotten)
    }

    pub(crate) fn kept_at(&self) -> Option<Arc<str>> {
        self.unsaved()?.kept_at.clone()
    }

    /// Whether a callback is with a worker.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.outbox.outstanding().is_some())
    }

    /// Whether the leave of this stay's connection starts a delay, so that it must know the time.
    pub(crate) fn leave_needs_time(&self, stay: StayId) -> bool {
        let last = self.roster.editing() == 1 && self.roster.stay(stay).access() == Access::Edit;
        last && self.unsaved().is_some()
    }

    /// Whether it takes no memory but itself and its names.
    pub(crate) fn is_small(&self) -> bool {
        self.pending.is_none() && self.roster.is_small()
    }

    /// Seats of a limit of edit access that are taken here: connections, or `by_users` users.
    pub(crate) fn edit_seats(&self, by_users: bool) -> u32 {
        if by_users { self.roster.editors_here() } else { self.roster.editing() }
    }

    /// Every stay, in order of joining.
    pub(crate) fn stays(&self) -> impl Iterator<Item = (StayId, &Stay)> {
        self.roster.stays.iter()
    }

    /// How many connections have each access, counted.
    pub(crate) fn by_access(&self) -> [u32; 3] {
        self.roster.by_access()
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
        let above_view = |stay: &Stay| stay.access() > Access::View && stay.connections > 0;
        self.roster.stays.iter().filter(|(_, stay)| above_view(stay)).map(|(id, _)| id).collect()
    }
}

/// Commands. Where something may come to be open with the storage, `spares` has the boxes for it.
impl Session {
    /// Adds a connection of `user` with an access that was decided on. Edit only where no save is with the storage.
    ///
    /// `slot` is where the shard has it. Returns its stay, and which connection of the stay was the latest before.
    #[inline]
    pub(crate) fn join(
        &mut self,
        rules: &Rules,
        spares: &mut Spares,
        user: &User,
        access: Access,
        now: Timestamp,
        slot: u32,
    ) -> (StayId, u32) {
        let (stay, before) = self.roster.join(user, access, now, slot, &mut spares.further);
        if access == Access::Edit {
            let withheld = if self.roster.editing() == 1 { self.first_editor_came() } else { None };
            if rules.callbacks {
                let most = rules.bounds.waiting_actions;
                let outbox = &mut self.pending.get_or_insert_with(|| spares.pending.take()).outbox;
                if let Some(leaver) = withheld {
                    outbox.left(&mut self.roster, leaver, most);
                }
                outbox.came(stay, most);
            }
        }
        (stay, before)
    }

    /// Returns whose leave, the last one's, the storage was not told of.
    fn first_editor_came(&mut self) -> Option<StayId> {
        let withheld = self.withheld();
        self.step(Step::FirstEditorCame);
        withheld
    }

    /// Takes one connection away. If it was the last editor's, the save is due after the save delay, or at once. Returns
    /// whether anything may have come to its end with that.
    #[inline(always)]
    pub(crate) fn leave(
        &mut self,
        rules: &Rules,
        spares: &mut Spares,
        stay: StayId,
        now: Timestamp,
        pace: Pace,
    ) -> bool {
        let access = self.roster.leave(stay);
        if access != Access::Edit || !rules.callbacks {
            self.roster.release(stay);
            return true;
        }
        let last = self.roster.editing() == 0;
        let pending = self.pending.get_or_insert_with(|| spares.pending.take());
        match &mut pending.unsaved {
            Some(unsaved) if last => {
                unsaved.would_keep_at = None;
                unsaved.step(Step::LastEditorLeft { leaver: stay, due: pace.due(now, rules.save_delay) });
            }
            None if last => pending.outbox.closed(&mut self.roster, stay, rules.bounds.waiting_actions),
            // Others edit on, and now there is something to tell.
            _ => return !pending.outbox.left(&mut self.roster, stay, rules.bounds.waiting_actions),
        }
        true
    }

    /// An editor of this stay made a change. O(1).
    pub(crate) fn change(&mut self, rules: &Rules, spares: &mut Spares, stay: StayId, now: Timestamp) {
        self.roster.stay_mut(stay).touch(now);
        if !rules.callbacks {
            return;
        }
        let pending = self.pending.get_or_insert_with(|| spares.pending.take());
        pending.change(&self.roster.stay(stay).user, now, rules.bounds.turns);
        self.plan_force_save(rules, now);
    }

    fn unsaved_mut(&mut self) -> Option<&mut Unsaved> {
        self.pending.as_mut()?.unsaved.as_deref_mut()
    }

    /// Where nothing is unsaved there is no phase to keep.
    fn step(&mut self, step: Step) {
        if let Some(unsaved) = self.unsaved_mut() {
            unsaved.step(step);
        }
    }

    /// Sees to it that unsaved changes are force saved in time.
    fn plan_force_save(&mut self, rules: &Rules, now: Timestamp) {
        if let Some(unsaved) = self.unsaved_mut()
            && unsaved.force_save_at.is_none()
            && unsaved.changes.unsaved()
        {
            unsaved.force_save_at = rules.force_save_interval.map(|interval| now.after(interval));
        }
    }

    /// Who edits. The storage is told too. Only while the document is open.
    pub(crate) fn info(
        &mut self,
        rules: &Rules,
        spares: &mut Spares,
        userdata: Option<Arc<str>>,
    ) -> Result<Vec<UserId>, InfoError> {
        if rules.callbacks {
            let answer = match (self.phase(), self.unsaved()) {
                (Phase::Edited, _) => InfoAnswer::Editing,
                (_, Some(_)) => InfoAnswer::Unsaved,
                (_, None) => InfoAnswer::Closed,
            };
            if self.pending.as_ref().map_or(0, |pending| pending.outbox.asked()) >= rules.bounds.asked {
                return Err(InfoError::TooManyAsked);
            }
            let withheld = self.withheld();
            let outbox = &mut self.pending.get_or_insert_with(|| spares.pending.take()).outbox;
            outbox.ask_info(&mut self.roster, withheld, InfoAsked { userdata, answer });
        }
        Ok(self.editors())
    }

    /// Asks the storage to save what there is. Only while the document is open.
    pub(crate) fn force_save(
        &mut self,
        rules: &Rules,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        let withheld = self.withheld();
        let Some(Pending { outbox, unsaved, .. }) = self.pending.as_deref_mut() else {
            return Err(ForceSaveError::NotChanged);
        };
        let to_save = |these: &&mut Unsaved| these.changes.unsaved() && !these.phase.save_under_way();
        let Some(unsaved) = unsaved.as_deref_mut().filter(to_save) else {
            return Err(ForceSaveError::NotChanged);
        };
        if outbox.asked() >= rules.bounds.asked {
            return Err(ForceSaveError::TooManyAsked);
        }
        let reach = unsaved.changes.reach();
        unsaved.changes.force_save_asked(&reach);
        unsaved.force_save_at = None;
        let asked = ForceSaveAsked { kind, userdata, asked_by, reach };
        outbox.ask_force_save(&mut self.roster, withheld, asked);
        Ok(())
    }

    /// The save that waits for its delay is due now.
    pub(crate) fn hurry(&mut self) {
        let Some(pending) = self.pending.as_deref_mut() else { return };
        if let Some(unsaved) = &mut pending.unsaved
            && let Phase::Closing { due: Some(_), .. } = unsaved.phase
        {
            unsaved.step(Step::SaveFellDue);
        }
        if pending.outbox.retry_at().is_some() {
            pending.outbox.retry();
        }
    }
}

/// Time.
impl Session {
    /// Lets all that is due by `now` fall due.
    pub(crate) fn handle_timeout(&mut self, rules: &Rules, now: Timestamp) {
        let Some(Pending { outbox, unsaved, .. }) = self.pending.as_deref_mut() else { return };
        if outbox.retry_at().is_some_and(|at| at <= now) {
            outbox.retry();
        }
        let Some(unsaved) = unsaved else { return };
        match unsaved.phase {
            Phase::Closing { due: Some(due), .. } if due <= now => unsaved.step(Step::SaveFellDue),
            Phase::Edited if unsaved.force_save_at.is_some_and(|at| at <= now) => {
                unsaved.force_save_at = None;
                // Refused where too many requests wait: the next change starts the interval anew.
                let _ = self.force_save(rules, ForceSaveType::Timer, None, None);
            }
            _ => {}
        }
    }
}

impl Session {
    /// Recounts everything and checks what must always hold.
    pub(crate) fn validate(&self, rules: &Rules) -> Result<(), String> {
        let in_context = |error| format!("document {}: {error}", self.key);
        self.roster.validate().map_err(in_context)?;
        if rules.callbacks {
            let nothing = Outbox::default();
            let outbox = self.pending.as_ref().map_or(&nothing, |pending| &pending.outbox);
            outbox.validate(&self.roster, self.withheld()).map_err(in_context)?;
        }
        if self.pending.as_ref().is_some_and(|pending| pending.is_nothing()) {
            return Err(in_context("nothing is pending, in a box".to_owned()));
        }
        let edited = self.roster.editing() > 0;
        let holds = match self.phase() {
            Phase::Viewed => !edited && self.unsaved().is_none(),
            Phase::Edited => edited,
            Phase::Closing { .. } | Phase::Saving { .. } => !edited,
            Phase::Forgotten => !edited && self.is_forgotten(),
        };
        if holds { Ok(()) } else { Err(in_context(format!("{:?} does not hold", self.phase()))) }
    }
}
