//! One participant: a user of the document, with that user's connections.

use smallvec::SmallVec;

use crate::access::{Access, Reason};
use crate::ids::{ConnectionId, User};
use crate::seats::{Admitted, Seats};
use crate::time::Moment;
use crate::work::{self, Item};

/// One open connection, in the list of its participant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tab {
    pub(crate) connection: ConnectionId,
    /// When it was opened or made its last change, in whole seconds since the Unix epoch. Lasts until 2106.
    active: u32,
    pub(crate) access: Access,
    /// Why it has less than it asked for.
    pub(crate) reason: Option<Reason>,
    /// The seats that this connection holds.
    pub(crate) seats: Seats,
}

/// What a session keeps of one participant.
///
/// It stays after the last connection is closed, until the storage has been handed every join and leave of
/// the user.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) user: User,
    /// The open connections, in the order in which they were opened.
    pub(crate) tabs: SmallVec<[Tab; 1]>,
    /// Edit connections according to the callbacks that were handed out.
    pub(crate) handed_out: u32,
    /// How many waiting events name this participant.
    pub(crate) waiting: u32,
    /// Orders participants by the beginning of their editing.
    pub(super) order: u32,
    /// Orders participants by their arrival.
    pub(super) arrival: u32,
}

impl Tab {
    pub(crate) fn new(connection: ConnectionId, admitted: Admitted, now: Moment) -> Self {
        let Admitted { access, reason, seats, .. } = admitted;
        Tab { connection, active: whole_seconds(now), access, reason, seats }
    }

    /// When it was opened or made its last change, rounded down to a second.
    pub(crate) fn active(&self) -> Moment {
        Moment::from_millis(u64::from(self.active) * 1000)
    }
}

fn whole_seconds(now: Moment) -> u32 {
    u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX)
}

impl Member {
    pub(super) fn new(user: &User, number: u32) -> Self {
        Member {
            user: user.clone(),
            tabs: SmallVec::new(),
            handed_out: 0,
            waiting: 0,
            order: number,
            arrival: number,
        }
    }

    /// Returns true if the storage counts no connection of this user, and no join or leave of it waits.
    pub(crate) fn is_unknown_to_storage(&self) -> bool {
        self.handed_out == 0 && self.waiting == 0
    }

    /// Connections with edit access.
    pub(crate) fn edits(&self) -> u32 {
        u32::try_from(self.tabs_with(Access::Edit).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_editing(&self) -> bool {
        self.tabs_with(Access::Edit).next().is_some()
    }

    /// The connections with this access.
    pub(crate) fn tabs_with(&self, access: Access) -> impl Iterator<Item = &Tab> {
        self.tabs.iter().filter(move |tab| tab.access == access)
    }

    pub(super) fn tab_position(&self, connection: ConnectionId) -> usize {
        let at = self.tabs.iter().position(|tab| tab.connection == connection);
        let at = at.expect("a connection is in the list of its participant");
        work::visit_some(Item::Tab, connection.to_bits(), at);
        at
    }

    pub(crate) fn tab(&self, connection: ConnectionId) -> &Tab {
        &self.tabs[self.tab_position(connection)]
    }

    /// The highest access of the connections. `None` if there is none.
    pub(crate) fn access(&self) -> Option<Access> {
        self.tabs.iter().map(|tab| tab.access).max()
    }

    /// A connection goes on under another id, and is active now.
    pub(super) fn resume(&mut self, [old, new]: [ConnectionId; 2], now: Moment) -> Tab {
        self.touch(old, now);
        let at = self.tab_position(old);
        self.tabs[at].connection = new;
        self.tabs[at]
    }

    /// Says why a connection has less than it asked for.
    pub(super) fn set_reason(&mut self, connection: ConnectionId, reason: Option<Reason>) {
        let at = self.tab_position(connection);
        self.tabs[at].reason = reason;
    }

    /// Records that a connection is active now.
    pub(crate) fn touch(&mut self, connection: ConnectionId, now: Moment) {
        let at = self.tab_position(connection);
        self.tabs[at].active = self.tabs[at].active.max(whole_seconds(now));
    }

    /// Leaves the seats of a connection that goes to another connection of the user with the same access, where seats
    /// count users. Returns the seats that become free.
    pub(super) fn pass_on_seats(&mut self, gone: &Tab) -> Seats {
        let is_heir = |tab: &&mut Tab| {
            tab.connection != gone.connection && tab.access == gone.access && tab.seats == Seats::default()
        };
        let heir = self.tabs.iter_mut().find(is_heir);
        match heir {
            Some(heir) if gone.seats != Seats::default() => {
                heir.seats = gone.seats;
                Seats::default()
            }
            _ => gone.seats,
        }
    }
}
