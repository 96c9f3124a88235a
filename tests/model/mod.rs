//! A naive second implementation of the wire contract. It uses plain lists and no shards. It follows the contract, not
//! the engine, and produces the same replies, callbacks and notices in the same order.
//!
//! The model does not cover more waiting actions than their bound allows. The simulation checks that case.
#![allow(dead_code, unreachable_pub, reason = "the fuzz targets use only a part")]

pub mod both;
mod document;
mod limits;
pub mod op;
pub mod settings;
#[path = "../support/settle.rs"]
mod settle;
mod usage;

use coedit::{
    Access, Callback, ChangeError, ConnectionError, ConnectionId, DocumentError, DocumentKey, Dropped,
    ForceSaveError, ForceSaveType, InfoError, LimitLevel, Notice, Participant, Pool, UserId,
};
use document::{Connection, Document, Settled};
use limits::Named;
use settings::Settings;
use usage::Record;

pub struct Model {
    pub settings: Settings,
    pub now: u64,
    pub notices: Vec<Notice>,
    draining: bool,
    documents: Vec<Document>,
    /// The documents with a callback that can be taken, in the order in which they became ready.
    ready: Vec<DocumentKey>,
    /// The named users. An expired one stays listed until the model next checks for expiry.
    named: Vec<Named>,
    /// The level in the last notice about each limit.
    levels: [(Pool, LimitLevel); 4],
    pub usage: Record,
}

impl Model {
    pub fn new(settings: Settings, now: u64) -> Self {
        Model {
            settings,
            now,
            notices: Vec::new(),
            draining: false,
            documents: Vec::new(),
            ready: Vec::new(),
            named: Vec::new(),
            levels: [Pool::Edit, Pool::Live, Pool::Users, Pool::UsersView]
                .map(|pool| (pool, LimitLevel::Clear)),
            usage: Record::new(now),
        }
    }

    fn document(&mut self, key: &DocumentKey) -> Option<&mut Document> {
        self.documents.iter_mut().find(|document| document.key == *key)
    }

    fn open_document(&mut self, key: &DocumentKey) -> Option<&mut Document> {
        self.document(key).filter(|document| document.is_open())
    }

    fn document_of(&mut self, id: ConnectionId) -> Option<&mut Document> {
        self.documents.iter_mut().find(|document| document.connections.iter().any(|one| one.id == id))
    }

    /// Runs after every step on a document. Queues the document if it is ready and removes it if nothing of it is left.
    fn follow_up(&mut self, key: &DocumentKey) {
        let Some(document) = self.documents.iter().find(|document| document.key == *key) else { return };
        if document.is_ready() && !self.ready.contains(key) {
            self.ready.push(key.clone());
        }
        if document.is_finished() {
            self.documents.retain(|document| document.key != *key);
        }
    }

    /// Runs a step on the document of a connection.
    fn on_document_of<R>(
        &mut self,
        id: ConnectionId,
        step: impl FnOnce(&mut Document, &Settings, u64, bool) -> R,
    ) -> Option<R> {
        let (settings, now, draining) = (self.settings.clone(), self.now, self.draining);
        let document = self.document_of(id)?;
        let key = document.key.clone();
        let result = step(document, &settings, now, draining);
        self.follow_up(&key);
        Some(result)
    }

    pub fn close(&mut self, id: ConnectionId) -> Result<(), ConnectionError> {
        let access = self.access(id).ok_or(ConnectionError::Unknown)?;
        self.on_document_of(id, |document, settings, now, draining| {
            document.leave(id, settings, now, draining);
        });
        self.check_decrease_of(access);
        self.record_usage(None);
        Ok(())
    }

    pub fn change(&mut self, id: ConnectionId) -> Result<(), ChangeError> {
        self.on_document_of(id, |document, settings, now, _| document.change(id, settings, now))
            .ok_or(ChangeError::Unknown)?
    }

    pub fn access(&self, id: ConnectionId) -> Option<Access> {
        let mut all = self.documents.iter().flat_map(|document| &document.connections);
        all.find(|one| one.id == id).map(|one| one.access)
    }

    pub fn info(&mut self, key: &DocumentKey, userdata: Option<&str>) -> Result<Vec<UserId>, InfoError> {
        let settings = self.settings.clone();
        let users = self.open_document(key).ok_or(InfoError::NotOpen)?.info(userdata, &settings);
        self.follow_up(key);
        Ok(users)
    }

    pub fn force_save(&mut self, key: &DocumentKey, userdata: Option<&str>) -> Result<(), ForceSaveError> {
        let settings = self.settings.clone();
        let document = self.open_document(key).ok_or(ForceSaveError::NotOpen)?;
        let result = document.force_save(ForceSaveType::Command, None, userdata, &settings);
        self.follow_up(key);
        result
    }

    pub fn force_save_by(&mut self, id: ConnectionId, kind: ForceSaveType) -> Result<(), ForceSaveError> {
        let by = |document: &mut Document, settings: &Settings, _, _| {
            if document.connection(id).access != Access::Edit {
                return Err(ForceSaveError::ViewOnly);
            }
            let user = document.connection(id).user.id().clone();
            document.force_save(kind, Some(user), None, settings)
        };
        self.on_document_of(id, by).ok_or(ForceSaveError::UnknownConnection)?
    }

