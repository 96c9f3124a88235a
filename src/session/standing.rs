//! How a session stands, which the shard keeps books on, and what it gives back.

use super::Session;
use super::ordered::Further;
use super::outbox::Outbox;
use super::pending::Pending;
use super::spares::{Spares, TooMany};
use crate::time::Timestamp;

/// How a session stood before a call that may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) open: bool,
    pub(crate) deadline: Option<Timestamp>,
}

/// How a session stands: what the shard keeps books on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Whether anybody is in it, or a save of it is still to come.
    pub(crate) open: bool,
    /// When [`Session::handle_timeout`] is to be called next.
    pub(crate) deadline: Option<Timestamp>,
    /// Whether the storage is to hear of anything now.
    pub(crate) has_next: bool,
}

impl Session {
    #[inline(always)]
    pub(crate) fn before(&self) -> Before {
        Before { open: self.is_open(), deadline: self.pending.as_deref().and_then(Pending::next_deadline) }
    }

    #[inline(always)]
    pub(crate) fn standing(&self) -> Standing {
        let Before { open, deadline } = self.before();
        let has_next = self.pending.as_deref().is_some_and(Pending::has_next);
        Standing { open, deadline, has_next }
    }

    /// Whether anybody is in it, or a save of it is still to come.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.roster.is_empty() || self.withheld().is_some()
    }

    /// Whether the storage knows, or was given up to know, all that happened.
    pub(crate) fn is_told(&self) -> bool {
        self.pending
            .as_deref()
            .is_none_or(|pending| pending.outbox.is_empty() && pending.withheld().is_none())
    }

    /// Whether nothing of it needs to be remembered.
    pub(crate) fn is_over(&self) -> bool {
        self.roster.is_empty() && self.pending.as_deref().is_none_or(Pending::is_nothing)
    }

    /// Whether nobody edits, nothing is unsaved, and the storage does not know all of it yet.
    #[inline]
    pub(crate) fn came_and_went(&self) -> bool {
        let is_untold = |pending: &Pending| pending.unsaved.is_none() && !pending.outbox.is_empty();
        self.roster.editing() == 0 && self.pending.as_deref().is_some_and(is_untold)
    }
}

/// What is given back.
impl Session {
    /// Drops what waits to be told of a document that [came and went](Self::came_and_went), unless anything of it was
    /// told or asked before. Returns what is to be freed.
    pub(crate) fn forget_untold(&mut self) -> Option<TooMany> {
        let untold = |pending: &mut Box<Pending>| pending.outbox.untold(&self.roster);
        let pending = self.pending.take_if(untold)?;
        Outbox::forget_untold(&mut self.roster);
        Some(TooMany::Pending(pending))
    }

    /// Gives the boxes back in which there is nothing any more. `discard` gets those that are to be freed.
    #[inline]
    pub(crate) fn tidy(&mut self, spares: &mut Spares, mut discard: impl FnMut(TooMany)) {
        if let Some(mut pending) = self.pending.take_if(|pending| pending.is_nothing()) {
            pending.settled_changes = 0;
            if let Some(pending) = spares.pending.put(pending, Pending::is_small) {
                discard(TooMany::Pending(pending));
            }
        }
        if let Some(further) = self.roster.take_empty()
            && let Some(further) = spares.further.put(further, Further::is_small)
        {
            discard(TooMany::Further(further));
        }
    }
}
