//! Commands about waiting for edit access.

use super::run::Runner;
use super::write::{Outcome, ReplyBody};
use crate::access::{EditRequest, Grant};
use crate::error::{ErrorCode, RequestError};
use crate::time::Clock;

impl Runner {
    pub(super) fn request_edit(&mut self, label: &str) -> Outcome {
        let id = self.open_id(label)?;
        let answer = self.engine.request_edit(id).map_err(RequestError::code)?;
        self.tally.editing(self.engine.editing(), self.clock.as_ref().map(Clock::now));
        let (reason, position) = match answer {
            EditRequest::Granted => (None, None),
            EditRequest::Waiting { reason, position } => (Some(reason), Some(position)),
            EditRequest::Refused(reason) => (Some(reason), None),
        };
        let access = self.engine.access(id).ok_or(ErrorCode::Key)?;
        Ok(ReplyBody::Granted { grant: Grant { access, reason }, position })
    }

    pub(super) fn release_edit(&self, label: &str) -> Outcome {
        let id = self.open_id(label)?;
        self.engine.release_edit(id).map_err(RequestError::code)?;
        let grant = self.engine.grant(id).ok_or(ErrorCode::Key)?;
        Ok(ReplyBody::Granted { grant, position: None })
    }
}
