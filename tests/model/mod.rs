//! A naive second implementation of the wire contract. It uses plain lists and no shards. It follows the contract, not
//! the engine, and produces the same replies, callbacks and notices in the same order.
//!
//! Where the contract leaves something open, the model does as the engine: in one tick a worker's time runs out before a
//! save falls due, a shutdown may close the documents in any order, and so may leases and the like end that are due at
//! one moment. What the contract does not say of a restore stands in `snapshots.rs`.
//!
//! The model does not cover more waiting actions than their bound allows. The simulation checks that case.
#![allow(dead_code, unreachable_pub, reason = "the fuzz targets use only a part")]

mod activity;
pub mod both;
mod deliveries;
mod denials;
mod document;
mod dropping;
mod ending;
mod fences;
mod leases;
mod limits;
pub mod op;
mod presence;
pub mod settings;
mod snapshots;
mod usage;
mod waiting;

use coedit::{
    Access, ChangeError, ConnectionError, ConnectionId, DisconnectCause, DocumentKey, DocumentState,
    ForceSaveError, ForceSaveType, InfoError, LimitLevel, Notice, Participant, Pool, RetryError, UserId,
};
pub use document::Outcome;
use document::{Connection, Document, Given};
use fences::Fence;
use limits::Named;
use settings::Settings;
use usage::Record;
use waiting::Waiter;

pub struct Model {
    pub settings: Settings,
    pub now: u64,
    pub notices: Vec<Notice>,
    draining: bool,
    documents: Vec<Document>,
    /// The documents with a callback that can be taken, by lane, in the order in which they became ready. An entry stays
    /// when its document is handed out from an earlier lane.
    ready: [Vec<DocumentKey>; 3],
    /// How many callbacks were handed out.
    handed_out: u64,
    /// The deliveries that nobody has settled, by number.
    given: Vec<(u64, Given)>,
    /// How many changes were made.
    changes: u64,
    shutdown: Option<Shutdown>,
    ended: Option<End>,
    fences: Vec<Fence>,
    /// The named users. An expired one stays listed until the model next checks for expiry.
    named: Vec<Named>,
    /// The level in the last notice about each limit.
    levels: [(Pool, LimitLevel); 5],
    pub usage: Record,
    /// Who waits for edit access, in any order.
    waiters: Vec<Waiter>,
    /// How many tickets were drawn.
    tickets: u64,
    /// Seats of the engine that were given back while somebody waits for one, and are not passed on yet.
    kept_seats: u32,
    serves_named_users: bool,
}

/// The engine shuts down.
struct Shutdown {
    deadline: u64,
    /// The save patience is not longer than this.
    patience: u64,
    /// How many documents were saved since.
    saved: usize,
}

/// What the report of the end says.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    pub saved: usize,
    pub unsaved: Vec<Pending>,
    pub forgotten: Vec<(DocumentKey, Option<String>)>,
}

/// A document that is not settled: its state, since when, and its failures. The time is `None` where the contract does
/// not fix it.
pub type Pending = (DocumentKey, DocumentState, Option<u64>, usize);

