//! What the storage has not been told yet, and the one callback that it has in hand.
//!
//! No callback is built before it is taken: an action waits as a few bytes, and the list of users is read off the
//! roster when its turn comes. Every stay counts its connections twice: as they are, and as they were told (`told`).

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::changes::Reach;
use super::queue::Queue;
use super::roster::{Roster, Stay, StayId};
use super::telling;
use crate::access::Access;
use crate::callback::{Callback, ForceSaveType, Status};
use crate::ids::{DocumentKey, UserId};
use crate::time::Timestamp;

/// What waits for the storage, and what is outstanding.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "most documents have none of these: they are to take one word")]
pub(crate) struct Outbox {
    waiting: Queue<Event>,
    /// How many requests are among what waits.
    asked: usize,
    /// What there is to say of those that are more than an `info`, in the same order.
    requests: Option<Box<VecDeque<Request>>>,
    /// More actions came than may wait. What came since is not in `waiting`; here is by how many connections each stay has
    /// more, or fewer, than it will be told to have when all that waits is told. Pairs have cancelled out.
    behind: Option<Box<BTreeMap<StayId, i64>>>,
    in_flight: Option<InFlight>,
}

/// What happened. Two words for a register each: what is put together in memory and copied at once waits for the stores.
#[derive(Clone, Copy, Debug)]
enum Event {
    Came(StayId),
    Left(StayId),
    /// The last editor left, and nothing was changed.
    Closed(StayId),
    /// An `info` without userdata was asked for.
    Info(Found),
    /// The next of the requests was made.
    Asked,
}

#[derive(Debug)]
enum Request {
    Info(InfoAsked),
    ForceSave(ForceSaveAsked),
}

/// An [`InfoAnswer`] in an event's second word.
type Found = u32;

/// An `info` that the storage is to hear of.
#[derive(Debug)]
pub(crate) struct InfoAsked {
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) answer: InfoAnswer,
}

/// What an `info` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InfoAnswer {
    /// Somebody edits.
    Editing,
    /// Nobody edits; something is unsaved.
    Unsaved,
    /// Nobody edits, nothing was changed.
    Closed,
}

/// All of them, in the order of their declaration.
const ANSWERS: [InfoAnswer; 3] = [InfoAnswer::Editing, InfoAnswer::Unsaved, InfoAnswer::Closed];

/// A force save that the storage is to make.
#[derive(Debug)]
pub(crate) struct ForceSaveAsked {
    pub(crate) kind: ForceSaveType,
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) asked_by: Option<UserId>,
    pub(crate) reach: Reach,
}

/// The callback that was handed out last and is not settled.
#[derive(Debug)]
struct InFlight {
    kind: Kind,
    failures: usize,
    state: State,
}

/// What a callback is to the session when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Action,
    Info,
    ForceSave { reach: u64 },
    ForceSaveFailed,
    Save,
    SaveFailed,
}

impl Kind {
    /// Whether it answers a request.
    fn is_asked(self) -> bool {
        matches!(self, Kind::Info | Kind::ForceSave { .. } | Kind::ForceSaveFailed)
    }
}

#[derive(Debug)]
enum State {
    /// A worker has it.
    Out,
    /// It failed, and is handed out again at this moment.
    Waits(Timestamp, Box<Callback>),
    /// It is to be handed out.
    Ready(Box<Callback>),
}

impl Outbox {
    /// Whether the storage is to hear of anything that is not outstanding. May be wrong once after many pairs have
    /// cancelled out; [`take`](Self::take) then finds nothing.
    #[inline]
    pub(crate) fn has_next(&self) -> bool {
        match &self.in_flight {
            Some(in_flight) => matches!(in_flight.state, State::Ready(_)),
            None => !self.waiting.is_empty() || self.behind.is_some(),
        }
    }

