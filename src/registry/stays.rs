//! How long the connections of a shard stay: leases of those that are lost, and the ends of those that are idle or old.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use super::looks::Looks;
use crate::access::Access;
use crate::config::{Config, IdleThen};
use crate::hash::Hasher;
use crate::ids::ConnectionId;
use crate::notice::DisconnectCause;
use crate::time::Moment;
use crate::token::{ResumeToken, Secret};

/// For how long connections stay. Everything is off unless it is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct StayRules {
    /// How long a lost connection keeps its seat.
    grace: Option<Duration>,
    idle: Option<Duration>,
    idle_then: IdleThen,
    age: Option<Duration>,
    /// So long before the end of its time a connection is warned.
    warning: Duration,
}

impl StayRules {
    pub(super) fn new(config: &Config) -> Self {
        StayRules {
            grace: config.reconnect_grace,
            idle: config.idle,
            idle_then: config.idle_then,
            age: config.age,
            warning: config.expiry_warning,
        }
    }

    /// Returns true if any is set.
    pub(super) fn is_on(&self) -> bool {
        self.grace.is_some() || self.idle.is_some() || self.age.is_some()
    }
}

/// The stays of a shard's connections. Empty where everything is off.
#[derive(Debug)]
pub(super) struct Stays {
    rules: StayRules,
    /// By slot of the connection.
    slots: Vec<Option<Box<Stay>>>,
    /// The present id of each connection that can be resumed, by the epoch and the id that it had when it was opened.
    by_name: HashMap<(u32, ConnectionId), ConnectionId, foldhash::fast::RandomState>,
    /// How often the engine was restored.
    epoch: u32,
    /// Whether it was.
    is_restored: bool,
    pub(super) looks: Looks,
    random: Random,
}

/// How long one connection stays.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) id: ConnectionId,
    /// What its token has, if connections can be resumed.
    token: Option<ResumeToken>,
    /// The highest attempt to resume it.
    attempt: u64,
    opened: Moment,
    active: Moment,
    /// Until when it keeps its seat. `NEVER` while it is not lost.
    lost_until: Moment,
    warned_of_idle: bool,
    warned_of_age: bool,
}

/// What is restored of the stay of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestoredStay {
    pub(super) token: ResumeToken,
    pub(super) attempt: u64,
    pub(super) open_for: Duration,
}

/// How long restored connections keep their seats, if no grace is set.
const GRACE_OF_RESTORED: Duration = Duration::from_secs(60);

/// What falls due for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StayDue {
    /// It ends.
    Ends(DisconnectCause),
    /// It becomes view-only.
    ViewOnly,
    /// It is to be told that its time ends, for this cause, in so long.
    Warning(DisconnectCause, Duration),
}

impl Stay {
    pub(super) fn token(&self) -> Option<ResumeToken> {
        self.token
    }

    /// What a snapshot keeps. `None` if it cannot be resumed.
    pub(super) fn kept(&self, now: Moment) -> Option<RestoredStay> {
        Some(RestoredStay { token: self.token?, attempt: self.attempt, open_for: now.since(self.opened) })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost_until < Moment::NEVER
    }

    /// Until when it keeps its seat. `NEVER` while it is not lost.
    pub(super) fn lost_until(&self) -> Moment {
        self.lost_until
    }

    pub(super) fn active(&self) -> Moment {
        self.active
    }

    /// When to look at it next, if it has this access.
    fn next_look(&self, rules: &StayRules, access: Access) -> Moment {
        if self.is_lost() {
            return self.lost_until;
        }
        let of = |begin: Moment, time: Option<Duration>, warned: bool| match time {
            None => Moment::NEVER,
            Some(time) if warned => begin.after(time),
            Some(time) => begin.after(time.saturating_sub(rules.warning)),
        };
        let idle = rules.idle.filter(|_| rules.idle_applies(access));
        of(self.active, idle, self.warned_of_idle).min(of(self.opened, rules.age, self.warned_of_age))
    }

