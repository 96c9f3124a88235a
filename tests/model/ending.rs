//! The end of the engine.

use coedit::{DisconnectCause, DocumentKey};

use super::{Model, Shutdown};

/// The end.
impl Model {
    /// Begins a shutdown. The engine closes the connections document by document, in an order that the contract leaves
    /// open: `order`.
    pub fn begin_shutdown(&mut self, millis: u64, order: &[DocumentKey]) {
        if self.shutdown.is_some() {
            return;
        }
        let (deadline, patience) = (self.now + millis, millis / 4);
        self.draining = true;
        let mut documents: Vec<DocumentKey> = order.to_vec();
        documents.retain(|key| self.document(key).is_some());
        for key in &documents {
            self.disconnect_all(key);
        }
        self.shutdown = Some(Shutdown { deadline, patience, saved: 0 });
        let now = self.now;
        let mut all: Vec<DocumentKey> = self.documents.iter().map(|document| document.key.clone()).collect();
        all.sort();
        for key in &all {
            if let Some(document) = self.document(key) {
                document.hurry(now);
            }
            self.queue(key);
        }
        self.end_if_settled();
    }

    fn disconnect_all(&mut self, key: &DocumentKey) {
        let Some(document) = self.document(key) else { return };
        let all = document.connections_in_order();
        for id in all {
            self.end_connection(id, Some(DisconnectCause::ShutDown));
        }
    }
}