    /// Whether nothing waits and nothing is outstanding.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_none() && self.waiting.is_empty() && self.behind.is_none()
    }

    /// Whether it takes no memory beside itself.
    pub(crate) fn is_small(&self) -> bool {
        self.waiting.is_small() && self.requests.is_none()
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Requests that wait or are outstanding.
    pub(crate) fn asked(&self) -> usize {
        let asked_in_flight = self.in_flight.as_ref().is_some_and(|in_flight| in_flight.kind.is_asked());
        self.asked + usize::from(asked_in_flight)
    }

    /// When a failed callback is to be handed out again.
    #[inline]
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        match self.in_flight.as_ref()?.state {
            State::Waits(until, _) => Some(until),
            State::Out | State::Ready(_) => None,
        }
    }

    pub(crate) fn retry(&mut self) {
        if let Some(InFlight { state, .. }) = &mut self.in_flight {
            *state = match std::mem::replace(state, State::Out) {
                State::Waits(_, callback) => State::Ready(callback),
                other => other,
            };
        }
    }

    /// An edit connection came.
    #[inline]
    pub(crate) fn came(&mut self, stay: StayId, most: usize) {
        if !self.push_action(Event::Came(stay), most) {
            self.fall_behind(stay, 1);
        }
    }

    /// An edit connection left. Whether that waits to be told by itself.
    #[inline]
    pub(crate) fn left(&mut self, roster: &mut Roster, stay: StayId, most: usize) -> bool {
        self.gone(roster, stay, Event::Left(stay), most)
    }

    /// The last edit connection left, and nothing was changed.
    pub(crate) fn closed(&mut self, roster: &mut Roster, stay: StayId, most: usize) {
        self.gone(roster, stay, Event::Closed(stay), most);
    }

    #[inline(always)]
    fn gone(&mut self, roster: &mut Roster, stay: StayId, event: Event, most: usize) -> bool {
        let queued = self.push_action(event, most);
        if !queued && self.fall_behind(stay, -1) {
            roster.release(stay);
        }
        queued
    }

    /// Queues an action unless too many wait.
    #[inline]
    fn push_action(&mut self, event: Event, most: usize) -> bool {
        let queues = self.behind.is_none() && self.waiting.len() - self.asked < most;
        if queues {
            self.waiting.push(event);
        }
        queues
    }

    /// Counts a connection of a stay that came or left and is not queued. Whether all of its are cancelled out.
    #[cold]
    fn fall_behind(&mut self, stay: StayId, by: i64) -> bool {
        let behind = self.behind.get_or_insert_default();
        let difference = behind.entry(stay).or_default();
        *difference += by;
        let even = *difference == 0;
        if even {
            behind.remove(&stay);
        }
        even
    }

    pub(crate) fn ask_info(&mut self, roster: &mut Roster, withheld: Option<StayId>, asked: InfoAsked) {
        self.catch_up(roster, withheld);
        if asked.userdata.is_none() {
            self.asked += 1;
            self.waiting.push(Event::Info(asked.answer as Found));
        } else {
            self.ask(Request::Info(asked));
        }
    }

    pub(crate) fn ask_force_save(
        &mut self,
        roster: &mut Roster,
        withheld: Option<StayId>,
        asked: ForceSaveAsked,
    ) {
        self.catch_up(roster, withheld);
        self.ask(Request::ForceSave(asked));
    }

    fn ask(&mut self, request: Request) {
        self.asked += 1;
        self.requests.get_or_insert_default().push_back(request);
        self.waiting.push(Event::Asked);
    }

    /// Queues what is left of the actions that were not queued.
    #[inline]
    fn catch_up(&mut self, roster: &Roster, withheld: Option<StayId>) {
        if let Some(behind) = self.behind.take() {
            self.queue_what_is_left(&behind, roster, withheld);
        }
    }

    /// Comings, goings, and last the comings of users who go first. So nobody is listed twice, and nobody edits only where
    /// that is true. A last going after which nobody edits, with nothing to save, closes the document. O(stays).
    #[cold]
    fn queue_what_is_left(
        &mut self,
        behind: &BTreeMap<StayId, i64>,
        roster: &Roster,
        withheld: Option<StayId>,
    ) {
        let stays = roster.stays.iter().filter_map(|(id, stay)| Some((id, stay, *behind.get(&id)?)));
        let all: Vec<(StayId, &Stay, i64)> = stays.collect();
        let has_ended = |id: StayId, stay: &Stay| stay.connections == 0 && withheld != Some(id);
        let ended = all.iter().filter(|(id, stay, by)| *by < 0 && has_ended(*id, stay));
        let going: HashSet<&UserId> = ended.map(|(_, stay, _)| stay.user.id()).collect();
        let goes = |stay: &Stay| going.contains(stay.user.id());
        for (id, _, by) in all.iter().filter(|(_, stay, _)| !goes(stay)) {
            self.queue(Event::Came, *id, *by);
        }
        for (id, _, by) in &all {
            self.queue(Event::Left, *id, -by);
        }
        if roster.editing() == 0
            && withheld.is_none()
            && let Some(last) = self.waiting.last_mut()
            && let Event::Left(id) = *last
            && behind.contains_key(&id)
        {
            *last = Event::Closed(id);
        }
        for (id, _, by) in all.iter().filter(|(_, stay, _)| goes(stay)) {
            self.queue(Event::Came, *id, *by);
        }
    }

    /// Queues an event so many times; none if that is less than once.
    fn queue(&mut self, event: fn(StayId) -> Event, stay: StayId, times: i64) {
        for _ in 0..times {
            self.waiting.push(event(stay));
        }
    }

    /// Makes one stay of an ended and a present one of the same user: their going and coming cancel out. Only when all
    /// that was queued is told.
    fn merge_returned(&mut self, roster: &mut Roster, withheld: Option<StayId>) {
        let Some(behind) = &mut self.behind else { return };
        let has_ended = |id: StayId, stay: &Stay| stay.connections == 0 && withheld != Some(id);
        let untold = |id: &StayId| behind.get(id).is_some_and(|difference| *difference < 0);
        let ended = roster.stays.iter().filter(|(id, stay)| has_ended(*id, stay) && untold(id));
        for old in ended.map(|(id, _)| id).collect::<Vec<_>>() {
            let present = roster.stays_of(roster.stay(old).user.id())[Access::Edit as usize];
            if let Some(present) = present {
                let told = std::mem::take(&mut roster.stay_mut(old).told);
                roster.stay_mut(present).told += told;
                behind.remove(&old);
                let difference = behind.entry(present).or_default();
                *difference -= i64::from(told);
                if *difference == 0 {
                    behind.remove(&present);
                }
                roster.release(old);
            }
        }
    }

    /// Whether the storage was told nothing of this document, and no answer waits that it must hear.
    pub(crate) fn untold(&self, roster: &Roster) -> bool {
        self.in_flight.is_none() && self.asked == 0 && roster.stays.iter().all(|(_, stay)| stay.told == 0)
    }

    /// What follows for the roster where all actions that wait are dropped. Only where [`untold`](Self::untold) holds
    /// and nobody edits.
    pub(crate) fn forget_untold(roster: &mut Roster) {
        let ids: Vec<StayId> = roster.stays.ids().collect();
        for id in ids {
            roster.release(id);
        }
    }

    /// The next callback but for the save, marked outstanding: the one that is to be handed out again, or the next that
    /// waits. `saved`: nothing is unsaved now. O(1) and the users that the callback lists.
    pub(crate) fn take(
        &mut self,
        key: &DocumentKey,
        roster: &mut Roster,
        withheld: Option<StayId>,
        saved: bool,
    ) -> Option<Box<Callback>> {
        if let Some(in_flight) = &mut self.in_flight {
            return match std::mem::replace(&mut in_flight.state, State::Out) {
                State::Ready(callback) => Some(callback),
                state => {
                    in_flight.state = state;
                    None
                }
            };
        }
        if self.waiting.is_empty() && self.behind.is_some() {
            self.merge_returned(roster, withheld);
            self.catch_up(roster, withheld);
        }
        let (kind, callback) = match self.waiting.pop()? {
            Event::Came(stay) => (Kind::Action, telling::came(stay, key, roster)),
            Event::Left(stay) => (Kind::Action, telling::left(stay, Status::Editing, key, roster)),
            Event::Closed(stay) => (Kind::Action, telling::left(stay, Status::Closed, key, roster)),
            Event::Info(found) => {
                self.asked -= 1;
                (Kind::Info, telling::info(ANSWERS[found as usize % ANSWERS.len()], None, key, roster, saved))
            }
            Event::Asked => {
                self.asked -= 1;
                match self.next_request()? {
                    Request::Info(InfoAsked { userdata, answer }) => {
                        (Kind::Info, telling::info(answer, userdata, key, roster, saved))
                    }
                    Request::ForceSave(asked) => {
                        (Kind::ForceSave { reach: asked.reach.changes }, telling::force_save(asked, key))
                    }
                }
            }
        };
        Some(self.hand_out(kind, callback))
    }

    fn next_request(&mut self) -> Option<Request> {
        let next = self.requests.as_mut()?.pop_front();
        self.requests.take_if(|requests| requests.is_empty());
        next
    }

    /// Makes `callback` the outstanding one.
    pub(crate) fn hand_out(&mut self, kind: Kind, callback: Box<Callback>) -> Box<Callback> {
        self.in_flight = Some(InFlight { kind, failures: 0, state: State::Out });
        callback
    }

    /// What is with a worker, if anything is.
    pub(crate) fn outstanding(&self) -> Option<(Kind, usize)> {
        let in_flight = self.in_flight.as_ref()?;
        matches!(in_flight.state, State::Out).then_some((in_flight.kind, in_flight.failures))
    }

    /// Takes the outstanding callback back, to be handed out again `at` that moment or at once.
    pub(crate) fn fail(&mut self, callback: Box<Callback>, at: Option<Timestamp>) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.failures += 1;
            in_flight.state = match at {
                Some(at) => State::Waits(at, callback),
                None => State::Ready(callback),
            };
        }
    }

    /// Instead of the outstanding save the message that it failed is to be handed out, at once.
    pub(crate) fn save_failed(&mut self, kind: Kind, callback: Box<Callback>) {
        self.in_flight = Some(InFlight { kind, failures: 0, state: State::Ready(callback) });
    }

    /// Done with the outstanding callback, told or given up.
    pub(crate) fn settle(&mut self) {
        self.in_flight = None;
    }

    /// Recounts everything.
    pub(super) fn validate(&self, roster: &Roster, withheld: Option<StayId>) -> Result<(), String> {
        let mut asked = 0;
        let mut after: BTreeMap<StayId, i64> =
            roster.stays.iter().map(|(id, stay)| (id, i64::from(stay.told))).collect();
        for event in self.waiting.iter() {
            match event {
                Event::Came(id) => *after.entry(*id).or_default() += 1,
                Event::Left(id) | Event::Closed(id) => *after.entry(*id).or_default() -= 1,
                Event::Info(_) | Event::Asked => asked += 1,
            }
        }
        if asked != self.asked {
            return Err(format!("{} asked, counted {asked}", self.asked));
        }
        for (id, told) in after {
            let Some(stay) = roster.stays.get(id) else {
                return Err(format!("an action of stay {id}, which is gone"));
            };
            let edits = if stay.access() == Access::Edit { stay.connections } else { 0 };
            let now = edits + u32::from(withheld == Some(id));
            let behind = self.behind.as_ref().and_then(|behind| behind.get(&id)).copied().unwrap_or(0);
            if told + behind != i64::from(now) {
                return Err(format!("stay {id}: {now} connections, {told} after all, behind by {behind}"));
            }
            let waits = self.waiting.iter().any(|event| event.stay() == Some(id));
            if stay.connections == 0 && stay.told == 0 && now == 0 && behind == 0 && !waits {
                return Err(format!("stay {id} is over and was kept"));
            }
        }
        Ok(())
    }
}

impl Event {
    fn stay(self) -> Option<StayId> {
        match self {
            Event::Came(id) | Event::Left(id) | Event::Closed(id) => Some(id),
            Event::Info(_) | Event::Asked => None,
        }
    }
}
