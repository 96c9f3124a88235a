//! Operations of staying in: lost, resumed, idle and fenced connections.

use std::time::Duration;

use coedit::{AccessCause, ConnectionId, DropCause, Notice, ResumeError, ResumeToken};

use super::{Both, pick};
use crate::model::op::Op;

/// Times of fences in milliseconds.
const TIMES: [Option<u64>; 4] = [None, Some(2_000), Some(20_000), Some(0)];

/// Attempts to resume a connection have numbers below this.
const ATTEMPTS: u64 = 4;

/// Picks one of a list, if there is any.
fn some<T: Copy>(all: &[T], number: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(number) % all.len()])
}

/// Returns the connection that a notice is about.
pub(super) fn connection(notice: &Notice) -> Option<ConnectionId> {
    match notice {
        Notice::Access { cause: AccessCause::Granted, .. } => None,
        Notice::Access { connection, .. }
        | Notice::Expiring { connection, .. }
        | Notice::Disconnected { connection, .. } => Some(*connection),
        _ => None,
    }
}

/// Operations of one connection.
impl Both {
    pub(super) fn step_of_connection(&mut self, op: &Op) {
        match op {
            Op::Lost(number) => {
                let Some(id) = self.connection(*number) else { return };
                self.lose(id);
            }
            Op::LoseWaiter(number) => {
                let Some(id) = some(&self.model.waiters(), *number) else { return };
                self.lose(id);
            }
            Op::ResumeLost(number) => {
                let Some(token) = some(&self.model.lost_tokens(), *number) else { return };
                self.resume(token, ATTEMPTS - 1, 1);
            }
            Op::Touch(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine().touch(id), self.model.touch(id), "{op:?}");
            }
            Op::RequestEdit { connection, how } => {
                let viewer = some(&self.model.viewers(), *connection).filter(|_| how % 4 > 0);
                let Some(id) = viewer.or_else(|| self.connection(*connection)) else { return };
                assert_eq!(self.engine().request_edit(id), self.model.request_edit(id), "{op:?}");
            }
            Op::ReleaseEdit { connection, how } => {
                let some = match how % 4 {
                    0 => self.connection(*connection),
                    1 => some(&self.model.waiters(), *connection),
                    _ => some(&self.model.editing(), *connection),
                };
                let Some(id) = some else { return };
                assert_eq!(self.engine().release_edit(id), self.model.release_edit(id), "{op:?}");
            }
            Op::Resume { token, attempt, how } => {
                let latest = &self.tokens[self.tokens.len().saturating_sub(24)..];
                if !latest.is_empty() {
                    let token = latest[usize::from(*token) % latest.len()];
                    self.resume(token, u64::from(*attempt) % ATTEMPTS, *how);
                }
            }
            _ => {}
        }
    }

    fn lose(&mut self, id: ConnectionId) {
        let lease = self.engine().lost(id).map(|lease| lease.map(|lease| lease.as_millis()));
        let expected = self.model.lost(id).map(|lease| lease.map(u128::from));
        assert_eq!(lease, expected, "{id:?} is lost");
    }

    fn resume(&mut self, token: ResumeToken, attempt: u64, how: u8) {
        let token = if how.is_multiple_of(8) { foreign(&token, how / 8) } else { token };
        let expected = self.model.to_resume(&token, attempt);
        let resumed = self.engine().resume(&token, attempt);
        let old = match (&resumed, expected) {
            (Ok(_), Ok(old)) => old,
            // The contract does not say which goes first.
            (Err(ResumeError::Unknown), Err(ResumeError::ShutDown)) => return,
            (resumed, expected) => {
                assert_eq!(resumed.as_ref().map_err(|error| *error).err(), expected.err(), "{how}");
                return;
            }
        };
        let new = resumed.expect("it was resumed");
        let granted = new.granted();
        let new = new.into_id();
        self.connections.push(new);
        assert_eq!(granted, self.model.resumed([old, new], attempt), "attempt {attempt}");
    }

    pub(super) fn compare_connections(&mut self, op: &Op) {
        for key in &self.keys {
            let engine = self.engine.as_ref().expect("there is a handle").connections(key);
            let model = self.model.connections_of(key);
            assert_eq!(engine.len(), model.len(), "connections after {op:?}");
            for (one, (id, user, access, state, idle)) in engine.iter().zip(model) {
                let found = (one.connection, one.user.id(), one.access, one.state);
                assert_eq!(found, (id, &user, access, state), "connections after {op:?}");
                assert_eq!(one.position, self.model.position(id), "place of {id:?} after {op:?}");
                // It is exact to a second.
                let found = u64::try_from(one.idle.as_millis()).unwrap();
                assert!((idle..idle + 1_000).contains(&found), "idle for {found}, not {idle}, after {op:?}");
            }
        }
    }
}

/// Changes the secret of a token, or the name in it.
fn foreign(token: &ResumeToken, place: u8) -> ResumeToken {
    let mut text = token.to_string().into_bytes();
    let place = 8 + usize::from(place) % (text.len() - 8);
    text[place] = if text[place] == b'0' { b'1' } else { b'0' };
    String::from_utf8(text).unwrap().parse().expect("it has the form of a token")
}

/// Fences.
impl Both {
    pub(super) fn step_of_fence(&mut self, op: &Op) {
        match op {
            Op::Fence { document, users, time } => {
                let (key, chosen, millis) = (self.key(*document), self.chosen(*users), pick(&TIMES, *time));
                // Every other time everybody.
                let users = (time & 4 == 0).then_some(&*chosen);
                let expected = self.model.fence(&key, users, millis, DropCause::Fence);
                let time = millis.map(Duration::from_millis);
                assert_eq!(self.engine().fence(&key, users, time), Ok(expected), "{op:?}");
            }
            Op::DropFor { document, users, time } => {
                let (key, chosen) = (self.key(*document), self.chosen(*users));
                let (users, millis) = ((time & 1 == 0).then_some(&*chosen), u64::from(time / 2) * 100);
                let expected = self.model.fence(&key, users, Some(millis), DropCause::Drop);
                let dropped = self.engine().drop_for(&key, users, Duration::from_millis(millis));
                assert_eq!(dropped, Ok(expected), "{op:?}");
            }
            Op::DropConnectionFor { connection, time } => {
                let Some(id) = self.connection(*connection) else { return };
                let millis = u64::from(*time) * 100;
                let expected = self.model.fence_connection(id, millis).map(Ok);
                let dropped = self.engine().drop_connection_for(id, Duration::from_millis(millis));
                assert_eq!(dropped, expected, "{op:?}");
            }
            Op::Unfence { document, users } => {
                let (key, chosen) = (self.key(*document), self.chosen(*users));
                let users = (users & 64 == 0).then_some(&*chosen);
                self.engine().unfence(&key, users);
                self.model.unfence(&key, users);
            }
            _ => {}
        }
    }

    pub(super) fn compare_fences(&self, op: &Op) {
        let fences = self.engine().fences().into_iter();
        let fences: Vec<_> =
            fences.map(|one| (one.key, one.user, one.until.map(coedit::Timestamp::as_millis))).collect();
        assert_eq!(fences, self.model.fences(), "fences after {op:?}");
    }
}
