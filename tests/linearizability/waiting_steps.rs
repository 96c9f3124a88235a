//! The steps of the calls that may wait for a seat.

use coedit::{Access, ConnectionId, EditRequest, Reason, RequestError, ResumeError};

use super::model::{Line, Place, State, Tab};
use super::steps::{Next, Point, done, on_document};

/// The seat that was taken goes to the connection. It ends the place of its user.
fn use_seat(state: &State, id: ConnectionId) -> State {
    let document = state.document_of(id).expect("no call comes between");
    let mut next = state.clone();
    let user = next.documents[document].tab_mut(id).user;
    if let Some(place) = state.place_of_user(document, user) {
        next.places.remove(place);
    }
    next.documents[document].busy = false;
    next.begin_edit(document, id);
    next
}

pub fn request_edit(
    state: &State,
    id: ConnectionId,
    answer: Result<EditRequest, RequestError>,
    point: Point,
) -> Next {
    let granted = answer == Ok(EditRequest::Granted);
    match point {
        Point::HasSeat => done(use_seat(state, id), granted),
        Point::Refused(reason) => vec![(stand_in_line(state, id, reason), Point::InLine(reason))],
        Point::InLine(reason) => on_document(state, id, |state| {
            let place = state.place_of(id);
            let waits = place.map(|place| EditRequest::Waiting {
                reason: state.places[place].line.reason(),
                position: state.position(place),
            });
            let expected = match state.access(id) {
                Some(Access::Edit) => EditRequest::Granted,
                _ => waits.unwrap_or(EditRequest::Refused(reason)),
            };
            done(state.clone(), answer == Ok(expected))
        }),
        _ => on_document(state, id, |state| {
            let Some(document) = state.document_of(id) else {
                return done(state.clone(), answer == Err(RequestError::Unknown));
            };
            match state.documents[document].tab(id) {
                Some(Tab { lost: true, .. }) => done(state.clone(), answer == Err(RequestError::Lost)),
                Some(Tab { access: Access::Edit, .. }) => done(state.clone(), granted),
                Some(tab) => ask(state, (document, tab), granted),
                None => Next::new(),
            }
        }),
    }
}

/// A viewer asks every limit.
fn ask(state: &State, (document, tab): (usize, &Tab), granted: bool) -> Next {
    let place = state.place_of_user(document, tab.user);
    let mut next = state.clone();
    let refused = state.refuses_viewer(document, place);
    if refused.is_none() && place.is_none() {
        next.in_use += 1;
        next.begin_edit(document, tab.id);
        return done(next, granted);
    }
    next.documents[document].busy = true;
    let point = refused.map_or_else(
        || {
            next.take_in_turn();
            Point::HasSeat
        },
        Point::Refused,
    );
    vec![(next, point)]
}

/// A viewer who was refused takes a place, or goes on in the place of its user.
fn stand_in_line(state: &State, id: ConnectionId, reason: Reason) -> State {
    let document = state.document_of(id).expect("no call comes between");
    let mut next = state.clone();
    let user = next.documents[document].tab_mut(id).user;
    next.documents[document].busy = false;
    let (line, place) = (Line::of(reason), state.place_of_user(document, user));
    match place {
        Some(place) => next.places[place] = Place { id, document, line },
        None => next.places.push(Place { id, document, line }),
    }
    next
}

pub fn resume(
    state: &State,
    (token, attempt): (ConnectionId, u64),
    answer: Result<(ConnectionId, Access), ResumeError>,
    point: Point,
) -> Next {
    if point == Point::Outside {
        return move_seat(state, (token, attempt), answer);
    }
    let Ok((id, access)) = answer else { return Next::new() };
    let document = state.document_of(id);
    if point == Point::HasSeat {
        return done(use_seat(state, id), access == Access::Edit);
    }
    // It may have been resumed once more since.
    let now = state.access(id).unwrap_or(Access::View);
    on_document(state, id, |state| match (state.place_of(id), document) {
        (Some(place), Some(document)) if point == Point::Moved => go_on_waiting(state, document, place),
        (None, _) if point == Point::Moved => done(state.clone(), access == Access::View || access == now),
        _ => done(state.clone(), access == now),
    })
}

/// The first step of a resume: the seat or the place has a new connection.
fn move_seat(
    state: &State,
    (token, attempt): (ConnectionId, u64),
    answer: Result<(ConnectionId, Access), ResumeError>,
) -> Next {
    let with_token = |tab: &&Tab| tab.token == token;
    let Some(Tab { id: old, attempt: last, access: now, .. }) =
        state.documents.iter().flat_map(|document| &document.tabs).find(with_token).cloned()
    else {
        return done(state.clone(), answer == Err(ResumeError::Unknown));
    };
    on_document(state, old, |state| {
        if attempt < last {
            return done(state.clone(), answer == Err(ResumeError::Stale));
        }
        let (Ok((id, access)), Some(document)) = (answer, state.document_of(old)) else { return Next::new() };
        let mut next = state.clone();
        let tab = next.documents[document].tab_mut(old);
        (tab.id, tab.attempt, tab.lost) = (id, attempt, false);
        match state.place_of(old) {
            Some(place) => {
                next.places[place].id = id;
                vec![(next, Point::Moved)]
            }
            None => done(next, access == now),
        }
    })
}

/// A waiter who is back asks every limit.
fn go_on_waiting(state: &State, document: usize, place: usize) -> Next {
    let mut next = state.clone();
    match state.refuses_viewer(document, Some(place)) {
        None => {
            next.take_in_turn();
            next.documents[document].busy = true;
            vec![(next, Point::HasSeat)]
        }
        Some(reason) => {
            next.places[place].line = Line::of(reason);
            vec![(next, Point::WaitsOn)]
        }
    }
}
