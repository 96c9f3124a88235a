//! The steps in which each call happens.
//!
//! Most calls happen in one step. These have more, and another call may see the engine between them:
//!
//! - A refused `request_edit` first takes its place in line, and answers by how it stands then: others may have left the
//!   line, and its turn may have come. So has a `resume` of a connection that waits.
//! - A seat that passes to a waiter is taken a moment before the waiter edits. Reads of limits see that.
//! - A drop ends places and frees seats one after the other. Reads of limits see that. Calls on the document do not.
//! - A read of the limits reads the seats, and then who waits.

use coedit::{
    Access, ChangeError, ConnectionError, ConnectionId, Grant, Reason, RequestError, TransportError,
};

use super::call::{Answer, Call};
use super::model::{Line, Place, State, Tab};
use super::waiting_steps::{request_edit, resume};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    Outside,
    /// A request was refused, and has no place yet.
    Refused(Reason),
    /// It has a place, and did not answer yet.
    InLine(Reason),
    /// It took a seat, and does not edit yet.
    HasSeat,
    /// A resumed waiter has its new connection.
    Moved,
    /// It was refused, and did not answer yet.
    WaitsOn,
    /// A drop ends the places of those it names.
    EndsPlaces,
    /// It has so many seats to free.
    Frees(usize),
    /// The seats were read.
    HasCounted,
    Done,
}

/// The states to which one step leads, and where the call is then.
pub type Next = Vec<(State, Point)>;

/// The last step of a call, if it `agrees` with the answer.
pub fn done(state: State, agrees: bool) -> Next {
    if agrees { vec![(state, Point::Done)] } else { Next::new() }
}

/// Returns every next step of a call that agrees with its answer.
pub fn steps(state: &State, (call, answer): (&Call, &Answer), point: Point) -> Next {
    match (call, answer) {
        (Call::Open { document, user, asked }, Answer::Opened(id, grant)) => {
            open(state, (*document, *user, *asked), (*id, *grant))
        }
        (Call::Change(id), Answer::Changed(answer)) => on_document(state, *id, |state| {
            let (next, expected) = change(state, *id);
            done(next, *answer == expected)
        }),
        (Call::Close(id), Answer::Closed(answer)) => on_document(state, *id, |state| {
            let (next, expected) = close(state, *id);
            done(next, *answer == expected)
        }),
        (Call::Lost(id), Answer::Lost(answer)) => on_document(state, *id, |state| {
            let (next, expected) = lost(state, *id);
            done(next, *answer == expected)
        }),
        (Call::ReleaseEdit(id), Answer::Released(answer)) => on_document(state, *id, |state| {
            let (next, expected) = release_edit(state, *id);
            done(next, *answer == expected)
        }),
        (Call::DropUsers { document, users }, Answer::Dropped { connections, unmatched }) => {
            drop_users(state, (*document, users), (connections, unmatched), point)
        }
        (Call::Resume { token, attempt }, Answer::Resumed(answer)) => {
            resume(state, (*token, *attempt), *answer, point)
        }
        (Call::RequestEdit(id), Answer::Requested(answer)) => request_edit(state, *id, *answer, point),
        (Call::SetEditLimit(limit), Answer::LimitSet) => done(State { limit: *limit, ..state.clone() }, true),
        (Call::Access(id), Answer::Access(access)) => {
            on_document(state, *id, |state| done(state.clone(), state.access(*id) == *access))
        }
        (Call::Editors(document), Answer::Editors(editors)) => read_editors(state, *document, editors),
        (Call::Limits, Answer::Limits { limit, in_use, waiting }) => {
            read_limits(state, [*limit, *in_use], *waiting, point)
        }
        _ => panic!("{answer:?} is no answer to {call:?}"),
    }
}

/// A step that needs the document of a connection for itself, if the connection is open.
pub fn on_document(state: &State, id: ConnectionId, step: impl FnOnce(&State) -> Next) -> Next {
    let is_busy = state.document_of(id).is_some_and(|document| state.documents[document].busy);
    if is_busy { Next::new() } else { step(state) }
}

