//! Calls on one document: the command service, and questions.

use std::sync::Arc;

use super::ready::DocumentId;
use super::shard::Place;
use super::{Held, Registry};
use crate::access::{Access, Forgotten, Participant};
use crate::callback::ForceSaveType;
use crate::error::{DocumentError, ForceSaveError, ForgottenError, InfoError, RetryError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::notice::Notice;
use crate::session::{Context, Session};
use crate::time::Now;
use crate::work::AT_ONCE;

/// The command service.
impl Registry {
    /// Holds the shard of a document that is open.
    fn hold_open(&self, key: &DocumentKey, now: Now) -> Result<(Held<'_>, DocumentId), DocumentError> {
        let (hash, index) = self.locate(key);
        let held = self.hold(index, now);
        let document = held.shard.find_open(key, hash).ok_or(DocumentError::NotOpen)?;
        Ok((held, document))
    }

    pub(crate) fn info(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<Vec<UserId>, InfoError> {
        let (mut held, document) =
            self.hold_open(key, self.clock.coarse()).map_err(|_| InfoError::NotOpen)?;
        // The answer to an `info` is never dropped later, so it is left out where there is no room for it.
        let cx = Context { too_many_wait: self.ready.has_too_many(), ..held.cx };
        let users = held.shard.session_mut(document).info(&cx, userdata);
        self.finish(held, document);
        Ok(users)
    }

    pub(crate) fn force_save(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        let (mut held, document) =
            self.hold_open(key, self.clock.coarse()).map_err(|_| ForceSaveError::NotOpen)?;
        let cx = held.cx;
        held.shard.session_mut(document).force_save(&cx, ForceSaveType::Command, None, userdata)?;
        self.finish(held, document);
        Ok(())
    }

    /// A force save that a connection asks for.
    pub(crate) fn force_save_by(&self, id: ConnectionId, kind: ForceSaveType) -> Result<(), ForceSaveError> {
        let mut held = self.hold(self.shard_of(id), self.clock.coarse());
        let Place { document, participant } =
            held.shard.place(id).ok_or(ForceSaveError::UnknownConnection)?;
        let (cx, is_lost) = (held.cx, held.shard.is_lost(id));
        let session = held.shard.session_mut(document);
        if is_lost || session.access(participant, id) != Access::Edit {
            return Err(ForceSaveError::ViewOnly);
        }
        session.force_save(&cx, kind, Some(participant), None)?;
        self.finish(held, document);
        Ok(())
    }

    pub(crate) fn rename(&self, key: &DocumentKey, title: String) {
        self.notices.send(&Notice::Meta { key: key.clone(), title });
    }

    /// Makes the save of a forgotten document due again.
    pub(crate) fn retry_forgotten(&self, key: &DocumentKey) -> Result<(), RetryError> {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.clock.coarse());
        let document = held.shard.find(key, hash).ok_or(RetryError::NotForgotten)?;
        let cx = held.cx;
        held.shard.session_mut(document).retry_forgotten(&cx)?;
        self.finish(held, document);
        Ok(())
    }

    pub(crate) fn version(&self) -> &str {
        &self.rules.version
    }

    pub(crate) fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.clock.coarse());
        let document = held.shard.find(key, hash).ok_or(ForgottenError::NotForgotten)?;
        let deleted = held.shard.session_mut(document).delete_forgotten();
        self.apply(held, document, deleted.ok_or(ForgottenError::NotForgotten)?);
        Ok(())
    }
}

/// Questions.
impl Registry {
    /// Looks at a document of which the engine knows anything.
    fn look<R>(&self, key: &DocumentKey, look: impl FnOnce(&Session) -> R) -> Option<R> {
        let (hash, index) = self.locate(key);
        self.read(index, |shard| Some(look(shard.session(shard.find(key, hash)?))))
    }

    pub(crate) fn is_open(&self, key: &DocumentKey) -> bool {
        self.look(key, Session::is_open).unwrap_or(false)
    }

    /// Returns true if the engine has nothing of the document to save or to tell.
    pub(crate) fn is_settled(&self, key: &DocumentKey) -> bool {
        self.look(key, |session| !session.is_unsaved() && session.is_settled()).unwrap_or(true)
    }

    pub(crate) fn participants(&self, key: &DocumentKey) -> Vec<Participant> {
        let mut present = self.look(key, Session::present).unwrap_or_default();
        // With no lock held, since the list can be long.
        present.sort_unstable_by_key(|(arrival, _)| *arrival);
        present.into_iter().map(|(_, participant)| participant).collect()
    }

    pub(crate) fn editors(&self, key: &DocumentKey) -> Vec<UserId> {
        self.look(key, Session::editors).unwrap_or_default()
    }

    /// Returns true if the document has changes that no acknowledged save holds.
    pub(crate) fn is_exposed(&self, key: &DocumentKey) -> bool {
        self.look(key, |session| session.exposed_since().is_some()).unwrap_or(false)
    }

    /// Returns true if a callback of the document is with a worker.
    pub(crate) fn is_outstanding(&self, key: &DocumentKey) -> bool {
        self.look(key, Session::is_outstanding).unwrap_or(false)
    }

    pub(crate) fn open_documents(&self) -> usize {
        (0..self.shards.len()).map(|index| self.read(index, |shard| shard.books.open_documents())).sum()
    }

    /// Where the host keeps the file of a forgotten document.
    pub(crate) fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        let kept_at = |session: &Session| session.is_forgotten().then(|| session.kept_at());
        self.look(key, kept_at).flatten().ok_or(ForgottenError::NotForgotten)
    }

    /// The forgotten documents, by key. Looks at some of them under one hold of a shard lock.
    pub(crate) fn forgotten(&self) -> Vec<Forgotten> {
        let entry = |session: &Session| Forgotten { key: session.key().clone(), url: session.kept_at() };
        let found = self.list(|shard, last: Option<&(DocumentId, Forgotten)>| {
            let documents = shard.books.forgotten(last.map(|(document, _)| *document), AT_ONCE);
            documents.map(|document| (document, entry(shard.session(document)))).collect()
        });
        let mut all: Vec<Forgotten> = found.into_iter().map(|(_, forgotten)| forgotten).collect();
        all.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        all
    }
}