    /// Makes the connections of `users` view-only, or those of all users if it is `None`.
    pub fn drop_access(
        &mut self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
    ) -> Result<Dropped, DocumentError> {
        let document = self.open_document(key).ok_or(DocumentError::NotOpen)?;
        let mut dropped = Dropped::default();
        let users = match users {
            None => document.users_in_order(),
            Some(users) => users.to_vec(),
        };
        for user in users {
            let document = self.open_document(key).expect("a drop closes nothing");
            if !document.is_participant(&user) {
                dropped.unmatched.push(user);
                continue;
            }
            // A user may be named twice.
            let named = document.connections_above_view(&user);
            dropped
                .connections
                .extend(named.into_iter().filter(|id| !dropped.connections.contains(id)).collect::<Vec<_>>());
        }
        self.demote(key, &mut dropped);
        Ok(dropped)
    }

    pub fn drop_connection(&mut self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        let access = self.access(id).ok_or(ConnectionError::Unknown)?;
        let key = self.document_of(id).expect("the connection is open").key.clone();
        let mut dropped = Dropped::default();
        dropped.connections.extend((access > Access::View).then_some(id));
        self.demote(&key, &mut dropped);
        Ok(dropped)
    }

    /// Makes these connections view-only, one by one. The notices of limits come first.
    fn demote(&mut self, key: &DocumentKey, dropped: &mut Dropped) {
        let (settings, now) = (self.settings.clone(), self.now);
        let mut users = Vec::new();
        for id in &dropped.connections {
            let document = self.document_of(*id).expect("the connection is open");
            let Connection { user, access, .. } = document.demote(*id, &settings, now);
            users.push(user.id().clone());
            self.check_decrease_of(access);
            self.record_usage(None);
        }
        if let Some(document) = self.document(key) {
            document.skip_save_delay();
        }
        for (id, user) in dropped.connections.iter().zip(users) {
            self.notices.push(Notice::Dropped { connection: *id, key: key.clone(), user });
        }
        self.follow_up(key);
    }

    pub fn rename(&mut self, key: &DocumentKey, title: &str) {
        self.notices.push(Notice::Meta { key: key.clone(), title: title.to_owned() });
    }

    pub fn editors(&self, key: &DocumentKey) -> Vec<UserId> {
        self.documents.iter().find(|document| document.key == *key).map(Document::editors).unwrap_or_default()
    }

    pub fn participants(&self, key: &DocumentKey) -> Vec<Participant> {
        self.documents
            .iter()
            .find(|document| document.key == *key)
            .map(Document::participants)
            .unwrap_or_default()
    }

    pub fn is_open(&self, key: &DocumentKey) -> bool {
        self.documents.iter().any(|document| document.key == *key && document.is_open())
    }

    pub fn open_documents(&self) -> usize {
        self.documents.iter().filter(|document| document.is_open()).count()
    }

    pub fn forgotten(&self) -> Vec<(DocumentKey, Option<String>)> {
        let forgotten = self.documents.iter().filter(|document| document.forgotten);
        let mut all: Vec<_> =
            forgotten.map(|document| (document.key.clone(), document.url.clone())).collect();
        all.sort();
        all
    }

    pub fn delete_forgotten(&mut self, key: &DocumentKey) -> bool {
        let deleted = self.document(key).is_some_and(Document::delete_forgotten);
        self.follow_up(key);
        deleted
    }

    pub fn next_deadline(&self) -> Option<u64> {
        self.documents.iter().filter_map(Document::next_deadline).min()
    }

    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
        let now = self.now;
        let settings = self.settings.clone();
        for key in self.by_deadline(|due| due <= now) {
            if let Some(document) = self.document(&key) {
                document.run_due(&settings, now);
            }
            self.follow_up(&key);
        }
    }

    pub fn drain(&mut self) {
        self.draining = true;
        for key in self.by_deadline(|_| true) {
            if let Some(document) = self.document(&key) {
                document.skip_delays();
            }
            self.follow_up(&key);
        }
    }

    fn by_deadline(&self, which: impl Fn(u64) -> bool) -> Vec<DocumentKey> {
        let with = |document: &Document| Some((document.next_deadline()?, document.key.clone()));
        let mut due: Vec<_> = self.documents.iter().filter_map(with).filter(|(due, _)| which(*due)).collect();
        due.sort();
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// Takes the next callback, as a worker does.
    pub fn take(&mut self) -> Option<Callback> {
        while !self.ready.is_empty() {
            let key = self.ready.remove(0);
            let settings = self.settings.clone();
            let callback = self.document(&key).and_then(|document| document.take(&settings));
            self.follow_up(&key);
            if callback.is_some() {
                return callback;
            }
        }
        None
    }

    pub fn settle(&mut self, key: &DocumentKey, acknowledged: bool, url: Option<&str>) {
        let (settings, now) = (self.settings.clone(), self.now);
        let Some(document) = self.document(key) else { return };
        match document.settle(acknowledged, url, &settings, now) {
            Settled::WithoutNotice => {}
            Settled::Saved(Callback { key, status, userdata, .. }) => {
                self.notices.push(Notice::Saved { key, status, userdata });
            }
            Settled::GivenUp(Callback { key, status, userdata, .. }) => {
                self.notices.push(Notice::Storage { key, status, userdata });
            }
        }
        self.follow_up(key);
    }
}
