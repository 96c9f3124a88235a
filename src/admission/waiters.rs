//! Who waits for a seat of edit access, and for which.
//!
//! There is a line at each limit that stops anybody: the engine's, one for each document, one for each user, and one for each
//! document that is being saved. A waiter stands in the line of the limit that stops it, by the ticket that it drew when it
//! first asked. Those who are lost are passed over, and keep their ticket.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::access::Reason;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::limits::Waiting;
use crate::time::Moment;
use crate::work::{self, Item};

/// Orders waiters by when they first asked.
pub(crate) type Ticket = u64;

/// The ticket of whoever does not wait: all others come first.
pub(crate) const NEWCOMER: Ticket = Ticket::MAX;

/// So many may wait at one time.
pub(crate) const WAITERS_MAX: usize = 65_536;
/// No ticket is higher.
const TICKET_MAX: Ticket = Ticket::MAX / 2;

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Queue {
    /// A seat of the engine.
    Engine,
    /// A seat of the document.
    Document(DocumentKey),
    /// A seat of the user.
    User(UserId),
    /// The end of a save.
    Saving(DocumentKey),
    /// That the user becomes a named user. Holds no newcomer back, and has no position.
    NamedUsers,
}

impl Queue {
    /// The line of somebody who is refused for this reason. `None` if there is none.
    pub(crate) fn of(reason: Reason, key: &DocumentKey, user: &UserId) -> Option<Self> {
        match reason {
            Reason::ConnectionLimit => Some(Queue::Engine),
            Reason::DocumentLimit => Some(Queue::Document(key.clone())),
            Reason::UserLimit => Some(Queue::User(user.clone())),
            Reason::Saving => Some(Queue::Saving(key.clone())),
            Reason::UserQuota => Some(Queue::NamedUsers),
            _ => None,
        }
    }

    fn kind(&self) -> usize {
        match self {
            Queue::Engine => 0,
            Queue::Document(_) => 1,
            Queue::User(_) => 2,
            Queue::Saving(_) => 3,
            Queue::NamedUsers => 4,
        }
    }

    /// Why somebody stands in it.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Queue::Engine => Reason::ConnectionLimit,
            Queue::Document(_) => Reason::DocumentLimit,
            Queue::User(_) => Reason::UserLimit,
            Queue::Saving(_) => Reason::Saving,
            Queue::NamedUsers => Reason::UserQuota,
        }
    }
}

/// One who waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) queue: Queue,
    pub(crate) since: Moment,
    pub(crate) lost: bool,
}

/// The waiters at one limit.
#[derive(Debug, Default)]
struct Line {
    /// All tickets, in order. At most [`WAITERS_MAX`] numbers are moved.
    tickets: VecDeque<Ticket>,
    /// Those whose turn may come.
    live: BTreeMap<Ticket, ConnectionId>,
    /// Whether there may be room: with the ticket under which it stands in `due`.
    due: Option<Ticket>,
}

/// All waiters of an engine.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next_ticket: Ticket,
    /// A tree, since a hash table moves all of them as it grows, while a shard lock is held.
    by_connection: BTreeMap<ConnectionId, Waiter>,
    lines: BTreeMap<Queue, Line>,
    /// The lines at which there may be room, by the first ticket.
    due: BTreeMap<Ticket, Queue>,
    /// How many wait, by the kind of limit.
    counts: [u32; 5],
    /// Seats of the engine that were given back since somebody waits for one, and are not passed on yet.
    pub(super) kept_seats: u32,
}

/// Questions.
impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.by_connection.len()
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Waiter> {
        work::visit(Item::Waiter, id.to_bits());
        self.by_connection.get(&id)
    }

    /// The lowest ticket in a line of those whose turn may come. [`NEWCOMER`] if there is none.
    pub(super) fn first(&self, queue: &Queue) -> Ticket {
        let first = self.lines.get(queue).and_then(|line| line.live.first_key_value());
        first.map_or(NEWCOMER, |(ticket, _)| *ticket)
    }

    /// How many stand in a line whose turn may come.
    pub(super) fn live_in(&self, queue: &Queue) -> usize {
        self.lines.get(queue).map_or(0, |line| line.live.len())
    }

    /// The first of them.
    pub(super) fn first_in(&self, queue: &Queue) -> Option<(ConnectionId, Waiter)> {
        let (_, id) = self.lines.get(queue)?.live.first_key_value()?;
        Some((*id, self.get(*id)?.clone()))
    }

    /// The documents for a seat of which somebody waits, or those `after` one.
    pub(super) fn documents(&self, after: Option<&DocumentKey>) -> impl Iterator<Item = DocumentKey> {
        // Their lines are in one piece, after the line of the engine.
        let after = after.map_or(Queue::Engine, |key| Queue::Document(key.clone()));
        let lines = self.lines.range((Bound::Excluded(after), Bound::Unbounded));
        work::each(Item::Line, lines).map_while(|(queue, _)| match queue {
            Queue::Document(key) => Some(key.clone()),
            _ => None,
        })
    }

    /// How many stand in a line.
    pub(super) fn len_of(&self, queue: &Queue) -> usize {
        self.lines.get(queue).map_or(0, |line| line.tickets.len())
    }

    pub(super) fn waiting(&self) -> Waiting {
        let [edit, document, user, saving, _] = self.counts;
        Waiting { edit, document, user, saving }
    }

    /// The place of a waiter in its line, from 1 on.
    pub(super) fn position(&self, id: ConnectionId) -> Option<u32> {
        let Waiter { ticket, queue, .. } = self.get(id)?;
        if *queue == Queue::NamedUsers {
            return None;
        }
        let before = self.lines.get(queue)?.tickets.binary_search(ticket).ok()?;
        u32::try_from(before + 1).ok()
    }

    /// Returns true if there may be room for somebody.
    pub(super) fn is_any_due(&self) -> bool {
        !self.due.is_empty()
    }
}

