//! How long the connections of a shard stay: leases of those that are lost, and the ends of those that are idle or old.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::ops::Bound;
use std::time::Duration;

use super::looks::Looks;
use super::stay::{RestoredStay, Stay, StayDue, StayRules, Wanted};
use crate::access::Access;
use crate::hash::Hasher;
use crate::ids::ConnectionId;
use crate::time::Moment;
use crate::token::{ResumeToken, Secret};
use crate::work::{self, Item};

/// The stays of a shard's connections. Empty where everything is off.
#[derive(Debug)]
pub(super) struct Stays {
    pub(super) rules: StayRules,
    /// By slot of the connection.
    slots: Vec<Option<Box<Stay>>>,
    /// The present id of each connection that can be resumed, by the epoch and the id that it had when it was opened.
    by_name: HashMap<(u32, ConnectionId), ConnectionId, foldhash::fast::RandomState>,
    /// How often the engine was restored.
    epoch: u32,
    /// Whether it was.
    is_restored: bool,
    pub(super) looks: Looks,
    /// Those whose seats can go to somebody who waits, the longest idle first.
    pub(super) idle_editors: BTreeSet<IdleEditor>,
    random: Random,
}

/// Since when an editor is idle, and the slot of its connection.
pub(super) type IdleEditor = (Moment, u32);

/// How long restored connections keep their seats, if no grace is set.
const GRACE_OF_RESTORED: Duration = Duration::from_secs(60);

impl Stays {
    pub(super) fn new(rules: StayRules, is_manual: bool) -> Self {
        Stays {
            rules,
            slots: Vec::new(),
            by_name: HashMap::default(),
            epoch: 0,
            is_restored: false,
            looks: Looks::default(),
            idle_editors: BTreeSet::new(),
            random: Random { is_manual, bytes: Vec::new() },
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.rules.is_on() || self.is_restored
    }

    /// The stay of a connection, if any is kept.
    pub(super) fn get(&self, slot: u32, id: ConnectionId) -> Option<&Stay> {
        work::visit(Item::Stay, slot);
        self.slots.get(slot as usize)?.as_deref().filter(|stay| stay.id == id)
    }

    pub(super) fn get_mut(&mut self, slot: u32, id: ConnectionId) -> Option<&mut Stay> {
        work::visit(Item::Stay, slot);
        self.slots.get_mut(slot as usize)?.as_deref_mut().filter(|stay| stay.id == id)
    }

    /// The connection in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<&Stay> {
        work::visit(Item::Stay, slot);
        self.slots.get(slot as usize)?.as_deref()
    }

    /// A connection was opened. Returns its token, if connections can be resumed.
    pub(super) fn open(
        &mut self,
        (slot, id): (u32, ConnectionId),
        hasher: &Hasher,
        now: Moment,
    ) -> Option<ResumeToken> {
        let secret = self.rules.grace.and_then(|_| self.random.secret(id, hasher));
        let token = secret.map(|secret| ResumeToken { epoch: self.epoch, name: id, secret });
        if token.is_some() {
            if self.by_name.len() == self.by_name.capacity() {
                work::item(Item::IndexEntry, self.by_name.len());
            }
            self.by_name.insert((self.epoch, id), id);
        }
        self.put(slot, Stay::new(id, token, now));
        token
    }

    fn put(&mut self, slot: u32, stay: Stay) {
        let at = slot as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(Box::new(stay));
    }

    /// A connection ended.
    pub(super) fn close(&mut self, slot: u32, id: ConnectionId) {
        if self.get(slot, id).is_some()
            && let Some(stay) = self.slots[slot as usize].take()
        {
            self.idle_editors.remove(&(stay.active, slot));
            if let Some(token) = stay.token {
                self.by_name.remove(&(token.epoch, token.name));
            }
        }
    }

