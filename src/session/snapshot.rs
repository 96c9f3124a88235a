//! A session as plain values that outlast the process, and a session made of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::changes::{ChangesSnapshot, NUMBER_MAX};
use super::events::Event;
use super::member::{Member, Tab};
use super::outbox::ForceSaveRequest;
use super::outstanding::{Kind, Outstanding};
use super::participants::ParticipantId;
use super::phase::{Phase, Turn};
use super::unsaved::Unsaved;
use super::{Context, Session};
use crate::access::{Access, Reason};
use crate::callback::{Callback, Status};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::seats::Admitted;
use crate::time::Timestamp;

/// A session. It names participants by their place in `participants`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionSnapshot {
    pub(crate) key: DocumentKey,
    /// In the order in which they began to edit.
    pub(crate) participants: Vec<MemberSnapshot>,
    waiting: Vec<EventSnapshot>,
    outstanding: Option<OutstandingSnapshot>,
    unsaved: Option<UnsavedSnapshot>,
    saved_changes: u64,
    changed_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberSnapshot {
    user: UserId,
    name: Option<Arc<str>>,
    /// How many edit connections the storage counts.
    told: u32,
    pub(crate) connections: Vec<TabSnapshot>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct TabSnapshot {
    /// The id that it had.
    pub(crate) id: u64,
    pub(crate) access: Access,
    pub(crate) reason: Option<Reason>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum EventSnapshot {
    Joined(u32),
    Left(u32),
    Closed(u32),
    ForceSave(ForceSaveRequest),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OutstandingSnapshot {
    kind: Kind,
    failures: usize,
    copy: Option<Box<Callback>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct UnsavedSnapshot {
    changes: ChangesSnapshot,
    phase: PhaseSnapshot,
    forgotten: Option<u64>,
    kept_at: Option<Arc<str>>,
    failures: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum PhaseSnapshot {
    Edited,
    Closing { leaver: Option<u32>, left: Duration, tried: bool },
    Forgotten,
}

/// What does not hold in a snapshot of a session.
pub(crate) type Damage = &'static str;

/// Taking.
impl Session {
    /// The session as it is. What a worker has counts as failed. Questions that wait are left out: the reply has said it.
    pub(crate) fn snapshot(&self, cx: &Context<'_>) -> SessionSnapshot {
        let order = self.participants.in_order(|_| true);
        let places: BTreeMap<ParticipantId, u32> = order.iter().copied().zip(0..).collect();
        let mut force_saves = self.outbox.waiting_force_saves().iter();
        let event = |event: &Event| match event {
            Event::Joined(id) => Some(EventSnapshot::Joined(places[id])),
            Event::Left(id) => Some(EventSnapshot::Left(places[id])),
            Event::Closed(id) => Some(EventSnapshot::Closed(places[id])),
            Event::ForceSave => force_saves.next().cloned().map(EventSnapshot::ForceSave),
            Event::Info(_) | Event::InfoRequest => None,
        };
        SessionSnapshot {
            key: self.key.clone(),
            participants: order.iter().map(|id| self.participants[*id].snapshot()).collect(),
            waiting: self.outbox.events().filter_map(event).collect(),
            outstanding: self.outbox.outstanding.as_ref().and_then(|one| one.snapshot(&places)),
            unsaved: self.unsaved.as_ref().map(|unsaved| unsaved.snapshot(cx, &places)),
            saved_changes: self.saved_changes,
            changed_at: self.changed_at,
        }
    }
}

impl MemberSnapshot {
    /// The user. A name that is too long is left out: [`Session::restore`] refuses it.
    pub(crate) fn user(&self) -> User {
        let user = User::from(self.user.clone());
        self.name.as_deref().and_then(|name| user.clone().named(name).ok()).unwrap_or(user)
    }
}

impl Member {
    fn snapshot(&self) -> MemberSnapshot {
        let tab =
            |tab: &Tab| TabSnapshot { id: tab.connection.to_bits(), access: tab.access, reason: tab.reason };
        MemberSnapshot {
            user: self.user.id().clone(),
            name: self.user.shared_name(),
            told: self.handed_out,
            connections: self.tabs.iter().map(tab).collect(),
        }
    }
}

impl Outstanding {
    /// `None` for a save, which is formed anew, and for the answer to a question.
    fn snapshot(&self, places: &BTreeMap<ParticipantId, u32>) -> Option<OutstandingSnapshot> {
        let kind = match self.kind {
            Kind::Joined(id) => Kind::Joined(places[&id]),
            Kind::Left(id) => Kind::Left(places[&id]),
            Kind::Closed(id) => Kind::Closed(places[&id]),
            Kind::Info | Kind::Save(_) => return None,
            kind => kind,
        };
        Some(OutstandingSnapshot { kind, failures: self.failures, copy: self.copy.clone() })
    }
}

impl Unsaved {
    fn snapshot(&self, cx: &Context<'_>, places: &BTreeMap<ParticipantId, u32>) -> UnsavedSnapshot {
        let place = |leaver: Option<ParticipantId>| leaver.map(|id| places[&id]);
        let phase = match self.phase {
            Phase::Viewed | Phase::Edited => PhaseSnapshot::Edited,
            Phase::Closing { leaver, due, tried, .. } => {
                PhaseSnapshot::Closing { leaver: place(leaver), left: due.since(cx.now), tried }
            }
            Phase::Saving { leaver, .. } => {
                PhaseSnapshot::Closing { leaver: place(leaver), left: Duration::ZERO, tried: true }
            }
            Phase::Forgotten => PhaseSnapshot::Forgotten,
        };
        let (forgotten, failures) = (self.forgotten, self.failures);
        UnsavedSnapshot {
            changes: self.changes.snapshot(),
            phase,
            forgotten,
            kept_at: self.kept_at.clone(),
            failures,
        }
    }
}

/// Restoring.
impl Session {
    /// A session without its connections, which [`rejoin`](Self::rejoin) adds. [`begin_again`](Self::begin_again) ends the
    /// restoring. Errors, and never panics, whatever is in the snapshot.
    pub(crate) fn restore(cx: &Context<'_>, snapshot: SessionSnapshot) -> Result<Self, Damage> {
        snapshot.check()?;
        let SessionSnapshot { key, participants, waiting, outstanding, unsaved, saved_changes, changed_at } =
            snapshot;
        let mut session = Session { saved_changes, changed_at, ..Session::new(key) };
        let mut ids = Vec::with_capacity(participants.len());
        for MemberSnapshot { user, name, told, .. } in participants {
            let user = name.iter().try_fold(User::from(user), |user, name| user.named(name));
            let user = user.map_err(|_| "the name of a user is too long")?;
            if session.participants.find(user.id(), cx.hasher).is_some() {
                return Err("a user is in a document twice");
            }
            ids.push(session.participants.restore(&user, told, cx.hasher));
        }
        let id = |place: u32| ids[place as usize];
        session.restore_outbox(cx, (waiting, outstanding), id);
        session.unsaved = unsaved.map(|unsaved| Box::new(unsaved.restore(cx, id)));
        Ok(session)
    }

    fn restore_outbox(
        &mut self,
        cx: &Context<'_>,
        (waiting, outstanding): (Vec<EventSnapshot>, Option<OutstandingSnapshot>),
        id: impl Fn(u32) -> ParticipantId,
    ) {
        for event in waiting {
            let event = match event {
                EventSnapshot::Joined(place) => Event::Joined(id(place)),
                EventSnapshot::Left(place) => Event::Left(id(place)),
                EventSnapshot::Closed(place) => Event::Closed(id(place)),
                EventSnapshot::ForceSave(request) => {
                    self.outbox.push_force_save(request);
                    continue;
                }
            };
            self.outbox.push(&mut self.participants, event);
        }
        self.outbox.outstanding = outstanding.map(|OutstandingSnapshot { kind, failures, copy }| {
            let kind = match kind {
                Kind::Joined(place) => Kind::Joined(id(place)),
                Kind::Left(place) => Kind::Left(id(place)),
                Kind::Closed(place) => Kind::Closed(id(place)),
                kind => kind,
            };
            Box::new(Outstanding::restored(kind, failures, copy, cx.now))
        });
    }

    /// Adds a connection that the session had, with what it is admitted to now. Nobody is told of it.
    pub(crate) fn rejoin(
        &mut self,
        cx: &Context<'_>,
        user: &User,
        id: ConnectionId,
        admitted: Admitted,
    ) -> ParticipantId {
        self.participants.join(user, Tab::new(id, admitted, cx.now), cx.hasher)
    }

    /// The connections are there again. The storage is told of those who edit no longer; `editors` edited before, in order.
    pub(crate) fn begin_again(&mut self, cx: &Context<'_>, editors: &[UserId]) {
        if self.participants.editing() == 0
            && let Some(unsaved) = &mut self.unsaved
            && unsaved.phase == Phase::Edited
        {
            let leaver = editors.iter().rev().find_map(|user| self.participants.find(user, cx.hasher));
            let due = cx.now.after(cx.rules.save_delay);
            unsaved.phase = Phase::Closing { leaver, due, turn: Turn::Later, tried: false, failures: 0 };
        }
        if cx.rules.callbacks {
            // At once: what happens from now on is told after it, and a closing goes first.
            self.outbox.look_at_participants(cx);
            self.catch_up();
        }
        self.plan_force_save(cx);
        for participant in self.participants.in_order(|member| member.tabs.is_empty()) {
            self.release(cx, participant);
        }
    }
}

impl UnsavedSnapshot {
    fn restore(self, cx: &Context<'_>, id: impl Fn(u32) -> ParticipantId) -> Unsaved {
        let UnsavedSnapshot { changes, phase, forgotten, kept_at, failures } = self;
        let phase = match phase {
            PhaseSnapshot::Edited => Phase::Edited,
            PhaseSnapshot::Forgotten => Phase::Forgotten,
            PhaseSnapshot::Closing { leaver, left, tried } => {
                let (leaver, due) = (leaver.map(id), cx.now.after(left));
                Phase::Closing { leaver, due, turn: Turn::Later, tried, failures: 0 }
            }
        };
        Unsaved { phase, forgotten, kept_at, failures, ..Unsaved::restored(changes.restore()) }
    }
}

/// Checking.
impl SessionSnapshot {
    fn check(&self) -> Result<(), Damage> {
        let edited =
            self.participants.iter().flat_map(|one| &one.connections).any(|tab| tab.access == Access::Edit);
        if self.saved_changes >= NUMBER_MAX {
            return Err("too many changes were saved");
        }
        if let Some(unsaved) = &self.unsaved {
            unsaved.changes.check(self.saved_changes)?;
            let holds = match unsaved.phase {
                PhaseSnapshot::Edited => edited,
                PhaseSnapshot::Closing { left, .. } => !edited && left <= LEFT_MAX,
                PhaseSnapshot::Forgotten => !edited && unsaved.forgotten.is_some(),
            };
            let holds = holds && unsaved.failures < FAILURES_MAX;
            if !holds {
                return Err("the phase of a document does not hold");
            }
        }
        self.check_reaches()?;
        self.check_outstanding()?;
        self.check_told()
    }

    /// Checks that no save holds changes that were not made.
    fn check_reaches(&self) -> Result<(), Damage> {
        let forgotten = self.unsaved.as_ref().and_then(|unsaved| unsaved.forgotten);
        let outstanding = self.outstanding.as_ref().and_then(|one| one.kind.reach());
        let waiting = self.waiting.iter().filter_map(|event| match event {
            EventSnapshot::ForceSave(request) => request.reach.as_ref().map(|reach| reach.last),
            _ => None,
        });
        let last = self.unsaved.as_ref().map_or(self.saved_changes, |unsaved| unsaved.changes.last());
        if forgotten.into_iter().chain(outstanding).chain(waiting).all(|reach| reach <= last) {
            Ok(())
        } else {
            Err("a save holds changes that were not made")
        }
    }

    fn check_outstanding(&self) -> Result<(), Damage> {
        let Some(OutstandingSnapshot { kind, copy, failures }) = &self.outstanding else { return Ok(()) };
        let status = match kind {
            Kind::ForceSave(_) => Some(Status::ForceSave),
            Kind::ForceSaveFailed(_) => Some(Status::ForceSaveFailed),
            Kind::SaveFailed(_) => Some(Status::SaveFailed),
            Kind::Joined(_) | Kind::Left(_) | Kind::Closed(_) => None,
            Kind::Info | Kind::Save(_) => return Err("a callback is outstanding that is never kept"),
        };
        let fits = match (status, copy) {
            (Some(status), Some(copy)) => copy.status == status && copy.key == self.key,
            (None, None) => true,
            _ => false,
        };
        let fits = fits && *failures < FAILURES_MAX;
        if fits { Ok(()) } else { Err("an outstanding callback is not what it says") }
    }

    /// Checks that nobody leaves who has not come, by what the storage counts and what waits.
    fn check_told(&self) -> Result<(), Damage> {
        let mut told: Vec<u32> = self.participants.iter().map(|one| one.told).collect();
        let unknown = "a participant is named that is not there";
        if told.iter().copied().map(u64::from).sum::<u64>() > TOLD_MAX {
            return Err("the storage counts too many connections");
        }
        for event in &self.waiting {
            let (place, joins) = match event {
                EventSnapshot::Joined(place) => (*place, true),
                EventSnapshot::Left(place) | EventSnapshot::Closed(place) => (*place, false),
                EventSnapshot::ForceSave(_) => continue,
            };
            let one = told.get_mut(place as usize).ok_or(unknown)?;
            *one = if joins { Some(*one + 1) } else { one.checked_sub(1) }
                .ok_or("somebody leaves who is not there")?;
        }
        if let Some(place) = self.outstanding.as_ref().and_then(|one| one.kind.participant())
            && place as usize >= told.len()
        {
            return Err(unknown);
        }
        self.check_closing(&told)
    }

    /// Checks that the last editor is there, and that everything was told before a save that was handed out.
    fn check_closing(&self, told: &[u32]) -> Result<(), Damage> {
        let Some(UnsavedSnapshot { phase: PhaseSnapshot::Closing { leaver, tried, .. }, .. }) = &self.unsaved
        else {
            return Ok(());
        };
        let leaver = leaver.map(|place| place as usize);
        if leaver.is_some_and(|leaver| leaver >= told.len()) {
            return Err("the last editor is not there");
        }
        let expected = |place: usize| u32::from(Some(place) == leaver);
        let all_told = told.iter().enumerate().all(|(place, told)| *told == expected(place));
        let waits = self.waiting.iter().any(|event| !matches!(event, EventSnapshot::ForceSave(_)));
        if *tried && (waits || !all_told) {
            return Err("a save was handed out before what came before it");
        }
        Ok(())
    }
}

/// No more connections to a document are restored of whom the storage knows.
const TOLD_MAX: u64 = 1 << 20;
/// No callback fails more often.
const FAILURES_MAX: usize = usize::MAX / 2;
/// No save delay and no pause is longer: 60 days.
const LEFT_MAX: Duration = Duration::from_secs(60 * 24 * 3600);