    /// What is due by now, if it has this access.
    fn due(&mut self, rules: &StayRules, access: Access, now: Moment) -> Option<StayDue> {
        if self.is_lost() {
            return (self.lost_until <= now).then_some(StayDue::Ends(DisconnectCause::Lease));
        }
        let idle = rules.idle.filter(|_| rules.idle_applies(access)).map(|idle| self.active.after(idle));
        let age = rules.age.map(|age| self.opened.after(age));
        if idle.is_some_and(|end| end <= now) {
            return Some(match rules.idle_then {
                IdleThen::View => StayDue::ViewOnly,
                IdleThen::Close => StayDue::Ends(DisconnectCause::Idle),
            });
        }
        if age.is_some_and(|end| end <= now) {
            return Some(StayDue::Ends(DisconnectCause::Age));
        }
        let warning = |end: Option<Moment>, warned: &mut bool, cause| {
            let end = end.filter(|end| !*warned && *end <= now.after(rules.warning))?;
            *warned = true;
            Some(StayDue::Warning(cause, end.since(now)))
        };
        warning(idle, &mut self.warned_of_idle, DisconnectCause::Idle)
            .or_else(|| warning(age, &mut self.warned_of_age, DisconnectCause::Age))
    }
}

impl StayRules {
    /// Idle to view is about those who have more, idle to close about viewers too.
    fn idle_applies(&self, access: Access) -> bool {
        self.idle_then == IdleThen::Close || access > Access::View
    }
}

impl Stays {
    pub(super) fn new(rules: StayRules, is_manual: bool) -> Self {
        Stays {
            rules,
            slots: Vec::new(),
            by_name: HashMap::default(),
            epoch: 0,
            is_restored: false,
            looks: Looks::default(),
            random: Random { is_manual, bytes: Vec::new() },
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.rules.is_on() || self.is_restored
    }

    /// The stay of a connection, if any is kept.
    pub(super) fn get(&self, slot: u32, id: ConnectionId) -> Option<&Stay> {
        self.slots.get(slot as usize)?.as_deref().filter(|stay| stay.id == id)
    }

    fn get_mut(&mut self, slot: u32, id: ConnectionId) -> Option<&mut Stay> {
        self.slots.get_mut(slot as usize)?.as_deref_mut().filter(|stay| stay.id == id)
    }

    /// The connection in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<&Stay> {
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
            self.by_name.insert((self.epoch, id), id);
        }
        let (attempt, lost_until) = (0, Moment::NEVER);
        let [warned_of_idle, warned_of_age] = [false; 2];
        let (opened, active) = (now, now);
        self.put(
            slot,
            Stay { id, token, attempt, opened, active, lost_until, warned_of_idle, warned_of_age },
        );
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
            && let Some(token) = stay.token
        {
            self.by_name.remove(&(token.epoch, token.name));
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
        if let Some(stay) = self.get_mut(slot, id) {
            (stay.active, stay.warned_of_idle) = (now, false);
        }
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
        if let Some(token) = stay.token {
            self.by_name.insert((token.epoch, token.name), id);
        }
        self.put(slot, Stay { id, attempt, lost_until: Moment::NEVER, ..*stay });
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
        let [warned_of_idle, warned_of_age] = [false; 2];
        let (token, active) = (Some(token), now);
        self.put(
            slot,
            Stay { id, token, attempt, opened, active, lost_until, warned_of_idle, warned_of_age },
        );
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
        self.get_mut(slot, id)?.due(&rules, access, now)
    }

    /// What falls due at one moment goes by this: leases, then idle time, then age and warnings.
    pub(super) fn rank(&self, stay: &Stay, now: Moment) -> u8 {
        let idle = |time| stay.active.after(time) <= now;
        if stay.is_lost() { 0 } else { 2 - u8::from(self.rules.idle.is_some_and(idle)) }
    }

    /// How many there are, and how many can be resumed.
    pub(super) fn totals(&self) -> (usize, usize) {
        (self.slots.iter().flatten().count(), self.by_name.len())
    }

    /// Checks that each connection that can be resumed is found by its name, and that somebody looks at each in time.
    pub(super) fn validate(&self, slot: u32, id: ConnectionId, access: Access) -> Result<(), String> {
        let Some(stay) = self.get(slot, id) else {
            return if self.is_on() { Err(format!("connection {id:?} has no stay")) } else { Ok(()) };
        };
        let named = stay.token.is_none_or(|token| self.by_name.get(&(token.epoch, token.name)) == Some(&id));
        let next = stay.next_look(&self.rules, access);
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