fn open(
    state: &State,
    (document, user, asked): (usize, u8, Access),
    (id, grant): (ConnectionId, Grant),
) -> Next {
    if state.documents[document].busy {
        return Next::new();
    }
    let refused = if asked == Access::Edit { state.refuses_newcomer(document) } else { None };
    let fresh = Tab { id, token: id, user, access: Access::View, lost: false, attempt: 0 };
    let is_heir = |tab: &&Tab| tab.user == user && tab.lost && tab.access == Access::Edit;
    let heirs = state.documents[document].tabs.iter().filter(is_heir);
    if refused == Some(Reason::ConnectionLimit) && heirs.clone().next().is_some() {
        // It takes over the seat of a lost connection.
        let take_over = |heir: &Tab| {
            let mut next = state.clone();
            *next.documents[document].tab_mut(heir.id) = Tab { access: Access::Edit, ..fresh.clone() };
            done(next, grant == Grant { access: Access::Edit, reason: None })
        };
        return heirs.flat_map(take_over).collect();
    }
    let mut next = state.clone();
    next.documents[document].tabs.push(fresh);
    let access = if refused.is_some() { Access::View } else { asked };
    if access == Access::Edit {
        next.in_use += 1;
        next.begin_edit(document, id);
    }
    done(next, grant == Grant { access, reason: refused })
}

fn change(state: &State, id: ConnectionId) -> (State, Result<(), ChangeError>) {
    let mut next = state.clone();
    let Some(document) = state.document_of(id) else { return (next, Err(ChangeError::Unknown)) };
    let document = &mut next.documents[document];
    let answer = match document.tab_mut(id) {
        Tab { lost: true, .. } => Err(ChangeError::Lost),
        Tab { access: Access::Edit, .. } => Ok(()),
        _ => Err(ChangeError::ViewOnly),
    };
    document.changed |= answer.is_ok();
    (next, answer)
}

fn close(state: &State, id: ConnectionId) -> (State, Result<(), ConnectionError>) {
    let mut next = state.clone();
    let Some(document) = state.document_of(id) else { return (next, Err(ConnectionError::Unknown)) };
    next.close(document, id);
    (next, Ok(()))
}

fn lost(state: &State, id: ConnectionId) -> (State, Result<bool, TransportError>) {
    let mut next = state.clone();
    let Some(document) = state.document_of(id) else { return (next, Err(TransportError::Unknown)) };
    let tab = next.documents[document].tab_mut(id);
    if tab.lost {
        return (next, Err(TransportError::Lost));
    }
    if state.grace {
        tab.lost = true;
    } else {
        next.close(document, id);
    }
    (next, Ok(state.grace))
}

fn release_edit(state: &State, id: ConnectionId) -> (State, Result<(), RequestError>) {
    let mut next = state.clone();
    let Some(document) = state.document_of(id) else { return (next, Err(RequestError::Unknown)) };
    let tab = next.documents[document].tab_mut(id);
    if tab.lost {
        return (next, Err(RequestError::Lost));
    }
    if tab.access == Access::Edit {
        tab.access = Access::View;
        next.free_seat();
    } else {
        next.places.retain(|place| place.id != id);
    }
    (next, Ok(()))
}

fn drop_users(
    state: &State,
    (document, users): (usize, &[u8]),
    answer: (&[ConnectionId], &[u8]),
    point: Point,
) -> Next {
    let mut next = state.clone();
    if let Point::Frees(seats) = point {
        next.free_seat();
        next.documents[document].busy = seats > 1;
        return vec![(next, if seats > 1 { Point::Frees(seats - 1) } else { Point::Done })];
    }
    if point == Point::Outside && state.documents[document].busy {
        return Next::new();
    }
    let ends = |place: &Place| {
        let is_named = |tab: &Tab| users.contains(&tab.user);
        place.document == document && state.documents[document].tab(place.id).is_some_and(is_named)
    };
    if let Some(place) = state.places.iter().position(ends) {
        next.places.remove(place);
        next.documents[document].busy = true;
        return vec![(next, Point::EndsPlaces)];
    }
    let unmatched = users.iter().filter(|user| !next.documents[document].has(**user));
    let mut unmatched: Vec<u8> = unmatched.copied().collect();
    unmatched.sort_unstable();
    let dropped = next.documents[document].demote(users);
    next.documents[document].busy = !dropped.is_empty();
    if (&*dropped, &*unmatched) != answer {
        return Next::new();
    }
    let point = if dropped.is_empty() { Point::Done } else { Point::Frees(dropped.len()) };
    vec![(next, point)]
}

fn read_editors(state: &State, document: usize, editors: &[u8]) -> Next {
    let document = &state.documents[document];
    let mut expected: Vec<u8> =
        document.tabs.iter().filter(|tab| tab.access == Access::Edit).map(|tab| tab.user).collect();
    expected.sort_unstable();
    expected.dedup();
    done(state.clone(), !document.busy && expected == editors)
}

fn read_limits(state: &State, seats: [u32; 2], waiting: [u32; 2], point: Point) -> Next {
    if point == Point::HasCounted {
        return done(state.clone(), waiting == [Line::Engine, Line::Saving].map(|line| state.waiting(line)));
    }
    if seats == [state.limit, state.in_use] { vec![(state.clone(), Point::HasCounted)] } else { Next::new() }
}
