//! Seeded worlds of flaps: tabs at a full limit that lose the line again and again and come back, in any order, some before
//! the host noticed. `COEDIT_FLAPS` sets the number of flaps of all worlds together, some thousand by default.

mod support;
use support::random::Random;
use support::*;

use std::collections::HashSet;
use std::time::Duration;

use coedit::{
    Access, ChangeError, Config, ConnectionError, ConnectionId, DisconnectCause, ForceSaveError, Notice,
    OpenError, Reason, ResumeError, ResumeToken, SeatCount, TransportError,
};

const GRACE: Duration = Duration::from_secs(120);

/// A client and its tab.
struct Client {
    document: String,
    user: String,
    token: ResumeToken,
    id: ConnectionId,
    attempt: u64,
    /// When its lease ends. `None` while the engine takes it for alive.
    lost_until: Option<u64>,
}

/// How many of what happened.
#[derive(Debug, Default)]
struct Counts {
    flaps: usize,
    unnoticed: usize,
    stale: usize,
    reloads: usize,
    leases: usize,
}

struct Flaps {
    world: World,
    random: Random,
    clients: Vec<Client>,
    limit: u32,
    by_users: bool,
    now: u64,
    counts: Counts,
    /// Old ids that were not tried yet.
    old: Vec<ConnectionId>,
}

