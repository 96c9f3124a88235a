//! Comparing everything observable.

use coedit::{Access, DocumentKey, Forgotten, Notice, PendingDocument, Pool, Presence, Timestamp, UserId};

use super::Both;
use crate::model::op::Op;
use crate::model::{Model, Pending};

impl Both {
    pub(super) fn compare(&mut self, op: &Op) {
        self.compare_notices(op);
        let report = self.callbacks.report();
        let forgotten = |all: &[Forgotten]| -> Vec<_> {
            all.iter().map(|one| (one.key.clone(), one.url.as_ref().map(ToString::to_string))).collect()
        };
        assert_eq!(report.is_some(), self.model.report().is_some(), "the end after {op:?}");
        if let (Some(report), Some(end)) = (report, self.model.report()) {
            assert_eq!(report.saved, end.saved, "saved at the end");
            assert_pending(&report.unsaved, &end.unsaved, "at the end");
            assert_eq!(forgotten(&report.forgotten), end.forgotten, "forgotten at the end");
        }
        for delivery in &self.in_hand {
            let expected = self.model.deadline_of(delivery.number());
            let deadline =
                delivery.deadline().map(|due| if due == Timestamp::MAX { u64::MAX } else { due.as_millis() });
            assert_eq!(deadline, expected, "{:?} after {op:?}", delivery.callback());
        }
        let Some(engine) = &self.engine else { return };
        engine.validate().unwrap_or_else(|error| panic!("after {op:?}: {error}"));
        for key in &self.keys {
            assert_eq!(engine.editors(key), self.model.editors(key), "editors after {op:?}");
            assert_eq!(engine.is_open(key), self.model.is_open(key), "{key} open after {op:?}");
            let fields = |all: Vec<coedit::Participant>| -> Vec<(UserId, Access, u32)> {
                all.into_iter().map(|one| (one.user.id().clone(), one.access, one.connections)).collect()
            };
            let (engine, model) = (engine.participants(key), self.model.participants(key));
            assert_eq!(fields(engine), fields(model), "participants after {op:?}");
        }
        self.compare_connections(op);
        self.compare_fences(op);
        let engine = self.engine();
        self.compare_limits(op);
        assert_eq!(engine.documents(), self.model.open_documents(), "documents after {op:?}");
        assert_eq!(engine.is_draining(), self.model.is_draining());
        assert_eq!(forgotten(&engine.forgotten()), self.model.forgotten(), "forgotten after {op:?}");
        assert_pending(&engine.unsaved(), &self.model.unsaved(), &format!("unsaved after {op:?}"));
        let remaining = engine.remaining();
        assert_eq!(remaining.connections, self.model.limits()[2].in_use);
        assert_pending(&remaining.documents, &self.model.remaining(), &format!("remaining after {op:?}"));
        let (engine, model) = (engine.next_deadline().map(Timestamp::as_millis), self.model.next_deadline());
        assert!(
            model.is_none_or(|due| engine.is_some_and(|engine| engine <= due)),
            "deadline {engine:?} later than {model:?} after {op:?}"
        );
        for id in self.connections.iter().rev().take(24) {
            assert_eq!(self.engine().access(*id), self.model.access(*id), "access after {op:?}");
            assert_eq!(self.engine().token(*id), self.model.token(*id), "token after {op:?}");
        }
    }

    /// Compares the notices. What falls due in several documents at once may be told in any order of documents. After the
    /// end nothing is told.
    pub(super) fn compare_notices(&mut self, op: &Op) {
        let mut engine = std::mem::take(&mut self.heard);
        engine.extend(self.notices.try_iter());
        let mut model = std::mem::take(&mut self.model.notices);
        if self.model.report().is_some() && !self.ended {
            self.ended = true;
        } else if self.ended {
            model.clear();
        }
        // A restart does that too, and a receiver where no handle is left.
        let runs_due =
            matches!(op, Op::Pass(_) | Op::PassToDeadline | Op::PassFar { .. } | Op::Restart { .. });
        if runs_due || self.engine.is_none() {
            engine.sort_by_key(subject);
            model.sort_by_key(subject);
        }
        let same = engine.iter().zip(&model).take_while(|(engine, model)| engine == model).count();
        let [engine, model] = [&engine[same..], &model[same..]].map(|rest| &rest[..rest.len().min(3)]);
        assert_eq!(engine, model, "notices after {op:?}, from number {same}");
    }

