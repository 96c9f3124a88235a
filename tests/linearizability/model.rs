//! What an engine knows, for the few calls that histories have: one limit of edit connections, and no callback is taken.

use coedit::{Access, ConnectionId, Reason};

/// The state between two steps of calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub grace: bool,
    pub limit: u32,
    /// Seats that are taken or kept.
    pub in_use: u32,
    /// Seats that were given back while somebody waits for one, and did not pass on yet.
    pub kept: u32,
    pub documents: Vec<Document>,
    /// Those who wait, by their tickets.
    pub places: Vec<Place>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Document {
    pub tabs: Vec<Tab>,
    /// Whether anything is unsaved.
    pub changed: bool,
    /// Whether a drop made the save due.
    pub awaited: bool,
    /// Whether a call or a turn is between two steps that no other call on this document may come between.
    pub busy: bool,
    /// The waiter who took a seat and does not edit yet.
    pub turn: Option<ConnectionId>,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tab {
    pub id: ConnectionId,
    /// The connection that got the token when it was opened.
    pub token: ConnectionId,
    pub user: u8,
    pub access: Access,
    pub lost: bool,
    pub attempt: u64,
}

/// The place of a waiter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub id: ConnectionId,
    pub document: usize,
    pub line: Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    Engine,
    /// Until the save of the document is done.
    Saving,
}

impl Line {
    pub fn of(reason: Reason) -> Self {
        if reason == Reason::Saving { Line::Saving } else { Line::Engine }
    }

    pub fn reason(self) -> Reason {
        if self == Line::Saving { Reason::Saving } else { Reason::ConnectionLimit }
    }
}

impl Document {
    pub fn editors(&self) -> usize {
        self.tabs.iter().filter(|tab| tab.access == Access::Edit).count()
    }

    pub fn tab(&self, id: ConnectionId) -> Option<&Tab> {
        self.tabs.iter().find(|tab| tab.id == id)
    }

    pub fn tab_mut(&mut self, id: ConnectionId) -> &mut Tab {
        self.tabs.iter_mut().find(|tab| tab.id == id).expect("the connection is open")
    }

    pub fn has(&self, user: u8) -> bool {
        self.tabs.iter().any(|tab| tab.user == user)
    }

    /// Makes the connections of these users view-only. Returns those that lost edit access.
    pub fn demote(&mut self, users: &[u8]) -> Vec<ConnectionId> {
        let mut dropped = Vec::new();
        let edits = |tab: &&mut Tab| users.contains(&tab.user) && tab.access == Access::Edit;
        for tab in self.tabs.iter_mut().filter(edits) {
            tab.access = Access::View;
            dropped.push(tab.id);
        }
        self.awaited = self.changed && self.editors() == 0;
        dropped.sort_unstable();
        dropped
    }

    pub fn awaits_save(&self) -> bool {
        self.awaited && self.changed && self.editors() == 0
    }
}

/// Questions.
impl State {
    pub fn new(documents: usize, limit: u32, grace: bool) -> Self {
        let documents = vec![Document::default(); documents];
        State { grace, limit, in_use: 0, kept: 0, documents, places: Vec::new() }
    }

    /// Returns the document of a connection. `None` if it is not open.
    pub fn document_of(&self, id: ConnectionId) -> Option<usize> {
        self.documents.iter().position(|document| document.tab(id).is_some())
    }

    pub fn access(&self, id: ConnectionId) -> Option<Access> {
        Some(self.documents[self.document_of(id)?].tab(id)?.access)
    }

    pub fn place_of(&self, id: ConnectionId) -> Option<usize> {
        self.places.iter().position(|place| place.id == id)
    }

    /// Returns the one place that a user has on a document.
    pub fn place_of_user(&self, document: usize, user: u8) -> Option<usize> {
        let is_theirs = |place: &Place| {
            place.document == document
                && self.documents[document].tab(place.id).is_some_and(|tab| tab.user == user)
        };
        self.places.iter().position(is_theirs)
    }

    /// Returns true if two places are in the same line.
    fn share_line(one: &Place, line: Line, document: usize) -> bool {
        one.line == line && (line == Line::Engine || one.document == document)
    }

    /// Returns the first in a line whose turn may come: lost waiters are passed over.
    pub fn first_in(&self, line: Line, document: usize) -> Option<usize> {
        let is_present =
            |place: &Place| self.documents[place.document].tab(place.id).is_some_and(|tab| !tab.lost);
        self.places.iter().position(|place| State::share_line(place, line, document) && is_present(place))
    }