    /// The transport of a connection broke. Returns for how long it keeps its seat.
    pub(super) fn lose(&mut self, slot: u32, id: ConnectionId, now: Moment) -> Option<Duration> {
        let grace = self.rules.grace?;
        let stay = self.get_mut(slot, id).filter(|stay| stay.token.is_some())?;
        stay.lost_until = now.after(grace);
        Some(grace)
    }

    /// A connection is active.
    pub(super) fn touch(&mut self, slot: u32, id: ConnectionId, now: Moment) {
        let Some(stay) = self.get_mut(slot, id) else { return };
        let before = std::mem::replace(&mut stay.active, now);
        (stay.warned_of_idle, stay.wanted) = (false, Wanted::No);
        self.idle_editors.remove(&(before, slot));
    }

    /// The present id of the connection that a token names, and the highest attempt to resume it. `None` if there is none,
    /// or the token is not its own.
    pub(super) fn find(
        &self,
        token: &ResumeToken,
        slot_of: impl Fn(ConnectionId) -> u32,
    ) -> Option<(&Stay, u64)> {
        let id = *self.by_name.get(&(token.epoch, token.name))?;
        let stay = self.get(slot_of(id), id)?;
        stay.token.is_some_and(|own| own == *token).then_some((stay, stay.attempt))
    }

    /// A connection goes on under another id, with the same token.
    pub(super) fn resume(
        &mut self,
        (old_slot, old): (u32, ConnectionId),
        (slot, id): (u32, ConnectionId),
        attempt: u64,
    ) {
        if self.get(old_slot, old).is_none() {
            return;
        }
        let Some(stay) = self.slots[old_slot as usize].take() else { return };
        self.idle_editors.remove(&(stay.active, old_slot));
        if let Some(token) = stay.token {
            self.by_name.insert((token.epoch, token.name), id);
        }
        self.put(slot, Stay { id, attempt, lost_until: Moment::NEVER, wanted: Wanted::No, ..*stay });
    }

    /// The engine was restored so often.
    pub(super) fn set_epoch(&mut self, epoch: u32) {
        (self.epoch, self.is_restored) = (epoch, true);
    }

    /// A connection of another process, which is lost from now on.
    pub(super) fn restore(&mut self, (slot, id): (u32, ConnectionId), stay: &RestoredStay, now: Moment) {
        let RestoredStay { token, attempt, open_for } = *stay;
        self.by_name.insert((token.epoch, token.name), id);
        let lost_until = now.after(self.rules.grace.unwrap_or(GRACE_OF_RESTORED));
        let opened = now.before(open_for);
        self.put(slot, Stay { attempt, opened, lost_until, ..Stay::new(id, Some(token), now) });
    }

    /// Sees to it that somebody looks at a connection in time, which has this access. Returns the time if it is the earliest
    /// of all.
    pub(super) fn look_at(&mut self, slot: u32, id: ConnectionId, access: Access) -> Option<Moment> {
        let next = self.get(slot, id)?.next_look(&self.rules, access);
        if next == Moment::NEVER { None } else { self.looks.look_by(slot, next) }
    }

    /// What is due by now for a connection, which has this access.
    pub(super) fn due(
        &mut self,
        (slot, id): (u32, ConnectionId),
        access: Access,
        now: Moment,
    ) -> Option<StayDue> {
        let rules = self.rules;
        let stay = self.get_mut(slot, id)?;
        let due = stay.due(&rules, access, now);
        if due == Some(StayDue::Wanted) {
            let active = stay.active;
            self.idle_editors.insert((active, slot));
        }
        due
    }