fn flaps() -> usize {
    std::env::var("COEDIT_FLAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(6_000)
}

impl Flaps {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let tabs = 1 + random.below(60);
        let documents = 1 + random.below(12);
        let by_users = random.one_in(3);
        let count = if by_users { SeatCount::UsersOfDocuments } else { SeatCount::Connections };
        let (capped, user_limit) = (random.one_in(2), random.one_in(2));
        let shards = *random.pick(&[1, 4, 32]);
        let world = World::new(|config| {
            let config: Config =
                config.reconnect_grace(Some(GRACE)).presence(true).seat_count(count).shards(shards);
            let config = if user_limit { config.user_limit(Some(1_000)) } else { config };
            if capped { config.max_connections(Some(u32::try_from(tabs).unwrap())) } else { config }
        });
        let mut clients = Vec::new();
        for n in 0..tabs {
            let (document, user) = (format!("doc-{}", random.below(documents)), format!("user-{}", n % 20));
            let tab = world.edit(&document, &user);
            let (token, id) = (tab.token().unwrap(), tab.into_id());
            clients.push(Client { document, user, token, id, attempt: 0, lost_until: None });
        }
        let limit = world.engine.limits().edit.in_use;
        world.engine.set_edit_limit(Some(limit)).unwrap();
        world.acknowledge_all();
        world.take_notices();
        Flaps { world, random, clients, limit, by_users, now: 0, counts: Counts::default(), old: Vec::new() }
    }

    fn assert_refused(&self, id: ConnectionId) {
        let engine = &self.world.engine;
        assert_eq!(engine.change(id), Err(ChangeError::Unknown));
        assert_eq!(engine.touch(id), Err(TransportError::Unknown));
        assert_eq!(engine.lost(id), Err(TransportError::Unknown));
        assert_eq!(engine.close(id), Err(ConnectionError::Unknown));
        assert_eq!(engine.press_save(id), Err(ForceSaveError::UnknownConnection));
        assert!(engine.drop_connection(id).is_err() && engine.adopt(id).is_err());
        assert_eq!((engine.access(id), engine.may_edit(id)), (None, false));
    }

    /// The line of a client breaks, and the host may notice.
    fn lose(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if client.lost_until.is_none() {
            assert_eq!(self.world.engine.lost(client.id), Ok(Some(GRACE)));
            client.lost_until = Some(self.now + 120_000);
        }
        assert_eq!(self.world.engine.change(client.id), Err(ChangeError::Lost));
        assert_eq!(self.world.engine.lost(client.id), Err(TransportError::Lost));
    }

    /// The client comes back by its token.
    fn come_back(&mut self, n: usize) {
        let engine = &self.world.engine;
        let client = &mut self.clients[n];
        if self.random.one_in(3) {
            client.attempt += 1;
        }
        let back = engine.resume(&client.token, client.attempt).unwrap();
        assert_eq!((back.granted().access, back.granted().reason), (Access::Edit, None), "a seat was lost");
        self.counts.flaps += 1;
        self.counts.unnoticed += usize::from(client.lost_until.is_none());
        self.old.push(std::mem::replace(&mut client.id, back.into_id()));
        client.lost_until = None;
        assert!(engine.may_edit(client.id));
        if client.attempt > 0 && self.random.one_in(4) {
            assert_eq!(engine.resume(&client.token, client.attempt - 1).unwrap_err(), ResumeError::Stale);
            self.counts.stale += 1;
        }
    }

    /// The page is loaded again, without its token.
    fn reload(&mut self, n: usize) {
        // At the full limit its own seat is the only one. Where users share a seat it would get one more tab.
        let of_one =
            |one: &&Client| one.document == self.clients[n].document && one.user == self.clients[n].user;
        if self.by_users || self.clients.iter().filter(of_one).count() > 1 {
            return;
        }
        self.lose(n);
        let client = &mut self.clients[n];
        let tab = self.world.engine.open(&key(&client.document), &user(&client.user), Access::Edit).unwrap();
        assert_eq!(tab.granted().access, Access::Edit, "a seat was lost");
        assert_eq!(self.world.engine.resume(&client.token, u64::MAX).unwrap_err(), ResumeError::Unknown);
        (client.token, client.attempt, client.lost_until) = (tab.token().unwrap(), 0, None);
        self.old.push(std::mem::replace(&mut client.id, tab.into_id()));
        self.counts.flaps += 1;
        self.counts.reloads += 1;
    }

    /// Somebody new gets no seat.
    fn intrude(&self) {
        match self.world.engine.open(&key("doc-0"), &user("newcomer"), Access::Edit) {
            Ok(tab) => assert_eq!(tab.granted().reason, Some(Reason::ConnectionLimit)),
            Err(error) => assert_eq!(error, OpenError::TooMany),
        }
        self.world.take_notices();
    }

    /// Time passes. Everybody whose lease would end comes back before that.
    fn pass(&mut self) {
        let step = u64::try_from(self.random.below(60_000)).unwrap();
        for n in 0..self.clients.len() {
            if self.clients[n].lost_until.is_some_and(|until| until <= self.now + step) {
                self.come_back(n);
            }
        }
        self.now += step;
        self.world.clock.advance(Duration::from_millis(step));
        if self.random.one_in(2) {
            self.world.engine.tick();
        }
    }

    /// Nothing was lost, counted twice or told.
    fn check(&mut self) {
        let world = &self.world;
        world.engine.validate().unwrap();
        let limits = world.engine.limits();
        assert_eq!(limits.edit.in_use, self.limit, "a seat was lost or counted twice");
        assert_eq!(limits.connections.in_use as usize, self.clients.len());
        assert!(world.callbacks.try_recv().is_err(), "the storage heard of a flap");
        for notice in world.take_notices() {
            let superseded =
                matches!(notice, Notice::Disconnected { cause: DisconnectCause::Superseded, .. });
            assert!(superseded || matches!(notice, Notice::Limit { .. }), "{notice:?}");
        }
        let present: HashSet<ConnectionId> = self.clients.iter().map(|client| client.id).collect();
        assert_eq!(present.len(), self.clients.len());
        for id in std::mem::take(&mut self.old) {
            assert!(!present.contains(&id));
            self.assert_refused(id);
        }
    }

    fn run(&mut self, flaps: usize) {
        let mut steps = 0_usize;
        while self.counts.flaps < flaps {
            let n = self.random.below(self.clients.len());
            match self.random.below(10) {
                0..=3 => self.lose(n),
                4..=7 => self.come_back(n),
                8 => self.reload(n),
                _ if self.random.one_in(3) => self.intrude(),
                _ => self.pass(),
            }
            steps += 1;
            if steps.is_multiple_of(16) {
                self.check();
            }
        }
        self.check();
    }

    /// Some never come back. Their leases end, and only theirs.
    fn end(&mut self) {
        for n in 0..self.clients.len() {
            if self.random.one_in(2) {
                self.lose(n);
            } else if self.clients[n].lost_until.is_some() {
                self.come_back(n);
            }
        }
        self.check();
        self.world.pass(GRACE);
        self.world.engine.validate().unwrap();
        for client in &self.clients {
            if client.lost_until.is_some() {
                self.counts.leases += 1;
                self.assert_refused(client.id);
                assert_eq!(
                    self.world.engine.resume(&client.token, u64::MAX).unwrap_err(),
                    ResumeError::Unknown
                );
            } else {
                assert_eq!(self.world.engine.change(client.id), Ok(()));
            }
        }
        let left = self.world.take_notices();
        let leases = left
            .iter()
            .filter(|notice| matches!(notice, Notice::Disconnected { cause: DisconnectCause::Lease, .. }));
        assert_eq!(leases.count(), self.counts.leases);
        // The storage, told all of it, counts who is there.
        self.world.acknowledge_all();
        for client in &self.clients {
            let _ = self.world.engine.close(client.id);
        }
        self.world.pass(Duration::from_secs(10));
        self.world.acknowledge_all();
        let limits = self.world.engine.limits();
        assert_eq!((limits.edit.in_use, limits.connections.in_use, self.world.engine.documents()), (0, 0, 0));
    }
}

#[test]
fn p11_flaps_at_a_full_limit_lose_no_seat_count_none_twice_and_are_not_told() {
    const WORLDS: usize = 40;
    let each = flaps().div_ceil(WORLDS);
    let mut all = Counts::default();
    for seed in 0..WORLDS {
        let mut flaps = Flaps::new(seed as u64);
        flaps.run(each);
        flaps.end();
        let Counts { flaps, unnoticed, stale, reloads, leases } = flaps.counts;
        all.flaps += flaps;
        all.unnoticed += unnoticed;
        all.stale += stale;
        all.reloads += reloads;
        all.leases += leases;
    }
    assert!(
        all.flaps >= flaps() && all.unnoticed > 0 && all.stale > 0 && all.reloads > 0 && all.leases > 0,
        "{all:?}"
    );
    println!("{all:?}");
}