/// Changes.
impl Waiters {
    /// Somebody waits from now on, by a new ticket. Errors if there are as many as may be.
    pub(super) fn enter(&mut self, id: ConnectionId, queue: Queue, now: Moment) -> Result<(), ()> {
        if self.by_connection.len() >= WAITERS_MAX {
            return Err(());
        }
        let ticket = self.next_ticket;
        self.put(id, Waiter { ticket, queue, since: now, lost: false });
        Ok(())
    }

    /// Somebody waits who did so before, by its own ticket. Errors if there are as many as may be, or if the ticket is
    /// another's.
    pub(super) fn insert(&mut self, id: ConnectionId, waiter: Waiter) -> Result<(), ()> {
        let taken = |line: &Line| line.tickets.binary_search(&waiter.ticket).is_ok();
        if self.by_connection.len() >= WAITERS_MAX
            || waiter.ticket > TICKET_MAX
            || self.lines.get(&waiter.queue).is_some_and(taken)
        {
            return Err(());
        }
        self.put(id, waiter);
        Ok(())
    }

    fn put(&mut self, id: ConnectionId, waiter: Waiter) {
        self.next_ticket = self.next_ticket.max(waiter.ticket + 1);
        self.counts[waiter.queue.kind()] += 1;
        let line = self.lines.entry(waiter.queue.clone()).or_default();
        let at = line.tickets.partition_point(|other| *other < waiter.ticket);
        line.tickets.insert(at, waiter.ticket);
        if !waiter.lost {
            line.live.insert(waiter.ticket, id);
        }
        let queue = waiter.queue.clone();
        self.by_connection.insert(id, waiter);
        self.update(&queue);
    }

