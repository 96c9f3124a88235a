//! Commands about connections that are lost, resumed, dropped or fenced.

use std::time::Duration;

use super::engine_command::empty;
use super::labels::{LabelState, LabelledConnection};
use super::request::ResumeParameters;
use super::run::Runner;
use super::write::{Outcome, ReplyBody};
use crate::error::{ConnectionError, ErrorCode, FenceError, ResumeError, TransportError};
use crate::registry::Opened;
use crate::token::ResumeToken;

impl Runner {
    /// A lost label still names its connection here, and a superseded one is forgotten.
    pub(super) fn close(&mut self, label: &str) -> Outcome {
        let named = self.labels.remove(label).ok_or(ErrorCode::Key)?;
        if named.state == LabelState::Superseded {
            return Ok(ReplyBody::Empty);
        }
        empty(self.engine.close(named.id), ConnectionError::code)
    }

    pub(super) fn lost(&mut self, label: &str) -> Outcome {
        let named = self.labels.get(label).ok_or(ErrorCode::Key)?;
        if named.state == LabelState::Superseded {
            self.labels.remove(label);
            return Ok(ReplyBody::Empty);
        }
        let lease = self.engine.lost(named.id).map_err(TransportError::code)?;
        let Some(lease) = lease else {
            self.labels.remove(label);
            return Ok(ReplyBody::Empty);
        };
        self.labels.lose(label);
        Ok(ReplyBody::Member("lease_ms", millis(lease).into()))
    }

    /// The label need not be new: a lost or superseded one names the new connection from now on.
    pub(super) fn resume(&mut self, parameters: &ResumeParameters<'_>) -> Outcome {
        let ResumeParameters { token, label, attempt } = parameters;
        let token: ResumeToken = token.parse().map_err(|_| ErrorCode::Key)?;
        if let Some((id, open)) = self.labels.open(label) {
            if open.token != Some(token) {
                return Err(ErrorCode::Command);
            }
            let grant = self.engine.grant(id).ok_or(ErrorCode::Key)?;
            let (label, position) = (label.clone().into_owned(), self.engine.position(id));
            return Ok(ReplyBody::Opened { label, grant, position, token: Some(token) });
        }
        let opened = self.engine.resume_by_id(&token, *attempt).map_err(ResumeError::code)?;
        let old = opened.instead_of.and_then(|old| self.labels.supersede(old));
        let Opened { id, grant, position, .. } = opened;
        let resumed = match old {
            Some(old) => Some(LabelledConnection { label: (&**label).into(), ..old }),
            // It was opened elsewhere, and may be over already.
            None => self.engine.owner(id).map(|(key, user)| {
                let (label, asked) = ((&**label).into(), grant.access);
                LabelledConnection { label, key, user, asked, token: Some(token) }
            }),
        };
        if let Some(resumed) = resumed {
            self.labels.insert(id, resumed);
        }
        Ok(ReplyBody::Opened { label: label.clone().into_owned(), grant, position, token: Some(token) })
    }

    pub(super) fn drop_connection(&self, label: &str, time: Option<Duration>) -> Outcome {
        let id = self.id_of(label)?;
        match time {
            None => empty(self.engine.drop_connection(id), ConnectionError::code),
            Some(time) => {
                let dropped = self.engine.drop_connection_for(id, time).map_err(ConnectionError::code)?;
                empty(dropped, FenceError::code)
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