    /// Returns the position of a waiter, lost ones counted in.
    pub fn position(&self, place: usize) -> u32 {
        let Place { line, document, .. } = self.places[place];
        let before = self.places[..=place].iter().filter(|one| State::share_line(one, line, document));
        u32::try_from(before.count()).expect("few wait")
    }

    pub fn waiting(&self, line: Line) -> u32 {
        let waiting = self.places.iter().filter(|place| place.line == line).count();
        u32::try_from(waiting).expect("few wait")
    }

    /// Returns true if a seat is there for somebody who waits.
    pub fn has_room_in_turn(&self) -> bool {
        self.in_use < self.limit || self.kept > 0 && self.in_use <= self.limit
    }

    /// Returns why an open for edit is refused.
    pub fn refuses_newcomer(&self, document: usize) -> Option<Reason> {
        if self.first_in(Line::Saving, document).is_some() {
            return Some(Reason::Saving);
        }
        let is_free = self.in_use < self.limit && self.first_in(Line::Engine, document).is_none();
        (!is_free).then_some(Reason::ConnectionLimit)
    }

    /// Returns why a viewer may not edit, by the place that it has.
    pub fn refuses_viewer(&self, document: usize, place: Option<usize>) -> Option<Reason> {
        if self.documents[document].awaits_save() {
            return Some(Reason::Saving);
        }
        let Some(place) = place else { return self.refuses_newcomer(document) };
        let is_behind = |line| self.first_in(line, document).is_some_and(|first| first < place);
        if is_behind(Line::Saving) {
            return Some(Reason::Saving);
        }
        (is_behind(Line::Engine) || !self.has_room_in_turn()).then_some(Reason::ConnectionLimit)
    }
}

/// Changes.
impl State {
    pub fn take_in_turn(&mut self) {
        if self.kept > 0 { self.kept -= 1 } else { self.in_use += 1 }
    }

    /// A seat is given back: it is kept while somebody waits for one.
    pub fn free_seat(&mut self) {
        if self.first_in(Line::Engine, 0).is_some() { self.kept += 1 } else { self.in_use -= 1 }
    }

    /// A connection that has a seat edits from now on.
    pub fn begin_edit(&mut self, document: usize, id: ConnectionId) {
        let document = &mut self.documents[document];
        document.tab_mut(id).access = Access::Edit;
        if document.editors() == 1 {
            document.awaited = false;
        }
    }

    /// Removes a connection.
    pub fn close(&mut self, document: usize, id: ConnectionId) {
        self.places.retain(|place| place.id != id);
        let access = self.access(id);
        self.documents[document].tabs.retain(|tab| tab.id != id);
        if access == Some(Access::Edit) {
            self.free_seat();
        }
    }
}

/// Turns, which a call takes for others before it returns. No call has them among its own steps.
impl State {
    /// Returns the states after each next step of a turn.
    pub fn turns(&self) -> Vec<State> {
        let mut all = Vec::new();
        if self.kept > 0 && (self.in_use > self.limit || self.first_in(Line::Engine, 0).is_none()) {
            // It passes to nobody.
            all.push(State { kept: self.kept - 1, in_use: self.in_use - 1, ..self.clone() });
        }
        let saving = (0..self.documents.len())
            .filter(|document| !self.documents[*document].awaits_save())
            .filter_map(|document| self.first_in(Line::Saving, document));
        let engine = self.first_in(Line::Engine, 0).filter(|_| self.has_room_in_turn());
        all.extend(saving.chain(engine).filter_map(|place| self.begin_turn(place)));
        all.extend((0..self.documents.len()).filter_map(|document| self.end_turn(document)));
        all
    }

    /// The waiter takes a seat, or moves to the line of what stops it.
    fn begin_turn(&self, place: usize) -> Option<State> {
        let Place { id, document, line } = self.places[place];
        if self.documents[document].busy {
            return None;
        }
        let mut next = self.clone();
        match self.refuses_viewer(document, Some(place)).map(Line::of) {
            None => {
                next.take_in_turn();
                next.documents[document].busy = true;
                next.documents[document].turn = Some(id);
            }
            Some(other) if other == line => return None,
            Some(other) => next.places[place].line = other,
        }
        Some(next)
    }

    fn end_turn(&self, document: usize) -> Option<State> {
        let id = self.documents[document].turn?;
        let mut next = self.clone();
        next.documents[document].turn = None;
        next.documents[document].busy = false;
        next.places.retain(|place| place.id != id);
        next.begin_edit(document, id);
        Some(next)
    }

    /// Returns true if no turn is left to take.
    pub fn is_settled(&self) -> bool {
        self.documents.iter().all(|document| !document.busy) && self.turns().is_empty()
    }
}