    /// Those whose seats can go to somebody who waits, with the time since which each is idle, the longest idle first.
    /// At most `most` of them: the first ones, or those `after` one.
    pub(super) fn idle_editors(
        &self,
        after: Option<IdleEditor>,
        most: usize,
    ) -> impl Iterator<Item = IdleEditor> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let editors = self.idle_editors.range((from, Bound::Unbounded)).take(most);
        work::each(Item::IdleEditor, editors).copied()
    }

    /// How far it is that somebody who waits has the seat of a connection. Returns in how long that is if it is to be warned
    /// of it now.
    pub(super) fn want(&mut self, slot: u32, id: ConnectionId, now: Moment) -> (Wanted, Option<Duration>) {
        let rules = self.rules;
        let Some(stay) = self.get_mut(slot, id).filter(|stay| !stay.is_lost()) else {
            return (Wanted::No, None);
        };
        let warning = (stay.wanted == Wanted::Idle).then(|| stay.warn_of_wanted(&rules, now));
        (stay.wanted, warning)
    }

    /// Nobody has its seat, although its time is over: it is warned anew before anybody does.
    pub(super) fn end_want(&mut self, slot: u32, id: ConnectionId) {
        if let Some(stay) = self.get_mut(slot, id).filter(|stay| stay.wanted == Wanted::Over) {
            stay.wanted = Wanted::Idle;
        }
    }

    /// It edits no longer.
    pub(super) fn forget_idle_editor(&mut self, slot: u32, id: ConnectionId) {
        if let Some(stay) = self.get_mut(slot, id) {
            stay.wanted = Wanted::No;
            let active = stay.active;
            self.idle_editors.remove(&(active, slot));
        }
    }

    /// What falls due at one moment goes by this: leases, then idle time, then age and warnings.
    /// The connection has this access.
    pub(super) fn rank(&self, stay: &Stay, access: Access, now: Moment) -> u8 {
        let idle = self.rules.idle.filter(|_| self.rules.idle_applies(access));
        let is_idle = |time| stay.active.after(time) <= now;
        if stay.is_lost() { 0 } else { 2 - u8::from(idle.is_some_and(is_idle)) }
    }

    /// How many there are, how many can be resumed, and how many are listed as idle editors who are none.
    pub(super) fn totals(&self) -> (usize, usize, usize) {
        let idle = self.slots.iter().flatten().filter(|stay| stay.wanted != Wanted::No).count();
        (self.slots.iter().flatten().count(), self.by_name.len(), self.idle_editors.len().abs_diff(idle))
    }

    /// Checks that each connection that can be resumed is found by its name, that somebody looks at each in time, and that those
    /// whose seats can go to somebody who waits edit and are listed.
    pub(super) fn validate(&self, slot: u32, id: ConnectionId, access: Access) -> Result<(), String> {
        let Some(stay) = self.get(slot, id) else {
            return if self.is_on() { Err(format!("connection {id:?} has no stay")) } else { Ok(()) };
        };
        let named = stay.token.is_none_or(|token| self.by_name.get(&(token.epoch, token.name)) == Some(&id));
        let next = stay.next_look(&self.rules, access);
        let listed = access == Access::Edit && self.idle_editors.contains(&(stay.active, slot));
        let named = named && (stay.wanted == Wanted::No || listed);
        if named && self.looks.agrees(slot, next) { Ok(()) } else { Err(format!("{stay:?} is not in order")) }
    }
}

/// Random bits of the operating system.
#[derive(Debug)]
struct Random {
    /// With a manual clock runs are reproducible, and so is this.
    is_manual: bool,
    /// Some that are not used yet, so that an open seldom asks the system.
    bytes: Vec<[u8; 16]>,
}

/// So many secrets are asked for at one time.
const SECRETS: usize = 32;

impl Random {
    /// `None` if the system has none.
    fn secret(&mut self, id: ConnectionId, hasher: &Hasher) -> Option<Secret> {
        if self.is_manual {
            let halves = [1_u8, 2].map(|half| hasher.hash_one((id, half)));
            return Some(Secret((u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes()));
        }
        if self.bytes.is_empty() {
            let mut all = [[0; 16]; SECRETS];
            getrandom::fill(all.as_flattened_mut()).ok()?;
            self.bytes.extend(all);
        }
        self.bytes.pop().map(Secret)
    }
}
