//! The outbox: what the storage has not acknowledged yet, of one document.
//!
//! No callback is formed before a worker takes it. Until then a join or a leave is an [`Event`] of eight bytes, and the
//! list of users is read off the participants when its turn comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::changes::Reach;
use super::context::Context;
use super::events::{Event, InfoAnswer, Waiting};
use super::outstanding::{Kind, Outstanding};
use super::participants::{ParticipantId, Participants};
use crate::callback::ForceSaveType;
use crate::ids::UserId;
use crate::time::Moment;

/// What waits for the storage, and the one callback that is outstanding.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Waiting,
    /// Boxed, since most documents have none, and the box is used again.
    pub(super) outstanding: Option<Box<Outstanding>>,
    /// When the latest of the joins and leaves that wait happened.
    happened_at: Moment,
    backlog: Option<Box<Backlog>>,
}

/// What most documents do not have.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Whether joins and leaves happened that found no room in `waiting`. They are read off the participants later,
    /// where pairs have cancelled out.
    behind: bool,
    /// The `info`s that [`Event::InfoRequest`] stands for, in the same order.
    infos: VecDeque<InfoRequest>,
    /// The force saves that [`Event::ForceSave`] stands for, in the same order.
    pub(super) force_saves: VecDeque<ForceSaveRequest>,
}

/// An `info` that the storage is to hear of.
#[derive(Debug)]
pub(crate) struct InfoRequest {
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) answer: InfoAnswer,
}

/// A force save that the storage is to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ForceSaveRequest {
    pub(crate) kind: ForceSaveType,
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) requested_by: Option<UserId>,
    /// What it holds. `None` for a timed one: all changes up to the moment at which it is taken.
    pub(crate) reach: Option<Reach>,
}

/// Questions.
impl Outbox {
    /// Returns true if anything waits. May be wrong once after joins and leaves have cancelled out: then nothing is found.
    pub(crate) fn holds_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.is_behind()
    }

    /// Returns true if nothing waits and nothing is outstanding.
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding.is_none() && !self.holds_waiting()
    }

    /// Returns true if joins or leaves wait.
    pub(crate) fn holds_actions(&self) -> bool {
        self.waiting.actions() > 0 || self.is_behind()
    }

    /// Returns true if the next event closes the document, and no join or leave comes after it.
    pub(super) fn closing_is_next(&self) -> bool {
        let is_last = self.waiting.actions() == 1 && !self.is_behind();
        is_last && matches!(self.next_event(), Some(Event::Closed(_)))
    }

    /// The next event.
    pub(super) fn next_event(&self) -> Option<&Event> {
        self.waiting.first()
    }

    /// When the latest of the joins and leaves that wait happened. If nobody edits, it closed the document.
    pub(super) fn happened_at(&self) -> Moment {
        self.happened_at
    }

    /// Since when a worker has the outstanding callback, or when the latest of what waits happened.
    pub(crate) fn busy_since(&self) -> Moment {
        self.outstanding.as_ref().map_or(self.happened_at, |outstanding| outstanding.since)
    }

    /// Answers to `info` that wait or are outstanding.
    pub(crate) fn infos(&self) -> usize {
        let waiting = self.waiting.requests() - self.waiting_force_saves().len();
        waiting + usize::from(self.outstanding_kind() == Some(Kind::Info))
    }

    /// Force saves that wait or are outstanding.
    pub(crate) fn force_saves(&self) -> usize {
        self.waiting_force_saves().len()
            + usize::from(self.outstanding_kind().is_some_and(Kind::is_force_save))
    }

    /// Returns true if a timed force save waits.
    pub(crate) fn has_timed_force_save(&self) -> bool {
        self.waiting_force_saves().iter().any(|request| request.reach.is_none())
    }

    /// How often the outstanding callback has failed, as far as the next pause goes by it.
    pub(super) fn failures(&self) -> usize {
        self.outstanding.as_ref().map_or(0, |outstanding| outstanding.failures)
    }

    pub(super) fn outstanding_kind(&self) -> Option<Kind> {
        self.outstanding.as_ref().map(|outstanding| outstanding.kind)
    }

    pub(super) fn waiting_force_saves(&self) -> &VecDeque<ForceSaveRequest> {
        const NONE: &VecDeque<ForceSaveRequest> = &VecDeque::new();
        self.backlog.as_ref().map_or(NONE, |backlog| &backlog.force_saves)
    }

    /// Returns true if anything but answers to `info` waits or is outstanding.
    pub(crate) fn holds_news(&self) -> bool {
        let outstanding = self.outstanding_kind().is_some_and(|kind| kind != Kind::Info);
        outstanding || self.holds_actions() || !self.waiting_force_saves().is_empty()
    }

    /// How many items are in its lists.
    pub(super) fn items(&self) -> usize {
        let turns = |request: &ForceSaveRequest| request.reach.as_ref().map_or(0, |reach| reach.turns.len());
        self.waiting.len() + self.waiting_force_saves().iter().map(turns).sum::<usize>()
    }

    /// Returns true if no request waits and nothing is outstanding.
    pub(crate) fn holds_only_events(&self) -> bool {
        self.waiting.requests() == 0 && self.outstanding.is_none()
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.waiting.iter()
    }

    /// Returns true if joins and leaves happened that are not among the events.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.behind)
    }
}

