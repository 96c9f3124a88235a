//! How long one connection stays: its lease while it is lost, and its end when it is idle or old.

use std::time::Duration;

use crate::access::Access;
use crate::config::{Config, IdleThen};
use crate::ids::ConnectionId;
use crate::notice::DisconnectCause;
use crate::time::Moment;
use crate::token::ResumeToken;

/// For how long connections stay. Everything is off unless it is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct StayRules {
    /// How long a lost connection keeps its seat.
    pub(super) grace: Option<Duration>,
    pub(super) idle: Option<Duration>,
    idle_then: IdleThen,
    /// How long an editor is idle whose seat can go to somebody who waits.
    pub(super) wanted: Option<Duration>,
    age: Option<Duration>,
    /// So long before the end of its time a connection is warned.
    pub(super) warning: Duration,
}

impl StayRules {
    pub(super) fn new(config: &Config) -> Self {
        StayRules {
            grace: config.reconnect_grace,
            idle: config.idle,
            idle_then: config.idle_then,
            wanted: config.idle_when_wanted,
            age: config.age,
            warning: config.expiry_warning,
        }
    }

    /// Returns true if any is set.
    pub(super) fn is_on(&self) -> bool {
        self.grace.is_some() || self.idle.is_some() || self.wanted.is_some() || self.age.is_some()
    }
}

/// How long one connection stays.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) id: ConnectionId,
    /// What its token has, if connections can be resumed.
    pub(super) token: Option<ResumeToken>,
    /// The highest attempt to resume it.
    pub(super) attempt: u64,
    pub(super) opened: Moment,
    pub(super) active: Moment,
    /// Until when it keeps its seat. `NEVER` while it is not lost.
    pub(super) lost_until: Moment,
    pub(super) warned_of_idle: bool,
    pub(super) warned_of_age: bool,
    pub(super) wanted: Wanted,
}

/// What is restored of the stay of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestoredStay {
    pub(super) token: ResumeToken,
    pub(super) attempt: u64,
    pub(super) open_for: Duration,
}

/// Whether the seat of an editor can go to somebody who waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is not idle for long enough.
    #[default]
    No,
    /// It can be warned.
    Idle,
    /// It was warned, and loses its seat then if it stays idle.
    Warned(Moment),
    /// Its time is over.
    Over,
}

/// What falls due for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StayDue {
    /// It ends.
    Ends(DisconnectCause),
    /// It becomes view-only.
    ViewOnly,
    /// It is to be told that its time ends, for this cause, in so long.
    Warning(DisconnectCause, Duration),
    /// Its seat can go to somebody who waits.
    Wanted,
}

impl Stay {
    /// A connection that was opened now.
    pub(super) fn new(id: ConnectionId, token: Option<ResumeToken>, now: Moment) -> Self {
        Stay {
            id,
            token,
            attempt: 0,
            opened: now,
            active: now,
            lost_until: Moment::NEVER,
            warned_of_idle: false,
            warned_of_age: false,
            wanted: Wanted::No,
        }
    }

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
    pub(super) fn next_look(&self, rules: &StayRules, access: Access) -> Moment {
        if self.is_lost() {
            return self.lost_until;
        }
        let of = |begin: Moment, time: Option<Duration>, warned: bool| match time {
            None => Moment::NEVER,
            Some(time) if warned => begin.after(time),
            Some(time) => begin.after(time.saturating_sub(rules.warning)),
        };
        let idle = rules.idle.filter(|_| rules.idle_applies(access));
        let age = of(self.opened, rules.age, self.warned_of_age);
        of(self.active, idle, self.warned_of_idle).min(age).min(self.wanted_look(rules, access))
    }

    /// What is due by now, if it has this access.
    pub(super) fn due(&mut self, rules: &StayRules, access: Access, now: Moment) -> Option<StayDue> {
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
        let warning = warning(idle, &mut self.warned_of_idle, DisconnectCause::Idle)
            .or_else(|| warning(age, &mut self.warned_of_age, DisconnectCause::Age));
        if warning.is_none() && self.wanted_look(rules, access) <= now {
            self.wanted = if self.wanted == Wanted::No { Wanted::Idle } else { Wanted::Over };
            return Some(StayDue::Wanted);
        }
        warning
    }
}

impl StayRules {
    /// Idle to view is about those who have more, idle to close about viewers too.
    pub(super) fn idle_applies(&self, access: Access) -> bool {
        self.idle_then == IdleThen::Close || access > Access::View
    }
}

impl Stay {
    /// When to look whether its seat can go to somebody who waits.
    fn wanted_look(&self, rules: &StayRules, access: Access) -> Moment {
        match (rules.wanted, self.wanted) {
            (Some(idle), Wanted::No) if access == Access::Edit => {
                self.active.after(idle.saturating_sub(rules.warning))
            }
            (Some(_), Wanted::Warned(until)) if access == Access::Edit => until,
            _ => Moment::NEVER,
        }
    }

    /// Its seat can go to somebody who waits: it is to be warned. Returns in how long it loses the seat.
    pub(super) fn warn_of_wanted(&mut self, rules: &StayRules, now: Moment) -> Duration {
        let idle = rules.wanted.unwrap_or_default();
        let until = self.active.after(idle).max(now.after(rules.warning));
        self.wanted = if until <= now { Wanted::Over } else { Wanted::Warned(until) };
        until.since(now)
    }
}