    /// Somebody waits no longer.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Waiter> {
        work::visit(Item::Waiter, id.to_bits());
        let waiter = self.by_connection.remove(&id)?;
        self.counts[waiter.queue.kind()] -= 1;
        if let Some(line) = self.lines.get_mut(&waiter.queue) {
            line.live.remove(&waiter.ticket);
            if let Ok(at) = line.tickets.binary_search(&waiter.ticket) {
                line.tickets.remove(at);
            }
        }
        self.update(&waiter.queue);
        Some(waiter)
    }

    /// Another limit stops a waiter.
    pub(super) fn move_to(&mut self, id: ConnectionId, queue: Queue) {
        if let Some(waiter) = self.remove(id) {
            self.put(id, Waiter { queue, ..waiter });
        }
    }

    /// A waiter goes on under another id, and its transport is there.
    pub(super) fn resume(&mut self, [old, new]: [ConnectionId; 2]) {
        if let Some(waiter) = self.remove(old) {
            self.put(new, Waiter { lost: false, ..waiter });
        }
    }

    /// The transport of a waiter broke.
    pub(super) fn lose(&mut self, id: ConnectionId) {
        if let Some(waiter) = self.remove(id) {
            self.put(id, Waiter { lost: true, ..waiter });
        }
    }

    /// There may be room at a limit.
    pub(super) fn mark_due(&mut self, queue: &Queue) {
        self.mark_due_after(queue, None);
    }

    /// There may be room at a limit for those with a higher ticket.
    pub(super) fn mark_due_after(&mut self, queue: &Queue, ticket: Option<Ticket>) {
        let after = ticket.map_or(Bound::Unbounded, Bound::Excluded);
        if let Some(line) = self.lines.get_mut(queue)
            && line.due.is_none()
            && let Some((first, _)) = line.live.range((after, Bound::Unbounded)).next()
        {
            line.due = Some(*first);
            self.due.insert(*first, queue.clone());
        }
    }

    /// There may be room at the limits of this kind, or at all: at most `most` of them, those `after` one. Returns the last.
    pub(super) fn mark_some_due(
        &mut self,
        after: Option<&Queue>,
        kind: Option<Reason>,
        most: usize,
    ) -> Option<Queue> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.lines.range::<Queue, _>((from, Bound::Unbounded)).take(most);
        let queues: Vec<Queue> = work::each(Item::Line, some).map(|(queue, _)| queue.clone()).collect();
        for queue in queues.iter().filter(|queue| kind.is_none_or(|kind| kind == queue.reason())) {
            self.mark_due(queue);
        }
        queues.into_iter().last()
    }

    /// The waiter who is next of those for whom there may be room. Its line is marked no longer.
    pub(super) fn next(&mut self) -> Option<(ConnectionId, Waiter)> {
        let (ticket, queue) = self.due.pop_first()?;
        let line = self.lines.get_mut(&queue)?;
        line.due = None;
        let id = *line.live.get(&ticket)?;
        Some((id, self.get(id)?.clone()))
    }

    /// A line has changed.
    fn update(&mut self, queue: &Queue) {
        let Some(line) = self.lines.get_mut(queue) else { return };
        let first = line.live.first_key_value().map(|(ticket, _)| *ticket);
        if let Some(before) = line.due
            && line.due != first
        {
            self.due.remove(&before);
            line.due = first;
            if let Some(first) = first {
                self.due.insert(first, queue.clone());
            }
        }
        if line.tickets.is_empty() {
            self.lines.remove(queue);
        }
    }

    /// Checks that the lines and the waiters agree.
    pub(super) fn validate(&self) -> Result<(), String> {
        for (id, waiter) in &self.by_connection {
            let line = self.lines.get(&waiter.queue).ok_or("a waiter has no line")?;
            let in_order = line.tickets.binary_search(&waiter.ticket).is_ok()
                && (line.live.get(&waiter.ticket) == Some(id)) != waiter.lost;
            if !in_order {
                return Err(format!("waiter {id:?} is not in order: {waiter:?}"));
            }
        }
        let listed: usize = self.lines.values().map(|line| line.tickets.len()).sum();
        let marked = self.lines.iter().filter_map(|(queue, line)| Some((line.due?, queue)));
        let marked: BTreeMap<Ticket, &Queue> = marked.collect();
        let counted = self.counts.iter().sum::<u32>() as usize;
        if [listed, counted] == [self.by_connection.len(); 2]
            && marked.into_iter().eq(self.due.iter().map(|(at, one)| (*at, one)))
        {
            Ok(())
        } else {
            Err(format!("{} waiters, {listed} listed", self.by_connection.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ConnectionId {
        ConnectionId::new(number, 1)
    }

    fn key() -> DocumentKey {
        DocumentKey::new("report").unwrap()
    }

    #[test]
    fn p12_the_first_ticket_of_all_lines_with_room_is_next() {
        let mut waiters = Waiters::default();
        let queues = [Queue::Engine, Queue::Document(key()), Queue::Engine, Queue::Saving(key())];
        for (number, queue) in (0..).zip(queues) {
            waiters.enter(id(number), queue, Moment::default()).unwrap();
        }
        assert_eq!((waiters.position(id(2)), waiters.next().map(|next| next.0)), (Some(2), None));
        waiters.mark_due(&Queue::Document(key()));
        waiters.mark_due(&Queue::Engine);
        let next = |waiters: &mut Waiters| waiters.next().map(|next| next.0);
        assert_eq!(next(&mut waiters), Some(id(0)));
        assert_eq!([next(&mut waiters), next(&mut waiters)], [Some(id(1)), None]);
        waiters.validate().unwrap();
    }

    #[test]
    fn a_lost_waiter_is_passed_over_and_keeps_its_ticket() {
        let mut waiters = Waiters::default();
        (0..3).for_each(|number| waiters.enter(id(number), Queue::Engine, Moment::default()).unwrap());
        waiters.mark_due(&Queue::Engine);
        waiters.lose(id(0));
        waiters.validate().unwrap();
        assert_eq!(waiters.next().map(|next| next.0), Some(id(1)));
        waiters.resume([id(0), id(9)]);
        assert_eq!((waiters.position(id(9)), waiters.len_of(&Queue::Engine)), (Some(1), 3));
        waiters.mark_due(&Queue::Engine);
        assert_eq!(waiters.next().map(|next| next.0), Some(id(9)));
        (1..3).chain([9]).for_each(|number| drop(waiters.remove(id(number))));
        waiters.validate().unwrap();
        assert_eq!((waiters.len(), waiters.lines.len()), (0, 0));
    }

    #[test]
    fn p6_as_many_wait_as_may_and_a_ticket_from_outside_leaves_room_for_more() {
        let waiter = |ticket| Waiter { ticket, queue: Queue::Engine, since: Moment::default(), lost: true };
        let mut waiters = Waiters::default();
        assert_eq!(waiters.insert(id(0), waiter(TICKET_MAX + 1)), Err(()));
        assert_eq!(waiters.insert(id(0), waiter(TICKET_MAX)), Ok(()));
        assert_eq!(waiters.insert(id(1), waiter(TICKET_MAX)), Err(()), "it is another's");
        for number in 1..WAITERS_MAX {
            waiters.insert(id(u32::try_from(number).unwrap()), waiter(number as Ticket)).unwrap();
        }
        let one_more = id(u32::MAX);
        assert_eq!(waiters.insert(one_more, waiter(0)), Err(()));
        assert_eq!(waiters.enter(one_more, Queue::Engine, Moment::default()), Err(()));
        waiters.remove(id(0));
        assert_eq!(waiters.insert(one_more, waiter(0)), Ok(()));
    }
}