/// Joins, leaves and requests.
impl Outbox {
    /// A join or a leave happened. With as many waiting as the bound allows, it is only remembered that there was one.
    pub(super) fn tell(&mut self, cx: &Context<'_>, participants: &mut Participants, event: Event) {
        self.happened_at = cx.now;
        if self.has_room(cx.rules.bounds.waiting_actions) {
            self.push(participants, event);
        }
    }

    fn has_room(&mut self, most: usize) -> bool {
        let full = self.waiting.actions() >= most;
        if full {
            self.backlog.get_or_insert_default().behind = true;
        }
        !full && !self.is_behind()
    }

    /// Queues a join or a leave, whatever waits.
    pub(super) fn push(&mut self, participants: &mut Participants, event: Event) {
        if let Some(id) = event.participant() {
            participants[id].waiting += 1;
        }
        self.waiting.push(event);
    }

    /// Edit connections of each participant according to what was handed out and the events that wait.
    pub(crate) fn announced(&self, participants: &Participants) -> BTreeMap<ParticipantId, i64> {
        let mut announced: BTreeMap<ParticipantId, i64> =
            participants.iter().map(|(id, member)| (id, i64::from(member.handed_out))).collect();
        for event in self.waiting.iter() {
            let change = if matches!(event, Event::Joined(_)) { 1 } else { -1 };
            if let Some(id) = event.participant() {
                *announced.entry(id).or_default() += change;
            }
        }
        announced
    }

    pub(crate) fn push_info(&mut self, cx: &Context<'_>, request: InfoRequest) {
        if !self.holds_actions() {
            self.happened_at = cx.now;
        }
        if request.userdata.is_none() {
            self.waiting.push(Event::Info(request.answer));
        } else {
            self.backlog.get_or_insert_default().infos.push_back(request);
            self.waiting.push(Event::InfoRequest);
        }
    }

    pub(crate) fn push_force_save(&mut self, request: ForceSaveRequest) {
        self.backlog.get_or_insert_default().force_saves.push_back(request);
        self.waiting.push(Event::ForceSave);
    }

    /// Joins and leaves may be missing among the events: they are read off the participants later.
    pub(super) fn look_at_participants(&mut self, cx: &Context<'_>) {
        self.happened_at = cx.now;
        self.backlog.get_or_insert_default().behind = true;
    }

    /// The leave that was queued last does not close the document, since somebody comes.
    pub(super) fn take_back_closing(&mut self) {
        if let Some(event) = self.waiting.last_mut()
            && let Event::Closed(leaver) = *event
        {
            *event = Event::Left(leaver);
        }
    }

    /// Takes the mark that joins and leaves were not queued.
    pub(super) fn take_behind(&mut self) -> bool {
        self.backlog.as_mut().is_some_and(|backlog| std::mem::take(&mut backlog.behind))
    }

    /// The event that was queued last.
    pub(super) fn last_event_mut(&mut self) -> Option<&mut Event> {
        self.waiting.last_mut()
    }

    /// Drops every event. Only where [`holds_only_events`](Self::holds_only_events).
    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

/// Handing out and settling.
impl Outbox {
    /// Returns true if every event was taken.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn take_event(&mut self) -> Option<Event> {
        self.waiting.pop()
    }

    /// The request that an [`Event::InfoRequest`] stands for.
    pub(crate) fn take_info(&mut self) -> InfoRequest {
        let backlog = self.backlog.as_mut().expect("a request event has a request");
        backlog.infos.pop_front().expect("a request event has a request")
    }

    /// The request that an [`Event::ForceSave`] stands for.
    pub(crate) fn take_force_save(&mut self) -> ForceSaveRequest {
        let backlog = self.backlog.as_mut().expect("a request event has a request");
        backlog.force_saves.pop_front().expect("a request event has a request")
    }

    /// A worker takes a new callback.
    pub(super) fn hand_out(&mut self, outstanding: Box<Outstanding>) {
        self.outstanding = Some(outstanding);
    }

    /// Settles the outstanding callback.
    pub(super) fn settle(&mut self) -> Option<Box<Outstanding>> {
        let outstanding = self.outstanding.take();
        if let Some(backlog) = &self.backlog
            && backlog.infos.is_empty()
            && backlog.force_saves.is_empty()
            && !backlog.behind
        {
            self.backlog = None;
        }
        outstanding
    }

    /// Takes everything that waits.
    pub(super) fn take_waiting(&mut self) -> Superseded {
        Superseded { events: std::mem::take(&mut self.waiting), backlog: self.backlog.take() }
    }
}

/// What a save or a closing went before. To be freed with no lock held, since it can be large.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    #[expect(dead_code, reason = "kept to be freed with no lock held")]
    events: Waiting,
    backlog: Option<Box<Backlog>>,
}

impl Superseded {
    /// The force saves among it.
    pub(super) fn force_saves(&self) -> impl Iterator<Item = &ForceSaveRequest> {
        self.backlog.iter().flat_map(|backlog| &backlog.force_saves)
    }
}