impl Model {
    pub fn new(settings: Settings, now: u64) -> Self {
        Model {
            settings,
            now,
            notices: Vec::new(),
            draining: false,
            documents: Vec::new(),
            ready: [const { Vec::new() }; 3],
            handed_out: 0,
            given: Vec::new(),
            changes: 0,
            shutdown: None,
            ended: None,
            fences: Vec::new(),
            named: Vec::new(),
            levels: [Pool::Edit, Pool::Live, Pool::Users, Pool::UsersView, Pool::Max]
                .map(|pool| (pool, LimitLevel::Clear)),
            usage: Record::new(now),
            waiters: Vec::new(),
            tickets: 0,
            kept_seats: 0,
            serves_named_users: false,
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

    /// Runs after every step on a document. Queues the document if it is ready and removes it if nothing of it is left. Then
    /// seats pass to those who wait.
    fn follow_up(&mut self, key: &DocumentKey) {
        self.queue(key);
        self.serve();
        self.end_if_settled();
    }

    fn queue(&mut self, key: &DocumentKey) {
        let Some(document) = self.documents.iter().find(|document| document.key == *key) else { return };
        if let Some(lane) = document.lane().map(|lane| &mut self.ready[lane as usize])
            && !lane.contains(key)
        {
            lane.push(key.clone());
        }
        self.remove_if_finished(key);
    }

    fn remove_if_finished(&mut self, key: &DocumentKey) {
        self.documents.retain(|document| document.key != *key || !document.is_finished());
    }

    /// Ends the engine if it shuts down and all is settled.
    fn end_if_settled(&mut self) {
        if self.documents.iter().all(Document::is_settled) {
            self.end();
        }
    }

    fn end(&mut self) {
        let Some(shutdown) = self.shutdown.as_ref().filter(|_| self.ended.is_none()) else { return };
        let unsaved = |document: &&Document| document.is_unsaved() && !document.is_forgotten();
        self.ended =
            Some(End { saved: shutdown.saved, unsaved: self.pending(unsaved), forgotten: self.forgotten() });
    }

    /// Returns how the engine ended.
    pub fn report(&self) -> Option<&End> {
        self.ended.as_ref()
    }

    fn patience(&self) -> u64 {
        let most = self.shutdown.as_ref().map_or(u64::MAX, |shutdown| shutdown.patience);
        self.settings.save_patience.min(most)
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
        self.access(id).ok_or(ConnectionError::Unknown)?;
        self.end_connection(id, None);
        Ok(())
    }

    /// Ends a connection. The transport hears of the cause if the engine closes it.
    fn end_connection(&mut self, id: ConnectionId, cause: Option<DisconnectCause>) {
        let key = self.document_of(id).expect("the connection is open").key.clone();
        self.remove_connection(id, cause);
        self.follow_up(&key);
    }

    /// Does the same, but leaves the document in its place.
    fn remove_connection(&mut self, id: ConnectionId, cause: Option<DisconnectCause>) {
        let (settings, now, draining) = (self.settings.clone(), self.now, self.draining);
        let document = self.document_of(id).expect("the connection is open");
        let Connection { user, access, .. } = document.connection(id).clone();
        let (key, user) = (document.key.clone(), user.id().clone());
        let before = document.access_of(&user);
        self.end_place(id);
        let seats = self.all_seats(access);
        let document = self.document(&key).expect("the connection is open");
        document.leave(id, &settings, now, draining);
        self.free_seats(access, seats - self.all_seats(access));
        self.check_decrease(Pool::Max);
        self.record_usage(None);
        if let Some(cause) = cause {
            self.tell_disconnected(id, (key.clone(), user.clone()), cause);
        }
        self.tell_presence(&key, &user, before);
    }

    fn tell_disconnected(
        &mut self,
        connection: ConnectionId,
        (key, user): (DocumentKey, UserId),
        cause: DisconnectCause,
    ) {
        self.notices.push(Notice::Disconnected { connection, key, user, cause, code: cause.code() });
    }

    pub fn change(&mut self, id: ConnectionId) -> Result<(), ChangeError> {
        self.changes += 1;
        let number = self.changes;
        self.on_document_of(id, |document, settings, now, _| document.change(id, number, settings, now))
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
            let connection = document.connection(id);
            if connection.is_lost() || connection.access != Access::Edit {
                return Err(ForceSaveError::ViewOnly);
            }
            let user = document.connection(id).user.id().clone();
            document.force_save(kind, Some(user), None, settings)
        };
        self.on_document_of(id, by).ok_or(ForceSaveError::UnknownConnection)?
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
        let forgotten = self.documents.iter().filter(|document| document.is_forgotten());
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

    pub fn retry_forgotten(&mut self, key: &DocumentKey) -> Result<(), RetryError> {
        let now = self.now;
        let result = self
            .document(key)
            .ok_or(RetryError::NotForgotten)
            .and_then(|document| document.retry_forgotten(now));
        self.follow_up(key);
        result
    }

    fn pending(&self, which: impl Fn(&&Document) -> bool) -> Vec<Pending> {
        let pending = |document: &Document| {
            let (state, since, failures) = document.pending();
            (document.key.clone(), state, since, failures)
        };
        let mut all: Vec<Pending> = self.documents.iter().filter(which).map(pending).collect();
        all.sort();
        all
    }

    /// Returns the documents with unsaved changes.
    pub fn unsaved(&self) -> Vec<Pending> {
        self.pending(|document| document.is_unsaved())
    }

    /// Returns the documents that are not settled.
    pub fn remaining(&self) -> Vec<Pending> {
        self.pending(|document| document.is_unsaved() || !document.is_settled())
    }

    pub fn next_deadline(&self) -> Option<u64> {
        if self.ended.is_some() {
            return None;
        }
        let patience = self.patience();
        let shutdown = self.shutdown.as_ref().map(|one| one.deadline);
        let of_documents = self.documents.iter().filter_map(|document| document.next_deadline(patience));
        let of_connections = self.next_stay_deadline().into_iter().chain(self.next_fence_end());
        of_documents.chain(shutdown).chain(of_connections).min()
    }

    /// Time passes, and what is due is run: connections first, in an order that the contract leaves open: `order`.
    pub fn pass(&mut self, millis: u64, order: &[ConnectionId]) {
        self.now += millis;
        if self.ended.is_some() {
            return;
        }
        self.end_fences();
        self.run_stays(order);
        let (now, patience, settings) = (self.now, self.patience(), self.settings.clone());
        let due = self.by_deadline(|due| due <= now);
        for key in &due {
            if let Some(document) = self.document(key) {
                let notices = document.run_due(&settings, now, patience);
                self.notices.extend(notices);
            }
            self.queue(key);
        }
        self.serve_with_named_users();
        self.end_if_settled();
        if self.shutdown.as_ref().is_some_and(|shutdown| shutdown.deadline <= now) {
            self.end();
        }
    }

    pub fn drain(&mut self) {
        self.draining = true;
        let now = self.now;
        for key in self.by_deadline(|_| true) {
            if let Some(document) = self.document(&key) {
                document.skip_save_delay(now);
            }
            self.follow_up(&key);
        }
    }

    pub fn undrain(&mut self) {
        self.draining = self.shutdown.is_some();
        // The limit of named users, too, may have been raised meanwhile.
        self.serve_with_named_users();
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    fn by_deadline(&self, which: impl Fn(u64) -> bool) -> Vec<DocumentKey> {
        let patience = self.patience();
        let with = |document: &Document| Some((document.next_deadline(patience)?, document.key.clone()));
        let mut due: Vec<_> = self.documents.iter().filter_map(with).filter(|(due, _)| which(*due)).collect();
        due.sort();
        due.into_iter().map(|(_, key)| key).collect()
    }
}
