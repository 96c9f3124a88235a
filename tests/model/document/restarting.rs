//! What of a document goes on in another engine.

use coedit::{Access, UserId};

use super::{Closing, Connection, Document, Event, Kind, SaveTurn, State};
use crate::model::settings::Settings;

impl Document {
    /// The engine stops. What workers have counts as failed, and questions are left out: the reply has said it. Returns the
    /// connections, by user.
    pub fn stop(&mut self, now: u64) -> Vec<Connection> {
        self.stop_deliveries(now);
        let ids = self.connections_in_order();
        let connections = ids.into_iter().map(|id| self.connection(id).clone()).collect();
        let (editing, users) = (self.editing(), self.editors());
        self.edited_before = users.iter().map(|user| (user.clone(), count(&editing, user))).collect();
        self.connections.clear();
        self.connected.clear();
        self.accesses.clear();
        connections
    }

    fn stop_deliveries(&mut self, now: u64) {
        if let Some(closing) = &mut self.closing {
            (closing.due, closing.turn, closing.failures) = (closing.due.max(now), SaveTurn::Later, 0);
            if std::mem::take(&mut self.saving) {
                (closing.due, closing.tried) = (now, true);
            }
        }
        self.outstanding =
            self.outstanding.take().filter(|one| !matches!(one.kind, Kind::Answer | Kind::Save(_)));
        if let Some(one) = &mut self.outstanding {
            (one.state, one.since, one.deadline) = (State::Ready, now, None);
        }
        self.waiting.retain(|event| !matches!(event, Event::Info { .. }));
        for event in &mut self.waiting {
            if let Event::Closed(_, at) = event {
                *at = now;
            }
        }
        (self.force_at, self.offered_url, self.awaited) = (None, None, false);
    }

    /// A connection is there again. Nobody is told.
    pub fn rejoin(&mut self, connection: Connection) {
        self.enter(connection);
    }

    /// The storage is told of those who edit no longer.
    pub fn begin_again(&mut self, settings: &Settings, now: u64) {
        let editing = self.editing();
        let before = std::mem::take(&mut self.edited_before);
        if settings.callbacks {
            if editing.is_empty() && !before.is_empty() && !self.changes.is_empty() {
                let leaver = before.last().map(|(user, _)| user.clone());
                let due = now + settings.save_delay;
                let turn = SaveTurn::Later;
                self.closing = Some(Closing { leaver, due, turn, tried: false, failures: 0 });
            }
            let mut leavers = Vec::new();
            for (user, connections) in &before {
                leavers.extend((count(&editing, user)..*connections).map(|_| user.clone()));
            }
            let closes = editing.is_empty() && self.closing.is_none();
            if self.closing.is_some() && !before.is_empty() {
                // The last leave is told with the save.
                leavers.pop();
            }
            let last = leavers.pop();
            self.waiting.extend(leavers.into_iter().map(Event::Left));
            let close = |user| if closes { Event::Closed(user, now) } else { Event::Left(user) };
            self.waiting.extend(last.map(close));
        }
        self.schedule_force_save(settings, now);
        self.prune_order();
    }

    /// The user of each connection that edits.
    fn editing(&self) -> Vec<UserId> {
        let editing = self.accesses.iter().filter(|(_, access)| *access == Access::Edit);
        editing.map(|(user, _)| user.clone()).collect()
    }
}

fn count(users: &[UserId], user: &UserId) -> usize {
    users.iter().filter(|other| *other == user).count()
}