    pub(super) fn compare_limits(&self, op: &Op) {
        let (limits, settings) = (self.engine().limits(), &self.model.settings);
        assert_eq!(
            [limits.edit, limits.live, limits.connections],
            self.model.limits(),
            "limits after {op:?}"
        );
        let waiting = limits.waiting;
        let waiting = [waiting.edit, waiting.document, waiting.user, waiting.saving];
        assert_eq!(waiting, self.model.waiting(), "waiting after {op:?}");
        assert_eq!((limits.document, limits.user), (settings.document_limit, settings.user_limit));
        assert_eq!(limits.named_users, settings.named_users);
    }

    pub(super) fn compare_holders(&self, max: usize) {
        let holders: Vec<_> = self.engine().holders(max).into_iter().map(Model::holder).collect();
        assert_eq!(holders, self.model.holders(max), "{max} holders");
    }

    pub(super) fn compare_license(&mut self) {
        let license = self.engine().license();
        let named = |list: Vec<coedit::NamedUser>| -> Vec<_> {
            list.into_iter().map(|one| (one.userid, one.expire)).collect()
        };
        assert_eq!([license.quota.users, license.quota.users_view].map(named), self.model.quota());
        let (terms, settings) = (license.license, &self.model.settings);
        let [limits, reported] = [
            [settings.edit_limit, settings.live_limit, settings.named_users.edit, settings.named_users.live],
            [terms.connections, terms.connections_view, terms.users_count, terms.users_view_count].map(Some),
        ];
        assert_eq!(reported, limits.map(|limit| limit.or(Some(0))));
        let has_named_users = settings.named_users.edit.or(settings.named_users.live).is_some();
        assert_eq!(terms.users_expire, if has_named_users { settings.named_users.expire_days } else { 0 });
    }

    pub(super) fn compare_usage(&self) {
        let usage = self.engine().usage();
        assert_eq!(usage.is_some(), self.model.settings.usage);
        if let Some(usage) = usage {
            self.model.usage.check(&usage, self.model.now);
        }
    }
}

fn assert_pending(engine: &[PendingDocument], model: &[Pending], context: &str) {
    let fields = |one: &PendingDocument| (one.key.clone(), one.state, one.since.as_millis(), one.failures);
    let engine: Vec<_> = engine.iter().map(fields).collect();
    let is_same = |((key, state, since, failures), expected): (&(DocumentKey, _, u64, usize), &Pending)| {
        (key, state, failures) == (&expected.0, &expected.1, &expected.3)
            && expected.2.is_none_or(|expected| expected == *since)
    };
    assert!(
        engine.len() == model.len() && engine.iter().zip(model).all(is_same),
        "{context}: {engine:?}, expected {model:?}"
    );
}

/// Returns the document or the limit that a notice is about.
fn subject(notice: &Notice) -> (Option<DocumentKey>, Option<Pool>) {
    match notice {
        Notice::Storage { key, .. }
        | Notice::Saved { key, .. }
        | Notice::Access { key, .. }
        | Notice::Expiring { key, .. }
        | Notice::Disconnected { key, .. }
        | Notice::Joined(Presence { key, .. })
        | Notice::Left(Presence { key, .. })
        | Notice::Changed(Presence { key, .. }) => (Some(key.clone()), None),
        Notice::Limit { pool, .. } => (None, Some(*pool)),
        _ => (None, None),
    }
}
